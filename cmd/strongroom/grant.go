package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

func grantCommand(a *app) *cobra.Command {
	return group("grant", "Shares: propose, approve, refuse, stop, receive",
		`A share lets one person outside receive one sealed item, for a stated purpose,
until a date. One keyholder proposes, another person approves; then a key is
written for the recipient. The recipient opens it, confirms what arrived, and
exports a package that proves its history without the vault.`,
		proposeCommand(a), approveCommand(a), keyCommand(a), refuseCommand(a), revokeGrantCommand(a), listGrantsCommand(a),
		redeemCommand(a), acknowledgeCommand(a), exportCommand(a))
}

// onShare is a command about one share.
func onShare(a *app, c *cobra.Command, run func(ctx context.Context, cl *client.Client, s share) error) *cobra.Command {
	var item string
	c.Args = cobra.ExactArgs(1)
	c.Flags().StringVar(&item, "item", "", "look only at this `ITEM`; quicker with many items")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		s, err := findShare(c.Context(), cl, args[0], item)
		if err != nil {
			return err
		}
		return run(c.Context(), cl, s)
	}
	return c
}

func (s share) fields() fields { return fields{"grant": s.grant, "item": s.item} }

func proposeCommand(a *app) *cobra.Command {
	var to, purpose, jurisdiction, legalBasis, from, until, coolingOff, hold, reasonFile string
	var actions []string
	var onward bool
	var look leaving
	c := &cobra.Command{
		Use:   "propose ITEM --to ACTOR",
		Short: "Propose to share a sealed item",
		Long: `Proposes that a court, prosecutor, police or defence receives an item. The
consent must allow it, or another legal ground. Another person decides; you
cannot approve what you proposed.

Legal ground: treaty, mla_request, court_order, consent, statute.

Where the consent was withdrawn or has ended, a confirmed legal duty
(--under-hold) stands in for it. It never stands in for an answer that is no.

--allow view alone lets the recipient see it and keep no copy, as far as their
program goes. Then they can make no package, and so prove nothing without the
vault.

The reason goes to the recipient. It is looked through first for mail addresses,
telephone numbers and numbers of other cases; what is found is listed, and you
type "send". With --names or --identity those are looked for too, and the item
is opened and looked through with all that goes along, as it is again before
the recipient's key is written (strongroom grant approve).

The recipient knows the persons concerned by pseudonyms: random, the same in all
shares to that recipient in the case, others for everybody else. They are sealed
to the recipient and the keyholders. If somebody else shared with that recipient
before, an item of that share is opened to read them.

Signs:     item.opened, if it is looked through, or if another item tells the
           pseudonym; grant.proposed.
For good:  the proposal stays in the history, approved or not.`,
		Example: `  strongroom grant propose itm-7c2k --to act-5ysd… --purpose adjudication \
      --jurisdiction NL --legal-basis mla_request --until 90d`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			p := client.Proposal{Purpose: evidence.Purpose(purpose), Jurisdiction: jurisdiction, LegalBasis: legalBasis, Onward: onward,
				Hold: evidence.HoldID(hold), NotBefore: evidence.At(time.Now().Truncate(time.Minute))}
			for _, s := range actions {
				p.Actions = append(p.Actions, evidence.Action(s))
			}
			if p.Item, err = findItem(c.Context(), cl, args[0]); err != nil {
				return err
			}
			if p.Recipient, err = findActor(c.Context(), cl, to); err != nil {
				return err
			}
			if p.Expires, err = when(until); err != nil {
				return err
			}
			if from != "" {
				if p.NotBefore, err = when(from); err != nil {
					return err
				}
			}
			if coolingOff != "" {
				if p.CoolingOff, err = when(coolingOff); err != nil {
					return err
				}
			}
			if p.Reason, err = a.text(reasonFile); err != nil {
				return err
			}
			if p.Check, err = look.check(a); err != nil {
				return err
			}
			p.Through = look.asked()
			printRows(a.err, look.unnamed(a.words())...)
			id, r, err := cl.Propose(c.Context(), p)
			if err != nil {
				return err
			}
			more, rows, err := knownAs(cl, a.words(), r.Event, p.Recipient)
			if err != nil {
				return err
			}
			more["grant"], more["item"] = id, p.Item
			rows = append([]row{{"Proposed", string(id)}}, rows...)
			if w, err := lookAt(c.Context(), cl, share{p.Item, id}); err == nil { // it is proposed, whatever can be said of it
				rows = append(rows, w.asked(a.words())...)
			}
			return a.recorded(r, more, append(rows, row{"Next", "Another person runs: strongroom grant approve " + string(id)})...)
		},
	}
	f := c.Flags()
	f.StringVar(&to, "to", "", "the `ACTOR` who is to receive it")
	f.StringVar(&purpose, "purpose", "adjudication", "investigation, prosecution, defence, adjudication, …")
	f.StringVar(&jurisdiction, "jurisdiction", "", "`COUNTRY`, such as NL")
	f.StringVar(&legalBasis, "legal-basis", "", "legal ground (see above)")
	f.StringSliceVar(&actions, "allow", []string{string(evidence.View), string(evidence.Download)}, "view, download")
	f.BoolVar(&onward, "onward", false, "the recipient may pass it on")
	f.StringVar(&from, "from", "", "begin, a `TIME` (default: now)")
	f.StringVar(&until, "until", "", "end, a `TIME`: a date, or a length from now such as 90d")
	f.StringVar(&coolingOff, "cooling-off", "", "nothing is released before this `TIME`")
	f.StringVar(&hold, "under-hold", "", "the confirmed legal duty on which it stands, a `HOLD`")
	f.StringVar(&reasonFile, "reason-file", "", "`FILE` with request number and conditions, sealed to recipient and keyholders (- for standard input)")
	look.flags(c)
	required(c, "to", "jurisdiction", "legal-basis", "until")
	return c
}

