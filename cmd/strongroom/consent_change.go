package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// change is what taking permission back does to the items that a consent governs.
type change struct {
	own           *evidence.ConsentState
	items         []client.Listed // that it governs
	blind         bool            // they are not for this person to see
	frozen, ended int             // items that stop, shares that end
	effects       []row           // one for each of these
	passed        []passedOn
	decide        int64 // seconds until somebody must have decided what becomes of what stops
}

// unseen is what an advocate is told who may act, but not read.
const unseen = "What stops, and which shares end, is not for you to see."

// passedOn is what left the vault: somebody outside has received it, or somebody inside made a copy or print. It cannot be called back.
type passedOn struct {
	Item         evidence.ItemID  `json:"item"`
	Grant        evidence.GrantID `json:"grant,omitempty"`
	Actor        evidence.ActorID `json:"actor,omitempty"` // who exported it, without a share
	Form         string           `json:"form,omitempty"`  // package, print or copy
	Class        evidence.Role    `json:"class"`
	Jurisdiction string           `json:"jurisdiction,omitempty"`
	Times        []evidence.Time  `json:"times"` // of each opening, of the hand-over, or of each export
	name         string
}

// lookAtChange sees what would come of a consent as it is after: nil for one that is withdrawn.
func lookAtChange(ctx context.Context, cl *client.Client, id evidence.ConsentID, after func(*evidence.ConsentState) *evidence.ConsentState) (w change, err error) {
	v, err := cl.Look(ctx, evidence.ConsentOf(id))
	if err != nil {
		return w, err
	}
	policy, err := v.Policy()
	if err != nil {
		return w, err
	}
	w.own, w.decide = v.State(evidence.ConsentOf(id)).(*evidence.ConsentState), policy.DecisionTime
	w.blind = w.own.Delegated(cl.Actor(), "", v.Time) && !w.own.Delegated(cl.Actor(), "read", v.Time)
	items, err := itemsOf(ctx, cl, w.own.Case)
	if err != nil {
		return w, err
	}
	w.items = slices.DeleteFunc(items, func(i client.Listed) bool { return !slices.Contains(i.Consent, id) || i.Shredded != 0 })
	then, now := after(w.own), v.Time
	for _, i := range w.items {
		if w.own.Keeps(i.Content, now) == nil && (then == nil || then.Keeps(i.Content, now) != nil) {
			w.frozen++
			w.effects = append(w.effects, row{"Stops", exhibit(i) + ": " + plain(string(i.Content))})
		}
		for _, g := range i.Grants {
			t := &g.Terms
			if !g.Over(now) && (then == nil || then.Shares(i.Content, t.RecipientClass, t.Jurisdiction, now) != nil) {
				w.ended++
				w.effects = append(w.effects, row{"Ends", exhibit(i) + ": the share to " + plain(string(t.RecipientClass)) + " in " + t.Jurisdiction})
			}
		}
	}
	w.passed, err = passedOnFrom(ctx, cl, w.items)
	return w, err
}

