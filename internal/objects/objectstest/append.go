package objectstest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

func testAppend(t *testing.T, b *bench) {
	ctx := t.Context()

	// Readers of every manner give the same object.
	small := content(1, 1000)
	for i, wrap := range []func(io.Reader) io.Reader{
		iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
	} {
		id := fmt.Sprint("upl-", i)
		must(t, b.StageCreate(ctx, id, 1000))
		for at := offset(t, b, id); at < 1000; at = offset(t, b, id) {
			n, err := b.StageAppend(ctx, id, at, wrap(bytes.NewReader(small[at:])))
			must(t, err)
			if n == 0 || offset(t, b, id) != at+n {
				t.Fatalf("append said %d, offset went from %d to %d", n, at, offset(t, b, id))
			}
		}
		_, err := b.StageCommit(ctx, id, digest(small))
		must(t, err)
	}
	holds(t, b, digest(small), small)

	// No more than the size is taken, and a complete upload takes nothing.
	must(t, b.StageCreate(ctx, "upl-full", 10))
	n, err := b.StageAppend(ctx, "upl-full", 0, io.MultiReader(bytes.NewReader(small), iotest.ErrReader(errors.New("read too far"))))
	must(t, err)
	if n != 10 {
		t.Errorf("append to an upload of 10 bytes took %d", n)
	}
	n, err = b.StageAppend(ctx, "upl-full", 10, bytes.NewReader(small))
	if n != 0 || err != nil {
		t.Errorf("append to a complete upload = %d, %v", n, err)
	}
	_, err = b.StageCommit(ctx, "upl-full", digest(small[:10]))
	must(t, err)

	// An empty append changes nothing.
	must(t, b.StageCreate(ctx, "upl-none", 10))
	n, err = b.StageAppend(ctx, "upl-none", 0, bytes.NewReader(nil))
	if n != 0 || err != nil || offset(t, b, "upl-none") != 0 {
		t.Errorf("empty append = %d, %v", n, err)
	}
}

func testAppendOffset(t *testing.T, b *bench) {
	ctx := t.Context()
	all := content(2, 2*block)
	must(t, b.StageCreate(ctx, "upl-a", int64(len(all))))
	n, err := b.StageAppend(ctx, "upl-a", 0, bytes.NewReader(all[:block]))
	must(t, err)
	if n != block {
		t.Fatalf("append of one block kept %d", n)
	}
	for _, at := range []int64{-1, 0, 1, block - 1, block + 1, 2 * block, 1 << 40} {
		n, err := b.StageAppend(ctx, "upl-a", at, bytes.NewReader(all))
		is(t, err, objects.ErrOffset)
		if n != 0 || offset(t, b, "upl-a") != block {
			t.Fatalf("append at %d kept %d", at, n)
		}
	}
	must(t, fill(ctx, b, "upl-a", all))
	_, err = b.StageCommit(ctx, "upl-a", digest(all))
	must(t, err)
}

func testAppendBroken(t *testing.T, b *bench) {
	ctx := t.Context()
	broken := errors.New("body broke off")
	all := content(3, 2*block+100)
	must(t, b.StageCreate(ctx, "upl-a", int64(len(all))))
	at := int64(0)
	for _, until := range []int64{0, 1, 1000, block - 1, block, block + 1, 2*block + 99} {
		n, err := b.StageAppend(ctx, "upl-a", at, io.MultiReader(bytes.NewReader(all[at:max(at, until)]), iotest.ErrReader(broken)))
		is(t, err, broken)
		if n < 0 || at+n > max(at, until) {
			t.Fatalf("append from %d broken off at %d kept %d", at, until, n)
		}
		at += n
		if got := offset(t, b, "upl-a"); got != at {
			t.Fatalf("offset %d after append said %d", got, at)
		}
		if got := offset(t, b.reopen(t), "upl-a"); got != at {
			t.Fatalf("offset %d in a new instance, %d in the old", got, at)
		}
		absent(t, b, digest(all))
	}
	if at < 2*block {
		t.Errorf("of %d bytes sent only %d were kept", 2*block+99, at)
	}
	must(t, fill(ctx, b, "upl-a", all))
	put(t, b, "upl-other", []byte("unharmed"))
	_, err := b.StageCommit(ctx, "upl-a", digest(all))
	must(t, err)
	holds(t, b, digest(all), all)
}

