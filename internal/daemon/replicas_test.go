package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/wire"
)

// shared is a vault that any number of processes may serve.
func shared(t *testing.T) (dir string, o Options, c cast) {
	t.Helper()
	e, bucket := someEngines(t), bucketServer(t)
	dir, o, c = elsewhere(t, e, objectsConfig(bucket, "evidence"))
	if entries, err := os.ReadDir(folder(dir).objects()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder for objects beside the bucket: %v, %v", entries, err)
	}
	return dir, o, c
}

// another is a copy of a vault's folder, as another machine has it.
func another(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "vault")
	must(0, os.CopyFS(to, os.DirFS(dir)))
	return to
}

// Two servers work on one vault. What one accepts the other shows, whichever leads; when one goes, the other goes on; commands that need the
// vault for themselves say who has it. Afterwards everything is there once.
func TestReplicas(t *testing.T) {
	dir, o, c := shared(t)
	second := another(t, dir)
	a, b := serve(t, dir, o), serve(t, second, o)
	well := wire.Dependencies{Records: wire.DependencyOk, Log: wire.DependencyOk, Objects: wire.DependencyOk}
	a.is(t, 200, well)
	b.is(t, 200, well)

	var acknowledged []ev.Hash
	work := func(s, other *serving, files int) {
		t.Helper()
		in, opened, err := c.openCase(s.d.parts)
		if err != nil {
			t.Fatal(err)
		}
		acknowledged = append(acknowledged, opened.LeafHash)
		for range files {
			item, deposited, err := c.deposit(other.d.parts, in, 20_000) // in a case that is known to the other only through the records
			if err != nil {
				t.Fatal(err)
			}
			acknowledged = append(acknowledged, deposited.LeafHash)
			if state := must(s.d.parts.records.States(t.Context(), ev.ItemOf(item)))[ev.ItemOf(item)]; state == nil {
				t.Error("the other does not know the item")
			}
		}
	}
	var both sync.WaitGroup
	work(a, b, 2)
	work(b, a, 2)
	for _, s := range []*serving{a, b} {
		both.Go(func() {
			in, _, err := c.openCase(s.d.parts)
			for range 3 {
				if err == nil {
					_, _, err = c.deposit(s.d.parts, in, 1000)
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	if _, err := Fsck(t.Context(), second, o, func(Damage) {}); !errors.Is(err, ErrRunning) {
		t.Errorf("fsck beside servers: %v", err)
	}

	a.close(t) // whichever led
	work(b, b, 1)
	again := serve(t, dir, o)
	again.is(t, 200, well)
	work(again, b, 1)
	b.close(t)
	work(again, again, 1)
	again.close(t)

	examined := clean(t, dir, o)
	if examined.Objects != 2+2+3+3+1+1+1 {
		t.Errorf("%+v", examined)
	}
	p := must(open(t.Context(), second, o)) // its memory of the last checkpoint is older, and fits
	for _, leaf := range acknowledged {
		if entry, err := p.records.Entry(t.Context(), leaf); err != nil || !entry.Included() {
			t.Errorf("an acknowledged event: %+v, %v", entry, err)
		}
	}
	must(0, p.close())
}

// Who works on the vault alone waits for no replica, and a replica for nobody who does: whoever came later gives way. A replica that did not
// renew its lease while somebody worked alone stops.
func TestAlone(t *testing.T) {
	e := someEngines(t)
	owner, server := e.newDatabase(t)
	must(0, MigrateRecords(t.Context(), owner, "strongroom"))
	db := must(sqldb.OpenPostgres(t.Context(), must(readURL(server))))
	defer db.Close()
	o := testOptions()
	take := func(replica bool) (*lease, error) { return takeLease(t.Context(), db, o, replica, nil) }

	first, second := must(take(true)), must(take(true))
	if _, err := take(false); !errors.Is(err, ErrRunning) {
		t.Errorf("alone beside replicas: %v", err)
	}
	must(0, first.close())
	must(0, second.close())
	alone := must(take(false))
	for _, replica := range []bool{true, false} {
		if _, err := take(replica); !errors.Is(err, ErrRunning) {
			t.Errorf("replica %t beside who works alone: %v", replica, err)
		}
	}
	must(0, alone.close())

	slept := must(take(true))
	until(t, "the lease of who works alone", func() bool {
		must(db.Lease(t.Context(), slept.work, slept.holder, o.Now(), 0)) // as if its time had passed
		l, err := take(false)
		if err == nil {
			alone = l
		}
		return err == nil
	})
	select {
	case <-slept.lost:
	case <-time.After(2 * time.Minute):
		t.Error("who slept goes on")
	}
	must(0, slept.close())
	must(0, alone.close())
}

// A server that is told to stop says so while it goes on.
func TestDrain(t *testing.T) {
	o := testOptions()
	o.Drain = 2 * time.Second
	s := serve(t, made(t), o)
	if h, code := s.health(); code != 200 || h.Draining {
		t.Errorf("%d, %+v", code, h)
	}
	s.stop()
	until(t, "draining", func() bool {
		h, code := s.health()
		return code == 503 && h.Draining && h.Status == wire.HealthStatusNotReady
	})
	s.client.CloseIdleConnections()
	must(0, <-s.ended)
}

// A clock that differs from the records' is said, and keeps nobody from working.
func TestClocksOfReplicas(t *testing.T) {
	dir, o, c := shared(t)
	o.Now = func() time.Time { return time.Now().Add(-30 * time.Second) }
	s := serve(t, dir, o)
	until(t, "the difference", func() bool {
		h, code := s.health()
		return code == 200 && h.Clock < -25 && h.Clock > -35
	})
	if _, _, err := c.openCase(s.d.parts); err != nil {
		t.Error(err)
	}
	s.close(t)
}

// Whose clock is wrong leads nobody, sweeps and scrubs nothing, and gives back what it had, until its clock is right.
func TestWrongClockOfReplica(t *testing.T) {
	dir, o, _ := shared(t)
	var drift atomic.Int64
	o.Now = func() time.Time { return time.Now().Add(time.Duration(drift.Load())) }
	s := serve(t, dir, o)
	defer s.close(t)
	records := s.d.parts.records
	has := func(work string) bool {
		all := must(records.Leases(t.Context(), work))
		return len(all) == 1 && all[0].Running
	}
	for _, off := range []time.Duration{48 * time.Hour, -3 * time.Minute} {
		drift.Store(0)
		until(t, "the lead", func() bool { return has(logWork) })
		if !must(s.d.parts.hold(t.Context(), scrubWork, scrubTime)) {
			t.Error("a right clock, and no scrub")
		}
		drift.Store(int64(off))
		until(t, "the lead is given back", func() bool { return !has(logWork) })
		if must(s.d.parts.hold(t.Context(), scrubWork, scrubTime)) || has(scrubWork) {
			t.Error("it goes on scrubbing")
		}
		until(t, "it says so", func() bool {
			h, _ := s.health()
			return (time.Duration(h.Clock) * time.Second).Abs() > ev.Clock
		})
		time.Sleep(3 * time.Second) // it is asked again
		if has(logWork) {
			t.Error("it leads again")
		}
	}
	drift.Store(0)
	until(t, "the lead", func() bool { return has(logWork) })
}

// While a replica reads a large item nobody else scrubs, however long that takes. One that lost the scrub all the same stops in the middle.
func TestScrubOfLargeItem(t *testing.T) {
	dir, o, c := shared(t)
	a, b := must(Open(t.Context(), dir, o)), must(Open(t.Context(), another(t, dir), o))
	defer b.Close()
	defer a.Close()
	a.parts.scrubLease, b.parts.scrubLease = 600*time.Millisecond, 600*time.Millisecond
	in, _, err := c.openCase(a.parts)
	if err == nil {
		_, _, err = c.deposit(a.parts, in, 60_000)
	}
	if err != nil {
		t.Fatal(err)
	}
	began, ended := time.Now(), make(chan error, 1)
	go func() {
		_, err := a.parts.scrub(t.Context(), Scrubbed{}, 4<<10, func(Damage) {}) // fifteen seconds
		ended <- err
	}()
	until(t, "the scrub has begun", func() bool { return must(a.parts.records.Leases(t.Context(), scrubWork)) != nil })
	for time.Since(began) < 3*time.Second {
		if _, err := b.parts.scrub(t.Context(), Scrubbed{}, 0, func(Damage) {}); !errors.Is(err, errOthers) {
			t.Fatalf("another scrubs after %v: %v", time.Since(began), err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	until(t, "the other has it", func() bool { // as if this one had been cut off for so long
		must(a.parts.hold(t.Context(), scrubWork, 0))
		return must(b.parts.hold(t.Context(), scrubWork, a.parts.scrubLease))
	})
	select {
	case err := <-ended:
		if !errors.Is(err, errOthers) {
			t.Errorf("the scrub ended with: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Error("who lost the scrub goes on")
	}
}
