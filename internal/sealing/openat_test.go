package sealing

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"strongroom.example/strongroom/internal/ageheader"
)

func TestOpenAt(t *testing.T) {
	for _, size := range []int{0, 1, 300, ageChunk, 3*ageChunk + 77} {
		key, plaintext := newKey(t), noise(size)
		file := evidence(t, key, plaintext)
		src := &countingReaderAt{r: bytes.NewReader(file)}
		r, err := OpenAt(src, int64(len(file)), key)
		if err != nil {
			t.Fatal(err)
		}
		if r.Size() != int64(size) {
			t.Errorf("size %d, want %d", r.Size(), size)
		}
		if size < ageChunk { // it reads byte by byte
			if err := iotest.TestReader(r, plaintext); err != nil {
				t.Error(err)
			}
		}
		for off := 0; off <= size; off += 1 + size/23 {
			for _, n := range []int{0, 1, 500, ageChunk, size} {
				part := make([]byte, n)
				got, err := r.ReadAt(part, int64(off))
				want := plaintext[off:min(off+n, size)]
				if !bytes.Equal(part[:got], want) || (err != nil) != (len(want) < n) && err != io.EOF {
					t.Fatalf("[%d,+%d): %d bytes, %v", off, n, got, err)
				}
			}
		}
	}
}

func TestOpenAtReadsLittle(t *testing.T) {
	key := newKey(t)
	file := evidence(t, key, noise(64*ageChunk))
	src := &countingReaderAt{r: bytes.NewReader(file)}
	r, err := OpenAt(src, int64(len(file)), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 100), 20*ageChunk); err != nil {
		t.Fatal(err)
	}
	if src.n > 3*ageChunk {
		t.Errorf("read %d bytes for a range of 100", src.n)
	}
	// What a release carries is all that is read of the beginning, so that the last chunk and the range are the only ones to be fetched.
	if fetched := slices.DeleteFunc(src.ends, func(end int64) bool { return end <= int64(ageheader.Size(1)+ageheader.Payload) }); len(fetched) != 2 {
		t.Errorf("%d reads beyond what a release carries, want 2", len(fetched))
	}
}

func TestOpenAtConcurrently(t *testing.T) {
	key, plaintext := newKey(t), noise(8*ageChunk)
	file := evidence(t, key, plaintext)
	r, err := OpenAt(bytes.NewReader(file), int64(len(file)), key)
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			part := make([]byte, ageChunk)
			off := (i*5 + 3) % 8 * ageChunk
			if _, err := r.ReadAt(part, int64(off)); err != nil && err != io.EOF || !bytes.Equal(part, plaintext[off:off+ageChunk]) {
				t.Errorf("at %d: %v", off, err)
			}
		})
	}
	wait.Wait()
}

func TestOpenAtDamagedRange(t *testing.T) {
	key := newKey(t)
	file := evidence(t, key, noise(3*ageChunk))
	file[1643+ageChunk+16+5] ^= 1 // in the second chunk
	r, err := OpenAt(bytes.NewReader(file), int64(len(file)), key)
	if err != nil {
		t.Fatal(err)
	}
	part := make([]byte, 10)
	for off, want := range map[int64]error{0: nil, ageChunk: ErrDamaged, 2 * ageChunk: nil} {
		if _, err := r.ReadAt(part, off); err != want {
			t.Errorf("at %d: %v", off, err)
		}
	}
}

func TestOpenAtBrokenSource(t *testing.T) {
	key := newKey(t)
	file := evidence(t, key, noise(3*ageChunk))
	broken := errors.New("broken")
	src := &countingReaderAt{r: bytes.NewReader(file)}
	r, err := OpenAt(src, int64(len(file)), key)
	if err != nil {
		t.Fatal(err)
	}
	src.err = broken
	if _, err := r.ReadAt(make([]byte, 10), 0); err != broken {
		t.Errorf("read: %v", err)
	}
	if _, err := OpenAt(src, int64(len(file)), key); err != broken {
		t.Errorf("open: %v", err)
	}
}

type countingReaderAt struct {
	r    io.ReaderAt
	n    int
	ends []int64 // of every read that was asked for
	err  error
}

func (c *countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.ReadAt(p, off)
	c.n += n
	c.ends = append(c.ends, off+int64(len(p)))
	return n, err
}
