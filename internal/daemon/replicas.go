package daemon

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// A vault is shared whose records, log and objects are all where every machine reaches them. Any number of processes serve it at once, each
// from a copy of the vault's folder, which then holds nothing but settings, keys, the trust file and the process's own memory of the last
// checkpoint. What only one of them should do at a time it does under a lease; a process that lost one and does not know it does no harm.
const (
	logWork   = "log"
	scrubWork = "scrub"
	leadTime  = 10 * time.Second
	scrubTime = 5 * time.Minute // after which the scrub of a replica that is gone is another's
)

// clockTolerance is what clocks of replicas may differ by without a word. Signed times may be two minutes off (FORMATS §3).
const clockTolerance = 2 * time.Second

func (p *parts) shared() bool {
	return p.settings.Records == inPostgreSQL && p.settings.Tree != 0 && p.config.Objects.S3 != nil
}

// process is what other processes call this one.
func (p *parts) process() string {
	if !p.shared() {
		return "embedded" // nobody else has the vault
	}
	return p.lease.holder
}

// lead reports whether this process includes, publishes and asks for all replicas. Where there can be no other it does.
func (p *parts) lead() func(context.Context) (bool, error) {
	if !p.shared() {
		return nil
	}
	return func(ctx context.Context) (bool, error) { return p.hold(ctx, logWork, leadTime) }
}

// hold takes or renews some work for this process. One whose clock is wrong gives it back: it would sign with times that nobody accepts later,
// or that keep everybody else from signing.
func (p *parts) hold(ctx context.Context, work string, life time.Duration) (bool, error) {
	if life > 0 {
		if p.watchClock(ctx); p.clockWrong() {
			_, err := p.records.Lease(ctx, work, p.process(), p.options.Now(), 0)
			return false, err
		}
	}
	return p.records.Lease(ctx, work, p.process(), p.options.Now(), life)
}

// holding takes some work for this process and renews it while it is done, however long that takes. The context that it returns ends with lost
// as its cause once another process has it. While the records do not answer nobody gets it there.
func (p *parts) holding(ctx context.Context, work string, life time.Duration, lost error) (held context.Context, stop func(), err error) {
	if mine, err := p.hold(ctx, work, life); err != nil || !mine {
		return nil, nil, cmp.Or(err, lost)
	}
	held, end := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		for pause(held, life/3); held.Err() == nil; pause(held, life/3) {
			if mine, err := p.hold(held, work, life); err == nil && !mine {
				end(lost)
			}
		}
	})
	return held, func() { end(nil); renewing.Wait() }, nil
}

// release gives work back, so that another replica need not wait for its end.
func (p *parts) release(works ...string) {
	if p.lease == nil || !p.shared() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, work := range works {
		if holder, _, err := p.records.Leased(ctx, work); err != nil || holder != p.process() {
			continue
		}
		if _, err := p.hold(ctx, work, 0); err != nil {
			p.options.Logger.Warn("lease_not_given_back", "work", work, "err", err)
		}
	}
}

// clock is how far this process's clock is ahead of that of the records.
type clock struct{ ahead atomic.Int64 }

// watchClock looks at both, and says when they begin to differ and when they do no more.
func (p *parts) watchClock(ctx context.Context) {
	began := p.options.Now()
	theirs, err := p.records.Clock(ctx)
	if err != nil || theirs.IsZero() {
		return
	}
	took := p.options.Now().Sub(began)
	ahead := began.Add(took / 2).Sub(theirs)
	if ahead.Abs() <= took/2 { // no more can be said
		ahead = 0
	}
	was := time.Duration(p.clock.ahead.Swap(int64(ahead)))
	switch off, wasOff := ahead.Abs() > clockTolerance, was.Abs() > clockTolerance; {
	case ahead.Abs() > evidence.Clock:
		if was.Abs() <= evidence.Clock {
			p.options.Logger.Error("clock_wrong", "ahead_of_records_seconds", ahead.Seconds())
		}
	case off && !wasOff:
		p.options.Logger.Warn("clock_differs", "ahead_of_records_seconds", ahead.Seconds())
	case wasOff && !off:
		p.options.Logger.Info("clock_agrees")
	}
}

// clockWrong reports whether the clock is further from the records' than that of who signs may be from ours.
func (p *parts) clockWrong() bool { return time.Duration(p.clock.ahead.Load()).Abs() > evidence.Clock }

// clockOff is how many seconds the clock is ahead of the records', 0 where that is no more than tolerated.
func (p *parts) clockOff() float32 {
	ahead := time.Duration(p.clock.ahead.Load())
	if ahead.Abs() <= clockTolerance {
		return 0
	}
	return float32(ahead.Seconds())
}
