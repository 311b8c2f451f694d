package dossier

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// cosigner is a witness or an auditor.
type cosigner struct {
	name string
	key  ed25519.PrivateKey
	vkey string
	id   []byte
}

func newCosigner(name string) *cosigner {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	must(0, err)
	typed := append([]byte{4}, pub...)
	id := sha256.Sum256(slices.Concat([]byte(name+"\n"), typed))
	return &cosigner{name, key, fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(typed)), id[:4]}
}

func (c *cosigner) rule() string {
	return "witness " + c.name + " " + c.vkey + " https://" + c.name + ".example\n"
}

// line cosigns a note's text.
func (c *cosigner) line(note []byte, at ev.Time) string {
	text, _, _ := bytes.Cut(note, []byte("\n\n"))
	seconds := uint64(at.Std().Unix())
	sig := ed25519.Sign(c.key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s\n", seconds, text))
	return "— " + c.name + " " + base64.StdEncoding.EncodeToString(slices.Concat(c.id, binary.BigEndian.AppendUint64(nil, seconds), sig)) + "\n"
}

// authority is an RFC 3161 authority that is told the time.
type authority struct {
	root, own       *x509.Certificate
	rootKey, ownKey *ecdsa.PrivateKey
}

func newAuthority(from time.Time, unit ...string) *authority {
	a := &authority{rootKey: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), ownKey: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root of the authority"}, NotBefore: from, NotAfter: from.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}}
	a.root = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, root, root, &a.rootKey.PublicKey, a.rootKey))))
	usage := must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})) // timeStamping, critical and alone
	own := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "authority", OrganizationalUnit: unit}, NotBefore: from, NotAfter: from.AddDate(20, 0, 0),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}}
	a.own = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, own, a.root, &a.ownKey.PublicKey, a.rootKey))))
	return a
}

func (a *authority) trust() tlog.Authority {
	return tlog.Authority{URI: "https://tsa.example", Chain: [][]byte{a.own.Raw, a.root.Raw}, Valid: tlog.Valid{Start: a.own.NotBefore}}
}

func (a *authority) stamp(message []byte, at ev.Time) []byte {
	digest := sha256.Sum256(message)
	answer := timestamp.Timestamp{HashAlgorithm: crypto.SHA256, HashedMessage: digest[:], Time: at.Std(), Accuracy: time.Second, Policy: asn1.ObjectIdentifier{1, 2, 3},
		SerialNumber: big.NewInt(1), AddTSACertificate: true}
	canonical, _, err := tlog.CanonicalTimestamp(must(answer.CreateResponseWithOpts(a.own, a.ownKey, crypto.SHA256)), message, []*x509.Certificate{a.root}, nil)
	return must(canonical, err)
}

func (a *authority) revoked(issued ev.Time, serials ...int64) []byte {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: issued.Std(), NextUpdate: issued.Std().AddDate(0, 1, 0)}
	for _, s := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(s), RevocationTime: issued.Std()})
	}
	return must(x509.CreateRevocationList(rand.Reader, list, a.root, a.rootKey))
}

// attested is a world in which two witnesses, an auditor and an authority look on.
type attestedWorld struct {
	*world
	one, two, auditor *cosigner
	authority         *authority
	seen              map[int]ev.Time // when each state of the log was there
}

// witnessed makes third parties look at the log from now on, whose trust file asks for all of them.
func witnessed(t testing.TB, unit ...string) (*attestedWorld, ev.ItemID) {
	w, id := newShared(t)
	a := &attestedWorld{world: w, one: newCosigner("one"), two: newCosigner("two"), auditor: newCosigner("auditor"), authority: newAuthority(w.now.Std().AddDate(-1, 0, 0), unit...), seen: map[int]ev.Time{}}
	a.trusting(a.one.rule() + a.two.rule() + a.auditor.rule() + "group both all one two\ngroup auditors 1 auditor\nquorum both\n")
	w.attest = func(size int, note []byte) []byte {
		if a.seen[size] == 0 {
			a.seen[size] = w.now
		}
		return append(note, a.one.line(note, a.seen[size])+a.two.line(note, a.seen[size])+a.auditor.line(note, a.seen[size].Add(time.Hour))...)
	}
	return a, id
}

func (a *attestedWorld) trusting(policy string) {
	a.trust = must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: policy,
		Authorities: []tlog.Authority{a.authority.trust()}, TimestampRoots: [][]byte{a.authority.root.Raw}}))
}

