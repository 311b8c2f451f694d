package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

func ownCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "own",
		Short: "See what is kept about you, and who looked",
		Long: `For the person concerned, and for who speaks for her: what exists, on which
consent, who looked at it and why, and who may. Every step was checked here and
it was proved that none is missing. Looking leaves no trace. It is told in your
language, as far as there is a translation: --language chooses.

To change something:
  strongroom consent narrow      allow less
  strongroom consent withdraw    take everything back
  strongroom consent delegate    let somebody speak for you

Signs:     nothing.`,
		Example: `  strongroom own
  strongroom own --card --language uk`,
		Args: cobra.NoArgs,
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		return a.own(c.Context(), cl)
	}
	return c
}

// ownItem is what the person concerned is shown of an item. Its texts are in her language, and English for programs.
type ownItem struct {
	Item    evidence.ItemID    `json:"item"`
	Content evidence.Content   `json:"content"`
	Class   evidence.Class     `json:"class"`
	State   string             `json:"state"`
	Erased  bool               `json:"erased"`
	Copy    bool               `json:"copy"` // she has a key to it
	Shares  []string           `json:"shares"`
	Holds   []string           `json:"holds"`
	May     []string           `json:"may_open"`             // role and organization of each keyholder
	Kept    evidence.Time      `json:"kept_until,omitempty"` // it may be erased from then; 0: nothing says when
	Looked  []ownStep          `json:"looked"`
	Passed  []passedOn         `json:"passed_on"` // copies that cannot be called back
	Inside  []inside           `json:"opened_inside"`
	Hidden  int                `json:"withheld"` // steps that may not be shown yet
	Shown   evidence.Time      `json:"withheld_until,omitempty"`
	Until   evidence.Time      `json:"complete_to"`
	Consent evidence.ConsentID `json:"consent"`
}

// ownStep is somebody's access.
type ownStep struct {
	Time         evidence.Time    `json:"time"`
	Role         evidence.Role    `json:"role"`
	Organization evidence.OrgID   `json:"organization,omitempty"`
	What         string           `json:"what"`
	Purpose      evidence.Purpose `json:"purpose,omitempty"`
	Entry        int64            `json:"entry"`
	Emergency    *ownEmergency    `json:"emergency,omitempty"`
}

// ownEmergency is why somebody opened without asking, and what a second person found.
type ownEmergency struct {
	Code      string `json:"code"`
	Reviewed  bool   `json:"reviewed"`
	Justified bool   `json:"justified"`
}

func (a *app) own(ctx context.Context, cl *client.Client) error {
	l := a.words()
	consents, err := cl.OwnConsents(ctx)
	if err != nil {
		return err
	}
	names, err := namesOf(ctx, cl)
	if err != nil {
		return err
	}
	var rows []row
	items := []ownItem{}
	for _, o := range consents {
		id := evidence.ConsentID(o.Consent.ID)
		stream := evidence.ConsentOf(id)
		v, err := cl.Look(ctx, stream)
		if err != nil {
			return err
		}
		state := v.State(stream).(*evidence.ConsentState)
		rows = append(rows, ownConsentRow(l, state, v.Time))
		if !state.Speaks(cl.Actor(), "read", v.Time) {
			continue
		}
		list, err := cl.OwnItems(ctx, id)
		if err != nil {
			return err
		}
		for _, i := range list {
			item, err := lookOwn(ctx, cl, teller{l, names}, id, i.ID)
			if err != nil {
				return err
			}
			items, rows = append(items, item), append(rows, item.row(teller{l, names}))
		}
		rows = append(rows, row{l.Say("label.complete"), l.Say("own.claim")})
	}
	if len(consents) == 0 {
		rows = append(rows, row{l.Say("label.nothing"), l.Say("own.none")})
	}
	return a.show(map[string]any{"consents": consents, "items": items}, rows...)
}

func ownConsentRow(l *words.Language, s *evidence.ConsentState, now evidence.Time) row {
	lines := []string{l.Say("own.consent", "consent", s.ID, "version", s.Version, "date", dateIn(l, s.Until))}
	if err := s.InForce(now); s.Withdrawn != 0 {
		lines = append(lines, l.Say("own.withdrawn", "date", dateIn(l, s.Withdrawn)))
	} else if err != nil {
		lines = append(lines, l.Say("own.not_in_force"))
	}
	for _, r := range answerRows(l, s.Answers) {
		lines = append(lines, l.Say("own.answer", "answer", r.label, "question", r.text))
	}
	for _, d := range s.Advocates {
		lines = append(lines, l.Say("own.advocate", "advocate", d.Advocate, "date", dateIn(l, d.Until), "rights", codesIn(l, "right", d.Rights)))
	}
	return row{l.Say("label.consent"), strings.Join(lines, "\n")}
}

