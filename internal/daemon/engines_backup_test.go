package daemon

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	iofs "io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/logserver"
	"strongroom.example/strongroom/internal/objects/versitygw"
	"strongroom.example/strongroom/internal/postgresql"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// mortal are engines of a test's own, to be destroyed: a cluster that archives its WAL, a log on it, a bucket.
type mortal struct {
	database *postgresql.Server
	log      *logserver.Log
	bucket   *versitygw.Server

	programs       string // PostgreSQL's
	owner          *syscall.Stat_t
	archive        string // of WAL
	base           string // a base backup
	owners, server string // files of the database's address
	records        string // the database's name
}

// startMortal starts them. The archive is the cluster's account's, as its data is.
func startMortal(t *testing.T) *mortal {
	t.Helper()
	trillian, err := logserver.Find()
	if errors.Is(err, logserver.ErrMissing) {
		t.Skip(err)
	}
	m := &mortal{}
	if m.programs, err = postgresql.Find(); errors.Is(err, postgresql.ErrMissing) {
		t.Skip(err)
	}
	ctx := t.Context()
	m.database = must(postgresql.Start(ctx, m.programs))
	t.Cleanup(m.database.Remove)
	m.owner = must(os.Stat(m.database.Folder())).Sys().(*syscall.Stat_t)
	m.archive = filepath.Join(filepath.Dir(m.database.Folder()), "archive")
	must(0, os.Mkdir(m.archive, 0o700))
	must(0, m.give(m.archive))
	m.base = filepath.Join(t.TempDir(), "base")
	m.exec(t, `alter system set archive_mode = on`)
	m.exec(t, fmt.Sprintf(`alter system set archive_command = 'test ! -f %[1]s/%%f && cp %%p %[1]s/%%f'`, m.archive)) // deploy/postgresql/keep-wal, without what it does beside
	must(0, m.database.Stop())
	must(0, m.database.Run(ctx))
	m.exec(t, fmt.Sprintf(`create role strongroom login password '%s'`, serverPassword))
	name := must(m.database.NewDatabase(ctx))
	must(0, m.database.Exec(ctx, name, must(logserver.Schema(trillian))))
	m.log = must(logserver.Start(ctx, trillian, filepath.Join(t.TempDir(), "log"), m.database.URL(name), 50*time.Millisecond))
	t.Cleanup(m.log.Kill)
	m.bucket = bucketServer(t)
	m.records = must(m.database.NewDatabase(ctx))
	m.owners, m.server = written(t, m.database.URL(m.records)), written(t, m.database.URLFor(m.records, "strongroom", serverPassword))
	return m
}

func (m *mortal) exec(t *testing.T, statement string) {
	t.Helper()
	must(0, m.database.Exec(t.Context(), "postgres", statement))
}

// ask asks the cluster for one text.
func (m *mortal) ask(t *testing.T, question string) (answer string) {
	t.Helper()
	db := must(sql.Open("pgx", m.database.URL("postgres")))
	defer db.Close()
	must(0, db.QueryRowContext(t.Context(), question).Scan(&answer))
	return answer
}

// give makes the cluster's account the owner of all below a path.
func (m *mortal) give(path string) error {
	return filepath.WalkDir(path, func(name string, _ iofs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(name, int(m.owner.Uid), int(m.owner.Gid))
	})
}

// backup makes a base backup, as deploy/README.md says.
func (m *mortal) backup(t *testing.T, to string) {
	t.Helper()
	u := must(url.Parse(m.database.URL("postgres")))
	password, _ := u.User.Password()
	c := exec.CommandContext(t.Context(), filepath.Join(m.programs, "pg_basebackup"), "--host", u.Hostname(), "--port", u.Port(), "--username", u.User.Username(),
		"--checkpoint", "fast", "--wal-method", "stream", "--no-sync", "--pgdata", to)
	c.Env = append(os.Environ(), "PGPASSWORD="+password, "PGSSLMODE=require")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("pg_basebackup: %v\n%s", err, out)
	}
}

// archived waits until all that was written so far is in the archive.
func (m *mortal) archived(t *testing.T) {
	t.Helper()
	segment := m.ask(t, `select pg_walfile_name(pg_current_wal_lsn())`)
	m.exec(t, `select pg_switch_wal()`)
	until(t, "the last segment in the archive", func() bool {
		_, err := os.Stat(filepath.Join(m.archive, segment))
		return err == nil
	})
}

// destroy ends everything, as the loss of the machines does. What was in the bucket is in another place already.
func (m *mortal) destroy(t *testing.T) {
	t.Helper()
	m.log.Kill()
	m.database.Kill()
	must(0, os.RemoveAll(m.database.Folder()))
}

