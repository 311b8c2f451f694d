package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi/contracttest"
	"strongroom.example/strongroom/internal/logserver"
	"strongroom.example/strongroom/internal/postgresql"
	"strongroom.example/strongroom/internal/wire"
)

// engines are a PostgreSQL and a Trillian over it, for all tests of this package.
type engines struct {
	dir      string
	database *postgresql.Server
	log      *logserver.Log
}

// serverPassword is that of the server's role, strongroom.
const serverPassword = "of tests"

var startEngines = sync.OnceValues(func() (*engines, error) {
	trillian, err := logserver.Find()
	if err != nil {
		return nil, err
	}
	programs, err := postgresql.Find()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	e := &engines{dir: must(os.MkdirTemp("", "strongroom-engines-"))}
	e.database = must(postgresql.Start(ctx, programs))
	must(0, e.database.Exec(ctx, "postgres", fmt.Sprintf(`create role strongroom login password '%s'`, serverPassword)))
	name := must(e.database.NewDatabase(ctx))
	must(0, e.database.Exec(ctx, name, must(logserver.Schema(trillian))))
	e.log = must(logserver.Start(ctx, trillian, filepath.Join(e.dir, "log"), e.database.URL(name), 50*time.Millisecond))
	enginesStarted = e
	return e, nil
})

var enginesStarted *engines

func stopEngines() {
	if e := enginesStarted; e != nil {
		e.log.Kill()
		e.database.Remove()
		os.RemoveAll(e.dir)
	}
}

