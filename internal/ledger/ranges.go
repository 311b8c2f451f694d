package ledger

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// Place is where an included event stands, in the log and in its stream.
type Place struct {
	Index    int64
	Stream   evidence.Stream
	Seq      int64
	LeafHash evidence.Hash
}

// LeafHashes returns the Merkle leaf hashes of entries [start, start+count) below the newest signed checkpoint, fewer at its end. They are
// checked against that checkpoint before they leave: what is damaged here must not look like a fork to who follows the log.
func (l *Ledger) LeafHashes(ctx context.Context, start, count int64) ([]tlog.Hash, error) {
	cp, err := l.newestFor(ctx, endOf(start, count))
	if err != nil {
		return nil, err
	}
	end, err := within(start, count, cp.Size)
	if err != nil {
		return nil, err
	}
	places, err := l.cfg.Records.Places(ctx, start, end)
	if err != nil {
		return nil, err
	}
	hashes := make([]tlog.Hash, end-start)
	known := make([]bool, len(hashes))
	for _, p := range places {
		hashes[p.Index-start], known[p.Index-start] = tlog.Hash(p.LeafHash), true
	}
	for i := range hashes {
		if !known[i] { // void, or of an event that waits to be included
			leaves, err := l.cfg.Tree.Leaves(ctx, start+int64(i), 1)
			if err != nil || len(leaves) != 1 {
				return nil, evidence.Fail(evidence.Internal, "log", fmt.Errorf("leaf: %w", err))
			}
			hashes[i] = tlog.LeafHash(leaves[0].Value)
		}
	}
	if err := l.checkRange(ctx, start, hashes, cp); err != nil {
		return nil, evidence.Fail(evidence.Internal, "log", err)
	}
	return hashes, nil
}

// HeadsKeys returns the heads map's keys of entries [start, start+count) below what the newest publication covers, fewer at its end: all
// zero for a leaf that is void (FORMATS §7). Who knows a stream's id learns from a key when the stream grew: they are for auditors.
func (l *Ledger) HeadsKeys(ctx context.Context, start, count int64) ([][32]byte, error) {
	p, err := l.publicationFor(ctx, endOf(start, count))
	if err != nil {
		return nil, err
	}
	end, err := within(start, count, p.covers)
	if err != nil {
		return nil, err
	}
	places, err := l.cfg.Records.Places(ctx, start, end)
	if err != nil {
		return nil, err
	}
	keys := make([][32]byte, end-start)
	for _, p := range places {
		keys[p.Index-start] = heads.Key(p.Stream.Tag(l.cfg.Origin), uint64(p.Seq))
	}
	for i, key := range keys {
		if _, listed := slices.BinarySearch(p.void, start+int64(i)); key == ([32]byte{}) && !listed {
			return nil, evidence.Fail(evidence.Internal, "log", &Mismatch{"records", "they do not know an event that was published"})
		}
	}
	return keys, nil
}

// Statements returns the log's entries [start, start+count) below what the newest publication covers, as the tree has them: leaf and signed
// statement. There are fewer at its end, and once so many bytes are there.
func (l *Ledger) Statements(ctx context.Context, start, count int64, bytes int) ([]tlog.TreeLeaf, error) {
	p, err := l.publicationFor(ctx, endOf(start, count))
	if err != nil {
		return nil, err
	}
	end, err := within(start, count, p.covers)
	if err != nil {
		return nil, err
	}
	const few = 64 // of the largest statements take some megabytes
	var list []tlog.TreeLeaf
	for have := 0; start < end && have < bytes; {
		leaves, err := l.cfg.Tree.Leaves(ctx, start, min(few, end-start))
		if err != nil || len(leaves) == 0 {
			return nil, evidence.Fail(evidence.Internal, "log", fmt.Errorf("statements: %w", err))
		}
		for _, leaf := range leaves {
			have += len(leaf.Value) + len(leaf.Extra)
		}
		list, start = append(list, leaves...), start+int64(len(leaves))
	}
	return list, nil
}

// publicationFor is the newest publication that is known here or, if it covers fewer than so many leaves, the newest one in the log: like a
// checkpoint, it can be read before this process has heard of it.
func (l *Ledger) publicationFor(ctx context.Context, covers int64) (publication, error) {
	l.mu.RLock()
	known := l.published
	l.mu.RUnlock()
	if covers <= known.covers {
		return known, nil
	}
	e, err := l.newestPublication(ctx)
	if err != nil || !e.Included() || e.LeafHash == known.leaf {
		return known, err
	}
	stored, err := l.publicationOf(e)
	if err != nil {
		return known, evidence.Fail(evidence.Internal, "log", err)
	}
	if stored.covers > known.covers {
		known = stored
	}
	return known, nil
}

// endOf is start+count, or 0 where those are no range.
func endOf(start, count int64) int64 {
	if start < 0 || count < 1 {
		return 0
	}
	return start + min(count, math.MaxInt64-start)
}

func within(start, count, size int64) (end int64, err error) {
	if start < 0 || count < 1 || start >= size {
		return 0, evidence.Refuse(evidence.Invalid, "log_size")
	}
	return start + min(count, size-start), nil
}

var ranges = compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}

// checkRange checks that hashes are the leaves of cp's tree from start on: what stands to the left of the first one, which its inclusion
// proof tells, grown by all but the last, must be what stands to the left of the last.
func (l *Ledger) checkRange(ctx context.Context, start int64, hashes []tlog.Hash, cp tlog.Checkpoint) error {
	last := start + int64(len(hashes)) - 1
	left := func(index int64) ([][]byte, error) {
		proof, err := l.cfg.Tree.Inclusion(ctx, index, cp.Size)
		if err != nil {
			return nil, err
		}
		_, err = tlog.VerifyInclusion(hashes[index-start], index, proof, cp)
		return toTheLeft(index, cp.Size, proof), err
	}
	before, err := left(start)
	if err != nil {
		return err
	}
	until, err := left(last)
	if err != nil {
		return err
	}
	grown, err := ranges.NewRange(0, uint64(start), before)
	if err != nil {
		return err
	}
	for _, h := range hashes[:len(hashes)-1] {
		if err := grown.Append(h[:], nil); err != nil {
			return err
		}
	}
	want, err := ranges.NewRange(0, uint64(last), until)
	if err != nil {
		return err
	}
	if !grown.Equal(want) {
		return &Mismatch{"records", "they hold other leaves than the log"}
	}
	return nil
}

// toTheLeft picks from a leaf's inclusion proof the hashes to its left, which cover all leaves before it, the first of them first
// (RFC 6962 §2.1.1).
func toTheLeft(index, size int64, proof [][]byte) (list [][]byte) {
	lo, hi := int64(0), size
	for i := len(proof) - 1; i >= 0 && hi-lo > 1; i-- {
		middle := lo + int64(1)<<(bits.Len64(uint64(hi-lo-1))-1)
		if index < middle {
			hi = middle
			continue
		}
		list = append(list, proof[i])
		lo = middle
	}
	return list
}
