package main

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

// change is what taking permission back does to the items that a consent governs.
type change struct {
	own           *evidence.ConsentState
	items         []client.Listed // that it governs
	blind         bool            // they are not for this person to see
	frozen, ended int             // items that stop, shares that end
	effects       []row           // one for each of these
	passed        []passedOn
	inside        []inside
	decide        int64 // seconds until somebody must have decided what becomes of what stops
}

// passedOn is what left the vault: somebody outside has received it, or somebody inside made a copy or print. It cannot be called back.
type passedOn struct {
	Item         evidence.ItemID  `json:"item"`
	Grant        evidence.GrantID `json:"grant,omitempty"`
	Actor        evidence.ActorID `json:"actor,omitempty"` // who exported it, without a share
	Form         string           `json:"form,omitempty"`  // package, print or copy
	Class        evidence.Role    `json:"class"`
	Jurisdiction string           `json:"jurisdiction,omitempty"`
	Times        []evidence.Time  `json:"times"` // of each opening, of the hand-over, or of each export
	name         string           // of the item, in the language it is told in
}

// lookAtChange sees what would come of a consent as it is after: nil for one that is withdrawn.
func lookAtChange(ctx context.Context, cl *client.Client, l *words.Language, id evidence.ConsentID, after func(*evidence.ConsentState) *evidence.ConsentState) (w change, err error) {
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
			w.effects = append(w.effects, row{l.Say("label.stops"), l.Say("stops.item", "item", exhibit(l, i), "content", l.Code("content", string(i.Content)))})
		}
		for _, g := range i.Grants {
			t := &g.Terms
			if !g.Over(now) && (then == nil || then.Shares(i.Content, t.RecipientClass, t.Jurisdiction, now) != nil) {
				w.ended++
				w.effects = append(w.effects, row{l.Say("label.ends"), l.Say("stops.share", "item", exhibit(l, i), "who", whoIn(l, t.RecipientClass, t.Jurisdiction))})
			}
		}
	}
	w.passed, w.inside, err = passedOnFrom(ctx, cl, l, w.items)
	return w, err
}

// inside is how people of one role opened items. Whoever opened may have kept a copy, which cannot be called back either (RULES §11, 1).
type inside struct {
	Role  evidence.Role   `json:"role"`
	Times []evidence.Time `json:"times"` // in their order
}

// passedOnFrom reads from the items' histories who has received what, and when: by a share, by a hand-over, or by an own export; and who
// opened them inside the service.
func passedOnFrom(ctx context.Context, cl *client.Client, l *words.Language, items []client.Listed) (list []passedOn, within []inside, _ error) {
	names, ids := make(map[evidence.ItemID]string), make([]evidence.ItemID, len(items))
	for n, i := range items {
		names[i.ID], ids[n] = exhibit(l, i), i.ID
	}
	all, err := lookItems(ctx, cl, ids)
	if err != nil {
		return nil, nil, err
	}
	for _, i := range all {
		more, err := passedOnOf(i, names[i.ID])
		if err != nil {
			return nil, nil, err
		}
		list = append(list, more...)
	}
	within, err = openedInside(all...)
	return list, within, err
}

// openedInside are the openings of items by the people of the service, by role. Those of the person concerned are her own.
func openedInside(items ...looked) (list []inside, _ error) {
	for _, i := range items {
		for e, err := range i.view.Events(evidence.ItemOf(i.ID)) {
			if err != nil {
				return nil, err
			}
			if e.Kind != evidence.ItemOpened && e.Kind != evidence.ItemBreakGlass || e.Actor.Role == evidence.Survivor {
				continue
			}
			n := slices.IndexFunc(list, func(o inside) bool { return o.Role == e.Actor.Role })
			if n < 0 {
				n, list = len(list), append(list, inside{Role: e.Actor.Role})
			}
			list[n].Times = append(list[n].Times, e.Time)
		}
	}
	for _, o := range list {
		slices.Sort(o.Times)
	}
	slices.SortFunc(list, func(a, b inside) int { return cmp.Compare(a.Role, b.Role) })
	return list, nil
}

// insideTold says how often items were opened inside the service, by whom and when; "" if they were not.
func insideTold(l *words.Language, list []inside) string {
	all, by := 0, make([]string, len(list))
	for i, o := range list {
		n, who, first, last := len(o.Times), l.Code("role", string(o.Role)), dateIn(l, o.Times[0]), dateIn(l, o.Times[len(o.Times)-1])
		if all += n; n == 1 {
			by[i] = l.Say("passed.inside_once", "who", who, "date", first)
		} else {
			by[i] = l.Count("passed.inside_by", n, "who", who, "first", first, "last", last)
		}
	}
	if all == 0 {
		return ""
	}
	return l.Count("passed.inside", all, "by", l.List(by))
}

