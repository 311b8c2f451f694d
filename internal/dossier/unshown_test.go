package dossier

import (
	"context"
	"crypto/ed25519"
	"errors"
	"slices"
	"testing"

	"strongroom.example/strongroom/internal/audit"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// shown is what a vault shows an auditor: its whole log, but of its publications only some.
type shown struct {
	*world
	auditor      *audit.Follower
	by           *audit.Cosigner
	publications []int
	lines        map[int]string // with which the auditor cosigned, by size
	falsely      map[int]uint64 // entries that stand in the list under another sequence number than their own
}

// audited is a world with two witnesses and an auditor who is shown what the world publishes from now on.
func audited(t *testing.T) (*shown, ev.ItemID) {
	a, id := witnessed(t)
	w := a.world
	w.trust = must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: w.trust.Logs(), Founders: w.trust.Founders(), WitnessPolicy: w.trust.WitnessPolicy()}))
	key := a.auditor.key
	by := must(audit.NewCosigner(a.auditor.name, key.Public().(ed25519.PublicKey), func(m []byte) ([]byte, error) { return ed25519.Sign(key, m), nil }))
	state := must(audit.Open(t.Context(), t.TempDir(), w.trust.LogKeys()))
	t.Cleanup(func() { state.Close() })
	s := &shown{world: w, by: by, lines: map[int]string{}}
	s.auditor = &audit.Follower{State: state, Vault: s}
	w.attest = func(size int, note []byte) []byte {
		return append(note, a.one.line(note, w.now)+a.two.line(note, w.now)+s.lines[size]...)
	}
	return s, id
}

// look has the auditor verify what is shown, and sign every state that it signs.
func (s *shown) look() {
	s.t.Helper()
	must(s.auditor.Step(s.t.Context()))
	s.sign()
}

func (s *shown) sign() {
	s.t.Helper()
	for size := 1; size <= len(s.logged); size++ {
		line, _, err := s.auditor.Cosign(s.checkpoint(size), s.by, s.now.Std())
		if err == nil {
			s.lines[size] = string(line)
		} else if !errors.Is(err, audit.ErrBehind) {
			s.t.Fatal(err)
		}
	}
	clear(s.notes)
}

// publish enters a publication that is true to what the auditor is shown.
func (s *shown) publish() { s.publishUpTo(len(s.logged)) }

// publishUpTo covers so many entries only.
func (s *shown) publishUpTo(covers int) {
	s.t.Helper()
	var entries []heads.Entry
	for i, l := range s.logged[:covers] {
		entries = append(entries, heads.Entry{Key: s.key(i), Value: l.signed.LeafHash()})
	}
	s.publications = append(s.publications, len(s.logged))
	n := int64(len(entries))
	s.do(s.event("vault", ev.VaultOf(origin), ev.VaultHeads, &ev.VaultHeadsDetails{Covers: n, Entries: n, Root: must(heads.Build(entries)).Root()}))
}

func (s *shown) key(i int) [32]byte {
	at := s.logged[i].signed.Event().Stream
	seq := uint64(at.Seq)
	if other, ok := s.falsely[i]; ok {
		seq = other
	}
	return heads.Key(at.Stream().Tag(origin), seq)
}

func (s *shown) Checkpoint(context.Context) ([]byte, error) { return s.checkpoint(len(s.logged)), nil }

func (s *shown) Consistency(_ context.Context, from, to int64) ([][]byte, error) {
	return s.growth(int(from), int(to)).Hashes, nil
}

func (s *shown) Leaves(_ context.Context, start, count int64) (list []tlog.Hash, _ error) {
	for _, l := range s.logged[start:min(start+count, int64(len(s.logged)))] {
		list = append(list, tlog.LeafHash(l.signed.Leaf()))
	}
	return list, nil
}

func (s *shown) Keys(_ context.Context, start, count int64) (list [][32]byte, _ error) {
	for i := start; i < min(start+count, int64(len(s.logged))); i++ {
		list = append(list, s.key(int(i)))
	}
	return list, nil
}

func (s *shown) Statements(_ context.Context, start, count int64) (list []tlog.TreeLeaf, _ error) {
	for _, l := range s.logged[start:min(start+count, int64(len(s.logged)))] {
		list = append(list, tlog.TreeLeaf{Value: l.signed.Leaf(), Extra: l.signed.DSSE()})
	}
	return list, nil
}

func (s *shown) Publications(_ context.Context, seq int64) (list [][]byte, _ error) {
	for _, at := range s.publications {
		if s.logged[at].seq >= seq {
			list = append(list, s.receipt(at, len(s.logged)))
		}
	}
	return list, nil
}

func (s *shown) Authors(context.Context) ([]audit.Author, error) {
	return []audit.Author{{SPKI: s.people["vault"].key.SPKI(), From: -1}}, nil
}

