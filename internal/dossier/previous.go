package dossier

import (
	"errors"

	"strongroom.example/strongroom/internal/tlog"
)

// checkPrevious compares the package with one that its recipient got before: the log must extend that one's, and nothing that it showed may
// be missing or another (FORMATS §12).
func (v *verification) checkPrevious() error {
	if v.Previous == nil {
		v.checkConsistency(nil)
		return nil
	}
	say := func(result Result, reason string, said telling, err error) {
		v.found.add(0, Finding{Check: CheckCheckpoint, Result: result, Reason: reason, Seq: -1, Said: said, Err: err})
	}
	old, err := v.readPrevious()
	if f := (Finding{}); errors.As(err, &f) {
		say(NotChecked, ReasonPreviousUnusable, "", f)
		v.checkConsistency(nil)
		return nil
	}
	if err != nil {
		return err
	}
	v.earlier = &old.published
	if err := v.history.opened.compare(old.published); err != nil || v.forked(old) {
		say(Fail, ReasonLogFork, v.heads(old.published), err)
		v.checkConsistency(nil)
		return nil
	}
	v.checkConsistency(&old.published)
	return nil
}

// readPrevious verifies the events of the earlier package by themselves, and their entry: not what they mean.
func (v *verification) readPrevious() (*History, error) {
	p, err := Read(v.Previous, v.Previous.Size())
	if err != nil {
		return nil, err
	}
	if p.Vault != v.Trust.Vault() {
		return nil, refuse(ReasonOtherVault, "", nil)
	}
	x, _, err := p.excerpt()
	if err != nil {
		return nil, err
	}
	h := newHistory(*v.Trust, x)
	h.spare.left.Store(0)
	h.readAll()
	h.checkCheckpoint()
	for _, c := range h.chains {
		h.checkSequence(c)
	}
	for _, f := range h.found.sorted() {
		if f.Result == Fail {
			return nil, f
		}
	}
	if len(h.checkpoint) == 0 || h.book == nil {
		return nil, refuse(ReasonCheckpointMissing, "", nil)
	}
	return h, nil
}

// forked reports whether a stream that both packages show has another event at some place, or fewer although the log is no smaller.
func (v *verification) forked(old *History) bool {
	for _, before := range old.chains {
		now := v.history.chain(before.ID)
		if before == old.book || now == nil {
			continue
		}
		if len(now.records) < len(before.records) && v.history.published.Size >= old.published.Size {
			return true
		}
		for seq := range min(len(now.records), len(before.records)) {
			if now.records[seq].read && now.records[seq].leaf != before.records[seq].leaf {
				return true
			}
		}
	}
	return false
}

// heads names the states of the log in an earlier package and in this one, for whoever has to compare them with a third.
func (v *verification) heads(earlier tlog.Checkpoint) telling {
	now := v.history.published
	return tell("detail.heads", "before", earlier.Size, "old", earlier.Root, "now", now.Size, "new", now.Root)
}
