package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

func TestParseAddress(t *testing.T) {
	key := strings.Repeat("0a", 32)
	for in, want := range map[string]string{
		"https://vault.example": "https://vault.example", "https://vault.example/": "https://vault.example", "https://[::1]:8443": "https://[::1]:8443",
		"https://127.0.0.1:1#sha256:" + key: "https://127.0.0.1:1#sha256:" + key, "https://127.0.0.1:1/#sha256:" + key: "https://127.0.0.1:1#sha256:" + key,
	} {
		a, err := ParseAddress(in)
		if err != nil || a.String() != want {
			t.Errorf("%s: %s %v", in, a, err)
		}
		if again, err := ParseAddress(a.String()); err != nil || again != a {
			t.Errorf("%s is read as %s: %v", a, again, err)
		}
		if strings.Contains(a.URL(), "#") {
			t.Errorf("the URL %s", a.URL())
		}
	}
	for in, reason := range map[string]string{
		"http://vault.example": "not_encrypted", "http://127.0.0.1:1": "not_encrypted", "http://localhost#sha256:" + key: "not_encrypted",
		"": "address", "vault.example": "address", "ftp://vault.example": "address", "https://": "address", "https://:443": "address",
		"https://user@vault.example": "address", "https://vault.example/path": "address", "https://vault.example?x": "address", "https://vault.example?": "address",
		"https://vault.example#": "address", "https://vault.example#" + key: "address", "https://vault.example#sha256:": "address",
		"https://vault.example#sha256:" + key[2:]: "address", "https://vault.example#sha256:" + strings.ToUpper(key): "address",
		"https://vault.example#sha512:" + key: "address", "https://vault.example#sha256:" + key + "#": "address",
		"https://vault.example#sha256:" + strings.Repeat("0", 64): "address",
	} {
		if a, err := ParseAddress(in); evidence.ReasonOf(err) != reason || a != (Address{}) {
			t.Errorf("%s: %v %v", in, a, err)
		}
	}
}

// stand is a server with a certificate that no authority vouches for, as a vault's own is, and a number of requests that reached it.
func stand(t *testing.T, version uint16) (address Address, reached *atomic.Int32) {
	t.Helper()
	reached = new(atomic.Int32)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	server.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	key := evidence.SHA256(server.Certificate().RawSubjectPublicKeyInfo)
	return must(ParseAddress(server.URL + "#sha256:" + key.String()))(t), reached
}

// Who answers with another key than the address names, or with one that nobody vouches for, gets nothing.
func TestOnlyTheNamedCertificate(t *testing.T) {
	named, reached := stand(t, tls.VersionTLS13)
	other, _ := stand(t, tls.VersionTLS13)
	other.key[0] ^= 1 // httptest's certificate is always the same
	old, reachedOld := stand(t, tls.VersionTLS12)
	ask := func(a Address) error {
		through := defaultHTTP(a)
		c := &Client{cfg: Config{HTTP: through}, pause: pause}
		defer through.CloseIdleConnections()
		req := must(http.NewRequestWithContext(t.Context(), "POST", a.URL(), strings.NewReader("a sign-in")))(t)
		resp, err := c.exchange(req, http.StatusOK)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := ask(named); err != nil || reached.Load() != 1 {
		t.Fatalf("the named certificate: %v", err)
	}
	reached.Store(0)
	wrong := named
	wrong.key = other.key
	wantReason(t, ask(wrong), "other_certificate")
	unpinned := named
	unpinned.key = evidence.Hash{}
	err := ask(unpinned)
	wantReason(t, err, "certificate")
	for _, err := range []error{err, ask(wrong)} {
		if connection(t.Context(), err) {
			t.Errorf("%v is taken for something that passes", err)
		}
	}
	if reached.Load() != 0 {
		t.Error("something was sent before the certificate was looked at")
	}
	if err := ask(old); err == nil || reachedOld.Load() != 0 {
		t.Errorf("TLS 1.2: %v", err)
	}
	// The key alone counts: a name that is not in the certificate is no matter, because the vault has moved or is on this machine.
	moved := named
	moved.url.Host = strings.Replace(moved.url.Host, "127.0.0.1", "localhost", 1)
	if err := ask(moved); err != nil {
		t.Errorf("the same key under another name: %v", err)
	}
}

// A request that came too often is sent again when the vault says so, whole; other refusals are not.
func TestRetryAfter(t *testing.T) {
	var bodies []string
	refuse := []string{"3", "1"} // Retry-After of the first answers
	status := http.StatusTooManyRequests
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		if len(refuse) > 0 {
			if refuse[0] != "" {
				w.Header().Set("Retry-After", refuse[0])
			}
			refuse = refuse[1:]
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			io.WriteString(w, `{"reason":"too_often"}`)
		}
	}))
	defer server.Close()
	var waited []time.Duration
	c := &Client{cfg: Config{HTTP: server.Client()}, pause: func(_ context.Context, d time.Duration) error {
		waited = append(waited, d)
		return nil
	}}
	ask := func() error {
		bodies, waited = nil, nil
		resp, err := c.exchange(must(http.NewRequest("POST", server.URL, strings.NewReader("all of it")))(t), http.StatusOK)
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if err := ask(); err != nil || len(bodies) != 3 || bodies[2] != "all of it" || len(waited) != 2 || waited[0] < 3*time.Second || waited[1] < time.Second {
		t.Errorf("%v after %q, waited %s", err, bodies, waited)
	}
	for _, header := range []string{"", "soon", "-1", "Fri, 31 Dec 2027 23:59:59 GMT"} { // a quota, which waiting does not change
		refuse = []string{header}
		if err := ask(); evidence.ReasonOf(err) != "too_often" || len(waited) > 0 {
			t.Errorf("%q: %v, waited %s", header, err, waited)
		}
	}
	refuse = []string{"99999999"}
	if err := ask(); err != nil || len(waited) != 1 || waited[0] > 2*time.Minute {
		t.Errorf("a vault that asks for years: %v, waited %s", err, waited)
	}
	refuse, status = []string{"5"}, http.StatusServiceUnavailable // whoever polls keeps to it
	err := ask()
	p := patience{next: time.Millisecond, longest: time.Second, left: 1}
	if e := p.wait(t.Context(), c, err); e != nil || len(waited) != 1 || waited[0] < 5*time.Second {
		t.Errorf("%v, waited %s", err, waited)
	}
	refuse, status = []string{"1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1", "1"}, http.StatusTooManyRequests
	if err := ask(); evidence.KindOf(err) != evidence.TooMany || errors.Is(err, context.Canceled) {
		t.Errorf("a vault that never lets through: %v", err)
	}
}