// text is what is stamped of a state of the log.
func (w *world) text(size int) []byte {
	text, _, _ := bytes.Cut(w.checkpoint(size), []byte("\n\n"))
	return append(bytes.Clone(text), '\n')
}

// packed is a final package: cosigned, stamped, with a list that revokes nothing.
func (a *attestedWorld) packed(ids ...ev.ItemID) *sample {
	s := a.pack(ids...)
	size := len(a.logged)
	s.files = append(s.files, must(StampFile(int64(size), "tsa", a.authority.stamp(a.text(size), a.now))), must(RevocationFile("tsa", a.authority.revoked(a.now.Add(time.Hour)))))
	return s
}

func (a *attestedWorld) stampName() string { return fmt.Sprintf("log/%d-tsa.tsr", len(a.logged)) }

// bare takes lines of some signers off a note.
func bare(note []byte, names ...string) []byte {
	var kept []string
	for line := range strings.Lines(string(note)) {
		if !slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(line, "— "+name+" ") }) {
			kept = append(kept, line)
		}
	}
	return []byte(strings.Join(kept, ""))
}

// spoilt changes the signature of one line.
func spoilt(note []byte, name string) []byte {
	_, line, _ := strings.Cut(string(note), "— "+name+" ")
	line, _, _ = strings.Cut(line, "\n")
	raw := must(base64.StdEncoding.DecodeString(line))
	raw[len(raw)-1] ^= 1
	return bytes.Replace(note, []byte(line), []byte(base64.StdEncoding.EncodeToString(raw)), 1)
}

func TestFinal(t *testing.T) {
	a, id := witnessed(t)
	court := a.people["court"].age
	r := verify(t, a.world, a.packed(id).write(t), &court)
	for _, c := range r.Checks {
		if c.Result != Pass {
			t.Errorf("%s: %s, %s", c.Name, c.Result, c.Reason)
		}
	}
	if r.Verdict != Verified {
		t.Fatal(r.Verdict)
	}
	for _, e := range r.Events {
		if want := a.seen[len(a.logged)]; e.By.Std() != want.Std().Truncate(time.Second) || e.After != 0 || e.Stamped != 0 || e.Drift != 0 {
			t.Errorf("step %d: by %v, want %v, %+v", e.Step, e.By, want, e)
		}
	}
	said := words(t, r)
	for _, s := range []string{"Not asked", "log/", "one history", "revoked", "development"} {
		if strings.Contains(said, s) {
			t.Errorf("it says %q:\n%s", s, said)
		}
	}
	if !strings.Contains(said, "Independent clocks: entered by ") {
		t.Errorf("nothing is said of the clocks:\n%s", said)
	}
}

