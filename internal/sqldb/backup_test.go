package sqldb

import (
	"path/filepath"
	"slices"
	"testing"
)

// Every table is copied, left out for a reason, or kept apart: one that is added is not forgotten.
func TestBackupKnowsEveryTable(t *testing.T) {
	db, err := Create(t.Context(), filepath.Join(t.TempDir(), "records.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tables, err := list(t.Context(), db.read, scanTo[string], `select name from sqlite_master where type = 'table' and name not like 'goose%' and name not like 'sqlite%'`)
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Concat(copied, leftOut, []string{"attachments"})
	slices.Sort(known)
	slices.Sort(tables)
	if !slices.Equal(known, tables) {
		t.Errorf("a backup knows %q, the schema has %q", known, tables)
	}
	compared := []string{}
	for _, p := range projections {
		compared = append(compared, p.table)
	}
	for _, table := range copied {
		truth := slices.Contains([]string{"events", "pending", "inclusions", "checkpoints", "heads_entries", "heads_buckets", "invitations", "meta",
			"published", "published_stamps", "event_stamps", "stamping"}, table)
		if !truth && !slices.Contains(compared, table) {
			t.Errorf("%s follows from events and is not compared with them", table)
		}
	}
}

// What a moment holds is not changed by what comes after, and comes back as it was.
func TestFreezeAndRestore(t *testing.T) {
	dir := t.TempDir()
	db, err := Create(t.Context(), filepath.Join(dir, "records.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	put := func(key string) {
		t.Helper()
		if err := db.SetMeta(t.Context(), key, "x"); err != nil {
			t.Fatal(err)
		}
	}
	put("before")
	f, err := db.Freeze(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	put("after")
	records, erasable := filepath.Join(dir, "copy.db"), filepath.Join(dir, "erasable.db")
	if err := f.Write(t.Context(), records, erasable); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(t.Context(), records, erasable); err == nil {
		t.Error("written twice")
	}
	restored := filepath.Join(dir, "restored.db")
	if err := Restore(t.Context(), restored, records, erasable); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), restored)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.Meta(t.Context(), "before"); err != nil {
		t.Error(err)
	}
	if _, err := again.Meta(t.Context(), "after"); err == nil {
		t.Error("it holds what came later")
	}
	if err := Restore(t.Context(), restored, records, erasable); err == nil {
		t.Error("restored over a database")
	}
	if err := Restore(t.Context(), filepath.Join(dir, "none.db"), records, filepath.Join(dir, "gone.db")); err == nil {
		t.Error("restored without the erasable part")
	}
}
