package sqldb

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	options "flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/postgresql"
)

var update = options.Bool("update", false, "write what the schema of PostgreSQL is")

// cluster is one PostgreSQL for all tests of the package.
var cluster struct {
	once   sync.Once
	server *postgresql.Server
	err    error
}

// serverRole is whom the vault's server is to PostgreSQL in these tests.
const serverRole, serverPassword = `strongroom "server"`, "of tests"

func postgresServer(t testing.TB) *postgresql.Server {
	t.Helper()
	cluster.once.Do(func() {
		var programs string
		if programs, cluster.err = postgresql.Find(); cluster.err == nil {
			cluster.server, cluster.err = postgresql.Start(ctx, programs)
		}
		if cluster.err == nil {
			cluster.err = cluster.server.Exec(ctx, "postgres", fmt.Sprintf(`create role "strongroom ""server""" login password '%s'`, serverPassword))
		}
	})
	ok(t, cluster.err)
	return cluster.server
}

// removeCluster ends it when all tests have.
func removeCluster() {
	if cluster.server != nil {
		cluster.server.Remove()
	}
}

// newPostgres makes a database with the schema.
func newPostgres(t testing.TB) (name string) {
	t.Helper()
	server := postgresServer(t)
	name = must[string](t)(server.NewDatabase(ctx))
	ok(t, MigratePostgres(ctx, server.URL(name), serverRole))
	return name
}

// serverURL is the address for the server's role.
func serverURL(name string) string {
	return cluster.server.URLFor(name, serverRole, serverPassword)
}

func openAs(t testing.TB, url string) *DB {
	t.Helper()
	db := must[*DB](t)(OpenPostgres(ctx, url))
	t.Cleanup(func() { db.Close() })
	return db
}

func postgresEngine() engine {
	names := map[*DB]string{}
	return engine{
		create: func(t testing.TB) *DB {
			name := newPostgres(t)
			db := openAs(t, serverURL(name))
			names[db] = name
			return db
		},
		reopen: func(t testing.TB, db *DB) *DB {
			ok(t, db.Close())
			again := openAs(t, serverURL(names[db]))
			names[again] = names[db]
			return again
		},
	}
}

func TestPostgres(t *testing.T) { suite(t, postgresEngine()) }

// The database itself keeps what was written, also from its owner.
func TestPostgresOwner(t *testing.T) {
	testAppendOnly(t, engine{create: func(t testing.TB) *DB {
		db := openAs(t, postgresServer(t).URL(newPostgres(t)))
		for _, table := range []string{"events", "inclusions", "checkpoints", "heads_entries", "attachments", "published", "published_stamps", "event_stamps"} {
			_, err := db.write.db.Exec(`truncate ` + table + ` cascade`)
			var e *pgconn.PgError
			if !errors.As(err, &e) || e.Code != "P0001" {
				t.Errorf("truncate %s: %v", table, err)
			}
		}
		return db
	}})
}

// The server's role can do what the vault does, and nothing to the schema, to other roles, or to what was written.
func TestPostgresRole(t *testing.T) {
	name := newPostgres(t)
	db := openAs(t, serverURL(name))
	for _, statement := range []string{
		`drop table events`, `alter table events disable trigger all`, `drop trigger events_kept on events`, `truncate meta`, `create table more (n int)`,
		`create function more() returns int language sql as 'select 1'`, `update events set kind = kind`, `delete from meta`, `delete from states`,
		`update attachments set name = name`, `update invitations set actor = actor`, `update releases set item = item`, `delete from grants`,
		`update goose_db_version set version_id = 9`, `alter role current_user superuser`, `set session_replication_role = replica`, `set role operator`,
		`copy events to program 'true'`, `select pg_read_file('postgresql.conf')`,
	} {
		_, err := db.write.db.Exec(statement)
		var e *pgconn.PgError
		if !errors.As(err, &e) || e.Code != "42501" {
			t.Errorf("%s: %v", statement, err)
		}
	}
	// Each table is in the list, with its rights.
	var have []string
	rights := must[[]string](t)(list(ctx, db.read, scanTo[string], `select relname from pg_class where relkind = 'r' and relnamespace = to_regnamespace(current_schema())`))
	for _, table := range tables {
		have = append(have, table.name)
	}
	slices.Sort(rights)
	slices.Sort(have)
	same(t, have, rights)
	if _, err := db.read.db.Exec(`insert into meta (key, value) values ('a', 'b')`); err == nil {
		t.Error("the read pool writes")
	}
}

