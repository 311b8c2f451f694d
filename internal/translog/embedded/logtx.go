package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/storage"
	"github.com/google/trillian/storage/cache"
	"github.com/google/trillian/storage/storagepb"
	"github.com/google/trillian/storage/tree"
	"github.com/google/trillian/types"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"strongroom.example/strongroom/internal/translog"
)

// The buckets of one log. A leaf is stored once, under the running number of
// its arrival; everything else points there, so that large values are only
// ever written at the right edge of their bucket.
var (
	bucketLeaves   = []byte("leaves")   // arrival → trillian.LogLeaf without index
	bucketIdentity = []byte("identity") // leaf identity hash → arrival
	bucketQueue    = []byte("queue")    // queue time, arrival → leaf identity hash ‖ Merkle leaf hash
	bucketSequence = []byte("sequence") // index → arrival, integration time
	bucketMerkle   = []byte("merkle")   // Merkle leaf hash ‖ index → nothing
	bucketTiles    = []byte("tiles")    // 't' ‖ prefix → storagepb.SubtreeProto
	bucketRoot     = []byte("root")     // one key: the newest trillian log root

	logBuckets = [][]byte{bucketLeaves, bucketIdentity, bucketQueue, bucketSequence, bucketMerkle, bucketTiles, bucketRoot}
	rootKey    = []byte("root")
)

// hashSize is the length of identity and Merkle hashes.
var hashSize = rfc6962.DefaultHasher.Size()

// logTX is one log inside one bbolt transaction. It is not safe for concurrent use.
type logTX struct {
	btx  *bolt.Tx // nil once a snapshot has ended
	tree *trillian.Tree

	leaves, identity, queue, sequence, merkle, tiles, roots table

	nodes    *cache.SubtreeCache
	signed   *trillian.SignedLogRoot // nil until the log is initialised
	root     types.LogRootV1
	dequeued map[string][]byte // leaf identity hash → queue key
}

var _ storage.LogTreeTX = (*logTX)(nil)

// newLogTX opens a log in btx. Where the log has no root yet it returns both
// the transaction and storage.ErrTreeNeedsInit.
func newLogTX(btx *bolt.Tx, tree *trillian.Tree) (*logTX, error) {
	b := btx.Bucket(bucketLogs).Bucket(key(tree.TreeId))
	if b == nil {
		return nil, status.Errorf(codes.NotFound, "tree %d not found", tree.TreeId)
	}
	t := &logTX{btx: btx, tree: tree, nodes: cache.NewLogSubtreeCache(rfc6962.DefaultHasher), dequeued: map[string][]byte{}}
	for i, p := range []*table{&t.leaves, &t.identity, &t.queue, &t.sequence, &t.merkle, &t.tiles, &t.roots} {
		if p.Bucket = b.Bucket(logBuckets[i]); p.Bucket == nil {
			return nil, fmt.Errorf("%w: bucket missing", translog.ErrCorrupt)
		}
	}
	for _, appended := range []table{t.leaves, t.sequence} {
		appended.FillPercent = 1 // never inserted into, so pages need no slack
	}
	raw, err := t.roots.get(rootKey)
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return t, storage.ErrTreeNeedsInit
	}
	t.signed = &trillian.SignedLogRoot{LogRoot: bytes.Clone(raw)}
	if err := t.root.UnmarshalBinary(t.signed.LogRoot); err != nil {
		return nil, fmt.Errorf("%w: root: %w", translog.ErrCorrupt, err)
	}
	return t, nil
}

// Commit ends a snapshot. A read-write transaction is committed by
// ReadWriteTransaction once its function has returned nil.
func (t *logTX) Commit(context.Context) error { return t.Close() }

// Close ends a snapshot; it may be called again.
func (t *logTX) Close() error {
	if t.btx == nil || t.btx.Writable() {
		return nil
	}
	btx := t.btx
	t.btx = nil
	return btx.Rollback()
}

// LatestSignedLogRoot returns the newest root.
func (t *logTX) LatestSignedLogRoot(context.Context) (*trillian.SignedLogRoot, error) {
	if t.signed == nil {
		return nil, storage.ErrTreeNeedsInit
	}
	return t.signed, nil
}

