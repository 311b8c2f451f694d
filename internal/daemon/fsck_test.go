package daemon

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
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
	var drop, again []string
	rows := must(db.Query(`select name, sql from sqlite_master where type = 'trigger'`))
	for rows.Next() {
		var name, text string
		must(0, rows.Scan(&name, &text))
		drop, again = append(drop, "drop trigger "+name), append(again, text)
	}
	rows.Close()
	for _, q := range drop {
		must(db.Exec(q))
	}
	for _, q := range queries {
		if done, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		} else if n, _ := done.RowsAffected(); n == 0 && !strings.HasPrefix(q, "drop") && !strings.HasPrefix(q, "create") {
			t.Fatalf("%s: nothing changed", q)
		}
	}
	for _, q := range again {
		must(db.Exec(q))
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
		"orphan object": {func(t *testing.T, dir string) {
			path := object(t, dir)
			other := filepath.Join(filepath.Dir(path), filepath.Base(path)[:60]+"0000")
			must(0, os.WriteFile(other, []byte("x"), 0o400))
		}, "object ", "no event names it"},
		"missing object": {func(t *testing.T, dir string) { must(0, os.Remove(object(t, dir))) }, "item ", "its evidence is missing"},

		"edited statement": {query(`update events set dsse = replace(dsse, 'a', 'b') where ord in ` + ofItem), thisItem, "the stored event does not hold"},
		"edited leaf":      {query(`update events set leaf = replace(cast(leaf as text), 'SHA2', 'SHA3') where ord in ` + ofItem), thisItem, "the stored event does not hold"},
		"event moved":      {query(`update events set seq = 5 where ord in ` + ofItem), thisItem, "filed at another place"},
		"edited state":     {query(`update states set state = replace(state, '"sealed":false', '"sealed":true') where stream_id = '` + string(item) + `'`), thisItem, "the stored state"},
		"unreadable state": {query(`update states set state = 'x' where stream_id = '` + string(item) + `'`), thisItem, "the stored state"},
		"missing state":    {query(`delete from states where stream_id = '` + string(item) + `'`), thisItem, "the stored state"},
		"deleted event":    {query(`delete from inclusions where ord in `+ofItem, `delete from events where stream_id = '`+string(item)+`'`), "log leaf", "its event is missing from the records: " + thisItem},
		"deleted order":    {query(`delete from inclusions where ord = 3`, `delete from events where ord = 3`), "records", "accepted events before"},
		"edited digest":    {query(`update events set pae_digest = zeroblob(32) where ord in ` + ofItem), thisItem, "what it is found by"},
		"edited basis":     {query(`update events set stands = zeroblob(32) where ord in ` + ofItem), thisItem, "what it stands on"},
		"edited kind":      {query(`update events set kind = 'item.sealed' where ord in ` + ofItem), thisItem, "filed at another place"},
		"lost pending":     {query(`delete from inclusions where ord = (select max(ord) from inclusions)`), "", "its inclusion was lost"},
		"both":             {query(`insert into pending (ord) values (2)`), "actor ", "in the log and waits"},

		"missing in a list":  {query(`delete from items where id = '` + string(item) + `'`), thisItem, "list of items ("},
		"other recipient":    {query(`update items set recipient = zeroblob(32) where id = '` + string(item) + `'`), thisItem, "is not what its events make of it"},
		"stray in a list":    {query(`insert into items select case_id, 'itm-x', zeroblob(32) from items limit 1`), "item itm-x", "no event makes it"},
		"foreign key":        {query(`update actor_keys set actor = 'act-x' where key_id = (select min(key_id) from actor_keys)`), "actor ", "the directory's entry of a key"},
		"lost key":           {query(`delete from actor_keys where key_id = (select min(key_id) from actor_keys)`), "actor ", "is missing"},
		"lost recipient":     {query(`delete from actor_recipients where recipient = (select min(recipient) from actor_recipients)`), "actor ", "age recipient"},
		"foreign member":     {query(`insert into members select 'act-x', case_id from members limit 1`), "case ", "a member's entry in the list of cases (act-x) is there, and no event makes it"},
		"lost member":        {query(`delete from members where actor = (select min(actor) from members)`), "case ", "list of cases"},
		"foreign consent":    {query(`insert into consents select case_id, 'con-x' from items limit 1`), "consent con-x", "no event makes it"},
		"foreign exhibit":    {query(`insert into exhibits select case_id, 7, id from items limit 1`), "item ", "exhibit number (7) is there"},
		"foreign share":      {query(`insert into grants select 'gra-x', id, case_id, 'act-x', 'active', 1, 1, '{}' from items limit 1`), "item ", "list of shares (gra-x) is there"},
		"state of no stream": {query(`insert into states values ('case', 'cas-x', 0, '{}')`), "case cas-x", "no event makes it"},
		"lost index":         {query(`drop index grants_due`), "records", "index grants_due is missing"},
		"lost table":         {query(`drop table sessions`), "records", "table sessions is missing"},
		"foreign trigger":    {query(`create trigger x after insert on events begin delete from attachments; end`), "records", "trigger x is not of this program"},
		"lost reference":     {query(`insert into inclusions values (5000, 5000, x'00')`), "records", "inclusions"},
		"damaged page":       {damagedPage, "", ""},

		"deleted inclusion": {query(`delete from inclusions where ord in ` + ofItem), thisItem, "its inclusion was lost"},
		"edited receipt":    {query(`update inclusions set receipt = replace(cast(receipt as text), 'a', 'b') where ord in ` + ofItem), thisItem, "the stored receipt does not hold"},
		"other's receipt": {query(`update inclusions set receipt = (select receipt from inclusions where idx = 1) where ord in ` + ofItem),
			thisItem, "the stored receipt does not hold"},
		"swapped index": {query(`update inclusions set idx = 1000 where ord in ` + ofItem), thisItem, "the stored receipt does not hold"},

		"flipped envelope": {query(`update attachments set body = replace(body, 'a', 'b') where kind = 'envelope' and ord in ` + ofItem), thisItem, "not those the event names"},
		"flipped label":    {query(`update attachments set body = x'00' where kind = 'label' and ord in ` + ofItem), thisItem, "not those the event names"},
		"swapped envelopes": {query(`update attachments set body = case id when (select min(id) from attachments where kind = 'envelope' and ord in ` + ofItem + `)
				then (select body from attachments where id = (select max(id) from attachments where kind = 'envelope' and ord in ` + ofItem + `)) else
				(select body from attachments where id = (select min(id) from attachments where kind = 'envelope' and ord in ` + ofItem + `)) end
			where id in ((select min(id) from attachments where kind = 'envelope' and ord in ` + ofItem + `), (select max(id) from attachments where kind = 'envelope' and ord in ` + ofItem + `))`),
			thisItem, "the bytes of its envelope are not those"},
		"readdressed envelope": {query(`update attachments set recipient = zeroblob(32) where kind = 'envelope' and ord in ` + ofItem), thisItem, "that no event names"},
		"moved attachment":     {query(`update attachments set ord = 1 where kind = 'label'`), "", "that no event names"},
		"label made a note":    {query(`update attachments set kind = 'note', name = 'reason', audience = 'item' where kind = 'label' and ord in ` + ofItem), thisItem, "a note is stored that no event names"},
		"changed description":  {query(`update attachments set body = x'00' where kind = 'description' and ord in ` + ofItem), thisItem, "the bytes of its description"},

		"missing envelope": {query(`delete from attachments where kind = 'envelope' and ord in ` + ofItem), thisItem, "its envelope is missing"},
		"erased envelope":  {query(`update attachments set body = null where kind = 'envelope' and ord in ` + ofItem), thisItem, "the bytes of its envelope are missing"},
		"erased label key": {query(`update attachments set body = null where kind = 'label_envelope'`), "case ", "the bytes of its label_envelope are missing"},
		"foreign envelope": {query(`insert into attachments (id, ord, kind, name, audience, recipient, sha256, body)
			select 1000, ord, kind, name, audience, zeroblob(32), sha256, body from attachments where kind = 'envelope' limit 1`), "item ", "that no event names"},

		"edited heads bucket":    {query(`update heads_buckets set hash = zeroblob(32) where prefix = (select min(prefix) from heads_buckets)`), "heads map", ""},
		"edited heads entry":     {query(`update heads_entries set value = zeroblob(32) where key = (select min(key) from heads_entries)`), "", "its entry in the heads map is damaged"},
		"missing heads entry":    {query(`delete from heads_entries where key = (select min(key) from heads_entries)`), "", "its entry in the heads map is missing"},
		"stray heads entry":      {strayHeads, "heads map", "belongs to no event"},
		"stray heads bucket":     {query(`insert into heads_buckets select (select min(p) from (select prefix + 1 as p from heads_buckets) where p not in (select prefix from heads_buckets)), 1, zeroblob(32)`), "heads map", "not what was published"},
		"lost heads bucket":      {query(`delete from heads_buckets where prefix = (select min(prefix) from heads_buckets)`), "heads map", "not what was published"},
		"edited checkpoint":      {query(`update checkpoints set signed = replace(cast(signed as text), '1', '2') where ord = 1`), "checkpoint of size", "not signed"},
		"lost newest checkpoint": {query(`delete from checkpoints where ord = (select max(ord) from checkpoints)`), "log leaf", "checkpoint under which"},
		"older checkpoint file": {func(t *testing.T, dir string) {
			must(0, os.WriteFile(filepath.Join(dir, "checkpoint"), must(os.ReadFile(filepath.Join(young, "checkpoint"))), 0o600))
		}, "checkpoint file", "older"},
		"lost checkpoint":         {query(`delete from checkpoints where ord = 2`), "records", "signed checkpoints before"},
		"changed checkpoint file": {rewrite("checkpoint", func(b []byte) []byte { b[len(b)-5] ^= 1; return b }), "checkpoint file", "not signed"},
		"changed trust file":      {rewrite("trust.json", func(b []byte) []byte { return bytes.Replace(b, []byte(`"custodian"`), []byte(`"administrator"`), 1) }), "trust.json", "does not name the founders"},
		"unreadable trust file":   {rewrite("trust.json", func(b []byte) []byte { return b[1:] }), "trust.json", "cannot be read"},
		"missing trust file":      {remove("trust.json"), "trust.json", "missing"},
		"other vault actor":       {rewrite("vault.json", func(b []byte) []byte { return otherActor(b) }), "vault.json", "another actor"},
		"longer settings":         {rewrite("vault.json", func(b []byte) []byte { return append(b, ' ') }), "vault.json", "not as it was written"},
		"missing records":         {remove("records.db"), "records.db", "missing"},
		"missing log":             {remove("log.db"), "log.db", "missing"},
		"cut log":                 {rewrite("log.db", func(b []byte) []byte { return b[:8192] }), "vault", "cannot be opened"},
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
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "vault")
			must(0, os.CopyFS(dir, os.DirFS(sound)))
			must(0, private(dir))
			c.plant(t, dir)
			found := examine(t, dir)
			for _, d := range found {
				if strings.HasPrefix(d.Where, c.where) && strings.Contains(d.What, c.what) && d.Do != "" && d.Harmless == (c.what == "no event names it") {
					return
				}
			}
			t.Errorf("found %+v, want %s: %s", found, c.where, c.what)
		})
	}
}

