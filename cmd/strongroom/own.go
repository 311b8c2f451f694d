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

func ownCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "own",
		Short: "See what is kept about you, and who looked",
		Long: `For the person concerned, and for who speaks for her: what exists, on which
consent, who looked at it and why, and who may. Every step was checked here and
it was proved that none is missing. Looking leaves no trace. This program speaks
English only, so far.

To change something:
  strongroom consent narrow      allow less
  strongroom consent withdraw    take everything back
  strongroom consent delegate    let somebody speak for you

Signs:     nothing.`,
		Example: `  strongroom own
  strongroom own --card`,
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

// ownItem is what the person concerned is shown of an item.
type ownItem struct {
	Item    evidence.ItemID    `json:"item"`
	Content evidence.Content   `json:"content"`
	Class   evidence.Class     `json:"class"`
	State   string             `json:"state"`
	Copy    bool               `json:"copy"` // she has a key to it
	Shares  []string           `json:"shares"`
	Holds   []string           `json:"holds"`
	May     []string           `json:"may_open"` // role and organization of each keyholder
	Looked  []ownStep          `json:"looked"`
	Passed  []passedOn         `json:"passed_on"` // copies that cannot be called back
	Hidden  int                `json:"withheld"`  // steps that may not be shown yet
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
}

func (a *app) own(ctx context.Context, cl *client.Client) error {
	consents, err := cl.OwnConsents(ctx)
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
		rows = append(rows, ownConsentRow(state, v.Time))
		if !state.Speaks(cl.Actor(), "read", v.Time) {
			continue
		}
		list, err := cl.OwnItems(ctx, id)
		if err != nil {
			return err
		}
		for _, l := range list {
			item, err := lookOwn(ctx, cl, id, l.ID)
			if err != nil {
				return err
			}
			items, rows = append(items, item), append(rows, item.row())
		}
	}
	if len(consents) == 0 {
		rows = append(rows, row{"Nothing", "No consent names you, and nobody asked you to speak for them."})
	}
	return a.show(map[string]any{"consents": consents, "items": items}, rows...)
}

func ownConsentRow(s *evidence.ConsentState, now evidence.Time) row {
	text := fmt.Sprintf("%s, version %d, until %s", s.ID, s.Version, dateOf(s.Until))
	if err := s.InForce(now); s.Withdrawn != 0 {
		text += "\nwithdrawn on " + dateOf(s.Withdrawn)
	} else if err != nil {
		text += "\nnot in force now"
	}
	for _, r := range answerRows(s.Answers) {
		text += "\n" + r.label + ": " + r.text
	}
	for _, d := range s.Advocates {
		text += fmt.Sprintf("\n%s may speak for you until %s: %s", d.Advocate, dateOf(d.Until), strings.Join(d.Rights, ", "))
	}
	return row{"Consent", text}
}

// lookOwn says what became of an item and who had access, from its verified history.
func lookOwn(ctx context.Context, cl *client.Client, consent evidence.ConsentID, id evidence.ItemID) (ownItem, error) {
	s := evidence.ItemOf(id)
	v, err := cl.Look(ctx, s)
	if err != nil {
		return ownItem{}, err
	}
	state := v.State(s).(*evidence.ItemState)
	_, copied := state.Envelope(fingerprintOf(v, cl.Actor()))
	o := ownItem{Item: id, Content: state.Content, Class: state.Class, Copy: copied, Until: v.Time, Consent: consent,
		Shares: []string{}, Holds: []string{}, May: []string{}, Looked: []ownStep{}, State: itemState(state, v)}
	for _, g := range state.Grants {
		o.Shares = append(o.Shares, ownShare(&g, v, consent))
	}
	for _, h := range state.Holds {
		if h.Blocks(v.Time) {
			o.Holds = append(o.Holds, ownHold(&h))
		}
	}
	if in, ok := v.State(evidence.CaseOf(state.Case)).(*evidence.CaseState); ok && state.Shredded == 0 {
		for _, k := range in.Keyring {
			if _, has := state.Envelope(k.Fingerprint); has {
				o.May = append(o.May, roleOf(v, k.Actor))
			}
		}
	}
	hidden := withheldOf(v, s)
	o.Hidden, o.Shown = hidden.steps, hidden.until
	for seq := range v.Len(s) {
		if v.Withheld(s, seq) != 0 {
			continue
		}
		e, err := v.Event(s, seq)
		if err != nil {
			return o, err
		}
		if !slices.Contains(accesses, e.Kind) {
			continue
		}
		_, entry := v.Leaf(s, seq)
		o.Looked = append(o.Looked, ownStep{e.Time, e.Actor.Role, e.Actor.Organization, stepName(e.Kind), e.Purpose, entry})
	}
	passed, err := passedOnOf(looked{state, v}, "")
	o.Passed = some(passed)
	return o, err
}

