package dossier

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// An event that was entered before the one it follows.
func TestLogOrder(t *testing.T) {
	w, id := newShared(t)
	open := func() *ev.Event {
		return w.on(id, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare })
	}
	first := w.sign(open())
	state, err := ev.Apply(w.facts, first.Event(), first.LeafHash())
	if err != nil {
		t.Fatal(err)
	}
	w.facts.States[ev.ItemOf(id)] = state
	w.do(open())
	w.accept(first, w.facts.States[ev.ItemOf(id)])
	places := w.events[ev.ItemOf(id)]
	n := len(places)
	places[n-1], places[n-2] = places[n-2], places[n-1]
	wanted(t, verify(t, w, w.pack(id).write(t), nil), Refused, CheckRules, ReasonLogOrder)
}

// Grounds that are not what the package holds.
func TestForeignGround(t *testing.T) {
	for _, c := range []struct {
		change func(h *ev.Head)
		check  Check
		reason string
	}{
		{func(h *ev.Head) { h.Head = ev.SHA256(nil) }, CheckRules, ReasonBasisFork},
		{func(h *ev.Head) { h.Seq = 99 }, CheckComplete, ReasonBasisMissing},
		{func(h *ev.Head) { h.Type, h.ID = ev.VaultStream, origin }, CheckRules, ev.ReasonSuperfluousBasis},
	} {
		w, id := newShared(t)
		s := w.packUnlawful(id, func(e *ev.Event) {
			e.ReliedOn = ev.ReliedOn(w.facts, e)
			c.change(&e.ReliedOn[len(e.ReliedOn)-1])
		})
		wanted(t, verify(t, w, s.write(t), nil), Refused, c.check, c.reason)
	}
}

// Two events at one place of a stream, both in the log.
func TestFork(t *testing.T) {
	w, id := newShared(t)
	before := w.facts.States[ev.ItemOf(id)]
	s := w.pack(id)
	w.facts.States[ev.ItemOf(id)] = before
	w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ev.SHA256(nil)}))
	s.replace(s.event(ev.ItemOf(id), 9), w.receipt(len(w.logged)-1, len(w.logged)))
	wanted(t, verify(t, w, s.write(t), nil), Refused, CheckChain, ReasonFork)

	// The publication holds one of them; the other is shown.
	s.replace(s.event(ev.ItemOf(id), 8), w.receipt(len(w.logged)-1, len(w.logged)))
	s.replace(s.event(ev.ItemOf(id), 9), nil)
	r := verify(t, w, s.write(t), nil)
	if r.Verdict != Refused || r.Check(CheckComplete).Result != Fail {
		t.Errorf("%+v", r.Check(CheckComplete))
	}
}

// The publication names the last event of the stream; the package shows another one, entered before it.
func TestOtherLast(t *testing.T) {
	w, id := newShared(t)
	before := w.facts.States[ev.ItemOf(id)]
	shown := w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ev.SHA256(nil)}))
	at := len(w.logged) - 1
	w.facts.States[ev.ItemOf(id)] = before
	w.events[ev.ItemOf(id)] = w.events[ev.ItemOf(id)][:8]
	w.logged[at].seq = 1 << 40 // void: a publication leaves out what repeats a place
	s := w.pack(id)
	if shown.Event().Stream.Seq != 8 {
		t.Fatal("not the same place")
	}
	s.replace(s.event(ev.ItemOf(id), 8), w.receipt(at, len(w.logged)))
	wanted(t, verify(t, w, s.write(t), nil), Refused, CheckComplete, ReasonOtherLast)
}

// A log that shows another order to this court.
func TestSplitView(t *testing.T) {
	s, id := newPackage(t)
	w := s.w
	at := w.events[ev.ItemOf(id)][3]
	fork := testonly.New(rfc6962.DefaultHasher)
	for i := range at {
		fork.AppendData(w.logged[i].signed.Leaf())
	}
	fork.AppendData(w.logged[at+1].signed.Leaf(), w.logged[at].signed.Leaf())
	s.rereceipt(3, func(p *tlog.ReceiptParts) {
		p.Index, p.Proof = int64(at+1), must(fork.InclusionProof(uint64(at+1), uint64(at+2)))
		p.Checkpoint = must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: int64(at + 2), Root: tlog.Hash(fork.Hash())}, w.signer))
	})
	wanted(t, verify(t, w, s.write(t), nil), Refused, CheckInclusion, ReasonIndexTwice)
}

