package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

const (
	maxQueue   = 256 // jobs that wait; beyond it callers wait to be queued
	maxGroup   = 128 // jobs in one transaction
	maxRetries = 5   // of a transaction that others were in the way of
)

// job is one write. do may be called again when a transaction is retried, so it must set, not add to, what it reports to its caller.
type job struct {
	do    func(context.Context, *tx) error
	taken atomic.Bool // by the writer, or by a caller who gave up
	done  chan error
}

// writer runs jobs one after the other, as many as wait in one transaction. One goroutine owns the session.
type writer struct {
	session *session
	queue   chan *job
	quit    chan struct{}
	once    sync.Once
	stopped chan struct{} // closed when the goroutine has ended
}

func startWriter(h handle, known *decoded) *writer {
	w := &writer{
		session: &session{handle: h, decoded: known},
		queue:   make(chan *job, maxQueue),
		quit:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	go w.loop()
	return w
}

// submit has do run in a transaction and returns when that is durable. A caller who gives up before do has begun leaves no trace; later,
// the true result is waited for.
func (d *DB) submit(ctx context.Context, do func(context.Context, *tx) error) (err error) {
	ctx, end := watched(ctx)
	defer func() { end(err) }()
	w := d.writer
	j := &job{do: do, done: make(chan error, 1)}
	select {
	case <-w.quit:
		return fail(d.dialect, errClosed)
	default:
	}
	select {
	case w.queue <- j:
	case <-w.quit:
		return fail(d.dialect, errClosed)
	case <-ctx.Done():
		return fail(d.dialect, ctx.Err())
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		if j.taken.CompareAndSwap(false, true) {
			return fail(d.dialect, ctx.Err())
		}
	case <-w.stopped:
		if j.taken.CompareAndSwap(false, true) {
			return fail(d.dialect, errClosed)
		}
	}
	return <-j.done
}

func (w *writer) stop() {
	w.once.Do(func() { close(w.quit) })
	<-w.stopped
}

func (w *writer) loop() {
	defer close(w.stopped)
	defer w.session.reset(false)
	for {
		select {
		case <-w.quit:
			return
		default:
		}
		select {
		case <-w.quit:
			return
		case first := <-w.queue:
			w.group(w.collect(first))
		}
	}
}

// collect takes what waits besides first, without waiting.
func (w *writer) collect(first *job) []*job {
	var jobs []*job
	for next := first; ; {
		if next.taken.CompareAndSwap(false, true) {
			jobs = append(jobs, next)
		}
		if len(jobs) == maxGroup {
			return jobs
		}
		select {
		case next = <-w.queue:
		default:
			return jobs
		}
	}
}

// group runs the jobs in one transaction and answers them. If the engine failed at one of them, none was written and each is run alone:
// then only those fail that must.
func (w *writer) group(jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	answers, err := w.commit(jobs)
	if errors.Is(err, errInJob) && len(jobs) > 1 {
		for _, j := range jobs {
			w.group([]*job{j})
		}
		return
	}
	for i, j := range jobs {
		if err != nil {
			j.done <- err
		} else {
			j.done <- answers[i]
		}
	}
}

var (
	// errInJob marks an error of the engine before COMMIT: nothing was written.
	errInJob = errors.New("statement failed")
	// errInCommit marks a failed COMMIT: what was written may be durable or not. Callers repeat their request, which is then answered
	// from the records if it is.
	errInCommit = errors.New("commit failed")
)

// commit runs the jobs in one transaction and returns what each is answered. It begins again when another process was in the way.
func (w *writer) commit(jobs []*job) ([]error, error) {
	for try, apart := 0, false; ; try++ {
		// Not a caller's context: one who gives up must not end the transaction of others.
		answers, err := w.try(context.Background(), jobs, apart)
		if err == nil {
			return answers, nil
		}
		if errors.Is(err, errHalfDone) {
			apart = true
			continue
		}
		h := w.session.handle
		failure, ended := h.dialect.failure(err), errors.Is(err, errInCommit)
		w.session.reset(failure == unreachable)
		switch {
		case (failure == retryable || failure == unreachable && !ended) && try < maxRetries:
			time.Sleep(time.Millisecond << try)
		case (failure == otherFailure || failure == unreachable) && ended:
			return nil, evidence.Fail(evidence.Internal, "outcome_unknown", err)
		default:
			return nil, h.fail(err)
		}
	}
}

// try runs the jobs in one transaction, each with a savepoint of its own if apart.
func (w *writer) try(ctx context.Context, jobs []*job, apart bool) ([]error, error) {
	begun, err := w.session.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer begun.Rollback() // does nothing after Commit
	answers := make([]error, len(jobs))
	var erasers []int
	for i, j := range jobs {
		t := &tx{session: w.session}
		refusal, err := t.run(ctx, j.do, apart)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errInJob, err)
		}
		if refusal != nil {
			answers[i] = refusal
		} else if t.erased {
			erasers = append(erasers, i)
		}
	}
	// Commit point: once Commit returns nil, what the jobs wrote is durable. They are answered after it, the refused ones too, since
	// they were judged by what others wrote in the same transaction.
	if err := begun.Commit(); err != nil {
		return nil, fmt.Errorf("%w: %w", errInCommit, err)
	}
	if len(erasers) > 0 {
		err := w.session.erase(ctx)
		for _, i := range erasers {
			answers[i] = err
		}
	}
	return answers, nil
}
