package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

func reportCommand(a *app) *cobra.Command {
	var p reporting
	c := &cobra.Command{
		Use:   "report [ITEM…] --to FILE",
		Short: "Write who did what, for print or as a table",
		Long: `Writes a custody report: every step of the items, with signer, role, purpose,
authority, consent, result and proof, why each release was allowed, what became
of the consents, and two clocks: what the signer's device stated, and by when
the step was in the record book by the vault's clock.

--by ACTOR reports on one person. Alone it covers all that you may see: every
item that you may list (an auditor: of the whole vault), and what that person
signed in cases, consents, on people and on the vault's rules. What was signed
in a case without items is shown to its members alone.

--index lists the sealed items instead: exhibit, item, digest and size of the
encrypted file, kind, pages or duration as the depositor stated them (deposit
--pages, --duration; for members of the case), and when it was sealed; --unused
only those that nobody outside was ever given.

The page needs no network and prints on paper; --csv writes a table instead. A
report may be of any number of items. It is in the language of --language, or
else the locale's; ids, names and codes stay as they are. A table is for
programs: its columns and codes are English in every language.

It is for people. A court that does not trust you checks a package instead:
strongroom grant export.

Signs:     nothing.`,
		Example: `  strongroom report itm-7c2k --to custody.html
  strongroom report --by act-9k3f --csv --to signed.csv
  strongroom report --case cas-2m5d --unused --to unused.html`,
		Args: cobra.ArbitraryArgs,
	}
	f := c.Flags()
	f.StringVar(&p.in, "case", "", "instead of naming items: all of this `CASE`")
	f.StringVar(&p.by, "by", "", "only what this `ACTOR` signed")
	f.StringVar(&p.to, "to", "", "`FILE` to write")
	f.BoolVar(&p.table, "csv", false, "write a table")
	f.BoolVar(&p.index, "index", false, "list the sealed items")
	f.BoolVar(&p.unused, "unused", false, "list the sealed items that were never shared")
	required(c, "to")
	c.MarkFlagsMutuallyExclusive("by", "index", "unused")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		return a.custody(c.Context(), cl, p, args)
	}
	return c
}

// reporting is which report is wanted.
type reporting struct {
	in, by, to           string
	table, index, unused bool
}

func (p reporting) writer(w io.Writer, l dossier.Language, items int) *dossier.CustodyWriter {
	list := dossier.Index
	if p.unused {
		list = dossier.Unused
	}
	switch listed := p.index || p.unused; {
	case listed && p.table:
		return list.NewTable(w)
	case listed:
		return list.NewPage(w, l)
	case p.table:
		return dossier.NewCustodyTable(w, l)
	}
	return dossier.NewCustodyPage(w, l, items)
}

func (a *app) custody(ctx context.Context, cl *client.Client, p reporting, typed []string) error {
	var actor evidence.ActorID
	var ids []evidence.ItemID
	l, err := a.paper()
	if err != nil {
		return err
	}
	if p.by != "" {
		if actor, err = findActor(ctx, cl, p.by); err != nil {
			return err
		}
	}
	write := func(add func(dossier.Custody) error) error { return cl.Custody(ctx, actor, ids, add) }
	if p.by != "" && p.in == "" && len(typed) == 0 {
		ids, err = cl.Visible(ctx)
		write = func(add func(dossier.Custody) error) error { return cl.CustodyBy(ctx, actor, ids, add) }
	} else {
		ids, err = (&chosen{p.in}).ids(ctx, cl, typed)
	}
	if p.index || p.unused {
		write = func(add func(dossier.Custody) error) error { return cl.Index(ctx, ids, add) }
	}
	if err != nil {
		return err
	}
	names, err := namesOf(ctx, cl)
	if err != nil {
		return err
	}
	steps, hidden, asOf := 0, int64(0), evidence.Time(0)
	if err := saveAs(p.to, func(w io.Writer) error {
		out := p.writer(w, l, len(ids))
		err := write(func(part dossier.Custody) error {
			steps += part.Steps()
			for _, i := range part.Items {
				hidden += i.Withheld
			}
			if asOf == 0 {
				asOf = part.AsOf
			}
			part.Name(names)
			return out.Add(part)
		})
		if err != nil {
			return err
		}
		return out.End()
	}); err != nil {
		return err
	}
	complete := "to " + dateOf(asOf)
	if hidden > 0 {
		complete += ", with " + plural(int(hidden), "event that may not be shown yet", "events that may not be shown yet")
	}
	said := fmt.Sprintf("%s, %s of %s", p.to, plural(steps, "step", "steps"), plural(len(ids), "item", "items"))
	switch {
	case p.index || p.unused:
		said = fmt.Sprintf("%s, from %s looked at", p.to, plural(len(ids), "item", "items"))
	case p.by != "":
		said = fmt.Sprintf("%s, %s signed by %s, in %s and elsewhere", p.to, plural(steps, "step", "steps"), actor, plural(len(ids), "item", "items"))
	}
	return a.show(map[string]any{"file": p.to, "items": len(ids), "steps": steps, "withheld": hidden, "as_of": asOf},
		row{"Report", said}, row{"Complete", complete})
}

