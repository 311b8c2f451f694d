package vault

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
)

// sweepLimit bounds what one sweep takes up of a kind; the next one goes on.
const sweepLimit = 256

// giveBack is how long who stops tries to give the lease back.
const giveBack = 2 * time.Second

// Sweep ends what time has ended: uploads that no event named, and grants and holds, in the vault's own name. It suspends who opened in an
// emergency and was not reviewed in time. Expiry binds without it: it only makes the end visible and destroys what is no longer needed. It
// also finishes what the end of a grant or a membership, or the withdrawal of a consent, left to destroy, whichever process accepted it,
// and has the object store keep what the law keeps.
// Several processes may sweep at once: what one has done the law refuses to the others.
func (v *Vault) Sweep(ctx context.Context) error {
	v.sweeping.Lock()
	defer v.sweeping.Unlock()
	return errors.Join(v.sweepUploads(ctx), v.sweepGrants(ctx), v.sweepMoments(ctx), v.sweepEnvelopes(ctx), v.sweepLocks(ctx))
}

// SweepWork is the work that SweepEvery has a lease for.
const SweepWork = "sweep"

// SweepEvery sweeps until ctx ends, if no other process does: who has not renewed the lease for a few intervals has lost it, and who ends
// gives it back. So does whose clock is wrong: what it took for over would be destroyed.
func (v *Vault) SweepEvery(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		life := 3 * interval
		off, err := v.clockOff(ctx)
		if off {
			life = 0
		}
		mine := false
		if err == nil {
			mine, err = v.cfg.Records.Lease(ctx, SweepWork, v.cfg.Process, v.cfg.Now(), life)
		}
		if mine && !off {
			if err = v.Sweep(ctx); err == nil {
				v.swept.Store(v.cfg.Now().UnixMicro())
			}
		}
		if err != nil && ctx.Err() == nil {
			v.cfg.Logger.ErrorContext(ctx, "sweep_failed", "reason", evidence.ReasonOf(err), "err", err)
		}
		select {
		case <-ctx.Done():
			short, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBack)
			defer cancel()
			v.cfg.Records.Lease(short, SweepWork, v.cfg.Process, v.cfg.Now(), 0) // or else it ends by itself
			return
		case <-ticker.C:
		}
	}
}

// clockOff reports whether this process's clock is further from that of the records than a signer's may be from the vault's.
func (v *Vault) clockOff(ctx context.Context) (bool, error) {
	began := v.cfg.Now()
	theirs, err := v.cfg.Records.Clock(ctx)
	if err != nil || theirs.IsZero() {
		return false, err
	}
	return theirs.Sub(began) > evidence.Clock || v.cfg.Now().Sub(theirs) > evidence.Clock, nil
}

// Swept returns when SweepEvery swept last, here, and failed at nothing: the zero time if it never did.
func (v *Vault) Swept() time.Time {
	if at := v.swept.Load(); at != 0 {
		return time.UnixMicro(at)
	}
	return time.Time{}
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
	_, err := v.signOwn(ctx, e, evidence.ItemOf(g.Item))
	return err
}

// suspension is how long who opened in an emergency is suspended when the review is overdue; reviewing does not wait for its end.
const suspension = 7 * 24 * time.Hour

// sweepMoments does what time has given the vault to do. What could not be done, and whoever is still waited for, is looked at again by
// every sweep; none of it keeps the rest waiting.
func (v *Vault) sweepMoments(ctx context.Context) error {
	after, streams := v.passed, slices.Collect(maps.Keys(v.late))
	now := v.now()
	err := v.passAll(ctx, streams)
	for page := []Moment(nil); ; {
		var failed error
		if page, failed = v.cfg.Records.Moments(ctx, after, now, sweepLimit); failed != nil || len(page) == 0 {
			err = errors.Join(err, failed)
			break
		}
		streams = streams[:0]
		for _, after = range page {
			streams = append(streams, after.Stream)
		}
		err = errors.Join(err, v.passAll(ctx, streams))
	}
	// A signer's clock may be behind the vault's: what was signed just now may have its moment before this one.
	if recent := now.Add(-2 * evidence.Clock); after.At > recent {
		after = Moment{At: recent}
	}
	v.passed = after
	return err
}

// passAll passes the moments of these streams, and remembers in which of them something is left to do.
func (v *Vault) passAll(ctx context.Context, streams []evidence.Stream) (err error) {
	for _, s := range streams {
		done, failed := v.pass(ctx, s)
		err = errors.Join(err, failed)
		if delete(v.late, s); !done {
			v.late[s] = true
		}
	}
	return err
}

// pass does what time asks for in a stream, and reports whether nothing is left of it.
func (v *Vault) pass(ctx context.Context, s evidence.Stream) (done bool, err error) {
	if s.Type == evidence.ConsentStream {
		return v.endSharing(ctx, s)
	}
	item, err := state[*evidence.ItemState](ctx, v, s)
	if err != nil {
		return false, err
	}
	now, done := v.now(), true
	for _, h := range item.Holds {
		if item.Shredded == 0 && h.Status != evidence.HoldOver && !h.Blocks(now) {
			e := &evidence.Event{Kind: evidence.HoldLifted, Case: item.Case, Details: &evidence.HoldLiftedDetails{Hold: h.ID, Cause: evidence.CauseExpiry}}
			ended, failed := v.signOwn(ctx, e, s)
			done, err = done && ended, errors.Join(err, failed)
		}
	}
	for _, g := range item.Emergencies {
		if g.ReviewedBy == "" && now >= g.Due {
			done, err = false, errors.Join(err, v.suspend(ctx, g.By, now.Add(suspension))) // again, as long as nobody reviews it
		}
	}
	return done, err
}

// suspend takes from an actor, until a moment, that signatures count.
func (v *Vault) suspend(ctx context.Context, id evidence.ActorID, until evidence.Time) error {
	actor, err := state[*evidence.ActorState](ctx, v, evidence.ActorOf(id))
	if err != nil || actor.Status == evidence.StatusRevoked || actor.SuspendedTill > v.now() {
		return err
	}
	e := &evidence.Event{Kind: evidence.ActorSuspended, Details: &evidence.ActorSuspendedDetails{Cause: evidence.CauseOverdue, Until: until}}
	_, err = v.signOwn(ctx, e, evidence.ActorOf(id))
	return err
}

// signOwn signs and accepts an event in the vault's own name. It is not done, which is no failure, if somebody acted first: the next sweep
// looks again.
func (v *Vault) signOwn(ctx context.Context, e *evidence.Event, s evidence.Stream) (done bool, err error) {
	e.Vault, e.Actor = v.cfg.Origin, evidence.Signer{ID: v.cfg.Author.ID, Role: evidence.Vault}
	e.Stream = evidence.Position{Type: s.Type, ID: s.ID}
	states, err := v.present(ctx, e)
	if err != nil {
		return false, err
	}
	signed, err := v.cfg.Author.Sign(e, s, v.facts(states), v.cfg.Now())
	if err != nil {
		return false, evidence.Fail(evidence.Internal, "vault_signature", err)
	}
	_, err = v.commit(ctx, ledger.Commit{Signed: signed}, v.judge(signed))
	if evidence.KindOf(err) == evidence.Conflict {
		return false, nil
	}
	return err == nil, err
}
