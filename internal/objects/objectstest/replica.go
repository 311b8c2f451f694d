package objectstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// replicas are two instances that work on one place at the same time; of a store for one process it is one instance twice.
func (b *bench) replicas(t *testing.T) [2]objects.Store {
	t.Helper()
	if !b.suite.Shared {
		return [2]objects.Store{b, b}
	}
	return [2]objects.Store{b, b.reopen(t)}
}

// testAlternate: an upload begun on one replica goes on at the other and back, block by block.
func testAlternate(t *testing.T, b *bench) {
	ctx, pair := t.Context(), b.replicas(t)
	all := content(50, 5*block+77)
	must(t, pair[0].StageCreate(ctx, "upl-a", int64(len(all))))
	for at, n := int64(0), 1; at < int64(len(all)); n++ {
		got, err := pair[n%2].StageAppend(ctx, "upl-a", at, bytes.NewReader(all[at:min(at+block, int64(len(all)))]))
		must(t, err)
		if at += got; got == 0 || offset(t, pair[(n+1)%2], "upl-a") != at {
			t.Fatalf("one replica kept %d bytes, the other sees %d of %d", got, offset(t, pair[(n+1)%2], "upl-a"), at)
		}
	}
	for _, s := range pair {
		sums, err := s.StageSums(ctx, "upl-a")
		must(t, err)
		if sums != sumsOf(all) {
			t.Errorf("StageSums = %v", sums)
		}
	}
	for _, s := range []objects.Store{pair[1], pair[0], pair[1]} {
		_, err := s.StageCommit(ctx, "upl-a", digest(all))
		must(t, err)
		holds(t, s, digest(all), all)
	}
}

// testHandedOn: each part is sent by another instance, whose connection breaks in the middle of the next one and which is never heard of
// again; the last one, which sent nothing, knows what it all is.
func testHandedOn(t *testing.T, b *bench) {
	ctx := t.Context()
	for id, size := range map[string]int{"upl-a": 4*block + 77, "upl-b": 3 * block, "upl-c": 100} {
		all := content(55, size)
		must(t, b.StageCreate(ctx, id, int64(size)))
		for at := int64(0); at < int64(size); {
			s := b.reopen(t)
			until := min(at+block+block/2, int64(size))
			broken := iotest.ErrReader(io.ErrUnexpectedEOF)
			n, err := s.StageAppend(ctx, id, at, io.MultiReader(bytes.NewReader(all[at:until]), broken))
			if until < int64(size) {
				is(t, err, io.ErrUnexpectedEOF)
			} else {
				must(t, err)
			}
			if at += n; n < min(block, int64(size)-at) || offset(t, s, id) != at {
				t.Fatalf("%d bytes were kept, and %d are durable", n, offset(t, s, id))
			}
		}
		last := b.reopen(t)
		sums, err := last.StageSums(ctx, id)
		must(t, err)
		if sums != sumsOf(all) {
			t.Errorf("%s: StageSums = %v", id, sums)
		}
		_, err = last.StageCommit(ctx, id, digest(nil))
		is(t, err, objects.ErrDigest)
		_, err = last.StageCommit(ctx, id, digest(all))
		must(t, err)
		holds(t, last, digest(all), all)
	}
}

// testAppendBoth: two replicas append other bytes to one upload at the same moment. One makes them durable, and the other learns where the
// upload is. What was acknowledged stays, unmixed.
func testAppendBoth(t *testing.T, b *bench) {
	ctx, pair := t.Context(), b.replicas(t)
	for i := range 6 {
		id := fmt.Sprint("upl-", i)
		size := []int{1000, block, 2*block + 10}[i%3]
		all := [2][]byte{content(byte(60+2*i), size), content(byte(61+2*i), size)}
		must(t, pair[i%2].StageCreate(ctx, id, int64(size)))
		var kept [2]int64
		errs := race(2, func(n int) (err error) {
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
			kept[n], err = pair[n].StageAppend(ctx, id, 0, bytes.NewReader(all[n]))
			return err
		})
		for n, err := range errs {
			if err != nil {
				is(t, err, objects.ErrOffset)
			}
			if other := errs[1-n]; err == nil && other == nil || kept[n] > 0 && kept[1-n] > 0 {
				t.Fatalf("both replicas appended at the beginning: %d and %d bytes", kept[0], kept[1])
			}
		}
		first := 0
		if kept[1] > 0 {
			first = 1
		}
		if at := offset(t, pair[1-first], id); at < kept[first] {
			t.Fatalf("%d bytes were durable, %d are there", kept[first], at)
		}
		must(t, fill(ctx, pair[1-first], id, all[first]))
		_, err := pair[first].StageCommit(ctx, id, digest(all[first]))
		must(t, err)
		holds(t, pair[1-first], digest(all[first]), all[first])
	}
}

