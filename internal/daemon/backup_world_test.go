package daemon

import (
	"bytes"
	"context"
	iofs "io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// load has people work in a vault until stop is called, which returns every event that was acknowledged. work waits until so many more
// were.
func load(t *testing.T, p *parts, c cast) (work func(more int), stop func() []vault.Outcome) {
	t.Helper()
	var mu sync.Mutex
	var all []vault.Outcome
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for range 3 {
		working.Go(func() {
			for ctx.Err() == nil {
				in, a, err := c.openCase(p)
				if err != nil {
					t.Error(err)
					return
				}
				_, b, err := c.deposit(p, in, 100_000)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				all = append(all, a, b)
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(all)
	}
	work = func(more int) {
		t.Helper()
		for before, deadline := count(), time.Now().Add(time.Minute); count() < before+more; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) || t.Failed() {
				t.Fatal("nothing happens")
			}
		}
	}
	return work, sync.OnceValue(func() []vault.Outcome {
		cancel()
		working.Wait()
		return all
	})
}

func backedUp(t *testing.T, p *parts, to string) Backed {
	t.Helper()
	done, err := p.backup(t.Context(), BackupOptions{To: to, Keep: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Damage) > 0 {
		t.Fatalf("damage: %+v", done.Damage)
	}
	return done
}

// restored restores the newest backup and returns the opened vault.
func restored(t *testing.T, r Restoration) (*parts, Restored) {
	t.Helper()
	done, err := Restore(t.Context(), r, testOptions(), func(d Damage) {
		if !d.Harmless {
			t.Logf("%+v", d)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return must(open(t.Context(), r.Data, testOptions())), done
}

func checkpointFile(t *testing.T, note []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "checkpoint")
	must(0, os.WriteFile(path, note, 0o600))
	return path
}

// confirm has a custodian confirm the restore.
func (c cast) confirm(p *parts) error {
	policy := ev.PolicyOf(p.settings.Origin)
	leaf := must(p.records.States(context.Background(), policy))[policy].Tip().Leaf
	_, err := c.A.submit(p, c.A.sign(p, policy, ev.VaultConfirmed, &ev.VaultConfirmedDetails{Event: leaf}), "")
	return err
}

// holds reports which files below dir hold the bytes.
func holds(t *testing.T, dir string, want []byte) (list []string) {
	t.Helper()
	must(0, filepath.WalkDir(dir, func(path string, d iofs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && bytes.Contains(must(os.ReadFile(path)), want) {
			list = append(list, filepath.Base(path))
		}
		return err
	}))
	return list
}
