package dossier

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// rereceipt changes the receipt of an event of the packaged item.
func (s *sample) rereceipt(seq int64, change func(*tlog.ReceiptParts)) {
	s.rereceiptOf(ev.ItemOf(s.items[0]), seq, change)
}

func (s *sample) rereceiptOf(stream ev.Stream, seq int64, change func(*tlog.ReceiptParts)) {
	p := s.w.parts(s.w.events[stream][seq], len(s.w.logged))
	p.Payload, p.Leaf = slices.Clone(p.Payload), slices.Clone(p.Leaf)
	change(&p)
	s.replace(s.event(stream, seq), must(tlog.NewReceipt(p)).Marshal())
}

// omit takes an event away, leaving no gap in the names.
func (s *sample) omit(seq int64) {
	stream := ev.ItemOf(s.items[0])
	n := int64(len(s.excerpt.Streams[0].receipts()))
	for ; seq < n-1; seq++ {
		s.replace(s.event(stream, seq), s.file(s.event(stream, seq+1)))
	}
	s.replace(s.event(stream, n-1), nil)
}

func (s Stream) receipts() (list [][]byte) {
	for i := range s.Events {
		list = append(list, must(s.Receipt(i)))
	}
	return list
}

func (s *sample) text(path, old, new string) {
	b := s.file(path)
	if !bytes.Contains(b, []byte(old)) {
		s.w.t.Fatalf("%s has no %q", path, old)
	}
	s.replace(path, bytes.Replace(b, []byte(old), []byte(new), 1))
}

// signText signs a statement as it is written, by a person of the world.
func (w *world) signText(by string, payload []byte) *custody.Signed {
	w.t.Helper()
	p := w.people[by]
	pae := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(custody.PayloadType), custody.PayloadType, len(payload), payload)
	for {
		sig := must(p.key.Sign(pae))
		b64 := base64.StdEncoding.EncodeToString
		dsse := fmt.Sprintf(`{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}`, b64(payload), custody.PayloadType, custody.KeyID(p.key.SPKI()), b64(sig))
		st, err := custody.Open([]byte(dsse))
		if st == nil {
			w.t.Fatal(err)
		}
		if signed, err := st.Verify(p.key.SPKI()); err == nil { // else the signature is not low-S
			return signed
		}
	}
}

// unlawful is a world in which something is logged that the law refuses, and the court's package of it.
func unlawful(t *testing.T, do func(w *world, id ev.ItemID)) *sample {
	w, id := newShared(t)
	do(w, id)
	return w.pack(id)
}

// newerField is a package with a statement that says more than this version understands.
func newerField(t *testing.T) *sample {
	return unlawful(t, func(w *world, id ev.ItemID) {
		e := w.on(id, "custodian", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)},
			func(e *ev.Event) { e.Result = &ev.Result{Outcome: ev.Success} })
		text := bytes.Replace(w.sign(e).Payload(), []byte(`"vault":`), []byte(`"uncertainty":"low","vault":`), 1)
		s := w.signText("custodian", text)
		w.accept(s, must(ev.Apply(w.facts, e, s.LeafHash())))
	})
}

func (w *world) withdraw() {
	w.do(w.event("clinician", ev.ConsentOf(w.con), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"}))
}

// packUnlawful exports although the law refuses the export itself.
func (w *world) packUnlawful(id ev.ItemID, set ...func(*ev.Event)) *sample {
	m := Manifest{Grant: w.grant, Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: w.people["court"].fingerprint(), Vault: origin}
	files := w.contents(m)
	w.force(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ContentDigest(Lists(files))}, set...), nil)
	return w.finish(m, files, []ev.Stream{ev.ItemOf(id)})
}

