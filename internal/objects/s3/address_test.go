package s3_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/s3"
)

// stranger has nothing but an address.
type stranger struct {
	*testing.T
	client *http.Client
}

func newStranger(t *testing.T, ca []byte) stranger {
	t.Helper()
	trust := x509.NewCertPool()
	if !trust.AppendCertsFromPEM(ca) {
		t.Fatal("no certificate came with the address")
	}
	web := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}
	t.Cleanup(web.CloseIdleConnections)
	return stranger{t, &http.Client{Transport: web}}
}

func (s stranger) ask(method, address, part string) (*http.Response, []byte) {
	s.Helper()
	req, err := http.NewRequest(method, address, nil)
	must(s, err)
	if part != "" {
		req.Header.Set("Range", "bytes="+part)
	}
	resp, err := s.client.Do(req)
	must(s, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(s, err)
	return resp, body
}

// TestAddress: whoever has an address gets the range it was made for, for as long as it lives, and nothing else.
func TestAddress(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	ca, err := os.ReadFile(c.CAFile)
	must(t, err)
	c.CAFile = filepath.Join(t.TempDir(), "ca.pem") // with something in it that is nobody's business
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("a key that does not belong here")})
	must(t, os.WriteFile(c.CAFile, append(secret, ca...), 0o600))
	s := create(t, c)
	all := content(3 << 20)
	d := put(t, s, "upl-a", all)
	made := func(from, to int64, life time.Duration) string {
		t.Helper()
		a, err := s.Address(t.Context(), d, from, to, life)
		must(t, err)
		if !bytes.Equal(a.CA, ca) {
			t.Fatal("other certificates than those of the CA file")
		}
		return a.URL
	}
	visitor := newStranger(t, ca)
	for _, r := range [][2]int64{{0, 0}, {0, 3<<20 - 1}, {1_000_000, 2_000_000}, {3<<20 - 1, 3<<20 - 1}} {
		address := made(r[0], r[1], time.Minute)
		resp, body := visitor.ask("GET", address, fmt.Sprintf("%d-%d", r[0], r[1]))
		if resp.StatusCode != 206 || !bytes.Equal(body, all[r[0]:r[1]+1]) {
			t.Errorf("%v: %d, %d bytes", r, resp.StatusCode, len(body))
		}
		if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Content-Type") != "application/octet-stream" || resp.Header.Get("Content-Disposition") != "" {
			t.Errorf("headers %v", resp.Header)
		}
	}

	address := made(10, 19, time.Minute)
	query := must1(url.Parse(address)).Query()
	if life := query.Get("X-Amz-Expires"); life != "60" || query.Get("versionId") == "" {
		t.Errorf("lives %s seconds, version %q", life, query.Get("versionId"))
	}
	for name, other := range map[string]string{
		"another version": strings.Replace(address, "versionId=", "versionId=0", 1),
		"longer life":     strings.Replace(address, "X-Amz-Expires=60", "X-Amz-Expires=6000", 1),
		"no signature":    strings.Split(address, "?")[0],
	} {
		if resp, body := visitor.ask("GET", other, "10-19"); other == address || resp.StatusCode < 400 || bytes.Contains(body, all[10:20]) {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	for _, part := range []string{"", "10-20", "9-19", "0-", "-5"} {
		if resp, body := visitor.ask("GET", address, part); resp.StatusCode < 400 || bytes.Contains(body, all[10:20]) {
			t.Errorf("another range %q: %d", part, resp.StatusCode)
		}
	}
	for _, method := range []string{"DELETE", "PUT", "HEAD"} {
		if resp, _ := visitor.ask(method, address, "10-19"); resp.StatusCode < 400 {
			t.Errorf("%s: %d", method, resp.StatusCode)
		}
	}

	short := made(10, 19, 2*time.Second)
	signed := time.Now()
	time.Sleep(time.Until(signed.Add(4 * time.Second)))
	if resp, body := visitor.ask("GET", short, "10-19"); resp.StatusCode != 403 || bytes.Contains(body, all[10:20]) {
		t.Errorf("after its life: %d", resp.StatusCode)
	}

	for name, wrong := range map[string]func() error{
		"nothing there": func() error { _, err := s.Address(t.Context(), digest(nil), 0, 0, time.Minute); return err },
		"past the end":  func() error { _, err := s.Address(t.Context(), d, 0, 3<<20, time.Minute); return err },
		"backwards":     func() error { _, err := s.Address(t.Context(), d, 5, 4, time.Minute); return err },
		"before":        func() error { _, err := s.Address(t.Context(), d, -1, 4, time.Minute); return err },
		"for too long":  func() error { _, err := s.Address(t.Context(), d, 0, 1, 8*24*time.Hour); return err },
	} {
		want := objects.ErrInvalid
		if name == "nothing there" {
			want = objects.ErrNotFound
		}
		is(t, wrong(), want)
	}

	c.Direct = ""
	closed := openConfig(t, c)
	if a, err := closed.Address(t.Context(), d, 0, 1, time.Minute); err != nil || a.URL != "" || a.CA != nil {
		t.Errorf("without a direct address: %v", err)
	}
	for _, direct := range []string{"http://a.example", "https://a.example/bucket", "https://u:p@a.example", "https://a.example?x=1"} {
		c.Direct = direct
		_, err := s3.Open(context.Background(), c)
		is(t, err, objects.ErrInvalid)
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
