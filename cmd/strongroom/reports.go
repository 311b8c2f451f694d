package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

func reportCommand(a *app) *cobra.Command {
	var in, by, to string
	var table bool
	c := &cobra.Command{
		Use:   "report [ITEM…] --to FILE",
		Short: "Write who did what, for print or as a table",
		Long: `Writes a custody report: every step of the items, with signer, role, purpose,
authority, consent, result and proof, why each release was allowed, and how the
time that the signer's device stated stands to the order of entry in the record
book: there is no second clock. With --by only what one person signed. The page
needs no network and prints on paper; --csv writes a table instead, with the
digest and size of the encrypted file in each row. A report may be of any number
of items.

It is for people. A court that does not trust you checks a package instead:
strongroom grant export.

Signs:     nothing.`,
		Example: `  strongroom report itm-7c2k --to custody.html
  strongroom report --case cas-2m5d --by act-9k3f --csv --to opened.csv`,
		Args: cobra.ArbitraryArgs,
	}
	c.Flags().StringVar(&in, "case", "", "instead of naming items: all of this `CASE`")
	c.Flags().StringVar(&by, "by", "", "only what this `ACTOR` signed")
	c.Flags().StringVar(&to, "to", "", "`FILE` to write")
	c.Flags().BoolVar(&table, "csv", false, "write a table")
	required(c, "to")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		ids, err := (&chosen{in}).ids(c.Context(), cl, args)
		if err != nil {
			return err
		}
		var actor evidence.ActorID
		if by != "" {
			if actor, err = findActor(c.Context(), cl, by); err != nil {
				return err
			}
		}
		steps, hidden, asOf := 0, int64(0), evidence.Time(0)
		if err := saveAs(to, func(w io.Writer) error {
			out := dossier.NewCustodyPage(w, len(ids))
			if table {
				out = dossier.NewCustodyTable(w)
			}
			err := cl.Custody(c.Context(), actor, ids, func(part dossier.Custody) error {
				steps += part.Steps()
				for _, i := range part.Items {
					hidden += i.Withheld
				}
				if asOf == 0 {
					asOf = part.AsOf
				}
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
		return a.show(map[string]any{"file": to, "items": len(ids), "steps": steps, "withheld": hidden, "as_of": asOf},
			row{"Report", fmt.Sprintf("%s, %s of %s", to, plural(steps, "step", "steps"), plural(len(ids), "item", "items"))},
			row{"Complete", complete})
	}
	return c
}

func auditCommand(a *app) *cobra.Command {
	var sample int
	c := &cobra.Command{
		Use:   "audit",
		Short: "Read the whole vault as an auditor: what stands out",
		Long: `Reads the history of every item, checks each signature, entry and rule here, and
lists what an auditor should look at: openings in an emergency and their
reviews, refusals, items that nobody decided on, retention that is overdue,
holds to review, damage, receipts that were not equal, each use of the recovery
key, signers whose clocks run against the order of entry; and openings and
shares picked at random, each with the ground that it stood on.

It counts the files that the record says are as deposited, those of which it
said so more than 31 days ago, and those that are missing or different; where
nothing was said for more than 35 days, it is a finding.

It lists every act on the vault and its people, whoever signed it: enrolled, new
keys, confirmed, suspended, stopped, and how the vault was configured, confirmed
and restored, recovery and incidents.

Nothing of it is the vault's word, but for which items and people there are; who
signed anything must be among these people, or the command ends with an alarm.

Signs:     nothing.`,
		Example: `  strongroom audit --sample 20`,
		Args:    cobra.NoArgs,
	}
	c.Flags().IntVar(&sample, "sample", 10, "`NUMBER` of openings and shares to pick")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if sample < 0 || sample > 10_000 {
			return usage("--sample is a number from 0 to 10000")
		}
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		found, err := cl.Audit(c.Context(), sample)
		if err != nil {
			return err
		}
		n := found.Compared
		rows := []row{
			{"Read", fmt.Sprintf("%s, each history to its proved end", plural(found.Items, "item", "items"))},
			{"Compared", fmt.Sprintf("%s as deposited, as the record says within 31 days\n%d longer ago, %d missing, %d different",
				plural(n.Right, "file", "files"), n.Late, n.Missing, n.Different)},
		}
		late := 0
		for _, f := range found.Findings {
			if f.Late {
				late++
			}
			rows = append(rows, findingRow(f))
		}
		for _, act := range found.Acts {
			rows = append(rows, actRow(act))
		}
		rows = append(rows, row{"Overdue", plural(late, "finding", "findings")}, row{"Complete", "to " + dateOf(found.AsOf)})
		return a.show(found, rows...)
	}
	return c
}

// findingNames say what each kind of finding is.
var findingNames = map[client.FindingKind]string{
	client.FoundEmergency:   "opened in an emergency",
	client.FoundRefusal:     "refused a share",
	client.FoundUndecided:   "frozen, and nobody decided in time: shred or hold",
	client.FoundOverdue:     "need not be kept any longer",
	client.FoundBinned:      "in the bin, to be shredded",
	client.FoundHoldReview:  "held, and the review of the hold is overdue",
	client.FoundDamaged:     "the stored file was found to differ",
	client.FoundUnequal:     "a recipient got other bytes than were recorded",
	client.FoundSealBroken:  "arrived with a broken seal",
	client.FoundUnconfirmed: "held, and the second person has not confirmed it",
	client.FoundRecovered:   "the recovery key was used, as two trustees state",
	client.FoundRecovering:  "one trustee states that the recovery key was used; no second one yet",
	client.FoundClock:       "states times that run against the order of entry",
	client.FoundUncompared:  "was not compared with its deposit for more than 35 days",
	client.FoundRelease:     "was opened or shared",
}

func findingRow(f client.Finding) row {
	if f.Kind == client.FoundClock {
		return row{"Clocks", fmt.Sprintf("%s: %s, by up to %s.\nEntry %d states %s, and entry %d, an earlier one, a later time.",
			f.Actor, findingNames[f.Kind], f.Behind, f.Entry, dateOf(f.Since), f.Against)}
	}
	text := string(f.Item) + ": " + findingNames[f.Kind]
	if f.Actor != "" {
		text += "\nby " + string(f.Actor)
	}
	for _, at := range []struct {
		what string
		time evidence.Time
	}{{"since", f.Since}, {"due", f.Due}, {"done", f.Done}} {
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
	}
	return row{label, text}
}

func actRow(act client.Act) row {
	text := stepName(act.Kind)
	if act.Detail != "" {
		text += " (" + plain(act.Detail) + ")"
	}
	if act.Until != 0 {
		text += ", until " + dateOf(act.Until)
	}
	if act.Of != "" {
		text += "\nof " + string(act.Of)
	}
	return row{"Act", fmt.Sprintf("%s\n%s, entry %d\nby %s %s", text, dateOf(act.Time), act.Entry, plain(string(act.Role)), act.By)}
}
