package httpapi_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// The contract as people read it, not as it was compiled in.
var specification, contractRouter = func() (*openapi3.T, routers.Router) {
	spec := must(openapi3.NewLoader().LoadFromData(must(os.ReadFile("../../api/openapi.yaml"))))
	return spec, must(gorillamux.NewRouter(spec))
}()

// checked holds every answer against the contract.
type checked struct {
	t    testing.TB
	next http.RoundTripper
}

func (c checked) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
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
			c.t.Errorf("%s %s: %s is %q", req.Method, req.URL.Path, name, resp.Header.Get(name))
		}
	}
	if resp.StatusCode >= 400 && resp.Header.Get("Content-Type") != "application/problem+json" {
		c.t.Errorf("%s %s: %d without a problem document", req.Method, req.URL.Path, resp.StatusCode)
	}
	route, params, err := contractRouter.FindRoute(req)
	if err != nil || req.Method == http.MethodHead && resp.StatusCode >= 400 { // not of the contract; HEAD has no body to check
		return resp, nil
	}
	err = openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	})
	if err != nil {
		c.t.Errorf("%s %s: %d is not of the contract: %s", req.Method, route.Path, resp.StatusCode, strings.SplitN(err.Error(), "\n", 2)[0])
	}
	return resp, nil
}
