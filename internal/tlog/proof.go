package tlog

import (
	"crypto/sha256"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
)

// maxProof bounds a proof's hashes: no tree of MaxTreeSize has longer ones.
const maxProof = 2 * 53

// Included is a proven fact: this leaf is at this index under this checkpoint.
// Only VerifyInclusion and Receipt.Verify make one. The zero value names no
// leaf, so whoever compares LeafHash with an event's refuses it.
type Included struct {
	leaf       Hash
	index      int64
	checkpoint Checkpoint
}

// LeafHash returns the included leaf's Merkle hash.
func (i Included) LeafHash() Hash { return i.leaf }

// Index returns the leaf's position, from 0.
func (i Included) Index() int64 { return i.index }

// Checkpoint returns the checkpoint under which the leaf is included.
func (i Included) Checkpoint() Checkpoint { return i.checkpoint }

// VerifyInclusion checks that the leaf with that hash is at index in the tree
// of cp, which must come from OpenCheckpoint or, in the server, be the one it
// is about to sign. Errors: ErrIndex, ErrProof.
func VerifyInclusion(leaf Hash, index int64, hashes [][]byte, cp Checkpoint) (Included, error) {
	if index < 0 || index >= cp.Size {
		return Included{}, &Error{Reason: ErrIndex}
	}
	if !proofShaped(hashes) {
		return Included{}, refuse(ErrProof, "not a list of hashes")
	}
	err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(index), uint64(cp.Size), leaf[:], hashes, cp.Root[:])
	if err != nil {
		return Included{}, &Error{Reason: ErrProof}
	}
	return Included{leaf, index, cp}, nil
}

// VerifyConsistency checks that the tree of newer extends the tree of older.
// Both must come from OpenCheckpoint. Errors: ErrOrigin, ErrInconsistent.
func VerifyConsistency(older, newer Checkpoint, hashes [][]byte) error {
	switch {
	case older.Origin != newer.Origin:
		return &Error{Reason: ErrOrigin}
	case older.check() != nil || newer.check() != nil || older.Size > newer.Size:
		return refuse(ErrInconsistent, "the sizes do not grow")
	case !proofShaped(hashes):
		return refuse(ErrInconsistent, "not a list of hashes")
	}
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(older.Size), uint64(newer.Size), hashes, older.Root[:], newer.Root[:])
	if err != nil {
		return &Error{Reason: ErrInconsistent}
	}
	return nil
}

func proofShaped(hashes [][]byte) bool {
	for _, h := range hashes {
		if len(h) != sha256.Size {
			return false
		}
	}
	return len(hashes) <= maxProof
}
