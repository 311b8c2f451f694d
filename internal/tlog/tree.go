package tlog

import (
	"crypto/sha256"
	"encoding/hex"
)

// Hash is a SHA-256 value: a leaf hash, an inner node or a tree root.
type Hash [sha256.Size]byte

// String returns the hash as lower-case hex.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// ParseHash reads exactly 64 lower-case hex digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != hex.EncodedLen(len(h)) {
		return Hash{}, malformed("hash of another length")
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil || h.String() != s {
		return Hash{}, malformed("hash is not lower-case hex")
	}
	return h, nil
}

// TreeLeaf is a leaf as the tree keeps it.
type TreeLeaf struct {
	// Value is the leaf's bytes, the only part the Merkle hash covers
	// (FORMATS §1, the canonical hashedrekord 0.0.2 body).
	Value []byte
	// Extra is the DSSE envelope kept beside the leaf, outside the Merkle hash.
	Extra []byte
}

// Root is the tree's state: how many leaves it has and their Merkle root
// (RFC 6962 §2.1). It carries no signature and proves nothing by itself.
type Root struct {
	Size int64
	Hash Hash
}

// LeafHash returns the RFC 6962 leaf hash, SHA-256(0x00 ‖ leaf).
func LeafHash(leaf []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0x00})
	h.Write(leaf)
	return Hash(h.Sum(nil))
}
