package httpapi_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
)

func (w *world) offset(by string, id ev.UploadID) string {
	w.t.Helper()
	resp, _ := w.request(by, "HEAD", "/v1/uploads/"+string(id), nil, tus())
	if resp.StatusCode != 200 {
		w.t.Fatalf("HEAD: %d", resp.StatusCode)
	}
	if _, err := time.Parse(http.TimeFormat, resp.Header.Get("Upload-Expires")); err != nil {
		w.t.Errorf("expires: %v", err)
	}
	return resp.Header.Get("Upload-Offset")
}

// A connection that breaks in the middle of a part: what arrived is kept, the rest follows, also in a new process.
func TestUploadResumes(t *testing.T) {
	w := newWorld(t)
	w.enrol("clinician", ev.Clinician)
	file := bytes.Repeat([]byte("ciphertext "), 100000)
	id := w.createUpload("clinician", len(file))

	conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PATCH /v1/uploads/%s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"+
		"Content-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n", id, origin, w.token("clinician"), len(file))
	if _, err := conn.Write(file[:300000]); err != nil {
		t.Fatal(err)
	}
	conn.(*net.TCPConn).CloseWrite()
	if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 409 {
		t.Errorf("a part that ended early: %s %v", must(io.ReadAll(resp.Body)), err)
	}
	conn.Close()
	at := w.offset("clinician", id)
	if at != "300000" {
		t.Errorf("durable after the break: %s", at)
	}

	if resp, body := w.patch("clinician", id, 0, file[:10]); resp.StatusCode != 409 || reason(t, body) != "upload_offset" {
		t.Errorf("wrong offset: %d %s", resp.StatusCode, body)
	}
	w.restart()
	if got := w.offset("clinician", id); got != at {
		t.Errorf("after a restart at %s, before at %s", got, at)
	}
	if resp, body := w.patch("clinician", id, 300000, file[300000:]); resp.StatusCode != 204 || resp.Header.Get("Upload-Offset") != itoa(len(file)) {
		t.Errorf("the rest: %d %s", resp.StatusCode, body)
	}
	r, err := w.store.StageOpen(t.Context(), string(id))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := must(io.ReadAll(r)); !bytes.Equal(got, file) {
		t.Error("the staged bytes are others than those sent")
	}
	if resp, body := w.request("clinician", "DELETE", "/v1/uploads/"+string(id), nil, tus()); resp.StatusCode != 204 {
		t.Errorf("drop: %d %s", resp.StatusCode, body)
	}
	if resp, _ := w.request("clinician", "HEAD", "/v1/uploads/"+string(id), nil, tus()); resp.StatusCode != 404 {
		t.Errorf("after dropping: %d", resp.StatusCode)
	}
}

