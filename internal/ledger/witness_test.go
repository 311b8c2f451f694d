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
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// Real witnesses, one for each kind of key, cosign growth. While one of them is down, events are accepted and included as ever, and nothing
// more is final; when it is back, that follows by itself, after a restart of the vault in between too.
func TestWitnesses(t *testing.T) {
	w := newWorld(t)
	two := witnesses(t, omniwitness.Ed25519, omniwitness.MLDSA44)
	s := w.watch(quorumOf(two...))
	for _, witness := range two {
		run(t, witness, s)
	}
	w.stop()
	w.openWith(s.by)
	first := w.put(w.openCase("a"))
	w.finally(s, first)
	status := w.until("everything final", func(s ledger.Status) bool { return s.Behind == 0 && s.Since.IsZero() })
	if !status.Required || len(status.Witnesses) != 2 || status.Witnesses[0].State != ledger.Well || status.Witnesses[1].State != ledger.Well {
		t.Errorf("status with all well is %+v", status)
	}
	if c := must(s.trust.Policy().Cosigned(must(w.FinalCheckpoint(t.Context())))); !c.Quorum || len(c.By) != 2 {
		t.Errorf("the final checkpoint is cosigned by %d", len(c.By))
	}

	two[1].Kill()
	second := w.put(w.openCase("b"))
	status = w.until("one failing", func(s ledger.Status) bool {
		return s.Witnesses[1].State == ledger.Failing && s.Witnesses[0].Size > status.Size
	})
	w.notFinal(second)
	if status.Behind == 0 || status.Since.IsZero() || status.Witnesses[0].State != ledger.Well || !status.Late(status.Since.Add(2*ledger.Late)) || status.Alarmed() {
		t.Errorf("status with one down is %+v", status)
	}
	w.finally(s, first) // what was final stays so

	w.stop()
	w.openWith(s.by)
	w.notFinal(second)
	run(t, two[1], s)
	w.finally(s, second)
	w.finally(s, first)
	w.until("all well again", func(s ledger.Status) bool {
		return s.Behind == 0 && s.Since.IsZero() && s.Witnesses[0].State == ledger.Well && s.Witnesses[1].State == ledger.Well
	})

	// A publication of the heads map gets its final receipt with the rest.
	c, err := w.CompleteFinal(t.Context(), []ev.Stream{first.Stream}, second.Index)
	if err != nil {
		t.Fatal(err)
	}
	w.checkComplete(c, must(w.db.Events(t.Context(), 0, 1<<20)))
	if by := must(s.trust.Policy().Cosigned(must(tlog.ParseReceipt(c.Heads)).Checkpoint())); !by.Quorum {
		t.Error("the publication's receipt is not final")
	}
	w.check(first.LeafHash, second.LeafHash)
}

// A second history, signed with the log's own keys, gets no cosignature, whether it is shorter than what the witness has seen or not; and
// whoever looks at the status sees an alarm.
func TestForkIsRefused(t *testing.T) {
	for name, longer := range map[string]bool{"shorter": false, "not shorter": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			one := witnesses(t, omniwitness.Ed25519)
			s := w.watch(quorumOf(one...))
			run(t, one[0], s)
			w.stop()
			other := w.fork(t)
			w.openWith(s.by)
			for range 4 {
				w.put(w.openCase("a"))
			}
			seen := w.until("all final", func(s ledger.Status) bool { return s.Behind == 0 && s.Since.IsZero() }).Size
			w.stop()

			other.start() // unwatched, until it has the size that is wanted
			last := other.put(other.openCase("b"))
			for longer && other.Size() < seen {
				last = other.put(other.openCase("b"))
			}
			other.stop()
			other.openWith(s.by)
			status := other.until("an alarm", func(s ledger.Status) bool { return s.Alarmed() })
			want := map[bool]string{false: "longer_history", true: "other_history"}[longer]
			if got := status.Witnesses[0].Reason; got != want {
				t.Errorf("a fork of %d leaves, where the witness has seen %d, is %q", other.Size(), seen, got)
			}
			other.notFinal(last)
		})
	}
}

