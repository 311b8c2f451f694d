package sqldb

import (
	"bytes"
	"context"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

const selectPublished = `select size, signed, at, final, audited from published`

func scanPublished(row scanner) (p ledger.Published, err error) {
	var at int64
	var final, audited []byte
	if err := row.Scan(&p.Size, &p.Note, &at, &final, &audited); err != nil {
		return p, err
	}
	p.At = fromMicros(at)
	if p.Final, err = policyOf(final); err == nil {
		p.Audited, err = policyOf(audited)
	}
	return p, err
}

// policyOf reads the digest of a policy, or nothing.
func policyOf(b []byte) (evidence.Hash, error) {
	if len(b) == 0 {
		return evidence.Hash{}, nil
	}
	return hash(b)
}

func policyValue(h evidence.Hash) []byte {
	if h.IsZero() {
		return []byte{}
	}
	return h[:]
}

// Publish implements ledger.Records.
func (d *DB) Publish(ctx context.Context, p ledger.Published) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		before, err := list(ctx, t, scanPublished, selectPublished+` where size = $1`, p.Size)
		if err != nil {
			return err
		}
		if len(before) == 0 {
			greater, err := list(ctx, t, scanTo[int64], `select size from published where size > $1 limit 1`, p.Size)
			if err != nil {
				return err
			}
			if len(greater) > 0 {
				return evidence.Refuse(evidence.Conflict, "checkpoint_smaller")
			}
		} else if !addsTo(before[0], p) {
			return evidence.Refuse(evidence.Conflict, "published_differs")
		}
		_, err = t.exec(ctx, `
			insert into published (size, signed, at, final, audited) values ($1, $2, $3, $4, $5)
			on conflict (size) do update set signed = excluded.signed, final = excluded.final, audited = excluded.audited`,
			p.Size, p.Note, micros(p.At), policyValue(p.Final), policyValue(p.Audited))
		for _, s := range p.Stamps {
			if err == nil {
				_, err = t.exec(ctx, `insert into published_stamps (size, authority, response) values ($1, $2, $3) on conflict do nothing`,
					p.Size, s.Authority, s.Response)
			}
		}
		return err
	})
}

// addsTo reports whether every line of a published note is in its successor, and what it has reached too.
func addsTo(before, after ledger.Published) bool {
	there := make(map[string]bool)
	for line := range bytes.Lines(after.Note) {
		there[string(line)] = true
	}
	for line := range bytes.Lines(before.Note) {
		if !there[string(line)] {
			return false
		}
	}
	return (before.Final.IsZero() || !after.Final.IsZero()) && (before.Audited.IsZero() || !after.Audited.IsZero())
}

// NextPublished implements ledger.Records.
func (d *DB) NextPublished(ctx context.Context, above int64, s ledger.Standing, policy evidence.Hash) (ledger.Published, error) {
	query, args := selectPublished+` where size > $1 order by size limit 1`, []any{above}
	switch s {
	case ledger.Final:
		query, args = selectPublished+` where size > $1 and final = $2 order by size limit 1`, []any{above, policy[:]}
	case ledger.Audited:
		query, args = selectPublished+` where size > $1 and audited = $2 order by size limit 1`, []any{above, policy[:]}
	case ledger.Once:
		query = selectPublished + ` where size > $1 and length(final) > 0 order by size limit 1`
	}
	return d.published(ctx, query, args...)
}

// LastPublished implements ledger.Records.
func (d *DB) LastPublished(ctx context.Context, s ledger.Standing, policy evidence.Hash) (ledger.Published, error) {
	query, args := selectPublished+` order by size desc limit 1`, []any(nil)
	switch s {
	case ledger.Final:
		query, args = selectPublished+` where final = $1 order by size desc limit 1`, []any{policy[:]}
	case ledger.Audited:
		query, args = selectPublished+` where audited = $1 order by size desc limit 1`, []any{policy[:]}
	}
	return d.published(ctx, query, args...)
}

func (d *DB) published(ctx context.Context, query string, args ...any) (ledger.Published, error) {
	p, err := one(ctx, d.read, "checkpoint", scanPublished, query, args...)
	if err == nil {
		p.Stamps, err = list(ctx, d.read, scanStamp, `select authority, response from published_stamps where size = $1 order by authority`, p.Size)
	}
	return p, err
}

func scanStamp(row scanner) (s ledger.Stamp, err error) {
	err = row.Scan(&s.Authority, &s.Response)
	return s, err
}

// AllPublished returns every published checkpoint, from the one above the size given: for whoever re-reads everything.
func (d *DB) AllPublished(ctx context.Context, above int64, limit int) ([]ledger.Published, error) {
	page, err := list(ctx, d.read, scanPublished, selectPublished+` where size > $1 order by size limit $2 + 0`, above, max(limit, 0))
	for i := range page {
		if err == nil {
			page[i].Stamps, err = list(ctx, d.read, scanStamp, `select authority, response from published_stamps where size = $1 order by authority`, page[i].Size)
		}
	}
	return page, err
}

// PutEventStamp implements ledger.Records.
func (d *DB) PutEventStamp(ctx context.Context, event evidence.Hash, s ledger.Stamp) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		order, err := one(ctx, t, "event", scanTo[int64], `select ord from events where leaf_hash = $1`, event[:])
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, `insert into event_stamps (ord, authority, response) values ($1, $2, $3) on conflict do nothing`, order, s.Authority, s.Response)
		return err
	})
}

// EventStamps implements ledger.Records.
func (d *DB) EventStamps(ctx context.Context, event evidence.Hash) ([]ledger.Stamp, error) {
	return list(ctx, d.read, scanStamp, `
		select s.authority, s.response from events e join event_stamps s on s.ord = e.ord where e.leaf_hash = $1 order by s.authority`, event[:])
}

// StampedUpTo implements ledger.Records.
func (d *DB) StampedUpTo(ctx context.Context, authority string) (order int64, err error) {
	err = d.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `
			insert into stamping (authority, since) select $1, (select coalesce(max(ord), 0) from events) on conflict do nothing`, authority)
		if err != nil {
			return err
		}
		since, err := one(ctx, t, "authority", scanTo[int64], `select since from stamping where authority = $1`, authority)
		if err != nil {
			return err
		}
		stamped, err := one(ctx, t, "authority", scanTo[int64], `select coalesce(max(ord), 0) from event_stamps where authority = $1`, authority)
		order = max(since, stamped)
		return err
	})
	return order, err
}

// ResumeStamping has StampedUpTo begin after the event at an order, where the authority was not asked about before: in records that were made
// anew it would leave out what was not stamped yet.
func (d *DB) ResumeStamping(ctx context.Context, authority string, order int64) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `insert into stamping (authority, since) values ($1, $2) on conflict do nothing`, authority, order)
		return err
	})
}

// StampedEvents returns the events that have a time stamp, in commit order from the one after the order given.
func (d *DB) StampedEvents(ctx context.Context, after int64, limit int) ([]ledger.Entry, error) {
	return list(ctx, d.read, scanEntry, selectEntry+`
		where e.ord > $1 and exists (select 1 from event_stamps s where s.ord = e.ord) order by e.ord limit $2 + 0`, after, max(limit, 0))
}
