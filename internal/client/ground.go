package client

import (
	"context"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// grounded is how long one look serves several deposits. The vault refuses a deposit whose basis has moved on, and the log shows one that
// was accepted all the same; so what a look misses is an act of the last minute that a lying vault hides, which it could hide from a look
// of a minute ago as well.
const grounded = time.Minute

// ground is the newest look that deposits stood on.
type ground struct {
	client *Client

	sync.Mutex // held while looking, so that one look serves all who wait
	view       *View
	at         time.Time // by the device's clock
	served     bool      // to more than the one for whom it was made
}

func (g *ground) look(ctx context.Context, streams ...evidence.Stream) (*View, error) {
	g.Lock()
	defer g.Unlock()
	now := g.client.cfg.Now()
	if age := now.Sub(g.at); g.view != nil && 0 <= age && age < grounded && g.view.shows(streams) {
		g.served = true
		return g.view, nil
	}
	err := g.client.patiently(ctx, func() error {
		view, err := g.client.Look(ctx, streams...)
		if err == nil {
			g.view, g.at, g.served = view, now, false
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return g.view, nil
}

func (g *ground) outdated(v *View) (older bool) {
	g.Lock()
	defer g.Unlock()
	if g.view != v {
		return true // somebody has looked since
	}
	g.view = nil
	return g.served
}

func (v *View) shows(streams []evidence.Stream) bool {
	for _, s := range streams {
		if v.facts.States[s] == nil {
			return false
		}
	}
	return true
}
