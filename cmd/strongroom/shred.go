package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

func shredCommand(a *app) *cobra.Command {
	return group("shred", "Make items unreadable for good: propose, take back, carry out",
		`One custodian proposes, with a reason that is true: the consent has ended, the
period is over, an order, or a draft that nobody needs. The item waits in the
bin; nothing of it is opened. After the waiting time another custodian carries
it out. Then every key to it is destroyed, and nobody can open it again.

What somebody copied before cannot be called back.`,
		proposeShredCommand(a), cancelShredCommand(a), carryOutCommand(a))
}

func proposeShredCommand(a *app) *cobra.Command {
	var items chosen
	var because, basis, orderFile string
	var yes bool
	var look leaving
	c := &cobra.Command{
		Use:   "propose ITEM… --because REASON",
		Short: "Propose to make items unreadable for good",
		Long: `Shows for each item why it may be made unreadable and since when; you type
"propose". From then on nothing of it is opened. It can be taken back with
strongroom shred cancel.

Reason: withdrawal (the consent was withdrawn, or narrowed), due (the period is
over, or the consent has ended), order (say authority, number and law), draft
(never sealed). With --case: all items that the reason fits and that no legal
duty keeps.

What you write of an order is for who opens the item, should it be taken back.
` + addHelp + `

Signs:     item.shred_proposed, for each item, with the number of the list.
Next:      after the waiting time another custodian runs strongroom shred
           carry-out`,
		Example: `  strongroom shred propose itm-7c2k… --because due
  strongroom shred propose --case cas-7c2k --because withdrawal`,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			list, err := items.find(c.Context(), cl, args)
			if err != nil {
				return err
			}
			p := client.Shredding{Cause: evidence.Cause(because)}
			if p.Run, err = runOf(list, p.Cause, items.in != ""); err != nil {
				return err
			}
			list = slices.DeleteFunc(list, func(i looked) bool {
				return !slices.ContainsFunc(p.Run, func(l client.DryRunLine) bool { return l.Item == i.ID })
			})
			if p.Cause == evidence.CauseOrder {
				p.Basis = evidence.Basis(basis)
				if p.Order, err = a.ordered(orderFile, orderLines); err != nil {
					return err
				}
			}
			if p.Check, err = look.check(a); err != nil {
				return err
			}
			return a.proposeShred(c.Context(), cl, list, p, yes)
		},
	}
	items.flags(c, "those that the reason fits")
	f := c.Flags()
	f.StringVar(&because, "because", "", "withdrawal, due, order or draft")
	f.StringVar(&basis, "basis", "court_order", "of an order: court_order or statutory_duty")
	f.StringVar(&orderFile, "order", "", "of an order: `FILE` with authority, number and law (- for standard input)")
	f.BoolVar(&yes, "yes", false, "do not ask; for scripts")
	look.flags(c)
	required(c, "because")
	return c
}

func (a *app) proposeShred(ctx context.Context, cl *client.Client, list []looked, p client.Shredding, yes bool) error {
	more := fields{"because": p.Cause, "dry_run": p.Run.Digest()}
	binned := func(i looked) bool { return i.Bin != nil && i.Bin.Cause == p.Cause }
	if len(list) == 0 {
		return a.onItems(ctx, nil, "", more, nil, nil)
	}
	policy, err := list[0].view.Policy()
	if err != nil {
		return err
	}
	wait := policy.BinWait
	if p.Cause == evidence.CauseWithdrawal {
		wait = policy.WithdrawalWait
	}
	rows := []row{{"If you go on", ""}}
	for _, line := range p.Run {
		i := list[slices.IndexFunc(list, func(i looked) bool { return i.ID == line.Item })]
		if i.Held(i.view.Time) { // before anything is asked; the law says the same afterwards
			return evidence.Refuse(evidence.Held, evidence.ReasonHeld)
		}
		rows = append(rows, row{"Bin", called(i.ItemState) + ": " + whyShred(line)})
	}
	rows = append(rows, row{"Stops", "Nobody opens or shares them any more."},
		row{"Then", "Another custodian makes them unreadable for good, at the earliest " + shortly(wait) + " from now. Until then it can be taken back."},
		row{"Number", p.Run.Digest().String()})
	if err := a.consent(yes, "propose", rows...); err != nil {
		return err
	}
	return a.onItems(ctx, list, "In the bin", more, binned,
		func(i looked) (*client.Receipt, error) { return cl.ProposeShred(ctx, i.ID, p) },
		row{"Next", "After " + shortly(wait) + " another custodian runs strongroom shred carry-out."})
}

func whyShred(l client.DryRunLine) string {
	switch l.Cause {
	case evidence.CauseWithdrawal:
		return "its consent does not keep it since " + dateOf(l.Due)
	case evidence.CauseDue:
		return "it need not be kept since " + dateOf(l.Due)
	case evidence.CauseOrder:
		return "an order demands it"
	}
	return "a draft that was never sealed"
}

// shortly says a length of time in the unit that fits.
func shortly(seconds int64) string {
	switch {
	case seconds >= 2*24*3600 && seconds%(24*3600) == 0:
		return plural(int(seconds/(24*3600)), "day", "days")
	case seconds >= 3600 && seconds%3600 == 0:
		return plural(int(seconds/3600), "hour", "hours")
	}
	return plural(int(seconds), "second", "seconds")
}

