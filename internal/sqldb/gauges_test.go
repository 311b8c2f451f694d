package sqldb

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/trail"
	"strongroom.example/strongroom/internal/vault"
)

func TestGauges(t *testing.T) {
	for name, e := range map[string]engine{"sqlite": sqliteEngine(), "postgres": postgresEngine()} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, e.create(t))
			now := time.Unix(1_800_000_000, 0)
			same(t, must[Gauges](t)(w.db.Gauges(ctx, now)), Gauges{})
			actor, item := evidence.ActorOf("a"), evidence.ItemOf("i")
			first := w.put(actor, newActor("a"))
			state := newItem("i", "c")
			for id, expires := range map[evidence.GrantID]time.Time{"g": now.Add(-time.Second), "h": now.Add(time.Hour)} {
				state.Grants = append(state.Grants, newGrant(id, "i", "a", evidence.GrantActive, expires))
			}
			w.put(item, state)
			for id, expires := range map[evidence.UploadID]time.Time{"u": now.Add(time.Hour), "v": now.Add(2 * time.Hour), "w": now.Add(-time.Hour)} {
				ok(t, w.db.PutUpload(ctx, vault.Upload{ID: id, Owner: "a", Size: 7, Expires: expires}))
			}
			same(t, must[Gauges](t)(w.db.Gauges(ctx, now)), Gauges{Pending: 2, Uploads: 2, UploadBytes: 14, LateUploads: 1, LateGrants: 1})
			ok(t, w.db.Include(ctx, 1, []byte("checkpoint"), []ledger.Inclusion{{LeafHash: first.LeafHash, Receipt: []byte("receipt")}}))
			same(t, must[Gauges](t)(w.db.Gauges(ctx, now)).Pending, int64(1))
			if write, read := w.db.Pools(); write.MaxOpenConnections != 1 || read.MaxOpenConnections < 4 {
				t.Errorf("pools of %d and %d", write.MaxOpenConnections, read.MaxOpenConnections)
			}
		})
	}
}

// TestWatched: whoever watches a call is told which method was asked, and of what failed but not of what was refused.
func TestWatched(t *testing.T) {
	for name, e := range map[string]engine{"sqlite": sqliteEngine(), "postgres": postgresEngine()} {
		t.Run(name, func(t *testing.T) {
			db := e.create(t)
			var mu sync.Mutex
			var told []string
			watch := func(ctx context.Context, part, operation string) (context.Context, func(error)) {
				return ctx, func(fault error) {
					mu.Lock()
					defer mu.Unlock()
					if fault != nil {
						operation += " failed"
					}
					told = append(told, part+" "+operation)
				}
			}
			ctx := trail.With(ctx, trail.Trail{Watch: watch})
			ok(t, db.SetMeta(ctx, "a", "b"))
			must[string](t)(db.Meta(ctx, "a"))
			refused(t, errorOf(db.Meta(ctx, "none")), evidence.NotFound, "meta")
			must[Gauges](t)(db.Gauges(ctx, time.Unix(0, 0)))
			gone, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := db.Meta(gone, "a"); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			ok(t, db.Close())
			if db.SetMeta(ctx, "a", "b") == nil {
				t.Error("written after the end")
			}
			same(t, slices.Compact(told), []string{"records setMeta", "records meta", "records gauges", "records meta", "records setMeta failed"})
		})
	}
}

// TestInspect: the server's role has what is needed and no more, the owner's could change what was accepted, a role without rights lacks them.
func TestInspect(t *testing.T) {
	name := newPostgres(t)
	i := must[Inspection](t)(openAs(t, serverURL(name)).Inspect(ctx))
	if !strings.HasPrefix(i.Server, "PostgreSQL 1") || len(i.Missing) > 0 || len(i.Beyond) > 0 {
		t.Errorf("%+v", i)
	}
	i = must[Inspection](t)(openAs(t, cluster.server.URL(name)).Inspect(ctx))
	for _, right := range []string{"update events", "delete checkpoints", "truncate events", "update attachments"} {
		if !slices.Contains(i.Beyond, right) {
			t.Errorf("the owner may not %s: %+v", right, i)
		}
	}
	if len(i.Missing) > 0 {
		t.Errorf("%+v", i)
	}
	ok(t, cluster.server.Exec(ctx, name, `revoke delete on pending from "strongroom ""server"""; revoke update (answer) on invitations from "strongroom ""server"""; grant update (kind) on events to "strongroom ""server"""`))
	i = must[Inspection](t)(openAs(t, serverURL(name)).Inspect(ctx))
	same(t, i.Missing, []string{"delete pending", "update invitations"})
	same(t, i.Beyond, []string{"update events"})
	same(t, must[Inspection](t)(sqliteEngine().create(t).Inspect(ctx)), Inspection{})
}
