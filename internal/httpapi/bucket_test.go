package httpapi_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/versitygw"
	"strongroom.example/strongroom/internal/wire"
)

// newBucketWorld is a world whose files are in a real bucket.
func newBucketWorld(t *testing.T) *world {
	t.Helper()
	program, err := versitygw.Find()
	if err != nil {
		t.Skip(err)
	}
	w := newWorld(t)
	w.bucket = must(versitygw.Start(t.Context(), program, t.TempDir()))
	t.Cleanup(w.bucket.Kill)
	w.restart()
	return w
}

// An address is given for what the same request would be answered with, when it would be, and to who would be; and it is what it says.
func TestEvidenceAddress(t *testing.T) {
	w := newBucketWorld(t)
	in := w.openCase()
	it := w.deposit(in, bytes.Repeat([]byte("0123456789"), 30000))
	access := w.open("clinician", in, it).LeafHash
	path := "/v1/events/" + access + "/evidence"
	trust := x509.NewCertPool()
	web := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}
	defer web.CloseIdleConnections()
	for _, c := range rangesOf(it.ciphertext) {
		resp, body := w.request("clinician", "GET", path+"?direct=true", nil, c.with)
		if resp.StatusCode != c.status && (c.status != http.StatusPartialContent || resp.StatusCode != http.StatusOK) {
			t.Errorf("%s: %d, want %d: %.200s", c.part, resp.StatusCode, c.status, body)
			continue
		}
		if c.status >= 300 {
			continue
		}
		var a wire.EvidenceAddress
		if err := json.Unmarshal(body, &a); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("bytes=%d-%d", c.from, c.to-1); a.Range != want || !trust.AppendCertsFromPEM([]byte(a.Certificates)) {
			t.Errorf("%s: an address for %s, want %s", c.part, a.Range, want)
		}
		there := must(url.Parse(a.URL))
		if there.Scheme+"://"+there.Host != w.bucket.Endpoint || there.Query().Get("X-Amz-Expires") != "60" || there.Query().Get("versionId") == "" {
			t.Errorf("%s: an address of another form", c.part)
		}
		got := must((&http.Client{Transport: web}).Do(&http.Request{Method: "GET", URL: there, Header: http.Header{"Range": {a.Range}}}))
		if file := must(io.ReadAll(got.Body)); got.StatusCode != 206 || !bytes.Equal(file, it.ciphertext[c.from:c.to]) {
			t.Errorf("%s: there are %d other bytes, %d", c.part, len(file), got.StatusCode)
		}
		got.Body.Close()
		for _, secret := range []string{there.Query().Get("X-Amz-Signature"), there.Path} {
			if secret == "" || strings.Contains(w.logs.String(), secret) {
				t.Error("an address is in the log")
			}
		}
	}

	// Who asks for none gets the file.
	for _, plain := range []string{path, path + "?direct=false"} {
		if resp, body := w.request("clinician", "GET", plain, nil); resp.StatusCode != 200 || !bytes.Equal(body, it.ciphertext) {
			t.Errorf("%s: %d, %d bytes", plain, resp.StatusCode, len(body))
		}
	}
	refusals := func(by, path string, status int, why string) {
		t.Helper()
		resp, body := w.request(by, "GET", path+"?direct=true", nil)
		if resp.StatusCode != status || reason(t, body) != why {
			t.Errorf("%s: %d %s", by, resp.StatusCode, body)
		}
	}
	refusals("custodian", path, 404, "not_found")                                        // another's access
	refusals("custodian", "/v1/events/"+it.event.String()+"/evidence", 404, "not_found") // no access at all
	refusals("clinician", "/v1/events/"+noDigest+"/evidence", 404, "not_found")          // nothing
	refusals("nobody", path, 401, "session")                                             // not signed in
	w.drift.Add(int64(16 * time.Minute))
	refusals("clinician", path, 410, "release_expired")
}

// A vault without such a bucket answers as if nobody had asked for an address.
func TestNoEvidenceAddress(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, bytes.Repeat([]byte("0123456789"), 3000))
	path := "/v1/events/" + w.open("clinician", in, it).LeafHash + "/evidence?direct=true"
	resp, body := w.request("clinician", "GET", path, nil)
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/octet-stream" || !bytes.Equal(body, it.ciphertext) {
		t.Errorf("%d, %d bytes", resp.StatusCode, len(body))
	}
	resp, body = w.request("clinician", "GET", path, nil, func(r *http.Request) { r.Header.Set("Range", "bytes=5-9") })
	if resp.StatusCode != 206 || !bytes.Equal(body, it.ciphertext[5:10]) {
		t.Errorf("range: %d, %d bytes", resp.StatusCode, len(body))
	}
}

// An upload goes on at another replica, also while the first one still reads from a connection that has become slow: what was acknowledged
// stays, and the first one learns that it has lost the upload.
func TestUploadAcrossReplicas(t *testing.T) {
	w := newBucketWorld(t)
	w.enrol("clinician", ev.Clinician)
	_, edge := w.replica()
	other := httptest.NewServer(edge)
	defer other.Close()
	file := make([]byte, 3*objects.Block+5)
	rand.NewChaCha8([32]byte{1}).Read(file)
	id := w.createUpload("clinician", len(file))
	patch := func(server string, at int, body io.Reader) (int, string, string) {
		req := must(http.NewRequest("PATCH", server+"/v1/uploads/"+string(id), body))
		req.Header.Set("Authorization", "Bearer "+w.token("clinician"))
		req.Header.Set("Content-Type", "application/offset+octet-stream")
		req.ContentLength = int64(len(file) - at)
		tus("Upload-Offset", itoa(at))(req)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, "", ""
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header.Get("Upload-Offset"), string(b)
	}
	first := make(chan int, 1)
	r, slow := io.Pipe()
	go func() {
		status, _, _ := patch(w.server.URL, 0, r)
		first <- status
	}()
	must(slow.Write(file[:objects.Block+1000]))
	go func() {
		for i := objects.Block + 1000; ; i++ {
			if _, err := slow.Write(file[i : i+1]); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	durable := func() string { // asked of the other replica: the one that writes would stop to answer
		req := must(http.NewRequest("HEAD", other.URL+"/v1/uploads/"+string(id), nil))
		req.Header.Set("Authorization", "Bearer "+w.token("clinician"))
		tus()(req)
		resp, _ := w.do(req)
		return resp.Header.Get("Upload-Offset")
	}
	for over := time.Now().Add(time.Minute); durable() != itoa(objects.Block); {
		if time.Now().After(over) {
			t.Fatalf("durable: %s", durable())
		}
		time.Sleep(20 * time.Millisecond)
	}
	status, at, body := patch(other.URL, objects.Block, bytes.NewReader(file[objects.Block:]))
	if status != 204 || at != itoa(len(file)) {
		t.Fatalf("at the other replica: %d %s %s", status, at, body)
	}
	if status := <-first; status != 409 && status != 0 {
		t.Errorf("at the first one: %d", status)
	}
	slow.Close()
	if at := w.offset("clinician", id); at != itoa(len(file)) {
		t.Errorf("durable: %s", at)
	}
	if status, _, body := patch(w.server.URL, objects.Block, bytes.NewReader(file[objects.Block:])); status != 409 || !strings.Contains(body, "upload_offset") {
		t.Errorf("at an offset of before: %d %s", status, body)
	}
}