func someEngines(t *testing.T) *engines {
	t.Helper()
	e, err := startEngines()
	if errors.Is(err, logserver.ErrMissing) || errors.Is(err, postgresql.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// written puts a text into a file of its own.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	must(0, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// newDatabase is an empty one: the files of its owner's address and of the server's.
func (e *engines) newDatabase(t *testing.T) (owner, server string) {
	t.Helper()
	name := must(e.database.NewDatabase(t.Context()))
	return written(t, e.database.URL(name)+"\n"), written(t, e.database.URLFor(name, "strongroom", serverPassword)+"\n")
}

func (e *engines) recordsConfig(server string) string {
	return fmt.Sprintf("records:\n  postgresql: {url_file: %q}\n", server)
}

func (e *engines) logConfig() string {
	return fmt.Sprintf("log:\n  trillian: {address: %q, ca_file: %q}\n", e.log.Address(), e.log.CA)
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// serving is a vault that is served on loopback.
type serving struct {
	d      *Daemon
	client *http.Client
	url    string
	stop   context.CancelFunc
	ended  chan error
}

func serve(t *testing.T, dir string, o Options) *serving {
	t.Helper()
	d, err := Open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	own := must(d.Loopback())
	roots := x509.NewCertPool()
	roots.AddCert(must(own.Certificate(nil)).Leaf)
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	s := &serving{
		d: d, url: "https://" + l.Addr().String(), stop: stop, ended: make(chan error, 1),
	}
	way := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}, ForceAttemptHTTP2: true}
	s.client = &http.Client{Transport: contracttest.Checked{T: t, Next: way}, Timeout: time.Minute}
	go func() { s.ended <- errors.Join(d.Serve(ctx, l, own.Certificate), d.Close()) }()
	t.Cleanup(stop)
	return s
}

func (s *serving) close(t *testing.T) {
	t.Helper()
	s.client.CloseIdleConnections()
	s.stop()
	if err := <-s.ended; err != nil {
		t.Errorf("served: %v", err)
	}
}

func (s *serving) health() (h wire.Health, code int) {
	resp, err := s.client.Get(s.url + "/readyz")
	if err != nil {
		return h, 0
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(&h)
	return h, resp.StatusCode
}

// is waits until the server says this of what it stands on.
func (s *serving) is(t *testing.T, code int, on wire.Dependencies) {
	t.Helper()
	until(t, fmt.Sprintf("%d, %+v", code, on), func() bool {
		h, got := s.health()
		return got == code && h.Dependencies != nil && *h.Dependencies == on
	})
}

// elsewhere makes and founds a vault whose records and log are in the engines, and its objects where more of the configuration says.
func elsewhere(t *testing.T, e *engines, more ...string) (dir string, o Options, c cast) {
	t.Helper()
	owner, server := e.newDatabase(t)
	o = testOptions()
	o.Limits.Answer = 2 * time.Second
	o.ConfigFile = written(t, e.recordsConfig(server)+e.logConfig()+strings.Join(more, ""))
	dir = filepath.Join(t.TempDir(), "vault")
	if _, err := Create(t.Context(), dir, "", o); err == nil || !strings.Contains(err.Error(), "strongroomd migrate") {
		t.Fatalf("without tables: %v", err)
	}
	for range 2 { // the second time changes nothing
		must(0, MigrateRecords(t.Context(), owner, "strongroom"))
	}
	c, founding := unfounded(dir, func(set *Options) { *set = o })
	for range 2 {
		must(Found(t.Context(), dir, o, founding))
	}
	for _, name := range []string{folder(dir).records(), folder(dir).log()} {
		if _, err := os.Stat(name); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	return dir, o, c
}

// A vault on PostgreSQL and Trillian is founded, used, stopped and started; while it serves the database is restarted, killed, and the signer
// stopped: what was acknowledged stays, and everything comes back by itself.
func TestEngines(t *testing.T) {
	e := someEngines(t)
	dir, o, c := elsewhere(t, e)
	s := serve(t, dir, o)
	well := wire.Dependencies{Records: wire.DependencyOk, Log: wire.DependencyOk, Objects: wire.DependencyOk}
	s.is(t, 200, well)
	p := s.d.parts
	in, _, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	var acknowledged []ev.Hash
	deposit := func() error {
		_, outcome, err := c.deposit(p, in, 5_000)
		if err == nil {
			acknowledged = append(acknowledged, outcome.LeafHash)
		}
		return err
	}
	must(0, deposit())

	// PostgreSQL goes, with the records and what is under the log server, and comes back.
	must(0, e.database.Stop())
	s.is(t, 503, wire.Dependencies{Records: wire.DependencyDown, Log: wire.DependencyDown, Objects: wire.DependencyOk})
	if err := deposit(); err == nil {
		t.Error("a deposit without records was acknowledged")
	}
	must(0, e.database.Run(t.Context()))
	s.is(t, 200, well)
	until(t, "a deposit after PostgreSQL was stopped", func() bool { return deposit() == nil })
	e.database.Kill()
	must(0, e.database.Run(t.Context()))
	until(t, "a deposit after PostgreSQL was killed", func() bool { return deposit() == nil })

	// The signer stops: events are accepted and wait. The log server goes: that is told.
	e.log.Signer.Kill()
	waiting, outcome, err := c.openCase(p)
	if err != nil || outcome.Receipt != nil {
		t.Errorf("without the signer: %+v, %v", outcome, err)
	}
	e.log.Server.Kill()
	s.is(t, 200, wire.Dependencies{Records: wire.DependencyOk, Log: wire.DependencyDown, Objects: wire.DependencyOk})
	must(0, e.log.Server.Run(t.Context()))
	must(0, e.log.Signer.Run(t.Context()))
	s.is(t, 200, well)
	must(0, p.settle(t.Context()))
	if states := must(p.records.States(t.Context(), ev.CaseOf(waiting))); states[ev.CaseOf(waiting)] == nil {
		t.Error("the case that was opened without a signer is gone")
	}
	must(0, deposit())
	s.close(t)

	examined := clean(t, dir, o)
	if examined.Pending > 1 || examined.Objects != int64(len(acknowledged)) {
		t.Errorf("%d acknowledged: %+v", len(acknowledged), examined)
	}
	again := must(open(t.Context(), dir, o))
	for _, leaf := range acknowledged {
		if entry, err := again.records.Entry(t.Context(), leaf); err != nil || !entry.Included() {
			t.Errorf("an acknowledged deposit: %+v, %v", entry, err)
		}
	}
	must(0, again.close())
}
