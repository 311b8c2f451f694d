package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// endKeys takes away the envelopes for keys that an actor has no more, in every case of which that one is or was a member, in which that
// one is the subject of a consent, or from which something was shared with that one. It reports whether nothing is left of them.
func (v *Vault) endKeys(ctx context.Context, id evidence.ActorID) (done bool, err error) {
	cases := make(map[evidence.CaseID]bool)
	for after := evidence.CaseID(""); ; {
		page, err := v.cfg.Records.Cases(ctx, id, after, MaxPage)
		if err != nil {
			return false, err
		}
		for _, c := range page {
			after = c.ID
			cases[c.ID] = true
		}
		if len(page) < MaxPage {
			break
		}
	}
	for after := evidence.ConsentID(""); ; {
		page, err := v.cfg.Records.SpokenFor(ctx, id, after, MaxPage)
		if err != nil {
			return false, err
		}
		for _, c := range page {
			if after = c.ID; c.Subject == id {
				cases[c.Case] = true
			}
		}
		if len(page) < MaxPage {
			break
		}
	}
	for after := evidence.GrantID(""); ; {
		page, err := v.cfg.Records.Grants(ctx, id, after, MaxPage)
		if err != nil {
			return false, err
		}
		for _, g := range page {
			after = g.Grant.Terms.ID
			cases[g.Case] = true
		}
		if len(page) < MaxPage {
			break
		}
	}
	done = true
	for in := range cases {
		ended, failed := v.endHolding(ctx, in)
		done, err = done && ended, errors.Join(err, failed)
	}
	return done, err
}

// endHolding takes away, in the vault's own name, the envelopes of a case's items for keys that left the keyring or are nobody's any more
// (RULES §3.3, §3.4). What stays until the items have an envelope for each present keyholder is taken away by a later sweep.
func (v *Vault) endHolding(ctx context.Context, id evidence.CaseID) (done bool, err error) {
	h, err := v.holding(ctx, id)
	if err != nil {
		return false, err
	}
	done = true
	for after := evidence.ItemID(""); ; {
		items, failed := v.cfg.Records.Items(ctx, id, after, MaxPage)
		if failed != nil {
			return false, errors.Join(err, failed)
		}
		for _, item := range items {
			after = item.ID
			ended, failed := h.end(ctx, item)
			done, err = done && ended, errors.Join(err, failed)
		}
		if len(items) < MaxPage {
			return done && err == nil, err
		}
	}
}

// endHoldingOf is endHolding of one item: it has an envelope more, so one that had to stay may go now.
func (v *Vault) endHoldingOf(ctx context.Context, s evidence.Stream) (done bool, err error) {
	item, err := state[*evidence.ItemState](ctx, v, s)
	if err != nil {
		return false, err
	}
	h, err := v.holding(ctx, item.Case)
	if err != nil {
		return false, err
	}
	return h.end(ctx, item)
}

// holding is who holds keys to a case's items.
type holding struct {
	*Vault
	in     *evidence.CaseState
	policy *evidence.PolicyState
	lost   map[evidence.Keyholder]bool // whether these keys are that one's no more, of those asked for
}

func (v *Vault) holding(ctx context.Context, id evidence.CaseID) (*holding, error) {
	in, err := state[*evidence.CaseState](ctx, v, evidence.CaseOf(id))
	if err != nil {
		return nil, err
	}
	policy, err := state[*evidence.PolicyState](ctx, v, evidence.PolicyOf(v.cfg.Origin))
	return &holding{v, in, policy, make(map[evidence.Keyholder]bool)}, err
}

