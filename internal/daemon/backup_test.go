package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
)

// The drill: two backups while people work, the machine is lost, the newest backup is restored elsewhere, and they go on.
func TestBackupDrill(t *testing.T) {
	dir, to, anew := made(t), filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "anew")
	_, c := once()
	p := must(open(t.Context(), dir, testOptions()))
	work, stop := load(t, p, c)
	defer stop()
	work(6)
	first := backedUp(t, p, to)
	work(12)                       // the objects of three deposits that nobody was told of yet may have been copied already
	known := p.ledger.Checkpoint() // somebody saw this one
	second := backedUp(t, p, to)
	if second.Manifest.LogSize <= first.Manifest.LogSize || second.Copied == 0 {
		t.Errorf("first %+v, second %+v: nothing happened between them", first, second)
	}
	store := must(fs.Open(backupFolder(to).path("objects")))
	there := must(store.List(t.Context(), objects.Digest{}, 10_000))
	must(0, store.Close())
	if first.Copied+second.Copied != int64(len(there)) {
		t.Errorf("the backup holds %d objects, copied were %d and then %d: some twice", len(there), first.Copied, second.Copied)
	}
	work(6)
	acknowledged := stop()
	lost := p.ledger.Checkpoint()
	must(0, p.close())

	r := Restoration{From: to, Data: anew, Newest: []string{checkpointFile(t, known)}}
	older := r
	older.Snapshot = first.Snapshot
	f := (*Fork)(nil)
	if _, err := Restore(t.Context(), older, testOptions(), nil); !errors.As(err, &f) || f.Have != first.Manifest.LogSize {
		t.Errorf("the older backup: %v", err)
	}
	late := r
	late.Newest = append(late.Newest, checkpointFile(t, lost))
	if _, err := Restore(t.Context(), late, testOptions(), nil); !errors.As(err, &f) || f.Have != second.Manifest.LogSize || f.Known <= f.Have {
		t.Errorf("a backup older than what somebody saw: %v", err)
	}
	unknown := r
	unknown.Newest = nil
	if _, err := Restore(t.Context(), unknown, testOptions(), nil); !errors.Is(err, ErrAsk) {
		t.Errorf("without a checkpoint: %v", err)
	}
	if _, err := os.Stat(anew); !errors.Is(err, os.ErrNotExist) {
		t.Fatal("a refused restore left something in place")
	}

	p, done := restored(t, r)
	policy := ev.PolicyOf(p.settings.Origin)
	entries := must(p.records.Stream(t.Context(), policy, -1, 10))
	last := entries[len(entries)-1]
	if last.Kind != ev.VaultRestored || !last.Included() || last.Index < done.LogSize || done.LogSize != second.Manifest.LogSize {
		t.Errorf("the last event of the policy is %s, index %d, after a log of %d", last.Kind, last.Index, done.LogSize)
	}
	if _, err := Restore(t.Context(), r, testOptions(), nil); !errors.Is(err, ErrOccupied) {
		t.Errorf("over a vault: %v", err)
	}

	// Every receipt from before the backup is of this log.
	keys := must(tlog.ParseTrust(must(os.ReadFile(p.folder.trust())))).LogKeys()
	root, before := must(p.tree.Root(t.Context())), 0
	now := tlog.Checkpoint{Origin: p.settings.Origin, Size: root.Size, Root: root.Hash}
	for _, o := range acknowledged {
		cp := must(tlog.OpenCheckpoint(must(tlog.ParseReceipt(o.Receipt)).Checkpoint(), keys))
		if cp.Size > done.LogSize {
			continue // lost with the machine
		}
		before++
		if err := tlog.VerifyConsistency(cp, now, must(p.tree.Consistency(t.Context(), cp.Size, now.Size))); err != nil {
			t.Fatalf("a receipt's checkpoint of %d leaves: %v", cp.Size, err)
		}
		if _, err := p.records.Entry(t.Context(), o.LeafHash); err != nil {
			t.Fatalf("an acknowledged event: %v", err)
		}
	}
	if before == 0 {
		t.Error("nothing was acknowledged before the backup")
	}

	// Nothing new until a custodian confirms; then people go on.
	if _, _, err := c.openCase(p); ev.ReasonOf(err) != ev.ReasonRestored {
		t.Errorf("before the confirmation: %v", err)
	}
	if err := c.confirm(p); err != nil {
		t.Fatal(err)
	}
	in, _, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.deposit(p, in, 1000); err != nil {
		t.Fatal(err)
	}
	must(0, p.close())
	for _, d := range examine(t, anew) {
		if !d.Harmless { // deposits were cut off by the backup
			t.Errorf("%+v", d)
		}
	}
}

