package client

import (
	"cmp"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/dossier"
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

const (
	// clockBound is how far the times of two entries may run against their order without a finding: each was within evidence.Clock of the
	// vault's own clock when it was accepted.
	clockBound = 2 * evidence.Clock
	// clockNoise is how far a signer's clock may be from the vault's without a finding: what lies between signing and entering, on slow lines.
	clockNoise = 10 * time.Second
)

// read takes the times of what is new in a view, of all its streams.
func (c *clocks) read(v *View) error {
	if c.until == nil {
		c.until, c.names = make(map[evidence.Stream]int64), make(map[evidence.ActorID]evidence.ActorID)
	}
	for _, s := range v.Streams() {
		for e, err := range v.eventsFrom(s, c.until[s]) {
			if err != nil {
				return err
			}
			by, known := c.names[e.Actor.ID]
			if !known {
				by = e.Actor.ID
				c.names[by] = by
			}
			c.list = append(c.list, stated{e.Index, e.Time, by, e.Leaf})
		}
		c.until[s] = v.Len(s)
	}
	return nil
}

// findings name each signer whose times cannot be those of the vault's clock, with the event of which that is most so, the worst signer first:
// before a time that the vault published in an earlier entry, or after the time at which it published that the event was entered, by more than
// clockNoise; or before what any earlier entry states, by more than clockBound. Most is by how much any event states an earlier time than one
// entered before. The vault's publications are in the order of the log.
func (c *clocks) findings(vault []dossier.Publication) (list []Finding, most time.Duration) {
	slices.SortFunc(c.list, func(a, b stated) int { return cmp.Compare(a.entry, b.entry) })
	worst := make(map[evidence.ActorID]Finding)
	note := func(s stated, f Finding, by, bound time.Duration) {
		if known := worst[s.by]; by > bound && by > max(known.Behind, known.Ahead) {
			f.Kind, f.Actor, f.Since, f.Entry, f.Event = FoundClock, s.by, s.time, s.entry, s.event
			worst[s.by] = f
		}
	}
	var latest stated // the latest time so far, and where it was stated
	before, covering := 0, 0
	for _, s := range c.list {
		for ; before < len(vault) && vault[before].Entry < s.entry; before++ {
			if p := vault[before]; p.Time > latest.time {
				latest = stated{entry: p.Entry, time: p.Time}
			}
		}
		for covering < len(vault) && vault[covering].Covers <= s.entry {
			covering++
		}
		behind := latest.time.Sub(s.time)
		most = max(most, behind)
		note(s, Finding{Behind: behind, Against: latest.entry}, behind, clockBound)
		if before > 0 {
			p := vault[before-1]
			note(s, Finding{Behind: p.Time.Sub(s.time), Against: p.Entry}, p.Time.Sub(s.time), clockNoise)
		}
		if covering < len(vault) {
			p := vault[covering]
			note(s, Finding{Ahead: s.time.Sub(p.Time), Against: p.Entry}, s.time.Sub(p.Time), clockNoise)
		}
		if s.time > latest.time {
			latest = s
		}
	}
	for _, f := range worst {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(max(b.Behind, b.Ahead), max(a.Behind, a.Ahead)), cmp.Compare(a.Actor, b.Actor))
	})
	return list, most
}
