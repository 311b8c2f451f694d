package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
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
	var to, purpose, jurisdiction, legalBasis, from, until, coolingOff, reasonFile string
	var actions []string
	var onward bool
	c := &cobra.Command{
		Use:   "propose ITEM --to ACTOR",
		Short: "Propose to share a sealed item",
		Long: `Proposes that a court, prosecutor, police or defence receives an item. The
consent must allow it, or another legal ground. Another person decides; you
cannot approve what you proposed.

Legal ground: treaty, mla_request, court_order, consent, statute.

Signs:     grant.proposed.
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
				NotBefore: evidence.At(time.Now().Truncate(time.Minute))}
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
			id, r, err := cl.Propose(c.Context(), p)
			if err != nil {
				return err
			}
			return a.recorded(r, fields{"grant": id, "item": p.Item},
				row{"Proposed", string(id)}, row{"Next", "Another person runs: strongroom grant approve " + string(id)})
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
	f.StringVar(&reasonFile, "reason-file", "", "`FILE` with request number and conditions, sealed to recipient and keyholders (- for standard input)")
	required(c, "to", "jurisdiction", "legal-basis", "until")
	return c
}

// shareView is a share as it was looked at.
type shareView struct {
	view  *client.View
	item  *evidence.ItemState
	grant *evidence.GrantState
}

func lookAt(ctx context.Context, cl *client.Client, s share) (w shareView, err error) {
	if w.view, err = look(ctx, cl, evidence.ItemOf(s.item)); err != nil {
		return w, err
	}
	w.item = w.view.State(evidence.ItemOf(s.item)).(*evidence.ItemState)
	if w.grant = w.item.Grant(s.grant); w.grant == nil {
		return w, evidence.Refuse(evidence.NotFound, evidence.ReasonGrant)
	}
	return w, nil
}

// consents are the governing ones, as they are now.
func (w shareView) consents() []*evidence.ConsentState {
	var list []*evidence.ConsentState
	for _, id := range w.item.Consent {
		if s, ok := w.view.State(evidence.ConsentOf(id)).(*evidence.ConsentState); ok {
			list = append(list, s)
		}
	}
	return list
}

// stays says what does not go: the case's other items, and the kinds of content to which the answer is no (RULES §7.4).
func (w shareView) stays(ctx context.Context, cl *client.Client) (string, error) {
	items, err := cl.Items(ctx, w.item.Case)
	if err != nil {
		return "", err
	}
	others := 0
	no := map[evidence.Content]bool{}
	for _, i := range items {
		if i.ID == w.item.ID {
			continue
		}
		others++
		for _, c := range w.consents() {
			if slices.Contains(i.Consent, c.ID) && c.Shares(i.Content, w.grant.Terms.RecipientClass, w.grant.Terms.Jurisdiction, w.view.Time) != nil {
				no[i.Content] = true
			}
		}
	}
	text := plural(others, "other item of the case", "other items of the case")
	if len(no) > 0 {
		var kinds []evidence.Content
		for k := range no {
			kinds = append(kinds, k)
		}
		slices.Sort(kinds)
		text += " (answer no: " + joined(kinds) + ")"
	}
	return text, nil
}

// compared says how and when the recipient's key number was confirmed, from the recipient's checked history.
func compared(ctx context.Context, cl *client.Client, t *evidence.Terms) (string, error) {
	s := evidence.ActorOf(t.Recipient.Actor)
	v, err := look(ctx, cl, s)
	if err != nil {
		return "", err
	}
	for seq := v.Len(s) - 1; seq >= 0; seq-- {
		e, err := v.Event(s, seq)
		if err != nil {
			return "", err
		}
		if d, ok := e.Details.(*evidence.ActorConfirmedDetails); ok && d.Fingerprint == t.Recipient.Fingerprint {
			return "compared: " + plain(string(d.Method)) + ", " + dateOf(e.Time) + ", by " + plain(string(e.Actor.Role)) + " " + string(e.Actor.ID), nil
		}
	}
	return "compared by nobody", nil
}

// terms are the rows that every screen about a share has.
func (w shareView) terms() []row {
	t := &w.grant.Terms
	rows := []row{
		{"To", plain(string(t.RecipientClass)) + " in " + t.Jurisdiction + ", " + string(t.Recipient.Actor)},
		{"Key", tlog.SixGroups(t.Recipient.Fingerprint)},
	}
	for _, c := range w.consents() {
		rows = append(rows, row{"Consent", fmt.Sprintf("%s, version %d", c.ID, c.Version)})
	}
	onward := "It may not be passed on."
	if t.Onward {
		onward = "It may be passed on."
	}
	return append(rows,
		row{"Law", plain(t.LegalBasis) + ", for " + plain(string(t.Purpose))},
		row{"From", dateOf(max(t.NotBefore, t.CoolingOff))},
		row{"Until", dateOf(t.Expires)},
		row{"Onward", onward})
}

func approveCommand(a *app) *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use:   "approve GRANT",
		Short: "Approve a share, as the second person",
		Long: `Shows what goes to whom, what stays, on which ground and until when. You type
"approve" to sign exactly these terms. If you hold a key of the case, the key
for the recipient is then written; that opens the item's key and is recorded as
an opening.

Signs:     grant.approved; then item.opened and item.envelope_added.
For good:  copies the recipient makes cannot be called back. The end date does
           not reach them.`,
		Example: `  strongroom grant approve gra-5ysd`,
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		w, err := lookAt(ctx, cl, s)
		if err != nil {
			return err
		}
		switch { // before anything is asked; the law says the same afterwards
		case w.grant.ProposedBy == cl.Actor():
			return evidence.Refuse(evidence.Forbidden, evidence.ReasonSecondPerson)
		case w.grant.Status != evidence.GrantPending:
			return evidence.Refuse(evidence.Conflict, evidence.ReasonNotPending)
		}
		goes, err := named(ctx, cl, w.item)
		if err != nil {
			return err
		}
		stays, err := w.stays(ctx, cl)
		if err != nil {
			return err
		}
		method, err := compared(ctx, cl, &w.grant.Terms)
		if err != nil {
			return err
		}
		rows := append([]row{{"Goes", goes}, {"Stays", stays}}, w.terms()...)
		rows = slices.Insert(rows, 4, row{"", method})
		rows = append(rows, row{"For good", "They may keep copies; the end date does not reach them."})
		if err := a.consent(yes, "approve", rows...); err != nil {
			return err
		}
		r, err := cl.Approve(ctx, s.item, s.grant)
		if err != nil {
			return err
		}
		return a.approved(ctx, cl, s, r)
	})
}

// approved writes the recipient's key if the share is active and this person holds one.
func (a *app) approved(ctx context.Context, cl *client.Client, s share, r *client.Receipt) error {
	more := s.fields()
	more["key_written"] = false
	rows := []row{{"Approved", string(s.grant)}}
	w, err := lookAt(ctx, cl, s)
	if err != nil {
		return err
	}
	in, _ := w.view.State(evidence.CaseOf(w.item.Case)).(*evidence.CaseState)
	switch {
	case w.grant.Status != evidence.GrantActive:
		rows = append(rows, row{"Next", "The person concerned is asked before each share and decides now."})
	case in == nil || !in.Holds(cl.Actor()):
		rows = append(rows, row{"Next", "A keyholder runs: strongroom grant key " + string(s.grant)})
	default:
		key, err := cl.WriteEnvelope(ctx, s.item, s.grant)
		if err != nil {
			printRows(a.err, row{"Approved", "entry " + fmt.Sprint(r.Index()) + ". The recipient's key is not written yet; repeat with: strongroom grant key " + string(s.grant)})
			return err
		}
		more["key_written"], more["key_entry"] = true, key.Index()
		rows = append(rows, row{"Key", "written for the recipient, entry " + fmt.Sprint(key.Index())})
	}
	return a.recorded(r, more, rows...)
}

// named names an item as its members know it.
func named(ctx context.Context, cl *client.Client, item *evidence.ItemState) (string, error) {
	items, err := cl.Items(ctx, item.Case)
	if err != nil {
		return "", err
	}
	for _, i := range items {
		if i.ID == item.ID {
			return exhibit(i) + ": " + plain(string(item.Content)), nil
		}
	}
	return string(item.ID) + ": " + plain(string(item.Content)), nil
}

func keyCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "key GRANT",
		Short: "Write the recipient's key for an approved share",
		Long: `Opens the item's key and writes it for the recipient of an approved share. grant
approve does this by itself if the approver holds a key of the case.

Signs:     item.opened, because the item's key is opened; item.envelope_added.`,
		Example: `  strongroom grant key gra-5ysd`,
	}
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		r, err := cl.WriteEnvelope(ctx, s.item, s.grant)
		if err != nil {
			return err
		}
		return a.recorded(r, s.fields(), row{"Key", "written for the recipient of " + string(s.grant)})
	})
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
			reason, err = a.ask("Why do you refuse it?")
		}
		if err != nil {
			return err
		}
		r, err := cl.Refuse(ctx, s.item, s.grant, strings.TrimSpace(reason))
		if err != nil {
			return err
		}
		return a.recorded(r, s.fields(), row{"Refused", string(s.grant)})
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
		rows := append([]row{{"If you go on", ""}, {"Ends", string(s.grant)}}, w.terms()...)
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

