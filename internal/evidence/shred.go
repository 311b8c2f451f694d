package evidence

import (
	"cmp"
	"slices"
	"strings"
)

// RetentionState says how long an item is kept for one category of law. A date that was brought nearer binds only after the vault's
// wait: until then the former one does (RULES §8.6).
type RetentionState struct {
	Category string `json:"category"`
	Due      Time   `json:"due"`
	Former   Time   `json:"former,omitempty"`
	Until    Time   `json:"until,omitempty"` // how long Former binds
}

func (r RetentionState) due(now Time) Time {
	if now < r.Until {
		return max(r.Due, r.Former)
	}
	return r.Due
}

// BinState is an item between the proposal to shred it and the shredding, or its return.
type BinState struct {
	By           ActorID `json:"by"`
	Organization OrgID   `json:"organization,omitempty"`
	Cause        Cause   `json:"cause"`
	Since        Time    `json:"since"`
	Ready        Time    `json:"ready"` // nothing is shredded before
}

// Due returns when the item need not be kept any longer: the latest date of its categories, and where it is kept on consent no later
// than the first of its consents ends. ok is false where nothing says so. f must hold the consents that govern the item.
func (s *ItemState) Due(f Facts, now Time) (due Time, ok bool, err error) {
	for _, r := range s.Retention {
		due, ok = max(due, r.due(now)), true
	}
	consents, err := s.consents(f)
	for _, c := range consents {
		if !ok || c.Until < due {
			due, ok = c.Until, true
		}
	}
	return due, ok, err
}

// after is the moment some seconds after the act, or the last one that can be written.
func (a *act) after(seconds int64) Time { return min(a.Time+Time(seconds)*1000, lastMoment) }

// retentionSet: by a custodian of the case. Of several categories the longest wins. Nobody brings the end nearer at once, neither by a
// shorter date nor by the first one that is set.
func retentionSet(a *act) (State, error) {
	d := a.Details.(*RetentionSetDetails)
	if err := a.decides(""); err != nil {
		return nil, err
	}
	byCategory := func(x, y RetentionState) int { return strings.Compare(x.Category, y.Category) }
	r := RetentionState{Category: d.Category, Due: d.Due}
	until := a.after(a.policy.Policy.ConfirmWait)
	former, ok, err := a.item.Due(a.facts, a.Time)
	if err != nil {
		return nil, err
	}
	if !ok {
		former = until
	}
	if i, found := slices.BinarySearchFunc(a.item.Retention, r, byCategory); found {
		former = max(former, a.item.Retention[i].due(a.Time))
	}
	if d.Due < former {
		r.Former, r.Until = former, until
	}
	s := *a.item
	s.Last, s.Retention = a.tip, with(s.Retention, r, byCategory)
	return &s, nil
}

// mayBeShredded: the stated cause is true now, and no hold stands in the way. It is judged again when the item is shredded.
func (a *act) mayBeShredded(cause Cause) error {
	switch {
	case a.item.Held(a.Time):
		return Refuse(Held, ReasonHeld)
	case cause == CauseOrder && (a.Authority == nil || a.Authority.Basis != CourtOrder && a.Authority.Basis != StatutoryDuty):
		return Refuse(Invalid, ReasonAuthority)
	}
	return a.item.Shreddable(a.facts, cause, a.Time)
}

// Shreddable reports why a cause to shred the item is not true at now, nil if it is: a draft was never relied on; a consent was withdrawn,
// or narrowed so that it does not keep the item; a date has come, that of a consent's end too. What an order says is for people to judge.
// Holds are not asked. f must hold the consents that govern the item.
func (s *ItemState) Shreddable(f Facts, cause Cause, now Time) error {
	switch cause {
	case CauseDraft:
		switch {
		case s.Sealed:
			return Refuse(Conflict, ReasonSealed)
		case s.Class == ConsentForm: // never sealed, and what a consent stands on
			return Refuse(Conflict, ReasonNotDue)
		}
	case CauseWithdrawal:
		consents, err := s.consents(f)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(consents, func(c *ConsentState) bool {
			return c.Withdrawn != 0 || now < c.Until && c.Keeps(s.Content, now) != nil
		}) {
			return Refuse(Conflict, ReasonNotFrozen)
		}
	case CauseDue:
		due, ok, err := s.Due(f, now)
		if err != nil {
			return err
		}
		if !ok || now < due {
			return Refuse(Conflict, ReasonNotDue)
		}
	case CauseOrder:
	default:
		return errCode
	}
	return nil
}

