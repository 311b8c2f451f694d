package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

const (
	maxAhead = 64              // pages asked for at once, when an object is read through
	stall    = 2 * time.Minute // a page that takes longer does not come
)

// reader reads a body page by page. No byte leaves it before its page has been compared with the manifest.
type reader struct {
	ctx   context.Context
	store *Store
	manifest
	at int64 // of Read

	page  []byte // the page that was read last
	index int64  // which one it is; -1 is none

	stream *stream // where the next page comes from; nil is nowhere yet
	ahead  int64   // pages that the next stream asks for
}

// stream is a running answer.
type stream struct {
	body io.ReadCloser
	stop context.CancelFunc
	next int64 // page
	end  int64 // page after the last
}

func (s *Store) reader(ctx context.Context, m manifest) *reader {
	return &reader{ctx: ctx, store: s, manifest: m, index: -1, ahead: 1}
}

func (r *reader) Size() int64 { return r.manifest.Size }

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if r.at >= r.manifest.Size {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	if i := r.at / page; i != r.index {
		if err := r.load(i); err != nil {
			return 0, fail("read", err)
		}
	}
	n := copy(p, r.page[r.at%page:])
	r.at += int64(n)
	return n, nil
}

// ReadAt implements [io.ReaderAt]: a reader of its own for each call.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fail("read", objects.ErrInvalid)
	}
	own := r.store.reader(r.ctx, r.manifest)
	own.at = off
	own.ahead = max(1, min(maxAhead, pages(off%page+int64(len(p)))))
	defer own.Close()
	n, err := io.ReadFull(own, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}

// Seek implements [io.Seeker].
func (r *reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.manifest.Size
	default:
		return 0, fail("seek", objects.ErrInvalid)
	}
	if offset < 0 {
		return 0, fail("seek", objects.ErrInvalid)
	}
	r.at = offset
	return offset, nil
}

// Close implements [io.Closer].
func (r *reader) Close() error {
	r.end()
	return nil
}

func (r *reader) end() {
	if r.stream != nil {
		r.stream.stop()
		r.stream.body.Close()
		r.stream = nil
	}
}

// load reads page i. A connection that breaks is made again, once for each page.
func (r *reader) load(i int64) error {
	if r.stream != nil && (r.stream.next != i || r.stream.next == r.stream.end) {
		if r.stream.next != i {
			r.ahead = 1
		}
		r.end()
	}
	err := r.fetch(i)
	if err != nil && !errors.Is(err, objects.ErrDamaged) && r.ctx.Err() == nil {
		err = r.fetch(i)
	}
	if errors.Is(err, objects.ErrNotFound) {
		err = objects.ErrDamaged // its manifest is there
	}
	return err
}

func (r *reader) fetch(i int64) (err error) {
	defer func() {
		if err != nil {
			r.index = -1
			r.end()
		}
	}()
	if r.stream == nil {
		if err := r.begin(i); err != nil {
			return err
		}
	}
	if r.page == nil {
		r.page = make([]byte, min(page, r.manifest.Size))
	}
	b := r.page[:min(page, r.manifest.Size-i*page)]
	watch := time.AfterFunc(stall, r.stream.stop)
	_, err = io.ReadFull(r.stream.body, b)
	watch.Stop()
	if err != nil {
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		return fmt.Errorf("%w: an answer broke off", objects.ErrUnreachable)
	}
	if !r.holds(i, b) {
		return objects.ErrDamaged
	}
	r.page, r.index = r.page[:len(b)], i
	r.stream.next++
	return nil
}

// begin asks for pages from i on: one at first, then more and more while they are read in order.
func (r *reader) begin(i int64) error {
	end := min(i+r.ahead, pages(r.manifest.Size))
	r.ahead = min(2*r.ahead, maxAhead)
	ctx, stop := context.WithCancel(r.ctx)
	watch := time.AfterFunc(stall, stop)
	body, size, err := r.store.bucket.open(ctx, bodyPrefix+r.Body, r.Version, i*page, min(end*page, r.manifest.Size)-1)
	watch.Stop()
	if err == nil && size != r.manifest.Size {
		body.Close()
		err = objects.ErrDamaged
	}
	if err != nil {
		stop()
		return err
	}
	r.stream = &stream{body, stop, i, end}
	return nil
}