// StoreSignedLogRoot replaces the newest root. A root that is not later than
// its predecessor, or smaller, is refused: a log only grows.
func (t *logTX) StoreSignedLogRoot(_ context.Context, signed *trillian.SignedLogRoot) error {
	var root types.LogRootV1
	if err := root.UnmarshalBinary(signed.LogRoot); err != nil {
		return err
	}
	if t.signed != nil && (root.TimestampNanos <= t.root.TimestampNanos || root.TreeSize < t.root.TreeSize) {
		return status.Error(codes.FailedPrecondition, "root does not follow the newest root")
	}
	if err := t.roots.put(rootKey, signed.LogRoot); err != nil {
		return err
	}
	t.signed, t.root = proto.CloneOf(signed), root
	return nil
}

// GetMerkleNodes returns tree nodes in the order asked for. A tile that is not there is damage: Trillian asks for nodes that it wrote.
func (t *logTX) GetMerkleNodes(_ context.Context, ids []compact.NodeID) ([]tree.Node, error) {
	return t.nodes.GetNodes(ids, func(prefixes [][]byte) ([]*storagepb.SubtreeProto, error) {
		tiles, err := t.readTiles(prefixes)
		if err == nil && len(tiles) < len(prefixes) {
			err = fmt.Errorf("%w: tile missing", translog.ErrCorrupt)
		}
		return tiles, err
	})
}

// SetMerkleNodes changes tree nodes; flush writes them.
func (t *logTX) SetMerkleNodes(_ context.Context, nodes []tree.Node) error {
	return t.nodes.SetNodes(nodes, t.readTiles)
}

// tileKey exists because the topmost tile has an empty prefix and bbolt no empty keys.
func tileKey(prefix []byte) []byte { return append([]byte{'t'}, prefix...) }

func (t *logTX) readTiles(prefixes [][]byte) ([]*storagepb.SubtreeProto, error) {
	var tiles []*storagepb.SubtreeProto
	for _, prefix := range prefixes {
		raw, err := t.tiles.get(tileKey(prefix))
		if err != nil {
			return nil, err
		}
		if raw == nil {
			continue
		}
		tile := new(storagepb.SubtreeProto)
		if err := proto.Unmarshal(raw, tile); err != nil {
			return nil, fmt.Errorf("%w: tile: %w", translog.ErrCorrupt, err)
		}
		if tile.Prefix == nil {
			tile.Prefix = []byte{} // nil and empty look alike on the wire, not to the cache
		}
		tiles = append(tiles, tile)
	}
	return tiles, nil
}

// flush writes changed tiles. It must be the last thing before the commit.
func (t *logTX) flush() error {
	tiles, err := t.nodes.UpdatedTiles()
	if err != nil {
		return err
	}
	for _, tile := range tiles {
		raw, err := proto.Marshal(tile)
		if err != nil {
			return err
		}
		if err := t.tiles.put(tileKey(tile.Prefix), raw); err != nil {
			return err
		}
	}
	return nil
}

// store keeps a leaf that is not in the log yet and returns its arrival number.
func (t *logTX) store(leaf *trillian.LogLeaf, at time.Time) (int64, error) {
	if len(leaf.LeafIdentityHash) != hashSize || len(leaf.MerkleLeafHash) != hashSize {
		return 0, status.Errorf(codes.InvalidArgument, "leaf hash is not %d bytes", hashSize)
	}
	leaf.QueueTimestamp = timestamppb.New(at)
	if err := leaf.QueueTimestamp.CheckValid(); err != nil {
		return 0, status.Errorf(codes.InvalidArgument, "queue timestamp: %v", err)
	}
	raw, err := proto.Marshal(&trillian.LogLeaf{
		LeafValue: leaf.LeafValue, ExtraData: leaf.ExtraData,
		LeafIdentityHash: leaf.LeafIdentityHash, MerkleLeafHash: leaf.MerkleLeafHash,
		QueueTimestamp: leaf.QueueTimestamp,
	})
	if err != nil {
		return 0, err
	}
	n, err := t.leaves.NextSequence()
	if err != nil {
		return 0, err
	}
	arrival := int64(n)
	if err := t.leaves.put(key(arrival), raw); err != nil {
		return 0, err
	}
	return arrival, t.identity.put(leaf.LeafIdentityHash, key(arrival))
}

