package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects/fs"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
)

// Why a backup is not restored, for errors.Is; *Fork is another reason.
var (
	ErrOccupied    = errors.New("the folder is not empty: a vault is only ever restored into a new one")
	ErrAsk         = errors.New("nothing tells whether the backup is the newest: give the newest checkpoint that can be found, of the lost machine's second copy, a client, a witness or an auditor, or say that there is none")
	ErrDamagedCopy = errors.New("log or records that were restored are damaged; nothing was put in place")
)

// Fork says that a backup, gone on from, would be a second history: a checkpoint is known that its log does not lead to.
type Fork struct {
	Have  int64 // leaves in the log that was to be restored
	Known int64 // leaves of the checkpoint
}

func (f *Fork) Error() string {
	if f.Known <= f.Have {
		return fmt.Sprintf("a known checkpoint of %d leaves is of another history than the log of %d leaves in this backup; nothing was restored. "+
			"Two vaults have worked under one name: keep both, and show both to the auditor", f.Known, f.Have)
	}
	return fmt.Sprintf("the backup's log ends at %d leaves, and a checkpoint of %d was signed: %d events were acknowledged after the backup. "+
		"To go on from it would give their numbers to others, a second history that every client and witness refuses; nothing was restored.\n"+
		"What can be done: restore a newer backup; or give a newer copy of log.db with --log, from the lost machine's disk: it holds every statement, "+
		"and the records are made from it again. If there is neither, this history ends here: keep the backup, which proves what it holds, "+
		"found a new vault under another name, and let the keyholders bring their items into it", f.Have, f.Known, f.Known-f.Have)
}

// Restoration says what is restored where.
type Restoration struct {
	From     string   // the backup's folder
	Snapshot string   // "" is the newest
	Data     string   // the new vault's folder
	Newest   []string // files with checkpoints known from elsewhere
	None     bool     // the operator says that no newer checkpoint can be found
	Log      string   // a newer copy of the log's file, or ""
}

// Restored is what became of it.
type Restored struct {
	Manifest Manifest
	Trust    tlog.Trust
	LogSize  int64    // leaves in the log with which the vault goes on, before vault.restored
	Rebuilt  *Rebuilt // where the log was newer than the backup
	Copied   int64    // objects
	Examined Examined
	Damaged  int64 // items whose evidence is missing or altered, each of them reported
}

// restoring ends the name of a folder that is not finished; preparedFile is in it once all is in place and clean, and only vault.restored
// is missing.
const (
	restoring    = ".restoring"
	preparedFile = "prepared.json"
)

// prepared says of what.
type prepared struct {
	Snapshot string `json:"snapshot"`
	LogSize  int64  `json:"log_size"`
	Damaged  int64  `json:"damaged,omitempty"` // items whose evidence is
}

func (p prepared) marshal() []byte { return line(p) }
func (p prepared) valid() bool     { return p.LogSize >= 0 && p.Damaged >= 0 }

// Restore makes a vault from a backup, in a folder that is made for it. Everything is checked before anything counts: the snapshot's
// files by its manifest, its log against every checkpoint that is known, then all of it as Fsck does. Log and records must be whole; of
// evidence that is not, each item is reported. Last, vault.restored is logged, and the folder gets its name. It can be repeated after an
// interruption at any point.
func Restore(ctx context.Context, r Restoration, o Options, report func(Damage)) (Restored, error) {
	from := backupFolder(r.From)
	names, err := from.snapshots()
	if err != nil {
		return Restored{}, err
	}
	if r.Snapshot == "" && len(names) > 0 {
		r.Snapshot = names[len(names)-1]
	}
	if !slices.Contains(names, r.Snapshot) {
		return Restored{}, ErrNoBackup
	}
	if list, err := os.ReadDir(r.Data); err != nil && !errors.Is(err, os.ErrNotExist) {
		return Restored{}, err
	} else if len(list) > 0 {
		return Restored{}, ErrOccupied
	}
	if len(r.Newest) == 0 && !r.None {
		return Restored{}, ErrAsk
	}
	re := &restorer{Restoration: r, options: o, report: report, from: from, src: from.snapshot(r.Snapshot), dir: folder(filepath.Clean(r.Data) + restoring)}
	if err := re.check(ctx, names); err != nil {
		return re.Restored, err
	}
	if c, err := re.src.readConfig(o.ConfigFile); err != nil {
		return re.Restored, err
	} else if c.Records.PostgreSQL != nil || c.Log.Trillian != nil {
		return re.Restored, ErrEngines
	}
	if !re.resume() {
		if err := re.prepare(ctx); err != nil {
			return re.Restored, err
		}
	}
	if err := re.enter(ctx); err != nil {
		return re.Restored, err
	}
	// Commit point: the folder has its name.
	if err := publish(string(re.dir), r.Data); err != nil {
		return re.Restored, err
	}
	return re.Restored, os.Remove(folder(r.Data).path(preparedFile))
}