// end takes away an item's envelopes for keys that left the keyring or are nobody's any more.
func (h *holding) end(ctx context.Context, item *evidence.ItemState) (done bool, err error) {
	consents, err := h.governing(ctx, item)
	if err != nil {
		return false, err
	}
	done = true
	for _, ref := range item.Envelopes {
		whose, failed := h.whose(ctx, item, consents, ref.Recipient)
		if failed != nil {
			return false, errors.Join(err, failed)
		}
		rules, granted := h.policy.At(h.now()).Rules, item.Needs(h.facts(consents), ref.Recipient, h.now())
		kept := granted || h.in.OnKeyring(ref.Recipient) || slices.Contains(item.Copies, ref.Recipient)
		switch {
		case kept && whose == "", rules < 2 && (granted || item.Class == evidence.ConsentForm && slices.Contains(item.Copies, ref.Recipient)):
			continue
		case !item.OpensWithout(h.in, ref.Recipient): // the last one goes once the item has another: endHoldingOf
			continue
		}
		horizon, failed := h.backupsEnd(ctx)
		if failed != nil {
			return false, errors.Join(err, failed)
		}
		e := &evidence.Event{Kind: evidence.ItemEnvelopeRemoved, Case: item.Case, Details: &evidence.ItemEnvelopeRemovedDetails{
			Recipient: ref.Recipient, Cause: evidence.CauseReplacement, Horizon: horizon,
		}}
		if whose != "" {
			e.Counterparty = &evidence.Counterparty{Actor: whose}
		}
		if item.Class == evidence.ConsentForm && rules >= 2 {
			for _, s := range consents {
				c := s.(*evidence.ConsentState)
				e.Consent = []evidence.ConsentRef{{ID: c.ID, Version: c.Version}}
			}
		}
		ended, failed := h.signOwn(ctx, e, evidence.ItemOf(item.ID))
		done, err = done && ended, errors.Join(err, failed)
	}
	return done, err
}

// whose finds the keyholder, recipient or subject who had the keys of an envelope and has them no more, or "".
func (h *holding) whose(ctx context.Context, item *evidence.ItemState, consents map[evidence.Stream]evidence.State, recipient evidence.Hash) (evidence.ActorID, error) {
	var had []evidence.ActorID
	for _, k := range h.in.Keyring {
		if k.Fingerprint == recipient {
			had = append(had, k.Actor)
		}
	}
	for _, g := range item.Grants {
		if g.Terms.Recipient.Fingerprint == recipient {
			had = append(had, g.Terms.Recipient.Actor)
		}
	}
	if slices.Contains(item.Copies, recipient) {
		for _, s := range consents {
			if c, ok := s.(*evidence.ConsentState); ok && c.Subject != "" {
				had = append(had, c.Subject)
			}
		}
	}
	for _, id := range had {
		if lost, err := h.otherKeys(ctx, evidence.Keyholder{Actor: id, Fingerprint: recipient}); lost || err != nil {
			return id, err
		}
	}
	return "", nil
}

// otherKeys reports whether an actor was revoked, or has confirmed keys with another fingerprint.
func (h *holding) otherKeys(ctx context.Context, k evidence.Keyholder) (bool, error) {
	if lost, asked := h.lost[k]; asked {
		return lost, nil
	}
	actor, err := state[*evidence.ActorState](ctx, h.Vault, evidence.ActorOf(k.Actor))
	if err != nil {
		return false, err
	}
	h.lost[k] = actor.Status == evidence.StatusRevoked || actor.Status == evidence.StatusActive && actor.Fingerprint() != k.Fingerprint
	return h.lost[k], nil
}

// governing reads the consents of an item; of a consent form, the one that was given with it.
func (v *Vault) governing(ctx context.Context, item *evidence.ItemState) (map[evidence.Stream]evidence.State, error) {
	if item.Class == evidence.ConsentForm {
		return v.given(ctx, item)
	}
	var streams []evidence.Stream
	for _, id := range item.Consent {
		streams = append(streams, evidence.ConsentOf(id))
	}
	return v.cfg.Records.States(ctx, streams...)
}

// given finds the consent that was given with a form. A form serves one.
func (v *Vault) given(ctx context.Context, form *evidence.ItemState) (map[evidence.Stream]evidence.State, error) {
	for after := evidence.ConsentID(""); ; {
		page, err := v.cfg.Records.Consents(ctx, form.Case, after, MaxPage)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			if after = c.ID; slices.Contains(c.Forms, form.ID) {
				return map[evidence.Stream]evidence.State{evidence.ConsentOf(c.ID): c}, nil
			}
		}
		if len(page) < MaxPage {
			return nil, nil
		}
	}
}

// backupsEnd is when the last backup has expired that holds what is erased now, or by a clock that is as far ahead as one may be.
func (v *Vault) backupsEnd(ctx context.Context) (evidence.Time, error) {
	policy := evidence.PolicyOf(v.cfg.Origin)
	states, err := v.cfg.Records.States(ctx, policy)
	now := v.now()
	if p, ok := states[policy].(*evidence.PolicyState); ok {
		return now.Add(time.Duration(p.At(now).Policy.BackupHorizon)*time.Second + evidence.Clock), err
	}
	return now, err
}
