package dossier

import (
	"errors"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
)

// checkSequence looks at the positions that the statements of a stream state (FORMATS §3). The links between them are looked at while
// judging.
func (h *History) checkSequence(c *chain) {
	if c == h.book {
		return
	}
	for i := range c.records {
		r := &c.records[i]
		if !r.read {
			c.broken, c.lost = true, true
			continue
		}
		if r.seq != int64(i) {
			h.note(c, int64(i), CheckChain, Fail, c.disorder(i), nil)
			c.broken, c.lost = true, true
			return
		}
	}
}

// disorder says why record i has another position; those before it are as they should be.
func (c *chain) disorder(i int) string {
	seq := c.records[i].seq
	switch {
	case seq >= 0 && seq < int64(i):
		if c.records[seq].leaf == c.records[i].leaf {
			return ReasonDuplicate
		}
		return ReasonFork
	case slices.ContainsFunc(c.records[i:], func(r record) bool { return r.read && r.seq == int64(i) }):
		return ReasonSwapped
	case i == 0:
		return ReasonMissingFirst
	}
	return ReasonMissing
}

// checkComplete demands the proof that each stream ends where it ends. Streams that a statement names and that are not there were noted
// when it was read.
func (h *History) checkComplete() {
	state := h.Heads()
	if state == nil {
		if h.book != nil && !h.found.failed(CheckComplete) {
			h.note(h.book, -1, CheckComplete, NotChecked, ReasonHeadsUnproved, nil)
		}
		return
	}
	if h.book.records[0].index < state.Covers {
		h.note(h.book, -1, CheckComplete, Fail, ReasonHeadsCovers, nil)
		return
	}
	for _, c := range h.chains {
		if c == h.book {
			continue
		}
		if reason, err := h.checkLength(c, state); reason != "" {
			h.note(c, -1, CheckComplete, Fail, reason, err)
		}
	}
}

func (h *History) checkLength(c *chain, state *evidence.HeadsState) (string, error) {
	l, err := c.length()
	switch {
	case err != nil:
		return ReasonHeadsProof, err
	case l.N < 0, (l.N == 0) != (l.Member == nil):
		return ReasonHeadsProof, nil
	case c.Events < l.N:
		return ReasonMissingLast, nil
	case c.Events > l.N && !h.newer:
		return ReasonNotCovered, nil
	}
	for _, r := range c.records[:l.N] {
		if r.read && r.index >= state.Covers {
			return ReasonNotCovered, nil
		}
	}
	tag := c.ID.Tag(h.trust.Vault())
	if l.N > 0 && c.records[l.N-1].read {
		err := l.Member.VerifyMember(state.Root, heads.Key(tag, uint64(l.N-1)), c.records[l.N-1].leaf)
		if errors.Is(err, heads.ErrValue) {
			return ReasonOtherLast, err
		}
		if err != nil {
			return ReasonHeadsProof, err
		}
	}
	err = l.Absent.VerifyAbsent(state.Root, heads.Key(tag, uint64(l.N)))
	if errors.Is(err, heads.ErrPresent) {
		return ReasonMissingLast, err
	}
	if err != nil {
		return ReasonHeadsProof, err
	}
	return "", nil
}