func TestPostgresOpen(t *testing.T) {
	server := postgresServer(t)
	name := must[string](t)(server.NewDatabase(ctx))
	open := func(url string) error {
		db, err := OpenPostgres(ctx, url)
		if err == nil {
			err = db.Close()
		}
		return err
	}
	refused(t, open(serverURL(name)), evidence.NotFound, "records_missing")
	// Some replicas start at the same time.
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := MigratePostgres(ctx, server.URL(name), serverRole); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	ok(t, open(serverURL(name)))

	refused(t, open(server.URLFor(name, serverRole, "guessed")), evidence.Internal, "records")
	refused(t, open("postgres://[secret"), evidence.Invalid, "records_address")
	for _, mode := range []string{"disable", "prefer", "require", "verify-ca"} {
		refused(t, open("postgres://secret@192.0.2.1/d?sslmode="+mode), evidence.Invalid, "records_insecure")
	}
	refused(t, open("postgres://secret@127.0.0.1:1,192.0.2.1/d?sslmode=disable"), evidence.Invalid, "records_insecure")
	l := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	closed := l.Addr().String()
	ok(t, l.Close())
	err := open("postgres://secret@" + closed + "/d")
	refused(t, err, evidence.Internal, "records_unreachable")

	ok(t, server.Exec(ctx, name, `alter database `+name+` set synchronous_commit = off`))
	refused(t, open(serverURL(name)), evidence.Invalid, "records_not_durable")
	ok(t, server.Exec(ctx, name, `alter database `+name+` reset synchronous_commit`))
	ok(t, server.Exec(ctx, name, `insert into goose_db_version (version_id, is_applied) values (99, true)`))
	ok(t, server.Exec(ctx, name, `update meta set value = '99' where key = 'compatible'`))
	refused(t, open(serverURL(name)), evidence.Invalid, "records_newer")
	refused(t, MigratePostgres(ctx, server.URL(name), ""), evidence.Invalid, "records_newer")
	ok(t, server.Exec(ctx, name, `update meta set value = '5' where key = 'compatible'`))
	ok(t, server.Exec(ctx, name, `delete from goose_db_version where version_id >= 4`))
	refused(t, open(serverURL(name)), evidence.Invalid, "records_older")
}

// Both engines have the same tables with the same columns, and PostgreSQL's are those that this version knows.
func TestPostgresSchema(t *testing.T) {
	name := newPostgres(t)
	db, lite := openAs(t, serverURL(name)), sqliteEngine().create(t)
	var lines []string
	for o := range must[map[object]bool](t)(db.objects(ctx, postgresObjects)) {
		lines = append(lines, o.line()+"\n")
	}
	slices.Sort(lines)
	if *update {
		ok(t, os.WriteFile("migrations/postgres/schema.txt", []byte(strings.Join(lines, "")), 0o600))
		return
	}
	same(t, strings.Join(lines, ""), postgresSchema)
	same(t, must[[]string](t)(list(ctx, db.read, scanTo[string], `
		select c.relname || '.' || a.attname || ' ' || case format_type(a.atttypid, a.atttypmod) when 'bytea' then 'blob' when 'bigint' then 'integer' else 'text' end
		from pg_class c join pg_attribute a on a.attrelid = c.oid
		where c.relnamespace = to_regnamespace(current_schema()) and c.relkind = 'r' and c.relname not like 'goose%' and a.attnum > 0 order by 1`)),
		must[[]string](t)(list(ctx, lite.read, scanTo[string], `
		select t.name || '.' || c.name || ' ' || case lower(c.type) when 'bigint' then 'integer' else lower(c.type) end
		from sqlite_master t join pragma_table_info(t.name) c where t.type = 'table' and t.name not like 'goose%' and t.name not like 'sqlite%' order by 1`)))

	wrong := func() []string { t.Helper(); return must[[]string](t)(db.Schema(ctx, lite)) }
	same(t, wrong(), []string(nil))
	for _, harm := range []struct{ do, found string }{
		{`alter table events disable trigger events_kept`, "the trigger events_kept is missing or was changed"},
		{`drop index attachments_ord`, "the index attachments_ord is missing or was changed"},
		{`alter table pending drop constraint pending_ord_fkey`, "the constraint pending.pending_ord_fkey is missing or was changed"},
		{`create or replace function refuse_change() returns trigger language plpgsql as 'begin return new; end'`, "the function refuse_change is missing or was changed"},
		{`create rule quiet as on delete to states do instead nothing`, "the rule quiet is not of this program"},
		{`alter table states add more text`, "the column states.more is not of this program"},
	} {
		ok(t, cluster.server.Exec(ctx, name, harm.do))
		if found := wrong(); !slices.Contains(found, harm.found) {
			t.Errorf("after %s: %q", harm.do, found)
		}
	}
}

