package vault

import (
	"context"
	"errors"
	"maps"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// LookBack is how many of the newest events the first sweep looks at, for what a crash left undone. An erasure is finished with its event
// or within a few sweeps, so this is far more than a crash can leave.
const LookBack = 10_000

// TakesEnvelopes reports whether an event of this kind takes envelopes away. It leaves their bytes behind, until clean has destroyed them.
// What the state does not name is never served, and may come again for the same recipient in another envelope.
func TakesEnvelopes(k evidence.Kind) bool {
	switch k {
	case evidence.ItemEnvelopeRemoved, evidence.ItemShredded, evidence.GrantRevoked, evidence.GrantExpired, evidence.CaseMemberRemoved:
		return true
	}
	return false
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

// rewraps reports whether an event gives an item another keyholder.
func rewraps(e *evidence.Event) bool {
	d, ok := e.Details.(*evidence.ItemEnvelopeAddedDetails)
	return ok && d.Cause == evidence.CauseRewrap
}

func bringsEnvelopes(k evidence.Kind) bool {
	switch k {
	case evidence.ItemDeposited, evidence.ItemEnvelopeAdded, evidence.CaseOpened, evidence.CaseMemberAdded, evidence.CaseMemberRemoved:
		return true
	}
	return false
}

// commit makes an event accepted, and cleans up after it. The cleaning never fails the event: what it leaves is the sweep's.
func (v *Vault) commit(ctx context.Context, c ledger.Commit, judge ledger.Judge) (ledger.Entry, error) {
	e := c.Signed.Event()
	entry, err := v.enter(ctx, e, c, judge)
	if err != nil {
		return ledger.Entry{}, err
	}
	stream := e.Stream.Stream()
	switch {
	case TakesEnvelopes(e.Kind):
		if err := v.clean(context.WithoutCancel(ctx), stream); err != nil {
			v.cfg.Logger.Warn("envelopes_left", "reason", evidence.ReasonOf(err), "err", err)
			v.remember(stream)
		}
	case takesPermission(e.Kind), takesKeys(e.Kind):
		v.remember(stream) // the law refuses every release from now on; the sweep ends what is stored
	case rewraps(e):
		v.remember(stream) // what had to stay as long as this one was not there may go
	}
	return entry, nil
}

// enter hands an event to the ledger. Envelopes come only while none are destroyed, and after those of the same recipient that went.
func (v *Vault) enter(ctx context.Context, e *evidence.Event, c ledger.Commit, judge ledger.Judge) (ledger.Entry, error) {
	if !bringsEnvelopes(e.Kind) {
		return v.cfg.Ledger.Accept(ctx, c, judge)
	}
	if e.Stream.Seq > 0 && v.left(e.Stream.Stream()) {
		if err := v.clean(ctx, e.Stream.Stream()); err != nil && evidence.ReasonOf(err) != "erase_incomplete" {
			return ledger.Entry{}, err
		}
	}
	v.envelopes.RLock()
	defer v.envelopes.RUnlock()
	// Commit point: when Accept returns nil the event is durable. After a crash the ledger finds it pending and includes it.
	return v.cfg.Ledger.Accept(ctx, c, judge)
}

// clean destroys every envelope of an item's or a case's stream whose recipient the state does not name any more, and of a shredded item
// all that ever came along with its events. It can be repeated.
// A case's older label key stays with the members who stay: nothing else opens the labels and notes made with it.
func (v *Vault) clean(ctx context.Context, s evidence.Stream) error {
	v.envelopes.Lock()
	defer v.envelopes.Unlock()
	states, err := v.cfg.Records.States(ctx, s)
	if err != nil {
		return err
	}
	kind, named := ledger.Envelope, []evidence.EnvelopeRef(nil)
	switch state := states[s].(type) {
	case *evidence.ItemState:
		if state.Shredded != 0 {
			return v.cfg.Records.DestroyUpTo(ctx, s, state.ShredSeq)
		}
		named = state.Envelopes
	case *evidence.CaseState:
		kind, named = ledger.LabelEnvelope, state.LabelKey.Envelopes
	default:
		return nil
	}
	gone, err := v.addressed(ctx, s)
	if err != nil {
		return err
	}
	for _, ref := range named {
		delete(gone, ref.Recipient)
	}
	for recipient := range gone {
		err = errors.Join(err, v.cfg.Records.Destroy(ctx, s, kind, recipient))
	}
	return err
}

// addressed collects all recipients that the stream's events ever brought an envelope for.
func (v *Vault) addressed(ctx context.Context, s evidence.Stream) (map[evidence.Hash]bool, error) {
	recipients := make(map[evidence.Hash]bool)
	for after := int64(-1); ; {
		page, err := v.cfg.Records.Stream(ctx, s, after, MaxPage)
		if err != nil {
			return nil, err
		}
		for _, entry := range page {
			after = entry.Seq
			if !bringsEnvelopes(entry.Kind) {
				continue
			}
			e, err := eventOf(entry)
			if err != nil {
				return nil, err
			}
			for slot := range attachmentsOf(e) {
				if !slot.recipient.IsZero() {
					recipients[slot.recipient] = true
				}
			}
		}
		if len(page) < MaxPage {
			return recipients, nil
		}
	}
}

func (v *Vault) remember(s evidence.Stream) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.unfinished[s]++
}

// left reports whether something of the stream may be left to destroy; before the first sweep that is not known of any.
func (v *Vault) left(s evidence.Stream) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.looked || v.unfinished[s] > 0
}

// sweepEnvelopes finishes what an event's own cleaning, or a crash, left.
func (v *Vault) sweepEnvelopes(ctx context.Context) error {
	if err := v.lookBack(ctx); err != nil {
		return err
	}
	v.mu.Lock()
	streams := maps.Clone(v.unfinished)
	v.mu.Unlock()
	var failed error
	for s, times := range streams {
		done, err := v.finish(ctx, s)
		v.mu.Lock()
		if done && v.unfinished[s] == times { // else more has come to it meanwhile
			delete(v.unfinished, s)
		}
		v.mu.Unlock()
		failed = errors.Join(failed, err)
	}
	return failed
}

func (v *Vault) finish(ctx context.Context, s evidence.Stream) (done bool, err error) {
	switch s.Type {
	case evidence.ConsentStream:
		return v.endSharing(ctx, s)
	case evidence.ActorStream:
		return v.endKeys(ctx, evidence.ActorID(s.ID))
	}
	if err := v.clean(ctx, s); err != nil {
		return false, err
	}
	if s.Type == evidence.CaseStream {
		return v.endHolding(ctx, evidence.CaseID(s.ID))
	}
	return v.endHoldingOf(ctx, s)
}

// lookBack finds, once, the streams in which an earlier process may have left something.
func (v *Vault) lookBack(ctx context.Context) error {
	v.mu.Lock()
	looked := v.looked
	v.mu.Unlock()
	if looked {
		return nil
	}
	note := func(entries []ledger.Entry) {
		for _, e := range entries {
			if TakesEnvelopes(e.Kind) || takesPermission(e.Kind) || takesKeys(e.Kind) || e.Kind == evidence.ItemEnvelopeAdded {
				v.remember(e.Stream)
			}
		}
	}
	pending, err := v.cfg.Records.Pending(ctx, LookBack)
	if err != nil {
		return err
	}
	note(pending)
	size := v.cfg.Ledger.Size()
	for start := max(0, size-LookBack); start < size; start += MaxPage {
		entries, err := v.cfg.Records.LogRange(ctx, start, start+MaxPage)
		if err != nil {
			return err
		}
		note(entries)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.looked = true
	return nil
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
