package dossier

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// A genuine first event that does not stand at the first place is nobody's deposit, whatever stands there.
func TestFirstEventMoved(t *testing.T) {
	base, id := newPackage(t)
	w := base.w
	first, second := base.event(ev.ItemOf(id), 0), base.event(ev.ItemOf(id), 1)
	p := w.parts(w.events[ev.ItemOf(id)][0], len(w.logged))
	withheld := must(Withheld{string(p.Checkpoint), p.Proof, p.Index, ev.Hash(tlog.LeafHash(p.Leaf)), w.now.Add(30 * day)}.Marshal())
	for name, c := range map[string]struct {
		path     string
		contents []byte
	}{
		"garbage":      {first, []byte("{}")},
		"withheld":     {strings.Replace(first, ".sigstore.", ".withheld.", 1), withheld},
		"another step": {first, base.file(second)},
	} {
		t.Run(name, func(t *testing.T) {
			s := *base
			deposit := s.file(first)
			s.replace(first, nil)
			s.replace(second, deposit)
			s.replace(c.path, c.contents)
			if r := verify(t, w, s.write(t), nil); r.Verdict != Refused || len(r.Items) != 0 {
				t.Errorf("%s, %+v", r.Verdict, r.Items)
			}
		})
	}
}

// selfEnrol logs that somebody enrolled themselves as a founder does, with keys of their choice, though the trust file names no such founder.
func (w *world) selfEnrol(name string, role ev.Role, key *custody.Key) {
	w.t.Helper()
	p := w.meet(name, role)
	p.key = key
	keys := ev.Keys{Key: base64.StdEncoding.EncodeToString(key.SPKI()), Recipient: p.recipient()}
	w.force(w.event(name, ev.ActorOf(p.ID), ev.ActorEnrolled, &ev.ActorEnrolledDetails{Keys: keys, Role: role, Organization: p.Organization}), func(ev.State) ev.State {
		return &ev.ActorState{ID: p.ID, Role: role, Organization: p.Organization, Key: keys.Key, Recipient: keys.Recipient, Status: ev.StatusActive, Founder: true}
	})
}

// packOnce is pack where several people may have one key.
func (w *world) packOnce(id ev.ItemID) *sample {
	m := Manifest{Grant: w.grant, Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: w.people["court"].fingerprint(), Vault: origin}
	files := w.contents(m)
	slices.SortFunc(files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	files = slices.CompactFunc(files, func(a, b File) bool { return a.Path == b.Path })
	w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ContentDigest(Lists(files))}))
	return w.finish(m, files, []ev.Stream{ev.ItemOf(id)})
}

// Two persons are two only if they have different keys: whoever proposes as one actor does not approve as another.
func TestOnePersonTwice(t *testing.T) {
	for name, keys := range map[string]func(w *world) (*custody.Key, sealing.Identity){
		"custodian's key": func(w *world) (*custody.Key, sealing.Identity) {
			return w.people["custodian"].key, must(sealing.NewIdentity())
		},
		"vault's key": func(w *world) (*custody.Key, sealing.Identity) {
			return w.people["vault"].key, must(sealing.NewIdentity())
		},
		"custodian's recipient": func(w *world) (*custody.Key, sealing.Identity) {
			return must(custody.GenerateKey()), w.people["custodian"].age
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.deposit("a finding")
			w.seal(id, 1)
			w.grant = ev.NewID[ev.GrantID]()
			key, age := keys(w)
			self := w.meet("second self", ev.Custodian)
			self.key, self.age = key, age
			w.welcome("second self", "administrator", "custodian 2")
			w.do(w.event("custodian", ev.CaseOf(w.cas), ev.CaseMemberAdded, &ev.CaseMemberAddedDetails{Member: ev.Member{Actor: self.ID, Rights: []ev.Right{ev.MayApprove}},
				Envelope: ev.EnvelopeRef{Recipient: self.fingerprint(), SHA256: ev.SHA256([]byte("label"))}}))
			e := w.proposal(id)
			e.Actor = w.people["custodian"].Signer
			e.ReliedOn = ev.ReliedOn(w.facts, e)
			w.do(e)
			w.do(w.approval(id, "second self"))
			w.envelope(id)
			w.do(w.redemption(id))
			wanted(t, verify(t, w, w.packOnce(id).write(t), nil), Refused, CheckSignatures, ReasonKeyTwice)
		})
	}
}

