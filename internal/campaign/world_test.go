package campaign

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/daemon"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi/contracttest"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// world is a vault with its people, each with a folder of their own beside the vault's.
type world struct {
	testing.TB
	dir   string
	trust tlog.Trust
	org   ev.OrgID
	model *model
	seed  uint64

	config   string // strongroomd's configuration file, "" is none
	database string // URL of the records in PostgreSQL, "" is the file in the vault's folder

	place   atomic.Pointer[place] // where the vault answers, nil while it does not
	network atomic.Pointer[network]
	spread  *spread // where there are replicas, instead of place

	admin, custodian, second, clinician, investigator, court *person
}

// place is a host and port, in a namespace or not, and how to speak there; nil is in the clear.
type place struct {
	host string
	tls  *tls.Config
	in   *namespace
}

// person is somebody with keys and a folder.
type person struct {
	*client.Client
	name     string
	key      *keys.Signer
	identity sealing.Identity
	folder   client.Folder
}

var options = daemon.Options{
	Tool: ev.Tool{Name: "strongroomd", Version: "test"}, Limits: vault.DefaultLimits, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
}

// bin is where TestMain builds the programs, without the race detector.
var bin string

// first is a world that was founded and staffed once: tests work in copies of its folder.
var first *world

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		if testing.Short() {
			fmt.Println("the campaign is not run with -short")
			return 0
		}
		dir, err := os.MkdirTemp("", "campaign")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		bin = filepath.Join(dir, "bin")
		build := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "../../cmd/strongroomd", "../../cmd/strongroom")
		if out, err := build.CombinedOutput(); err != nil {
			panic(fmt.Sprintf("go build: %v\n%s", err, out))
		}
		first = &world{TB: setUp{}, dir: filepath.Join(dir, "first"), model: newModel(0)}
		first.found(options)
		return m.Run()
	}())
}

// setUp stands for a test while there is none.
type setUp struct{ testing.TB }

func (setUp) Helper()                  {}
func (setUp) Context() context.Context { return context.Background() }
func (setUp) Fatal(args ...any)        { panic(fmt.Sprint(args...)) }

func (w *world) path(name ...string) string {
	return filepath.Join(append([]string{w.dir}, name...)...)
}

// found makes the vault and brings everybody in.
func (w *world) found(options daemon.Options) {
	ctx := w.Context()
	origin := must(daemon.Create(ctx, w.path("vault"), "", options))(w)
	// Keys without a passphrase: unlocking them would take longer than all else of a start.
	for name, algorithm := range vaultKeys {
		check(w, os.Remove(w.path("vault", "keys", name)))
		must(keys.Create(w.path("vault", "keys", name), algorithm, nil))(w)
	}
	w.org = ev.NewID[ev.OrgID]()
	w.admin, w.custodian = w.newPerson("admin"), w.newPerson("custodian")
	founding := daemon.Founding{Recovery: must(sealing.NewIdentity())(w).Recipient(), Policy: daemon.DefaultPolicy, Version: "test"}
	for role, p := range map[ev.Role]*person{ev.Administrator: w.admin, ev.Custodian: w.custodian} {
		f := client.Founder{Origin: origin, Role: role, Organization: w.org, Signer: p.key, Tool: tool, Time: ev.At(time.Now())}
		if !role.Keyless() {
			f.Recipient = p.identity.Recipient()
		}
		id, file, err := client.Found(f)
		check(w, err)
		check(w, client.WriteProfile(p.folder, client.Profile{Address: vaultAddress, Actor: id}))
		founding.Founders = append(founding.Founders, file)
	}
	w.trust = must(daemon.Found(ctx, w.path("vault"), options, founding))(w)
	w.model.keys = w.trust.LogKeys()
	d := must(daemon.Open(ctx, w.path("vault"), options))(w)
	l := must(net.Listen("tcp", "127.0.0.1:0"))(w)
	server := &http.Server{Handler: d.Handler()}
	go server.Serve(l)
	w.place.Store(&place{host: l.Addr().String()})
	w.join(w.admin)
	w.join(w.custodian)
	w.second = w.enrol("second", ev.Custodian, w.admin, w.custodian)
	w.clinician = w.enrol("clinician", ev.Clinician, w.admin, w.custodian)
	w.investigator = w.enrol("investigator", ev.Investigator, w.admin, w.custodian)
	w.court = w.enrol("court", ev.Court, w.custodian, w.admin)
	check(w, server.Close())
	check(w, d.Close())
}

