package objectstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// flip changes one bit of byte i.
func flip(i int) func([]byte) []byte {
	return func(b []byte) []byte { b[i] ^= 0x10; return b }
}

func testRanges(t *testing.T, b *bench) {
	all := content(20, block+100)
	size := int64(len(all))
	o, err := b.Open(t.Context(), put(t, b, "upl-a", all))
	must(t, err)
	defer o.Close()
	for _, r := range []struct{ off, n int64 }{
		{0, 0}, {0, 1}, {0, size}, {1, size - 1}, {block - 1, 2}, {block, 1}, {block, 100}, {size - 1, 1},
		{size - 1, 2}, {size, 1}, {size + 1, 1}, {0, size + 1}, {block - 10, 1000},
	} {
		want := all[min(r.off, size):min(r.off+r.n, size)]
		p := make([]byte, r.n)
		n, err := o.ReadAt(p, r.off)
		if !bytes.Equal(p[:n], want) {
			t.Fatalf("ReadAt %d bytes at %d gave %d", r.n, r.off, n)
		}
		if short := int64(n) < r.n; short != (err == io.EOF) || err != nil && err != io.EOF {
			t.Errorf("ReadAt %d bytes at %d: %d, %v", r.n, r.off, n, err)
		}
		if at, err := o.Seek(r.off, io.SeekStart); at != r.off || err != nil {
			t.Fatalf("Seek to %d = %d, %v", r.off, at, err)
		}
		got, err := io.ReadAll(io.LimitReader(o, r.n))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("Read of %d bytes at %d gave %d, %v", r.n, r.off, len(got), err)
		}
	}
	if _, err := o.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("ReadAt before the beginning gave no error")
	}
	if _, err := o.Seek(-1, io.SeekStart); err == nil {
		t.Error("Seek before the beginning gave no error")
	}
	if at, err := o.Seek(-7, io.SeekEnd); at != size-7 || err != nil {
		t.Errorf("Seek from the end = %d, %v", at, err)
	}

	var readers sync.WaitGroup
	for i := range 8 {
		readers.Go(func() {
			for off := int64(i) * 1000; off < size; off += 1 << 20 {
				p := make([]byte, 500)
				n, err := o.ReadAt(p, off)
				if err != nil && err != io.EOF || !bytes.Equal(p[:n], all[off:off+int64(n)]) {
					t.Errorf("concurrent ReadAt %d: %d, %v", off, n, err)
				}
			}
		})
	}
	readers.Wait()

	// What is open stays readable when the object goes.
	must(t, b.Remove(t.Context(), digest(all), time.Now()))
	absent(t, b, digest(all))
}

func testList(t *testing.T, b *bench) {
	ctx := t.Context()
	var want []objects.Info
	for i := range 60 {
		bytes := content(byte(i), i)
		put(t, b, fmt.Sprint("upl-", i), bytes)
		want = append(want, objects.Info{Digest: digest(bytes), Size: int64(i)})
	}
	slices.SortFunc(want, func(a, b objects.Info) int { return bytes.Compare(a.Digest[:], b.Digest[:]) })
	must(t, b.StageCreate(ctx, "upl-pending", 5)) // is no object
	must(t, b.Hold(ctx, want[5].Digest, true))    // a lock is none either

	for _, limit := range []int{1, 7, 59, 60, 61, 1000} {
		var got []objects.Info
		after := objects.Digest{}
		for {
			page, err := b.List(ctx, after, limit)
			must(t, err)
			got = append(got, page...)
			if len(page) < limit {
				break
			}
			after = page[len(page)-1].Digest
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %d objects, want %d in order", limit, len(got), len(want))
		}
	}

	// It resumes after a digest that is no object, or no longer.
	between := want[10].Digest
	must(t, b.Remove(ctx, between, time.Now()))
	page, err := b.List(ctx, between, 3)
	must(t, err)
	if !slices.Equal(page, want[11:14]) {
		t.Errorf("after a removed object: %v, want %v", page, want[11:14])
	}
	last := objects.Digest(bytes.Repeat([]byte{0xff}, 32))
	if page, err := b.List(ctx, last, 3); err != nil || len(page) != 0 {
		t.Errorf("after the greatest digest: %v, %v", page, err)
	}
	if page, err := b.List(ctx, objects.Digest{}, 0); err != nil || len(page) != 0 {
		t.Errorf("with limit 0: %v, %v", page, err)
	}
}

func testVerify(t *testing.T, b *bench) {
	ctx := t.Context()
	all := content(21, 2*block+3)
	for name, change := range map[string]func([]byte) []byte{
		"first byte":  flip(0),
		"border":      flip(block),
		"last byte":   flip(len(all) - 1),
		"truncated":   func(b []byte) []byte { return b[:len(b)-1] },
		"emptied":     func(b []byte) []byte { return nil },
		"one to many": func(b []byte) []byte { return append(b, 0) },
	} {
		put(t, b, "upl-a", all)
		if _, err := b.Verify(ctx, digest(all)); err != nil {
			t.Fatal(err)
		}
		must(t, b.suite.Damage(b.place, digest(all), change))
		if _, err := b.Verify(ctx, digest(all)); !errors.Is(err, objects.ErrDamaged) {
			t.Errorf("%s: Verify = %v", name, err)
		}
		must(t, b.Remove(ctx, digest(all), time.Now()))
	}
	put(t, b, "upl-a", all)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err := b.Verify(cancelled, digest(all))
	is(t, err, context.Canceled)
}

