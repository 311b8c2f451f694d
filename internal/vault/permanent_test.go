package vault_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/vault"
)

// slowObjects is a store that needs long to read an upload, or to make it an object.
type slowObjects struct {
	objects.Store
	read, commit        time.Duration
	reads, commits, cut atomic.Int32
	fail                atomic.Pointer[error]
}

func (s *slowObjects) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
	case <-ctx.Done():
		s.cut.Add(1)
		return ctx.Err()
	}
	if err := s.fail.Swap(nil); err != nil {
		return *err
	}
	return nil
}

func (s *slowObjects) StageSums(ctx context.Context, id string) (objects.Sums, error) {
	s.reads.Add(1)
	if err := s.wait(ctx, s.read); err != nil {
		return objects.Sums{}, err
	}
	return s.Store.StageSums(ctx, id)
}

func (s *slowObjects) StageCommit(ctx context.Context, id string, want objects.Digest) (objects.Info, error) {
	s.commits.Add(1)
	if err := s.wait(ctx, s.commit); err != nil {
		return objects.Info{}, err
	}
	return s.Store.StageCommit(ctx, id, want)
}

func newSlowWorld(t *testing.T, read, commit time.Duration) (*world, *slowObjects) {
	w, s := newWorld(t), &slowObjects{read: read, commit: commit}
	w.objects = func(o objects.Store) objects.Store { s.Store = o; return s }
	w.restart()
	w.config.Limits.Reading = 150 * time.Millisecond
	w.Vault = vault.New(w.config)
	return w, s
}

// A submission whose upload takes long to read is answered soon. The reading goes on when the request is over, once, however often and by
// how many it is asked for, and what was read is not read again, also for an event that was signed anew.
func TestSlowUpload(t *testing.T) {
	for name, test := range map[string]struct{ read, commit time.Duration }{"read": {1500 * time.Millisecond, 0}, "committed": {0, 1500 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, s := newSlowWorld(t, test.read, test.commit)
			it := w.prepare(w.openCase(), ev.ConsentForm)
			signed := w.signDeposit(it)
			request, gone := context.WithCancel(ctx())
			for range 3 {
				begun := time.Now()
				_, err := w.Submit(request, w.people["clinician"].caller(), vault.Submission{DSSE: signed.DSSE(), Upload: it.upload, Attachments: it.attachments})
				refused(t, err, ev.Pending, "upload_reading")
				if took := time.Since(begun); took > time.Second {
					t.Errorf("it took %v to say so", took)
				}
				gone() // its connection
				request, gone = context.WithCancel(ctx())
			}
			gone()
			var many sync.WaitGroup
			for range 5 {
				many.Go(func() {
					_, err := w.try("clinician", signed, it.upload, it.attachments...)
					refused(t, err, ev.Pending, "upload_reading")
				})
			}
			many.Wait()
			w.pass(3 * time.Minute)
			_, err := w.try("clinician", signed, it.upload, it.attachments...)
			refused(t, err, ev.Invalid, ev.ReasonClock)
			for {
				signed = w.signDeposit(it)
				o, err := w.try("clinician", signed, it.upload, it.attachments...)
				if ev.ReasonOf(err) == "upload_reading" {
					continue
				}
				if err != nil || o.Receipt == nil {
					t.Fatalf("in the end: %v", err)
				}
				break
			}
			if s.reads.Load() != 1 || s.commits.Load() != 1 || s.cut.Load() != 0 {
				t.Errorf("%d readings, %d commits, %d of them cut short", s.reads.Load(), s.commits.Load(), s.cut.Load())
			}
			if _, err := w.store.Verify(ctx(), objects.Digest(it.details.Evidence.SHA256)); err != nil {
				t.Error(err)
			}
		})
	}
}

// What goes wrong while nobody waits is told to who asks next, and tried again after that.
func TestSlowUploadFails(t *testing.T) {
	t.Parallel()
	w, s := newSlowWorld(t, 400*time.Millisecond, 0)
	it := w.prepare(w.openCase(), ev.ConsentForm)
	signed := w.signDeposit(it)
	for _, fault := range []struct {
		error
		kind   ev.ErrorKind
		reason string
	}{
		{errors.New("the medium is at fault"), ev.Internal, "store"},
		{fmt.Errorf("%w: connection refused", objects.ErrUnreachable), ev.Pending, "store_unreachable"},
	} {
		s.fail.Store(&fault.error)
		_, err := w.try("clinician", signed, it.upload, it.attachments...)
		refused(t, err, ev.Pending, "upload_reading")
		time.Sleep(600 * time.Millisecond)
		_, err = w.try("clinician", signed, it.upload, it.attachments...)
		refused(t, err, fault.kind, fault.reason)
	}
	_, err := w.try("clinician", signed, it.upload, it.attachments...)
	refused(t, err, ev.Pending, "upload_reading")

	// An event that names other bytes waits for the reading, and learns that they are not there; the right one is not harmed.
	right, other := it.details, *it.details
	other.Evidence.SHA256 = ev.SHA256([]byte("other"))
	it.details = &other
	wrong := w.signDeposit(it)
	it.details = right
	for err = ev.Refuse(ev.Pending, ""); ev.KindOf(err) == ev.Pending; {
		_, err = w.try("clinician", wrong, it.upload, it.attachments...)
	}
	refused(t, err, ev.Invalid, "upload_differs")
	for err = ev.Refuse(ev.Pending, ""); ev.KindOf(err) == ev.Pending; {
		_, err = w.try("clinician", signed, it.upload, it.attachments...)
	}
	if err != nil {
		t.Error(err)
	}
}
