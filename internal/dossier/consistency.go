package dossier

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Consistency is log/consistency.json (FORMATS §11): proofs that smaller states of the log are the beginning of larger ones.
type Consistency struct {
	Proofs  []Growth `json:"proofs"` // sorted by From, then To
	Version int      `json:"version"`
}

// Growth is a consistency proof (RFC 6962 §2.1.2) from a tree of From leaves to one of To.
type Growth struct {
	From   int64    `json:"from"`
	Hashes [][]byte `json:"hashes"`
	To     int64    `json:"to"`
}

const (
	consistencyName    = "log/consistency.json"
	consistencyVersion = 1
	// maxConsistency bounds the file, in bytes; a proof in a tree of a million leaves takes at most 2 KiB.
	maxConsistency = 8 << 20
	maxGrowth      = 2 * 53 // hashes in one proof
)

// Marshal returns the file's one form, canonical JSON.
func (c Consistency) Marshal() ([]byte, error) {
	bad := evidence.Refuse(evidence.Invalid, ReasonConsistencyForm)
	c.Version = cmp.Or(c.Version, consistencyVersion)
	if c.Proofs == nil {
		c.Proofs = []Growth{}
	}
	inOrder := ascending(c.Proofs, func(a, b Growth) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	if c.Version != consistencyVersion || !inOrder {
		return nil, bad
	}
	for _, p := range c.Proofs {
		if p.From < 1 || p.To <= p.From || p.To > tlog.MaxTreeSize || len(p.Hashes) == 0 || len(p.Hashes) > maxGrowth {
			return nil, bad
		}
		for _, h := range p.Hashes {
			if len(h) != sha256.Size {
				return nil, bad
			}
		}
	}
	b, err := json.Marshal(c)
	if err == nil && len(b) > maxConsistency {
		err = evidence.Refuse(evidence.TooLarge, ReasonConsistencyForm)
	}
	return b, err
}

// ParseConsistency accepts exactly what Marshal returns.
func ParseConsistency(b []byte) (c Consistency, err error) {
	// A hash takes 47 bytes, a proof more: counted before any takes memory.
	if len(b) > maxConsistency || bytes.Count(b, []byte{','}) > len(b)/20 || json.Unmarshal(b, &c) != nil {
		return Consistency{}, evidence.Refuse(evidence.Invalid, ReasonConsistencyForm)
	}
	if again, err := c.Marshal(); err != nil || !bytes.Equal(again, b) {
		return Consistency{}, evidence.Refuse(evidence.Invalid, ReasonConsistencyForm)
	}
	return c, nil
}

// states are signed states of one log, by size, and which of them are proved to belong to one history.
type states struct {
	origin string
	roots  map[int64]tlog.Hash
	above  map[int64]int64 // one that it is linked with, up to one that has none
}

func (s states) top(size int64) int64 {
	for above, ok := s.above[size]; ok; above, ok = s.above[size] {
		size = above
	}
	return size
}

func (s states) linked(a, b int64) bool { return s.top(a) == s.top(b) }

// link verifies the proofs between states that are here; others are of nobody's concern. It returns the first that does not hold.
func (s states) link(proofs []Growth) error {
	for _, p := range proofs {
		from, known := s.roots[p.From]
		to, both := s.roots[p.To]
		if !known || !both {
			continue
		}
		older, newer := tlog.Checkpoint{Origin: s.origin, Size: p.From, Root: from}, tlog.Checkpoint{Origin: s.origin, Size: p.To, Root: to}
		if err := tlog.VerifyConsistency(older, newer, p.Hashes); err != nil {
			return err
		}
		if a, b := s.top(p.From), s.top(p.To); a != b {
			s.above[min(a, b)] = max(a, b)
		}
	}
	return nil
}

// checkConsistency looks for proofs that all states of the log in the package, and that of an earlier package, belong to one history.
func (v *verification) checkConsistency(earlier *tlog.Checkpoint) {
	var proofs []Growth
	if v.pkg.Has(consistencyName) {
		data, err := v.pkg.read(consistencyName, maxConsistency)
		var c Consistency
		if err == nil {
			c, err = ParseConsistency(data)
		}
		if err != nil {
			v.found.add(0, refuse(ReasonConsistencyForm, consistencyName, nil))
			return
		}
		proofs = c.Proofs
	}
	s := states{v.Trust.Vault(), v.history.opened.roots, map[int64]int64{}}
	if earlier != nil {
		s.roots[earlier.Size] = earlier.Root // it was compared with what is here
	}
	if err := s.link(proofs); err != nil {
		v.found.add(0, Finding{Check: CheckCheckpoint, Result: Fail, Reason: ReasonConsistency, Seq: -1, File: consistencyName, Err: err})
		return
	}
	newest := v.history.published.Size
	v.oneHistory = true
	for size := range s.roots {
		v.oneHistory = v.oneHistory && s.linked(size, newest)
	}
	if earlier != nil && !s.linked(earlier.Size, newest) {
		v.found.add(0, Finding{Check: CheckCheckpoint, Result: NotChecked, Reason: ReasonPreviousUnproven, Seq: -1, Said: v.heads(*earlier)})
	}
}
