package vault

import (
	"context"
	"slices"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// MaxPage bounds every list.
const MaxPage = 1000

func eventOf(entry ledger.Entry) (*evidence.Event, error) {
	statement, err := custody.Open(entry.Leaf.Extra)
	if err != nil {
		return nil, evidence.Fail(evidence.Internal, "stored_statement", err)
	}
	return statement.Event(), nil
}

// Stream returns a stream's events with Seq > after. Actor, policy and vault streams are for everybody who is signed in and knows the
// id; the others for the members of the case and for recipients of a grant in it. What a secret hold keeps from the caller is withheld.
// final asks for final receipts: Pending "not_final" while one of the included events waits for its own.
func (v *Vault) Stream(ctx context.Context, by Caller, s evidence.Stream, after int64, limit int, final bool) ([]Shown, error) {
	if err := v.readable(ctx, by, s); err != nil {
		return nil, err
	}
	entries, err := v.cfg.Records.Stream(ctx, s, after, min(limit, MaxPage))
	if err == nil && final {
		entries, err = v.cfg.Ledger.Finals(ctx, entries)
	}
	if err != nil {
		return nil, err
	}
	return v.show(ctx, by, s, entries)
}

// Complete proves how long each of the streams is, under one publication that covers the log beyond index; final asks for its final receipt.
func (v *Vault) Complete(ctx context.Context, by Caller, streams []evidence.Stream, index int64, final bool) (ledger.Completeness, error) {
	for _, s := range streams {
		if err := v.readable(ctx, by, s); err != nil {
			return ledger.Completeness{}, err
		}
	}
	wait, prove := v.cfg.Limits.Answer, v.cfg.Ledger.Complete
	if final {
		wait, prove = max(wait, v.cfg.Limits.Final), v.cfg.Ledger.CompleteFinal
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return prove(ctx, streams, index)
}

// readable answers errHidden for every stream that the caller may not see or that does not exist. A recipient sees of a case, besides
// what was granted, what a package needs: the case, its consents with their forms, and the items from which the granted ones were made. So
// does who has a physical item, or is to receive it. Who speaks for a subject sees that one's consent, the items it governs, and the case
// on which their events stand. Auditors see every statement: nobody's lines can be hidden from them, and a statement names nobody.
func (v *Vault) readable(ctx context.Context, by Caller, s evidence.Stream) error {
	states, err := v.cfg.Records.States(ctx, s)
	if err != nil {
		return err
	}
	var in evidence.CaseID
	var item *evidence.ItemState
	switch state := states[s].(type) {
	case *evidence.ActorState, *evidence.PolicyState, *evidence.HeadsState:
		return nil
	case *evidence.CaseState:
		in = state.ID
	case *evidence.ConsentState:
		in = state.Case
	case *evidence.ItemState:
		in, item = state.Case, state
	}
	if by.Role == evidence.Auditor && in != "" {
		return nil
	}
	// What does not exist goes the same way as what is hidden, so that it takes as long.
	if concerned, err := v.concerned(ctx, by, s, in, item); concerned || err != nil {
		return err
	}
	if member, err := v.member(ctx, by, in); member || err != nil {
		return err
	}
	if keeps, err := v.keeps(ctx, by, in, item); keeps || err != nil {
		return err
	}
	granted, err := v.cfg.Records.Granted(ctx, by.Actor, in)
	if err != nil {
		return err
	}
	if granted && item != nil && item.Class != evidence.ConsentForm {
		granted, err = v.grantedItem(ctx, by, item)
	}
	if err == nil && !granted {
		err = errHidden
	}
	return err
}

// keeps reports whether the caller has, or is to receive, a physical item in whose history the stream belongs: to sign for it is to stand
// on that.
func (v *Vault) keeps(ctx context.Context, by Caller, in evidence.CaseID, item *evidence.ItemState) (bool, error) {
	for after := evidence.ItemID(""); ; {
		page, err := v.cfg.Records.InHands(ctx, by.Actor, in, after, MaxPage)
		if err != nil {
			return false, err
		}
		for _, handed := range page {
			after = handed.ID
			if item == nil || item.Class == evidence.ConsentForm {
				return true, nil
			}
			if from, err := v.madeFrom(ctx, handed.ID, item.ID); from || err != nil {
				return from, err
			}
		}
		if len(page) < MaxPage {
			return false, nil
		}
	}
}

// concerned reports whether the stream is about a subject for whom the caller speaks now.
func (v *Vault) concerned(ctx context.Context, by Caller, s evidence.Stream, in evidence.CaseID, item *evidence.ItemState) (bool, error) {
	if by.Role != evidence.Survivor && by.Role != evidence.Advocate {
		return false, nil
	}
	consents, err := v.SpokenFor(ctx, by)
	if err != nil {
		return false, err
	}
	for _, c := range consents {
		if c.Case == in && (s == evidence.CaseOf(in) || v.about(c, s, item)) || item != nil && slices.Contains(item.Consent, c.ID) && v.reads(by, c) {
			return true, nil
		}
	}
	return v.shares(ctx, by, consents, s, in, item)
}

// about reports whether a stream is a consent's own, or one of its forms.
func (v *Vault) about(c *evidence.ConsentState, s evidence.Stream, item *evidence.ItemState) bool {
	return s == evidence.ConsentOf(c.ID) || item != nil && slices.Contains(c.Forms, item.ID)
}

// reads reports whether the caller may see what a consent governs.
func (v *Vault) reads(by Caller, c *evidence.ConsentState) bool {
	return c.Speaks(by.Actor, "read", v.now()) || c.Speaks(by.Actor, "approve", v.now())
}

// shares reports whether the stream is about another subject's consent that governs an item together with one for which the caller may
// read: without it that item's history could not be checked.
func (v *Vault) shares(ctx context.Context, by Caller, mine []*evidence.ConsentState, s evidence.Stream, in evidence.CaseID, form *evidence.ItemState) (bool, error) {
	if s.Type != evidence.ConsentStream && (form == nil || form.Class != evidence.ConsentForm) {
		return false, nil
	}
	together := make(map[evidence.ConsentID]bool)
	for _, c := range mine {
		if c.Case != in || !v.reads(by, c) {
			continue
		}
		for after := evidence.ItemID(""); ; {
			page, err := v.cfg.Records.Items(ctx, in, after, MaxPage)
			if err != nil {
				return false, err
			}
			for _, item := range page {
				if after = item.ID; slices.Contains(item.Consent, c.ID) {
					for _, id := range item.Consent {
						together[id] = true
					}
				}
			}
			if len(page) < MaxPage {
				break
			}
		}
	}
	for id := range together {
		c, err := state[*evidence.ConsentState](ctx, v, evidence.ConsentOf(id))
		if err != nil {
			return false, err
		}
		if v.about(c, s, form) {
			return true, nil
		}
	}
	return false, nil
}

// SpokenFor lists the consents for which the caller speaks now, as subject or advocate.
func (v *Vault) SpokenFor(ctx context.Context, by Caller) ([]*evidence.ConsentState, error) {
	var all []*evidence.ConsentState
	for after := evidence.ConsentID(""); ; {
		page, err := v.cfg.Records.SpokenFor(ctx, by.Actor, after, MaxPage)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			if after = c.ID; c.Speaks(by.Actor, "", v.now()) {
				all = append(all, c)
			}
		}
		if len(page) < MaxPage {
			return all, nil
		}
	}
}

// Governed lists the items that a consent governs, and its form, to who speaks for the subject and may read.
func (v *Vault) Governed(ctx context.Context, by Caller, id evidence.ConsentID, after evidence.ItemID, limit int) ([]Listed, error) {
	c, err := state[*evidence.ConsentState](ctx, v, evidence.ConsentOf(id))
	if err != nil {
		return nil, err
	}
	if !c.Speaks(by.Actor, "read", v.now()) {
		return nil, errHidden
	}
	limit = min(limit, MaxPage)
	var governed []*evidence.ItemState
	for {
		page, err := v.cfg.Records.Items(ctx, c.Case, after, MaxPage)
		if err != nil {
			return nil, err
		}
		for _, item := range page {
			after = item.ID
			if !slices.Contains(c.Forms, item.ID) && !slices.Contains(item.Consent, id) {
				continue
			}
			if item, err = v.seen(ctx, by, item); err != nil {
				return nil, err
			}
			if governed = append(governed, item); len(governed) == limit {
				return v.unlabelled(governed), nil
			}
		}
		if len(page) < MaxPage {
			return v.unlabelled(governed), nil
		}
	}
}

// grantedItem reports whether the caller has a grant on the item, or on one made from it. It lasts beyond the grant's end if the grant
// was redeemed: the recipient's package must verify.
func (v *Vault) grantedItem(ctx context.Context, by Caller, item *evidence.ItemState) (bool, error) {
	for after := evidence.GrantID(""); ; {
		page, err := v.cfg.Records.Grants(ctx, by.Actor, after, MaxPage)
		if err != nil {
			return false, err
		}
		for _, g := range page {
			after = g.Grant.Terms.ID
			if g.Case != item.Case || g.Grant.Status != evidence.GrantActive && len(g.Grant.Redeemed) == 0 {
				continue
			}
			if from, err := v.madeFrom(ctx, g.Item, item.ID); from || err != nil {
				return from, err
			}
		}
		if len(page) < MaxPage {
			return false, nil
		}
	}
}

// madeFrom follows the sources of an item: each was there before what is made from it, so there is an end.
func (v *Vault) madeFrom(ctx context.Context, id, source evidence.ItemID) (bool, error) {
	for id != "" && id != source {
		item, err := state[*evidence.ItemState](ctx, v, evidence.ItemOf(id))
		if err != nil {
			return false, err
		}
		id = item.Source
	}
	return id == source, nil
}

func (v *Vault) member(ctx context.Context, by Caller, in evidence.CaseID) (bool, error) {
	states, err := v.cfg.Records.States(ctx, evidence.CaseOf(in))
	if err != nil {
		return false, err
	}
	c, ok := states[evidence.CaseOf(in)].(*evidence.CaseState)
	if ok {
		_, ok = c.Member(by.Actor, v.now())
	}
	return ok, nil
}

// mustBeMember is member as a refusal.
func (v *Vault) mustBeMember(ctx context.Context, by Caller, in evidence.CaseID) error {
	member, err := v.member(ctx, by, in)
	if err == nil && !member {
		err = errHidden
	}
	return err
}

// Actors lists the directory: pseudonyms, roles, keys. It is for staff; a survivor and an advocate see the auditors, to whom they complain.
// Others read the streams of the actors they have to do with.
func (v *Vault) Actors(ctx context.Context, by Caller, after evidence.ActorID, limit int) ([]*evidence.ActorState, error) {
	all := by.Role.Staff()
	return only(after, limit, func(a *evidence.ActorState) (evidence.ActorID, bool) {
		return a.ID, all || a.Role == evidence.Auditor && a.Active(v.now())
	},
		func(after evidence.ActorID, limit int) ([]*evidence.ActorState, error) {
			return v.cfg.Records.Actors(ctx, after, limit)
		})
}

// Cases lists the cases in which the caller is a member now.
func (v *Vault) Cases(ctx context.Context, by Caller, after evidence.CaseID, limit int) ([]*evidence.CaseState, error) {
	return only(after, limit, func(c *evidence.CaseState) (evidence.CaseID, bool) {
		_, ok := c.Member(by.Actor, v.now())
		return c.ID, ok
	}, func(after evidence.CaseID, limit int) ([]*evidence.CaseState, error) {
		return v.cfg.Records.Cases(ctx, by.Actor, after, limit)
	})
}

// only fills a page with those that fit.
func only[S any, ID any](after ID, limit int, fits func(S) (ID, bool), read func(after ID, limit int) ([]S, error)) ([]S, error) {
	limit = min(limit, MaxPage)
	var list []S
	for len(list) < limit {
		want := limit - len(list)
		page, err := read(after, want)
		if err != nil {
			return nil, err
		}
		for _, s := range page {
			id, ok := fits(s)
			if after = id; ok {
				list = append(list, s)
			}
		}
		if len(page) < want {
			break
		}
	}
	return list, nil
}

// Consents lists the consents of a case to its members.
func (v *Vault) Consents(ctx context.Context, by Caller, in evidence.CaseID, after evidence.ConsentID, limit int) ([]*evidence.ConsentState, error) {
	if err := v.mustBeMember(ctx, by, in); err != nil {
		return nil, err
	}
	return v.cfg.Records.Consents(ctx, in, after, min(limit, MaxPage))
}

// Listed is an item in a list, with its label.age for who may see it, and whether a hold keeps it now.
type Listed struct {
	Item  *evidence.ItemState
	Label []byte
	Held  bool
}

// Items lists the items of a case to its members.
func (v *Vault) Items(ctx context.Context, by Caller, in evidence.CaseID, after evidence.ItemID, limit int) ([]Listed, error) {
	if err := v.mustBeMember(ctx, by, in); err != nil {
		return nil, err
	}
	items, err := v.cfg.Records.Items(ctx, in, after, min(limit, MaxPage))
	if err != nil {
		return nil, err
	}
	list := make([]Listed, len(items))
	for i, item := range items {
		if item, err = v.seen(ctx, by, item); err != nil {
			return nil, err
		}
		label, err := v.cfg.Records.StreamAttachment(ctx, evidence.ItemOf(item.ID), item.Label.SHA256)
		if err == nil {
			err = intact(label)
		}
		if err != nil && evidence.KindOf(err) != evidence.Gone {
			return nil, err
		}
		list[i] = Listed{item, label.Body, item.Held(v.now())}
	}
	return list, nil
}

// AllItems lists every item of the vault, for auditors.
func (v *Vault) AllItems(ctx context.Context, after evidence.ItemID, limit int) ([]Listed, error) {
	items, err := v.cfg.Records.AllItems(ctx, after, min(limit, MaxPage))
	return v.unlabelled(items), err
}

func (v *Vault) unlabelled(items []*evidence.ItemState) []Listed {
	list := make([]Listed, len(items))
	for i, item := range items {
		list[i] = Listed{Item: item, Held: item.Held(v.now())}
	}
	return list
}

// LabelEnvelope returns the caller's envelope of the case label key.
func (v *Vault) LabelEnvelope(ctx context.Context, by Caller, in evidence.CaseID) ([]byte, error) {
	if err := v.mustBeMember(ctx, by, in); err != nil {
		return nil, err
	}
	fingerprint, err := v.fingerprint(ctx, by)
	if err != nil {
		return nil, err
	}
	a, err := v.cfg.Records.Envelope(ctx, evidence.CaseOf(in), fingerprint)
	if err != nil {
		return nil, err
	}
	return a.Body, intact(a)
}

// Grants lists the grants to the caller.
func (v *Vault) Grants(ctx context.Context, by Caller, after evidence.GrantID, limit int) ([]GrantOf, error) {
	return v.cfg.Records.Grants(ctx, by.Actor, after, min(limit, MaxPage))
}
