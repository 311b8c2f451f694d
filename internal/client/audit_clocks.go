package client

import (
	"cmp"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// clocks are the times that events of a vault state, by their place in the log, from as many looks as there were.
type clocks struct {
	list  []stated
	until map[evidence.Stream]int64             // how many events of a stream were read
	names map[evidence.ActorID]evidence.ActorID // one copy of each
}

type stated struct {
	entry int64
	time  evidence.Time
	by    evidence.ActorID
	event evidence.Hash
}

// clockBound is how far the times of two entries may run against their order without a finding: each was within evidence.Clock of the
// vault's own clock when it was accepted.
const clockBound = 2 * evidence.Clock

// read takes the times of what is new in a view, of all its streams.
func (c *clocks) read(v *View) error {
	if c.until == nil {
		c.until, c.names = make(map[evidence.Stream]int64), make(map[evidence.ActorID]evidence.ActorID)
	}
	for _, s := range v.Streams() {
		for seq := c.until[s]; seq < v.Len(s); seq++ {
			if v.Withheld(s, seq) != 0 {
				continue
			}
			e, err := v.Event(s, seq)
			if err != nil {
				return err
			}
			by, known := c.names[e.Actor.ID]
			if !known {
				by = e.Actor.ID
				c.names[by] = by
			}
			leaf, entry := v.Leaf(s, seq)
			c.list = append(c.list, stated{entry, e.Time, by, leaf})
		}
		c.until[s] = v.Len(s)
	}
	return nil
}

// findings name each signer whose times run against the order of entry by more than clockBound, with the event that does so most, the worst
// signer first; most is by how much any event does.
func (c *clocks) findings() (list []Finding, most time.Duration) {
	slices.SortFunc(c.list, func(a, b stated) int { return cmp.Compare(a.entry, b.entry) })
	worst := make(map[evidence.ActorID]Finding)
	var latest stated // the latest time so far, and where it was stated
	for _, s := range c.list {
		behind := latest.time.Sub(s.time)
		most = max(most, behind)
		if behind > clockBound && behind > worst[s.by].Behind {
			worst[s.by] = Finding{Kind: FoundClock, Actor: s.by, Since: s.time, Entry: s.entry, Event: s.event, Behind: behind, Against: latest.entry}
		}
		if s.time > latest.time {
			latest = s
		}
	}
	for _, f := range worst {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Finding) int { return cmp.Or(cmp.Compare(b.Behind, a.Behind), cmp.Compare(a.Actor, b.Actor)) })
	return list, most
}