// newWorld is a copy of the first one, at rest.
func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{TB: t, dir: t.TempDir(), trust: first.trust, org: first.org, seed: seed, model: newModel(seed)}
	w.model.keys = w.trust.LogKeys()
	check(t, copyFolder(w.dir, first.dir))
	meet := func(p *person) *person {
		folder := must(client.OpenFolder(w.path(p.name)))(t)
		return w.join(&person{name: p.name, key: p.key, identity: p.identity, folder: folder})
	}
	w.admin, w.custodian, w.second = meet(first.admin), meet(first.custodian), meet(first.second)
	w.clinician, w.investigator, w.court = meet(first.clinician), meet(first.investigator), meet(first.court)
	return w
}

// copyFolder copies the files of a folder with their modes. Objects never change, so they are linked.
func copyFolder(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return errors.Join(os.MkdirAll(target, 0o700), os.Chmod(target, info.Mode()))
		case !d.Type().IsRegular(): // the operator's socket
			return nil
		case info.Mode().Perm() == 0o400:
			return os.Link(path, target)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, info.Mode())
	})
}

var vaultKeys = map[string]keys.Algorithm{"log.pem": keys.P256, "log-ed25519.pem": keys.Ed25519, "vault.pem": keys.P256}

const vaultAddress = "http://vault.example"

var tool = ev.Tool{Name: "strongroom", Version: "test"}

// newPerson has keys in a folder that the command line reads too.
func (w *world) newPerson(name string) *person {
	w.Helper()
	p := &person{name: name, identity: must(sealing.NewIdentity())(w), folder: must(client.OpenFolder(w.path(name)))(w)}
	p.key = must(keys.Create(w.path(name, "signing.pem"), keys.P256, nil))(w)
	check(w, p.folder.Write("identity.age", sealing.PlainIdentityFile(p.identity)))
	return p
}

// join pins the trust file and opens the person's client, on whose way to the vault everything is written down.
func (w *world) join(p *person) *person {
	w.Helper()
	profile, err := client.ReadProfile(p.folder)
	if errors.Is(err, fs.ErrNotExist) {
		profile.Address, err = vaultAddress, client.WriteProfile(p.folder, client.Profile{Address: vaultAddress})
	}
	check(w, err)
	check(w, client.Pin(p.folder, w.trust))
	p.Client = must(client.New(client.Config{
		Keystore: p.folder, Signer: p.key, Unlock: func() (sealing.Identity, error) { return p.identity, nil },
		HTTP: &http.Client{Transport: &recorder{world: w, person: p, way: w.way(p)}}, Tool: tool, Now: time.Now,
	}))(w)
	return p
}

// way is a person's way to the vault, or anybody's. Whatever befalls the vault, each answer is of its contract.
func (w *world) way(p *person) http.RoundTripper {
	var way http.RoundTripper
	switch {
	case w.spread == nil:
		way = &http.Transport{DialContext: w.dial, ResponseHeaderTimeout: 30 * time.Second}
	case p == nil:
		way = w.spread
	default:
		way = w.spread.watched(p)
	}
	return contracttest.Checked{T: w.TB, Next: way}
}

// records opens the records, in a vault's folder or wherever they are.
func (w *world) records(folder string) *sqldb.DB {
	w.Helper()
	if w.database != "" {
		return must(sqldb.OpenPostgres(context.Background(), w.database))(w)
	}
	return must(sqldb.Open(context.Background(), filepath.Join(folder, "records.db")))(w)
}

var errDown = errors.New("the vault is down")

// dial goes to wherever the vault answers now.
func (w *world) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	return w.place.Load().dial(ctx, network)
}

func (p *place) dial(ctx context.Context, network string) (net.Conn, error) {
	if p == nil {
		return nil, errDown
	}
	conn, err := p.in.dial(ctx, network, p.host)
	if err != nil || p.tls == nil {
		return conn, err
	}
	safe := tls.Client(conn, p.tls)
	if err := safe.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return safe, nil
}

// enrol brings a person in: invited and admitted by one, confirmed by another.
func (w *world) enrol(name string, role ev.Role, by, confirmer *person) *person {
	w.Helper()
	ctx := w.Context()
	p := w.join(w.newPerson(name))
	secret, digest, err := by.Invite(ctx, client.Offer{Role: role, Organization: w.org})
	check(w, err)
	fingerprint := must(p.AnswerInvitation(ctx, secret))(w)
	_, err = by.Admit(ctx, digest, "")
	check(w, err)
	_, err = confirmer.Confirm(ctx, client.Confirmation{Actor: p.Actor(), Typed: tlog.SixGroups(fingerprint), Method: ev.InPerson})
	check(w, err)
	return p
}

func must[V any](v V, err error) func(t testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		check(t, err)
		return v
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
