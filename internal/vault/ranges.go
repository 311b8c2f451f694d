package vault

import (
	"context"

	"strongroom.example/strongroom/internal/tlog"
)

const (
	// MaxLogPage bounds a page of leaf hashes or of keys.
	MaxLogPage = 8192
	// MaxStatements bounds a page of statements, which also ends once it has more bytes than pageBytes.
	MaxStatements = 1000
	pageBytes     = 4 << 20
)

// LeafHashes are the log's leaf hashes from an entry on, which reveal nothing but how many there are.
func (v *Vault) LeafHashes(ctx context.Context, start, count int64) ([]tlog.Hash, error) {
	return v.cfg.Ledger.LeafHashes(ctx, start, min(count, MaxLogPage))
}

// HeadsKeys are the keys of the heads map from an entry on, for auditors (FORMATS §7).
func (v *Vault) HeadsKeys(ctx context.Context, start, count int64) ([][32]byte, error) {
	return v.cfg.Ledger.HeadsKeys(ctx, start, min(count, MaxLogPage))
}

// Statements are the log's entries from one on, each with its statement, for auditors: they see every statement (FORMATS §13).
func (v *Vault) Statements(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error) {
	return v.cfg.Ledger.Statements(ctx, start, min(count, MaxStatements), pageBytes)
}
