package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func vaultCommand(a *app) *cobra.Command {
	return group("vault", "The vault as a whole", `After the vault was restored from a backup it lets read, withdraw and end, and
nothing else, until a custodian confirms the restore.`, confirmRestoreCommand(a))
}

func confirmRestoreCommand(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "confirm",
		Short: "Confirm that the vault goes on from a backup",
		Long: `Shows from when the backup is, checked. Your program has compared the restored
record book with everything it saw before: had the vault gone back behind that,
it would have raised an alarm.

Ask the administrator why there was a restore, and whether the old machine is
off for good. Tell people to look whether their last items are there.

Signs:     vault.confirmed, as a custodian. It takes effect at once.`,
		Example: `  strongroom vault confirm`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			w, err := cl.Restored(c.Context())
			if err != nil {
				return err
			}
			d := w.Details
			err = a.consent(yes, "confirm",
				row{"If you go on", "The vault takes deposits, openings and shares again."},
				row{"Backup", "of " + dateOf(d.Backup)},
				row{"Record book", fmt.Sprintf("%d entries in the backup, %d when it was restored", d.Before, d.After)},
				row{"Restored", dateOf(w.Logged)})
			if err != nil {
				return err
			}
			r, err := cl.ConfirmRestore(c.Context(), w.Event)
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"restored": w.Event}, row{"Confirmed", "the vault is in service again"})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	return c
}
