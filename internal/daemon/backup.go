package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
)

// BackupOptions say how a backup is made.
type BackupOptions struct {
	To     string `json:"to"`     // the backup's folder, absolute
	Keep   int    `json:"keep"`   // how many snapshots stay, at least 1
	Verify bool   `json:"verify"` // read everything that earlier backups left, too
}

// Backed is what a backup did.
type Backed struct {
	Snapshot string   `json:"snapshot"`
	Manifest Manifest `json:"manifest"`
	Copied   int64    `json:"copied"` // objects that were not there
	Erased   []string `json:"erased"` // snapshots whose erasable part had expired
	Removed  []string `json:"removed"`
	Damage   []Damage `json:"damage"`
	InKMS    []string `json:"in_kms"` // the vault's keys that no backup holds
}

// backup makes one while the vault works. Order matters: what the records name must be in the copy of the log and of the objects.
//
//  1. records and log are held at one moment and written. They are compared as at every start: an event that came between the two
//     moments shows, and both are written again;
//  2. keys and settings;
//  3. objects, which only ever come: all that the records name are there;
//  4. the manifest. Commit point: the snapshot loses its mark of being unfinished;
//  5. what has expired is removed. A backup that failed removes nothing.
func (p *parts) backup(ctx context.Context, o BackupOptions) (Backed, error) {
	to := backupFolder(o.To)
	done := Backed{Erased: []string{}, Removed: []string{}, Damage: []Damage{}, InKMS: append([]string{}, p.settings.elsewhere()...)}
	if p.settings.outside() {
		return done, ErrEngines
	}
	if err := to.claim(p.settings.Origin); err != nil {
		return done, err
	}
	if err := to.sweep(); err != nil {
		return done, err
	}
	m := Manifest{Version: 1, Vault: p.settings.Origin, Taken: p.options.Now().UTC().Truncate(time.Millisecond)}
	done.Snapshot = m.Taken.Format("20060102T150405.000Z")
	dir := to.snapshot(done.Snapshot + unfinished)
	defer os.RemoveAll(string(dir)) // gone by then, if all went well

	names, err := p.copyStores(ctx, dir, &m)
	if err != nil {
		return done, err
	}
	if err := p.copyFiles(dir); err != nil {
		return done, err
	}
	report := func(d Damage) { done.Damage = append(done.Damage, d) }
	if done.Copied, err = p.copyNamed(ctx, to, names, o.Verify, report); err != nil {
		return done, err
	}
	if m, err = dir.manifest(ctx, m); err != nil {
		return done, err
	}
	if err := writeFile(dir.path(manifestFile), m.marshal(), 0o600); err != nil {
		return done, err
	}
	if err := publish(string(dir), string(to.snapshot(done.Snapshot))); err != nil {
		return done, err
	}
	done.Manifest = m
	if o.Verify {
		if err := to.verify(ctx, report); err != nil {
			return done, err
		}
	}
	return done, to.expire(m, max(o.Keep, 1), p.options.Now(), &done)
}

// copyStores writes records and log as they were at one moment, and returns what objects the items name.
func (p *parts) copyStores(ctx context.Context, dir folder, m *Manifest) (names []objects.Info, err error) {
	text, err := os.ReadFile(p.folder.trust())
	if err != nil {
		return nil, err
	}
	trust, err := tlog.ParseTrust(text)
	if err != nil {
		return nil, fmt.Errorf("trust.json: %w", err)
	}
	for tries := 3; ; tries-- {
		if err := errors.Join(os.RemoveAll(string(dir)), os.Mkdir(string(dir), 0o700)); err != nil {
			return nil, err
		}
		if err := p.freeze(ctx, dir); err != nil {
			return nil, err
		}
		names, err = p.inspect(ctx, dir, trust, m)
		if between := (*ledger.Mismatch)(nil); !errors.As(err, &between) || tries == 1 {
			return names, err
		}
	}
}

