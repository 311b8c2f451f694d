package daemon

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/config"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/omniwitness"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
)

// confirmedVault has a real witness and the development authority, which stamps its events too.
type confirmedVault struct {
	dir   string
	cast  cast
	trust tlog.Trust
}

func newConfirmedVault(t *testing.T, witnessed bool) confirmedVault {
	t.Helper()
	v := confirmedVault{dir: filepath.Join(t.TempDir(), "vault")}
	var founding Founding
	v.cast, founding = unfounded(v.dir)
	founding.DevelopmentTimestamps = true
	if !witnessed {
		v.trust = must(Found(t.Context(), v.dir, testOptions(), founding))
		return v
	}
	program, err := omniwitness.Find()
	if err != nil {
		t.Fatal(err)
	}
	w := must(omniwitness.New(program, filepath.Join(t.TempDir(), "witness"), "witness.example", omniwitness.MLDSA44))
	founding.Witness = w.Line() + "quorum witness.example\n"
	v.trust = must(Found(t.Context(), v.dir, testOptions(), founding))
	run(t, w, v.trust, must(WitnessKey(v.trust)))
	return v
}

// work has three cases opened, each confirmed before the next, and waits until all is.
func (v confirmedVault) work(t *testing.T, p *parts) {
	t.Helper()
	for range 3 {
		_, o, err := v.cast.openCase(p)
		if err != nil {
			t.Fatal(err)
		}
		final(t, p, o)
		settled(t, p)
		await(t, "time stamp", func() bool { return len(must(p.records.EventStamps(t.Context(), o.LeafHash))) == 1 })
	}
}

// said is all that others confirmed of a vault, up to a size of its log.
type said struct {
	published []ledger.Published
	receipts  map[ev.Hash][]byte // final
	stamps    map[ev.Hash][]ledger.Stamp
	stamped   int64 // order of the last event that is
}

func (p *parts) said(t *testing.T, size int64) said {
	t.Helper()
	s := said{receipts: make(map[ev.Hash][]byte), stamps: make(map[ev.Hash][]ledger.Stamp)}
	for _, row := range must(p.records.AllPublished(t.Context(), -1, 1000)) {
		if row.Size <= size {
			s.published = append(s.published, row)
		}
	}
	for _, e := range must(p.records.Events(t.Context(), 0, 1000)) {
		if e.Index >= size {
			continue
		}
		receipt, err := p.ledger.Final(t.Context(), e.LeafHash)
		if err != nil {
			t.Fatalf("%s: %v", place(e), err)
		}
		s.receipts[e.LeafHash] = receipt
		if list := must(p.records.EventStamps(t.Context(), e.LeafHash)); len(list) > 0 {
			s.stamps[e.LeafHash], s.stamped = list, e.Order
		}
	}
	return s
}

// compare says what of before is not there.
func (s said) compare(t *testing.T, before said) {
	t.Helper()
	if len(before.published) < 3 || len(before.stamps) < 3 || len(before.receipts) < 9 {
		t.Fatalf("nothing to compare: %d published, %d stamped, %d receipts", len(before.published), len(before.stamps), len(before.receipts))
	}
	if !reflect.DeepEqual(s.published, before.published) {
		t.Errorf("%d published checkpoints came back of %d, or others", len(s.published), len(before.published))
	}
	if !reflect.DeepEqual(s.stamps, before.stamps) {
		t.Errorf("%d stamped events of %d, or others", len(s.stamps), len(before.stamps))
	}
	for leaf, receipt := range before.receipts {
		if !bytes.Equal(s.receipts[leaf], receipt) {
			t.Errorf("a final receipt is another\n%s\nwas\n%s", s.receipts[leaf], receipt)
		}
	}
}

