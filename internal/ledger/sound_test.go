package ledger_test

import (
	"context"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/trail"
)

// takenOver are records that another database takes over while a process is running.
type takenOver struct {
	ledger.Records
	by atomic.Pointer[sqldb.DB]
}

func (r *takenOver) now() ledger.Records {
	if db := r.by.Load(); db != nil {
		return db
	}
	return r.Records
}

func (r *takenOver) Commit(ctx context.Context, c ledger.Commit, judge ledger.Judge) (ledger.Entry, error) {
	return r.now().Commit(ctx, c, judge)
}

func (r *takenOver) Pending(ctx context.Context, limit int) ([]ledger.Entry, error) {
	return r.now().Pending(ctx, limit)
}

func (r *takenOver) Include(ctx context.Context, size int64, checkpoint []byte, included []ledger.Inclusion) error {
	return r.now().Include(ctx, size, checkpoint, included)
}

func (r *takenOver) Checkpoint(ctx context.Context) ([]byte, error) { return r.now().Checkpoint(ctx) }

func (r *takenOver) Entry(ctx context.Context, leaf ev.Hash) (ledger.Entry, error) {
	return r.now().Entry(ctx, leaf)
}

func (r *takenOver) LogRange(ctx context.Context, start, end int64) ([]ledger.Entry, error) {
	return r.now().LogRange(ctx, start, end)
}

func (r *takenOver) Places(ctx context.Context, start, end int64) ([]ledger.Place, error) {
	return r.now().Places(ctx, start, end)
}

func (r *takenOver) States(ctx context.Context, streams ...ev.Stream) (map[ev.Stream]ev.State, error) {
	return r.now().States(ctx, streams...)
}

func (r *takenOver) HeadsBucket(ctx context.Context, prefix uint16) ([]heads.Entry, error) {
	return r.now().HeadsBucket(ctx, prefix)
}

func (r *takenOver) HeadsBuckets(ctx context.Context, f func(uint16, heads.Summary) error) error {
	return r.now().HeadsBuckets(ctx, f)
}

// aside is a world with a copy of the records at this moment, and the same log.
func (w *world) aside(t *testing.T) *world {
	t.Helper()
	w.check()
	w.stop()
	other := w.fork(t)
	w.start()
	w.alone()
	other.db, other.tree = must(sqldb.Open(t.Context(), other.path("records.db"))), w.tree
	t.Cleanup(func() { other.db.Close(); other.db = nil })
	return other
}

// byItself is the configuration of a process that believes to be the only one, and remembers the newest checkpoint.
func byItself(c *ledger.Config) {
	c.Lead = nil
	must(0, os.WriteFile(c.CheckpointFile, must(c.Records.Checkpoint(context.Background())), 0o600))
}

func (r *replica) unsound(t *testing.T) {
	t.Helper()
	eventually(t, "the records are not believed", func() bool { return r.Sound() != nil })
	if err := r.Sound(); ev.KindOf(err) != ev.Internal || ev.ReasonOf(err) != "log" {
		t.Errorf("it is said as %v", err)
	}
}

// An older copy of the records takes over while a process is running, which leads, follows or is alone, and has handed a receipt out for what
// the copy lacks. Its place is not given away, and nothing is accepted, until the newest records are back: then all goes on by itself.
func TestRecordsWentBack(t *testing.T) {
	for name, set := range map[string]func(*ledger.Config){
		"leads": func(*ledger.Config) {}, "alone": byItself,
		"follows": func(c *ledger.Config) { c.Lead = func(context.Context) (bool, error) { return false, nil } },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			old := w.aside(t)
			records := &takenOver{}
			r := w.beside(t, true, set, func(c *ledger.Config) { records.Records = c.Records; c.Records = records })
			if name == "follows" {
				w.beside(t, true)
			}
			lost := r.put(r.configure("2"))
			eventually(t, "it is known here", func() bool { return r.Size() > lost.Index })
			r.check()
			time.Sleep(300 * time.Millisecond) // nothing happens any more
			before := len(must(old.db.Events(t.Context(), 0, 1000)))
			records.by.Store(old.db)
			r.unsound(t)
			second := old.configure("3")
			if _, err := r.accept(second); ev.KindOf(err) != ev.Internal || ev.ReasonOf(err) != "log" {
				t.Errorf("an event at the place of one that has a receipt: %v", err)
			}
			if n := len(must(old.db.Events(t.Context(), 0, 1000))); n != before {
				t.Errorf("the older records grew by %d events", n-before)
			}
			if n := r.loud.times("accepting_stopped"); n != 1 {
				t.Errorf("it is said %d times", n)
			}
			records.by.Store(nil)
			eventually(t, "the newest records are believed", func() bool { return r.Sound() == nil })
			if _, err := r.accept(second); ev.KindOf(err) != ev.Conflict {
				t.Errorf("the place of another event: %v", err)
			}
			r.check(r.put(r.openCase("a")).LeafHash, lost.LeafHash)
		})
	}
}

