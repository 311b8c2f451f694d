// Package sqldb keeps all records: accepted events with their states, projections and attachments, what the ledger published, and
// what no event holds (uploads, invitations, releases, sessions). It satisfies ledger.Records, vault.Records and auth.Records.
//
// It owns the SQL, the schema and the order of commits. It may assume that what it is given was verified, and that the judge knows the
// law. It never changes or removes an accepted event, a receipt or a checkpoint, never lets two events share a place in a stream, never
// reads a clock, and never logs.
//
// There is one text of SQL for every engine: $n numbered in order of first appearance, ON CONFLICT, no now(), no JSON
// operators, no arrays. Uniqueness is stated with ON CONFLICT DO NOTHING and answered by the count of rows, one statement for each
// thing that must be unique, so that no error text is ever read. What engines do differently is in dialect.go and in migrations.
// A limit is written $n + 0: for one that is a bare parameter SQLite prepares the statement anew each time, at twice the cost of the query.
//
// Every write is a job of one writer. It collects the jobs that wait, runs them in one transaction, commits once and then answers them all:
// a commit is durable when its caller hears of it, and one fsync serves many. Of a job that is refused nothing stays.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
)

// DB is an open database of records. Its methods are safe for concurrent use; their errors are *evidence.Error.
type DB struct {
	dialect dialect
	write   handle // one connection, the writer's
	read    handle
	writer  *writer
	decoded *decoded
	keys    memory[evidence.Hash, key] // of the directory
	version int64                      // of the schema that this program is made for
}

var (
	_ ledger.Records = (*DB)(nil)
	_ vault.Records  = (*DB)(nil)
	_ auth.Records   = (*DB)(nil)
)

// Create makes a new, empty SQLite database in the file path, mode 0600, and opens it. Conflict "records_exist" if the file is there.
func Create(ctx context.Context, path string) (*DB, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, evidence.Refuse(evidence.Conflict, "records_exist")
	}
	if err != nil {
		return nil, fail(sqlite, pathless(err))
	}
	if err := f.Close(); err != nil {
		return nil, fail(sqlite, pathless(err))
	}
	db, err := createSQLite(ctx, path)
	if err != nil {
		os.Remove(path)
		return nil, err
	}
	return db, nil
}

func createSQLite(ctx context.Context, path string) (*DB, error) {
	db, err := openSQLite(ctx, path, migrationsOf(sqlite))
	if err != nil {
		return nil, err
	}
	// The mark must be in the file itself, not in the log beside it, and the file in its folder, before anything is acknowledged.
	for _, pragma := range []string{sqliteMark, sqlite.erase} {
		if err == nil {
			_, err = db.write.db.ExecContext(ctx, pragma)
		}
	}
	if err == nil {
		err = pathless(syncDir(filepath.Dir(path)))
	}
	if err != nil {
		db.Close()
		return nil, fail(sqlite, err)
	}
	return db, nil
}

// Open opens the SQLite database that Create made and brings its schema up to this version. NotFound "records_missing" if there is no
// file, Invalid "records_foreign" if it is none of ours, "records_newer" if a newer version of the program has changed its schema so that this
// one cannot work with it.
func Open(ctx context.Context, path string) (*DB, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, evidence.Refuse(evidence.NotFound, "records_missing")
	}
	if err != nil {
		return nil, fail(sqlite, pathless(err))
	}
	if !info.Mode().IsRegular() {
		return nil, evidence.Refuse(evidence.Invalid, "records_foreign")
	}
	if err := checkSQLite(path); err != nil {
		return nil, err
	}
	return openSQLite(ctx, path, migrationsOf(sqlite))
}

// sqliteDriver is the name of SQLite's driver.
const sqliteDriver = "sqlite"

func openSQLite(ctx context.Context, path string, folder fs.FS) (*DB, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fail(sqlite, pathless(err))
	}
	file := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path)}
	open := func(how string, conns int) (handle, error) {
		db, err := sql.Open(sqliteDriver, file.String()+"?"+how)
		if err != nil {
			return handle{}, fail(sqlite, err)
		}
		return pooled(ctx, sqlite, db, conns)
	}
	write, err := open(sqliteWrite, 1)
	if err != nil {
		return nil, err
	}
	read, err := open(sqliteRead, max(4, runtime.NumCPU()))
	if err != nil {
		write.db.Close()
		return nil, err
	}
	if _, err := migrate(ctx, write, folder); err != nil {
		write.db.Close()
		read.db.Close()
		return nil, err
	}
	return serve(write, read, newestOf(folder)), nil
}

// serve starts the writer. The program of this version can work with the schema.
func serve(write, read handle, version int64) *DB {
	known := new(decoded)
	return &DB{dialect: write.dialect, write: write, read: read, writer: startWriter(write, known), decoded: known, version: version}
}

// Close lets the transaction that runs finish, refuses what waits with Internal "records_closed", and closes the database.
func (d *DB) Close() error {
	d.writer.stop()
	// Readers go first: the last connection to leave moves the write-ahead log into the file.
	return fail(d.dialect, errors.Join(d.read.db.Close(), d.write.db.Close()))
}

// pooled lets db have at most conns connections and tries the first. It owns db from here.
func pooled(ctx context.Context, d dialect, db *sql.DB, conns int) (handle, error) {
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return handle{}, fail(d, err)
	}
	return newHandle(d, db), nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// pathless drops the path from an error of the file system.
func pathless(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
