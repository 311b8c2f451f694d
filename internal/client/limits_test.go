package client

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
)

// TestLogReadsAreLimited: who reads the log by range without a pause is told to wait, stranger and auditor alike; nobody else waits for that, and
// an auditor who waits as told reads on.
func TestLogReadsAreLimited(t *testing.T) {
	w, auditor, _ := lively(t)
	ctx := t.Context()
	settled(t, w.follow(auditor.Client, t.TempDir()))
	token := must(auditor.token(ctx, ""))(t)
	for _, path := range []string{"leaves", "heads", "statements"} {
		req := must(http.NewRequest("GET", w.server.URL+"/v1/log/"+path+"?start=0&count=1", nil))(t)
		if path != "leaves" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		n := 0
		for ; ; n++ {
			resp := must(http.DefaultClient.Do(req))(t)
			body := must(io.ReadAll(resp.Body))(t)
			resp.Body.Close()
			if resp.StatusCode == http.StatusTooManyRequests {
				if after := resp.Header.Get("Retry-After"); after != "1" || !bytes.Contains(body, []byte(`"too_often"`)) {
					t.Errorf("%s: wait %q: %s", path, after, body)
				}
				break
			}
			if resp.StatusCode != http.StatusOK || n > 20_000 {
				t.Fatalf("%s: %s after %d pages", path, resp.Status, n)
			}
		}
		if n < 100 {
			t.Errorf("%s: only %d pages were read", path, n)
		}
		must(w.custodian.Look(ctx, evidence.PolicyOf(w.trust.Vault())))(t)
	}
	w.openCase()
	settled(t, w.follow(auditor.Client, t.TempDir())) // from its first entry, as often as it may
}
