package client

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// FindingKind says what an auditor should look at (RULES §1, A3 to A6).
type FindingKind string

const (
	FoundEmergency   FindingKind = "emergency"         // an opening in an emergency, reviewed or not
	FoundRefusal     FindingKind = "refusal"           // a share that was refused
	FoundUndecided   FindingKind = "undecided"         // frozen, and nobody decided in time whether it is shredded or held
	FoundOverdue     FindingKind = "retention_overdue" // need not be kept any longer, and is
	FoundBinned      FindingKind = "shred_proposed"    // in the bin
	FoundHoldReview  FindingKind = "hold_review"       // a hold whose review date has passed
	FoundDamaged     FindingKind = "damaged"           // the stored file was found to differ
	FoundUnequal     FindingKind = "unequal"           // a recipient got other bytes than were recorded
	FoundSealBroken  FindingKind = "seal_broken"       // a physical item arrived with a broken seal
	FoundUnconfirmed FindingKind = "unconfirmed_hold"  // a hold that waits for its second person
	FoundRecovered   FindingKind = "recovered"         // the recovery key was used: two trustees stated it
	FoundRecovering  FindingKind = "recovery_stated"   // one trustee states that it was used, and no second one yet
	FoundRelease     FindingKind = "release"           // a sampled opening or share, with the ground it stood on
)

// Finding is one thing to look at. Each follows from events that were verified here.
type Finding struct {
	Kind  FindingKind      `json:"kind"`
	Item  evidence.ItemID  `json:"item"`
	Case  evidence.CaseID  `json:"case,omitempty"`
	Actor evidence.ActorID `json:"actor,omitempty"` // who opened, refused, placed
	Since evidence.Time    `json:"since,omitempty"`
	Due   evidence.Time    `json:"due,omitempty"`
	Done  evidence.Time    `json:"done,omitempty"` // of an emergency: when it was reviewed
	Late  bool             `json:"late,omitempty"` // overdue now, or done after it was due
	Entry int64            `json:"entry,omitempty"`
	Why   string           `json:"why,omitempty"`
}

// Audit is what an auditor's reading of the whole vault came to.
type Audit struct {
	Items     int           `json:"items"`
	Findings  []Finding     `json:"findings"`
	Backwards time.Duration `json:"backwards"` // by how much times run against the order of entry at most, in nanoseconds
	AsOf      evidence.Time `json:"as_of"`
}

// Audit reads every item of the vault that it admits to, verifies its history to the proved end, and says what stands out; sample is how
// many openings and shares are picked at random beside. Which items there are is the vault's claim (RULES §11, 3).
func (c *Client) Audit(ctx context.Context, sample int) (Audit, error) {
	var audit Audit
	releases, seen := []Finding{}, 0
	items, err := pages(ctx, func(ctx context.Context, cursor *string) ([]wire.Item, string, error) {
		req, err := wire.NewListAllItemsRequest(c.address, &wire.ListAllItemsParams{Cursor: cursor})
		page, err := ask[wire.ItemList](ctx, c, req, err, http.StatusOK)
		return page.Items, page.Next, err
	})
	if err != nil {
		return audit, err
	}
	v, err := c.Look(ctx, evidence.PolicyOf(c.trust.Vault()))
	if err != nil {
		return audit, err
	}
	audit.AsOf = v.Time
	if audit.Findings, err = v.recoveries(); err != nil {
		return audit, err
	}
	for batch := range slices.Chunk(items, itemsOfLook) {
		streams := make([]evidence.Stream, len(batch))
		for i, item := range batch {
			streams[i] = evidence.ItemOf(evidence.ItemID(item.ID))
		}
		v, err := c.Look(ctx, streams...)
		if err != nil {
			return audit, err
		}
		audit.AsOf, audit.Backwards = v.Time, max(audit.Backwards, v.Backwards())
		for _, s := range streams {
			own, err := state[*evidence.ItemState](v, s)
			if err != nil {
				return audit, err
			}
			found, err := v.findings(own)
			if err != nil {
				return audit, err
			}
			audit.Items++
			audit.Findings = append(audit.Findings, found...)
			for seq := range v.Len(s) {
				why := v.Why(s, seq)
				if why == "" {
					continue
				}
				e, err := v.Event(s, seq)
				if err != nil {
					return audit, err
				}
				_, entry := v.Leaf(s, seq)
				f := Finding{Kind: FoundRelease, Item: own.ID, Case: own.Case, Actor: e.Actor.ID, Since: e.Time, Entry: entry, Why: why}
				// Each release of the vault has the same chance, without all of them in memory.
				if seen++; len(releases) < sample {
					releases = append(releases, f)
				} else if i := rand.IntN(seen); i < sample { //#nosec G404 -- a sample, not a secret
					releases[i] = f
				}
			}
		}
	}
	slices.SortFunc(releases, func(a, b Finding) int { return int(a.Entry - b.Entry) })
	audit.Findings = append(audit.Findings, releases...)
	return audit, nil
}