// Whatever the trust file asks third parties for is asked of every receipt, of the checkpoint and of what stands for a withheld event.
func TestAttestation(t *testing.T) {
	a, id := witnessed(t)
	base := a.packed(id)
	w, item := a.world, ev.ItemOf(id)
	size := len(w.logged)
	receipt := func(change func(note []byte) []byte) func(s *sample) {
		return func(s *sample) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = change(p.Checkpoint) })
		}
	}
	file := func(change func(note []byte) []byte) func(s *sample) {
		return func(s *sample) { s.replace("log/checkpoint", change(s.file("log/checkpoint"))) }
	}
	heads := func(change func(note []byte) []byte) func(s *sample) {
		return func(s *sample) {
			p := w.parts(size-1, size)
			p.Checkpoint = change(p.Checkpoint)
			s.replace("log/heads.sigstore.json", must(tlog.NewReceipt(p)).Marshal())
		}
	}
	held := func(change func(note []byte) []byte) func(s *sample) {
		return func(s *sample) {
			s.withhold(item, 7, w.now.Add(30*day), func(h *Withheld) { h.Checkpoint = string(change([]byte(h.Checkpoint))) })
		}
	}
	stamped := func(response []byte) func(s *sample) {
		return func(s *sample) { s.replace(a.stampName(), response) }
	}
	own := func(at ev.Time, seqs ...int64) func(s *sample) {
		return func(s *sample) {
			for _, seq := range seqs {
				s.rereceipt(seq, func(p *tlog.ReceiptParts) { p.Timestamps = [][]byte{a.authority.stamp(p.Signature, at)} })
			}
		}
	}
	without := func(names ...string) func([]byte) []byte {
		return func(note []byte) []byte { return bare(note, names...) }
	}
	wrong := func(name string) func([]byte) []byte {
		return func(note []byte) []byte { return spoilt(note, name) }
	}
	stranger, other := newCosigner("stranger"), newAuthority(w.now.Std().AddDate(-1, 0, 0))
	third := w.logged[w.events[item][3]].signed.Event().Time
	for _, c := range []struct {
		name    string
		change  func(s *sample)
		verdict Verdict
		check   Check
		reason  string
	}{
		{"as it should be", func(*sample) {}, Verified, CheckWitnesses, ""},
		{"a stranger's line", receipt(func(note []byte) []byte { return append(bytes.Clone(note), stranger.line(note, w.now)...) }), Verified, CheckWitnesses, ""},
		{"a receipt without a witness", receipt(without("one")), Incomplete, CheckWitnesses, ReasonWitnessMissing},
		{"a receipt without an auditor", receipt(without("auditor")), Verified, CheckAudit, ""},
		{"a receipt with a wrong cosignature", receipt(wrong("one")), Refused, CheckWitnesses, ReasonWitnessSignature},
		{"a receipt with an auditor's wrong one", receipt(wrong("auditor")), Refused, CheckWitnesses, ReasonWitnessSignature},
		{"the checkpoint without a witness", file(without("two")), Incomplete, CheckWitnesses, ReasonWitnessMissing},
		{"the checkpoint without its auditor", file(without("auditor")), Incomplete, CheckAudit, ReasonAuditMissing},
		{"the checkpoint with a wrong cosignature", file(wrong("two")), Refused, CheckWitnesses, ReasonWitnessSignature},
		{"the publication without a witness", heads(without("two")), Incomplete, CheckWitnesses, ReasonWitnessMissing},
		{"the publication with a wrong cosignature", heads(wrong("two")), Refused, CheckWitnesses, ReasonWitnessSignature},
		{"withheld, final", held(func(note []byte) []byte { return note }), Incomplete, CheckWitnesses, ""},
		{"withheld, without a witness", held(without("two")), Incomplete, CheckWitnesses, ReasonWitnessMissing},
		{"withheld, with a wrong cosignature", held(wrong("two")), Refused, CheckWitnesses, ReasonWitnessSignature},

		{"no time stamp", stamped(nil), Incomplete, CheckTime, ReasonTimestampMissing},
		{"over another state", stamped(a.authority.stamp(w.text(size-1), w.now)), Refused, CheckTime, ReasonTimestamp},
		{"by another authority", stamped(other.stamp(w.text(size), w.now)), Refused, CheckTime, ReasonTimestamp},
		{"garbage", stamped([]byte("stamp")), Refused, CheckTime, ReasonTimestamp},
		{"another one does not hold", func(s *sample) {
			s.files = append(s.files, must(StampFile(int64(size), "second", other.stamp(w.text(size), w.now))))
		}, Refused, CheckTime, ReasonTimestamp},
		{"of a revoked key", func(s *sample) { s.replace("log/tsa.crl", a.authority.revoked(w.now.Add(-time.Hour), 2)) }, Refused, CheckTime, ReasonTimestampRevoked},
		{"revoked is another key", func(s *sample) { s.replace("log/tsa.crl", a.authority.revoked(w.now.Add(time.Hour), 3)) }, Verified, CheckTime, ""},
		{"own, and no other", func(s *sample) {
			own(w.now, 0, 1, 2, 3, 4, 5, 6, 7, 8)(s)
			stamped(nil)(s)
		}, Incomplete, CheckTime, ReasonTimestampMissing}, // the related streams have none
		{"own", own(w.now, 3), Verified, CheckTime, ""},
		{"own, of another event", func(s *sample) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Timestamps = [][]byte{a.authority.stamp(p.Leaf, w.now)} })
		}, Refused, CheckTime, ReasonTimestamp},
		{"own, two minutes before", own(third.Add(-2*time.Minute-time.Second), 3), Verified, CheckTime, ""}, // a second is the authority's accuracy
		{"own, more than two minutes before", own(third.Add(-2*time.Minute-2*time.Second), 3), Refused, CheckTime, ReasonTimeBounds},
		{"stamped before it was signed", stamped(a.authority.stamp(w.text(size), third)), Verified, CheckTime, ""},
		{"stamped long before it was signed", stamped(a.authority.stamp(w.text(size), third.Add(-time.Hour))), Refused, CheckTime, ReasonTimeBounds},
		{"cosigned before it was signed", receipt(func(note []byte) []byte {
			return append(bare(note, "one", "two"), a.one.line(note, third.Add(-time.Hour))+a.two.line(note, third.Add(-time.Hour))...)
		}), Refused, CheckTime, ReasonTimeBounds},
		{"by one of them", receipt(func(note []byte) []byte {
			return append(bare(note, "one"), a.one.line(note, third.Add(-time.Hour))...)
		}), Verified, CheckTime, ""},
		{"audited before it was signed", file(func(note []byte) []byte {
			return append(bare(note, "auditor"), a.auditor.line(note, third.Add(-time.Hour))...)
		}), Verified, CheckTime, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := *base
			c.change(&s)
			r := verify(t, w, s.write(t), nil)
			wanted(t, r, c.verdict, c.check, c.reason)
			if c.reason == "" && r.Check(c.check).Result != Pass {
				t.Errorf("%s: %+v", c.check, r.Check(c.check))
			}
		})
	}
}

