package sqldb

import (
	"context"
	"math"
	"time"
)

// now returns the time by which leases and limits are counted, in microseconds: the engine's own, so that it is one for all processes, or
// else the caller's, who is the only one there is.
func (d dialect) now(ctx context.Context, q querier, now time.Time) (int64, error) {
	if d.clock == "" {
		return micros(now), nil
	}
	return one(ctx, q, "clock", scanTo[int64], d.clock)
}

// Clock returns the time by which leases and limits are counted, whatever the clocks of the processes say; zero if the engine has none of
// its own.
func (d *DB) Clock(ctx context.Context) (time.Time, error) {
	if d.dialect.clock == "" {
		return time.Time{}, nil
	}
	us, err := d.dialect.now(ctx, d.read, time.Time{})
	return fromMicros(us), err
}

// Lease implements vault.Records. The clock is put back also when another server takes over whose clock is behind: without a bound what the dead
// have left would bind for as long as that.
func (d *DB) Lease(ctx context.Context, work, holder string, now time.Time, life time.Duration) (bool, error) {
	var taken int64
	err := d.submit(ctx, func(ctx context.Context, t *tx) error {
		at, err := d.dialect.now(ctx, t, now)
		if err != nil {
			return err
		}
		until, latest := int64(0), int64(math.MaxInt64)
		if life > 0 {
			until, latest = at+life.Microseconds(), at+2*life.Microseconds()
		}
		taken, err = t.exec(ctx, `
			insert into leases (work, holder, until) values ($1, $2, $3)
			on conflict (work) do update set holder = excluded.holder, until = excluded.until
			where leases.holder = excluded.holder or leases.until <= $4 or leases.until > $5`, work, holder, until, at, latest)
		return err
	})
	return taken > 0, err
}

// Lease is the right of one holder to some work, or what is left of it.
type Lease struct {
	Work, Holder string
	Until        time.Time // by the clock of the records; 1970 if it was given back
	Running      bool      // Until is still to come or, where the records have no clock, was not given back
}

func scanLease(row scanner) (l Lease, err error) {
	var until int64
	err = row.Scan(&l.Work, &l.Holder, &until)
	l.Until = fromMicros(until)
	return l, err
}

// Leases lists the leases on all work whose name begins with prefix, by name, also those that have ended.
func (d *DB) Leases(ctx context.Context, prefix string) ([]Lease, error) {
	return leases(ctx, d.read, d.dialect, prefix)
}

func leases(ctx context.Context, q querier, d dialect, prefix string) ([]Lease, error) {
	all, err := list(ctx, q, scanLease, `select work, holder, until from leases where substr(work, 1, length($1)) = $1 order by work`, prefix)
	if err != nil {
		return nil, err
	}
	now, err := d.now(ctx, q, time.Unix(0, 0))
	for i := range all {
		all[i].Running = micros(all[i].Until) > now
	}
	return all, err
}

// Leased returns who had work last, and until when: NotFound if nobody ever did.
func (d *DB) Leased(ctx context.Context, work string) (holder string, until time.Time, err error) {
	l, err := one(ctx, d.read, "lease", scanLease, `select work, holder, until from leases where work = $1`, work)
	return l.Holder, l.Until, err
}
