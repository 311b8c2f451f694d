package sqldb

import (
	"testing"
	"time"

	"strongroom.example/strongroom/internal/ledger"
)

func TestChoose(t *testing.T) {
	for name, e := range map[string]engine{"SQLite": sqliteEngine(), "PostgreSQL": postgresEngine()} {
		t.Run(name, func(t *testing.T) { testChoose(t, e) })
	}
}

// What was chosen is next until it, or more, is published; who chooses meanwhile is told what is next.
func testChoose(t *testing.T, e engine) {
	db := e.create(t)
	choose := func(size int64, note string, next int64, chosen string) {
		t.Helper()
		same(t, must[int64](t)(db.Choose(ctx, size, []byte(note))), next)
		same(t, string(must[[]byte](t)(db.Chosen(ctx))), chosen)
	}
	publish := func(size int64) {
		t.Helper()
		ok(t, db.Publish(ctx, ledger.Published{Size: size, Note: []byte("note\n"), At: time.Unix(0, 0)}))
	}
	same(t, must[[]byte](t)(db.Chosen(ctx)), []byte(nil))
	choose(10, "ten\n\nsigned\n", 10, "ten\n\nsigned\n")
	choose(20, "twenty", 10, "ten\n\nsigned\n")
	choose(10, "ten again", 10, "ten\n\nsigned\n")
	publish(9)
	choose(20, "twenty", 10, "ten\n\nsigned\n")
	publish(10)
	choose(9, "nine", 9, "ten\n\nsigned\n") // passed by
	choose(20, "twenty", 20, "twenty")
	publish(30)
	choose(25, "twenty-five", 25, "twenty")
	db = e.reopen(t, db)
	choose(40, "forty", 40, "forty")
	// It only says whose turn it is.
	ok(t, db.SetMeta(ctx, metaChosen, "damaged"))
	choose(50, "fifty", 50, "fifty")
}