func (p *parts) freeze(ctx context.Context, dir folder) error {
	records, err := p.records.Freeze(ctx)
	if err != nil {
		return err
	}
	defer records.Close()
	log, err := p.tree.(*embedded.Log).Freeze() // no later than a moment after: every leaf's event was accepted before it
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Write(dir.log()); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	return records.Write(ctx, dir.records(), dir.path(erasableFile))
}

// inspect opens the copies as a vault is opened at its start, and keeps their last checkpoint beside them.
func (p *parts) inspect(ctx context.Context, dir folder, trust tlog.Trust, m *Manifest) (names []objects.Info, err error) {
	records, err := sqldb.Open(ctx, dir.records())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, records.Close()) }()
	log, err := embedded.Open(ctx, dir.log(), embedded.Options{Clock: p.options.Now, Logger: p.options.Logger})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	checkpoint, err := records.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	if err := writeFile(dir.checkpoint(), checkpoint, 0o600); err != nil {
		return nil, err
	}
	config, err := p.ledgerConfig(trust)
	if err != nil {
		return nil, err
	}
	config.Records, config.Tree, config.CheckpointFile = records, log, dir.checkpoint()
	if err := ledger.Check(ctx, config); err != nil {
		return nil, err
	}
	root, err := log.Root(ctx)
	if err != nil {
		return nil, err
	}
	m.LogSize = root.Size
	if m.Horizon, err = horizon(ctx, records, p.settings.Origin, m.Taken); err != nil {
		return nil, err
	}
	names, err = namedObjects(ctx, records)
	m.Objects = int64(len(names))
	return names, err
}

// horizon is the policy's at that moment, in seconds.
func horizon(ctx context.Context, records *sqldb.DB, origin string, at time.Time) (int64, error) {
	policy := evidence.PolicyOf(origin)
	states, err := records.States(ctx, policy)
	if err != nil {
		return 0, err
	}
	state, ok := states[policy].(*evidence.PolicyState)
	if !ok {
		return 0, ErrNotFounded
	}
	return state.At(evidence.At(at)).Policy.BackupHorizon, nil
}

// namedObjects lists the objects that items name, without those of shredded items, of which nothing can be opened any more.
func namedObjects(ctx context.Context, records *sqldb.DB) (names []objects.Info, err error) {
	for after := evidence.ItemID(""); ; {
		page, err := records.AllItems(ctx, after, fsckPage)
		if err != nil {
			return nil, err
		}
		for _, item := range page {
			if after = item.ID; item.Class != evidence.DescriptionOnly && item.Shredded == 0 {
				names = append(names, objects.Info{Digest: objects.Digest(item.Evidence.SHA256), Size: item.Evidence.Size})
			}
		}
		if len(page) < fsckPage {
			return names, nil
		}
	}
}

