package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/logserver"
	"strongroom.example/strongroom/internal/objects/versitygw"
	"strongroom.example/strongroom/internal/postgresql"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
)

// shared is a vault past one machine: PostgreSQL, Trillian and an S3 server with a process each and more, and strongroomd in any number of
// processes.
type shared struct {
	*world
	program  string // strongroomd
	database *postgresql.Server
	log      *logserver.Log
	bucket   *versitygw.Server
	replicas []*replica
}

// replica is a running strongroomd, with a copy of the vault's folder.
type replica struct {
	process *exec.Cmd
	address client.Address
	web     *http.Client
}

// newShared founds such a vault and staffs it, with one replica.
func newShared(ctx context.Context, b *bench) *shared {
	s := &shared{program: b.strongroomd, world: &world{dir: must(os.MkdirTemp(b.dir, "shared-")), org: evidence.NewID[evidence.OrgID]()}}
	trillian := must(logserver.Find())
	s.database = must(postgresql.Start(ctx, must(postgresql.Find())))
	for _, statement := range [][2]string{
		{"postgres", "create role strongroom_owner login password 'bench'"}, {"postgres", "create role strongroom login password 'bench'"},
		{"postgres", "create database vault owner strongroom_owner"}, {"postgres", "create database log"}, {"log", must(logserver.Schema(trillian))},
	} {
		check(s.database.Exec(ctx, statement[0], statement[1]))
	}
	s.log = must(logserver.Start(ctx, trillian, s.path("log"), s.database.URL("log"), 20*time.Millisecond))
	s.bucket = must(versitygw.Start(ctx, must(versitygw.Find()), s.path("bucket")))
	records := s.database.URLFor("vault", "strongroom", "bench")
	check(os.WriteFile(s.path("owner.url"), []byte(s.database.URLFor("vault", "strongroom_owner", "bench")), 0o600))
	check(os.WriteFile(s.path("records.url"), []byte(records), 0o600))
	check(os.Mkdir(s.path("vault"), 0o700))
	check(os.WriteFile(s.path("vault/strongroomd.yaml"), fmt.Appendf(nil,
		"objects:\n  s3: {endpoint: %q, region: %s, bucket: evidence, ca_file: %q, credentials_file: %q}\nrecords:\n  postgresql: {url_file: %q}\nlog:\n  trillian: {address: %q, ca_file: %q}\n",
		s.bucket.Endpoint, versitygw.Region, s.bucket.CAFile, s.bucket.CredentialsFile, s.path("records.url"), s.log.Address(), s.log.CA), 0o600))
	s.run("migrate", "--url-file", s.path("owner.url"))
	s.run("init", "--data", s.path("vault"), "--origin", origin)
	s.found()
	s.db = must(sqldb.OpenPostgres(ctx, records))
	s.auth = must(auth.New(origin, s.db, s.db, time.Now))
	s.serve(1)
	s.url = s.replicas[0].address.String()
	s.staff(ctx)
	return s
}

// found makes the founders' files and has the vault begin with them.
func (s *shared) found() {
	s.admin, s.custodian = s.newPerson("admin", evidence.Administrator), s.newPerson("custodian", evidence.Custodian)
	s.recovery = must(sealing.NewIdentity()).Recipient()
	args := []string{"init", "--data", s.path("vault"), "--waits", "1s", "--recovery", s.recovery}
	for _, p := range []*person{s.admin, s.custodian} {
		args = append(args, "--founder", s.founder(p, s.path(string(p.role)+".founder")))
	}
	s.run(args...)
	s.trust = must(tlog.ParseTrust(must(os.ReadFile(s.path("vault/trust.json")))))
}

func (s *shared) founder(p *person, path string) string {
	_, file := s.world.founder(p)
	check(os.WriteFile(path, file, 0o600))
	return path
}

func (s *shared) run(args ...string) {
	if out, err := exec.Command(s.program, args...).CombinedOutput(); err != nil {
		check(fmt.Errorf("strongroomd %s: %w\n%s", args[0], err, out))
	}
}

