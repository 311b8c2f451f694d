package campaign

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// history is every question about a stream that anybody put to any replica, and its answer: when it was asked and when it was answered, by
// one clock. What was sent and never answered may have happened, at any time since.
type history struct {
	keys  tlog.LogKeys
	began time.Time

	mu     sync.Mutex
	asked  map[ev.Stream][]porcupine.Operation // the input is a step
	lost   []accepted                          // of which nobody knows
	places map[ev.Hash]accepted                // of every event that was sent
	newest int64                               // size of the largest checkpoint that was shown
	older  [][2]int64                          // checkpoints that were smaller than one shown before
}

func newHistory(keys tlog.LogKeys) *history {
	return &history{keys: keys, began: time.Now(), asked: make(map[ev.Stream][]porcupine.Operation), places: make(map[ev.Hash]accepted)}
}

func (h *history) now() int64 { return int64(time.Since(h.began)) }

// never is when something returns that did not.
const never = math.MaxInt64

func (h *history) note(client int, s ev.Stream, call, ret int64, did step) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked[s] = append(h.asked[s], porcupine.Operation{ClientId: client, Input: did, Call: call, Return: ret})
}

// chain is a stream as everybody should find it: what was accepted, and how much of it is in the log.
type chain struct {
	leaves   []ev.Hash // never changed in place
	included int64
}

func (c chain) length() int64 { return int64(len(c.leaves)) }

func (c chain) has(seq int64, leaf ev.Hash) bool { return seq < c.length() && c.leaves[seq] == leaf }

// step is something that was asked, with its answer. It reports whether it could be so at a moment when the stream was like this, and how the
// stream is then.
type step interface {
	apply(c chain) (chain, bool)
}

// existed is what there was before anybody looked.
type existed struct{ chain }

func (s existed) apply(chain) (chain, bool) { return s.chain, true }

// accepted is an event that took its place, or had it already.
type accepted struct {
	stream     ev.Stream
	seq        int64
	prev, leaf ev.Hash
	call       int64 // where it is not known whether it was
	client     int
}

func (s accepted) free(c chain) bool {
	return s.seq == c.length() && (s.seq == 0 || c.leaves[s.seq-1] == s.prev)
}

func (s accepted) apply(c chain) (chain, bool) {
	switch {
	case c.has(s.seq, s.leaf):
	case s.free(c):
		c.leaves = append(slices.Clip(c.leaves), s.leaf)
	default:
		return c, false
	}
	return c, true
}

// refused is an event that came too late for its place.
type refused struct{ accepted }

func (s refused) apply(c chain) (chain, bool) { return c, !s.free(c) && !c.has(s.seq, s.leaf) }

// included is an event that is in the log.
type included struct {
	seq  int64
	leaf ev.Hash
}

func (s included) apply(c chain) (chain, bool) {
	c.included = max(c.included, s.seq+1)
	return c, c.has(s.seq, s.leaf)
}

// pending is one that is accepted, and not in the log.
type pending included

func (s pending) apply(c chain) (chain, bool) { return c, c.has(s.seq, s.leaf) && c.included <= s.seq }

// listed is a page of the stream.
type listed struct {
	from     int64
	leaves   []ev.Hash
	included int  // how many of them are in the log
	end      bool // it is not full
	broken   bool // one is in the log before an earlier one, or in another's place
}

func (s listed) apply(c chain) (chain, bool) {
	upto := s.from + int64(len(s.leaves))
	if s.broken || upto > c.length() && len(s.leaves) > 0 || s.end && upto < c.length() {
		return c, false
	}
	if len(s.leaves) == 0 {
		return c, true
	}
	known := s.from + int64(s.included)
	if !slices.Equal(c.leaves[s.from:upto], s.leaves) || s.included < len(s.leaves) && c.included > known {
		return c, false
	}
	c.included = max(c.included, known)
	return c, true
}

// counted is how long a publication says that the stream is, which may be an earlier one.
type counted struct{ n int64 }

func (s counted) apply(c chain) (chain, bool) {
	c.included = max(c.included, s.n)
	return c, s.n <= c.length()
}

