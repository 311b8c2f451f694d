package httpapi

import (
	"context"
	"maps"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

type lists struct {
	vault         *vault.Vault
	organizations func() (map[evidence.OrgID]string, error)
}

// limit is the asked length of a page; the contract filled in what was not asked.
func limit(asked *int32) int {
	if asked == nil {
		return 50
	}
	return int(*asked)
}

func cursor[ID ~string](asked *string) ID {
	if asked == nil {
		return ""
	}
	return ID(*asked)
}

// next is the cursor of the page after a full one.
func next[T any, ID ~string](page []T, limit int, id func(T) ID) string {
	if len(page) < limit {
		return ""
	}
	return string(id(page[len(page)-1]))
}

// each converts a list; an empty one is [] on the wire, never null.
func each[T, W any](list []T, convert func(T) W) []W {
	out := make([]W, len(list))
	for i, v := range list {
		out[i] = convert(v)
	}
	return out
}

// code spells a code or an id as its counterpart on the wire.
func code[W, T ~string](v T) W { return W(v) }

// moment is a time, or nothing.
func moment(t evidence.Time) string {
	if t == 0 {
		return ""
	}
	return t.String()
}

func (l lists) ListActors(ctx context.Context, r ListActorsRequestObject) (ListActorsResponseObject, error) {
	n := limit(r.Params.Limit)
	page, err := l.vault.Actors(ctx, callerOf(ctx), cursor[evidence.ActorID](r.Params.Cursor), n)
	if err != nil {
		return nil, err
	}
	return ListActors200JSONResponse{
		Actors: each(page, actor), Next: next(page, n, func(a *evidence.ActorState) evidence.ActorID { return a.ID }),
	}, nil
}

func actor(a *evidence.ActorState) wire.Actor {
	return wire.Actor{
		ID: string(a.ID), Role: wire.Role(a.Role), Organization: string(a.Organization), Status: wire.ActorStatus(a.Status),
		Fingerprint: a.Fingerprint().String(), Founder: a.Founder, Length: a.Last.Seq + 1,
	}
}

func (l lists) ListOrganizations(context.Context, ListOrganizationsRequestObject) (ListOrganizationsResponseObject, error) {
	names, err := l.organizations()
	if err != nil {
		return nil, evidence.Fail(evidence.Internal, "organizations", err)
	}
	return ListOrganizations200JSONResponse{
		Organizations: each(slices.Sorted(maps.Keys(names)), func(id evidence.OrgID) wire.Organization {
			return wire.Organization{ID: string(id), Name: names[id]}
		}),
	}, nil
}

func (l lists) ListCases(ctx context.Context, r ListCasesRequestObject) (ListCasesResponseObject, error) {
	n := limit(r.Params.Limit)
	page, err := l.vault.Cases(ctx, callerOf(ctx), cursor[evidence.CaseID](r.Params.Cursor), n)
	if err != nil {
		return nil, err
	}
	return ListCases200JSONResponse{
		Cases: each(page, caseOf), Next: next(page, n, func(c *evidence.CaseState) evidence.CaseID { return c.ID }),
	}, nil
}

func caseOf(c *evidence.CaseState) wire.Case {
	return wire.Case{
		ID: string(c.ID), Type: c.Type, Open: c.Open, Length: c.Last.Seq + 1,
		Members:    each(c.Members, member),
		Keyholders: each(c.Keyring, func(k evidence.Keyholder) string { return string(k.Actor) }),
	}
}

func member(m evidence.Member) wire.Member {
	return wire.Member{Actor: string(m.Actor), Rights: each(m.Rights, code[wire.Right]), Until: moment(m.Until)}
}

func (l lists) ListItems(ctx context.Context, r ListItemsRequestObject) (ListItemsResponseObject, error) {
	n := limit(r.Params.Limit)
	page, err := l.vault.Items(ctx, callerOf(ctx), evidence.CaseID(r.Case), cursor[evidence.ItemID](r.Params.Cursor), n)
	if err != nil {
		return nil, err
	}
	return ListItems200JSONResponse{
		Items: each(page, item), Next: next(page, n, func(i vault.Listed) evidence.ItemID { return i.Item.ID }),
	}, nil
}

func item(listed vault.Listed) wire.Item {
	i := listed.Item
	return wire.Item{
		ID: string(i.ID), Case: string(i.Case), Depositor: string(i.Depositor), Class: wire.Class(i.Class), Content: wire.Content(i.Content),
		Basis: wire.Basis(i.Basis), Size: i.Evidence.Size, Label: listed.Label, Confirmed: i.Confirmed, Sealed: i.Sealed, Exhibit: i.Exhibit,
		Damaged: i.Damaged, Consents: each(i.Consent, code[string]), Length: i.Last.Seq + 1,
		Held: listed.Held, ShredFrom: shredFrom(i), Shredded: moment(i.Shredded), InTransit: i.Transit != nil, ReviewDue: reviewDue(i),
	}
}

// shredFrom is from when an item in the bin can be shredded.
func shredFrom(i *evidence.ItemState) string {
	if i.Bin == nil {
		return ""
	}
	return i.Bin.Ready.String()
}

// reviewDue is by when the first emergency opening that waits for it must be reviewed.
func reviewDue(i *evidence.ItemState) string {
	for _, m := range i.Emergencies {
		if m.ReviewedBy == "" {
			return m.Due.String()
		}
	}
	return ""
}

func (l lists) ListAllItems(ctx context.Context, r ListAllItemsRequestObject) (ListAllItemsResponseObject, error) {
	n := limit(r.Params.Limit)
	page, err := l.vault.AllItems(ctx, cursor[evidence.ItemID](r.Params.Cursor), n)
	if err != nil {
		return nil, err
	}
	return ListAllItems200JSONResponse{
		Items: each(page, item), Next: next(page, n, func(i vault.Listed) evidence.ItemID { return i.Item.ID }),
	}, nil
}

func (l lists) ListOwnItems(ctx context.Context, r ListOwnItemsRequestObject) (ListOwnItemsResponseObject, error) {
	n := limit(r.Params.Limit)
	page, err := l.vault.Governed(ctx, callerOf(ctx), evidence.ConsentID(r.Consent), cursor[evidence.ItemID](r.Params.Cursor), n)
	if err != nil {
		return nil, err
	}
	return ListOwnItems200JSONResponse{
		Items: each(page, item), Next: next(page, n, func(i vault.Listed) evidence.ItemID { return i.Item.ID }),
	}, nil
}

func (l lists) ListOwnConsents(ctx context.Context, _ ListOwnConsentsRequestObject) (ListOwnConsentsResponseObject, error) {
	by := callerOf(ctx)
	all, err := l.vault.SpokenFor(ctx, by)
	if err != nil {
		return nil, err
	}
	return ListOwnConsents200JSONResponse{Consents: each(all, func(c *evidence.ConsentState) wire.OwnConsent {
		own := wire.OwnConsent{Consent: consent(c), As: wire.OwnConsentAsSubject}
		for _, d := range c.Advocates {
			if d.Advocate == by.Actor {
				own.As, own.Rights, own.Until = wire.OwnConsentAsAdvocate, each(d.Rights, code[wire.OwnConsentRights]), d.Until.String()
			}
		}
		return own
	})}, nil
}

func (l lists) ListConsents(ctx context.Context, r ListConsentsRequestObject) (ListConsentsResponseObject, error) {
	n := limit(r.Params.Limit)
	page, err := l.vault.Consents(ctx, callerOf(ctx), evidence.CaseID(r.Case), cursor[evidence.ConsentID](r.Params.Cursor), n)
	if err != nil {
		return nil, err
	}
	return ListConsents200JSONResponse{
		Consents: each(page, consent), Next: next(page, n, func(c *evidence.ConsentState) evidence.ConsentID { return c.ID }),
	}, nil
}

func consent(c *evidence.ConsentState) wire.Consent {
	return wire.Consent{
		ID: string(c.ID), Case: string(c.Case), Version: c.Version, From: c.From.String(), Until: c.Until.String(),
		Withdrawn: moment(c.Withdrawn), Length: c.Last.Seq + 1,
	}
}

func (l lists) GetLabelKey(ctx context.Context, r GetLabelKeyRequestObject) (GetLabelKeyResponseObject, error) {
	envelope, err := l.vault.LabelEnvelope(ctx, callerOf(ctx), evidence.CaseID(r.Case))
	if err != nil {
		return nil, err
	}
	return GetLabelKey200JSONResponse{Envelope: envelope}, nil
}

func (l lists) ListGrants(ctx context.Context, r ListGrantsRequestObject) (ListGrantsResponseObject, error) {
	n := limit(r.Params.Limit)
	page, err := l.vault.Grants(ctx, callerOf(ctx), cursor[evidence.GrantID](r.Params.Cursor), n)
	if err != nil {
		return nil, err
	}
	return ListGrants200JSONResponse{
		Grants: each(page, grant), Next: next(page, n, func(g vault.GrantOf) evidence.GrantID { return g.Grant.Terms.ID }),
	}, nil
}

func grant(g vault.GrantOf) wire.Grant {
	t := g.Grant.Terms
	return wire.Grant{
		ID: string(t.ID), Item: string(g.Item), Case: string(g.Case), Status: wire.GrantStatus(g.Grant.Status),
		Actions: each(t.Actions, code[wire.Action]), Purpose: string(t.Purpose), Jurisdiction: t.Jurisdiction,
		NotBefore: t.NotBefore.String(), Expires: t.Expires.String(), CoolingOff: moment(t.CoolingOff),
		ProposedBy: string(g.Grant.ProposedBy), Redeemed: int64(len(g.Grant.Redeemed)), Acknowledged: g.Grant.Acknowledged,
	}
}