// A trust file that asks for nobody is what it was, whatever lies in the package; a cosignature that is wrong is wrong all the same.
func TestNobodyAsked(t *testing.T) {
	a, id := witnessed(t)
	s := a.packed(id)
	none := must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders()}))
	named := must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: a.one.rule() + "quorum none\n"}))
	for _, trust := range []tlog.Trust{none, named} {
		a.trust = trust
		r := verify(t, a.world, s.write(t), nil)
		wanted(t, r, Verified, CheckWitnesses, ReasonNoWitness)
		wanted(t, r, Verified, CheckTime, ReasonNoAuthority)
		wanted(t, r, Verified, CheckAudit, ReasonNoAuditor)
		if r.Events[0].By != 0 || r.Events[0].After != 0 {
			t.Errorf("bounds by nobody's word: %+v", r.Events[0])
		}
		if said := words(t, r); !strings.Contains(said, "No independent witness was required") || !strings.Contains(said, a.stampName()) {
			t.Error(said)
		}
	}
	s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = spoilt(p.Checkpoint, "one") })
	wanted(t, verify(t, a.world, s.write(t), nil), Refused, CheckWitnesses, ReasonWitnessSignature)
}

// What the development authority stamps is said in the first lines, and so is what no list of revoked keys covers, further down.
func TestDevelopmentStamp(t *testing.T) {
	a, id := witnessed(t, tlog.DevelopmentUnit)
	s := a.packed(id)
	s.replace("log/tsa.crl", nil)
	r := verify(t, a.world, s.write(t), nil)
	wanted(t, r, Verified, CheckTime, "")
	said := words(t, r)
	if head, _, _ := strings.Cut(said, "This shows"); !strings.Contains(head, "development authority") || !strings.Contains(said, "had been revoked") {
		t.Error(said)
	}
	if strings.Count(said, "development authority") != 1 || !strings.Contains(strings.Join(r.DoesNotShow, "\n"), "development authority") {
		t.Errorf("%q", r.DoesNotShow)
	}
}

