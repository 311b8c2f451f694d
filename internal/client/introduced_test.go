package client

import (
	"net/http"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// The present trust file comes whole and under the number that the vault says, or not at all.
func TestPresentTrust(t *testing.T) {
	w := newWorld(t)
	present := func(lie http.RoundTripper) error {
		trust, err := PresentTrust(t.Context(), w.secured(lie), nil)
		if err == nil && string(trust.Marshal()) != string(w.trust.Marshal()) {
			t.Error("it is another file")
		}
		return err
	}
	check(t, present(nil))
	wantLie(t, present(about(http.MethodGet, "/v1/vault", func(v *wire.Vault) { v.TrustFingerprint = "../" + v.TrustFingerprint[3:] })), Malformed)
	if err := present(about(http.MethodGet, "/v1/vault", func(v *wire.Vault) { v.TrustFingerprint = strings.Repeat("0a", 32) })); evidence.KindOf(err) != evidence.NotFound {
		t.Errorf("a number that names nothing: %v", err)
	}
	wantLie(t, present(&liar{path: "", method: http.MethodGet, rewrite: func(resp *http.Response, body []byte) []byte {
		if strings.HasPrefix(resp.Request.URL.Path, "/v1/trust/") {
			return append(body, '\n')
		}
		return body
	}}), OtherTrust)
}

// What was seen of the log only grows, and is final where nobody else is asked.
func TestSeen(t *testing.T) {
	w := newWorld(t)
	before, err := w.custodian.Seen(t.Context())
	check(t, err)
	w.openCase()
	after, err := w.custodian.Seen(t.Context())
	check(t, err)
	if after.Size <= before.Size || after.Final != after.Size || after.Confirmed || after.Time == 0 {
		t.Errorf("%+v, then %+v", before, after)
	}
	w.custodian.memory.mu.Lock()
	w.custodian.memory.seen.parsed.Size += 1000 // it has seen more than the vault shows now
	w.custodian.memory.mu.Unlock()
	_, err = w.custodian.Seen(t.Context())
	wantLie(t, err, RolledBack)
}