type restorer struct {
	Restoration
	Restored
	options Options
	report  func(Damage)
	from    backupFolder
	src     folder // the snapshot
	dir     folder // that becomes the vault's
	known   []known
}

// known is a checkpoint that somebody holds.
type known struct {
	tlog.Checkpoint
	note []byte
}

// check reads the snapshot and every checkpoint that is known: those given, and those of the other snapshots.
func (r *restorer) check(ctx context.Context, names []string) (err error) {
	if r.Manifest, err = r.src.readManifest(); err != nil {
		return err
	}
	if err := r.src.check(ctx, r.Manifest); err != nil {
		return err
	}
	text, err := os.ReadFile(r.src.trust())
	if err != nil {
		return err
	}
	if r.Trust, err = tlog.ParseTrust(text); err != nil || r.Trust.Vault() != r.Manifest.Vault {
		return fmt.Errorf("%w: its trust.json is another vault's", ErrAltered)
	}
	files := r.Newest
	for _, name := range names {
		files = append(files, r.from.snapshot(name).checkpoint())
	}
	for i, file := range files {
		note, err := os.ReadFile(file)
		if err == nil {
			cp, err2 := tlog.OpenCheckpoint(note, r.Trust.LogKeys())
			r.known, err = append(r.known, known{cp, note}), err2
		}
		if err != nil {
			where := file
			if i >= len(r.Newest) {
				where = "of snapshot " + names[i-len(r.Newest)]
			}
			return fmt.Errorf("checkpoint %s: %w", where, err)
		}
	}
	slices.SortFunc(r.known, func(a, b known) int { return int(a.Size - b.Size) })
	return nil
}

