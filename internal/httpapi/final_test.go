package httpapi_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

func newSigner(t *testing.T, name string) (*formats.Signer, string) {
	t.Helper()
	secret, plain, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	return must(formats.NewSignerForCosignatureV1(secret)), must(formats.VKeyToCosignatureV1(plain))
}

func cosign(signer note.Signer, checkpoint string) string {
	text, _, _ := strings.Cut(checkpoint, "\n\n")
	_, lines, _ := strings.Cut(string(must(note.Sign(&note.Note{Text: text + "\n"}, signer))), "\n\n")
	return lines
}

// watch has the log watched by a witness, who answers once up is set, and an auditor.
func (w *world) watch(t *testing.T) (policy tlog.Policy, up *atomic.Bool, auditor note.Signer) {
	t.Helper()
	up = new(atomic.Bool)
	witness, key := newSigner(t, "witness.example")
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body := must(io.ReadAll(r.Body))
		if !up.Load() {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, checkpoint, _ := bytes.Cut(body, []byte("\n\n"))
		io.WriteString(rw, cosign(witness, string(checkpoint)))
	}))
	t.Cleanup(server.Close)
	auditor, auditorKey := newSigner(t, "auditor.example")
	parts := tlog.TrustParts{
		Vault: origin,
		WitnessPolicy: fmt.Sprintf("witness w %s %s\nwitness a %s https://auditor.example\ngroup auditors all a\nquorum w\n",
			key, server.URL, auditorKey),
		Logs: []tlog.Log{{Key: must(x509.ParsePKIXPublicKey(w.logKey.SPKI())).(*ecdsa.PublicKey), Valid: tlog.Valid{Start: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}}},
	}
	for _, name := range []string{"vault", "administrator", "custodian"} {
		p := w.people[name]
		parts.Founders = append(parts.Founders, tlog.Founder{Actor: string(p.id), Key: p.key.SPKI(), Role: string(p.role)})
	}
	trust := must(tlog.NewTrust(parts))
	w.watched = func(c *ledger.Config) { c.Trust, c.Keys = trust, trust.LogKeys() }
	return trust.Policy(), up, auditor
}

func (w *world) refused(by, method, path string, body any, status int, reason string) wire.Problem {
	w.t.Helper()
	p := call[wire.Problem](w, by, method, path, body, status)
	if p.Reason != reason {
		w.t.Errorf("%s %s: %s, not %s", method, path, p.Reason, reason)
	}
	return p
}

func (w *world) text(path string, status int) string {
	w.t.Helper()
	resp, body := w.request("", "GET", path, nil)
	if resp.StatusCode != status {
		w.t.Fatalf("GET %s: %d %s", path, resp.StatusCode, body)
	}
	return string(body)
}

// Where nobody watches, everything is final at once.
func TestNobodyWatches(t *testing.T) {
	w := newWorld(t)
	w.submit("administrator", w.sign("administrator", ev.ActorOf(w.people["custodian"].id), ev.ActorSuspended,
		&ev.ActorSuspendedDetails{Cause: ev.CauseOverdue, Until: ev.At(w.now().Add(time.Hour))}), "")
	if v := call[wire.Vault](w, "", "GET", "/v1/vault", nil, 200); v.Final != nil {
		t.Errorf("status is %+v", v.Final)
	}
	if h := call[wire.Health](w, "", "GET", "/readyz", nil, 200); h.Witnesses != "" {
		t.Errorf("readyz says %q", h.Witnesses)
	}
	stream := "/v1/streams/policy/" + origin + "/events"
	stored, final := call[wire.EventList](w, "administrator", "GET", stream, nil, 200), call[wire.EventList](w, "administrator", "GET", stream+"?receipts=final", nil, 200)
	if len(stored.Events) != 1 || !bytes.Equal(stored.Events[0].Receipt, final.Events[0].Receipt) {
		t.Error("the final receipt is another than the stored one")
	}
	request := wire.CompleteRequest{Streams: []wire.Stream{{Type: "policy", ID: origin}}, Final: true}
	call[wire.Completeness](w, "administrator", "POST", "/v1/complete", request, 200)
	if w.text("/v1/log/checkpoint?final=true", 200) == "" {
		t.Error("no final checkpoint")
	}
	w.text("/v1/log/checkpoint?published=true", 404)
	if lists := call[wire.RevocationLists](w, "", "GET", "/v1/log/revocations", nil, 200); lists.Lists == nil || len(lists.Lists) != 0 {
		t.Errorf("revocation lists: %+v", lists)
	}
	w.refused("", "GET", "/v1/log/checkpoints/1", nil, 404, "not_found")
	w.refused("", "POST", "/v1/log/cosignatures", wire.Cosignatures{Size: 1, Lines: "— a AAAAAAAA\n"}, 404, "not_found")
}