func passedOnOf(i looked, name string) (list []passedOn, _ error) {
	opened := make(map[evidence.GrantID][]evidence.Time)
	for e, err := range i.view.Events(evidence.ItemOf(i.ID)) {
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

// told says who received what, and that it cannot be called back.
func (p passedOn) told(l *words.Language) string {
	first, last, n := dateIn(l, p.Times[0]), dateIn(l, p.Times[len(p.Times)-1]), len(p.Times)
	who, form := whoIn(l, p.Class, p.Jurisdiction), l.Code("export", p.Form)
	var what string
	switch {
	case p.Form != "" && n == 1:
		what = l.Say("passed.made_once", "who", who, "actor", p.Actor, "form", form, "date", first)
	case p.Form != "":
		what = l.Count("passed.made", n, "who", who, "actor", p.Actor, "form", form, "first", first, "last", last)
	case p.Grant == "":
		what = l.Say("passed.handed", "who", who, "date", first)
	case n == 1:
		what = l.Say("passed.opened_once", "who", who, "date", first)
	default:
		what = l.Count("passed.opened", n, "who", who, "first", first, "last", last)
	}
	return l.Say("passed.gone", "what", what)
}

func rowsOf(l *words.Language, list []passedOn, within []inside) (rows []row) {
	for _, p := range list {
		rows = append(rows, row{l.Say("label.copies"), l.Say("passed.of", "item", p.name, "what", p.told(l))})
	}
	if told := insideTold(l, within); told != "" {
		rows = append(rows, row{l.Say("label.copies"), l.Say("passed.gone", "what", told)})
	}
	return rows
}

// withoutCopy counts the items of which the person concerned could have an own copy, and has none. Once they are frozen nobody opens them
// to make one.
func (w *change) withoutCopy() (n int) {
	for _, i := range w.items {
		if w.own.Subject != "" && !w.blind && len(i.Consent) == 1 && len(i.Copies) == 0 {
			n++
		}
	}
	return n
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
	l := a.words()
	w, err := lookAtChange(ctx, cl, l, id, func(*evidence.ConsentState) *evidence.ConsentState { return nil })
	if err != nil {
		return err
	}
	stopped := len(w.items)
	stops := l.Say("stops.both", "items", l.Count("stops.all", stopped), "shares", l.Count("stops.shares", w.ended))
	if w.blind {
		stops = l.Say("stops.unseen")
	}
	rows := append([]row{{l.Say("label.if_go_on"), ""}, {l.Say("label.stops"), stops}}, rowsOf(l, w.passed, w.inside)...)
	if n := w.withoutCopy(); n > 0 {
		rows = append(rows, row{l.Say("label.before"), l.Count("withdraw.copy_first", n)})
	}
	rows = append(rows, row{l.Say("label.then"), l.Say("withdraw.then")}, row{l.Say("label.for_good"), l.Say("withdraw.for_good")})
	if err := a.consent(yes, "withdraw", rows...); err != nil {
		return err
	}
	number, r, err := cl.WithdrawConsent(ctx, id, reason)
	if err != nil {
		return err
	}
	decide := r.Event.Time + evidence.Time(w.decide)*1000
	what := l.Count("withdraw.stopped", stopped)
	if w.blind {
		what = l.Say("withdraw.stopped_unseen")
	}
	more := fields{"consent": id, "number": number, "items": stopped, "shares": w.ended, "passed_on": some(w.passed), "opened_inside": some(w.inside), "decide_by": decide}
	return a.recorded(r, more,
		row{l.Say("label.stopped"), what}, row{l.Say("label.number"), l.Say("withdraw.number", "number", number)},
		row{l.Say("label.decide"), l.Say("withdraw.decide", "date", dateIn(l, decide),
			"shred", "strongroom shred propose --case "+string(w.own.Case)+" --because withdrawal", "hold", "strongroom hold place")})
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
	l := a.words()
	w, err := lookAtChange(ctx, cl, l, p.Consent, p.Of)
	if err != nil {
		return err
	}
	rows := append([]row{{l.Say("label.if_go_on"), ""}}, answerRows(l, p.Of(w.own).Answers)...)
	rows = append(rows, row{l.Say("label.until"), dateIn(l, p.Of(w.own).Until)})
	switch {
	case w.blind:
		rows = append(rows, row{l.Say("label.stops"), l.Say("stops.unseen")})
	case len(w.effects) == 0:
		rows = append(rows, row{l.Say("label.stops"), l.Say("stops.none")})
	}
	rows = append(append(rows, w.effects...), rowsOf(l, w.passed, w.inside)...)
	if w.frozen > 0 {
		rows = append(rows, row{l.Say("label.then"), l.Say("narrow.then")})
	}
	if err := a.consent(yes, "narrow", rows...); err != nil {
		return err
	}
	r, err := cl.NarrowConsent(ctx, p)
	if err != nil {
		return err
	}
	version := r.Event.Details.(*evidence.ConsentNarrowedDetails).Version
	more := fields{"consent": p.Consent, "version": version, "number": r.Index(), "stopped": w.frozen, "shares": w.ended, "passed_on": some(w.passed), "opened_inside": some(w.inside)}
	return a.recorded(r, more, row{l.Say("label.narrowed"), l.Say("consent.version", "consent", p.Consent, "version", version)},
		row{l.Say("label.stopped"), l.Say("stops.both", "items", l.Count("stops.items", w.frozen), "shares", l.Count("stops.shares", w.ended))},
		row{l.Say("label.number"), l.Say("withdraw.number", "number", r.Index())}) // its place in the record book is a number that can be proved
}
