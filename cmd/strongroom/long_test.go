//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestLongDeposits deposits 10,000 small files in one command, and one file of 20 GiB. The vault and the client stay within 256 MiB of
// memory of their own.
func TestLongDeposits(t *testing.T) {
	if os.Getenv("STRONGROOM_LONG") == "" {
		t.Skip("set STRONGROOM_LONG=1; it takes half an hour and 46 GB")
	}
	w := foundTown(t)
	in, with := w.caseOf()
	const limit = 256 << 20
	run := func(t *testing.T, want map[string]int, args ...string) map[string]deposited {
		t.Helper()
		memory := watchMemory()
		begun := time.Now()
		c, out := w.second.start(append(append([]string{"deposit"}, args...), with...)...)
		memory.watch("client", c.Process.Pid)
		memory.watch("vault", w.server.Process.Pid)
		err := c.Wait()
		memory.stop()
		if err != nil {
			t.Fatalf("%v\n%s", err, tail(out.String(), 2000))
		}
		for name, most := range memory.most {
			if most > limit {
				t.Errorf("the %s used %d bytes of memory, %d are allowed", name, most, limit)
			}
		}
		t.Logf("%s; memory: %v", time.Since(begun).Round(time.Second), memory.most)
		return byResult(t, out.String(), want)
	}
	t.Run("10,000 files", func(t *testing.T) {
		const many = 10_000
		dir := w.path("small")
		random := rand.New(rand.NewPCG(5, 6))
		for i := range many {
			path := filepath.Join(dir, fmt.Sprintf("%02d", i%20), fmt.Sprintf("%05d.bin", i))
			content := make([]byte, random.IntN(20_000))
			for j := range content {
				content[j] = byte(random.Uint32())
			}
			if i < 20 {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		run(t, map[string]int{"recorded": many}, dir)
		run(t, map[string]int{"recorded_before": many}, dir)
		if n := len(w.items(in)); n != many {
			t.Errorf("%d items", n)
		}
	})
	t.Run("20 GiB", func(t *testing.T) {
		const size = 20 << 30
		if free, ok := freeSpace(w.dir); ok && free < 2*size+size/8 {
			t.Skipf("%s are free, 46 GB are needed: sealed here, staged there", bytesOf(free))
		}
		file := w.write("large.img", "")
		if err := os.Truncate(file, size); err != nil {
			t.Fatal(err)
		}
		r := run(t, map[string]int{"recorded": 1}, file)[file]
		// What is opened is compared with the digest of what was sealed.
		w.second.types("", "verify-item", string(r.Item)).object()
	})
}