// Records and log of two moments are no backup: what came between shows.
func TestTwoMoments(t *testing.T) {
	dir := made(t)
	p := must(open(t.Context(), dir, testOptions()))
	defer p.close()
	records := must(p.records.Freeze(t.Context()))
	defer records.Close()
	_, c := once()
	if _, _, err := c.openCase(p); err != nil {
		t.Fatal(err)
	}
	log := must(p.tree.(*embedded.Log).Freeze())
	defer log.Close()
	copied := folder(t.TempDir())
	must(0, log.Write(copied.log()))
	must(0, records.Write(t.Context(), copied.records(), copied.path(erasableFile)))
	m := (*ledger.Mismatch)(nil)
	trust := must(tlog.ParseTrust(must(os.ReadFile(p.folder.trust()))))
	if _, err := p.inspect(t.Context(), copied, trust, &Manifest{Taken: time.Now()}); !errors.As(err, &m) {
		t.Errorf("%v", err)
	}
}

// The log of the lost machine outlived it: records are made from it again, and what went since the backup is gone.
func TestRestoreWithNewerLog(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	kept := stock(t, dir)
	_, c := once()
	p := must(open(t.Context(), dir, testOptions()))
	first := backedUp(t, p, to)
	in := must(p.records.AllItems(t.Context(), "", 1))[0].Case
	late, _, err := c.deposit(p, in, 5000)
	if err != nil {
		t.Fatal(err)
	}
	lost := p.ledger.Checkpoint()
	size := p.ledger.Size()
	must(0, p.close())

	p, done := restored(t, Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), Newest: []string{checkpointFile(t, lost)}, Log: filepath.Join(dir, "log.db")})
	defer p.close()
	if done.Manifest.LogSize != first.Manifest.LogSize || done.LogSize < size || done.Rebuilt == nil {
		t.Fatalf("%+v", done)
	}
	if len(done.Rebuilt.Shut) != 1 || done.Rebuilt.Shut[0] != late || done.Rebuilt.Lost[ledger.Envelope] != 3 {
		t.Errorf("lost: %+v", done.Rebuilt)
	}
	for _, who := range []*person{c.A, c.B} {
		if a, err := p.records.Envelope(t.Context(), ev.ItemOf(kept), who.fingerprint()); err != nil || len(a.Body) == 0 {
			t.Errorf("an envelope from before the backup: %v", err)
		}
	}
	entries := must(p.records.Stream(t.Context(), ev.PolicyOf(p.settings.Origin), -1, 10))
	if last := entries[len(entries)-1]; last.Kind != ev.VaultRestored {
		t.Errorf("the last event is %s", last.Kind)
	}
}

// An envelope that was taken away since the backup does not come back with it: the log says that it is gone.
func TestRestoreTakesAwayAgain(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	_, c := once()
	c.Third = true
	p := must(open(t.Context(), dir, testOptions()))
	in, _, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	item, _, err := c.deposit(p, in, 5000)
	if err != nil {
		t.Fatal(err)
	}
	envelope := must(p.records.Envelope(t.Context(), ev.ItemOf(item), c.C.fingerprint())).Body
	backedUp(t, p, to)
	if _, err := c.A.submit(p, c.A.sign(p, ev.CaseOf(in), ev.CaseKeyringChanged, &ev.CaseKeyringChangedDetails{Removed: []ev.ActorID{c.C.ID}}), ""); err != nil {
		t.Fatal(err)
	}
	gone := c.A.sign(p, ev.ItemOf(item), ev.ItemEnvelopeRemoved, &ev.ItemEnvelopeRemovedDetails{
		Recipient: c.C.fingerprint(), Cause: ev.CauseDeparture, Horizon: ev.At(time.Now().Add(31 * 24 * time.Hour)),
	}, func(e *ev.Event) { e.Case = in })
	if _, err := c.A.submit(p, gone, ""); err != nil {
		t.Fatal(err)
	}
	lost := p.ledger.Checkpoint()
	must(0, p.close())

	r := Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), Newest: []string{checkpointFile(t, lost)}, Log: filepath.Join(dir, "log.db")}
	p, done := restored(t, r)
	must(0, p.close())
	if len(done.Rebuilt.Lost) != 0 || done.Rebuilt.Found == 0 {
		t.Errorf("%+v", done.Rebuilt)
	}
	if where := holds(t, to, envelope[len(envelope)-64:]); len(where) != 1 {
		t.Fatalf("the backup has it in %q", where)
	}
	if where := holds(t, r.Data, envelope[len(envelope)-64:]); len(where) != 0 {
		t.Errorf("it came back in %q", where)
	}
}

