package client

import (
	"sync/atomic"
	"testing"
	"time"
)

// later is a clock that tests set forward.
type later struct{ by atomic.Int64 }

func (l *later) now() time.Time { return time.Now().Add(time.Duration(l.by.Load())) }

// pass lets time go by, for the vault and for everybody's devices.
func (l *later) pass(d time.Duration) { l.by.Add(int64(d)) }

// newLaterWorld is a world whose clocks can be set forward.
func newLaterWorld(t *testing.T) (*world, *later) {
	t.Helper()
	clock := &later{}
	o := options
	o.Now = clock.now
	w := newWorldWith(t, o)
	for _, p := range []*person{w.admin, w.custodian, w.second, w.clinician, w.investigator, w.court} {
		w.setClock(p, clock)
	}
	return w, clock
}

func (w *world) setClock(p *person, clock *later) {
	p.cfg.Now, p.clock.now = clock.now, clock.now
}
