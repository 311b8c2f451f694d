package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"maps"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// session is the writer's own connection with the statements prepared on it.
type session struct {
	handle   handle
	decoded  *decoded
	conn     *sql.Conn
	prepared map[string]*sql.Stmt
	states   map[evidence.Stream]evidence.State // as they are in the transaction under way, if they were read or written in it; nil: none
	last     int64                              // the order of the newest event in it, -1 if that was not read
}

// tx is one job of the transaction under way on the session. What its methods return is translated once, when the writer answers.
type tx struct {
	*session
	wrote   bool                               // the job changed rows, or tried
	erased  bool                               // the job destroyed bytes: see dialect.erase
	changed map[evidence.Stream]evidence.State // what the job has written, for the session once the job is done
}

func (s *session) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := s.prepared[query]; ok {
		return stmt, nil
	}
	stmt, err := s.conn.PrepareContext(ctx, query)
	if err == nil {
		s.prepared[query] = stmt
	}
	return stmt, err
}

// begin starts a transaction, on a fresh connection if there is none.
func (s *session) begin(ctx context.Context) (*sql.Tx, error) {
	if s.conn == nil {
		conn, err := s.handle.db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		s.conn, s.prepared = conn, map[string]*sql.Stmt{}
	}
	t, err := s.conn.BeginTx(ctx, &sql.TxOptions{Isolation: s.handle.dialect.writing})
	if err != nil {
		return nil, err
	}
	s.states, s.last = make(map[evidence.Stream]evidence.State), -1
	if lock := s.handle.dialect.lockForAppend; lock != "" {
		if _, err := t.ExecContext(ctx, lock); err != nil {
			return nil, errors.Join(err, t.Rollback())
		}
	}
	return t, nil
}

// reset gives the connection back: after an error of the engine nothing is taken for granted. A useless one is not had again.
func (s *session) reset(useless bool) {
	for _, stmt := range s.prepared {
		stmt.Close()
	}
	if s.conn != nil {
		if useless {
			_ = s.conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		s.conn.Close()
	}
	s.conn, s.prepared = nil, nil
}

// erase removes what the engine keeps of destroyed bytes beside the database. Internal "erase_incomplete" if somebody still reads the
// state before: the caller repeats.
func (s *session) erase(ctx context.Context) error {
	query := s.handle.dialect.erase
	if query == "" {
		return nil
	}
	var busy, log, moved int64
	if err := s.conn.QueryRowContext(ctx, query).Scan(&busy, &log, &moved); err != nil {
		return s.handle.fail(err)
	}
	if busy != 0 {
		return evidence.Refuse(evidence.Internal, "erase_incomplete")
	}
	return nil
}

func (t *tx) each(ctx context.Context, f func(scanner) error, query string, args ...any) error {
	s, err := t.prepare(ctx, query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(ctx, args...)
	return scanAll(rows, err, f)
}

// exec changes rows and returns how many.
func (t *tx) exec(ctx context.Context, query string, args ...any) (int64, error) {
	t.wrote = true
	s, err := t.prepare(ctx, query)
	if err != nil {
		return 0, err
	}
	done, err := s.ExecContext(ctx, args...)
	if err != nil {
		return 0, err
	}
	return done.RowsAffected()
}

// control runs a statement about the transaction itself.
func (s *session) control(ctx context.Context, query string) error {
	stmt, err := s.prepare(ctx, query)
	if err == nil {
		_, err = stmt.ExecContext(ctx)
	}
	return err
}

// must changes at least one row, or is refused.
func (t *tx) must(ctx context.Context, refusal *evidence.Error, query string, args ...any) error {
	n, err := t.exec(ctx, query, args...)
	if err == nil && n == 0 {
		return refusal
	}
	return err
}

// errHalfDone says that a job was refused after it had changed rows, and that there is no savepoint to go back to.
var errHalfDone = errors.New("refused half done")

// run does one job inside the transaction. If it is refused nothing of it stays; any other error is the engine's, or errHalfDone, and
// leaves the transaction in doubt. apart puts a savepoint before the job: that is half of what a small job costs, and hardly any job is
// refused after it has begun to write.
func (t *tx) run(ctx context.Context, do func(context.Context, *tx) error, apart bool) (refusal *evidence.Error, err error) {
	if apart {
		if err := t.control(ctx, `savepoint job`); err != nil {
			return nil, err
		}
	}
	before := t.last
	if err := do(ctx, t); err != nil {
		if !errors.As(err, &refusal) {
			return nil, err
		}
		if t.wrote && !apart {
			return nil, errHalfDone
		}
		if apart {
			if err := t.control(ctx, `rollback to job`); err != nil {
				return nil, err
			}
		}
		t.changed, t.last = nil, before
	}
	maps.Copy(t.session.states, t.changed)
	if apart {
		err = t.control(ctx, `release job`)
	}
	return refusal, err
}

// statesOf returns the states as the job sees them. Nobody else writes while the transaction lasts, so each is read once for all jobs in it:
// events that come together stand on the same people and cases.
func (t *tx) statesOf(ctx context.Context, streams []evidence.Stream) (map[evidence.Stream]evidence.State, error) {
	states := make(map[evidence.Stream]evidence.State, len(streams))
	var unread []evidence.Stream
	for _, s := range streams {
		state, ok := t.changed[s]
		if !ok {
			state, ok = t.session.states[s]
		}
		if !ok {
			unread = append(unread, s)
		} else if state != nil {
			states[s] = state
		}
	}
	for part := range slices.Chunk(unread, maxWanted) {
		found, err := statesOf(ctx, t, t.decoded, part)
		if err != nil {
			return nil, err
		}
		for _, s := range part {
			t.session.states[s] = found[s]
		}
		maps.Copy(states, found)
	}
	return states, nil
}
