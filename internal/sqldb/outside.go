package sqldb

import (
	"context"
	"database/sql"
	"os"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// Outside reads what came from outside, published checkpoints and time stamps, out of the file of a database of records that may be damaged,
// or another's: nothing in it is to be believed. It changes nothing.
type Outside struct {
	h      handle
	tables map[string]bool
}

// StampedEvent is an event by its order, with the time stamps over it.
type StampedEvent struct {
	Order  int64
	Stamps []ledger.Stamp
}

// OpenOutside opens the file. One that has no such tables, as the erasable part of a backup, holds nothing.
func OpenOutside(ctx context.Context, path string) (*Outside, error) {
	db, err := openAside(path)
	if err != nil {
		return nil, err
	}
	o := &Outside{newHandle(sqlite, db), make(map[string]bool)}
	names, err := list(ctx, o.h, scanTo[string], `select name from sqlite_master where type = 'table'`) // a view could say anything
	if err != nil {
		o.Close()
		return nil, err
	}
	for _, name := range names {
		o.tables[name] = true
	}
	return o, nil
}

// Close closes the file.
func (o *Outside) Close() error { return o.h.fail(o.h.db.Close()) }

// Published is DB.AllPublished. What cannot be what it should is something else that proves nothing.
func (o *Outside) Published(ctx context.Context, above int64, limit int) ([]ledger.Published, error) {
	if !o.tables["published"] {
		return nil, nil
	}
	page, err := list(ctx, o.h, func(row scanner) (p ledger.Published, err error) {
		var at int64
		var final, audited []byte
		err = row.Scan(&p.Size, &p.Note, &at, &final, &audited)
		p.At = fromMicros(at)
		p.Final, _ = policyOf(final)
		p.Audited, _ = policyOf(audited)
		return p, err
	}, `select size, cast(signed as blob), cast(at as integer), cast(final as blob), cast(audited as blob) from published
		where size > $1 order by size limit $2 + 0`, above, max(limit, 0))
	if err != nil || !o.tables["published_stamps"] {
		return page, err
	}
	for i := range page {
		page[i].Stamps, err = list(ctx, o.h, scanStamp, `
			select cast(authority as text), cast(response as blob) from published_stamps where size = $1 order by authority`, page[i].Size)
		if err != nil {
			return page[:i], err
		}
	}
	return page, nil
}

// StampedEvents returns events that have a time stamp, in commit order from the one after the order given.
func (o *Outside) StampedEvents(ctx context.Context, after int64, limit int) ([]StampedEvent, error) {
	if !o.tables["event_stamps"] {
		return nil, nil
	}
	var page []StampedEvent
	err := o.h.each(ctx, func(row scanner) error {
		var order int64
		var s ledger.Stamp
		if err := row.Scan(&order, &s.Authority, &s.Response); err != nil {
			return err
		}
		if len(page) == 0 || page[len(page)-1].Order != order {
			page = append(page, StampedEvent{Order: order})
		}
		last := &page[len(page)-1]
		last.Stamps = append(last.Stamps, s)
		return nil
	}, `select cast(ord as integer), cast(authority as text), cast(response as blob) from event_stamps
		where ord in (select distinct ord from event_stamps where ord > $1 order by ord limit $2 + 0) order by ord, authority`, after, max(limit, 0))
	return page, err
}

// openAside opens a file that is not the vault's own database, and may be damaged, to read from it. Nothing in its schema is run.
func openAside(path string) (*sql.DB, error) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return nil, evidence.Refuse(evidence.NotFound, "records_missing")
	}
	how := "?mode=ro&_query_only=1&_pragma=trusted_schema(0)&_pragma=cell_size_check(1)"
	// Without a log beside it nobody has it open, and SQLite need put nothing beside it, which a backup's folder may not allow.
	if beside, err := os.Stat(path + "-wal"); err != nil || beside.Size() == 0 {
		how += "&immutable=1"
	}
	db, err := sql.Open(sqliteDriver, fileURL(path)+how)
	return db, fail(sqlite, err)
}
