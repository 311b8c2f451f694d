package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sqldb"
)

// One process works on a vault at a time. A second one is told who does; one that lost the vault to another stops serving.
func TestOneServer(t *testing.T) {
	e := someEngines(t)
	dir, o, _ := elsewhere(t, e)
	s := serve(t, dir, o)
	var tries sync.WaitGroup
	for name, try := range map[string]func() error{
		"a second server": func() error {
			_, err := Open(t.Context(), dir, o)
			return err
		},
		"fsck": func() error {
			_, err := Fsck(t.Context(), dir, o, func(Damage) {})
			return err
		},
	} {
		tries.Go(func() {
			err := try()
			host, held := must(os.Hostname()), (*Held)(nil)
			if !errors.Is(err, ErrRunning) || !errors.As(err, &held) || !strings.Contains(err.Error(), fmt.Sprintf("%s, process %d", host, os.Getpid())) ||
				held.Until.IsZero() {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	tries.Wait()
	// One whose clock is a day ahead does not take what this one renews; once this one did not renew it, another has it.
	records, ahead := s.d.parts.records, time.Now().Add(24*time.Hour)
	if taken, err := records.Lease(t.Context(), aloneWork, "another", ahead, leaseTime); taken || err != nil {
		t.Fatal(taken, err)
	}
	holder, _, err := records.Leased(t.Context(), aloneWork)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the lease's end", func() bool { // unless it is renewed in between
		must(records.Lease(t.Context(), aloneWork, holder, time.Now(), 0))
		return must(records.Lease(t.Context(), aloneWork, "another", time.Now(), leaseTime))
	})
	others := must(s.d.parts.folder.openRecords(t.Context(), s.d.parts.config.Records))
	defer others.Close()
	var renewing sync.WaitGroup
	defer renewing.Wait()
	renewed, stop := context.WithCancel(t.Context())
	defer stop()
	renewing.Go(func() {
		for pause(renewed, time.Second); renewed.Err() == nil; pause(renewed, time.Second) {
			others.Lease(renewed, aloneWork, "another", time.Now(), leaseTime)
		}
	})
	select {
	case err := <-s.ended:
		if !errors.Is(err, ErrLeaseLost) {
			t.Errorf("who lost the vault: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("who lost the vault goes on")
	}
	if _, err := Open(t.Context(), dir, o); !errors.Is(err, ErrRunning) {
		t.Errorf("while another has it: %v", err)
	}
}

// What is left of a process that was killed is waited for; what was given back is there at once.
func TestLease(t *testing.T) {
	db := must(sqldb.Create(t.Context(), filepath.Join(t.TempDir(), "records.db")))
	defer db.Close()
	var clock atomic.Int64
	o := testOptions()
	o.Now = func() time.Time { return time.Unix(1_800_000_000+clock.Load(), 0) }
	killed := must(takeLease(t.Context(), db, o, false, nil))
	killed.stop()
	<-killed.done

	taken := make(chan *lease)
	go func() { taken <- must(takeLease(t.Context(), db, o, false, nil)) }()
	select {
	case <-taken:
		t.Fatal("two have the lease")
	case <-time.After(time.Second):
	}
	clock.Add(int64(leaseTime.Seconds()))
	second := <-taken
	must(0, second.close())
	third := must(takeLease(t.Context(), db, o, false, nil))

	// One that renews it lives.
	refused := make(chan error)
	go func() {
		_, err := takeLease(t.Context(), db, o, false, nil)
		refused <- err
	}()
	until(t, "the refusal", func() bool {
		clock.Add(1)
		if held := must(third.renew(t.Context())); held != (Held{}) {
			t.Fatal(held)
		}
		select {
		case err := <-refused:
			held := (*Held)(nil)
			if !errors.As(err, &held) || held.Holder != third.holder {
				t.Errorf("refused with %v", err)
			}
			return true
		default:
			return false
		}
	})
	must(0, third.close())

	// Records that were put back do not know it: it is taken again.
	empty := must(sqldb.Create(t.Context(), filepath.Join(t.TempDir(), "records.db")))
	defer empty.Close()
	l := &lease{records: empty, work: aloneWork, holder: "this process", now: o.Now}
	if held := must(l.renew(t.Context())); held != (Held{}) {
		t.Error(held)
	}
	if holder, until, err := empty.Leased(t.Context(), aloneWork); err != nil || holder != l.holder || !until.After(o.Now()) {
		t.Errorf("%s until %s: %v", holder, until, err)
	}

	// A schema that was changed since the records were opened is found out, and the lease given back.
	must(0, empty.SetMeta(t.Context(), "compatible", "999999"))
	must(empty.Lease(t.Context(), aloneWork, l.holder, o.Now(), 0))
	if _, err := takeLease(t.Context(), empty, o, false, nil); evidence.ReasonOf(err) != "records_newer" {
		t.Errorf("begins on a newer schema: %v", err)
	}
	if all := must(empty.Leases(t.Context(), "")); len(all) != 1 || all[0].Until.After(o.Now()) {
		t.Errorf("leases: %+v", all)
	}
}

// A clock that was put back keeps nobody away for as long as that: who is gone is waited for a little; who lives renews the lease, and is in the
// way.
func TestLeaseClockPutBack(t *testing.T) {
	db := must(sqldb.Create(t.Context(), filepath.Join(t.TempDir(), "records.db")))
	defer db.Close()
	o, before := testOptions(), time.Now().Add(time.Hour)
	for _, work := range []string{aloneWork, replicaWork + "dead"} {
		must(db.Lease(t.Context(), work, "dead", before, leaseTime))
	}
	mine := must(takeLease(t.Context(), db, o, false, nil))
	must(0, mine.close())

	must(db.Lease(t.Context(), aloneWork, "alive", before, leaseTime))
	var renewing sync.WaitGroup
	defer renewing.Wait()
	renewed, stop := context.WithCancel(t.Context())
	defer stop()
	renewing.Go(func() {
		for pause(renewed, leaseRenew); renewed.Err() == nil; pause(renewed, leaseRenew) {
			db.Lease(renewed, aloneWork, "alive", time.Now(), leaseTime)
		}
	})
	_, err := takeLease(t.Context(), db, o, true, nil)
	if held := (*Held)(nil); !errors.As(err, &held) || held.Holder != "alive" {
		t.Errorf("beside who lives: %v", err)
	}
}
