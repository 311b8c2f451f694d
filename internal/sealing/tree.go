package sealing

import (
	"crypto/sha256"
	"hash"
)

// BlockSize is the number of bytes of evidence.age under one leaf of its tree
// (FORMATS §8); only the last block may be shorter.
const BlockSize = 8 << 20

// A TreeHasher computes the `tree` of evidence.age: the RFC 6962 hash over
// consecutive blocks of [BlockSize] bytes of all that is written to it. The zero
// value is ready for use.
type TreeHasher struct {
	leaf   hash.Hash // of the block being filled
	filled int
	// roots of the complete subtrees over the blocks so far, largest first:
	// one for each bit that is set in leaves.
	roots  [][sha256.Size]byte
	leaves uint64
}

// Write never fails.
func (t *TreeHasher) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if t.leaf == nil {
			t.leaf = sha256.New()
		}
		if t.filled == 0 {
			t.leaf.Reset()
			t.leaf.Write([]byte{0})
		}
		part := p[:min(len(p), BlockSize-t.filled)]
		t.leaf.Write(part)
		t.filled += len(part)
		p = p[len(part):]
		if t.filled == BlockSize {
			t.roots = t.withLeaf()
			t.leaves++
			t.filled = 0
		}
	}
	return n, nil
}

// withLeaf returns the roots after the current block becomes a leaf: it merges
// with each complete subtree as large as what it has grown to.
func (t *TreeHasher) withLeaf() [][sha256.Size]byte {
	roots := t.roots
	node := [sha256.Size]byte(t.leaf.Sum(nil))
	for n := t.leaves; n&1 == 1; n >>= 1 {
		node = parent(roots[len(roots)-1], node)
		roots = roots[:len(roots)-1]
	}
	return append(roots[:len(roots):len(roots)], node)
}

// Sum returns the root over everything written so far, with the unfinished
// block as the last leaf. Writing may go on afterwards.
func (t *TreeHasher) Sum() [sha256.Size]byte {
	roots := t.roots
	if t.filled > 0 {
		roots = t.withLeaf()
	}
	if len(roots) == 0 {
		return sha256.Sum256(nil)
	}
	root := roots[len(roots)-1]
	for i := len(roots) - 2; i >= 0; i-- {
		root = parent(roots[i], root)
	}
	return root
}

func parent(left, right [sha256.Size]byte) [sha256.Size]byte {
	node := append([]byte{1}, left[:]...)
	return sha256.Sum256(append(node, right[:]...))
}
