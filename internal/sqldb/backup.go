package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"

	"strongroom.example/strongroom/internal/evidence"
)

// copied are the tables of a backup, in an order in which every row finds those that it refers to. Attachments are apart: their bytes
// stay erasable, so they go into a file of their own.
var copied = []string{
	"events", "pending", "inclusions", "checkpoints", "heads_entries", "heads_buckets",
	"states", "actor_keys", "actor_recipients", "members", "consents", "items", "exhibits", "grants", "moments", "forms", "speakers", "keepers", "sides", "invitations", "meta",
	"published", "published_stamps", "event_stamps", "stamping",
}

// leftOut are the tables that no backup holds: what they say is over when it is restored.
var leftOut = []string{"uploads", "releases", "challenges", "sessions", "leases", "limits"}

// Frozen is the database as it was at one moment. While it is open the database goes on, but what Destroy erases stays in the log beside
// it ("erase_incomplete"). It is for one goroutine.
type Frozen struct {
	db   *sql.DB
	conn *sql.Conn
	tx   *sql.Tx
}

// Freeze holds on to this moment. It is for SQLite: other engines have their own tools.
func (d *DB) Freeze(ctx context.Context) (_ *Frozen, err error) {
	path, err := d.file(ctx)
	if err != nil {
		return nil, err
	}
	f := &Frozen{}
	defer func() {
		if err != nil {
			f.Close()
			err = fail(sqlite, err)
		}
	}()
	if f.db, f.conn, err = attached(ctx, path); err != nil {
		return nil, err
	}
	if f.tx, err = f.conn.BeginTx(ctx, nil); err != nil {
		return nil, err
	}
	var n int // a transaction sees the moment of its first reading
	return f, f.tx.QueryRowContext(ctx, `select count(*) from meta`).Scan(&n)
}

// Write makes two files that must not exist: records is a database without any attachment's bytes, erasable holds those. Both are
// durable, in their folder too, when it returns nil.
func (f *Frozen) Write(ctx context.Context, records, erasable string) error {
	if err := createFor(ctx, records); err != nil {
		return err
	}
	if err := createNew(erasable); err != nil {
		return err
	}
	for name, path := range map[string]string{"copy": records, "erasable": erasable} {
		if _, err := f.tx.ExecContext(ctx, `attach $1 as `+name, fileURL(path)); err != nil {
			return fail(sqlite, err)
		}
	}
	err := copyTables(ctx, f.tx, "main", "copy")
	for _, query := range []string{
		`insert into copy.attachments (id, ord, kind, name, audience, recipient, sha256, body)
			select id, ord, kind, name, audience, recipient, sha256, null from main.attachments`,
		`create table erasable.attachments (id integer primary key, sha256 blob not null, body blob not null)`,
		`insert into erasable.attachments (id, sha256, body) select id, sha256, body from main.attachments where body is not null`,
	} {
		if err == nil {
			_, err = f.tx.ExecContext(ctx, query)
		}
	}
	if err == nil {
		err = f.tx.Commit()
	}
	if err := errors.Join(err, f.Close()); err != nil { // closing lets go of the files
		return fail(sqlite, err)
	}
	return fail(sqlite, errors.Join(pathless(syncFile(records)), pathless(syncFile(erasable)), pathless(syncDir(filepath.Dir(records)))))
}

// Close lets go of the moment. It may be called again.
func (f *Frozen) Close() error {
	var errs []error
	if f.tx != nil {
		if err := f.tx.Rollback(); !errors.Is(err, sql.ErrTxDone) {
			errs = append(errs, err)
		}
	}
	if f.conn != nil {
		errs = append(errs, f.conn.Close())
	}
	if f.db != nil {
		errs = append(errs, f.db.Close())
	}
	f.tx, f.conn, f.db = nil, nil, nil
	return fail(sqlite, errors.Join(errs...))
}

