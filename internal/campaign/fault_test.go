package campaign

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/vault"
)

// inside is the vault in this process, put together as package daemon does, with faults at every port.
type inside struct {
	*world
	faults *faults

	records *sqldb.DB
	tree    *embedded.Log
	store   objects.Store
	bucket  *bucket // nil is a folder
	ledger  *ledger.Ledger
	server  *http.Server

	stopSweep context.CancelFunc
	sweeping  sync.WaitGroup
}

func (in *inside) now() time.Time {
	now := time.Now()
	if s := in.faults.now.Load(); s != nil {
		now = now.Add(s.clock)
	}
	return now
}

// open opens the vault from its folder. The ledger is opened through the faults, so it may fail.
func (in *inside) open() error {
	in.Helper()
	ctx := context.Background()
	var settings struct {
		Origin string
		Actor  ev.ActorID
	}
	check(in, json.Unmarshal(must(os.ReadFile(in.path("vault", "vault.json")))(in), &settings))
	signers := make(map[string]*keys.Signer)
	for name := range vaultKeys {
		signers[name] = must(keys.Open(ctx, in.path("vault", "keys", name), nil))(in)
	}
	in.tree = must(embedded.Open(ctx, in.path("vault", "log.db"), embedded.Options{Clock: in.now, Logger: options.Logger}))(in)
	in.records = must(sqldb.Open(ctx, in.path("vault", "records.db")))(in)
	in.ledger, in.store = nil, nil
	var err error
	if in.bucket == nil {
		in.store = must(fs.Open(in.path("vault", "objects")))(in)
	} else if in.store, err = in.openBucket(ctx, settings.Origin); err != nil {
		in.close()
		return err
	}

	records := faultyRecords{in.records, in.faults}
	config := ledger.Config{
		Origin: settings.Origin, Records: records, Tree: faultyTree{in.tree, in.faults}, Keys: in.trust.LogKeys(),
		LogID: must(tlog.LogID(signers["log.pem"].Public()))(in), CheckpointFile: in.path("vault", "checkpoint"),
		Signers: []note.Signer{
			must(signers["log.pem"].NoteSigner(settings.Origin))(in), must(signers["log-ed25519.pem"].NoteSigner(settings.Origin))(in),
		},
		Vault: ledger.Author{ID: settings.Actor, SPKI: signers["vault.pem"].SPKI(), Signer: signers["vault.pem"], Tool: options.Tool},
		Now:   in.now, Logger: options.Logger,
	}
	for _, f := range in.trust.Founders() {
		config.Founders = append(config.Founders, ev.Founder{Actor: ev.ActorID(f.Actor), Role: ev.Role(f.Role), Key: custody.KeyID(f.Key)})
	}
	if in.ledger, err = ledger.Open(ctx, config); err != nil {
		in.ledger = nil
		in.close()
		return err
	}
	limits := vault.DefaultLimits
	limits.Answer = 300 * time.Millisecond // so that some are answered "pending"
	v := vault.New(vault.Config{
		Origin: settings.Origin, Founders: config.Founders, Records: records, Objects: faultyObjects{in.store, in.faults}, Ledger: in.ledger,
		Author: config.Vault, Now: in.now, Logger: options.Logger, Limits: limits,
	})
	handler := must(httpapi.New(httpapi.Config{
		Vault: v, Auth: must(auth.New(settings.Origin, records, records, in.now))(in), TrustFingerprint: ev.Hash(in.trust.Fingerprint()),
		TrustFile:     func(context.Context, string) (string, error) { return string(in.trust.Marshal()), nil },
		Logger:        slog.New(slog.DiscardHandler),
		Organizations: func() (map[ev.OrgID]string, error) { return nil, nil },
	}))(in)
	in.server = &http.Server{Handler: handler}
	l := must(net.Listen("tcp", "127.0.0.1:0"))(in)
	go in.server.Serve(l)
	var sweep context.Context
	sweep, in.stopSweep = context.WithCancel(ctx)
	in.sweeping.Go(func() { v.SweepEvery(sweep, 300*time.Millisecond) })
	in.place.Store(&place{host: l.Addr().String()})
	return nil
}

