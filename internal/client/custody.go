package client

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// Custody reports on items, so many at a time, each part to add (RULES §10). With an actor it reports only on what that one signed, the
// consents that govern the items included, which come last.
func (c *Client) Custody(ctx context.Context, actor evidence.ActorID, items []evidence.ItemID, add func(dossier.Custody) error) error {
	if len(items) == 0 {
		return evidence.Refuse(evidence.NotFound, dossier.ReasonItemUnknown)
	}
	consents := func(s evidence.Stream) bool { return s.Type == evidence.ConsentStream }
	return c.newReport(actor, consents, add).write(ctx, items, nil)
}

// CustodyBy reports on all that an actor signed, as far as this person may see it: in the items, as Visible lists them, in the cases and
// consents that they stand on, in this person's own cases, in the directory and in the policy. An actor's deeds in a case without items are
// seen by its members alone.
func (c *Client) CustodyBy(ctx context.Context, actor evidence.ActorID, items []evidence.ItemID, add func(dossier.Custody) error) error {
	all := func(s evidence.Stream) bool { return s.Type != evidence.ItemStream && s.Type != evidence.VaultStream }
	beside := []evidence.Stream{evidence.PolicyOf(c.trust.Vault()), evidence.ActorOf(actor)}
	people, err := allowed(c.Directory(ctx))
	if err != nil {
		return err
	}
	for _, a := range people {
		beside = append(beside, evidence.ActorOf(evidence.ActorID(a.ID)))
	}
	cases, err := allowed(c.Cases(ctx))
	if err != nil {
		return err
	}
	for _, in := range cases {
		beside = append(beside, evidence.CaseOf(evidence.CaseID(in.ID)))
		consents, err := allowed(c.Consents(ctx, evidence.CaseID(in.ID)))
		if err != nil {
			return err
		}
		for _, given := range consents {
			beside = append(beside, evidence.ConsentOf(evidence.ConsentID(given.ID)))
		}
	}
	own, err := allowed(c.OwnConsents(ctx))
	if err != nil {
		return err
	}
	for _, o := range own {
		beside = append(beside, evidence.ConsentOf(evidence.ConsentID(o.Consent.ID)))
	}
	return c.newReport(actor, all, add).write(ctx, items, beside)
}

// Visible are the items that this person may list: of the own cases, of consents for which they speak, and an auditor's all. Which there are
// is the vault's claim (RULES §11, 3).
func (c *Client) Visible(ctx context.Context) ([]evidence.ItemID, error) {
	found := make(map[evidence.ItemID]bool)
	take := func(items []wire.Item, err error) error {
		items, err = allowed(items, err)
		for _, i := range items {
			found[evidence.ItemID(i.ID)] = true
		}
		return err
	}
	if err := take(c.listAllItems(ctx)); err != nil {
		return nil, err
	}
	cases, err := allowed(c.Cases(ctx))
	if err != nil {
		return nil, err
	}
	for _, in := range cases {
		if err := take(c.listItems(ctx, evidence.CaseID(in.ID))); err != nil {
			return nil, err
		}
	}
	own, err := allowed(c.OwnConsents(ctx))
	if err != nil {
		return nil, err
	}
	for _, o := range own {
		if err := take(c.listOwnItems(ctx, evidence.ConsentID(o.Consent.ID))); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// allowed is a list, or none where such a list is not for this person.
func allowed[T any](list []T, err error) ([]T, error) {
	if hidden(err) {
		return nil, nil
	}
	return list, err
}

// custodyReport is a report while it is written.
type custodyReport struct {
	c      *Client
	actor  evidence.ActorID
	beside func(evidence.Stream) bool // which streams' acts are wanted, of one person's
	add    func(dossier.Custody) error

	book *book
	seen map[evidence.Stream]bool
	acts []dossier.CustodyRow
	last dossier.Custody // of all but its items
}

func (c *Client) newReport(actor evidence.ActorID, beside func(evidence.Stream) bool, add func(dossier.Custody) error) *custodyReport {
	return &custodyReport{c: c, actor: actor, beside: beside, add: add, seen: make(map[evidence.Stream]bool)}
}

// write looks at items, and then at streams beside them.
func (r *custodyReport) write(ctx context.Context, items []evidence.ItemID, beside []evidence.Stream) error {
	for batch := range slices.Chunk(items, itemsOfLook) {
		streams := make([]evidence.Stream, len(batch))
		for i, id := range batch {
			streams[i] = evidence.ItemOf(id)
		}
		v, err := r.c.lookOnce(ctx, streams)
		if err != nil {
			return err
		}
		if err := r.part(ctx, v, batch); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(beside, itemsOfLook) {
		batch = slices.DeleteFunc(slices.Clone(batch), func(s evidence.Stream) bool { return r.seen[s] })
		if len(batch) == 0 {
			continue
		}
		v, err := r.c.Look(ctx, batch...)
		if err != nil {
			return err
		}
		if err := r.part(ctx, v, nil); err != nil {
			return err
		}
	}
	if len(r.acts) == 0 {
		return nil
	}
	slices.SortFunc(r.acts, func(a, b dossier.CustodyRow) int { return cmp.Compare(a.Entry, b.Entry) })
	r.last.Items, r.last.Acts = nil, r.acts
	return r.add(r.last)
}

// part adds what a view says of items, and keeps what it says of the actor elsewhere.
func (r *custodyReport) part(ctx context.Context, v *View, items []evidence.ItemID) error {
	part, err := v.CustodyOf(r.actor, v.Time, items...)
	if err != nil {
		return err
	}
	r.book = r.c.bookOf(v).with(r.book)
	for i := range part.Items {
		if err := r.book.date(ctx, part.Items[i].Rows); err != nil {
			return err
		}
	}
	if r.actor != "" {
		streams := slices.DeleteFunc(v.Streams(), func(s evidence.Stream) bool { return r.seen[s] || !r.beside(s) })
		acts, err := v.ActsOf(r.actor, streams...)
		if err != nil {
			return err
		}
		if err := r.book.date(ctx, acts); err != nil {
			return err
		}
		for _, s := range streams {
			r.seen[s] = true
		}
		r.acts = append(r.acts, acts...)
	}
	r.last = part
	return r.add(part)
}
