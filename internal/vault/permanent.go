package vault

import (
	"context"
	"errors"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
)

// reasonReading says that the vault still reads an upload. Nothing is wrong: who sends the event again, now or later, signed anew or not, is
// answered when it is done.
const reasonReading = "upload_reading"

// abandoned is how long work on an upload goes on, and what it found is kept, when nobody asks for it.
const abandoned = 10 * time.Minute

// works are what is done to uploads apart from the requests that ask for it: to read a file of 200 GB may take longer than any proxy waits
// for an answer. There is one of a step at a time for an upload, whoever asks, and however often.
type works struct {
	sync.Mutex
	of map[workOn]*work
}

type workOn struct {
	upload evidence.UploadID
	step   step
}

type step string

const (
	reading    step = "reading"    // what an upload is
	verifying  step = "verifying"  // what the object is that it was made before
	committing step = "committing" // it as an object
)

// work is one of them. Sums and err are there once over is closed.
type work struct {
	want objects.Digest // that of the event that asked first; reading needs none
	over chan struct{}
	sums objects.Sums
	err  error
	stop *time.Timer // ends it when it is abandoned
}

// apart works on an upload, or waits for who does so already, no longer than until patience fires: then it is Pending, and goes on. What an
// upload is stays known for who comes back; what went wrong is told once.
func (v *Vault) apart(ctx context.Context, on workOn, want objects.Digest, patience <-chan time.Time,
	do func(context.Context) (objects.Sums, error)) (objects.Sums, error) {
	for {
		w := v.works.begin(ctx, on, want, do)
		select {
		case <-w.over:
		case <-patience:
			return objects.Sums{}, evidence.Refuse(evidence.Pending, reasonReading)
		case <-ctx.Done():
			return objects.Sums{}, ctx.Err()
		}
		if w.err != nil || w.want != want || on.step == committing {
			v.works.forget(on, w)
		}
		if w.want == want {
			return w.sums, w.err
		}
	}
}

// begin returns the work that is under way, which may be for another digest than the one asked for, or begins it.
func (s *works) begin(ctx context.Context, on workOn, want objects.Digest, do func(context.Context) (objects.Sums, error)) *work {
	s.Lock()
	defer s.Unlock()
	if w := s.of[on]; w != nil {
		w.stop.Reset(abandoned)
		return w
	}
	w := &work{want: want, over: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = time.AfterFunc(abandoned, func() {
		cancel()
		s.forget(on, w)
	})
	s.of[on] = w
	go func() {
		defer cancel()
		w.sums, w.err = do(ctx)
		close(w.over)
	}()
	return w
}

// forget drops a work, if it is still this one.
func (s *works) forget(on workOn, w *work) {
	s.Lock()
	defer s.Unlock()
	if s.of[on] == w {
		w.stop.Stop()
		delete(s.of, on)
	}
}

// makePermanent compares the upload with what the event says of its evidence and makes it an object. It succeeds again after a crash
// between here and the commit of the event, and goes on where it was if it was Pending.
func (v *Vault) makePermanent(ctx context.Context, owner evidence.ActorID, id evidence.UploadID, want evidence.Evidence) error {
	u, err := v.cfg.Records.Upload(ctx, id)
	if evidence.KindOf(err) == evidence.NotFound || err == nil && (u.Owner != owner || !v.cfg.Now().Before(u.Expires)) {
		return evidence.Refuse(evidence.Invalid, "upload")
	}
	if err != nil {
		return err
	}
	patience := time.NewTimer(v.cfg.Limits.Reading)
	defer patience.Stop()
	name := objects.Digest(want.SHA256)
	// By itself: as long as it is no object, another process learns what the upload is from what the store noted, without reading it.
	sums, err := v.apart(ctx, workOn{id, reading}, objects.Digest{}, patience.C, func(ctx context.Context) (objects.Sums, error) {
		return v.readUpload(ctx, id)
	})
	if errors.Is(err, objects.ErrNotFound) { // made an object: before a crash or a refusal, or just now by the same event, sent twice
		sums, err = v.apart(ctx, workOn{id, verifying}, name, patience.C, func(ctx context.Context) (objects.Sums, error) {
			return v.cfg.Objects.Verify(ctx, name)
		})
	}
	switch {
	case errors.Is(err, objects.ErrOffset), errors.Is(err, objects.ErrNotFound):
		return evidence.Refuse(evidence.Invalid, "upload_incomplete")
	case err != nil:
		return storeError(err)
	}
	have := evidence.Evidence{SHA256: evidence.Hash(sums.Digest), Size: sums.Size, Tree: evidence.Hash(sums.Tree)}
	if have != want || u.Size != want.Size {
		return evidence.Refuse(evidence.Invalid, "upload_differs")
	}
	_, err = v.apart(ctx, workOn{id, committing}, name, patience.C, func(ctx context.Context) (objects.Sums, error) {
		_, err := v.cfg.Objects.StageCommit(ctx, string(id), name)
		return sums, err
	})
	if err != nil {
		return storeError(err)
	}
	return nil
}

// readUpload returns the hashes of an upload that is an age file to one post-quantum recipient.
func (v *Vault) readUpload(ctx context.Context, id evidence.UploadID) (objects.Sums, error) {
	sums, err := v.cfg.Objects.StageSums(ctx, string(id))
	if err == nil {
		err = v.checkHeader(ctx, id)
	}
	return sums, err
}