func testAppendCancelled(t *testing.T, b *bench) {
	all := content(4, 2*block)
	must(t, b.StageCreate(t.Context(), "upl-a", int64(len(all))))
	ctx, cancel := context.WithCancel(t.Context())
	sent := int64(0)
	n, err := b.StageAppend(ctx, "upl-a", 0, readerFunc(func(p []byte) (int, error) {
		if sent >= block+1000 {
			cancel()
		}
		if sent >= block+2<<20 {
			return 0, errors.New("read on long after the cancel")
		}
		n := copy(p[:min(len(p), 4096)], all[sent:])
		sent += int64(n)
		return n, nil
	}))
	is(t, err, context.Canceled)
	if n > sent || n != offset(t, b, "upl-a") || n != offset(t, b.reopen(t), "upl-a") {
		t.Fatalf("of %d bytes sent %d were kept, offset %d", sent, n, offset(t, b, "upl-a"))
	}
	if _, err := b.StageAppend(ctx, "upl-a", n, bytes.NewReader(all[n:])); !errors.Is(err, context.Canceled) {
		t.Errorf("append under a cancelled context: %v", err)
	}
	must(t, fill(t.Context(), b, "upl-a", all))
	_, err = b.StageCommit(t.Context(), "upl-a", digest(all))
	must(t, err)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// testAppendTurns: while one append is under way StageInfo answers, a second append waits for
// its turn and gives up with its context, and of two at the same offset one finds it taken.
func testAppendTurns(t *testing.T, b *bench) {
	all := content(5, block)
	must(t, b.StageCreate(t.Context(), "upl-a", block))
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := b.StageAppend(t.Context(), "upl-a", 0, r)
		done <- err
	}()
	if _, err := w.Write(all[:1000]); err != nil {
		t.Fatal(err)
	}
	if got := offset(t, b, "upl-a"); got > 1000 {
		t.Errorf("offset %d with 1000 bytes sent", got)
	}
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := b.StageAppend(short, "upl-a", 0, bytes.NewReader(all))
	is(t, err, context.DeadlineExceeded)

	second := make(chan error, 1)
	go func() {
		_, err := b.StageAppend(t.Context(), "upl-a", 0, bytes.NewReader(all))
		second <- err
	}()
	if _, err := w.Write(all[1000:]); err != nil {
		t.Fatal(err)
	}
	w.Close()
	first, other := <-done, <-second
	if other == nil {
		first, other = other, first // the second went ahead
	}
	must(t, first)
	is(t, other, objects.ErrOffset)
	_, err = b.StageCommit(t.Context(), "upl-a", digest(all))
	must(t, err)
}

func testResume(t *testing.T, b *bench) {
	ctx := t.Context()
	all := content(6, 3*block+5)
	must(t, b.StageCreate(ctx, "upl-a", int64(len(all))))
	s := b.Store
	for _, until := range []int{block, 2 * block, len(all)} {
		must(t, fillUntil(ctx, s, "upl-a", all, until))
		must(t, s.Close())
		s = b.reopen(t)
		info, err := s.StageInfo(ctx, "upl-a")
		must(t, err)
		if want := (objects.StageInfo{Size: int64(len(all)), Offset: int64(until)}); info != want {
			t.Fatalf("in a new instance %v, want %v", info, want)
		}
	}
	sums, err := s.StageSums(ctx, "upl-a")
	must(t, err)
	if want := sumsOf(all); sums != want {
		t.Errorf("StageSums = %v, want %v", sums, want)
	}
	_, err = s.StageCommit(ctx, "upl-a", digest(all))
	must(t, err)
	holds(t, s, digest(all), all)
	b.Store = s
}
