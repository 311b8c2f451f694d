package sqldb

import (
	"context"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
)

// Replayed is an event that was accepted before, with what its stream was and became. Nothing is judged again.
type Replayed struct {
	ledger.Entry  // Order is its place among all events
	PAE           evidence.Hash
	Before, After evidence.State // Before is nil at seq 0
	Heads         *heads.Update
}

// Project writes the states and projections that events make, without the events, in one transaction.
func (d *DB) Project(ctx context.Context, list []Replayed) error {
	return d.replay(ctx, list, (*tx).reproject)
}

// Replay writes events again as pending, with their states and projections, in one transaction. They must be given in the order of their
// Order, which counts from 1 without gaps.
func (d *DB) Replay(ctx context.Context, list []Replayed) error {
	return d.replay(ctx, list, func(t *tx, ctx context.Context, r Replayed) error {
		order := r.Order
		if err := t.insertEvent(ctx, r.PAE, &r.Entry); err != nil {
			return err
		}
		if r.Order != order {
			return evidence.Refuse(evidence.Conflict, "position")
		}
		if err := t.reproject(ctx, r); err != nil {
			return err
		}
		if r.Heads != nil {
			return t.insertHeads(ctx, r.Heads)
		}
		return nil
	})
}

func (d *DB) replay(ctx context.Context, list []Replayed, one func(*tx, context.Context, Replayed) error) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		for _, r := range list {
			if err := one(t, ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) reproject(ctx context.Context, r Replayed) error {
	if err := t.putState(ctx, r.Stream, r.After); err != nil {
		return err
	}
	return t.project(ctx, r.Order, r.Before, r.After)
}

// Reattach stores attachments of replayed events under the numbers they are given, in one transaction.
func (d *DB) Reattach(ctx context.Context, list []StoredAttachment) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		for _, a := range list {
			var body any // null says destroyed
			if !a.Destroyed {
				body = append([]byte{}, a.Body...)
			}
			err := t.must(ctx, evidence.Refuse(evidence.NotFound, "event"), `
				insert into attachments (id, ord, kind, name, audience, recipient, sha256, body)
				select $1, ord, $2, $3, $4, $5, $6, $7 from events where leaf_hash = $8`,
				a.Number, a.Kind, a.Name, a.Audience, recipientValue(a.Recipient), a.SHA256[:], body, a.Event[:])
			if err != nil {
				return err
			}
		}
		return nil
	})
}