// Restore makes a database in the file path, which must not exist, from what Frozen.Write made. It changes neither of the two files.
func Restore(ctx context.Context, path, records, erasable string) error {
	for _, part := range []string{records, erasable} {
		if info, err := os.Stat(part); err != nil || !info.Mode().IsRegular() {
			return evidence.Refuse(evidence.NotFound, "records_missing")
		}
	}
	// The backup may be of an older schema, and opening it would change the file.
	old := path + ".backup"
	defer removeDatabase(old)
	if err := copyFile(old, records); err != nil {
		return fail(sqlite, pathless(err))
	}
	migrated, err := Open(ctx, old)
	if err != nil {
		return err
	}
	if err := migrated.Close(); err != nil {
		return err
	}
	if err := createFor(ctx, path); err != nil {
		return err
	}
	db, conn, err := attached(ctx, path)
	if err != nil {
		return fail(sqlite, err)
	}
	defer db.Close()
	defer conn.Close()
	err = inTx(ctx, conn, func(tx *sql.Tx) error {
		for _, part := range [][2]string{{"copy", fileURL(old)}, {"erasable", fileURL(erasable) + "?mode=ro"}} {
			if _, err := tx.ExecContext(ctx, `attach $1 as `+part[0], part[1]); err != nil {
				return err
			}
		}
		if err := copyTables(ctx, tx, "copy", "main"); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `
			insert into main.attachments (id, ord, kind, name, audience, recipient, sha256, body)
			select a.id, a.ord, a.kind, a.name, a.audience, a.recipient, a.sha256, b.body
			from copy.attachments a left join erasable.attachments b on b.id = a.id and b.sha256 = a.sha256`)
		return err
	})
	return fail(sqlite, err)
}

// Bodies calls f with the bytes of every attachment that still exist in a file: a database of records, whole or not, or the erasable
// part of a backup.
func Bodies(ctx context.Context, path string, f func(digest evidence.Hash, body []byte) error) error {
	db, err := openAside(path)
	if err != nil {
		return err
	}
	h := newHandle(sqlite, db)
	defer db.Close()
	return h.each(ctx, func(row scanner) error {
		var digest, body []byte
		if err := row.Scan(&digest, &body); err != nil {
			return err
		}
		named, err := hash(digest)
		if err != nil {
			return nil // damaged: no event names it
		}
		return f(named, body)
	}, `select sha256, body from attachments where body is not null`)
}

func copyTables(ctx context.Context, tx *sql.Tx, from, to string) error {
	for _, table := range copied {
		query := `insert into ` + to + `.` + table + ` select * from ` + from + `.` + table //#nosec G202 -- names of our own schemas and tables
		if table == "meta" {                                                                // of its schema each speaks for itself
			query += ` where key <> '` + metaCompatible + `'`
		}
		if _, err := tx.ExecContext(ctx, query); err != nil { //#nosec G202 -- names of our own tables
			return err
		}
	}
	return nil
}

func inTx(ctx context.Context, conn *sql.Conn, f func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // does nothing after Commit
	if err := f(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// attached opens a database by a connection to which others can be attached.
func attached(ctx context.Context, path string) (*sql.DB, *sql.Conn, error) {
	db, err := sql.Open(sqliteDriver, fileURL(path)+"?"+sqliteBoth)
	if err != nil {
		return nil, nil, err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return db, conn, nil
}

// file is the path of the database's file.
func (d *DB) file(ctx context.Context) (string, error) {
	return one(ctx, d.read, "records_missing", scanTo[string], `select file from pragma_database_list where name = 'main'`)
}

// createFor makes an empty database that is to be filled by another connection.
func createFor(ctx context.Context, path string) error {
	db, err := Create(ctx, path)
	if err != nil {
		return err
	}
	return db.Close()
}

func createNew(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fail(sqlite, pathless(err))
	}
	return fail(sqlite, f.Close())
}

func removeDatabase(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		os.Remove(path + suffix)
	}
}

func copyFile(dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = out.ReadFrom(in)
	return errors.Join(err, out.Sync(), out.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// fileURL is how a file is named to SQLite, whatever its path holds.
func fileURL(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}).String()
}