// serve has n replicas run, and no more, once each of them answers.
func (s *shared) serve(n int) {
	for _, r := range s.replicas {
		check(r.process.Process.Signal(syscall.SIGTERM))
	}
	for _, r := range s.replicas {
		check(r.process.Wait())
	}
	s.replicas = nil
	for i := range n {
		data, file := s.path("vault"), s.path("address"+strconv.Itoa(i))
		if i > 0 {
			data += strconv.Itoa(i)
			check(os.RemoveAll(data))
			check(copyFiles(data, s.path("vault")))
		}
		check(os.RemoveAll(file))
		r := &replica{process: exec.Command(s.program, "serve", "--data", data, "--listen", "127.0.0.1:0", "--address-file", file)}
		check(r.process.Start())
		for text := []byte(nil); !strings.HasSuffix(string(text), "\n"); time.Sleep(10 * time.Millisecond) {
			if text, _ = os.ReadFile(file); len(text) > 0 {
				r.address = must(client.ParseAddress(strings.TrimSpace(string(text))))
			}
		}
		r.web = &http.Client{Transport: r.address.Transport()}
		s.replicas = append(s.replicas, r)
	}
}

func copyFiles(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		switch {
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case entry.Type().IsRegular():
			content, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(target, content, 0o600))
		}
		return nil
	})
}

func (s *shared) remove() {
	s.serve(0)
	check(s.db.Close())
	s.run("fsck", "--data", s.path("vault"))
	s.bucket.Kill()
	s.log.Kill()
	s.database.Remove()
	check(os.RemoveAll(s.dir))
}

// replicated is P10.
func replicated(ctx context.Context, b *bench) result {
	each := 16
	if b.quick {
		each = 4
	}
	s := newShared(ctx, b)
	defer s.remove()
	in := s.openCase(ctx)
	consent := s.consent(ctx, in)
	chains := make([]*chain, inFlight)
	for i := range chains {
		chains[i] = s.chainOn(ctx, s.deposit(ctx, in, consent, 1000))
	}
	for _, list := range sign(chains, 1, (*chain).access) {
		check(s.post(s.replicas[0].web, s.replicas[0].address.URL(), s.token(ctx), list[0]))
	}
	counts := []int{1, 2, 4}
	rates, p99, memory := make(map[int][]float64), make(map[int][]float64), make(map[string][]float64)
	for range b.rounds {
		for _, n := range counts {
			s.serve(n)
			token := s.token(ctx)
			at := make(map[evidence.Hash]*replica)
			send := func(signed *custody.Signed) error {
				r := at[signed.LeafHash()]
				return s.post(r.web, r.address.URL(), token, signed)
			}
			next := func(each int) (float64, []time.Duration) {
				lists := sign(chains, each, (*chain).verification)
				for i, list := range lists {
					for _, signed := range list {
						at[signed.LeafHash()] = s.replicas[i%n]
					}
				}
				return drive(lists, send)
			}
			next(1) // somebody leads, and connections are there
			rate, waits := next(each)
			rates[n] = append(rates[n], rate)
			p99[n] = append(p99[n], milliseconds(percentile(waits, 0.99)))
			memory["a replica"] = append(memory["a replica"], anonymousOf(s.replicas[0].process.Process.Pid))
			memory["Trillian's log server"] = append(memory["Trillian's log server"], anonymousOf(s.log.Server.Process().Pid))
			memory["Trillian's signer"] = append(memory["Trillian's signer"], anonymousOf(s.log.Signer.Process().Pid))
			memory["the S3 server"] = append(memory["the S3 server"], anonymousOf(s.bucket.Process().Pid))
		}
	}
	r := result{ID: "P10", Title: fmt.Sprintf("past one machine: custody events per second with a verified receipt, %d in flight, through HTTP", inFlight)}
	for _, n := range counts {
		r.measure(fmt.Sprintf("%d replicas", n), median(rates[n]), "events/s")
		r.measure(fmt.Sprintf("%d replicas: p99", n), median(p99[n]), "ms")
	}
	for _, what := range []string{"a replica", "Trillian's log server", "Trillian's signer", "the S3 server"} {
		r.measure("anonymous memory of "+what, median(memory[what]), "MiB")
	}
	r.atLeast("two replicas to one", median(rates[2])/median(rates[1]), 1)
	r.atLeast("four replicas to one", median(rates[4])/median(rates[1]), 1)
	return r
}