// New keys are nobody else's either, not even those that somebody gave up; one's own old ones are.
func TestRotationToAnothersKey(t *testing.T) {
	for _, c := range []struct {
		of      string
		verdict Verdict
		check   Check
		reason  string
	}{{"custodian 2", Refused, CheckSignatures, ReasonKeyTwice}, {"clinician", Verified, CheckSignatures, ""}} {
		w, id := newShared(t)
		rotate := func(name string, key *custody.Key, age sealing.Identity) {
			p := w.people[name]
			p.key, p.age = key, age
			d := &ev.ActorKeyRotatedDetails{Cause: ev.CauseLoss}
			d.Keys = ev.Keys{Key: base64.StdEncoding.EncodeToString(key.SPKI()), Recipient: p.recipient(), Invitation: ev.SHA256([]byte(name))}
			d.Possession = possess(p, d.Invitation)
			w.do(w.event("administrator", ev.ActorOf(p.ID), ev.ActorKeyRotated, d))
			w.do(w.event("custodian", ev.ActorOf(p.ID), ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: p.fingerprint(), Method: ev.ByPhone}))
		}
		old := *w.people[c.of]
		rotate(c.of, must(custody.GenerateKey()), must(sealing.NewIdentity()))
		rotate("clinician", old.key, old.age)
		wanted(t, verify(t, w, w.pack(id).write(t), nil), c.verdict, c.check, c.reason)
	}
}

// A founder is one person in one role: with its key it is nobody else, also where its own enrolment is not in the package.
func TestFounderInDisguise(t *testing.T) {
	for _, role := range []ev.Role{ev.Custodian, ev.Administrator} {
		t.Run(string(role), func(t *testing.T) {
			w := newWorld(t)
			idle := w.meet("idle", role)
			w.trust = must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: w.trust.Logs(), Founders: append(w.trust.Founders(), w.founders("idle")...)}))
			id := w.deposit("a finding")
			w.seal(id, 1)
			w.grant = ev.NewID[ev.GrantID]()
			w.selfEnrol("disguised", ev.Custodian, idle.key)
			self := w.people["disguised"]
			w.do(w.event("custodian", ev.CaseOf(w.cas), ev.CaseMemberAdded, &ev.CaseMemberAddedDetails{Member: ev.Member{Actor: self.ID, Rights: []ev.Right{ev.MayApprove}},
				Envelope: ev.EnvelopeRef{Recipient: self.fingerprint(), SHA256: ev.SHA256([]byte("label"))}}))
			w.do(w.proposal(id))
			w.do(w.approval(id, "disguised"))
			w.envelope(id)
			w.do(w.redemption(id))
			wanted(t, verify(t, w, w.packOnce(id).write(t), nil), Refused, CheckRules, ev.ReasonFounder)
		})
	}
}

// Somebody enrols as a vault and publishes a list of last steps.
func TestPublicationByAnotherVault(t *testing.T) {
	w, id := newShared(t)
	w.selfEnrol("false vault", ev.Vault, must(custody.GenerateKey()))
	m := Manifest{Grant: w.grant, Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: w.people["court"].fingerprint(), Vault: origin}
	files := w.contents(m)
	w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ContentDigest(Lists(files))}))
	s := w.finish(m, files, []ev.Stream{ev.ItemOf(id), ev.ActorOf(w.people["false vault"].ID)})
	last := w.facts.States[ev.VaultOf(origin)].(*ev.HeadsState)
	e := w.event("false vault", ev.VaultOf(origin), ev.VaultHeads, &ev.VaultHeadsDetails{Covers: last.Covers, Entries: last.Entries, Root: last.Root})
	s.republish(e)
	wanted(t, verify(t, w, s.write(t), nil), Refused, CheckRules, ev.ReasonFounder)
}

// republish puts another publication of the heads map, and the checkpoint it is proved under, in the place of the package's own.
func (s *sample) republish(e *ev.Event) {
	signed := s.w.sign(e)
	s.w.accept(signed, &ev.HeadsState{Last: ev.Tip{Seq: e.Stream.Seq, Leaf: signed.LeafHash(), Time: e.Time}})
	s.replace("log/heads.sigstore.json", s.w.receipt(len(s.w.logged)-1, len(s.w.logged)))
	s.replace("log/checkpoint", s.w.checkpoint(len(s.w.logged)))
}

