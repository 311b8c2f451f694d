package httpapi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi/contracttest"
)

// target is a vault that serves one input after another, without a network between.
type target struct {
	*world
	by     string
	signed time.Time // when by signed in
}

func newTarget(f *testing.F, by string) *target {
	w := newWorld(f)
	w.enrol("clinician", ev.Clinician)
	return &target{world: w, by: by}
}

// next readies the vault for an input: every answer to it is held against the contract.
func (x *target) next(t *testing.T) {
	x.t, x.client = t, &http.Client{Transport: contracttest.Checked{T: t, Next: inside{x.edge}}}
	x.logs.reset()
	x.drift.Add(int64(10 * time.Millisecond)) // a pace below every limit
	if x.now().Sub(x.signed) > 15*time.Minute {
		x.people[x.by].token, x.signed = "", x.now()
	}
}

// ask sends a request that must not be the vault's fault.
func (x *target) ask(method, path string, headers map[string]string, body []byte, length int64) *http.Response {
	x.t.Helper()
	resp, b := x.request(x.by, method, path, nil, func(r *http.Request) {
		for name, value := range headers {
			r.Header.Set(name, value)
		}
		if method != "HEAD" {
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), length
		}
	})
	if resp.StatusCode >= 500 {
		x.t.Fatalf("%s %s: %d %s\n%s", method, path, resp.StatusCode, b, x.logs)
	}
	return resp
}

// inside serves requests in the process that asks.
type inside struct{ http.Handler }

func (i inside) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	r = r.Clone(r.Context())
	r.RemoteAddr = "192.0.2.1:1234"
	if r.Body == nil {
		r.Body = http.NoBody
	}
	i.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// asSent is a header's value as a server gets it: what cannot be sent in one is left out, and the blanks around it.
func asSent(value string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, value), " \t")
}

// FuzzUpload sends any headers to uploads. None is the vault's fault, none is answered with an offset at which other bytes are durable than
// those that were sent, and none makes bytes durable that were not.
func FuzzUpload(f *testing.F) {
	x := newTarget(f, "clinician")
	const octets = "application/offset+octet-stream"
	methods := []string{"POST", "PATCH", "HEAD", "DELETE"}
	add := func(method int, version, length, offset, kind, metadata, checksum string, chunked bool, body string) {
		f.Add(byte(method), version, length, offset, kind, metadata, checksum, chunked, []byte(body))
	}
	add(0, "1.0.0", "10", "", "", "", "", false, "")
	add(0, "1.0.0", "10", "", octets, "", "", false, "01234")
	add(0, "1.0.0", "5", "", octets, "", "", true, "0123456")
	add(0, "1.0.0", "+10", "0", octets, "filename bmFtZQ==", "sha1 qUqP5cyxm6YcTAhz05Hph5gvu9M=", false, "0123456789")
	add(0, "1.0.0", "1e1", "", octets+"; charset=utf-8", "", "", false, "0")
	add(0, "0.2.2", "8796093022208", "", "", "", "", false, "")
	add(1, "1.0.0", "", "0", octets, "", "", false, "01234")
	add(1, "1.0.0", "", "0", octets, "", "sha1 qUqP5cyxm6YcTAhz05Hph5gvu9M=", true, "0123456789")
	add(1, "1.0.0", "20", "0", octets, "", "", false, "01234")
	add(1, "1.0.0", "", "00", octets, "", "", true, "01234567890123456789")
	add(1, "1.0.0", "", "-1", octets, "", "", false, "0")
	add(1, "1.0.0", "", "9223372036854775808", octets, "", "", false, "0")
	add(2, "1.0.0", "", "", "", "", "", false, "")
	add(3, "1.0.0", "", "", "", "", "", false, "")

	const size = 16
	var standing ev.UploadID // without a byte
	f.Fuzz(func(t *testing.T, method byte, version, length, offset, kind, metadata, checksum string, chunked bool, body []byte) {
		x.next(t)
		if standing == "" {
			standing = x.createUpload(x.by, size)
		}
		path, how := "/v1/uploads/"+string(standing), methods[int(method)%len(methods)]
		if how == "POST" {
			path = "/v1/uploads/"
		}
		headers := make(map[string]string)
		for name, value := range map[string]string{"Tus-Resumable": version, "Upload-Length": length, "Upload-Offset": offset, "Content-Type": kind,
			"Upload-Metadata": metadata, "Upload-Checksum": checksum} {
			if value = asSent(value); value != "" {
				headers[name] = value
			}
		}
		known := int64(len(body))
		if chunked {
			known = -1
		}
		resp := x.ask(how, path, headers, body, known)
		done := map[string]int{"POST": 201, "PATCH": 204, "HEAD": 200, "DELETE": 204}[how] == resp.StatusCode
		if done && headers["Upload-Metadata"] != "" {
			t.Fatalf("%s with metadata, which may name a file: %d", how, resp.StatusCode)
		}
		at, total := standing, int64(size)
		switch {
		case how == "DELETE" && done:
			standing = ""
			return
		case how == "POST" && !done:
			return
		case how == "POST":
			at = must(ev.ParseID[ev.UploadID](strings.TrimPrefix(resp.Header.Get("Location"), "/v1/uploads/")))
			total = must(strconv.ParseInt(headers["Upload-Length"], 10, 64))
		}
		durable := x.durable(at, total)
		told := resp.Header.Get("Upload-Offset")
		if told != "" && told != strconv.Itoa(durable) {
			t.Fatalf("%s %v: at %s, and %d bytes are durable", how, headers, told, durable)
		}
		if durable > len(body) || done && how != "HEAD" && headers["Content-Type"] != "" && durable != len(body) {
			t.Fatalf("%s %v: %d of %d bytes are durable", how, headers, durable, len(body))
		}
		if durable > 0 && total <= 1<<10 && !bytes.Equal(x.staged(at, durable, total), body[:durable]) {
			t.Fatalf("%s %v: other bytes are durable than were sent", how, headers)
		}
		if how == "POST" || durable > 0 {
			if resp := x.ask("DELETE", "/v1/uploads/"+string(at), map[string]string{"Tus-Resumable": "1.0.0"}, nil, 0); resp.StatusCode != 204 {
				t.Fatalf("dropped: %d", resp.StatusCode)
			}
			if at == standing {
				standing = ""
			}
		}
	})
}

