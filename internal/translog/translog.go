// Package translog adapts Google's Trillian to the tree the ledger appends to.
//
// It owns the translation between the ledger's port (leaves, roots, RFC 6962
// proofs) and Trillian's log API, and nothing else: Reader asks any
// trillian.TrillianLogClient, in this process or across gRPC. Appending is each
// engine's own: package embedded commits and integrates a batch in one
// transaction, package remote places it in a log server's database and waits
// for the signer.
//
// It may assume that one Trillian tree is Strongroom's alone. It never signs,
// never interprets a leaf, and proves nothing by itself: a proof handed out
// here is checked by the ledger against the checkpoint it signs.
package translog

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/google/trillian"
	"github.com/transparency-dev/merkle/rfc6962"
	"strongroom.example/strongroom/internal/tlog"
)

var (
	// ErrLeafDiffers is an integrity alarm: the log already holds a leaf of
	// the same identity with other bytes.
	ErrLeafDiffers = errors.New("translog: a leaf of this identity holds other bytes")
	// ErrBeyondRoot means that a proof was asked for a tree size the log has
	// not reached.
	ErrBeyondRoot = errors.New("translog: tree size is beyond the newest root")
	// ErrInvalid means that the request makes no sense for any log: an empty
	// leaf, a negative or reversed range.
	ErrInvalid = errors.New("translog: invalid request")
	// ErrCorrupt means that what the log stores contradicts itself. Nothing
	// read from it may be trusted until it has been restored.
	ErrCorrupt = errors.New("translog: log is damaged")
	// ErrClosed means that the log was closed.
	ErrClosed = errors.New("translog: log is closed")
	// ErrUnavailable means that the log server, or its database, did not
	// answer. Repeating the call is safe.
	ErrUnavailable = errors.New("translog: log server does not answer")
	// ErrPending means that Append ended before its leaves were integrated:
	// they may be in the log already, or come into it later. Repeating the
	// call is safe, and the way to learn their indexes.
	ErrPending = errors.New("translog: it is not known yet whether the leaves are in the log")
	// ErrNoTree means that the log server has no tree of that id, or that the
	// tree was deleted or never initialised.
	ErrNoTree = errors.New("translog: no such tree")
	// ErrTreeType means that the tree is of a type that does not take leaves
	// at given indexes.
	ErrTreeType = errors.New("translog: tree is of another type")
	// ErrFrozen means that the tree takes no more leaves.
	ErrFrozen = errors.New("translog: tree is frozen")
)

// NewLeaf returns the leaf in Trillian's form, with the identity of FORMATS §4:
// SHA-256 of the value, set explicitly. It copies value and extra. A leaf
// without value is ErrInvalid.
func NewLeaf(leaf tlog.TreeLeaf) (*trillian.LogLeaf, error) {
	if len(leaf.Value) == 0 {
		return nil, fmt.Errorf("%w: leaf without value", ErrInvalid)
	}
	identity := sha256.Sum256(leaf.Value)
	return &trillian.LogLeaf{
		LeafValue:        bytes.Clone(leaf.Value),
		ExtraData:        bytes.Clone(leaf.Extra),
		LeafIdentityHash: identity[:],
		MerkleLeafHash:   rfc6962.DefaultHasher.HashLeaf(leaf.Value),
	}, nil
}

// NewLeaves is NewLeaf of each.
func NewLeaves(leaves []tlog.TreeLeaf) ([]*trillian.LogLeaf, error) {
	list := make([]*trillian.LogLeaf, len(leaves))
	for i, leaf := range leaves {
		var err error
		if list[i], err = NewLeaf(leaf); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// CheckOriginal compares a leaf with the one that the log held before under
// the same identity. Only values count: extra data lies outside the Merkle
// hash, and the log keeps what it was given first.
func CheckOriginal(leaf, original *trillian.LogLeaf) error {
	if !bytes.Equal(leaf.LeafValue, original.LeafValue) {
		return ErrLeafDiffers
	}
	return nil
}
