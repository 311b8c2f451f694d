package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// sleepyTree stays for a while where a crash hurts most: between the commit of events, their append, and what follows.
type sleepyTree struct{ ledger.Tree }

func (t sleepyTree) Append(ctx context.Context, leaves []tlog.TreeLeaf) ([]int64, error) {
	time.Sleep(rand.N(20 * time.Millisecond))
	indexes, err := t.Tree.Append(ctx, leaves)
	time.Sleep(rand.N(20 * time.Millisecond))
	return indexes, err
}

// workload is the child: a vault at work, until it is killed. It prints what it acknowledged, and every checkpoint it gave away.
func workload(dir string) {
	ctx, f, c := context.Background(), folder(dir), readCast(os.Getenv("STRONGROOM_CRASH_CAST"))
	p := must(openParts(ctx, f, testOptions()))
	trust := must(tlog.ParseTrust(must(os.ReadFile(f.trust()))))
	p.founders = founders(trust)
	config := must(p.ledgerConfig(trust))
	config.Tree = sleepyTree{config.Tree}
	p.ledger = must(ledger.Open(ctx, config))
	p.vault = vault.New(vault.Config{
		Origin: p.settings.Origin, Founders: p.founders, Records: p.records, Objects: p.objects, Ledger: p.ledger, Author: p.author,
		Now: time.Now, Logger: p.options.Logger, Limits: p.options.Limits,
	})
	var mu sync.Mutex
	acknowledge := func(o vault.Outcome, err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		var checkpoint []byte
		if o.Receipt != nil {
			checkpoint = must(tlog.ParseReceipt(o.Receipt)).Checkpoint()
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("%s %s.\n", o.LeafHash, base64.StdEncoding.EncodeToString(checkpoint))
	}
	for range 4 {
		go func() {
			for {
				in, o, err := c.openCase(p)
				acknowledge(o, err)
				_, o, err = c.deposit(p, in, 1+rand.IntN(1<<20))
				acknowledge(o, err)
			}
		}()
	}
	select {}
}

// A vault is killed at random moments and opened again. Everything it acknowledged is in the log once, the log extends every checkpoint
// it ever gave away, and fsck finds nothing.
func TestCrash(t *testing.T) {
	rounds := 5
	if os.Getenv("STRONGROOM_LONG") == "1" {
		rounds = 200
	}
	dir := made(t)
	_, c := once()
	var acknowledged []string
	for round := range rounds {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "STRONGROOM_CRASH_DIR="+dir, "STRONGROOM_CRASH_CAST="+c.marshal())
		var failed bytes.Buffer
		child.Stderr = &failed
		out := must(child.StdoutPipe())
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		read := func() bool {
			line, err := lines.ReadString('\n')
			if line, whole := strings.CutSuffix(line, ".\n"); whole && err == nil {
				acknowledged = append(acknowledged, line)
			}
			return err == nil
		}
		read() // it works
		time.AfterFunc(rand.N(400*time.Millisecond), func() { child.Process.Kill() })
		for read() {
		}
		io.Copy(io.Discard, lines)
		child.Wait()
		if failed.Len() > 0 {
			t.Fatalf("round %d: %s", round, failed.String())
		}
		reopened(t, dir, acknowledged)
	}
	t.Logf("%d events acknowledged in %d rounds", len(acknowledged), rounds)
	if len(acknowledged) < rounds {
		t.Error("hardly anything was acknowledged")
	}
	for _, d := range examine(t, dir) {
		if !d.Harmless { // a kill between object and event leaves an object that no event names
			t.Errorf("%s: %s", d.Where, d.What)
		}
	}
}

// reopened checks what a vault that was killed has kept.
func reopened(t *testing.T, dir string, acknowledged []string) {
	t.Helper()
	p, err := open(t.Context(), dir, testOptions())
	if err != nil {
		t.Fatalf("after a crash: %v", err)
	}
	defer p.close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	root := must(p.tree.Root(ctx))
	keys := must(p.ledgerConfig(must(tlog.ParseTrust(must(os.ReadFile(p.folder.trust())))))).Keys
	for _, line := range acknowledged {
		leaf, checkpoint, _ := strings.Cut(line, " ")
		if _, err := p.ledger.Await(ctx, must(ev.ParseHash(leaf))); err != nil {
			t.Fatalf("an acknowledged event: %v", err)
		}
		if checkpoint == "" {
			continue
		}
		cp := must(tlog.OpenCheckpoint(must(base64.StdEncoding.DecodeString(checkpoint)), keys))
		now := tlog.Checkpoint{Origin: cp.Origin, Size: root.Size, Root: root.Hash}
		if err := tlog.VerifyConsistency(cp, now, must(p.tree.Consistency(ctx, cp.Size, now.Size))); err != nil {
			t.Fatalf("a checkpoint of size %d that was given away: %v", cp.Size, err)
		}
	}
}

// examine runs fsck.
func examine(t *testing.T, dir string) []Damage {
	t.Helper()
	var found []Damage
	if _, err := Fsck(t.Context(), dir, testOptions(), func(d Damage) { found = append(found, d) }); err != nil {
		t.Fatalf("fsck could not run: %v", err)
	}
	return found
}
