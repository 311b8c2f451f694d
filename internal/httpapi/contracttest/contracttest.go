// Package contracttest holds every answer of a vault against api/openapi.yaml: the contract as people read it, not as it was compiled in.
package contracttest

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Contract reads api/openapi.yaml, once.
var Contract = sync.OnceValues(func() (*openapi3.T, routers.Router) {
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "..", "api", "openapi.yaml"))
	if err != nil {
		panic(err)
	}
	spec, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		panic(err)
	}
	router, err := gorillamux.NewRouter(spec)
	if err != nil {
		panic(err)
	}
	return spec, router
})

// Checked is a transport that reports each answer that departs from the contract as an error of T. It reads answers whole.
type Checked struct {
	T    testing.TB
	Next http.RoundTripper
}

// CloseIdleConnections has an http.Client's reach the transport.
func (c Checked) CloseIdleConnections() { (&http.Client{Transport: c.Next}).CloseIdleConnections() }

func (c Checked) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.Next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if resp.Header.Get(name) != want {
			c.T.Errorf("%s %s: %s is %q", req.Method, req.URL.Path, name, resp.Header.Get(name))
		}
	}
	unready := req.URL.Path == "/readyz" && resp.StatusCode == http.StatusServiceUnavailable // the answer, not the want of one
	if resp.StatusCode >= 400 && !unready && resp.Header.Get("Content-Type") != "application/problem+json" {
		c.T.Errorf("%s %s: %d without a problem document", req.Method, req.URL.Path, resp.StatusCode)
	}
	_, contract := Contract()
	route, params, err := contract.FindRoute(req)
	if err != nil || req.Method == http.MethodHead && resp.StatusCode >= 400 { // not of the contract; HEAD has no body to check
		return resp, nil
	}
	err = openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		c.T.Errorf("%s %s: %d is not of the contract: %s", req.Method, route.Path, resp.StatusCode, strings.SplitN(err.Error(), "\n", 2)[0])
	}
	return resp, nil
}
