package ledger

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Check compares the parts that cfg names as Open does, without starting anything.
func Check(ctx context.Context, cfg Config) error {
	_, _, err := (&Ledger{cfg: cfg}).crossCheck(ctx)
	return err
}

// Mismatch says that log, records and checkpoint file do not belong to one history. Nothing is written then, so that a restored old
// backup cannot fork the log.
type Mismatch struct {
	Where string // which part is behind or different: "log", "records" or "checkpoint file"
	What  string
}

func (m *Mismatch) Error() string {
	return "the " + m.Where + " does not fit the last signed checkpoint: " + m.What +
		"; nothing was written. Put back the newest copy of the " + m.Where + ", or restore the vault from one backup as a whole"
}

// crossCheck compares the last signed checkpoint, in the records and apart, with the tree (ARCHITECTURE §6). It returns the newest that is
// stored, and the newest that was signed as far as can be known here. The tree is asked last: others may be at work.
func (l *Ledger) crossCheck(ctx context.Context) (last, newest signed, err error) {
	none := signed{}
	recorded, err := l.cfg.Records.Checkpoint(ctx)
	if err != nil {
		return none, none, err
	}
	if last, err = l.open(recorded, "records"); err != nil {
		return none, none, err
	}
	kept, err := l.readApart()
	if err != nil {
		return none, none, err
	}
	apart, err := l.open(kept, "checkpoint file")
	if err != nil {
		return none, none, err
	}
	root, err := l.cfg.Tree.Root(ctx)
	if err != nil {
		return none, none, fmt.Errorf("root: %w", err)
	}
	now := tlog.Checkpoint{Origin: l.cfg.Origin, Size: root.Size, Root: root.Hash}
	for _, before := range []signed{last, apart} {
		if err := l.extends(ctx, before, now); err != nil {
			return none, none, err
		}
	}
	if newest = last; apart.Size > last.Size {
		newest = apart // a crash before the records had it
	}
	switch {
	case l.cfg.Lead != nil: // another process has signed since, or this one is new: what the file says holds all the same
	case apart.note == nil && last.note != nil && l.cfg.CheckpointFile != "":
		return none, none, &Mismatch{"checkpoint file", "it is missing"}
	case apart.note != nil && apart.Size < last.Size:
		return none, none, &Mismatch{"checkpoint file", "it is older than the records"}
	}
	return last, newest, l.checkUnrecorded(ctx, last.Size, root.Size)
}

// checkUnrecorded looks at leaves beyond a checkpoint. A crash leaves some there, or another process that is at work, each of an event that
// was committed before it was appended; a leaf without an event means that the records are not the newest, or another's.
func (l *Ledger) checkUnrecorded(ctx context.Context, start, size int64) error {
	for start < size {
		leaves, err := l.cfg.Tree.Leaves(ctx, start, min(size-start, maxWave))
		if err != nil {
			return fmt.Errorf("leaves: %w", err)
		}
		if len(leaves) == 0 {
			return &Mismatch{"log", "leaves below its own root are missing"}
		}
		for _, leaf := range leaves {
			_, err := l.cfg.Records.Entry(ctx, evidence.Hash(tlog.LeafHash(leaf.Value)))
			if evidence.KindOf(err) == evidence.NotFound {
				return &Mismatch{"records", "the log holds events that they do not"}
			}
			if err != nil {
				return err
			}
		}
		start += int64(len(leaves))
	}
	return nil
}

// open reads a checkpoint of our own; nil is one that was never made.
func (l *Ledger) open(note []byte, where string) (signed, error) {
	if note == nil {
		return signed{}, nil
	}
	cp, err := tlog.OpenCheckpoint(note, l.cfg.Keys)
	if err != nil {
		return signed{}, &Mismatch{where, "its checkpoint is not signed by this vault's log key"}
	}
	return signed{cp, note}, nil
}

// extends checks that the tree now is the tree of before, grown.
func (l *Ledger) extends(ctx context.Context, before signed, now tlog.Checkpoint) error {
	if before.note == nil {
		return nil
	}
	if now.Size < before.Size {
		return &Mismatch{"log", "it is smaller"}
	}
	proof, err := l.cfg.Tree.Consistency(ctx, before.Size, now.Size)
	if err != nil {
		return fmt.Errorf("consistency proof: %w", err)
	}
	if tlog.VerifyConsistency(before.Checkpoint, now, proof) != nil {
		return &Mismatch{"log", "it is not the same log, grown"}
	}
	return nil
}

func (l *Ledger) readApart() ([]byte, error) {
	if l.cfg.CheckpointFile == "" {
		return nil, nil
	}
	note, err := os.ReadFile(l.cfg.CheckpointFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return note, err
}

// keepApart writes the checkpoint to its second place, durably and at once or not at all. A larger one stays there.
func (l *Ledger) keepApart(cp signed) error {
	path := l.cfg.CheckpointFile
	if path == "" || cp.note == nil || cp.Size < l.newest.Size {
		return nil
	}
	if err := replaceFile(path, cp.note); err != nil {
		return fmt.Errorf("checkpoint file: %w", err)
	}
	return nil
}

func replaceFile(path string, content []byte) error {
	unfinished := path + ".new"
	f, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
