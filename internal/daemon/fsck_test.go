package daemon

import (
	"bytes"
	"context"
	"database/sql"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	_ "modernc.org/sqlite"

	ev "strongroom.example/strongroom/internal/evidence"
)

// stock puts a case with two items into a vault, and waits until all of it is published.
func stock(t *testing.T, dir string) (item ev.ItemID) {
	t.Helper()
	_, c := once()
	p := must(open(t.Context(), dir, testOptions()))
	defer p.close()
	in, _, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if item, _, err = c.deposit(p, in, 200_000); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	last := must(p.records.Stream(ctx, ev.ItemOf(item), -1, 1))[0].Index
	must(p.ledger.Complete(ctx, nil, last))
	return item
}

// statements runs SQL on the records as somebody would who has the disk: no trigger holds them back.
func statements(t *testing.T, dir string, queries ...string) {
	t.Helper()
	db := must(sql.Open("sqlite", filepath.Join(dir, "records.db")))
	defer db.Close()
	var triggers []string
	rows := must(db.Query(`select name from sqlite_master where type = 'trigger'`))
	for rows.Next() {
		var name string
		must(0, rows.Scan(&name))
		triggers = append(triggers, "drop trigger "+name)
	}
	rows.Close()
	for _, q := range append(triggers, queries...) {
		if done, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		} else if n, _ := done.RowsAffected(); n == 0 && !strings.HasPrefix(q, "drop") {
			t.Fatalf("%s: nothing changed", q)
		}
	}
}

// object returns the file of the first object.
func object(t *testing.T, dir string) string {
	t.Helper()
	var found string
	err := filepath.WalkDir(filepath.Join(dir, "objects"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && found == "" {
			if info, err := d.Info(); err == nil && info.Size() > 100_000 {
				found = path
			}
		}
		return err
	})
	if err != nil || found == "" {
		t.Fatalf("no object: %v", err)
	}
	must(0, os.Chmod(found, 0o600))
	return found
}

