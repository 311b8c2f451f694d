package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/translog/remote"
)

// Why records and log are not taken for the vault's, for errors.Is.
var (
	ErrNoRecords    = errors.New("the vault's records are not where the configuration says; give the configuration that init was given (--config FILE)")
	ErrNoLog        = errors.New("the vault's log is not where the configuration says; give the configuration that init was given (--config FILE), or move the log there with: strongroomd log move")
	ErrRecordsTaken = errors.New("this database holds the records of another vault; nothing was written to it")
	ErrLogTaken     = errors.New("the log server has a log of this name already, with entries in it: give the vault another name (--origin); nothing was written to it")
	// ErrEngines means that what was asked for copies or makes files, and this vault's records or log are in none.
	ErrEngines = errors.New("this vault's records are in PostgreSQL, or its log is in Trillian, so this command cannot do it. " +
		"Both are copied and put back with PostgreSQL's own tools, as one cluster at one moment: pg_basebackup with archived WAL, then strongroomd restore --engines. " +
		"Objects in a bucket are copied by the bucket's own replication. " +
		"Beside them copy the vault's folder without tls and operator.sock: vault.json, trust.json, checkpoint, keys and, if they are there, objects, organizations.json and strongroomd.yaml")
)

// inPostgreSQL is what vault.json says of records that are there.
const inPostgreSQL = "postgresql"

// tree is the log: an *embedded.Log, or a *remote.Log.
type tree interface {
	ledger.Tree
	Close() error
}

// outside reports whether other machines can reach the records or the log.
func (s settings) outside() bool { return s.Records != "" || s.Tree != 0 }

// agrees compares what the vault was made with with what the configuration names.
func (s settings) agrees(c config.Config) error {
	switch {
	case (s.Records == inPostgreSQL) != (c.Records.PostgreSQL != nil):
		return ErrNoRecords
	case (s.Tree != 0) != (c.Log.Trillian != nil):
		return ErrNoLog
	}
	return nil
}

// createRecords makes the records of a new vault, anew where an interrupted attempt left some, and says what vault.json is to. A database is
// only looked at: Found makes it the vault's.
func (f folder) createRecords(ctx context.Context, c config.Records) (kind string, err error) {
	for _, leftover := range []string{f.records(), f.records() + "-wal", f.records() + "-shm"} {
		if err := os.RemoveAll(leftover); err != nil {
			return "", err
		}
	}
	var db *sqldb.DB
	if c.PostgreSQL == nil {
		db, err = sqldb.Create(ctx, f.records())
	} else if db, err = openPostgres(ctx, *c.PostgreSQL); err == nil {
		kind, err = inPostgreSQL, free(ctx, db)
	}
	if db != nil {
		err = errors.Join(err, db.Close())
	}
	return kind, err
}

// openRecords opens the records of a vault.
func (f folder) openRecords(ctx context.Context, c config.Records) (*sqldb.DB, error) {
	if c.PostgreSQL == nil {
		return sqldb.Open(ctx, f.records())
	}
	return openPostgres(ctx, *c.PostgreSQL)
}

func openPostgres(ctx context.Context, c config.PostgreSQL) (*sqldb.DB, error) {
	url, err := readURL(c.URLFile)
	if err != nil {
		return nil, err
	}
	db, err := sqldb.OpenPostgres(ctx, url)
	if err != nil {
		return nil, explained(err)
	}
	return db, nil
}

// readURL reads the file of a database's address, which is not repeated: it holds the password.
func readURL(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the file of the database's address: %w", err)
	}
	return string(bytes.TrimSpace(text)), nil
}

