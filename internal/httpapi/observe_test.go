package httpapi

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/trail"
)

// TestTold: what a request says of itself counts from a trusted proxy alone, and then only in a form that can name nobody.
func TestTold(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	proxies := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	fresh := regexp.MustCompile(`^[0-9a-f]{16}$`)
	gin.SetMode(gin.TestMode)
	for _, tt := range []struct{ from, id, want, parent string }{
		{"10.1.2.3:443", "4BF92F35-77b34da6", "4BF92F35-77b34da6", parent},
		{"[::ffff:10.1.2.3]:443", "4bf92f3577b34da6", "4bf92f3577b34da6", parent},
		{"10.1.2.3:443", "maria.lopez", "", parent},
		{"10.1.2.3:443", "abc", "", parent},
		{"10.1.2.3:443", strings.Repeat("a", 65), "", parent},
		{"10.1.2.3:443", "4bf92f35\n77b34da6", "", parent},
		{"10.1.2.3:443", "", "", parent},
		{"10.2.2.3:443", "4bf92f3577b34da6", "", ""},
		{"nowhere", "4bf92f3577b34da6", "", ""},
	} {
		c, _ := gin.CreateTestContext(httptest.NewRecorder())
		c.Request = httptest.NewRequest("GET", "/", nil)
		c.Request.RemoteAddr = tt.from
		c.Request.Header.Set("X-Request-Id", tt.id)
		c.Request.Header.Set("Traceparent", parent)
		got := told(c, proxies)
		if tt.want == "" && !fresh.MatchString(got.ID) || tt.want != "" && got.ID != tt.want || got.Parent != tt.parent {
			t.Errorf("%s with %q is %+v", tt.from, tt.id, got)
		}
	}
}

// TestObserve: each request is told of once, as it begins and as it ends, by its route and never by its address; what it causes says its number.
func TestObserve(t *testing.T) {
	var said bytes.Buffer
	var begun []trail.Request
	var ended []trail.Answer
	logger := trail.Logger(slog.New(slog.NewTextHandler(&said, nil)))
	gin.SetMode(gin.TestMode)
	engine := gin.New()
	engine.ContextWithFallback = true
	engine.HandleMethodNotAllowed = true
	engine.Use(observe(logger, func(ctx context.Context, r trail.Request) (context.Context, func(trail.Answer)) {
		begun = append(begun, r)
		within := trail.Of(ctx)
		within.Trace = "traced"
		return trail.With(ctx, within), func(a trail.Answer) { ended = append(ended, a) }
	}, nil))
	engine.GET("/v1/items/:item", func(c *gin.Context) {
		logger.WarnContext(c.Request.Context(), "below")
		c.Status(http.StatusNoContent)
	})
	engine.GET("/refused", func(c *gin.Context) { refuse(c, evidence.Refuse(evidence.Conflict, "position")) })
	engine.GET("/panics", func(*gin.Context) { panic("x") })
	engine.NoRoute(func(c *gin.Context) { refuse(c, evidence.Refuse(evidence.NotFound, "route")) })
	for _, tt := range []struct {
		method, path string
		told         trail.Request
		answer       trail.Answer
	}{
		{"GET", "/v1/items/kanarienvogel", trail.Request{Method: "GET", Route: "/v1/items/:item"}, trail.Answer{Status: 204}},
		{"GET", "/refused", trail.Request{Method: "GET", Route: "/refused"}, trail.Answer{Status: 409, Reason: "position"}},
		{"GET", "/panics", trail.Request{Method: "GET", Route: "/panics"}, trail.Answer{Status: 500, Reason: "panic"}},
		{"KANARIENVOGEL", "/kanarienvogel", trail.Request{}, trail.Answer{Status: 404, Reason: "route"}},
	} {
		said.Reset()
		begun, ended = nil, nil
		w := httptest.NewRecorder()
		engine.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		id := w.Header().Get("X-Request-Id")
		tt.told.ID = id
		if len(begun) != 1 || begun[0] != tt.told || len(ended) != 1 || ended[0] != tt.answer {
			t.Errorf("%s %s: %+v, %+v", tt.method, tt.path, begun, ended)
		}
		for line := range strings.Lines(said.String()) {
			if strings.Count(line, "request_id="+id) != 1 || strings.Count(line, "trace_id=traced") != 1 {
				t.Errorf("%s %s: %s", tt.method, tt.path, line)
			}
		}
		if n := strings.Count(said.String(), "\n"); n != 1 && tt.path == "/refused" || n != 2 && strings.HasPrefix(tt.path, "/v1") {
			t.Errorf("%s %s: %s", tt.method, tt.path, &said)
		}
	}
}
