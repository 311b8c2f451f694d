package client

import (
	"encoding/base64"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// change is the vault's founding, or a decision of two people after which it may go over to other log keys, witnesses or time-stamp roots.
type change struct {
	evidence.Decision
	keys []tlog.Hash // log ids
	// What it replaces ends from earliest to latest. The vault goes over when it is stopped for that, while the decision is in force, and what
	// was signed by then may state a time that is evidence.Clock ahead: the end is that much later.
	earliest, latest time.Time
}

// changes are what the vault's policy stream, verified, decides about its trust file until now, by a clock that may be evidence.Clock behind.
func (c *Client) changes(v *View, now evidence.Time) ([]change, error) {
	var decisions evidence.Decisions
	for e, err := range v.Events(evidence.PolicyOf(c.trust.Vault())) {
		if err != nil {
			return nil, err
		}
		decisions.Add(e.Event, e.Leaf)
	}
	return changesOf(decisions.Until(min(v.Time, now.Add(evidence.Clock))), now)
}

func changesOf(decisions []evidence.Decision, now evidence.Time) (list []change, err error) {
	for _, d := range decisions {
		if d.From > now.Add(evidence.Clock) { // though later events of the stream state that it counts
			break
		}
		if n := len(list); n > 0 {
			last := &list[n-1]
			if slices.Equal(d.LogKeys, last.LogKeys) && d.Witness == last.Witness && slices.Equal(d.TimestampRoots, last.TimestampRoots) {
				continue
			}
			last.latest = earlier(last.latest, d.From.Add(2*evidence.Clock).Std()) // it was in force no longer
		}
		next := change{Decision: d, earliest: d.From.Add(evidence.Clock).Std(), latest: now.Add(2 * evidence.Clock).Std()}
		for _, key := range d.LogKeys {
			der, err := base64.StdEncoding.DecodeString(key)
			if err != nil {
				return nil, err
			}
			next.keys = append(next.keys, tlog.Hash(evidence.SHA256(der)))
		}
		list = append(list, next)
	}
	return list, nil
}

// used says of log keys by when the vault had gone over to them, because an event that states no later time was proved under them when it was
// entered. Where the records were rebuilt from the log, all receipts were made anew: they say nothing about the key that proves the founding too.
func (c *Client) used(v *View) (map[tlog.Hash]time.Time, error) {
	policy := evidence.PolicyOf(c.trust.Vault())
	used := make(map[tlog.Hash]time.Time)
	var founding tlog.Hash
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
			id := receipt.LogID()
			if s == policy && e.Stream.Seq == 0 {
				founding = id
			}
			by := e.Time.Add(2 * evidence.Clock).Std() // it may be as far behind the vault's clock as what ended is ahead
			if known, ok := used[id]; ok {
				by = earlier(by, known)
			}
			used[id] = by
		}
	}
	delete(used, founding)
	return used, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// reading looks for a course of the vault that a trust file follows from: the founding, and those decisions, in their order, to which the vault
// went over. Which ones it did is not entered. A decision may be passed over, because its plan was lost, say, or because it is not carried out yet;
// but a log key under which anything is proved must be named in the file, or nothing verifies, and what is named must have been decided.
type reading struct {
	changes   []change
	used      map[tlog.Hash]time.Time
	old, next tlog.Trust
	pinned    map[tlog.Hash]tlog.Valid // what the old file says of its log keys, which is believed
	named     map[tlog.Hash]tlog.Valid // what the next one says
	tries     int
}

// maxTries ends a search. The times in a file fit one course but for decisions that follow each other within minutes.
const maxTries = 1 << 16

// step is a change to which the vault went over.
type step struct {
	change   int
	policies int       // how many witness policies were replaced by then
	end      time.Time // the latest end that the file states for what was replaced, unless it is believed
}

// explains reports whether the next trust file says what was decided, and nothing else. Ends in the old file are believed.
func explains(old, next tlog.Trust, list []change, used map[tlog.Hash]time.Time) bool {
	r := reading{changes: list, used: used, old: old, next: next, pinned: validity(old), named: validity(next)}
	withheld := slices.ContainsFunc(list[0].keys, func(id tlog.Hash) bool { _, ok := r.named[id]; return !ok })
	return !withheld && r.from([]step{{}})
}

