package sqldb

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// TestOutside: what came from outside is read as DB reads it, out of a file that is still open elsewhere too, and nothing is changed or put
// beside one that is closed.
func TestOutside(t *testing.T) {
	db := sqliteEngine().create(t)
	w, path, a := newWorld(t, db), pathOf(t, db), evidence.NewID[evidence.ActorID]()
	at := time.Date(2026, 3, 1, 12, 0, 0, 1000, time.UTC)
	var want []ledger.Published
	for i := range int64(5) {
		e := w.put(evidence.ActorOf(a), newActor(a))
		for _, authority := range []string{"a", "b"}[:1+i%2] {
			ok(t, db.PutEventStamp(ctx, e.LeafHash, ledger.Stamp{Authority: authority, Response: []byte{byte(i)}}))
		}
		p := ledger.Published{Size: 10 * (i + 1), Note: []byte("note\n"), At: at, Final: evidence.SHA256([]byte{byte(i)})}
		if i > 2 {
			p.Stamps = []ledger.Stamp{{Authority: "a", Response: []byte("r")}}
		}
		ok(t, db.Publish(ctx, p))
		want = append(want, p)
	}
	look := func(path string) {
		t.Helper()
		o := must[*Outside](t)(OpenOutside(ctx, path))
		defer o.Close()
		same(t, must[[]ledger.Published](t)(o.Published(ctx, 10, 2)), want[1:3])
		same(t, must[[]ledger.Published](t)(o.Published(ctx, 20, 100)), want[2:])
		same(t, must[[]ledger.Published](t)(o.Published(ctx, 50, 100)), []ledger.Published(nil))
		page := must[[]StampedEvent](t)(o.StampedEvents(ctx, 1, 2))
		same(t, page, []StampedEvent{
			{2, []ledger.Stamp{{Authority: "a", Response: []byte{1}}, {Authority: "b", Response: []byte{1}}}}, {3, []ledger.Stamp{{Authority: "a", Response: []byte{2}}}},
		})
		same(t, len(must[[]StampedEvent](t)(o.StampedEvents(ctx, 0, 100))), 5)
	}
	look(path) // the last of it is in the log beside the file
	ok(t, db.Close())

	dir := t.TempDir()
	alone := filepath.Join(dir, "records.db")
	before := must[[]byte](t)(os.ReadFile(path))
	ok(t, os.WriteFile(alone, before, 0o600))
	look(alone)
	if list := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(list) != 1 || !bytes.Equal(must[[]byte](t)(os.ReadFile(alone)), before) {
		t.Errorf("%d files, or another", len(list))
	}

	// A file may hold anything.
	change := func(queries ...string) *Outside {
		t.Helper()
		ok(t, os.WriteFile(alone, before, 0o600))
		file := must[*sql.DB](t)(sql.Open(sqliteDriver, fileURL(alone)))
		for _, q := range queries {
			if _, err := file.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		ok(t, file.Close())
		o := must[*Outside](t)(OpenOutside(ctx, alone))
		t.Cleanup(func() { o.Close() })
		return o
	}
	o := change(`drop trigger published_update`, `update published set signed = 'text', at = 'never', final = x'01', audited = 'text' where size = 20`)
	page := must[[]ledger.Published](t)(o.Published(ctx, 0, 100))
	same(t, page[1], ledger.Published{Size: 20, Note: []byte("text"), At: time.UnixMicro(0).UTC()})
	same(t, page[2:], want[2:])
	o = change(`drop table published_stamps`, `drop table published`, `create view published as select 10 as size, 'x' as signed, 0 as at, 'x' as final, 'x' as audited`, `drop table event_stamps`)
	same(t, must[[]ledger.Published](t)(o.Published(ctx, 0, 100)), []ledger.Published(nil))
	same(t, must[[]StampedEvent](t)(o.StampedEvents(ctx, 0, 100)), []StampedEvent(nil))

	_, err := OpenOutside(ctx, filepath.Join(dir, "missing"))
	refused(t, err, evidence.NotFound, "records_missing")
	_, err = OpenOutside(ctx, dir)
	refused(t, err, evidence.NotFound, "records_missing")
	for name, text := range map[string][]byte{"half": before[:len(before)/2], "no database": []byte(strings.Repeat("text", 1000))} {
		ok(t, os.WriteFile(alone, text, 0o600))
		_, err := OpenOutside(ctx, alone)
		refused(t, err, evidence.Internal, "records_damaged")
		if err == nil {
			t.Error(name)
		}
	}
}
