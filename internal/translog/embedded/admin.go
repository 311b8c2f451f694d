package embedded

import (
	"context"
	"fmt"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/storage"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"strongroom.example/strongroom/internal/translog"
)

// adminStorage is Trillian's storage.AdminStorage on a store.
type adminStorage struct {
	store *store
	clock *steadyClock
}

var _ storage.AdminStorage = (*adminStorage)(nil)

// CheckDatabaseAccessible says whether the file is open.
func (s *adminStorage) CheckDatabaseAccessible(context.Context) error {
	return s.store.view(func(*bolt.Tx) error { return nil })
}

// Snapshot starts a read-only transaction.
func (s *adminStorage) Snapshot(context.Context) (storage.ReadOnlyAdminTX, error) {
	btx, err := s.store.begin(false)
	if err != nil {
		return nil, err
	}
	return &adminTX{btx: btx}, nil
}

// ReadWriteTransaction runs f in a transaction and commits.
func (s *adminStorage) ReadWriteTransaction(ctx context.Context, f storage.AdminTXFunc) error {
	return s.store.update(func(btx *bolt.Tx) error { return f(ctx, &adminTX{btx: btx, now: s.clock.Now()}) })
}

// adminTX is the list of trees inside one bbolt transaction.
type adminTX struct {
	btx *bolt.Tx // nil once a snapshot has ended
	now time.Time
}

var _ storage.AdminTX = (*adminTX)(nil)

// Commit ends a snapshot. A read-write transaction is committed by
// ReadWriteTransaction once its function has returned nil.
func (t *adminTX) Commit() error { return t.Close() }

// Close ends a snapshot; it may be called again.
func (t *adminTX) Close() error {
	if t.btx == nil || t.btx.Writable() {
		return nil
	}
	btx := t.btx
	t.btx = nil
	return btx.Rollback()
}

func (t *adminTX) trees() table { return table{t.btx.Bucket(bucketTrees)} }

// GetTree returns one tree, deleted or not.
func (t *adminTX) GetTree(_ context.Context, id int64) (*trillian.Tree, error) {
	raw, err := t.trees().get(key(id))
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, status.Errorf(codes.NotFound, "tree %d not found", id)
	}
	return parseTree(raw)
}

func parseTree(raw []byte) (*trillian.Tree, error) {
	tree := new(trillian.Tree)
	if err := proto.Unmarshal(raw, tree); err != nil {
		return nil, fmt.Errorf("%w: tree: %w", translog.ErrCorrupt, err)
	}
	return tree, nil
}

// ListTrees returns all trees.
func (t *adminTX) ListTrees(_ context.Context, includeDeleted bool) ([]*trillian.Tree, error) {
	trees := []*trillian.Tree{}
	err := t.trees().ForEach(func(k, sealed []byte) error {
		raw, err := unseal(k, sealed)
		if err != nil {
			return err
		}
		tree, err := parseTree(raw)
		if err == nil && (includeDeleted || !tree.Deleted) {
			trees = append(trees, tree)
		}
		return err
	})
	return trees, err
}

// CreateTree stores a new tree under a random id, with its empty log.
func (t *adminTX) CreateTree(ctx context.Context, tree *trillian.Tree) (*trillian.Tree, error) {
	if err := storage.ValidateTreeForCreation(ctx, tree); err != nil {
		return nil, err
	}
	id, err := storage.NewTreeID()
	if err != nil {
		return nil, err
	}
	tree = proto.CloneOf(tree)
	tree.TreeId = id
	tree.CreateTime = timestamppb.New(t.now)
	tree.UpdateTime = timestamppb.New(t.now)
	b, err := t.btx.Bucket(bucketLogs).CreateBucket(key(id))
	if err != nil {
		return nil, err
	}
	for _, name := range logBuckets {
		if _, err := b.CreateBucket(name); err != nil {
			return nil, err
		}
	}
	return tree, t.put(tree)
}

func (t *adminTX) put(tree *trillian.Tree) error {
	raw, err := proto.Marshal(tree)
	if err != nil {
		return err
	}
	return t.trees().put(key(tree.TreeId), raw)
}

// UpdateTree changes a tree's mutable fields.
func (t *adminTX) UpdateTree(ctx context.Context, id int64, change func(*trillian.Tree)) (*trillian.Tree, error) {
	tree, err := t.GetTree(ctx, id)
	if err != nil {
		return nil, err
	}
	before := proto.CloneOf(tree)
	change(tree)
	if err := storage.ValidateTreeForUpdate(ctx, before, tree); err != nil {
		return nil, err
	}
	tree.UpdateTime = timestamppb.New(t.now)
	return tree, t.put(tree)
}

// SoftDeleteTree hides a tree; UndeleteTree brings it back.
func (t *adminTX) SoftDeleteTree(ctx context.Context, id int64) (*trillian.Tree, error) {
	return t.setDeleted(ctx, id, true)
}

// UndeleteTree takes a soft deletion back.
func (t *adminTX) UndeleteTree(ctx context.Context, id int64) (*trillian.Tree, error) {
	return t.setDeleted(ctx, id, false)
}

func (t *adminTX) setDeleted(ctx context.Context, id int64, deleted bool) (*trillian.Tree, error) {
	tree, err := t.GetTree(ctx, id)
	if err != nil {
		return nil, err
	}
	if tree.Deleted == deleted {
		return nil, status.Errorf(codes.FailedPrecondition, "tree %d: soft deleted is already %t", id, deleted)
	}
	tree.Deleted, tree.DeleteTime = deleted, nil
	if deleted {
		tree.DeleteTime = timestamppb.New(t.now)
	}
	return tree, t.put(tree)
}

// HardDeleteTree removes a soft-deleted tree and its log for good.
func (t *adminTX) HardDeleteTree(ctx context.Context, id int64) error {
	tree, err := t.GetTree(ctx, id)
	if err != nil {
		return err
	}
	if !tree.Deleted {
		return status.Errorf(codes.FailedPrecondition, "tree %d is not soft deleted", id)
	}
	if err := t.btx.Bucket(bucketLogs).DeleteBucket(key(id)); err != nil {
		return err
	}
	return t.trees().Delete(key(id))
}
