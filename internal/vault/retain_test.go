package vault_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/objects/versitygw"
)

// inEveryStore runs a test on a folder and on a bucket; fresh makes another store without anything in it.
func inEveryStore(t *testing.T, test func(t *testing.T, fresh func(*testing.T) objects.Store)) {
	t.Run("fs", func(t *testing.T) {
		test(t, func(t *testing.T) objects.Store {
			dir := t.TempDir()
			must(0, fs.Create(filepath.Join(dir, "objects")))
			s := must(fs.Open(filepath.Join(dir, "objects")))
			t.Cleanup(func() { s.Close() })
			return s
		})
	})
	t.Run("s3", func(t *testing.T) {
		program, err := versitygw.Find()
		if err != nil {
			t.Skip(err)
		}
		server := must(versitygw.Start(ctx(), program, t.TempDir()))
		t.Cleanup(server.Kill)
		prefix := ""
		test(t, func(t *testing.T) objects.Store {
			prefix += "x"
			c := s3.Config{Endpoint: server.Endpoint, Region: versitygw.Region, Bucket: "evidence", Prefix: prefix + "/", CAFile: server.CAFile, CredentialsFile: server.CredentialsFile}
			must(0, s3.Create(ctx(), c))
			s := must(s3.Open(ctx(), c))
			t.Cleanup(func() { s.Close() })
			return s
		})
	})
}

// lockedAs demands the lock of an object, and that it does what it says: the object is not removed, and its bytes are there.
func (w *world) lockedAs(s objects.Store, it *deposit, until time.Time, hold bool) {
	w.t.Helper()
	d := objects.Digest(it.details.Evidence.SHA256)
	_, lock, err := s.Stat(ctx(), d)
	if up := until.Truncate(time.Second); up.Before(until) {
		until = up.Add(time.Second)
	}
	if want := (objects.Lock{Until: until.UTC(), Hold: hold}); err != nil || lock != want {
		w.t.Fatalf("lock %v, %v; want %v", lock, err, want)
	}
	if lock == (objects.Lock{}) {
		return
	}
	if err := s.Remove(ctx(), d, time.Now()); !errors.Is(err, objects.ErrLocked) {
		w.t.Fatalf("a locked file was removed: %v", err)
	}
	o, err := s.Open(ctx(), d)
	if err != nil {
		w.t.Fatal(err)
	}
	defer o.Close()
	if b, err := io.ReadAll(o); err != nil || !bytes.Equal(b, it.ciphertext) {
		w.t.Fatalf("of a locked file %d bytes are left, %v", len(b), err)
	}
}

// form deposits a consent form, which nothing ends and which is kept for as long as somebody says.
func (w *world) form(in ev.CaseID, change ...func(*deposit)) *deposit {
	w.t.Helper()
	it := w.prepare(in, ev.ConsentForm)
	for _, f := range change {
		f(it)
	}
	if o, err := w.tryDeposit(it); err != nil || o.Receipt == nil {
		w.t.Fatalf("deposit: %v", err)
	}
	return it
}

func (w *world) retain(it *deposit, category string, due time.Duration) time.Time {
	w.t.Helper()
	at := ev.At(w.now().Add(due))
	w.do("custodian", ev.ItemOf(it.id), ev.RetentionSet, &ev.RetentionSetDetails{Category: category, Due: at})
	return at.Std()
}

// A hold of these tests is placed by somebody whose clock is ahead by soon, so that it does not lapse before; later it has.
const (
	soon  = 55 * time.Second
	later = 3 * time.Minute
)

// TestLocks: the lock of a file follows the law, at once, and is never made shorter.
func TestLocks(t *testing.T) {
	inEveryStore(t, func(t *testing.T, fresh func(*testing.T) objects.Store) {
		w, s := newWorld(t), fresh(t)
		w.objects = func(objects.Store) objects.Store { return s }
		w.restart()
		c := w.consented()
		consent := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState).Until.Std()
		w.lockedAs(s, c.item, consent, false)
		w.retain(c.item, "records", 5000*time.Hour)
		w.lockedAs(s, c.item, consent, false) // consent is a ceiling

		form := w.form(c.in)
		w.lockedAs(s, form, time.Time{}, false)
		w.retain(form, "records", 50*time.Hour)
		until := w.retain(form, "other", 100*time.Hour)
		w.lockedAs(s, form, until, false)
		w.retain(form, "other", 70*time.Hour)
		w.pass(3 * time.Second)
		w.sweep()
		w.lockedAs(s, form, until, false)
		until = w.retain(form, "records", 200*time.Hour)
		w.lockedAs(s, form, until, false)
		w.retain(form, "permanent", 200*366*24*time.Hour)
		w.lockedAs(s, form, time.Date(w.now().UTC().Year()+99, 1, 1, 0, 0, 0, 0, time.UTC), false)

		w.placeHold("custodian", c, soon)
		w.lockedAs(s, c.item, consent, true)
		w.sweep()
		w.lockedAs(s, c.item, consent, true)
		w.pass(later)
		w.sweep()
		w.lockedAs(s, c.item, consent, false)

		// A lock never stands against shredding, for no envelope is under it; and nothing is added to that of a shredded item.
		w.withdraw(c)
		w.shred(c)
		w.sweep()
		w.lockedAs(s, c.item, consent, false)
	})
}