// The withdrawal of the consent is in the log, and declared void.
func TestVoidWithdrawal(t *testing.T) {
	w, id := newShared(t)
	consent := ev.ConsentOf(w.con)
	before := w.facts.States[consent]
	w.withdraw()
	at := len(w.logged) - 1
	w.facts.States[consent], w.events[consent] = before, w.events[consent][:1]
	w.logged[at].seq = 1 << 40
	s := w.pack(id)
	last := w.facts.States[ev.VaultOf(origin)].(*ev.HeadsState)
	d := &ev.VaultHeadsDetails{Covers: last.Covers, Entries: last.Covers, Root: last.Root}
	s.republish(w.event("vault", ev.VaultOf(origin), ev.VaultHeads, d))
	wanted(t, verify(t, w, s.write(t), nil), Verified, CheckComplete, "")
	d.Entries, d.Void = last.Covers-1, []int64{int64(at)}
	s.republish(w.event("vault", ev.VaultOf(origin), ev.VaultHeads, d))
	wanted(t, verify(t, w, s.write(t), nil), Incomplete, CheckComplete, ReasonHeadsVoid)
}

// The checkpoint beside the receipts is the publication's: not an old one, not a new one.
func TestCheckpointFile(t *testing.T) {
	base, _ := newPackage(t)
	w := base.w
	w.do(w.event("vault", ev.VaultOf(origin), ev.VaultHeads, &ev.VaultHeadsDetails{Covers: int64(len(w.logged)), Entries: int64(len(w.logged)), Root: ev.SHA256(nil)}))
	for _, size := range []int{1, len(w.logged) - 2, len(w.logged)} {
		s := *base
		s.replace("log/checkpoint", w.checkpoint(size))
		wanted(t, verify(t, w, s.write(t), nil), Refused, CheckCheckpoint, ReasonCheckpointFile)
	}
}

// Every item of the list is in the package.
func TestItemThatIsNotThere(t *testing.T) {
	s, _ := newPackage(t)
	s.manifest.Items = append(slices.Clone(s.manifest.Items), ev.NewID[ev.ItemID]())
	slices.Sort(s.manifest.Items)
	wanted(t, verify(t, s.w, s.write(t), nil), Refused, CheckPackage, ReasonItems)
}

// Some receipts are under a larger tree with another past than the publication's, in leaves that the package does not hold.
func TestTwoPasts(t *testing.T) {
	s, id := newPackage(t)
	w := s.w
	fork := testonly.New(rfc6962.DefaultHasher)
	fork.AppendData([]byte("another past"))
	for _, l := range w.logged[1:] {
		fork.AppendData(l.signed.Leaf())
	}
	fork.AppendData([]byte("one more"))
	size := len(w.logged) + 1
	cp := must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: int64(size), Root: tlog.Hash(fork.Hash())}, w.signer))
	for seq := range int64(len(w.events[ev.ItemOf(id)])) {
		s.rereceipt(seq, func(p *tlog.ReceiptParts) {
			p.Checkpoint, p.Proof = cp, must(fork.InclusionProof(uint64(p.Index), uint64(size)))
		})
	}
	wanted(t, verify(t, w, s.write(t), nil), Refused, CheckCheckpoint, ReasonLogFork)
}

// The whole subtrees of a proof are those of the tree, whatever its size.
func TestSubtrees(t *testing.T) {
	tree := testonly.New(rfc6962.DefaultHasher)
	for i := range 70 {
		tree.AppendData([]byte{byte(i)})
	}
	for size := int64(1); size <= 70; size++ {
		for i := range size {
			n := 0
			subtrees(tlog.Hash(tree.LeafHash(uint64(i))), i, size, must(tree.InclusionProof(uint64(i), uint64(size))), func(s subtree, h tlog.Hash) {
				n++
				whole := testonly.New(rfc6962.DefaultHasher)
				for leaf := s.index << s.level; leaf < (s.index+1)<<s.level; leaf++ {
					whole.AppendData([]byte{byte(leaf)})
				}
				if h != tlog.Hash(whole.Hash()) {
					t.Fatalf("leaf %d of %d: subtree %v", i, size, s)
				}
			})
			if n == 0 {
				t.Fatal("no subtree")
			}
		}
	}
}

// What stands for a withheld event is compared with the publication like any receipt.
func TestWithheldInAnotherPast(t *testing.T) {
	s, id := newPackage(t)
	w := s.w
	fork := testonly.New(rfc6962.DefaultHasher)
	fork.AppendData([]byte("another past"))
	for _, l := range w.logged[1:] {
		fork.AppendData(l.signed.Leaf())
	}
	size := len(w.logged) + 1
	fork.AppendData([]byte("one more"))
	cp := must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: int64(size), Root: tlog.Hash(fork.Hash())}, w.signer))
	at := w.events[ev.ItemOf(id)][2]
	path := s.event(ev.ItemOf(id), 2)
	s.replace(path, nil)
	s.replace(strings.Replace(path, ".sigstore.", ".withheld.", 1), must(Withheld{string(cp), must(fork.InclusionProof(uint64(at), uint64(size))), int64(at),
		w.logged[at].signed.LeafHash(), w.now.Add(day)}.Marshal()))
	wanted(t, verify(t, w, s.write(t), nil), Refused, CheckCheckpoint, ReasonLogFork)
}