// putBack makes a cluster of base backup and archive, as it was at a moment; "" is the last that there is.
func (m *mortal) putBack(t *testing.T, moment string) {
	t.Helper()
	data := m.database.Folder()
	copyTree(t, m.base, data)
	settings := fmt.Sprintf("restore_command = 'cp %s/%%f %%p'\nrecovery_target_action = 'promote'\n", m.archive)
	if moment != "" {
		// A cluster that is only looked at must not write a branch of its own into the archive.
		settings += fmt.Sprintf("recovery_target_time = '%s'\narchive_mode = off\n", moment)
	}
	f := must(os.OpenFile(filepath.Join(data, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0))
	must(f.WriteString(settings))
	must(0, f.Close())
	must(0, os.WriteFile(filepath.Join(data, "recovery.signal"), nil, 0o600))
	must(0, m.give(data))
	must(0, m.database.Run(t.Context()))
	until(t, "the end of recovery", func() bool { return m.ask(t, `select pg_is_in_recovery()::text`) == "false" })
	must(0, m.log.Server.Run(t.Context()))
	must(0, m.log.Signer.Run(t.Context()))
}

// copyTree copies a folder with everything that belongs to its files, the attributes in which versitygw keeps what it knows of them included.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// config is that of a vault on these engines.
func (m *mortal) config(t *testing.T) string {
	t.Helper()
	objects := must(os.ReadFile(bucketConfig(t, m.bucket, "evidence")))
	return written(t, string(objects)+(&engines{log: m.log}).recordsConfig(m.server)+(&engines{log: m.log}).logConfig())
}

// The drill of a vault on PostgreSQL, Trillian and S3: a base backup while people work, more work, a shred, everything lost. Put back to an
// earlier moment the vault does not start, and is not taken into service, while anybody knows of more. Put back to the end of the archive it
// holds every acknowledged event, says in its own history that it was restored, and opens nothing that was shredded; once the base backup is
// gone, no bytes are left that could.
func TestEnginesBackupDrill(t *testing.T) {
	m := startMortal(t)
	o := testOptions()
	o.ConfigFile = m.config(t)
	dir := filepath.Join(t.TempDir(), "vault")
	must(0, MigrateRecords(t.Context(), m.owners, "strongroom"))
	c, founding := unfounded(dir, func(set *Options) { *set = o })
	second := int64(1) // what is shredded waits no longer
	founding.Policy.ConfirmWait, founding.Policy.BinWait, founding.Policy.BackupHorizon = second, second, second
	must(Found(t.Context(), dir, o, founding))
	folderCopy := filepath.Join(t.TempDir(), "folder") // kept since init, as deploy/README.md says
	copyTree(t, dir, folderCopy)
	p := must(open(t.Context(), dir, o))
	in, _, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	doomed, _, err := c.deposit(p, in, 5000)
	if err != nil {
		t.Fatal(err)
	}
	body := must(p.records.Envelope(t.Context(), ev.ItemOf(doomed), c.A.fingerprint())).Body
	secret := body[len(body)-64:]

	// A base backup while people work.
	work, stop := atWork(t, p, c)
	defer stop()
	work(4)
	m.backup(t, m.base)
	work(4)
	acknowledged := stop()
	must(0, p.settle(t.Context()))
	then := p.ledger.Checkpoint() // what a client saw
	must(0, p.close())            // nobody has to wait for its lease at that moment
	moment := m.ask(t, `select clock_timestamp()::text`)
	p = must(open(t.Context(), dir, o))

	// After that moment the item is shredded, and people go on. Somebody has a look at the database all the time, so what was destroyed cannot
	// leave its pages by itself.
	looking := must(sql.Open("pgx", m.database.URL(m.records)))
	defer looking.Close()
	must(must(looking.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead})).Exec(`select count(*) from attachments`))
	m.shred(t, p, c, in, doomed)
	_, late, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	must(0, p.settle(t.Context()))
	lost := p.ledger.Checkpoint()
	must(0, p.close())
	m.archived(t)

	// Everything is lost. The bucket was copied after the records.
	surviving := t.TempDir()
	copyTree(t, m.bucket.Data, filepath.Join(surviving, "data"))
	m.bucket.Kill()
	must(0, os.RemoveAll(m.bucket.Data))
	copyTree(t, filepath.Join(surviving, "data"), m.bucket.Data)
	must(0, m.bucket.Run(t.Context()))

	m.destroy(t)
	m.putBack(t, moment)
	m.refused(t, dir, folderCopy, o, then, lost)
	m.rewound(t, folderCopy, o, c, then, lost)

	m.destroy(t)
	m.putBack(t, "")
	m.forgets(t, secret)
	folderLast := filepath.Join(t.TempDir(), "last")
	copyTree(t, dir, folderLast)
	r := Restoration{Data: folderLast, Newest: []string{checkpointFile(t, lost)}}
	done, err := RestoreEngines(t.Context(), r, o, sound(t))
	if err != nil {
		t.Fatal(err)
	}
	// Cut off once vault.restored was logged, and begun again, it is not logged again.
	cut := prepared{done.Manifest.Taken.Format(snapshotName), done.LogSize, done.Damaged}
	must(0, writeFile(folder(folderLast).path(preparedFile), cut.marshal(), 0o600))
	if again, err := RestoreEngines(t.Context(), r, o, sound(t)); err != nil || again.LogSize != done.LogSize {
		t.Errorf("begun again: %+v, %v", again, err)
	}
	p = must(open(t.Context(), folderLast, o))
	for _, leaf := range append(acknowledged, late.LeafHash) {
		if entry, err := p.records.Entry(t.Context(), leaf); err != nil || !entry.Included() {
			t.Errorf("an acknowledged event: %+v, %v", entry, err)
		}
	}
	m.goesOn(t, p, c, done)
	if _, err := p.records.Envelope(t.Context(), ev.ItemOf(doomed), c.A.fingerprint()); ev.KindOf(err) != ev.NotFound {
		t.Errorf("a shredded item has its envelope again: %v", err)
	}
	must(0, p.close())
	clean(t, folderLast, o)
}

