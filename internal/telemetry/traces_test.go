package telemetry

import (
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"strongroom.example/strongroom/internal/trail"
)

// collects is an OTLP/HTTP collector that keeps what it is sent.
type collects struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*otlp.Span
	raw   strings.Builder
}

func newCollector(t *testing.T) *collects {
	c := &collects{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		for _, of := range request.ResourceSpans {
			for _, in := range of.ScopeSpans {
				c.spans = append(c.spans, in.Spans...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

func TestTraces(t *testing.T) {
	c := newCollector(t)
	const traced = "4bf92f3577b34da6a3ce929d0e0e4736"
	tell, err := New(t.Context(), Options{Program: "strongroomd", Version: "1", Traces: &Traces{Endpoint: c.URL, Sample: 0}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(parent string) (trace string) {
		ctx, answered := tell.Observe(t.Context(), trail.Request{ID: "77", Method: "POST", Route: "/v1/events", Parent: parent})
		inner, end := trail.Begin(ctx, trail.Records, "commit")
		_, endInner := trail.Begin(inner, trail.Log, "append")
		endInner(errors.New("kanarienvogel"))
		end(nil)
		answered(trail.Answer{Status: 503, Reason: "pending"})
		return trail.Of(ctx).Trace
	}
	if trace := ask("00-" + traced + "-00f067aa0ba902b7-01"); trace != traced {
		t.Errorf("the trace of who began it is %q", trace)
	}
	for _, parent := range []string{"", "00-" + traced + "-00f067aa0ba902b7-00", "nonsense"} { // of which none is to be traced
		if trace := ask(parent); trace != "" {
			t.Errorf("%q is traced as %q", parent, trace)
		}
	}
	_, end := trail.Begin(tell.Watched(t.Context()), trail.Records, "pending") // of nobody's request
	end(nil)
	if err := tell.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	names := make(map[string]*otlp.Span)
	for _, s := range c.spans {
		names[s.Name] = s
		if hex.EncodeToString(s.TraceId) != traced {
			t.Errorf("%s is of another trace", s.Name)
		}
	}
	request, commit, appended := names["POST /v1/events"], names["records commit"], names["log append"]
	if len(c.spans) != 3 || request == nil || commit == nil || appended == nil {
		t.Fatalf("%d spans: %v", len(c.spans), names)
	}
	if string(appended.ParentSpanId) != string(commit.SpanId) || string(commit.ParentSpanId) != string(request.SpanId) ||
		hex.EncodeToString(request.ParentSpanId) != "00f067aa0ba902b7" || appended.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR {
		t.Errorf("%v\n%v\n%v", request, commit, appended)
	}
	if strings.Contains(c.raw.String(), "kanarienvogel") {
		t.Error("the text of an error is in a span")
	}
}

// TestTracesRefused: a collector's certificates are read at the start, and not believed to be there.
func TestTracesRefused(t *testing.T) {
	for _, file := range []string{t.TempDir() + "/none.pem", "traces_test.go"} {
		if _, err := New(t.Context(), Options{Traces: &Traces{Endpoint: "https://localhost", CAFile: file}, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%s holds certificates", file)
		}
	}
}
