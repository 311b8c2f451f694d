package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/words"
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
func (w shareView) asked(l *words.Language) (rows []row) {
	for _, c := range w.consents() {
		if !c.AskFirst || slices.Contains(w.grant.Agreed, c.ID) {
			continue
		}
		var who []string
		if c.Subject != "" {
			who = append(who, l.Isolate(string(c.Subject)))
		}
		for _, d := range c.Advocates {
			if c.Delegated(d.Advocate, "approve", w.view.Time) {
				who = append(who, l.Say("ask_first.advocate", "actor", d.Advocate))
			}
		}
		text := l.Say("ask_first.who", "command", "strongroom grant approve", "who", strings.Join(who, l.Say("list.or")))
		if len(who) == 0 {
			text = l.Say("ask_first.nobody", "invite", "strongroom actor invite", "delegate", "strongroom consent delegate")
		}
		rows = append(rows, row{l.Say("label.ask_first"), text + " " + l.Say("ask_first.reach", "command", "strongroom item show "+string(c.Form))})
	}
	return rows
}

// proposed says who proposed the share, and why as far as this person may know: a keyholder opens the item for that. What is signed is shown
// before (RULES §7.4).
func (w shareView) proposed(ctx context.Context, cl *client.Client, l *words.Language) (rows []row, _ error) {
	names, err := namesOf(ctx, cl)
	if err != nil {
		return nil, err
	}
	for e, err := range w.view.Events(evidence.ItemOf(w.item.ID)) {
		if err != nil {
			return nil, err
		}
		if d, ok := e.Details.(*evidence.GrantProposedDetails); ok && d.ID == w.grant.Terms.ID {
			who := teller{l, names}.who(e.Actor.Role, e.Actor.Organization)
			rows = append(rows, row{l.Say("label.proposed_by"), l.Say("terms.to", "who", who, "actor", e.Actor.ID)})
		}
	}
	why, err := cl.GrantReason(ctx, w.item.ID, w.grant.Terms.ID)
	switch {
	case err != nil:
		return nil, err
	case why == nil:
	case why.Unread != "":
		rows = append(rows, row{l.Say("label.why"), l.Say("approve.sealed_reason")})
	default:
		rows = append(rows, row{l.Say("label.why"), l.Isolate(why.Text)})
	}
	return rows, nil
}

// stays says what does not go: the case's other items, and the kinds of content to which the answer is no (RULES §7.4).
func (w shareView) stays(ctx context.Context, cl *client.Client, l *words.Language) (string, error) {
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
	text := l.Count("stays.items", others)
	if len(no) > 0 {
		text = l.Say("stays.no", "items", text, "kinds", codesIn(l, "content", slices.Sorted(maps.Keys(no))))
	}
	return text, nil
}

// compared says how and when the recipient's key number was confirmed, from the recipient's checked history.
func compared(ctx context.Context, cl *client.Client, l *words.Language, t *evidence.Terms) (string, error) {
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
			return l.Say("compared.by", "method", l.Code("method", string(d.Method)), "date", dateIn(l, e.Time), "who", l.Code("role", string(e.Actor.Role)), "actor", e.Actor.ID), nil
		}
	}
	return l.Say("compared.nobody"), nil
}

// refusals tell who decides of earlier proposals to the same recipient that were refused (RULES §7.3).
func (w shareView) refusals(l *words.Language) (rows []row, _ error) {
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
			rows = append(rows, row{l.Say("label.before"), l.Say("approve.before", "grant", d.Grant, "date", dateIn(l, e.Time),
				"who", l.Code("role", string(e.Actor.Role)), "actor", e.Actor.ID, "command", "strongroom history "+string(w.item.ID)+" --notes")})
		}
	}
	return rows, nil
}

// terms are the rows that every screen about a share has.
func (w shareView) terms(l *words.Language) []row {
	t := &w.grant.Terms
	rows := []row{
		{l.Say("label.to"), l.Say("terms.to", "who", whoIn(l, t.RecipientClass, t.Jurisdiction), "actor", t.Recipient.Actor)},
		{l.Say("label.key"), l.Isolate(tlog.SixGroups(t.Recipient.Fingerprint))},
	}
	for _, c := range w.consents() {
		rows = append(rows, row{l.Say("label.consent"), l.Say("consent.version", "consent", c.ID, "version", c.Version)})
	}
	onward := l.Say("terms.no_onward")
	if t.Onward {
		onward = l.Say("terms.onward")
	}
	if w.grant.Hold != "" {
		rows = append(rows, row{l.Say("label.by_law"), l.Say("terms.by_law", "hold", w.grant.Hold)})
	}
	may := "both"
	if len(t.Actions) == 1 {
		may = string(t.Actions[0])
	}
	return append(rows,
		row{l.Say("label.may"), l.Code("action", may)},
		row{l.Say("label.law"), l.Say("terms.law", "law", l.Code("law", t.LegalBasis), "purpose", l.Code("purpose", string(t.Purpose)))},
		row{l.Say("label.from"), dateIn(l, max(t.NotBefore, t.CoolingOff))},
		row{l.Say("label.until"), dateIn(l, t.Expires)},
		row{l.Say("label.onward"), onward})
}

