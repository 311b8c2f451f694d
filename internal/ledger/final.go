package ledger

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// errNotFinal says that witnesses or authorities have not confirmed an event's checkpoint yet. Nothing needs to be done: they are asked
// until they do.
var errNotFinal = evidence.Refuse(evidence.Pending, "not_final")

// Final returns the receipt of an included event that everybody whom the trust file names has confirmed: under the smallest final
// checkpoint that covers it, with the event's own time stamps. Pending "pending", "not_final".
func (l *Ledger) Final(ctx context.Context, leafHash evidence.Hash) ([]byte, error) {
	e, err := l.cfg.Records.Entry(ctx, leafHash)
	if err != nil {
		return nil, err
	}
	if !e.Included() {
		return nil, evidence.Refuse(evidence.Pending, "pending")
	}
	list, err := l.Finals(ctx, []Entry{e})
	if err != nil {
		return nil, err
	}
	return list[0].Receipt, nil
}

// AwaitFinal is Final that waits until ctx ends.
func (l *Ledger) AwaitFinal(ctx context.Context, leafHash evidence.Hash) ([]byte, error) {
	for {
		settled := l.settledNext()
		receipt, err := l.Final(ctx, leafHash)
		if evidence.KindOf(err) != evidence.Pending {
			return receipt, err
		}
		switch l.awaitSettled(ctx, settled) {
		case nil:
		case ErrStopped:
			return nil, ErrStopped
		default:
			return nil, err
		}
	}
}

// CompleteFinal is Complete with the final receipt of the publication, under the state right after it, which auditors sign: it waits for
// that too and, until ctx ends, for the auditors whom the trust file asks for. A publication that was passed by before it was final gives way
// to a later one. Nothing else waits meanwhile: the map is published as ever.
func (l *Ledger) CompleteFinal(ctx context.Context, streams []evidence.Stream, index int64) (Completeness, error) {
	if l.publisher == nil {
		return l.Complete(ctx, streams, index)
	}
	for {
		c, err := l.completeAs(ctx, streams, index, true)
		if err != nil {
			return Completeness{}, err
		}
		if c.under.after.Size == 0 { // of an earlier version, and nothing has happened since
			c.Heads, err = l.AwaitFinal(ctx, c.under.leaf)
			return c, err
		}
		if c.Heads, err = l.finalAfter(ctx, c.under); err != nil || c.Heads != nil {
			return c, err
		}
		index = max(index, c.Covers) // which the next one covers more than
	}
}

// choose has the state right after p, which was the newest publication a moment ago, offered next. Only one is chosen until that is done,
// so all who want a final proof get it under the same, in whatever process, however many publications follow each other meanwhile. Where it is
// not p's, choose returns what to wait for before another one can be.
func (l *Ledger) choose(ctx context.Context, p publication) (settled <-chan struct{}, err error) {
	settled = l.settledNext()
	offered := l.publisher.offered().Size
	l.mu.RLock()
	chosen := l.chosen
	l.mu.RUnlock()
	if p.after.Size <= offered { // it was its turn, or there is no such state
		return nil, nil
	}
	if chosen <= offered {
		if chosen, err = l.cfg.Records.Choose(ctx, p.after.Size, p.after.note); err != nil {
			return nil, err
		}
		l.mu.Lock()
		l.chosen = chosen
		l.mu.Unlock()
	}
	if chosen == p.after.Size {
		return nil, nil
	}
	return settled, nil
}

// awaitOffer waits until settled is closed.
func (l *Ledger) awaitOffer(ctx context.Context, settled <-chan struct{}) error {
	err := l.awaitSettled(ctx, settled)
	if err != nil && err != ErrStopped {
		err = errNotFinal
	}
	return err
}

