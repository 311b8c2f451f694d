package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

func TestBadInput(t *testing.T) {
	w := newWorld(t)
	secret := strings.Repeat("a", 26)
	raw := func(body string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
			r.Header.Set("Content-Type", "application/json")
		}
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	const terms = "/v1/invitations/terms"
	for name, c := range map[string]struct {
		method, path string
		set          []func(*http.Request)
		status       int
		at, why      string // of the first field error
	}{
		"no body":             {"POST", terms, []func(*http.Request){raw("")}, 400, "", "syntax"},
		"not JSON":            {"POST", terms, []func(*http.Request){raw("secret=" + secret)}, 400, "", "syntax"},
		"unfinished":          {"POST", terms, []func(*http.Request){raw(`{"secret":"` + secret + `"`)}, 400, "", "syntax"},
		"a list":              {"POST", terms, []func(*http.Request){raw(`[]`)}, 400, "", "type"},
		"null":                {"POST", terms, []func(*http.Request){raw(`null`)}, 400, "", "nullable"},
		"missing field":       {"POST", terms, []func(*http.Request){raw(`{}`)}, 400, "/secret", "required"},
		"unknown field":       {"POST", terms, []func(*http.Request){raw(`{"secret":"` + secret + `","mood":1}`)}, 400, "", "unknown_field"},
		"other capitals":      {"POST", terms, []func(*http.Request){raw(`{"Secret":"` + secret + `"}`)}, 400, "", "unknown_field"},
		"wrong type":          {"POST", terms, []func(*http.Request){raw(`{"secret":5}`)}, 400, "/secret", "type"},
		"null field":          {"POST", terms, []func(*http.Request){raw(`{"secret":null}`)}, 400, "/secret", "nullable"},
		"too long":            {"POST", terms, []func(*http.Request){raw(`{"secret":"` + secret + `a"}`)}, 400, "/secret", "max_length"},
		"repeated name":       {"POST", terms, []func(*http.Request){raw(`{"secret":"` + secret + `","secret":"` + secret + `"}`)}, 400, "", "repeated"},
		"repeated, escaped":   {"POST", terms, []func(*http.Request){raw(`{"secret":"` + secret + `","\u0073ecret":"` + secret + `"}`)}, 400, "", "repeated"},
		"trailing data":       {"POST", terms, []func(*http.Request){raw(`{"secret":"` + secret + `"}{}`)}, 400, "", "trailing"},
		"trailing brace":      {"POST", terms, []func(*http.Request){raw(`{"secret":"` + secret + `"}}`)}, 400, "", "trailing"},
		"broken UTF-8":        {"POST", terms, []func(*http.Request){raw("{\"secret\":\"\xff\"}")}, 400, "", "encoding"},
		"byte order mark":     {"POST", terms, []func(*http.Request){raw("\ufeff{}")}, 400, "", "syntax"},
		"deep":                {"POST", terms, []func(*http.Request){raw(strings.Repeat("[", 5000))}, 400, "", "depth"},
		"another type":        {"POST", terms, []func(*http.Request){raw(`{"secret":"` + secret + `"}`), header("Content-Type", "text/plain")}, 415, "", ""},
		"no type":             {"POST", terms, []func(*http.Request){raw(`{"secret":"` + secret + `"}`), header("Content-Type", "")}, 415, "", ""},
		"another charset":     {"POST", terms, []func(*http.Request){raw(`{}`), header("Content-Type", "application/json; charset=utf-16")}, 415, "", ""},
		"a body too many":     {"POST", "/v1/sign-in/challenges", []func(*http.Request){raw(`{}`)}, 400, "", "unknown_field"},
		"over the public cap": {"POST", terms, []func(*http.Request){raw(`{"secret":"` + strings.Repeat("a", 64<<10) + `"}`)}, 413, "", ""},
		"not base64":          {"POST", "/v1/sign-in", []func(*http.Request){raw(`{"dsse":"!!!!"}`)}, 400, "/dsse", "format"},
		"half base64":         {"POST", "/v1/sign-in", []func(*http.Request){raw(`{"dsse":"abcde"}`)}, 400, "/dsse", "format"},
		"unknown parameter":   {"GET", "/v1/vault?debug=1", nil, 400, "*", "unknown_field"},
		"repeated parameter":  {"GET", "/v1/log/consistency?from=1&to=2&to=3", nil, 400, "to", "repeated"},
		"missing parameter":   {"GET", "/v1/log/consistency?from=1", nil, 400, "to", "required"},
		"negative":            {"GET", "/v1/log/consistency?from=-1&to=2", nil, 400, "from", "minimum"},
		"a word":              {"GET", "/v1/log/consistency?from=one&to=2", nil, 400, "from", "malformed"},
		"a fraction":          {"GET", "/v1/log/consistency?from=1.5&to=2", nil, 400, "from", "malformed"},
		"beyond the range":    {"GET", "/v1/log/consistency?from=1&to=9007199254740992", nil, 400, "to", "maximum"},
		"beyond 64 bits":      {"GET", "/v1/log/consistency?from=1&to=99999999999999999999", nil, 400, "to", "malformed"},
		"bad escape":          {"GET", "/v1/log/consistency?from=%zz&to=2", nil, 400, "*", "malformed"},
		"digest in capitals":  {"GET", "/v1/log/inclusion?size=1&leaf_hash=" + strings.ToUpper(noDigest), nil, 400, "leaf_hash", "pattern"},
	} {
		resp, b := w.request("", c.method, c.path, nil, c.set...)
		var p wire.Problem
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatalf("%s: %s: %v", name, b, err)
		}
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d %s", name, resp.StatusCode, b)
		}
		if c.why != "" && (len(p.Errors) == 0 || p.Errors[0].Pointer != c.at || p.Errors[0].Reason != c.why) {
			t.Errorf("%s: %+v, want %s %s", name, p.Errors, c.at, c.why)
		}
	}
	for _, path := range []string{
		"/v1/cases/cas-AAAAAAAAAAAAAAAAAAAAAAAAAA/items", "/v1/cases/itm" + noCode + "/items", "/v1/cases/cas-aaaaaaaaaaaaaaaaaaaaaaaaab/items",
		"/v1/cases/..%5c..%5cetc/items", "/v1/cases/%00/items", "/v1/events/" + noDigest[1:], "/v1/streams/mood/cas" + noCode + "/events",
		"/v1/streams/case/cas" + noCode + "/events?limit=0", "/v1/streams/case/cas" + noCode + "/events?limit=101",
		"/v1/streams/case/cas" + noCode + "/events?after=-2", "/v1/invitations?limit=99999999999", "/v1/actors?cursor=../../etc/passwd",
	} {
		if resp, b := w.request("custodian", "GET", path, nil); resp.StatusCode != 400 || reason(t, b) != "contract" {
			t.Errorf("%s: %d %s", path, resp.StatusCode, b)
		}
	}
	many := wire.CompleteRequest{Streams: make([]wire.Stream, 1001)}
	for i := range many.Streams {
		many.Streams[i] = wire.Stream{Type: "case", ID: "cas" + noCode}
	}
	if resp, b := w.request("custodian", "POST", "/v1/complete", many); resp.StatusCode != 400 {
		t.Errorf("1001 streams: %d %.200s", resp.StatusCode, b)
	}
}

