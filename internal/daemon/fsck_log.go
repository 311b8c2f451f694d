package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// checkpoints checks every checkpoint ever signed, the one kept apart included: signature, growth, and consistency with the log as it is.
func (c *checker) checkpoints(ctx context.Context) error {
	config, err := c.ledgerConfig(c.trust)
	if err != nil {
		return err
	}
	if err := ledger.Check(ctx, config); err != nil {
		m := (*ledger.Mismatch)(nil)
		if !errors.As(err, &m) {
			return err
		}
		c.damage(m.Where, "%s", m.What)
	}
	root, err := c.tree.Root(ctx)
	if err != nil {
		return err
	}
	now := tlog.Checkpoint{Origin: c.settings.Origin, Size: root.Size, Root: root.Hash}
	for after := int64(0); ; {
		list, err := c.records.Checkpoints(ctx, after, fsckPage)
		if err != nil {
			return err
		}
		for _, stored := range list {
			c.Checkpoints++
			after = stored.Order
			where := fmt.Sprintf("checkpoint of size %d", stored.Size)
			c.signed = max(c.signed, stored.Size)
			cp, err := tlog.OpenCheckpoint(stored.Signed, c.trust.LogKeys())
			if err != nil || cp.Size != stored.Size {
				c.damage(where, "it is not signed by this vault's log")
				continue
			}
			if cp.Size > now.Size {
				c.damage(where, "the log is smaller than what was signed")
				continue
			}
			proof, err := c.tree.Consistency(ctx, cp.Size, now.Size)
			if err != nil {
				return err
			}
			if tlog.VerifyConsistency(cp, now, proof) != nil {
				c.damage(where, "the log is not the one that was signed, grown")
			}
		}
		if len(list) < fsckPage {
			return nil
		}
	}
}

// log checks that every leaf has its event, at its index, rebuilds the root from the leaves, and asks for every leaf's proof, so that
// every stored node of the tree is read.
func (c *checker) log(ctx context.Context) error {
	root, err := c.tree.Root(ctx)
	if err != nil {
		return err
	}
	now := tlog.Checkpoint{Origin: c.settings.Origin, Size: root.Size, Root: root.Hash}
	rebuilt := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	for start := int64(0); start < root.Size; start += fsckPage {
		entries, err := c.records.LogRange(ctx, start, start+fsckPage)
		if err != nil {
			return err
		}
		recorded := make(map[int64]ledger.Entry, len(entries))
		for _, e := range entries {
			recorded[e.Index] = e
		}
		leaves, err := c.leaves(ctx, start, min(fsckPage, root.Size-start))
		if err != nil {
			return err
		}
		for i, leaf := range leaves {
			index := start + int64(i)
			if leaf == nil {
				continue
			}
			if err := c.leaf(ctx, index, *leaf, recorded, now); err != nil {
				return err
			}
			if rebuilt.End() == uint64(index) {
				hash := tlog.LeafHash(leaf.Value)
				if err := rebuilt.Append(hash[:], nil); err != nil {
					return err
				}
			}
		}
	}
	if rebuilt.End() != uint64(root.Size) {
		return nil // what is missing was named
	}
	hash := rfc6962.DefaultHasher.EmptyRoot()
	if root.Size > 0 {
		if hash, err = rebuilt.GetRootHash(nil); err != nil {
			return err
		}
	}
	if !bytes.Equal(hash, root.Hash[:]) {
		c.damage("log", "its root does not follow from its leaves")
	}
	return nil
}

// leaves reads a page of the log; a damaged leaf is named and nil.
func (c *checker) leaves(ctx context.Context, start, count int64) ([]*tlog.TreeLeaf, error) {
	page := make([]*tlog.TreeLeaf, count)
	if all, err := c.tree.Leaves(ctx, start, count); err == nil && int64(len(all)) == count {
		for i := range all {
			page[i] = &all[i]
		}
		return page, nil
	}
	for i := range page {
		where := fmt.Sprintf("log leaf %d", start+int64(i))
		one, err := c.tree.Leaves(ctx, start+int64(i), 1)
		switch {
		case damaged(err):
			c.damage(where, "it is damaged: %v", err)
		case err != nil:
			return nil, err
		case len(one) != 1:
			c.damage(where, "it is missing")
		default:
			page[i] = &one[0]
		}
	}
	return page, nil
}

func (c *checker) leaf(ctx context.Context, index int64, leaf tlog.TreeLeaf, recorded map[int64]ledger.Entry, now tlog.Checkpoint) error {
	c.Leaves++
	where := fmt.Sprintf("log leaf %d", index)
	hash := tlog.LeafHash(leaf.Value)
	proof, err := c.tree.Inclusion(ctx, index, now.Size)
	if err == nil {
		_, err = tlog.VerifyInclusion(hash, index, proof, now)
	} else if !damaged(err) {
		return err
	}
	if err != nil {
		c.damage(where, "the log cannot prove that it holds it: %v", err)
	}
	e, ok := recorded[index]
	if !ok {
		_, err := c.records.Entry(ctx, evidence.Hash(hash))
		if evidence.KindOf(err) == evidence.NotFound {
			c.damage(where, "its event is missing from the records")
			return nil
		}
		return err // it waits to be included, or its inclusion was lost, which was said with the event
	}
	if e.LeafHash != evidence.Hash(hash) {
		c.damage(where, "the records hold another event at this index")
		return nil
	}
	if index >= c.signed {
		c.damage(where, "the checkpoint under which it was included is missing from the records")
	}
	if !bytes.Equal(e.Leaf.Extra, leaf.Extra) {
		c.damage(where, "the statement kept with the leaf is not the one in the records")
	}
	c.covered = append(c.covered, heads.Entry{Key: heads.Key(e.Stream.Tag(c.settings.Origin), uint64(e.Seq)), Value: e.LeafHash})
	c.indexes = append(c.indexes, index)
	return nil
}

// headsMap builds the map again from the log and compares it with what was published and what is stored.
func (c *checker) headsMap(ctx context.Context) error {
	state, ok := c.states[evidence.VaultOf(c.settings.Origin)].(*evidence.HeadsState)
	if !ok {
		return nil
	}
	n := len(c.covered)
	for i, index := range c.indexes {
		if index >= state.Covers {
			n = i
			break
		}
	}
	tree, err := heads.Build(c.covered[:n])
	if err != nil || evidence.Hash(tree.Root()) != state.Root {
		c.damage("heads map", "what was published is not what the log holds")
		return nil
	}
	stored, err := heads.Open(ctx, c.records)
	if err != nil {
		return err
	}
	if evidence.Hash(stored.Root()) != state.Root {
		c.damage("heads map", "what is stored is not what was published")
	}
	for _, e := range c.covered[:n] {
		proof, err := stored.Prove(ctx, e.Key)
		if err != nil || proof.VerifyMember(state.Root, e.Key, e.Value) != nil {
			c.damage("heads map", "a stored entry is damaged")
			return nil
		}
	}
	return nil
}
