package main

import (
	"cmp"
	"context"
	"slices"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

func holdCommand(a *app) *cobra.Command {
	return group("hold", "Legal duties to keep items: place, confirm, lift, list",
		`A hold is a stated legal duty to keep items: who demands it, by which law, until
when. From the moment it is placed nobody can make the items unreadable. It
lapses unless a second custodian confirms it.

One hold has the same id on all of its items.`,
		placeHoldCommand(a), confirmHoldCommand(a), liftHoldCommand(a), listHoldsCommand(a))
}

func placeHoldCommand(a *app) *cobra.Command {
	var items chosen
	var hold, basis, expires, review, secret, orderFile string
	c := &cobra.Command{
		Use:   "place ITEM… --basis BASIS --expires TIME --review TIME",
		Short: "State a legal duty to keep items",
		Long: `Keeps items whatever happens to their consent. Authority, number and law of the
order are asked for, or read from --order, a line each; "none" is an answer.
They are sealed to the members of the case. Interrupted, it goes on when
repeated with --hold and the id it showed.

Basis: court_order, statutory_duty, legal_claims, care, vital_interest,
public_source.

An order may say that it must stay secret for a time. With --secret-until nobody
but the custodians of the case and the auditors is shown the hold, nor anything
that names it, before that date. Everybody else sees that there is an event that
may not be shown until then, the person concerned too; afterwards they see it as
any other. That something is withheld, and when it was entered, is not hidden.
Five years are the most, eight such holds of an item at a time; one that nobody
confirms is shown once it lapses.

Signs:     hold.placed, for each item. It counts at once.
For good:  the entry stays, and the person concerned may see it.
Next:      another custodian runs strongroom hold confirm, in time`,
		Example: `  strongroom hold place itm-7c2k… --basis court_order --expires 2028-01-01 \
      --review 2027-06-01
  strongroom hold place --case cas-7c2k --basis court_order --expires 365d \
      --review 90d --order order.txt --secret-until 30d`,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			p := client.Hold{ID: evidence.NewID[evidence.HoldID](), Basis: evidence.Basis(basis)}
			if hold != "" {
				if p.ID, err = evidence.ParseID[evidence.HoldID](hold); err != nil {
					return err
				}
			}
			if p.Expires, err = when(expires); err != nil {
				return err
			}
			if p.Review, err = when(review); err != nil {
				return err
			}
			if secret != "" {
				if p.Secret, err = when(secret); err != nil {
					return err
				}
				if p.Secret > p.Expires {
					return usage("--secret-until is not after --expires")
				}
			}
			list, err := items.find(c.Context(), cl, args)
			if err != nil {
				return err
			}
			list = slices.DeleteFunc(list, func(i looked) bool { return items.in != "" && i.Shredded != 0 })
			if p.Order, err = a.ordered(orderFile, orderLines); err != nil {
				return err
			}
			printRows(a.err, row{"Hold", string(p.ID)})
			if p.Secret != 0 {
				printRows(a.err, row{"Secret", "until " + dateOf(p.Secret) + ", but for custodians of the case and auditors"})
			}
			return a.onItems(c.Context(), list, "Held", fields{"hold": p.ID},
				func(i looked) bool { return i.Hold(p.ID) != nil },
				func(i looked) (*client.Receipt, error) { return cl.PlaceHold(c.Context(), i.ID, p) },
				row{"Until", dateOf(p.Expires) + ", to be reviewed by " + dateOf(p.Review)},
				row{"Next", "Another custodian runs: strongroom hold confirm " + string(p.ID) + ". Unconfirmed, it lapses."})
		},
	}
	items.flags(c, "all")
	f := c.Flags()
	f.StringVar(&basis, "basis", "", "legal ground (see above)")
	f.StringVar(&expires, "expires", "", "end, a `TIME`: a date, or a length from now such as 365d")
	f.StringVar(&review, "review", "", "by when somebody looks whether it still holds, a `TIME`")
	f.StringVar(&secret, "secret-until", "", "before when it may not be shown, a `TIME` (default: it is no secret)")
	f.StringVar(&orderFile, "order", "", "`FILE` with authority, number and law (- for standard input)")
	f.StringVar(&hold, "hold", "", "go on with this `HOLD`, which was interrupted")
	required(c, "basis", "expires", "review")
	return c
}