// streamModel is what a stream may do. A stream's last leaf stands for all of it, because each names the one before.
var streamModel = porcupine.Model{
	Init: func() any { return chain{} },
	Step: func(state, input, _ any) (bool, any) {
		next, ok := input.(step).apply(state.(chain))
		return ok, next
	},
	Equal: func(x, y any) bool {
		a, b := x.(chain), y.(chain)
		return a.included == b.included && a.length() == b.length() && (a.length() == 0 || a.leaves[a.length()-1] == b.leaves[b.length()-1])
	},
	Hash: func(state any) uint64 {
		c := state.(chain)
		return uint64(c.included)<<32 ^ uint64(c.length())
	},
}

// undecided is how long it may take to find an order.
const undecided = 5 * time.Minute

// inOneOrder demands that everything that was asked of a stream and answered could have been asked one after the other, each between its
// call and its return, of one stream in one place.
func inOneOrder(t testing.TB, s ev.Stream, asked []porcupine.Operation) {
	t.Helper()
	switch porcupine.CheckOperationsTimeout(streamModel, asked, undecided) {
	case porcupine.Ok:
		return
	case porcupine.Unknown:
		t.Errorf("%s %s: %d questions, and no order was found in %s", s.Type, s.ID, len(asked), undecided)
		return
	}
	t.Errorf("%s %s: what was answered has no order", s.Type, s.ID)
	_, info := porcupine.CheckOperationsVerbose(streamModel, asked, undecided)
	var best []porcupine.Operation
	for _, part := range info.PartialLinearizationsOperations()[0] {
		if len(part) > len(best) {
			best = part
		}
	}
	placed := make(map[[3]int64]int)
	key := func(o porcupine.Operation) [3]int64 { return [3]int64{int64(o.ClientId), o.Call, o.Return} }
	for _, o := range best {
		placed[key(o)]++
	}
	left := slices.DeleteFunc(slices.Clone(asked), func(o porcupine.Operation) bool { placed[key(o)]--; return placed[key(o)] >= 0 })
	slices.SortFunc(left, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	for _, o := range best[max(0, len(best)-5):] {
		t.Logf("  fits      %d, %v to %v: %T %+v", o.ClientId, time.Duration(o.Call), time.Duration(o.Return), o.Input, o.Input)
	}
	for _, o := range left[:min(len(left), 10)] {
		t.Logf("  does not  %d, %v to %v: %T %+v", o.ClientId, time.Duration(o.Call), time.Duration(o.Return), o.Input, o.Input)
	}
}

// check holds the whole history against what is stored at the end: entries, in commit order.
func (h *history) check(t testing.TB, founding map[ev.Hash]bool, entries []ledger.Entry) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, sizes := range h.older {
		t.Errorf("after a checkpoint of size %d a replica showed one of size %d", sizes[0], sizes[1])
	}
	end, total, most := h.now(), 0, 0
	stored, final, before := make(map[ev.Hash]bool), make(map[ev.Stream]chain), make(map[ev.Stream]chain)
	for _, e := range entries {
		stored[e.LeafHash] = true
		c := final[e.Stream]
		if c.leaves = append(c.leaves, e.LeafHash); e.Included() {
			c.included = c.length()
		}
		final[e.Stream] = c
		if founding[e.LeafHash] {
			before[e.Stream] = c
		}
	}
	add := func(s ev.Stream, call, ret int64, did step) {
		h.asked[s] = append(h.asked[s], porcupine.Operation{Input: did, Call: call, Return: ret})
	}
	// What was not answered and is not there did not happen: if anybody saw it, there is no order in which he could.
	for _, a := range h.lost {
		if stored[a.leaf] {
			h.asked[a.stream] = append(h.asked[a.stream], porcupine.Operation{ClientId: a.client, Input: a, Call: a.call, Return: never})
		}
	}
	for s, c := range before {
		add(s, -2, -1, existed{chain{slices.Clip(c.leaves), c.included}})
	}
	for _, e := range entries { // the vault's own
		if _, sent := h.places[e.LeafHash]; !sent && !founding[e.LeafHash] {
			a := accepted{seq: e.Seq, leaf: e.LeafHash}
			if e.Seq > 0 && len(e.Stands) > 0 {
				a.prev = e.Stands[0]
			}
			add(e.Stream, 0, never, a)
		}
	}
	for s, asked := range h.asked {
		c := final[s]
		add(s, end, end, listed{leaves: c.leaves, included: len(c.leaves), end: true})
		inOneOrder(t, s, h.asked[s])
		total, most = total+len(asked), max(most, len(asked))
	}
	t.Logf("%d questions about %d streams, up to %d about one; %d events were sent without an answer", total, len(h.asked), most, len(h.lost))
}