// A backup that was changed in any file is refused with the reason.
func TestAlteredBackup(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	stock(t, dir)
	p := must(open(t.Context(), dir, testOptions()))
	done := backedUp(t, p, to)
	must(0, p.close())
	snapshot := backupFolder(to).snapshot(done.Snapshot)
	files := []string{manifestFile}
	for _, f := range done.Manifest.Files {
		files = append(files, f.Path)
	}
	if len(files) < 10 {
		t.Fatalf("only %q", files)
	}
	try := func() error {
		_, err := Restore(t.Context(), Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), None: true}, testOptions(), func(Damage) {})
		return err
	}
	for _, name := range files {
		path := snapshot.path(name)
		whole := must(os.ReadFile(path))
		flipped := bytes.Clone(whole)
		flipped[len(flipped)/2] ^= 1
		for what, b := range map[string][]byte{"flipped": flipped, "cut": whole[:len(whole)-1], "longer": append(bytes.Clone(whole), '\n')} {
			must(0, os.WriteFile(path, b, 0o600))
			if err := try(); !errors.Is(err, ErrAltered) {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
		must(0, os.Remove(path))
		want := ErrAltered
		if name == erasableFile {
			want = ErrErased
		}
		if err := try(); !errors.Is(err, want) {
			t.Errorf("%s missing: %v", name, err)
		}
		must(0, os.WriteFile(path, whole, 0o600))
	}
	// A file of evidence that is not as it was deposited is named, and all the rest is restored.
	path := object(t, to)
	whole := must(os.ReadFile(path))
	for what, change := range map[string]func(){
		"flipped": func() { b := bytes.Clone(whole); b[9] ^= 1; must(0, os.WriteFile(path, b, 0o600)) },
		"missing": func() { must(0, os.Remove(path)) },
	} {
		change()
		var named []Damage
		r := Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), None: true}
		done, err := Restore(t.Context(), r, testOptions(), func(d Damage) {
			if strings.HasPrefix(d.Where, "item ") && strings.Contains(d.What, filepath.Base(path)) {
				named = append(named, d)
			}
		})
		if err != nil || done.Damaged != 1 || len(named) != 1 {
			t.Errorf("object %s: %d damaged, named %+v, %v", what, done.Damaged, named, err)
			continue
		}
		must(0, os.WriteFile(path, whole, 0o600))
		found := 0
		must(Fsck(t.Context(), r.Data, testOptions(), func(Damage) { found++ }))
		anew := must(open(t.Context(), r.Data, testOptions()))
		if s, err := anew.scrub(t.Context(), Scrubbed{}, 0, func(Damage) {}); err != nil || s.Objects != 2 || s.Damaged != 1 || found != 1 {
			t.Errorf("object %s: fsck finds %d, the scrub %+v, %v", what, found, s, err)
		}
		must(0, anew.close())
	}
	must(0, os.WriteFile(path, whole, 0o600))
	p = must(open(t.Context(), dir, testOptions()))
	defer p.close()
	damage := func() int {
		done, err := p.backup(t.Context(), BackupOptions{To: to, Keep: 10, Verify: true})
		if err != nil {
			t.Fatal(err)
		}
		return len(done.Damage)
	}
	b := bytes.Clone(whole)
	b[9] ^= 1
	must(0, os.WriteFile(path, b, 0o600))
	if n := damage(); n != 0 || !bytes.Equal(must(os.ReadFile(path)), whole) {
		t.Errorf("an altered copy was not replaced (%d damages)", n)
	}
	must(0, os.WriteFile(snapshot.path("vault.json"), []byte("{}"), 0o600))
	if n := damage(); n != 1 {
		t.Errorf("an altered snapshot shows as %d damages", n)
	}
}

