package vault

import (
	"context"

	"strongroom.example/strongroom/internal/tlog"
)

// MaxLogPage bounds a page of leaf hashes or of keys.
const MaxLogPage = 8192

// LeafHashes are the log's leaf hashes from an entry on, which reveal nothing but how many there are.
func (v *Vault) LeafHashes(ctx context.Context, start, count int64) ([]tlog.Hash, error) {
	return v.cfg.Ledger.LeafHashes(ctx, start, min(count, MaxLogPage))
}

// HeadsKeys are the keys of the heads map from an entry on, for auditors (FORMATS §7).
func (v *Vault) HeadsKeys(ctx context.Context, start, count int64) ([][32]byte, error) {
	return v.cfg.Ledger.HeadsKeys(ctx, start, min(count, MaxLogPage))
}
