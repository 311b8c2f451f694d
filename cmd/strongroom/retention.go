package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

func retentionCommand(a *app) *cobra.Command {
	return group("retention", "How long items are kept: set a period, see what is due",
		`A period says for one category of law until when an item is kept; of several the
longest counts, and consent ends no later than it says. Nothing is made
unreadable by itself: two custodians decide.`,
		setRetentionCommand(a), dueCommand(a))
}

func setRetentionCommand(a *app) *cobra.Command {
	var items chosen
	var category, due, lawFile string
	c := &cobra.Command{
		Use:   "set ITEM… --category NAME --due TIME",
		Short: "Say for a category of law until when items are kept",
		Long: `Sets the date from which items need not be kept for one category of law. An
earlier date than before counts only after the vault's waiting time.

Which law says so is asked for, or read from --law: name, section, period. It is
sealed to the members of the case, and shown to those who decide once the period
is over (strongroom retention due, strongroom item notes).

Signs:     retention.set, for each item.`,
		Example: `  strongroom retention set itm-7c2k… --category medical_records \
      --due 2036-12-31 --law law.txt`,
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			date, err := when(due)
			if err != nil {
				return err
			}
			list, err := items.find(c.Context(), cl, args)
			if err != nil {
				return err
			}
			list = slices.DeleteFunc(list, func(i looked) bool { return items.in != "" && i.Shredded != 0 })
			law, err := a.ordered(lawFile, []string{"Which law says so, and for how long?"})
			if err != nil {
				return err
			}
			return a.onItems(c.Context(), list, "Set", fields{"category": category, "due": date},
				func(i looked) bool {
					return slices.ContainsFunc(i.Retention, func(r evidence.RetentionState) bool { return r.Category == category && r.Due == date })
				},
				func(i looked) (*client.Receipt, error) {
					return cl.SetRetention(c.Context(), i.ID, category, date, law)
				},
				row{"Until", dateOf(date)})
		},
	}
	items.flags(c, "all")
	c.Flags().StringVar(&category, "category", "", "a short `NAME` for the law, such as medical_records")
	c.Flags().StringVar(&due, "due", "", "the date, a `TIME`: a date, or a length from now such as 3650d")
	c.Flags().StringVar(&lawFile, "law", "", "`FILE` with the law that says so (- for standard input)")
	required(c, "category", "due")
	return c
}

// dueItem is one line of a dry run for people.
type dueItem struct {
	Item   evidence.ItemID `json:"item"`
	State  string          `json:"state"` // shredded, binned, held, frozen, due, keep, or none where no date is known
	Due    evidence.Time   `json:"due,omitempty"`
	Decide evidence.Time   `json:"decide_by,omitempty"`
	// Because is the reason that a proposal to shred would name: due or withdrawal.
	Because evidence.Cause `json:"because,omitempty"`
	Warning client.Warning `json:"warning,omitempty"` // how urgent it is: overdue, 7_days, 30_days or 90_days
	Laws    []periodOfLaw  `json:"laws,omitempty"`    // of what is shown
}

// periodOfLaw is until when a category of law keeps an item, and what was written of the law.
type periodOfLaw struct {
	Category string        `json:"category"`
	Due      evidence.Time `json:"due"`
	Law      string        `json:"law,omitempty"`
}

func dueCommand(a *app) *cobra.Command {
	var within string
	c := &cobra.Command{
		Use:   "due CASE",
		Short: "List what is due and what is stopped, as a dry run",
		Long: `Lists the items of a case with dates and reasons: what need not be kept any
more, what is stopped because its consent has ended, what waits in the bin, what
a legal duty keeps, and what becomes due within 90, 30 or 7 days, with the law
that was named for its period. What is past its time and nobody decided about is
an alarm, for the auditor too. What nothing says until when it is kept, such as
a consent form, is listed as having no date: it is kept for ever until somebody
sets one. It changes nothing.

The numbers name the lists that strongroom shred propose --case would be about,
so that a proposal shows later what was seen before.

Signs:     nothing.`,
		Example: `  strongroom retention due cas-7c2k`,
	}
	c.Flags().StringVar(&within, "soon", "90d", "show also what becomes due before this `TIME`: a date, or a length from now")
	return about(a, c, findCase, func(ctx context.Context, cl *client.Client, id evidence.CaseID) error {
		items := chosen{in: string(id)}
		list, err := items.find(ctx, cl, nil)
		if err != nil {
			return err
		}
		soon, err := when(within)
		if err != nil {
			return err
		}
		return a.due(ctx, cl, list, id, soon)
	})
}