// onHold is a command about one hold, on all items that have it.
func onHold(a *app, c *cobra.Command, run func(ctx context.Context, cl *client.Client, id evidence.HoldID, items []looked) error) *cobra.Command {
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		held, err := holds(c.Context(), cl, "")
		if err != nil {
			return err
		}
		h, err := unique(held, args[0], func(h listedHold) string { return string(h.ID) })
		if evidence.ReasonOf(err) == "not_found" {
			err = evidence.Refuse(evidence.NotFound, evidence.ReasonHold)
		}
		if err != nil {
			return err
		}
		items, err := lookItems(c.Context(), cl, h.Items)
		if err != nil {
			return err
		}
		return run(c.Context(), cl, h.ID, items)
	}
	return c
}

func confirmHoldCommand(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "confirm HOLD",
		Short: "Confirm a hold, as the second person",
		Long: `Shows the order and the items, and asks for the word "confirm". You cannot
confirm what you placed.

Signs:     hold.confirmed, for each item.`,
		Example: `  strongroom hold confirm hld-5ysd`,
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	return onHold(a, c, func(ctx context.Context, cl *client.Client, id evidence.HoldID, items []looked) error {
		rows := []row{}
		for n, i := range items {
			h := i.Hold(id)
			if n == 0 {
				if h.PlacedBy == cl.Actor() { // before anything is asked; the law says the same afterwards
					return evidence.Refuse(evidence.Forbidden, evidence.ReasonSecondPerson)
				}
				rows = append(rows, holdRows(h, i.view.Time)...)
				order, _, err := noteOf(ctx, cl, i.ItemState, "order", func(e client.Entry) bool {
					d, ok := e.Details.(*evidence.HoldPlacedDetails)
					return ok && d.Hold == id
				})
				if err != nil {
					return err
				}
				rows = append(rows, row{"Order", order})
			}
			rows = append(rows, row{"Item", called(i.ItemState)})
		}
		if err := a.consent(yes, "confirm", rows...); err != nil {
			return err
		}
		return a.onItems(ctx, items, "Confirmed", fields{"hold": id},
			func(i looked) bool { return i.Hold(id).Status == evidence.HoldInForce },
			func(i looked) (*client.Receipt, error) { return cl.ConfirmHold(ctx, i.ID, id) })
	})
}

// notForYou stands for a note that is sealed for others.
const notForYou = "(not for you to read)"

// noteOf reads the internal note of the newest event that fits; "" where there is none. Read is false where it is not for this person, or
// not there any more.
func noteOf(ctx context.Context, cl *client.Client, item *evidence.ItemState, name string, fits func(client.Entry) bool) (text string, read bool, _ error) {
	steps, err := cl.History(ctx, evidence.ItemOf(item.ID))
	if err != nil {
		return "", false, err
	}
	for _, e := range slices.Backward(steps) {
		if !fits(e) {
			continue
		}
		if !slices.ContainsFunc(e.Notes, func(n evidence.Note) bool { return n.Name == name && n.Audience == evidence.ToInternal }) {
			return "", true, nil
		}
		text, err := cl.InternalNote(ctx, item.Case, e, name)
		if kind := evidence.KindOf(err); kind == evidence.NotFound || kind == evidence.Gone || kind == evidence.Forbidden {
			return notForYou, false, nil
		}
		return text, err == nil, err
	}
	return "", true, nil
}

func liftHoldCommand(a *app) *cobra.Command {
	var cause string
	var yes bool
	c := &cobra.Command{
		Use:   "lift HOLD",
		Short: "End a hold, as the second person",
		Long: `The legal duty has ended: from now on the consent decides again. Where that was
withdrawn, the time to decide runs. Another custodian does it than the one who
placed the hold. You type "lift".

Signs:     hold.lifted, for each item.`,
		Example: `  strongroom hold lift hld-5ysd --cause expiry`,
	}
	c.Flags().StringVar(&cause, "cause", "", "expiry, order, error, closed, new_facts or request")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "cause")
	return onHold(a, c, func(ctx context.Context, cl *client.Client, id evidence.HoldID, items []looked) error {
		rows := []row{{"If you go on", ""}}
		for _, i := range items {
			text := called(i.ItemState) + ": may be made unreadable again"
			if i.Frozen(i.view.Facts(), i.view.Time) != nil {
				text = called(i.ItemState) + ": its consent has ended; nobody may open it any more"
			}
			rows = append(rows, row{"Item", text})
		}
		if err := a.consent(yes, "lift", rows...); err != nil {
			return err
		}
		return a.onItems(ctx, items, "Lifted", fields{"hold": id},
			func(i looked) bool { return i.Hold(id).Status == evidence.HoldOver },
			func(i looked) (*client.Receipt, error) { return cl.LiftHold(ctx, i.ID, id, evidence.Cause(cause)) })
	})
}