func TestForeignBackupFolder(t *testing.T) {
	p := must(open(t.Context(), made(t), testOptions()))
	defer p.close()
	to := t.TempDir()
	must(0, os.WriteFile(filepath.Join(to, "mine"), nil, 0o600))
	if _, err := p.backup(t.Context(), BackupOptions{To: to, Keep: 1}); !errors.Is(err, ErrForeignBackup) {
		t.Errorf("a folder with other things: %v", err)
	}
	to = t.TempDir()
	backedUp(t, p, to)
	p.settings.Origin = "other.example"
	if _, err := p.backup(t.Context(), BackupOptions{To: to, Keep: 1}); !errors.Is(err, ErrForeignBackup) {
		t.Errorf("another vault's backup: %v", err)
	}
}

// Envelopes are in one file of a snapshot, and when their time is over they are in none, so an item that lost all of its envelopes since
// opens from no backup (invariant 8).
func TestEnvelopeWindow(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	item := stock(t, dir)
	_, c := once()
	day := 24 * time.Hour
	now := time.Now()
	o := testOptions()
	o.Now = func() time.Time { return now }
	p := must(open(t.Context(), dir, o))
	defer p.close()

	a := must(p.records.Envelope(t.Context(), ev.ItemOf(item), c.A.fingerprint()))
	head, tail := a.Body[200:400], a.Body[len(a.Body)-64:] // SQLite cuts what is long
	first := backedUp(t, p, to)
	for _, part := range [][]byte{head, tail} {
		if where := holds(t, to, part); len(where) != 1 || where[0] != erasableFile {
			t.Fatalf("the envelope is in %q", where)
		}
	}
	statements(t, dir, fmt.Sprintf(`update attachments set body = null where kind = 'envelope' and ord in (select ord from events where stream_id = '%s')`, item))
	now = now.Add(26 * day)
	if done := backedUp(t, p, to); len(done.Erased) != 0 {
		t.Fatalf("erased too early: %q", done.Erased)
	}
	now = now.Add(day)
	done := backedUp(t, p, to)
	if len(done.Erased) != 1 || done.Erased[0] != first.Snapshot {
		t.Fatalf("erased: %q", done.Erased)
	}
	for _, part := range [][]byte{head, tail} {
		if where := holds(t, to, part); len(where) != 0 {
			t.Errorf("the envelope is in %q", where)
		}
	}
	r := Restoration{From: to, Snapshot: first.Snapshot, Data: filepath.Join(t.TempDir(), "anew"), None: true}
	if _, err := Restore(t.Context(), r, o, nil); !errors.Is(err, ErrErased) {
		t.Errorf("restore: %v", err)
	}
	now = now.Add(time.Second)
	if done, err := p.backup(t.Context(), BackupOptions{To: to, Keep: 1}); err != nil || len(done.Removed) != 3 {
		t.Errorf("keep one: %q, %v", done.Removed, err)
	}
	if names := must(backupFolder(to).snapshots()); len(names) != 1 {
		t.Errorf("kept %q", names)
	}
}

// The command reaches a running server by its socket, also where the folder's path is too long for one, and does without one otherwise.
func TestOperator(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30), "vault")
	must(0, os.MkdirAll(filepath.Dir(dir), 0o700))
	must(0, os.Rename(made(t), dir))
	item := stock(t, dir)
	b := BackupOptions{To: filepath.Join(t.TempDir(), "backup"), Keep: 3}
	if _, err := Backup(t.Context(), dir, testOptions(), b); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Scrub(t.Context(), dir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("scrub without a server: %v", err)
	}
	d := must(Open(t.Context(), dir, testOptions()))
	ctx, cancel := context.WithCancel(t.Context())
	var attending sync.WaitGroup
	attending.Go(func() { d.attend(ctx) })
	defer func() { cancel(); attending.Wait(); d.Close() }()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, socketFile)); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if info := must(os.Stat(filepath.Join(dir, socketFile))); info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is open to others: %v", info.Mode())
	}
	done, err := Backup(t.Context(), dir, testOptions(), b)
	if err != nil || done.Copied != 0 || done.Manifest.Objects != 2 {
		t.Errorf("%+v, %v", done, err)
	}
	b.To = dir
	if _, err := Backup(t.Context(), dir, testOptions(), b); err == nil || !strings.Contains(err.Error(), ErrForeignBackup.Error()) {
		t.Errorf("a refusal of the server: %v", err)
	}
	must(0, os.Truncate(object(t, dir), 1000))
	s, found, err := Scrub(t.Context(), dir)
	if err != nil || s.Objects != 2 || s.Damaged != 1 || len(found) != 1 {
		t.Errorf("%+v %+v %v (of two items, %s among them)", s, found, err, item)
	}
}