// itemShredProposed: by a custodian of the case. From here on nothing of the item is released, and everything can be undone.
func itemShredProposed(a *act) (State, error) {
	d := a.Details.(*ItemShredProposedDetails)
	if err := a.decides(""); err != nil {
		return nil, err
	}
	if a.item.Bin != nil {
		return nil, Refuse(Conflict, ReasonBinned)
	}
	if err := a.mayBeShredded(d.Cause); err != nil {
		return nil, err
	}
	wait := a.policy.Policy.BinWait
	if d.Cause == CauseWithdrawal {
		wait = a.policy.Policy.WithdrawalWait
	}
	s := *a.item
	s.Last = a.tip
	s.Bin = &BinState{By: a.Actor.ID, Organization: a.Actor.Organization, Cause: d.Cause, Since: a.Time, Ready: a.after(wait)}
	return &s, nil
}

// itemShredCancelled: by any custodian of the case. What the subject withdrew stays in the bin, unless a hold says that it must be kept.
func itemShredCancelled(a *act) (State, error) {
	if err := a.decides(""); err != nil {
		return nil, err
	}
	if a.item.Bin == nil {
		return nil, Refuse(Conflict, ReasonNotBinned)
	}
	if err := a.item.Frozen(a.facts, a.Time); err != nil && !a.item.Held(a.Time) {
		return nil, err
	}
	s := *a.item
	s.Last, s.Bin = a.tip, nil
	return &s, nil
}

// itemShredded ②: another custodian of the case, after the wait, while the cause is still true. It names every envelope that exists; with
// them go label, description and notes. Who does not know of every event cannot compare that list, and is told of the shredding all the
// same. Grants that could still give something end. Nothing brings an item back.
func itemShredded(a *act) (State, error) {
	own, d := a.item, a.Details.(*ItemShreddedDetails)
	if err := a.decides(""); err != nil {
		return nil, err
	}
	if own.Bin == nil {
		return nil, Refuse(Conflict, ReasonNotBinned)
	}
	if err := a.second(own.Bin.By, own.Bin.Organization); err != nil {
		return nil, err
	}
	if err := a.mayBeShredded(own.Bin.Cause); err != nil {
		return nil, err
	}
	switch {
	case a.Time < own.Bin.Ready:
		return nil, Refuse(Held, ReasonWaiting)
	case !own.Passed && !slices.EqualFunc(own.Envelopes, d.Envelopes, func(e EnvelopeRef, h Hash) bool { return e.Recipient == h }):
		return nil, Refuse(Conflict, ReasonEnvelopeList)
	case !slices.Contains(d.Stores, "records"), !slices.Contains(d.Stores, "backups"), d.Horizon < a.after(a.policy.Policy.BackupHorizon):
		return nil, Refuse(Invalid, ReasonStores)
	}
	s := *own
	s.Last, s.Bin, s.Shredded, s.Envelopes = a.tip, nil, a.Time, []EnvelopeRef{}
	s.ShredSeq = a.Stream.Seq
	s.Grants = slices.Clone(s.Grants)
	for i := range s.Grants {
		if g := &s.Grants[i]; g.Status == GrantPending || g.Status == GrantActive {
			g.Status = GrantEnded
		}
	}
	return &s, nil
}

// standing: what the item has become lets the act pass. Nothing but the end of what had begun follows a shredding; in the bin and while
// frozen only what releases nothing passes, the subject's own copy, and an act under a confirmed hold (RULES §4.4).
func (a *act) standing(r rule) error {
	switch {
	case a.item.Shredded != 0 && !r.final:
		return Refuse(Gone, ReasonShredded)
	case r.thaw, a.Kind == ItemOpened && a.Actor.Role == Survivor:
		return nil
	case a.item.Bin != nil:
		return Refuse(Held, ReasonBinned)
	case a.underHold():
		return nil
	}
	return a.item.Frozen(a.facts, a.Time)
}

// Decide returns by when somebody must decide what becomes of a frozen item: shred it, or place a hold. ok is false while the item is not
// frozen, in the bin, held or shredded: then there is nothing to decide (RULES §3.5).
func (s *ItemState) Decide(f Facts, p *PolicyState, now Time) (by Time, ok bool, err error) {
	if s.Shredded != 0 || s.Bin != nil || s.Held(now) {
		return 0, false, nil
	}
	consents, err := s.consents(f)
	for _, c := range consents {
		if ended := c.ended(s.Content, now); ended != 0 {
			moment := ended + Time(p.Policy.DecisionTime)*1000
			if !ok || moment < by {
				by, ok = moment, true
			}
		}
	}
	return by, ok, err
}

// ended is since when the consent does not keep the content any more at now, or 0.
func (s *ConsentState) ended(content Content, now Time) Time {
	if s.Keeps(content, now) == nil {
		return 0
	}
	since := now
	if s.Withdrawn != 0 {
		since = min(since, s.Withdrawn)
	}
	if now >= s.Until {
		since = min(since, s.Until)
	}
	if s.stores(content) != nil || now < s.From {
		since = min(since, cmp.Or(s.Answered, s.Last.Time))
	}
	return since
}
