package sqldb

import (
	"context"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// Work is done by one process at a time; who stops renewing the lease loses it, at the moment that the clock of the records says.
func testLease(t *testing.T, e engine) {
	db := e.create(t)
	now := time.Now()
	lease := func(work, holder string, clock, life time.Duration) bool {
		t.Helper()
		return must[bool](t)(db.Lease(ctx, work, holder, now.Add(clock), life))
	}
	for i, step := range []struct {
		work, holder string
		clock, life  time.Duration
		want         bool
	}{
		{"sweep", "a", 0, time.Hour, true}, {"sweep", "b", 0, time.Hour, false}, {"other", "b", 0, time.Hour, true}, {"sweep", "b", 0, 0, false},
		{"sweep", "a", 0, 2 * time.Hour, true}, {"sweep", "a", 0, 0, true}, {"sweep", "b", 0, time.Hour, true}, {"sweep", "a", 0, time.Hour, false},
		{"sweep", "b", 0, 90 * time.Minute, true},
	} {
		if lease(step.work, step.holder, step.clock, step.life) != step.want {
			t.Errorf("step %d", i)
		}
	}
	holder, until, err := db.Leased(ctx, "sweep")
	ok(t, err)
	same(t, holder, "b")
	if until.Before(now.Add(time.Hour)) || until.After(time.Now().Add(2*time.Hour)) {
		t.Errorf("until %s", until)
	}
	_, _, err = db.Leased(ctx, "nobody's")
	refused(t, err, evidence.NotFound, "lease")

	same(t, lease("other", "b", 0, 0), true)
	same(t, lease("others", "c", 0, time.Hour), true)
	all := must[[]Lease](t)(db.Leases(ctx, "other"))
	if len(all) != 2 || all[0].Work != "other" || all[0].Holder != "b" || all[0].Running || all[1].Work != "others" || !all[1].Running {
		t.Errorf("leases are %+v", all)
	}
	same(t, len(must[[]Lease](t)(db.Leases(ctx, ""))), 3)
	same(t, len(must[[]Lease](t)(db.Leases(ctx, "%"))), 0)

	// The clock is put back by an hour, which is as if all that was written stood an hour later: what the dead have left is over, and nobody who is
	// not there takes it.
	same(t, lease("put back", "dead", 0, time.Minute), true)
	putBack(t, db, `update leases set until = until + 3600000000 where work = 'put back'`)
	same(t, lease("put back", "a", 0, 0), false)
	same(t, lease("put back", "a", 0, time.Minute), true)
	same(t, lease("put back", "b", 0, time.Minute), false)

	if clock := must[time.Time](t)(db.Clock(ctx)); clock.IsZero() { // one process, whose clock it is
		same(t, lease("sweep", "a", 90*time.Minute-time.Microsecond, time.Hour), false)
		same(t, lease("sweep", "a", 90*time.Minute, time.Hour), true)
		return
	} else if off := time.Since(clock).Abs(); off > time.Minute {
		t.Errorf("the clock of the same machine is off by %s", off)
	}
	// Whose clock is off neither steals, nor loses what it holds, nor keeps what has ended.
	same(t, lease("sweep", "a", 24*time.Hour, time.Hour), false)
	same(t, lease("behind", "a", -24*time.Hour, time.Hour), true)
	same(t, lease("behind", "b", 0, time.Hour), false)
	same(t, lease("behind", "a", -24*time.Hour, time.Hour), true)
	same(t, lease("ahead", "a", 24*time.Hour, time.Millisecond), true)
	for began := time.Now(); !lease("ahead", "b", -24*time.Hour, time.Hour); time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatal("a lease does not end for whose clock is behind")
		}
	}
}

// putBack changes what the clock of the records has left.
func putBack(t *testing.T, db *DB, change string) {
	t.Helper()
	ok(t, db.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, change)
		return err
	}))
}