// forgets does what deploy/README.md has the operator do within the horizon, rewrite the table and make the next base backup, and demands that
// nothing is left of what was destroyed.
func (m *mortal) forgets(t *testing.T, secret []byte) {
	t.Helper()
	m.exec(t, `checkpoint`)
	if len(holds(t, m.base, secret)) == 0 || len(holds(t, m.database.Folder(), secret)) == 0 {
		t.Error("the bytes are not where they are looked for: this shows nothing")
	}
	must(0, m.database.Exec(t.Context(), m.records, `vacuum (full) attachments`))
	m.exec(t, `checkpoint`)
	next := filepath.Join(t.TempDir(), "next")
	m.backup(t, next)
	if found := holds(t, next, secret); len(found) != 0 {
		t.Errorf("the next base backup holds the envelope of a shredded item in %q", found)
	}
}

// shred shreds an item of consent forms, as two people do.
func (m *mortal) shred(t *testing.T, p *parts, c cast, in ev.CaseID, item ev.ItemID) {
	t.Helper()
	stream := ev.ItemOf(item)
	d := &ev.ItemShreddedDetails{Stores: []string{"records", "backups"}}
	for _, e := range must(p.records.States(t.Context(), stream))[stream].(*ev.ItemState).Envelopes {
		d.Envelopes = append(d.Envelopes, e.Recipient)
	}
	for _, step := range []struct {
		who *person
		k   ev.Kind
		d   func() ev.Details
	}{
		{c.A, ev.RetentionSet, func() ev.Details { return &ev.RetentionSetDetails{Category: "records", Due: ev.At(time.Now())} }},
		{c.A, ev.ItemShredProposed, func() ev.Details {
			return &ev.ItemShredProposedDetails{Cause: ev.CauseDue, DryRun: ev.SHA256([]byte("list"))}
		}},
		{c.B, ev.ItemShredded, func() ev.Details { d.Horizon = ev.At(time.Now().Add(time.Minute)); return d }},
	} {
		var why string
		until(t, string(step.k), func() bool { // the waits are a second each
			signed := step.who.sign(p, stream, step.k, step.d(), func(e *ev.Event) { e.Case = in })
			outcome, err := step.who.submit(p, signed, "")
			if now := fmt.Sprint(err); err != nil && now != why {
				why = now
				t.Logf("%s: %v", step.k, err)
			}
			return err == nil && outcome.Receipt != nil
		})
	}
}

