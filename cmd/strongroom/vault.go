package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

func vaultCommand(a *app) *cobra.Command {
	return group("vault", "The vault as a whole", `The vault's limits are changed by an administrator with a custodian, and after
a wait.

After the vault was restored from a backup it lets read, withdraw and end, and
nothing else, until a custodian confirms the restore.

An incident stands in every package of its time. Each use of the recovery key is
stated by two trustees.`, policyCommand(a), configureCommand(a), confirmVaultCommand(a), incidentCommand(a), recoveredCommand(a))
}

func recoveredCommand(a *app) *cobra.Command {
	var items []string
	var cause string
	var instead, nothing, yes bool
	c := &cobra.Command{
		Use:   "recovered --item ITEM --cause CAUSE",
		Short: "State what the recovery key is used for, or end that",
		Long: `Enters into the record book which items are opened with the recovery key that is
kept offline, and why. One trustee states it and another one states the same
within 14 days: one alone counts for nothing. The items open for 30 days from
then. Auditors see each. You type "recovered".

--nothing states that nothing is to be opened (any more): it takes back what
waits, yours or another trustee's, and ends what two have stated, at once.
Nobody else is needed for that. Use it when the case opens again, when an item
or the cause was wrong, or when you do not know a statement. Where the trustee
who stated something first was suspended, revoked or has other keys since, end
it, and state it anew.

Cause: loss, compromise, order, request, error, …

Signs:     vault.recovered, as a trustee.
For good:  what was stated stays in the record book, ended or not.`,
		Example: `  strongroom vault recovered --item itm-7c2k… --item itm-9d4m… --cause loss
  strongroom vault recovered --nothing --cause error`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			if nothing {
				return a.endRecovery(c.Context(), cl, evidence.Cause(cause), yes)
			}
			r := client.Recovery{Cause: evidence.Cause(cause)}
			if r.Items, err = findItems(c.Context(), cl, items); err != nil {
				return err
			}
			err = a.consent(yes, "recovered", row{"If you go on", "You state that the recovery key opens " + plural(len(r.Items), "item", "items") + "."},
				row{"Items", joined(r.Items)}, row{"Because", plain(cause)}, row{"For good", "It stays in the record book, and auditors see it."})
			if err != nil {
				return err
			}
			receipt, confirmed, err := cl.StateRecovery(c.Context(), r, instead)
			if err != nil {
				return err
			}
			next := row{"Waits", "for another trustee, who states the same items and the same cause within 14 days"}
			if confirmed {
				next = row{"Confirmed", "as the second of two trustees; it opens them for 30 days, or until a trustee ends that"}
			}
			return a.recorded(receipt, fields{"items": r.Items, "cause": cause, "confirmed": confirmed}, next)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&items, "item", nil, "an `ITEM` that is opened; repeat it")
	f.StringVar(&cause, "cause", "", "why (see above)")
	f.BoolVar(&instead, "instead", false, "take the place of what another trustee stated and nobody confirmed")
	f.BoolVar(&nothing, "nothing", false, "nothing is to be opened: end what was stated")
	f.BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "cause")
	c.MarkFlagsOneRequired("item", "nothing")
	c.MarkFlagsMutuallyExclusive("item", "nothing")
	c.MarkFlagsMutuallyExclusive("instead", "nothing")
	return c
}

func (a *app) endRecovery(ctx context.Context, cl *client.Client, cause evidence.Cause, yes bool) error {
	err := a.consent(yes, "nothing", row{"If you go on", "You state that nothing is to be opened with the recovery key. What trustees have stated before ends."},
		row{"Because", plain(string(cause))}, row{"For good", "It stays in the record book, and auditors see it."})
	if err != nil {
		return err
	}
	receipt, items, err := cl.EndRecovery(ctx, cause)
	if err != nil {
		return err
	}
	return a.recorded(receipt, fields{"ended": items, "cause": cause}, row{"Ended", joined(items)},
		row{"Next", "Whoever needs them opened anew asks two trustees to state it."})
}

func confirmVaultCommand(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "confirm",
		Short: "Confirm a change of the vault's limits, or a restore",
		Long: `Shows what waits for a custodian, checked, and confirms it. You type "confirm".

A change of limits: what it changes, who proposed it, and from when it counts.
Ask the administrator why. Until it counts a newer change can take its place.

A restore from a backup comes first: from when the backup is. Your program has
compared the restored record book with everything it saw before: had the vault
gone back behind that, it would have raised an alarm. Ask why there was a
restore, and whether the old machine is off for good. Tell people to look
whether their last items are there.

Signs:     vault.confirmed, as a custodian. A restore counts at once, a change
           of limits after the time of confirm-wait.`,
		Example: `  strongroom vault confirm`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			p, err := cl.Policy(c.Context())
			if err != nil {
				return err
			}
			if p.Waiting != nil && p.Now.Restored.IsZero() {
				return a.confirmConfiguration(c.Context(), cl, p, yes)
			}
			return a.confirmRestore(c.Context(), cl, yes)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	return c
}

func (a *app) confirmRestore(ctx context.Context, cl *client.Client, yes bool) error {
	w, err := cl.Restored(ctx)
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
	r, err := cl.ConfirmRestore(ctx, w.Event)
	if err != nil {
		return err
	}
	return a.recorded(r, fields{"restored": w.Event}, row{"Confirmed", "the vault is in service again"})
}

func (a *app) confirmConfiguration(ctx context.Context, cl *client.Client, p client.Policy, yes bool) error {
	w := p.Waiting
	if w.Effective != 0 {
		return evidence.Refuse(evidence.Conflict, evidence.ReasonApproved)
	}
	wait := p.Now.Policy.ConfirmWait
	rows := append([]row{{"If you go on", ""}}, changeRows("Changes", p.Configuration(), w.Details)...)
	rows = append(rows, row{"Proposed", "by the administrator " + string(w.By)},
		row{"Counts", "from " + dateOf(p.Time.Add(seconds(wait))) + ", " + shortly(wait) + " from now"})
	if err := a.consent(yes, "confirm", rows...); err != nil {
		return err
	}
	r, effective, err := cl.ConfirmConfiguration(ctx, w.Event)
	if err != nil {
		return err
	}
	return a.recorded(r, fields{"configured": w.Event, "effective": effective}, row{"Confirmed", "it counts from " + dateOf(effective)})
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