// A witness whose clock is not ours would put wrong bounds to the time of every event: its cosignature is not kept.
func TestWitnessClock(t *testing.T) {
	for _, drift := range []time.Duration{-time.Hour, time.Hour} {
		w := newWorld(t)
		f := newFake(t, "clock.example")
		f.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(f.signer, request))) }
		s := w.watch(f.line() + "quorum clock.example\n")
		w.stop()
		w.drift.Store(int64(drift))
		w.openWith(s.by)
		e := w.put(w.openCase("a"))
		if p := w.until("failing", func(s ledger.Status) bool { return s.Witnesses[0].State == ledger.Failing }).Witnesses[0]; p.Reason != "clock" {
			t.Errorf("%v: %+v", drift, p)
		}
		w.notFinal(e)
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

// What a witness may answer that is no cosignature of its own: nothing of it is kept, nothing waits for it, and the status names it.
func TestOddWitnesses(t *testing.T) {
	w := newWorld(t)
	stranger := must(formats.NewSignerForCosignatureV1(first(note.GenerateKey(rand.Reader, "stranger.example"))))
	f := newFake(t, "odd.example")
	// The same name, another key.
	impostor := must(formats.NewSignerForCosignatureV1(first(note.GenerateKey(rand.Reader, "odd.example"))))
	s := w.watch(f.line() + "quorum odd.example\n")
	for name, test := range map[string]struct {
		answer func(w http.ResponseWriter, request []byte)
		reason string
		alarm  bool
	}{
		"another key": {func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(stranger, request))) }, "cosignature", false},
		"an impostor": {func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(impostor, request))) }, "cosignature", false},
		"another note": {func(w http.ResponseWriter, _ []byte) {
			w.Write([]byte(cosign(f.signer, []byte("old 0\n\nvault.example\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n"))))
		}, "cosignature", false},
		"nothing":     {func(http.ResponseWriter, []byte) {}, "cosignature", false},
		"garbage":     {func(w http.ResponseWriter, _ []byte) { w.Write([]byte("— odd.example ****\n")) }, "cosignature", false},
		"no note":     {func(w http.ResponseWriter, _ []byte) { w.Write([]byte{0, 1, 2, 0xff}) }, "cosignature", false},
		"twice":       {func(w http.ResponseWriter, r []byte) { w.Write([]byte(cosign(f.signer, r) + cosign(f.signer, r))) }, "cosignature", false},
		"too much":    {func(w http.ResponseWriter, _ []byte) { w.Write(bytes.Repeat([]byte("x"), 1<<20)) }, "answer", false},
		"redirected":  {func(w http.ResponseWriter, _ []byte) { w.Header().Set("Location", f.URL+"/x"); w.WriteHeader(307) }, "answer", false},
		"bad request": {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(400) }, "answer", false},
		"unknown log": {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(404) }, "refused", false},
		"unknown key": {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(403) }, "refused", false},
		"failing":     {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(500) }, "refused", false},
		"conflict for ever": {func(w http.ResponseWriter, r []byte) {
			w.WriteHeader(409)
			size := "1\n"
			if bytes.HasPrefix(r, []byte("old 1\n")) {
				size = "2\n"
			}
			w.Write([]byte(size))
		}, "answer", false},
		"the same conflict": {func(w http.ResponseWriter, r []byte) {
			w.WriteHeader(409)
			w.Write(append(bytes.TrimPrefix(bytes.SplitN(r, []byte("\n"), 2)[0], []byte("old ")), '\n'))
		}, "answer", false},
		"no size":     {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(409); w.Write([]byte("1")) }, "answer", false},
		"signed size": {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(409); w.Write([]byte("+1\n")) }, "answer", false},
		"too large":   {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(409); w.Write([]byte("999999\n")) }, "longer_history", true},
		"other":       {func(w http.ResponseWriter, _ []byte) { w.WriteHeader(422) }, "other_history", true},
		"other root": {func(w http.ResponseWriter, r []byte) {
			w.WriteHeader(409)
			_, checkpoint, _ := bytes.Cut(r, []byte("\n\n"))
			size := bytes.Split(checkpoint, []byte("\n"))[1]
			if !bytes.HasPrefix(r, append([]byte("old "), size...)) {
				w.Write(append(size, '\n'))
			}
		}, "other_history", true},
	} {
		t.Run(name, func(t *testing.T) {
			f.answer = test.answer
			f.asked.Store(0)
			w.stop()
			w.openWith(s.by)
			e := w.put(w.openCase("a"))
			status := w.until(test.reason, func(s ledger.Status) bool {
				return s.Witnesses[0].State != ledger.Waiting && s.Witnesses[0].State != ledger.Well
			})
			if p := status.Witnesses[0]; p.Reason != test.reason || (p.State == ledger.Alarm) != test.alarm || status.Alarmed() != test.alarm {
				t.Errorf("status is %+v", p)
			}
			w.notFinal(e)
			if row := must(w.PublishedCheckpoint(t.Context(), 0)); len(must(s.trust.Policy().Cosigned(row.Note)).By) != 0 {
				t.Error("something was kept")
			}
			if n := f.asked.Load(); n > 8 {
				t.Errorf("it was asked %d times", n)
			}
		})
	}
	// Once it answers as it should, all is well.
	f.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(f.signer, request))) }
	w.stop()
	w.openWith(s.by)
	w.finally(s, w.put(w.openCase("a")))
	if status := w.Witnessed(); status.Alarmed() {
		t.Errorf("status is %+v", status)
	}
}

