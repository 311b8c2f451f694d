package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"

	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
)

// ErrDiffers means that two logs, or a log and a checkpoint of it, are not of one history. Nothing was appended that was not there before.
var ErrDiffers = errors.New("remote: the logs are not of one history")

// Source is a log to move: an *embedded.Log, or another *Log. Nobody appends to it meanwhile.
type Source interface {
	Root(ctx context.Context) (tlog.Root, error)
	Consistency(ctx context.Context, from, to int64) ([][]byte, error)
	Leaves(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error)
}

// Migrate replays a log into another, which is empty or holds the first leaves of it already: after an error it goes on where it was. Every
// leaf keeps its index, so every root stays what it was.
//
// The source is read twice, and nothing is appended before it has proved itself. All is well only if both logs have the same root in the end
// and both prove that they extend each of the checkpoints, which are roots that were signed. progress, if not nil, is told how many leaves of
// how many are in both.
//
// A log that is no prefix of the source, or a checkpoint that does not fit one of them, is ErrDiffers. A source whose root does not follow
// from its leaves is translog.ErrCorrupt.
func Migrate(ctx context.Context, from Source, to *Log, checkpoints []tlog.Root, progress func(done, total int64)) error {
	whole, err := from.Root(ctx)
	if err != nil {
		return err
	}
	if err := proves(ctx, from, whole, checkpoints); err != nil {
		return err
	}
	have, err := to.Root(ctx)
	if err != nil {
		return err
	}
	if err := prefix(ctx, from, whole, have); err != nil {
		return err
	}
	for done := have.Size; done < whole.Size; {
		leaves, err := from.Leaves(ctx, done, min(batchLeaves, whole.Size-done))
		if err != nil {
			return err
		}
		indexes, err := to.Append(ctx, leaves)
		if err != nil {
			return err
		}
		if len(indexes) == 0 {
			return fmt.Errorf("%w: leaf is missing", translog.ErrCorrupt)
		}
		for _, index := range indexes {
			if index != done {
				return fmt.Errorf("%w: leaf %d is there as %d", ErrDiffers, done, index)
			}
			done++
		}
		if progress != nil {
			progress(done, whole.Size)
		}
	}
	for _, log := range []Source{from, to} {
		root, err := log.Root(ctx)
		if err != nil {
			return err
		}
		if root != whole {
			return fmt.Errorf("%w: the roots", ErrDiffers)
		}
	}
	return proves(ctx, to, whole, checkpoints)
}

// prefix reads all leaves of a log. Its root, whole, must follow from them, and what another log has must be the root of the first ones.
func prefix(ctx context.Context, from Source, whole, have tlog.Root) error {
	if have.Size > whole.Size {
		return fmt.Errorf("%w: %d leaves are there, %d are to come", ErrDiffers, have.Size, whole.Size)
	}
	edge := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for size := int64(0); ; {
		hash := rfc6962.DefaultHasher.EmptyRoot()
		if size > 0 {
			var err error
			if hash, err = edge.GetRootHash(nil); err != nil {
				return err
			}
		}
		if size == have.Size && have.Hash != tlog.Hash(hash) {
			return fmt.Errorf("%w: the first %d leaves", ErrDiffers, size)
		}
		if size == whole.Size {
			if whole.Hash != tlog.Hash(hash) {
				return fmt.Errorf("%w: its root does not follow from its leaves", translog.ErrCorrupt)
			}
			return nil
		}
		next := whole.Size
		if size < have.Size {
			next = have.Size
		}
		leaves, err := from.Leaves(ctx, size, min(batchLeaves, next-size))
		if err != nil {
			return err
		}
		if len(leaves) == 0 {
			return fmt.Errorf("%w: leaf is missing", translog.ErrCorrupt)
		}
		for _, leaf := range leaves {
			if err := edge.Append(rfc6962.DefaultHasher.HashLeaf(leaf.Value), nil); err != nil {
				return err
			}
		}
		size += int64(len(leaves))
	}
}

// proves asks a log for proofs that its tree, whose root is whole, extends each checkpoint, and checks them.
func proves(ctx context.Context, log Source, whole tlog.Root, checkpoints []tlog.Root) error {
	for _, cp := range slices.Concat(checkpoints, []tlog.Root{whole}) {
		if cp.Size > whole.Size {
			return fmt.Errorf("%w: a checkpoint is of %d leaves, the log has %d", ErrDiffers, cp.Size, whole.Size)
		}
		hashes, err := log.Consistency(ctx, cp.Size, whole.Size)
		if err != nil {
			return err
		}
		if proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(cp.Size), uint64(whole.Size), hashes, cp.Hash[:], whole.Hash[:]) != nil {
			return fmt.Errorf("%w: the checkpoint of %d leaves", ErrDiffers, cp.Size)
		}
	}
	return nil
}