// Stated times that run against the order of the log are no lie that can be proved, but they are said.
func TestTimesRunBackwards(t *testing.T) {
	for _, c := range []struct {
		back time.Duration
		said bool
	}{{3 * time.Minute, false}, {time.Hour, true}} {
		w := newWorld(t)
		id, other := w.deposit("a finding"), w.deposit("another finding")
		w.now = w.now.Add(c.back)
		w.seal(other, 2)
		w.now = w.now.Add(-c.back)
		w.seal(id, 1)
		w.now = w.now.Add(c.back)
		w.grant = ev.NewID[ev.GrantID]()
		w.share(id)
		w.share(other)
		r := verify(t, w, w.pack(id, other).write(t), nil)
		wanted(t, r, Verified, CheckTime, ReasonNoAuthority)
		if strings.Contains(strings.Join(r.DoesNotShow, "\n"), "run against the order of entry") != c.said {
			t.Errorf("%v: %q", c.back, r.DoesNotShow)
		}
	}
}

// An incident that was stated stands in every package and is said, whatever its code and scope.
func TestIncidentsAreSaid(t *testing.T) {
	w, id := newShared(t)
	for _, code := range []string{"breach", "outage", "key_compromise", "witness_alarm", "data_damage"} {
		said := English.text("incident." + code)
		from, policy := w.now, ev.PolicyOf(origin)
		w.do(w.event("administrator", policy, ev.VaultIncident, &ev.VaultIncidentDetails{Code: code, From: from, Scope: "vault"}))
		r := verify(t, w, w.pack(id).write(t), nil)
		if !strings.Contains(strings.Join(r.DoesNotShow, "\n"), said+", from "+moment(from)+" and has not ended. It concerns the whole vault.") {
			t.Errorf("%s: %q", code, r.DoesNotShow)
		}
	}
	until := w.now
	w.do(w.event("administrator", ev.PolicyOf(origin), ev.VaultIncident, &ev.VaultIncidentDetails{Code: "breach", From: w.now.Add(-time.Hour), Until: w.now, Scope: "case"}))
	r := verify(t, w, w.pack(id).write(t), nil)
	if !strings.Contains(strings.Join(r.DoesNotShow, "\n"), " to "+moment(until)+". It concerns one case.") || r.Verdict != Verified {
		t.Errorf("%s: %q", r.Verdict, r.DoesNotShow)
	}
	bad := &ev.VaultIncidentDetails{Code: "another", From: w.now, Scope: "vault"}
	if e := w.event("administrator", ev.PolicyOf(origin), ev.VaultIncident, bad); e.Check() == nil {
		t.Error("there are codes that have no words")
	}
}

// A description that was added later is opened, too, and is of the same file.
func TestAmendedDescription(t *testing.T) {
	for about, reason := range map[string]string{"sealed": "", "something else": ReasonPlaintextChanged} {
		w := newWorld(t)
		id := w.deposit("sealed")
		w.seal(id, 1)
		w.grant = ev.NewID[ev.GrantID]()
		w.share(id)
		text := fmt.Sprintf(`{"media_type":"","name":"","sha256":"%s","size":%d}`, ev.SHA256([]byte(about)), len(about))
		file := must(sealing.SealDescription([]byte(text), w.files[id].key.Recipient()))
		seq := int64(len(w.events[ev.ItemOf(id)]))
		w.do(w.on(id, "clinician", ev.ItemAmended, &ev.ItemAmendedDetails{Cause: ev.CauseNewFacts, Description: ev.File{SHA256: ev.SHA256(file), Size: int64(len(file))}}))
		w.more = []File{BytesFile(ItemPath(id, fmt.Sprintf("description.%d.age", seq)), file)}
		court := w.people["court"].age
		r := verify(t, w, w.pack(id).write(t), &court)
		if reason == "" {
			wanted(t, r, Verified, CheckContent, "")
			if len(r.opened) != 1 || len(r.opened[0].Descriptions) != 2 || string(must(r.opened[0].Description(r.opened[0].Descriptions[1]))) != text {
				t.Errorf("%+v", r.opened)
			}
			continue
		}
		wanted(t, r, Refused, CheckContent, reason)
	}
}