// What events make of the projections is compared across engines.
func TestPostgresDifferences(t *testing.T) {
	name := newPostgres(t)
	db, lite := openAs(t, serverURL(name)), sqliteEngine().create(t)
	w := newWorld(t, db)
	both := func(s evidence.Stream, state evidence.State) {
		t.Helper()
		before := w.tips[s]
		signed := w.sign(s)
		for _, d := range []*DB{db, lite} {
			w.tips[s] = before
			must[ledger.Entry](t)(d.Commit(ctx, ledger.Commit{Signed: signed}, rule(signed, state)))
		}
		w.tips[s] = tipOf(signed)
	}
	in := evidence.NewID[evidence.CaseID]()
	for i := range 20 {
		a := evidence.NewID[evidence.ActorID]()
		both(evidence.ActorOf(a), newActor(a))
		item, consent := newItem(evidence.NewID[evidence.ItemID](), in), newConsent(in, noon.Add(time.Hour))
		item.Exhibit, item.Keeper = int64(i+1), a
		consent.Subject, consent.Forms = a, []evidence.ItemID{item.ID}
		grant := newGrant(evidence.NewID[evidence.GrantID](), item.ID, a, evidence.GrantActive, noon.Add(time.Hour))
		if item.Grants = []evidence.GrantState{grant}; i%2 == 0 {
			item.Grants[0].Status = evidence.GrantPending // which has no order yet
		}
		both(evidence.ItemOf(item.ID), item)
		both(evidence.ConsentOf(consent.ID), consent)
		both(evidence.CaseOf(in), &evidence.CaseState{ID: in, Members: []evidence.Member{{Actor: a}}})
	}
	same(t, must[[]Difference](t)(db.Differences(ctx, lite)), []Difference(nil))
	same(t, must[[]Difference](t)(lite.Differences(ctx, db)), []Difference(nil))
	for _, p := range projections {
		n := must[int64](t)(one(ctx, db.read, "", scanTo[int64], `select count(*) from `+p.table))
		if n == 0 {
			t.Errorf("%s was not compared", p.table)
		}
	}
	for _, harm := range []struct {
		do         string
		table      string
		have, want bool
	}{
		{`update members set case_id = 'cas-other' where actor = (select max(actor) from members)`, "members", true, false},
		{`delete from keepers where actor = (select min(actor) from keepers)`, "keepers", false, true},
		{`update grants set expires = expires + 1 where id = (select min(id) from grants)`, "grants", true, true},
		{`update actor_keys set actor = 'act-other' where key_id = (select key_id from actor_keys order by key_id limit 1)`, "actor_keys", true, false},
		{`update states set state = replace(state, '"exhibit":7', '"exhibit":8') where stream_type = 'item'`, "states", true, true},
	} {
		ok(t, cluster.server.Exec(ctx, name, harm.do))
		found := must[[]Difference](t)(db.Differences(ctx, lite))
		if !slices.ContainsFunc(found, func(d Difference) bool { return d.Table == harm.table && d.Have == harm.have && d.Want == harm.want }) {
			t.Errorf("after %s: %+v", harm.do, found)
		}
	}
}

