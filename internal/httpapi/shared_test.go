package httpapi_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi"
)

// failing cannot count.
type failing struct{ asked int }

func (f *failing) Take(context.Context, ev.Hash, time.Duration, int, time.Time) (time.Duration, error) {
	f.asked++
	return 0, ev.Fail(ev.Internal, "records_unreachable", errors.New("gone"))
}

// Two processes over the same records have one limit together, and keep no address. Where the records fail each goes on by its own, and says so.
func TestLimitsOfTwoProcesses(t *testing.T) {
	w := newWorld(t)
	now := w.now()
	open := func(shared httpapi.Shared) http.Handler {
		return must(httpapi.New(httpapi.Config{Vault: w.vault, Auth: w.auth, Logger: w.logger(), Now: func() time.Time { return now }, Shared: shared}))
	}
	const from = "203.0.113.5"
	ask := func(edge http.Handler, from string) *http.Response {
		r := httptest.NewRequest("POST", "/v1/sign-in/challenges", nil)
		r.RemoteAddr = from + ":1000"
		recorder := httptest.NewRecorder()
		edge.ServeHTTP(recorder, r)
		return recorder.Result()
	}
	through := func(edges ...http.Handler) (n int) {
		for ; n < 5000 && ask(edges[n%len(edges)], from).StatusCode == 201; n++ {
		}
		return n
	}
	alone := through(open(nil))
	one, other := open(w.db), open(w.db)
	if n := through(one, other); n != alone {
		t.Errorf("%d requests went through two processes, %d go through one", n, alone)
	}
	for _, edge := range []http.Handler{one, other} {
		refused := ask(edge, from)
		var body bytes.Buffer
		must(body.ReadFrom(refused.Body))
		if refused.StatusCode != 429 || refused.Header.Get("Retry-After") != "1" || reason(t, body.Bytes()) != "too_often" {
			t.Errorf("%d %v %s", refused.StatusCode, refused.Header, body.Bytes())
		}
	}
	if status := ask(other, "203.0.113.6").StatusCode; status != 201 {
		t.Errorf("a neighbour: %d", status)
	}
	for _, file := range must(filepath.Glob(w.path("records.db*"))) {
		if bytes.Contains(must(os.ReadFile(file)), []byte("203.0.113.")) {
			t.Errorf("an address is in %s", filepath.Base(file))
		}
	}
	now = now.Add(time.Second)
	if status := ask(one, from).StatusCode; status != 201 {
		t.Errorf("after the second that it said: %d", status)
	}

	broken := &failing{}
	edge := open(broken)
	w.logs.reset()
	if n := through(edge); n != alone || broken.asked != alone {
		t.Errorf("%d requests went through without the records, which were asked %d times", n, broken.asked)
	}
	for _, want := range []int{1, 2} {
		if said := strings.Count(w.logs.String(), "limits_not_shared"); said != want {
			t.Errorf("it was said %d times, want %d", said, want)
		}
		now = now.Add(time.Minute)
		ask(edge, from)
		ask(edge, from)
	}
}