func rewrite(name string, change func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		path := filepath.Join(dir, name)
		must(0, os.WriteFile(path, change(must(os.ReadFile(path))), 0o600))
	}
}

func remove(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { must(0, os.Remove(filepath.Join(dir, name))) }
}

func otherActor(text []byte) []byte {
	var s settings
	must(0, json.Unmarshal(text, &s))
	s.Actor = ev.NewID[ev.ActorID]()
	return s.marshal()
}

// strayHeads puts an entry into a bucket that has none.
func strayHeads(t *testing.T, dir string) {
	statements(t, dir, `insert into heads_entries values (x'0000000000000000000000000000000000000000000000000000000000000001', zeroblob(32))`)
}

// damagedPage flips bytes of the first page of the events.
func damagedPage(t *testing.T, dir string) {
	db := must(sql.Open("sqlite", filepath.Join(dir, "records.db")))
	var root, size int
	must(0, db.QueryRow(`select rootpage, (select page_size from pragma_page_size) from sqlite_master where name = 'events'`).Scan(&root, &size))
	must(0, db.Close())
	path := filepath.Join(dir, "records.db")
	b := must(os.ReadFile(path))
	for i := range 64 {
		b[(root-1)*size+i] ^= 0xff
	}
	must(0, os.WriteFile(path, b, 0o600))
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
	if _, err := Fsck(t.Context(), dir, testOptions(), none); !errors.Is(err, ErrRunning) {
		t.Errorf("a running vault: %v", err)
	}
}
