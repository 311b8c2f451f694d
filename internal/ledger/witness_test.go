package ledger_test

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/omniwitness"
	"strongroom.example/strongroom/internal/tlog"
)

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

// A witness says until when a checkpoint was the newest. What it signs long after another one was published would say so wrongly, so that is
// not kept, whoever brings it; what it signed in time, and auditors' lines, are.
func TestLateWitness(t *testing.T) {
	w := newWorld(t)
	witness, auditor := newFake(t, "witness.example"), newFake(t, "auditor.example")
	witness.answer = func(w http.ResponseWriter, request []byte) { w.WriteHeader(http.StatusServiceUnavailable) }
	s := w.watch(witness.line() + auditor.line() + "group auditors all auditor.example\nquorum witness.example\n")
	w.stop()
	w.drift.Store(-int64(30 * time.Hour))
	w.openWith(s.by)
	w.until("published", func(ledger.Status) bool {
		_, err := w.PublishedCheckpoint(t.Context(), 0)
		return err == nil
	})
	old := must(w.PublishedCheckpoint(t.Context(), 0))
	w.stop()
	lines := func(f *fake, row ledger.Published) []byte {
		return []byte(cosign(f.signer, append([]byte("old 0\n\n"), row.Note...)))
	}
	bring := func(f *fake, row ledger.Published) error { return w.Cosign(t.Context(), row.Size, lines(f, row)) }
	cosigned := func(size int64) (names []string) {
		for _, c := range must(s.trust.Policy().Cosigned(must(w.PublishedCheckpoint(t.Context(), size)).Note)).By {
			names = append(names, c.Witness.Name)
		}
		return names
	}

	// It was down for as long as nothing came, and signs what is still the newest.
	newest := w.fork(t)
	newest.openWith(s.by)
	if err := newest.Cosign(t.Context(), old.Size, lines(witness, old)); err != nil {
		t.Error(err)
	}

	w.drift.Store(-int64(29 * time.Hour))
	w.openWith(s.by)
	w.put(w.openCase("a"))
	w.until("passed by", func(ledger.Status) bool { return must(w.PublishedCheckpoint(t.Context(), 0)).Size > old.Size })
	w.drift.Store(0)
	if err := bring(witness, old); ev.KindOf(err) != ev.Invalid || ev.ReasonOf(err) != "cosignature_time" {
		t.Errorf("a day late: %v", err)
	}
	if err := bring(auditor, old); err != nil {
		t.Error(err)
	}
	if names := cosigned(old.Size); len(names) != 1 || names[0] != "auditor.example" {
		t.Errorf("kept are %v", names)
	}
	last := must(w.PublishedCheckpoint(t.Context(), 0))
	if err := bring(witness, last); err != nil || len(cosigned(last.Size)) != 1 {
		t.Errorf("the newest one: %v, %v", err, cosigned(last.Size))
	}
}

// The same of a witness who was asked in time, and answers when another checkpoint has long been published.
func TestLateAnswer(t *testing.T) {
	late := func() (ledger.Peer, []tlog.Cosignature) {
		w := newWorld(t)
		defer w.stop()
		f := newFake(t, "late.example")
		asked, passed := make(chan struct{}), make(chan struct{})
		f.answer = func(w http.ResponseWriter, request []byte) {
			if f.asked.Load() == 1 {
				close(asked)
				<-passed
			}
			w.Write([]byte(cosign(f.signer, request)))
		}
		s := w.watch(f.line() + "quorum none\n")
		w.stop()
		w.drift.Store(-int64(30 * time.Hour))
		w.openWith(s.by)
		<-asked
		old := must(w.PublishedCheckpoint(t.Context(), 0))
		w.put(w.openCase("a"))
		w.until("passed by", func(ledger.Status) bool { return must(w.PublishedCheckpoint(t.Context(), 0)).Size > old.Size })
		w.drift.Store(0)
		close(passed)
		status := w.until("answered", func(s ledger.Status) bool { return s.Witnesses[0].State != ledger.Waiting })
		return status.Witnesses[0], must(s.trust.Policy().Cosigned(must(w.PublishedCheckpoint(t.Context(), old.Size)).Note)).By
	}
	for range 20 { // each has ten seconds
		p, by := late()
		if p.Reason == "unreachable" { // this machine was too slow: it had given up by then
			continue
		}
		if p.State != ledger.Failing || p.Reason != "clock" || len(by) != 0 {
			t.Errorf("status is %+v, kept are %v", p, by)
		}
		return
	}
	t.Error("twenty times it had given up before the answer came")
}
