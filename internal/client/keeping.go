package client

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// onItemAct signs an event of the item's own stream; more completes it. d may be completed too: it is, on every attempt, anew.
func (c *Client) onItemAct(ctx context.Context, id evidence.ItemID, kind evidence.Kind, d evidence.Details, more func(*View, *evidence.ItemState, *act) error) (*Receipt, error) {
	stream := evidence.ItemOf(id)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		item, e, err := v.onItem(id, kind, d)
		if err != nil {
			return act{}, err
		}
		a := act{stream: stream, event: e}
		if more != nil {
			err = more(v, item, &a)
		}
		return a, err
	})
}

// Hold is a stated legal duty to keep items (RULES §8). One hold has the same id on each of its items.
type Hold struct {
	ID      evidence.HoldID
	Basis   evidence.Basis
	Expires evidence.Time
	Review  evidence.Time
	Secret  evidence.Time // until then it is shown to nobody but those who must act on it; 0 if it is no secret
	Order   string        // internal note: authority, number, law
}

// PlaceHold signs hold.placed on an item: it cannot be shredded from now on. It lapses unless another person confirms it.
func (c *Client) PlaceHold(ctx context.Context, item evidence.ItemID, h Hold) (*Receipt, error) {
	d := &evidence.HoldPlacedDetails{Hold: h.ID, Basis: h.Basis, Expires: h.Expires, Review: h.Review, SecretUntil: h.Secret}
	return c.onItemAct(ctx, item, evidence.HoldPlaced, d, func(v *View, own *evidence.ItemState, a *act) error {
		a.event.Authority = &evidence.Authority{Basis: h.Basis}
		return v.noteToCase(a, own.Case, "order", h.Order)
	})
}

// ConfirmHold signs hold.confirmed ②.
func (c *Client) ConfirmHold(ctx context.Context, item evidence.ItemID, hold evidence.HoldID) (*Receipt, error) {
	return c.onItemAct(ctx, item, evidence.HoldConfirmed, &evidence.HoldConfirmedDetails{Hold: hold}, under(hold))
}

// LiftHold signs hold.lifted ②: from then on the state of consent decides again.
func (c *Client) LiftHold(ctx context.Context, item evidence.ItemID, hold evidence.HoldID, cause evidence.Cause) (*Receipt, error) {
	return c.onItemAct(ctx, item, evidence.HoldLifted, &evidence.HoldLiftedDetails{Hold: hold, Cause: cause},
		func(v *View, own *evidence.ItemState, a *act) error {
			a.event.Change = cause
			return under(hold)(v, own, a)
		})
}

// under names a hold, and the ground on which it stands, as the authority of an act.
func under(id evidence.HoldID) func(*View, *evidence.ItemState, *act) error {
	return func(_ *View, own *evidence.ItemState, a *act) error {
		h := own.Hold(id)
		if h == nil {
			return evidence.Refuse(evidence.NotFound, evidence.ReasonHold)
		}
		a.event.Authority = &evidence.Authority{Basis: h.Basis, Hold: id}
		return nil
	}
}

// SetRetention signs retention.set: for one category of law the item is kept until due. Of several categories the longest wins. Law is an
// internal note: which law says so, for those who decide once the period is over; it is erased with the item's keys.
func (c *Client) SetRetention(ctx context.Context, item evidence.ItemID, category string, due evidence.Time, law string) (*Receipt, error) {
	d := &evidence.RetentionSetDetails{Category: category, Due: due}
	return c.onItemAct(ctx, item, evidence.RetentionSet, d, func(v *View, own *evidence.ItemState, a *act) error {
		return v.noteToCase(a, own.Case, "authority", law)
	})
}

// DryRun is what a proposal to shred was shown to be about, sorted by item (RULES §8.3). Everything in it stands in plain in the histories,
// so whoever has them can make it again from the proposals that name its digest.
type DryRun []DryRunLine

// DryRunLine says of one item why it may be shredded, and since when. The fields stand in the order of their names.
type DryRunLine struct {
	Cause evidence.Cause  `json:"cause"`         // "withdrawal", "due", "order" or "draft"
	Due   evidence.Time   `json:"due,omitempty"` // since when it need not, or may not, be kept; absent for an order and a draft
	Item  evidence.ItemID `json:"item"`
}

