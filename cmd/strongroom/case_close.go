package main

import (
	"github.com/spf13/cobra"

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

Signs:     case.closed, as a custodian who may manage the case.`,
		Example: `  strongroom case close cas-7c2k --outcome decided`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			id, err := findCase(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			items, err := cl.Items(c.Context(), id)
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
			r, err := cl.CloseCase(c.Context(), id, outcome)
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"case": id, "outcome": outcome}, row{"Closed", string(id) + ": " + plain(outcome)},
				row{"Next", "See what is due: strongroom retention due " + string(id)})
		},
	}
	c.Flags().StringVar(&outcome, "outcome", "", "decided, discontinued, transferred or merged")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "outcome")
	return c
}

func reopenCaseCommand(a *app) *cobra.Command {
	var cause string
	c := &cobra.Command{
		Use:   "reopen CASE --cause CAUSE",
		Short: "Open a closed case again",
		Long: `Opens a closed case again: deposits are possible. Dates stay as they are; look
at them with strongroom retention due and set them anew where the case needs it.

Signs:     case.reopened, as a custodian who may manage the case.`,
		Example: `  strongroom case reopen cas-7c2k --cause new_facts`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			id, err := findCase(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			r, err := cl.ReopenCase(c.Context(), id, evidence.Cause(cause))
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"case": id}, row{"Open", string(id) + ", again"},
				row{"Next", "Look at the dates: strongroom retention due " + string(id)})
		},
	}
	c.Flags().StringVar(&cause, "cause", "", "new_facts, error, order or request")
	required(c, "cause")
	return c
}
