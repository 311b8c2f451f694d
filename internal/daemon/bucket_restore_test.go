package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The drill with buckets: machine and bucket are lost, and the newest backup is restored with another bucket, which is not there yet, or
// into a folder.
func TestBucketDrill(t *testing.T) {
	lost, o := bucketServer(t), testOptions()
	o.ConfigFile = bucketConfig(t, lost, "evidence")
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	if err := os.RemoveAll(folder(dir).objects()); err != nil {
		t.Fatal(err)
	}
	settings := must(folder(dir).readSettings())
	if err := folder(dir).createObjects(t.Context(), must(folder(dir).readConfig(o.ConfigFile)).Objects, settings.Origin); err != nil {
		t.Fatal(err)
	}
	_, c := once()
	p := must(open(t.Context(), dir, o))
	in, _, err := c.openCase(p)
	for range 3 {
		if err == nil {
			_, _, err = c.deposit(p, in, 10_000)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	done := backedUp(t, p, to)
	if done.Copied != 3 || done.Manifest.Objects != 3 {
		t.Errorf("backup: %+v", done)
	}
	newest := checkpointFile(t, must(os.ReadFile(folder(to).path("snapshots", done.Snapshot, "checkpoint"))))
	must(0, p.close())
	lost.Kill()

	fresh := bucketServer(t)
	for name, config := range map[string]string{"bucket": bucketConfig(t, fresh, "fresh"), "folder": ""} {
		o.ConfigFile = config
		sound := func(d Damage) { t.Errorf("%s: %+v", name, d) }
		r := Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), Newest: []string{newest}}
		restored, err := Restore(t.Context(), r, o, sound)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if restored.Copied != done.Copied || restored.Examined.Objects != done.Copied {
			t.Errorf("%s: backed up %+v, restored %+v", name, done, restored)
		}
		p := must(open(t.Context(), r.Data, o))
		if err := c.confirm(p); err != nil {
			t.Fatal(err)
		}
		in, _, err := c.openCase(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.deposit(p, in, 1000); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		must(0, p.close())
		examined, err := Fsck(t.Context(), r.Data, o, sound)
		if err != nil || examined.Objects != restored.Examined.Objects+1 {
			t.Errorf("%s: %+v, %v", name, examined, err)
		}
	}

	// A bucket that is another vault's is not taken, and says so.
	other, o2 := filepath.Join(t.TempDir(), "other"), testOptions()
	o2.ConfigFile = bucketConfig(t, fresh, "others")
	must(Create(t.Context(), other, "", o2))
	r := Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), Newest: []string{newest}}
	if _, err := Restore(t.Context(), r, o2, func(Damage) {}); err == nil || !strings.Contains(err.Error(), "belongs to another vault") {
		t.Errorf("another vault's bucket: %v", err)
	}
}
