package sealing

import (
	"io"
	"sync"
	"sync/atomic"
)

// A fan hands everything written to it to each of its sinks, each of which runs
// on a goroutine of its own, so that hashing and encrypting take no longer than
// the slowest of them. The bytes wait in a fixed number of chunks: that bounds
// the memory and holds back the writer when a sink is slow.
//
// A fan must be closed, or its goroutines stay.
type fan struct {
	free  chan *chunk
	sinks []chan *chunk
	open  *chunk // being filled; nil before its first byte
	done  sync.WaitGroup
	err   atomic.Pointer[error] // the first failure of a sink
}

type chunk struct {
	data []byte
	left atomic.Int32 // sinks that still need it
}

const (
	chunkSize = 256 << 10
	chunks    = 8
)

func newFan(sinks ...io.Writer) *fan {
	f := &fan{free: make(chan *chunk, chunks)}
	for range chunks {
		f.free <- new(chunk)
	}
	for _, w := range sinks {
		in := make(chan *chunk, chunks)
		f.sinks = append(f.sinks, in)
		f.done.Go(func() { f.drain(in, w) })
	}
	return f
}

// drain feeds one sink. After a failure it goes on freeing chunks, so that
// nobody waits for them.
func (f *fan) drain(in <-chan *chunk, w io.Writer) {
	for c := range in {
		if f.failure() == nil {
			n, err := w.Write(c.data)
			if err == nil && n < len(c.data) {
				err = io.ErrShortWrite
			}
			if err != nil {
				f.err.CompareAndSwap(nil, &err)
			}
		}
		if c.left.Add(-1) == 0 {
			f.free <- c
		}
	}
}

func (f *fan) failure() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

// room returns the empty part of the open chunk, never nothing.
func (f *fan) room() []byte {
	if f.open == nil {
		f.open = <-f.free
		if f.open.data == nil {
			f.open.data = make([]byte, 0, chunkSize)
		}
		f.open.data = f.open.data[:0]
	}
	return f.open.data[len(f.open.data):chunkSize]
}

// take adds the first n bytes of room to what the sinks get.
func (f *fan) take(n int) {
	f.open.data = f.open.data[:len(f.open.data)+n]
	if len(f.open.data) == chunkSize {
		f.flush()
	}
}

func (f *fan) flush() {
	f.open.left.Store(int32(len(f.sinks)))
	for _, in := range f.sinks {
		in <- f.open
	}
	f.open = nil
}

// Write copies p. The failure of a sink shows in a later call, or in Close.
func (f *fan) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		if err := f.failure(); err != nil {
			return written, err
		}
		n := copy(f.room(), p[written:])
		f.take(n)
		written += n
	}
	return written, nil
}

// ReadFrom reads r to its end, straight into the chunks.
func (f *fan) ReadFrom(r io.Reader) (int64, error) {
	var total int64
	for {
		if err := f.failure(); err != nil {
			return total, err
		}
		// Not io.ReadFull: it would take an io.ErrUnexpectedEOF of r, say a
		// connection that broke off, for the end of the evidence.
		n, err := r.Read(f.room())
		total += int64(n)
		f.take(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// Close waits until every sink has everything, and returns their first failure.
func (f *fan) Close() error {
	if f.open != nil {
		f.flush()
	}
	for _, in := range f.sinks {
		close(in)
	}
	f.done.Wait()
	return f.failure()
}
