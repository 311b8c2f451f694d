package dossier

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/big"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// What third parties signed, changed in every way that TestAttestation knows and some more.
func TestIndependentOfAttestation(t *testing.T) {
	needsPython(t)
	a, id := witnessed(t)
	w, item, size := a.world, ev.ItemOf(id), len(a.logged)
	base := a.packed(id)
	size = len(w.logged)
	var list []asked
	try := func(name string, change func(s *sample)) {
		s := *base
		change(&s)
		list = append(list, asked{name, s.write(t), nil, a.trust})
	}
	third := w.logged[w.events[item][3]].signed.Event().Time
	other, again := newAuthority(w.now.Std().AddDate(-1, 0, 0)), newCosigner("one")
	try("as it is", func(*sample) {})
	for where, put := range map[string]func(s *sample, change func(note []byte) []byte){
		"receipt": func(s *sample, change func(note []byte) []byte) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = change(p.Checkpoint) })
		},
		"checkpoint": func(s *sample, change func(note []byte) []byte) {
			s.replace("log/checkpoint", change(s.file("log/checkpoint")))
		},
		"publication": func(s *sample, change func(note []byte) []byte) {
			p := w.parts(size-1, size)
			p.Checkpoint = change(p.Checkpoint)
			s.replace("log/heads.sigstore.json", must(tlog.NewReceipt(p)).Marshal())
		},
		"stand-in": func(s *sample, change func(note []byte) []byte) {
			s.withhold(item, 7, w.now.Add(30*day), func(h *Withheld) { h.Checkpoint = string(change([]byte(h.Checkpoint))) })
		},
	} {
		for what, change := range map[string]func(note []byte) []byte{
			"nothing":            func(note []byte) []byte { return note },
			"no witness":         func(note []byte) []byte { return bare(note, "one") },
			"no auditor":         func(note []byte) []byte { return bare(note, "auditor") },
			"a wrong witness":    func(note []byte) []byte { return spoilt(note, "two") },
			"a wrong auditor":    func(note []byte) []byte { return spoilt(note, "auditor") },
			"a wrong log":        func(note []byte) []byte { return spoilt(note, origin) },
			"a stranger":         func(note []byte) []byte { return append(bytes.Clone(note), newCosigner("x").line(note, w.now)...) },
			"another key's name": func(note []byte) []byte { return append(bytes.Clone(note), again.line(note, w.now)...) },
			"signed before":      func(note []byte) []byte { return append(bare(note, "one"), a.one.line(note, third.Add(-time.Hour))...) },
			"audited before": func(note []byte) []byte {
				return append(bare(note, "auditor"), a.auditor.line(note, third.Add(-time.Hour))...)
			},
			"signed two days late": func(note []byte) []byte {
				return append(bare(note, "one"), a.one.line(note, third.Add(48*time.Hour))...)
			},
			"no time":       func(note []byte) []byte { return append(bare(note, "one"), a.one.line(note, 0)...) },
			"two spaces":    func(note []byte) []byte { return bytes.Replace(note, []byte("— two "), []byte("— two  "), 1) },
			"another state": func(note []byte) []byte { return w.checkpoint(size - 1) },
			"garbage":       func(note []byte) []byte { return []byte("note") },
		} {
			func() {
				defer func() { _ = recover() }() // what cannot be written as a receipt
				try(where+": "+what, func(s *sample) { put(s, change) })
			}()
		}
	}
	stamped := func(response []byte) func(s *sample) {
		return func(s *sample) { s.replace(a.stampName(), response) }
	}
	own := func(at ev.Time, list string, seqs ...int64) func(s *sample) {
		return func(s *sample) {
			for _, seq := range seqs {
				s.rereceipt(seq, func(p *tlog.ReceiptParts) { p.Timestamps = [][]byte{a.authority.stamp(p.Signature, at)} })
			}
			if list != "" {
				s.replace("log/tsa.crl", nil)
				s.files = append(s.files, must(RevocationFile(list, a.authority.revoked(at.Add(-time.Hour), 2))))
			}
		}
	}
	tail := func(b []byte, change func(b []byte)) []byte { b = bytes.Clone(b); change(b); return b }
	for name, change := range map[string]func(s *sample){
		"no time stamp":            stamped(nil),
		"an empty time stamp":      stamped([]byte{}),
		"over another state":       stamped(a.authority.stamp(w.text(size-1), w.now)),
		"by another authority":     stamped(other.stamp(w.text(size), w.now)),
		"not a time stamp":         stamped([]byte("stamp")),
		"a large time stamp":       stamped(make([]byte, 17<<10)),
		"stamped as it was signed": stamped(a.authority.stamp(w.text(size), third)),
		"stamped long before":      stamped(a.authority.stamp(w.text(size), third.Add(-time.Hour))),
		"own":                      own(w.now, "", 3),
		"own, and no other":        func(s *sample) { own(w.now, "", 0, 1, 2, 3, 4, 5, 6, 7, 8)(s); stamped(nil)(s) },
		"own, two minutes before":  own(third.Add(-2*time.Minute-time.Second), "", 3),
		"own, more":                own(third.Add(-2*time.Minute-2*time.Second), "", 3),
		"own, listed as revoked":   own(w.now, "tsa", 3),
		"own twice": func(s *sample) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { b := a.authority.stamp(p.Signature, w.now); p.Timestamps = [][]byte{b, b} })
		},
		"own, of another event": func(s *sample) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Timestamps = [][]byte{a.authority.stamp(p.Leaf, w.now)} })
		},
		"another authority's list": func(s *sample) { s.replace("log/tsa.crl", other.revoked(w.now.Add(time.Hour), 2)) },
		"no list":                  func(s *sample) { s.replace("log/tsa.crl", nil) },
		"an old list":              func(s *sample) { s.replace("log/tsa.crl", a.authority.revoked(w.now.Add(-time.Hour))) },
		"revoked":                  func(s *sample) { s.replace("log/tsa.crl", a.authority.revoked(w.now.Add(time.Hour), 2)) },
		"revoked, another key":     func(s *sample) { s.replace("log/tsa.crl", a.authority.revoked(w.now.Add(time.Hour), 3)) },
		"a list with a wrong signature": func(s *sample) {
			s.replace("log/tsa.crl", tail(a.authority.revoked(w.now.Add(time.Hour), 2), func(b []byte) { b[len(b)-1] ^= 1 }))
		},
		"a list that is none":       func(s *sample) { s.replace("log/tsa.crl", []byte("list")) },
		"a large list":              func(s *sample) { s.replace("log/tsa.crl", make([]byte, 1<<20+1)) },
		"over a state nobody shows": func(s *sample) { s.files = append(s.files, must(StampFile(3, "tsa", []byte("stamp")))) },
		"a second one, by another": func(s *sample) {
			s.files = append(s.files, must(StampFile(int64(size), "second", other.stamp(w.text(size), w.now))))
		},
	} {
		try(name, change)
	}
	for _, c := range []struct {
		name  string
		entry x509.RevocationListEntry
	}{
		{"superseded afterwards", x509.RevocationListEntry{RevocationTime: w.now.Std().Add(time.Hour), ReasonCode: 4}},
		{"superseded before", x509.RevocationListEntry{RevocationTime: w.now.Std().Add(-time.Hour), ReasonCode: 4}},
		{"compromised afterwards", x509.RevocationListEntry{RevocationTime: w.now.Std().Add(time.Hour), ReasonCode: 1}},
	} {
		c.entry.SerialNumber = big.NewInt(2)
		try(c.name, func(s *sample) { s.replace("log/tsa.crl", a.authority.list(c.entry)) })
	}
	for _, c := range []struct {
		name string
		more pkix.Extension
	}{
		{"a delta list", pkix.Extension{Id: []int{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}},
		{"a part of a list", pkix.Extension{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 3, 0x81, 1, 0xff}}},
		{"a list of a place", pkix.Extension{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}},
		{"a list with what must be understood", pkix.Extension{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}},
	} {
		for _, serial := range []int64{2, 3} {
			try(fmt.Sprintf("%s, %d", c.name, serial), func(s *sample) {
				s.replace("log/tsa.crl", a.authority.list(x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: w.now.Std()}, c.more))
			})
		}
	}
	for name, policy := range map[string]string{
		"nobody":           "",
		"named, not asked": a.one.rule() + "quorum none\n",
		"another witness":  newCosigner("z").rule() + "quorum z\n",
		"the other one":    again.rule() + "quorum one\n",
		"auditors alone":   a.auditor.rule() + "group auditors 1 auditor\nquorum none\n",
	} {
		for what, change := range map[string]func(s *sample){
			"": func(*sample) {}, ", a wrong one": func(s *sample) {
				s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = spoilt(p.Checkpoint, "one") })
			}, ", signed long before": func(s *sample) {
				s.rereceipt(3, func(p *tlog.ReceiptParts) {
					p.Checkpoint = append(bare(p.Checkpoint, "one"), a.one.line(p.Checkpoint, third.Add(-time.Hour))...)
				})
			}} {
			for _, roots := range [][][]byte{nil, {a.authority.root.Raw}} {
				s := *base
				change(&s)
				trust := must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: policy, TimestampRoots: roots}))
				list = append(list, asked{fmt.Sprintf("%s%s, %d roots", name, what, len(roots)), s.write(t), nil, trust})
			}
		}
	}
	agree(t, some(list, 16)...)
}

