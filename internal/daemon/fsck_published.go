package daemon

import (
	"context"
	"fmt"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

// published checks every checkpoint that was offered to witnesses and time-stamp authorities: the log's signature, the tree, the
// cosignatures and stamps that came, and what it is said to have reached; then the stamps over events.
func (c *checker) published(ctx context.Context) error {
	root, err := c.tree.Root(ctx)
	if err != nil {
		return err
	}
	now := tlog.Checkpoint{Origin: c.settings.Origin, Size: root.Size, Root: root.Hash}
	for above := int64(-1); ; {
		page, err := c.records.AllPublished(ctx, above, fsckPage)
		if err != nil {
			return err
		}
		for _, row := range page {
			above = row.Size
			c.Published++
			where := fmt.Sprintf("published checkpoint of size %d", row.Size)
			cp, err := tlog.OpenCheckpoint(row.Note, c.trust.LogKeys())
			if err != nil || cp.Size != row.Size {
				c.damage(where, doOutside, "it is not signed by this vault's log")
				continue
			}
			if cp.Size > now.Size {
				c.damage(where, doLog, "the log is smaller than what was published")
				continue
			}
			proof, err := c.tree.Consistency(ctx, cp.Size, now.Size)
			if err != nil {
				return err
			}
			if tlog.VerifyConsistency(cp, now, proof) != nil {
				c.damage(where, doLog, "the log is not the one that was published, grown")
			}
			c.outside(where, row)
		}
		if len(page) < fsckPage {
			break
		}
	}
	c.witnesses()
	return c.eventStamps(ctx)
}

// outside checks what came from outside for a published checkpoint.
func (c *checker) outside(where string, row ledger.Published) {
	reached, err := row.Weigh(c.trust)
	if err == nil {
		_, err = c.trust.Cosigned(row.Note) // by those whom the trust file named before, too
	}
	if err != nil {
		c.damage(where, doOutside, "a cosignature on it is damaged")
		return
	}
	policy := ledger.PolicyID(c.trust)
	if row.Final == policy && reached < ledger.Final || row.Audited == policy && reached < ledger.Audited {
		c.damage(where, doOutside, "cosignatures or time stamps that had come for it are missing")
	}
	for _, s := range row.Stamps {
		if s.Verify(c.trust, row) != nil {
			c.damage(where, doOutside, "a time stamp over it is damaged, or of an authority that trust.json does not know")
		}
	}
}

func (c *checker) eventStamps(ctx context.Context) error {
	for after := int64(0); ; {
		page, err := c.records.StampedEvents(ctx, after, fsckPage)
		if err != nil {
			return err
		}
		for _, stamped := range page {
			after = stamped.Order
			statement, err := custody.Open(stamped.Leaf.Extra)
			if err != nil {
				continue // said with the event
			}
			stamps, err := c.records.EventStamps(ctx, stamped.LeafHash)
			if err != nil {
				return err
			}
			for _, s := range stamps {
				if _, err := c.trust.VerifyTimestamp(s.Response, statement.Signature()); err != nil {
					c.damage(place(stamped), doOutside, "a time stamp over it is damaged, or of an authority that trust.json does not know")
				}
			}
		}
		if len(page) < fsckPage {
			return nil
		}
	}
}

// witnesses compares the trust file with the configuration in force: who must cosign stands in both.
func (c *checker) witnesses() {
	policy, ok := c.states[evidence.PolicyOf(c.settings.Origin)].(*evidence.PolicyState)
	if !ok || policy.Witness == c.trust.WitnessPolicy() || policy.Proposed != nil && policy.Proposed.Witness == c.trust.WitnessPolicy() {
		return
	}
	c.damage("trust.json", doTrust, "it does not name the witnesses of this vault's configuration")
}
