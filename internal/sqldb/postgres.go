package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"strongroom.example/strongroom/internal/evidence"
)

// postgres is a database that any number of processes write. A transaction that writes locks one row first: it reads nothing that another could
// change before it commits, and entries get their order without gaps. Each commit is durable as the server defines it, which OpenPostgres
// checks. Destroyed bytes leave the server's pages when these are vacuumed and used again, and its write-ahead log when that is recycled
// (deploy/README.md).
var postgres = dialect{
	name:          "postgres",
	goose:         goose.DialectPostgres,
	writing:       sql.LevelReadCommitted, // of which each statement sees what was committed before it, so also before the lock was had
	lockForAppend: `select value from meta where key = 'writing' for update`,
	snapshot:      sql.LevelRepeatableRead,
	clock:         `select cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)`,
	failure:       postgresFailure,
}

// Classes of SQLSTATE are its first two characters.
func postgresFailure(err error) failure {
	if e := (*pgconn.PgError)(nil); errors.As(err, &e) {
		switch {
		case e.Code == "40001", e.Code == "40P01", e.Code == "55P03": // serialization, deadlock, lock timeout
			return retryable
		case e.Code == "53100", e.Code == "53200": // disk, memory
			return full
		case e.Code == "XX001", e.Code == "XX002": // data, index
			return damaged
		case strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "57P"), e.Code == "25P03", e.Code == "53300", // connection, shutdown, idle, too many
			e.Code == "25006": // nothing can be written there: another server is the primary now
			return unreachable
		}
		return otherFailure
	}
	connect, broken := (*pgconn.ConnectError)(nil), net.Error(nil)
	if errors.As(err, &connect) || errors.As(err, &broken) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) {
		return unreachable
	}
	return otherFailure
}

// postgresSettings are those of every connection. A process that stops in the middle of a transaction loses it, so that others can write.
var postgresSettings = map[string]string{
	"application_name":                    "strongroomd",
	"idle_in_transaction_session_timeout": "15000", // milliseconds
	"lock_timeout":                        "10000",
	"statement_timeout":                   "60000",
	"timezone":                            "UTC",
}

// MigratePostgres makes the schema in the database that url names, or brings it up to this version, and grants server, the role of
// OpenPostgres, what the vault needs and no more; "" grants nothing. The role of url owns the schema. Several may do this at once. Invalid
// "records_newer" if a newer version of the program has changed the schema. Conflict "replicas_older" if the schema cannot be changed while
// replicas of an older version work with it: nothing was changed.
func MigratePostgres(ctx context.Context, url, server string) error {
	return migratePostgres(ctx, url, server, migrationsOf(postgres))
}

func migratePostgres(ctx context.Context, url, server string, folder fs.FS) error {
	h, err := openPostgres(ctx, url, 2, false) // the lock has a connection of its own
	if err != nil {
		return err
	}
	defer h.db.Close()
	only, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return h.fail(err)
	}
	version, err := migrate(ctx, h, folder, goose.WithSessionLocker(only))
	if err == nil && version > newestOf(folder) { // which may have granted more
		err = evidence.Refuse(evidence.Invalid, "records_newer")
	}
	if err != nil || server == "" {
		return err
	}
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return h.fail(err)
	}
	defer tx.Rollback() // does nothing after Commit
	if _, err := tx.ExecContext(ctx, postgres.lockForAppend); err != nil {
		return h.fail(err)
	}
	role := pgx.Identifier{server}.Sanitize()
	for _, table := range tables {
		statement := fmt.Sprintf(`revoke all on %[1]s from %[2]s; grant %[3]s on %[1]s to %[2]s`, table.name, role, table.rights) //#nosec G201 -- names of our own tables, and a quoted role
		if _, err := tx.ExecContext(ctx, statement); err != nil {
			return h.fail(err)
		}
	}
	return h.fail(tx.Commit())
}

// tables says what the server's role may do with each table.
var tables = []struct{ name, rights string }{
	{"events", "select, insert"},
	{"pending", "select, insert, delete"},
	{"inclusions", "select, insert"},
	{"checkpoints", "select, insert"},
	{"attachments", "select, insert, update (body)"},
	{"heads_entries", "select, insert"},
	{"heads_buckets", "select, insert, update"},
	{"states", "select, insert, update"},
	{"actor_keys", "select, insert"},
	{"actor_recipients", "select, insert"},
	{"members", "select, insert"},
	{"consents", "select, insert"},
	{"items", "select, insert"},
	{"exhibits", "select, insert"},
	{"grants", "select, insert, update"},
	{"moments", "select, insert, delete"},
	{"forms", "select, insert"},
	{"speakers", "select, insert"},
	{"keepers", "select, insert, delete"},
	{"sides", "select, insert, delete"},
	{"leases", "select, insert, update"},
	{"limits", "select, insert, update, delete"},
	{"uploads", "select, insert, delete"},
	{"invitations", "select, insert, update (answer)"},
	{"releases", "select, insert, update (expires)"},
	{"challenges", "select, insert, delete"},
	{"sessions", "select, insert, update, delete"},
	{"meta", "select, insert, update"},
	{"published", "select, insert, update (signed, final, audited)"},
	{"published_stamps", "select, insert"},
	{"event_stamps", "select, insert"},
	{"stamping", "select, insert"},
	{"goose_db_version", "select"},
}

