package objectstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

const block = objects.Block

func offset(t *testing.T, s objects.Store, id string) int64 {
	t.Helper()
	info, err := s.StageInfo(t.Context(), id)
	must(t, err)
	return info.Offset
}

func testCreate(t *testing.T, b *bench) {
	ctx := t.Context()
	must(t, b.StageCreate(ctx, "upl-a", 7))
	info, err := b.StageInfo(ctx, "upl-a")
	must(t, err)
	if want := (objects.StageInfo{Size: 7}); info != want {
		t.Errorf("StageInfo = %v, want %v", info, want)
	}
	is(t, b.StageCreate(ctx, "upl-a", 7), objects.ErrExists)
	is(t, b.StageCreate(ctx, "upl-a", 8), objects.ErrExists)
	is(t, b.StageCreate(ctx, "upl-b", -1), objects.ErrInvalid)
	for _, id := range []string{"", ".", "..", "../x", "a/b", "A", "a\x00", strings.Repeat("a", 65)} {
		is(t, b.StageCreate(ctx, id, 1), objects.ErrInvalid)
		_, err := b.StageInfo(ctx, id)
		is(t, err, objects.ErrNotFound)
		is(t, b.StageRemove(ctx, id), objects.ErrNotFound)
	}

	must(t, b.StageRemove(ctx, "upl-a"))
	_, err = b.StageInfo(ctx, "upl-a")
	is(t, err, objects.ErrNotFound)
	is(t, b.StageRemove(ctx, "upl-a"), objects.ErrNotFound)
	_, err = b.StageAppend(ctx, "upl-a", 0, strings.NewReader("x"))
	is(t, err, objects.ErrNotFound)
	_, err = b.StageSums(ctx, "upl-a")
	is(t, err, objects.ErrNotFound)
	_, err = b.StageOpen(ctx, "upl-a")
	is(t, err, objects.ErrNotFound)
	_, err = b.StageCommit(ctx, "upl-a", digest(nil))
	is(t, err, objects.ErrNotFound)

	// The id is free again, and nothing of the first upload is in the second.
	put(t, b, "upl-a", []byte("again"))
}

func testCreateRace(t *testing.T, b *bench) {
	other := b.reopen(t)
	for i := range 8 {
		id := fmt.Sprint("upl-", i)
		errs := race(16, func(n int) error {
			s := []objects.Store{b, other}[n%2]
			return s.StageCreate(t.Context(), id, int64(n))
		})
		won := -1
		for n, err := range errs {
			if err == nil && won < 0 {
				won = n
				continue
			}
			is(t, err, objects.ErrExists)
		}
		info, err := b.StageInfo(t.Context(), id)
		must(t, err)
		if info.Size != int64(won) {
			t.Fatalf("upload has the size of racer %d, but %d won", info.Size, won)
		}
	}
}

// race runs f n times at once.
func race(n int, f func(int) error) []error {
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			errs[i] = f(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return errs
}

// sumsOf hashes b by the definition of RFC 6962 §2.1, unlike the stores.
func sumsOf(b []byte) objects.Sums {
	return objects.Sums{Size: int64(len(b)), Digest: digest(b), Tree: tree(b)}
}

func tree(b []byte) [32]byte {
	if len(b) == 0 {
		return digest(nil)
	}
	if len(b) <= block {
		return digest(slices.Concat([]byte{0}, b))
	}
	k := block
	for 2*k < len(b) {
		k *= 2
	}
	left, right := tree(b[:k]), tree(b[k:])
	return digest(slices.Concat([]byte{1}, left[:], right[:]))
}

// testBlocks takes sizes around the block, in one append and in appends that end around it.
func testBlocks(t *testing.T, b *bench) {
	ctx := t.Context()
	for i, size := range []int{0, 1, block - 1, block, block + 1, 2*block - 1, 2 * block, 2*block + 1} {
		all := content(byte(10+i), size)
		for j, first := range []int{size, block, 2 * block} {
			if first > size || j > 0 && first == size {
				continue
			}
			id := fmt.Sprintf("upl-%d-%d", i, j)
			must(t, b.StageCreate(ctx, id, int64(size)))
			must(t, fillUntil(ctx, b, id, all, first))
			if first < size {
				_, err := b.StageSums(ctx, id)
				is(t, err, objects.ErrOffset)
				_, err = b.StageOpen(ctx, id)
				is(t, err, objects.ErrOffset)
				_, err = b.StageCommit(ctx, id, digest(all[:first]))
				is(t, err, objects.ErrOffset)
				absent(t, b, digest(all[:first]))
			}
			must(t, fill(ctx, b, id, all))
			stores := []objects.Store{b}
			if j == 0 {
				stores = append(stores, b.reopen(t))
			}
			for _, s := range stores {
				sums, err := s.StageSums(ctx, id)
				must(t, err)
				if want := sumsOf(all); sums != want {
					t.Fatalf("%d bytes from %d: StageSums = %v, want %v", size, first, sums, want)
				}
			}
			info, err := b.StageCommit(ctx, id, digest(all))
			must(t, err)
			if want := (objects.Info{Digest: digest(all), Size: int64(size)}); info != want {
				t.Fatalf("StageCommit = %v, want %v", info, want)
			}
		}
		holds(t, b, digest(all), all)
		sums, err := b.Verify(ctx, digest(all))
		must(t, err)
		if want := sumsOf(all); sums != want {
			t.Errorf("Verify = %v, want %v", sums, want)
		}
		must(t, b.Remove(ctx, digest(all), time.Now()))
	}
}

func testStageOpen(t *testing.T, b *bench) {
	all := content(7, block+1)
	stage(t, b, "upl-a", all)
	for range 2 {
		r, err := b.StageOpen(t.Context(), "upl-a")
		must(t, err)
		got, err := io.ReadAll(r)
		must(t, errors.Join(err, r.Close()))
		if !bytes.Equal(got, all) {
			t.Fatal("StageOpen reads other bytes")
		}
	}
	_, err := b.StageCommit(t.Context(), "upl-a", digest(all))
	must(t, err)
}

func testStageList(t *testing.T, b *bench) {
	ctx := t.Context()
	start := time.Now().Add(-time.Minute)
	var want []string
	for i := range 40 {
		want = append(want, fmt.Sprintf("upl-%03d", i))
		must(t, b.StageCreate(ctx, want[i], 1))
	}
	var got []string
	must(t, b.StageList(ctx, func(id string, modified time.Time) error {
		if modified.Before(start) || modified.After(time.Now().Add(time.Minute)) {
			t.Errorf("%s last grew at %v", id, modified)
		}
		got = append(got, id)
		return nil
	}))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("StageList called for %d uploads of %d", len(got), len(want))
	}

	stop, calls := errors.New("stop"), 0
	is(t, b.StageList(ctx, func(string, time.Time) error { calls++; return stop }), stop)
	if calls != 1 {
		t.Errorf("called %d times after an error", calls)
	}

	// Expiry removes while it lists.
	must(t, b.StageList(ctx, func(id string, _ time.Time) error { return b.StageRemove(ctx, id) }))
	must(t, b.StageList(ctx, func(string, time.Time) error { return errors.New("left over") }))
}

