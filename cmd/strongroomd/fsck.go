package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/daemon"
)

// damaged ends fsck with exit code 1: it could look, and found something.
type damaged int

func (d damaged) Error() string {
	return fmt.Sprintf("%d damages found; nothing was changed", int(d))
}
func (d damaged) ExitCode() int { return 1 }

func fsckCommand() *cobra.Command {
	var p place
	var asJSON bool
	c := &cobra.Command{
		Use:   "fsck",
		Short: "Re-read and check everything in a vault that is not running",
		Long: `Checks every event against its signature, the law and the log; the log against the
records; heads, checkpoints, attachments and objects against what events name.
Changes nothing.

Exit code: 0 nothing found, 1 damage found and listed, 2 could not look.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found := []daemon.Damage{}
			examined, err := daemon.Fsck(c.Context(), p.data, p.options(), func(d daemon.Damage) {
				found = append(found, d)
				if !asJSON {
					fmt.Fprintf(c.OutOrStdout(), "Damage     %s: %s\n", d.Where, d.What)
				}
			})
			if err != nil {
				return err
			}
			if asJSON {
				err := json.NewEncoder(c.OutOrStdout()).Encode(map[string]any{"damage": found, "examined": examined})
				if err != nil {
					return err
				}
			} else {
				fmt.Fprintf(c.OutOrStdout(), "Examined   %s\n", examined.Summary())
			}
			if len(found) > 0 {
				return damaged(len(found))
			}
			if !asJSON {
				fmt.Fprintln(c.OutOrStdout(), "Clean      nothing is missing or altered")
			}
			return nil
		},
	}
	p.flags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}
