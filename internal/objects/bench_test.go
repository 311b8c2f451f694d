package objects

import (
	"crypto/sha256"
	"testing"
)

// BenchmarkHasher is the limit that hashing sets to a store, beside one plain pass of SHA-256.
func BenchmarkHasher(b *testing.B) {
	buf := make([]byte, 1<<20)
	b.Run("SHA256", func(b *testing.B) {
		b.SetBytes(int64(len(buf)))
		h := sha256.New()
		for b.Loop() {
			h.Write(buf)
		}
	})
	b.Run("Sums", func(b *testing.B) {
		b.SetBytes(int64(len(buf)))
		h := NewHasher()
		for b.Loop() {
			h.Write(buf)
		}
	})
}