// knownAs says by which pseudonyms a recipient knows the persons whom an event is about, as far as this device has learnt them.
func knownAs(cl *client.Client, l *words.Language, e *evidence.Event, recipient evidence.ActorID) (fields, []row, error) {
	names, err := cl.Pseudonyms(e.Case, recipient)
	if err != nil {
		return nil, nil, err
	}
	said := make(client.Pseudonyms)
	var rows []row
	for _, c := range e.Consent {
		if name := names[c.ID]; name != "" {
			said[c.ID] = name
			rows = append(rows, row{l.Say("label.known_as"), l.Say("known_as", "name", name, "consent", c.ID)})
		}
	}
	return fields{"pseudonyms": said}, rows, nil
}

func refuseCommand(a *app) *cobra.Command {
	var reasonFile string
	c := &cobra.Command{
		Use:   "refuse GRANT",
		Short: "Refuse a proposed share",
		Long: `Refuses a share. The reason is sealed to the members of the case and kept for
ever; a new proposal overwrites nothing. Without --reason-file you are asked.

Signs:     grant.refused.
For good:  this proposal is over. A new one is possible.`,
		Example: `  strongroom grant refuse gra-5ysd`,
	}
	c.Flags().StringVar(&reasonFile, "reason-file", "", "`FILE` with the reason (- for standard input)")
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		reason, err := a.text(reasonFile)
		if err == nil && reason == "" {
			reason, err = a.ask(a.words().Say("ask.why_refuse"))
		}
		if err != nil {
			return err
		}
		r, err := cl.Refuse(ctx, s.item, s.grant, strings.TrimSpace(reason))
		if err != nil {
			return err
		}
		l := a.words()
		return a.recorded(r, s.fields(), row{l.Say("label.refused"), l.Isolate(string(s.grant))})
	})
}

func revokeGrantCommand(a *app) *cobra.Command {
	var cause string
	var yes bool
	c := &cobra.Command{
		Use:   "revoke GRANT",
		Short: "Stop a share",
		Long: `Ends a share at once: the recipient's key in the vault is destroyed.

Signs:     grant.revoked. It takes effect at once.
For good:  it cannot be taken back; a new share would be a new proposal. Copies
           the recipient made cannot be called back. You type "revoke".`,
		Example: `  strongroom grant revoke gra-5ysd --cause error`,
	}
	c.Flags().StringVar(&cause, "cause", "request", "request, error, order, withdrawal or compromise")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		w, err := lookAt(ctx, cl, s)
		if err != nil {
			return err
		}
		rows := append([]row{{"If you go on", ""}, {"Ends", string(s.grant)}}, w.terms(a.words())...)
		rows = append(rows, row{"Opened", plural(len(w.grant.Redeemed), "time", "times") + " so far; such copies cannot be called back."})
		if err := a.consent(yes, "revoke", rows...); err != nil {
			return err
		}
		r, err := cl.RevokeGrant(ctx, s.item, s.grant, evidence.Cause(cause))
		if err != nil {
			return err
		}
		return a.recorded(r, s.fields(), row{"Stopped", string(s.grant)})
	})
}

// listedShare is what a list says of a share.
type listedShare struct {
	evidence.Terms
	Status       evidence.GrantStatus `json:"status"`
	ProposedBy   evidence.ActorID     `json:"proposed_by"`
	ApprovedBy   []evidence.ActorID   `json:"approved_by"`
	Redeemed     int                  `json:"redeemed"` // how often
	Acknowledged bool                 `json:"acknowledged"`
}

func listGrantsCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List shares: made to you, and on items of your cases",
		Long: `Lists shares and their state, each from its item's checked history.

Signs:     nothing.`,
		Example: `  strongroom grant list`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			return a.listShares(c.Context(), cl)
		},
	}
}

func (a *app) listShares(ctx context.Context, cl *client.Client) error {
	shares, err := sharesToMe(ctx, cl)
	if err != nil {
		return err
	}
	items, err := allItems(ctx, cl)
	if err != nil {
		return err
	}
	for _, i := range items {
		shares = append(shares, sharesOn(i.ItemState)...)
	}
	list := []listedShare{}
	var rows []row
	for _, s := range shares {
		w, err := lookAt(ctx, cl, s)
		if err != nil {
			return err
		}
		g := w.grant
		status := g.Status
		if g.Over(w.view.Time) && (status == evidence.GrantPending || status == evidence.GrantActive) {
			status = evidence.GrantOver
		}
		list = append(list, listedShare{g.Terms, status, g.ProposedBy, some(g.ApprovedBy), len(g.Redeemed), g.Acknowledged})
		text := fmt.Sprintf("%s\non %s\nto %s in %s until %s", g.Terms.ID, s.item, plain(string(g.Terms.RecipientClass)), g.Terms.Jurisdiction, dateOf(g.Terms.Expires))
		if n := len(g.Redeemed); n > 0 {
			text += "\nopened " + plural(n, "time", "times")
			if g.Acknowledged {
				text += ", receipt confirmed"
			}
		}
		rows = append(rows, row{grantStates[status], text})
	}
	return a.show(list, orNone(rows, "No shares.")...)
}

var grantStates = map[evidence.GrantStatus]string{
	evidence.GrantPending: "Proposed",
	evidence.GrantActive:  "Active",
	evidence.GrantDenied:  "Refused",
	evidence.GrantEnded:   "Stopped",
	evidence.GrantOver:    "Ended",
}
