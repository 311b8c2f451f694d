// Package ledger is the only path to the transparency log.
//
// It owns the way of an accepted event into the log: commit (outbox), append, self-checked inclusion proof, signed checkpoint, stored
// receipt; and the publication of the heads map. It decides the order of the log: pending events are taken in commit order, in waves.
// An event whose prev or relied_on is still pending waits for the next wave, and a barrier event is a wave of its own, so log order
// alone proves to an outsider what was known when (RULES §3.2, rule 5). One checkpoint and one transaction serve a whole wave.
//
// It may assume that Records and Tree are durable when they return. It distrusts both: every proof is verified before a receipt is
// stored, every tree against the last signed checkpoint before the next is signed. It never signs a tree that is smaller than, or not
// consistent with, one it signed before, and never lets a receipt out before its checkpoint is stored in every place it is kept.
package ledger

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// Tree is the append-only Merkle tree behind the log (RFC 6962). Satisfied by *embedded.Log.
type Tree interface {
	// Append makes every leaf durable and integrated and returns their indexes in the order given. It is idempotent: a leaf appended
	// before answers with its original index.
	Append(ctx context.Context, leaves []tlog.TreeLeaf) ([]int64, error)
	// Root is the newest integrated root.
	Root(ctx context.Context) (tlog.Root, error)
	// Inclusion and Consistency return sibling hashes; a size beyond the root is an error.
	Inclusion(ctx context.Context, index, size int64) ([][]byte, error)
	Consistency(ctx context.Context, from, to int64) ([][]byte, error)
	// Leaves returns leaves [start, start+count), fewer at the end.
	Leaves(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error)
}

// Config is what a ledger works with.
type Config struct {
	Origin   string
	Founders []evidence.Hash // key ids that may enrol themselves
	Records  Records
	Tree     Tree
	Signers  []note.Signer // of checkpoints: ECDSA P-256 first, then Ed25519 (FORMATS §5)
	Keys     tlog.LogKeys  // the same keys, to check what was signed
	LogID    tlog.Hash     // SHA-256 of the ECDSA key's SPKI
	// CheckpointFile keeps the last signed checkpoint apart from the records and the tree, or is "".
	CheckpointFile string
	Vault          Author // signs vault.heads
	Now            func() time.Time
	Logger         *slog.Logger
}

// Author is the actor in whose name the vault signs its own events.
type Author struct {
	ID     evidence.ActorID
	SPKI   []byte
	Signer custody.Signer
	Tool   evidence.Tool
}

// ErrStopped is returned to those who wait when the ledger closes.
var ErrStopped = evidence.Refuse(evidence.Pending, "stopping")

// Ledger takes accepted events into the log. It is safe for concurrent use.
type Ledger struct {
	cfg Config

	wake chan struct{} // size 1: something may be pending
	stop context.CancelFunc
	done chan struct{}

	mu        sync.RWMutex // guards what follows
	last      signed       // the newest signed checkpoint
	heads     *heads.Map
	accepted  publication   // the newest heads publication, in the log or on its way
	published publication   // the one that is in the log, if any
	changed   chan struct{} // closed and replaced whenever published changes
	waiting   map[evidence.Hash][]chan Entry
}

// signed is a checkpoint with the note that carries its signatures; a nil note means that nothing was ever signed.
type signed struct {
	tlog.Checkpoint
	note []byte
}

// Open checks tree, records and checkpoint file against each other and starts the worker. It refuses with a *Mismatch when they cannot
// belong to one history: nothing may be written then.
func Open(ctx context.Context, cfg Config) (*Ledger, error) {
	l := &Ledger{
		cfg:     cfg,
		wake:    make(chan struct{}, 1),
		done:    make(chan struct{}),
		changed: make(chan struct{}),
		waiting: make(map[evidence.Hash][]chan Entry),
	}
	if err := l.crossCheck(ctx); err != nil {
		return nil, err
	}
	if err := l.loadHeads(ctx); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	l.wakeUp()
	go l.run(run)
	return l, nil
}

// Close stops the worker after the wave under way. Events that are pending stay so until the next Open.
func (l *Ledger) Close() error {
	l.stop()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	for hash, list := range l.waiting {
		for _, ch := range list {
			close(ch)
		}
		delete(l.waiting, hash)
	}
	return nil
}