// An event entered after a witness had seen the log without it was, by what it states, signed earlier by no more than it may wait.
func TestEnteredLate(t *testing.T) {
	for _, c := range []struct {
		late    time.Duration
		verdict Verdict
		drift   bool
		said    bool
	}{{0, Verified, false, false}, {2 * time.Minute, Verified, true, false}, {time.Hour, Verified, true, true}, {24 * time.Hour, Verified, true, true}, {25 * time.Hour, Refused, true, true}} {
		a, id := witnessed(t)
		w := a.world
		before := len(w.logged)
		w.do(w.on(id, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
		late := w.logged[before].signed.Event()
		a.seen[before] = late.Time.Add(c.late)
		w.now = w.now.Add(48 * time.Hour)
		s := a.packed(id)
		s.rereceiptOf(ev.ItemOf(id), 1, func(p *tlog.ReceiptParts) { // an earlier step stands under the state that the witness saw
			p.Proof, p.Checkpoint = must(w.tree.InclusionProof(uint64(p.Index), uint64(before))), w.checkpoint(before)
		})
		s.files = append(s.files, must(StampFile(int64(before), "tsa", a.authority.stamp(w.text(before), w.now))))
		r := verify(t, w, s.write(t), nil)
		reason := ""
		if c.verdict == Refused {
			reason = ReasonTimeBounds
		}
		wanted(t, r, c.verdict, CheckTime, reason)
		e := r.Events[late.Stream.Seq]
		if (e.Drift < 0) != c.drift || e.After == 0 || e.By == 0 || e.After >= e.By {
			t.Errorf("%v: %+v", c.late, e)
		}
		if c.verdict == Verified && strings.Contains(strings.Join(r.DoesNotShow, "\n"), "waited for its entry") != c.said {
			t.Errorf("%v: %q", c.late, r.DoesNotShow)
		}
		if c.drift && !strings.Contains(words(t, r), "the time stated is ") {
			t.Errorf("%v: nothing is said:\n%s", c.late, words(t, r))
		}
	}
}

// Auditors and authorities may come to a state long after it was there: their times bound from above alone.
func TestComingLate(t *testing.T) {
	a, id := witnessed(t)
	w := a.world
	before := len(w.logged)
	w.do(w.on(id, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	a.seen[before] = w.logged[before-1].signed.Event().Time
	s := a.packed(id)
	s.rereceiptOf(ev.ItemOf(id), 1, func(p *tlog.ReceiptParts) {
		note := bare(w.checkpoint(before), "auditor")
		p.Proof, p.Checkpoint = must(w.tree.InclusionProof(uint64(p.Index), uint64(before))), append(note, a.auditor.line(note, w.now.Add(90*day))...)
	})
	s.files = append(s.files, must(StampFile(int64(before), "tsa", a.authority.stamp(w.text(before), w.now.Add(90*day)))))
	r := verify(t, w, s.write(t), nil)
	wanted(t, r, Verified, CheckTime, "")
	if after := r.Events[len(r.Events)-1].After; after.Std() != a.seen[before].Std().Truncate(time.Second) {
		t.Errorf("after %v, want %v", after, a.seen[before])
	}
}

// An entry lies after the latest time since which a state without it was the newest, and before the first by which one with it was there.
func TestTimeline(t *testing.T) {
	c := clock{}
	for _, s := range []struct {
		size      int64
		since, by ev.Time
	}{{5, 90, 80}, {5, 60, 100}, {5, 0, 0}, {7, 60, 60}, {9, 0, 300}, {10, 0, 0}, {12, 200, 0}, {12, 0, 250}} {
		c.seen(s.size, s.since, s.by)
	}
	line := c.timeline()
	for _, want := range []struct {
		index     int64
		after, by ev.Time
	}{{0, 0, 60}, {4, 0, 60}, {5, 90, 60}, {6, 90, 60}, {7, 90, 250}, {8, 90, 250}, {9, 90, 250}, {11, 90, 250}, {12, 200, 0}, {1 << 50, 200, 0}} {
		if got := line.bounds(want.index); got != (Bounds{After: want.after, By: want.by}) {
			t.Errorf("entry %d: %+v, want %+v", want.index, got, want)
		}
	}
	if got := (clock{}).timeline().bounds(3); got != (Bounds{}) {
		t.Errorf("nobody saw anything: %+v", got)
	}
}

// However many receipts stand under a checkpoint, what is signed of it is verified once.
func TestVerifiedOnce(t *testing.T) {
	a, id := witnessed(t)
	s := a.packed(id)
	c := newCheckpoints(a.trust, s.excerpt)
	first := must(c.open(must(tlog.ParseReceipt(s.excerpt.Heads))))
	n := 0
	for _, stream := range s.excerpt.Streams {
		for _, receipt := range stream.receipts() {
			if again := must(c.open(must(tlog.ParseReceipt(receipt)))); again != first {
				t.Fatal("verified again")
			}
			n++
		}
	}
	if n < 10 || !first.quorum || !first.audited {
		t.Errorf("%d receipts, %+v", n, first.attested)
	}
}

// No bit of what third parties signed can be changed unseen.
func TestEveryByteOfAttestations(t *testing.T) {
	a, id := witnessed(t)
	f := newForger(a.packed(id).write(t))
	for _, name := range []string{"log/checkpoint", a.stampName()} {
		l, _ := f.pkg.listed(name)
		chosen(int(l.Size), 150, func(i int) {
			f.flip(name, i, i%8)
			if verify(t, a.world, f.data, nil).Verdict == Verified {
				t.Errorf("bit %d of byte %d of %s", i%8, i, name)
			}
			f.flip(name, i, i%8)
		})
	}
	if verify(t, a.world, f.data, nil).Verdict != Verified {
		t.Fatal("what was changed was not changed back")
	}
}
