package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"runtime"
	"strings"
	"time"
	"unicode"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/trail"
)

// Gauges are numbers that tell how much there is to do.
type Gauges struct {
	Pending              int64 // events that are accepted and not in the log
	Uploads, UploadBytes int64 // that are open, and the sum of their whole sizes
	LateUploads          int64 // that have expired and are still there
	LateGrants           int64 // that have expired and are still pending or active
}

// Gauges reads them, as of one moment.
func (d *DB) Gauges(ctx context.Context, now time.Time) (g Gauges, err error) {
	at := micros(now)
	err = d.read.view(ctx, func(s snapshot) error {
		for _, q := range []struct {
			into  []any
			query string
			args  []any
		}{
			{[]any{&g.Pending}, `select count(*) from pending`, nil},
			{[]any{&g.Uploads, &g.UploadBytes}, `select count(*), coalesce(sum(size), 0) from uploads where expires >= $1`, []any{at}},
			{[]any{&g.LateUploads}, `select count(*) from uploads where expires < $1`, []any{at}},
			{[]any{&g.LateGrants}, `select count(*) from grants where status in ('pending', 'active') and expires < $1`, []any{at}},
		} {
			if err := s.each(ctx, func(row scanner) error { return row.Scan(q.into...) }, q.query, q.args...); err != nil {
				return err
			}
		}
		return nil
	})
	return g, err
}

// Pools are the connections for writing and for reading.
func (d *DB) Pools() (write, read sql.DBStats) { return d.write.db.Stats(), d.read.db.Stats() }

// watched tells the watcher of ctx that a method of DB has begun. It is named by the stack, so that it need not name itself.
func watched(ctx context.Context) (context.Context, func(error)) {
	if trail.Of(ctx).Watch == nil {
		return ctx, func(error) {}
	}
	ctx, end := trail.Begin(ctx, trail.Records, operation())
	return ctx, func(err error) {
		if err != nil && (evidence.KindOf(err) != evidence.Internal || errors.Is(err, context.Canceled)) {
			err = nil // refused, or nobody waits for it
		}
		end(err)
	}
}

// operation is the exported method of DB that is nearest on the stack.
func operation() string {
	var calls [24]uintptr
	frames := runtime.CallersFrames(calls[:runtime.Callers(3, calls[:])])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if _, method, ok := strings.Cut(f.Function, "/sqldb.(*DB)."); ok && unicode.IsUpper(rune(method[0])) {
			method, _, _ = strings.Cut(method, ".")
			return strings.ToLower(method[:1]) + method[1:]
		}
	}
	return "open"
}