// passedOnFrom reads from the items' histories who has received what, and when: by a share, by a hand-over, or by an own export.
func passedOnFrom(ctx context.Context, cl *client.Client, items []client.Listed) (list []passedOn, _ error) {
	names, ids := make(map[evidence.ItemID]string), make([]evidence.ItemID, len(items))
	for n, i := range items {
		names[i.ID], ids[n] = exhibit(i), i.ID
	}
	all, err := lookItems(ctx, cl, ids)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		more, err := passedOnOf(i, names[i.ID])
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

func passedOnOf(i looked, name string) (list []passedOn, _ error) {
	s := evidence.ItemOf(i.ID)
	opened := make(map[evidence.GrantID][]evidence.Time)
	for seq := range i.view.Len(s) {
		if i.view.Withheld(s, seq) != 0 {
			continue
		}
		e, err := i.view.Event(s, seq)
		if err != nil {
			return nil, err
		}
		switch d := e.Details.(type) {
		case *evidence.GrantRedeemedDetails:
			opened[d.Grant] = append(opened[d.Grant], e.Time)
		case *evidence.ItemTransferredDetails:
			if d.Class.External() {
				list = append(list, passedOn{Item: i.ID, Class: d.Class, Jurisdiction: e.Place, Times: []evidence.Time{e.Time}, name: name})
			}
		case *evidence.ItemExportedDetails:
			if d.Grant != "" {
				continue // it was opened by the share first
			}
			same := func(p passedOn) bool { return p.Actor == e.Actor.ID && p.Form == d.Form }
			if n := slices.IndexFunc(list, same); n >= 0 {
				list[n].Times = append(list[n].Times, e.Time)
			} else {
				list = append(list, passedOn{Item: i.ID, Actor: e.Actor.ID, Form: d.Form, Class: e.Actor.Role, Times: []evidence.Time{e.Time}, name: name})
			}
		}
	}
	for _, g := range i.Grants {
		if times := opened[g.Terms.ID]; len(times) > 0 {
			list = append(list, passedOn{Item: i.ID, Grant: g.Terms.ID, Class: g.Terms.RecipientClass, Jurisdiction: g.Terms.Jurisdiction, Times: times, name: name})
		}
	}
	return list, nil
}

// exports say what was made of an item.
var exports = map[string]string{"package": "a package", "print": "a print", "copy": "a copy"}

func (p passedOn) what() string {
	first, last := p.Times[0], p.Times[len(p.Times)-1]
	who := plain(string(p.Class))
	if p.Jurisdiction != "" {
		who += " in " + p.Jurisdiction
	}
	when := "on " + dateOf(first)
	if len(p.Times) > 1 {
		when = "from " + dateOf(first) + " to " + dateOf(last)
	}
	switch {
	case p.Form != "":
		return fmt.Sprintf("%s %s has made %s of it %s, %s", who, p.Actor, exports[p.Form], plural(len(p.Times), "time", "times"), when)
	case p.Grant == "":
		return "the object was handed over to " + who + " " + when
	}
	return fmt.Sprintf("%s has opened it %s, %s", who, plural(len(p.Times), "time", "times"), when)
}

func (p passedOn) row() row {
	return row{"Copies", p.name + ": " + p.what() + "; such copies cannot be called back."}
}

func rowsOf(list []passedOn) (rows []row) {
	for _, p := range list {
		rows = append(rows, p.row())
	}
	return rows
}

func withdrawConsentCommand(a *app) *cobra.Command {
	var reasonFile string
	var yes bool
	c := &cobra.Command{
		Use:   "withdraw CONSENT",
		Short: "Withdraw a consent: stop all use",
		Long: `Stops everything that stands on this consent at once: nothing is opened, shared
or deposited any more, and shares end. Then two custodians either make the items
unreadable for good, or state which law keeps them and until when. No reason is
asked.

Signs:     consent.withdrawn. It takes effect at once.
For good:  it cannot be undone; a new consent would be a new one. Copies that
           were shared before cannot be called back. You type "withdraw".`,
		Example: `  strongroom consent withdraw con-5ysd…`,
	}
	c.Flags().StringVar(&reasonFile, "reason-file", "", "`FILE` with a reason, if the person gives one (- for standard input)")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	return about(a, c, findConsent, func(ctx context.Context, cl *client.Client, id evidence.ConsentID) error {
		reason, err := a.text(reasonFile)
		if err != nil {
			return err
		}
		return a.withdraw(ctx, cl, id, reason, yes)
	})
}

func (a *app) withdraw(ctx context.Context, cl *client.Client, id evidence.ConsentID, reason string, yes bool) error {
	w, err := lookAtChange(ctx, cl, id, func(*evidence.ConsentState) *evidence.ConsentState { return nil })
	if err != nil {
		return err
	}
	stopped := len(w.items)
	stops := plural(stopped, "item", "items") + ": nobody opens or shares them any more; " + plural(w.ended, "share ends", "shares end")
	if w.blind {
		stops = unseen
	}
	rows := append([]row{{"If you go on", ""}, {"Stops", stops}}, rowsOf(w.passed)...)
	rows = append(rows, row{"Then", "Two custodians make them unreadable for good, or state which law keeps them, and until when."},
		row{"For good", "This cannot be undone."})
	if err := a.consent(yes, "withdraw", rows...); err != nil {
		return err
	}
	number, r, err := cl.WithdrawConsent(ctx, id, reason)
	if err != nil {
		return err
	}
	decide := r.Event.Time + evidence.Time(w.decide)*1000
	what := "all use of " + plural(stopped, "item", "items")
	if w.blind {
		what = "all use of what it governs"
	}
	more := fields{"consent": id, "number": number, "items": stopped, "shares": w.ended, "passed_on": some(w.passed), "decide_by": decide}
	return a.recorded(r, more,
		row{"Stopped", what}, row{"Number", number + " (to quote when asking about it)"},
		row{"Decide", "By " + dateOf(decide) + " two custodians decide: strongroom shred propose --case " + string(w.own.Case) +
			" --because withdrawal, or strongroom hold place. Otherwise the auditor is alarmed."})
}

func narrowConsentCommand(a *app) *cobra.Command {
	var no []string
	var end, reasonFile string
	var yes bool
	c := &cobra.Command{
		Use:   "narrow CONSENT --no ANSWER",
		Short: "Take single answers back, or end a consent earlier",
		Long: `Takes back what is named and leaves the rest as it is. Shows first which items
stop and which shares end. No reason is asked.

Answers: examination, photographs, storage, police-information,
police-photographs, police-physical, research, court:NL for everything in a
country, or court:NL:information, court:NL:photographs, court:NL:physical.

Signs:     consent.narrowed. It takes effect at once.
For good:  the answer is yes again only with a new form. Copies that were shared
           before cannot be called back. You type "narrow".`,
		Example: `  strongroom consent narrow con-5ysd… --no photographs --no court:NL`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			p := client.Narrowing{}
			if p.Consent, err = findConsent(c.Context(), cl, args[0]); err != nil {
				return err
			}
			if p.No, err = parseNo(no); err != nil {
				return err
			}
			if p.Until, err = until(end); err != nil {
				return err
			}
			if p.Reason, err = a.text(reasonFile); err != nil {
				return err
			}
			return a.narrow(c.Context(), cl, p, yes)
		},
	}
	c.Flags().StringArrayVar(&no, "no", nil, "an `ANSWER` that is no from now on; repeat it")
	c.Flags().StringVar(&end, "until", "", "an earlier end, a `TIME`")
	c.Flags().StringVar(&reasonFile, "reason-file", "", "`FILE` with a reason, if the person gives one (- for standard input)")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	c.MarkFlagsOneRequired("no", "until")
	return c
}