func testRemove(t *testing.T, b *bench) {
	ctx := t.Context()
	all := content(22, 1000)
	d := digest(all)
	is(t, b.Remove(ctx, d, time.Now()), objects.ErrNotFound)
	is(t, b.Retain(ctx, d, time.Now().Add(time.Hour)), objects.ErrNotFound)
	is(t, b.Hold(ctx, d, true), objects.ErrNotFound)
	put(t, b, "upl-a", all)
	other := put(t, b, "upl-b", content(23, 10))
	must(t, b.Remove(ctx, d, time.Now()))
	absent(t, b, d)
	is(t, b.Remove(ctx, d, time.Now()), objects.ErrNotFound)
	holds(t, b, other, content(23, 10))

	// It can come again, and comes without a lock.
	put(t, b, "upl-a", all)
	_, lock, err := b.Stat(ctx, d)
	must(t, err)
	if lock != (objects.Lock{}) {
		t.Errorf("locked by its former self: %v", lock)
	}
}

func testRetain(t *testing.T, b *bench) {
	ctx := t.Context()
	all := content(24, 1000)
	d := put(t, b, "upl-a", all)
	now := time.Now()
	until := now.Add(time.Hour).Truncate(time.Second).UTC()
	must(t, b.Retain(ctx, d, until))
	must(t, b.Retain(ctx, d, until))
	is(t, b.Retain(ctx, d, until.Add(-time.Second)), objects.ErrLocked)
	wantLock(t, b, d, objects.Lock{Until: until})
	is(t, b.Remove(ctx, d, now), objects.ErrLocked)
	holds(t, b, d, all)

	until = until.Add(time.Hour)
	must(t, b.Retain(ctx, d, until.Add(-time.Millisecond))) // rounded up
	wantLock(t, b, d, objects.Lock{Until: until})
	is(t, b.Remove(ctx, d, now), objects.ErrLocked)
	is(t, b.Retain(ctx, d, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)), objects.ErrInvalid)

	// Committing the same bytes again does not loosen it.
	put(t, b, "upl-b", all)
	wantLock(t, b, d, objects.Lock{Until: until})

	// A retention ends by itself.
	short := content(25, 10)
	put(t, b, "upl-c", short)
	until = time.Now().Add(2 * time.Second).Truncate(time.Second).UTC()
	must(t, b.Retain(ctx, digest(short), until))
	is(t, b.Remove(ctx, digest(short), time.Now()), objects.ErrLocked)
	holds(t, b, digest(short), short)
	time.Sleep(time.Until(until))
	for range 20 { // a store's own clock may be a little behind
		if err := b.Remove(ctx, digest(short), time.Now()); !errors.Is(err, objects.ErrLocked) {
			must(t, err)
			absent(t, b, digest(short))
			return
		}
		time.Sleep(250 * time.Millisecond)
	}
	t.Error("locked long after its retention ended")
}

func testHold(t *testing.T, b *bench) {
	ctx := t.Context()
	all := content(26, 1000)
	d := put(t, b, "upl-a", all)
	for range 2 {
		must(t, b.Hold(ctx, d, true))
		wantLock(t, b, d, objects.Lock{Hold: true})
		is(t, b.Remove(ctx, d, time.Now().AddDate(100, 0, 0)), objects.ErrLocked)
		holds(t, b, d, all)
	}
	for range 2 {
		must(t, b.Hold(ctx, d, false))
		wantLock(t, b, d, objects.Lock{})
	}

	// A hold and a retention do not undo each other.
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	must(t, b.Hold(ctx, d, true))
	must(t, b.Retain(ctx, d, until))
	wantLock(t, b, d, objects.Lock{Hold: true, Until: until})
	must(t, b.Hold(ctx, d, false))
	wantLock(t, b, d, objects.Lock{Until: until})
	is(t, b.Remove(ctx, d, time.Now()), objects.ErrLocked)
	holds(t, b, d, all)

	free := put(t, b, "upl-b", content(27, 10))
	must(t, b.Hold(ctx, free, true))
	must(t, b.Hold(ctx, free, false))
	must(t, b.Remove(ctx, free, time.Now()))
	absent(t, b, free)
}

// testLockLasts: locks set at once by many all hold, and in a new instance too.
func testLockLasts(t *testing.T, b *bench) {
	ctx := t.Context()
	all := content(28, 1000)
	d := put(t, b, "upl-a", all)
	start := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for _, err := range race(16, func(n int) error {
		if n == 7 {
			return b.Hold(ctx, d, true)
		}
		return b.Retain(ctx, d, start.Add(time.Duration(n)*time.Second))
	}) {
		if err != nil {
			is(t, err, objects.ErrLocked) // a longer one was first
		}
	}
	want := objects.Lock{Hold: true, Until: start.Add(15 * time.Second)}
	wantLock(t, b, d, want)
	must(t, b.Close())
	b.Store = b.reopen(t)
	wantLock(t, b, d, want)
	is(t, b.Remove(ctx, d, time.Now()), objects.ErrLocked)
	holds(t, b, d, all)
}

func wantLock(t *testing.T, s objects.Store, d objects.Digest, want objects.Lock) {
	t.Helper()
	_, lock, err := s.Stat(t.Context(), d)
	must(t, err)
	if lock != want {
		t.Fatalf("lock is %v, want %v", lock, want)
	}
}
