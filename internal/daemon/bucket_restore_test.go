package daemon

import (
	"database/sql"
	"errors"
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

// Databases that were put back are taken into service with a bucket that lacks what its copy had not received, or in which something was
// altered: each item is named. Records that are not whole are not taken.
func TestEnginesRestoreWithoutSomeEvidence(t *testing.T) {
	e, bucket := someEngines(t), bucketServer(t)
	owner, server := e.newDatabase(t)
	o := testOptions()
	o.ConfigFile = written(t, e.recordsConfig(server)+e.logConfig()+objectsConfig(bucket, "evidence"))
	dir := filepath.Join(t.TempDir(), "vault")
	must(0, MigrateRecords(t.Context(), owner, "strongroom"))
	c, founding := unfounded(dir, func(set *Options) { *set = o })
	must(Found(t.Context(), dir, o, founding))
	p := must(open(t.Context(), dir, o))
	in, _, err := c.openCase(p)
	for i := range 4 {
		if err == nil {
			_, _, err = c.deposit(p, in, 3000+i)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	must(0, p.settle(t.Context()))
	newest := checkpointFile(t, p.ledger.Checkpoint())
	must(0, p.close())

	stored := func(kind string) []string {
		list := must(filepath.Glob(filepath.Join(bucket.Data, "evidence", "v1", kind)))
		if len(list) != 4 {
			t.Fatalf("%s: %q", kind, list)
		}
		return list
	}
	names, bodies := stored("object/*/*/*"), stored("body/*")
	must(0, os.Remove(names[0])) // the copy came this far
	must(0, os.Remove(bodies[0]))
	b := must(os.ReadFile(bodies[1]))
	b[len(b)/2] ^= 1
	must(0, os.WriteFile(bodies[1], b, 0o600))
	damaged := make(map[string]bool)
	report := func(d Damage) {
		if d.Harmless {
			return
		}
		if !strings.HasPrefix(d.Where, "item ") || damaged[d.Where] {
			t.Errorf("%+v", d)
		}
		damaged[d.Where] = true
	}
	look := func() int64 {
		t.Helper()
		clear(damaged)
		must(Fsck(t.Context(), dir, o, report))
		return int64(len(damaged))
	}
	want := look()
	if want != 2 && want != 3 { // the body whose name is gone may be the one that is
		t.Fatalf("%d items are damaged", want)
	}
	clear(damaged)
	done, err := RestoreEngines(t.Context(), Restoration{Data: dir, Newest: []string{newest}}, o, report)
	if err != nil || done.Damaged != want || int64(len(damaged)) != want {
		t.Fatalf("%d damaged, %d named, %v", done.Damaged, len(damaged), err)
	}
	p = must(open(t.Context(), dir, o))
	must(0, c.confirm(p))
	if s, err := p.scrub(t.Context(), Scrubbed{}, 0, func(Damage) {}); err != nil || s.Damaged != want || s.Objects != 4 {
		t.Errorf("%+v, %v", s, err)
	}
	must(0, p.close())
	clear(damaged)
	if done, err = RestoreEngines(t.Context(), Restoration{Data: dir, None: true}, o, report); err != nil || done.Damaged != want { // what was logged as damaged
		t.Errorf("%d damaged, %v", done.Damaged, err)
	}

	db := must(sql.Open("pgx", must(readURL(owner))))
	defer db.Close()
	must(db.Exec(`update states set state = replace(state, 'custodian', 'clinician') where stream_type = 'actor'`))
	if _, err := RestoreEngines(t.Context(), Restoration{Data: dir, None: true}, o, func(Damage) {}); !errors.Is(err, ErrDamagedCopy) {
		t.Errorf("with altered records: %v", err)
	}
}
