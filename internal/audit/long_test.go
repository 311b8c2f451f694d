package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// endless is a vault whose entries are computed when they are asked for, so that it takes no memory. Its publications are those of book.
type endless struct {
	*book
	size int64
}

func leafOf(i int64) tlog.Hash {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("entry"), uint64(i)))
}

func keyOf(i int64) [32]byte { return heads.Key(leafOf(i), 0) }

func (v endless) Checkpoint(context.Context) ([]byte, error) {
	return v.sign(v.size, rootOf(v.tree)), nil
}

func (v endless) Leaves(_ context.Context, start, count int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, min(count, v.size-start))
	for i := range list {
		list[i] = v.leaf(start + int64(i))
	}
	return list, nil
}

func (v endless) Keys(_ context.Context, start, count int64) ([][32]byte, error) {
	list := make([][32]byte, min(count, v.covers-start))
	for i := range list {
		list[i] = v.key(start + int64(i))
	}
	return list, nil
}

// every is how many entries there are from one publication to the next, itself included.
const every = 1000

// The publications' own entries stand in leaves and places, in their order.
func (v endless) leaf(i int64) tlog.Hash {
	if i%every == every-1 {
		return v.leaves[i/every]
	}
	return leafOf(i)
}

func (v endless) key(i int64) [32]byte {
	if i%every == every-1 {
		return v.places[i/every]
	}
	return keyOf(i)
}

// TestMillion follows a log with STRONGROOM_LONG=1 to a million entries: anonymous memory grows by less than 256 MiB.
func TestMillion(t *testing.T) {
	size := int64(20_000)
	if os.Getenv("STRONGROOM_LONG") == "1" {
		size = 1_000_000
	}
	v := endless{newBook(t), 0}
	for ; v.size < size; v.size += every {
		var entries []heads.Entry
		if n := len(v.places); n > 0 {
			entries = append(entries, heads.Entry{Key: v.places[n-1], Value: v.leaves[n-1]})
		}
		for i := v.size; i < v.size+every-1; i++ {
			leaf := leafOf(i)
			check(t, v.tree.Append(leaf[:], nil))
			entries = append(entries, heads.Entry{Key: keyOf(i), Value: leaf})
		}
		v.publishAt(v.size+every-1, entries)
	}
	debug.FreeOSMemory()
	before, largest := anonymous(t), int64(0)
	dir := t.TempDir()
	f := follower(t, dir, v, v.keys)
	f.Progress = func(done, _ int64) {
		if done%(1<<16) < page {
			largest = max(largest, anonymous(t))
		}
	}
	start := time.Now()
	step, err := f.Step(t.Context())
	check(t, err)
	took := time.Since(start)
	if step.Size != size || f.State.Covers() != size-1 || step.Publications != size/every {
		t.Fatalf("%+v, covers %d", step, f.State.Covers())
	}
	check(t, f.State.Close())
	start = time.Now()
	check(t, follower(t, dir, v, v.keys).State.Close())
	largest = max(largest, anonymous(t))
	t.Logf("%d entries, %d publications: followed in %s, opened again in %s; at most %d MiB of anonymous memory, %d of them before",
		size, step.Publications, took.Round(time.Millisecond), time.Since(start).Round(time.Millisecond), largest>>20, before>>20)
	if largest-before > 256<<20 {
		t.Errorf("%d MiB of anonymous memory", (largest-before)>>20)
	}
}

// anonymous is this process's memory that no file stands behind, in bytes; elsewhere than on Linux what Go has from the system.
func anonymous(t *testing.T) int64 {
	t.Helper()
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(text)) {
			if kib, ok := strings.CutPrefix(line, "RssAnon:"); ok {
				n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kib), " kB"), 10, 64)
				check(t, err)
				return n << 10
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}
