package dossier

import (
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// clock is what third parties' clocks say of states of the log, by size.
type clock map[int64]sighting

// sighting is when a state was the newest that a quorum of witnesses had seen (tlog.Cosigned), at the latest, and by when the state was
// there; 0 if nobody says. Authorities may come to a state long after it was there: they say nothing of the former.
type sighting struct{ since, by evidence.Time }

// seen notes a sighting.
func (c clock) seen(size int64, since, by evidence.Time) {
	s := c[size]
	s.since = max(s.since, since)
	if s.by == 0 || by != 0 && by < s.by {
		s.by = by
	}
	c[size] = s
}

// timeline answers for every entry between which sightings it was made.
type timeline struct {
	sizes []int64
	after []evidence.Time // the latest since of this size and all smaller ones
	by    []evidence.Time // the earliest by of this size and all larger ones
}

func (c clock) timeline() (t timeline) {
	for size := range c {
		t.sizes = append(t.sizes, size)
	}
	slices.Sort(t.sizes)
	t.after, t.by = make([]evidence.Time, len(t.sizes)), make([]evidence.Time, len(t.sizes))
	latest, earliest := evidence.Time(0), evidence.Time(0)
	for i, size := range t.sizes {
		latest = max(latest, c[size].since)
		t.after[i] = latest
	}
	for i, size := range slices.Backward(t.sizes) {
		if at := c[size].by; earliest == 0 || at != 0 && at < earliest {
			earliest = at
		}
		t.by[i] = earliest
	}
	return t
}

// bounds of the entry at an index: it is in every tree of a larger size, and in no other.
func (t timeline) bounds(index int64) (b Bounds) {
	n, _ := slices.BinarySearch(t.sizes, index+1)
	if n > 0 {
		b.After = t.after[n-1]
	}
	if n < len(t.sizes) {
		b.By = t.by[n]
	}
	return b
}

// maxWait is how long an accepted event may wait for its entry (FORMATS §12).
const maxWait = 24 * time.Hour

// checkTime compares the time that an event states with its bounds. Where these exclude each other, by more than clocks may differ, nothing
// is said of the event.
func (h *History) checkTime(c *chain, t turn, e *evidence.Event) {
	if b := h.entered(c, t.seq); b.By != 0 && b.After.Sub(b.By) > 2*evidence.Clock {
		h.note(c, t.seq, CheckTime, NotChecked, ReasonClocks, nil)
		return
	}
	switch drift := h.bounds(c, t.seq).Drift(e.Time); {
	case drift > evidence.Clock, drift < -(maxWait + evidence.Clock):
		h.note(c, t.seq, CheckTime, Fail, ReasonTimeBounds, nil)
	case drift < -evidence.Clock:
		h.waited = max(h.waited, -drift)
	}
}

// entered are the bounds of an event's entry: it may have been signed, and its signature stamped, long before.
func (h *History) entered(c *chain, seq int64) Bounds {
	r := c.records[seq]
	if !r.read {
		return Bounds{}
	}
	return h.timeline.bounds(r.index)
}

func (h *History) bounds(c *chain, seq int64) Bounds {
	b, stamped := h.entered(c, seq), c.records[seq].stamped
	if b.Stamped = stamped; stamped != 0 && (b.By == 0 || stamped < b.By) {
		b.By = stamped
	}
	return b
}

// Bounds are those of event seq, 0 ≤ seq < Len.
func (h *History) Bounds(s evidence.Stream, seq int64) Bounds { return h.bounds(h.chain(s), seq) }