// Digest is what item.shred_proposed carries as dry_run: SHA-256 over the canonical JSON (RFC 8785) of the list (FORMATS §3). The fields
// are declared in the order of their names and hold nothing but codes, so their plain encoding is canonical.
func (r DryRun) Digest() evidence.Hash {
	sorted := slices.SortedFunc(slices.Values(r), func(a, b DryRunLine) int { return strings.Compare(string(a.Item), string(b.Item)) })
	if sorted == nil {
		sorted = DryRun{}
	}
	text, err := json.Marshal(sorted)
	if err != nil {
		panic("client: a dry run does not encode: " + err.Error()) // every field is a plain type
	}
	return evidence.SHA256(text)
}

// Line is an item's line in a dry run for a cause, as things stand in the view; a refusal says why it has none. A hold is no reason to
// leave an item out: it stands in the way of the proposal itself.
func (v *View) Line(id evidence.ItemID, cause evidence.Cause) (DryRunLine, error) {
	line := DryRunLine{Cause: cause, Item: id}
	item, err := state[*evidence.ItemState](v, evidence.ItemOf(id))
	switch {
	case err != nil:
		return line, err
	case item.Shredded != 0:
		return line, evidence.Refuse(evidence.Gone, evidence.ReasonShredded)
	}
	if err = item.Shreddable(v.facts, cause, v.Time); err != nil {
		return line, err
	}
	switch cause {
	case evidence.CauseWithdrawal:
		line.Due, err = v.ended(item)
	case evidence.CauseDue:
		line.Due, _, err = item.Due(v.facts, v.Time)
	}
	return line, err
}

// ended is since when the first of an item's consents does not keep it any more, or 0: by when to decide, if there were no time for that
// and nothing had been decided.
func (v *View) ended(item *evidence.ItemState) (evidence.Time, error) {
	undecided := *item
	undecided.Bin, undecided.Holds = nil, nil
	since, ok, err := undecided.Decide(v.facts, &evidence.PolicyState{}, v.Time)
	if !ok {
		since = 0
	}
	return since, err
}

// Due is when an item need not be kept any longer; ok is false where nothing says so.
func (v *View) Due(item *evidence.ItemState) (due evidence.Time, ok bool, err error) {
	return item.Due(v.facts, v.Time)
}

// Decide is by when somebody must decide what becomes of a frozen item; ok is false while there is nothing to decide.
func (v *View) Decide(item *evidence.ItemState) (by evidence.Time, ok bool, err error) {
	policy, err := v.policy()
	if err != nil {
		return 0, false, err
	}
	return item.Decide(v.facts, policy, v.Time)
}

// HeldIn returns the items of a case that a hold keeps, so far as this person may see it: a secret one is not told (RULES §8.2). Which items
// to look at is the vault's claim; that each is held was verified.
func (c *Client) HeldIn(ctx context.Context, in evidence.CaseID) ([]evidence.ItemID, error) {
	items, err := c.listItems(ctx, in)
	if err != nil {
		return nil, err
	}
	items = slices.DeleteFunc(items, func(i wire.Item) bool { return !i.Held })
	list, err := c.listed(ctx, items, in, nil)
	var held []evidence.ItemID
	for _, i := range list {
		if i.Held(evidence.At(c.clock.time())) {
			held = append(held, i.ID)
		}
	}
	return held, err
}

// Warning is how urgent it is to decide what becomes of an item (RULES §8.5).
type Warning string

const (
	WarnOverdue Warning = "overdue" // an alarm: the time has come, and nobody decided
	WarnWeek    Warning = "7_days"
	WarnMonth   Warning = "30_days"
	WarnQuarter Warning = "90_days"
)

// warned is the warning about a moment by which something is to be decided, "" while that is far.
func warned(by, now evidence.Time) Warning {
	const day = evidence.Time(24 * 60 * 60 * 1000)
	switch left := by - now; {
	case left <= 0:
		return WarnOverdue
	case left <= 7*day:
		return WarnWeek
	case left <= 30*day:
		return WarnMonth
	case left <= 90*day:
		return WarnQuarter
	}
	return ""
}