func redeemCommand(a *app) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "redeem GRANT --to FILE",
		Short: "Open what was shared with you: the access is recorded first",
		Long: `Shows the terms, records that you open the share, checks the proof of that
entry, and only then fetches the item, decrypts it here and compares it with its
deposit. Each opening is recorded first; the person concerned may see it. Others
granted this item or case can see that you opened it.

Signs:     grant.redeemed.
For good:  the entry stays.
Next:      strongroom grant acknowledge, or grant export, which also does that`,
		Example: `  strongroom grant redeem gra-5ysd --to exhibit-4.jpg`,
	}
	c.Flags().StringVar(&to, "to", "", "`FILE` to write")
	required(c, "to")
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		w, err := lookAt(ctx, cl, s)
		if err != nil {
			return err
		}
		printRows(a.err, w.terms()...)
		opened, err := a.write(to, func(progress client.Progress, dst io.Writer) (*client.Opened, error) {
			return cl.Redeem(ctx, client.Redemption{Item: s.item, Grant: s.grant, Action: evidence.Download, Progress: progress}, dst)
		})
		if err != nil {
			return err
		}
		if err := a.remember(s, arrived{w.item.Evidence.SHA256, opened.Description.SHA256, opened.Description.Size}); err != nil {
			return err
		}
		return a.opened(opened, s.fields(), to)
	})
}