// list is a revocation list with one entry.
func (a *authority) list(e x509.RevocationListEntry, more ...pkix.Extension) []byte {
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: e.RevocationTime.Add(48 * time.Hour), NextUpdate: e.RevocationTime.AddDate(0, 1, 0),
		RevokedCertificateEntries: []x509.RevocationListEntry{e}, ExtraExtensions: more}
	return must(x509.CreateRevocationList(rand.Reader, template, a.root, a.rootKey))
}

// What an earlier package shows, and proofs of growth, right and wrong.
func TestIndependentOfPrevious(t *testing.T) {
	needsPython(t)
	w, id := newShared(t)
	restore := w.snapshot()
	first := w.pack(id)
	old, from := first.write(t), len(w.logged)
	w.open(id)
	second := w.pack(id)
	to := len(w.logged)
	var list []asked
	try := func(name string, s *sample, earlier []byte, proofs ...Growth) {
		c := *s
		if proofs != nil {
			c.proving(proofs...)
		}
		list = append(list, asked{name, c.write(t), earlier, w.trust})
	}
	wrong := func(g Growth, i int) Growth {
		g.Hashes = slices.Clone(g.Hashes)
		g.Hashes[i] = make([]byte, 32)
		return g
	}
	grown := w.growth(from, to)
	proved := *second
	proved.proving(grown)
	newer := proved.write(t)
	try("unproven", second, old)
	try("proved", second, old, grown)
	try("proved, and nothing earlier", second, nil, grown)
	try("proved over a state that nobody showed", second, old, w.growth(from, from+1), w.growth(from+1, to))
	try("from a state that nobody showed", second, old, w.growth(from-1, to))
	try("to a state that nobody showed", second, old, w.growth(from, to-1))
	for i := range grown.Hashes {
		try(fmt.Sprint("a wrong hash ", i), second, old, wrong(grown, i))
		try(fmt.Sprint("a wrong hash between states that nobody showed ", i), second, nil, wrong(grown, i))
	}
	try("a hash less", second, old, Growth{grown.From, grown.Hashes[1:], grown.To})
	try("a hash more", second, old, Growth{grown.From, append(slices.Clone(grown.Hashes), make([]byte, 32)), grown.To})
	list = append(list, asked{"itself", newer, newer, w.trust}, asked{"the newer one", old, newer, w.trust})
	for name, b := range map[string][]byte{"garbage": []byte("garbage"), "nothing": {}, "cut off": old[:len(old)-1], "a byte changed": func() []byte {
		b := bytes.Clone(old)
		b[len(b)/2] ^= 1
		return b
	}()} {
		list = append(list, asked{name, newer, b, w.trust})
	}
	for name, change := range map[string]func(s *sample){
		"without its checkpoint":    func(s *sample) { s.replace("log/checkpoint", nil) },
		"without its publication":   func(s *sample) { s.replace("log/heads.sigstore.json", nil) },
		"another signature":         func(s *sample) { s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Signature = bytes.Clone(p.Leaf[:70]) }) },
		"an event is missing":       func(s *sample) { s.omit(3) },
		"its last event is missing": func(s *sample) { s.omit(int64(len(s.excerpt.Streams[0].receipts())) - 1) },
		"two events swapped": func(s *sample) {
			a, b := s.event(ev.ItemOf(id), 3), s.event(ev.ItemOf(id), 4)
			x, y := s.file(a), s.file(b)
			s.replace(a, y)
			s.replace(b, x)
		},
		"false growth":        func(s *sample) { s.proving(Growth{3, [][]byte{make([]byte, 32)}, int64(from)}) },
		"no evidence":         func(s *sample) { s.replace(ItemPath(id, "evidence.age"), nil) },
		"other evidence":      func(s *sample) { s.replace(ItemPath(id, "evidence.age"), []byte("x")) },
		"no proof of the end": func(s *sample) { s.replace("items/"+string(id)+"/complete.json", []byte("{}")) },
		"another end":         func(s *sample) { s.manifest.Covers-- },
		"a withheld step":     func(s *sample) { s.withhold(ev.ItemOf(id), 7, w.now.Add(30*day), func(*Withheld) {}) },
	} {
		s := *first
		change(&s)
		list = append(list, asked{"earlier: " + name, newer, s.write(t), w.trust})
	}
	other, theirs := newShared(t)
	list = append(list, asked{"another vault's", newer, other.pack(theirs).write(t), w.trust})
	s := *second
	s.withhold(ev.ItemOf(id), 7, w.now.Add(30*day), func(*Withheld) {})
	try("a step withheld now", &s, old, grown)
	for more := range 6 {
		restore()
		for range more {
			w.open(id)
		}
		try(fmt.Sprint("forked, more: ", more), w.pack(id), old)
		try(fmt.Sprint("forked, with a proof, more: ", more), w.pack(id), old, Growth{int64(from), [][]byte{make([]byte, 32)}, int64(from + 50)})
	}
	agree(t, some(list, 8)...)
}

