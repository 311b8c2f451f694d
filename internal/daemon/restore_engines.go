package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// errInFolder means that there are no engines to put back.
var errInFolder = errors.New("this vault's records and log are in its folder: give the backup that strongroomd backup made (--from)")

// Rewound is a Fork by databases that were put back to an earlier moment.
type Rewound struct{ Fork }

func (r *Rewound) Error() string {
	if r.Known <= r.Have {
		return fmt.Sprintf("a known checkpoint of %d leaves is of another history than the log of %d leaves that was put back; nothing was written. "+
			"Two vaults have worked under one name: keep both, and show both to the auditor", r.Known, r.Have)
	}
	return fmt.Sprintf("the log that was put back ends at %d leaves, and a checkpoint of %d was signed: %d events were acknowledged after that moment. "+
		"To go on from here would give their numbers to others, a second history that every client and witness refuses; nothing was written.\n"+
		"What can be done: put the cluster back to a later moment, with all WAL that can be found, in the archive, on a standby, or in pg_wal on the "+
		"lost machine's disk. If there is none, this history ends here: keep what was put back, which proves what it holds, found a new vault under "+
		"another name, and let the keyholders bring their items into it", r.Have, r.Known, r.Known-r.Have)
}

func (r *Rewound) Unwrap() error { return &r.Fork }

// RestoreEngines takes a vault into service again whose records and log the operator put back with the database's own tools, in the folder
// r.Data that was kept beside them. From, Snapshot and Log mean nothing here. Everything is checked before anything counts: the log against
// every checkpoint that is known, those of the folder and of the records included, then all of it as Fsck does, as in Restore. Last,
// vault.restored is logged. It can be repeated after an interruption at any point.
//
// The moment that vault.restored states is that of the last event in the log: what the databases were put back to nothing else tells.
func RestoreEngines(ctx context.Context, r Restoration, o Options, report func(Damage)) (Restored, error) {
	re := &restorer{Restoration: r, options: o, report: report, dir: folder(r.Data)}
	if len(r.Newest) == 0 && !r.None {
		return re.Restored, ErrAsk
	}
	if err := re.putBack(ctx); err != nil {
		return re.Restored, err
	}
	if err := re.examine(ctx); err != nil {
		return re.Restored, err
	}
	// An interrupted attempt may have logged it: the next one states the same.
	p := prepared{re.Manifest.Taken.Format(snapshotName), re.LogSize, re.Damaged}
	if err := writeFile(re.dir.path(preparedFile), p.marshal(), 0o600); err != nil {
		return re.Restored, err
	}
	// Commit point: vault.restored is accepted.
	if err := re.enter(ctx); err != nil {
		return re.Restored, err
	}
	return re.Restored, os.Remove(re.dir.path(preparedFile))
}

// snapshotName is how a moment is written in names of files.
const snapshotName = "20060102T150405.000Z"

// putBack demands that the log which was put back extends every checkpoint that is known, and keeps the newest of them in its place.
func (r *restorer) putBack(ctx context.Context) (err error) {
	if err := r.dir.settle(); err != nil {
		return err
	}
	s, trust, err := r.dir.inUse()
	if err != nil {
		return err
	}
	if !s.outside() {
		return errInFolder
	}
	r.Trust, r.Manifest.Vault = trust, s.Origin
	p, err := openParts(ctx, r.dir, r.options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := r.gather(ctx, p); err != nil {
		return err
	}
	root, err := p.tree.Root(ctx)
	if err != nil {
		return err
	}
	now := tlog.Checkpoint{Origin: s.Origin, Size: root.Size, Root: root.Hash}
	for _, k := range slices.Backward(r.known) {
		fork := &Rewound{Fork{now.Size, k.Size}}
		if k.Size > now.Size {
			return fork
		}
		proof, err := p.tree.Consistency(ctx, k.Size, now.Size)
		if err != nil {
			return err
		}
		if tlog.VerifyConsistency(k.Checkpoint, now, proof) != nil {
			return fork
		}
	}
	if !r.resumed(now.Size) {
		r.LogSize = now.Size
		if r.Manifest.Taken, err = lastMoment(ctx, p.tree, now.Size, r.options.Now()); err != nil {
			return err
		}
	}
	r.Manifest.LogSize = r.LogSize
	if len(r.known) == 0 {
		return nil
	}
	return writeFile(r.dir.checkpoint(), r.known[len(r.known)-1].note, 0o600)
}

// gather reads every checkpoint that is known: those given, the one in the folder, and the newest of the records.
func (r *restorer) gather(ctx context.Context, p *parts) error {
	recorded, err := p.records.Checkpoint(ctx)
	if err != nil {
		return err
	}
	notes := map[string][]byte{"of the records": recorded}
	files := r.Newest
	if _, err := os.Stat(r.dir.checkpoint()); err == nil {
		files = append(slices.Clone(files), r.dir.checkpoint())
	}
	for _, file := range files {
		if notes[file], err = os.ReadFile(file); err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
	}
	for where, note := range notes {
		if note == nil {
			continue // nothing was ever signed
		}
		cp, err := tlog.OpenCheckpoint(note, r.Trust.LogKeys())
		if err != nil {
			return fmt.Errorf("checkpoint %s: %w", where, err)
		}
		r.known = append(r.known, known{cp, note})
	}
	slices.SortFunc(r.known, func(a, b known) int { return int(a.Size - b.Size) })
	return nil
}

// resumed reports whether an interrupted attempt took this log for the vault's, and takes up what it was to state.
func (r *restorer) resumed(size int64) bool {
	p, err := readDocument[prepared](r.dir.path(preparedFile))
	if err != nil || p.LogSize > size {
		return false
	}
	taken, err := time.Parse(snapshotName, p.Snapshot)
	r.Manifest.Taken, r.LogSize = taken, p.LogSize
	return err == nil
}

// lastMoment is when the last event in a log was signed, by its signer's clock, and not later than now.
func lastMoment(ctx context.Context, log tree, size int64, now time.Time) (time.Time, error) {
	for at := size - 1; at >= 0; at-- {
		leaves, err := log.Leaves(ctx, at, 1)
		if err != nil {
			return time.Time{}, err
		}
		if len(leaves) == 0 || len(leaves[0].Extra) == 0 {
			continue // void: publications say so
		}
		statement, err := custody.Open(leaves[0].Extra)
		if err != nil {
			return time.Time{}, fmt.Errorf("log leaf %d: %w", at, err)
		}
		if t := statement.Event().Time; t < evidence.At(now) {
			now = t.Std()
		}
		break
	}
	return now.UTC().Truncate(time.Millisecond), nil
}
