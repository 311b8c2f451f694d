// Package ledger is the only path to the transparency log.
//
// It owns the way of an accepted event into the log: commit (outbox), append, self-checked inclusion proof, signed checkpoint, stored
// receipt; and the publication of the heads map. It decides the order of the log: pending events are taken in commit order, in waves.
// An event whose prev or relied_on is still pending waits for the next wave, and a barrier event is a wave of its own, so log order
// alone proves to an outsider what was known when (RULES §3.2, rule 5). One checkpoint and one transaction serve a whole wave.
//
// It publishes checkpoints: offers them to the witnesses and time-stamp authorities of the trust file, and keeps what comes, until what
// the trust file asks for is there and a checkpoint is final. Nothing that is accepted or included waits for them.
//
// It may assume that Records and Tree are durable when they return. It distrusts both: every proof is verified before a receipt is
// stored, every tree against the last signed checkpoint before the next is signed. It never signs a tree that is smaller than, or not
// consistent with, one it signed before, and never lets a receipt out before its checkpoint is stored in every place it is kept.
package ledger

import (
	"context"
	"encoding/base64"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
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
	Founders []evidence.Founder // who may enrol themselves
	Records  Records
	Tree     Tree
	Signers  []note.Signer // of checkpoints: ECDSA P-256 first, then Ed25519, then ML-DSA-44 if any (FORMATS §5)
	Keys     tlog.LogKeys  // the same keys, to check what was signed
	LogID    tlog.Hash     // SHA-256 of the ECDSA key's SPKI
	// CheckpointFile keeps the last signed checkpoint apart from the records and the tree, or is "".
	CheckpointFile string
	Vault          Author // signs vault.heads
	// Trust says whose cosignatures and time stamps a checkpoint needs to be final. Without any, each is at once.
	Trust       tlog.Trust
	HTTP        *http.Client // asks witnesses; nil is a plain one
	Authorities []Authority
	Stamped     func(evidence.Kind) bool // which events are stamped, besides checkpoints; nil: none
	Now         func() time.Time
	Logger      *slog.Logger
}

// Author is the actor in whose name the vault signs its own events.
type Author struct {
	ID     evidence.ActorID
	SPKI   []byte
	Signer custody.Signer
	Tool   evidence.Tool
	Next   *OwnKey // the key that a rotation brings, or nil: it signs from the moment it is the one in force
}

// OwnKey is a key of the vault's own.
type OwnKey struct {
	SPKI   []byte
	Signer custody.Signer
}

// inForce is the key that the directory names as the vault's. With any other nothing is signed: clients would take it for a forgery.
func (a Author) inForce(f evidence.Facts) (OwnKey, error) {
	own := OwnKey{a.SPKI, a.Signer}
	self, ok := f.States[evidence.ActorOf(a.ID)].(*evidence.ActorState)
	switch {
	case !ok || self.Key == base64.StdEncoding.EncodeToString(own.SPKI):
		return own, nil
	case a.Next != nil && self.Key == base64.StdEncoding.EncodeToString(a.Next.SPKI):
		return *a.Next, nil
	}
	return own, evidence.Refuse(evidence.Internal, "vault_key")
}

// ErrStopped is returned to those who wait when the ledger closes.
var ErrStopped = evidence.Refuse(evidence.Pending, "stopping")

// Ledger takes accepted events into the log. It is safe for concurrent use.
type Ledger struct {
	cfg Config

	wake chan struct{} // size 1: something may be pending
	stop context.CancelFunc
	done chan struct{}

	// The worker's own.
	newest   signed      // the newest checkpoint ever signed, stored or not: the next must extend it
	unsure   *proven     // a wave of which it is not known whether it was stored
	accepted publication // the newest heads publication, in the log or on its way
	stale    bool        // the heads map in memory may not be the one in the records

	proving sync.RWMutex // held by whoever proves from the heads map, and alone while records and map change together
	asking  atomic.Int32 // how many wait for a publication

	begun, ended atomic.Int64 // how many commits of events

	publisher *publisher // nil where the trust file names nobody

	mu        sync.RWMutex // guards what follows
	last      signed       // the newest signed checkpoint that is stored everywhere
	heads     *heads.Map
	published publication   // the newest heads publication that is in the log, if any
	changed   chan struct{} // closed and replaced whenever published changes
	chosen    signed        // the log right after a publication under which final proofs were made: offered before any other
	waiting   map[evidence.Hash][]chan Entry
	coming    map[evidence.Hash]*custody.Signed // accepted here, or about to be, and not in the log yet: what need not be read again
}

