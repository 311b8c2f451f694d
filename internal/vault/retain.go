package vault

import (
	"context"
	"errors"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
)

// The file of an item is locked in the object store for as long as the law says that the item is kept (RULES §8): until its due date, and
// while a hold blocks shredding. The records say what the lock is to be, and the store is made to follow: at once by who accepts the event,
// and again by the sweep, which hears of every event and walks over all items once a day: after a crash in between, and in a bucket that
// was restored, the locks come back. A date is only ever lengthened. Shredding destroys envelopes, which no lock covers, and never waits
// for one.

const (
	walkAgain   = 24 * time.Hour
	walkAtOnce  = 16               // pages of items that one sweep takes up at most, while it finds locks to set
	heardAtOnce = 1024             // items of which events were heard that one sweep takes up at most
	mostRefused = 3                // failures after which a sweep leaves the rest to the next one
	longest     = 99               // years that a file is locked for at once: stores refuse more than a hundred. A later walk goes on
	soonest     = 10 * time.Second // a bucket refuses what has passed by its own clock
	withEvent   = 5 * time.Second  // how long an accepted event waits for the store
)

// locks is what a sweep knows of locks.
type locks struct {
	due   map[evidence.ItemID]bool // items of which an event may have changed the lock
	after evidence.ItemID          // the last item that the walk has passed
	next  time.Time                // when it begins anew
}

// changesLock reports whether an event of this kind changes how long an item's file is kept.
func changesLock(k evidence.Kind) bool {
	switch k {
	case evidence.ItemDeposited, evidence.ItemShredded, evidence.RetentionSet, evidence.HoldPlaced, evidence.HoldConfirmed, evidence.HoldLifted:
		return true
	}
	return false
}

// hearLock remembers an item whose lock may have changed.
func (v *Vault) hearLock(entry ledger.Entry) {
	if changesLock(entry.Kind) {
		v.locks.due[evidence.ItemID(entry.Stream.ID)] = true
	}
}