// TestFsck plants one damage at a time. It is found and named; a sound vault has none.
func TestFsck(t *testing.T) {
	sound := made(t)
	young := filepath.Join(t.TempDir(), "young")
	must(0, os.CopyFS(young, os.DirFS(sound)))
	item := stock(t, sound)
	if found := examine(t, sound); len(found) > 0 {
		t.Fatalf("a sound vault has damage: %v", found)
	}
	thisItem := "item " + string(item)
	ofItem := `(select ord from events where stream_id = '` + string(item) + `')`
	query := func(queries ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { statements(t, dir, queries...) }
	}
	for name, c := range map[string]struct {
		plant func(t *testing.T, dir string)
		where string // begins so
		what  string // and contains this
	}{
		"flipped object byte": {func(t *testing.T, dir string) {
			path := object(t, dir)
			b := must(os.ReadFile(path))
			b[len(b)/2] ^= 1
			must(0, os.WriteFile(path, b, 0o600))
		}, "item ", "its evidence was altered"},
		"truncated object": {func(t *testing.T, dir string) { must(0, os.Truncate(object(t, dir), 1000)) }, "item ", "its evidence was altered"},
		"missing object":   {func(t *testing.T, dir string) { must(0, os.Remove(object(t, dir))) }, "item ", "its evidence is missing"},

		"edited statement":  {query(`update events set dsse = replace(dsse, 'a', 'b') where ord in ` + ofItem), thisItem, "the stored event does not hold"},
		"edited leaf":       {query(`update events set leaf = replace(cast(leaf as text), 'SHA2', 'SHA3') where ord in ` + ofItem), thisItem, "the stored event does not hold"},
		"event moved":       {query(`update events set seq = 5 where ord in ` + ofItem), thisItem, "filed at another place"},
		"edited state":      {query(`update states set state = replace(state, '"sealed":false', '"sealed":true') where stream_id = '` + string(item) + `'`), thisItem, "the stored state"},
		"unreadable state":  {query(`update states set state = 'x' where stream_id = '` + string(item) + `'`), thisItem, "the stored state"},
		"missing state":     {query(`delete from states where stream_id = '` + string(item) + `'`), thisItem, "the stored state"},
		"missing in a list": {query(`delete from items where id = '` + string(item) + `'`), "case ", "its lists show 1 items"},
		"foreign key":       {query(`update actor_keys set actor = 'act-x' where key_id = (select min(key_id) from actor_keys)`), "actor ", "the directory"},

		"deleted inclusion": {query(`delete from inclusions where ord in ` + ofItem), thisItem, "its inclusion was lost"},
		"edited receipt":    {query(`update inclusions set receipt = replace(cast(receipt as text), 'a', 'b') where ord in ` + ofItem), thisItem, "the stored receipt does not hold"},
		"other's receipt": {query(`update inclusions set receipt = (select receipt from inclusions where idx = 1) where ord in ` + ofItem),
			thisItem, "the stored receipt does not hold"},
		"swapped index": {query(`update inclusions set idx = 1000 where ord in ` + ofItem), thisItem, "the stored receipt does not hold"},

		"flipped envelope": {query(`update attachments set body = replace(body, 'a', 'b') where kind = 'envelope' and ord in ` + ofItem), thisItem, "not those the event names"},
		"flipped label":    {query(`update attachments set body = x'00' where kind = 'label' and ord in ` + ofItem), thisItem, "not those the event names"},
		"missing envelope": {query(`delete from attachments where kind = 'envelope' and ord in ` + ofItem), thisItem, "its envelope is missing"},
		"erased envelope":  {query(`update attachments set body = null where kind = 'envelope' and ord in ` + ofItem), thisItem, "the bytes of its envelope are missing"},
		"erased label key": {query(`update attachments set body = null where kind = 'label_envelope'`), "case ", "the bytes of its label_envelope are missing"},
		"foreign envelope": {query(`insert into attachments (id, ord, kind, name, audience, recipient, sha256, body)
			select 1000, ord, kind, name, audience, zeroblob(32), sha256, body from attachments where kind = 'envelope' limit 1`), "item ", "that no event names"},

		"edited heads bucket":    {query(`update heads_buckets set hash = zeroblob(32) where prefix = (select min(prefix) from heads_buckets)`), "heads map", ""},
		"edited heads entry":     {query(`update heads_entries set value = zeroblob(32) where key = (select min(key) from heads_entries)`), "heads map", "damaged"},
		"missing heads entry":    {query(`delete from heads_entries where key = (select min(key) from heads_entries)`), "heads map", "damaged"},
		"edited checkpoint":      {query(`update checkpoints set signed = replace(cast(signed as text), '1', '2') where ord = 1`), "checkpoint of size", "not signed"},
		"lost newest checkpoint": {query(`delete from checkpoints where ord = (select max(ord) from checkpoints)`), "log leaf", "checkpoint under which"},
		"older checkpoint file": {func(t *testing.T, dir string) {
			must(0, os.WriteFile(filepath.Join(dir, "checkpoint"), must(os.ReadFile(filepath.Join(young, "checkpoint"))), 0o600))
		}, "checkpoint file", "older"},
		"missing checkpoint file": {func(t *testing.T, dir string) { must(0, os.Remove(filepath.Join(dir, "checkpoint"))) }, "checkpoint file", "missing"},
		"older log": {func(t *testing.T, dir string) {
			must(0, os.WriteFile(filepath.Join(dir, "log.db"), must(os.ReadFile(filepath.Join(young, "log.db"))), 0o600))
		}, "log", "smaller"},

		"edited tree value": {func(t *testing.T, dir string) {
			editTree(t, dir, func(v []byte) bool { return bytes.Contains(v, []byte("hashedrekord")) })
		}, "log", ""},
		"edited tree node": {func(t *testing.T, dir string) {
			editTree(t, dir, func(v []byte) bool { return len(v) < 200 && len(v) > 30 })
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "vault")
			must(0, os.CopyFS(dir, os.DirFS(sound)))
			must(0, private(dir))
			c.plant(t, dir)
			found := examine(t, dir)
			for _, d := range found {
				if strings.HasPrefix(d.Where, c.where) && strings.Contains(d.What, c.what) {
					return
				}
			}
			t.Errorf("found %q, want %s: %s", found, c.where, c.what)
		})
	}
}

// editTree flips the last byte of the first value in the log's file that is as wanted.
func editTree(t *testing.T, dir string, wanted func([]byte) bool) {
	t.Helper()
	db := must(bolt.Open(filepath.Join(dir, "log.db"), 0o600, &bolt.Options{Timeout: time.Second}))
	defer db.Close()
	edited := false
	var walk func(b *bolt.Bucket) error
	walk = func(b *bolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if v == nil {
				return walk(b.Bucket(k))
			}
			if !edited && wanted(v) {
				edited = true
				changed := bytes.Clone(v)
				changed[len(changed)-1] ^= 1
				return b.Put(bytes.Clone(k), changed)
			}
			return nil
		})
	}
	err := db.Update(func(tx *bolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bolt.Bucket) error { return walk(b) })
	})
	if err != nil || !edited {
		t.Fatalf("nothing edited: %v", err)
	}
}

func TestFsckCannotRun(t *testing.T) {
	none := func(Damage) { t.Error("damage of nothing") }
	if _, err := Fsck(t.Context(), t.TempDir(), testOptions(), none); err == nil {
		t.Error("a folder without a vault was examined")
	}
	dir := made(t)
	p := must(open(t.Context(), dir, testOptions()))
	defer p.close()
	if _, err := Fsck(t.Context(), dir, testOptions(), none); err == nil {
		t.Error("a running vault was examined")
	}
}
