package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/gin-gonic/gin"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/wire"
)

// Bodies in JSON, in bytes. Who is not signed in sends keys and signatures, no more.
const (
	maxBody       = 12 << 20
	maxPublicBody = 64 << 10
)

// contract is api/openapi.yaml, ready to be asked about a request.
type contract struct {
	operations map[string]*operation // by method and pattern, as gin spells it
	names      map[string]bool       // every name a body may use: nothing else of a body's names is ever repeated
}

type operation struct {
	route   *routers.Route
	action  auth.Action
	body    string          // media type, "" for none
	bare    bool            // or none at all
	streams bool            // the body, in or out, may be as large as evidence
	query   map[string]bool // parameters
}

const (
	typeJSON   = "application/json"
	typeBytes  = "application/octet-stream"
	typeUpload = "application/offset+octet-stream"
)

func loadContract() (*contract, error) {
	spec, err := GetSpec()
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	// Requests use nothing that 3.1 adds. Under this name the validator reads their schemas as they are; under 3.1 it would compile them
	// anew for every request, which takes longer than everything else at the edge.
	spec.OpenAPI = "3.0.3"
	k := &contract{operations: make(map[string]*operation), names: make(map[string]bool)}
	for path, item := range spec.Paths.Map() {
		for method, o := range item.Operations() {
			op := &operation{
				route:  &routers.Route{Spec: spec, Path: path, PathItem: item, Method: method, Operation: o},
				action: auth.Action(o.OperationID),
				query:  make(map[string]bool),
			}
			for _, p := range o.Parameters {
				op.query[p.Value.Name] = p.Value.In == openapi3.ParameterInQuery
			}
			if o.RequestBody != nil {
				op.bare = !o.RequestBody.Value.Required
				for mediaType := range o.RequestBody.Value.Content {
					op.body = mediaType
				}
			}
			op.streams = op.body == typeUpload || o.Responses.Status(http.StatusPartialContent) != nil
			// admit decides who may ask. Left to the validator, it would read every body into memory first, uploads too.
			o.Security = openapi3.NewSecurityRequirements()
			k.operations[method+" "+ginPattern(path)] = op
		}
	}
	if err := decided(k.operations); err != nil {
		return nil, err
	}
	for _, schema := range spec.Components.Schemas {
		for name := range schema.Value.Properties {
			k.names[name] = true
		}
	}
	return k, nil
}

// decided demands that contract and role table name the same operations: neither may have one that the other does not know.
func decided(operations map[string]*operation) error {
	rows := auth.Actions()
	for _, op := range operations {
		i, found := slices.BinarySearch(rows, op.action)
		if !found {
			return fmt.Errorf("contract: no role is decided for %s", op.action)
		}
		rows = slices.Delete(rows, i, i+1)
	}
	if len(rows) > 0 {
		return fmt.Errorf("contract: no operation %s, for which roles are decided", rows[0])
	}
	return nil
}

// ginPattern turns /v1/cases/{case} into /v1/cases/:case.
func ginPattern(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}

// operation finds what the contract says about the route that gin chose. One router alone decides, so none can be led past the other.
func (k *contract) operation(c *gin.Context) *operation {
	op := k.operations[c.Request.Method+" "+c.FullPath()]
	if op == nil {
		panic("httpapi: a route that the contract does not name")
	}
	return op
}

// check refuses what departs from the contract. What passes has the body that was validated, and nothing else, bound by the handler.
func (k *contract) check(c *gin.Context, op *operation) error {
	r := c.Request
	if err := checkQuery(r.URL.RawQuery, op.query); err != nil {
		return err
	}
	if err := readBody(c, op); err != nil {
		return err
	}
	params := make(map[string]string, len(c.Params))
	for _, p := range c.Params {
		params[p.Key] = p.Value
	}
	err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: op.route,
		Options: &openapi3filter.Options{
			MultiError:         true,
			KeepValidatedValue: true,
			ExcludeRequestBody: op.body != typeJSON,
			SchemaValidationOptions: []openapi3.SchemaValidationOption{
				openapi3.WithStringFormatValidator("byte", openapi3.NewCallbackValidator(checkBase64)),
			},
		},
	})
	if err == nil {
		return nil
	}
	return departs(k.fields(nil, err, "body", "")...)
}

