package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// followed is what a worker remembers of what other processes do.
type followed struct {
	note      []byte           // the newest one in the records that was looked at
	told      int64            // who waits for an event below was told
	heads     int64            // size of the log when publications were looked at
	breath    <-chan time.Time // after a publication: when there may be another without anybody's asking; nil: now
	fruitless int64            // size of the log at which there was nothing to publish
	beaten    int              // how often another process may have been faster since the last publication
	refused   string           // why the lead could not be taken
}

const maxTold = 4096 // leaves that are looked through for those who wait; of more it is who waits that is looked for

// follow learns from the records what other processes have done.
func (l *Ledger) follow(ctx context.Context) error {
	if err := l.followLog(ctx); err != nil {
		return err
	}
	return l.followHeads(ctx)
}

// followLog reads the log's newest state, and heeds what does not fit.
func (l *Ledger) followLog(ctx context.Context) error {
	err := l.readLog(ctx)
	if err == nil {
		err = l.recheck(ctx)
	}
	return l.heed(err)
}

// readLog believes the newest checkpoint in the records, if it is consistent with what was believed before, and tells those who wait for
// an event under it.
func (l *Ledger) readLog(ctx context.Context) error {
	note, err := l.cfg.Records.Checkpoint(ctx)
	if err != nil {
		return err
	}
	if !bytes.Equal(note, l.last.note) && (note == nil || !bytes.Equal(note, l.followed.note)) {
		stored, err := l.open(note, "records")
		if err != nil {
			return err
		}
		if err := l.believe(ctx, stored); err != nil {
			return err
		}
		l.followed.note = note
	}
	if l.followed.told == l.last.Size {
		return nil
	}
	return l.tellWaiting(ctx)
}

// believe makes a checkpoint that is stored the newest known here.
func (l *Ledger) believe(ctx context.Context, stored signed) error {
	if stored.Size < l.last.Size {
		return &Mismatch{"records", wentBack}
	}
	err := l.extends(ctx, l.last, stored.Checkpoint)
	if l.newest.Size > stored.Size { // it was signed here, and did not come into the records
		err = errors.Join(err, l.extends(ctx, stored, l.newest.Checkpoint))
	} else {
		err = errors.Join(err, l.extends(ctx, l.newest, stored.Checkpoint))
	}
	if m := (*Mismatch)(nil); errors.As(err, &m) {
		return &Mismatch{"records", "another process signed a checkpoint that is not consistent with those seen here"}
	}
	if err != nil || stored.Checkpoint == l.last.Checkpoint {
		return err
	}
	if err := l.keepApart(stored); err != nil {
		return err
	}
	if stored.Size > l.newest.Size {
		l.newest = stored
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = stored
	if l.publisher != nil {
		l.publisher.news()
	}
	return nil
}

// tellWaiting gives the events that came into the log since it was called last to those who wait for them here. An event that a checkpoint
// covers before it is included itself, as after a crash, is found by who waits: see lookAgain.
func (l *Ledger) tellWaiting(ctx context.Context) error {
	size := l.last.Size
	here := l.expected()
	if len(here) > 0 && size-l.followed.told <= maxTold {
		places, err := l.cfg.Records.Places(ctx, l.followed.told, size)
		if err != nil {
			return err
		}
		here = l.awaited(places)
	}
	for _, leaf := range here {
		e, err := l.cfg.Records.Entry(ctx, leaf)
		if err != nil && evidence.KindOf(err) != evidence.NotFound {
			return err
		}
		if err == nil && e.Included() {
			l.mu.Lock()
			l.answer(e)
			l.mu.Unlock()
		}
	}
	l.followed.told = size
	return nil
}

// expected lists the events that somebody waits for, or may begin to wait for without looking.
func (l *Ledger) expected() []evidence.Hash {
	l.mu.RLock()
	defer l.mu.RUnlock()
	list := make([]evidence.Hash, 0, len(l.waiting)+len(l.coming))
	for leaf := range l.waiting {
		list = append(list, leaf)
	}
	for leaf := range l.coming {
		if len(l.waiting[leaf]) == 0 {
			list = append(list, leaf)
		}
	}
	return list
}

// awaited picks the events that somebody waits for. The others are no longer coming: they are in the log.
func (l *Ledger) awaited(places []Place) (list []evidence.Hash) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range places {
		if len(l.waiting[p.LeafHash]) > 0 {
			list = append(list, p.LeafHash)
		} else {
			delete(l.coming, p.LeafHash)
			l.trails.forget(p.LeafHash)
		}
	}
	return list
}

// lookAgain is when who waits for an event looks by itself: never, where all that is included is told.
func (l *Ledger) lookAgain() <-chan time.Time {
	if l.lead == nil {
		return nil
	}
	return time.After(time.Second)
}

// busy reports whether somebody here waits for what other processes do.
func (l *Ledger) busy() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.waiting) > 0 || l.asking.Load() > 0
}

// followHeads makes the newest publication that is in the log the one that proofs are given under.
func (l *Ledger) followHeads(ctx context.Context) error {
	if l.stale || l.heads == nil {
		if err := l.loadHeads(ctx); err != nil {
			return err
		}
	}
	size := l.last.Size
	if size == l.followed.heads && l.asking.Load() == 0 && l.accepted.leaf == l.published.leaf {
		return nil
	}
	e, err := l.newestPublication(ctx)
	if err != nil {
		return err
	}
	if e.Included() && e.LeafHash != l.published.leaf {
		p, err := l.publicationOf(e)
		if err != nil {
			return err
		}
		if err := l.reach(ctx, p); err != nil {
			return err
		}
	}
	l.followed.heads = size
	return nil
}

// newestPublication is the last one that is in the log; one that is not included if there is none.
func (l *Ledger) newestPublication(ctx context.Context) (Entry, error) {
	state, err := l.headsState(ctx)
	if err != nil || state.Last.Leaf.IsZero() {
		return Entry{}, err
	}
	e, err := l.cfg.Records.Entry(ctx, state.Last.Leaf)
	if err != nil || e.Included() || e.Seq == 0 {
		return e, err
	}
	return l.cfg.Records.Entry(ctx, e.Stands[0]) // only one is ever on its way
}

// reach brings the map to a publication and has proofs given under it.
func (l *Ledger) reach(ctx context.Context, p publication) error {
	switch at := l.accepted; {
	case p.covers < at.covers: // the one that the map is at is on its way
		return nil
	case p.leaf == at.leaf:
	case p.covers-at.covers > maxLate:
		return l.loadHeads(ctx)
	default:
		update, err := l.heads.next(ctx, l.cfg.Origin, at.covers, p)
		if err != nil {
			if failed := l.loadHeads(ctx); failed != nil {
				return fmt.Errorf("heads: %w", errors.Join(err, failed))
			}
			return nil
		}
		l.proving.Lock()
		defer l.proving.Unlock()
		if err := l.heads.become(update, p.covers); err != nil {
			l.stale = true
			return fmt.Errorf("heads: %w", err)
		}
	}
	l.accepted = p
	l.mu.Lock()
	defer l.mu.Unlock()
	l.publish(p)
	return nil
}
