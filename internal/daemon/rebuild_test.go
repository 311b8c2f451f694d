package daemon

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
)

// lose moves a file of a vault away and returns where it is.
func lose(t *testing.T, dir, name string) string {
	t.Helper()
	away := filepath.Join(t.TempDir(), name)
	must(0, os.Rename(filepath.Join(dir, name), away))
	return away
}

// Records made from the log are those that were lost: same events, states, lists, heads, and attachments.
func TestRebuildRecords(t *testing.T) {
	dir := made(t)
	stock(t, dir)
	if _, err := Rebuild(t.Context(), dir, testOptions(), nil); err != ErrNothingLost {
		t.Errorf("with nothing lost: %v", err)
	}
	away := lose(t, dir, "records.db")
	made, err := Rebuild(t.Context(), dir, testOptions(), []string{away})
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Lost) != 0 || made.Found != 13 || len(made.Shut) != 0 { // a case's 3 label envelopes, two items' 3 envelopes, label, description
		t.Errorf("%+v", made)
	}
	old, anew := must(sqldb.Open(t.Context(), away)), must(sqldb.Open(t.Context(), filepath.Join(dir, "records.db")))
	if differences, err := old.Differences(t.Context(), anew); err != nil || len(differences) != 0 {
		t.Errorf("differences: %+v, %v", differences, err)
	}
	before, after := must(old.Events(t.Context(), 0, 1000)), must(anew.Events(t.Context(), 0, 1000))
	for i, e := range before {
		if a := after[i]; a.LeafHash != e.LeafHash || a.Order != e.Order || a.Index != e.Index || a.Stream != e.Stream || !a.Included() {
			t.Errorf("%s became %s", place(e), place(a))
		}
	}
	must(0, old.Close())
	must(0, anew.Close())
	for _, d := range examine(t, dir) {
		t.Errorf("%+v", d)
	}
}

