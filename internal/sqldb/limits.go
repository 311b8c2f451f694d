package sqldb

import (
	"context"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// Take counts one request of the caller that key stands for, who may make burst at once and then one every so often, by the clock of the
// records (Lease). It returns how long the caller has to wait: nothing if the request was counted.
//
// What is kept is until when the requests counted so far last at that rate (GCRA): one number, and none once that time has come. One later
// than a full burst lasts is from before the clock was put back, and counts as a full burst.
func (d *DB) Take(ctx context.Context, key evidence.Hash, every time.Duration, burst int, now time.Time) (wait time.Duration, err error) {
	step, most := max(every.Microseconds(), 1), max(every.Microseconds(), 1)*int64(burst)
	err = d.submit(ctx, func(ctx context.Context, t *tx) error {
		at, err := d.dialect.now(ctx, t, now)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `delete from limits where until <= $1`, at); err != nil {
			return err
		}
		counted, err := t.exec(ctx, `
			insert into limits (key, until) values ($1, $2)
			on conflict (key) do update set until = case when limits.until > $3 then $3 else limits.until + $4 end
			where limits.until + $4 <= $3 or limits.until > $3`, key[:], at+step, at+most, step)
		if wait = 0; err != nil || counted > 0 {
			return err
		}
		until, err := one(ctx, t, "limit", scanTo[int64], `select until from limits where key = $1`, key[:])
		wait = time.Duration(until+step-at-most) * time.Microsecond
		return err
	})
	return wait, err
}