// awaitSettled waits until settled is closed: ErrStopped, or what ended ctx.
func (l *Ledger) awaitSettled(ctx context.Context, settled <-chan struct{}) error {
	if l.publisher != nil {
		l.publisher.awaiting.Add(1)
		defer l.publisher.awaiting.Add(-1)
	}
	select {
	case <-settled:
		return nil
	case <-l.done:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// finalAfter returns a publication's receipt under the state right after it, or nil if that was passed by before it was final.
func (l *Ledger) finalAfter(ctx context.Context, under publication) ([]byte, error) {
	p := l.publisher
	e, err := l.cfg.Records.Entry(ctx, under.leaf)
	if err != nil {
		return nil, err
	}
	for {
		settled, offered := l.settledNext(), p.offered().Size
		row, err := l.publishedAt(ctx, under.after.Size)
		if err != nil && evidence.KindOf(err) != evidence.NotFound {
			return nil, err
		}
		final := err == nil && row.Final == p.id
		if final && (row.Audited == p.id || !p.policy.RequiresAuditors()) {
			return l.receiptUnder(ctx, e, row.Size, row.Note)
		}
		if !final && offered > under.after.Size {
			return nil, nil
		}
		switch err := l.awaitOffer(ctx, settled); {
		case err == errNotFinal && final:
			return l.receiptUnder(context.WithoutCancel(ctx), e, row.Size, row.Note)
		case err != nil:
			return nil, err
		}
	}
}

// settledNext is closed when a checkpoint is offered, or something comes for one.
func (l *Ledger) settledNext() <-chan struct{} {
	if l.publisher == nil {
		return nil
	}
	l.publisher.mu.Lock()
	defer l.publisher.mu.Unlock()
	return l.publisher.settled
}

// Finals returns the entries with final receipts. Those that are pending are returned as they are; "not_final" if one of the others is.
func (l *Ledger) Finals(ctx context.Context, entries []Entry) ([]Entry, error) {
	p := l.publisher
	if p == nil {
		return entries, nil
	}
	list := make([]Entry, len(entries))
	var under Published // the smallest final checkpoint above the event before
	var above int64
	for i, e := range entries {
		if list[i] = e; !e.Included() {
			continue
		}
		if under.Size <= e.Index || e.Index < above {
			var err error
			under, err = p.covering(ctx, e)
			if err != nil {
				return nil, err
			}
			above = e.Index
		}
		var err error
		if list[i].Receipt, err = l.receiptUnder(ctx, e, under.Size, under.Note); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// covering finds the checkpoint of a final receipt; none, of size 0, if nothing but the log's signature is needed. An event keeps the word of
// those who were asked when it was entered, as far as the trust file still counts it: a later one would say no more than that it is old.
func (p *publisher) covering(ctx context.Context, e Entry) (Published, error) {
	for above := e.Index; ; {
		under, err := p.cfg.Records.NextPublished(ctx, above, Once, evidence.Hash{})
		switch {
		case evidence.KindOf(err) == evidence.NotFound && p.required():
			return Published{}, errNotFinal
		case evidence.KindOf(err) == evidence.NotFound:
			return Published{}, nil
		case err != nil || under.Final == p.id || under.met(p.cfg.Trust):
			return under, err
		}
		above = under.Size
	}
}

// receiptUnder makes an event's receipt anew, under a checkpoint of another size or, where that is 0, its own; and checks it as a stranger
// would.
func (l *Ledger) receiptUnder(ctx context.Context, e Entry, size int64, note []byte) ([]byte, error) {
	stored, err := tlog.ParseReceipt(e.Receipt)
	if err != nil {
		return nil, evidence.Fail(evidence.Internal, "stored_receipt", err)
	}
	parts := tlog.ReceiptParts{
		LogID: stored.LogID(), Leaf: stored.Leaf(), Index: stored.Index(), Proof: stored.Proof(), Checkpoint: stored.Checkpoint(), KeyID: stored.KeyID(),
	}
	parts.PayloadType, parts.Payload, parts.Signature = stored.Signed()
	if size > 0 {
		parts.Checkpoint = note
		if parts.Proof, err = l.cfg.Tree.Inclusion(ctx, e.Index, size); err != nil {
			return nil, evidence.Fail(evidence.Internal, "log", err)
		}
	}
	if parts.Timestamps, err = l.stampsOf(ctx, e.LeafHash); err != nil {
		return nil, err
	}
	for {
		receipt, err := l.signedBy(parts)
		if err == nil {
			return receipt.Marshal(), nil
		}
		if len(parts.Timestamps) == 0 {
			return nil, evidence.Fail(evidence.Internal, "own_receipt", err)
		}
		parts.Timestamps = parts.Timestamps[:len(parts.Timestamps)-1] // it has grown too large
	}
}

// signedBy is the receipt under whichever of the log's keys signed the checkpoint.
func (l *Ledger) signedBy(parts tlog.ReceiptParts) (tlog.Receipt, error) {
	ids := []tlog.Hash{l.cfg.LogID}
	for _, log := range l.cfg.Trust.Logs() {
		if _, primary := log.Key.(*ecdsa.PublicKey); primary {
			if id, err := tlog.LogID(log.Key); err == nil {
				ids = append(ids, id)
			}
		}
	}
	var failed error
	for _, id := range ids {
		parts.LogID = id
		receipt, err := tlog.NewReceipt(parts)
		if err != nil {
			return receipt, err
		}
		if _, failed = receipt.Verify(l.cfg.Keys); failed == nil || !errors.Is(failed, tlog.ErrLogKey) {
			return receipt, failed
		}
	}
	return tlog.Receipt{}, fmt.Errorf("final receipt: %w", failed)
}

// FinalCheckpoint returns the newest final checkpoint with its cosignatures, or nil before there is one.
func (l *Ledger) FinalCheckpoint(ctx context.Context) ([]byte, error) {
	p := l.publisher
	if p == nil {
		return l.Newest(ctx)
	}
	row, err := l.cfg.Records.LastPublished(ctx, Final, p.id)
	if evidence.KindOf(err) == evidence.NotFound {
		if !p.required() {
			return l.Newest(ctx)
		}
		return nil, nil
	}
	return row.Note, err
}

// PublishedCheckpoint returns the published checkpoint of a size, or the newest for size 0: NotFound.
func (l *Ledger) PublishedCheckpoint(ctx context.Context, size int64) (Published, error) {
	if size == 0 {
		return l.cfg.Records.LastPublished(ctx, Offered, evidence.Hash{})
	}
	return l.publishedAt(ctx, size)
}
