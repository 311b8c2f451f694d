package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	tree "golang.org/x/mod/sumdb/tlog"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Consistency proves that the log of size to extends the log of size from, both at most the newest checkpoint's size.
func (l *Ledger) Consistency(ctx context.Context, from, to int64) ([][]byte, error) {
	if from < 0 || to < from {
		return nil, evidence.Refuse(evidence.Invalid, "log_size")
	}
	if err := l.covers(ctx, to); err != nil {
		return nil, err
	}
	proof, err := l.cfg.Tree.Consistency(ctx, from, to)
	if err != nil {
		return nil, evidence.Fail(evidence.Internal, "log", err)
	}
	return proof, nil
}

// Inclusion proves that the event is in the log of the given size.
func (l *Ledger) Inclusion(ctx context.Context, leafHash evidence.Hash, size int64) (index int64, proof [][]byte, err error) {
	e, err := l.cfg.Records.Entry(ctx, leafHash)
	if err != nil {
		return 0, nil, err
	}
	if !e.Included() {
		return 0, nil, evidence.Refuse(evidence.Pending, "pending")
	}
	if size <= e.Index {
		return 0, nil, evidence.Refuse(evidence.Invalid, "log_size")
	}
	if err := l.covers(ctx, size); err != nil {
		return 0, nil, err
	}
	if proof, err = l.cfg.Tree.Inclusion(ctx, e.Index, size); err != nil {
		return 0, nil, evidence.Fail(evidence.Internal, "log", err)
	}
	return e.Index, proof, nil
}

// covers refuses a size beyond the newest stored checkpoint. That may be newer than the one known here: what is stored can be read, and so
// be given away, before this process has heard that it is stored.
func (l *Ledger) covers(ctx context.Context, size int64) error {
	cp, err := l.newestFor(ctx, size)
	if err == nil && size > cp.Size {
		err = evidence.Refuse(evidence.Invalid, "log_size")
	}
	return err
}

// newestFor is the newest checkpoint that is known here or, if it is of fewer than size leaves, the newest stored one.
func (l *Ledger) newestFor(ctx context.Context, size int64) (tlog.Checkpoint, error) {
	l.mu.RLock()
	known := l.last.Checkpoint
	l.mu.RUnlock()
	if size <= known.Size {
		return known, nil
	}
	note, err := l.cfg.Records.Checkpoint(ctx)
	if err != nil {
		return known, err
	}
	stored, err := l.open(note, "records")
	if err != nil {
		return known, evidence.Fail(evidence.Internal, "log", err)
	}
	if stored.Size > known.Size {
		known = stored.Checkpoint
	}
	return known, nil
}

// proofs returns the inclusion proofs of a wave's leaves, unverified. Where the wave is the log's end, as it is unless an earlier attempt
// had appended part of it, one proof from the tree gives what lies to the left of all of them, and the rest follows from the leaves.
func (l *Ledger) proofs(ctx context.Context, wave []Entry, indexes []int64, size int64) ([][][]byte, error) {
	list := make([][][]byte, len(wave))
	var err error
	if list[0], err = l.cfg.Tree.Inclusion(ctx, indexes[0], size); err != nil {
		return nil, fmt.Errorf("inclusion proof: %w", err)
	}
	atEnd := true
	for i, index := range indexes {
		atEnd = atEnd && index == size-int64(len(wave)-i)
	}
	if !atEnd {
		for i, index := range indexes[1:] {
			if list[i+1], err = l.cfg.Tree.Inclusion(ctx, index, size); err != nil {
				return nil, fmt.Errorf("inclusion proof: %w", err)
			}
		}
		return list, nil
	}
	known := leftOf(indexes[0], size, list[0])
	for i, e := range wave {
		hashes, err := tree.StoredHashesForRecordHash(indexes[i], tree.Hash(e.LeafHash), known)
		if err != nil {
			return nil, fmt.Errorf("inclusion proof: %w", err)
		}
		for j, h := range hashes {
			known[tree.StoredHashIndex(0, indexes[i])+int64(j)] = h
		}
	}
	for i, index := range indexes[1:] {
		proof, err := tree.ProveRecord(size, index, known)
		if err != nil {
			return nil, fmt.Errorf("inclusion proof: %w", err)
		}
		list[i+1] = make([][]byte, len(proof))
		for j, h := range proof {
			list[i+1][j] = h[:]
		}
	}
	return list, nil
}

// nodes are hashes of complete subtrees, by their number in golang.org/x/mod/sumdb/tlog.
type nodes map[int64]tree.Hash

// ReadHashes implements tree.HashReader.
func (n nodes) ReadHashes(indexes []int64) ([]tree.Hash, error) {
	hashes := make([]tree.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := n[index]
		if !ok {
			return nil, errors.New("a node is not known")
		}
		hashes[i] = h
	}
	return hashes, nil
}

// leftOf takes the nodes to the left of a leaf out of its inclusion proof, lowest first (RFC 6962 §2.1.1).
func leftOf(index, size int64, proof [][]byte) nodes {
	known := make(nodes)
	lo, hi := int64(0), size
	for i := len(proof) - 1; i >= 0 && hi-lo > 1; i-- {
		level := bits.Len64(uint64(hi-lo-1)) - 1 // of the largest power of two below hi-lo
		middle := lo + int64(1)<<level
		if index < middle {
			hi = middle
			continue
		}
		if len(proof[i]) == len(tlog.Hash{}) {
			known[tree.StoredHashIndex(level, lo>>level)] = tree.Hash(proof[i])
		}
		lo = middle
	}
	return known
}