// departs is the refusal of a request that is not of the contract.
func departs(fields ...wire.FieldError) error {
	return &notOurs{http.StatusBadRequest, reasonContract, fields[:min(len(fields), 20)]}
}

func checkQuery(raw string, known map[string]bool) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return departs(wire.FieldError{In: wire.FieldErrorInQuery, Pointer: "*", Reason: "malformed"})
	}
	for name, values := range query {
		switch {
		case !known[name]:
			return departs(wire.FieldError{In: wire.FieldErrorInQuery, Pointer: "*", Reason: "unknown_field"})
		case len(values) > 1:
			return departs(wire.FieldError{In: wire.FieldErrorInQuery, Pointer: name, Reason: "repeated"})
		}
	}
	return nil
}

// readBody reads a JSON body whole, if it is small enough, and checks what a decoder would let pass. Uploads are left to be read.
func readBody(c *gin.Context, op *operation) error {
	r := c.Request
	if op.body == "" || op.bare && r.ContentLength == 0 && r.Header.Get("Content-Type") == "" {
		if r.ContentLength != 0 {
			return departs(wire.FieldError{In: wire.FieldErrorInBody, Pointer: "", Reason: "unknown_field"})
		}
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if charset, ok := params["charset"]; err != nil || mediaType != op.body || ok && !strings.EqualFold(charset, "utf-8") {
		return &notOurs{status: http.StatusUnsupportedMediaType, reason: reasonContentType}
	}
	if op.body != typeJSON {
		return nil
	}
	limit := int64(maxBody)
	if auth.Public(op.action) {
		limit = maxPublicBody
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, r.Body, limit))
	if err != nil {
		c.Header("Connection", "close") // the rest is not read
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			return &notOurs{status: http.StatusRequestEntityTooLarge, reason: reasonBodySize}
		}
		return departs(wire.FieldError{In: wire.FieldErrorInBody, Pointer: "", Reason: "incomplete"})
	}
	if reason := checkJSON(body); reason != "" {
		return departs(wire.FieldError{In: wire.FieldErrorInBody, Pointer: "", Reason: reason})
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

// fields lists where the request departs from the contract, without a value and without a name that the contract does not know. The
// validator's own texts repeat values and are never used.
func (k *contract) fields(list []wire.FieldError, err error, in, pointer string) []wire.FieldError {
	switch e := err.(type) {
	case openapi3.MultiError:
		for _, one := range e {
			list = k.fields(list, one, in, pointer)
		}
		return list
	case *openapi3filter.RequestError:
		if e.Parameter != nil {
			in, pointer = e.Parameter.In, e.Parameter.Name
		}
		if e.Err != nil {
			return k.fields(list, e.Err, in, pointer)
		}
	case *openapi3.SchemaError:
		if in == "body" {
			pointer = k.pointer(e.JSONPointer())
		}
		return append(list, wire.FieldError{In: wire.FieldErrorIn(in), Pointer: pointer, Reason: keyword(e.SchemaField)})
	}
	reason := "malformed"
	if errors.Is(err, openapi3filter.ErrInvalidRequired) {
		reason = "required"
	}
	return append(list, wire.FieldError{In: wire.FieldErrorIn(in), Pointer: pointer, Reason: reason})
}

func (k *contract) pointer(path []string) string {
	var b strings.Builder
	for _, name := range path {
		if _, err := strconv.ParseUint(name, 10, 16); err != nil && !k.names[name] {
			name = "*"
		}
		b.WriteString("/" + name)
	}
	return b.String()
}

// keyword turns the name of a schema's rule into a reason: maxLength is max_length.
func keyword(rule string) string {
	switch rule {
	case "":
		return "malformed"
	case "properties", "additionalProperties":
		return "unknown_field"
	}
	var b strings.Builder
	for _, c := range rule {
		if unicode.IsUpper(c) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(c))
	}
	return b.String()
}
