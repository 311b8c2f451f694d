package client

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// FindingKind says what an auditor should look at (RULES §1, A3 to A6).
type FindingKind string

const (
	FoundEmergency     FindingKind = "emergency"         // an opening in an emergency, reviewed or not
	FoundRefusal       FindingKind = "refusal"           // a share that was refused
	FoundUndecided     FindingKind = "undecided"         // frozen, and nobody decided in time whether it is shredded or held
	FoundOverdue       FindingKind = "retention_overdue" // need not be kept any longer, and is
	FoundBinned        FindingKind = "shred_proposed"    // in the bin
	FoundHoldReview    FindingKind = "hold_review"       // a hold whose review date has passed
	FoundDamaged       FindingKind = "damaged"           // the stored file was found to differ
	FoundUnequal       FindingKind = "unequal"           // a recipient got other bytes than were recorded
	FoundSealBroken    FindingKind = "seal_broken"       // a physical item arrived with a broken seal
	FoundUnconfirmed   FindingKind = "unconfirmed_hold"  // a hold that waits for its second person
	FoundRecovered     FindingKind = "recovered"         // the recovery key was used: two trustees stated it
	FoundRecovering    FindingKind = "recovery_stated"   // one trustee states that it was used, and no second one yet
	FoundRecoveryEnded FindingKind = "recovery_ended"    // one trustee has ended or taken back what was stated
	FoundClock         FindingKind = "clock"             // a signer's clock differs from the vault's, or from an earlier entry
	FoundUndated       FindingKind = "undated"           // nothing says until when it is kept: it is kept for ever
	FoundUncompared    FindingKind = "not_compared"      // nobody said for longer than a month that the file is as it was deposited
	FoundRelease       FindingKind = "release"           // a sampled opening or share, with the ground it stood on
)

// Finding is one thing to look at. Each follows from events that were verified here.
type Finding struct {
	Kind  FindingKind      `json:"kind"`
	Item  evidence.ItemID  `json:"item,omitempty"` // "" where it is about a signer
	Case  evidence.CaseID  `json:"case,omitempty"`
	Actor evidence.ActorID `json:"actor,omitempty"` // who opened, refused, placed
	Since evidence.Time    `json:"since,omitempty"`
	Due   evidence.Time    `json:"due,omitempty"`
	Done  evidence.Time    `json:"done,omitempty"`  // of an emergency: when it was reviewed
	Until evidence.Time    `json:"until,omitempty"` // of a use of the recovery key: when it can be confirmed, or opens anything, no longer
	Late  bool             `json:"late,omitempty"`  // overdue now, or done after it was due
	Entry int64            `json:"entry,omitempty"`
	Why   string           `json:"why,omitempty"`

	// Of a clock: the event, by how much at least it is behind or ahead, in nanoseconds, and the entry that states the time it contradicts.
	Event   evidence.Hash `json:"event,omitzero"`
	Behind  time.Duration `json:"behind,omitempty"`
	Ahead   time.Duration `json:"ahead,omitempty"`
	Against int64         `json:"against,omitempty"`
}

// Comparison counts the items of which there is a file, by when the record last said that it is as it was deposited: the deposit says so, and
// every comparison by the vault (RULES §1, I6). Each is counted once.
type Comparison struct {
	Right     int `json:"right"`     // within the last 31 days
	Late      int `json:"late"`      // longer ago
	Missing   int `json:"missing"`   // the last comparison found none, or an empty one
	Different int `json:"different"` // the last comparison found another one
}

// How long ago the record may say that a file is whole, and from when it is a finding that nothing newer is said.
const (
	comparedWithin = 31 * 24 * time.Hour
	comparedLate   = 35 * 24 * time.Hour
)

// Audit is what an auditor's reading of the whole vault came to.
type Audit struct {
	Items     int           `json:"items"`
	Compared  Comparison    `json:"compared"`
	Findings  []Finding     `json:"findings"`
	Acts      []Act         `json:"acts"`      // on the vault and its people, in the order of entry
	Backwards time.Duration `json:"backwards"` // by how much times run against the order of entry at most, in nanoseconds
	Steps     int           `json:"steps"`     // of which the times were read
	Dated     int           `json:"dated"`     // how many of them were held against the vault's clock: all, unless it published too often
	Followed  int64         `json:"followed"`  // entries, from the first on: no item and no actor that has one of them is left out; 0: that was not checked
	AsOf      evidence.Time `json:"as_of"`
}

