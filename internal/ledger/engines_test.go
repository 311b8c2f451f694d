package ledger_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/logserver"
	"strongroom.example/strongroom/internal/postgresql"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/translog/remote"
)

// Two processes with connections of their own to a real PostgreSQL and a real Trillian: both lead under load from both, then one of them
// alone, then the other.
func TestEngines(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	database := must(postgresql.Start(ctx, must(postgresql.Find())))
	t.Cleanup(func() { database.Remove() })
	programs := must(logserver.Find())
	forTree := must(database.NewDatabase(ctx))
	must(0, database.Exec(ctx, forTree, must(logserver.Schema(programs))))
	servers := must(logserver.Start(ctx, programs, filepath.Join(t.TempDir(), "trillian"), database.URL(forTree), 10*time.Millisecond))
	t.Cleanup(servers.Kill)
	config := remote.Config{Address: servers.Address(), TLS: must(servers.TLS())}
	config.TreeID = must(remote.Create(ctx, config, "two processes"))
	forRecords := must(database.NewDatabase(ctx))
	must(0, sqldb.MigratePostgres(ctx, database.URL(forRecords), ""))

	people := newPeople(t)
	process := func() *replica {
		w := &world{t: t, dir: t.TempDir(), logKey: people.logKey, note: people.note, people: people.people}
		w.db, w.tree = must(sqldb.OpenPostgres(ctx, database.URL(forRecords))), must(remote.Open(ctx, config))
		t.Cleanup(func() { w.db.Close(); w.tree.Close() })
		return w.beside(t, true)
	}
	a := process()
	a.found()
	b := process()
	b.led()
	work := func() {
		t.Helper()
		stopA, stopB := a.load(2), b.load(2)
		for _, r := range []*replica{a, b} {
			e := r.post()
			c, err := r.Complete(ctx, []ev.Stream{e.Stream, ev.VaultOf(origin)}, e.Index)
			if err != nil {
				t.Fatal(err)
			}
			r.checkComplete(c, must(r.db.LogRange(ctx, 0, c.Covers)))
		}
		acknowledged := append(stopA(), stopB()...)
		a.check(acknowledged...)
		b.check(acknowledged...)
	}
	work()
	for _, r := range []*replica{a, b} {
		other := map[*replica]*replica{a: b, b: a}[r]
		r.leads.Store(true)
		other.leads.Store(false)
		r.led()
		eventually(t, "one leads", func() bool {
			return other.loud.times("log_lead_taken") == other.loud.times("log_lead_lost")
		})
		work()
	}
	for _, r := range []*replica{a, b} {
		if n := r.loud.times("log_append_failed") + r.loud.times("log_follow_failed"); n > 6 {
			t.Errorf("%d errors: %v", n, r.loud.said)
		}
	}
}

var _ ledger.Tree = (*remote.Log)(nil)
