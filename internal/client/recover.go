package client

import (
	"context"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// Recoverable is what the recovery key is needed for in a case, and what two trustees have stated of it (RULES §3.7).
type Recoverable struct {
	Recipient string            // of the vault's recovery key
	Cause     evidence.Cause    // stated by two trustees; "" if they have stated nothing
	Until     evidence.Time     // when that ends by itself
	Stated    []evidence.ItemID // of the case's items that need it: what Recover opens
	Unstated  []evidence.ItemID // the others: what trustees would state, too
}

// Reasons of this package about recovery.
const (
	reasonOtherRecovery = "other_recovery_key" // the key at hand is not the one on the keyring
	reasonNotNeeded     = "recovery_not_needed"
	reasonLabelKey      = "label_key_lost" // the case's label key was made for an earlier recovery key
)

// Recoverable looks at every item of a case that this person, a keyholder, has no envelope for by the keys in force, and that is not
// shredded.
func (c *Client) Recoverable(ctx context.Context, in evidence.CaseID) (Recoverable, error) {
	v, _, err := lookAt[*evidence.CaseState](ctx, c, evidence.CaseOf(in), evidence.ActorOf(c.actor))
	if err != nil {
		return Recoverable{}, err
	}
	policy, err := v.policy()
	if err != nil {
		return Recoverable{}, err
	}
	self, err := state[*evidence.ActorState](v, evidence.ActorOf(c.actor))
	if err != nil {
		return Recoverable{}, err
	}
	r := Recoverable{Recipient: policy.Recovery}
	var stated []evidence.ItemID
	if use := policy.Recoverable(v.Time); use != nil {
		r.Cause, r.Until, stated = use.Stated.Cause, use.Until, use.Stated.Items
	}
	list, err := c.listItems(ctx, in)
	if err != nil {
		return Recoverable{}, err
	}
	for _, listed := range list {
		_, item, err := lookAt[*evidence.ItemState](ctx, c, evidence.ItemOf(evidence.ItemID(listed.ID)))
		if err != nil {
			return Recoverable{}, err
		}
		if _, has := item.Envelope(self.Fingerprint()); has || item.Shredded != 0 || item.Case != in {
			continue
		}
		if slices.Contains(stated, item.ID) {
			r.Stated = append(r.Stated, item.ID)
		} else {
			r.Unstated = append(r.Unstated, item.ID)
		}
	}
	return r, nil
}

// RecoverCase makes a case usable again whose keyholders have new keys and no envelopes for them: members get the label key, the keyring
// the keys in force. This person manages the case and is a keyholder. What is right already stays; stopped half-way, it goes on when
// repeated. key is the vault's recovery key, else Invalid "other_recovery_key". Where somebody lacks the label key two trustees have stated a
// use of it for an item of the case, else Forbidden "not_recovered". It returns how many members got the label key. A label key that was made
// before the recovery key changed has no envelope for it (RULES §3.4): the keyring changes all the same, so that the items open again, and
// then it is NotFound "label_key_lost".
func (c *Client) RecoverCase(ctx context.Context, in evidence.CaseID, key sealing.Identity) (members int, err error) {
	stream := evidence.CaseOf(in)
	v, own, err := lookAt[*evidence.CaseState](ctx, c, stream)
	if err != nil {
		return 0, err
	}
	if evidence.Fingerprint(nil, key.Recipient()) != own.Recovery {
		return 0, evidence.Refuse(evidence.Invalid, reasonOtherRecovery)
	}
	var changed []evidence.ActorID // keyholders who have other keys now
	var lacking []evidence.Member
	for _, m := range own.Members {
		_, who, err := lookAt[*evidence.ActorState](ctx, c, evidence.ActorOf(m.Actor))
		if err != nil {
			return 0, err
		}
		if _, holds := own.Member(m.Actor, v.Time); !holds || !who.Active(v.Time) {
			continue
		}
		has := func(e evidence.EnvelopeRef) bool { return e.Recipient == who.Fingerprint() }
		if !slices.ContainsFunc(own.LabelKey.Envelopes, has) {
			lacking = append(lacking, m)
		}
		if own.Holds(m.Actor) && !slices.Contains(own.Keyring, evidence.Keyholder{Actor: m.Actor, Fingerprint: who.Fingerprint()}) {
			changed = append(changed, m.Actor)
		}
	}
	var label sealing.ItemKey
	_, recoverable := ofRecovery(own)
	if len(lacking) > 0 && recoverable { // before anything is signed
		if label, err = c.recoverLabelKey(ctx, v, own, key); err != nil {
			return 0, err
		}
	}
	if len(changed) > 0 {
		if _, err := c.ChangeKeyring(ctx, in, changed, changed); err != nil {
			return 0, err
		}
	}
	if len(lacking) > 0 && !recoverable {
		return 0, evidence.Refuse(evidence.NotFound, reasonLabelKey)
	}
	for _, m := range lacking {
		if err := c.readmit(ctx, in, m, label); err != nil {
			return members, err
		}
		members++
	}
	return members, nil
}

// ofRecovery is the envelope of the case's label key for the recovery key on its keyring.
func ofRecovery(in *evidence.CaseState) (evidence.EnvelopeRef, bool) {
	i, found := slices.BinarySearchFunc(in.LabelKey.Envelopes, in.Recovery, func(e evidence.EnvelopeRef, h evidence.Hash) int { return e.Recipient.Compare(h) })
	if !found {
		return evidence.EnvelopeRef{}, false
	}
	return in.LabelKey.Envelopes[i], true
}

// recoverLabelKey takes the case's label key in force out of the recovery key's envelope.
func (c *Client) recoverLabelKey(ctx context.Context, v *View, in *evidence.CaseState, key sealing.Identity) (label sealing.ItemKey, err error) {
	stream := evidence.CaseOf(in.ID)
	ref, found := ofRecovery(in)
	if !found {
		return label, evidence.Refuse(evidence.NotFound, evidence.ReasonEnvelope)
	}
	for e, err := range v.Events(stream) {
		if err != nil {
			return label, err
		}
		var made []evidence.EnvelopeRef
		switch d := e.Details.(type) {
		case *evidence.CaseOpenedDetails:
			made = d.LabelKey.Envelopes
		case *evidence.CaseMemberRemovedDetails:
			made = d.LabelKey.Envelopes
		}
		if !slices.Contains(made, ref) {
			continue
		}
		body, err := c.attachment(ctx, e.Leaf, ref.SHA256, nil, evidence.MaxEnvelope)
		if err != nil {
			return label, err
		}
		if evidence.SHA256(body) != ref.SHA256 {
			return label, alarm(OtherEnvelope, stream, nil)
		}
		if label, err = sealing.OpenEnvelope(body, key, in.LabelKey.Recipient); err != nil {
			return label, evidence.Fail(evidence.Invalid, evidence.ReasonEnvelope, err)
		}
		return label, nil
	}
	return label, evidence.Refuse(evidence.NotFound, evidence.ReasonEnvelope)
}

// readmit signs case.member_added for somebody who is a member, with the same rights and the label key for the keys in force.
func (c *Client) readmit(ctx context.Context, in evidence.CaseID, m evidence.Member, label sealing.ItemKey) error {
	stream := evidence.CaseOf(in)
	_, err := c.perform(ctx, []evidence.Stream{stream, evidence.ActorOf(m.Actor)}, func(v *View) (a act, err error) {
		who, err := state[*evidence.ActorState](v, evidence.ActorOf(m.Actor))
		if err != nil {
			return a, err
		}
		d := &evidence.CaseMemberAddedDetails{Member: m}
		a = act{stream: stream, event: &evidence.Event{Kind: evidence.CaseMemberAdded, Details: d}}
		d.Envelope, err = a.envelope(wire.AttachmentKindLabelEnvelope, label, who.Fingerprint(), who.Recipient)
		return a, err
	})
	return err
}

// Recover opens an item with the recovery key, which two trustees have stated, and writes an envelope for every keyholder who lacks one. The
// key is not kept. An item that nobody lacks an envelope for is not opened: Conflict "recovery_not_needed".
func (c *Client) Recover(ctx context.Context, id evidence.ItemID, key sealing.Identity, reason string) ([]*Receipt, error) {
	stream := evidence.ItemOf(id)
	v, own, err := lookAt[*evidence.ItemState](ctx, c, stream)
	if err != nil {
		return nil, err
	}
	in, err := state[*evidence.CaseState](v, evidence.CaseOf(own.Case))
	if err != nil {
		return nil, err
	}
	fingerprint := evidence.Fingerprint(nil, key.Recipient())
	if fingerprint != in.Recovery {
		return nil, evidence.Refuse(evidence.Invalid, reasonOtherRecovery)
	}
	var lacking []evidence.Keyholder
	for _, k := range in.Keyring {
		if _, has := own.Envelope(k.Fingerprint); !has {
			lacking = append(lacking, k)
		}
	}
	if len(lacking) == 0 {
		return nil, evidence.Refuse(evidence.Conflict, reasonNotNeeded)
	}
	opened, err := c.enterWith(ctx, id, key, reason)
	if err != nil {
		return nil, err
	}
	receipts := []*Receipt{opened.receipt}
	for _, k := range lacking {
		r, err := c.addEnvelope(ctx, opened, evidence.CauseRewrap, "", k)
		if err != nil {
			return receipts, err
		}
		receipts = append(receipts, r)
	}
	return receipts, nil
}

// enterWith signs item.opened for the recovery key's envelope, and takes the item key out of that.
func (c *Client) enterWith(ctx context.Context, id evidence.ItemID, key sealing.Identity, reason string) (*access, error) {
	var item *evidence.ItemState
	var ref evidence.EnvelopeRef
	d := &evidence.ItemOpenedDetails{}
	receipt, err := c.onItemAct(ctx, id, evidence.ItemOpened, d, func(v *View, own *evidence.ItemState, a *act) error {
		var has bool
		if ref, has = own.Envelope(evidence.Fingerprint(nil, key.Recipient())); !has {
			return evidence.Refuse(evidence.NotFound, evidence.ReasonEnvelope)
		}
		item, d.Envelope, a.event.Purpose = own, ref.SHA256, evidence.ForRecovery
		return v.noteToCase(a, own.Case, "reason", reason)
	})
	if err != nil {
		return nil, err
	}
	return c.unsealWith(ctx, receipt, item, ref, func() (sealing.Identity, error) { return key, nil })
}
