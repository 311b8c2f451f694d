package dossier

import (
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// clock is when third parties saw states of the log, by size.
type clock map[int64]sighting

// sighting are the earliest times at which a state was seen; 0 if it was not.
type sighting struct {
	witness evidence.Time // by a witness that is no auditor
	anybody evidence.Time
}

// seen notes a sighting. Only a witness is asked at once for each state and signs none that is older than the last: auditors and
// authorities may come to a state long after it was there.
func (c clock) seen(size int64, at evidence.Time, witness bool) {
	s := c[size]
	if s.anybody == 0 || at < s.anybody {
		s.anybody = at
	}
	if witness && (s.witness == 0 || at < s.witness) {
		s.witness = at
	}
	c[size] = s
}

// timeline answers for every entry between which sightings it was made.
type timeline struct {
	sizes []int64
	after []evidence.Time // the latest of the sightings by a witness of this size and all smaller ones
	by    []evidence.Time // the earliest sighting of this size and all larger ones
}

func (c clock) timeline() (t timeline) {
	for size := range c {
		t.sizes = append(t.sizes, size)
	}
	slices.Sort(t.sizes)
	t.after, t.by = make([]evidence.Time, len(t.sizes)), make([]evidence.Time, len(t.sizes))
	latest, earliest := evidence.Time(0), evidence.Time(0)
	for i, size := range t.sizes {
		latest = max(latest, c[size].witness)
		t.after[i] = latest
	}
	for i, size := range slices.Backward(t.sizes) {
		if at := c[size].anybody; earliest == 0 || at < earliest {
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

// checkTime compares the time that an event states with its bounds.
func (h *History) checkTime(c *chain, t turn, e *evidence.Event) {
	switch drift := h.bounds(c, t.seq).Drift(e.Time); {
	case drift > evidence.Clock, drift < -(maxWait + evidence.Clock):
		h.note(c, t.seq, CheckTime, Fail, ReasonTimeBounds, nil)
	case drift < -evidence.Clock:
		h.waited = max(h.waited, -drift)
	}
}

func (h *History) bounds(c *chain, seq int64) Bounds {
	r := c.records[seq]
	if !r.read {
		return Bounds{}
	}
	b := h.timeline.bounds(r.index)
	if b.Stamped = r.stamped; b.Stamped != 0 && (b.By == 0 || b.Stamped < b.By) {
		b.By = b.Stamped
	}
	return b
}

// Bounds are those of event seq, 0 ≤ seq < Len.
func (h *History) Bounds(s evidence.Stream, seq int64) Bounds { return h.bounds(h.chain(s), seq) }
