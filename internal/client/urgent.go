package client

import (
	"context"
	"io"

	"strongroom.example/strongroom/internal/evidence"
)

// Emergency is an opening by a keyholder on duty who lacks the right to open (RULES §3.6).
type Emergency struct {
	Item     evidence.ItemID
	Code     string // "life", "safety", "legal_deadline"
	Reason   string // internal note: why it could not wait
	Progress Progress
}

// BreakGlass signs item.break_glass and, once that is in the log, writes the original bytes to dst, as Open does. Another person reviews it;
// review is by when.
func (c *Client) BreakGlass(ctx context.Context, p Emergency, dst io.Writer) (opened *Opened, review evidence.Time, err error) {
	var item *evidence.ItemState
	var ref evidence.EnvelopeRef
	d := &evidence.ItemBreakGlassDetails{Code: p.Code}
	wait := int64(0)
	receipt, err := c.onItemAct(ctx, p.Item, evidence.ItemBreakGlass, d, func(v *View, own *evidence.ItemState, a *act) (err error) {
		policy, err := v.Policy()
		if err != nil {
			return err
		}
		if ref, err = v.envelope(own, c.actor); err != nil {
			return err
		}
		item, wait = own, policy.ReviewTime
		d.Envelope, a.event.Purpose = ref.SHA256, evidence.ForEmergency
		return v.noteToCase(a, own.Case, "reason", p.Reason)
	})
	if err != nil {
		return nil, 0, err
	}
	review = receipt.Event.Time + evidence.Time(wait)*1000
	a, err := c.unseal(ctx, receipt, item, ref)
	if err != nil {
		return nil, review, err
	}
	found, err := c.decrypt(ctx, a, dst, nil, p.Progress)
	return &Opened{Receipt: a.receipt, Description: a.description, Ciphertext: found, access: a}, review, err
}

// ReviewEmergency signs item.break_glass_reviewed ② over an emergency opening: whether it was justified, and what follows from it, which is a
// note to who opens the item. check is of that, where somebody outside has a key to the item.
func (c *Client) ReviewEmergency(ctx context.Context, item evidence.ItemID, event evidence.Hash, justified bool, measures string, check *Check) (*Receipt, error) {
	return c.onItemAct(ctx, item, evidence.ItemBreakGlassReviewed, &evidence.ItemBreakGlassReviewedDetails{Event: event, Justified: justified},
		func(_ *View, own *evidence.ItemState, a *act) error {
			a.check = check
			return a.note("measures", evidence.ToItem, measures, own.ItemRecipient)
		})
}

// HandOver is a physical item on its way to another person.
type HandOver struct {
	Item  evidence.ItemID
	To    evidence.ActorID // "" where the receiver has no account here; then Class says what they are
	Class evidence.Role
	Place string // country code: consent to courts is asked for by it
	Note  string // to who opens the item: kit, seal, contents, condition, by whom, to whom
	Check *Check // of it, where somebody outside has a key to the item
}

// HandOverItem signs item.transferred (RULES §3.6).
func (c *Client) HandOverItem(ctx context.Context, p HandOver) (*Receipt, error) {
	stream := evidence.ItemOf(p.Item)
	streams := []evidence.Stream{stream}
	if p.To != "" {
		streams = append(streams, evidence.ActorOf(p.To))
	}
	return c.perform(ctx, streams, func(v *View) (act, error) {
		d := &evidence.ItemTransferredDetails{Class: p.Class}
		own, e, err := v.onItem(p.Item, evidence.ItemTransferred, d)
		if err != nil {
			return act{}, err
		}
		e.Place = p.Place
		if p.To != "" {
			who, err := state[*evidence.ActorState](v, evidence.ActorOf(p.To))
			if err != nil {
				return act{}, err
			}
			d.Class = who.Role
			e.Counterparty = &evidence.Counterparty{Actor: who.ID, Fingerprint: who.Fingerprint(), Class: who.Role}
		}
		a := act{stream: stream, event: e, check: p.Check}
		return a, a.note("transfer", evidence.ToItem, p.Note, own.ItemRecipient)
	})
}

// ReceiveItem signs item.received: by who was named as the receiver, or by a member who holds the signed paper. condition is a note to who
// opens the item, and check is of it, where somebody outside has a key to the item.
func (c *Client) ReceiveItem(ctx context.Context, item evidence.ItemID, sealIntact bool, condition string, check *Check) (*Receipt, error) {
	return c.onItemAct(ctx, item, evidence.ItemReceived, &evidence.ItemReceivedDetails{SealIntact: sealIntact},
		func(_ *View, own *evidence.ItemState, a *act) error {
			if t := own.Transit; t != nil {
				a.event.Counterparty = &evidence.Counterparty{Actor: t.From, Receipt: t.Event}
			}
			a.check = check
			return a.note("condition", evidence.ToItem, condition, own.ItemRecipient)
		})
}
