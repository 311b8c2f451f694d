package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/translog/remote"
	"strongroom.example/strongroom/internal/wire"
)

const (
	probeTime  = 3 * time.Second // that an answer may take
	probeWait  = time.Second     // for log and objects: who balances asks every two seconds, and does not wait longer
	probeEvery = time.Second     // whoever asks
)

// readiness is what the vault stands on, as it answered last.
type readiness struct {
	records, log, objects probe
	asking                sync.WaitGroup
}

// probe asks one of them. Anybody may ask for it, so it is asked on at most once a second.
type probe struct {
	mu    sync.Mutex
	asked time.Time
	state wire.Dependency // "" before the first answer
	under chan struct{}   // closed once the question under way has its answer; nil: none is
}

// ready says what decides on whether new requests are welcome here.
func (p *parts) ready(ctx context.Context) wire.Health {
	on := p.dependencies(ctx)
	return wire.Health{Dependencies: &on, Draining: p.draining.Load(), Clock: p.clockOff()}
}

// dependencies says how the vault's records, log and objects answer, and logs what changes. Of log and objects, without which the vault
// serves, it says what they answered last if they take longer than a balancer waits: a bucket that hangs must not make the vault seem to.
func (p *parts) dependencies(ctx context.Context) (on wire.Dependencies) {
	r := &p.readiness
	var asking sync.WaitGroup
	ask := func(name string, q *probe, wait time.Duration, state *wire.Dependency, question func(context.Context) (wire.Dependency, error)) {
		asking.Go(func() { *state = p.ask(ctx, name, q, wait, question) })
	}
	ask("records", &r.records, 0, &on.Records, func(ctx context.Context) (wire.Dependency, error) {
		_, err := p.records.Checkpoint(ctx)
		return wire.DependencyOk, errors.Join(err, p.ledger.Sound())
	})
	ask("log", &r.log, probeWait, &on.Log, p.logState)
	ask("objects", &r.objects, probeWait, &on.Objects, func(ctx context.Context) (wire.Dependency, error) {
		_, _, err := p.objects.Stat(ctx, objects.Digest{}) // that of nothing that is known
		if errors.Is(err, objects.ErrNotFound) {
			err = nil
		}
		return wire.DependencyOk, err
	})
	asking.Wait()
	return on
}

// ask returns the newest answer that is there after wait, if there is any yet; with wait 0 that to the question under way. An answer that
// nobody waits for any more is for whoever asks next.
func (p *parts) ask(ctx context.Context, name string, q *probe, wait time.Duration, question func(context.Context) (wire.Dependency, error)) wire.Dependency {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.under == nil && (q.asked.IsZero() || time.Since(q.asked) >= probeEvery) {
		under := make(chan struct{})
		q.under = under
		p.readiness.asking.Go(func() {
			defer close(under)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
			defer cancel()
			now, err := question(ctx)
			if err != nil {
				now = wire.DependencyDown
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			switch {
			case now == q.state || q.state == "" && now == wire.DependencyOk:
			case now == wire.DependencyOk:
				p.options.Logger.Info("dependency_back", "name", name)
			default:
				p.options.Logger.Error("dependency_"+string(now), "name", name, "err", err)
			}
			q.state, q.asked, q.under = now, time.Now(), nil
		})
	}
	if under := q.under; under != nil {
		var late <-chan time.Time
		if wait > 0 && q.state != "" {
			late = time.After(wait)
		}
		q.mu.Unlock()
		select {
		case <-under:
		case <-late:
		}
		q.mu.Lock()
	}
	return q.state
}

func (p *parts) logState(ctx context.Context) (wire.Dependency, error) {
	server, ok := p.tree.(*remote.Log)
	if !ok {
		_, err := p.tree.Root(ctx)
		return wire.DependencyOk, err
	}
	h, err := server.Health(ctx)
	if h.Late {
		return wire.DependencyLate, err
	}
	return wire.DependencyOk, err
}
