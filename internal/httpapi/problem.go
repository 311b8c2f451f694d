package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/gin-gonic/gin"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// statuses is the one place where kinds of errors become statuses.
var statuses = map[evidence.ErrorKind]int{
	evidence.Invalid:         http.StatusUnprocessableEntity,
	evidence.Unauthenticated: http.StatusUnauthorized,
	evidence.Forbidden:       http.StatusForbidden,
	evidence.NotFound:        http.StatusNotFound,
	evidence.Conflict:        http.StatusConflict,
	evidence.Gone:            http.StatusGone,
	evidence.Held:            http.StatusLocked,
	evidence.Pending:         http.StatusServiceUnavailable,
	evidence.TooLarge:        http.StatusRequestEntityTooLarge,
	evidence.TooMany:         http.StatusTooManyRequests,
	evidence.Unknown:         http.StatusNotImplemented,
	evidence.Internal:        http.StatusInternalServerError,
}

// notOurs is a request that HTTP or the contract refuses before any use case is asked.
type notOurs struct {
	status int
	reason string
	fields []wire.FieldError
}

func (e *notOurs) Error() string { return e.reason }

// Reasons of this package.
const (
	reasonContract    = "contract"     // the request departs from the contract
	reasonContentType = "content_type" // the body is of another type than the contract's
	reasonBodySize    = "body_size"    // the body is larger than the contract allows
	reasonMethod      = "method"       // the address exists, the method does not
	reasonCrossOrigin = "cross_origin" // a browser was sent here by another site
	reasonRange       = "range"        // the range lies outside the file
	reasonNotFound    = "not_found"
	reasonInternal    = "internal"
)

// problemOf describes an error. Reason and texts depend on nothing but kind and reason, so equal causes give equal bytes.
func problemOf(err error) wire.Problem {
	kind, reason, status := evidence.KindOf(err), evidence.ReasonOf(err), 0
	var fields []wire.FieldError
	if e := (*notOurs)(nil); errors.As(err, &e) {
		kind, reason, status, fields = evidence.Invalid, e.reason, e.status, e.fields
	} else if status = statuses[kind]; status == 0 {
		kind, status = evidence.Internal, http.StatusInternalServerError
	}
	switch kind {
	case evidence.NotFound: // outside the wall there is one answer
		reason = reasonNotFound
	case evidence.Internal:
		reason = reasonInternal
	}
	text := kindTexts[kind].with(reasonTexts[reason])
	return wire.Problem{
		Type:  "https://strongroom.example/problems/" + reason,
		Title: text.title, Status: int32(status), Detail: text.detail, Reason: reason, Kept: text.kept, Next: text.next,
		Errors: fields,
	}
}

// failure is the key under which a request keeps the error it was refused with, for its log line.
const failure = "failure"

// refuse answers a request with the problem that err is, and ends it.
func refuse(c *gin.Context, err error) {
	c.Set(failure, err)
	c.Abort()
	if c.Writer.Written() { // the answer had begun: nothing can be taken back
		return
	}
	secure(c) // net/http drops some of it from a refusal of its own
	p := problemOf(err)
	h := c.Writer.Header()
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "2")
	}
	if wait := after(0); errors.As(err, &wait) {
		h.Set("Retry-After", strconv.Itoa(wait.seconds()))
	}
	body, fault := json.Marshal(p)
	if fault != nil {
		panic("httpapi: a problem does not encode: " + fault.Error()) // every field is a plain type
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.Writer.WriteHeader(int(p.Status))
	if c.Request.Method == http.MethodHead {
		c.Writer.WriteHeaderNow()
		return
	}
	c.Writer.Write(body) // a client that is gone needs no answer
}

// silenced passes on what a handler of another library answers, unless it refuses: then nothing is written, and status is what it would
// have been, for the caller to answer with a problem.
type silenced struct {
	http.ResponseWriter
	status int
}

func (w *silenced) WriteHeader(status int) {
	if status < http.StatusBadRequest {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.status = status
	w.Header().Del("Content-Length")
	w.Header().Del("Content-Type")
}

func (w *silenced) Write(b []byte) (int, error) {
	if w.status != 0 {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *silenced) Unwrap() http.ResponseWriter { return w.ResponseWriter }
