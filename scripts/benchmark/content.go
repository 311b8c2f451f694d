package main

import (
	"io"
	"math/rand/v2"
)

// noise yields size bytes that nothing can compress, the same for the same seed.
func noise(size int64, seed uint64) io.Reader {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return io.LimitReader(rand.NewChaCha8(key), size)
}
