package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// about makes a command act on the one thing that is named, for who is signed in.
func about[ID ~string](a *app, c *cobra.Command, find func(context.Context, *client.Client, string) (ID, error),
	run func(ctx context.Context, cl *client.Client, id ID) error) *cobra.Command {
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		id, err := find(c.Context(), cl, args[0])
		if err != nil {
			return err
		}
		return run(c.Context(), cl, id)
	}
	return c
}

// A person may type the beginning of an id, or "me". What the vault lists is for orientation only: every command looks at the streams
// themselves before it decides anything.

func findActor(ctx context.Context, cl *client.Client, typed string) (evidence.ActorID, error) {
	if typed == "me" {
		return cl.Actor(), nil
	}
	if id, err := evidence.ParseID[evidence.ActorID](typed); err == nil {
		return id, nil
	}
	list, err := cl.Directory(ctx)
	if err != nil {
		return "", err
	}
	found, err := unique(list, typed, func(p wire.Actor) string { return p.ID })
	return evidence.ActorID(found.ID), err
}

func findActors(ctx context.Context, cl *client.Client, typed []string) ([]evidence.ActorID, error) {
	return all(typed, func(s string) (evidence.ActorID, error) { return findActor(ctx, cl, s) })
}

func findCase(ctx context.Context, cl *client.Client, typed string) (evidence.CaseID, error) {
	if id, err := evidence.ParseID[evidence.CaseID](typed); err == nil {
		return id, nil
	}
	list, err := cl.Cases(ctx)
	if err != nil {
		return "", err
	}
	found, err := unique(list, typed, func(c wire.Case) string { return c.ID })
	return evidence.CaseID(found.ID), err
}

func findConsent(ctx context.Context, cl *client.Client, typed string) (evidence.ConsentID, error) {
	if id, err := evidence.ParseID[evidence.ConsentID](typed); err == nil {
		return id, nil
	}
	list, err := allConsents(ctx, cl)
	if err != nil {
		return "", err
	}
	found, err := unique(list, typed, func(c wire.Consent) string { return c.ID })
	return evidence.ConsentID(found.ID), err
}