// copyFiles copies what else makes a vault: settings, trust file, names, keys as they are, encrypted. Their passphrase comes along only where
// it lies beside them.
func (p *parts) copyFiles(dir folder) error {
	if err := os.Mkdir(dir.path("keys"), 0o700); err != nil {
		return err
	}
	// As it is in force: the file may be one that nobody can change.
	if err := writeFile(dir.settings(), p.settings.marshal(), 0o600); err != nil {
		return err
	}
	names := []string{"trust.json"}
	if _, err := os.Stat(p.folder.config()); err == nil && p.options.ConfigFile == "" {
		names = append(names, filepath.Base(p.folder.config()))
	}
	if _, err := os.Stat(p.folder.names()); err == nil {
		names = append(names, filepath.Base(p.folder.names()))
	}
	if _, err := os.Stat(p.folder.development()); err == nil {
		names = append(names, filepath.Join("keys", developmentFile))
	}
	files := p.settings.files()
	for _, name := range files {
		names = append(names, filepath.Join("keys", name))
	}
	if p.options.PassphraseFile == "" && len(files) > 0 {
		names = append(names, filepath.Join("keys", "passphrase"))
	}
	for _, name := range names {
		text, err := os.ReadFile(p.folder.path(name))
		if err != nil {
			return err
		}
		if err := writeFile(dir.path(name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// copyNamed copies all objects and checks that none that an item names is missing from the backup.
func (p *parts) copyNamed(ctx context.Context, to backupFolder, names []objects.Info, verify bool, report func(Damage)) (int64, error) {
	store, err := fs.Open(to.path("objects"))
	if errors.Is(err, objects.ErrNotFound) {
		if err = fs.Create(to.path("objects")); err == nil {
			store, err = fs.Open(to.path("objects"))
		}
	}
	if err != nil {
		return 0, err
	}
	defer store.Close()
	copied, err := copyObjects(ctx, store, p.objects, verify, report)
	if err != nil {
		return copied, err
	}
	for _, info := range names {
		have, _, err := store.Stat(ctx, info.Digest)
		switch {
		case errors.Is(err, objects.ErrNotFound):
			report(Damage{Where: "object " + info.Digest.String(), What: "an item names it, and it is missing or altered in the vault; no backup has it", Do: doObject})
		case err != nil:
			return copied, err
		case have.Size != info.Size:
			report(Damage{Where: "object " + info.Digest.String(), What: "its size is not that which its item names", Do: doObject})
		}
	}
	return copied, nil
}

// publish gives a finished folder its name.
func publish(from, to string) error {
	for _, dir := range []string{filepath.Join(from, "keys"), from} {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	// Commit point: from here it counts.
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(name string) error {
	dir, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// sweep removes what interrupted backups and removals left.
func (f backupFolder) sweep() error {
	list, err := os.ReadDir(f.path("snapshots"))
	if err != nil {
		return err
	}
	for _, entry := range list {
		if strings.HasSuffix(entry.Name(), unfinished) {
			err = errors.Join(err, os.RemoveAll(f.path("snapshots", entry.Name())))
		}
	}
	return err
}

// verify compares the files of every snapshot with its manifest.
func (f backupFolder) verify(ctx context.Context, report func(Damage)) error {
	names, err := f.snapshots()
	if err != nil {
		return err
	}
	for _, name := range names {
		dir := f.snapshot(name)
		m, err := dir.readManifest()
		if err == nil {
			err = dir.check(ctx, m)
		}
		switch {
		case errors.Is(err, ErrAltered):
			report(Damage{Where: "snapshot " + name, What: err.Error(), Do: "Later snapshots and the vault itself are not touched by it. Remove its folder."})
		case err != nil && !errors.Is(err, ErrErased):
			return err
		}
	}
	return nil
}

// expire removes the erasable parts whose time is over by the shorter of the horizons then and now, and the oldest snapshots beyond keep.
func (f backupFolder) expire(newest Manifest, keep int, now time.Time, done *Backed) error {
	names, err := f.snapshots()
	if err != nil {
		return err
	}
	for i, name := range names {
		dir := f.snapshot(name)
		if i < len(names)-keep {
			if err := os.Rename(string(dir), string(dir)+unfinished); err != nil {
				return err
			}
			done.Removed = append(done.Removed, name)
			continue
		}
		m, err := dir.readManifest()
		if err != nil {
			done.Damage = append(done.Damage, Damage{Where: "snapshot " + name, What: err.Error(), Do: "Remove its folder: nothing tells when its envelopes expire."})
			continue
		}
		if now.Before(m.Taken.Add(window(min(m.Horizon, newest.Horizon)))) {
			continue
		}
		if err := os.Remove(dir.path(erasableFile)); err == nil {
			done.Erased = append(done.Erased, name)
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := syncDir(string(dir)); err != nil {
			return err
		}
	}
	return errors.Join(f.sweep(), syncDir(f.path("snapshots")))
}
