package s3

import (
	"context"
	"slices"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

const (
	maxWaiting   = 256 << 20        // bytes of parts that wait for their way to the bucket, together: 32 parts, or 8 of the large ones
	roomPatience = 20 * time.Second // of who appends, for room: a connection of which nothing is read lasts longer
)

// room bounds the bytes of parts in the folder for temporary files, which may be memory. Who comes first gets it first. An append holds the
// room of one part while it lasts, and of a second one only if nobody waits: so none waits for room with a part in its hands.
type room struct {
	mu       sync.Mutex
	left     int64
	waiting  []*wish // in order
	patience time.Duration
}

type wish struct {
	bytes int64
	given chan struct{}
}

func newRoom(bytes int64) *room { return &room{left: bytes, patience: roomPatience} }

// take waits for room. ErrBusy if it takes too long.
func (r *room) take(ctx context.Context, bytes int64) error {
	if r.free(bytes) {
		return nil
	}
	w := &wish{bytes, make(chan struct{})}
	r.mu.Lock()
	r.waiting = append(r.waiting, w)
	r.serve()
	r.mu.Unlock()
	over := time.NewTimer(r.patience)
	defer over.Stop()
	err := objects.ErrBusy
	select {
	case <-w.given:
		return nil
	case <-over.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.waiting, w)
	if i < 0 {
		return nil // it came at the last moment
	}
	r.waiting = slices.Delete(r.waiting, i, i+1)
	r.serve() // there may be room for those behind
	return err
}

// free takes room if there is some and nobody waits for it.
func (r *room) free(bytes int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 || r.left < bytes {
		return false
	}
	r.left -= bytes
	return true
}

func (r *room) give(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += bytes
	r.serve()
}

func (r *room) serve() {
	for len(r.waiting) > 0 && r.left >= r.waiting[0].bytes {
		r.left -= r.waiting[0].bytes
		close(r.waiting[0].given)
		r.waiting = r.waiting[1:]
	}
}
