package embedded

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/integration/storagetest"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/storage/testonly"
	"github.com/google/trillian/storage/tree"
	"github.com/google/trillian/types"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// newStorage returns both of Trillian's storages on a new file.
func newStorage(t *testing.T) (*logStorage, *adminStorage) {
	t.Helper()
	s, err := openStore(filepath.Join(t.TempDir(), "log.db"), true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return &logStorage{s}, &adminStorage{store: s, clock: &steadyClock{now: time.Now}}
}

func TestTrillianLogStorage(t *testing.T) {
	storagetest.RunLogStorageTests(t, func(context.Context, *testing.T) (storage.LogStorage, storage.AdminStorage) {
		return newStorage(t)
	})
}

func TestTrillianAdminStorage(t *testing.T) {
	(&testonly.AdminStorageTester{NewAdminStorage: func() storage.AdminStorage {
		_, admin := newStorage(t)
		return admin
	}}).RunAllTests(t)
}

// What follows covers, after trillian's storage/postgresql tests, the parts of
// the storage contract that neither suite reaches.

var queueTime = time.Date(2026, 11, 10, 15, 16, 27, 0, time.UTC)

func newLogTree(t *testing.T) (*logStorage, *trillian.Tree) {
	t.Helper()
	s, admin := newStorage(t)
	tree, err := storage.CreateTree(t.Context(), admin, testonly.LogTree)
	if err != nil {
		t.Fatal(err)
	}
	storeRoot(t, s, tree, &types.LogRootV1{RootHash: rfc6962.DefaultHasher.EmptyRoot()})
	return s, tree
}

func storeRoot(t *testing.T, s *logStorage, tree *trillian.Tree, root *types.LogRootV1) *trillian.SignedLogRoot {
	t.Helper()
	raw, err := root.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	signed := &trillian.SignedLogRoot{LogRoot: raw}
	update(t, s, tree, func(tx storage.LogTreeTX) error { return tx.StoreSignedLogRoot(t.Context(), signed) })
	return signed
}

func update(t *testing.T, s *logStorage, tree *trillian.Tree, f func(storage.LogTreeTX) error) {
	t.Helper()
	if err := s.ReadWriteTransaction(t.Context(), tree, func(_ context.Context, tx storage.LogTreeTX) error { return f(tx) }); err != nil {
		t.Fatal(err)
	}
}

func logLeaves(from, to int) []*trillian.LogLeaf {
	var leaves []*trillian.LogLeaf
	for i := from; i < to; i++ {
		value := fmt.Appendf(nil, "leaf %d", i)
		identity := sha256.Sum256(value)
		leaves = append(leaves, &trillian.LogLeaf{
			LeafValue: value, ExtraData: fmt.Appendf(nil, "extra %d", i),
			LeafIdentityHash: identity[:], MerkleLeafHash: rfc6962.DefaultHasher.HashLeaf(value),
		})
	}
	return leaves
}

func queue(t *testing.T, s *logStorage, tree *trillian.Tree, leaves []*trillian.LogLeaf, at time.Time) []*trillian.QueuedLogLeaf {
	t.Helper()
	queued, err := s.QueueLeaves(t.Context(), tree, leaves, at)
	if err != nil {
		t.Fatal(err)
	}
	return queued
}

// sequence dequeues up to limit leaves and gives them indexes from start on.
func sequence(t *testing.T, s *logStorage, tree *trillian.Tree, limit int, cutoff time.Time, start int64) []*trillian.LogLeaf {
	t.Helper()
	var leaves []*trillian.LogLeaf
	update(t, s, tree, func(tx storage.LogTreeTX) (err error) {
		if leaves, err = tx.DequeueLeaves(t.Context(), limit, cutoff); err != nil {
			return err
		}
		for i, leaf := range leaves {
			leaf.LeafIndex = start + int64(i)
			leaf.IntegrateTimestamp = timestamppb.New(cutoff)
		}
		return tx.UpdateSequencedLeaves(t.Context(), leaves)
	})
	return leaves
}

func identities(leaves []*trillian.LogLeaf) []string {
	var ids []string
	for _, leaf := range leaves {
		ids = append(ids, string(leaf.LeafIdentityHash))
	}
	return ids
}

func TestQueueDuplicates(t *testing.T) {
	s, tree := newLogTree(t)
	a := logLeaves(10, 25)
	tests := []struct {
		name   string
		leaves []*trillian.LogLeaf
		known  []bool
	}{
		{"new", a[:10], make([]bool, 10)},
		{"overlap", a[8:12], []bool{true, true, false, false}},
		{"mixed", []*trillian.LogLeaf{a[0], a[12], a[1]}, []bool{true, false, true}},
		{"twice in one batch", []*trillian.LogLeaf{a[13], a[13]}, []bool{false, true}},
		{"one known", a[13:14], []bool{true}},
		{"one new", a[14:15], []bool{false}},
	}
	for _, tt := range tests {
		for i, q := range queue(t, s, tree, tt.leaves, queueTime) {
			if known := q.Status.GetCode() == int32(codes.AlreadyExists); known != tt.known[i] {
				t.Errorf("%s: leaf %d: already exists = %t, want %t", tt.name, i, known, tt.known[i])
			}
			if !bytes.Equal(q.Leaf.LeafValue, tt.leaves[i].LeafValue) || !bytes.Equal(q.Leaf.ExtraData, tt.leaves[i].ExtraData) {
				t.Errorf("%s: leaf %d: another leaf answered", tt.name, i)
			}
		}
	}
	if got := sequence(t, s, tree, 100, queueTime, 0); len(got) != len(a) {
		t.Errorf("%d leaves dequeued, want %d", len(got), len(a))
	}
	// The original is answered, whatever else the duplicate says.
	other := proto.CloneOf(a[3])
	other.LeafValue, other.ExtraData = []byte("forged"), nil
	if q := queue(t, s, tree, []*trillian.LogLeaf{other}, queueTime)[0]; !bytes.Equal(q.Leaf.LeafValue, a[3].LeafValue) || !bytes.Equal(q.Leaf.ExtraData, a[3].ExtraData) {
		t.Error("duplicate did not answer with the original")
	}
}

func TestQueueRefusesBadHashes(t *testing.T) {
	s, tree := newLogTree(t)
	for _, n := range []int{0, 31, 33} {
		leaves := logLeaves(0, 2)
		leaves[1].LeafIdentityHash = make([]byte, n)
		if _, err := s.QueueLeaves(t.Context(), tree, leaves, queueTime); err == nil {
			t.Errorf("identity hash of %d bytes accepted", n)
		}
	}
	if got := sequence(t, s, tree, 10, queueTime, 0); len(got) != 0 {
		t.Errorf("a refused batch left %d leaves", len(got))
	}
}

func TestDequeueGuardInterval(t *testing.T) {
	s, tree := newLogTree(t)
	queue(t, s, tree, logLeaves(0, 5), queueTime)
	update(t, s, tree, func(tx storage.LogTreeTX) error {
		for _, tt := range []struct {
			cutoff time.Time
			want   int
		}{
			{queueTime.Add(-time.Second), 0},
			{queueTime.Add(-time.Nanosecond), 0},
			{queueTime, 5},
			{queueTime.Add(time.Second), 0}, // a leaf is dequeued once per transaction
		} {
			leaves, err := tx.DequeueLeaves(t.Context(), 99, tt.cutoff)
			if err != nil || len(leaves) != tt.want {
				t.Errorf("cutoff %v: %d leaves, %v; want %d", tt.cutoff, len(leaves), err, tt.want)
			}
			for _, leaf := range leaves {
				if !leaf.QueueTimestamp.AsTime().Equal(queueTime) {
					t.Errorf("queue time %v, want %v", leaf.QueueTimestamp.AsTime(), queueTime)
				}
			}
		}
		return nil
	})
	// Dequeued but not sequenced: still queued.
	if got := sequence(t, s, tree, 99, queueTime, 0); len(got) != 5 {
		t.Errorf("%d leaves left in the queue, want 5", len(got))
	}
}

func TestDequeueOrder(t *testing.T) {
	s, tree := newLogTree(t)
	late, early := logLeaves(0, 300), logLeaves(300, 302)
	queue(t, s, tree, late, queueTime)
	queue(t, s, tree, early, queueTime.Add(-time.Second))
	want := append(identities(early), identities(late)...)
	var got []string
	for len(got) < len(want) {
		leaves := sequence(t, s, tree, 70, queueTime, int64(len(got)))
		if len(leaves) == 0 {
			break
		}
		got = append(got, identities(leaves)...)
	}
	if !slices.Equal(got, want) {
		t.Error("leaves do not leave the queue in the order of their time and arrival")
	}
}

func TestUpdateSequencedLeavesRefuses(t *testing.T) {
	s, tree := newLogTree(t)
	queue(t, s, tree, logLeaves(0, 2), queueTime)
	sequence(t, s, tree, 1, queueTime, 0)
	try := func(change func(*trillian.LogLeaf)) error {
		return s.ReadWriteTransaction(t.Context(), tree, func(ctx context.Context, tx storage.LogTreeTX) error {
			leaves, err := tx.DequeueLeaves(ctx, 1, queueTime)
			if err != nil || len(leaves) != 1 {
				t.Fatalf("%d leaves, %v", len(leaves), err)
			}
			leaves[0].LeafIndex, leaves[0].IntegrateTimestamp = 1, timestamppb.New(queueTime)
			change(leaves[0])
			return tx.UpdateSequencedLeaves(ctx, leaves)
		})
	}
	for name, change := range map[string]func(*trillian.LogLeaf){
		"taken index":  func(l *trillian.LogLeaf) { l.LeafIndex = 0 },
		"not dequeued": func(l *trillian.LogLeaf) { l.LeafIdentityHash = make([]byte, 32) },
		"no time":      func(l *trillian.LogLeaf) { l.IntegrateTimestamp = nil },
	} {
		if try(change) == nil {
			t.Errorf("%s accepted", name)
		}
	}
	if err := try(func(*trillian.LogLeaf) {}); err != nil {
		t.Error(err)
	}
}

func TestLeavesByHash(t *testing.T) {
	s, tree := newLogTree(t)
	leaves := logLeaves(0, 1000)
	queue(t, s, tree, leaves, queueTime)
	sequence(t, s, tree, 1000, queueTime.Add(time.Second), 0)

	hashes := [][]byte{[]byte("short"), make([]byte, 32)} // neither is there
	for _, leaf := range leaves {
		hashes = append(hashes, leaf.MerkleLeafHash)
	}
	slices.Reverse(hashes)
	tx, err := s.SnapshotForTree(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	got, err := tx.GetLeavesByHash(t.Context(), hashes, true)
	if err != nil || len(got) != len(leaves) {
		t.Fatalf("%d leaves, %v", len(got), err)
	}
	for i, leaf := range got {
		want := proto.CloneOf(leaves[i])
		want.LeafIndex = int64(i)
		want.QueueTimestamp, want.IntegrateTimestamp = timestamppb.New(queueTime), timestamppb.New(queueTime.Add(time.Second))
		if !proto.Equal(leaf, want) {
			t.Fatalf("leaf %d: got %v, want %v", i, leaf, want)
		}
	}
}

func TestRoots(t *testing.T) {
	s, tree := newLogTree(t)
	root := &types.LogRootV1{TimestampNanos: 98765, TreeSize: 16, RootHash: make([]byte, 32)}
	storeRoot(t, s, tree, root)
	for name, change := range map[string]func(*types.LogRootV1){
		"same root":    func(*types.LogRootV1) {},
		"earlier root": func(r *types.LogRootV1) { r.TimestampNanos-- },
		"smaller root": func(r *types.LogRootV1) { r.TimestampNanos++; r.TreeSize-- },
	} {
		bad := *root
		change(&bad)
		raw, _ := bad.MarshalBinary()
		if s.ReadWriteTransaction(t.Context(), tree, func(ctx context.Context, tx storage.LogTreeTX) error {
			return tx.StoreSignedLogRoot(ctx, &trillian.SignedLogRoot{LogRoot: raw})
		}) == nil {
			t.Errorf("%s accepted", name)
		}
	}
	root.TimestampNanos++
	newest := storeRoot(t, s, tree, root)
	tx, err := s.SnapshotForTree(t.Context(), tree)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	if got, err := tx.LatestSignedLogRoot(t.Context()); err != nil || !proto.Equal(got, newest) {
		t.Errorf("newest root: %v, %v", got, err)
	}
}

func TestUninitialisedTree(t *testing.T) {
	s, admin := newStorage(t)
	tree, err := storage.CreateTree(t.Context(), admin, testonly.LogTree)
	if err != nil {
		t.Fatal(err)
	}
	// The transaction is left open on purpose: it must not hold the file.
	if _, err := s.SnapshotForTree(t.Context(), tree); err != storage.ErrTreeNeedsInit {
		t.Errorf("snapshot: %v", err)
	}
	if n := s.store.db.Stats().OpenTxN; n != 0 {
		t.Errorf("%d transactions left open", n)
	}
	if _, err := s.QueueLeaves(t.Context(), tree, logLeaves(0, 1), queueTime); err != storage.ErrTreeNeedsInit {
		t.Errorf("queue: %v", err)
	}
}

func TestActiveLogs(t *testing.T) {
	s, admin := newStorage(t)
	var want []int64
	for _, state := range []trillian.TreeState{trillian.TreeState_ACTIVE, trillian.TreeState_DRAINING, trillian.TreeState_FROZEN} {
		tree, err := storage.CreateTree(t.Context(), admin, testonly.LogTree)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := storage.UpdateTree(t.Context(), admin, tree.TreeId, func(t *trillian.Tree) { t.TreeState = state }); err != nil {
			t.Fatal(err)
		}
		if state != trillian.TreeState_FROZEN {
			want = append(want, tree.TreeId)
		}
	}
	deleted, err := storage.CreateTree(t.Context(), admin, testonly.LogTree)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := storage.SoftDeleteTree(t.Context(), admin, deleted.TreeId); err != nil {
		t.Fatal(err)
	}
	got, err := s.GetActiveLogIDs(t.Context())
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("active logs %v, %v; want %v", got, err, want)
	}
}

// TestMerkleNodes writes every node of trees of growing size, tile borders
// included, and reads each back.
func TestMerkleNodes(t *testing.T) {
	s, logTree := newLogTree(t)
	want := map[compact.NodeID][]byte{}
	edge := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for _, size := range []uint64{1, 2, 3, 7, 255, 256, 257, 300, 512, 700} {
		var nodes []tree.Node
		for edge.End() < size {
			leaf := rfc6962.DefaultHasher.HashLeaf(fmt.Append(nil, edge.End()))
			if err := edge.Append(leaf, func(id compact.NodeID, hash []byte) {
				nodes, want[id] = append(nodes, tree.Node{ID: id, Hash: hash}), hash
			}); err != nil {
				t.Fatal(err)
			}
		}
		update(t, s, logTree, func(tx storage.LogTreeTX) error { return tx.SetMerkleNodes(t.Context(), nodes) })
		tx, err := s.SnapshotForTree(t.Context(), logTree)
		if err != nil {
			t.Fatal(err)
		}
		for id, hash := range want {
			got, err := tx.GetMerkleNodes(t.Context(), []compact.NodeID{id})
			if err != nil || len(got) != 1 || got[0].ID != id || !bytes.Equal(got[0].Hash, hash) {
				t.Fatalf("size %d: node %v: %v, %v", size, id, got, err)
			}
		}
		tx.Close()
	}
}

func TestFailedTransactionWritesNothing(t *testing.T) {
	s, logTree := newLogTree(t)
	failure := errors.New("failure")
	queue(t, s, logTree, logLeaves(0, 1), queueTime)
	err := s.ReadWriteTransaction(t.Context(), logTree, func(ctx context.Context, tx storage.LogTreeTX) error {
		leaves, err := tx.DequeueLeaves(ctx, 1, queueTime)
		if err != nil {
			return err
		}
		leaves[0].IntegrateTimestamp = timestamppb.New(queueTime)
		if err := tx.UpdateSequencedLeaves(ctx, leaves); err != nil {
			return err
		}
		if err := tx.SetMerkleNodes(ctx, []tree.Node{{ID: compact.NewNodeID(0, 0), Hash: leaves[0].MerkleLeafHash}}); err != nil {
			return err
		}
		return failure
	})
	if err != failure {
		t.Fatalf("got %v", err)
	}
	if err := s.store.view(func(btx *bolt.Tx) error {
		tx, err := newLogTX(btx, logTree)
		if err != nil {
			return err
		}
		for name, b := range map[string]table{"sequence": tx.sequence, "merkle": tx.merkle, "tiles": tx.tiles} {
			if k, _ := b.Cursor().First(); k != nil {
				t.Errorf("%s is not empty", name)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := sequence(t, s, logTree, 9, queueTime, 0); len(got) != 1 {
		t.Errorf("%d leaves in the queue, want 1", len(got))
	}
}