func approveCommand(a *app) *cobra.Command {
	var yes bool
	var look leaving
	c := &cobra.Command{
		Use:   "approve GRANT",
		Short: "Approve a share, as the second person",
		Long: `Shows what goes to whom and what they may do, what stays, on which ground and
until when, who proposed it and why. To read why, a keyholder's key is opened;
who holds none is told that there is a reason. You type "approve" to sign
exactly these terms. If you hold a key of the case, the key for the recipient is
then written; that opens the item's key and is recorded as an opening. Under
which pseudonym the recipient knows the person is shown then.

` + lookHelp + `

Signs:     item.opened, to read the reason; grant.approved; then item.opened
           and item.envelope_added.
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
		l := a.words()
		goes, err := named(ctx, cl, l, w.item)
		if err != nil {
			return err
		}
		stays, err := w.stays(ctx, cl, l)
		if err != nil {
			return err
		}
		method, err := compared(ctx, cl, l, &w.grant.Terms)
		if err != nil {
			return err
		}
		rows := append([]row{{l.Say("label.goes"), goes}, {l.Say("label.stays"), stays}}, w.terms(l)...)
		rows = slices.Insert(rows, 4, row{"", method})
		before, err := w.refusals(l)
		if err != nil {
			return err
		}
		proposed, err := w.proposed(ctx, cl, l)
		if err != nil {
			return err
		}
		rows = slices.Concat(rows, proposed, before, look.unnamed(l))
		rows = append(rows, row{l.Say("label.for_good"), l.Say("approve.for_good")})
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
	more, l := s.fields(), a.words()
	more["key_written"] = false
	rows := []row{{l.Say("label.approved"), l.Isolate(string(s.grant))}}
	w, err := lookAt(ctx, cl, s)
	if err != nil {
		return err
	}
	in, _ := w.view.State(evidence.CaseOf(w.item.Case)).(*evidence.CaseState)
	_, there := w.item.Envelope(w.grant.Terms.Recipient.Fingerprint) // by another share of the item
	switch {
	case w.grant.Status != evidence.GrantActive && w.grant.Custodian == "":
		rows = append(rows, row{l.Say("label.next"), l.Say("approve.next_custodian")})
	case w.grant.Status != evidence.GrantActive:
		rows = append(rows, w.asked(l)...)
	case there:
		more["key_there"] = true
		rows = append(rows, row{l.Say("label.key"), l.Say("approve.key_there")})
	case in == nil || !in.Holds(cl.Actor()):
		rows = append(rows, row{l.Say("label.next"), l.Say("approve.next_keyholder", "command", "strongroom grant key "+string(s.grant))})
	default:
		key, err := cl.WriteEnvelope(ctx, s.item, s.grant, check)
		if err != nil {
			printRows(a.err, row{l.Say("label.approved"), l.Say("approve.no_key", "entry", r.Index(), "command", "strongroom grant key "+string(s.grant))})
			return err
		}
		names, known, err := knownAs(cl, l, key.Event, w.grant.Terms.Recipient.Actor)
		if err != nil {
			return err
		}
		more["key_written"], more["key_entry"], more["pseudonyms"] = true, key.Index(), names["pseudonyms"]
		rows = append(append(rows, row{l.Say("label.key"), l.Say("approve.key", "entry", key.Index())}), known...)
	}
	return a.recorded(r, more, rows...)
}

// named names an item as its members know it.
func named(ctx context.Context, cl *client.Client, l *words.Language, item *evidence.ItemState) (string, error) {
	items, err := itemsOf(ctx, cl, item.Case)
	if err != nil {
		return "", err
	}
	for _, i := range items {
		if i.ID == item.ID {
			return l.Say("stops.item", "item", exhibit(l, i), "content", l.Code("content", string(item.Content))), nil
		}
	}
	return l.Say("stops.item", "item", item.ID, "content", l.Code("content", string(item.Content))), nil
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
		more, known, err := knownAs(cl, a.words(), r.Event, r.Event.Counterparty.Actor)
		if err != nil {
			return err
		}
		more["grant"], more["item"] = s.grant, s.item
		return a.recorded(r, more, append([]row{{"Key", "written for the recipient of " + string(s.grant)}}, known...)...)
	})
}
