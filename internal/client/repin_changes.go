package client

import (
	"encoding/base64"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// change is the vault's founding, or a decision of two people after which it went over to other log keys, witnesses or time-stamp roots.
type change struct {
	evidence.Decision
	keys []tlog.Hash // log ids
	used bool        // an entry is proved under a key that came with it
	// What it replaced ended from earliest to latest. The vault goes over when it is stopped for that, at the decision's time or later, and
	// what was signed by then may state a time that is evidence.Clock ahead: the end is that much later.
	earliest, latest time.Time
}

type changes []change

// changes are what the vault's policy stream, verified, says that its trust file must say. When the vault went over is not entered, but it had
// done so when the next such decision was proposed, and before the first entry that is proved under the new key; and that time has come.
func (c *Client) changes(v *View) (list changes, err error) {
	policy := evidence.PolicyOf(c.trust.Vault())
	var decisions evidence.Decisions
	for e, err := range v.Events(policy) {
		if err != nil {
			return nil, err
		}
		decisions.Add(e.Event, e.Leaf)
	}
	for _, d := range decisions.Until(v.Time) {
		if n := len(list); n > 0 && slices.Equal(d.LogKeys, list[n-1].LogKeys) && d.Witness == list[n-1].Witness && slices.Equal(d.TimestampRoots, list[n-1].TimestampRoots) {
			continue
		}
		next := change{Decision: d, earliest: d.From.Add(evidence.Clock).Std(), latest: c.cfg.Now().Add(2 * evidence.Clock)} // the vault's clock may be ahead of ours
		for _, key := range d.LogKeys {
			der, err := base64.StdEncoding.DecodeString(key)
			if err != nil {
				return nil, err
			}
			next.keys = append(next.keys, tlog.Hash(evidence.SHA256(der)))
		}
		list.before(len(list), d.Proposed)
		list = append(list, next)
	}
	for _, s := range v.Streams() {
		for e, err := range v.Events(s) {
			if err != nil {
				return nil, err
			}
			bundle, err := v.bundle(s, e.Stream.Seq)
			if err != nil {
				return nil, err
			}
			receipt, err := tlog.ParseReceipt(bundle)
			if err != nil {
				return nil, err
			}
			if i := list.first(receipt.LogID()); i >= 0 {
				list[i].used = true
				list.before(i+1, e.Time)
			}
		}
	}
	return list, nil
}

// carried leaves out decisions that another took the place of before the vault went over to them, because the plan was lost, say. With a new key
// that signs entries it did not go over if the next decision's own is not proved under it; of the other keys and of witnesses it is what
// the trust file says, from which they are missing altogether.
func (l changes) carried(next tlog.Trust) changes {
	named := make(map[tlog.Hash]bool)
	for _, log := range next.Logs() {
		if id, err := tlog.LogID(log.Key); err == nil {
			named[id] = true
		}
	}
	kept := l[:1:1]
	for i, c := range l[1:] {
		before := kept[len(kept)-1]
		own := slices.DeleteFunc(slices.Clone(c.keys), func(id tlog.Hash) bool { return slices.Contains(before.keys, id) })
		listed := slices.ContainsFunc(own, func(id tlog.Hash) bool { return named[id] }) ||
			len(own) == 0 && (c.Witness == before.Witness || slices.ContainsFunc(next.EarlierPolicies(), func(p tlog.EarlierPolicy) bool { return p.Policy == c.Witness }))
		if inForce := i+2 == len(l); inForce || c.used || listed {
			kept = append(kept, c)
		}
	}
	return kept
}

// before notes that the vault had gone over to the first n changes when it accepted what states the time t.
func (l changes) before(n int, t evidence.Time) {
	latest := t.Add(2 * evidence.Clock).Std() // it may be as far behind the vault's clock as ahead
	for i := range l[:n] {
		if latest.Before(l[i].latest) {
			l[i].latest = latest
		}
	}
}

// first and last are the changes that brought a key of the log and that still had it, or -1.
func (l changes) first(key tlog.Hash) int {
	return slices.IndexFunc(l, func(c change) bool { return slices.Contains(c.keys, key) })
}

func (l changes) last(key tlog.Hash) int {
	for i := range slices.Backward(l) {
		if slices.Contains(l[i].keys, key) {
			return i
		}
	}
	return -1
}

// ended reports whether what change i replaced can have ended at t.
func (l changes) ended(i int, t time.Time) bool {
	return i < len(l) && !t.Before(l[i].earliest) && !t.After(l[i].latest)
}

// logs reports whether a trust file names the log keys that were decided, all of them and no other, each with the time that follows. What the
// pinned file says of a key is believed.
func (l changes) logs(old, next tlog.Trust) bool {
	known := make(map[tlog.Hash]tlog.Valid)
	for _, was := range old.Logs() {
		if id, err := tlog.LogID(was.Key); err == nil {
			known[id] = was.Valid
		}
	}
	named := make(map[tlog.Hash]bool)
	for _, log := range next.Logs() {
		id, err := tlog.LogID(log.Key)
		if err != nil {
			return false
		}
		named[id] = true
		was, pinned := known[id]
		first, last := l.first(id), l.last(id)
		believed := pinned && !was.End.IsZero() && was.End.Equal(log.End)
		switch {
		case first < 0 && !believed: // nobody decided it
			return false
		case first > 0 && !pinned && !l.ended(first, log.Start.Add(evidence.Clock)):
			return false
		case last == len(l)-1 && !log.End.IsZero(): // in use
			return false
		case last < len(l)-1 && !believed && !l.ended(last+1, log.End):
			return false
		}
	}
	for _, c := range l {
		if slices.ContainsFunc(c.keys, func(id tlog.Hash) bool { return !named[id] }) {
			return false // withheld: what it signed would verify no more
		}
	}
	return true
}

// policies reports whether a trust file names the witness policies that were decided, in their order, none left out and none added, each with
// an end that follows. What the witnesses of one cosign after its end counts for nothing, so nobody may set the end at will. Ends in the
// pinned file are believed.
func (l changes) policies(old, next tlog.Trust) bool {
	before, list := old.EarlierPolicies(), next.EarlierPolicies()
	now := l[0].Witness
	n := 0
	for i, c := range l {
		if c.Witness == now {
			continue
		}
		if n >= len(list) || list[n].Policy != now {
			return false
		}
		if pinned := n < len(before); pinned && !before[n].Until.Equal(list[n].Until) || !pinned && !l.ended(i, list[n].Until) {
			return false
		}
		now, n = c.Witness, n+1
	}
	return n == len(list) && next.WitnessPolicy() == now
}
