package client

import (
	"context"
	"errors"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// Proposal is what shall go to whom (RULES §7). The grant's id, the recipient's keys and role, and the consents are filled in.
type Proposal struct {
	Item         evidence.ItemID
	Recipient    evidence.ActorID
	Actions      []evidence.Action
	Purpose      evidence.Purpose
	Jurisdiction string
	LegalBasis   string // "treaty", "mla_request", "court_order", "consent", "statute"
	Onward       bool
	NotBefore    evidence.Time
	Expires      evidence.Time
	CoolingOff   evidence.Time   // or 0
	Hold         evidence.HoldID // a confirmed one on which the grant stands where consent has ended, or ""
	Reason       string          // note to the recipient and the keyholders: request number, conditions
	Check        *Check          // of the reason, or nil
	Through      bool            // Check looks through the item too: that opens it, which is an access and logged as one
}

// noteReason is why a share is proposed, or an act is done.
const noteReason = "reason"

// Propose signs grant.proposed. The pseudonyms of the persons concerned go with it, sealed to the recipient and the keyholders (RULES §7.7).
func (c *Client) Propose(ctx context.Context, p Proposal) (evidence.GrantID, *Receipt, error) {
	id := evidence.NewID[evidence.GrantID]()
	stream, to := evidence.ItemOf(p.Item), evidence.ActorOf(p.Recipient)
	if err := c.leaveProposal(ctx, p); err != nil {
		return "", nil, err
	}
	streams := []evidence.Stream{stream, to}
	propose := func() (*Receipt, error) {
		return c.perform(ctx, streams, func(v *View) (act, error) {
			a, item, t, err := v.proposal(p, id)
			if err != nil {
				return a, err
			}
			names, err := c.pseudonymsOf(item, p.Recipient)
			if err == nil {
				err = v.noteToRecipient(&a, item, t, notePseudonym, names.String())
			}
			if err == nil {
				err = v.noteToRecipient(&a, item, t, noteReason, p.Reason)
			}
			return a, err
		})
	}
	receipt, err := propose()
	if !errors.Is(err, errLacking) {
		return id, receipt, err
	}
	// To learn a pseudonym another item may have to be opened. None is for a share that the law refuses.
	v, _, err := c.prepare(ctx, afresh{c}, append(slices.Clone(streams), evidence.ActorOf(c.actor)), func(v *View) (act, error) {
		a, _, _, err := v.proposal(p, id)
		return a, err
	})
	if err != nil {
		return "", nil, err
	}
	item, err := state[*evidence.ItemState](v, stream)
	if err == nil {
		err = c.findPseudonyms(ctx, item, p.Recipient)
	}
	if err != nil {
		return "", nil, err
	}
	receipt, err = propose()
	return id, receipt, err
}

// leaveProposal checks what a share would tell its recipient, and the item if that is wanted.
func (c *Client) leaveProposal(ctx context.Context, p Proposal) error {
	switch {
	case p.Check == nil:
		return nil
	case p.Through:
		opened, err := c.enter(ctx, Open{Item: p.Item, Purpose: p.Purpose, Hold: p.Hold})
		if err != nil {
			return err
		}
		return c.leave(ctx, opened, p.Check, nil, leaving{reason: p.Reason, shared: true})
	case p.Reason == "":
		return nil
	}
	_, item, err := lookAt[*evidence.ItemState](ctx, c, evidence.ItemOf(p.Item))
	if err != nil {
		return err
	}
	return c.leaveReason(ctx, p.Check, item, p.Reason)
}

// proposal begins grant.proposed, still without its notes.
func (v *View) proposal(p Proposal, id evidence.GrantID) (act, *evidence.ItemState, *evidence.Terms, error) {
	who, err := state[*evidence.ActorState](v, evidence.ActorOf(p.Recipient))
	if err != nil {
		return act{}, nil, nil, err
	}
	d := &evidence.GrantProposedDetails{Terms: evidence.Terms{
		ID: id, Item: p.Item, Actions: slices.Sorted(slices.Values(p.Actions)), Purpose: p.Purpose, Jurisdiction: p.Jurisdiction,
		LegalBasis: p.LegalBasis, Onward: p.Onward, NotBefore: p.NotBefore, Expires: p.Expires, CoolingOff: p.CoolingOff,
		Recipient: evidence.Keyholder{Actor: who.ID, Fingerprint: who.Fingerprint()}, RecipientClass: who.Role,
	}}
	item, e, err := v.onItem(p.Item, evidence.GrantProposed, d)
	if err != nil {
		return act{}, nil, nil, err
	}
	d.Consent, e.Purpose, e.Authority.Hold = e.Consent, p.Purpose, p.Hold
	return act{stream: evidence.ItemOf(p.Item), event: e}, item, &d.Terms, nil
}

// noteToRecipient seals a note to a grant's recipient and the keyholders (FORMATS §3).
func (v *View) noteToRecipient(a *act, item *evidence.ItemState, t *evidence.Terms, name, text string) error {
	if text == "" {
		return nil
	}
	in, err := state[*evidence.CaseState](v, evidence.CaseOf(item.Case))
	if err != nil {
		return err
	}
	recipient, err := recipientOf(v, t.Recipient.Actor, t.Recipient.Fingerprint)
	if err != nil {
		return err
	}
	return a.note(name, evidence.ToRecipient, text, append(keyholders(v, in), recipient)...)
}

// onGrant begins an event on a grant.
func (v *View) onGrant(item evidence.ItemID, id evidence.GrantID, kind evidence.Kind, d evidence.Details) (*evidence.ItemState, *evidence.GrantState, *evidence.Event, error) {
	own, e, err := v.onItem(item, kind, d)
	if err != nil {
		return nil, nil, nil, err
	}
	g := own.Grant(id)
	if g == nil {
		return nil, nil, nil, evidence.Refuse(evidence.NotFound, evidence.ReasonGrant)
	}
	t := &g.Terms
	e.Purpose, e.Authority.Grant = t.Purpose, id
	e.Counterparty = &evidence.Counterparty{Actor: t.Recipient.Actor, Fingerprint: t.Recipient.Fingerprint, Class: t.RecipientClass}
	return own, g, e, nil
}

// standingHold is the hold that an opening for the sake of a grant names: that of its proposal, while it stands.
func standingHold(item *evidence.ItemState, g *evidence.GrantState, now evidence.Time) evidence.HoldID {
	if h := item.Hold(g.Hold); h != nil && h.Confirmed(now) {
		return h.ID
	}
	return ""
}

// GrantReason reads why a share was proposed, as it is told its recipient: nil if no reason was given. A keyholder opens the item for that,
// which is an access and logged as one; for others the note is without its text.
func (c *Client) GrantReason(ctx context.Context, item evidence.ItemID, grant evidence.GrantID) (*ReadNote, error) {
	stream := evidence.ItemOf(item)
	wanted := func(n ReadNote) bool {
		return n.Name == noteReason && n.Audience == evidence.ToRecipient && n.Grant == grant
	}
	list, err := c.notes(ctx, stream, nil, wanted)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	if list[0].Unread != UnreadOpens {
		return &list[0], nil
	}
	v, own, err := lookAt[*evidence.ItemState](ctx, c, stream)
	if err != nil {
		return nil, err
	}
	g := own.Grant(grant)
	if g == nil {
		return nil, evidence.Refuse(evidence.NotFound, evidence.ReasonGrant)
	}
	opened, err := c.enter(ctx, Open{Item: item, Purpose: g.Terms.Purpose, Hold: standingHold(own, g, v.Time)})
	if hidden(err) || stopped(err, evidence.Held) { // a key alone is not the right to open, nor is every item served
		list[0].Unread = UnreadSealed
		return &list[0], nil
	}
	if err != nil {
		return nil, err
	}
	if list, err = c.notes(ctx, stream, opened, wanted); err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// Approve signs grant.approved ② over the terms that were proposed; the caller has shown them (RULES §7).
func (c *Client) Approve(ctx context.Context, item evidence.ItemID, grant evidence.GrantID) (*Receipt, error) {
	stream := evidence.ItemOf(item)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		d := &evidence.GrantApprovedDetails{Grant: grant}
		own, g, e, err := v.onGrant(item, grant, evidence.GrantApproved, d)
		if err != nil {
			return act{}, err
		}
		d.Terms, e.Actor.OnBehalfOf = g.Terms.Digest(), c.behalf(v, own.Consent...)
		return act{stream: stream, event: e}, nil
	})
}

