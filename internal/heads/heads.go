// Package heads is the insert-only prefix tree over (stream, sequence number)
// that says which event is a stream's last (FORMATS §7): its hashing, its
// proofs of membership and of absence, and the Map that keeps a million
// entries with only the upper tree in memory.
//
// It may assume that its Store returns what was written, and checks it all the
// same. It never overwrites an entry, never writes to the store itself, and
// never accepts a proof that no map could have produced as far as hashes show.
package heads

import (
	"crypto/sha256"
	"encoding/binary"
)

const (
	keyDomain   = "strongroom/head/v1"
	emptyDomain = "strongroom/heads/empty/v1"

	leafTag = 0x00
	nodeTag = 0x01

	// keyBits is the length of a key, so the greatest depth of a leaf.
	keyBits = 256
)

var empty = sha256.Sum256([]byte(emptyDomain))

// Entry is one event's place in the map: Key = Key(stream tag, seq), Value =
// the Merkle leaf hash of that event.
type Entry struct {
	Key, Value [32]byte
}

// Key returns the key of event seq in the stream with that tag (FORMATS §7).
func Key(streamTag [32]byte, seq uint64) [32]byte {
	b := make([]byte, 0, len(keyDomain)+32+8)
	b = append(b, keyDomain...)
	b = append(b, streamTag[:]...)
	b = binary.BigEndian.AppendUint64(b, seq)
	return sha256.Sum256(b)
}

// EmptyRoot returns the root of a map without entries.
func EmptyRoot() [32]byte { return empty }

func leafHash(e Entry) [32]byte {
	var b [65]byte
	b[0] = leafTag
	copy(b[1:], e.Key[:])
	copy(b[33:], e.Value[:])
	return sha256.Sum256(b[:])
}

func nodeHash(left, right [32]byte) [32]byte {
	var b [65]byte
	b[0] = nodeTag
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// bit returns bit i of key, the most significant first, 0 ≤ i < keyBits.
func bit(key [32]byte, i int) int { return int(key[i/8]>>(7-i%8)) & 1 }

// sharesPath reports whether a and b have the same first n bits.
func sharesPath(a, b [32]byte, n int) bool {
	for i := range n / 8 {
		if a[i] != b[i] {
			return false
		}
	}
	rest := n % 8
	return rest == 0 || (a[n/8]^b[n/8])>>(8-rest) == 0
}
