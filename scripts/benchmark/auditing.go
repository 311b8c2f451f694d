package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// auditing is P11: an auditor follows a vault's log from its first entry, over HTTP and in a process of its own.
func auditing(ctx context.Context, b *bench) result {
	size := int64(1e5)
	switch {
	case b.quick:
		size = 1e4
	case b.large:
		size = 1e6
	}
	g := newGrown(ctx, b.dir, size)
	defer g.remove()
	auditor := g.enrol(ctx, "auditor", evidence.Auditor, g.admin, g.custodian)
	var memory []float64
	follow := contestant{"audit.Follower: leaves, publications, map and statements, over HTTP", func() float64 {
		seen := g.followElsewhere(auditor)
		memory = append(memory, seen.Memory)
		return float64(seen.Entries) / seen.Seconds
	}}
	reads := contestant{"the vault's part: leaf hashes, keys and statements in pages", func() float64 {
		n := g.ledger.Size() - 64 // what may not be published yet
		return float64(n) / timed(func() {
			for start := int64(0); start < n; start += vault.MaxLogPage {
				must(g.ledger.LeafHashes(ctx, start, vault.MaxLogPage))
				must(g.ledger.HeadsKeys(ctx, start, vault.MaxLogPage))
			}
			for start := int64(0); start < n; start += vault.MaxStatements {
				must(g.ledger.Statements(ctx, start, vault.MaxStatements, 4<<20))
			}
		}).Seconds()
	}}
	limit := contestant{"limit: each entry hashed once into the tree and once into the map", func() float64 {
		n := int(size)
		var block [65]byte
		return float64(n) / timed(func() {
			for range 4 * n { // a leaf and a node of either; the tree's leaves are given
				h := sha256.Sum256(block[:])
				copy(block[1:], h[:])
			}
		}).Seconds()
	}}
	m := interleave(b.rounds, follow, reads, limit)
	r := result{ID: "P11", Title: fmt.Sprintf("audit a log of %d entries from outside", size)}
	r.measure(follow.name, m[0], "entries/s")
	r.measure(reads.name, m[1], "entries/s")
	r.measure(limit.name, m[2], "entries/s")
	r.measure("anonymous memory of the auditor", median(memory), "MiB")
	r.atLeast("a million in five minutes: entries/s", m[0], 1e6/300)
	r.atMost("anonymous memory, MiB", median(memory), 256)
	return r
}

// followed is what an auditor in a process of its own reports.
type followed struct {
	Entries int64   `json:"entries"`
	Seconds float64 `json:"seconds"`
	Memory  float64 `json:"anonymous_mib"`
}

// follower is what another process needs to be that auditor.
type follower struct {
	Folder string `json:"folder"`
	Key    []byte `json:"key"`
}

func (w *world) followElsewhere(p *person) (f followed) {
	text := must(json.Marshal(follower{string(p.folder), must(p.key.PKCS8())}))
	check(os.WriteFile(w.path("auditor.json"), text, 0o600))
	check(os.RemoveAll(w.path("audit")))
	out, err := exec.Command(must(os.Executable()), "-follow", w.dir).Output()
	check(err)
	check(json.Unmarshal(out, &f))
	return f
}

// followOnce is that other process.
func followOnce(ctx context.Context, dir string) (f followed) {
	w := &world{dir: dir}
	var p follower
	check(json.Unmarshal(must(os.ReadFile(w.path("auditor.json"))), &p))
	look := func(int64, int64) { f.Memory = max(f.Memory, anonymous()) }
	c := must(client.New(client.Config{
		Keystore: client.Folder(p.Folder), Signer: must(custody.ParsePKCS8(p.Key)), HTTP: http.DefaultClient, Tool: tool, Now: time.Now,
	}))
	following := must(c.Follow(ctx, w.path("audit"), look))
	f.Seconds = timed(func() { must(following.Step(ctx)) }).Seconds()
	look(0, 0)
	cp, _ := following.State.Head()
	if f.Entries = cp.Size; following.State.Covers() < cp.Size-64 {
		check(fmt.Errorf("only %d of %d entries are covered", following.State.Covers(), cp.Size))
	}
	check(following.Close())
	return f
}