// maxComing bounds what is remembered of events on their way. The rest is read again from the records.
const maxComing = 4096

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
		coming:  make(map[evidence.Hash]*custody.Signed),
	}
	if err := l.crossCheck(ctx); err != nil {
		return nil, err
	}
	if err := l.loadHeads(ctx); err != nil {
		return nil, err
	}
	var err error
	if l.publisher, err = newPublisher(ctx, l); err != nil {
		return nil, err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	if l.publisher != nil {
		if err := l.publisher.start(run); err != nil {
			stop()
			l.publisher.running.Wait()
			return nil, err
		}
	}
	l.wakeUp()
	go l.run(run)
	return l, nil
}

// Close ends the workers, a wave under way included, and answers ErrStopped to whoever waits. Nothing is lost: events that are pending
// stay so until the next Open.
func (l *Ledger) Close() error {
	l.stop()
	<-l.done
	if l.publisher != nil {
		l.publisher.running.Wait()
	}
	return nil
}

// Accept commits an event. When it returns nil the event is accepted: it is never lost and never changed, and the worker takes it into
// the log. A statement accepted before, whatever its signature then, answers with its stored entry.
func (l *Ledger) Accept(ctx context.Context, c Commit, judge Judge) (Entry, error) {
	leaf := c.Signed.LeafHash()
	l.expect(leaf, c.Signed)
	l.begun.Add(1)
	e, err := l.cfg.Records.Commit(ctx, c, judge)
	l.ended.Add(1)
	l.wakeUp() // after an error too: it may have been written
	if err != nil || e.LeafHash != leaf || e.Included() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.coming, leaf)
	}
	if err != nil {
		return Entry{}, err
	}
	return e, nil
}

// expect remembers an event that is about to be accepted, until it is in the log.
func (l *Ledger) expect(leaf evidence.Hash, signed *custody.Signed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.coming) < maxComing {
		l.coming[leaf] = signed
	}
}