// Receipts under states of different sizes.
func TestIndependentOfConsistency(t *testing.T) {
	needsPython(t)
	w, id := newShared(t)
	base := w.pack(id)
	n := len(w.logged)
	sizes := []int{n - 8, n - 5}
	var list []asked
	for _, proofs := range [][]Growth{nil, {w.growth(sizes[0], n), w.growth(sizes[1], n)}, {w.growth(sizes[0], sizes[1]), w.growth(sizes[1], n)}, {w.growth(sizes[0], n)},
		{{3, [][]byte{make([]byte, 32)}, 4}}, {{int64(sizes[0]), [][]byte{make([]byte, 32)}, int64(n)}}, {{int64(sizes[0]), [][]byte{make([]byte, 32)}, int64(n + 9)}}} {
		s := *base
		for i, size := range sizes {
			s.rereceipt(int64(i), func(p *tlog.ReceiptParts) {
				p.Proof, p.Checkpoint = must(w.tree.InclusionProof(uint64(p.Index), uint64(size))), w.checkpoint(size)
			})
		}
		if proofs != nil {
			s.proving(proofs...)
		}
		list = append(list, asked{fmt.Sprint(len(list)), s.write(t), nil, w.trust})
	}
	for _, text := range []string{"", "{}", `{"proofs":[],"version":1}`, `{"proofs":[],"version":1}` + "\n", `{"proofs":[],"version":2}`, `{"proofs":null,"version":1}`,
		`{"proofs":[{"from":0,"hashes":[],"to":1}],"version":1}`, `{"proofs":[{"from":2,"hashes":["` + base64.StdEncoding.EncodeToString(make([]byte, 31)) + `"],"to":3}],"version":1}`} {
		s := *base
		s.replace(consistencyName, []byte(text))
		list = append(list, asked{text, s.write(t), nil, w.trust})
	}
	fork := testonly.New(rfc6962.DefaultHasher)
	for i := range sizes[1] {
		leaf := w.logged[i].signed.Leaf()
		if i == sizes[1]-1 {
			leaf = []byte("another")
		}
		fork.AppendData(leaf)
	}
	for _, proofs := range [][]Growth{nil, {w.growth(sizes[1], n)}} {
		s := *base
		s.rereceipt(1, func(p *tlog.ReceiptParts) {
			p.Proof = must(fork.InclusionProof(uint64(p.Index), uint64(sizes[1])))
			p.Checkpoint = must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: int64(sizes[1]), Root: tlog.Hash(fork.Hash())}, w.signer))
		})
		if proofs != nil {
			s.proving(proofs...)
		}
		list = append(list, asked{fmt.Sprint("forked, proofs: ", len(proofs)), s.write(t), nil, w.trust})
	}
	agree(t, some(list, 5)...)
}

