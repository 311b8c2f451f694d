package daemon

import (
	"context"
	"sync/atomic"
	"time"
)

// A vault is shared whose records, log and objects are all where every machine reaches them. Any number of processes serve it at once, each
// from a copy of the vault's folder, which then holds nothing but settings, keys, the trust file and the process's own memory of the last
// checkpoint. What only one of them should do at a time it does under a lease; a process that lost one and does not know it does no harm.
const (
	logWork   = "log"
	scrubWork = "scrub"
	leadTime  = 10 * time.Second
	scrubTime = 5 * time.Minute // within which some items are read, or the scrub is another's
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

// hold takes or renews some work for this process.
func (p *parts) hold(ctx context.Context, work string, life time.Duration) (bool, error) {
	return p.records.Lease(ctx, work, p.process(), p.options.Now(), life)
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
	case off && !wasOff:
		p.options.Logger.Warn("clock_differs", "ahead_of_records_seconds", ahead.Seconds())
	case wasOff && !off:
		p.options.Logger.Info("clock_agrees")
	}
}

// clockOff is how many seconds the clock is ahead of the records', 0 where that is no more than tolerated.
func (p *parts) clockOff() float32 {
	ahead := time.Duration(p.clock.ahead.Load())
	if ahead.Abs() <= clockTolerance {
		return 0
	}
	return float32(ahead.Seconds())
}