func TestUploadRefusals(t *testing.T) {
	w := newWorld(t)
	w.enrol("clinician", ev.Clinician)
	id := w.createUpload("clinician", 10)
	path := "/v1/uploads/" + string(id)
	octets := func(r *http.Request) { r.Header.Set("Content-Type", "application/offset+octet-stream") }
	body := func(n int, chunked bool) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(make([]byte, n))), int64(n)
			if chunked {
				r.ContentLength = -1
			}
		}
	}
	for name, c := range map[string]struct {
		method, path string
		set          []func(*http.Request)
		status       int
		reason       string
	}{
		"no length":              {"POST", "/v1/uploads/", []func(*http.Request){tus()}, 400, "contract"},
		"deferred length":        {"POST", "/v1/uploads/", []func(*http.Request){tus("Upload-Defer-Length", "1")}, 400, "contract"},
		"empty":                  {"POST", "/v1/uploads/", []func(*http.Request){tus("Upload-Length", "0")}, 400, "contract"},
		"negative":               {"POST", "/v1/uploads/", []func(*http.Request){tus("Upload-Length", "-1")}, 400, "contract"},
		"too large":              {"POST", "/v1/uploads/", []func(*http.Request){tus("Upload-Length", "8796093022209")}, 400, "contract"},
		"over the quota":         {"POST", "/v1/uploads/", []func(*http.Request){tus("Upload-Length", "8796093022208")}, 429, "upload_quota"},
		"metadata":               {"POST", "/v1/uploads/", []func(*http.Request){tus("Upload-Length", "5", "Upload-Metadata", "filename bmFtZQ==")}, 422, "upload_metadata"},
		"created with too much":  {"POST", "/v1/uploads/", []func(*http.Request){tus("Upload-Length", "5"), octets, body(6, false)}, 413, "upload_size"},
		"the same, chunked":      {"POST", "/v1/uploads/", []func(*http.Request){tus("Upload-Length", "5"), octets, body(7, true)}, 413, "upload_size"},
		"created with a form":    {"POST", "/v1/uploads/", []func(*http.Request){tus("Upload-Length", "5"), body(5, false)}, 415, "content_type"},
		"no version":             {"POST", "/v1/uploads/", []func(*http.Request){func(r *http.Request) { r.Header.Set("Upload-Length", "5") }}, 400, "contract"},
		"another version":        {"DELETE", path, []func(*http.Request){func(r *http.Request) { r.Header.Set("Tus-Resumable", "0.2.2") }}, 400, "contract"},
		"another type":           {"PATCH", path, []func(*http.Request){tus("Upload-Offset", "0"), body(5, false)}, 415, "content_type"},
		"no offset":              {"PATCH", path, []func(*http.Request){tus(), octets, body(5, false)}, 400, "contract"},
		"negative offset":        {"PATCH", path, []func(*http.Request){tus("Upload-Offset", "-1"), octets, body(5, false)}, 400, "contract"},
		"offset ahead":           {"PATCH", path, []func(*http.Request){tus("Upload-Offset", "5"), octets, body(5, false)}, 409, "upload_offset"},
		"more than its size":     {"PATCH", path, []func(*http.Request){tus("Upload-Offset", "0"), octets, body(11, false)}, 413, "upload_size"},
		"a length afterwards":    {"PATCH", path, []func(*http.Request){tus("Upload-Offset", "0", "Upload-Length", "20"), octets, body(5, false)}, 409, "upload_broken"},
		"an id with a wrong end": {"DELETE", path[:len(path)-1] + "b", []func(*http.Request){tus()}, 400, "contract"},
	} {
		resp, b := w.request("clinician", c.method, c.path, nil, c.set...)
		if resp.StatusCode != c.status || reason(t, b) != c.reason {
			t.Errorf("%s: %d %s", name, resp.StatusCode, b)
		}
	}
	if resp, _ := w.request("clinician", "PATCH", path, nil, tus("Upload-Offset", "0"), octets, body(15, true)); resp.StatusCode != 413 {
		t.Errorf("more than its size, chunked: %d", resp.StatusCode)
	}
	if resp, _ := w.request("clinician", "POST", "/v1/uploads/", nil, tus("Upload-Length", "5", "X-HTTP-Method-Override", "DELETE")); resp.StatusCode != 201 {
		t.Errorf("a method in a header: %d", resp.StatusCode)
	}
}

// Many writers of one upload: what is durable is one sender's bytes in their order. A writer that was taken over goes on where HEAD says.
func TestUploadRace(t *testing.T) {
	w := newWorld(t)
	w.enrol("clinician", ev.Clinician)
	w.token("clinician")
	const size = 1 << 20
	id := w.createUpload("clinician", size)
	var confirmed atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if resp, _ := w.patch("clinician", id, 0, bytes.Repeat([]byte{byte('a' + i)}, size)); resp.StatusCode == 204 {
				confirmed.Add(1)
			}
		})
	}
	wg.Wait()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections() // a writer that was taken over may have lost its connection
	at := must(strconv.Atoi(w.offset("clinician", id)))
	if resp, body := w.patch("clinician", id, at, bytes.Repeat([]byte{'z'}, size-at)); resp.StatusCode != 204 {
		t.Fatalf("going on at %d: %d %s", at, resp.StatusCode, body)
	}
	r, err := w.store.StageOpen(t.Context(), string(id))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := must(io.ReadAll(r))
	if confirmed.Load() > 1 || len(bytes.Trim(b[:at], string(b[:1]))) != 0 || len(b) != size {
		t.Errorf("%d writers were confirmed up to %d of %d bytes, which are one sender's: %t", confirmed.Load(), at, len(b), len(bytes.Trim(b[:at], string(b[:1]))) == 0)
	}
}

