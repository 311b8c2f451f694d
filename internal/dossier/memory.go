package dossier

import (
	"bytes"
	"sync/atomic"

	"strongroom.example/strongroom/internal/evidence"
)

// A package says how much there is to be kept in memory, and whoever makes one may have the log's key. So what grows with it is either
// read again when it is needed, or counted here.

// weigh says how much memory the event of a statement takes at most, in bytes: whatever its shape, no member or entry takes more than
// perEntry beside its text.
func weigh(statement []byte) int {
	return len(statement) + perEntry*bytes.Count(statement, []byte{','})
}

const perEntry = 64

// spare is how many bytes of events may still be kept in memory. What does not fit is read again when it is needed.
type spare struct{ left *atomic.Int64 }

const maxKept = 64 << 20

func newSpare() spare {
	s := spare{new(atomic.Int64)}
	s.left.Store(maxKept)
	return s
}

func (s spare) take(n int) bool { return s.left.Add(int64(-n)) >= 0 }

// MaxStates bounds the states that have to be at hand at one time to judge a package, in bytes as size counts them (FORMATS §1): the last
// one of each stream, and those before it that an event yet to be judged names.
const MaxStates = 64 << 20

// budget is how much of MaxStates is taken.
type budget struct{ taken int64 }

func (b *budget) take(s evidence.State) bool {
	b.taken += size(s)
	return b.taken <= MaxStates
}

func (b *budget) give(s evidence.State) {
	if s != nil {
		b.taken -= size(s)
	}
}

// size counts a state (FORMATS §1).
func size(s evidence.State) int64 {
	n, veils := 0, int64(0)
	switch s := s.(type) {
	case *evidence.ActorState:
		n = len(s.Introducers) + len(s.Trustees)
	case *evidence.CaseState:
		n = 2*len(s.Members) + len(s.Keyring) + len(s.LabelKey.Envelopes)
	case *evidence.ItemState:
		n = len(s.Consent) + len(s.Envelopes) + len(s.Copies) + len(s.OpenedBy) + len(s.Derivatives) + len(s.Emergencies) + len(s.Retention) + len(s.Holds)
		for _, g := range s.Grants {
			n += 8 + len(g.Terms.Consent) + len(g.ApprovedBy) + len(g.Agreed) + len(g.Redeemed)
		}
		for _, v := range s.Veils {
			veils += entrySize*int64(len(v.Steps)) + size(v.Item)
		}
	case *evidence.ConsentState:
		n = len(s.Answers.Courts) + len(s.Forms) + 2*len(s.Advocates)
	case *evidence.PolicyState:
		n = 128
		if s.Recovering != nil {
			n += len(s.Recovering.Stated.Items)
		}
		if s.Recovered != nil {
			n += len(s.Recovered.Stated.Items)
		}
	}
	return stateSize + entrySize*int64(n) + veils
}

const (
	stateSize = 3 << 10
	entrySize = 256
)

// forget lets go of a stream whose states are more than can be kept.
func (c *chain) forget() {
	c.state, c.lost = nil, true
	clear(c.kept)
}
