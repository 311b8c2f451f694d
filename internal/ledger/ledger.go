// Package ledger is the only path to the transparency log.
//
// It owns the way of an accepted event into the log: commit (outbox), append, self-checked inclusion proof, signed checkpoint, stored
// receipt; and the publication of the heads map. It decides the order of the log: pending events are taken in commit order, in waves.
// An event whose prev or relied_on is still pending waits for the next wave, and a barrier event is a wave of its own, so log order
// alone proves to an outsider what was known when (RULES §3.2, rule 5). One checkpoint and one transaction serve a whole wave.
//
// The records may go back to an earlier moment while it runs, as when a standby that lacked the last moments takes over. As soon as it sees
// that, it accepts nothing and signs nothing, and Sound says so to whoever releases, until records and log fit again.
//
// It publishes checkpoints: offers them to the witnesses and time-stamp authorities of the trust file, and keeps what comes, until what
// the trust file asks for is there and a checkpoint is final. Nothing that is accepted or included waits for them.
//
// Any number of processes may work with the same records and the same tree (Config.Lead). One of them leads: it includes, publishes and
// asks. The others accept events too, and follow: they learn from the records what is included, published and final, and believe no
// checkpoint that is not consistent with those they have seen. That only one leads saves work and protects nothing. Two who lead for ever put
// each event into the log once and in the same order, because each appends a beginning of what is pending, and the tree answers a leaf it
// has with its index; what only one of them can store the records refuse to the other, who then reads again.
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
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/trail"
)

// Tree is the append-only Merkle tree behind the log (RFC 6962). Satisfied by *embedded.Log and *remote.Log.
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
	// CheckpointFile keeps the last signed checkpoint apart from the records and the tree, or is "". Each process has its own, and remembers
	// by itself what it has seen: a log that was put back everywhere else is refused.
	CheckpointFile string
	// Lead reports whether this process is the one that works on the log; nil: there is no other. It is asked every two seconds, and a yes is
	// good for eight. Two who are told yes do no harm.
	Lead  func(context.Context) (bool, error)
	Vault Author // signs vault.heads
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

	wake   chan struct{} // size 1: something may be pending
	stop   context.CancelFunc
	done   chan struct{}
	lead   *lead          // nil: there is no other process
	others sync.WaitGroup // what runs beside the worker because there are

	// The worker's own.
	newest   signed      // the newest checkpoint ever signed or believed, stored or not: the next must extend it
	unsure   *proven     // a wave of which it is not known whether it was stored
	accepted publication // the newest heads publication, in the log or on its way, and so what the heads map in memory is
	stale    bool        // the heads map in memory may not be the one in the records
	followed followed

	proving sync.RWMutex // held by whoever proves from the heads map, and alone while records and map change together
	asking  atomic.Int32 // how many wait for a publication

	begun, ended atomic.Int64 // how many commits of events

	astray atomic.Pointer[Mismatch] // why the records must not be believed; nil: they may be, as far as is known

	publisher *publisher // nil where the trust file names nobody
	trails    trails

	mu        sync.RWMutex // guards what follows
	last      signed       // the newest signed checkpoint that is stored everywhere
	heads     *headsMap
	published publication   // the newest heads publication that is in the log, if any
	changed   chan struct{} // closed and replaced whenever published changes
	chosen    int64         // what the records say is offered before any other, as far as is known here
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
	var err error
	if l.last, l.newest, err = l.crossCheck(ctx); err != nil {
		return nil, err
	}
	if err := l.loadHeads(ctx); err != nil {
		return nil, err
	}
	if l.publisher, err = newPublisher(ctx, l); err != nil {
		return nil, err
	}
	l.followed.told = l.last.Size
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	if cfg.Lead != nil {
		if err := l.join(run); err != nil {
			stop()
			return nil, err
		}
		return l, nil
	}
	if err := l.publisher.start(run); err != nil {
		stop()
		l.publisher.running.Wait()
		return nil, err
	}
	l.wakeUp()
	go func() {
		defer close(l.done)
		l.run(run, func() {})
	}()
	return l, nil
}

// Close ends the workers, a wave under way included, and answers ErrStopped to whoever waits. Nothing is lost: events that are pending
// stay so until the next Open, or until another process includes them.
func (l *Ledger) Close() error {
	l.stop()
	<-l.done
	l.others.Wait()
	if l.publisher != nil {
		l.publisher.running.Wait()
	}
	return nil
}

// Accept commits an event. When it returns nil the event is accepted: it is never lost and never changed, and the worker takes it into
// the log. A statement accepted before, whatever its signature then, answers with its stored entry. Nothing is accepted while the records
// are not Sound; whoever is told so repeats the event later.
func (l *Ledger) Accept(ctx context.Context, c Commit, judge Judge) (Entry, error) {
	if err := l.Sound(); err != nil {
		return Entry{}, err
	}
	leaf := c.Signed.LeafHash()
	l.expect(leaf, c.Signed)
	l.trails.follow(ctx, leaf)
	l.begun.Add(1)
	e, err := l.cfg.Records.Commit(ctx, c, judge)
	l.ended.Add(1)
	l.wakeUp() // after an error too: it may have been written
	if err == nil {
		err = l.Sound() // a commit may take as long as it takes others to take the records over
	}
	if err != nil || e.LeafHash != leaf || e.Included() {
		l.trails.forget(leaf)
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
	if l.lead != nil {
		l.wakeUp()
	}
	defer l.forget(leafHash, ch)
	ctx, end := trail.Begin(ctx, trail.Log, "await")
	defer end(nil)

	// Looked up only after the wait was registered, so an inclusion in between is not missed. What is coming has not been told yet.
	for look := !coming; ; look = true {
		if look {
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
		case <-l.lookAgain():
		case <-l.done:
			return Entry{}, ErrStopped
		case <-ctx.Done():
			return Entry{}, &evidence.Error{Kind: evidence.Pending, Reason: "pending", Err: ctx.Err()}
		}
	}
}

func (l *Ledger) forget(leafHash evidence.Hash, ch chan Entry) {
	l.trails.forget(leafHash)
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

// Checkpoint returns the newest signed checkpoint that is known here, or nil before the first event is in the log.
func (l *Ledger) Checkpoint() []byte {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.last.note
}

// Newest returns the newest signed checkpoint, whichever process signed it, or nil before there is one. Among other processes it is asked of
// the records: whoever saw it elsewhere would take an older one for a log that was rolled back.
func (l *Ledger) Newest(ctx context.Context) ([]byte, error) {
	if l.lead == nil {
		return l.Checkpoint(), nil
	}
	known := l.Size()
	note, err := l.cfg.Records.Checkpoint(ctx)
	if err != nil || note == nil {
		return nil, err
	}
	stored, err := l.open(note, "records")
	if err == nil && stored.Size < known {
		err = &Mismatch{"records", wentBack}
	}
	if l.heed(err) != nil {
		return nil, evidence.Fail(evidence.Internal, "log", err)
	}
	return note, nil
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
