package main

import (
	"context"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

func closeCaseCommand(a *app) *cobra.Command {
	var outcome string
	var yes bool
	c := &cobra.Command{
		Use:   "close CASE --outcome OUTCOME",
		Short: "Close a case: nothing more is deposited",
		Long: `Closes a case once no share, no review of an emergency opening and no hand-over
is open. Items stay, and are kept as long as their period says. You type
"close".

Outcome: decided, discontinued, transferred, merged.

Signs:     case.closed, as a custodian who may manage the case; of a complaint,
           as an auditor who may.`,
		Example: `  strongroom case close cas-7c2k --outcome decided`,
	}
	c.Flags().StringVar(&outcome, "outcome", "", "decided, discontinued, transferred or merged")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "outcome")
	return about(a, c, findCase, func(ctx context.Context, cl *client.Client, id evidence.CaseID) error {
		items, err := cl.Items(ctx, id)
		if err != nil {
			return err
		}
		undated := 0
		for _, i := range items {
			if len(i.Retention) == 0 && i.Shredded == 0 {
				undated++
			}
		}
		err = a.consent(yes, "close", row{"If you close", ""}, row{"Stops", "deposits and new consents; " + plural(len(items), "item stays", "items stay")},
			row{"Without", plural(undated, "item has", "items have") + " no period yet: strongroom retention set"})
		if err != nil {
			return err
		}
		r, err := cl.CloseCase(ctx, id, outcome)
		if err != nil {
			return err
		}
		return a.recorded(r, fields{"case": id, "outcome": outcome}, row{"Closed", string(id) + ": " + plain(outcome)},
			row{"Next", "See what is due: strongroom retention due " + string(id)})
	})
}

func reopenCaseCommand(a *app) *cobra.Command {
	var cause string
	c := &cobra.Command{
		Use:   "reopen CASE --cause CAUSE",
		Short: "Open a closed case again",
		Long: `Opens a closed case again: deposits are possible. Dates stay as they are; look
at them with strongroom retention due and set them anew where the case needs it.

Signs:     case.reopened, as a custodian who may manage the case; of a
           complaint, as an auditor who may.`,
		Example: `  strongroom case reopen cas-7c2k --cause new_facts`,
	}
	c.Flags().StringVar(&cause, "cause", "", "new_facts, error, order or request")
	required(c, "cause")
	return about(a, c, findCase, func(ctx context.Context, cl *client.Client, id evidence.CaseID) error {
		r, err := cl.ReopenCase(ctx, id, evidence.Cause(cause))
		if err != nil {
			return err
		}
		return a.recorded(r, fields{"case": id}, row{"Open", string(id) + ", again"},
			row{"Next", "Look at the dates: strongroom retention due " + string(id)})
	})
}
