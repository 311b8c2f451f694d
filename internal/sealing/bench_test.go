package sealing

import (
	"crypto/sha256"
	"io"
	"testing"

	"filippo.io/age"
)

// What Encrypt costs, beside what it cannot do without: age alone, and SHA-256
// alone, which it needs three times. QUALITY P1 takes its limit from these.

const benchSize = 256 << 20

// zeros yields n zero bytes without copying more than it must.
func zeros(n int64) io.Reader { return io.LimitReader(zeroReader{}, n) }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func BenchmarkEncrypt(b *testing.B) {
	b.SetBytes(benchSize)
	for b.Loop() {
		key, _ := NewItemKey()
		if _, err := Encrypt(io.Discard, zeros(benchSize), key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecrypt(b *testing.B) {
	key, _ := NewItemKey()
	b.SetBytes(benchSize)
	for b.Loop() {
		r, err := age.EncryptReader(zeros(benchSize), key.id.Recipient())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Decrypt(io.Discard, r, key); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAgeAlone(b *testing.B) {
	key, _ := NewItemKey()
	b.SetBytes(benchSize)
	for b.Loop() {
		w, err := age.Encrypt(io.Discard, key.id.Recipient())
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(w, zeros(benchSize), make([]byte, chunkSize)); err != nil {
			b.Fatal(err)
		}
		w.Close()
	}
}

func BenchmarkSHA256Thrice(b *testing.B) {
	block := make([]byte, chunkSize)
	b.SetBytes(benchSize)
	for b.Loop() {
		h := sha256.New()
		for range 3 * benchSize / chunkSize {
			h.Write(block)
		}
	}
}