func auditCommand(a *app) *cobra.Command {
	var sample int
	var state string
	c := &cobra.Command{
		Use:   "audit",
		Short: "Read the whole vault as an auditor: what stands out",
		Long: `Reads the history of every item, checks each signature, entry and rule here, and
lists what an auditor should look at: openings in an emergency and their
reviews, refusals, items that nobody decided on, retention that is overdue,
items that nothing says until when they are kept, holds to review, damage,
receipts that were not equal, each use of the recovery key; and openings and
shares picked at random, each with the ground that it stood on.

The vault's clock stands beside those of the signers: each list of last steps
that it signs states a time, and what it covers was entered by then. Who states
a time that this contradicts by more than ten seconds is listed with the largest
difference, and by how much times run against the order of entry at most is
said.

It counts the files that the record says are as deposited, those of which it
said so more than 31 days ago, and those that are missing or different; where
nothing was said for more than 35 days, it is a finding.

It lists every act on the vault and its people, whoever signed it: enrolled, new
keys, confirmed, suspended, stopped, and how the vault was configured, confirmed
and restored, recovery and incidents.

First it follows the record book from outside, as strongroom audit follow does,
in the same folder. Every item and every person that has an entry there must be
among those that the vault lists, or the command ends with an alarm: nobody's
lines can be hidden. How far that was checked is said. Where another run works
in that folder, give one of its own (--state), or the list of items and people
is the vault's word; but who signed anything must be in it even then.

Signs:     nothing.`,
		Example: `  strongroom audit --sample 20`,
		Args:    cobra.NoArgs,
	}
	c.Flags().IntVar(&sample, "sample", 10, "`NUMBER` of openings and shares to pick")
	c.Flags().StringVar(&state, "state", "", "`FOLDER` of what was followed (default: audit, in your folder)")
	c.AddCommand(auditFollowCommand(a), auditKeyCommand(a), auditCompareCommand(a))
	c.RunE = func(c *cobra.Command, _ []string) error {
		if sample < 0 || sample > 10_000 {
			return usage("--sample is a number from 0 to 10000")
		}
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		found, err := a.audit(c.Context(), cl, sample, state)
		if err != nil {
			return err
		}
		names, err := namesOf(c.Context(), cl)
		if err != nil {
			return err
		}
		who := signersOf(found.Acts, names)
		n := found.Compared
		clocks := "Times run against the order of entry by " + found.Backwards.Round(time.Millisecond).String() + " at most."
		if found.Dated < found.Steps {
			clocks += fmt.Sprintf("\n%d of %s were held against the vault's clock, picked at random for each signer:\nit published too often to read all.",
				found.Dated, plural(found.Steps, "step", "steps"))
		}
		rows := []row{
			{"Read", fmt.Sprintf("%s, each history to its proved end", plural(found.Items, "item", "items"))},
			{"Compared", fmt.Sprintf("%s as deposited, as the record says within 31 days\n%d longer ago, %d missing, %d different",
				plural(n.Right, "file", "files"), n.Late, n.Missing, n.Different)},
			{"Clocks", clocks},
			{"Whole", "Every item and every person with one of the " + plural(int(found.Followed), "followed entry", "followed entries") + " is listed."},
		}
		if found.Followed == 0 {
			rows[len(rows)-1] = row{"Whole", "not checked: which items and people there are is the vault's word. It has published\nno list yet, or another run works in the folder of what was followed: --state."}
		}
		late := 0
		for _, f := range found.Findings {
			if f.Late {
				late++
			}
			rows = append(rows, findingRow(f, who))
		}
		for _, act := range found.Acts {
			rows = append(rows, actRow(act, who))
		}
		rows = append(rows, row{"Overdue", plural(late, "finding", "findings")}, row{"Complete", "to " + dateOf(found.AsOf)})
		return a.show(found, rows...)
	}
	return c
}

