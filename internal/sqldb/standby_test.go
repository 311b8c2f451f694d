package sqldb

import (
	"context"
	"database/sql"
	iofs "io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/postgresql"
)

// ownPostgres is a server with a database that holds the schema. Unlike the package's it can be stopped and set otherwise.
func ownPostgres(t *testing.T) (server *postgresql.Server, name string) {
	t.Helper()
	server = must[*postgresql.Server](t)(postgresql.Start(ctx, must[string](t)(postgresql.Find())))
	t.Cleanup(server.Remove)
	name = must[string](t)(server.NewDatabase(ctx))
	ok(t, MigratePostgres(ctx, server.URL(name), ""))
	return server, name
}

// standbyOf runs a hot standby, at an address of its own and with the same certificate. It is not told to follow by itself: what it holds is as
// old as it is.
func standbyOf(t *testing.T, server *postgresql.Server) *postgresql.Server {
	t.Helper()
	programs := must[string](t)(postgresql.Find())
	standby := must[*postgresql.Server](t)(postgresql.Start(ctx, programs))
	t.Cleanup(standby.Remove)
	ok(t, standby.Stop())
	data := standby.Folder()
	owner := must[os.FileInfo](t)(os.Stat(data)).Sys().(*syscall.Stat_t)
	ok(t, os.RemoveAll(data))
	c := exec.CommandContext(ctx, filepath.Join(programs, "pg_basebackup"), "--dbname", server.URL("postgres"), "--checkpoint", "fast", "--no-sync", "--pgdata", data)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
	ok(t, os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o600))
	ok(t, os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte("hostssl all all 127.0.0.1/32 trust\n"), 0o600)) // it has the other's password
	for _, file := range []string{"server.crt", "server.key"} {
		text := must[[]byte](t)(os.ReadFile(filepath.Join(filepath.Dir(server.Folder()), file)))
		ok(t, os.WriteFile(filepath.Join(filepath.Dir(data), file), text, 0o600))
	}
	ok(t, filepath.WalkDir(data, func(path string, _ iofs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, int(owner.Uid), int(owner.Gid))
	}))
	ok(t, standby.Run(ctx))
	return standby
}

// over is an address with the hosts of some servers in it, in that order.
func over(t *testing.T, address string, servers ...*postgresql.Server) string {
	t.Helper()
	u := must[*url.URL](t)(url.Parse(address))
	var hosts []string
	for _, s := range servers {
		hosts = append(hosts, must[*url.URL](t)(url.Parse(s.URL("postgres"))).Host)
	}
	u.Host = strings.Join(hosts, ",")
	return u.String()
}

// A standby in the address is not read while the primary is away, so that nobody reads less than this process has written, and it keeps nobody from
// writing once the primary is back; nor does whichever comes first in the address. Once it is the primary itself, work goes on there.
func TestPostgresStandby(t *testing.T) {
	server, name := ownPostgres(t)
	set := openAs(t, server.URL(name))
	ok(t, set.SetMeta(ctx, "k", "old"))
	standby := standbyOf(t, server)
	address := server.URL(name)
	last, first := openAs(t, over(t, address, server, standby)), openAs(t, over(t, address, standby, server)+"&target_session_attrs=any")
	for _, db := range []*DB{last, first} {
		ok(t, db.SetMeta(ctx, "k", "new"))
		same(t, must[string](t)(db.Meta(ctx, "k")), "new")
	}
	ok(t, server.Stop())
	for _, db := range []*DB{last, first} {
		_, err := db.Meta(ctx, "k")
		refused(t, err, evidence.Internal, "records_unreachable")
		refused(t, db.SetMeta(ctx, "k", "lost"), evidence.Internal, "records_unreachable")
	}
	ok(t, server.Run(ctx))
	for _, db := range []*DB{last, first} {
		same(t, must[string](t)(db.Meta(ctx, "k")), "new")
		ok(t, db.SetMeta(ctx, "k", "newer"))
		same(t, must[string](t)(db.Meta(ctx, "k")), "newer")
		ok(t, db.SetMeta(ctx, "k", "new"))
	}
	server.Kill()
	ok(t, standby.Exec(ctx, name, `select pg_promote()`))
	for _, db := range []*DB{last, first} {
		for began := time.Now(); errorOf(db.Meta(ctx, "k")) != nil && time.Since(began) < time.Minute; { // those that were cut
		}
		same(t, must[string](t)(db.Meta(ctx, "k")), "old") // it never followed
		ok(t, db.SetMeta(ctx, "k", "old"))
	}
}

// A connection on which nothing can be written any more, as one through a proxy behind which another server is the primary now, is had no more.
func TestPostgresReadOnly(t *testing.T) {
	db := openAs(t, serverURL(newPostgres(t)))
	ok(t, db.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `set default_transaction_read_only = on`)
		return err
	}))
	ok(t, db.SetMeta(ctx, "k", "written"))
	same(t, must[string](t)(db.Meta(ctx, "k")), "written")
}

// An event that waits for a synchronous standby is not acknowledged before that has it, and nobody sees it until then, also when this process has
// given up waiting and whoever sent it repeats it.
func TestPostgresSynchronous(t *testing.T) {
	server, name := ownPostgres(t)
	other := openAs(t, server.URL(name))
	config := must[*pgx.ConnConfig](t)(postgresConfig(server.URL(name)))
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err == nil {
			conn.(*answeringConn).longest = 2 * time.Second
		}
		return conn, err
	}
	config.RuntimeParams["lock_timeout"] = "500"
	write := must[handle](t)(pooled(ctx, postgres, postgresDB(config, false), 1))
	db := serve(write, must[handle](t)(openPostgres(ctx, server.URL(name), 4, true)), other.version)
	defer db.Close()

	ok(t, server.Exec(ctx, name, `alter system set synchronous_standby_names = 'nobody'`))
	ok(t, server.Exec(ctx, name, `select pg_reload_conf()`))
	shown := must[*sql.DB](t)(sql.Open("pgx", server.URL(name)))
	defer shown.Close()
	waits := func() (n int) {
		ok(t, shown.QueryRowContext(ctx, `select count(*) from pg_stat_activity where wait_event = 'SyncRep'`).Scan(&n))
		return n
	}
	for now := ""; now != "nobody"; {
		ok(t, shown.QueryRowContext(ctx, `select current_setting('synchronous_standby_names')`).Scan(&now))
	}
	refused(t, db.SetMeta(ctx, "k", "on one machine"), evidence.Internal, "outcome_unknown")
	refused(t, db.SetMeta(ctx, "k", "repeated"), evidence.Internal, "records_busy") // who wrote it still holds what it locked
	same(t, waits(), 1)
	for _, d := range []*DB{db, other} {
		_, err := d.Meta(ctx, "k")
		refused(t, err, evidence.NotFound, "meta")
	}
	ok(t, server.Exec(ctx, name, `alter system reset synchronous_standby_names`)) // as if the standby were back
	ok(t, server.Exec(ctx, name, `select pg_reload_conf()`))
	for began := time.Now(); waits() > 0 && time.Since(began) < time.Minute; {
		time.Sleep(10 * time.Millisecond)
	}
	same(t, must[string](t)(other.Meta(ctx, "k")), "on one machine")
	ok(t, db.SetMeta(ctx, "k", "after"))
	same(t, must[string](t)(other.Meta(ctx, "k")), "after")
}