// Replicas write by turns: each place is taken once, the order has no gaps, and a replica sees what another wrote.
func TestPostgresReplicas(t *testing.T) {
	name := newPostgres(t)
	replicas := []*DB{openAs(t, serverURL(name)), openAs(t, serverURL(name)), openAs(t, serverURL(name))}
	w := newWorld(t, replicas[0])
	shared := evidence.CaseOf(evidence.NewID[evidence.CaseID]())
	commit := func(r *DB, signed *custody.Signed, state evidence.State) error {
		_, err := r.Commit(ctx, ledger.Commit{Signed: signed}, rule(signed, state))
		return err
	}
	for range 10 {
		var wg sync.WaitGroup
		var won atomic.Int64
		signed := make([]*ledgerCommit, 3*len(replicas))
		for i := range signed {
			s := w.sign(shared)
			signed[i] = &ledgerCommit{ledger.Commit{Signed: s}, nil}
			replica, a := replicas[i%len(replicas)], evidence.NewID[evidence.ActorID]()
			alone := w.sign(evidence.ActorOf(a))
			wg.Go(func() { // in nobody's way
				if err := commit(replica, alone, newActor(a)); err != nil {
					t.Error(err)
				}
			})
			wg.Go(func() {
				signed[i].err = commit(replica, s, &evidence.CaseState{ID: evidence.CaseID(shared.ID)})
				if signed[i].err == nil {
					won.Add(1)
				} else {
					refused(t, signed[i].err, evidence.Conflict, "position")
				}
			})
		}
		wg.Wait()
		same(t, won.Load(), int64(1))
		for _, s := range signed {
			if s.err == nil {
				w.tips[shared] = tipOf(s.Signed)
			}
		}
	}
	all := must[[]ledger.Entry](t)(replicas[1].Events(ctx, 0, 1000))
	for i, e := range all {
		if e.Order != int64(i+1) {
			t.Errorf("entry %d has order %d", i, e.Order)
		}
	}
	same(t, len(all), 10*(1+3*len(replicas)))

	// What no constraint of the database says: who a person is does not come into a case at the moment in which evidence does.
	for range 20 {
		in := evidence.NewID[evidence.CaseID]()
		done := make(chan error)
		for i, class := range []evidence.Class{evidence.Identity, evidence.Original} {
			item := newItem(evidence.NewID[evidence.ItemID](), in)
			item.Class = class
			signed := w.sign(evidence.ItemOf(item.ID))
			go func() { done <- commit(replicas[i], signed, item) }()
		}
		one, other := <-done, <-done
		if (one == nil) == (other == nil) || evidence.ReasonOf(cmp.Or(one, other)) != "identity_case" {
			t.Fatalf("%v, %v", one, other)
		}
	}
	for _, r := range replicas {
		same(t, must[map[evidence.Stream]evidence.State](t)(r.States(ctx, shared))[shared].Tip(), w.tips[shared])
	}
}

// A process that stops within a transaction holds up the others for a while, not for ever; what it wrote is gone, and then done again.
func TestPostgresStalled(t *testing.T) {
	name := newPostgres(t)
	stalled, other := openAs(t, serverURL(name)), openAs(t, serverURL(name))
	holds, ended, tries := make(chan struct{}), make(chan error, 1), 0
	go func() {
		ended <- stalled.submit(ctx, func(ctx context.Context, t *tx) error {
			if _, err := t.exec(ctx, `insert into meta (key, value) values ('who', 'stalled') on conflict (key) do update set value = 'stalled after the other'`); err != nil {
				return err
			}
			if tries++; tries == 1 {
				if _, err := t.exec(ctx, `set idle_in_transaction_session_timeout = 100`); err != nil {
					return err
				}
				close(holds)
				time.Sleep(500 * time.Millisecond)
			}
			return nil
		})
	}()
	<-holds
	ok(t, other.SetMeta(ctx, "who", "other"))
	err := <-ended
	if tries == 1 { // it did not hear of its end before it was to commit
		refused(t, err, evidence.Internal, "outcome_unknown")
		same(t, must[string](t)(other.Meta(ctx, "who")), "other")
		return
	}
	ok(t, err)
	same(t, must[string](t)(other.Meta(ctx, "who")), "stalled after the other")
}

