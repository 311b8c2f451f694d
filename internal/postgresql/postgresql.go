// Package postgresql runs a real PostgreSQL for tests and for the demonstration: a cluster of its own in a folder of its own, on loopback, with
// TLS and passwords, and never as root. It is no part of a vault, which is given the address of a server that somebody else keeps.
package postgresql

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"strongroom.example/strongroom/internal/installed"
)

// ErrMissing means that PostgreSQL's programs are not there.
var ErrMissing = errors.New("PostgreSQL is not installed (on Debian: apt-get install postgresql)")

// Find returns the folder of PostgreSQL's programs: of the newest version where Debian puts them, or the one in which PATH finds initdb.
func Find() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	version := func(program string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(program))))
		return n
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	if program, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(program), nil
	}
	return "", ErrMissing
}

// Superuser is the name of the role that may do everything.
const Superuser = "operator"

// Server is one cluster.
type Server struct {
	bin, dir, port string
	password       string
	settings       []string
	owner          *syscall.Credential // who runs it, if that is not who we are
	process        *exec.Cmd
}

// Start makes a cluster and runs it, with settings ("name=value") besides its own. programs is what Find returned.
func Start(ctx context.Context, programs string, settings ...string) (_ *Server, err error) {
	s := &Server{bin: programs, password: rand.Text(), settings: settings}
	if s.owner, err = unprivileged(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "strongroom-postgresql-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.Remove()
		}
	}()
	address, err := installed.FreeAddress()
	if err != nil {
		return nil, err
	}
	if _, s.port, err = net.SplitHostPort(address); err != nil {
		return nil, err
	}
	if err := errors.Join(installed.WriteCertificate(s.path("server.crt"), s.path("server.key")), os.WriteFile(s.path("password"), []byte(s.password), 0o600)); err != nil {
		return nil, err
	}
	if s.owner != nil {
		for _, name := range []string{"", "server.crt", "server.key", "password"} {
			if err := os.Chown(s.path(name), int(s.owner.Uid), int(s.owner.Gid)); err != nil {
				return nil, err
			}
		}
	}
	initdb := s.command("initdb", "--pgdata", s.path("data"), "--username", Superuser, "--pwfile", s.path("password"), "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	initdb.Stdout, initdb.Stderr = nil, nil
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, bytes.TrimSpace(out))
	}
	return s, s.Run(ctx)
}

// Run starts the server of a cluster that was stopped or killed, at the same address, and waits until it answers.
func (s *Server) Run(ctx context.Context) error {
	args := []string{"-D", s.path("data"), "-p", s.port}
	for _, setting := range append([]string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "ssl=on", "ssl_cert_file=" + s.path("server.crt"),
		"ssl_key_file=" + s.path("server.key"), "max_connections=100", "shared_buffers=64MB"}, s.settings...) {
		args = append(args, "-c", setting)
	}
	log, err := os.OpenFile(s.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.command("postgres", args...)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		s.Kill()
		out, _ := os.ReadFile(s.path("log"))
		return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, bytes.TrimSpace(out))
	}
	return nil
}

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := s.Exec(ctx, "postgres", `select 1`)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}

// Exec runs a statement in a database, as Superuser.
func (s *Server) Exec(ctx context.Context, database, statement string) error {
	db, err := sql.Open("pgx", s.URL(database))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}

// URL is the address of a database for Superuser.
func (s *Server) URL(database string) string { return s.URLFor(database, Superuser, s.password) }

// URLFor is the address of a database for a role. It holds the password.
func (s *Server) URLFor(database, role, password string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(role, password), Host: net.JoinHostPort("127.0.0.1", s.port), Path: database}
	u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {s.path("server.crt")}}.Encode()
	return u.String()
}

// NewDatabase makes an empty database under a name of its own.
func (s *Server) NewDatabase(ctx context.Context) (name string, err error) {
	name = "d" + strings.ToLower(rand.Text())
	return name, s.Exec(ctx, "postgres", `create database `+name)
}

// Stop ends the server as an operator does who is in a hurry: connections are cut, what was committed is on disk. Run starts it again.
func (s *Server) Stop() error {
	if err := s.process.Process.Signal(syscall.SIGINT); err != nil {
		return err
	}
	return s.process.Wait()
}

// Kill ends the server and all its processes at once, as a power cut of that machine's processes would. Run starts it again.
func (s *Server) Kill() {
	_ = s.process.Process.Signal(syscall.SIGQUIT)
	_ = s.process.Wait()
}

// Remove ends the server, if it runs, and removes the cluster.
func (s *Server) Remove() {
	if s.process != nil && s.process.ProcessState == nil {
		s.Kill()
	}
	_ = os.RemoveAll(s.dir)
}

// Folder is where the cluster lies.
func (s *Server) Folder() string { return s.path("data") }

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// command is one of PostgreSQL's programs, as who runs it, in the cluster's folder: the present one may be closed to them.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...) //#nosec G204 -- a program that the caller found
	c.Dir = s.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return c
}
