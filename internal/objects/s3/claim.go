package s3

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// An upload has one writer among all processes, by its record. Who wants to append while another one does puts itself next and waits: the
// writer looks at the record while it appends, stops between two parts, and hands over. A writer that does not answer within takeover is
// taken for dead. One that lives and cannot see the record has long stopped by then: no clock is compared with another.
const takeover = 20 * time.Second

// claim is the right of a running append to send parts.
type claim struct {
	sends context.Context // ends when nothing may be on its way any more
	seen  atomic.Int64    // when the record was last as it should be, nanoseconds since began
	began time.Time
	lost  atomic.Bool // no part may be begun any more
	taken atomic.Bool // because somebody else wants the upload, or it ended
	blind time.Duration
	end   func()
}

// holds reports whether a part may be begun.
func (c *claim) holds() bool { return !c.lost.Load() && !c.unseen() }

// unseen reports whether the record was not seen for too long to rely on it.
func (c *claim) unseen() bool { return time.Since(c.began)-time.Duration(c.seen.Load()) > c.blind }

// refusal says why it does not hold.
func (c *claim) refusal() error {
	if c.taken.Load() {
		return objects.ErrOffset
	}
	return fmt.Errorf("%w: what is known of the upload is too old", objects.ErrUnreachable)
}

// claim makes this process the writer. ErrOffset if another newcomer was first.
func (s *Store) claim(ctx context.Context, id string) error {
	var asked time.Time // when this process put itself next
	for {
		r, etag, err := s.readRecord(ctx, id)
		if err != nil {
			return err
		}
		next := r
		switch {
		case r.End == removed:
			return objects.ErrNotFound
		case r.End != "":
			return nil // it is complete: there is nothing to append
		case r.Writer == s.process && r.Next == "":
			return nil
		case r.Writer == s.process, r.Writer == "": // who waited for this one sees that it has to begin anew
			next.Writer, next.Next = s.process, ""
		case r.Next == s.process && !asked.IsZero() && time.Since(asked) >= s.takeover:
			next.Writer, next.Next = s.process, ""
		case r.Next == s.process && !asked.IsZero():
			if err := pause(ctx, min(s.takeover/16, 250*time.Millisecond)); err != nil {
				return err
			}
			continue
		case !asked.IsZero():
			return objects.ErrOffset
		default:
			next.Next = s.process
		}
		_, err = s.write(ctx, id, next, etag)
		if errors.Is(err, errCondition) {
			continue
		}
		if err != nil {
			return err
		}
		if next.Next == s.process {
			asked = time.Now()
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch looks at the record for as long as a claim lasts. A part that is on its way when somebody asks for the upload arrives, if it does
// so soon. Together that takes less than takeover.
func (s *Store) watch(ctx context.Context, id string) *claim {
	sends, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &claim{sends: sends, began: time.Now(), blind: s.takeover * 3 / 8}
	over, done := make(chan struct{}), make(chan struct{})
	c.end = func() { close(over); <-done }
	wait := func(d time.Duration) bool {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return true
		case <-over:
			return false
		}
	}
	go func() {
		defer close(done)
		defer cancel()
		for !c.lost.Load() {
			if !wait(s.takeover / 8) {
				return
			}
			asked := time.Since(c.began)
			short, release := context.WithTimeout(sends, s.takeover/8)
			r, _, err := s.readRecord(short, id)
			release()
			switch {
			case err == nil && r.Writer == s.process && r.Next == "":
				c.seen.Store(int64(asked))
			case err == nil, errors.Is(err, objects.ErrNotFound):
				c.taken.Store(true)
				c.lost.Store(true)
			case c.unseen():
				c.lost.Store(true)
			}
		}
		wait(s.takeover / 4)
	}()
	return c
}

// yield ends the writing of this process and reports whether it lasted until now: if not, what was sent may not be what is there. It hands
// the upload to who waits for it; with nobody waiting, a complete one stays as it is.
func (s *Store) yield(ctx context.Context, id string, complete bool) (lasted bool, err error) {
	for {
		r, etag, err := s.readRecord(ctx, id)
		switch {
		case errors.Is(err, objects.ErrNotFound), err == nil && r.End != "": // by the end, nobody else wrote
			return complete, nil
		case err != nil:
			return false, err
		case r.Writer != s.process:
			return false, nil
		case complete && r.Next == "":
			return true, nil
		}
		r.Writer, r.Next = r.Next, ""
		if _, err := s.write(ctx, id, r, etag); !errors.Is(err, errCondition) {
			return true, nil // it was ours when all had arrived; who waits longer takes it
		}
	}
}

// write changes an upload's record, if nobody did meanwhile: then it is errCondition, and the record tells.
func (s *Store) write(ctx context.Context, id string, r record, etag string) (now string, err error) {
	made, err := s.bucket.put(ctx, uploadPrefix+id, marshal(r), unchanged(etag))
	if errors.Is(err, objects.ErrNotFound) { // some say so of a key that went
		err = errCondition
	}
	return made.ETag, err
}
