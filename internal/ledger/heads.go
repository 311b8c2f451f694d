package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

const (
	maxUncovered = 1000 // leaves that may wait for a publication while events keep coming and nobody asks for one
	maxCovered   = 4096 // leaves that one publication adds
)

// publication is an accepted vault.heads event. Proofs are given under it once it is in the log and has a receipt.
type publication struct {
	leaf    evidence.Hash
	receipt []byte
	after   signed // the log right after it; of size 0 where more went into the log with it, as earlier versions had it
	covers  int64
	root    [32]byte
	void    []int64
}

// Completeness shows, under one publication of the heads map, how long each stream is.
type Completeness struct {
	Heads   []byte // receipt of the vault.heads event
	under   publication
	Covers  int64
	Streams []Length
}

// Length proves that a stream has exactly N events below Covers: event N-1 is there, event N is not. Member is absent at N = 0.
type Length struct {
	Stream evidence.Stream
	N      int64
	Member *heads.Proof
	Absent heads.Proof
}

// Complete proves the lengths of streams under one publication with Covers > index; it waits for one until ctx ends (Pending).
func (l *Ledger) Complete(ctx context.Context, streams []evidence.Stream, index int64) (Completeness, error) {
	return l.completeAs(ctx, streams, index, false)
}

// completeAs is Complete or, final, the same under a publication whose state right after it is offered next, or was.
func (l *Ledger) completeAs(ctx context.Context, streams []evidence.Stream, index int64, final bool) (Completeness, error) {
	states, err := l.cfg.Records.States(ctx, streams...)
	if err != nil {
		return Completeness{}, err
	}
	for {
		answer, await, err := l.complete(ctx, streams, states, index, final)
		if await == nil {
			return answer, err
		}
		if err := await(); err != nil {
			return Completeness{}, err
		}
	}
}

// awaitHeads asks for a publication and waits for the next.
func (l *Ledger) awaitHeads(ctx context.Context, changed <-chan struct{}) error {
	l.asking.Add(1)
	defer l.asking.Add(-1)
	l.wakeUp()
	select {
	case <-changed:
		return nil
	case <-l.done:
		return ErrStopped
	case <-ctx.Done():
		return &evidence.Error{Kind: evidence.Pending, Reason: "heads_pending", Err: ctx.Err()}
	}
}

// complete answers, or returns how to wait until it may. The map may be ahead of what is in the log: then nothing is proved from it.
func (l *Ledger) complete(
	ctx context.Context, streams []evidence.Stream, states map[evidence.Stream]evidence.State, index int64, final bool,
) (answer Completeness, await func() error, err error) {
	l.proving.RLock()
	defer l.proving.RUnlock()
	l.mu.RLock()
	p, m, changed := l.published, l.heads, l.changed
	l.mu.RUnlock()
	if p.receipt == nil || p.covers <= index || m == nil || m.Root() != p.root {
		return answer, func() error { return l.awaitHeads(ctx, changed) }, nil
	}
	if final {
		settled, err := l.choose(ctx, p)
		if err != nil {
			return answer, nil, err
		}
		if settled != nil {
			return answer, func() error { return l.awaitOffer(ctx, settled) }, nil
		}
	}
	answer = Completeness{Heads: p.receipt, under: p, Covers: p.covers, Streams: make([]Length, len(streams))}
	for i, s := range streams {
		n := int64(0)
		if state, ok := states[s]; ok {
			n = state.Tip().Seq + 1
		}
		if answer.Streams[i], err = length(ctx, m, p.covers, s, s.Tag(l.cfg.Origin), n); err != nil {
			return Completeness{}, nil, evidence.Fail(evidence.Internal, "heads", err)
		}
	}
	return answer, nil, nil
}

// length looks for the last event of s that the map holds. The stream may have grown since the publication, or since n was read.
func length(ctx context.Context, m *headsMap, covers int64, s evidence.Stream, tag evidence.Hash, n int64) (Length, error) {
	prove := func(seq int64) (heads.Proof, bool, error) {
		key := heads.Key(tag, uint64(seq))
		proof, err := m.prove(ctx, covers, key)
		return proof, proof.Leaf != nil && proof.Leaf.Key == key, err
	}
	at, member, err := prove(n)
	for err == nil && member { // it grew since n was read
		n++
		at, member, err = prove(n)
	}
	for err == nil && n > 0 {
		var before heads.Proof
		if before, member, err = prove(n - 1); err == nil && member {
			return Length{s, n, &before, at}, nil
		}
		at, n = before, n-1
	}
	return Length{Stream: s, Absent: at}, err
}

