package ledger

import (
	"context"
	"fmt"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// maxWave bounds how many events share one checkpoint.
const maxWave = 256

// wave cuts from pending, which is in commit order, the events that may go into the log together: none stands on another of them, and a
// barrier event goes alone. What waits for the next wave comes after all of this one.
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
	}
	return pending
}

// include takes a wave into the log: append, sign, prove, check, store, tell. It can be repeated after a failure at any point, because
// the tree answers a leaf it has with the leaf's index.
func (l *Ledger) include(ctx context.Context, wave []Entry) error {
	leaves := make([]tlog.TreeLeaf, len(wave))
	for i, e := range wave {
		leaves[i] = e.Leaf
	}
	indexes, err := l.cfg.Tree.Append(ctx, leaves)
	if err != nil {
		return fmt.Errorf("append: %w", err)
	}
	cp, err := l.sign(ctx)
	if err != nil {
		return err
	}
	included := make([]Inclusion, len(wave))
	for i, e := range wave {
		if included[i], err = l.prove(ctx, e, indexes[i], cp); err != nil {
			return err
		}
	}
	// From here the checkpoint is out of our hands: both copies are written, the apart one first, before any receipt under it leaves.
	if err := l.keepApart(cp); err != nil {
		return err
	}
	if err := l.cfg.Records.Include(ctx, cp.Size, cp.note, included); err != nil {
		return err
	}
	l.tell(wave, included, cp)
	return nil
}

// sign makes the checkpoint of the tree as it is now, after proving to itself that it extends the last one signed.
func (l *Ledger) sign(ctx context.Context) (signed, error) {
	root, err := l.cfg.Tree.Root(ctx)
	if err != nil {
		return signed{}, fmt.Errorf("root: %w", err)
	}
	cp := tlog.Checkpoint{Origin: l.cfg.Origin, Size: root.Size, Root: root.Hash}
	if err := l.extends(ctx, l.last, cp); err != nil {
		return signed{}, err
	}
	if cp == l.last.Checkpoint {
		return l.last, nil
	}
	note, err := tlog.SignCheckpoint(cp, l.cfg.Signers...)
	if err != nil {
		return signed{}, fmt.Errorf("sign checkpoint: %w", err)
	}
	if _, err := tlog.OpenCheckpoint(note, l.cfg.Keys); err != nil {
		return signed{}, fmt.Errorf("own checkpoint: %w", err)
	}
	return signed{cp, note}, nil
}

// prove makes the receipt of one event and verifies it as a stranger would.
func (l *Ledger) prove(ctx context.Context, e Entry, index int64, cp signed) (Inclusion, error) {
	hashes, err := l.cfg.Tree.Inclusion(ctx, index, cp.Size)
	if err != nil {
		return Inclusion{}, fmt.Errorf("inclusion proof: %w", err)
	}
	fact, err := tlog.VerifyInclusion(tlog.LeafHash(e.Leaf.Value), index, hashes, cp.Checkpoint)
	if err != nil {
		return Inclusion{}, fmt.Errorf("own inclusion proof: %w", err)
	}
	if evidence.Hash(fact.LeafHash()) != e.LeafHash {
		return Inclusion{}, &Mismatch{"records", "a stored leaf is not the one its event names"}
	}
	statement, err := custody.Open(e.Leaf.Extra)
	if err != nil {
		return Inclusion{}, fmt.Errorf("stored statement: %w", err)
	}
	receipt, err := tlog.NewReceipt(tlog.ReceiptParts{
		LogID: l.cfg.LogID, Leaf: e.Leaf.Value, Index: index, Proof: hashes, Checkpoint: cp.note,
		PayloadType: custody.PayloadType, Payload: statement.Payload(), Signature: statement.Signature(), KeyID: tlog.Hash(statement.KeyID()),
	})
	if err != nil {
		return Inclusion{}, fmt.Errorf("receipt: %w", err)
	}
	return Inclusion{LeafHash: e.LeafHash, Index: index, Receipt: receipt.Marshal()}, nil
}

// tell makes a stored wave known: the new checkpoint, a heads publication if there was one, and everybody who waits.
func (l *Ledger) tell(wave []Entry, included []Inclusion, cp signed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = cp
	for i, e := range wave {
		e.Index, e.Receipt = included[i].Index, included[i].Receipt
		if e.Kind == evidence.VaultHeads {
			p := l.accepted // only one is ever pending
			p.receipt = e.Receipt
			l.publish(p)
		}
		for _, ch := range l.waiting[e.LeafHash] {
			ch <- e // each channel has room for its one answer
		}
		delete(l.waiting, e.LeafHash)
	}
}