// Where a witness must cosign, who asks is told how that stands, waits for what is final, and is served the rest as ever; auditors bring
// their cosignatures themselves.
func TestFinality(t *testing.T) {
	w := newWorld(t)
	policy, up, auditor := w.watch(t)
	w.limits.Final, w.limits.Answer = 100*time.Millisecond, 100*time.Millisecond
	w.restart()
	until := func(what string, f func(wire.Finality) bool) wire.Finality {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
			v := call[wire.Vault](w, "", "GET", "/v1/vault", nil, 200)
			if v.Final == nil {
				t.Fatal("there is no status")
			}
			if f(*v.Final) {
				return *v.Final
			}
			if time.Now().After(deadline) {
				t.Fatalf("not %s: %+v", what, *v.Final)
			}
		}
	}
	s := until("failing", func(f wire.Finality) bool { return len(f.Witnesses) == 2 && f.Witnesses[0].State == "failing" })
	if !s.Required || s.Size != 0 || s.Behind == 0 || s.Since == "" || s.Witnesses[0].Name != "w" || s.Witnesses[0].Reason != "refused" ||
		!s.Witnesses[1].Auditor || s.Witnesses[1].State != "waiting" || s.Authorities == nil || len(s.Authorities) != 0 {
		t.Errorf("status is %+v", s)
	}
	stream := "/v1/streams/policy/" + origin + "/events"
	call[wire.EventList](w, "administrator", "GET", stream, nil, 200)
	p := w.refused("administrator", "GET", stream+"?receipts=final", nil, 503, "not_final")
	if !strings.Contains(p.Kept, "lost") || p.Next == "" || !strings.Contains(p.Detail, "outside") {
		t.Errorf("the problem says %+v", p)
	}
	request := wire.CompleteRequest{Streams: []wire.Stream{{Type: "policy", ID: origin}}, Final: true}
	if p := call[wire.Problem](w, "administrator", "POST", "/v1/complete", request, 503); p.Reason != "not_final" && p.Reason != "heads_pending" {
		t.Errorf("completeness: %s", p.Reason)
	}
	w.text("/v1/log/checkpoint?final=true", 404)
	published := w.text("/v1/log/checkpoint?published=true", 200)
	if h := call[wire.Health](w, "", "GET", "/readyz", nil, 200); h.Witnesses != "" {
		t.Errorf("readyz says %q at once", h.Witnesses)
	}
	w.drift.Add(int64(2 * time.Minute))
	if h := call[wire.Health](w, "", "GET", "/readyz", nil, 200); h.Status != "ok" || h.Witnesses != "behind" {
		t.Errorf("readyz says %q after two minutes", h.Witnesses)
	}
	w.drift.Store(0)

	up.Store(true)
	s = until("final", func(f wire.Finality) bool { return f.Behind == 0 && f.Since == "" })
	if s.Size == 0 || s.Witnesses[0].State != "ok" || s.Witnesses[0].Size != s.Size || s.Witnesses[0].At == "" {
		t.Errorf("status is %+v", s)
	}
	checkpoint := w.text("/v1/log/checkpoint?final=true", 200)
	if c, err := policy.Cosigned([]byte(checkpoint)); err != nil || !c.Quorum {
		t.Errorf("the final checkpoint: %v", err)
	}
	size := must(tlog.ParseCheckpoint([]byte(checkpoint[:strings.Index(checkpoint, "\n\n")+1]))).Size
	path := fmt.Sprintf("/v1/log/checkpoints/%d", size)
	if got := call[wire.Published](w, "", "GET", path, nil, 200); got.Size != size || got.Checkpoint != checkpoint || !got.Final || got.Stamps == nil {
		t.Errorf("published: %+v", got)
	}
	for _, e := range call[wire.EventList](w, "administrator", "GET", stream+"?receipts=final", nil, 200).Events {
		if c, err := policy.Cosigned(must(tlog.ParseReceipt(e.Receipt)).Checkpoint()); err != nil || !c.Quorum {
			t.Errorf("a final receipt: %v", err)
		}
	}
	w.refused("administrator", "GET", stream+"?receipts=newest", nil, 400, "contract")

	stranger, _ := newSigner(t, "auditor.example")
	w.refused("", "POST", "/v1/log/cosignatures", wire.Cosignatures{Size: size, Lines: cosign(stranger, checkpoint)}, 422, "cosignature")
	if published != checkpoint {
		w.refused("", "POST", "/v1/log/cosignatures", wire.Cosignatures{Size: size, Lines: cosign(auditor, published)}, 422, "cosignature")
	}
	w.refused("", "POST", "/v1/log/cosignatures", wire.Cosignatures{Size: size + 1, Lines: cosign(auditor, checkpoint)}, 404, "not_found")
	for range 2 {
		call[struct{}](w, "", "POST", "/v1/log/cosignatures", wire.Cosignatures{Size: size, Lines: cosign(auditor, checkpoint)}, 204)
	}
	if c := must(policy.Cosigned([]byte(call[wire.Published](w, "", "GET", path, nil, 200).Checkpoint))); !c.Audited {
		t.Error("the auditor's cosignature was not kept")
	}
	for n := 0; ; n++ {
		resp, _ := w.request("", "POST", "/v1/log/cosignatures", wire.Cosignatures{Size: size, Lines: "x\n"})
		if resp.StatusCode == 429 {
			break
		}
		if n > 10000 {
			t.Fatal("cosignatures are not limited")
		}
	}
}