func (a *app) due(ctx context.Context, cl *client.Client, list []looked, in evidence.CaseID, soon evidence.Time) error {
	all := []dueItem{}
	var rows []row
	overdue, undated := 0, 0
	for _, i := range list {
		d, r, err := dueOf(i, soon)
		if err != nil {
			return err
		}
		if r.label != "" && len(i.Retention) > 0 {
			if d.Laws, err = lawsOf(ctx, cl, i.ItemState); err != nil {
				return err
			}
			for _, l := range d.Laws {
				r.text += "\n" + l.String()
			}
		}
		if d.State == "none" {
			undated++
		}
		if d.Warning == client.WarnOverdue {
			overdue++
		}
		if all = append(all, d); r.label != "" {
			rows = append(rows, r)
		}
	}
	numbers := make(map[evidence.Cause]evidence.Hash)
	rows = orNone(rows, "Nothing is due and nothing is stopped.")
	if undated > 0 {
		rows = append(rows, row{"Set a date", plural(undated, "item has", "items have") + " no date, and nothing ever says that it need not be kept: strongroom retention set"})
	}
	if overdue > 0 {
		rows = append(rows, row{"Decide", plural(overdue, "item is", "items are") + " past the time, and nobody decided. Two custodians make it unreadable" +
			" (strongroom shred propose), or state the law that keeps it (strongroom hold place). The auditor sees this, too."})
	}
	for _, cause := range []evidence.Cause{evidence.CauseDue, evidence.CauseWithdrawal} {
		run, err := runOf(list, cause, true)
		if err != nil {
			return err
		}
		if len(run) > 0 {
			numbers[cause] = run.Digest()
			rows = append(rows, row{"Number", string(cause) + ", " + plural(len(run), "item", "items") + ": " + run.Digest().String()})
		}
	}
	now := evidence.Time(0)
	if len(list) > 0 {
		now = list[0].view.Time
	}
	return a.show(fields{"case": in, "time": now, "items": all, "overdue": overdue, "undated": undated, "dry_run": numbers}, rows...)
}

// warnings say how urgent something is.
var warnings = map[client.Warning]string{
	client.WarnOverdue: "the time is over and nobody decided",
	client.WarnWeek:    "within 7 days",
	client.WarnMonth:   "within 30 days",
	client.WarnQuarter: "within 90 days",
}

// lawsOf are the periods of an item, each with the law that was named for it.
func lawsOf(ctx context.Context, cl *client.Client, i *evidence.ItemState) (list []periodOfLaw, _ error) {
	for _, r := range i.Retention {
		law, _, err := noteOf(ctx, cl, i, "authority", func(e client.Entry) bool {
			d, ok := e.Details.(*evidence.RetentionSetDetails)
			return ok && d.Category == r.Category && d.Due == r.Due
		})
		if err != nil {
			return nil, err
		}
		list = append(list, periodOfLaw{r.Category, r.Due, law})
	}
	return list, nil
}

func (p periodOfLaw) String() string {
	said := p.Law
	if said == "" {
		said = "no law was named"
	}
	return plain(p.Category) + " until " + dateOf(p.Due) + ": " + said
}

// dueOf says of one item where it stands; the row is empty for what is simply kept.
func dueOf(i looked, soon evidence.Time) (d dueItem, r row, err error) {
	now, name := i.view.Time, called(i.ItemState)
	d = dueItem{Item: i.ID, State: "none"}
	var dated, decide bool
	if d.Due, dated, err = i.view.Due(i.ItemState); err != nil {
		return d, r, err
	}
	if d.Decide, decide, err = i.view.Decide(i.ItemState); err != nil {
		return d, r, err
	}
	if d.Warning, _, err = i.view.Warning(i.ItemState); err != nil {
		return d, r, err
	}
	for _, cause := range []evidence.Cause{evidence.CauseWithdrawal, evidence.CauseDue} {
		if _, err := i.view.Line(i.ID, cause); err == nil && i.Bin == nil {
			d.Because = cause
			break
		}
	}
	switch {
	case i.Shredded != 0:
		d.State = "shredded"
	case i.Held(now):
		d.State = "held"
		r = row{"Held", name + "\na legal duty keeps it"}
		if dated {
			r.text += "; otherwise until " + dateOf(d.Due)
		}
	case i.Bin != nil:
		d.State = "binned"
		r = row{"Bin", name + "\n" + plain(string(i.Bin.Cause)) + "; can be made unreadable from " + dateOf(i.Bin.Ready)}
	case decide:
		d.State = "frozen"
		r = row{"Stopped", name + "\nits consent " + endedBy[d.Because] + "; to be decided by " + dateOf(d.Decide)}
		if d.Warning == client.WarnOverdue {
			r.label = "Overdue"
			r.text += ": " + warnings[d.Warning]
		}
	case dated && now >= d.Due:
		d.State = "due"
		r = row{"Overdue", name + "\ndue since " + dateOf(d.Due) + ": " + warnings[d.Warning]}
	case dated:
		d.State = "keep"
		if d.Due <= soon {
			r = row{"Soon", name + "\nis due on " + dateOf(d.Due)}
			if d.Warning != "" {
				r.text += ", " + warnings[d.Warning]
			}
		}
	default:
		r = row{"No date", name + "\nnothing says until when it is kept"}
	}
	return d, r, nil
}

// endedBy says what became of an item's consent, by the reason that it gives to shred.
var endedBy = map[evidence.Cause]string{
	evidence.CauseWithdrawal: "was withdrawn, or does not allow it any more",
	evidence.CauseDue:        "has ended",
	"":                       "does not keep it now",
}

// runOf is the dry run of the items for a cause. Of a whole case it leaves out what the cause does not fit, and what a hold keeps.
func runOf(items []looked, cause evidence.Cause, fitting bool) (run client.DryRun, _ error) {
	for _, i := range items {
		line, err := i.view.Line(i.ID, cause)
		switch {
		case err == nil && !(fitting && i.Held(i.view.Time)):
			run = append(run, line)
		case err != nil && !fitting:
			return nil, err
		case err != nil && evidence.KindOf(err) != evidence.Conflict && evidence.KindOf(err) != evidence.Gone:
			return nil, err
		}
	}
	return run, nil
}