// under puts a package's publication, at an index, under another state of the log.
func (s *sample) under(at, size int) {
	s.replace("log/heads.sigstore.json", s.w.receipt(at, size))
	s.replace("log/checkpoint", s.w.checkpoint(size))
}

// A vault proves to a court, under a list of last steps without the withdrawal of the consent, that nothing was withdrawn. It keeps this list
// from the auditor, who is shown another right after it and finds nothing wrong yet: what it signs is no word for the one that it was not
// shown. The next list covers that one as well, whose place is taken.
func keptFromAuditor(t *testing.T) (lie []asked) {
	s, id := audited(t)
	w := s.world
	s.publish()
	s.look()
	vault, consent := ev.VaultOf(origin), ev.ConsentOf(w.con)
	before, given := w.facts.States[vault], w.facts.States[consent]
	w.withdraw()
	gone := len(w.logged) - 1
	w.facts.States[consent], w.events[consent] = given, w.events[consent][:1]
	w.logged[gone].seq = 1 << 40
	p := w.pack(id)
	unshown := len(w.logged) - 1
	w.facts.States[vault] = before
	w.logged[gone].seq = 1
	s.publishUpTo(unshown)
	s.look()
	right := len(w.logged)
	if s.lines[right] == "" || s.lines[unshown+1] != "" {
		t.Fatalf("of the states right after the list that was shown, and after the other: %q, %q", s.lines[right], s.lines[unshown+1])
	}
	for _, size := range []int{unshown + 1, right} {
		p := *p
		p.under(unshown, size)
		lie = append(lie, asked{name: "kept from the auditor", data: p.write(t), trust: w.trust})
	}
	return lie
}

// Where the auditor was shown the publication its word is there, for the state right after it, whatever has happened since.
func shownToAuditor(t *testing.T) (packages []asked, verdicts []Verdict) {
	s, id := audited(t)
	p := s.pack(id)
	at := len(s.logged) - 1
	s.publications = append(s.publications, at)
	s.look()
	s.open(id)
	s.publish()
	s.look()
	for _, size := range []int{at + 1, at + 2, len(s.logged)} {
		p := *p
		p.under(at, size)
		packages = append(packages, asked{name: "shown to the auditor", data: p.write(t), trust: s.trust})
	}
	return packages, []Verdict{Verified, Incomplete, Incomplete}
}

// A vault puts the withdrawal of the consent into the list of last steps under a place that is nobody's, and shows the auditor all of it: each
// entry is there, with a place of its own, and the list is what the vault signed. The statement says another place.
func putElsewhere(t *testing.T) asked {
	s, id := audited(t)
	w := s.world
	s.publish()
	s.look()
	consent := ev.ConsentOf(w.con)
	given := w.facts.States[consent]
	w.withdraw()
	gone := len(w.logged) - 1
	w.facts.States[consent], w.events[consent] = given, w.events[consent][:1]
	w.logged[gone].seq = 1 << 40
	s.falsely = map[int]uint64{gone: 1 << 40}
	p := w.pack(id)
	at := len(w.logged) - 1
	s.publications = append(s.publications, at)
	_, err := s.auditor.Step(t.Context())
	if a := (*audit.Alarm)(nil); !errors.As(err, &a) || a.Reason != audit.FalseKey || a.Entry != int64(gone) {
		t.Fatalf("the auditor finds %v", err)
	}
	s.sign()
	if s.lines[at+1] != "" {
		t.Fatal("the auditor signed it")
	}
	p.under(at, at+1)
	return asked{name: "put elsewhere", data: p.write(t), trust: w.trust}
}

func TestKeptFromTheAuditor(t *testing.T) {
	honest, verdicts := shownToAuditor(t)
	for i, a := range honest {
		r := verify(t, &world{trust: a.trust}, a.data, nil)
		reason := map[Verdict]string{Incomplete: ReasonAuditMissing}[verdicts[i]]
		wanted(t, r, verdicts[i], CheckAudit, reason)
	}
	for _, a := range append(keptFromAuditor(t), putElsewhere(t)) {
		r := verify(t, &world{trust: a.trust}, a.data, nil)
		wanted(t, r, Incomplete, CheckAudit, ReasonAuditMissing)
		for _, c := range r.Checks {
			if c.Name != CheckAudit && c.Result != Pass && c.Result != NotRequired {
				t.Errorf("something else tells: %+v", c)
			}
		}
	}
}

// The second verifier says the same.
func TestIndependentOfAuditors(t *testing.T) {
	needsPython(t)
	honest, verdicts := shownToAuditor(t)
	lie := append(keptFromAuditor(t), putElsewhere(t))
	for i, r := range opinions(t, slices.Concat(honest, lie)) {
		verdict := Incomplete
		if i < len(honest) {
			verdict = verdicts[i]
		}
		reason := map[Verdict]string{Incomplete: ReasonAuditMissing}[verdict]
		wanted(t, r, verdict, CheckAudit, reason)
	}
	agree(t, slices.Concat(honest, lie)...)
}