// listedHold is what a list says of a hold. Where an act on several items was interrupted they differ: the first item tells.
type listedHold struct {
	evidence.HoldState
	State  string            `json:"state"` // placed, confirmed, lifted, expired or lapsed
	Secret bool              `json:"secret,omitempty"`
	Items  []evidence.ItemID `json:"items"`
}

// holds lists the holds on this person's items, in one case unless that is "".
func holds(ctx context.Context, cl *client.Client, in evidence.CaseID) ([]listedHold, error) {
	var items []client.Listed
	var err error
	if in == "" {
		items, err = allItems(ctx, cl)
	} else {
		items, err = itemsOf(ctx, cl, in)
	}
	if err != nil || len(items) == 0 {
		return nil, err
	}
	v, err := cl.Look(ctx, evidence.ActorOf(cl.Actor())) // for the time
	if err != nil {
		return nil, err
	}
	var list []listedHold
	for _, i := range items {
		for _, h := range i.Holds {
			at := slices.IndexFunc(list, func(l listedHold) bool { return l.ID == h.ID })
			if at < 0 {
				list = append(list, listedHold{h, standing(&h, v.Time), h.SecretUntil > v.Time, nil})
				at = len(list) - 1
			}
			list[at].Items = append(list[at].Items, i.ID)
		}
	}
	slices.SortStableFunc(list, func(a, b listedHold) int { return cmp.Compare(a.Placed, b.Placed) })
	return list, nil
}

// standing is what a hold has become.
func standing(h *evidence.HoldState, now evidence.Time) string {
	switch {
	case h.Status == evidence.HoldOver:
		return "lifted"
	case h.Confirmed(now):
		return "confirmed"
	case h.Blocks(now):
		return "placed"
	case now >= h.Expires:
		return "expired"
	}
	return "lapsed"
}

var holdStates = map[string]string{"placed": "To confirm", "confirmed": "Held", "lifted": "Lifted", "expired": "Ended", "lapsed": "Lapsed"}

func holdRows(h *evidence.HoldState, now evidence.Time) []row {
	rows := []row{
		{"Hold", string(h.ID) + ", " + standing(h, now)},
		{"Law", plain(string(h.Basis))},
		{"Placed", dateOf(h.Placed) + " by " + string(h.PlacedBy)},
		{"Until", dateOf(h.Expires) + ", to be reviewed by " + dateOf(h.Review)},
	}
	if h.SecretUntil > now {
		rows = append(rows, row{"Secret", "until " + dateOf(h.SecretUntil)})
	}
	if h.Status == evidence.HoldUnconfirmed {
		rows = append(rows, row{"Lapses", dateOf(h.Lapses) + ", unless confirmed before"})
	}
	return rows
}

func listHoldsCommand(a *app) *cobra.Command {
	var in string
	c := &cobra.Command{
		Use:   "list",
		Short: "List holds on the items that you may see",
		Long: `Lists legal duties to keep items, from the items' checked histories.

Signs:     nothing.`,
		Example: `  strongroom hold list --case cas-7c2k`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			var id evidence.CaseID
			if in != "" {
				if id, err = findCase(c.Context(), cl, in); err != nil {
					return err
				}
			}
			list, err := holds(c.Context(), cl, id)
			if err != nil {
				return err
			}
			var rows []row
			for _, h := range list {
				text := string(h.ID) + "\n" + plain(string(h.Basis)) + ", until " + dateOf(h.Expires) + ", to be reviewed by " + dateOf(h.Review)
				if h.State == "placed" {
					text += "\nlapses on " + dateOf(h.Lapses) + " unless another custodian confirms it"
				}
				if h.Secret {
					text += "\nsecret until " + dateOf(h.SecretUntil)
				}
				rows = append(rows, row{holdStates[h.State], text + "\n" + plural(len(h.Items), "item", "items")})
			}
			return a.show(some(list), orNone(rows, "No holds.")...)
		},
	}
	c.Flags().StringVar(&in, "case", "", "only this `CASE`")
	return c
}