// OpenPostgres opens the database that url names ("postgres://…"), which MigratePostgres of this version made, or of a newer one that only
// added to the schema. It changes nothing of the schema. The connection must be encrypted and the server's certificate verified (sslmode=verify-full), unless it is on this machine.
//
// Invalid: "records_address" if url is none, "records_insecure", "records_not_durable" if the server does not keep what it says it
// committed, "records_newer", "records_older" if MigratePostgres has to run first. NotFound: "records_missing". Internal:
// "records_unreachable".
func OpenPostgres(ctx context.Context, url string) (*DB, error) {
	return openMigrated(ctx, url, migrationsOf(postgres))
}

func openMigrated(ctx context.Context, url string, folder fs.FS) (*DB, error) {
	write, err := openPostgres(ctx, url, 1, false)
	if err != nil {
		return nil, err
	}
	read, err := openPostgres(ctx, url, max(4, 2*runtime.NumCPU()), true)
	if err == nil {
		if err = durable(ctx, read); err == nil {
			err = current(ctx, read, folder)
		}
		if err != nil {
			read.db.Close()
		}
	}
	if err != nil {
		write.db.Close()
		return nil, err
	}
	return serve(write, read, newestOf(folder)), nil
}

// openPostgres opens a pool of connections, on which nothing can be written if it is for reading.
func openPostgres(ctx context.Context, url string, conns int, reading bool) (handle, error) {
	config, err := postgresConfig(url)
	if err != nil {
		return handle{}, err
	}
	return pooled(ctx, postgres, postgresDB(config, reading), conns)
}

func postgresConfig(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, evidence.Refuse(evidence.Invalid, "records_address") // the error holds parts of it
	}
	if !private(config) {
		return nil, evidence.Refuse(evidence.Invalid, "records_insecure")
	}
	maps.Copy(config.RuntimeParams, postgresSettings)
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTime
	}
	// Of several servers one is the primary. What a standby answers may be older than what this process itself has written.
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	config.DialFunc = answering(config.DialFunc)
	return config, nil
}

// connectTime is how long each of the servers may take until it lets us in, unless the address says so.
const connectTime = 5 * time.Second

func postgresDB(config *pgx.ConnConfig, reading bool) *sql.DB {
	before := uncancelled
	if reading {
		config.RuntimeParams["default_transaction_read_only"] = "on"
		before = func(context.Context, *pgx.ConnConfig) error { return nil }
	}
	return stdlib.OpenDB(*config, stdlib.OptionBeforeConnect(before), stdlib.OptionResetSession(primary))
}

// uncancelled has the driver give up a connection without asking the server to end what it does there. A commit that waits for a synchronous
// standby would be ended by that: it would be visible, and acknowledged to who repeats it, and be on one machine. Left alone it stays unseen until
// the standby has it. Whatever else runs there ends by itself.
func uncancelled(_ context.Context, c *pgx.ConnConfig) error {
	dial, validate := c.DialFunc, c.ValidateConnect
	var connected atomic.Bool // then the driver dials for nothing but to cancel
	c.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if connected.Load() {
			return nil, errors.ErrUnsupported
		}
		return dial(ctx, network, address)
	}
	c.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		err := validate(ctx, conn)
		connected.Store(err == nil)
		return err
	}
	return nil
}

// primary gives up a connection to what has become a standby, as one through a proxy can.
func primary(_ context.Context, c *pgx.Conn) error {
	if c.PgConn().ParameterStatus("in_hot_standby") == "on" {
		return driver.ErrBadConn
	}
	return nil
}

// private reports whether nobody between here and any server that may be connected to can read or change what passes.
func private(c *pgx.ConnConfig) bool {
	ways := []*pgconn.FallbackConfig{{Host: c.Host, TLSConfig: c.TLSConfig}}
	for _, way := range append(ways, c.Fallbacks...) {
		ip := net.ParseIP(way.Host)
		local := strings.HasPrefix(way.Host, "/") || way.Host == "localhost" || ip != nil && ip.IsLoopback()
		if !local && (way.TLSConfig == nil || way.TLSConfig.InsecureSkipVerify) {
			return false
		}
	}
	return true
}

// durable refuses a server that may lose or tear what it committed. Engines that do not know a setting cannot switch it off.
func durable(ctx context.Context, h handle) error {
	off, err := list(ctx, h, scanTo[string], `
		select name from (values ('fsync'), ('full_page_writes'), ('synchronous_commit')) as s (name)
		where coalesce(current_setting(name, true), 'on') = 'off'`)
	if err == nil && len(off) > 0 {
		err = evidence.Refuse(evidence.Invalid, "records_not_durable")
	}
	return err
}

// current refuses a schema that programs of these migrations cannot work with.
func current(ctx context.Context, h handle, folder fs.FS) error {
	made, err := one(ctx, h, "records_missing", scanTo[bool], `select to_regclass('goose_db_version') is not null`)
	if err != nil {
		return err
	}
	if !made {
		return evidence.Refuse(evidence.NotFound, "records_missing")
	}
	p, err := provider(h, folder)
	if err != nil {
		return err
	}
	present, newest, err := p.GetVersions(ctx)
	switch {
	case err != nil:
		return h.fail(err)
	case present == 0: // another one is making it
		return evidence.Refuse(evidence.Invalid, "records_older")
	}
	if err := usable(ctx, h, present, newest); err != nil {
		return err
	}
	if present < newest {
		return evidence.Refuse(evidence.Invalid, "records_older")
	}
	return nil
}
