package dossier

import (
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// newShared is a world with one item shared to the court.
func newShared(t testing.TB) (*world, ev.ItemID) {
	w := newWorld(t)
	id := w.deposit("left forearm, three marks")
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	w.share(id)
	return w, id
}

func TestReplay(t *testing.T) {
	w, id := newShared(t)
	x := w.excerpt(ev.ItemOf(id))
	h, findings := Replay(w.trust, x)
	for _, f := range findings {
		t.Errorf("%v %v in %s %d", f.Result, f, f.Stream, f.Seq)
	}
	if len(h.Streams()) != 11 {
		t.Errorf("%d streams: %v", len(h.Streams()), h.Streams())
	}
	for _, s := range h.Streams() {
		if h.State(s) == nil || h.State(s).Tip() != w.facts.States[s].Tip() {
			t.Errorf("%s has another state", s)
		}
	}
}