// A key that was taken out of use vouches for something newer.
func TestRetiredLogKey(t *testing.T) {
	s, _ := newPackage(t)
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	logs := []tlog.Log{{Key: &key.PublicKey, Valid: tlog.Valid{Start: s.w.now.Std()}}, s.w.trust.Logs()[0]}
	for end, want := range map[time.Time]Verdict{s.w.now.Std(): Verified, s.w.now.Std().Add(-time.Hour): Refused} {
		logs[1].End = end
		s.w.trust = must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: logs, Founders: s.w.trust.Founders()}))
		r := verify(t, s.w, s.write(t), nil)
		if r.Verdict != want || want == Refused && r.Check(CheckCheckpoint).Reason != ReasonLogKeyRetired {
			t.Errorf("%v: %s", end, r.Verdict)
		}
	}
}

// A publication that claims to cover what came after it, and one that is not lawful.
func TestFalsePublication(t *testing.T) {
	w, id := newShared(t)
	s := w.pack(id)
	root := must(heads.Build(nil)).Root()
	for _, c := range []struct {
		covers int64
		check  Check
		reason string
	}{
		{int64(len(w.logged)) + 5, CheckComplete, ReasonHeadsCovers},
		{s.manifest.Covers, CheckRules, ev.ReasonRole},
	} {
		by := "vault"
		if c.reason == ev.ReasonRole {
			by = "custodian"
		}
		e := w.event(by, ev.VaultOf(origin), ev.VaultHeads, &ev.VaultHeadsDetails{Covers: c.covers, Entries: c.covers, Root: root})
		s1 := w.sign(e)
		w.accept(s1, &ev.HeadsState{Last: ev.Tip{Seq: e.Stream.Seq, Leaf: s1.LeafHash(), Time: e.Time}})
		s.replace("log/heads.sigstore.json", w.receipt(len(w.logged)-1, len(w.logged)))
		wanted(t, verify(t, w, s.write(t), nil), Refused, c.check, c.reason)
	}
}

func TestIdentity(t *testing.T) {
	s, _ := newPackage(t)
	stranger := must(sealing.NewIdentity())
	wanted(t, verify(t, s.w, s.write(t), &stranger), Refused, CheckContent, ReasonIdentityForeign)
}

// What a keyholder or depositor could have lied about, and only the recipient's key shows.
func TestSealedLies(t *testing.T) {
	for _, c := range []struct {
		reason string
		change func(w *world, f *deposited)
	}{
		{ReasonEnvelopeForeign, func(w *world, f *deposited) {
			f.envelopes["court"] = must(sealing.WriteEnvelope(w.files[w.form].key, w.people["court"].recipient()))
		}},
		{ReasonEnvelopeDamaged, func(w *world, f *deposited) {
			f.envelopes["court"] = must(sealing.SealNote("no key", w.people["court"].recipient()))
		}},
		{ReasonIdentityForeign, func(w *world, f *deposited) {
			f.envelopes["court"] = must(sealing.WriteEnvelope(f.key, w.people["clinician"].recipient()))
		}},
	} {
		w := newWorld(t)
		id := w.deposit("sealed")
		w.seal(id, 1)
		w.grant = ev.NewID[ev.GrantID]()
		w.do(w.proposal(id))
		w.do(w.approval(id, "custodian 2"))
		w.change = func() { c.change(w, w.files[id]) }
		w.envelope(id)
		w.do(w.redemption(id))
		court := w.people["court"].age
		wanted(t, verify(t, w, w.pack(id).write(t), &court), Refused, CheckContent, c.reason)
	}
	w := newWorld(t)
	w.describe = func(sha string, size int) string {
		return fmt.Sprintf(`{"media_type":"","name":"","sha256":"%s","size":%d}`, ev.SHA256([]byte("other")), size)
	}
	id := w.deposit("described as another")
	w.describe = nil
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	w.share(id)
	court := w.people["court"].age
	wanted(t, verify(t, w, w.pack(id).write(t), &court), Refused, CheckContent, ReasonPlaintextChanged)
}

// Two items in one package, and a note that travels with one of them.
func TestTwoItems(t *testing.T) {
	w := newWorld(t)
	w.grant = ev.NewID[ev.GrantID]()
	a, b := w.deposit("first"), w.deposit("second")
	w.seal(a, 1)
	w.seal(b, 2)
	w.share(a)
	w.share(b)
	s := w.pack(a, b)
	court := w.people["court"].age
	r := verify(t, w, s.write(t), &court)
	if r.Verdict != Verified || len(r.Items) != 2 || len(r.Opened()) != 2 || len(r.Events) != 18 {
		t.Errorf("%s, %d items, %d opened, %d events", r.Verdict, len(r.Items), len(r.Opened()), len(r.Events))
	}
	s.replace(ItemPath(a, "key.age"), w.files[b].envelopes["court"])
	wanted(t, verify(t, w, s.write(t), &court), Refused, CheckContent, ReasonEnvelopeChanged)
}

