package vault

import (
	"context"
	"errors"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
)

// sweepLimit bounds what one sweep takes up of a kind; the next one goes on.
const sweepLimit = 256

// Sweep ends what time has ended: uploads that no event named, and grants and holds, in the vault's own name. It suspends who opened in an
// emergency and was not reviewed in time. Expiry binds without it: it only
// makes the end visible and destroys what is no longer needed. It also finishes what the end of a grant or a membership, or the
// withdrawal of a consent, left to destroy.
func (v *Vault) Sweep(ctx context.Context) error {
	return errors.Join(v.sweepUploads(ctx), v.sweepGrants(ctx), v.sweepMoments(ctx), v.sweepEnvelopes(ctx))
}

// SweepEvery sweeps until ctx ends.
func (v *Vault) SweepEvery(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := v.Sweep(ctx); err != nil && ctx.Err() == nil {
			v.cfg.Logger.Error("sweep_failed", "reason", evidence.ReasonOf(err), "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (v *Vault) sweepUploads(ctx context.Context) error {
	expired, err := v.cfg.Records.ExpiredUploads(ctx, v.cfg.Now(), sweepLimit)
	for _, u := range expired {
		err = errors.Join(err, v.dropUpload(ctx, u.ID))
	}
	return errors.Join(err, v.sweepStages(ctx))
}

// sweepStages removes staged bytes that have no upload record any more: a crash between two removals leaves them.
func (v *Vault) sweepStages(ctx context.Context) error {
	oldest := v.cfg.Now().Add(-v.cfg.Limits.UploadLife)
	return v.cfg.Objects.StageList(ctx, func(id string, modified time.Time) error {
		if modified.After(oldest) {
			return nil
		}
		_, err := v.cfg.Records.Upload(ctx, evidence.UploadID(id))
		if evidence.KindOf(err) != evidence.NotFound {
			return err
		}
		if err := v.cfg.Objects.StageRemove(ctx, id); err != nil && !errors.Is(err, objects.ErrNotFound) {
			return storeError(err)
		}
		return nil
	})
}

func (v *Vault) sweepGrants(ctx context.Context) error {
	expired, err := v.cfg.Records.Expired(ctx, v.now(), sweepLimit)
	for _, g := range expired {
		err = errors.Join(err, v.expire(ctx, g))
	}
	return err
}

func (v *Vault) expire(ctx context.Context, g GrantOf) error {
	e := &evidence.Event{
		Kind: evidence.GrantExpired, Case: g.Case, Details: &evidence.GrantExpiredDetails{Grant: g.Grant.Terms.ID},
	}
	return v.signOwn(ctx, e, evidence.ItemOf(g.Item))
}

// suspension is how long who opened in an emergency is suspended when the review is overdue; reviewing does not wait for its end.
const suspension = 7 * 24 * time.Hour

// sweepMoments does what time has given the vault to do. What fails is taken up again by the next sweep, and by the next process.
func (v *Vault) sweepMoments(ctx context.Context) error {
	v.mu.Lock()
	after := v.passed
	v.mu.Unlock()
	due, err := v.cfg.Records.Moments(ctx, after, v.now(), sweepLimit)
	for _, m := range due {
		if err != nil {
			break
		}
		if err = v.pass(ctx, m); err == nil {
			v.mu.Lock()
			v.passed = m
			v.mu.Unlock()
		}
	}
	return err
}

// pass does what a moment asks for.
func (v *Vault) pass(ctx context.Context, m Moment) error {
	if m.Stream.Type == evidence.ConsentStream {
		return v.endSharing(ctx, m.Stream)
	}
	item, err := state[*evidence.ItemState](ctx, v, m.Stream)
	if err != nil || item.Shredded != 0 {
		return err
	}
	now := v.now()
	for _, h := range item.Holds {
		if h.Status != evidence.HoldOver && !h.Blocks(now) {
			e := &evidence.Event{Kind: evidence.HoldLifted, Case: item.Case, Details: &evidence.HoldLiftedDetails{Hold: h.ID, Cause: evidence.CauseExpiry}}
			if err := v.signOwn(ctx, e, m.Stream); err != nil {
				return err
			}
		}
	}
	for _, g := range item.Emergencies {
		if g.ReviewedBy == "" && now >= g.Due {
			if err := v.suspend(ctx, g.By, now.Add(suspension)); err != nil {
				return err
			}
		}
	}
	return nil
}

// suspend takes from an actor, until a moment, that signatures count.
func (v *Vault) suspend(ctx context.Context, id evidence.ActorID, until evidence.Time) error {
	actor, err := state[*evidence.ActorState](ctx, v, evidence.ActorOf(id))
	if err != nil || actor.Status == evidence.StatusRevoked || actor.SuspendedTill > v.now() {
		return err
	}
	e := &evidence.Event{Kind: evidence.ActorSuspended, Details: &evidence.ActorSuspendedDetails{Cause: evidence.CauseOverdue, Until: until}}
	return v.signOwn(ctx, e, evidence.ActorOf(id))
}

// signOwn signs and accepts an event in the vault's own name. A conflict means that somebody acted first: the next sweep looks again.
func (v *Vault) signOwn(ctx context.Context, e *evidence.Event, s evidence.Stream) error {
	e.Vault, e.Actor = v.cfg.Origin, evidence.Signer{ID: v.cfg.Author.ID, Role: evidence.Vault}
	e.Stream = evidence.Position{Type: s.Type, ID: s.ID}
	states, err := v.present(ctx, e)
	if err != nil {
		return err
	}
	signed, err := v.cfg.Author.Sign(e, s, v.facts(states), v.cfg.Now())
	if err != nil {
		return evidence.Fail(evidence.Internal, "vault_signature", err)
	}
	_, err = v.commit(ctx, ledger.Commit{Signed: signed}, v.judge(signed))
	if evidence.KindOf(err) == evidence.Conflict {
		return nil
	}
	return err
}
