package campaign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/client"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// Three replicas serve one vault while people work with it through all of them at once, and one blow falls after the other: nothing that was
// acknowledged is lost, nothing is there twice, every stream is one stream wherever it is asked about, and everything comes back without an
// operator. The normal run deals each blow once, of two to the leader one; STRONGROOM_LONG=1 more of them three times, in each of five vaults.
//
// Some twenty processes share the machine, so nothing else should: scripts/test runs it by itself.
func TestReplicas(t *testing.T) {
	if os.Getenv("STRONGROOM_ALONE") == "" {
		t.Skip("STRONGROOM_ALONE is not set: this needs the machine for itself")
	}
	vaults, rounds, seed := 1, 1, seed(t)
	if long {
		vaults, rounds = 5, 3
	}
	p := findPrograms(t)
	for v := range number("STRONGROOM_VAULTS", vaults) {
		t.Run(fmt.Sprint("vault ", v), func(t *testing.T) { struck(newCluster(t, p, seed+uint64(v)), number("STRONGROOM_ROUNDS", rounds)) })
		if t.Failed() {
			return
		}
	}
}

func struck(c *cluster, rounds int) {
	c.Helper()
	began := time.Now()
	c.work()
	defer c.rest()
	c.goOn(20) // for something to be there
	for range rounds {
		for _, b := range c.blows() {
			c.Logf("%v: %s", time.Since(began).Round(time.Second), b.name)
			b.strike(c)
			c.recovers()
			if c.Failed() {
				return
			}
		}
	}
	c.rest()
	c.Logf("%v: over", time.Since(began).Round(time.Second))
	c.until("everything accepted is in the log", func() bool {
		list, err := c.records.Pending(c.Context(), 1)
		return err == nil && len(list) == 0
	})
	c.settle()
	c.opensAgain(3)
	c.delivers()
	investigator := c.workers[slices.IndexFunc(c.workers, func(w *worker) bool { return w.person == c.investigator })]
	c.until("a large deposit, carried on from one to the next", func() bool {
		err := investigator.large(c.Context())
		if err != nil { // where all is slow its event grows older than two minutes before it is taken
			c.Logf("a large deposit: %v", err)
		}
		return err == nil
	})
	c.consistent()
	c.recovers()
	for _, r := range c.replicas {
		r.terminate()
	}
	c.Log(c.summary())
	c.Logf("answers by replica: %v; %d uploads carried on by another; %s", c.spread.answers, c.spread.carriedOn(), c.broken())
	if c.spread.carriedOn() == 0 {
		c.Error("no upload was carried on by another replica")
	}
	c.afterwards()
	c.Logf("%v: examined", time.Since(began).Round(time.Second))
}

// afterwards looks at everything there is, while nothing runs.
func (c *cluster) afterwards() {
	c.Helper()
	var entries []ledger.Entry
	c.model.events(c, c.records, func(e ledger.Entry) { entries = append(entries, e) })
	at, heads := make(map[int64]bool), int64(-1)
	for _, e := range entries {
		receipt, err := tlog.ParseReceipt(e.Receipt)
		if err == nil {
			var fact tlog.Included
			if fact, err = receipt.Verify(c.model.keys); err == nil && (fact.Index() != e.Index || ev.Hash(fact.LeafHash()) != e.LeafHash) {
				err = errors.New("it is of another event")
			}
		}
		if err != nil {
			c.Errorf("the receipt of %s %s %s: %v", e.Kind, e.Stream.Type, e.Stream.ID, err)
		}
		at[e.Index] = true
		if e.Stream.Type == ev.VaultStream {
			if e.Seq != heads+1 {
				c.Errorf("publication %d of the heads comes after %d", e.Seq, heads)
			}
			heads = e.Seq
		}
	}
	newest := must(tlog.OpenCheckpoint(must(c.records.Checkpoint(context.Background()))(c), c.model.keys))(c)
	if int64(len(at)) != newest.Size || newest.Size != int64(len(entries)) {
		c.Errorf("%d events at %d places of a log of %d", len(entries), len(at), newest.Size)
	}
	c.spread.history.check(c, c.model.founding, entries)

	said, apart := c.model.said(), tlog.Checkpoint{}
	var file []byte
	for _, r := range c.replicas {
		note := must(os.ReadFile(r.data() + "/checkpoint"))(c)
		if cp := must(tlog.OpenCheckpoint(note, c.model.keys))(c); file == nil || cp.Size > apart.Size {
			file, apart = note, cp
		}
	}
	c.model.kept(c, said, c.world.records(""), file)
	for _, r := range c.replicas {
		if !long && r.number > 0 {
			break
		}
		if examined := c.fsck(r.data(), r.under...); examined["pending"] != 0.0 || examined["leaves"] != float64(newest.Size) || examined["events"] != float64(newest.Size) {
			c.Errorf("fsck examined %v of a log of %d", examined, newest.Size)
		}
	}
}