// slow gives what r has in small pieces.
func slow(r io.Reader, wait time.Duration) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		time.Sleep(wait)
		return r.Read(p[:min(len(p), 64<<10)])
	})
}

// testTakenOver: who wants to append does not wait for a writer whose connection has become slow: that one stops and keeps what is durable.
func testTakenOver(t *testing.T, b *bench) {
	if !b.suite.Shared {
		t.Skip("one process: its callers are told apart above the store")
	}
	ctx, pair := t.Context(), b.replicas(t)
	all := content(70, 3*block)
	must(t, pair[0].StageCreate(ctx, "upl-a", int64(len(all))))
	type kept struct {
		n   int64
		err error
	}
	done := make(chan kept, 1)
	go func() {
		forever := slow(bytes.NewReader(make([]byte, 2*block)), time.Second)
		n, err := pair[0].StageAppend(ctx, "upl-a", 0, io.MultiReader(bytes.NewReader(all[:block]), forever))
		done <- kept{n, err}
	}()
	for offset(t, pair[1], "upl-a") < block {
		time.Sleep(10 * time.Millisecond)
	}
	n, err := pair[1].StageAppend(ctx, "upl-a", block, bytes.NewReader(all[block:]))
	must(t, err)
	first := <-done
	is(t, first.err, objects.ErrOffset)
	if first.n != block || n != 2*block {
		t.Errorf("one kept %d bytes, the other %d", first.n, n)
	}
	_, err = pair[0].StageCommit(ctx, "upl-a", digest(all))
	must(t, err)
	holds(t, pair[1], digest(all), all)
}

// testEndsUnderAppend: an upload that is removed or made an object on one replica while another appends to it ends as one or the other.
func testEndsUnderAppend(t *testing.T, b *bench) {
	ctx, pair := t.Context(), b.replicas(t)
	for i := range 6 {
		id, all := fmt.Sprint("upl-", i), content(byte(80+i), block+10)
		must(t, pair[0].StageCreate(ctx, id, int64(len(all))))
		appended := make(chan error, 1)
		go func() {
			_, err := pair[0].StageAppend(ctx, id, 0, slow(bytes.NewReader(all), time.Millisecond))
			appended <- err
		}()
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond)
		if i%2 == 0 {
			must(t, pair[1].StageRemove(ctx, id))
			if err := <-appended; err != nil && !errors.Is(err, objects.ErrOffset) {
				is(t, err, objects.ErrNotFound)
			}
			_, err := pair[0].StageInfo(ctx, id)
			is(t, err, objects.ErrNotFound)
			absent(t, pair[0], digest(all))
			continue
		}
		for {
			_, err := pair[1].StageCommit(ctx, id, digest(all))
			if err == nil {
				break
			}
			is(t, err, objects.ErrOffset)
		}
		must(t, <-appended)
		holds(t, pair[0], digest(all), all)
	}
	must(t, b.StageList(ctx, func(id string, _ time.Time) error { return errors.New("an upload is left") }))
}

// testRetainBoth: two replicas lengthen and hold one object at the same moment; none undoes what the other did.
func testRetainBoth(t *testing.T, b *bench) {
	ctx, pair := t.Context(), b.replicas(t)
	d := put(t, b, "upl-a", content(90, 100))
	start := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	for round := range 3 {
		begin := start.Add(time.Duration(round) * time.Hour)
		for _, err := range race(8, func(n int) error {
			if n == 5 {
				return pair[n%2].Hold(ctx, d, true)
			}
			return pair[n%2].Retain(ctx, d, begin.Add(time.Duration(n)*time.Minute))
		}) {
			if err != nil {
				is(t, err, objects.ErrLocked)
			}
		}
		for _, s := range pair {
			wantLock(t, s, d, objects.Lock{Hold: true, Until: begin.Add(7 * time.Minute)})
			is(t, s.Remove(context.WithoutCancel(ctx), d, time.Now()), objects.ErrLocked)
		}
	}
}