func first[A, B, C any](a A, _ B, _ C) A { return a }

// Where the trust file names nobody, nothing is published and every receipt is final as it is.
func TestNobodyIsAsked(t *testing.T) {
	w := newWorld(t)
	e := w.put(w.openCase("a"))
	if final := must(w.Final(t.Context(), e.LeafHash)); !bytes.Equal(final, e.Receipt) {
		t.Error("the final receipt is another than the stored one")
	}
	if final := must(w.FinalCheckpoint(t.Context())); !bytes.Equal(final, w.Checkpoint()) {
		t.Error("the final checkpoint is another than the newest")
	}
	c := must(w.CompleteFinal(t.Context(), []ev.Stream{e.Stream}, e.Index))
	w.checkComplete(c, must(w.db.Events(t.Context(), 0, 1<<20)))
	if s := w.Witnessed(); s.Required || s.Size != 0 || s.Behind != 0 || len(s.Witnesses) != 0 || s.Alarmed() {
		t.Errorf("status is %+v", s)
	}
	if rows := must(w.db.AllPublished(t.Context(), -1, 10)); len(rows) != 0 {
		t.Errorf("%d checkpoints were published", len(rows))
	}
	if _, err := w.PublishedCheckpoint(t.Context(), 0); ev.KindOf(err) != ev.NotFound {
		t.Errorf("a published checkpoint: %v", err)
	}
	if err := w.Cosign(t.Context(), 1, []byte("— a AAAA\n")); ev.KindOf(err) != ev.NotFound {
		t.Errorf("cosigning: %v", err)
	}
}

// A witness that never answers holds nobody up: the other one's cosignature is enough where the policy says so, and the ledger closes.
func TestSilentWitness(t *testing.T) {
	w := newWorld(t)
	silent, good := newFake(t, "silent.example"), newFake(t, "good.example")
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	silent.answer = func(http.ResponseWriter, []byte) { <-over }
	good.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(good.signer, request))) }
	s := w.watch(silent.line() + good.line() + "group one any silent.example good.example\nquorum one\n")
	w.stop()
	w.openWith(s.by)
	for range 3 {
		w.finally(s, w.put(w.openCase("a")))
	}
	if p := w.Witnessed().Witnesses; p[0].State == ledger.Well || p[0].Size != 0 || p[1].State != ledger.Well {
		t.Errorf("status is %+v", p)
	}
	w.stop()
}

