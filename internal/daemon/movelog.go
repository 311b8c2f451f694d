package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"

	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/remote"
)

var (
	// ErrMoved means that the log is in a log server already.
	ErrMoved       = errors.New("the vault's log is in a Trillian log server already")
	errMoveNowhere = errors.New("the configuration names no log server (log.trillian) to which the log could be moved")
)

// MovedLog is what became of a log that was moved.
type MovedLog struct {
	Entries     int64
	Checkpoints int    // signed ones, that both logs proved to extend
	Tree        int64  // of the log server
	Kept        string // the old log's file
}

// MoveLog moves the log of a vault that is not running from its folder to the log server that the configuration names. Every entry keeps its
// index, so roots, receipts and proofs stay what they are. It can be repeated after an interruption at any point: until vault.json names the
// new tree the vault has the old log, which nothing here writes to, and from then on the new one. progress may be nil.
func MoveLog(ctx context.Context, dir string, o Options, progress func(done, total int64)) (moved MovedLog, err error) {
	f := folder(dir)
	if err := f.settle(); err != nil {
		return moved, err
	}
	s, trust, err := f.inUse()
	if err != nil {
		return moved, err
	}
	p := &parts{options: o, folder: f, settings: s}
	if p.config, err = f.readConfig(o.ConfigFile); err != nil {
		return moved, err
	}
	to := p.config.Log
	switch {
	case s.Tree != 0:
		return moved, ErrMoved
	case to.Trillian == nil:
		return moved, errMoveNowhere
	}
	p.config.Log.Trillian = nil // it is here still
	if err := s.agrees(p.config); err != nil {
		return moved, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	if err := p.openStores(ctx); err != nil {
		return moved, err
	}
	if p.keys, err = f.openKeys(ctx, s, o.PassphraseFile); err != nil {
		return moved, err
	}
	config, err := p.ledgerConfig(trust)
	if err != nil {
		return moved, err
	}
	if err := ledger.Check(ctx, config); err != nil {
		return moved, err
	}
	signed, err := p.signed(ctx, trust.LogKeys())
	if err != nil {
		return moved, err
	}
	at, err := trillian(*to.Trillian, 0)
	if err != nil {
		return moved, err
	}
	if at.TreeID, err = remote.Create(ctx, at, s.Origin); err != nil {
		return moved, err
	}
	anew, err := remote.Open(ctx, at)
	if err != nil {
		return moved, err
	}
	err = remote.Migrate(ctx, p.tree, anew, signed, progress)
	root, errRoot := anew.Root(ctx)
	if err = errors.Join(err, errRoot, anew.Close()); err != nil {
		return moved, err
	}
	// Commit point: from here the vault has the new log.
	s.Tree = at.TreeID
	if err := writeFile(f.settings(), s.marshal(), 0o600); err != nil {
		return moved, err
	}
	moved = MovedLog{Entries: root.Size, Checkpoints: len(signed), Tree: s.Tree, Kept: f.log() + ".moved"}
	return moved, errors.Join(os.Rename(f.log(), moved.Kept), syncDir(dir))
}

// signed are all checkpoints that the records hold, as roots.
func (p *parts) signed(ctx context.Context, keys tlog.LogKeys) (list []tlog.Root, err error) {
	for after := int64(0); ; {
		page, err := p.records.Checkpoints(ctx, after, fsckPage)
		if err != nil {
			return nil, err
		}
		for _, stored := range page {
			after = stored.Order
			cp, err := tlog.OpenCheckpoint(stored.Signed, keys)
			if err != nil {
				return nil, fmt.Errorf("checkpoint of size %d: %w", stored.Size, err)
			}
			list = append(list, tlog.Root{Size: cp.Size, Hash: cp.Root})
		}
		if len(page) < fsckPage {
			return list, nil
		}
	}
}