// That the records do not answer says nothing against them.
func TestUnavailableIsSound(t *testing.T) {
	w := newWorld(t).alone()
	f := newFaults(1<<30, false, true)
	r := w.beside(t, true, func(c *ledger.Config) { c.Records = faultyRecords{c.Records, f} })
	r.led()
	f.mu.Lock()
	f.at = f.calls + 1
	f.mu.Unlock()
	eventually(t, "it fails", func() bool { return r.loud.times("log_append_failed") > 1 })
	if err := r.Sound(); err != nil {
		t.Error(err)
	}
}

// A leaf whose event the records lost, as when a standby that lacked the last moment takes over before the event was included: nothing is
// signed over it, and nothing accepted any more, until the event is there again.
func TestLostEvent(t *testing.T) {
	for name, set := range map[string]func(*ledger.Config){"leads": func(*ledger.Config) {}, "alone": byItself} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.check()
			w.alone()
			r := w.beside(t, true, set)
			r.check()
			lost := r.openCase("b")
			at := must(w.tree.Append(t.Context(), []tlog.TreeLeaf{{Value: lost.Leaf(), Extra: lost.DSSE()}}))[0]
			after, err := r.accept(r.openCase("a"))
			if err != nil {
				t.Fatal(err)
			}
			r.unsound(t)
			if _, err := r.accept(r.openCase("a")); ev.KindOf(err) != ev.Internal || ev.ReasonOf(err) != "log" {
				t.Errorf("an event beside it: %v", err)
			}
			eventually(t, "it is tried again", func() bool { return r.loud.times("log_append_failed") > 3 })
			if n := r.loud.times("accepting_again"); n > 0 {
				t.Errorf("events were accepted %d times in between", n)
			}
			if must(w.db.Entry(t.Context(), after.LeafHash)).Included() || r.kept().Size > at {
				t.Errorf("the leaf at %d is under a checkpoint of %d", at, r.kept().Size)
			}
			must(w.db.Commit(t.Context(), ledger.Commit{Signed: lost}, r.Judge(lost)))
			if e := r.await(lost.LeafHash()); e.Index != at {
				t.Errorf("it is at %d, and was at %d", e.Index, at)
			}
			e := r.await(after.LeafHash)
			eventually(t, "they fit", func() bool { return r.Sound() == nil })
			c, err := r.Complete(patient(t), []ev.Stream{lost.Event().Stream.Stream(), e.Stream}, max(at, e.Index))
			if err != nil || c.Streams[0].N != 1 || c.Streams[1].N != 1 {
				t.Errorf("%+v, %v", c.Streams, err)
			}
			if r.loud.times("log_leaf_without_statement") > 0 {
				t.Error("it was published that the leaf is void")
			}
		})
	}
}

