package objects

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"hash"
	"math/bits"
	"sync"
)

// Block is the size in bytes of a leaf of the block tree (FORMATS §8, `tree`). Upload parts
// are multiples of it.
const Block = 8 << 20

// Sums is what a store knows of bytes it has read once: how many, their SHA-256, and the
// RFC 6962 root over their blocks (FORMATS §8, `tree`).
type Sums struct {
	Size   int64
	Digest Digest
	Tree   [32]byte
}

// Hasher computes [Sums] of what is written to it. Make it with [NewHasher].
type Hasher struct {
	size int64
	file hash.Hash
	tree TreeHasher
}

func NewHasher() *Hasher { return &Hasher{file: sha256.New()} }

// Write never fails. Of a long p it computes both hashes at once.
func (h *Hasher) Write(p []byte) (int, error) {
	h.size += int64(len(p))
	if len(p) < 64<<10 {
		h.file.Write(p)
		return h.tree.Write(p)
	}
	var tree sync.WaitGroup
	tree.Go(func() { h.tree.Write(p) })
	h.file.Write(p)
	tree.Wait()
	return len(p), nil
}

// Sums returns the hashes of the bytes so far; more may be written after it.
func (h *Hasher) Sums() Sums {
	s := Sums{Size: h.size, Tree: h.tree.Sum()}
	h.file.Sum(s.Digest[:0])
	return s
}

// Size is how many bytes were written.
func (h *Hasher) Size() int64 { return h.size }

// AppendBinary appends what [Hasher.UnmarshalBinary] goes on from: at most 768 bytes, whatever the size. It holds no more of the bytes than
// the beginning of a block of SHA-256.
func (h *Hasher) AppendBinary(b []byte) ([]byte, error) {
	b = binary.BigEndian.AppendUint64(b, uint64(h.size))
	b, err := h.file.(encoding.BinaryAppender).AppendBinary(b)
	if err == nil && h.tree.filled > 0 {
		b, err = h.tree.leaf.(encoding.BinaryAppender).AppendBinary(b)
	}
	for _, root := range h.tree.roots {
		b = append(b, root[:]...)
	}
	return b, err
}

// UnmarshalBinary takes what [Hasher.AppendBinary] wrote and nothing else: ErrInvalid. Whether the hashes in it are of any bytes it cannot
// know.
func (h *Hasher) UnmarshalBinary(b []byte) error {
	if len(b) < 8 {
		return ErrInvalid
	}
	size := binary.BigEndian.Uint64(b)
	n := Hasher{size: int64(size), file: sha256.New()}
	n.tree.filled, n.tree.leaves = int(size%Block), size/Block
	rest, ok := running(n.file, b[8:], size)
	if n.tree.filled > 0 {
		n.tree.leaf = sha256.New()
		var leaf bool
		rest, leaf = running(n.tree.leaf, rest, 1+size%Block)
		ok = ok && leaf
	}
	if !ok || n.size < 0 || len(rest) != sha256.Size*bits.OnesCount64(n.tree.leaves) {
		return ErrInvalid
	}
	for ; len(rest) > 0; rest = rest[sha256.Size:] {
		n.tree.roots = append(n.tree.roots, [32]byte(rest))
	}
	*h = n
	return nil
}

// running sets a new hash to the state at the beginning of b, which must be of one that n bytes were written to, and returns what follows.
func running(h hash.Hash, b []byte, n uint64) (rest []byte, ok bool) {
	state, err := h.(encoding.BinaryAppender).AppendBinary(nil)
	if err != nil || len(b) < len(state) {
		return nil, false
	}
	want := b[:len(state)]
	if h.(encoding.BinaryUnmarshaler).UnmarshalBinary(want) != nil || binary.BigEndian.Uint64(want[len(want)-8:]) != n { // it ends with the length
		return nil, false
	}
	state, err = h.(encoding.BinaryAppender).AppendBinary(state[:0])
	return b[len(want):], err == nil && bytes.Equal(state, want)
}

// TreeHasher computes the RFC 6962 §2.1 Merkle tree hash whose leaves are the consecutive
// blocks of what is written to it, the last one as short as it comes. It keeps one hash per
// level, whatever the size. The zero value is ready.
type TreeHasher struct {
	leaf   hash.Hash
	filled int        // bytes in the open leaf; 0 is no open leaf
	leaves uint64     // closed leaves
	roots  [][32]byte // perfect subtrees over the closed leaves, largest first: one per bit set in leaves
}

// Write never fails.
func (t *TreeHasher) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if t.filled == 0 {
			t.leaf = sha256.New()
			t.leaf.Write([]byte{0})
		}
		take := min(Block-t.filled, len(p))
		t.leaf.Write(p[:take])
		t.filled, p = t.filled+take, p[take:]
		if t.filled == Block {
			t.close()
		}
	}
	return n, nil
}

// close makes the open leaf a subtree and joins it with those of its size.
func (t *TreeHasher) close() {
	root := [32]byte(t.leaf.Sum(nil))
	for n := t.leaves; n&1 == 1; n >>= 1 {
		last := len(t.roots) - 1
		root, t.roots = node(t.roots[last], root), t.roots[:last]
	}
	t.roots, t.leaves, t.filled = append(t.roots, root), t.leaves+1, 0
}

// Sum returns the root over the bytes so far; more may be written after it. The root of no
// bytes is SHA-256 of nothing.
func (t *TreeHasher) Sum() [32]byte {
	rest := t.roots
	var root [32]byte
	switch {
	case t.filled > 0:
		t.leaf.Sum(root[:0])
	case len(rest) > 0:
		root, rest = rest[len(rest)-1], rest[:len(rest)-1]
	default:
		return sha256.Sum256(nil)
	}
	for i := len(rest) - 1; i >= 0; i-- {
		root = node(rest[i], root)
	}
	return root
}

func node(left, right [32]byte) [32]byte {
	var b [65]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}