// changes are what an attacker without the vault's keys can do to a genuine package.
var changes = []struct {
	name    string
	change  func(s *sample)
	verdict Verdict
	check   Check
	reason  string
}{
	{"nothing changed", func(s *sample) {}, Verified, CheckRules, ""},
	{"statement changed", func(s *sample) {
		s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Payload = bytes.Replace(p.Payload, []byte("1.0.0"), []byte("1.0.1"), 1) })
	}, Refused, CheckSignatures, ReasonPayload},
	{"statement not canonical", func(s *sample) {
		s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Payload = bytes.Replace(p.Payload, []byte(`:`), []byte(`: `), 1) })
	}, Refused, CheckSignatures, ReasonStatement},
	{"another statement's signature", func(s *sample) {
		other := s.w.parts(s.w.events[ev.ItemOf(s.items[0])][2], len(s.w.logged))
		s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Signature = other.Signature })
	}, Refused, CheckSignatures, ReasonSignature},
	{"signature and leaf changed", func(s *sample) {
		s.rereceipt(3, func(p *tlog.ReceiptParts) {
			sig := slices.Clone(p.Signature)
			sig[len(sig)-1] ^= 1
			b64 := base64.StdEncoding.EncodeToString
			p.Leaf = bytes.Replace(p.Leaf, []byte(b64(p.Signature)), []byte(b64(sig)), 1)
			p.Signature = sig
		})
	}, Refused, CheckSignatures, ReasonSignature},
	{"leaf changed", func(s *sample) {
		s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Leaf = bytes.Replace(p.Leaf, []byte("0.0.2"), []byte("0.0.3"), 1) })
	}, Refused, CheckInclusion, ReasonLeaf},
	{"other index", func(s *sample) { s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Index-- }) }, Refused, CheckInclusion, ReasonProof},
	{"one index changed", func(s *sample) {
		s.text(s.event(ev.ItemOf(s.items[0]), 3), `"inclusionProof":{"logIndex":"1`, `"inclusionProof":{"logIndex":"2`)
	}, Refused, CheckInclusion, ReasonIndex},
	{"checkpoint of another size", func(s *sample) {
		s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = s.w.checkpoint(len(s.w.logged) - 1) })
	}, Refused, CheckInclusion, ReasonProof},
	{"checkpoint replaced in the text", func(s *sample) {
		note := func(b []byte) string { return strings.ReplaceAll(string(b), "\n", `\n`) }
		s.text(s.event(ev.ItemOf(s.items[0]), 3), note(s.w.checkpoint(len(s.w.logged))), note(s.w.checkpoint(len(s.w.logged)-1)))
	}, Refused, CheckInclusion, ReasonOtherCheckpoint},
	{"other log key", func(s *sample) {
		key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		signer := must(tlog.NewECDSANoteSigner(origin, &key.PublicKey, func(m []byte) ([]byte, error) {
			digest := sha256.Sum256(m)
			return ecdsa.SignASN1(rand.Reader, key, digest[:])
		}))
		s.rereceipt(3, func(p *tlog.ReceiptParts) {
			n := len(s.w.logged)
			p.LogID = must(tlog.LogID(&key.PublicKey))
			p.Checkpoint = must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: int64(n), Root: tlog.Hash(s.w.tree.HashAt(uint64(n)))}, signer))
		})
	}, Refused, CheckCheckpoint, ReasonLogKey},
	{"other log", func(s *sample) {
		signer := must(tlog.NewECDSANoteSigner("other.example", &s.w.logKey.PublicKey, func(m []byte) ([]byte, error) {
			digest := sha256.Sum256(m)
			return ecdsa.SignASN1(rand.Reader, s.w.logKey, digest[:])
		}))
		s.rereceipt(3, func(p *tlog.ReceiptParts) {
			n := len(s.w.logged)
			p.Checkpoint = must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: "other.example", Size: int64(n), Root: tlog.Hash(s.w.tree.HashAt(uint64(n)))}, signer))
		})
	}, Refused, CheckCheckpoint, ReasonLogOrigin},
	{"checkpoint signature changed", func(s *sample) {
		s.rereceipt(3, func(p *tlog.ReceiptParts) {
			p.Checkpoint = slices.Clone(p.Checkpoint)
			at := &p.Checkpoint[len(p.Checkpoint)-20]
			if *at++; *at > 'z' || !strings.Contains("bcdefghijklmnopqrstuvwxyz", string(*at)) {
				*at = 'a'
			}
		})
	}, Refused, CheckCheckpoint, ReasonLogSignature},
	{"log with two faces", func(s *sample) {
		s.replace("log/checkpoint", must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: int64(len(s.w.logged)), Root: tlog.Hash{1}}, s.w.signer)))
	}, Refused, CheckCheckpoint, ReasonLogFork},
	{"receipt not canonical", func(s *sample) { s.text(s.event(ev.ItemOf(s.items[0]), 3), `{`, `{ `) }, Refused, CheckPackage, ReasonReceipt},
	{"no log entry in the receipt", func(s *sample) {
		path := s.event(ev.ItemOf(s.items[0]), 3)
		before, rest, _ := strings.Cut(string(s.file(path)), `"tlogEntries":[{`)
		_, after, found := strings.Cut(rest, `"}]`)
		if !found {
			s.w.t.Fatal("the receipt has no log entry anyway")
		}
		s.replace(path, []byte(before+`"tlogEntries":[]`+after))
	}, Refused, CheckPackage, ReasonReceipt},
	{"first event omitted", func(s *sample) { s.omit(0) }, Refused, CheckChain, ReasonMissingFirst},
	{"middle event omitted", func(s *sample) { s.omit(4) }, Refused, CheckChain, ReasonMissing},
	{"last event omitted", func(s *sample) { s.omit(8) }, Refused, CheckComplete, ReasonMissingLast},
	{"last event omitted, length shortened", func(s *sample) {
		s.omit(8)
		s.text("items/"+string(s.items[0])+"/complete.json", `"length":9`, `"length":8`)
	}, Refused, CheckComplete, ReasonHeadsProof},
	{"gap in the names", func(s *sample) { s.replace(s.event(ev.ItemOf(s.items[0]), 4), nil) }, Refused, CheckChain, ReasonMissing},
	{"wrong name, right events", func(s *sample) {
		name := s.event(ev.ItemOf(s.items[0]), 8)
		b := s.file(name)
		s.replace(name, nil)
		s.replace(strings.Replace(name, "000008", "000009", 1), b)
	}, Refused, CheckPackage, ReasonFileName},
	{"events swapped", func(s *sample) {
		a, b := s.event(ev.ItemOf(s.items[0]), 3), s.event(ev.ItemOf(s.items[0]), 4)
		x, y := s.file(a), s.file(b)
		s.replace(a, y)
		s.replace(b, x)
	}, Refused, CheckChain, ReasonSwapped},
	{"event doubled", func(s *sample) {
		s.replace(s.event(ev.ItemOf(s.items[0]), 4), s.file(s.event(ev.ItemOf(s.items[0]), 3)))
	}, Refused, CheckChain, ReasonDuplicate},
	{"event of another stream", func(s *sample) {
		s.replace(s.event(ev.ItemOf(s.items[0]), 4), s.file(s.event(ev.CaseOf(s.w.cas), 0)))
	}, Refused, CheckChain, ReasonForeignStream},
	{"consent stream missing", func(s *sample) { s.drop("related/consent/") }, Refused, CheckComplete, ReasonStreamMissing},
	{"enroller missing", func(s *sample) { s.drop("related/actor/" + string(s.w.people["administrator"].ID) + "/") }, Refused, CheckComplete, ReasonStreamMissing},
	{"form missing", func(s *sample) { s.drop("related/item/") }, Refused, CheckComplete, ReasonStreamMissing},
	{"heads missing", func(s *sample) { s.replace("log/heads.sigstore.json", nil) }, Incomplete, CheckComplete, ReasonHeadsMissing},
	{"heads of another event", func(s *sample) { s.replace("log/heads.sigstore.json", s.file(s.event(ev.PolicyOf(origin), 0))) }, Refused, CheckChain, ReasonForeignStream},
	{"absence proof of another stream", func(s *sample) {
		s.replace("items/"+string(s.items[0])+"/complete.json", s.file("related/case/"+string(s.w.cas)+"/complete.json"))
	}, Refused, CheckComplete, ReasonNotCovered},
	{"proof changed", func(s *sample) {
		l := must(ParseLength(s.file("related/case/" + string(s.w.cas) + "/complete.json")))
		l.Absent.Siblings[0][0] ^= 1
		s.replace("related/case/"+string(s.w.cas)+"/complete.json", must(l.Marshal()))
	}, Refused, CheckComplete, ReasonHeadsProof},
	{"proof of length missing", func(s *sample) { s.replace("items/"+string(s.items[0])+"/complete.json", nil) }, Refused, CheckPackage, ReasonComplete},
	{"checkpoint file missing", func(s *sample) { s.replace("log/checkpoint", nil) }, Incomplete, CheckCheckpoint, ReasonCheckpointMissing},
	{"other covered size", func(s *sample) { s.manifest.Covers++ }, Refused, CheckPackage, ReasonCovers},
	{"other vault", func(s *sample) { s.manifest.Vault = "other.example" }, Refused, CheckPackage, ReasonOtherVault},
	{"other nonce", func(s *sample) { s.manifest.Nonce = strings.Repeat("x", 32) }, Refused, CheckContent, ReasonNotExported},
	{"other grant", func(s *sample) { s.manifest.Grant = ev.NewID[ev.GrantID]() }, Refused, CheckContent, ReasonNotGranted},
	{"other recipient", func(s *sample) { s.manifest.Recipient[0] ^= 1 }, Refused, CheckContent, ReasonNotGranted},
	{"item listed that is not there", func(s *sample) { s.manifest.Items = []ev.ItemID{ev.NewID[ev.ItemID]()} }, Refused, CheckPackage, ReasonItems},
	{"evidence replaced", func(s *sample) { s.replace(ItemPath(s.items[0], "evidence.age"), s.w.files[s.w.form].evidence) }, Refused, CheckContent, ReasonEvidenceChanged},
	{"evidence missing", func(s *sample) { s.replace(ItemPath(s.items[0], "evidence.age"), nil) }, Incomplete, CheckContent, ReasonEvidenceMissing},
	{"description replaced", func(s *sample) { s.replace(ItemPath(s.items[0], "description.age"), s.w.files[s.w.form].description) }, Refused, CheckContent, ReasonDescriptionChanged},
	{"envelope replaced", func(s *sample) {
		s.replace(ItemPath(s.items[0], "key.age"), must(sealing.WriteEnvelope(s.w.files[s.items[0]].key, s.w.people["court"].recipient())))
	}, Refused, CheckContent, ReasonEnvelopeChanged},
	{"note that was never recorded", func(s *sample) { s.replace(NotePath(s.items[0], 2, "reason"), []byte("note")) }, Refused, CheckContent, ReasonNoteChanged},
	{"page changed", func(s *sample) { s.text("README.html", "without an account", "with an account") }, Refused, CheckContent, ReasonExportChanged},
	{"trusted root changed", func(s *sample) { s.text("trust/trusted_root.json", origin, "other.example") }, Refused, CheckContent, ReasonExportChanged},
}

