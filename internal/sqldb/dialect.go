package sqldb

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"github.com/pressly/goose/v3"
	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"strongroom.example/strongroom/internal/evidence"
)

// dialect is what one engine does differently from another. Everything else is common SQL.
type dialect struct {
	name  string // of its folder of migrations
	goose goose.Dialect
	// writing is the isolation of a transaction that writes.
	writing sql.IsolationLevel
	// lockForAppend is run first in every writing transaction, where beginning one does not by itself keep other writers out.
	lockForAppend string
	// snapshot is the isolation in which every answer of a reading transaction is of one moment.
	snapshot sql.IsolationLevel
	// clock asks for the engine's own time, in microseconds since 1970, where several processes write: their clocks may differ.
	clock string
	// erase is run after a transaction that destroyed bytes, to remove what the engine keeps of them beside the database. Its answer
	// is that of SQLite's wal_checkpoint.
	erase string
	// failure classifies an error of the driver by its code, never by its text.
	failure func(error) failure
}

// failure is what can be said of an engine's error.
type failure int

const (
	otherFailure failure = iota
	retryable            // another transaction was in the way: begin again
	full                 // no space is left
	damaged              // the database contradicts itself
	unreachable          // the connection broke, or there is none: a transaction that was not told to commit is gone
)

// sqlite is one file, written by one connection. A transaction begins by taking the write lock (_txlock=immediate), so nothing that it
// has read can change before it commits. Each commit is in the write-ahead log and fsynced before it returns (synchronous=full).
// Freed pages are zeroed (secure_delete), nothing is written to temporary files (temp_store), and the log is emptied after bytes were
// destroyed.
var sqlite = dialect{
	name:    "sqlite",
	goose:   goose.DialectSQLite3,
	erase:   `pragma wal_checkpoint(truncate)`,
	failure: sqliteFailure,
}

const (
	sqliteBoth = "_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)&_pragma=journal_mode(wal)&_pragma=recursive_triggers(1)" +
		"&_pragma=secure_delete(1)&_pragma=synchronous(full)&_pragma=temp_store(memory)&_dqs=0"
	// A cache in KiB, because the unique indexes are written at random places; and a log of up to 32 MiB, in which pages that change often
	// are not each time moved into the file.
	sqliteWrite = sqliteBoth + "&_txlock=immediate&_pragma=cache_size(-16384)&_pragma=wal_autocheckpoint(8192)"
	sqliteRead  = sqliteBoth + "&_query_only=1"

	// sqliteID marks the file as ours in its header: "Strm".
	sqliteID   = 0x5374726d
	sqliteMark = "pragma application_id = 0x5374726d"
)

func sqliteFailure(err error) failure {
	var e *driver.Error
	if !errors.As(err, &e) {
		return otherFailure
	}
	switch e.Code() & 0xff { // without the extension
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		return retryable
	case codes.SQLITE_FULL:
		return full
	case codes.SQLITE_CORRUPT, codes.SQLITE_NOTADB:
		return damaged
	}
	return otherFailure
}

// checkSQLite reads the file's header: an SQLite database that Create marked as ours. Nothing else is opened, since opening may write.
func checkSQLite(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fail(sqlite, pathless(err))
	}
	defer f.Close()
	var header [100]byte
	if _, err := io.ReadFull(f, header[:]); err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fail(sqlite, pathless(err))
	}
	if string(header[:16]) != "SQLite format 3\x00" || binary.BigEndian.Uint32(header[68:]) != sqliteID {
		return evidence.Refuse(evidence.Invalid, "records_foreign")
	}
	return nil
}

// fail translates an error to *evidence.Error, once, here. Refusals pass as they are, nil stays nil.
func fail(d dialect, err error) error {
	if err == nil {
		return nil
	}
	if e := (*evidence.Error)(nil); errors.As(err, &e) {
		return err
	}
	switch d.failure(err) {
	case retryable:
		return evidence.Fail(evidence.Internal, "records_busy", err)
	case full:
		return evidence.Fail(evidence.Internal, "records_full", err)
	case damaged:
		return evidence.Fail(evidence.Internal, "records_damaged", err)
	case unreachable:
		return evidence.Fail(evidence.Internal, "records_unreachable", err)
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return evidence.Fail(evidence.Internal, "cancelled", err)
	case errors.Is(err, sql.ErrConnDone), errors.Is(err, errClosed):
		return evidence.Fail(evidence.Internal, "records_closed", err)
	}
	return evidence.Fail(evidence.Internal, "records", err)
}

var errClosed = errors.New("closed")
