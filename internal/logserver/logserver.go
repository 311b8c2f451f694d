// Package logserver runs Trillian's stock programs, the log server and the log signer, for tests and for the demonstration: two processes on
// loopback over a database that the caller made, with TLS on the endpoint that answers. It is no part of a vault, which is given the address
// of a log server that somebody else keeps.
package logserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"strongroom.example/strongroom/internal/installed"
)

// ErrMissing means that the programs are not there.
const ErrMissing = installed.Missing("trillian")

// Find returns the folder of the programs and of their database's schema: the one that STRONGROOM_TRILLIAN names, or the one that
// scripts/trillian of this module filled.
func Find() (string, error) { return installed.Find("trillian", "STRONGROOM_TRILLIAN") }

// Schema is what a database must hold before the programs use it: SQL statements.
func Schema(programs string) (string, error) {
	text, err := os.ReadFile(filepath.Join(programs, "storage.sql"))
	return string(text), err
}

// Log is a log server with its signer.
type Log struct {
	Server *Program
	Signer *Program // the only one: a tree has one signer at a time
	CA     string   // file of the certificate that a client of the server is to trust
}

// Start runs both programs over the database of that URL, which holds the Schema. What they need lies in dir, a folder of its own. The signer
// looks for new leaves once per interval.
//
// PostgreSQL is told to plan each statement anew. The programs prepare theirs while the tables are empty, and until the statistics are renewed a
// plan made for an empty table makes the signer read all leaves for each new one: a second per batch from a few thousand leaves on.
func Start(ctx context.Context, programs, dir, database string, interval time.Duration) (*Log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	certificate, key := filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key")
	if err := installed.WriteCertificate(certificate, key); err != nil {
		return nil, err
	}
	u, err := url.Parse(database)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	query.Set("plan_cache_mode", "force_custom_plan")
	u.RawQuery = query.Encode()
	// In files that only we read, because of the password in the URL: what a program was started with everybody reads.
	common := []string{"--storage_system=postgresql", "--postgresql_uri=" + u.String(), "--quota_system=noop", "--http_endpoint="}
	l := &Log{CA: certificate}
	if l.Server, err = newProgram(programs, dir, "trillian_log_server", append(common, "--tree_gc=false", "--tls_cert_file="+certificate, "--tls_key_file="+key)); err != nil {
		return nil, err
	}
	if l.Signer, err = newProgram(programs, dir, "trillian_log_signer", append(common, "--force_master", "--sequencer_interval="+interval.String(), "--batch_size=1000")); err != nil {
		return nil, err
	}
	for _, p := range []*Program{l.Server, l.Signer} {
		if err := p.Run(ctx); err != nil {
			l.Kill()
			return nil, err
		}
	}
	return l, nil
}

// Address is where the log server answers, host:port.
func (l *Log) Address() string { return l.Server.address }

// TLS is how a client of the server knows it.
func (l *Log) TLS() (*tls.Config, error) {
	text, err := os.ReadFile(l.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, nil
}

// Kill ends both programs at once.
func (l *Log) Kill() {
	l.Server.Kill()
	l.Signer.Kill()
}

func newProgram(programs, dir, name string, flags []string) (*Program, error) {
	address, err := installed.FreeAddress()
	if err != nil {
		return nil, err
	}
	p := &Program{path: filepath.Join(programs, name), config: filepath.Join(dir, name+".flags"), log: filepath.Join(dir, name+".log"), address: address}
	var text []byte
	for _, flag := range append(flags, "--rpc_endpoint="+address) {
		text = fmt.Appendf(text, "'%s'\n", flag)
	}
	return p, os.WriteFile(p.config, text, 0o600)
}
