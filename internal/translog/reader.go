package translog

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/google/trillian"
	"github.com/google/trillian/types"
	"github.com/transparency-dev/merkle/rfc6962"
	"strongroom.example/strongroom/internal/tlog"
)

// maxLeavesPerCall bounds one answer of the log; Leaves asks as often as needed.
const maxLeavesPerCall = 256

// Reader answers the reading half of the ledger's port from one Trillian log.
// It is safe for concurrent use.
type Reader struct {
	log trillian.TrillianLogClient
	id  int64
}

// NewReader reads the tree with the given Trillian id.
func NewReader(log trillian.TrillianLogClient, id int64) *Reader {
	return &Reader{log: log, id: id}
}

// Root returns the newest integrated root.
func (r *Reader) Root(ctx context.Context) (tlog.Root, error) {
	resp, err := r.log.GetLatestSignedLogRoot(ctx, &trillian.GetLatestSignedLogRootRequest{LogId: r.id})
	if err != nil {
		return tlog.Root{}, fmt.Errorf("translog: root: %w", err)
	}
	root, _, err := ParseRoot(resp.GetSignedLogRoot())
	return root, err
}

// ParseRoot reads a root as Trillian writes it, and when it was made. What is
// none is ErrCorrupt.
func ParseRoot(signed *trillian.SignedLogRoot) (tlog.Root, time.Time, error) {
	var root types.LogRootV1
	if err := root.UnmarshalBinary(signed.GetLogRoot()); err != nil {
		return tlog.Root{}, time.Time{}, fmt.Errorf("%w: root: %w", ErrCorrupt, err)
	}
	if len(root.RootHash) != rfc6962.DefaultHasher.Size() || root.TreeSize > 1<<62 || root.TimestampNanos > 1<<62 {
		return tlog.Root{}, time.Time{}, fmt.Errorf("%w: root", ErrCorrupt)
	}
	return tlog.Root{Size: int64(root.TreeSize), Hash: tlog.Hash(root.RootHash)}, time.Unix(0, int64(root.TimestampNanos)), nil
}

// Inclusion returns the sibling hashes (RFC 6962 §2.1.1) that lead from the
// leaf at index to the root of the tree of the given size, lowest first.
// A size not yet reached is ErrBeyondRoot.
func (r *Reader) Inclusion(ctx context.Context, index, size int64) ([][]byte, error) {
	if index < 0 || size <= index {
		return nil, fmt.Errorf("%w: leaf index outside the tree", ErrInvalid)
	}
	resp, err := r.log.GetInclusionProof(ctx, &trillian.GetInclusionProofRequest{LogId: r.id, LeafIndex: index, TreeSize: size})
	if err != nil {
		return nil, fmt.Errorf("translog: inclusion proof: %w", err)
	}
	return hashes(resp.GetProof(), resp.GetSignedLogRoot(), size)
}

// Consistency returns the proof (RFC 6962 §2.1.2) that the tree of size to
// extends the tree of size from; it is empty where from is 0 or equals to.
// A size not yet reached is ErrBeyondRoot.
func (r *Reader) Consistency(ctx context.Context, from, to int64) ([][]byte, error) {
	if from < 0 || to < from {
		return nil, fmt.Errorf("%w: tree sizes reversed", ErrInvalid)
	}
	if from == 0 { // every tree extends the empty one; Trillian refuses to be asked
		root, err := r.Root(ctx)
		if err == nil && to > root.Size {
			err = ErrBeyondRoot
		}
		return [][]byte{}, err
	}
	resp, err := r.log.GetConsistencyProof(ctx, &trillian.GetConsistencyProofRequest{LogId: r.id, FirstTreeSize: from, SecondTreeSize: to})
	if err != nil {
		return nil, fmt.Errorf("translog: consistency proof: %w", err)
	}
	return hashes(resp.GetProof(), resp.GetSignedLogRoot(), to)
}

// hashes unwraps a proof in the tree of the given size. Beyond the newest root
// Trillian answers OK without one. So it does when its database fails while it
// reads that root, which is empty then.
func hashes(proof *trillian.Proof, newest *trillian.SignedLogRoot, size int64) ([][]byte, error) {
	if proof == nil {
		switch root, _, err := ParseRoot(newest); {
		case err != nil:
			return nil, fmt.Errorf("%w: neither proof nor root", ErrUnavailable)
		case root.Size >= size:
			return nil, fmt.Errorf("%w: no proof", ErrCorrupt)
		}
		return nil, ErrBeyondRoot
	}
	for _, h := range proof.Hashes {
		if len(h) != rfc6962.DefaultHasher.Size() {
			return nil, fmt.Errorf("%w: proof", ErrCorrupt)
		}
	}
	return append([][]byte{}, proof.Hashes...), nil
}

// Leaves returns the leaves [start, start+count), fewer where the tree ends
// before: a log whose leaves come with their indexes stores, and hands out,
// more than is integrated. Each value is checked against the Merkle leaf hash
// stored with it.
func (r *Reader) Leaves(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	if start < 0 || count < 0 {
		return nil, fmt.Errorf("%w: negative range", ErrInvalid)
	}
	leaves := []tlog.TreeLeaf{}
	for count > 0 {
		resp, err := r.log.GetLeavesByRange(ctx, &trillian.GetLeavesByRangeRequest{LogId: r.id, StartIndex: start, Count: min(count, maxLeavesPerCall)})
		if err != nil {
			return nil, fmt.Errorf("translog: leaves: %w", err)
		}
		root, _, err := ParseRoot(resp.SignedLogRoot)
		if err != nil {
			return nil, err
		}
		count = min(count, root.Size-start)
		if count > 0 && len(resp.Leaves) == 0 {
			return nil, fmt.Errorf("%w: leaf is missing", ErrCorrupt)
		}
		for _, leaf := range resp.Leaves[:min(int64(len(resp.Leaves)), max(count, 0))] {
			if leaf.LeafIndex != start || !bytes.Equal(leaf.MerkleLeafHash, rfc6962.DefaultHasher.HashLeaf(leaf.LeafValue)) {
				return nil, fmt.Errorf("%w: leaf", ErrCorrupt)
			}
			leaves = append(leaves, tlog.TreeLeaf{Value: leaf.LeafValue, Extra: leaf.ExtraData})
			start, count = start+1, count-1
		}
	}
	return leaves, nil
}