func cancelShredCommand(a *app) *cobra.Command {
	var items chosen
	var cause string
	c := &cobra.Command{
		Use:   "cancel ITEM…",
		Short: "Take items out of the bin",
		Long: `Puts items back as they were. What was withdrawn stays in the bin, unless a
legal duty keeps it: place a hold first.

Signs:     item.shred_cancelled, for each item.`,
		Example: `  strongroom shred cancel itm-7c2k… --cause error`,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			list, err := items.find(c.Context(), cl, args)
			if err != nil {
				return err
			}
			list = slices.DeleteFunc(list, func(i looked) bool { return items.in != "" && i.Bin == nil })
			return a.onItems(c.Context(), list, "Put back", nil, nil,
				func(i looked) (*client.Receipt, error) {
					return cl.CancelShred(c.Context(), i.ID, evidence.Cause(cause))
				})
		},
	}
	items.flags(c, "those in the bin")
	c.Flags().StringVar(&cause, "cause", "", "error, order, new_facts or request")
	required(c, "cause")
	return c
}

func carryOutCommand(a *app) *cobra.Command {
	var items chosen
	var yes bool
	c := &cobra.Command{
		Use:   "carry-out ITEM…",
		Short: "Make items in the bin unreadable for good, as the second person",
		Long: `Shows what is destroyed and what cannot be called back. You cannot carry out
what you proposed, and not before the waiting time is over.

Signs:     item.shredded, for each item. It takes effect at once.
For good:  every key, the name, the description and all notes are destroyed.
           Nobody can bring them back. The history stays. You type "shred".`,
		Example: `  strongroom shred carry-out itm-7c2k…
  strongroom shred carry-out --case cas-7c2k`,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			list, err := items.find(c.Context(), cl, args)
			if err != nil {
				return err
			}
			list = slices.DeleteFunc(list, func(i looked) bool {
				return items.in != "" && (i.Bin == nil || i.view.Time < i.Bin.Ready || i.Held(i.view.Time))
			})
			return a.carryOut(c.Context(), cl, list, yes)
		},
	}
	items.flags(c, "those in the bin whose waiting time is over")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	return c
}

func (a *app) carryOut(ctx context.Context, cl *client.Client, list []looked, yes bool) error {
	shredded := func(i looked) bool { return i.Shredded != 0 }
	if len(list) == 0 || !slices.ContainsFunc(list, func(i looked) bool { return !shredded(i) }) {
		return a.onItems(ctx, list, "", nil, shredded, nil)
	}
	rows := []row{{"If you go on", ""}}
	var listed []client.Listed
	for _, i := range list {
		switch { // before anything is asked; the law says the same afterwards
		case shredded(i):
			continue
		case i.Bin == nil:
			return evidence.Refuse(evidence.Conflict, evidence.ReasonNotBinned)
		case i.Bin.By == cl.Actor():
			return evidence.Refuse(evidence.Forbidden, evidence.ReasonSecondPerson)
		case i.Held(i.view.Time):
			return evidence.Refuse(evidence.Held, evidence.ReasonHeld)
		case i.view.Time < i.Bin.Ready:
			printRows(a.err, row{"Wait", called(i.ItemState) + ": until " + dateOf(i.Bin.Ready)})
			return evidence.Refuse(evidence.Held, evidence.ReasonWaiting)
		}
		listed = append(listed, client.Listed{ItemState: i.ItemState})
		rows = append(rows, row{"Destroys", called(i.ItemState) + ": " + plural(len(i.Envelopes), "key", "keys") +
			", its name, description and notes. Proposed by " + string(i.Bin.By) + ": " + plain(string(i.Bin.Cause)) + "."})
	}
	passed, within, err := passedOnFrom(ctx, cl, a.words(), listed)
	if err != nil {
		return err
	}
	end, err := list[0].view.BackupsEnd()
	if err != nil {
		return err
	}
	told := toBeTold(listed)
	rows = append(append(rows, rowsOf(a.words(), passed, within)...), told...)
	rows = append(rows, row{"Backups", "The last one that holds these keys ends by " + dateOf(end) + "."},
		row{"For good", "Nobody can open them through this vault again. Their history stays."})
	if err := a.consent(yes, "shred", rows...); err != nil {
		return err
	}
	return a.onItems(ctx, list, "Unreadable", fields{"backups_end": end, "passed_on": some(passed), "opened_inside": some(within)}, shredded,
		func(i looked) (*client.Receipt, error) { return cl.Shred(ctx, i.ID) },
		append(told, row{"Backups", "age out by " + dateOf(end) + "."})...)
}

// toBeTold reminds of the persons whom the items are about (RULES §1, V4 and V7). How each may be reached stands in the form of their consent,
// which a withdrawal closes: who took it knows.
func toBeTold(list []client.Listed) (rows []row) {
	var seen []evidence.ConsentID
	for _, i := range list {
		for _, id := range i.Consent {
			if !slices.Contains(seen, id) {
				seen = append(seen, id)
				rows = append(rows, row{"Tell", "the person who gave " + string(id) + " that this is done, only in the way they called safe.\nWho took the consent knows it."})
			}
		}
	}
	return rows
}