// TestRebuildConfirmed: records that were made again give the same final receipts and time stamps as those that were lost, where a file has
// what was confirmed; and nothing comes of a file that is forged, another vault's, or damaged.
func TestRebuildConfirmed(t *testing.T) {
	v := newConfirmedVault(t, true)
	p := must(open(t.Context(), v.dir, testOptions()))
	v.work(t, p)
	backup := filepath.Join(t.TempDir(), "backup")
	backedUp(t, p, backup)
	v.work(t, p)
	rows := must(p.records.AllPublished(t.Context(), -1, 1000))
	size := rows[len(rows)-1].Size
	before := p.said(t, size)
	must(0, p.close())
	snapshot := backupFolder(backup).snapshot(must(backupFolder(backup).snapshots())[0])

	lost := func() (dir, away string) { // a copy whose records were moved away
		t.Helper()
		dir = filepath.Join(t.TempDir(), "vault")
		must(0, os.CopyFS(dir, os.DirFS(v.dir)))
		must(0, private(dir))
		return dir, lose(t, dir, "records.db")
	}
	rebuilt := func(dir string, files ...string) Rebuilt {
		t.Helper()
		made, err := Rebuild(t.Context(), dir, testOptions(), files)
		if err != nil {
			t.Fatal(err)
		}
		if made.Confirmed == nil {
			t.Fatal("nothing is said of confirmations")
		}
		return made
	}
	none := ledger.Confirmations{}

	dir, away := lost()
	for _, name := range []string{"a wrong name", away + ".db"} { // is no damage
		if _, err := Rebuild(t.Context(), dir, testOptions(), []string{name}); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a file that is not there: %v", err)
		}
	}
	made := rebuilt(dir, away)
	if c := made.Confirmed; c.Found != c.Kept || c.Lost() != none || c.Kept.Checkpoints != int64(len(rows)) || c.Kept.Cosignatures < 3 || c.Kept.Stamps < 3 ||
		c.Kept.EventStamps != int64(len(before.stamps)) || c.Final != size || len(made.Unread) != 0 {
		t.Errorf("%+v, unread %q", c, made.Unread)
	}
	p = must(open(t.Context(), dir, testOptions()))
	p.said(t, size).compare(t, before)
	if order := must(p.records.StampedUpTo(t.Context(), config.Development)); order != before.stamped {
		t.Errorf("events are stamped from %d on, before from %d", order, before.stamped)
	}
	v.work(t, p) // and it goes on
	must(0, p.close())
	for _, d := range examine(t, dir) {
		t.Errorf("%+v", d)
	}

	// The file moved away may be damaged: then a backup's has what there was then. What is said of it is true.
	dir, away = lost()
	must(0, os.Truncate(away, must(os.Stat(away)).Size()/2))
	made = rebuilt(dir, away, snapshot.records(), snapshot.path(erasableFile))
	then := made.Confirmed.Final
	if c := made.Confirmed; !slices.Equal(made.Unread, []string{away}) || c.Lost() != none || c.Kept.Checkpoints < 3 || then == 0 || then >= size || made.Found == 0 {
		t.Errorf("%+v, unread %q", c, made.Unread)
	}
	p = must(open(t.Context(), dir, testOptions()))
	after := p.said(t, then)
	for leaf, receipt := range after.receipts {
		if !bytes.Equal(receipt, before.receipts[leaf]) {
			t.Error("a final receipt of before the backup is another")
		}
	}
	if len(after.receipts) != int(then) || !reflect.DeepEqual(after.published, before.published[:len(after.published)]) {
		t.Errorf("%d receipts, %d published", len(after.receipts), len(after.published))
	}
	must(0, p.close())

	other := newConfirmedVault(t, false)
	p = must(open(t.Context(), other.dir, testOptions()))
	other.work(t, p)
	must(0, p.close())
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	must(0, os.WriteFile(garbage, bytes.Repeat([]byte("SQLite format 3\x00"), 1000), 0o600))
	for name, file := range map[string]string{
		"another log's": folder(other.dir).records(), "truncated": truncated(t, folder(v.dir).records()), "garbage": garbage, "nothing": snapshot.path(erasableFile),
	} {
		dir, _ := lost()
		made := rebuilt(dir, file)
		if c := made.Confirmed; c.Kept != none || c.Final != 0 || (c.Found.Checkpoints > 2 && c.Found.EventStamps > 2) != (name == "another log's") ||
			(len(made.Unread) == 1) != (name == "truncated" || name == "garbage") {
			t.Errorf("%s: %+v, unread %q", name, c, made.Unread)
		}
		db := must(sqldb.Open(t.Context(), folder(dir).records()))
		for _, row := range must(db.AllPublished(t.Context(), -1, 1000)) {
			if row.Size < size {
				t.Errorf("%s: a checkpoint of size %d came from it", name, row.Size)
			}
		}
		must(0, db.Close())
	}

	// One row that is forged costs that row alone.
	dir, away = lost()
	source := filepath.Dir(away)
	statements(t, source, `update published set signed = replace(cast(signed as text), substr(cast(signed as text), -2000, 8), 'AAAAAAAA') where size = (select min(size) from published)`)
	lines := ledger.Confirmations{Cosignatures: 1}
	if c := rebuilt(dir, away).Confirmed; c.Lost() != lines {
		t.Errorf("a forged cosignature: lost %+v", c.Lost())
	}
	dir, _ = lost()
	origin := v.trust.Vault()
	statements(t, source, `update published set signed = replace(cast(signed as text), '`+origin+`', 'x.`+origin+`') where size = (select min(size) from published)`,
		`update event_stamps set response = x'3000' where ord = (select max(ord) from event_stamps)`,
		`insert into event_stamps (ord, authority, response) values (100000, 'x', x'3000')`, `update published set final = x'01' where size = (select max(size) from published)`)
	c := rebuilt(dir, away).Confirmed
	if lost := c.Lost(); lost.Checkpoints != 1 || lost.EventStamps != 2 || c.Final != rows[len(rows)-2].Size {
		t.Errorf("a forged checkpoint: lost %+v, final %d", lost, c.Final)
	}
	db := must(sqldb.Open(t.Context(), folder(dir).records()))
	if got := must(db.AllPublished(t.Context(), -1, 1)); got[0].Size != rows[1].Size {
		t.Errorf("the first is of size %d", got[0].Size)
	}
	must(0, db.Close())
}