// Two databases have gone apart, each with a leader of its own, over one log. Of two events at one place only one gets a receipt, and both
// leaders stop.
func TestSplitBrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := w.aside(t)
	a, b := w.beside(t, true), other.beside(t, true)
	a.led()
	b.led()
	x, y := a.configure("a"), b.configure("b")
	a.put(x)
	if _, err := b.accept(y); err != nil { // what it stands on is as it was
		t.Fatal(err)
	}
	b.unsound(t)
	last := a.openCase("b")
	if _, err := a.accept(last); err != nil && ev.ReasonOf(err) != "log" { // it may have found it out by a publication
		t.Fatal(err)
	}
	a.unsound(t)
	for _, leaf := range []ev.Hash{y.LeafHash(), last.LeafHash()} {
		for _, db := range []*sqldb.DB{w.db, other.db} {
			if e, err := db.Entry(t.Context(), leaf); err == nil && e.Included() {
				t.Errorf("%s %d has a receipt", e.Stream.Type, e.Seq)
			}
		}
	}
	for _, r := range []*replica{a, b} {
		if r.loud.times("log_leaf_without_statement") > 0 {
			t.Error("leaves of the other were published as void")
		}
	}
}

// once claims one time to know an event.
type once struct {
	ledger.Records
	leaf ev.Hash
	said atomic.Bool
}

func (r *once) Entry(ctx context.Context, leaf ev.Hash) (ledger.Entry, error) {
	if leaf == r.leaf && !r.said.Swap(true) {
		return ledger.Entry{LeafHash: leaf, Index: -1}, nil
	}
	return r.Records.Entry(ctx, leaf)
}

// What was published as void gets no receipt afterwards: a proof that nothing is there would say otherwise.
func TestVoidStaysVoid(t *testing.T) {
	w := newWorld(t)
	w.check()
	w.alone()
	stray := w.openCase("b")
	records := &once{leaf: stray.LeafHash()}
	r := w.beside(t, true, func(c *ledger.Config) { records.Records = c.Records; c.Records = records })
	r.led()
	at := must(w.tree.Append(t.Context(), []tlog.TreeLeaf{{Value: stray.Leaf(), Extra: stray.DSSE()}}))[0]
	r.put(r.openCase("a"))
	eventually(t, "it is published as void", func() bool { return r.loud.times("log_leaf_without_statement") > 0 })
	c, err := r.Complete(patient(t), []ev.Stream{stray.Event().Stream.Stream()}, at)
	if err != nil || c.Streams[0].N != 0 {
		t.Fatalf("%+v, %v", c.Streams, err)
	}
	if _, err := r.accept(stray); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is refused", func() bool { return r.loud.mentions("was published without it") > 0 })
	if must(w.db.Entry(t.Context(), stray.LeafHash())).Included() {
		t.Error("it has a receipt")
	}
}

// Who works alone, and finds that another process signed more all the same, goes on from there.
func TestNotAlone(t *testing.T) {
	w := newWorld(t).alone()
	g := &gate{}
	a := w.beside(t, false, byItself, func(c *ledger.Config) { c.Records = gatedRecords{c.Records, g} })
	a.check()
	reached, release := g.arm("Include")
	defer release()
	first := w.accepted(a, 1)[0]
	<-reached
	b := w.beside(t, false, byItself)
	e := b.put(b.openCase("a"))
	must(b.Complete(patient(t), nil, e.Index))
	b.Close()
	release()
	a.await(first)
	a.check(first, e.LeafHash, a.post().LeafHash)
}

// Whoever was shown a checkpoint, or a publication, by a process that has not heard of it itself gets all that is below it there.
func TestRangesOfFollower(t *testing.T) {
	w := newWorld(t).alone()
	a := w.beside(t, true)
	a.led()
	var lost atomic.Bool
	b := w.beside(t, false, func(c *ledger.Config) { c.Tree = farTree{c.Tree, &lost} })
	lost.Store(true)
	var behind int64
	for i := range 3 {
		e := a.post()
		c := must(a.Complete(patient(t), nil, e.Index))
		cp := must(tlog.OpenCheckpoint(must(b.Newest(patient(t))), b.keys()))
		for _, start := range []int64{0, cp.Size - 1} {
			if hashes, err := b.LeafHashes(patient(t), start, cp.Size-start); err != nil || !slices.Equal(hashes, must(a.LeafHashes(patient(t), start, cp.Size-start))) {
				t.Errorf("leaf hashes from %d of %d: %v", start, cp.Size, err)
			}
		}
		for _, start := range []int64{0, c.Covers - 1} {
			if keys, err := b.HeadsKeys(patient(t), start, c.Covers-start); err != nil || !slices.Equal(keys, must(a.HeadsKeys(patient(t), start, c.Covers-start))) {
				t.Errorf("keys from %d of %d: %v", start, c.Covers, err)
			}
			if list, err := b.Statements(patient(t), start, c.Covers-start, 1<<20); err != nil || int64(len(list)) != c.Covers-start {
				t.Errorf("%d statements from %d of %d: %v", len(list), start, c.Covers, err)
			}
		}
		if _, err := b.LeafHashes(patient(t), cp.Size+100, 1); ev.ReasonOf(err) != "log_size" {
			t.Errorf("beyond the log: %v", err)
		}
		if i == 0 { // what it was hearing when it lost the log has come by now
			behind = b.Size()
		}
	}
	if b.Size() != behind {
		t.Fatal("it has heard of them")
	}
}

