package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

const (
	leadAsked  = 2 * time.Second  // how often it is asked who leads, and how long that may take
	leadGood   = 8 * time.Second  // that a yes is good for, from when it was asked
	leadStuck  = 30 * time.Second // without a step that did not fail, before another process may try
	leadPassed = 12 * time.Second // that it is left to others then
	rarely     = 250 * time.Millisecond
)

// lead says whether this process leads, on its own monotonic clock.
type lead struct {
	ask    func(context.Context) (bool, error)
	passed chan struct{} // size 1: others shall have it

	mu   sync.Mutex // guards what follows
	yes  *yes       // the newest; nil: another process leads
	work context.Context
	end  context.CancelFunc
}

// yes is an answer that is good for a while.
type yes struct{ over bool }

// now is the context of the work while this process leads, else nil.
func (l *lead) now() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.work
}

// hold begins or goes on to lead, as long as y is good.
func (l *lead) hold(ctx context.Context, y *yes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if y.over {
		l.drop()
		return
	}
	if l.yes = y; l.work == nil {
		l.work, l.end = context.WithCancel(ctx)
	}
}

// expire ends the lead if y is what it stands on.
func (l *lead) expire(y *yes) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if y.over = true; l.yes == y {
		l.drop()
	}
}

func (l *lead) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop()
}

func (l *lead) drop() {
	if l.work != nil {
		l.end()
	}
	l.yes, l.work, l.end = nil, nil, nil
}

// pass leaves the lead to other processes for a while.
func (l *lead) pass() {
	l.lose()
	wakeUp(l.passed)
}

// join begins to work beside other processes, until ctx ends.
func (l *Ledger) join(ctx context.Context) error {
	if err := l.keepApart(l.newest); err != nil {
		return err
	}
	l.lead = &lead{ask: l.cfg.Lead, passed: make(chan struct{}, 1)}
	l.others.Go(func() { l.askForLead(ctx) })
	if l.publisher != nil {
		l.others.Go(func() { l.publisher.follow(ctx) })
	}
	go l.share(ctx)
	return nil
}

// askForLead asks again and again who leads. An answer is as old as its question.
func (l *Ledger) askForLead(ctx context.Context) {
	defer l.lead.lose()
	for ctx.Err() == nil {
		y := &yes{}
		expiry := time.AfterFunc(leadGood, func() { l.lead.expire(y) })
		mine, err := l.askOnce(ctx)
		switch {
		case err != nil: // the answer before this one is good for as long as it is
			expiry.Stop()
			if ctx.Err() == nil {
				l.cfg.Logger.Warn("log_lead_unknown", "reason", evidence.ReasonOf(err), "err", err)
			}
		case !mine:
			expiry.Stop()
			l.lead.lose()
		default:
			l.lead.hold(ctx, y)
			l.wakeUp()
		}
		if wait(ctx, leadAsked, l.lead.passed) {
			l.lead.lose()
			wait(ctx, leadPassed, nil)
		}
	}
}

func (l *Ledger) askOnce(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, leadAsked)
	defer cancel()
	return l.lead.ask(ctx)
}

// share is the worker of a process among others: it works while it leads, and follows while it does not.
func (l *Ledger) share(ctx context.Context) {
	defer close(l.done)
	delay, trouble := soonest, ""
	for ctx.Err() == nil {
		if work := l.lead.now(); work != nil {
			l.work(work)
			continue
		}
		switch err := l.follow(ctx); {
		case err != nil && ctx.Err() == nil:
			if err.Error() != trouble { // once
				trouble = err.Error()
				l.cfg.Logger.Error("log_follow_failed", "reason", evidence.ReasonOf(err), "err", err)
			}
			wait(ctx, delay, nil)
			delay = min(2*delay, time.Second)
		case l.busy():
			delay, trouble = soonest, ""
			wait(ctx, glance, nil)
		default:
			delay, trouble = soonest, ""
			wait(ctx, rarely, l.wake)
		}
	}
}

// work takes the lead and works until ctx ends. What fails for too long is left to another process: it may be this one that is cut off.
func (l *Ledger) work(ctx context.Context) {
	ctx, end := context.WithCancel(ctx)
	stuck := time.AfterFunc(leadStuck, l.lead.pass)
	defer func() {
		stuck.Stop()
		end()
		if l.publisher != nil {
			l.publisher.running.Wait()
		}
		// What of it is stored is found in the records, what is not waits there.
		l.unsure = nil
	}()
	for delay := soonest; ; delay = min(2*delay, time.Second) {
		err := l.takeOver(ctx)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			return
		}
		if err.Error() != l.followed.refused { // once
			l.followed.refused = err.Error()
			l.cfg.Logger.Error("log_lead_failed", "reason", evidence.ReasonOf(err), "err", err)
		}
		if m := (*Mismatch)(nil); errors.As(err, &m) {
			l.lead.pass()
			return
		}
		wait(ctx, delay, nil)
	}
	l.cfg.Logger.Info("log_lead_taken", "size", l.last.Size)
	l.run(ctx, func() { stuck.Reset(leadStuck) })
	l.cfg.Logger.Info("log_lead_lost", "size", l.last.Size)
}

// takeOver looks at everything as Open does, before the first wave.
func (l *Ledger) takeOver(ctx context.Context) error {
	_, newest, err := l.crossCheck(ctx)
	if err != nil {
		return l.heed(err)
	}
	if newest.Size > l.newest.Size && newest.Size > l.last.Size {
		l.newest = newest
	}
	if err := l.followLog(ctx); err != nil {
		return err
	}
	if err := l.loadHeads(ctx); err != nil {
		return err
	}
	if err := l.publisher.start(ctx); err != nil {
		return err
	}
	l.followed.fruitless, l.followed.refused = 0, ""
	return nil
}
