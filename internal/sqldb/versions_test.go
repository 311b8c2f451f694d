package sqldb

import (
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// newer are the migrations of programs to come: the next one adds, and the one after it takes away what the first programs need.
func newer(t *testing.T, d dialect) (adds, takes fs.FS) {
	t.Helper()
	files := fstest.MapFS{}
	for _, entry := range must[[]fs.DirEntry](t)(fs.ReadDir(migrationsOf(d), ".")) {
		if filepath.Ext(entry.Name()) == ".sql" {
			files[entry.Name()] = &fstest.MapFile{Data: must[[]byte](t)(fs.ReadFile(migrationsOf(d), entry.Name()))}
		}
	}
	next := func(n int64, text string) fs.FS {
		files[fmt.Sprintf("%05d_next.sql", n)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + text)}
		return maps.Clone(files)
	}
	v := SchemaVersion()
	adds = next(v+1, "alter table invitations add column more bigint;\n")
	return adds, next(v+2, fmt.Sprintf("-- compatible %d\nalter table invitations drop column rotation;\n", v+1))
}

func someInvitation() vault.Invitation {
	id := evidence.NewID[evidence.ActorID]()
	return vault.Invitation{Digest: evidence.SHA256([]byte(id)), Actor: id, Role: evidence.Court, Organization: "org-a", By: id, Expires: noon}
}

// Programs of two versions work on one database while one takes the other's place: what is added is in nobody's way, and what somebody needs is
// not taken away from under them.
func TestPostgresTwoSteps(t *testing.T) {
	adds, takes := newer(t, postgres)
	v := SchemaVersion()
	name := newPostgres(t)
	owner, server := cluster.server.URL(name), serverURL(name)
	open := func(folder fs.FS) error {
		db, err := openMigrated(ctx, server, folder)
		if err == nil {
			err = db.Close()
		}
		return err
	}
	replica := func(db *DB, name string, version int64, life time.Duration) {
		t.Helper()
		same(t, must[bool](t)(db.Lease(ctx, Replica+name, fmt.Sprintf("host, process 1 schema %d", version), time.Now(), life)), true)
	}
	old := openAs(t, server)
	replica(old, "old", v, time.Hour)
	works := func() {
		t.Helper()
		ok(t, old.Usable(ctx))
		in := someInvitation()
		ok(t, old.PutInvitation(ctx, in))
		ok(t, old.AnswerInvitation(ctx, in.Digest, evidence.Keys{Key: "key"}))
	}
	works()

	refused(t, open(adds), evidence.Invalid, "records_older")
	ok(t, migratePostgres(ctx, owner, serverRole, adds))
	works()
	ok(t, open(migrationsOf(postgres)))
	ok(t, open(adds))
	refused(t, MigratePostgres(ctx, owner, serverRole), evidence.Invalid, "records_newer")

	refused(t, migratePostgres(ctx, owner, serverRole, takes), evidence.Conflict, "replicas_older")
	works()
	ok(t, open(migrationsOf(postgres)))
	refused(t, open(takes), evidence.Invalid, "records_older")

	replica(old, "old", v, 0)
	next := must[*DB](t)(openMigrated(ctx, server, adds))
	defer next.Close()
	replica(next, "next", v+1, time.Hour)
	replica(next, "unknown", 0, time.Hour)
	refused(t, migratePostgres(ctx, owner, serverRole, takes), evidence.Conflict, "replicas_older")
	replica(next, "unknown", 0, 0)
	ok(t, migratePostgres(ctx, owner, serverRole, takes))
	ok(t, migratePostgres(ctx, owner, serverRole, takes))
	refused(t, old.Usable(ctx), evidence.Invalid, "records_newer")
	refused(t, open(migrationsOf(postgres)), evidence.Invalid, "records_newer")
	ok(t, next.Usable(ctx))
	ok(t, open(adds))
	ok(t, open(takes))
}

// A migration that fails half way leaves what the older program cannot work with to the newer one.
func TestPostgresMigrationFails(t *testing.T) {
	_, takes := newer(t, postgres)
	broken := maps.Clone(takes.(fstest.MapFS))
	broken[fmt.Sprintf("%05d_next.sql", SchemaVersion()+3)] = &fstest.MapFile{Data: []byte("-- +goose Up\nalter table nothing drop column at_all;\n")}
	name := newPostgres(t)
	refused(t, migratePostgres(ctx, cluster.server.URL(name), serverRole, broken), evidence.Internal, "records")
	_, err := OpenPostgres(ctx, serverURL(name))
	refused(t, err, evidence.Invalid, "records_newer")
	ok(t, migratePostgres(ctx, cluster.server.URL(name), serverRole, takes))
	db := must[*DB](t)(openMigrated(ctx, serverURL(name), takes))
	ok(t, db.Close())
}

// One process works on a database in a file: a program goes back to the version before as long as nothing was taken away.
func TestSQLiteTwoSteps(t *testing.T) {
	adds, takes := newer(t, sqlite)
	path := filepath.Join(t.TempDir(), "records.db")
	ok(t, must[*DB](t)(Create(ctx, path)).Close())
	for i, folder := range []fs.FS{adds, migrationsOf(sqlite), takes} {
		db := must[*DB](t)(openSQLite(ctx, path, folder))
		ok(t, db.Usable(ctx))
		if in := someInvitation(); i < 2 {
			ok(t, db.PutInvitation(ctx, in))
		}
		ok(t, db.Close())
	}
	_, err := Open(ctx, path)
	refused(t, err, evidence.Invalid, "records_newer")
	ok(t, must[*DB](t)(openSQLite(ctx, path, takes)).Close())
}
