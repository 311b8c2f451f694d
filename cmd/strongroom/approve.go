package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// shareView is a share as it was looked at.
type shareView struct {
	view  *client.View
	item  *evidence.ItemState
	grant *evidence.GrantState
}

func lookAt(ctx context.Context, cl *client.Client, s share) (w shareView, err error) {
	if w.view, err = cl.Look(ctx, evidence.ItemOf(s.item)); err != nil {
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

// asked says who among the persons concerned is asked before this share, and who may answer; how each can be reached safely is in the
// consent form and nowhere else (RULES §1, V7).
func (w shareView) asked() (rows []row) {
	for _, c := range w.consents() {
		if !c.AskFirst || slices.Contains(w.grant.Agreed, c.ID) {
			continue
		}
		var who []string
		if c.Subject != "" {
			who = append(who, string(c.Subject))
		}
		for _, d := range c.Advocates {
			if c.Delegated(d.Advocate, "approve", w.view.Time) {
				who = append(who, "the advocate "+string(d.Advocate))
			}
		}
		text := "The person concerned is asked before each share, and decides with strongroom grant approve: " + strings.Join(who, " or ") + "."
		if len(who) == 0 {
			text = "The person concerned is asked before each share, and nobody can answer yet: give the person own keys (strongroom actor invite)" +
				" and name them in the consent, or let an advocate be named (strongroom consent delegate)."
		}
		rows = append(rows, row{"Ask first", text + " How to reach the person safely, and whether at all, is in the consent form: strongroom item show " + string(c.Form)})
	}
	return rows
}

// stays says what does not go: the case's other items, and the kinds of content to which the answer is no (RULES §7.4).
func (w shareView) stays(ctx context.Context, cl *client.Client) (string, error) {
	items, err := itemsOf(ctx, cl, w.item.Case)
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
	v, err := cl.Look(ctx, s)
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

// refusals tell who decides of earlier proposals to the same recipient that were refused (RULES §7.3).
func (w shareView) refusals() (rows []row, _ error) {
	s := evidence.ItemOf(w.item.ID)
	for seq := range w.view.Len(s) {
		if w.view.Withheld(s, seq) != 0 {
			continue
		}
		e, err := w.view.Event(s, seq)
		if err != nil {
			return nil, err
		}
		d, ok := e.Details.(*evidence.GrantRefusedDetails)
		if !ok {
			continue
		}
		if g := w.item.Grant(d.Grant); g != nil && g.Terms.Recipient.Actor == w.grant.Terms.Recipient.Actor {
			rows = append(rows, row{"Before", string(d.Grant) + " to the same recipient was refused on " + dateOf(e.Time) + ", by " + plain(string(e.Actor.Role)) + " " +
				string(e.Actor.ID) + ". The reason: strongroom history " + string(w.item.ID) + " --notes"})
		}
	}
	return rows, nil
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
	if w.grant.Hold != "" {
		rows = append(rows, row{"By law", string(w.grant.Hold) + " stands in for a consent that has ended"})
	}
	return append(rows,
		row{"Law", plain(t.LegalBasis) + ", for " + plain(string(t.Purpose))},
		row{"From", dateOf(max(t.NotBefore, t.CoolingOff))},
		row{"Until", dateOf(t.Expires)},
		row{"Onward", onward})
}

func approveCommand(a *app) *cobra.Command {
	var yes bool
	var look leaving
	c := &cobra.Command{
		Use:   "approve GRANT",
		Short: "Approve a share, as the second person",
		Long: `Shows what goes to whom, what stays, on which ground and until when. You type
"approve" to sign exactly these terms. If you hold a key of the case, the key
for the recipient is then written; that opens the item's key and is recorded as
an opening. Under which pseudonym the recipient knows the person is shown then.

` + lookHelp + `

Signs:     grant.approved; then item.opened and item.envelope_added.
For good:  copies the recipient makes cannot be called back. The end date does
           not reach them.`,
		Example: `  strongroom grant approve gra-5ysd`,
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	look.flags(c)
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		check, err := look.check(a)
		if err != nil {
			return err
		}
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
		before, err := w.refusals()
		if err != nil {
			return err
		}
		rows = append(rows, before...)
		rows = append(rows, row{"For good", "They may keep copies; the end date does not reach them."})
		if err := a.consent(yes, "approve", rows...); err != nil {
			return err
		}
		r, err := cl.Approve(ctx, s.item, s.grant)
		if err != nil {
			return err
		}
		return a.approved(ctx, cl, s, r, check)
	})
}

// approved writes the recipient's key if the share is active and this person holds one.
func (a *app) approved(ctx context.Context, cl *client.Client, s share, r *client.Receipt, check *client.Check) error {
	more := s.fields()
	more["key_written"] = false
	rows := []row{{"Approved", string(s.grant)}}
	w, err := lookAt(ctx, cl, s)
	if err != nil {
		return err
	}
	in, _ := w.view.State(evidence.CaseOf(w.item.Case)).(*evidence.CaseState)
	switch {
	case w.grant.Status != evidence.GrantActive && w.grant.Custodian == "":
		rows = append(rows, row{"Next", "A custodian of the case decides too."})
	case w.grant.Status != evidence.GrantActive:
		rows = append(rows, w.asked()...)
	case in == nil || !in.Holds(cl.Actor()):
		rows = append(rows, row{"Next", "A keyholder runs: strongroom grant key " + string(s.grant)})
	default:
		key, err := cl.WriteEnvelope(ctx, s.item, s.grant, check)
		if err != nil {
			printRows(a.err, row{"Approved", "entry " + fmt.Sprint(r.Index()) + ". The recipient's key is not written yet; repeat with: strongroom grant key " + string(s.grant)})
			return err
		}
		names, known, err := knownAs(cl, key.Event, w.grant.Terms.Recipient.Actor)
		if err != nil {
			return err
		}
		more["key_written"], more["key_entry"], more["pseudonyms"] = true, key.Index(), names["pseudonyms"]
		rows = append(append(rows, row{"Key", "written for the recipient, entry " + fmt.Sprint(key.Index())}), known...)
	}
	return a.recorded(r, more, rows...)
}

// named names an item as its members know it.
func named(ctx context.Context, cl *client.Client, item *evidence.ItemState) (string, error) {
	items, err := itemsOf(ctx, cl, item.Case)
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
	var look leaving
	c := &cobra.Command{
		Use:   "key GRANT",
		Short: "Write the recipient's key for an approved share",
		Long: `Opens the item's key and writes it for the recipient of an approved share. grant
approve does this by itself if the approver holds a key of the case.

` + lookHelp + `

Signs:     item.opened, because the item's key is opened; item.envelope_added.`,
		Example: `  strongroom grant key gra-5ysd`,
	}
	look.flags(c)
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		check, err := look.check(a)
		if err != nil {
			return err
		}
		r, err := cl.WriteEnvelope(ctx, s.item, s.grant, check)
		if err != nil {
			return err
		}
		more, known, err := knownAs(cl, r.Event, r.Event.Counterparty.Actor)
		if err != nil {
			return err
		}
		more["grant"], more["item"] = s.grant, s.item
		return a.recorded(r, more, append([]row{{"Key", "written for the recipient of " + string(s.grant)}}, known...)...)
	})
}
