package dossier

import (
	"cmp"
	"encoding/base64"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// batch is how much of events, in bytes, is brought into memory at a time to be judged.
const batch = 16 << 20

// turn is an event in the order of the log.
type turn struct {
	index int64
	place
}

// judgeAll judges the events that verified, in the order of the log.
func (h *History) judgeAll() {
	var order []turn
	for _, c := range h.chains {
		for i, r := range c.records {
			if r.read {
				order = append(order, turn{r.index, place{c.at, int64(i)}})
			}
		}
	}
	slices.SortFunc(order, func(a, b turn) int {
		return cmp.Or(cmp.Compare(a.index, b.index), cmp.Compare(a.chain, b.chain), cmp.Compare(a.seq, b.seq))
	})
	for i := 1; i < len(order); i++ {
		a, b := order[i-1], order[i]
		if a.index == b.index && h.chains[a.chain].records[a.seq].leaf != h.chains[b.chain].records[b.seq].leaf {
			h.note(h.chains[b.chain], b.seq, CheckInclusion, Fail, ReasonIndexTwice, nil)
		}
	}
	if c := h.book; c != nil && c.records[0].read {
		// The publication stands alone: its own stream is followed by auditors. What it says of the event before it is taken as it is.
		c.next = c.first
	} else if c != nil {
		c.lost = true
	}
	for len(order) > 0 {
		n, weight := 0, 0
		for ; n < len(order) && (n == 0 || weight < batch); n++ {
			weight += int(h.chains[order[n].chain].records[order[n].seq].weight)
		}
		now := order[:n]
		order = order[n:]
		events := make([]*evidence.Event, len(now))
		errs := make([]error, len(now))
		parallel(len(now), func(i int) {
			if c := h.chains[now[i].chain]; c.records[now[i].seq].until == 0 {
				events[i], errs[i] = h.again(c, int(now[i].seq))
			}
		})
		for i, t := range now {
			c := h.chains[t.chain]
			h.judge(c, t, events[i], errs[i])
		}
	}
	for _, c := range h.chains {
		if (c.lost || c.next != c.first+int64(len(c.records))) && len(h.found.list) == 0 {
			h.note(c, -1, CheckRules, NotChecked, ReasonUnjudged, nil) // never without another finding, and never silently
		}
	}
}

// judge applies the law to one event and moves its stream on.
func (h *History) judge(c *chain, t turn, e *evidence.Event, err error) {
	c.records[t.seq].after = h.latest
	if c.records[t.seq].until != 0 {
		h.pass(c, t)
		return
	}
	if e == nil {
		h.note(c, t.seq, CheckPackage, Fail, ReasonUnreadable, err)
		c.lost = true
		return
	}
	h.checkTime(c, t, e)
	h.backwards = max(h.backwards, h.latest.Sub(e.Time))
	h.latest = max(h.latest, e.Time)
	seq := c.first + t.seq
	if c == h.book && e.Stream.Seq > 0 {
		c.state = &evidence.HeadsState{Last: evidence.Tip{Seq: e.Stream.Seq - 1, Leaf: e.Stream.Prev}}
	} else if !c.broken && t.seq > 0 && e.Stream.Prev != c.records[t.seq-1].leaf {
		h.note(c, t.seq, CheckChain, Fail, ReasonLink, nil)
		c.lost = true
	}
	if !c.lost && seq != c.next {
		h.note(c, t.seq, CheckRules, Fail, ReasonLogOrder, nil)
		c.lost = true
	}
	facts, whole := h.facts(c, t, e)
	authentic := h.checkSigner(c, t, e, facts)
	authentic = h.checkKeys(c, t, e) && authentic
	switch {
	case err != nil: // of a newer version: it was noted when it was read
		c.lost = true
		return
	case c.lost, !whole, !authentic:
		c.lost = true
		return
	}
	leaf := c.records[t.seq].leaf
	state, err := evidence.Apply(facts, e, leaf)
	if err != nil {
		check, result := CheckRules, Fail
		switch evidence.ReasonOf(err) {
		case evidence.ReasonSignerPending, evidence.ReasonSignerSuspended, evidence.ReasonSignerRevoked:
			check = CheckSignatures
		case evidence.ReasonTimeOrder:
			check = CheckTime
		}
		if evidence.KindOf(err) == evidence.Unknown {
			result = NotChecked
		}
		h.note(c, t.seq, check, result, evidence.ReasonOf(err), err)
		c.lost = true
		return
	}
	if why := grounds(e, facts); why != "" {
		h.why[place{c.at, t.seq}] = h.words.of(why)
	}
	h.advance(c, t, state)
	if item, ok := state.(*evidence.ItemState); ok {
		if until := item.Withheld(seq, 0); until != 0 {
			h.secret[place{c.at, t.seq}] = until
		}
	}
	if d, ok := e.Details.(*evidence.VaultHeadsDetails); ok && len(d.Void) > 0 {
		h.note(c, t.seq, CheckComplete, NotChecked, ReasonHeadsVoid, nil) // what is void is in no stream that anybody proves
	}
	if evidence.Barred(e, state) {
		c.barrier = seq
	}
}

// pass moves an item's stream on by a withheld event, as if it had changed nothing: what follows is lawful without it (RULES §4.7). In
// other streams, and at an item's beginning, nothing may be withheld.
func (h *History) pass(c *chain, t turn) {
	item, ok := c.state.(*evidence.ItemState)
	switch {
	case c.ID.Type != evidence.ItemStream, t.seq == 0:
		h.note(c, t.seq, CheckRules, Fail, ReasonWithheldKind, nil)
	case c.lost:
	case !ok, t.seq != c.next:
		h.note(c, t.seq, CheckRules, Fail, ReasonLogOrder, nil)
	default:
		h.advance(c, t, item.Pass(t.seq, c.records[t.seq].leaf))
		return
	}
	c.lost = true
}

// advance makes state that of c after the event.
func (h *History) advance(c *chain, t turn, state evidence.State) {
	seq := c.first + t.seq
	if c.state != nil && h.refs[place{c.at, seq - 1}] > 0 {
		c.kept[seq-1] = c.state
	} else {
		h.states.give(c.state)
	}
	c.state, c.next = state, seq+1
	if !h.states.take(state) {
		h.note(c, t.seq, CheckRules, Fail, ReasonTooMuch, nil)
		c.forget()
	}
}

// facts gathers the states that e stands on, each at the head that e names. They are not whole if one of those streams could not be
// judged so far, is missing, or was not as e says.
func (h *History) facts(c *chain, t turn, e *evidence.Event) (f evidence.Facts, whole bool) {
	f = evidence.Facts{Origin: h.trust.Vault(), Founders: h.founders, States: make(map[evidence.Stream]evidence.State, len(e.ReliedOn)+1)}
	if c.state != nil {
		f.States[c.ID] = c.state
	}
	whole = true
	for _, head := range e.ReliedOn {
		on := h.chain(head.Stream())
		if on == nil || on == h.book {
			if on != nil {
				h.note(c, t.seq, CheckRules, Fail, evidence.ReasonSuperfluousBasis, nil)
			}
			whole = false // a stream that is not there was noted when the event was read
			continue
		}
		if !on.has(head.Seq) {
			h.note(c, t.seq, CheckComplete, Fail, ReasonBasisMissing, nil)
			whole = false
			continue
		}
		state := h.at(on, head.Seq)
		switch {
		case !on.records[head.Seq].read:
		case on.records[head.Seq].leaf != head.Head:
			h.note(c, t.seq, CheckRules, Fail, ReasonBasisFork, nil)
		case on.records[head.Seq].index >= t.index:
			h.note(c, t.seq, CheckRules, Fail, ReasonLogOrder, nil)
		case on.barrier > head.Seq:
			h.note(c, t.seq, CheckRules, Fail, evidence.ReasonStaleBasis, nil)
		case state != nil:
			f.States[head.Stream()] = state
			continue
		}
		whole = false
	}
	return f, whole
}

// at returns the state of c after event seq, to an event that stands on it, and forgets it after the last of those.
func (h *History) at(c *chain, seq int64) evidence.State {
	ref := place{c.at, seq}
	left := h.refs[ref] - 1
	h.refs[ref] = left
	if seq == c.next-1 {
		return c.state
	}
	state := c.kept[seq]
	if state != nil && left <= 0 {
		delete(c.kept, seq)
		h.states.give(state)
	}
	return state
}

// checkSigner compares the key that signed with the one that the signer had at the head named; founders begin with the key that the
// trust file names, which is evidence's rule.
func (h *History) checkSigner(c *chain, t turn, e *evidence.Event, f evidence.Facts) bool {
	var key string
	actor := evidence.ActorOf(e.Actor.ID)
	if d, ok := e.Details.(*evidence.ActorEnrolledDetails); ok && actor == c.ID {
		key = d.Key
	} else if s, ok := f.States[actor].(*evidence.ActorState); ok && !(actor == c.ID && c.lost) {
		key = s.Key
	} else {
		h.note(c, t.seq, CheckSignatures, NotChecked, ReasonSignerUnknown, nil)
		return false
	}
	spki, err := base64.StdEncoding.DecodeString(key)
	if err != nil || evidence.SHA256(spki) != h.signers.ids[c.records[t.seq].signer] {
		h.note(c, t.seq, CheckSignatures, Fail, ReasonSignerKey, nil)
		return false
	}
	return true
}

// checkKeys refuses keys that an event gives to one actor after another one had them, whatever became of that one since: who holds
// them would be two persons (FORMATS §4).
func (h *History) checkKeys(c *chain, t turn, e *evidence.Event) bool {
	var keys evidence.Keys
	switch d := e.Details.(type) {
	case *evidence.ActorEnrolledDetails:
		keys = d.Keys
	case *evidence.ActorKeyRotatedDetails:
		keys = d.Keys
	}
	single := true
	for _, key := range []string{keys.Key, keys.Recipient} {
		if key == "" {
			continue
		}
		digest := evidence.SHA256([]byte(key))
		if owner, ok := h.owners[digest]; ok && owner != c.at {
			h.note(c, t.seq, CheckSignatures, Fail, ReasonKeyTwice, nil)
			single = false
			continue
		}
		h.owners[digest] = c.at
	}
	return single
}

// Names lists the streams without which e cannot be judged (FORMATS §11), sorted. It looks at the event alone: an excerpt needs also
// what the events of those streams name.
func Names(e *evidence.Event) []evidence.Stream {
	list := []evidence.Stream{evidence.ActorOf(e.Actor.ID)}
	actor := func(id evidence.ActorID) {
		if id != "" {
			list = append(list, evidence.ActorOf(id))
		}
	}
	item := func(id evidence.ItemID) {
		if id != "" {
			list = append(list, evidence.ItemOf(id))
		}
	}
	actor(e.Actor.OnBehalfOf)
	for _, r := range e.ReliedOn {
		list = append(list, r.Stream())
	}
	for _, c := range e.Consent {
		list = append(list, evidence.ConsentOf(c.ID))
	}
	if e.Counterparty != nil {
		actor(e.Counterparty.Actor)
	}
	switch d := e.Details.(type) {
	case *evidence.ConsentGivenDetails:
		item(d.Form)
	case *evidence.ConsentDelegatedDetails:
		actor(d.Advocate)
	case *evidence.ItemDepositedDetails:
		item(d.Source)
	case *evidence.GrantProposedDetails:
		actor(d.Recipient.Actor)
	}
	slices.SortFunc(list, evidence.Stream.Compare)
	return slices.Compact(list)
}

// Required lists the streams that receipts name (FORMATS §11), sorted. The receipts are read, not verified: whoever fetches an excerpt
// asks again with what came, until nothing new is named.
func Required(receipts ...[]byte) ([]evidence.Stream, error) {
	var list []evidence.Stream
	for _, data := range receipts {
		if IsWithheld(data) {
			continue // what it names is not shown
		}
		o, _, _, err := open(data)
		if err != nil {
			return nil, err
		}
		list = append(list, Names(o.statement.Event())...)
	}
	slices.SortFunc(list, evidence.Stream.Compare)
	return slices.Compact(list), nil
}