// TestRebuildOfOldLog: a file with a checkpoint of more leaves, signed by this log, shows that the log is not the newest. Nothing is made.
func TestRebuildOfOldLog(t *testing.T) {
	v := newConfirmedVault(t, false)
	p := must(open(t.Context(), v.dir, testOptions()))
	v.work(t, p)
	must(0, p.close())
	old := filepath.Join(t.TempDir(), "vault")
	must(0, os.CopyFS(old, os.DirFS(v.dir)))
	must(0, private(old))
	p = must(open(t.Context(), v.dir, testOptions()))
	v.work(t, p)
	must(0, p.close())
	lose(t, old, "records.db")
	m := (*ledger.Mismatch)(nil)
	if _, err := Rebuild(t.Context(), old, testOptions(), []string{folder(v.dir).records()}); !errors.As(err, &m) || m.Where != "log" {
		t.Errorf("made: %v", err)
	}
	if _, err := os.Stat(folder(old).records()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("records are there: %v", err)
	}
}

// TestRestoreConfirmed: a backup has what was confirmed until then, also where a newer log is restored with it.
func TestRestoreConfirmed(t *testing.T) {
	v := newConfirmedVault(t, true)
	p := must(open(t.Context(), v.dir, testOptions()))
	v.work(t, p)
	rows := must(p.records.AllPublished(t.Context(), -1, 1000))
	size := rows[len(rows)-1].Size
	before := p.said(t, size)
	backup := filepath.Join(t.TempDir(), "backup")
	backedUp(t, p, backup)
	_, o, err := v.cast.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	final(t, p, o)
	lost := p.ledger.Checkpoint()
	must(0, p.close())
	snapshot := backupFolder(backup).snapshot(must(backupFolder(backup).snapshots())[0])
	held := func() (names []string) {
		for _, entry := range must(os.ReadDir(string(snapshot))) {
			names = append(names, entry.Name())
		}
		return names
	}
	files := held()

	p, done := restored(t, Restoration{From: backup, Data: filepath.Join(t.TempDir(), "anew"), Newest: []string{checkpointFile(t, lost)}, Log: folder(v.dir).log()})
	defer p.close()
	if done.Rebuilt == nil || done.Rebuilt.Confirmed == nil {
		t.Fatalf("%+v", done)
	}
	c := done.Rebuilt.Confirmed
	if c.Found != c.Kept || c.Kept.Checkpoints < int64(len(rows)) || c.Final < size || len(done.Rebuilt.Unread) != 0 {
		t.Errorf("%+v, unread %q", c, done.Rebuilt.Unread)
	}
	p.said(t, size).compare(t, before)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := p.ledger.AwaitFinal(ctx, o.LeafHash); err != nil { // confirmed anew
		t.Error(err)
	}
	if now := held(); !slices.Equal(now, files) {
		t.Errorf("the backup holds %q, before %q", now, files)
	}
}

// TestRowsOfDamagedFile: a file whose rows come again, or stop with an error, ends, and the others' rows come in their order.
func TestRowsOfDamagedFile(t *testing.T) {
	number := func(n int64) int64 { return n }
	pages := func(pages ...[]int64) func(context.Context, int64, int) ([]int64, error) {
		return func(context.Context, int64, int) ([]int64, error) {
			if len(pages) == 0 {
				return nil, errors.New("damaged")
			}
			page := pages[0]
			pages = pages[1:]
			return page, nil
		}
	}
	unread := 0
	again := &rows[int64]{read: func(context.Context, int64, int) ([]int64, error) { return []int64{3, 1, 5, 5, 2}, nil }, number: number}
	ends := &rows[int64]{read: pages([]int64{1, 2}, []int64{5, 6}), number: number, unread: func() { unread++ }}
	var got [][]int64
	if err := each(t.Context(), []*rows[int64]{again, ends}, func(same []int64) error {
		got = append(got, same)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := [][]int64{{1}, {2}, {3}, {5, 5}, {6}}; !reflect.DeepEqual(got, want) || unread != 1 {
		t.Errorf("%v, unread %d", got, unread)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again = &rows[int64]{read: again.read, number: number}
	if err := each(ctx, []*rows[int64]{again}, func([]int64) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

// truncated is the first half of a file.
func truncated(t *testing.T, file string) string {
	t.Helper()
	text := must(os.ReadFile(file))
	path := filepath.Join(t.TempDir(), "half.db")
	must(0, os.WriteFile(path, text[:len(text)/2], 0o600))
	return path
}