// prepare puts everything in place and examines it. Objects of an earlier attempt stay; they are read, too.
func (r *restorer) prepare(ctx context.Context) error {
	list, err := os.ReadDir(string(r.dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, entry := range list {
		if entry.Name() != "objects" {
			if err := os.RemoveAll(r.dir.path(entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.MkdirAll(r.dir.path("keys"), 0o700); err != nil {
		return err
	}
	for _, file := range r.Manifest.Files {
		switch name := filepath.FromSlash(file.Path); name {
		case "records.db", "log.db", erasableFile, "checkpoint":
		default:
			mode := os.FileMode(0o600)
			if name == "trust.json" {
				mode = 0o644
			}
			text, err := os.ReadFile(r.src.path(name))
			if err != nil {
				return err
			}
			if err := writeFile(r.dir.path(name), text, mode); err != nil {
				return err
			}
		}
	}
	if err := r.stores(ctx); err != nil {
		return err
	}
	if err := r.objects(ctx); err != nil {
		return err
	}
	if err := r.examine(ctx); err != nil {
		return err
	}
	return writeFile(r.dir.path(preparedFile), prepared{r.Snapshot, r.LogSize, r.Damaged}.marshal(), 0o600)
}

// resume reports whether an earlier attempt prepared the same.
func (r *restorer) resume() bool {
	p, err := readDocument[prepared](r.dir.path(preparedFile))
	if err != nil || p.Snapshot != r.Snapshot {
		return false
	}
	r.LogSize, r.Damaged = p.LogSize, p.Damaged
	return true
}

// stores restores log and records. Where the log is newer than the backup the records are made from it.
func (r *restorer) stores(ctx context.Context) error {
	source := r.src.log()
	if r.Log != "" {
		source = r.Log
	}
	if err := copyFile(ctx, r.dir.log(), source); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if err := r.checkFork(ctx); err != nil {
		return err
	}
	if err := writeFile(r.dir.checkpoint(), r.known[len(r.known)-1].note, 0o600); err != nil {
		return err
	}
	if r.LogSize == r.Manifest.LogSize {
		return sqldb.Restore(ctx, r.dir.records(), r.src.records(), r.src.path(erasableFile))
	}
	files := []string{r.src.records(), r.src.path(erasableFile)}
	made, err := rebuildRecords(ctx, r.Manifest.Vault, r.Trust, r.dir.log(), r.dir.records(), files, r.options)
	if err == nil && slices.Contains(made.Unread, r.src.path(erasableFile)) { // which its manifest vouched for
		err = ErrAltered
	}
	r.Rebuilt = &made
	return err
}

// checkFork demands that the log extends every checkpoint that is known.
func (r *restorer) checkFork(ctx context.Context) (err error) {
	log, err := embedded.Open(ctx, r.dir.log(), embedded.Options{Clock: r.options.Now, Logger: r.options.Logger})
	if err != nil {
		return fmt.Errorf("log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	root, err := log.Root(ctx)
	if err != nil {
		return err
	}
	r.LogSize = root.Size
	now := tlog.Checkpoint{Origin: r.Manifest.Vault, Size: root.Size, Root: root.Hash}
	for _, k := range slices.Backward(r.known) {
		if k.Size > now.Size {
			return &Fork{now.Size, k.Size}
		}
		proof, err := log.Consistency(ctx, k.Size, now.Size)
		if err != nil {
			return err
		}
		if tlog.VerifyConsistency(k.Checkpoint, now, proof) != nil {
			return &Fork{now.Size, k.Size}
		}
	}
	if now.Size < r.Manifest.LogSize {
		return &Fork{now.Size, r.Manifest.LogSize}
	}
	return nil
}

// objects copies what is missing, into the folder or into the bucket that the configuration names.
func (r *restorer) objects(ctx context.Context) error {
	backup, err := fs.Open(r.from.path("objects"))
	if err != nil {
		return fmt.Errorf("%w: its objects cannot be read: %w", ErrAltered, err)
	}
	defer backup.Close()
	config, err := r.dir.readConfig(r.options.ConfigFile)
	if err != nil {
		return err
	}
	store, err := r.dir.provideObjects(ctx, config.Objects, r.Manifest.Vault)
	if err != nil {
		return err
	}
	defer store.Close()
	r.Copied, err = copyObjects(ctx, store, backup, false, r.report)
	return err
}

// examine demands that log and records are whole. Evidence that is not keeps nothing else from coming back: the vault does not serve it, and
// its file can be put back later. Without all the rest nobody could withdraw, or open what is whole.
func (r *restorer) examine(ctx context.Context) (err error) {
	found := 0
	r.Damaged = 0
	r.Examined, err = Fsck(ctx, string(r.dir), r.options, func(d Damage) {
		switch {
		case d.Harmless, r.lost(d):
		case d.file:
			r.Damaged++
		default:
			found++
		}
		r.report(d)
	})
	if err == nil && found > 0 {
		err = ErrDamagedCopy
	}
	return err
}

// lost reports whether a damage is one that could not be helped: bytes that came after the backup, with events that the log brought.
func (r *restorer) lost(d Damage) bool {
	return r.Rebuilt != nil && d.Do == doAttach && strings.HasPrefix(d.What, "the bytes of its") && strings.HasSuffix(d.What, "are missing")
}

// enter logs vault.restored, unless an interrupted attempt did.
func (r *restorer) enter(ctx context.Context) (err error) {
	p, err := open(ctx, string(r.dir), r.options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	policy, author := evidence.PolicyOf(p.settings.Origin), evidence.ActorOf(p.settings.Actor)
	states, err := p.records.States(ctx, policy, author)
	if err != nil {
		return err
	}
	wanted := &evidence.VaultRestoredDetails{Backup: evidence.At(r.Manifest.Taken), Before: r.Manifest.LogSize, After: r.LogSize}
	last, err := p.records.Entry(ctx, states[policy].Tip().Leaf)
	if err != nil {
		return err
	}
	statement, err := custody.Open(last.Leaf.Extra)
	if err != nil {
		return err
	}
	if d, ok := statement.Event().Details.(*evidence.VaultRestoredDetails); ok && *d == *wanted {
		return p.settle(ctx) // an interrupted attempt logged it
	}
	e := &evidence.Event{Kind: evidence.VaultRestored, Details: wanted}
	signed, err := p.author.Sign(e, policy, evidence.Facts{Origin: p.settings.Origin, Founders: p.founders, States: states}, r.options.Now())
	if err != nil {
		return err
	}
	if err := p.vault.Found(ctx, signed); err != nil {
		return err
	}
	return p.settle(ctx)
}

// copyFile copies a file durably. What stands there is replaced.
func copyFile(ctx context.Context, dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, reading{ctx, in})
	return errors.Join(err, out.Sync(), out.Close())
}
