package dossier

import (
	"crypto/sha256"
	"math/bits"

	"strongroom.example/strongroom/internal/tlog"
)

// subtree is a whole subtree of the log: leaves index<<level to (index+1)<<level, less one. Its hash is the same in every larger tree.
type subtree struct {
	level int
	index int64
}

// subtrees calls f with every whole subtree whose hash a verified inclusion proof states or implies (RFC 6962 §2.1.1).
func subtrees(leaf tlog.Hash, index, size int64, proof [][]byte, f func(subtree, tlog.Hash)) {
	tell := func(level int, index int64, h tlog.Hash) {
		if (index+1)<<level <= size {
			f(subtree{level, index}, h)
		}
	}
	inner := bits.Len64(uint64(index ^ (size - 1))) // below, the path has a sibling at each level; above, only on its left
	level, hash := 0, leaf
	tell(0, index, hash)
	for _, p := range proof {
		for level >= inner && index>>level&1 == 0 {
			level++
		}
		sibling, left, right := index>>level^1, hash, tlog.Hash(p)
		if index>>level&1 == 1 {
			left, right = right, left
		}
		tell(level, sibling, tlog.Hash(p))
		hash = sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
		level++
		tell(level, index>>level, hash)
	}
}

// checkFork refuses a proof, of an event or of what stands for a withheld one, that disagrees with that of the publication about a part
// of the log that both have. Proofs in smaller trees may have no such part: what remains is for consistency proofs.
func (h *History) checkFork(c *chain, leaf tlog.Hash, index int64, proof [][]byte, cp tlog.Checkpoint) (err error) {
	if c != h.book && cp == h.published {
		return nil // both proofs lead to one root
	}
	subtrees(leaf, index, cp.Size, proof, func(s subtree, hash tlog.Hash) {
		if c == h.book {
			h.past[s] = hash
		} else if other, ok := h.past[s]; ok && other != hash {
			err = errForked
		}
	})
	return err
}