// TestSharedFile: a file that several items name is kept as long as any of them is, and held until the last hold is lifted.
func TestSharedFile(t *testing.T) {
	inEveryStore(t, func(t *testing.T, fresh func(*testing.T) objects.Store) {
		w, s := newUnlockingWorld(t, fresh(t))
		c := w.consented()
		one := w.form(c.in)
		other := w.form(c.in, func(it *deposit) {
			it.details.Evidence, it.ciphertext = one.details.Evidence, one.ciphertext
			it.upload = w.upload("clinician", one.ciphertext)
		})
		until := w.retain(one, "records", 100*time.Hour)
		w.retain(other, "records", 50*time.Hour)
		w.lockedAs(s, one, until, false)
		until = w.retain(other, "records", 150*time.Hour)
		w.lockedAs(s, one, until, false)

		first, second := c, c
		first.item, second.item = one, other
		w.placeHold("custodian", first, soon)
		w.placeHold("custodian", second, 2*soon)
		w.pass(soon + soon/3)
		s.before = func() { t.Error("not held for a moment") }
		w.sweep()
		if w.holdStatus(first) != ev.HoldOver || w.holdStatus(second) != ev.HoldUnconfirmed {
			t.Fatalf("holds are %s and %s", w.holdStatus(first), w.holdStatus(second))
		}
		w.lockedAs(s, one, until, true)
		s.before = nil
		w.pass(later)
		w.sweep()
		w.lockedAs(s, one, until, false)
	})
}

// unlocking is a store that sets no locks while it is off.
type unlocking struct {
	objects.Store
	off    bool
	before func() // is called before a hold is lifted
}

var errOff = errors.New("off")

func (s *unlocking) Retain(ctx context.Context, d objects.Digest, until time.Time) error {
	if s.off {
		return errOff
	}
	return s.Store.Retain(ctx, d, until)
}

func (s *unlocking) Hold(ctx context.Context, d objects.Digest, on bool) error {
	if s.off {
		return errOff
	}
	if !on && s.before != nil {
		s.before()
	}
	return s.Store.Hold(ctx, d, on)
}

// TestLocksAfterCrash: what could not be locked with its event is, by the next sweep of any process.
func TestLocksAfterCrash(t *testing.T) {
	inEveryStore(t, func(t *testing.T, fresh func(*testing.T) objects.Store) {
		w, s := newUnlockingWorld(t, fresh(t))
		c := w.consented()
		form := w.form(c.in)
		s.off = true
		until := w.retain(form, "records", 100*time.Hour)
		w.placeHold("custodian", c, soon)
		w.lockedAs(s, form, time.Time{}, false)
		refused(t, w.Sweep(ctx()), ev.Internal, "store")
		w.restart()
		s.off = false
		w.sweep()
		w.lockedAs(s, form, until, false)
		consent := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState).Until.Std()
		w.lockedAs(s, c.item, consent, true)
	})
}

// TestLocksOfRestored: files that were copied to another place get the locks that they had, by whom the events are news, or within a day.
func TestLocksOfRestored(t *testing.T) {
	inEveryStore(t, func(t *testing.T, fresh func(*testing.T) objects.Store) {
		w, s := newUnlockingWorld(t, fresh(t))
		c := w.consented()
		form := w.form(c.in)
		until := w.retain(form, "records", 100*time.Hour)
		consent := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState).Until.Std()
		for round := range 2 {
			w.sweep()
			restored := fresh(t)
			for _, it := range []*deposit{c.form, c.item, form} {
				id := it.details.Evidence.SHA256.String()
				must(0, restored.StageCreate(ctx(), id, int64(len(it.ciphertext))))
				must(restored.StageAppend(ctx(), id, 0, bytes.NewReader(it.ciphertext)))
				must(restored.StageCommit(ctx(), id, objects.Digest(it.details.Evidence.SHA256)))
			}
			s.Store = restored
			if w.lockedAs(s, form, time.Time{}, false); round == 0 {
				w.restart()
			} else {
				w.pass(25 * time.Hour)
			}
			w.sweep()
			w.lockedAs(s, form, until, false)
			w.lockedAs(s, c.item, consent, false)
		}
		s.Store = fresh(t) // what is not there at all is the scrub's to tell
		w.restart()
		w.sweep()
	})
}

// TestHoldMeanwhile: a hold that is placed at the moment in which another one's end is carried out stays.
func TestHoldMeanwhile(t *testing.T) {
	w, s := newWorld(t), &unlocking{}
	w.objects = func(own objects.Store) objects.Store { s.Store = own; return s }
	w.restart()
	c := w.consented()
	consent := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState).Until.Std()
	w.placeHold("custodian", c, soon)
	w.pass(later)
	calls := 0
	s.before = func() {
		if calls++; calls == 1 {
			w.placeHold("custodian", c, soon)
		}
	}
	w.sweep()
	w.lockedAs(s, c.item, consent, true)
	w.sweep()
	w.lockedAs(s, c.item, consent, true)
	if calls != 1 {
		t.Errorf("a hold was lifted %d times", calls)
	}
	w.pass(later)
	w.sweep()
	w.lockedAs(s, c.item, consent, false)
}