// endless is a body that never stops, and counts what was taken of it.
type endless struct {
	head  *strings.Reader
	taken int64
}

func (e *endless) Read(b []byte) (int, error) {
	if n, _ := e.head.Read(b); n > 0 {
		return n, nil
	}
	for i := range b {
		b[i] = 'a'
	}
	e.taken += int64(len(b))
	if e.taken > 1<<30 {
		return 0, io.EOF
	}
	return len(b), nil
}

// A gigabyte of JSON is cut off at the cap, and costs the vault no more than the cap.
func TestGigabyteOfJSON(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		by, path, head string
		length         int64
	}{
		{"custodian", "/v1/events", `{"dsse":"`, -1},
		{"custodian", "/v1/events", `{"dsse":"`, 1 << 30},
		{"", "/v1/sign-in", `{"dsse":"`, -1},
		{"", "/v1/events", `{"dsse":"`, -1},
	} {
		want := 413
		if c.by == "" && c.path == "/v1/events" {
			want = 401
		}
		body := &endless{head: strings.NewReader(c.head)}
		req := must(http.NewRequest("POST", w.server.URL+c.path, body))
		req.Header.Set("Content-Type", "application/json")
		req.ContentLength = c.length
		if c.by != "" {
			req.Header.Set("Authorization", "Bearer "+w.token(c.by))
		}
		recorder := &answer{header: http.Header{}}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		req.RequestURI = c.path
		w.edge.ServeHTTP(recorder, req)
		runtime.ReadMemStats(&after)
		if recorder.status != want {
			t.Errorf("%s %s: %d %s", c.by, c.path, recorder.status, recorder.body.Bytes())
		}
		if body.taken > 13<<20 || after.TotalAlloc-before.TotalAlloc > 96<<20 {
			t.Errorf("%s: took %d bytes, allocated %d", c.path, body.taken, after.TotalAlloc-before.TotalAlloc)
		}
	}
}