// Accept commits an event. When it returns nil the event is accepted: it is never lost and never changed, and the worker takes it into
// the log. A statement accepted before answers with its stored entry.
func (l *Ledger) Accept(ctx context.Context, c Commit, judge Judge) (Entry, error) {
	e, err := l.cfg.Records.Commit(ctx, c, judge)
	if err != nil {
		return Entry{}, err
	}
	l.wakeUp()
	return e, nil
}

// Await returns the event's entry once it is in the log with a receipt. When ctx ends first the answer is Pending: the event remains
// accepted and will be included.
func (l *Ledger) Await(ctx context.Context, leafHash evidence.Hash) (Entry, error) {
	ch := make(chan Entry, 1)
	l.mu.Lock()
	l.waiting[leafHash] = append(l.waiting[leafHash], ch)
	l.mu.Unlock()
	defer l.forget(leafHash, ch)

	// Looked up only after the wait was registered, so an inclusion in between is not missed.
	if e, err := l.cfg.Records.Entry(ctx, leafHash); err != nil || e.Included() {
		return e, err
	}
	select {
	case e, ok := <-ch:
		if !ok {
			return Entry{}, ErrStopped
		}
		return e, nil
	case <-ctx.Done():
		return Entry{}, evidence.Fail(evidence.Pending, "pending", ctx.Err())
	}
}

func (l *Ledger) forget(leafHash evidence.Hash, ch chan Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.waiting[leafHash]
	for i, c := range list {
		if c == ch {
			list = append(list[:i], list[i+1:]...)
			break
		}
	}
	if len(list) == 0 {
		delete(l.waiting, leafHash)
	} else {
		l.waiting[leafHash] = list
	}
}

// Checkpoint returns the newest signed checkpoint, or nil before the first event is in the log.
func (l *Ledger) Checkpoint() []byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last.note
}

// Consistency proves that the log of size to extends the log of size from, both at most the newest checkpoint's size.
func (l *Ledger) Consistency(ctx context.Context, from, to int64) ([][]byte, error) {
	if from < 0 || to < from || to > l.size() {
		return nil, evidence.Refuse(evidence.Invalid, "log_size")
	}
	proof, err := l.cfg.Tree.Consistency(ctx, from, to)
	if err != nil {
		return nil, evidence.Fail(evidence.Internal, "log", err)
	}
	return proof, nil
}

// Inclusion proves that the event is in the log of the given size.
func (l *Ledger) Inclusion(ctx context.Context, leafHash evidence.Hash, size int64) (index int64, proof [][]byte, err error) {
	e, err := l.cfg.Records.Entry(ctx, leafHash)
	if err != nil {
		return 0, nil, err
	}
	if !e.Included() {
		return 0, nil, evidence.Refuse(evidence.Pending, "pending")
	}
	if size <= e.Index || size > l.size() {
		return 0, nil, evidence.Refuse(evidence.Invalid, "log_size")
	}
	if proof, err = l.cfg.Tree.Inclusion(ctx, e.Index, size); err != nil {
		return 0, nil, evidence.Fail(evidence.Internal, "log", err)
	}
	return e.Index, proof, nil
}

func (l *Ledger) size() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last.Size
}

func (l *Ledger) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run includes what is pending for as long as the ledger is open. A failure is retried for ever: the events wait in the records.
func (l *Ledger) run(ctx context.Context) {
	defer close(l.done)
	const slowest = 5 * time.Second
	delay := 50 * time.Millisecond
	for ctx.Err() == nil {
		progressed, err := l.step(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			l.cfg.Logger.Error("log_append_failed", "reason", evidence.ReasonOf(err), "err", err, "retry_in", delay)
			wait(ctx, time.After(delay), nil)
			delay = min(2*delay, slowest)
		case progressed:
			delay = 50 * time.Millisecond
		default:
			wait(ctx, nil, l.wake)
		}
	}
}

func wait(ctx context.Context, timer <-chan time.Time, wake <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-timer:
	case <-wake:
	}
}

// step takes one wave into the log, or publishes the heads map when no event waits. It reports whether there was anything to do.
func (l *Ledger) step(ctx context.Context) (bool, error) {
	pending, err := l.cfg.Records.Pending(ctx, maxWave)
	if err != nil {
		return false, err
	}
	if len(pending) == 0 || l.uncovered() >= maxUncovered {
		published, err := l.publishHeads(ctx)
		if published || err != nil {
			return published, err
		}
	}
	if len(pending) == 0 {
		return false, nil
	}
	return true, l.include(ctx, wave(pending))
}
