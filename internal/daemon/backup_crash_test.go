package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
)

// backupWorkload is a child that makes backups of a vault, or restores one, until it is killed.
func backupWorkload(to, from, into string) {
	ctx := context.Background()
	if into != "" {
		_, err := Restore(ctx, Restoration{From: to, Data: into, None: true}, testOptions(), func(Damage) {})
		fmt.Println("done", err)
		return
	}
	p := must(open(ctx, from, testOptions()))
	fmt.Println("open")
	for {
		must(p.backup(ctx, BackupOptions{To: to, Keep: 2}))
	}
}

// killed runs the child for a while.
func killed(t *testing.T, most time.Duration, env ...string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), env...)
	var failed bytes.Buffer
	child.Stderr = &failed
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(rand.N(most), func() { child.Process.Kill() })
	defer timer.Stop()
	child.Wait()
	if failed.Len() > 0 {
		t.Fatalf("%s", failed.String())
	}
}

func rounds(short, long int) int {
	if os.Getenv("STRONGROOM_LONG") == "1" {
		return long
	}
	return short
}

// A backup is killed at random moments. What has the name of a snapshot is whole, and the next backup goes on.
func TestBackupKilled(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	stock(t, dir)
	for range rounds(4, 100) {
		killed(t, 600*time.Millisecond, "STRONGROOM_CRASH_BACKUP="+to, "STRONGROOM_CRASH_FROM="+dir)
		names, err := backupFolder(to).snapshots()
		if err != nil && !errors.Is(err, ErrNoBackup) {
			t.Fatal(err)
		}
		for _, name := range names {
			s := backupFolder(to).snapshot(name)
			if err := s.check(t.Context(), must(s.readManifest())); err != nil {
				t.Errorf("snapshot %s: %v", name, err)
			}
		}
	}
	p := must(open(t.Context(), dir, testOptions()))
	backedUp(t, p, to)
	must(0, p.close())
	p, _ = restored(t, Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), None: true})
	must(0, p.close())
	list := must(os.ReadDir(filepath.Join(to, "snapshots")))
	if names := must(backupFolder(to).snapshots()); len(list) != len(names) {
		t.Errorf("%d folders, %d snapshots", len(list), len(names))
	}
}

// A restore is killed at random moments and repeated. Either nothing is in place, or a vault that is whole, with one vault.restored.
func TestRestoreKilled(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	stock(t, dir)
	p := must(open(t.Context(), dir, testOptions()))
	backedUp(t, p, to)
	must(0, p.close())
	for round := range rounds(3, 50) {
		anew := filepath.Join(t.TempDir(), "anew")
		tries := 0
		for ; ; tries++ {
			killed(t, time.Second, "STRONGROOM_CRASH_BACKUP="+to, "STRONGROOM_CRASH_INTO="+anew)
			if _, err := os.Stat(anew); err == nil {
				break
			}
			if tries == 3 {
				if _, err := Restore(t.Context(), Restoration{From: to, Data: anew, None: true}, testOptions(), func(Damage) {}); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
				break
			}
		}
		for _, d := range examine(t, anew) {
			t.Errorf("round %d: %+v", round, d)
		}
		p := must(open(t.Context(), anew, testOptions()))
		times := 0
		for _, e := range must(p.records.Stream(t.Context(), ev.PolicyOf(p.settings.Origin), -1, 100)) {
			if e.Kind == ev.VaultRestored {
				times++
			}
		}
		if times != 1 {
			t.Errorf("round %d: logged %d times", round, times)
		}
		must(0, p.close())
	}
}
