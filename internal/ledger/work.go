package ledger

import (
	"context"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

const (
	soonest = 50 * time.Millisecond // before a failure is tried again
	latest  = 5 * time.Second
	quiet   = 50 * time.Millisecond  // without a new event before the heads map is published
	gather  = 100 * time.Millisecond // that a wave waits at most for the events that are just being committed
	look    = time.Second            // before the records are looked at where nothing happens: they may have gone back

	// With other processes.
	glance = 20 * time.Millisecond  // before the records are looked at again
	breath = 250 * time.Millisecond // after a publication, before there is another where nobody here asks for one
)

// run includes what is pending until ctx ends. A failure is retried for ever: the events wait in the records. It calls well after each step
// that did not fail.
func (l *Ledger) run(ctx context.Context, well func()) {
	delay, idle := 2*soonest, false
	for ctx.Err() == nil {
		progressed, err := l.step(ctx, idle)
		if err == nil {
			well()
		}
		if progressed {
			delay = 2 * soonest
		}
		switch {
		case err != nil && ctx.Err() == nil:
			l.cfg.Logger.Error("log_append_failed", "reason", evidence.ReasonOf(err), "err", err, "retry_in", delay)
			wait(ctx, soonest, nil)
			wait(ctx, delay-soonest, l.wake) // the failure need not concern what arrives meanwhile
			delay, idle = min(2*delay, latest), true
		case progressed:
			idle = false
		case l.lead != nil:
			idle = !wait(ctx, glance, l.wake)
		case idle:
			idle = !wait(ctx, look, l.wake)
		default:
			idle = !wait(ctx, quiet, l.wake)
		}
	}
}

// wait returns when ctx ends, after d unless d is 0, or when woken; it reports whether it was woken.
func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	var timer <-chan time.Time
	switch {
	case d > 0:
		timer = time.After(d)
	case wake == nil:
		return false
	}
	select {
	case <-wake:
		return true
	case <-timer:
	case <-ctx.Done():
	}
	return false
}

// step takes one wave into the log, and publishes the heads map if it is time. It reports whether there was anything to do.
func (l *Ledger) step(ctx context.Context, idle bool) (bool, error) {
	// What others have signed is to be extended. Where there are none, records that went back are found out by it.
	if err := l.followLog(ctx); err != nil {
		return false, err
	}
	if l.unsure != nil {
		if err := l.store(ctx, *l.unsure); err != nil {
			return false, err
		}
	}
	l.gatherWave(ctx)
	pending, err := l.cfg.Records.Pending(ctx, maxWave)
	if err != nil {
		return false, err
	}
	if len(pending) > 0 {
		if err := l.include(ctx, wave(pending)); err != nil {
			return false, err
		}
	}
	if l.lead != nil {
		if err := l.followHeads(ctx); err != nil {
			return false, err
		}
	}
	if l.publicationDue(idle && len(pending) == 0 && l.begun.Load() == l.ended.Load()) {
		published, err := l.publishHeads(ctx)
		return published || len(pending) > 0, err
	}
	return len(pending) > 0, nil
}

// publicationDue reports whether to publish the heads map: when nothing has come for a while, when somebody waits for it, or when much is
// uncovered. Whoever waits in another process cannot be heard, so where there are others it does not take long.
func (l *Ledger) publicationDue(quiet bool) bool {
	due := quiet || l.asking.Load() > 0 || l.last.Size-l.accepted.covers >= maxUncovered
	if l.lead == nil {
		return due
	}
	if !due && l.last.Size > l.accepted.covers {
		select {
		case <-l.followed.breath:
			l.followed.breath, due = nil, true
		default:
			due = l.followed.breath == nil
		}
	}
	return due && l.last.Size != l.followed.fruitless
}

// gatherWave waits for the events that are being committed now: many commits come together, and one wave serves them all.
func (l *Ledger) gatherWave(ctx context.Context) {
	begun := l.begun.Load()
	for waited := time.Duration(0); l.ended.Load() < begun && waited < gather; waited += time.Millisecond {
		wait(ctx, time.Millisecond, nil)
	}
}