// mldsa cosigns a state of the log with a key of ML-DSA-44.
func mldsa(w *world, name string) (vkey string, line func(size int, at ev.Time) string) {
	private, vkey, err := formats.GenerateMLDSAKey(name)
	signer := must(formats.NewMLDSASigner(must(private, err)))
	return vkey, func(size int, at ev.Time) string {
		root := w.tree.HashAt(uint64(size))
		sig := must(signer.SignSubtree(uint64(at.Std().Unix()), origin, 0, uint64(size), root))
		return "— " + name + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, signer.KeyHash()), sig...)) + "\n"
	}
}

// Signatures of a kind that the openssl at hand does not know are neither believed nor passed over; where it knows them they are verified. Whether
// it does depends on the machine, so both are looked at everywhere: beside it with the stand-ins of openSSL.
func TestIndependentOfMLDSA(t *testing.T) {
	needsPython(t)
	a, id := witnessed(t)
	w := a.world
	witness, sign := mldsa(w, "three")
	own, seal := mldsa(w, origin)
	known, err := exec.Command("openssl", "list", "-signature-algorithms").Output()
	able := strings.Contains(string(must(known, err)), "ML-DSA-44")
	cases := []struct {
		name, policy string
		check        Check
		lines        func(size int, note []byte) string
	}{
		{"a witness", "witness three " + witness + " https://three.example\nquorum three\n", CheckWitnesses, func(size int, _ []byte) string { return sign(size, w.now) }},
		{"an auditor", "witness three " + witness + " https://three.example\ngroup auditors all three\nquorum none\n", CheckAudit, func(size int, _ []byte) string { return sign(size, w.now) }},
		{"the log itself", "log " + own + "\nquorum none\n", CheckCheckpoint, func(size int, _ []byte) string { return seal(size, w.now) }},
		{"another state", "log " + own + "\nquorum none\n", CheckCheckpoint, func(size int, _ []byte) string { return seal(size-1, w.now) }},
		{"another witness", a.one.rule() + "witness three " + witness + " https://three.example\nquorum one\n", CheckWitnesses, func(size int, note []byte) string { return a.one.line(note, w.now) + sign(size-1, w.now) }},
	}
	var list []asked
	for _, c := range cases {
		w.notes = map[int][]byte{}
		w.attest = func(size int, note []byte) []byte { return append(note, c.lines(size, note)...) }
		trust := must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: c.policy}))
		list = append(list, asked{name: c.name, data: a.pack(id).write(t), trust: trust})
	}
	agreedBy(t, openSSL(t, "new"), differ, list)
	if able {
		agree(t, list...)
	}
	for i, r := range opinionsBy(t, openSSL(t, "old"), list) {
		if found := r.Check(cases[i].check); r.Verdict != Incomplete || found.Result != NotChecked || found.Reason != "algorithm" || !strings.Contains(found.Detail, "ML-DSA-44") {
			t.Errorf("%s: %s, %+v", cases[i].name, r.Verdict, r.Checks)
		}
	}
}

