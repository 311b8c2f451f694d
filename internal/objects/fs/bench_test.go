package fs_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects/fs"
)

// BenchmarkPut makes an object of 256 MiB, and between the rounds copies the same bytes to a
// file and fsyncs it: of-copy+fsync is the store's share of that speed.
func BenchmarkPut(b *testing.B) {
	const size = 256 << 20
	all := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(all)
	want := sha256.Sum256(all)
	dir := filepath.Join(b.TempDir(), "store")
	if err := fs.Create(dir); err != nil {
		b.Fatal(err)
	}
	s, err := fs.Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.SetBytes(size)
	var put, plain time.Duration
	n := 0
	for b.Loop() {
		n++
		start := time.Now()
		id := fmt.Sprint("upl-", n)
		if err := s.StageCreate(b.Context(), id, size); err != nil {
			b.Fatal(err)
		}
		if _, err := s.StageAppend(b.Context(), id, 0, bytes.NewReader(all)); err != nil {
			b.Fatal(err)
		}
		if _, err := s.StageCommit(b.Context(), id, want); err != nil {
			b.Fatal(err)
		}
		put += time.Since(start)

		b.StopTimer()
		if err := s.Remove(b.Context(), want, time.Now()); err != nil {
			b.Fatal(err)
		}
		start = time.Now()
		f, err := os.Create(filepath.Join(dir, "copy"))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(f, struct{ io.Reader }{bytes.NewReader(all)}); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		f.Close()
		plain += time.Since(start)
		os.Remove(f.Name())
		b.StartTimer()
	}
	b.ReportMetric(plain.Seconds()/put.Seconds(), "of-copy+fsync")
	b.ReportMetric(put.Seconds()/float64(b.N), "put-s/op")
	b.ReportMetric(plain.Seconds()/float64(b.N), "copy-s/op")
}
