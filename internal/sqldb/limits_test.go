package sqldb

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// A caller may make so many requests at once and then one every so often, whoever counts them; who waits as long as was said is let through,
// and nothing is kept of who has not asked for a while.
func testLimits(t *testing.T, e engine) {
	db := e.create(t)
	one, other, now := evidence.Hash{1}, evidence.Hash{2}, time.Now()
	take := func(key evidence.Hash, every time.Duration, burst int) time.Duration {
		t.Helper()
		return must[time.Duration](t)(db.Take(ctx, key, every, burst, now))
	}
	var counted atomic.Int64
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if take(one, time.Hour, 5) == 0 {
				counted.Add(1)
			}
		})
	}
	wg.Wait()
	same(t, counted.Load(), int64(5))
	if wait := take(one, time.Hour, 5); wait <= 55*time.Minute || wait > time.Hour {
		t.Errorf("has to wait %s", wait)
	}
	same(t, take(other, time.Hour, 5), time.Duration(0))
	rows := func() int64 {
		return must[int64](t)(func() (int64, error) {
			all, err := list(ctx, db.read, scanTo[int64], `select count(*) from limits`)
			return all[0], err
		}())
	}
	same(t, rows(), int64(2))

	// The clock is put back by an hour, which is as if what was counted stood an hour later: who asks is let through, and counts as having used up
	// the burst.
	late := evidence.Hash{4}
	same(t, take(late, time.Second, 5), time.Duration(0))
	putBack(t, db, `update limits set until = until + 3600000000`)
	same(t, take(late, time.Second, 5), time.Duration(0))
	if wait := take(late, time.Second, 5); wait <= 0 || wait > time.Second {
		t.Errorf("has to wait %s", wait)
	}
	putBack(t, db, `update limits set until = until - 3600000000`)

	// Of this one a row lasts a millisecond.
	brief := evidence.Hash{3}
	same(t, take(brief, time.Millisecond, 1), time.Duration(0))
	for began := time.Now(); ; {
		now = time.Now()
		wait := take(brief, time.Millisecond, 1)
		if wait == 0 {
			break
		}
		if wait < 0 || wait > time.Millisecond || time.Since(began) > time.Minute {
			t.Fatalf("has to wait %s", wait)
		}
		time.Sleep(wait)
	}
	time.Sleep(2 * time.Millisecond)
	now = time.Now()
	same(t, take(other, time.Hour, 5), time.Duration(0))
	same(t, rows(), int64(2))
}