// Warning is how urgent it is to decide about an item, and by when that is: in the bin or held it was decided, shredded it is over. What is
// frozen waits by the clock of its decision, all else by its date.
func (v *View) Warning(item *evidence.ItemState) (w Warning, by evidence.Time, err error) {
	if item.Shredded != 0 || item.Bin != nil || item.Held(v.Time) {
		return "", 0, nil
	}
	by, ok, err := v.Decide(item)
	if err == nil && !ok {
		by, ok, err = v.Due(item)
	}
	if err != nil || !ok {
		return "", 0, err
	}
	return warned(by, v.Time), by, nil
}

// Policy is the vault's, as it is in force at the time of the look.
func (v *View) Policy() (evidence.VaultPolicy, error) {
	s, err := v.policy()
	if err != nil {
		return evidence.VaultPolicy{}, err
	}
	return s.Policy, nil
}

func (v *View) policy() (*evidence.PolicyState, error) {
	s, err := state[*evidence.PolicyState](v, evidence.PolicyOf(v.facts.Origin))
	if err != nil {
		return nil, err
	}
	return s.At(v.Time), nil
}

// Shredding is why items are to be shredded, and what was shown before.
type Shredding struct {
	Cause evidence.Cause
	Run   DryRun         // of all items of one act
	Basis evidence.Basis // of an order: "court_order" or "statutory_duty"
	Order string         // note to who opens the item; of an order: authority, number, law
	Check *Check         // of it, where somebody outside has a key to the item
}

// ProposeShred signs item.shred_proposed: nothing of the item is released from then on, and it can be taken back (RULES §8.4).
func (c *Client) ProposeShred(ctx context.Context, item evidence.ItemID, p Shredding) (*Receipt, error) {
	d := &evidence.ItemShredProposedDetails{Cause: p.Cause, DryRun: p.Run.Digest()}
	return c.onItemAct(ctx, item, evidence.ItemShredProposed, d, func(_ *View, own *evidence.ItemState, a *act) error {
		a.event.Change = p.Cause
		a.event.Authority = nil // what an item was given for is no ground to destroy it
		if p.Basis != "" {
			a.event.Authority = &evidence.Authority{Basis: p.Basis}
		}
		a.check = p.Check
		return a.note("authority", evidence.ToItem, p.Order, own.ItemRecipient)
	})
}

// CancelShred signs item.shred_cancelled: the item is back as it was.
func (c *Client) CancelShred(ctx context.Context, item evidence.ItemID, cause evidence.Cause) (*Receipt, error) {
	return c.onItemAct(ctx, item, evidence.ItemShredCancelled, &evidence.ItemShredCancelledDetails{Cause: cause},
		func(_ *View, _ *evidence.ItemState, a *act) error {
			a.event.Change, a.event.Authority = cause, nil
			return nil
		})
}

// signingTime is what lies at most between the look and the signature that rests on it.
const signingTime = time.Minute

// Shred signs item.shredded ②: every envelope, the label, the description and all notes are destroyed, at once in the vault's records and
// by the horizon in its backups. Nothing brings the item back.
func (c *Client) Shred(ctx context.Context, item evidence.ItemID) (*Receipt, error) {
	d := &evidence.ItemShreddedDetails{Stores: []string{"records", "backups"}}
	return c.onItemAct(ctx, item, evidence.ItemShredded, d, func(v *View, own *evidence.ItemState, a *act) (err error) {
		d.Envelopes = nil
		for _, e := range own.Envelopes {
			d.Envelopes = append(d.Envelopes, e.Recipient)
		}
		a.event.Authority = nil
		if own.Bin != nil {
			a.event.Change = own.Bin.Cause
			if a.event.Authority, err = v.proposed(own); err != nil {
				return err
			}
		}
		d.Horizon, err = v.BackupsEnd()
		return err
	})
}

// proposed is the authority that the newest proposal to shred an item names; nil if it names none.
func (v *View) proposed(own *evidence.ItemState) (authority *evidence.Authority, _ error) {
	for e, err := range v.Events(evidence.ItemOf(own.ID)) {
		if err != nil {
			return nil, err
		}
		if e.Kind != evidence.ItemShredProposed {
			continue
		}
		if authority = e.Authority; authority != nil && authority.Basis == evidence.ByConsent {
			authority = nil
		}
	}
	return authority, nil
}

// BackupsEnd is when the last backup has expired that may hold what is destroyed now.
func (v *View) BackupsEnd() (evidence.Time, error) {
	policy, err := v.Policy()
	return v.Time.Add(time.Duration(policy.BackupHorizon)*time.Second + signingTime), err
}
