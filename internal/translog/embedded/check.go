package embedded

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/trillian"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	bolt "go.etcd.io/bbolt"
	"strongroom.example/strongroom/internal/translog"
)

// check compares the newest root with the tree nodes and the leaf count, and
// lets the clock pass every time stored. It reads O(log n) of the file.
func check(ctx context.Context, btx *bolt.Tx, tree *trillian.Tree, clock *steadyClock) error {
	tx, err := newLogTX(btx, tree)
	if err != nil {
		return err
	}
	if err := tx.checkRoot(ctx); err != nil {
		return err
	}
	size := int64(0)
	if k, _ := tx.sequence.Cursor().Last(); len(k) == 8 {
		size = number(k, 0) + 1
	}
	if size != int64(tx.root.TreeSize) {
		return fmt.Errorf("%w: leaves and root differ in number", translog.ErrCorrupt)
	}
	clock.pass(time.Unix(0, int64(tx.root.TimestampNanos)))
	if k, _ := tx.queue.Cursor().Last(); len(k) == 16 {
		clock.pass(time.Unix(0, number(k, 0)))
	}
	return nil
}

// checkRoot computes the root from the tree's right edge and compares.
func (t *logTX) checkRoot(ctx context.Context) error {
	hash := rfc6962.DefaultHasher.EmptyRoot()
	if t.root.TreeSize > 0 {
		ids := compact.RangeNodes(0, t.root.TreeSize, nil)
		nodes, err := t.GetMerkleNodes(ctx, ids)
		if err != nil {
			return fmt.Errorf("%w: tree nodes: %w", translog.ErrCorrupt, err)
		}
		hashes := make([][]byte, len(nodes))
		for i, node := range nodes {
			hashes[i] = node.Hash
		}
		edge, err := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewRange(0, t.root.TreeSize, hashes)
		if err != nil {
			return fmt.Errorf("%w: tree nodes: %w", translog.ErrCorrupt, err)
		}
		if hash, err = edge.GetRootHash(nil); err != nil {
			return fmt.Errorf("%w: tree nodes: %w", translog.ErrCorrupt, err)
		}
	}
	if !bytes.Equal(hash, t.root.RootHash) {
		return fmt.Errorf("%w: root does not follow from the tree", translog.ErrCorrupt)
	}
	return nil
}
