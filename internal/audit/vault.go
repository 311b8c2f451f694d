package audit

import (
	"context"

	"strongroom.example/strongroom/internal/tlog"
)

// Vault is what is followed. Nothing that it answers is believed. Pages may be shorter than asked for and are never empty.
type Vault interface {
	// Checkpoint returns the newest signed checkpoint.
	Checkpoint(ctx context.Context) ([]byte, error)
	// Consistency returns what the vault gives as proof that the log of size to extends that of size from; nothing where it refuses to.
	Consistency(ctx context.Context, from, to int64) ([][]byte, error)
	// Leaves returns Merkle leaf hashes of entries from start on.
	Leaves(ctx context.Context, start, count int64) ([]tlog.Hash, error)
	// Keys returns keys of the heads map of entries from start on, all zero where there is none.
	Keys(ctx context.Context, start, count int64) ([][32]byte, error)
	// Statements returns entries from start on with their leaves and the signed forms of their statements, nothing where there is none.
	Statements(ctx context.Context, start, count int64) ([]tlog.TreeLeaf, error)
	// Publications returns receipts of the vault.heads events that are in the log, from seq on; none if there are no more.
	Publications(ctx context.Context, seq int64) ([][]byte, error)
	// Authors returns the keys that the vault has had to sign publications, which led back to the trust file.
	Authors(ctx context.Context) ([]Author, error)
}

// Author is a key in whose name the vault publishes, for entries after From and, unless it is 0, before Until.
type Author struct {
	SPKI        []byte
	From, Until int64
}
