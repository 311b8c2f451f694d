package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"

	"strongroom.example/strongroom/internal/custody"
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
		do := map[string]string{"log": doLog, "records": doRecords, "checkpoint file": doApart}[m.Where]
		c.damage(m.Where, do, "%s", m.What)
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
			if stored.Order != after+1 {
				c.damage("records", doRecords, "%d signed checkpoints before that of size %d are missing", stored.Order-after-1, stored.Size)
			}
			after = stored.Order
			where := fmt.Sprintf("checkpoint of size %d", stored.Size)
			c.signed = max(c.signed, stored.Size)
			cp, err := tlog.OpenCheckpoint(stored.Signed, c.trust.LogKeys())
			if err != nil || cp.Size != stored.Size {
				c.damage(where, doRecords, "it is not signed by this vault's log")
				continue
			}
			if cp.Size > now.Size {
				c.damage(where, doLog, "the log is smaller than what was signed")
				continue
			}
			proof, err := c.tree.Consistency(ctx, cp.Size, now.Size)
			if err != nil {
				return err
			}
			if tlog.VerifyConsistency(cp, now, proof) != nil {
				c.damage(where, doLog, "the log is not the one that was signed, grown")
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
		c.damage("log", doLog, "its root does not follow from its leaves")
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
			c.damage(where, doLog, "it is damaged: %v", err)
		case err != nil:
			return nil, err
		case len(one) != 1:
			c.damage(where, doLog, "it is missing")
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
		c.damage(where, doLog, "the log cannot prove that it holds it: %v", err)
	}
	e, ok := recorded[index]
	if !ok {
		e, err = c.records.Entry(ctx, evidence.Hash(hash))
		if evidence.KindOf(err) == evidence.NotFound {
			c.damage(where, doRecords, "its event is missing from the records%s", claimed(leaf))
			return nil
		}
		if err != nil {
			return err
		}
		c.cover(e, index) // it waits to be included, or its inclusion was lost, which was said with the event
		return nil
	}
	if e.LeafHash != evidence.Hash(hash) {
		c.damage(where, doEither, "the records hold another event at this index")
		return nil
	}
	if index >= c.signed {
		c.damage(where, doRecords, "the checkpoint under which it was included is missing from the records")
	}
	if !bytes.Equal(e.Leaf.Extra, leaf.Extra) {
		c.damage(where, doEither, "the statement kept with the leaf is not the one in the records")
	}
	c.cover(e, index)
	return nil
}

// cover notes what the heads map must hold for a leaf.
func (c *checker) cover(e ledger.Entry, index int64) {
	c.covered = append(c.covered, covered{
		heads.Entry{Key: heads.Key(e.Stream.Tag(c.settings.Origin), uint64(e.Seq)), Value: e.LeafHash}, index, place(e),
	})
}

// claimed names the event of a leaf by the statement that the log keeps with it.
func claimed(leaf tlog.TreeLeaf) string {
	statement, err := custody.Open(leaf.Extra)
	if err != nil {
		return ""
	}
	e := statement.Event()
	return ": " + place(ledger.Entry{Stream: e.Stream.Stream(), Seq: e.Stream.Seq})
}

// headsMap compares what is stored of the map, entry by entry, with what the log holds, and its root with what was published.
func (c *checker) headsMap(ctx context.Context) error {
	state, ok := c.states[evidence.VaultOf(c.settings.Origin)].(*evidence.HeadsState)
	if !ok {
		return nil
	}
	entries, want := []heads.Entry{}, make(map[[32]byte]covered)
	for _, e := range c.covered {
		if e.index < state.Covers {
			entries, want[e.Key] = append(entries, e.Entry), e
		}
	}
	tree, err := heads.Build(entries)
	if err != nil || evidence.Hash(tree.Root()) != state.Root {
		c.damage("heads map", doEither, "what was published is not what the log holds")
		return nil
	}
	stored, err := heads.Open(ctx, c.records)
	if err != nil {
		return err
	}
	if evidence.Hash(stored.Root()) != state.Root {
		c.damage("heads map", doRecords, "what is stored is not what was published")
	}
	for after := ([32]byte{}); ; {
		page, err := c.records.HeadsEntries(ctx, after, fsckPage)
		if err != nil {
			return err
		}
		for _, e := range page {
			after = e.Key
			switch w, ok := want[e.Key]; {
			case !ok:
				c.damage("heads map", doRecords, "a stored entry is damaged or belongs to no event")
			case w.Value != e.Value:
				c.damage(w.event, doRecords, "its entry in the heads map is damaged")
			}
			delete(want, e.Key)
		}
		if len(page) < fsckPage {
			break
		}
	}
	for _, w := range want {
		c.damage(w.event, doRecords, "its entry in the heads map is missing")
	}
	return nil
}