// until waits for something that must come.
func (c *cluster) until(what string, holds func() bool) {
	c.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			for _, r := range c.replicas {
				c.Logf("replica %d:\n%s", r.number, tail(r.said.String()))
			}
			c.Fatalf("it never came: %s", what)
		}
	}
}

// goOn lets people work until so much was acknowledged, but not for ever: they may not be able to.
func (c *cluster) goOn(events int) {
	for range events {
		c.await(atReceipt, time.Second)
	}
}

// recovers waits until all replicas are ready and events are acknowledged again.
func (c *cluster) recovers() {
	c.Helper()
	for _, r := range c.replicas {
		c.until(fmt.Sprintf("replica %d is ready", r.number), func() bool { return c.ready(r) })
	}
	if c.resting {
		return
	}
	acknowledged := func() int {
		c.model.mu.Lock()
		defer c.model.mu.Unlock()
		return len(c.model.included)
	}
	before := acknowledged()
	c.until("events are acknowledged again", func() bool { return acknowledged() >= before+5 })
}

// ready reports whether a replica serves, and reaches all that it stands on.
func (c *cluster) ready(r *replica) bool {
	resp, err := (&http.Client{Transport: c.spread.ways[r.number], Timeout: 10 * time.Second}).Get(vaultAddress + "/readyz")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	var says wire.Health
	return resp.StatusCode == http.StatusOK && json.NewDecoder(resp.Body).Decode(&says) == nil &&
		says.Dependencies.Log != wire.DependencyDown && says.Dependencies.Objects != wire.DependencyDown
}

// leader is the replica that works on the log, as the records say; nil if that is none of those that run.
func (c *cluster) leader() *replica {
	holder, _, err := c.records.Leased(context.Background(), "log")
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(c.replicas, func(r *replica) bool {
		return strings.Contains(holder, fmt.Sprintf(", process %d (", r.cmd.Process.Pid))
	})
	if i < 0 {
		return nil
	}
	return c.replicas[i]
}

// leads waits until one does.
func (c *cluster) leads(which func(*replica) bool) (r *replica) {
	c.Helper()
	c.until("a replica leads", func() bool {
		r = c.leader()
		return r != nil && which(r)
	})
	return r
}

// follower is a replica that does not lead, or hardly does.
func (c *cluster) follower() *replica {
	leader := c.leader()
	for {
		if r := c.some(); r != leader {
			return r
		}
	}
}

// some is any replica.
func (c *cluster) some() *replica { return c.replicas[c.model.rand.IntN(len(c.replicas))] }

// restart starts a replica as a supervisor does: again, if it cannot yet.
func (r *replica) restart() {
	r.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		err := r.tryStart()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			r.Fatal(err)
		}
	}
}

// hot has many people write to the same stream at once: they open one of the first items.
func (w *worker) hot(ctx context.Context) error {
	first := 0
	i, err := pick(w, &w.desk.items, func(i *item) bool {
		if i.consent != nil {
			return false
		}
		first++
		return first <= 2
	})
	if err != nil {
		return err
	}
	return w.opens(ctx, i.id)
}

// large deposits a file whose upload has two parts.
func (w *worker) large(ctx context.Context) error {
	in, err := pick(w, &w.desk.cases, anyOf)
	if err != nil {
		return err
	}
	return w.deposit(ctx, nil, client.Deposit{
		Case: in, Class: ev.Original, Content: ev.Digital, Basis: ev.CourtOrder, Authority: "judge\norder 7/27\nact 4\nArt. 9(2)(f)",
		Body:  strings.NewReader(strings.Repeat("a large one", 3<<20)),
		Label: "Disk image", Description: client.Description{Name: "disk.img", MediaType: "application/octet-stream"},
	})
}