// publishHeads inserts what the newest checkpoint covers into the map and accepts the vault.heads event that says so; the event itself
// goes into the log with the next wave. Only one is ever on its way, of whatever process. It reports whether it published.
func (l *Ledger) publishHeads(ctx context.Context) (bool, error) {
	if l.stale {
		if err := l.loadHeads(ctx); err != nil {
			return false, err
		}
	}
	from, covers := l.accepted.covers, min(l.last.Size, l.accepted.covers+maxCovered)
	if from == covers || l.accepted.leaf != l.published.leaf {
		return false, nil
	}
	size := l.last.Size
	entries, covers, void, err := l.headsBetween(ctx, from, covers)
	if err != nil || entries == nil {
		if covers == size {
			l.followed.fruitless = size
		}
		return false, err
	}
	if at, err := l.headsState(ctx); err != nil || at.Last.Leaf != l.accepted.leaf {
		l.stale = l.stale || l.lead == nil && err == nil // where others are at work theirs are followed
		return false, err                                // that of another process is on its way
	}
	update, err := l.heads.Insert(ctx, entries)
	if errors.Is(err, heads.ErrStore) && l.beaten() {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("heads: %w", err)
	}
	if len(update.Void) > 0 { // the records never hold two events of one (stream, seq)
		return false, &Mismatch{"records", "two events stand at one place of a stream"}
	}
	allVoid := slices.Concat(l.accepted.void, void)
	event, judge, err := l.headsEvent(ctx, covers, allVoid, update.Root)
	if err != nil {
		return false, err
	}
	// Records and map change together: meanwhile nobody proves from them.
	l.proving.Lock()
	defer l.proving.Unlock()
	if _, err := l.cfg.Records.Commit(ctx, Commit{Signed: event, Heads: &update}, judge); err != nil {
		if evidence.KindOf(err) == evidence.Conflict && l.beaten() { // then nothing was written
			return false, nil
		}
		// Whether it was written is not known: the map is read again before it is used.
		l.stale = true
		l.mu.Lock()
		defer l.mu.Unlock()
		l.heads = nil
		return false, fmt.Errorf("heads: %w", err)
	}
	l.accepted = publication{leaf: event.LeafHash(), covers: covers, root: update.Root, void: allVoid}
	return true, l.heads.become(update, covers)
}

// beaten reports whether another process may have published first, or changed what the event stands on. What it published is followed; if there
// is nothing to follow after a few times, it was something else.
func (l *Ledger) beaten() bool {
	l.followed.beaten++
	return l.lead != nil && l.followed.beaten <= 3
}

// headsBetween lists the map's entries for leaves [from, to): one for every event, none for a leaf that has no statement (void, an
// alarm). It is nil when only vault.heads leaves are uncovered. It ends early at a leaf whose event is not included yet.
func (l *Ledger) headsBetween(ctx context.Context, from, to int64) (entries []heads.Entry, covers int64, void []int64, err error) {
	worth := false
	for start := from; start < to; start += maxWave {
		end := min(start+maxWave, to)
		events, err := l.cfg.Records.LogRange(ctx, start, end)
		if err != nil {
			return nil, 0, nil, err
		}
		for index := start; index < end; index++ {
			if len(events) == 0 || events[0].Index != index {
				pending, err := l.unexplained(ctx, index)
				if err != nil {
					return nil, 0, nil, err
				}
				if pending {
					return onlyIf(worth, entries), index, void, nil
				}
				void, worth = append(void, index), true
				l.cfg.Logger.Error("log_leaf_without_statement", "index", index)
				continue
			}
			e := events[0]
			events = events[1:]
			worth = worth || e.Kind != evidence.VaultHeads
			entries = append(entries, heads.Entry{Key: heads.Key(e.Stream.Tag(l.cfg.Origin), uint64(e.Seq)), Value: e.LeafHash})
		}
	}
	return onlyIf(worth, entries), to, void, nil
}

func onlyIf(worth bool, entries []heads.Entry) []heads.Entry {
	if !worth {
		return nil
	}
	return append([]heads.Entry{}, entries...)
}