// Refuse signs grant.refused with its reason, an internal note that is kept for ever.
func (c *Client) Refuse(ctx context.Context, item evidence.ItemID, grant evidence.GrantID, reason string) (*Receipt, error) {
	stream := evidence.ItemOf(item)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		own, _, e, err := v.onGrant(item, grant, evidence.GrantRefused, &evidence.GrantRefusedDetails{Grant: grant})
		if err != nil {
			return act{}, err
		}
		e.Actor.OnBehalfOf = c.behalf(v, own.Consent...)
		a := act{stream: stream, event: e}
		return a, v.noteToCase(&a, own.Case, "reason", reason)
	})
}

// RevokeGrant signs grant.revoked ‡: the recipient's envelope is destroyed.
func (c *Client) RevokeGrant(ctx context.Context, item evidence.ItemID, grant evidence.GrantID, cause evidence.Cause) (*Receipt, error) {
	stream := evidence.ItemOf(item)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		_, _, e, err := v.onGrant(item, grant, evidence.GrantRevoked, &evidence.GrantRevokedDetails{Grant: grant, Cause: cause})
		if err != nil {
			return act{}, err
		}
		e.Change = cause
		return act{stream: stream, event: e}, nil
	})
}

// WriteEnvelope gives an approved grant's recipient the key: it opens the item, which is an access and logged as one, and signs
// item.envelope_added (RULES §7). Before that the item is looked through, if there is a check.
func (c *Client) WriteEnvelope(ctx context.Context, item evidence.ItemID, grant evidence.GrantID, check *Check) (*Receipt, error) {
	v, err := c.Look(ctx, evidence.ItemOf(item))
	if err != nil {
		return nil, err
	}
	own, g, _, err := v.onGrant(item, grant, evidence.ItemEnvelopeAdded, nil)
	if err != nil {
		return nil, err
	}
	if g.Status != evidence.GrantActive || g.Over(v.Time) {
		return nil, evidence.Refuse(evidence.Forbidden, evidence.ReasonGrantPending) // before anything is opened for it
	}
	opened, err := c.enter(ctx, Open{Item: item, Purpose: g.Terms.Purpose, Hold: standingHold(own, g, v.Time)})
	if err != nil {
		return nil, err
	}
	if err := c.leave(ctx, opened, check, nil, leaving{grant: grant, shared: true}); err != nil {
		return nil, err
	}
	if err := c.keepGrantsPseudonyms(ctx, opened, g); err != nil {
		return nil, err
	}
	return c.addEnvelope(ctx, opened, evidence.CauseGrant, grant, g.Terms.Recipient)
}

