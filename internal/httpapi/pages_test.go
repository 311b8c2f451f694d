package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/httpapi"
	"strongroom.example/strongroom/internal/web"
)

// Pages are what is not the API: without a session, with headers of their own, read only; and nothing under /v1 is one.
func TestPages(t *testing.T) {
	w := newWorld(t)
	edge := must(httpapi.New(httpapi.Config{Vault: w.vault, Auth: w.auth, Logger: w.logger(), Pages: must(web.New())}))
	ask := func(method, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "https://vault.example"+path, nil)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer := httptest.NewRecorder()
		edge.ServeHTTP(answer, r)
		return answer
	}
	for _, c := range []struct {
		method, path string
		status       int
		kind         string
	}{
		{"GET", "/verify", 200, "text/html; charset=utf-8"}, {"HEAD", "/verify", 200, "text/html; charset=utf-8"}, {"GET", "/assets/verify.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/elsewhere", 404, "text/html; charset=utf-8"}, {"HEAD", "/elsewhere", 404, "text/html; charset=utf-8"}, {"GET", "/v10", 404, "text/html; charset=utf-8"},
		{"POST", "/verify", 405, ""}, {"DELETE", "/elsewhere", 405, ""},
		{"GET", "/v1", 404, "application/problem+json"}, {"GET", "/v1/elsewhere", 404, "application/problem+json"}, {"GET", "/v1/verify", 404, "application/problem+json"},
	} {
		w.logs.reset()
		got := ask(c.method, c.path)
		h := got.Header()
		if got.Code != c.status || h.Get("Content-Type") != c.kind || c.method == "HEAD" && got.Body.Len() > 0 {
			t.Errorf("%s %s: %d, %q, %d bytes", c.method, c.path, got.Code, h.Get("Content-Type"), got.Body.Len())
		}
		page := !strings.HasPrefix(c.path, "/v1/") && c.path != "/v1"
		if strings.Contains(h.Get("Content-Security-Policy"), "trusted-types strongroom") != page || h.Get("Strict-Transport-Security") == "" || h.Get("X-Request-Id") == "" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s %s: %v", c.method, c.path, h)
		}
		if line := w.logs.String(); !strings.Contains(line, `"route":"`+c.method+` none"`) || strings.Contains(line, "elsewhere") {
			t.Errorf("%s %s is logged as %s", c.method, c.path, line)
		}
	}
	tag := ask("GET", "/verify").Header().Get("ETag")
	if again := ask("GET", "/verify", "If-None-Match", tag); tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 || again.Header().Get("Content-Type") == "text/plain" {
		t.Errorf("known already: %d, %d bytes, %v", again.Code, again.Body.Len(), again.Header())
	}
	if foreign := ask("POST", "/verify", "Sec-Fetch-Site", "cross-site"); foreign.Code != http.StatusForbidden {
		t.Errorf("sent by another site: %d", foreign.Code)
	}
}