// lockAt is the lock that an item asks for at now.
func (v *Vault) lockAt(ctx context.Context, item *evidence.ItemState) (lock objects.Lock, err error) {
	if item.Class == evidence.DescriptionOnly || item.Shredded != 0 {
		return lock, nil
	}
	consents, err := v.governing(ctx, item)
	if err != nil {
		return lock, err
	}
	now := v.cfg.Now().UTC()
	due, ok, err := item.Due(v.facts(consents), evidence.At(now))
	if err != nil {
		return lock, err
	}
	lock.Hold = item.Held(evidence.At(now))
	if until := due.Std().UTC(); ok && until.After(now.Add(soonest)) {
		lock.Until = earlier(until, time.Date(now.Year()+longest, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	return lock, nil
}

// secure makes the lock of an item's file as strong as the item asks for. It reports whether it had to, and whether the file is held while
// this item does not ask for it: another one may. Of what is missing or damaged the scrub tells.
func (v *Vault) secure(ctx context.Context, item *evidence.ItemState) (changed, loose bool, err error) {
	if item.Class == evidence.DescriptionOnly {
		return false, false, nil
	}
	want, err := v.lockAt(ctx, item)
	if err != nil {
		return false, false, err
	}
	name := objects.Digest(item.Evidence.SHA256)
	_, have, err := v.cfg.Objects.Stat(ctx, name)
	if err == nil && want.Until.After(have.Until) {
		changed = true
		if err = v.cfg.Objects.Retain(ctx, name, want.Until); errors.Is(err, objects.ErrLocked) {
			err = nil // somebody made it longer meanwhile
		}
	}
	if err == nil && want.Hold && !have.Hold {
		changed = true
		err = v.cfg.Objects.Hold(ctx, name, true)
	}
	if errors.Is(err, objects.ErrNotFound) || errors.Is(err, objects.ErrDamaged) {
		return false, false, nil
	}
	if err != nil {
		return changed, false, storeError(err)
	}
	return changed, have.Hold && !want.Hold, nil
}

// secureAfter is secure for the item of an accepted event. What fails here is the sweep's.
func (v *Vault) secureAfter(ctx context.Context, entry ledger.Entry) {
	if !changesLock(entry.Kind) {
		return
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), withEvent)
	defer cancel()
	item, err := state[*evidence.ItemState](short, v, entry.Stream)
	if err == nil {
		_, _, err = v.secure(short, item)
	}
	if err != nil {
		v.cfg.Logger.WarnContext(ctx, "lock_left", "reason", evidence.ReasonOf(err), "err", err)
	}
}

// sweepLocks makes the store follow the records.
func (v *Vault) sweepLocks(ctx context.Context) error {
	loose := make(map[evidence.Hash]bool)
	look := func(item *evidence.ItemState) (bool, error) {
		changed, held, err := v.secure(ctx, item)
		if held {
			loose[item.Evidence.SHA256] = true
		}
		return changed, err
	}
	var failed error
	taken, refused := 0, 0
	for id := range v.locks.due {
		if taken++; taken > heardAtOnce || refused == mostRefused {
			break
		}
		item, err := state[*evidence.ItemState](ctx, v, evidence.ItemOf(id))
		if err == nil {
			_, err = look(item)
		}
		if err == nil {
			delete(v.locks.due, id)
			continue
		}
		refused++
		failed = errors.Join(failed, err)
	}
	return errors.Join(failed, v.walkLocks(ctx, look), v.loosen(ctx, loose))
}

// walkLocks goes on with the walk over all items: by a page, and by more of them while there is something to do.
func (v *Vault) walkLocks(ctx context.Context, look func(*evidence.ItemState) (changed bool, err error)) error {
	if v.cfg.Now().Before(v.locks.next) {
		return nil
	}
	for range walkAtOnce {
		page, err := v.cfg.Records.AllItems(ctx, v.locks.after, sweepLimit)
		if err != nil {
			return err
		}
		again := false
		for _, item := range page {
			changed, err := look(item)
			v.locks.after = item.ID
			if err != nil {
				v.locks.due[item.ID] = true // the next sweep goes on after it, and comes back to it
				return err
			}
			again = again || changed
		}
		if len(page) < sweepLimit {
			v.locks.after, v.locks.next = "", v.cfg.Now().Add(walkAgain)
			return nil
		}
		if !again {
			return nil
		}
	}
	return nil
}

// loosen lifts the hold of files that no item asks for any more. Who places a hold at the same moment sets it before or after this one
// looks again: it is there in the end.
func (v *Vault) loosen(ctx context.Context, loose map[evidence.Hash]bool) error {
	if len(loose) == 0 {
		return nil
	}
	held, err := v.held(ctx, loose)
	if err != nil {
		return err
	}
	for name := range loose {
		if !held[name] {
			err = errors.Join(err, v.cfg.Objects.Hold(ctx, objects.Digest(name), false))
		}
	}
	again, failed := v.held(ctx, loose)
	for name := range again {
		failed = errors.Join(failed, v.cfg.Objects.Hold(ctx, objects.Digest(name), true))
	}
	if err = errors.Join(err, failed); err != nil {
		return storeError(err)
	}
	return nil
}

// held are those of these files that an item asks to hold.
func (v *Vault) held(ctx context.Context, names map[evidence.Hash]bool) (map[evidence.Hash]bool, error) {
	held := make(map[evidence.Hash]bool)
	for after := evidence.ItemID(""); ; {
		page, err := v.cfg.Records.AllItems(ctx, after, MaxPage)
		if err != nil {
			return nil, err
		}
		now := v.now()
		for _, item := range page {
			after = item.ID
			if names[item.Evidence.SHA256] && item.Shredded == 0 && item.Held(now) {
				held[item.Evidence.SHA256] = true
			}
		}
		if len(page) < MaxPage {
			return held, nil
		}
	}
}
