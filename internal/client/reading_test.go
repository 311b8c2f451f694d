package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// A deposit ends well, without anybody's doing, when the vault has to read the upload before it is evidence and that takes longer than an
// event may be old. Nothing is sealed or sent twice: only the event is signed anew.
func TestSlowReading(t *testing.T) {
	clock := &later{}
	o := options
	o.Now, o.Limits.Reading = clock.now, 100*time.Millisecond
	w := newBucketWorldWith(t, o, true)
	for _, p := range []*person{w.custodian, w.clinician} {
		w.setClock(p, clock)
	}
	// As if the upload were of an earlier version, which noted no hashes, in a bucket that takes long to give what it has.
	w.door.set(func(rw http.ResponseWriter, r *http.Request, bucket http.Handler) {
		switch {
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/body/") && !r.URL.Query().Has("uploadId"):
			time.Sleep(700 * time.Millisecond)
		case r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/upload/"):
			kept := httptest.NewRecorder()
			bucket.ServeHTTP(kept, r)
			text, _, cut := strings.Cut(kept.Body.String(), `,"state":`)
			for name, values := range kept.Header() {
				if !strings.HasPrefix(name, "X-Amz-Checksum") {
					rw.Header()[name] = values
				}
			}
			if cut {
				text += "}"
			}
			rw.Header().Set("Content-Length", fmt.Sprint(len(text)))
			rw.WriteHeader(kept.Code)
			io.WriteString(rw, text)
			return
		}
		bucket.ServeHTTP(rw, r)
	})
	var notYet, parts, old atomic.Int32
	signed := make(map[string]bool)
	c := w.client(w.clinician, meddler(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if isPatch(req) {
			parts.Add(1)
		}
		if isEvent(req) {
			body, _ := io.ReadAll(req.Body)
			req.Body = io.NopCloser(bytes.NewReader(body))
			signed[string(body)] = true
		}
		resp, err := next.RoundTrip(req)
		if err == nil && isEvent(req) && resp.StatusCode == http.StatusServiceUnavailable {
			notYet.Add(1)
		}
		if err == nil && isEvent(req) && resp.StatusCode == http.StatusUnprocessableEntity {
			old.Add(1)
		}
		return resp, err
	}))
	c.cfg.Now, c.clock.now = clock.now, clock.now
	waited := time.Duration(0)
	c.pause = func(ctx context.Context, d time.Duration) error {
		clock.pass(45 * time.Second)
		waited += 45 * time.Second
		return pause(ctx, 50*time.Millisecond)
	}
	original := random(9 << 20)
	id, receipt, err := c.Deposit(t.Context(), w.photo(w.in, w.given, bytes.NewReader(original)))
	if err != nil || receipt == nil {
		t.Fatalf("the deposit: %v", err)
	}
	if n := int(notYet.Load()); n < 4 || len(signed) < 2 || len(signed) > n || waited < evidence.Clock || parts.Load() != 1 || old.Load() != 0 {
		t.Errorf("%d times not yet in %v, %d of them signed anew; %d parts were sent; %d were too old", n, waited, len(signed)-1, parts.Load(), old.Load())
	}
	w.door.set(nil)
	w.same(id, original)
}

// A vault that was out of reach for so long that the event has become too old is sent another one.
func TestAgedEvent(t *testing.T) {
	w, clock := newLaterWorld(t)
	in := w.openCase()
	consent := w.consent(in)
	var tries atomic.Int32
	c := w.client(w.clinician, meddler(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if isEvent(req) && tries.Add(1) <= 3 {
			return nil, io.ErrUnexpectedEOF
		}
		return next.RoundTrip(req)
	}))
	c.cfg.Now, c.clock.now = clock.now, clock.now
	c.pause = func(context.Context, time.Duration) error {
		clock.pass(50 * time.Second)
		return nil
	}
	original := random(1000)
	id, _, err := c.Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(original)))
	check(t, err)
	w.same(id, original)

	// Where waiting is not the cause, the refusal stands.
	c.pause = pause
	c = w.client(w.clinician, meddler(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if !isEvent(req) {
			return next.RoundTrip(req)
		}
		tries.Add(1)
		body := `{"type":"x","title":"x","status":422,"reason":"clock","detail":"x","kept":"x","next":"x"}`
		answer := httptest.NewRecorder()
		answer.Header().Set("Content-Type", "application/problem+json")
		answer.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(answer, body)
		return answer.Result(), nil
	}))
	c.cfg.Now, c.clock.now = clock.now, clock.now
	tries.Store(0)
	_, _, err = c.Deposit(t.Context(), w.photo(in, consent, bytes.NewReader(original)))
	wantReason(t, err, evidence.ReasonClock)
	if tries.Load() != 1 {
		t.Errorf("sent %d times", tries.Load())
	}
}