// refused demands that databases at an earlier moment are taken for the vault's by nobody who knows of more, and that nothing was written.
func (m *mortal) refused(t *testing.T, dir, folderCopy string, o Options, then, lost []byte) {
	t.Helper()
	mismatch := (*ledger.Mismatch)(nil)
	if _, err := open(t.Context(), dir, o); !errors.As(err, &mismatch) || mismatch.Where != "log" {
		t.Errorf("the folder knows of more, and the vault starts: %v", err)
	}
	fork := (*Fork)(nil)
	for name, r := range map[string]Restoration{
		"by the folder":           {Data: dir, None: true},
		"by whoever saw more":     {Data: folderCopy, Newest: []string{checkpointFile(t, then), checkpointFile(t, lost)}},
		"by the folder, although": {Data: dir, Newest: []string{checkpointFile(t, then)}},
	} {
		_, err := RestoreEngines(t.Context(), r, o, sound(t))
		if !errors.As(err, &fork) || fork.Known <= fork.Have || !strings.Contains(err.Error(), "put the cluster back to a later moment") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := RestoreEngines(t.Context(), Restoration{Data: folderCopy}, o, sound(t)); !errors.Is(err, ErrAsk) {
		t.Errorf("nothing tells whether it is the newest: %v", err)
	}
	if _, err := RestoreEngines(t.Context(), Restoration{Data: made(t), None: true}, testOptions(), sound(t)); !errors.Is(err, errInFolder) {
		t.Errorf("a vault in a folder: %v", err)
	}
}

// rewound goes on from the earlier moment all the same, with a folder of then, and nobody named what is lost: the history says that the vault
// was restored, and whoever saw more has the proof that it is another.
func (m *mortal) rewound(t *testing.T, folderCopy string, o Options, c cast, then, lost []byte) {
	t.Helper()
	done, err := RestoreEngines(t.Context(), Restoration{Data: folderCopy, Newest: []string{checkpointFile(t, then)}}, o, sound(t))
	if err != nil {
		t.Fatal(err)
	}
	p := must(open(t.Context(), folderCopy, o))
	defer p.close()
	m.goesOn(t, p, c, done)
	keys := must(tlog.ParseTrust(must(os.ReadFile(p.folder.trust())))).LogKeys()
	seen, gone := must(tlog.OpenCheckpoint(then, keys)), must(tlog.OpenCheckpoint(lost, keys))
	until(t, "as many entries as were lost", func() bool {
		_, _, err := c.openCase(p)
		return err == nil && p.ledger.Size() >= gone.Size
	})
	root := must(p.tree.Root(t.Context()))
	now := tlog.Checkpoint{Origin: p.settings.Origin, Size: root.Size, Root: root.Hash}
	if err := tlog.VerifyConsistency(seen, now, must(p.tree.Consistency(t.Context(), seen.Size, now.Size))); err != nil {
		t.Errorf("who saw no more than what was put back is alarmed: %v", err)
	}
	if tlog.VerifyConsistency(gone, now, must(p.tree.Consistency(t.Context(), gone.Size, now.Size))) == nil {
		t.Error("who saw what was lost is shown one history")
	}
}

// goesOn demands that the restore is the last thing in the vault's history, and that people work once a custodian has confirmed it.
func (m *mortal) goesOn(t *testing.T, p *parts, c cast, done Restored) {
	t.Helper()
	entries := must(p.records.Stream(t.Context(), ev.PolicyOf(p.settings.Origin), -1, 100))
	restores := 0
	for _, e := range entries {
		if e.Kind == ev.VaultRestored {
			restores++
		}
	}
	if last := entries[len(entries)-1]; restores != 1 || last.Kind != ev.VaultRestored || last.Index < done.LogSize || done.LogSize == 0 {
		t.Errorf("%d restores; the last event is %s at %d, after a log of %d", restores, last.Kind, last.Index, done.LogSize)
	}
	if _, _, err := c.openCase(p); ev.ReasonOf(err) != ev.ReasonRestored {
		t.Errorf("before the confirmation: %v", err)
	}
	must(0, c.confirm(p))
	in, _, err := c.openCase(p)
	if err == nil {
		_, _, err = c.deposit(p, in, 1000)
	}
	if err != nil {
		t.Fatal(err)
	}
	must(0, p.settle(t.Context()))
}

// sound reports damage as an error of the test.
func sound(t *testing.T) func(Damage) {
	return func(d Damage) {
		if !d.Harmless {
			t.Errorf("%+v", d)
		}
	}
}

// atWork has people open cases and deposit until stop is called, which returns the leaf of every event that was acknowledged. work waits
// until so many more were. A bucket takes small files as a whole.
func atWork(t *testing.T, p *parts, c cast) (work func(more int), stop func() []ev.Hash) {
	t.Helper()
	var mu sync.Mutex
	var all []ev.Hash
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	for range 3 {
		working.Go(func() {
			for ctx.Err() == nil {
				in, opened, err := c.openCase(p)
				var deposited vault.Outcome
				if err == nil {
					_, deposited, err = c.deposit(p, in, 5000)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				all = append(all, opened.LeafHash, deposited.LeafHash)
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
		before := count()
		until(t, "more events", func() bool { return t.Failed() || count() >= before+more })
	}
	return work, sync.OnceValue(func() []ev.Hash {
		cancel()
		working.Wait()
		return all
	})
}
