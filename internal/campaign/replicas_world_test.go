package campaign

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/logserver"
	"strongroom.example/strongroom/internal/objects/versitygw"
	"strongroom.example/strongroom/internal/postgresql"
	"strongroom.example/strongroom/internal/sqldb"
)

// cluster is one vault that several processes serve, and what they stand on.
type cluster struct {
	*campaign
	database *postgresql.Server
	log      *logserver.Log
	store    *versitygw.Server
	records  *sqldb.DB // past the lines
	replicas []*replica
}

// replica is one process, with a line to each engine.
type replica struct {
	process
	number int
	lines  [engines]*line
}

// engine is what all replicas stand on.
type engine int

const (
	inRecords engine = iota
	inLog
	inObjects
	engines
)

// programs are those of others that are needed.
type programs struct{ postgresql, trillian, versitygw string }

func findPrograms(t *testing.T) (p programs) {
	t.Helper()
	var errs [3]error
	p.postgresql, errs[0] = postgresql.Find()
	p.trillian, errs[1] = logserver.Find()
	p.versitygw, errs[2] = versitygw.Find()
	for _, err := range errs {
		switch {
		case errors.Is(err, postgresql.ErrMissing), errors.Is(err, logserver.ErrMissing), errors.Is(err, versitygw.ErrMissing):
			t.Skip(err)
		case err != nil:
			t.Fatal(err)
		}
	}
	return p
}

const (
	role     = "strongroom"
	password = "of the campaign"
	members  = 3
)

// newCluster founds a vault on engines of its own and starts the replicas.
func newCluster(t *testing.T, p programs, seed uint64) *cluster {
	t.Helper()
	ctx := t.Context()
	w := &world{TB: t, dir: t.TempDir(), seed: seed, model: newModel(seed)}
	c := &cluster{database: must(postgresql.Start(ctx, p.postgresql))(t)}
	t.Cleanup(c.database.Remove)
	for _, do := range []struct{ database, statement string }{
		{"postgres", fmt.Sprintf(`create role %s login password '%s'`, role, password)}, {"postgres", `create database vault`}, {"postgres", `create database log`},
		{"log", must(logserver.Schema(p.trillian))(t)},
	} {
		check(t, c.database.Exec(ctx, do.database, do.statement))
	}
	c.log = must(logserver.Start(ctx, p.trillian, w.path("trillian"), c.database.URL("log"), 50*time.Millisecond))(t)
	t.Cleanup(c.log.Kill)
	c.store = must(versitygw.Start(ctx, p.versitygw, w.path("bucket")))(t)
	t.Cleanup(c.store.Kill)
	check(t, os.WriteFile(w.path("owner.url"), []byte(c.database.URL("vault")+"\n"), 0o600))
	check(t, daemon.MigrateRecords(ctx, w.path("owner.url"), role))

	w.database = c.database.URLFor("vault", role, password)
	o := options
	o.ConfigFile = c.configure(w, "founding", w.database, c.log.Address(), c.store.Endpoint)
	w.found(o)
	c.records = w.records("")
	t.Cleanup(func() { c.records.Close() })
	var places []*atomic.Pointer[place]
	for i := range members {
		r := c.newReplica(w, i)
		c.replicas, places = append(c.replicas, r), append(places, r.at)
	}
	w.spread = newSpread(seed, newHistory(w.model.keys), places...)
	t.Cleanup(w.spread.drop)
	for _, p := range []*person{w.admin, w.custodian, w.second, w.clinician, w.investigator, w.court} {
		w.join(p)
	}
	c.campaign = begin(w)
	c.small = true
	for _, hand := range c.workers {
		switch hand.person {
		case w.investigator:
			hand.acts = append(hand.acts, act{"large deposit", 2, (*worker).large}, act{"hot open", 8, (*worker).hot})
		case w.custodian, w.second:
			hand.acts = append(hand.acts, act{"hot open", 10, (*worker).hot})
		}
	}
	for _, r := range c.replicas {
		r.start()
	}
	return c
}

// configure writes a configuration file that says where the engines are.
func (c *cluster) configure(w *world, name, records, log, store string) string {
	check(w, os.WriteFile(w.path(name+".url"), []byte(records+"\n"), 0o600))
	file := w.path(name + ".yaml")
	check(w, os.WriteFile(file, fmt.Appendf(nil, `records:
  postgresql: {url_file: %q}
log:
  trillian: {address: %q, ca_file: %q}
objects:
  s3: {endpoint: %q, region: %s, bucket: evidence, ca_file: %q, credentials_file: %q}
`, w.path(name+".url"), log, c.log.CA, store, versitygw.Region, c.store.CAFile, c.store.CredentialsFile), 0o600))
	return file
}

// newReplica has a copy of the vault's folder, and lines to the engines: in a network of its own where that can be made.
func (c *cluster) newReplica(w *world, number int) *replica {
	w.Helper()
	r := &replica{number: number, process: process{world: w, folder: fmt.Sprint("replica-", number), at: new(atomic.Pointer[place])}}
	in, err := newNamespace(w)
	if err != nil {
		w.Logf("replica %d is cut off by its lines alone, not by the kernel: %v", number, err)
	} else {
		r.in, r.under = in, in.under()
	}
	direct := must(url.Parse(w.database))(w)
	s3 := must(url.Parse(c.store.Endpoint))(w)
	for e, to := range []string{inRecords: direct.Host, inLog: c.log.Address(), inObjects: s3.Host} {
		r.lines[e] = newLine(w, r.in, to, engine(e) == inRecords, w.seed+uint64(10*number+e))
	}
	direct.Host, direct.RawQuery = r.lines[inRecords].address(), "sslmode=disable" // so that the line can tell a commit
	s3.Host = r.lines[inObjects].address()
	check(w, copyFolder(r.data(), w.path("vault")))
	file := c.configure(w, r.folder, direct.String(), r.lines[inLog].address(), s3.String())
	check(w, os.Rename(file, w.path(r.folder, "strongroomd.yaml")))
	return r
}

// cut has nothing pass between a replica and an engine, or lets it pass again. What was on its way arrives late.
func (r *replica) cut(e engine, on bool) {
	r.Helper()
	line := r.lines[e]
	switch {
	case r.in != nil:
		r.in.drop(line.address(), "", on)
	case on:
		line.now.Store(int32(silent))
	default:
		line.now.Store(int32(quiet))
	}
}

// mood sets the mood of all lines to an engine.
func (c *cluster) mood(e engine, to mood) {
	for _, r := range c.replicas {
		r.lines[e].now.Store(int32(to))
	}
}

// broken says what the lines did.
func (c *cluster) broken() string {
	var broken, lost int64
	for _, r := range c.replicas {
		for _, l := range r.lines {
			broken, lost = broken+l.broken.Load(), lost+l.lost.Load()
		}
	}
	return fmt.Sprintf("%d connections were broken, %d of them after a commit", broken, lost)
}

// lost is how many commits were done whose answers did not arrive.
func (c *cluster) lost() (n int64) {
	for _, r := range c.replicas {
		n += r.lines[inRecords].lost.Load()
	}
	return n
}