// lookOwn says what became of an item and who had access, from its verified history.
func lookOwn(ctx context.Context, cl *client.Client, l teller, consent evidence.ConsentID, id evidence.ItemID) (ownItem, error) {
	s := evidence.ItemOf(id)
	v, err := cl.Look(ctx, s)
	if err != nil {
		return ownItem{}, err
	}
	state := v.State(s).(*evidence.ItemState)
	_, copied := state.Envelope(fingerprintOf(v, cl.Actor()))
	o := ownItem{Item: id, Content: state.Content, Class: state.Class, Erased: state.Shredded != 0, Copy: copied, Until: v.Time, Consent: consent,
		Shares: []string{}, Holds: []string{}, May: []string{}, Looked: []ownStep{}, State: itemState(l.Language, state, v)}
	for _, g := range state.Grants {
		o.Shares = append(o.Shares, ownShare(l.Language, &g, v, consent))
	}
	for _, h := range state.Holds {
		if h.Blocks(v.Time) {
			o.Holds = append(o.Holds, ownHold(l, v, &h))
		}
	}
	if in, ok := v.State(evidence.CaseOf(state.Case)).(*evidence.CaseState); ok && state.Shredded == 0 {
		for _, k := range in.Keyring {
			if _, has := state.Envelope(k.Fingerprint); has {
				o.May = append(o.May, roleOf(l, v, k.Actor))
			}
		}
	}
	if state.Shredded == 0 {
		if o.Kept, _, err = state.Due(v.Facts(), v.Time); err != nil {
			return o, err
		}
	}
	hidden := withheldOf(v, s)
	o.Hidden, o.Shown = hidden.steps, hidden.until
	for e, err := range v.Events(s) {
		if err != nil {
			return o, err
		}
		if slices.Contains(accesses, e.Kind) {
			o.Looked = append(o.Looked, ownStep{e.Time, e.Actor.Role, e.Actor.Organization, l.Code("access", accessCode(e)), e.Purpose, e.Index,
				emergencyOf(state, e)})
		}
	}
	passed, err := passedOnOf(looked{state, v}, "")
	if err != nil {
		return o, err
	}
	within, err := openedInside(looked{state, v})
	o.Passed, o.Inside = some(passed), some(within)
	return o, err
}

// emergencyOf is why an emergency opening was made, nil of any other event.
func emergencyOf(s *evidence.ItemState, e client.Entry) *ownEmergency {
	d, ok := e.Details.(*evidence.ItemBreakGlassDetails)
	if !ok {
		return nil
	}
	why := ownEmergency{Code: d.Code}
	for _, known := range s.Emergencies {
		if known.Event == e.Leaf && known.ReviewedBy != "" {
			why.Reviewed, why.Justified = true, known.Justified
		}
	}
	return &why
}

// ownShare says what became of a share, or of the wish for one.
func ownShare(l *words.Language, g *evidence.GrantState, v *client.View, consent evidence.ConsentID) string {
	t := &g.Terms
	to, date := l.Say("share.to", "who", whoIn(l, t.RecipientClass, t.Jurisdiction), "purpose", l.Code("purpose", string(t.Purpose))), dateIn(l, t.Expires)
	switch {
	case g.Status == evidence.GrantDenied:
		return l.Say("share.denied", "to", to)
	case g.Status == evidence.GrantPending && g.Over(v.Time):
		return l.Say("share.late", "to", to)
	case g.Status == evidence.GrantPending:
		text := l.Say("share.proposed", "to", to, "date", date)
		if c, ok := v.State(evidence.ConsentOf(consent)).(*evidence.ConsentState); ok && c.AskFirst && !slices.Contains(g.Agreed, c.ID) {
			text += "\n" + l.Say("share.asked", "approve", "strongroom grant approve "+string(t.ID), "refuse", "strongroom grant refuse "+string(t.ID))
		}
		return text
	case g.Over(v.Time):
		return l.Say("share.ended", "to", to)
	}
	return l.Say("share.active", "to", to, "date", date)
}

// ownHold says which law keeps an item, who said so, when that is looked at again, and what the person can do. Which court and which number
// stand in a note that is not for her.
func ownHold(l teller, v *client.View, h *evidence.HoldState) string {
	return strings.Join([]string{
		l.Say("hold.kept", "law", l.Code("law", string(h.Basis)), "date", dateIn(l.Language, h.Expires), "who", roleOf(l, v, h.PlacedBy), "review", dateIn(l.Language, h.Review)),
		l.Say("hold.order"), l.Say("hold.object", "command", "strongroom case open --type complaint"),
	}, "\n")
}

