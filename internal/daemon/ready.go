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
	probeEvery = time.Second     // whoever asks
)

// readiness asks what the vault stands on. Anybody may ask this, so it is asked on at most once a second.
type readiness struct {
	mu    sync.Mutex
	asked time.Time
	on    wire.Dependencies
}

// ready says what decides on whether new requests are welcome here.
func (p *parts) ready(ctx context.Context) wire.Health {
	on := p.dependencies(ctx)
	return wire.Health{Dependencies: &on, Draining: p.draining.Load(), Clock: p.clockOff()}
}

// dependencies says how the vault's records, log and objects answer, and logs what changes.
func (p *parts) dependencies(ctx context.Context) wire.Dependencies {
	r := &p.readiness
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.asked.IsZero() && time.Since(r.asked) < probeEvery {
		return r.on
	}
	// Who asked may go away; the answer is for others too.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTime)
	defer cancel()
	var asking sync.WaitGroup
	before := r.on
	ask := func(name string, state *wire.Dependency, probe func(context.Context) (wire.Dependency, error)) {
		asking.Go(func() {
			was := *state
			now, err := probe(ctx)
			if err != nil {
				now = wire.DependencyDown
			}
			switch *state = now; {
			case now == was || was == "" && now == wire.DependencyOk:
			case now == wire.DependencyOk:
				p.options.Logger.Info("dependency_back", "name", name)
			default:
				p.options.Logger.Error("dependency_"+string(now), "name", name, "err", err)
			}
		})
	}
	now := before
	ask("records", &now.Records, func(ctx context.Context) (wire.Dependency, error) {
		_, err := p.records.Checkpoint(ctx)
		return wire.DependencyOk, err
	})
	ask("log", &now.Log, p.logState)
	ask("objects", &now.Objects, func(ctx context.Context) (wire.Dependency, error) {
		_, _, err := p.objects.Stat(ctx, objects.Digest{}) // that of nothing that is known
		if errors.Is(err, objects.ErrNotFound) {
			err = nil
		}
		return wire.DependencyOk, err
	})
	asking.Wait()
	r.on, r.asked = now, time.Now()
	return now
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