// What is remembered of requests ends with their events: of those that nobody waits for too, of repetitions, of refusals, and of what another
// process includes.
func TestTrailsEnd(t *testing.T) {
	for name, set := range map[string]func(*ledger.Config){
		"alone": byItself, "follows": func(c *ledger.Config) { c.Lead = func(context.Context) (bool, error) { return false, nil } },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).alone()
			r := w.beside(t, true, set)
			if name == "follows" {
				w.beside(t, true)
			}
			traced := trail.With(t.Context(), trail.Trail{Span: "a span"})
			accept := func(signed *custody.Signed) error {
				_, err := r.Accept(traced, ledger.Commit{Signed: signed}, r.Judge(signed))
				return err
			}
			signed := r.openCase("a")
			again := must(custody.Sign(signed.Event(), w.people["a"].key.SPKI(), w.people["a"].key))
			for _, s := range []*custody.Signed{signed, again, r.openCase("b")} {
				if err := accept(s); err != nil {
					t.Fatal(err)
				}
			}
			stale := r.openCase("a")
			r.put(r.configure("2"))
			if err := accept(stale); ev.KindOf(err) != ev.Conflict {
				t.Errorf("an event on an old basis: %v", err)
			}
			if err := accept(again); err != nil {
				t.Error(err)
			}
			eventually(t, "nothing is remembered", func() bool { return r.Trails() == 0 })
		})
	}
}

// A leader who does not reach the witnesses, where another process would, leaves the lead to it. That takes minutes, so only STRONGROOM_LONG=1
// sees it.
func TestLeaderCutOff(t *testing.T) {
	if os.Getenv("STRONGROOM_LONG") != "1" {
		t.Skip("STRONGROOM_LONG is not set")
	}
	w := newWorld(t).alone()
	witness := newFake(t, "witness.example")
	witness.answer = func(w http.ResponseWriter, request []byte) { w.Write([]byte(cosign(witness.signer, request))) }
	s := w.watch(witness.line() + "quorum witness.example\n")
	nowhere := &http.Client{Transport: unreachable{}}
	lease := func(c *ledger.Config) { // what one gives up the other gets
		c.Lead = func(context.Context) (bool, error) {
			return must(w.db.Lease(context.Background(), "log", c.CheckpointFile, time.Now(), 6*time.Second)), nil
		}
	}
	a := w.beside(t, true, s.by, lease, func(c *ledger.Config) { c.HTTP = nowhere })
	a.led()
	b := w.beside(t, true, s.by, lease)
	e := a.post()
	for began := time.Now(); ; time.Sleep(time.Second) {
		if _, err := b.Final(t.Context(), e.LeafHash); err == nil {
			break
		}
		if time.Since(began) > 6*time.Minute {
			t.Fatalf("never final: %v", a.loud.said)
		}
	}
	if a.loud.times("log_lead_passed") != 1 || b.loud.times("log_lead_taken") != 1 {
		t.Errorf("%v, %v", a.loud.said, b.loud.said)
	}
}

type unreachable struct{}

func (unreachable) RoundTrip(*http.Request) (*http.Response, error) { return nil, errFault }