func validity(t tlog.Trust) map[tlog.Hash]tlog.Valid {
	of := make(map[tlog.Hash]tlog.Valid)
	for _, log := range t.Logs() {
		if id, err := tlog.LogID(log.Key); err == nil {
			of[id] = log.Valid
		}
	}
	return of
}

// from reports whether the file follows from a course that begins with these steps.
func (r *reading) from(course []step) bool {
	if r.tries++; r.tries > maxTries {
		return false
	}
	if r.explained(course) {
		return true
	}
	for i := course[len(course)-1].change + 1; i < len(r.changes); i++ {
		if s, ok := r.over(course, i); ok && r.from(append(slices.Clip(course), s)) {
			return true
		}
	}
	return false
}

// over is the step from the end of a course to change i, if the file can follow from it: it names the keys that came with their beginning, and
// those that went, as the witness policy, with an end that fits. A key that went does not come back. What the witnesses of a policy cosign
// after its end counts for nothing, and so do a log key's signatures: nobody may set an end at will.
func (r *reading) over(course []step, i int) (step, bool) {
	last := course[len(course)-1]
	was, now := r.changes[last.change], r.changes[i]
	if slices.Equal(was.keys, now.keys) && was.Witness == now.Witness {
		return step{}, false
	}
	s := step{change: i, policies: last.policies}
	fits := func(end time.Time) bool {
		if end.After(s.end) {
			s.end = end
		}
		return !end.Before(now.earliest) && !end.After(now.latest)
	}
	for _, id := range now.keys {
		if slices.Contains(was.keys, id) {
			continue
		}
		if r.first(course, id) >= 0 {
			return step{}, false
		}
		// The beginning of a key that is not named fits nothing.
		if _, pinned := r.pinned[id]; !pinned && !fits(r.named[id].Start.Add(evidence.Clock)) {
			return step{}, false
		}
	}
	for _, id := range was.keys {
		if !slices.Contains(now.keys, id) && !r.believed(id) && !fits(r.named[id].End) {
			return step{}, false
		}
	}
	if was.Witness != now.Witness {
		list := r.next.EarlierPolicies()
		if s.policies >= len(list) || list[s.policies].Policy != was.Witness {
			return step{}, false
		}
		if pinned := s.policies < len(r.old.EarlierPolicies()); !pinned && !fits(list[s.policies].Until) {
			return step{}, false
		}
		s.policies++
	}
	return s, true
}

// believed reports whether the pinned file says when a key ended.
func (r *reading) believed(id tlog.Hash) bool { return !r.pinned[id].End.IsZero() } // then the next one says the same

// first is the step of a course that brought a log key, or -1.
func (r *reading) first(course []step, id tlog.Hash) int {
	return slices.IndexFunc(course, func(s step) bool { return slices.Contains(r.changes[s.change].keys, id) })
}

// explained reports whether all of the file follows from a course. No end is later than the use of what came then.
func (r *reading) explained(course []step) bool {
	last := course[len(course)-1]
	now := r.changes[last.change]
	if last.policies != len(r.next.EarlierPolicies()) || r.next.WitnessPolicy() != now.Witness {
		return false
	}
	for id, valid := range r.named {
		if r.first(course, id) < 0 && !r.believed(id) || slices.Contains(now.keys, id) && !valid.End.IsZero() {
			return false
		}
	}
	for id, by := range r.used {
		for _, s := range course[:r.first(course, id)+1] {
			if s.end.After(by) {
				return false
			}
		}
	}
	// Decisions about roots alone may have been carried out since, or not.
	return slices.ContainsFunc(r.changes[last.change:], func(c change) bool {
		return slices.Equal(c.keys, now.keys) && c.Witness == now.Witness && r.roots(c)
	})
}

// roots reports whether a decision names each time-stamp root that is new in the file.
func (r *reading) roots(c change) bool {
	return !slices.ContainsFunc(r.next.TimestampRoots(), func(root []byte) bool {
		known := slices.ContainsFunc(r.old.TimestampRoots(), func(old []byte) bool { return string(old) == string(root) })
		return !known && !slices.Contains(c.TimestampRoots, evidence.SHA256(root))
	})
}
