package s3_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// waiting is how many bytes lie in the nameless files of parts that this process has.
func waiting(t *testing.T) (sum int64) {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("needs /proc/self/fd to find the files of parts")
	}
	for _, fd := range list {
		name := "/proc/self/fd/" + fd.Name()
		if to, err := os.Readlink(name); err != nil || !strings.Contains(to, "strongroom-part-") {
			continue
		}
		if fi, err := os.Stat(name); err == nil {
			sum += fi.Size()
		}
	}
	return sum
}

// TestRoom: whatever the number of uploads at once, their parts take no more room than there is, and all of them arrive.
func TestRoom(t *testing.T) {
	need(t)
	s := create(t, config(&shared, t.TempDir()))
	const room = 3 * block
	s.Confine(room, time.Minute)
	all := content(3*block + 1000)
	var most atomic.Int64
	done := make(chan struct{})
	var watch, senders sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
				most.Store(max(most.Load(), waiting(t)))
			}
		}
	})
	for i := range 10 {
		senders.Go(func() {
			id, b := fmt.Sprint("upl-", i), append([]byte{byte(i)}, all...)
			if err := s.StageCreate(t.Context(), id, int64(len(b))); err != nil {
				t.Error(err)
			} else if err := upload(t.Context(), s, id, b); err != nil {
				t.Error(err)
			} else if _, err := s.StageCommit(t.Context(), id, digest(b)); err != nil {
				t.Error(err)
			}
		})
	}
	senders.Wait()
	close(done)
	watch.Wait()
	if n := most.Load(); n > room || n < block {
		t.Errorf("up to %d bytes of parts lay here, and there is room for %d", n, room)
	}
	t.Logf("up to %d KiB of parts, room for %d", most.Load()>>10, room>>10)
}

// TestNoRoom: who finds no room waits in turn, is told so before a byte is read, takes nothing with it when it goes, and comes in once there
// is some. Small ones wait behind large ones.
func TestNoRoom(t *testing.T) {
	need(t)
	s := create(t, config(&shared, t.TempDir()))
	s.Confine(block, 300*time.Millisecond)
	all := content(2 * block)
	for _, id := range []string{"upl-slow", "upl-a", "upl-b"} {
		must(t, s.StageCreate(t.Context(), id, int64(len(all))))
	}
	must(t, s.StageCreate(t.Context(), "upl-small", 10))
	r, w := io.Pipe()
	slow := make(chan error, 1)
	go func() {
		n, err := s.StageAppend(t.Context(), "upl-slow", 0, r)
		if err == nil && n != 2*block {
			err = fmt.Errorf("%d bytes were kept", n)
		}
		slow <- err
	}()
	must1(w.Write(all[:1000])) // it has its room

	for _, id := range []string{"upl-a", "upl-small"} {
		n, err := s.StageAppend(t.Context(), id, 0, readerFunc(func([]byte) (int, error) {
			t.Error("it was read without room")
			return 0, io.EOF
		}))
		is(t, err, objects.ErrBusy)
		if n != 0 {
			t.Errorf("%d bytes were kept", n)
		}
	}
	is(t, func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := s.StageAppend(ctx, "upl-a", 0, bytes.NewReader(all))
		return err
	}(), context.DeadlineExceeded)
	if info := must1(s.StageInfo(t.Context(), "upl-a")); info.Offset != 0 {
		t.Errorf("%d bytes are durable", info.Offset)
	}
	_, err := s.StageAppend(t.Context(), "upl-a", 5, bytes.NewReader(all)) // what is refused does not wait
	is(t, err, objects.ErrOffset)

	go func() {
		w.Write(all[1000:])
		w.Close()
	}()
	must(t, <-slow) // both its parts went through the room of one
	var both sync.WaitGroup
	for _, id := range []string{"upl-a", "upl-b"} {
		both.Go(func() {
			for err := objects.ErrBusy; err != nil; {
				if err = upload(t.Context(), s, id, all); err != nil && t.Context().Err() != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	both.Wait()
	for _, id := range []string{"upl-slow", "upl-a", "upl-b"} {
		if _, err := s.StageCommit(t.Context(), id, digest(all)); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}