func TestNoteInPackage(t *testing.T) {
	w := newWorld(t)
	id := w.deposit("with a note")
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	sealed := must(sealing.SealNote("page 3 is blank", w.files[id].key.Recipient()))
	hidden := must(sealing.SealNote("for the case alone", w.files[id].key.Recipient()))
	w.do(w.on(id, "custodian", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)}, func(e *ev.Event) {
		e.Result = &ev.Result{Outcome: ev.Success}
		e.Notes = []ev.Note{{Name: "hidden", Audience: ev.ToInternal, SHA256: ev.SHA256(hidden), Size: int64(len(hidden))},
			{Name: "remark", Audience: ev.ToItem, SHA256: ev.SHA256(sealed), Size: int64(len(sealed))}}
	}))
	w.share(id)
	w.more = []File{BytesFile(NotePath(id, 2, "remark"), sealed)}
	s := w.pack(id)
	wanted(t, verify(t, w, s.write(t), nil), Verified, CheckContent, ReasonNoIdentity)
	s.replace(NotePath(id, 2, "hidden"), hidden)
	wanted(t, verify(t, w, s.write(t), nil), Refused, CheckContent, ReasonNoteChanged)
}

// Every reason of this package has a sentence, short enough to be read by anybody.
func TestSentences(t *testing.T) {
	for id, s := range texts()["en"] {
		if strings.HasPrefix(id, "reason.") && s[len(s)-1] != '.' {
			t.Errorf("%s: %q", id, s)
		}
	}
	for _, m := range regexp.MustCompile(`(Reason\w+) += "(\w+)"`).FindAllSubmatch(must(os.ReadFile("reasons.go")), -1) {
		if !English.has("reason." + string(m[2])) {
			t.Errorf("%s has no sentence", m[1])
		}
	}
	kinds := []ev.Kind{ev.ItemDeposited, ev.ItemOpened, ev.GrantRevoked, ev.ItemShredded}
	if i := slices.IndexFunc(kinds, func(k ev.Kind) bool { return !English.has("event." + string(k)) }); i >= 0 {
		t.Errorf("%s has no sentence", kinds[i])
	}
}

// A keyholder's own copy names no grant.
func TestOwnCopy(t *testing.T) {
	w := newWorld(t)
	id := w.deposit("for the file")
	custodian := w.people["custodian"]
	f := w.files[id]
	f.envelopes["court"] = f.envelopes["custodian"] // what contents packs
	w.do(w.on(id, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(f.envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	m := Manifest{Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: custodian.fingerprint(), Vault: origin}
	files := w.contents(m)
	w.do(w.on(id, "custodian", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Nonce: courtNonce, Content: ContentDigest(Lists(files))}))
	s := w.finish(m, files, []ev.Stream{ev.ItemOf(id)})
	r := verify(t, w, s.write(t), &custodian.age)
	wanted(t, r, Verified, CheckContent, "")
	if r.Items[0].Share != nil || r.Items[0].Exhibit != 0 {
		t.Errorf("%+v", r.Items[0])
	}
	s.manifest.Recipient = w.people["clinician"].fingerprint()
	wanted(t, verify(t, w, s.write(t), &custodian.age), Refused, CheckContent, ReasonEnvelopeChanged)
}

// A description that stands alone comes with an empty file.
func TestDescriptionOnly(t *testing.T) {
	w := newWorld(t)
	id := w.deposit("", func(e *ev.Event) {
		d := e.Details.(*ev.ItemDepositedDetails)
		d.Class, d.Evidence = ev.DescriptionOnly, ev.Evidence{SHA256: ev.SHA256(nil), Tree: ev.SHA256(nil)}
	})
	w.files[id].evidence = nil
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	w.share(id)
	court := w.people["court"].age
	wanted(t, verify(t, w, w.pack(id).write(t), &court), Verified, CheckContent, "")
}

// A deposit without consent has a note that states its ground. Whoever opens the item sees whether it says anything.
func TestGroundThatSaysNothing(t *testing.T) {
	for text, reason := range map[string]string{"order 7 of the court of K.": "", " \n": ReasonGroundUnstated} {
		w := newWorld(t)
		w.grant = ev.NewID[ev.GrantID]()
		id := w.deposit("with a ground", func(e *ev.Event) {
			sealed := must(sealing.SealNote(text, e.Details.(*ev.ItemDepositedDetails).ItemRecipient))
			e.Notes = []ev.Note{{Name: "authority", Audience: ev.ToItem, SHA256: ev.SHA256(sealed), Size: int64(len(sealed))}}
			w.more = []File{BytesFile(NotePath(ev.ItemID(e.Stream.ID), 0, "authority"), sealed)}
		})
		w.seal(id, 1)
		w.share(id)
		court := w.people["court"].age
		verdict := Verified
		if reason != "" {
			verdict = Refused
		}
		s := w.pack(id)
		wanted(t, verify(t, w, s.write(t), &court), verdict, CheckContent, reason)
		wanted(t, verify(t, w, s.write(t), nil), Verified, CheckContent, ReasonNoIdentity)
	}
}
