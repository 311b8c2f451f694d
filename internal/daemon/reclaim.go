package daemon

import (
	"context"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
)

// Reclaimed says what came back of what witnesses, auditors and time-stamp authorities had confirmed, which no log holds.
type Reclaimed struct {
	Found ledger.Confirmations `json:"found"` // in the files
	Kept  ledger.Confirmations `json:"kept"`  // what proved itself
	Final int64                `json:"final"` // size of the largest final checkpoint that is kept; entries from it on are confirmed anew
}

// Lost is what was found and does not prove itself.
func (r Reclaimed) Lost() ledger.Confirmations {
	return ledger.Confirmations{
		Checkpoints: r.Found.Checkpoints - r.Kept.Checkpoints, Cosignatures: r.Found.Cosignatures - r.Kept.Cosignatures,
		Stamps: r.Found.Stamps - r.Kept.Stamps, EventStamps: r.Found.EventStamps - r.Kept.EventStamps,
	}
}

// rows reads what one file has, in ascending order of numbers. A file that cannot be read to its end holds up nothing.
type rows[T any] struct {
	read   func(ctx context.Context, after int64, limit int) ([]T, error)
	number func(T) int64
	unread func() // is called where the file cannot be read
	page   []T
	after  int64 // number of the last row of the page, or of the ones before
	ended  bool
}

// fill has the next row in the page, if there is one.
func (r *rows[T]) fill(ctx context.Context) {
	if len(r.page) > 0 || r.ended {
		return
	}
	page, err := r.read(ctx, r.after, fsckPage)
	if err != nil {
		r.unread()
	}
	for _, row := range page {
		if n := r.number(row); n > r.after { // in a damaged file anything may come again
			r.page, r.after = append(r.page, row), n
		}
	}
	r.ended = err != nil || len(r.page) == 0
}

// each calls f with all that the files have of one number, in ascending order.
func each[T any](ctx context.Context, files []*rows[T], f func([]T) error) error {
	for {
		var same []T
		var least *rows[T]
		for _, r := range files {
			if r.fill(ctx); len(r.page) > 0 && (least == nil || r.number(r.page[0]) < least.number(least.page[0])) {
				least = r
			}
		}
		if err := ctx.Err(); err != nil || least == nil {
			return err
		}
		number := least.number(least.page[0])
		for _, r := range files {
			if len(r.page) > 0 && r.number(r.page[0]) == number {
				same, r.page = append(same, r.page[0]), r.page[1:]
			}
		}
		if err := f(same); err != nil {
			return err
		}
	}
}

// confirmations puts back what the files hold of what came from outside, as far as it proves itself.
func (b *rebuilding) confirmations(ctx context.Context, trust tlog.Trust, files []string, now time.Time, made *Rebuilt) error {
	r, err := ledger.NewReclaimer(ctx, trust, b.log, b.records, now)
	if err != nil {
		return err
	}
	var published []*rows[ledger.Published]
	var stamped []*rows[sqldb.StampedEvent]
	for _, file := range files {
		unread := func() { made.unread(file) }
		o, err := sqldb.OpenOutside(ctx, file)
		if err != nil {
			unread()
			continue
		}
		defer o.Close()
		published = append(published, &rows[ledger.Published]{read: o.Published, number: func(p ledger.Published) int64 { return p.Size }, unread: unread})
		stamped = append(stamped, &rows[sqldb.StampedEvent]{read: o.StampedEvents, number: func(e sqldb.StampedEvent) int64 { return e.Order }, unread: unread})
	}
	err = each(ctx, published, func(same []ledger.Published) error { return r.Published(ctx, same) })
	if err == nil {
		err = r.End(ctx)
	}
	if err == nil {
		err = each(ctx, stamped, func(same []sqldb.StampedEvent) error { return b.eventStamps(ctx, r, same) })
	}
	for authority, order := range r.Stamped {
		if err == nil {
			err = b.records.ResumeStamping(ctx, authority, order)
		}
	}
	if confirmed(trust) || r.Found != (ledger.Confirmations{}) {
		made.Confirmed = &Reclaimed{r.Found, r.Kept, r.Final}
	}
	return err
}

// eventStamps puts back the time stamps over one event.
func (b *rebuilding) eventStamps(ctx context.Context, r *ledger.Reclaimer, same []sqldb.StampedEvent) error {
	var all []ledger.Stamp
	for _, e := range same {
		all = append(all, e.Stamps...)
	}
	events, err := b.records.Events(ctx, same[0].Order-1, 1)
	if err != nil {
		return err
	}
	if len(events) == 0 || events[0].Order != same[0].Order { // of an event that is not in the log
		r.Found.EventStamps += int64(len(all))
		return nil
	}
	return r.EventStamps(ctx, events[0], all)
}

// confirmed reports whether the trust file names anybody who confirms, now or before.
func confirmed(trust tlog.Trust) bool {
	return trust.RequiresTimestamps() || len(trust.Policy().Witnesses()) > 0 || len(trust.EarlierPolicies()) > 0
}

// unread notes a file that could not be read to its end.
func (made *Rebuilt) unread(file string) {
	if !slices.Contains(made.Unread, file) {
		made.Unread = append(made.Unread, file)
	}
}