// unexplained reports whether the leaf belongs to an event that waits to be included.
func (l *Ledger) unexplained(ctx context.Context, index int64) (pending bool, err error) {
	leaves, err := l.cfg.Tree.Leaves(ctx, index, 1)
	if err != nil || len(leaves) != 1 {
		return false, fmt.Errorf("leaf: %w", err)
	}
	_, err = l.cfg.Records.Entry(ctx, evidence.Hash(tlog.LeafHash(leaves[0].Value)))
	if evidence.KindOf(err) == evidence.NotFound {
		return false, nil
	}
	return true, err
}

// headsEvent signs vault.heads on the present heads of the vault's own streams.
func (l *Ledger) headsEvent(ctx context.Context, covers int64, void []int64, root [32]byte) (*custody.Signed, Judge, error) {
	vault, policy, author := evidence.VaultOf(l.cfg.Origin), evidence.PolicyOf(l.cfg.Origin), evidence.ActorOf(l.cfg.Vault.ID)
	states, err := l.cfg.Records.States(ctx, vault, policy, author)
	if err != nil {
		return nil, nil, err
	}
	e := &evidence.Event{
		Kind: evidence.VaultHeads,
		Details: &evidence.VaultHeadsDetails{
			Covers: covers, Entries: covers - int64(len(void)), Void: void, Root: root,
		},
	}
	signed, err := l.cfg.Vault.Sign(e, vault, evidence.Facts{Origin: l.cfg.Origin, Founders: l.cfg.Founders, States: states}, l.cfg.Now())
	if err != nil {
		return nil, nil, err
	}
	return signed, l.Judge(signed), nil
}

// Judge is the law applied to one signed event.
func (l *Ledger) Judge(signed *custody.Signed) Judge {
	return func(states map[evidence.Stream]evidence.State) (evidence.State, error) {
		facts := evidence.Facts{Origin: l.cfg.Origin, Founders: l.cfg.Founders, States: states}
		return evidence.Apply(facts, signed.Event(), signed.LeafHash())
	}
}

// Sign completes an event in the vault's own name: who, when, at which place of stream s and on which heads; then signs it.
func (a Author) Sign(e *evidence.Event, s evidence.Stream, f evidence.Facts, now time.Time) (*custody.Signed, error) {
	e.Vault, e.Tool = f.Origin, a.Tool
	e.Actor = evidence.Signer{ID: a.ID, Role: evidence.Vault}
	e.Time = evidence.At(now)
	e.Stream = evidence.Position{Type: s.Type, ID: s.ID}
	own := f.States[s]
	if own != nil {
		e.Stream.Seq, e.Stream.Prev = own.Tip().Seq+1, own.Tip().Leaf
	}
	for _, state := range f.States { // the clock may have stepped back since
		e.Time = max(e.Time, state.Tip().Time)
	}
	e.ReliedOn = evidence.ReliedOn(f, e)
	e.Subject = e.Subjects(own)
	key, err := a.inForce(f)
	if err != nil {
		return nil, err
	}
	return custody.Sign(e, key.SPKI, key.Signer)
}

func (l *Ledger) publicationOf(e Entry) (publication, error) {
	statement, err := custody.Open(e.Leaf.Extra)
	if err != nil {
		return publication{}, fmt.Errorf("heads: %w", err)
	}
	d, ok := statement.Event().Details.(*evidence.VaultHeadsDetails)
	if !ok {
		return publication{}, &Mismatch{"records", "the vault's stream holds another kind of event"}
	}
	p := publication{leaf: e.LeafHash, receipt: e.Receipt, covers: d.Covers, root: d.Root, void: d.Void}
	if receipt, err := tlog.ParseReceipt(e.Receipt); err == nil { // what is damaged is found where it is used
		if cp, err := l.open(receipt.Checkpoint(), "records"); err == nil && cp.Size == e.Index+1 {
			p.after = cp
		}
	}
	return p, nil
}

// publish makes p, which is in the log, the one that proofs are given under. The caller holds mu.
func (l *Ledger) publish(p publication) {
	l.published = p
	if l.cfg.Lead != nil {
		l.followed.breath, l.followed.beaten = time.After(breath), 0
	}
	close(l.changed)
	l.changed = make(chan struct{})
}