// explained says what helps where PostgreSQL cannot be used.
func explained(err error) error {
	helps := map[string]string{
		"records_address":     "the file does not hold an address such as postgres://strongroom:password@host:5432/vault?sslmode=verify-full",
		"records_insecure":    "to another machine the address must say sslmode=verify-full",
		"records_not_durable": "the server does not keep what it says it committed: fsync, full_page_writes and synchronous_commit must be on",
		"records_missing":     "the database has no tables yet: make them with strongroomd migrate",
		"records_older":       "the database is of an earlier version: update it with strongroomd migrate",
		"records_newer":       "the database was updated by a newer version of strongroomd",
		"records_unreachable": "PostgreSQL does not answer",
		"replicas_older":      "servers of an older version still work on this database: stop or update them first; nothing was changed",
	}
	if help := helps[evidence.ReasonOf(err)]; help != "" {
		return fmt.Errorf("records: %s: %w", help, err)
	}
	return fmt.Errorf("records: %w", err)
}

// MigrateRecords makes the tables of a vault in a PostgreSQL database, or brings them up to this version, as the role that owns them, whose
// address is in a file; role, the server's own, may use them afterwards and change nothing of what was accepted.
func MigrateRecords(ctx context.Context, urlFile, role string) error {
	url, err := readURL(urlFile)
	if err != nil {
		return err
	}
	if err := sqldb.MigratePostgres(ctx, url, role); err != nil {
		return explained(err)
	}
	return nil
}

// ownerMeta is whose the records are, in the records' facts about the vault: the vault's own actor.
const ownerMeta = "vault"

// free refuses a database that is a vault's.
func free(ctx context.Context, db *sqldb.DB) error {
	_, err := db.Meta(ctx, ownerMeta)
	if evidence.KindOf(err) != evidence.NotFound {
		return errors.Join(ErrRecordsTaken, err)
	}
	events, err := db.Events(ctx, 0, 1)
	if err == nil && len(events) > 0 {
		err = ErrRecordsTaken
	}
	return err
}

// own refuses a database that is another vault's. An empty one passes: what it lacks, the log and the checkpoint file know.
func (p *parts) own(ctx context.Context) error {
	owner, err := p.records.Meta(ctx, ownerMeta)
	switch {
	case evidence.KindOf(err) == evidence.NotFound:
		return free(ctx, p.records)
	case err == nil && owner != string(p.settings.Actor):
		return ErrRecordsTaken
	}
	return err
}

// createLog makes the log of a new vault, and says which of a log server's trees it is. An interrupted attempt's is taken.
func (f folder) createLog(ctx context.Context, c config.Log, origin string) (tree int64, err error) {
	if err := os.RemoveAll(f.log()); err != nil {
		return 0, err
	}
	if c.Trillian == nil {
		log, err := embedded.Create(ctx, f.log(), embedded.Options{})
		if err != nil {
			return 0, err
		}
		return 0, log.Close()
	}
	at, err := trillian(*c.Trillian, 0)
	if err != nil {
		return 0, err
	}
	if at.TreeID, err = remote.Create(ctx, at, origin); err != nil {
		return 0, err
	}
	log, err := remote.Open(ctx, at)
	if err != nil {
		return 0, err
	}
	root, err := log.Root(ctx)
	if err == nil && root.Size > 0 {
		err = ErrLogTaken
	}
	return at.TreeID, errors.Join(err, log.Close())
}

// openLog opens the log that settings name.
func (f folder) openLog(ctx context.Context, s settings, c config.Log, o Options) (tree, error) {
	if s.Tree == 0 {
		log, err := embedded.Open(ctx, f.log(), embedded.Options{Clock: o.Now, Logger: o.Logger})
		if err != nil {
			return nil, err
		}
		return log, nil
	}
	at, err := trillian(*c.Trillian, s.Tree)
	if err != nil {
		return nil, err
	}
	log, err := remote.Open(ctx, at)
	if err != nil {
		return nil, err
	}
	return log, nil
}

// trillian is the configured log server.
func trillian(c config.Trillian, tree int64) (remote.Config, error) {
	at := remote.Config{Address: c.Address, TreeID: tree}
	if c.CAFile == "" {
		return at, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return at, fmt.Errorf("certificates of the log server: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return at, errors.New("certificates of the log server: the file holds none (PEM)")
	}
	at.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	return at, nil
}
