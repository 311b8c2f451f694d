package client

import (
	"cmp"
	"context"
	"math/rand/v2"
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

// auditPages bounds how many pages of the vault's publications an audit asks for: those of a vault that published 100,000 times.
const auditPages = pagesKept

// findings name each signer whose times cannot be those of the vault's clock, with the event of which that is most so, the worst signer first:
// before a time that the vault published in an earlier entry, or after the time at which it published that the event was entered, by more than
// clockNoise; or before what any earlier entry states, by more than clockBound. Most is by how much any event states an earlier time than one
// entered before.
//
// Dated is how many events were held against the publications around them: all, if those fill no more than so many pages. Otherwise the signers
// take turns, each with one picked at random, until as many pages were read; the search that is begun then is ended.
func (c *clocks) findings(ctx context.Context, b *book, pages int) (list []Finding, most time.Duration, dated int, _ error) {
	slices.SortFunc(c.list, func(a, b stated) int { return cmp.Compare(a.entry, b.entry) })
	worst := make(map[evidence.ActorID]Finding)
	note := func(s stated, f Finding, by, bound time.Duration) {
		if known := worst[s.by]; by > bound && by > max(known.Behind, known.Ahead) {
			f.Kind, f.Actor, f.Since, f.Entry, f.Event = FoundClock, s.by, s.time, s.entry, s.event
			worst[s.by] = f
		}
	}
	var order []int
	sampled := b.len > int64(pages)*eventsOfPage
	if sampled {
		order = c.turns()
	}
	for dated < len(c.list) && !(sampled && b.read >= pages) {
		s := c.list[dated]
		if sampled {
			s = c.list[order[dated]]
		}
		before, err := b.before(ctx, s.entry)
		if err != nil {
			return nil, 0, 0, err
		}
		covering, err := b.covering(ctx, s.entry)
		if err != nil {
			return nil, 0, 0, err
		}
		dated++
		if before.Time != 0 {
			behind := before.Time.Sub(s.time)
			most = max(most, behind)
			note(s, Finding{Behind: behind, Against: before.Entry}, behind, clockNoise)
		}
		if covering.Time != 0 {
			ahead := s.time.Sub(covering.Time)
			note(s, Finding{Ahead: ahead, Against: covering.Entry}, ahead, clockNoise)
		}
	}
	var latest stated // the latest time so far, and where it was stated
	for _, s := range c.list {
		behind := latest.time.Sub(s.time)
		most = max(most, behind)
		note(s, Finding{Behind: behind, Against: latest.entry}, behind, clockBound)
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
	return list, most, dated, nil
}

// turns are the places of the events in such an order that each signer comes once before anybody comes twice, and in no other.
func (c *clocks) turns() []int {
	order, turn, had := rand.Perm(len(c.list)), make([]int, len(c.list)), make(map[evidence.ActorID]int) //#nosec G404 -- a sample, not a secret
	for _, i := range order {
		turn[i] = had[c.list[i].by]
		had[c.list[i].by]++
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(turn[a], turn[b]) })
	return order
}
