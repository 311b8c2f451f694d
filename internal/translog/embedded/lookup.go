package embedded

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/trillian"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"strongroom.example/strongroom/internal/translog"
)

// at returns the leaf with this index; nil if there is none.
func (t *logTX) at(index int64) (*trillian.LogLeaf, error) {
	raw, err := t.sequence.get(key(index))
	if raw == nil || err != nil {
		return nil, err
	}
	leaf, err := t.load(number(raw, 0))
	if err != nil {
		return nil, err
	}
	leaf.LeafIndex = index
	leaf.IntegrateTimestamp = timestamppb.New(time.Unix(0, number(raw, 1)))
	return leaf, nil
}

// GetLeavesByRange returns the leaves [start, start+count) that there are. A gap is an error.
func (t *logTX) GetLeavesByRange(_ context.Context, start, count int64) ([]*trillian.LogLeaf, error) {
	if count <= 0 || start < 0 {
		return nil, status.Error(codes.InvalidArgument, "leaf range is negative or empty")
	}
	size := int64(t.root.TreeSize)
	if t.tree.TreeType == trillian.TreeType_LOG {
		if start >= size {
			return nil, status.Errorf(codes.OutOfRange, "leaf range starts beyond the tree of %d leaves", size)
		}
		count = min(count, size-start)
	}
	var leaves []*trillian.LogLeaf
	for index := start; index-start < count; index++ {
		leaf, err := t.at(index)
		if err != nil {
			return nil, err
		}
		if leaf == nil && index < size {
			return nil, fmt.Errorf("%w: leaf missing", translog.ErrCorrupt)
		}
		if leaf == nil {
			break
		}
		leaves = append(leaves, leaf)
	}
	return leaves, nil
}

// indexes returns, ascending, the indexes of leaves with this Merkle leaf hash.
func (t *logTX) indexes(merkleHash []byte) ([]int64, error) {
	var indexes []int64
	c := t.merkle.Cursor()
	for k, sealed := c.Seek(merkleHash); bytes.HasPrefix(k, merkleHash) && len(k) == len(merkleHash)+8; k, sealed = c.Next() {
		if _, err := unseal(k, sealed); err != nil {
			return nil, err
		}
		indexes = append(indexes, number(k[len(merkleHash):], 0))
	}
	return indexes, nil
}

// GetLeavesByHash returns the leaves that have one of these Merkle leaf hashes.
func (t *logTX) GetLeavesByHash(_ context.Context, merkleHashes [][]byte, orderBySequence bool) ([]*trillian.LogLeaf, error) {
	var found []int64
	for _, hash := range merkleHashes {
		indexes, err := t.indexes(hash)
		if err != nil {
			return nil, err
		}
		found = append(found, indexes...)
	}
	if orderBySequence {
		slices.Sort(found)
	}
	var leaves []*trillian.LogLeaf
	for _, index := range found {
		leaf, err := t.at(index)
		if err != nil {
			return nil, err
		}
		if leaf == nil {
			return nil, fmt.Errorf("%w: leaf missing", translog.ErrCorrupt)
		}
		leaves = append(leaves, leaf)
	}
	return leaves, nil
}

// indexOf returns the index of an integrated leaf, found by its identity.
func (t *logTX) indexOf(identity []byte) (int64, error) {
	leaf, arrival, err := t.byIdentity(identity)
	if err != nil {
		return 0, err
	}
	if leaf != nil {
		indexes, err := t.indexes(leaf.MerkleLeafHash)
		if err != nil {
			return 0, err
		}
		for _, index := range indexes {
			raw, err := t.sequence.get(key(index))
			if err != nil {
				return 0, err
			}
			if raw != nil && number(raw, 0) == arrival {
				return index, nil
			}
		}
	}
	return 0, fmt.Errorf("%w: leaf was not integrated", translog.ErrCorrupt)
}