// CopyForSubject gives the survivor whom an item is about, or whose consent form it is, the key to it: it opens the item, which is an access and logged as one, and signs
// item.envelope_added. From then on she opens the item by herself (RULES §3.6). Where several persons are concerned nobody gets a copy.
// Before that the item is looked through, if there is a check.
func (c *Client) CopyForSubject(ctx context.Context, item evidence.ItemID, check *Check) (*Receipt, error) {
	streams, err := c.concerning(ctx, item)
	if err != nil {
		return nil, err
	}
	v, own, err := lookAt[*evidence.ItemState](ctx, c, streams[0], streams[1:]...)
	if err != nil {
		return nil, err
	}
	subject, err := v.subject(own)
	if err != nil {
		return nil, err
	}
	_, who, err := lookAt[*evidence.ActorState](ctx, c, evidence.ActorOf(subject), evidence.ItemOf(item))
	if err != nil {
		return nil, err
	}
	if _, has := own.Envelope(who.Fingerprint()); has { // before anything is opened for it
		return nil, evidence.Refuse(evidence.Conflict, evidence.ReasonEnvelopeExists)
	}
	opened, err := c.enter(ctx, Open{Item: item, Purpose: evidence.ForSubjectAccess})
	if err != nil {
		return nil, err
	}
	if err := c.leave(ctx, opened, check, nil, leaving{}); err != nil {
		return nil, err
	}
	return c.addEnvelope(ctx, opened, evidence.CauseCopy, "", evidence.Keyholder{Actor: subject, Fingerprint: who.Fingerprint()})
}