// Await returns the event's entry once it is in the log with a receipt. When ctx ends first the answer is Pending: the event remains
// accepted and will be included.
func (l *Ledger) Await(ctx context.Context, leafHash evidence.Hash) (Entry, error) {
	ch := make(chan Entry, 1)
	l.mu.Lock()
	l.waiting[leafHash] = append(l.waiting[leafHash], ch)
	coming := l.coming[leafHash] != nil
	l.mu.Unlock()
	defer l.forget(leafHash, ch)

	// Looked up only after the wait was registered, so an inclusion in between is not missed. What is coming has not been told yet.
	if !coming {
		switch e, err := l.cfg.Records.Entry(ctx, leafHash); {
		case err == nil && e.Included():
			return e, nil
		case err != nil && ctx.Err() == nil:
			return Entry{}, err
		}
	}
	select {
	case e := <-ch:
		return e, nil
	case <-l.done:
		return Entry{}, ErrStopped
	case <-ctx.Done():
		return Entry{}, &evidence.Error{Kind: evidence.Pending, Reason: "pending", Err: ctx.Err()}
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
	if from < 0 || to < from {
		return nil, evidence.Refuse(evidence.Invalid, "log_size")
	}
	if err := l.covers(ctx, to); err != nil {
		return nil, err
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
	if size <= e.Index {
		return 0, nil, evidence.Refuse(evidence.Invalid, "log_size")
	}
	if err := l.covers(ctx, size); err != nil {
		return 0, nil, err
	}
	if proof, err = l.cfg.Tree.Inclusion(ctx, e.Index, size); err != nil {
		return 0, nil, evidence.Fail(evidence.Internal, "log", err)
	}
	return e.Index, proof, nil
}

// covers refuses a size beyond the newest stored checkpoint. That may be newer than the one known here: what is stored can be read, and so
// be given away, before this process has heard that it is stored.
func (l *Ledger) covers(ctx context.Context, size int64) error {
	if size <= l.Size() {
		return nil
	}
	note, err := l.cfg.Records.Checkpoint(ctx)
	if err != nil {
		return err
	}
	stored, err := l.open(note, "records")
	if err != nil {
		return evidence.Fail(evidence.Internal, "log", err)
	}
	if size > stored.Size {
		return evidence.Refuse(evidence.Invalid, "log_size")
	}
	return nil
}

// Size is how many leaves the newest checkpoint has.
func (l *Ledger) Size() int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last.Size
}

func (l *Ledger) wakeUp() { wakeUp(l.wake) }

func wakeUp(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

const (
	soonest = 50 * time.Millisecond // before a failure is tried again
	latest  = 5 * time.Second
	quiet   = 50 * time.Millisecond  // without a new event before the heads map is published
	gather  = 100 * time.Millisecond // that a wave waits at most for the events that are just being committed
)

// run includes what is pending for as long as the ledger is open. A failure is retried for ever: the events wait in the records.
func (l *Ledger) run(ctx context.Context) {
	defer close(l.done)
	delay, idle := 2*soonest, false
	for ctx.Err() == nil {
		progressed, err := l.step(ctx, idle)
		if progressed {
			delay = 2 * soonest
		}
		switch {
		case err != nil && ctx.Err() == nil:
			l.cfg.Logger.Error("log_append_failed", "reason", evidence.ReasonOf(err), "err", err, "retry_in", delay)
			wait(ctx, soonest, nil)
			wait(ctx, delay-soonest, l.wake) // the failure need not concern what arrives meanwhile
			delay, idle = min(2*delay, latest), true
		case progressed:
			idle = false
		case idle:
			idle = false
			wait(ctx, 0, l.wake)
		default:
			idle = !wait(ctx, quiet, l.wake)
		}
	}
}

// wait returns when ctx ends, after d unless d is 0, or when woken; it reports whether it was woken.
func wait(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	var timer <-chan time.Time
	switch {
	case d > 0:
		timer = time.After(d)
	case wake == nil:
		return false
	}
	select {
	case <-wake:
		return true
	case <-timer:
	case <-ctx.Done():
	}
	return false
}

// step takes one wave into the log. It publishes the heads map when nothing has come for a while (idle), when somebody waits for it, or
// when much is uncovered. It reports whether there was anything to do.
func (l *Ledger) step(ctx context.Context, idle bool) (bool, error) {
	if l.unsure != nil {
		if err := l.store(ctx, *l.unsure); err != nil {
			return false, err
		}
	}
	l.gatherWave(ctx)
	pending, err := l.cfg.Records.Pending(ctx, maxWave)
	if err != nil {
		return false, err
	}
	if len(pending) > 0 {
		if err := l.include(ctx, wave(pending)); err != nil {
			return false, err
		}
	}
	if idle && len(pending) == 0 && l.begun.Load() == l.ended.Load() || l.asking.Load() > 0 || l.last.Size-l.accepted.covers >= maxUncovered {
		published, err := l.publishHeads(ctx)
		return published || len(pending) > 0, err
	}
	return len(pending) > 0, nil
}

// gatherWave waits for the events that are being committed now: many commits come together, and one wave serves them all.
func (l *Ledger) gatherWave(ctx context.Context) {
	begun := l.begun.Load()
	for waited := time.Duration(0); l.ended.Load() < begun && waited < gather; waited += time.Millisecond {
		wait(ctx, time.Millisecond, nil)
	}
}
