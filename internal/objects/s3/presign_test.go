package s3_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// TestPresign fetches as somebody who has nothing but the address.
func TestPresign(t *testing.T) {
	need(t)
	s := create(t, config(&shared, t.TempDir()))
	all := content(3 << 20)
	d := put(t, s, "upl-a", all)
	ca, err := os.ReadFile(shared.CAFile)
	must(t, err)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}}
	defer client.CloseIdleConnections()
	get := func(method, address, bytes string) (int, []byte) {
		t.Helper()
		req, err := http.NewRequest(method, address, nil)
		must(t, err)
		if bytes != "" {
			req.Header.Set("Range", "bytes="+bytes)
		}
		resp, err := client.Do(req)
		must(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp.StatusCode, body
	}
	address, err := s.Presign(t.Context(), d, 3*time.Second)
	must(t, err)
	signed := time.Now()
	for _, r := range []struct {
		bytes  string
		status int
		want   []byte
	}{{"", 200, all}, {"0-0", 206, all[:1]}, {"1000000-2000000", 206, all[1000000:2000001]}, {"-5", 206, all[len(all)-5:]}} {
		if status, body := get("GET", address, r.bytes); status != r.status || !bytes.Equal(body, r.want) {
			t.Errorf("bytes=%s: %d, %d bytes", r.bytes, status, len(body))
		}
	}
	for name, other := range map[string]string{
		"another version": strings.Replace(address, "versionId=", "versionId=0", 1),
		"longer life":     strings.Replace(address, "X-Amz-Expires=3", "X-Amz-Expires=3000", 1),
		"no signature":    strings.Split(address, "?")[0],
	} {
		if status, body := get("GET", other, ""); other == address || status < 400 || bytes.Contains(body, all[:100]) {
			t.Errorf("%s: %d", name, status)
		}
	}
	if status, _ := get("DELETE", address, ""); status < 400 {
		t.Errorf("DELETE: %d", status)
	}
	time.Sleep(time.Until(signed.Add(5 * time.Second)))
	if status, body := get("GET", address, ""); status != 403 || bytes.Contains(body, all[:100]) {
		t.Errorf("after its life: %d", status)
	}
	if _, err := s.Presign(t.Context(), digest(nil), time.Minute); err == nil {
		t.Error("presigned what is not there")
	}
	_, err = s.Presign(t.Context(), d, 8*24*time.Hour)
	is(t, err, objects.ErrInvalid)
}
