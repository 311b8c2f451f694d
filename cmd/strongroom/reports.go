package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

func reportCommand(a *app) *cobra.Command {
	var in, by, to string
	var table bool
	c := &cobra.Command{
		Use:   "report [ITEM…] --to FILE",
		Short: "Write who did what, for print or as a table",
		Long: `Writes a custody report: every step of the items, with signer, role, purpose,
authority, consent, result and proof, and why each release was allowed. With
--by only what one person signed. The page needs no network and prints on paper;
--csv writes a table instead.

It is for people. A court that does not trust you checks a package instead:
strongroom grant export.

Signs:     nothing.`,
		Example: `  strongroom report itm-7c2k --to custody.html
  strongroom report --case cas-2m5d --by act-9k3f --csv --to opened.csv`,
		Args: cobra.ArbitraryArgs,
	}
	c.Flags().StringVar(&in, "case", "", "instead of naming items: all of this `CASE`")
	c.Flags().StringVar(&by, "by", "", "only what this `ACTOR` signed")
	c.Flags().StringVar(&to, "to", "", "`FILE` to write")
	c.Flags().BoolVar(&table, "csv", false, "write a table")
	required(c, "to")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		items, err := (&chosen{in}).find(c.Context(), cl, args)
		if err != nil {
			return err
		}
		var actor evidence.ActorID
		if by != "" {
			if actor, err = findActor(c.Context(), cl, by); err != nil {
				return err
			}
		}
		ids := make([]evidence.ItemID, len(items))
		for i, item := range items {
			ids[i] = item.ID
		}
		report, err := cl.Custody(c.Context(), actor, ids...)
		if err != nil {
			return err
		}
		write := dossier.Custody.WriteHTML
		if table {
			write = dossier.Custody.WriteCSV
		}
		if err := saveAs(to, func(w io.Writer) error { return write(report, w) }); err != nil {
			return err
		}
		hidden := int64(0)
		for _, i := range report.Items {
			hidden += i.Withheld
		}
		complete := "to " + dateOf(report.AsOf)
		if hidden > 0 {
			complete += ", with " + plural(int(hidden), "event that may not be shown yet", "events that may not be shown yet")
		}
		return a.show(map[string]any{"file": to, "items": len(ids), "steps": report.Steps(), "withheld": hidden, "as_of": report.AsOf},
			row{"Report", fmt.Sprintf("%s, %s of %s", to, plural(report.Steps(), "step", "steps"), plural(len(ids), "item", "items"))},
			row{"Complete", complete})
	}
	return c
}

func auditCommand(a *app) *cobra.Command {
	var sample int
	c := &cobra.Command{
		Use:   "audit",
		Short: "Read the whole vault as an auditor: what stands out",
		Long: `Reads the history of every item, checks each signature, entry and rule here, and
lists what an auditor should look at: openings in an emergency and their
reviews, refusals, items that nobody decided on, retention that is overdue,
holds to review, damage, receipts that were not equal, each use of the recovery
key; and openings and shares picked at random, each with the ground that it
stood on. Nothing of it is the vault's word, but for which items there are.

The administrator's acts stand in the same record book:
  strongroom history vault

Signs:     nothing.`,
		Example: `  strongroom audit --sample 20`,
		Args:    cobra.NoArgs,
	}
	c.Flags().IntVar(&sample, "sample", 10, "`NUMBER` of openings and shares to pick")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if sample < 0 || sample > 10_000 {
			return usage("--sample is a number from 0 to 10000")
		}
		cl, err := a.session(c.Context())
		if err != nil {
			return err
		}
		found, err := cl.Audit(c.Context(), sample)
		if err != nil {
			return err
		}
		rows := []row{{"Read", fmt.Sprintf("%s, each history to its proved end", plural(found.Items, "item", "items"))}}
		late := 0
		for _, f := range found.Findings {
			if f.Late {
				late++
			}
			rows = append(rows, findingRow(f))
		}
		if found.Backwards > 2*evidence.Clock {
			rows = append(rows, row{"Clocks", "Times that signers state run against the order of entry, by up to " + found.Backwards.String() + "."})
		}
		rows = append(rows, row{"Overdue", plural(late, "finding", "findings")}, row{"Complete", "to " + dateOf(found.AsOf)})
		return a.show(found, rows...)
	}
	return c
}

// findingNames say what each kind of finding is.
var findingNames = map[client.FindingKind]string{
	client.FoundEmergency:   "opened in an emergency",
	client.FoundRefusal:     "refused a share",
	client.FoundUndecided:   "frozen, and nobody decided in time: shred or hold",
	client.FoundOverdue:     "need not be kept any longer",
	client.FoundBinned:      "in the bin, to be shredded",
	client.FoundHoldReview:  "held, and the review of the hold is overdue",
	client.FoundDamaged:     "the stored file was found to differ",
	client.FoundUnequal:     "a recipient got other bytes than were recorded",
	client.FoundSealBroken:  "arrived with a broken seal",
	client.FoundUnconfirmed: "held, and the second person has not confirmed it",
	client.FoundRecovered:   "the recovery key was used, as two trustees state",
	client.FoundRecovering:  "one trustee states that the recovery key was used; no second one yet",
	client.FoundRelease:     "was opened or shared",
}

func findingRow(f client.Finding) row {
	text := string(f.Item) + ": " + findingNames[f.Kind]
	if f.Actor != "" {
		text += "\nby " + string(f.Actor)
	}
	for _, at := range []struct {
		what string
		time evidence.Time
	}{{"since", f.Since}, {"due", f.Due}, {"done", f.Done}} {
		if at.time != 0 {
			text += "\n" + at.what + " " + dateOf(at.time)
		}
	}
	if f.Why != "" {
		text += "\n" + f.Why
	}
	label := "Look at"
	switch {
	case f.Late:
		label = "Overdue"
	case f.Kind == client.FoundRelease:
		label = "Sample"
	}
	return row{label, text}
}

func ownCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "own",
		Short: "See what is kept about you, and who looked",
		Long: `For the person concerned, and for who speaks for her: what exists, on which
consent, who looked at it and why, and who may. Every step was checked here and
it was proved that none is missing. Looking leaves no trace.

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
		Shares: []string{}, Holds: []string{}, Looked: []ownStep{}, State: itemState(state, v)}
	for _, g := range state.Grants {
		t := g.Terms
		share := fmt.Sprintf("%s in %s, for %s, until %s: %s", t.RecipientClass, t.Jurisdiction, t.Purpose, dateOf(t.Expires), g.Status)
		if c, ok := v.State(evidence.ConsentOf(consent)).(*evidence.ConsentState); ok && g.Status == evidence.GrantPending && c.AskFirst && !slices.Contains(g.Agreed, c.ID) {
			share += fmt.Sprintf("\nyou are asked: strongroom grant approve %s, or strongroom grant refuse %[1]s", t.ID)
		}
		o.Shares = append(o.Shares, share)
	}
	for _, h := range state.Holds {
		if h.Blocks(v.Time) {
			o.Holds = append(o.Holds, fmt.Sprintf("%s, until %s", plain(string(h.Basis)), dateOf(h.Expires)))
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
	for _, s := range o.Shares {
		text += "\nshared with a " + s
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