// Without any copy of the envelopes it says which items nobody can open.
func TestRebuildWithoutAttachments(t *testing.T) {
	dir := made(t)
	stock(t, dir)
	lose(t, dir, "records.db")
	made, err := Rebuild(t.Context(), dir, testOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(made.Shut) != 2 || made.Lost[ledger.Envelope] != 6 || made.Lost[ledger.LabelEnvelope] != 3 || made.Lost[ledger.Label] != 2 || made.Found != 0 {
		t.Errorf("%+v", made)
	}
	for _, d := range examine(t, dir) {
		if d.Do != doAttach {
			t.Errorf("%+v", d)
		}
	}
}

// A log made from the records is the one that was lost, down to the root that was signed.
func TestRebuildLog(t *testing.T) {
	dir := made(t)
	stock(t, dir)
	p := must(open(t.Context(), dir, testOptions()))
	root := must(p.tree.Root(t.Context()))
	must(0, p.close())
	lose(t, dir, "log.db")
	if _, err := Rebuild(t.Context(), dir, testOptions(), nil); err != nil {
		t.Fatal(err)
	}
	p = must(open(t.Context(), dir, testOptions()))
	if now := must(p.tree.Root(t.Context())); now.Size < root.Size {
		t.Errorf("%d leaves of %d", now.Size, root.Size)
	}
	must(0, p.close())
	for _, d := range examine(t, dir) {
		t.Errorf("%+v", d)
	}
	// One leaf is in no record: then it is not made.
	lose(t, dir, "log.db")
	statements(t, dir, `delete from inclusions where idx = 5`)
	if _, err := Rebuild(t.Context(), dir, testOptions(), nil); err == nil {
		t.Error("a log was made with a leaf missing")
	}
	if _, err := os.Stat(filepath.Join(dir, "log.db")); err == nil {
		t.Error("and was put in place")
	}
}

// Once in four weeks the record says of every item that it was found whole.
func TestScrubIsRecorded(t *testing.T) {
	dir := made(t)
	stock(t, dir)
	now := time.Now()
	o := testOptions()
	o.Now = func() time.Time { return now }
	p := must(open(t.Context(), dir, o))
	defer p.close()
	lengths := func() (n int64) {
		for _, item := range must(p.records.AllItems(t.Context(), "", 10)) {
			n += item.Last.Seq + 1
		}
		return n
	}
	before := lengths()
	for _, c := range []struct {
		later time.Duration
		more  int64
	}{{0, 0}, {27 * 24 * time.Hour, 0}, {2 * 24 * time.Hour, 2}, {27 * 24 * time.Hour, 2}, {time.Hour * 48, 4}} {
		now = now.Add(c.later)
		if s, err := p.scrub(t.Context(), Scrubbed{Began: now}, 1<<30, func(Damage) {}); err != nil || s.Damaged != 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		if n := lengths(); n != before+c.more {
			t.Errorf("%v later: %d events, want %d", c.later, n-before, c.more)
		}
	}
	for _, item := range must(p.records.AllItems(t.Context(), "", 10)) {
		if item.Compared != ev.At(now) || item.Damaged {
			t.Errorf("%+v", item)
		}
	}
}

// What the scrub finds is refused from then on, and served again once it is whole.
func TestScrub(t *testing.T) {
	dir := made(t)
	stock(t, dir)
	_, c := once()
	path := object(t, dir)
	whole := must(os.ReadFile(path))
	p := must(open(t.Context(), dir, testOptions()))
	defer p.close()
	damaged := func() (list []ev.ItemID) {
		for _, item := range must(p.records.AllItems(t.Context(), "", 10)) {
			if item.Damaged {
				list = append(list, item.ID)
			}
		}
		return list
	}
	scrub := func() Scrubbed {
		t.Helper()
		s, err := p.scrub(t.Context(), Scrubbed{Began: testOptions().Now()}, 1<<30, func(Damage) {})
		if err != nil || s.Ended.IsZero() || s.Objects != 2 {
			t.Fatalf("%+v, %v", s, err)
		}
		if last, err := p.lastScrub(t.Context()); err != nil || !last.Ended.Equal(s.Ended) {
			t.Errorf("kept %+v, %v", last, err)
		}
		return s
	}
	open := func(id ev.ItemID) error {
		item := must(p.records.States(t.Context(), ev.ItemOf(id)))[ev.ItemOf(id)].(*ev.ItemState)
		ref, _ := item.Envelope(c.A.fingerprint())
		signed := c.A.sign(p, ev.ItemOf(id), ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ref.SHA256}, func(e *ev.Event) {
			e.Case, e.Purpose = item.Case, ev.ForInvestigation
		})
		_, err := c.A.submit(p, signed, "")
		return err
	}
	if s := scrub(); s.Damaged != 0 || len(damaged()) != 0 {
		t.Fatalf("a sound vault: %+v", s)
	}
	b := append([]byte{}, whole...)
	b[len(b)/2] ^= 1
	for what, change := range map[string]func(){
		"flipped": func() { must(0, os.WriteFile(path, b, 0o600)) },
		"cut":     func() { must(0, os.Truncate(path, 1000)) },
		"missing": func() { must(0, os.Remove(path)) },
	} {
		for _, item := range must(p.records.AllItems(t.Context(), "", 10)) {
			if err := open(item.ID); err != nil {
				t.Fatalf("before %s: %v", what, err)
			}
		}
		change()
		if s := scrub(); s.Damaged != 1 {
			t.Errorf("%s: %+v", what, s)
		}
		list := damaged()
		if len(list) != 1 {
			t.Fatalf("%s: %q are marked", what, list)
		}
		if err := open(list[0]); ev.ReasonOf(err) != ev.ReasonDamaged {
			t.Errorf("%s: opened: %v", what, err)
		}
		size := p.ledger.Size()
		if scrub(); p.ledger.Size() != size && len(must(p.records.Stream(t.Context(), ev.ItemOf(list[0]), -1, 100))) > 20 {
			t.Errorf("%s: said twice", what)
		}
		must(0, os.WriteFile(path, whole, 0o600))
		if s := scrub(); s.Damaged != 0 || len(damaged()) != 0 {
			t.Errorf("%s, put back: %+v", what, s)
		}
	}
}