// ownShare says what became of a share, or of the wish for one.
func ownShare(g *evidence.GrantState, v *client.View, consent evidence.ConsentID) string {
	t := &g.Terms
	to := fmt.Sprintf("a %s in %s, for %s", plain(string(t.RecipientClass)), t.Jurisdiction, plain(string(t.Purpose)))
	switch {
	case g.Status == evidence.GrantDenied:
		return "not shared with " + to + ": it was refused"
	case g.Status == evidence.GrantPending && g.Over(v.Time):
		return "not shared with " + to + ": nobody decided in time"
	case g.Status == evidence.GrantPending:
		text := "not shared yet with " + to + ": somebody proposed it, until " + dateOf(t.Expires)
		if c, ok := v.State(evidence.ConsentOf(consent)).(*evidence.ConsentState); ok && c.AskFirst && !slices.Contains(g.Agreed, c.ID) {
			text += fmt.Sprintf("\nyou are asked: strongroom grant approve %s, or strongroom grant refuse %[1]s", t.ID)
		}
		return text
	case g.Over(v.Time):
		return "was shared with " + to + "; the share has ended"
	}
	return "shared with " + to + ", until " + dateOf(t.Expires)
}

// ownHold says which law keeps an item, who said so, and what the person can do.
func ownHold(h *evidence.HoldState) string {
	by := "a custodian"
	if h.Organization != "" {
		by += " of " + string(h.Organization)
	}
	return fmt.Sprintf("%s, until %s, as %s stated\nto object: strongroom case open --type complaint reaches the auditors, nobody else", plain(string(h.Basis)),
		dateOf(h.Expires), by)
}

// roleOf says what somebody is, without saying who.
func roleOf(v *client.View, id evidence.ActorID) string {
	s, ok := v.State(evidence.ActorOf(id)).(*evidence.ActorState)
	if !ok {
		return "keyholder"
	}
	text := plain(string(s.Role))
	if s.Organization != "" {
		text += " of " + string(s.Organization)
	}
	return text
}

// accesses are the kinds by which somebody gets to see an item.
var accesses = []evidence.Kind{evidence.ItemOpened, evidence.ItemBreakGlass, evidence.GrantRedeemed, evidence.ItemExported}

func fingerprintOf(v *client.View, id evidence.ActorID) evidence.Hash {
	if s, ok := v.State(evidence.ActorOf(id)).(*evidence.ActorState); ok {
		return s.Fingerprint()
	}
	return evidence.Hash{}
}

// itemState says in one phrase what an item is now.
func itemState(s *evidence.ItemState, v *client.View) string {
	switch {
	case s.Shredded != 0:
		return "made unreadable for good on " + dateOf(s.Shredded)
	case s.Bin != nil:
		return "waits to be made unreadable, from " + dateOf(s.Bin.Ready)
	case s.Frozen(v.Facts(), v.Time) != nil && s.Held(v.Time):
		return "frozen, and kept by law: opened only under the order"
	case s.Frozen(v.Facts(), v.Time) != nil:
		return "frozen: nobody can open it"
	case s.Held(v.Time):
		return "kept by law"
	}
	return "kept"
}

func (o ownItem) row() row {
	text := fmt.Sprintf("%s, %s\n%s", o.Item, plain(string(o.Content)), o.State)
	if len(o.May) > 0 {
		text += "\nmay open it: " + strings.Join(o.May, ", ")
	}
	for _, s := range o.Shares {
		text += "\n" + s
	}
	for _, h := range o.Holds {
		text += "\nmust be kept: " + h
	}
	for _, p := range o.Passed {
		text += "\n" + p.what() + "; such copies cannot be called back"
	}
	for _, l := range o.Looked {
		who := plain(string(l.Role))
		if l.Organization != "" {
			who += " of " + string(l.Organization)
		}
		why := ""
		if l.Purpose != "" {
			why = ", for " + plain(string(l.Purpose))
		}
		text += fmt.Sprintf("\n%s: %s, %s%s (entry %d)", dateOf(l.Time), who, l.What, why, l.Entry)
	}
	hidden := withheld{o.Hidden, o.Shown}
	switch {
	case o.Hidden > 0:
		text += "\n" + hidden.String() + " The law forbids it. Until then what is said here may not be all: ask again after that."
	case len(o.Looked) == 0:
		text += "\nnobody has looked at it"
	}
	return row{"Item", text + "\nComplete to " + dateOf(o.Until) + ": no step is missing."}
}
