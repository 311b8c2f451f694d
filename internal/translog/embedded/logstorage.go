package embedded

import (
	"context"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/storage"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// logStorage is Trillian's storage.LogStorage on a store.
type logStorage struct{ store *store }

var _ storage.LogStorage = (*logStorage)(nil)

// CheckDatabaseAccessible says whether the file is open.
func (s *logStorage) CheckDatabaseAccessible(context.Context) error {
	return s.store.view(func(*bolt.Tx) error { return nil })
}

// GetActiveLogIDs returns the logs that still integrate leaves.
func (s *logStorage) GetActiveLogIDs(ctx context.Context) ([]int64, error) {
	ids := []int64{}
	err := s.store.view(func(btx *bolt.Tx) error {
		trees, err := (&adminTX{btx: btx}).ListTrees(ctx, false)
		for _, tree := range trees {
			if tree.TreeState == trillian.TreeState_ACTIVE || tree.TreeState == trillian.TreeState_DRAINING {
				ids = append(ids, tree.TreeId)
			}
		}
		return err
	})
	return ids, err
}

// SnapshotForTree starts a read-only transaction. With storage.ErrTreeNeedsInit
// the transaction returned has already ended: Trillian's server does not close
// it on every path, and an open snapshot would keep the file from closing.
func (s *logStorage) SnapshotForTree(_ context.Context, tree *trillian.Tree) (storage.ReadOnlyLogTreeTX, error) {
	btx, err := s.store.begin(false)
	if err != nil {
		return nil, err
	}
	tx, err := newLogTX(btx, tree)
	if err == storage.ErrTreeNeedsInit {
		tx.Close()
		return tx, err
	}
	if err != nil {
		btx.Rollback()
		return nil, err
	}
	return tx, nil
}

// ReadWriteTransaction runs f in a transaction and commits.
func (s *logStorage) ReadWriteTransaction(ctx context.Context, tree *trillian.Tree, f storage.LogTXFunc) error {
	return s.store.update(func(btx *bolt.Tx) error {
		return (&openTransaction{s, btx}).ReadWriteTransaction(ctx, tree, f)
	})
}

// QueueLeaves queues leaves in the order given, in one transaction.
func (s *logStorage) QueueLeaves(_ context.Context, tree *trillian.Tree, leaves []*trillian.LogLeaf, at time.Time) ([]*trillian.QueuedLogLeaf, error) {
	queued := make([]*trillian.QueuedLogLeaf, len(leaves))
	err := s.inLog(tree, func(tx *logTX) error {
		for i, leaf := range leaves {
			original, err := tx.enqueue(leaf, at)
			if err != nil {
				return err
			}
			if queued[i] = (&trillian.QueuedLogLeaf{Leaf: leaf}); original != nil {
				queued[i] = rejected(original, codes.AlreadyExists, "leaf already exists")
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return queued, nil
}

// AddSequencedLeaves stores leaves at the index they carry (pre-ordered logs).
// A leaf whose identity or index is taken is reported, not stored.
func (s *logStorage) AddSequencedLeaves(_ context.Context, tree *trillian.Tree, leaves []*trillian.LogLeaf, at time.Time) ([]*trillian.QueuedLogLeaf, error) {
	added := make([]*trillian.QueuedLogLeaf, len(leaves))
	err := s.inLog(tree, func(tx *logTX) error {
		for i, leaf := range leaves {
			result, err := tx.addSequenced(leaf, at)
			if err != nil {
				return err
			}
			added[i] = result
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return added, nil
}

func (t *logTX) addSequenced(leaf *trillian.LogLeaf, at time.Time) (*trillian.QueuedLogLeaf, error) {
	original, _, err := t.byIdentity(leaf.LeafIdentityHash)
	if err != nil {
		return nil, err
	}
	occupant, err := t.at(leaf.LeafIndex)
	if err != nil {
		return nil, err
	}
	switch {
	case original != nil && occupant != nil && proto.Equal(&trillian.LogLeaf{LeafValue: occupant.LeafValue, LeafIdentityHash: occupant.LeafIdentityHash}, &trillian.LogLeaf{LeafValue: leaf.LeafValue, LeafIdentityHash: leaf.LeafIdentityHash}):
		return rejected(occupant, codes.AlreadyExists, "leaf already exists"), nil
	case original != nil:
		return rejected(original, codes.FailedPrecondition, "conflicting LeafIdentityHash"), nil
	case occupant != nil:
		return rejected(occupant, codes.FailedPrecondition, "conflicting LeafIndex"), nil
	}
	arrival, err := t.store(leaf, at)
	if err != nil {
		return nil, err
	}
	// The integration time of a pre-ordered leaf is not known: it stays at the epoch.
	return &trillian.QueuedLogLeaf{Leaf: leaf, Status: status.New(codes.OK, "OK").Proto()}, t.place(leaf, arrival, time.Unix(0, 0))
}

func rejected(leaf *trillian.LogLeaf, code codes.Code, why string) *trillian.QueuedLogLeaf {
	return &trillian.QueuedLogLeaf{Leaf: leaf, Status: status.New(code, why).Proto()}
}

// inLog updates an initialised log.
func (s *logStorage) inLog(tree *trillian.Tree, f func(*logTX) error) error {
	return s.store.update(func(btx *bolt.Tx) error {
		tx, err := newLogTX(btx, tree)
		if err != nil {
			return err
		}
		return f(tx)
	})
}

// openTransaction is a LogStorage whose read-write transactions run inside one
// that is already open and commit with it.
type openTransaction struct {
	*logStorage
	btx *bolt.Tx
}

// ReadWriteTransaction runs f and writes what it changed, without committing.
func (s *openTransaction) ReadWriteTransaction(ctx context.Context, tree *trillian.Tree, f storage.LogTXFunc) error {
	tx, err := newLogTX(s.btx, tree)
	if err != nil && err != storage.ErrTreeNeedsInit {
		return err
	}
	if err := f(ctx, tx); err != nil {
		return err
	}
	return tx.flush()
}