func (t *logTX) load(arrival int64) (*trillian.LogLeaf, error) {
	raw, err := t.leaves.get(key(arrival))
	if err != nil {
		return nil, err
	}
	leaf := new(trillian.LogLeaf)
	if raw == nil || proto.Unmarshal(raw, leaf) != nil {
		return nil, fmt.Errorf("%w: leaf", translog.ErrCorrupt)
	}
	return leaf, nil
}

// byIdentity returns the leaf that has this identity, with its arrival number; nil if there is none.
func (t *logTX) byIdentity(hash []byte) (*trillian.LogLeaf, int64, error) {
	if len(hash) == 0 {
		return nil, 0, nil // bbolt has no empty keys
	}
	raw, err := t.identity.get(hash)
	if raw == nil || err != nil {
		return nil, 0, err
	}
	arrival := number(raw, 0)
	leaf, err := t.load(arrival)
	return leaf, arrival, err
}

// enqueue adds a leaf to the queue, unless its identity is known: then it
// returns the original.
func (t *logTX) enqueue(leaf *trillian.LogLeaf, at time.Time) (original *trillian.LogLeaf, err error) {
	original, _, err = t.byIdentity(leaf.LeafIdentityHash)
	if original != nil || err != nil {
		return original, err
	}
	arrival, err := t.store(leaf, at)
	if err != nil {
		return nil, err
	}
	return nil, t.queue.put(key(at.UnixNano(), arrival), slices.Concat(leaf.LeafIdentityHash, leaf.MerkleLeafHash))
}

// DequeueLeaves returns the longest waiting leaves, in the order of their
// queueing and without value, not queued later than cutoff. They stay queued
// until UpdateSequencedLeaves.
func (t *logTX) DequeueLeaves(ctx context.Context, limit int, cutoff time.Time) ([]*trillian.LogLeaf, error) {
	if t.tree.TreeType == trillian.TreeType_PREORDERED_LOG {
		return t.GetLeavesByRange(ctx, int64(t.root.TreeSize), int64(limit))
	}
	var leaves []*trillian.LogLeaf
	c := t.queue.Cursor()
	for k, sealed := c.First(); k != nil && len(leaves) < limit; k, sealed = c.Next() {
		hashes, err := unseal(k, sealed)
		if err != nil {
			return nil, err
		}
		at := number(k, 0)
		if at > cutoff.UnixNano() {
			break
		}
		identity := bytes.Clone(hashes[:hashSize])
		if _, ok := t.dequeued[string(identity)]; ok {
			continue
		}
		t.dequeued[string(identity)] = bytes.Clone(k)
		leaves = append(leaves, &trillian.LogLeaf{
			LeafIdentityHash: identity,
			MerkleLeafHash:   bytes.Clone(hashes[hashSize:]),
			QueueTimestamp:   timestamppb.New(time.Unix(0, at)),
		})
	}
	return leaves, nil
}

// UpdateSequencedLeaves moves dequeued leaves to the index they now carry.
func (t *logTX) UpdateSequencedLeaves(_ context.Context, leaves []*trillian.LogLeaf) error {
	for _, leaf := range leaves {
		queued, ok := t.dequeued[string(leaf.LeafIdentityHash)]
		if !ok {
			return errors.New("embedded: leaf was not dequeued")
		}
		if err := leaf.IntegrateTimestamp.CheckValid(); err != nil {
			return fmt.Errorf("embedded: integration timestamp: %w", err)
		}
		if err := t.place(leaf, number(queued, 1), leaf.IntegrateTimestamp.AsTime()); err != nil {
			return err
		}
		if err := t.queue.Delete(queued); err != nil {
			return err
		}
	}
	return nil
}

// place gives a stored leaf its index.
func (t *logTX) place(leaf *trillian.LogLeaf, arrival int64, at time.Time) error {
	index := key(leaf.LeafIndex)
	if t.sequence.Get(index) != nil {
		return status.Error(codes.FailedPrecondition, "leaf index is taken")
	}
	if err := t.sequence.put(index, key(arrival, at.UnixNano())); err != nil {
		return err
	}
	return t.merkle.put(append(bytes.Clone(leaf.MerkleLeafHash), index...), nil)
}