// allConsents lists the consents of this person's cases, and those for which this person speaks.
func allConsents(ctx context.Context, cl *client.Client) ([]wire.Consent, error) {
	cases, err := mine(cl.Cases(ctx))
	if err != nil {
		return nil, err
	}
	var list []wire.Consent
	for _, c := range cases {
		more, err := cl.Consents(ctx, evidence.CaseID(c.ID))
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	own, err := mine(cl.OwnConsents(ctx))
	for _, o := range own {
		if !slices.ContainsFunc(list, func(c wire.Consent) bool { return c.ID == o.Consent.ID }) {
			list = append(list, o.Consent)
		}
	}
	return list, err
}

// mine takes a list that is not for this person's role for an empty one.
func mine[T any](list []T, err error) ([]T, error) {
	if evidence.ReasonOf(err) == evidence.ReasonRole {
		return nil, nil
	}
	return list, err
}

func findItem(ctx context.Context, cl *client.Client, typed string) (evidence.ItemID, error) {
	if id, err := evidence.ParseID[evidence.ItemID](typed); err == nil {
		return id, nil
	}
	list, err := allItems(ctx, cl)
	if err != nil {
		return "", err
	}
	found, err := unique(list, typed, func(i client.Listed) string { return string(i.ID) })
	if err != nil {
		return "", err
	}
	return found.ID, nil
}

// findItems finds several, with one list at most.
func findItems(ctx context.Context, cl *client.Client, typed []string) ([]evidence.ItemID, error) {
	var list []client.Listed
	return all(typed, func(s string) (evidence.ItemID, error) {
		id, err := evidence.ParseID[evidence.ItemID](s)
		if err == nil {
			return id, nil
		}
		if list == nil {
			if list, err = allItems(ctx, cl); err != nil {
				return "", err
			}
		}
		found, err := unique(list, s, func(i client.Listed) string { return string(i.ID) })
		if err != nil {
			return "", err
		}
		return found.ID, nil
	})
}

// allItems lists the items of every case of the person's, those governed by a consent for which the person speaks, and for auditors all.
// People outside have none of these and may not ask.
func allItems(ctx context.Context, cl *client.Client) ([]client.Listed, error) {
	cases, err := mine(cl.Cases(ctx))
	if err != nil {
		return nil, err
	}
	var list []client.Listed
	for _, c := range cases {
		items, err := cl.Items(ctx, evidence.CaseID(c.ID))
		if err != nil {
			return nil, err
		}
		list = append(list, items...)
	}
	own, err := mine(cl.OwnConsents(ctx))
	if err != nil {
		return nil, err
	}
	for _, o := range own {
		items, err := cl.OwnItems(ctx, evidence.ConsentID(o.Consent.ID))
		if evidence.KindOf(err) == evidence.NotFound {
			continue // an advocate who may not read
		}
		if err != nil {
			return nil, err
		}
		list = append(list, items...)
	}
	audited, err := mine(cl.AllItems(ctx))
	if err != nil {
		return nil, err
	}
	list = append(list, audited...)
	known := make(map[evidence.ItemID]bool)
	return slices.DeleteFunc(list, func(i client.Listed) bool {
		again := known[i.ID]
		known[i.ID] = true
		return again
	}), nil
}

// itemsOf lists the items of a case that this person may see.
func itemsOf(ctx context.Context, cl *client.Client, in evidence.CaseID) ([]client.Listed, error) {
	items, err := cl.Items(ctx, in)
	if evidence.KindOf(err) != evidence.NotFound && evidence.ReasonOf(err) != evidence.ReasonRole {
		return items, err
	}
	items, err = allItems(ctx, cl)
	return slices.DeleteFunc(items, func(i client.Listed) bool { return i.Case != in }), err
}

// share is a grant, and the item it is on.
type share struct {
	item  evidence.ItemID
	grant evidence.GrantID
}

// findShare looks among the shares made to this person, then among those on the items of this person's cases. With an item named, only there.
func findShare(ctx context.Context, cl *client.Client, typed, item string) (share, error) {
	if item != "" {
		id, err := findItem(ctx, cl, item)
		if err != nil {
			return share{}, err
		}
		v, err := cl.Look(ctx, evidence.ItemOf(id))
		if err != nil {
			return share{}, err
		}
		return uniqueShare(sharesOn(v.State(evidence.ItemOf(id)).(*evidence.ItemState)), typed)
	}
	list, err := sharesToMe(ctx, cl)
	if err != nil {
		return share{}, err
	}
	found, err := uniqueShare(list, typed)
	if evidence.KindOf(err) != evidence.NotFound || errors.As(err, new(*problem)) {
		return found, err
	}
	items, err := allItems(ctx, cl)
	if err != nil {
		return share{}, err
	}
	for _, i := range items {
		list = append(list, sharesOn(i.ItemState)...)
	}
	return uniqueShare(list, typed)
}

// sharesToMe lists the shares made to this person. Staff receive none and may not ask.
func sharesToMe(ctx context.Context, cl *client.Client) ([]share, error) {
	mine, err := cl.Grants(ctx)
	if evidence.ReasonOf(err) == evidence.ReasonRole {
		return nil, nil
	}
	var list []share
	for _, g := range mine {
		list = append(list, share{evidence.ItemID(g.Item), evidence.GrantID(g.ID)})
	}
	return list, err
}

func sharesOn(item *evidence.ItemState) []share {
	var list []share
	for _, g := range item.Grants {
		list = append(list, share{item.ID, g.Terms.ID})
	}
	return list
}

func uniqueShare(list []share, typed string) (share, error) {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b share) int { return evidence.ItemOf(a.item).Compare(evidence.ItemOf(b.item)) })
	found, err := unique(slices.Compact(list), typed, func(s share) string { return string(s.grant) })
	if evidence.KindOf(err) == evidence.NotFound && !errors.As(err, new(*problem)) {
		return found, evidence.Refuse(evidence.NotFound, evidence.ReasonGrant)
	}
	return found, err
}
