package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/evidence"
)

func vaultCommand(a *app) *cobra.Command {
	return group("vault", "The vault as a whole", `After the vault was restored from a backup it lets read, withdraw and end, and
nothing else, until a custodian confirms the restore.

An incident stands in every package of its time.`, confirmRestoreCommand(a), incidentCommand(a))
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

func incidentCommand(a *app) *cobra.Command {
	var code, scope, from, end string
	var yes bool
	c := &cobra.Command{
		Use:   "incident --code CODE --scope SCOPE --from TIME",
		Short: "State that something went wrong with the vault",
		Long: `Enters an incident into the record book. From then on it stands in every package
of that time, so that a court learns of it. You type "incident".

Code: breach, outage, key_compromise, witness_alarm, data_damage.
Scope: vault, organization, case. Times lie in the past.

Signs:     vault.incident, as an administrator or auditor.
For good:  it cannot be taken back.`,
		Example: `  strongroom vault incident --code outage --scope vault \
      --from 2027-03-14T06:00:00Z --until 2027-03-14T09:00:00Z`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			d := evidence.VaultIncidentDetails{Code: code, Scope: scope}
			if d.From, err = when(from); err != nil {
				return err
			}
			if d.Until, err = until(end); err != nil {
				return err
			}
			period := "since " + dateOf(d.From)
			if d.Until != 0 {
				period = dateOf(d.From) + " to " + dateOf(d.Until)
			}
			err = a.consent(yes, "incident", row{"If you go on", ""}, row{"Incident", plain(code) + ", " + scope + ", " + period},
				row{"For good", "It stands in every package of that time."})
			if err != nil {
				return err
			}
			r, err := cl.ReportIncident(c.Context(), d)
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"code": code, "scope": scope, "from": d.From}, row{"Incident", plain(code) + ", " + period})
		},
	}
	c.Flags().StringVar(&code, "code", "", "what it is (see above)")
	c.Flags().StringVar(&scope, "scope", "", "how far it reaches (see above)")
	c.Flags().StringVar(&from, "from", "", "since when, a `TIME`")
	c.Flags().StringVar(&end, "until", "", "until when, a `TIME`, if it is over")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "code", "scope", "from")
	return c
}