// Audit reads every item and every actor of the vault that it admits to, verifies their histories to the proved end, and says what stands
// out; sample is how many openings and shares are picked at random beside. Which items and actors there are is the vault's claim, held
// against the record book that was followed, to which it must have been read: whoever has an entry there is among them, or it fails with an
// Alarm Omitted. Without that (followed is nil) only who signed anything is. Of the vault's publications it asks for auditPages pages at most,
// besides the search that is begun then: see Dated.
func (c *Client) Audit(ctx context.Context, sample int, followed *Following) (Audit, error) {
	covered := coverageOf(followed)
	audit := Audit{Followed: covered.entries()}
	releases, seen := []Finding{}, 0
	items, err := c.listAllItems(ctx)
	if err != nil {
		return audit, err
	}
	policy := evidence.PolicyOf(c.trust.Vault())
	v, err := c.Look(ctx, policy)
	if err != nil {
		return audit, err
	}
	if audit.Findings, err = v.recoveries(); err != nil {
		return audit, err
	}
	if audit.Acts, err = v.acts(policy); err != nil {
		return audit, err
	}
	var times clocks
	read := func() error { return errors.Join(times.read(v), covered.take(v)) }
	if err := read(); err != nil {
		return audit, err
	}
	for batch := range slices.Chunk(items, itemsOfLook) {
		streams := make([]evidence.Stream, len(batch))
		for i, item := range batch {
			streams[i] = evidence.ItemOf(evidence.ItemID(item.ID))
		}
		if v, err = c.lookOnce(ctx, streams); err != nil {
			return audit, err
		}
		if err := read(); err != nil {
			return audit, err
		}
		for _, s := range streams {
			own, err := state[*evidence.ItemState](v, s)
			if err != nil {
				return audit, err
			}
			found, err := v.findings(own, &audit.Compared)
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
	// The directory comes last: whoever signed anything so far is in it.
	actors, err := c.actors(ctx, &times)
	if err != nil {
		return audit, err
	}
	for batch := range slices.Chunk(actors, itemsOfLook) {
		if v, err = c.Look(ctx, batch...); err != nil {
			return audit, err
		}
		if err := read(); err != nil {
			return audit, err
		}
		for _, s := range batch {
			acts, err := v.acts(s)
			if err != nil {
				return audit, err
			}
			audit.Acts = append(audit.Acts, acts...)
		}
	}
	if err := covered.missing(ctx); err != nil {
		return audit, err
	}
	audit.AsOf = v.Time
	slices.SortFunc(audit.Acts, func(a, b Act) int { return cmp.Compare(a.Entry, b.Entry) })
	slow, backwards, dated, err := times.findings(ctx, c.bookOf(v), auditPages)
	if err != nil {
		return audit, err
	}
	audit.Findings, audit.Backwards, audit.Steps, audit.Dated = append(audit.Findings, slow...), backwards, len(times.list), dated
	slices.SortFunc(releases, func(a, b Finding) int { return cmp.Compare(a.Entry, b.Entry) })
	audit.Findings = append(audit.Findings, releases...)
	return audit, nil
}

// lookOnce looks at items that are not looked at again soon: what was fetched of them is not kept.
func (c *Client) lookOnce(ctx context.Context, items []evidence.Stream) (*View, error) {
	v, err := c.Look(ctx, items...)
	c.known.forget(items)
	return v, err
}

// findings are what stands out of one item, which is counted among those compared.
func (v *View) findings(own *evidence.ItemState, compared *Comparison) ([]Finding, error) {
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
	var differed Finding // the last comparison that found the file missing or different
	s := evidence.ItemOf(own.ID)
	for e, err := range v.Events(s) {
		if err != nil {
			return nil, err
		}
		switch d := e.Details.(type) {
		case *evidence.ItemBreakGlassReviewedDetails:
			reviewed[d.Event] = e.Time
		case *evidence.GrantRefusedDetails:
			note(FoundRefusal, func(f *Finding) { f.Actor, f.Since, f.Entry = e.Actor.ID, e.Time, e.Index })
		case *evidence.ItemVerifiedDetails:
			if e.Result.Outcome == evidence.Failure {
				differed = Finding{Actor: e.Actor.ID, Since: e.Time, Entry: e.Index, Why: "different"}
				if d.Evidence == evidence.SHA256(nil) {
					differed.Why = "missing"
				}
			}
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
	if !ends && !waits && own.Bin == nil && own.Shredded == 0 && !own.Held(now) {
		note(FoundUndated, func(f *Finding) { f.Since = own.Deposited })
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
		note(FoundDamaged, func(f *Finding) {
			f.Actor, f.Since, f.Entry, f.Why = differed.Actor, differed.Since, differed.Entry, differed.Why
		})
	}
	said := max(own.Deposited, own.Compared)
	switch filed := own.Shredded == 0 && own.Class != evidence.DescriptionOnly; {
	case !filed:
	case own.Damaged && differed.Why == "missing":
		compared.Missing++
	case own.Damaged:
		compared.Different++
	case now.Sub(said) <= comparedWithin:
		compared.Right++
	default:
		compared.Late++
		if now.Sub(said) > comparedLate {
			note(FoundUncompared, func(f *Finding) { f.Since, f.Due, f.Late = said, said.Add(comparedLate), true })
		}
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