func (in *inside) openBucket(ctx context.Context, origin string) (objects.Store, error) {
	store, err := s3.Open(ctx, in.bucket.config(origin))
	if err != nil {
		return nil, err
	}
	return store, nil
}

func (in *inside) close() {
	in.Helper()
	in.place.Store(nil)
	if in.ledger != nil {
		check(in, in.server.Close())
		in.stopSweep()
		in.sweeping.Wait()
		check(in, in.ledger.Close())
	}
	if in.store != nil {
		check(in, in.store.Close())
	}
	check(in, in.tree.Close())
	check(in, in.records.Close())
}

// begin opens the vault in whatever weather it is. Nobody helps it but by starting it again.
func (in *inside) begin() {
	in.Helper()
	for attempt := 1; ; attempt++ {
		err := in.open()
		if err == nil {
			return
		}
		if attempt == 20 {
			in.Fatalf("the vault does not open: %v", err)
		}
		if attempt == 5 {
			in.clear()
		}
	}
}

// clear ends a storm.
func (in *inside) clear() {
	in.faults.now.Store(nil)
	in.network.Store(nil)
	if in.bucket != nil {
		in.bucket.turn(fair)
	}
}

// calm waits until all that was accepted is in the log.
func (in *inside) calm() {
	in.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		pending := must(in.records.Pending(context.Background(), 10))(in)
		if len(pending) == 0 {
			return
		}
		if time.Now().After(deadline) {
			in.Fatalf("%d events stay pending when everything works again", len(pending))
		}
	}
}

// Every port fails in every way while people work: nothing is lost, nothing is doubled, and nobody has to mend anything. The normal run
// meets each storm once; STRONGROOM_LONG=1 takes twenty times as many, in several vaults.
func TestStorms(t *testing.T) {
	t.Parallel()
	vaults, seed := 1, seed(t)
	if long {
		vaults = 20
	}
	for v := range number("STRONGROOM_VAULTS", vaults) {
		t.Run(fmt.Sprint("vault ", v), func(t *testing.T) { stormy(newWorld(t, seed+uint64(v)), nil, storms) })
		if t.Failed() {
			return
		}
	}
}

// stormy has people work in a vault, with its objects in a bucket unless that is nil, while each of the storms passes once.
func stormy(w *world, b *bucket, list []storm) {
	w.Helper()
	c := begin(w)
	c.small = true
	in := &inside{world: w, bucket: b, faults: &faults{dice: rand.New(rand.NewPCG(w.seed, 100)), struck: make(map[string]int)}}
	in.begin()
	c.work()
	for range 30 { // for something to be there
		w.await(atReceipt, time.Second/2)
	}
	for round, i := range w.model.rand.Perm(len(list)) {
		s := &list[i]
		in.faults.now.Store(s)
		if s.lossy {
			w.network.Store(&network{dice: rand.New(rand.NewPCG(w.seed, uint64(1000+i)))})
		}
		if b != nil {
			b.turn(s.bucket)
			b.felt(s.bucket, 5*time.Second)
		}
		time.Sleep(time.Duration(400+w.model.rand.IntN(800)) * time.Millisecond)
		if round%4 == 3 { // stopped in the middle of it, and started
			in.close()
			in.begin()
		}
		in.clear()
		if w.Failed() {
			w.Logf("storm: %s", s.name)
			break
		}
		for range 6 { // it works again
			w.await(atReceipt, time.Second/2)
		}
	}
	c.rest()
	in.calm()
	c.settle()
	c.opensAgain(10)
	c.delivers()
	w.consistent()
	in.calm()
	in.close()
	w.Log(c.summary())
	w.Log(in.faults.summary())
	if examined := w.examine(w.left(), w.model.said()); examined["pending"] != 0.0 {
		w.Errorf("%v events are pending at the end", examined["pending"])
	}
}
