package ledger

import (
	"bytes"
	"context"
	"fmt"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// maxWave bounds how many events share one checkpoint.
const maxWave = 256

// wave cuts from pending, which is in commit order, the events that may go into the log together: none stands on another of them, and a
// barrier event goes alone. A publication of the heads map is the last, so that the checkpoint of its wave is the state right after it, which
// auditors sign. What waits for the next wave comes after all of this one.
func wave(pending []Entry) []Entry {
	in := make(map[evidence.Hash]bool, len(pending))
	for i, e := range pending {
		if i > 0 && (e.Kind.Barrier() || pending[i-1].Kind.Barrier()) {
			return pending[:i]
		}
		for _, basis := range e.Stands {
			if in[basis] {
				return pending[:i]
			}
		}
		in[e.LeafHash] = true
		if e.Kind == evidence.VaultHeads {
			return pending[:i+1]
		}
	}
	return pending
}

// include takes a wave into the log: append, sign, prove, check, store, tell. It can be repeated after a failure at any point, because
// the tree answers a leaf it has with the leaf's index.
func (l *Ledger) include(ctx context.Context, wave []Entry) error {
	ctx = l.trails.of(ctx, wave)
	leaves := make([]tlog.TreeLeaf, len(wave))
	statements := make([]statement, len(wave))
	for i, e := range wave {
		var err error
		if statements[i], err = l.statement(e); err != nil {
			return err
		}
		leaves[i] = e.Leaf
	}
	indexes, err := l.cfg.Tree.Append(ctx, leaves)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if len(indexes) != len(wave) {
		return &Mismatch{"log", "it did not answer for each leaf"}
	}
	for i, e := range wave {
		if err := l.notVoid(ctx, e, indexes[i]); err != nil {
			return err
		}
	}
	cp, err := l.sign(ctx, indexes)
	if err != nil {
		return err
	}
	proofs, err := l.proofs(ctx, wave, indexes, cp.Size)
	if err != nil {
		return err
	}
	included := make([]Inclusion, len(wave))
	for i, e := range wave {
		if included[i], err = l.prove(e, statements[i], indexes[i], proofs[i], cp); err != nil {
			return err
		}
	}
	return l.store(ctx, proven{wave, included, cp})
}

// notVoid demands of an event at an index that the heads map covers already that it is in the map, as after the records were rebuilt: else it
// was published that no event is there.
func (l *Ledger) notVoid(ctx context.Context, e Entry, index int64) error {
	if index >= l.accepted.covers {
		return nil
	}
	if l.stale || l.heads == nil {
		if err := l.loadHeads(ctx); err != nil {
			return err
		}
	}
	key := heads.Key(e.Stream.Tag(l.cfg.Origin), uint64(e.Seq))
	proof, err := l.heads.prove(ctx, l.accepted.covers, key)
	if err != nil {
		return err
	}
	if proof.VerifyMember(l.heads.Root(), key, e.LeafHash) != nil {
		return &Mismatch{"records", "they lacked an event that the log holds when the heads map was published without it"}
	}
	return nil
}

// statement is what a receipt says of an event: a *custody.Statement or a *custody.Signed.
type statement interface {
	Payload() []byte
	Signature() []byte
	KeyID() evidence.Hash
}

// statement returns that of a stored event. What is damaged on disk must not enter the log: there it would stay. What was accepted here a
// moment ago is only compared with what was read and verified then.
func (l *Ledger) statement(e Entry) (statement, error) {
	if evidence.Hash(tlog.LeafHash(e.Leaf.Value)) != e.LeafHash {
		return nil, &Mismatch{"records", "a stored leaf is not the one its event names"}
	}
	l.mu.RLock()
	signed := l.coming[e.LeafHash]
	l.mu.RUnlock()
	if signed != nil && bytes.Equal(signed.DSSE(), e.Leaf.Extra) {
		return signed, nil
	}
	opened, err := custody.Open(e.Leaf.Extra)
	if err != nil {
		return nil, fmt.Errorf("stored statement: %w", err)
	}
	return opened, nil
}

// proven is a wave that is in the log, under a checkpoint that may be out of our hands.
type proven struct {
	wave     []Entry
	included []Inclusion
	cp       signed
}

// store writes both copies of the checkpoint, the apart one first, before any receipt under it leaves. After an error it is not known
// what was written: if the records say that it was, it counts; else the same is stored again before anything else happens.
func (l *Ledger) store(ctx context.Context, p proven) error {
	l.unsure = &p
	if err := l.keepApart(p.cp); err != nil {
		return err
	}
	switch err := l.cfg.Records.Include(ctx, p.cp.Size, p.cp.note, p.included); {
	case err == nil || l.stored(ctx, p):
		l.unsure = nil
		l.tell(p)
	case evidence.ReasonOf(err) == "checkpoint_smaller":
		// Another process has signed more of the tree: that is followed. What it has not included waits in the records, as before.
		l.unsure = nil
	default:
		return err
	}
	return nil
}

// stored reports whether the records hold the wave. They took it as a whole, so any of its events tells; until it is told here, others may
// have read its receipts, under a checkpoint that they cannot get from here.
func (l *Ledger) stored(ctx context.Context, p proven) bool {
	e, err := l.cfg.Records.Entry(ctx, p.wave[0].LeafHash)
	return err == nil && bytes.Equal(e.Receipt, p.included[0].Receipt)
}

// sign makes the checkpoint of the tree as it is now, after proving to itself that it extends the last one signed, and that the records know
// all that it adds. Leaves that were appended just now are known; others may be there of a process that leads too, or that was ended.
func (l *Ledger) sign(ctx context.Context, appended []int64) (signed, error) {
	root, err := l.cfg.Tree.Root(ctx)
	if err != nil {
		return signed{}, fmt.Errorf("root: %w", err)
	}
	cp := tlog.Checkpoint{Origin: l.cfg.Origin, Size: root.Size, Root: root.Hash}
	if err := l.extends(ctx, l.newest, cp); err != nil {
		return signed{}, err
	}
	if cp == l.newest.Checkpoint {
		return l.newest, nil
	}
	unknown := cp.Size - l.newest.Size
	for _, index := range appended {
		if l.newest.Size <= index && index < cp.Size {
			unknown--
		}
	}
	if unknown > 0 {
		if err := l.heed(l.checkUnrecorded(ctx, l.newest.Size, cp.Size)); err != nil {
			return signed{}, err
		}
	}
	note, err := tlog.SignCheckpoint(cp, l.cfg.Signers...)
	if err != nil {
		return signed{}, fmt.Errorf("sign checkpoint: %w", err)
	}
	if _, err := tlog.OpenCheckpoint(note, l.cfg.Keys); err != nil {
		return signed{}, fmt.Errorf("own checkpoint: %w", err)
	}
	l.newest = signed{cp, note}
	return l.newest, nil
}

// prove makes the receipt of one event, after verifying its inclusion as a stranger would.
func (l *Ledger) prove(e Entry, statement statement, index int64, proof [][]byte, cp signed) (Inclusion, error) {
	if _, err := tlog.VerifyInclusion(tlog.Hash(e.LeafHash), index, proof, cp.Checkpoint); err != nil {
		return Inclusion{}, fmt.Errorf("own inclusion proof: %w", err)
	}
	receipt, err := tlog.NewReceipt(tlog.ReceiptParts{
		LogID: l.cfg.LogID, Leaf: e.Leaf.Value, Index: index, Proof: proof, Checkpoint: cp.note,
		PayloadType: custody.PayloadType, Payload: statement.Payload(), Signature: statement.Signature(), KeyID: tlog.Hash(statement.KeyID()),
	})
	if err != nil {
		return Inclusion{}, fmt.Errorf("receipt: %w", err)
	}
	return Inclusion{LeafHash: e.LeafHash, Index: index, Receipt: receipt.Marshal()}, nil
}

// tell makes a stored wave known: the new checkpoint, a heads publication if there was one, and everybody who waits.
func (l *Ledger) tell(p proven) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.cp.Size >= l.last.Size {
		l.last = p.cp
	}
	if first := p.included[0].Index; first == l.followed.told && p.cp.Size == first+int64(len(p.wave)) {
		l.followed.told = p.cp.Size
	}
	for i, e := range p.wave {
		e.Index, e.Receipt = p.included[i].Index, p.included[i].Receipt
		if e.LeafHash == l.accepted.leaf {
			l.accepted.receipt = e.Receipt
			if p.cp.Size == e.Index+1 {
				l.accepted.after = p.cp
			}
			l.publish(l.accepted)
		}
		l.answer(e)
	}
	if l.publisher != nil {
		l.publisher.news()
	}
}

// answer gives an event that is in the log to those who wait for it. The caller holds mu.
func (l *Ledger) answer(e Entry) {
	for _, ch := range l.waiting[e.LeafHash] {
		ch <- e // each channel has room for its one answer
	}
	delete(l.waiting, e.LeafHash)
	delete(l.coming, e.LeafHash)
	l.trails.forget(e.LeafHash)
}
