package ledger_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
)

// seen are the records of a process that follows: how often it reads the whole heads map, and what it is told wrongly.
type seen struct {
	ledger.Records
	whole atomic.Int64
	while func()      // is called before and after it
	omits atomic.Bool // places it is told of lack one
}

type blind struct{}

// Entry tells who must not look that nothing is included.
func (s *seen) Entry(ctx context.Context, leaf ev.Hash) (ledger.Entry, error) {
	e, err := s.Records.Entry(ctx, leaf)
	if ctx.Value(blind{}) != nil {
		e.Receipt = nil
	}
	return e, err
}

func (s *seen) HeadsBuckets(ctx context.Context, f func(uint16, heads.Summary) error) error {
	if s.whole.Add(1) == 1 && s.while != nil {
		s.while()
		defer s.while()
	}
	return s.Records.HeadsBuckets(ctx, f)
}

func (s *seen) Places(ctx context.Context, start, end int64) ([]ledger.Place, error) {
	list, err := s.Records.Places(ctx, start, end)
	if s.omits.Load() && len(list) > 0 {
		list = list[1:]
	}
	return list, err
}

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// While the leader publishes, and for as long as it is stopped there, whoever follows proves under the publication before. It goes on from one
// to the next without reading the map anew, unless what it makes of the log is something else than what was published.
func TestProofsMeanwhile(t *testing.T) {
	w := newWorld(t).alone()
	g, s := &gate{}, &seen{}
	a := w.beside(t, true, func(c *ledger.Config) { c.Records, c.Tree = gatedRecords{c.Records, g}, gatedTree{c.Tree, g} })
	b := w.beside(t, false, func(c *ledger.Config) { s.Records = c.Records; c.Records = s })
	a.led()
	ctx := patient(t)
	var streams []ev.Stream
	var last ledger.Entry
	for range 8 {
		last = b.post()
		streams = append(streams, last.Stream)
	}
	reads := s.whole.Load()
	for _, leaf := range w.accepted(a, 1) { // it may still publish what came before
		a.await(leaf)
	}
	before := must(b.Complete(ctx, streams, b.Size()-1))
	reached, release := g.arm("after Commit")
	defer release()
	w.accepted(a, 64)
	<-reached
	for range 3 {
		c := must(b.Complete(ctx, streams, last.Index))
		if c.Covers < before.Covers {
			t.Errorf("it proves under %d entries, after %d", c.Covers, before.Covers)
		}
		b.checkComplete(c, must(w.db.LogRange(ctx, 0, c.Covers)))
	}
	release()
	newest := b.post()
	b.checkComplete(must(b.Complete(ctx, streams, newest.Index)), must(w.db.LogRange(ctx, 0, 1<<20)))
	if n := s.whole.Load() - reads; n > 0 {
		t.Errorf("the map was read anew %d times", n)
	}
	s.omits.Store(true)
	newest = a.post()
	b.checkComplete(must(b.Complete(ctx, streams, newest.Index)), must(w.db.LogRange(ctx, 0, 1<<20)))
	s.omits.Store(false)
	if n := s.whole.Load() - reads; n == 0 {
		t.Error("what the log does not make was believed")
	}
	b.check()
}

// A process begins while another one publishes, before and after it has read the map.
func TestOpenMeanwhile(t *testing.T) {
	w := newWorld(t).alone()
	a := w.beside(t, true)
	a.led()
	publish := func() { e := a.post(); must(a.Complete(patient(t), nil, e.Index)) }
	publish()
	s := &seen{while: publish}
	b := w.beside(t, false, func(c *ledger.Config) { s.Records = c.Records; c.Records = s })
	if s.whole.Load() < 2 {
		t.Error("a map that was of no moment was taken")
	}
	b.check()
}

// Who waits is told by the process that follows, and need not look.
func TestTold(t *testing.T) {
	w := newWorld(t).alone()
	s := &seen{}
	a, b := w.beside(t, true), w.beside(t, false, func(c *ledger.Config) { s.Records = c.Records; c.Records = s })
	a.led()
	eventually(t, "somebody is told", func() bool { // who comes after it is in the log has to look
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), blind{}, true), 3*time.Second)
		defer cancel()
		_, err := b.Await(ctx, w.accepted(b, 1)[0])
		return err == nil
	})
}

// An event that is under a checkpoint before it is itself included, by whichever process, reaches who waits for it in another one.
func TestIncludedLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t).alone()
	early, late := &gate{}, &gate{}
	gated := func(g *gate) func(*ledger.Config) {
		return func(c *ledger.Config) { c.Records, c.Tree = gatedRecords{c.Records, g}, gatedTree{c.Tree, g} }
	}
	a, b, c := w.beside(t, true, gated(early)), w.beside(t, false, gated(late)), w.beside(t, false)
	a.led()
	a.check()
	read, include := early.arm("after Pending")
	defer include()
	first := w.accepted(c, 1)[0]
	<-read
	second := w.accepted(c, 1)[0]
	appended, goOn := late.arm("after Append")
	defer goOn()
	b.leads.Store(true)
	<-appended
	waiting := make(chan error)
	go func() { _, err := c.Await(patient(t), second); waiting <- err }()
	stored, next := early.arm("after Include")
	defer next()
	include()
	<-stored
	e := c.await(first)
	eventually(t, "both are under a checkpoint", func() bool { return c.Size() > e.Index+1 })
	time.Sleep(100 * time.Millisecond) // c has told whom it can
	next()
	goOn()
	if err := <-waiting; err != nil {
		t.Fatal(err)
	}
	c.check(first, second)
}
