package fs

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"strongroom.example/strongroom/internal/objects"
)

const (
	chunk     = 512 << 10 // bytes read, written and hashed at a time
	syncEvery = 32 << 20  // bytes between two fsyncs, which overlap the writing: twice that is not yet durable at most
)

// StageAppend implements [objects.Store]. It keeps every byte r gave, unless writing fails.
func (s *Store) StageAppend(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	u, err := s.take(ctx, id)
	if err != nil {
		return 0, fail("append", err)
	}
	defer s.give(id, u)
	file, info, err := s.begin(id, u)
	if err != nil {
		return 0, fail("append", err)
	}
	if offset != info.Offset {
		return 0, fail("append", objects.ErrOffset)
	}
	if offset == info.Size {
		return 0, nil
	}
	f, err := s.root.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return 0, fail("append", err)
	}
	defer f.Close() // with nothing left to report: what counts was fsynced
	broken, err := s.append(ctx, u, f, info, r)
	n := s.durable(u) - offset
	if err != nil {
		return n, fail("append", err)
	}
	if broken != nil {
		return n, fmt.Errorf("objects: append: body broke off: %w", broken)
	}
	return n, nil
}

// append writes what r gives after the durable bytes of f and makes it durable. It tells r's
// and the context's errors (broken) from the store's own.
func (s *Store) append(ctx context.Context, u *upload, f *os.File, info objects.StageInfo, r io.Reader) (broken, err error) {
	if u.torn {
		if err := f.Truncate(info.Offset); err != nil {
			return nil, err
		}
		u.torn = false
	}
	if fi, err := f.Stat(); err != nil {
		return nil, err
	} else if fi.Size() != info.Offset {
		// Somebody else wrote to it: find out anew, rather than write over it.
		s.know(u, -1, nil)
		return nil, objects.ErrOffset
	}
	hash, at := u.hash, info.Offset
	u.hash = nil
	disk := flusher{flush: func() error { return s.sync(f) }, upto: at}
	settle := func() error {
		if err := disk.wait(); err != nil {
			// Nobody was told of the bytes it was for, and no later fsync can be trusted with them.
			u.torn = f.Truncate(s.durable(u)) != nil
			return err
		}
		s.know(u, disk.upto, nil)
		return nil
	}
	var hashing sync.WaitGroup
	defer hashing.Wait()
	var bufs [2][]byte // one is read and written while the other is hashed
	for i := range bufs {
		bufs[i] = make([]byte, min(chunk, info.Size-at))
	}
	for i := 0; at < info.Size && broken == nil && err == nil; i++ {
		if broken = ctx.Err(); broken != nil {
			break
		}
		buf := bufs[i%2][:min(chunk, info.Size-at)]
		var n, written int
		n, broken = r.Read(buf)
		if n > 0 {
			written, err = f.WriteAt(buf[:n], at)
			at += int64(written)
			if err != nil {
				// WriteAt does not count what it wrote of the part that failed.
				u.torn = f.Truncate(at) != nil
			}
		}
		hashing.Wait()
		if hash != nil {
			hashing.Go(func() { hash.Write(buf[:written]) })
		}
		if at-disk.upto >= syncEvery {
			if failed := settle(); failed != nil {
				return nil, failed
			}
			disk.start(at)
		}
	}
	if broken == io.EOF {
		broken = nil
	}
	if failed := settle(); failed != nil {
		return nil, failed
	}
	if at > disk.upto {
		disk.start(at)
		if failed := settle(); failed != nil {
			return nil, failed
		}
	}
	hashing.Wait()
	s.know(u, at, hash)
	return broken, err
}

// flusher makes a file durable while more is written to it.
type flusher struct {
	flush func() error
	upto  int64      // length the last flush covers
	done  chan error // its result; nil is none under way
}

func (w *flusher) start(upto int64) {
	done := make(chan error, 1)
	w.upto, w.done = upto, done
	go func() { done <- w.flush() }()
}

func (w *flusher) wait() error {
	if w.done == nil {
		return nil
	}
	err := <-w.done
	w.done = nil
	return err
}
