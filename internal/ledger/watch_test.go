package ledger_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/omniwitness"
	"strongroom.example/strongroom/internal/tlog"
)

// watched is a trust file with a policy, and the key by which witnesses know the log.
type watched struct {
	vkey  string
	trust tlog.Trust
}

// watch makes a trust file for the world's people, its log and a policy.
func (w *world) watch(policy string, parts ...func(*tlog.TrustParts)) *watched {
	w.t.Helper()
	public := w.note.Public().(ed25519.PublicKey)
	always := tlog.Valid{Start: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	p := tlog.TrustParts{
		Vault: origin, WitnessPolicy: policy,
		Logs: []tlog.Log{{Key: must(x509.ParsePKIXPublicKey(w.logKey.SPKI())).(*ecdsa.PublicKey), Valid: always}, {Key: public, Valid: always}},
	}
	for _, who := range w.people {
		p.Founders = append(p.Founders, tlog.Founder{Actor: string(who.id), Key: who.key.SPKI(), Role: string(who.role)})
	}
	for _, more := range parts {
		more(&p)
	}
	return &watched{must(note.NewEd25519VerifierKey(origin, public)), must(tlog.NewTrust(p))}
}

// by is the configuration of a ledger that is watched.
func (s *watched) by(c *ledger.Config) {
	c.Keys, c.Trust = s.trust.LogKeys(), s.trust
}

// witnesses are real ones, which do not run yet.
func witnesses(t testing.TB, algorithms ...omniwitness.Algorithm) []*omniwitness.Witness {
	t.Helper()
	program, err := omniwitness.Find()
	if err != nil {
		t.Fatal(err)
	}
	var list []*omniwitness.Witness
	for i, a := range algorithms {
		name := string(rune('a'+i)) + ".witness.example"
		list = append(list, must(omniwitness.New(program, filepath.Join(t.TempDir(), name), name, a)))
	}
	return list
}

func run(t testing.TB, w *omniwitness.Witness, s *watched) {
	t.Helper()
	if err := w.Run(t.Context(), origin, s.vkey); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Kill)
}

// quorumOf all the witnesses.
func quorumOf(list ...*omniwitness.Witness) string {
	policy, names := "", ""
	for _, w := range list {
		policy += w.Line()
		names += " " + w.Name
	}
	return policy + "group both all" + names + "\nquorum both\n"
}

// finally waits for an event's final receipt and checks it as a stranger would.
func (w *world) finally(s *watched, e ledger.Entry) tlog.Receipt {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	receipt, err := w.AwaitFinal(ctx, e.LeafHash)
	if err != nil {
		w.t.Fatal(err)
	}
	r := must(tlog.ParseReceipt(receipt))
	fact, err := r.Verify(s.trust.LogKeys())
	if err != nil || ev.Hash(fact.LeafHash()) != e.LeafHash || fact.Index() != e.Index {
		w.t.Fatalf("the final receipt does not hold: %v", err)
	}
	if c, err := s.trust.Policy().Cosigned(r.Checkpoint()); err != nil || !c.Quorum {
		w.t.Fatalf("the final receipt's checkpoint is not cosigned: %v", err)
	}
	return r
}

// until waits for a status.
func (w *world) until(what string, f func(ledger.Status) bool) ledger.Status {
	w.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		s := w.Witnessed()
		if f(s) {
			return s
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("not %s: %+v", what, s)
		}
	}
}

func (w *world) notFinal(e ledger.Entry) {
	w.t.Helper()
	if _, err := w.Final(context.Background(), e.LeafHash); ev.KindOf(err) != ev.Pending || ev.ReasonOf(err) != "not_final" {
		w.t.Fatalf("final before the quorum is met: %v", err)
	}
}

// fake is a witness that answers as no real one does.
type fake struct {
	*httptest.Server
	key    string
	signer *formats.Signer
	asked  atomic.Int64
	answer func(w http.ResponseWriter, body []byte)
}

func newFake(t testing.TB, name string) *fake {
	t.Helper()
	secret, plain, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{key: must(formats.VKeyToCosignatureV1(plain)), signer: must(formats.NewSignerForCosignatureV1(secret))}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil || r.Method != http.MethodPost || r.URL.Path != "/add-checkpoint" {
			t.Errorf("asked by %s %s: %v", r.Method, r.URL.Path, err)
		}
		f.answer(w, body.Bytes())
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fake) line() string { return "witness " + f.signer.Name() + " " + f.key + " " + f.URL + "\n" }

// cosign returns the lines with which the signer cosigns a request's checkpoint.
func cosign(signer note.Signer, request []byte) string {
	_, checkpoint, _ := bytes.Cut(request, []byte("\n\n"))
	text, _, _ := bytes.Cut(checkpoint, []byte("\n\n"))
	signed := must(note.Sign(&note.Note{Text: string(text) + "\n"}, signer))
	_, lines, _ := strings.Cut(string(signed), "\n\n")
	return lines
}

func first[A, B, C any](a A, _ B, _ C) A { return a }
