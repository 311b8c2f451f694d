package ledger_test

import (
	"context"
	"errors"
	"sync"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

var errFault = errors.New("injected fault")

// faults fails the n-th call of the ledger's ports.
type faults struct {
	mu      sync.Mutex
	calls   int
	at      int             // which call, from 1
	persist bool            // the call takes effect all the same: …ButPersist, else …AndNotPersist
	dead    bool            // every later call fails too, as in a process that was killed
	struck  string          // the call that was failed
	life    context.Context // ends with the process
	die     context.CancelFunc
}

func newFaults(at int, persist, dead bool) *faults {
	f := &faults{at: at, persist: persist, dead: dead}
	f.life, f.die = context.WithCancel(context.Background())
	return f
}

// disarm lets everything pass from here, and returns the call that was failed, if any.
func (f *faults) disarm() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.struck == "" {
		f.at = 0
	}
	return f.struck
}

func through[T any](f *faults, name string, do func() (T, error)) (T, error) {
	f.mu.Lock()
	f.calls++
	strikes, after := f.calls == f.at, f.struck != "" && f.dead
	if strikes {
		f.struck = name
		if f.dead {
			f.die()
		}
	}
	f.mu.Unlock()
	var none T
	if after || strikes && !f.persist {
		return none, errFault
	}
	v, err := do()
	if strikes {
		return none, errFault
	}
	return v, err
}

type faultyTree struct {
	ledger.Tree
	f *faults
}

func (t faultyTree) Append(ctx context.Context, leaves []tlog.TreeLeaf) ([]int64, error) {
	return through(t.f, "Append", func() ([]int64, error) { return t.Tree.Append(ctx, leaves) })
}

func (t faultyTree) Root(ctx context.Context) (tlog.Root, error) {
	return through(t.f, "Root", func() (tlog.Root, error) { return t.Tree.Root(ctx) })
}

func (t faultyTree) Inclusion(ctx context.Context, index, size int64) ([][]byte, error) {
	return through(t.f, "Inclusion", func() ([][]byte, error) { return t.Tree.Inclusion(ctx, index, size) })
}

func (t faultyTree) Consistency(ctx context.Context, from, to int64) ([][]byte, error) {
	return through(t.f, "Consistency", func() ([][]byte, error) { return t.Tree.Consistency(ctx, from, to) })
}

func (t faultyTree) Leaves(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	return through(t.f, "Leaves", func() ([]tlog.TreeLeaf, error) { return t.Tree.Leaves(ctx, start, count) })
}

type faultyRecords struct {
	ledger.Records
	f *faults
}

func (r faultyRecords) Commit(ctx context.Context, c ledger.Commit, judge ledger.Judge) (ledger.Entry, error) {
	return through(r.f, "Commit", func() (ledger.Entry, error) { return r.Records.Commit(ctx, c, judge) })
}

func (r faultyRecords) Pending(ctx context.Context, limit int) ([]ledger.Entry, error) {
	return through(r.f, "Pending", func() ([]ledger.Entry, error) { return r.Records.Pending(ctx, limit) })
}

func (r faultyRecords) Include(ctx context.Context, size int64, checkpoint []byte, included []ledger.Inclusion) error {
	_, err := through(r.f, "Include", func() (int, error) { return 0, r.Records.Include(ctx, size, checkpoint, included) })
	return err
}

func (r faultyRecords) Checkpoint(ctx context.Context) ([]byte, error) {
	return through(r.f, "Checkpoint", func() ([]byte, error) { return r.Records.Checkpoint(ctx) })
}

func (r faultyRecords) Entry(ctx context.Context, leaf ev.Hash) (ledger.Entry, error) {
	return through(r.f, "Entry", func() (ledger.Entry, error) { return r.Records.Entry(ctx, leaf) })
}

func (r faultyRecords) LogRange(ctx context.Context, start, end int64) ([]ledger.Entry, error) {
	return through(r.f, "LogRange", func() ([]ledger.Entry, error) { return r.Records.LogRange(ctx, start, end) })
}

func (r faultyRecords) Places(ctx context.Context, start, end int64) ([]ledger.Place, error) {
	return through(r.f, "Places", func() ([]ledger.Place, error) { return r.Records.Places(ctx, start, end) })
}

func (r faultyRecords) States(ctx context.Context, streams ...ev.Stream) (map[ev.Stream]ev.State, error) {
	return through(r.f, "States", func() (map[ev.Stream]ev.State, error) { return r.Records.States(ctx, streams...) })
}

func (r faultyRecords) HeadsBucket(ctx context.Context, prefix uint16) ([]heads.Entry, error) {
	return through(r.f, "HeadsBucket", func() ([]heads.Entry, error) { return r.Records.HeadsBucket(ctx, prefix) })
}

func (r faultyRecords) HeadsBuckets(ctx context.Context, f func(uint16, heads.Summary) error) error {
	_, err := through(r.f, "HeadsBuckets", func() (int, error) { return 0, r.Records.HeadsBuckets(ctx, f) })
	return err
}