// Where the connection is lost while a commit is under way nobody is told that it worked, and where it was lost before that it is begun again.
func TestPostgresConnectionLost(t *testing.T) {
	name := newPostgres(t)
	db := openAs(t, serverURL(name))
	tries := 0
	ok(t, db.submit(ctx, func(ctx context.Context, t *tx) error {
		if tries++; tries == 1 {
			_, err := t.exec(ctx, `select pg_terminate_backend(pg_backend_pid())`)
			return err
		}
		_, err := t.exec(ctx, `insert into meta (key, value) values ('a', 'second try')`)
		return err
	}))
	same(t, must[string](t)(db.Meta(ctx, "a")), "second try")

	ok(t, cluster.server.Exec(ctx, name, `
		create function lost() returns trigger language plpgsql security definer as 'begin perform pg_terminate_backend(pg_backend_pid()); return null; end';
		create constraint trigger lost after insert on meta deferrable initially deferred for each row execute function lost()`))
	refused(t, db.SetMeta(ctx, "b", "x"), evidence.Internal, "outcome_unknown")
	ok(t, cluster.server.Exec(ctx, name, `drop trigger lost on meta`))
	ok(t, db.SetMeta(ctx, "b", "y"))
	same(t, must[string](t)(db.Meta(ctx, "b")), "y")
}

// The server is stopped and killed again and again while events come: nothing acknowledged is lost, nothing is there twice, and work goes on.
func TestPostgresRestarted(t *testing.T) {
	programs := must[string](t)(postgresql.Find())
	server := must[*postgresql.Server](t)(postgresql.Start(ctx, programs))
	defer server.Remove()
	name := must[string](t)(server.NewDatabase(ctx))
	ok(t, MigratePostgres(ctx, server.URL(name), ""))
	db := openAs(t, server.URL(name))
	done := make(chan struct{})
	var wg sync.WaitGroup
	var acknowledged, failed atomic.Int64
	for range 8 {
		wg.Go(func() {
			w := newWorld(t, db)
			a := evidence.NewID[evidence.ActorID]()
			s := evidence.ActorOf(a)
			for {
				signed := w.sign(s)
				for { // as a client repeats its request
					select {
					case <-done:
						return
					default:
					}
					_, err := db.Commit(ctx, ledger.Commit{Signed: signed}, rule(signed, newActor(a)))
					if err == nil {
						break
					}
					if r := evidence.ReasonOf(err); r != "records_unreachable" && r != "outcome_unknown" {
						t.Errorf("%s: %v", r, err)
						return
					}
					failed.Add(1)
					time.Sleep(10 * time.Millisecond)
				}
				acknowledged.Add(1)
				w.tips[s] = tipOf(signed)
			}
		})
	}
	more := func(n int64) {
		for from := acknowledged.Load(); acknowledged.Load() < from+n && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
	}
	for range 2 {
		more(100)
		ok(t, server.Stop())
		ok(t, server.Run(ctx))
		more(100)
		server.Kill()
		ok(t, server.Run(ctx))
	}
	more(100)
	close(done)
	wg.Wait()
	all := must[[]ledger.Entry](t)(db.Events(ctx, 0, 1<<20))
	if n := int64(len(all)); n < acknowledged.Load() || n > acknowledged.Load()+8 { // the last of each may be there without having been told
		t.Errorf("%d events, %d acknowledged", n, acknowledged.Load())
	}
	next := map[evidence.Stream]int64{}
	for i, e := range all {
		if e.Order != int64(i+1) || e.Seq != next[e.Stream] {
			t.Fatalf("entry %d has order %d, place %d", i, e.Order, e.Seq)
		}
		next[e.Stream]++
	}
	t.Logf("%d acknowledged, %d tries failed", acknowledged.Load(), failed.Load())
}

func TestPostgresFailures(t *testing.T) {
	for code, want := range map[string]failure{
		"40001": retryable, "40P01": retryable, "55P03": retryable, "53100": full, "XX001": damaged, "57P01": unreachable, "57P03": unreachable,
		"08006": unreachable, "25P03": unreachable, "53300": unreachable, "23505": otherFailure, "42501": otherFailure, "57014": otherFailure, "25006": unreachable,
	} {
		same(t, postgresFailure(fmt.Errorf("%w: %w", errInJob, &pgconn.PgError{Code: code})), want)
	}
	for _, err := range []error{io.ErrUnexpectedEOF, net.ErrClosed, &net.OpError{Op: "read", Err: errors.New("reset")}} {
		same(t, postgresFailure(err), unreachable)
	}
	same(t, postgresFailure(sql.ErrNoRows), otherFailure)
	same(t, postgresFailure(context.Canceled), otherFailure)
}
