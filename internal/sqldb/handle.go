package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// handle is a pool of connections with the statements prepared on it, by text. There are as many as the package has queries.
type handle struct {
	dialect  dialect
	db       *sql.DB
	prepared *sync.Map // string to *sql.Stmt
}

func newHandle(d dialect, db *sql.DB) handle { return handle{d, db, &sync.Map{}} }

func (h handle) fail(err error) error { return fail(h.dialect, err) }

func (h handle) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := h.prepared.Load(query); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := h.db.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if first, loaded := h.prepared.LoadOrStore(query, s); loaded {
		s.Close()
		return first.(*sql.Stmt), nil
	}
	return s, nil
}

// scanner is a row, alone or among others.
type scanner interface{ Scan(dest ...any) error }

// querier asks: a handle sees what is committed, a snapshot one moment of it, a tx also what it has written itself.
type querier interface {
	// each calls f for every row.
	each(ctx context.Context, f func(scanner) error, query string, args ...any) error
}

func (h handle) each(ctx context.Context, f func(scanner) error, query string, args ...any) (err error) {
	ctx, end := watched(ctx)
	defer func() { end(err) }()
	ctx, err = unwatched(ctx)
	if err != nil {
		return h.fail(err)
	}
	s, err := h.prepare(ctx, query)
	if err != nil {
		return h.fail(err)
	}
	rows, err := s.QueryContext(ctx, args...)
	return h.fail(scanAll(rows, err, f))
}

// unwatched returns a context for a query or two, which are answered sooner than somebody is set to watch over ctx and called back: driver
// and package sql start a goroutine each to do so. Who wants an answer within seconds, as who asks whether the records answer, is let go then.
func unwatched(ctx context.Context) (context.Context, error) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= soon {
		return ctx, ctx.Err()
	}
	return context.WithoutCancel(ctx), ctx.Err()
}

const soon = 5 * time.Second

// snapshot is a reading transaction: all its answers are of one moment.
type snapshot struct {
	handle
	tx *sql.Tx
}

// view runs f on a snapshot.
func (h handle) view(ctx context.Context, f func(snapshot) error) (err error) {
	ctx, end := watched(ctx)
	defer func() { end(err) }()
	ctx, err = unwatched(ctx)
	if err != nil {
		return h.fail(err)
	}
	t, err := h.db.BeginTx(ctx, &sql.TxOptions{Isolation: h.dialect.snapshot, ReadOnly: true})
	if err != nil {
		return h.fail(err)
	}
	defer t.Rollback()
	return f(snapshot{h, t})
}

func (s snapshot) each(ctx context.Context, f func(scanner) error, query string, args ...any) error {
	ctx, err := unwatched(ctx)
	if err != nil {
		return s.fail(err)
	}
	stmt, err := s.prepare(ctx, query)
	if err != nil {
		return s.fail(err)
	}
	rows, err := s.tx.StmtContext(ctx, stmt).QueryContext(ctx, args...)
	return s.fail(scanAll(rows, err, f))
}

func scanAll(rows *sql.Rows, err error, f func(scanner) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// list reads every row with scan.
func list[T any](ctx context.Context, q querier, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	var all []T
	err := q.each(ctx, func(row scanner) error {
		t, err := scan(row)
		if err == nil {
			all = append(all, t)
		}
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return all, nil
}

// one reads the only row with scan: NotFound with this reason if there is none.
func one[T any](ctx context.Context, q querier, missing string, scan func(scanner) (T, error), query string, args ...any) (T, error) {
	all, err := list(ctx, q, scan, query, args...)
	if err == nil && len(all) == 0 {
		err = evidence.Refuse(evidence.NotFound, missing)
	}
	if err != nil {
		var none T
		return none, err
	}
	return all[0], nil
}

// scanTo scans a single column.
func scanTo[T any](row scanner) (t T, err error) {
	err = row.Scan(&t)
	return t, err
}