func testCommit(t *testing.T, b *bench) {
	ctx := t.Context()
	all := content(8, 1000)
	stage(t, b, "upl-a", all)

	wrong := digest([]byte("something else"))
	_, err := b.StageCommit(ctx, "upl-a", wrong)
	is(t, err, objects.ErrDigest)
	absent(t, b, wrong)
	absent(t, b, digest(all))
	if got := offset(t, b, "upl-a"); got != 1000 {
		t.Fatalf("after a refused commit the upload has %d bytes", got)
	}

	want := objects.Info{Digest: digest(all), Size: 1000}
	for _, s := range []objects.Store{b, b, b.reopen(t)} {
		info, err := s.StageCommit(ctx, "upl-a", digest(all))
		must(t, err)
		if info != want {
			t.Fatalf("StageCommit = %v, want %v", info, want)
		}
		holds(t, s, digest(all), all)
	}
	info, lock, err := b.Stat(ctx, digest(all))
	must(t, err)
	if info != want || lock != (objects.Lock{}) {
		t.Errorf("Stat = %v, %v", info, lock)
	}
	_, err = b.StageInfo(ctx, "upl-a")
	is(t, err, objects.ErrNotFound)
	must(t, b.StageList(ctx, func(string, time.Time) error { return errors.New("upload outlives its commit") }))

	// What is no id is no way to an object, nor to its folder.
	d := digest(all).String()
	for _, id := range []string{"", ".", "..", "../" + d[:2], "../" + d[:2] + "/" + d[2:4], "../" + d} {
		_, err = b.StageCommit(ctx, id, digest(all))
		is(t, err, objects.ErrNotFound)
		is(t, b.StageRemove(ctx, id), objects.ErrNotFound)
	}
	holds(t, b, digest(all), all)

	// The same bytes under another upload are the same object.
	put(t, b, "upl-b", all)
	list, err := b.List(ctx, objects.Digest{}, 10)
	must(t, err)
	if !slices.Equal(list, []objects.Info{want}) {
		t.Errorf("List = %v", list)
	}
}

func testCommitRace(t *testing.T, b *bench) {
	ctx := t.Context()
	other := b.reopen(t)
	all := content(9, block+1)
	want := objects.Info{Digest: digest(all), Size: int64(len(all))}
	for i := range 16 {
		stage(t, b, fmt.Sprint("upl-", i), all)
	}
	// Each upload is committed twice at once, through two instances.
	errs := race(32, func(n int) error {
		s := []objects.Store{b, other}[n%2]
		info, err := s.StageCommit(ctx, fmt.Sprint("upl-", n/2), want.Digest)
		if err == nil && info != want {
			err = fmt.Errorf("StageCommit = %v", info)
		}
		return err
	})
	must(t, errors.Join(errs...))
	holds(t, b, want.Digest, all)
	list, err := b.List(ctx, objects.Digest{}, 100)
	must(t, err)
	if !slices.Equal(list, []objects.Info{want}) {
		t.Errorf("List = %v", list)
	}
}

// testCommitDamaged: an object that was damaged in place is not taken for the one to commit.
func testCommitDamaged(t *testing.T, b *bench) {
	all := content(10, 1000)
	put(t, b, "upl-a", all)
	must(t, b.suite.Damage(b.place, digest(all), flip(500)))
	stage(t, b, "upl-b", all)
	_, err := b.StageCommit(t.Context(), "upl-b", digest(all))
	is(t, err, objects.ErrDamaged)
	if got := offset(t, b, "upl-b"); got != 1000 {
		t.Errorf("the good copy is gone: upload has %d bytes", got)
	}
}