// findings are what stands out of one item.
func (v *View) findings(own *evidence.ItemState) ([]Finding, error) {
	var list []Finding
	now := v.Time
	note := func(kind FindingKind, set func(f *Finding)) {
		f := Finding{Kind: kind, Item: own.ID, Case: own.Case}
		set(&f)
		list = append(list, f)
	}
	policy, err := state[*evidence.PolicyState](v, evidence.PolicyOf(v.facts.Origin))
	if err != nil {
		return nil, err
	}
	reviewed := make(map[evidence.Hash]evidence.Time)
	s := evidence.ItemOf(own.ID)
	for seq := range v.Len(s) {
		if v.Withheld(s, seq) != 0 {
			continue
		}
		e, err := v.Event(s, seq)
		if err != nil {
			return nil, err
		}
		_, entry := v.Leaf(s, seq)
		switch d := e.Details.(type) {
		case *evidence.ItemBreakGlassReviewedDetails:
			reviewed[d.Event] = e.Time
		case *evidence.GrantRefusedDetails:
			note(FoundRefusal, func(f *Finding) { f.Actor, f.Since, f.Entry = e.Actor.ID, e.Time, entry })
		}
	}
	for _, m := range own.Emergencies {
		note(FoundEmergency, func(f *Finding) {
			f.Actor, f.Since, f.Due, f.Done = m.By, m.Opened, m.Due, reviewed[m.Event]
			f.Late = f.Done == 0 && now >= m.Due || f.Done > m.Due
		})
	}
	by, waits, err := own.Decide(v.facts, policy.At(now), now)
	if err != nil {
		return nil, err
	}
	if waits && now >= by {
		note(FoundUndecided, func(f *Finding) { f.Due, f.Late = by, true })
	}
	due, ends, err := own.Due(v.facts, now)
	if err != nil {
		return nil, err
	}
	if ends && now >= due && !waits && own.Bin == nil && own.Shredded == 0 && !own.Held(now) {
		note(FoundOverdue, func(f *Finding) { f.Due, f.Late = due, true })
	}
	if own.Bin != nil {
		note(FoundBinned, func(f *Finding) { f.Actor, f.Since, f.Due = own.Bin.By, own.Bin.Since, own.Bin.Ready })
	}
	for _, h := range own.Holds {
		switch {
		case h.Status == evidence.HoldUnconfirmed && h.Blocks(now):
			note(FoundUnconfirmed, func(f *Finding) { f.Actor, f.Since, f.Due = h.PlacedBy, h.Placed, h.Lapses })
		case h.Confirmed(now) && now >= h.Review:
			note(FoundHoldReview, func(f *Finding) { f.Actor, f.Since, f.Due, f.Late = h.PlacedBy, h.Placed, h.Review, true })
		}
	}
	if own.Damaged {
		note(FoundDamaged, func(*Finding) {})
	}
	if own.SealBroken {
		note(FoundSealBroken, func(*Finding) {})
	}
	for _, g := range own.Grants {
		if g.Unequal {
			note(FoundUnequal, func(f *Finding) { f.Actor = g.Terms.Recipient.Actor })
		}
	}
	return list, nil
}

// Custody reports on items; with an actor only on what that one signed (RULES §10).
func (c *Client) Custody(ctx context.Context, actor evidence.ActorID, items ...evidence.ItemID) (dossier.Custody, error) {
	if len(items) == 0 || len(items) > itemsOfLook {
		return dossier.Custody{}, evidence.Fail(evidence.TooLarge, "items", fmt.Errorf("%d items", len(items)))
	}
	streams := make([]evidence.Stream, len(items))
	for i, id := range items {
		streams[i] = evidence.ItemOf(id)
	}
	v, err := c.Look(ctx, streams...)
	if err != nil {
		return dossier.Custody{}, err
	}
	return v.CustodyOf(actor, v.Time, items...)
}