// answer is a plain http.ResponseWriter.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }
func (a *answer) WriteHeader(s int)   { a.status = s }
func (a *answer) Write(b []byte) (int, error) {
	return a.body.Write(b)
}

// A canary in every string of every body, in every parameter and header: no answer and no log line repeats it.
func TestNothingIsEchoed(t *testing.T) {
	w := newWorld(t)
	w.enrol("custodian 2", ev.Custodian)
	w.enrol("court", ev.Court)
	const canary = "canary7yellow"
	ask := func(r route, change func(*http.Request)) {
		for _, by := range []string{"custodian", "court", canary, ""} {
			resp, body := w.request(by, r.method, r.path, r.body, func(req *http.Request) {
				if r.set != nil {
					r.set(req)
				}
				if change != nil {
					change(req)
				}
			})
			if bytes.Contains(bytes.ToLower(body), []byte(canary)) || strings.Contains(strings.ToLower(fmt.Sprint(resp.Header)), canary) {
				t.Errorf("%s %s: %d %s", r.action, r.path, resp.StatusCode, body)
			}
		}
	}
	for _, r := range contractRoutes(t) {
		if r.action == "signOut" {
			continue
		}
		for i := range strings.Count(r.path, "/") + 1 { // each part of the path
			parts := strings.Split(r.path, "/")
			if i > 0 && i < len(parts) {
				spoiled := r
				parts[i] = canary
				spoiled.path = strings.Join(parts, "/")
				ask(spoiled, nil)
			}
		}
		query := r
		query.path += map[bool]string{true: "&", false: "?"}[strings.Contains(r.path, "?")] + canary + "=" + canary
		ask(query, nil)
		for _, name := range []string{"Range", "If-Range", "Upload-Offset", "Upload-Length", "Upload-Metadata", "Tus-Resumable", "Content-Type", "Authorization", "Host", "X-Request-Id", "X-Forwarded-For", "Origin"} {
			ask(r, func(req *http.Request) { req.Header.Set(name, canary) })
		}
		if r.body == nil {
			continue
		}
		var fields map[string]any
		if err := json.Unmarshal(must(json.Marshal(r.body)), &fields); err != nil {
			t.Fatal(err)
		}
		fields[canary] = canary
		for name := range fields {
			spoiled := r
			values := map[string]any{}
			for n, v := range fields {
				values[n] = v
			}
			delete(values, canary)
			values[name] = canary
			spoiled.body = values
			ask(spoiled, nil)
			values[name] = []any{map[string]any{canary: canary, "kind": canary, "name": canary, "body": canary, "type": canary, "id": canary}}
			ask(spoiled, nil)
		}
	}
	for _, name := range []string{canary, w.token("custodian"), w.token("court"), string(w.people["court"].id), string(w.people["custodian"].id)} {
		if strings.Contains(strings.ToLower(w.logs.String()), strings.ToLower(name)) {
			t.Errorf("the log holds %s", name)
		}
	}
}