// An upload may bring its first bytes along when it is created. If they do not arrive there is no upload, for nobody knows its name.
func TestUploadCreatedWithBytes(t *testing.T) {
	w := newWorld(t)
	w.limits.Uploads = 3
	w.restart()
	w.enrol("clinician", ev.Clinician)
	file := bytes.Repeat([]byte("ciphertext "), 10_000)
	create := func(n int, body io.Reader, length int64) *http.Response {
		t.Helper()
		resp, _ := w.request("clinician", "POST", "/v1/uploads/", nil, tus("Upload-Length", itoa(n)), func(r *http.Request) {
			r.Header.Set("Content-Type", "application/offset+octet-stream")
			r.Body, r.ContentLength = io.NopCloser(body), length
		})
		return resp
	}
	for name, n := range map[string]int{"whole": len(file), "the beginning": 70_000} {
		for _, length := range []int64{int64(n), -1} {
			resp := create(len(file), bytes.NewReader(file[:n]), length)
			id := ev.UploadID(strings.TrimPrefix(resp.Header.Get("Location"), "/v1/uploads/"))
			if resp.StatusCode != 201 || resp.Header.Get("Upload-Offset") != itoa(n) || w.offset("clinician", id) != itoa(n) {
				t.Fatalf("%s (%d): %d, at %s", name, length, resp.StatusCode, resp.Header.Get("Upload-Offset"))
			}
			if n < len(file) {
				if resp, body := w.patch("clinician", id, n, file[n:]); resp.StatusCode != 204 {
					t.Fatalf("the rest: %d %s", resp.StatusCode, body)
				}
			}
			r, err := w.store.StageOpen(t.Context(), string(id))
			if err != nil {
				t.Fatal(err)
			}
			if got := must(io.ReadAll(r)); !bytes.Equal(got, file) {
				t.Errorf("%s: the staged bytes are others than those sent", name)
			}
			r.Close()
			if resp, _ := w.request("clinician", "DELETE", "/v1/uploads/"+string(id), nil, tus()); resp.StatusCode != 204 {
				t.Errorf("drop: %d", resp.StatusCode)
			}
		}
	}
	for range 2 * w.limits.Uploads { // more than the quota would bear if they stayed
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.server.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /v1/uploads/ HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nTus-Resumable: 1.0.0\r\nUpload-Length: %d\r\n"+
			"Content-Type: application/offset+octet-stream\r\nContent-Length: %d\r\n\r\n", origin, w.token("clinician"), len(file), len(file))
		conn.Write(file[:50_000])
		conn.(*net.TCPConn).CloseWrite()
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != 409 || resp.Header.Get("Location") != "" {
			t.Fatalf("cut short: %v %v", resp, err)
		}
		conn.Close()
		if resp := create(5, bytes.NewReader(file[:9]), 9); resp.StatusCode != 413 {
			t.Fatalf("too long: %d", resp.StatusCode)
		}
	}
	if count, _, err := w.db.Uploads(t.Context(), w.people["clinician"].id, time.Now()); err != nil || count != 0 {
		t.Errorf("%d uploads are left, %v", count, err)
	}
	staged := 0
	if err := w.store.StageList(t.Context(), func(string, time.Time) error { staged++; return nil }); err != nil || staged != 0 {
		t.Errorf("%d are staged, %v", staged, err)
	}
}