// Auditors come by themselves. Lines of others are not kept, and those that were kept stay.
func TestAuditors(t *testing.T) {
	w := newWorld(t)
	witness, auditor, stranger := newFake(t, "witness.example"), newFake(t, "auditor.example"), newFake(t, "stranger.example")
	auditor.answer = func(http.ResponseWriter, []byte) { t.Error("an auditor is asked") }
	witness.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(witness.signer, request))) }
	s := w.watch(witness.line() + auditor.line() + "group auditors all auditor.example\nquorum witness.example\n")
	w.stop()
	w.openWith(s.by)
	e := w.put(w.openCase("a"))
	w.finally(s, e)
	w.until("quiet", func(s ledger.Status) bool { return s.Behind == 0 && s.Since.IsZero() })

	row := must(w.PublishedCheckpoint(t.Context(), 0))
	request := append([]byte("old 0\n\n"), row.Note...)
	refused := func(name string, size int64, lines string, kind ev.ErrorKind, reason string) {
		t.Helper()
		if err := w.Cosign(t.Context(), size, []byte(lines)); ev.KindOf(err) != kind || ev.ReasonOf(err) != reason {
			t.Errorf("%s: %v", name, err)
		}
		if now := must(w.PublishedCheckpoint(t.Context(), row.Size)); !bytes.Equal(now.Note, row.Note) {
			t.Errorf("%s was kept", name)
		}
	}
	good := cosign(auditor.signer, request)
	refused("a stranger's", row.Size, cosign(stranger.signer, request), ev.Invalid, "cosignature")
	refused("garbage", row.Size, "garbage\n", ev.Invalid, "cosignature")
	refused("nothing", row.Size, "", ev.Invalid, "cosignature")
	refused("cut off", row.Size, strings.TrimSuffix(good, "\n"), ev.Invalid, "cosignature")
	refused("another checkpoint's", row.Size, cosign(auditor.signer, []byte("old 0\n\nvault.example\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n")), ev.Invalid, "cosignature")
	refused("of no published checkpoint", row.Size+1, good, ev.NotFound, "checkpoint")
	w.drift.Store(-int64(time.Hour))
	refused("ahead of our clock", row.Size, good, ev.Invalid, "cosignature_time")
	w.drift.Store(0)

	brief, cancel := context.WithTimeout(t.Context(), 2*time.Second) // nobody waits longer for an auditor
	defer cancel()
	heads := must(w.CompleteFinal(brief, []ev.Stream{e.Stream}, e.Index))
	right := must(tlog.ParseReceipt(heads.Heads))
	if c := must(s.trust.Policy().Cosigned(right.Checkpoint())); c.Audited || !c.Quorum || brief.Err() == nil {
		t.Errorf("before the auditor came: %+v, %v", c, brief.Err())
	}
	if cp := must(tlog.OpenCheckpoint(right.Checkpoint(), s.trust.LogKeys())); cp.Size != right.Index()+1 || cp.Size != row.Size {
		t.Errorf("publication %d under a log of %d entries; published is %d", right.Index(), cp.Size, row.Size)
	}
	for range 2 {
		if err := w.Cosign(t.Context(), row.Size, []byte(cosign(auditor.signer, request))); err != nil {
			t.Fatal(err)
		}
	}
	now := must(w.PublishedCheckpoint(t.Context(), row.Size))
	if c := must(s.trust.Policy().Cosigned(now.Note)); !c.Audited || !c.Quorum || len(c.By) != 2 || now.Audited != ledger.PolicyID(s.trust) {
		t.Errorf("after the auditor came: %+v", c)
	}
	if p := w.Witnessed().Witnesses[1]; !p.Auditor || p.State != ledger.Well || p.Size != row.Size {
		t.Errorf("the auditor's status is %+v", p)
	}

	// A later checkpoint is final without the auditor. The publication's receipt is given under the state right after it, with the auditor's word.
	w.finally(s, w.put(w.openCase("b")))
	audited := must(tlog.ParseReceipt(must(w.Final(t.Context(), ev.Hash(tlog.LeafHash(right.Leaf()))))))
	if c := must(s.trust.Policy().Cosigned(audited.Checkpoint())); !c.Audited {
		t.Error("the publication's final receipt is not under the audited checkpoint")
	}
	// An old checkpoint takes an auditor's line at any time.
	w.stop()
	w.openWith(s.by)
	if err := w.Cosign(t.Context(), row.Size, []byte(cosign(auditor.signer, request))); err != nil {
		t.Error(err)
	}
}