// roleOf says what somebody is, without saying who.
func roleOf(l teller, v *client.View, id evidence.ActorID) string {
	if s, ok := v.State(evidence.ActorOf(id)).(*evidence.ActorState); ok {
		return l.who(s.Role, s.Organization)
	}
	return l.Say("role.keyholder")
}

// accesses are the kinds by which somebody gets to see an item.
var accesses = []evidence.Kind{evidence.ItemOpened, evidence.ItemBreakGlass, evidence.GrantRedeemed, evidence.ItemExported}

// accessCode is what an access is called: an export by its form, where that is a print or a copy.
func accessCode(e client.Entry) string {
	if d, ok := e.Details.(*evidence.ItemExportedDetails); ok && d.Form != "package" {
		return string(e.Kind) + "." + d.Form
	}
	return string(e.Kind)
}

func fingerprintOf(v *client.View, id evidence.ActorID) evidence.Hash {
	if s, ok := v.State(evidence.ActorOf(id)).(*evidence.ActorState); ok {
		return s.Fingerprint()
	}
	return evidence.Hash{}
}

// itemState says in one phrase what an item is now.
func itemState(l *words.Language, s *evidence.ItemState, v *client.View) string {
	switch {
	case s.Shredded != 0:
		return l.Say("state.shredded", "date", dateIn(l, s.Shredded))
	case s.Bin != nil:
		return l.Say("state.bin", "date", dateIn(l, s.Bin.Ready))
	case s.Frozen(v.Facts(), v.Time) != nil && s.Held(v.Time):
		return l.Say("state.frozen_held")
	case s.Frozen(v.Facts(), v.Time) != nil:
		return l.Say("state.frozen")
	case s.Held(v.Time):
		return l.Say("state.held")
	}
	return l.Say("state.kept")
}

func (o ownItem) row(l teller) row {
	lines := []string{l.Say("own.item", "item", o.Item, "content", l.Code("content", string(o.Content))), o.State}
	switch {
	case o.Kept != 0:
		lines = append(lines, l.Say("own.kept_until", "date", dateIn(l.Language, o.Kept)))
	case !o.Erased:
		lines = append(lines, l.Say("own.kept_open"))
	}
	if o.Copy {
		lines = append(lines, l.Say("own.copy", "command", "strongroom open "+string(o.Item)+" --purpose subject_access --to FILE"))
	}
	if len(o.May) > 0 {
		lines = append(lines, l.Say("own.may_open", "who", l.List(o.May)))
	}
	lines = append(append(lines, o.Shares...), o.Holds...)
	for _, p := range o.Passed {
		lines = append(lines, p.told(l.Language))
	}
	if told := insideTold(l.Language, o.Inside); told != "" {
		lines = append(lines, l.Say("passed.gone", "what", told))
	}
	for _, s := range o.Looked {
		date, who := dateIn(l.Language, s.Time), l.who(s.Role, s.Organization)
		if s.Emergency != nil {
			s.What = l.Say("own.emergency", "access", s.What, "code", l.Code("emergency", s.Emergency.Code))
		}
		if s.Purpose == "" {
			lines = append(lines, l.Say("own.looked", "date", date, "who", who, "what", s.What, "entry", s.Entry))
		} else {
			lines = append(lines, l.Say("own.looked_for", "date", date, "who", who, "what", s.What, "purpose", l.Code("purpose", string(s.Purpose)), "entry", s.Entry))
		}
		switch e := s.Emergency; {
		case e == nil:
		case !e.Reviewed:
			lines = append(lines, l.Say("own.not_reviewed", "date", date))
		default:
			answer := evidence.No
			if e.Justified {
				answer = evidence.Yes
			}
			lines = append(lines, l.Say("own.reviewed", "date", date, "answer", l.Say("said."+answerWord(answer))))
		}
	}
	switch {
	case o.Hidden > 0:
		lines = append(lines, l.Count("own.withheld", o.Hidden, "date", dateIn(l.Language, o.Shown))+" "+l.Say("own.not_all"))
	case len(o.Looked) == 0:
		lines = append(lines, l.Say("own.nobody"))
	}
	return row{l.Say("label.item"), strings.Join(append(lines, l.Say("own.complete", "date", dateIn(l.Language, o.Until))), "\n")}
}
