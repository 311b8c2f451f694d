package sqldb

import (
	"context"
	"database/sql"
	"errors"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

const selectEntry = `
	select e.ord, e.stream_type, e.stream_id, e.seq, e.kind, e.leaf_hash, e.stands, e.leaf, e.dsse, i.idx, i.receipt
	from events e left join inclusions i on i.ord = e.ord`

func scanEntry(row scanner) (ledger.Entry, error) {
	var e ledger.Entry
	var leafHash, stands []byte
	var index sql.NullInt64
	err := row.Scan(&e.Order, &e.Stream.Type, &e.Stream.ID, &e.Seq, &e.Kind, &leafHash, &stands, &e.Leaf.Value, &e.Leaf.Extra, &index, &e.Receipt)
	if err != nil {
		return e, err
	}
	e.Index = -1
	if index.Valid {
		e.Index = index.Int64
	}
	if e.LeafHash, err = hash(leafHash); err != nil {
		return e, err
	}
	for ; len(stands) > 0; stands = stands[len(e.LeafHash):] {
		h, err := hash(stands[:min(len(stands), len(e.LeafHash))])
		if err != nil {
			return e, err
		}
		e.Stands = append(e.Stands, h)
	}
	return e, nil
}

// hash reads a stored digest.
func hash(b []byte) (h evidence.Hash, err error) {
	if len(b) != len(h) {
		return h, damage(errors.New("digest of another length"))
	}
	copy(h[:], b)
	return h, nil
}

// Pending implements ledger.Records.
func (d *DB) Pending(ctx context.Context, limit int) ([]ledger.Entry, error) {
	return list(ctx, d.read, scanEntry, `
		select e.ord, e.stream_type, e.stream_id, e.seq, e.kind, e.leaf_hash, e.stands, e.leaf, e.dsse, null, null
		from pending p join events e on e.ord = p.ord order by p.ord limit $1 + 0`, max(limit, 0))
}

// Entry implements ledger.Records.
func (d *DB) Entry(ctx context.Context, leafHash evidence.Hash) (ledger.Entry, error) {
	return one(ctx, d.read, "event", scanEntry, selectEntry+` where e.leaf_hash = $1`, leafHash[:])
}

// LogRange implements ledger.Records.
func (d *DB) LogRange(ctx context.Context, start, end int64) ([]ledger.Entry, error) {
	return list(ctx, d.read, scanEntry, selectEntry+` where i.idx >= $1 and i.idx < $2 order by i.idx`, start, end)
}

// Stream implements vault.Records.
func (d *DB) Stream(ctx context.Context, s evidence.Stream, after int64, limit int) ([]ledger.Entry, error) {
	return list(ctx, d.read, scanEntry, selectEntry+`
		where e.stream_type = $1 and e.stream_id = $2 and e.seq > $3 order by e.seq limit $4 + 0`, s.Type, s.ID, after, max(limit, 0))
}

// Events returns every entry in commit order, from the one after the order given: for whoever re-reads everything.
func (d *DB) Events(ctx context.Context, after int64, limit int) ([]ledger.Entry, error) {
	return list(ctx, d.read, scanEntry, selectEntry+` where e.ord > $1 order by e.ord limit $2 + 0`, after, max(limit, 0))
}

// Include implements ledger.Records. It refuses a checkpoint smaller than the newest as Conflict "checkpoint_smaller", an inclusion of
// an event that is not in the records as NotFound "event", and one that contradicts what is stored, or takes another event's index, as
// Internal "inclusion_differs".
func (d *DB) Include(ctx context.Context, size int64, checkpoint []byte, included []ledger.Inclusion) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		if err := t.insertCheckpoint(ctx, size, checkpoint); err != nil {
			return err
		}
		for _, in := range included {
			if err := t.include(ctx, in); err != nil {
				return err
			}
		}
		if len(included) == 0 {
			return nil
		}
		first, last := included[0].Index, included[0].Index
		for _, in := range included {
			first, last = min(first, in.Index), max(last, in.Index)
		}
		_, err := t.exec(ctx, `delete from pending where ord in (select ord from inclusions where idx >= $1 and idx <= $2)`, first, last)
		return err
	})
}

func (t *tx) insertCheckpoint(ctx context.Context, size int64, signed []byte) error {
	digest := evidence.SHA256(signed)
	known, err := list(ctx, t, scanTo[int64], `select ord from checkpoints where digest = $1`, digest[:])
	if err != nil || len(known) == 1 {
		return err
	}
	greater, err := list(ctx, t, scanTo[int64], `select ord from checkpoints where size > $1 limit 1`, size)
	if err != nil {
		return err
	}
	if len(greater) > 0 {
		return evidence.Refuse(evidence.Conflict, "checkpoint_smaller")
	}
	_, err = t.exec(ctx, `
		insert into checkpoints (ord, size, digest, signed)
		values ((select coalesce(max(ord), 0) + 1 from checkpoints), $1, $2, $3)`, size, digest[:], signed)
	return err
}

// include stores where one event is.
func (t *tx) include(ctx context.Context, in ledger.Inclusion) error {
	done, err := t.exec(ctx, `
		insert into inclusions (idx, receipt, ord) select $1, $2, e.ord from events e where e.leaf_hash = $3
		on conflict do nothing`, in.Index, in.Receipt, in.LeafHash[:])
	if done == 1 || err != nil {
		return err
	}
	order, err := one(ctx, t, "event", scanTo[int64], `select ord from events where leaf_hash = $1`, in.LeafHash[:])
	if err != nil {
		return err
	}
	stored, err := list(ctx, t, scanTo[int64], `select idx from inclusions where ord = $1`, order)
	if err != nil {
		return err
	}
	if len(stored) == 0 || stored[0] != in.Index {
		return evidence.Refuse(evidence.Internal, "inclusion_differs")
	}
	return nil
}

// Checkpoint implements ledger.Records.
func (d *DB) Checkpoint(ctx context.Context) ([]byte, error) {
	newest, err := list(ctx, d.read, scanTo[[]byte], `select signed from checkpoints order by size desc, ord desc limit 1`)
	if err != nil || len(newest) == 0 {
		return nil, err
	}
	return newest[0], nil
}

// Checkpoint is one signed checkpoint as it was stored. Sizes never shrink with the order.
type Checkpoint struct {
	Order  int64 // in which they were stored, from 1
	Size   int64 // leaves
	Signed []byte
}

// Checkpoints returns every checkpoint ever stored, from the one after the order given.
func (d *DB) Checkpoints(ctx context.Context, after int64, limit int) ([]Checkpoint, error) {
	return list(ctx, d.read, func(row scanner) (c Checkpoint, err error) {
		err = row.Scan(&c.Order, &c.Size, &c.Signed)
		return c, err
	}, `select ord, size, signed from checkpoints where ord > $1 order by ord limit $2 + 0`, after, max(limit, 0))
}
