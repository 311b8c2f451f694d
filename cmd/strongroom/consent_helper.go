package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

func delegateCommand(a *app) *cobra.Command {
	var advocate, end string
	var may []string
	c := &cobra.Command{
		Use:   "delegate CONSENT --advocate ACTOR --may RIGHTS --until TIME",
		Short: "Name a helper who acts for the person concerned",
		Long: `Lets an advocate act for the person concerned until a date: read, narrow,
withdraw, approve. Each is given for itself. Naming the same advocate again
replaces rights and date. The helper uses own keys; no password is shared.

Signs:     consent.delegated, as the person concerned; for somebody without keys
           a clinician or custodian of the case signs.
For good:  what the helper does meanwhile stays done. It ends at any time with
           strongroom consent end-delegation.`,
		Example: `  strongroom consent delegate con-5ysd… --advocate act-7c2k… \
      --may read,withdraw --until 365d`,
	}
	c.Flags().StringVar(&advocate, "advocate", "", "the helper, an `ACTOR`")
	c.Flags().StringSliceVar(&may, "may", nil, "read, narrow, withdraw, approve")
	c.Flags().StringVar(&end, "until", "", "end, a `TIME`: a date, or a length from now such as 365d")
	required(c, "advocate", "may", "until")
	return about(a, c, findConsent, func(ctx context.Context, cl *client.Client, id evidence.ConsentID) error {
		who, err := findActor(ctx, cl, advocate)
		if err != nil {
			return err
		}
		until, err := when(end)
		if err != nil {
			return err
		}
		d := evidence.Delegation{Advocate: who, Rights: may, Until: until}
		r, err := cl.Delegate(ctx, id, d)
		if err != nil {
			return err
		}
		l := a.words()
		return a.recorded(r, fields{"consent": id, "advocate": d.Advocate, "rights": may, "until": d.Until},
			row{l.Say("label.helper"), l.Say("helper.named", "advocate", d.Advocate, "rights", codesIn(l, "right", may), "date", dateIn(l, d.Until))})
	})
}

func endDelegationCommand(a *app) *cobra.Command {
	var advocate, cause string
	c := &cobra.Command{
		Use:   "end-delegation CONSENT --advocate ACTOR",
		Short: "Remove a helper",
		Long: `The helper acts no more for the person concerned. The person, the helper, or a
custodian of the case does it.

Signs:     consent.delegation_ended. It takes effect at once.`,
		Example: `  strongroom consent end-delegation con-5ysd… --advocate act-7c2k…`,
	}
	c.Flags().StringVar(&advocate, "advocate", "", "the helper, an `ACTOR`; me for yourself")
	c.Flags().StringVar(&cause, "cause", "request", "request, departure, misconduct or error")
	required(c, "advocate")
	return about(a, c, findConsent, func(ctx context.Context, cl *client.Client, id evidence.ConsentID) error {
		who, err := findActor(ctx, cl, advocate)
		if err != nil {
			return err
		}
		r, err := cl.EndDelegation(ctx, id, who, evidence.Cause(cause))
		if err != nil {
			return err
		}
		l := a.words()
		return a.recorded(r, fields{"consent": id, "advocate": who}, row{l.Say("label.removed"), l.Say("helper.ended", "advocate", who)})
	})
}

func listConsentsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List consents: your own, those you help with, those of your cases",
		Long: `Lists consents, as the vault names them.

Signs:     nothing.`,
		Example: `  strongroom consent list`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			list, err := allConsents(c.Context(), cl)
			if err != nil {
				return err
			}
			l := a.words()
			var rows []row
			for _, c := range list {
				label, text := l.Say("label.until"), c.Until
				if c.Withdrawn != "" {
					label, text = l.Say("label.withdrawn"), c.Withdrawn
				}
				rows = append(rows, row{label, l.Say("consent.listed", "until", listedDate(l, text), "consent", c.ID, "version", c.Version, "case", c.Case)})
			}
			return a.show(some(list), orNone(rows, l.Say("consent.none"))...)
		},
	}
}

// listedDate is a moment as the vault lists it, for orientation.
func listedDate(l *words.Language, text string) string {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "–"
	}
	return dateIn(l, evidence.At(t))
}