// durable is how much is staged of an upload, which HEAD must tell.
func (x *target) durable(id ev.UploadID, size int64) int {
	x.t.Helper()
	resp := x.ask("HEAD", "/v1/uploads/"+string(id), map[string]string{"Tus-Resumable": "1.0.0"}, nil, 0)
	info, err := x.store.StageInfo(x.t.Context(), string(id))
	if err != nil {
		x.t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Upload-Offset") != itoa(int(info.Offset)) || resp.Header.Get("Upload-Length") != strconv.FormatInt(size, 10) {
		x.t.Fatalf("%d bytes of %d are durable, HEAD: %d %v", info.Offset, size, resp.StatusCode, resp.Header)
	}
	return int(info.Offset)
}

// staged fills an upload up and returns what was there before.
func (x *target) staged(id ev.UploadID, durable int, size int64) []byte {
	x.t.Helper()
	if rest := int(size) - durable; rest > 0 {
		if resp, b := x.patch(x.by, id, durable, make([]byte, rest)); resp.StatusCode != 204 {
			x.t.Fatalf("filled up: %d %s", resp.StatusCode, b)
		}
	}
	r, err := x.store.StageOpen(x.t.Context(), string(id))
	if err != nil {
		x.t.Fatal(err)
	}
	defer r.Close()
	return must(io.ReadAll(r))[:durable]
}

// FuzzBody sends any JSON to each operation that takes some, signed in and not. None is the vault's fault, and every answer is of the
// contract.
func FuzzBody(f *testing.F) {
	x := newTarget(f, "custodian")
	var routes []route
	for _, r := range contractRoutes(f) {
		if r.body != nil {
			routes = append(routes, r)
		}
	}
	slices.SortFunc(routes, func(a, b route) int { return strings.Compare(string(a.action), string(b.action)) })
	for i, r := range routes {
		body := must(json.Marshal(r.body))
		f.Add(byte(i), body)
		f.Add(byte(i), bytes.Replace(body, []byte("{"), []byte(`{"a":{"b":[1e400,"\ud800",null]},`), 1))
		f.Add(byte(i), bytes.ReplaceAll(body, []byte(`"`), []byte(`[`)))
		if r.action == "submitEvent" {
			signed := x.sign("custodian", ev.ActorOf(x.people["clinician"].id), ev.ActorConfirmed,
				&ev.ActorConfirmedDetails{Fingerprint: x.people["clinician"].fingerprint(), Method: ev.ByPhone})
			f.Add(byte(i), must(json.Marshal(map[string]any{"dsse": signed.DSSE(), "attachments": []any{map[string]any{"kind": "envelope", "body": ""}}})))
			f.Add(byte(i), must(json.Marshal(map[string]any{"dsse": signed.DSSE()})))
		}
	}
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		x.next(t)
		r := routes[int(which)%len(routes)]
		x.ask(r.method, r.path, map[string]string{"Content-Type": "application/json"}, body, int64(len(body)))
	})
}