// findingNames say what each kind of finding is.
var findingNames = map[client.FindingKind]string{
	client.FoundEmergency:     "opened in an emergency",
	client.FoundRefusal:       "refused a share",
	client.FoundUndecided:     "frozen, and nobody decided in time: shred or hold",
	client.FoundOverdue:       "need not be kept any longer",
	client.FoundBinned:        "in the bin, to be shredded",
	client.FoundHoldReview:    "held, and the review of the hold is overdue",
	client.FoundDamaged:       "the stored file was found to differ",
	client.FoundUnequal:       "a recipient got other bytes than were recorded",
	client.FoundSealBroken:    "arrived with a broken seal",
	client.FoundUnconfirmed:   "held, and the second person has not confirmed it",
	client.FoundRecovered:     "the recovery key was used, as two trustees state",
	client.FoundRecovering:    "one trustee states that the recovery key was used; no second one yet",
	client.FoundRecoveryEnded: "a trustee has ended what was stated of the recovery key",
	client.FoundClock:         "states times that cannot be right",
	client.FoundUndated:       "nothing says until when it is kept, so it is kept for ever",
	client.FoundUncompared:    "was not compared with its deposit for more than 35 days",
	client.FoundRelease:       "was opened or shared",
}

// signers are people with their organizations: as their enrolments say it, which were verified, under the names that the operator gave.
type signers map[evidence.ActorID]string

func signersOf(acts []client.Act, names orgNames) signers {
	list := make(signers)
	for _, act := range acts {
		if act.For != "" {
			list[act.Of] = string(act.Of) + " of " + names.of(act.For)
		}
	}
	return list
}

func (s signers) of(id evidence.ActorID) string { return cmp.Or(s[id], string(id)) }

func findingRow(f client.Finding, who signers) row {
	if f.Kind == client.FoundClock {
		by, than := f.Behind, "and entry %d, an earlier one, a later time."
		if f.Ahead > 0 {
			by, than = f.Ahead, "and the vault stated an earlier time, in entry %d, when it had been entered."
		}
		return row{"Clocks", fmt.Sprintf("%s: %s, by up to %s.\nEntry %d states %s, "+than,
			who.of(f.Actor), findingNames[f.Kind], by, f.Entry, dateOf(f.Since), f.Against)}
	}
	text := string(f.Item) + ": " + findingNames[f.Kind]
	if f.Actor != "" {
		text += "\nby " + who.of(f.Actor)
	}
	for _, at := range []struct {
		what string
		time evidence.Time
	}{{"since", f.Since}, {"due", f.Due}, {"done", f.Done}, {"until", f.Until}} {
		if at.time != 0 {
			text += "\n" + at.what + " " + dateOf(at.time)
		}
	}
	if f.Why != "" {
		text += "\n" + f.Why
	}
	label := "Look at"
	switch {
	case f.Late:
		label = "Overdue"
	case f.Kind == client.FoundRelease:
		label = "Sample"
	case f.Kind == client.FoundUndated:
		label = "No date"
	}
	return row{label, text}
}

func actRow(act client.Act, who signers) row {
	text := stepName(act.Kind)
	if act.Detail != "" {
		text += " (" + plain(act.Detail) + ")"
	}
	if act.Until != 0 {
		text += ", until " + dateOf(act.Until)
	}
	if act.Of != "" {
		text += "\nof " + who.of(act.Of)
	}
	return row{"Act", fmt.Sprintf("%s\n%s, entry %d\nby %s %s", text, dateOf(act.Time), act.Entry, plain(string(act.Role)), who.of(act.By))}
}
