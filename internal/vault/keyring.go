package vault

import (
	"context"
	"errors"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// endKeys takes away the envelopes for keys that an actor has no more, in every case of which that one is or was a member, or in which
// that one is the subject of a consent. It reports whether nothing is left of them.
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
	in, err := state[*evidence.CaseState](ctx, v, evidence.CaseOf(id))
	if err != nil {
		return false, err
	}
	horizon, err := v.backupsEnd(ctx)
	if err != nil {
		return false, err
	}
	gone, err := v.idle(ctx, in)
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
			ended, failed := v.endHoldingOf(ctx, item, in, gone, horizon)
			done, err = done && ended, errors.Join(err, failed)
		}
		if len(items) < MaxPage {
			return done && err == nil, err
		}
	}
}

// endHoldingOf is endHolding of one item. gone says of keys on the keyring whose they were.
func (v *Vault) endHoldingOf(ctx context.Context, item *evidence.ItemState, in *evidence.CaseState, gone map[evidence.Hash]evidence.ActorID, horizon evidence.Time) (done bool, err error) {
	consents, err := v.governing(ctx, item)
	if err != nil {
		return false, err
	}
	done = true
	for _, ref := range item.Envelopes {
		whose := gone[ref.Recipient]
		switch {
		case slices.Contains(item.Copies, ref.Recipient):
			if whose, err = v.copyOf(ctx, consents, ref.Recipient); err != nil {
				return false, err
			}
			if whose == "" {
				continue
			}
		case in.OnKeyring(ref.Recipient) && whose == "", item.Needs(v.facts(consents), ref.Recipient, v.now()):
			continue
		}
		e := &evidence.Event{Kind: evidence.ItemEnvelopeRemoved, Case: item.Case, Details: &evidence.ItemEnvelopeRemovedDetails{
			Recipient: ref.Recipient, Cause: evidence.CauseReplacement, Horizon: horizon,
		}}
		if whose != "" {
			e.Counterparty = &evidence.Counterparty{Actor: whose}
		}
		ended, failed := v.signOwn(ctx, e, evidence.ItemOf(item.ID))
		done, err = done && ended, errors.Join(err, failed)
	}
	return done, err
}

// idle finds the keys on a keyring that are their holders' no more.
func (v *Vault) idle(ctx context.Context, in *evidence.CaseState) (map[evidence.Hash]evidence.ActorID, error) {
	gone := make(map[evidence.Hash]evidence.ActorID)
	for _, k := range in.Keyring {
		other, err := v.otherKeys(ctx, k.Actor, k.Fingerprint)
		if err != nil {
			return nil, err
		}
		if other {
			gone[k.Fingerprint] = k.Actor
		}
	}
	return gone, nil
}

// copyOf finds the subject for whom an own copy was made and who has no such keys any more, or "".
func (v *Vault) copyOf(ctx context.Context, consents map[evidence.Stream]evidence.State, recipient evidence.Hash) (evidence.ActorID, error) {
	for _, s := range consents {
		c, ok := s.(*evidence.ConsentState)
		if !ok || c.Subject == "" {
			continue
		}
		if other, err := v.otherKeys(ctx, c.Subject, recipient); other || err != nil {
			return c.Subject, err
		}
	}
	return "", nil
}

// otherKeys reports whether an actor was revoked, or has confirmed keys with another fingerprint.
func (v *Vault) otherKeys(ctx context.Context, id evidence.ActorID, fingerprint evidence.Hash) (bool, error) {
	actor, err := state[*evidence.ActorState](ctx, v, evidence.ActorOf(id))
	if err != nil {
		return false, err
	}
	return actor.Status == evidence.StatusRevoked || actor.Status == evidence.StatusActive && actor.Fingerprint() != fingerprint, nil
}

// governing reads the consents of an item.
func (v *Vault) governing(ctx context.Context, item *evidence.ItemState) (map[evidence.Stream]evidence.State, error) {
	var streams []evidence.Stream
	for _, id := range item.Consent {
		streams = append(streams, evidence.ConsentOf(id))
	}
	return v.cfg.Records.States(ctx, streams...)
}

// backupsEnd is when the last backup has expired that holds what is erased now.
func (v *Vault) backupsEnd(ctx context.Context) (evidence.Time, error) {
	policy := evidence.PolicyOf(v.cfg.Origin)
	states, err := v.cfg.Records.States(ctx, policy)
	now := v.now()
	if p, ok := states[policy].(*evidence.PolicyState); ok {
		return now.Add(time.Duration(p.At(now).Policy.BackupHorizon) * time.Second), err
	}
	return now, err
}