// While events come without a pause, each final proof of completeness stands under the state right after its publication; and an auditor who
// comes to each such state gives its word for it.
func TestBusyVault(t *testing.T) {
	w := newWorld(t)
	witness, auditor := newFake(t, "witness.example"), newFake(t, "auditor.example")
	witness.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(witness.signer, request))) }
	s := w.watch(witness.line() + auditor.line() + "group auditors all auditor.example\nquorum witness.example\n")
	w.stop()
	w.openWith(s.by)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var others sync.WaitGroup
	over := make(chan struct{})
	every := func(f func()) {
		others.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					f()
				}
			}
		})
	}
	first := w.put(w.openCase("a"))
	every(func() { w.put(w.openCase("b")) })
	every(func() { // people look, and want publications, all the time
		if _, err := w.Complete(ctx, []ev.Stream{first.Stream}, w.Size()-1); err != nil {
			t.Error(err)
		}
	})
	every(func() { // it signs what ends with a publication
		time.Sleep(100 * time.Millisecond)
		state := ev.VaultOf(origin)
		row := must(w.PublishedCheckpoint(ctx, 0))
		last := must(w.db.LogRange(ctx, row.Size-1, row.Size))
		if len(last) == 1 && last[0].Stream == state {
			if err := w.Cosign(ctx, row.Size, []byte(cosign(auditor.signer, append([]byte("old 0\n\n"), row.Note...)))); err != nil {
				t.Error(err)
			}
		}
	})
	for range 4 {
		e := w.put(w.openCase("c"))
		c, err := w.CompleteFinal(ctx, []ev.Stream{e.Stream}, e.Index)
		if err != nil {
			t.Fatal(err)
		}
		r := must(tlog.ParseReceipt(c.Heads))
		cp := must(tlog.OpenCheckpoint(r.Checkpoint(), s.trust.LogKeys()))
		if by := must(s.trust.Policy().Cosigned(r.Checkpoint())); cp.Size != r.Index()+1 || !by.Quorum || !by.Audited || c.Covers <= e.Index {
			t.Errorf("publication %d, covering %d entries, under %d: %+v", r.Index(), c.Covers, cp.Size, by)
		}
	}
	close(over)
	others.Wait()
}

// A publication whose state was passed by before the witnesses signed it gives way to a later one. That takes the time that witnesses are
// given, and that one who failed is left alone, so only STRONGROOM_LONG=1 sees it.
func TestPassedBy(t *testing.T) {
	if os.Getenv("STRONGROOM_LONG") != "1" {
		t.Skip("STRONGROOM_LONG is not set")
	}
	w := newWorld(t)
	witness := newFake(t, "witness.example")
	var sulks atomic.Bool
	sulks.Store(true)
	witness.answer = func(w http.ResponseWriter, request []byte) {
		if sulks.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte(cosign(witness.signer, request)))
	}
	s := w.watch(witness.line() + "quorum witness.example\n")
	w.stop()
	w.openWith(s.by)
	e := w.put(w.openCase("a"))
	brief, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := w.CompleteFinal(brief, []ev.Stream{e.Stream}, e.Index); ev.KindOf(err) != ev.Pending {
		t.Fatalf("final without a witness: %v", err)
	}
	publication := func() ledger.Completeness { return must(w.Complete(t.Context(), []ev.Stream{e.Stream}, e.Index)) }
	early := must(tlog.ParseReceipt(publication().Heads)).Index()
	done := make(chan ledger.Completeness, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	go func() {
		c, err := w.CompleteFinal(ctx, []ev.Stream{e.Stream}, e.Index)
		if err != nil {
			t.Error(err)
		}
		done <- c
	}()
	for must(w.PublishedCheckpoint(t.Context(), 0)).Size <= early+1 { // it is given up, for something larger
		w.put(w.openCase("b"))
		time.Sleep(100 * time.Millisecond)
	}
	sulks.Store(false)
	r := must(tlog.ParseReceipt((<-done).Heads))
	if cp := must(tlog.OpenCheckpoint(r.Checkpoint(), s.trust.LogKeys())); cp.Size != r.Index()+1 || r.Index() <= early {
		t.Errorf("publication %d, after %d, under %d", r.Index(), early, cp.Size)
	}
}

// A checkpoint that was final under one policy is not so under another, until those it names have confirmed it too.
func TestAnotherPolicy(t *testing.T) {
	w := newWorld(t)
	one, two := newFake(t, "one.example"), newFake(t, "two.example")
	for _, f := range []*fake{one, two} {
		f.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(f.signer, request))) }
	}
	before := w.watch(one.line() + "quorum one.example\n")
	w.stop()
	w.openWith(before.by)
	e := w.put(w.openCase("a"))
	w.finally(before, e)
	w.until("quiet", func(s ledger.Status) bool { return s.Behind == 0 && s.Since.IsZero() })
	w.stop()
	after := w.watch(two.line() + "quorum two.example\n")
	w.openWith(after.by)
	w.finally(after, e) // nothing has happened since: it is the newest one that is asked for again
	w.stop()
	w.openWith(before.by)
	w.finally(before, e)
}