// subject is the one survivor whom an item is about.
func (v *View) subject(item *evidence.ItemState) (evidence.ActorID, error) {
	governing := v.governing(item)
	if len(governing) != 1 {
		return "", evidence.Refuse(evidence.Forbidden, evidence.ReasonNotSubject)
	}
	consent, err := state[*evidence.ConsentState](v, evidence.ConsentOf(governing[0]))
	if err == nil && consent.Subject == "" {
		err = evidence.Refuse(evidence.Forbidden, evidence.ReasonNotSubject)
	}
	if err != nil {
		return "", err
	}
	return consent.Subject, nil
}

// Rewrap writes the envelopes that an item lacks since the keyring changed (RULES §3.4). It opens the item once; nothing is opened if
// none is missing.
func (c *Client) Rewrap(ctx context.Context, item evidence.ItemID) ([]*Receipt, error) {
	v, own, err := lookAt[*evidence.ItemState](ctx, c, evidence.ItemOf(item))
	if err != nil {
		return nil, err
	}
	in, err := state[*evidence.CaseState](v, evidence.CaseOf(own.Case))
	if err != nil {
		return nil, err
	}
	var lacking []evidence.Keyholder
	for _, k := range append(slices.Clone(in.Keyring), evidence.Keyholder{Fingerprint: in.Recovery}) {
		if _, has := own.Envelope(k.Fingerprint); !has {
			lacking = append(lacking, k)
		}
	}
	if len(lacking) == 0 {
		return nil, nil
	}
	opened, err := c.enter(ctx, Open{Item: item, Purpose: evidence.ForDocumentation})
	if err != nil {
		return nil, err
	}
	var receipts []*Receipt
	for _, k := range lacking {
		r, err := c.addEnvelope(ctx, opened, evidence.CauseRewrap, "", k)
		if err != nil {
			return receipts, err
		}
		receipts = append(receipts, r)
	}
	return receipts, nil
}

// addEnvelope signs item.envelope_added for one person; a Keyholder without an actor is recovery.
func (c *Client) addEnvelope(ctx context.Context, opened *access, cause evidence.Cause, grant evidence.GrantID, to evidence.Keyholder) (*Receipt, error) {
	id := opened.item.ID
	stream := evidence.ItemOf(id)
	streams := []evidence.Stream{stream}
	if to.Actor != "" {
		streams = append(streams, evidence.ActorOf(to.Actor))
	}
	if cause == evidence.CauseCopy {
		concerning, err := c.concerning(ctx, id)
		if err != nil {
			return nil, err
		}
		streams = append(streams, concerning[1:]...)
	}
	return c.perform(ctx, streams, func(v *View) (a act, err error) {
		d := &evidence.ItemEnvelopeAddedDetails{Cause: cause, Grant: grant}
		var item *evidence.ItemState
		a.stream = stream
		if grant != "" {
			item, _, a.event, err = v.onGrant(id, grant, evidence.ItemEnvelopeAdded, d)
		} else {
			item, a.event, err = v.onItem(id, evidence.ItemEnvelopeAdded, d)
		}
		if err != nil {
			return a, err
		}
		a.event.Change = cause
		if cause == evidence.CauseCopy {
			a.event.Counterparty = &evidence.Counterparty{Actor: to.Actor, Fingerprint: to.Fingerprint, Class: evidence.Survivor}
		}
		recipient := ""
		if to.Actor != "" {
			recipient, err = recipientOf(v, to.Actor, to.Fingerprint)
		} else if in, e := state[*evidence.CaseState](v, evidence.CaseOf(item.Case)); e == nil {
			recipient, err = recovery(v, in)
		} else {
			err = e
		}
		if err != nil {
			return a, err
		}
		d.Envelope, err = a.envelope(wire.AttachmentKindEnvelope, opened.key, to.Fingerprint, recipient)
		return a, err
	})
}
