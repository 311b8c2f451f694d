package custody

import (
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// Chain checks that events are a stream from its beginning, in order: seq 0, 1, 2 … of the same vault and stream, each naming the
// leaf of the one before (FORMATS §3). That no later event exists is proved by the heads map, not here. It refuses as Invalid:
//
//	missing_first   nothing at seq 0
//	missing         a later position is absent
//	swapped         all are there, in another order
//	duplicate       the same event twice
//	fork            two events at one position
//	stream          an event of another stream or vault
//	link            prev is not the leaf of the event before
func Chain(events []*Signed) error {
	if len(events) == 0 {
		return evidence.Refuse(evidence.Invalid, "missing_first")
	}
	first := events[0].Event()
	var prev evidence.Hash
	for i, s := range events {
		e := s.Event()
		if e.Vault != first.Vault || e.Stream.Stream() != first.Stream.Stream() {
			return evidence.Refuse(evidence.Invalid, "stream")
		}
		if e.Stream.Seq != int64(i) {
			return evidence.Refuse(evidence.Invalid, disorder(events, i))
		}
		if e.Stream.Prev != prev {
			return evidence.Refuse(evidence.Invalid, "link")
		}
		prev = s.LeafHash()
	}
	return nil
}

// disorder says why the event at index i has another position; those before it are as they should be.
func disorder(events []*Signed, i int) string {
	seq := events[i].Event().Stream.Seq
	switch {
	case seq >= 0 && seq < int64(i):
		if events[seq].LeafHash() == events[i].LeafHash() {
			return "duplicate"
		}
		return "fork"
	case slices.ContainsFunc(events[i:], func(s *Signed) bool { return s.Event().Stream.Seq == int64(i) }):
		return "swapped"
	case i == 0:
		return "missing_first"
	}
	return "missing"
}