// parseNo reads which answers are taken back.
func parseNo(list []string) (func(*evidence.Answers), error) {
	var all []func(*evidence.Answers)
	for _, s := range list {
		if country, ok := strings.CutPrefix(s, "court:"); ok {
			country, kind, _ := strings.Cut(country, ":")
			if kind != "" && !slices.Contains([]string{"information", "photographs", "physical"}, kind) {
				return nil, usage("a court is written court:NL or court:NL:photographs")
			}
			all = append(all, func(answers *evidence.Answers) {
				for i := range answers.Courts {
					court := &answers.Courts[i]
					if court.Jurisdiction != country {
						continue
					}
					for name, answer := range map[string]*evidence.Answer{"information": &court.Information, "photographs": &court.Photographs, "physical": &court.Physical} {
						if kind == "" || kind == name {
							*answer = evidence.No
						}
					}
				}
			})
			continue
		}
		i := slices.IndexFunc(questions, func(q question) bool { return q.flag == s })
		if i < 0 {
			return nil, usage("there is no answer called " + s)
		}
		all = append(all, func(answers *evidence.Answers) { *questions[i].answer(answers) = evidence.No })
	}
	return func(answers *evidence.Answers) {
		for _, no := range all {
			no(answers)
		}
	}, nil
}

func (a *app) narrow(ctx context.Context, cl *client.Client, p client.Narrowing, yes bool) error {
	w, err := lookAtChange(ctx, cl, p.Consent, p.Of)
	if err != nil {
		return err
	}
	rows := append([]row{{"If you go on", ""}}, answerRows(p.Of(w.own).Answers)...)
	rows = append(rows, row{"Until", dateOf(p.Of(w.own).Until)})
	switch {
	case w.blind:
		rows = append(rows, row{"Stops", unseen})
	case len(w.effects) == 0:
		rows = append(rows, row{"Stops", "no item, and no share ends"})
	}
	rows = append(append(rows, w.effects...), rowsOf(w.passed)...)
	if w.frozen > 0 {
		rows = append(rows, row{"Then", "Two custodians make what stops unreadable for good, or state which law keeps it."})
	}
	if err := a.consent(yes, "narrow", rows...); err != nil {
		return err
	}
	r, err := cl.NarrowConsent(ctx, p)
	if err != nil {
		return err
	}
	version := r.Event.Details.(*evidence.ConsentNarrowedDetails).Version
	more := fields{"consent": p.Consent, "version": version, "stopped": w.frozen, "shares": w.ended, "passed_on": some(w.passed)}
	return a.recorded(r, more, row{"Narrowed", fmt.Sprintf("%s, version %d", p.Consent, version)},
		row{"Stopped", plural(w.frozen, "item stops", "items stop") + ", " + plural(w.ended, "share ends", "shares end")})
}