func (s *sample) drop(prefix string) {
	n := len(s.files)
	s.files = slices.DeleteFunc(slices.Clone(s.files), func(f File) bool { return strings.HasPrefix(f.Path, prefix) })
	if len(s.files) == n {
		s.w.t.Fatalf("nothing under %s", prefix)
	}
}

func TestChangedPackage(t *testing.T) {
	base, _ := newPackage(t)
	court := base.w.people["court"].age
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			s := *base
			c.change(&s)
			wanted(t, verify(t, s.w, s.write(t), &court), c.verdict, c.check, c.reason)
		})
	}
}

func wanted(t *testing.T, r *Report, verdict Verdict, check Check, reason string) {
	t.Helper()
	if r.Verdict != verdict || r.Check(check).Reason != reason {
		for _, c := range r.Checks {
			t.Logf("%+v", c)
		}
		t.Errorf("%s, %s %q; want %s, %q", r.Verdict, check, r.Check(check).Reason, verdict, reason)
	}
}

// What a vault that lies could log, and a court must see.
func TestUnlawfulHistory(t *testing.T) {
	for _, c := range []struct {
		name    string
		sample  func(t *testing.T) *sample
		verdict Verdict
		check   Check
		reason  string
	}{
		{"consent stripped from the ground", func(t *testing.T) *sample {
			w, id := newShared(t)
			return w.packUnlawful(id, func(e *ev.Event) {
				e.ReliedOn = slices.DeleteFunc(ev.ReliedOn(w.facts, e), func(h ev.Head) bool { return h.Type == ev.ConsentStream })
			})
		}, Refused, CheckRules, ev.ReasonMissingBasis},
		{"consent withdrawn, ground outdated", func(t *testing.T) *sample {
			w, id := newShared(t)
			old := ev.ReliedOn(w.facts, w.redemption(id))
			w.withdraw()
			return w.packUnlawful(id, func(e *ev.Event) { e.ReliedOn = old })
		}, Refused, CheckRules, ev.ReasonStaleBasis},
		{"consent withdrawn", func(t *testing.T) *sample {
			w, id := newShared(t)
			w.withdraw()
			return w.packUnlawful(id)
		}, Refused, CheckRules, ev.ReasonFrozen},
		{"signer revoked", func(t *testing.T) *sample {
			w, id := newShared(t)
			w.do(w.event("custodian", ev.ActorOf(w.people["court"].ID), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseCompromise}))
			return w.packUnlawful(id)
		}, Refused, CheckSignatures, ev.ReasonSignerRevoked},
		{"signer revoked, ground outdated", func(t *testing.T) *sample {
			w, id := newShared(t)
			old := ev.ReliedOn(w.facts, w.redemption(id))
			w.do(w.event("custodian", ev.ActorOf(w.people["court"].ID), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseCompromise}))
			return w.packUnlawful(id, func(e *ev.Event) { e.ReliedOn = old })
		}, Refused, CheckRules, ev.ReasonStaleBasis},
		{"signed with another's key", func(t *testing.T) *sample {
			w, id := newShared(t)
			w.people["court"].key = must(custody.GenerateKey())
			m := Manifest{Grant: w.grant, Items: []ev.ItemID{id}, Nonce: courtNonce, Recipient: ev.SHA256(nil), Vault: origin}
			files := w.contents(m)
			w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ContentDigest(Lists(files))}))
			return w.finish(m, files, []ev.Stream{ev.ItemOf(id)})
		}, Refused, CheckSignatures, ReasonSignerKey},
		{"redeemed after the end", func(t *testing.T) *sample {
			w, id := newShared(t)
			w.now = w.now.Add(8 * day)
			w.force(w.redemption(id), nil)
			return w.packUnlawful(id)
		}, Refused, CheckRules, ev.ReasonGrantOver},
		{"approved by the proposer", func(t *testing.T) *sample {
			w := newWorld(t)
			id := w.deposit("approved alone")
			w.seal(id, 1)
			w.grant = ev.NewID[ev.GrantID]()
			e := w.proposal(id)
			e.Actor = w.people["custodian"].Signer
			e.ReliedOn = ev.ReliedOn(w.facts, e)
			w.do(e)
			w.force(w.approval(id, "custodian"), func(s ev.State) ev.State {
				n := *s.(*ev.ItemState)
				n.Grants = slices.Clone(n.Grants)
				n.Grants[0].Status, n.Grants[0].Custodian = ev.GrantActive, w.people["custodian"].ID
				return &n
			})
			w.envelope(id)
			w.do(w.redemption(id))
			return w.pack(id)
		}, Refused, CheckRules, ev.ReasonSecondPerson},
		{"enrolled without the key", func(t *testing.T) *sample {
			return unlawful(t, func(w *world, id ev.ItemID) {
				p := w.meet("stranger", ev.Court)
				d := &ev.ActorEnrolledDetails{Role: ev.Court, Organization: p.Organization, Keys: ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI()),
					Recipient: p.recipient(), Invitation: ev.SHA256([]byte("i")), Possession: possess(w.people["court"], ev.SHA256([]byte("i")))}}
				w.do(w.event("custodian", ev.ActorOf(p.ID), ev.ActorEnrolled, d))
				w.do(w.on(id, "custodian", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)}, func(e *ev.Event) {
					e.Result = &ev.Result{Outcome: ev.Success}
					e.Counterparty = &ev.Counterparty{Actor: p.ID}
				}))
			})
		}, Refused, CheckSignatures, ev.ReasonPossession},
		{"a newer field", newerField, Incomplete, CheckRules, ev.ReasonField},
		{"a newer kind", func(t *testing.T) *sample {
			return unlawful(t, func(w *world, id ev.ItemID) {
				e := w.on(id, "custodian", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)},
					func(e *ev.Event) { e.Result = &ev.Result{Outcome: ev.Success} })
				text := bytes.Replace(w.sign(e).Payload(), []byte(`"item.verified"`), []byte(`"item.weighed"`), 1)
				s := w.signText("custodian", text)
				w.accept(s, must(ev.Apply(w.facts, e, s.LeafHash())))
			})
		}, Incomplete, CheckRules, ev.ReasonKind},
		{"time before its ground", func(t *testing.T) *sample {
			w, id := newShared(t)
			return w.packUnlawful(id, func(e *ev.Event) { e.Time = e.Time.Add(-time.Hour) })
		}, Refused, CheckTime, ev.ReasonTimeOrder},
		{"events that the proof does not cover", func(t *testing.T) *sample {
			w, id := newShared(t)
			s := w.pack(id)
			w.do(w.on(id, "custodian", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)},
				func(e *ev.Event) { e.Result = &ev.Result{Outcome: ev.Success} }))
			s.replace(s.event(ev.ItemOf(id), 9), w.receipt(len(w.logged)-1, len(w.logged)))
			return s
		}, Refused, CheckComplete, ReasonNotCovered},
		{"another event at the last place", func(t *testing.T) *sample {
			w, id := newShared(t)
			before := w.facts.States[ev.ItemOf(id)]
			s := w.pack(id)
			w.facts.States[ev.ItemOf(id)] = before
			e := w.do(w.on(id, "court", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Grant: w.grant, Nonce: courtNonce, Content: ev.SHA256(nil)}))
			if e.Event().Stream.Seq != 8 {
				t.Fatal("not the same place")
			}
			s.replace(s.event(ev.ItemOf(id), 8), w.receipt(len(w.logged)-1, len(w.logged)))
			s.manifest.Covers = int64(len(w.logged))
			return s
		}, Refused, CheckComplete, ReasonNotCovered},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.sample(t)
			court := s.w.people["court"].age
			wanted(t, verify(t, s.w, s.write(t), &court), c.verdict, c.check, c.reason)
		})
	}
}
