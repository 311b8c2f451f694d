//go:build !race

package s3_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// anonymous is the anonymous resident memory of this process in bytes.
func anonymous(t testing.TB) int64 {
	f, err := os.Open("/proc/self/status")
	must(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var kib int64
		if n, _ := fmt.Sscanf(strings.TrimSpace(lines.Text()), "RssAnon: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Skip("needs RssAnon in /proc/self/status")
	return 0
}

// TestMemory puts a large object and many at once, and reads them: memory stays below what servers are
// allowed, whatever the size. (The race detector needs several times as much: it runs without.)
func TestMemory(t *testing.T) {
	need(t)
	const limit = 256 << 20
	size := int64(192 << 20)
	if os.Getenv("STRONGROOM_LONG") != "" {
		size = 10 << 30
	}
	var most atomic.Int64
	done := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				most.Store(max(most.Load(), anonymous(t)))
			}
		}
	})
	s := create(t, config(&shared, t.TempDir()))
	stream := func(id string, size int64, seed byte) {
		start := time.Now()
		if err := s.StageCreate(t.Context(), id, size); err != nil {
			t.Error(err)
			return
		}
		n, err := s.StageAppend(t.Context(), id, 0, io.LimitReader(rand.NewChaCha8([32]byte{seed}), size))
		if err != nil || n != size {
			t.Errorf("append = %d, %v", n, err)
			return
		}
		sent := time.Since(start)
		sums, err := s.StageSums(t.Context(), id)
		if err == nil {
			_, err = s.StageCommit(t.Context(), id, sums.Digest)
		}
		if err != nil {
			t.Error(err)
			return
		}
		made := time.Since(start)
		if _, err := s.Verify(t.Context(), sums.Digest); err != nil {
			t.Error(err)
		}
		if size > 1<<27 {
			t.Logf("%d MiB: sent at %.0f MB/s, an object at %.0f MB/s, verified at %.0f MB/s", size>>20,
				float64(size)/1e6/sent.Seconds(), float64(size)/1e6/made.Seconds(), float64(size)/1e6/(time.Since(start)-made).Seconds())
		}
	}
	stream("upl-big", size, 1)
	big := most.Load()
	var many sync.WaitGroup
	for i := range 24 {
		many.Go(func() { stream(fmt.Sprint("upl-", i), 2*objects.Block+100, byte(2+i)) })
	}
	many.Wait()
	close(done)
	watch.Wait()
	if most.Load() > limit {
		t.Errorf("%d MiB of anonymous memory", most.Load()>>20)
	}
	t.Logf("anonymous memory at most %d MiB with one object, %d MiB with 24 at once", big>>20, most.Load()>>20)
}
