package sqldb

import (
	"context"
	"database/sql"
	"embed"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"

	"strongroom.example/strongroom/internal/evidence"
)

// A schema changes in two steps, so that processes of two versions can work on one database while one version takes the other's place. A
// migration that only adds is run first: the programs before it go on. One that takes something away says so in a line of its own,
//
//	-- compatible N
//
// where N is the oldest version of the schema whose programs can work with the database from then on; it is run once no older one is left.
// The highest N stands in the database (meta "compatible") before the migration begins, so that no older program comes in while it runs.

//go:embed migrations
var migrations embed.FS

// migrationsOf is the folder of an engine's migrations.
func migrationsOf(d dialect) fs.FS {
	folder, err := fs.Sub(migrations, path.Join("migrations", d.name))
	if err != nil {
		panic(err) // not a path
	}
	return folder
}

// SchemaVersion is the version of the schema that this program makes, and needs at least.
func SchemaVersion() int64 { return newestOf(migrationsOf(postgres)) }

func newestOf(folder fs.FS) (newest int64) {
	files, _ := fs.Glob(folder, "*.sql")
	for _, name := range files {
		if n, err := goose.NumericComponent(name); err == nil {
			newest = max(newest, n)
		}
	}
	return newest
}

var compatibleLine = regexp.MustCompile(`(?m)^-- compatible (\d+)$`)

// compatibleOf is what the database must say once all migrations of the folder were run.
func compatibleOf(folder fs.FS) (oldest int64, err error) {
	files, err := fs.Glob(folder, "*.sql")
	for _, name := range files {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return 0, err
		}
		for _, line := range compatibleLine.FindAllSubmatch(text, -1) {
			n, err := strconv.ParseInt(string(line[1]), 10, 64)
			if err != nil {
				return 0, err
			}
			oldest = max(oldest, n)
		}
	}
	return oldest, err
}

const metaCompatible = "compatible"

// compatible is what the database says; 0 is nothing: only programs of its own version can work with it.
func compatible(ctx context.Context, q querier) (int64, error) {
	value, err := list(ctx, q, scanTo[string], `select value from meta where key = $1`, metaCompatible)
	if err != nil || len(value) == 0 {
		return 0, err
	}
	n, err := strconv.ParseInt(value[0], 10, 64)
	if err != nil {
		return 0, damage(err)
	}
	return n, nil
}

// provider knows the migrations, and which of them the database has seen.
func provider(h handle, folder fs.FS, options ...goose.ProviderOption) (*goose.Provider, error) {
	p, err := goose.NewProvider(h.dialect.goose, h.db, folder, append(options, goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))...)
	return p, h.fail(err)
}

// usable refuses a database whose schema has the version present to a program that is made for newest.
func usable(ctx context.Context, q querier, present, newest int64) error {
	oldest, err := compatible(ctx, q)
	switch {
	case err != nil:
		return err
	case oldest > newest, present > newest && oldest == 0:
		return evidence.Refuse(evidence.Invalid, "records_newer")
	}
	return nil
}

// Usable reports whether a newer version of the program has changed the schema, while this one works, so that it must not go on: Invalid
// "records_newer".
func (d *DB) Usable(ctx context.Context) error {
	return usable(ctx, d.read, d.version, d.version)
}

// migrate runs the migrations that the database has not seen, and returns the version of the schema that it has then. A newer one than they
// make is left as it is, and refused if programs of theirs cannot work with it.
func migrate(ctx context.Context, h handle, folder fs.FS, options ...goose.ProviderOption) (version int64, err error) {
	p, err := provider(h, folder, options...)
	if err != nil {
		return 0, err
	}
	present, newest, err := p.GetVersions(ctx)
	if err != nil {
		return 0, h.fail(err)
	}
	if present >= newest {
		return present, usable(ctx, h, present, newest)
	}
	if present > 0 { // else nobody works with it yet
		if err := raise(ctx, h, folder); err != nil {
			return present, err
		}
	}
	if _, err := p.Up(ctx); err != nil {
		return present, h.fail(err)
	}
	return newest, raise(ctx, h, folder)
}

// raise has the database say which programs can work with it from now on. Conflict "replicas_older" if a replica runs that could not.
func raise(ctx context.Context, h handle, folder fs.FS) error {
	oldest, err := compatibleOf(folder)
	if err != nil {
		return h.fail(err)
	}
	tx, err := h.db.BeginTx(ctx, nil)
	if err != nil {
		return h.fail(err)
	}
	defer tx.Rollback()                              // does nothing after Commit
	if lock := h.dialect.lockForAppend; lock != "" { // nobody takes a lease meanwhile
		if _, err := tx.ExecContext(ctx, lock); err != nil {
			return h.fail(err)
		}
	}
	before, err := compatible(ctx, within{h, tx})
	if err != nil || before >= oldest {
		return err
	}
	if before > 0 { // else there were no replicas yet
		if err := noneOlder(ctx, within{h, tx}, h.dialect, oldest); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `
		insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value`,
		metaCompatible, strconv.FormatInt(oldest, 10)); err != nil {
		return h.fail(err)
	}
	return h.fail(tx.Commit())
}

// Replica begins the name of the work for which each process has a lease that works on a vault together with others. Its holder ends in
// " schema N", where N is its SchemaVersion.
const Replica = "replica/"

// noneOlder refuses while a replica runs whose program is made for a schema before oldest, or that does not say for which.
func noneOlder(ctx context.Context, q querier, d dialect, oldest int64) error {
	replicas, err := leases(ctx, q, d, Replica)
	for _, l := range replicas {
		n, malformed := strconv.ParseInt(l.Holder[strings.LastIndexByte(l.Holder, ' ')+1:], 10, 64)
		if l.Running && (malformed != nil || n < oldest) {
			return evidence.Refuse(evidence.Conflict, "replicas_older")
		}
	}
	return err
}

// within asks inside a transaction.
type within struct {
	handle
	tx *sql.Tx
}

func (w within) each(ctx context.Context, f func(scanner) error, query string, args ...any) error {
	rows, err := w.tx.QueryContext(ctx, query, args...)
	return w.fail(scanAll(rows, err, f))
}