// A list in the package counts for every time stamp of keys of its issuer, whatever it is called and whatever else it says that need not be understood.
func TestIndependentOfRevocation(t *testing.T) {
	needsPython(t)
	a, id := witnessed(t)
	w := a.world
	base, other := a.packed(id), newAuthority(a.now.Std().AddDate(-1, 0, 0))
	size := len(w.logged)
	trust := must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: a.trust.WitnessPolicy(),
		TimestampRoots: [][]byte{a.authority.root.Raw, other.root.Raw}}))
	revoked := a.authority.revoked(w.now.Add(-time.Hour), 2)
	var list []asked
	for name, crl := range map[string][]byte{"tsa": revoked, "second": revoked, "nobody": a.authority.revoked(w.now.Add(time.Hour), 3),
		"more": a.authority.list(x509.RevocationListEntry{SerialNumber: big.NewInt(2), RevocationTime: w.now.Std()}, pkix.Extension{Id: []int{1, 3, 6, 1, 4, 1, 311, 21, 1}, Value: []byte{2, 1, 0}})} {
		s := *base
		s.replace(a.stampName(), nil)
		s.replace("log/tsa.crl", nil)
		s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Timestamps = [][]byte{a.authority.stamp(p.Signature, w.now)} })
		s.files = append(s.files, must(StampFile(int64(size), "second", other.stamp(w.text(size), w.now))), must(RevocationFile(name, crl)))
		list = append(list, asked{name: name, data: s.write(t), trust: trust})
	}
	for i, r := range opinions(t, list) {
		verdict, reason := Refused, ReasonTimestampRevoked
		if list[i].name == "nobody" {
			verdict, reason = Verified, ""
		}
		wanted(t, r, verdict, CheckTime, reason)
		ours := must(Verify(bytes.NewReader(list[i].data), int64(len(list[i].data)), Options{Trust: &trust}))
		wanted(t, ours, verdict, CheckTime, reason)
	}
}
