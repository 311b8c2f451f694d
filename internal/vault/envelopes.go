package vault

import (
	"context"
	"errors"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// LookBack is how many of the newest events the first sweep looks at, for what a crash left undone. An erasure is finished with its event
// or within a few sweeps, so this is far more than a crash can leave.
const LookBack = 10_000

// TakesEnvelopes reports whether an event of this kind takes envelopes away: the records destroy their bytes in the transaction that accepts it.
func TakesEnvelopes(k evidence.Kind) bool {
	switch k {
	case evidence.ItemEnvelopeRemoved, evidence.ItemShredded, evidence.GrantRevoked, evidence.GrantExpired, evidence.CaseMemberRemoved:
		return true
	}
	return false
}

// Names reports whether the bytes of an attachment, which the event at seq of a stream brought, must exist as the stream's state is now: an
// item's envelope while the state names it, of a shredded item only what came later. A case's older label key stays with the members who
// stay: nothing else opens the labels and notes made with it.
func Names(s evidence.State, seq int64, a ledger.Attachment) bool {
	switch state := s.(type) {
	case *evidence.ItemState:
		if state.Shredded != 0 && seq <= state.ShredSeq {
			return false
		}
		ref, ok := state.Envelope(a.Recipient)
		return a.Kind != ledger.Envelope || ok && ref.SHA256 == a.SHA256
	case *evidence.CaseState:
		return a.Kind != ledger.LabelEnvelope || slices.ContainsFunc(state.LabelKey.Envelopes, func(e evidence.EnvelopeRef) bool { return e.Recipient == a.Recipient })
	}
	return true
}

// An event that takes a permission back leaves envelopes with those who may not open any more, until the sweep has taken them away.
func takesPermission(k evidence.Kind) bool {
	return k == evidence.ConsentWithdrawn || k == evidence.ConsentNarrowed
}

// An event that takes keys from somebody leaves item envelopes for these keys, until the sweep has taken them away: who left a keyring, was
// revoked, or has other keys now.
func takesKeys(k evidence.Kind) bool {
	return k == evidence.CaseKeyringChanged || k == evidence.ActorRevoked || k == evidence.ActorConfirmed
}

// rewraps reports whether an event may have given an item another keyholder: what had to stay as long as that one was not there may go.
func rewraps(entry ledger.Entry) bool {
	if entry.Kind != evidence.ItemEnvelopeAdded {
		return false
	}
	e, err := eventOf(entry)
	if err != nil {
		return true // what one cannot read must not keep the rest waiting
	}
	d, ok := e.Details.(*evidence.ItemEnvelopeAddedDetails)
	return ok && d.Cause == evidence.CauseRewrap
}

// commit makes an event accepted. With one that takes envelopes away their bytes are gone from the records; what the engine keeps of
// them beside the records goes after it. That never fails the event: what it leaves is the sweep's. So is what else follows from an event.
func (v *Vault) commit(ctx context.Context, c ledger.Commit, judge ledger.Judge) (ledger.Entry, error) {
	// Commit point: when Accept returns nil the event is durable. After a crash the ledger finds it pending and includes it.
	entry, err := v.cfg.Ledger.Accept(ctx, c, judge)
	if err != nil {
		return ledger.Entry{}, err
	}
	if e := c.Signed.Event(); TakesEnvelopes(e.Kind) {
		if err := v.cfg.Records.Destroy(context.WithoutCancel(ctx), e.Stream.Stream()); err != nil {
			v.cfg.Logger.WarnContext(ctx, "envelopes_left", "reason", evidence.ReasonOf(err), "err", err)
		}
	}
	v.secureAfter(ctx, entry)
	return entry, nil
}

// sweepEnvelopes finishes what events accepted by any process left to do. What it could not do it does again.
func (v *Vault) sweepEnvelopes(ctx context.Context) error {
	failed := v.hear(ctx)
	for s := range v.unfinished {
		done, err := v.finish(ctx, s)
		if done {
			delete(v.unfinished, s)
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// hear reads the events since the last sweep, at first those in which an earlier process may have left something, and remembers the streams
// in which something is to be done.
func (v *Vault) hear(ctx context.Context) error {
	if v.heard == 0 {
		v.heard = max(0, v.cfg.Ledger.Size()-LookBack) // the order in the log is that of the commits
	}
	for {
		page, err := v.cfg.Records.Events(ctx, v.heard, MaxPage)
		if err != nil {
			return err
		}
		for _, entry := range page {
			if rewraps(entry) || TakesEnvelopes(entry.Kind) || takesPermission(entry.Kind) || takesKeys(entry.Kind) {
				v.unfinished[entry.Stream] = true
			}
			v.hearLock(entry)
			v.heard = entry.Order
		}
		if len(page) < MaxPage {
			return nil
		}
	}
}

func (v *Vault) finish(ctx context.Context, s evidence.Stream) (done bool, err error) {
	switch s.Type {
	case evidence.ConsentStream:
		return v.endSharing(ctx, s)
	case evidence.ActorStream:
		return v.endKeys(ctx, evidence.ActorID(s.ID))
	}
	if err := v.cfg.Records.Destroy(ctx, s); err != nil {
		return false, err
	}
	if s.Type == evidence.CaseStream {
		return v.endHolding(ctx, evidence.CaseID(s.ID))
	}
	return v.endHoldingOf(ctx, s)
}

// endSharing takes away, in the vault's own name, the envelopes by which recipients could open what a consent governs and does not let
// them have any more: it was withdrawn, narrowed or has ended (RULES §4.6). It reports whether nothing is left of them.
func (v *Vault) endSharing(ctx context.Context, s evidence.Stream) (done bool, err error) {
	states, err := v.cfg.Records.States(ctx, s)
	if err != nil {
		return false, err
	}
	consent, ok := states[s].(*evidence.ConsentState)
	if !ok {
		return true, nil
	}
	in, err := state[*evidence.CaseState](ctx, v, evidence.CaseOf(consent.Case))
	if err != nil {
		return false, err
	}
	done = true
	for after := evidence.ItemID(""); ; {
		items, failed := v.cfg.Records.Items(ctx, consent.Case, after, MaxPage)
		if failed != nil {
			return false, errors.Join(err, failed)
		}
		for _, item := range items {
			after = item.ID
			if !slices.Contains(item.Consent, consent.ID) {
				continue
			}
			ended, failed := v.endSharingOf(ctx, item, in)
			done, err = done && ended, errors.Join(err, failed)
		}
		if len(items) < MaxPage {
			return done && err == nil, err
		}
	}
}

// endSharingOf is endSharing of one item.
func (v *Vault) endSharingOf(ctx context.Context, item *evidence.ItemState, in *evidence.CaseState) (done bool, err error) {
	consents, err := v.governing(ctx, item)
	if err != nil {
		return false, err
	}
	done = true
	for _, recipient := range shared(item, in) {
		if item.Needs(v.facts(consents), recipient, v.now()) {
			continue
		}
		horizon, failed := v.backupsEnd(ctx)
		if failed != nil {
			return false, errors.Join(err, failed)
		}
		e := &evidence.Event{Kind: evidence.ItemEnvelopeRemoved, Case: item.Case, Details: &evidence.ItemEnvelopeRemovedDetails{
			Recipient: recipient, Cause: evidence.CauseWithdrawal, Horizon: horizon,
		}}
		ended, failed := v.signOwn(ctx, e, evidence.ItemOf(item.ID))
		done, err = done && ended, errors.Join(err, failed)
	}
	return done, err
}

// shared lists for whom the item has an envelope only because of a grant.
func shared(item *evidence.ItemState, in *evidence.CaseState) []evidence.Hash {
	var list []evidence.Hash
	for _, g := range item.Grants {
		recipient := g.Terms.Recipient.Fingerprint
		if _, ok := item.Envelope(recipient); ok && !in.OnKeyring(recipient) && !slices.Contains(list, recipient) {
			list = append(list, recipient)
		}
	}
	return list
}
