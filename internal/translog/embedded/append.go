package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/trillian"
	sequencer "github.com/google/trillian/log"
	"github.com/google/trillian/quota"
	bolt "go.etcd.io/bbolt"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
)

const (
	// groupLeaves is how many leaves the appender gathers before it commits.
	groupLeaves = 1024
	// batchLeaves is how many leaves Trillian integrates under one root.
	batchLeaves = 4096
)

// request is one call of Append on its way through the appender.
type request struct {
	leaves  []*trillian.LogLeaf
	indexes []int64
	err     error
	done    chan struct{} // closed once indexes and err are final
}

// Append makes the leaves durable and integrated, in the order given and
// without others between those that are new, and returns their indexes in that
// order. A leaf appended before answers with its original index. If one leaf's
// identity holds other bytes the answer is translog.ErrLeafDiffers and nothing
// is appended. When ctx ends first the leaves may still be appended; so may
// they after ErrWrite. Repeating the call is always safe.
func (l *Log) Append(ctx context.Context, leaves []tlog.TreeLeaf) ([]int64, error) {
	if len(leaves) == 0 {
		return []int64{}, nil
	}
	made, err := translog.NewLeaves(leaves)
	if err != nil {
		return nil, err
	}
	r := &request{leaves: made, done: make(chan struct{})}
	select {
	case l.appends <- r:
	case <-l.closing:
		return nil, translog.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case <-r.done:
		return r.indexes, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run is the appender. While one group is being committed the next requests
// wait in Append, so the busier the log, the larger the groups. It does not use
// the server's QueueLeaf, which commits each leaf alone and integrates none.
func (l *Log) run() {
	defer close(l.done)
	for {
		var group []*request
		select {
		case r := <-l.appends:
			group = append(group, r)
		case <-l.closing:
			return
		}
		for leaves, waiting := len(group[0].leaves), true; waiting && leaves < groupLeaves; {
			select {
			case r := <-l.appends:
				group = append(group, r)
				leaves += len(r.leaves)
			default:
				waiting = false
			}
		}
		l.commit(group)
	}
}

// commit appends a group in one transaction and answers its requests.
func (l *Log) commit(group []*request) {
	err := l.storage.store.update(func(btx *bolt.Tx) error { return l.appendIn(btx, group) })
	for _, r := range group {
		if r.err == nil {
			r.err = err
		}
		if r.err != nil {
			r.indexes = nil
		}
		close(r.done)
	}
}

// appendIn queues the leaves of all requests, lets Trillian integrate them and
// looks up their indexes. A request that is refused leaves no trace.
func (l *Log) appendIn(btx *bolt.Tx, group []*request) error {
	// Not the callers' contexts: one caller's patience does not end the group.
	ctx := context.Background()
	tx, err := newLogTX(btx, l.tree)
	if err != nil {
		return err
	}
	for _, r := range group {
		if r.err = tx.checkOriginals(r.leaves); r.err != nil {
			continue
		}
		for _, leaf := range r.leaves {
			if _, err := tx.enqueue(leaf, l.clock.Now()); err != nil {
				return fmt.Errorf("embedded: queue leaf: %w", err)
			}
		}
	}
	for n := batchLeaves; n == batchLeaves; {
		n, err = sequencer.IntegrateBatch(ctx, l.tree, batchLeaves, 0, 0, l.clock, &openTransaction{l.storage, btx}, quota.Noop())
		if err != nil {
			// Trillian's error text hides the cause; say so where it is damage.
			return fmt.Errorf("embedded: integrate leaves: %w", errors.Join(err, tx.checkRoot(ctx)))
		}
	}
	for _, r := range group {
		if r.err != nil {
			continue
		}
		r.indexes = make([]int64, len(r.leaves))
		for i, leaf := range r.leaves {
			if r.indexes[i], err = tx.indexOf(leaf.LeafIdentityHash); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkOriginals fails if the log holds one of these leaves with other bytes,
// or holds it while its identity is lost: then appending would make it twice.
func (t *logTX) checkOriginals(leaves []*trillian.LogLeaf) error {
	for _, leaf := range leaves {
		original, _, err := t.byIdentity(leaf.LeafIdentityHash)
		if err != nil {
			return err
		}
		if original != nil {
			if err := translog.CheckOriginal(leaf, original); err != nil {
				return err
			}
			continue
		}
		indexes, err := t.indexes(leaf.MerkleLeafHash)
		if err != nil {
			return err
		}
		if len(indexes) > 0 {
			return fmt.Errorf("%w: leaf without identity", translog.ErrCorrupt)
		}
	}
	return nil
}
