package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

func historyCommand(a *app) *cobra.Command {
	var notes bool
	var code string
	c := &cobra.Command{
		Use:   "history ITEM | history --page-code CODE",
		Short: "Show who did what, when and why, proved to be complete",
		Long: `Shows every step of an item's history, and of a case, a consent or a person if
that is the id given; of what was decided about the vault itself with the word
vault. Each signature was checked, each entry found in the record book, and it
was proved that no step is missing up to the moment shown. What a secret order
still forbids to show is there as a step with its date, and nothing else.

Reading a history leaves no trace in it.

--notes shows the texts that were sealed with the steps: those for members of
the case. What only an opening shows is named, and strongroom item notes opens
it.

--page-code finds what a printed page stands on: twenty digits at its foot. Of a
record's page that is its print: who printed it, when and what for. Of a custody
report it is the last step that the report tells of. Without an id it is looked
for in every item that you may list.

Signs:     nothing.`,
		Example: `  strongroom history itm-7c2k --notes
  strongroom history vault
  strongroom history --page-code "48213 90177 05520 61834"`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && code == "" {
				return usage("name an id, or give --page-code")
			}
			if code != "" {
				var err error
				if code, err = dossier.ParsePageCode(code); err != nil {
					return err
				}
			}
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			if code != "" {
				return a.page(c.Context(), cl, code, args)
			}
			s, err := findStream(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			return a.history(c.Context(), cl, s, notes)
		},
	}
	c.Flags().BoolVar(&notes, "notes", false, "show the notes, too")
	c.Flags().StringVar(&code, "page-code", "", "the `CODE` at the foot of a printed page")
	c.MarkFlagsMutuallyExclusive("notes", "page-code")
	return c
}

// findStream tells by the id's beginning whose history is meant.
func findStream(ctx context.Context, cl *client.Client, typed string) (evidence.Stream, error) {
	switch prefix, _, _ := strings.Cut(typed, "-"); prefix {
	case "vault":
		return evidence.PolicyOf(cl.Vault()), nil
	case "cas":
		id, err := findCase(ctx, cl, typed)
		return evidence.CaseOf(id), err
	case "con":
		id, err := findConsent(ctx, cl, typed)
		return evidence.ConsentOf(id), err
	case "act", "me":
		id, err := findActor(ctx, cl, typed)
		return evidence.ActorOf(id), err
	}
	id, err := findItem(ctx, cl, typed)
	return evidence.ItemOf(id), err
}

// step is what a history says of one event. Of one that is withheld there is its place, its entry and until when.
type step struct {
	Step         int64            `json:"step"` // from 1
	Kind         evidence.Kind    `json:"kind,omitempty"`
	Time         evidence.Time    `json:"time,omitempty"`
	Actor        evidence.ActorID `json:"actor,omitempty"`
	Role         evidence.Role    `json:"role,omitempty"`
	Organization evidence.OrgID   `json:"organization,omitempty"`
	Purpose      evidence.Purpose `json:"purpose,omitempty"`
	Change       evidence.Cause   `json:"change,omitempty"`
	Entry        int64            `json:"entry"`
	Proof        string           `json:"proof"` // "recorded", or "witnessed" once those whom the trust file names have confirmed it
	Event        evidence.Hash    `json:"event"`
	Notes        []noteSaid       `json:"notes,omitempty"`          // with --notes
	Withheld     evidence.Time    `json:"withheld_until,omitempty"` // from this person
	Secret       evidence.Time    `json:"secret_until,omitempty"`   // from others
	Export       string           `json:"export,omitempty"`         // package, print or copy
	PageCode     string           `json:"page_code,omitempty"`      // at the foot of what was printed

	Incident *evidence.VaultIncidentDetails `json:"incident,omitempty"`
}

func (a *app) history(ctx context.Context, cl *client.Client, s evidence.Stream, notes bool) error {
	v, err := cl.Look(ctx, s)
	if err != nil {
		return err
	}
	var read []client.ReadNote
	if notes {
		if read, err = cl.Notes(ctx, s); err != nil {
			return err
		}
	}
	names, err := namesOf(ctx, cl)
	if err != nil {
		return err
	}
	seen, err := cl.Seen(ctx)
	if err != nil {
		return err
	}
	steps := []step{}
	var rows []row
	for seq := range v.Len(s) {
		t, err := stepOf(v, s, seq, seen)
		if err != nil {
			return err
		}
		if t.Withheld != 0 {
			steps, rows = append(steps, t), append(rows, t.row(cl.Actor(), names))
			continue
		}
		t.Notes = notesOf(read, seq)
		steps = append(steps, t)
		rows = append(append(rows, t.row(cl.Actor(), names)), noteRows(t.Notes)...)
	}
	complete := "to " + dateOf(v.Time) + ". No step from 1 to " + fmt.Sprint(len(steps)) + " is missing; each signature and proof of entry was checked."
	withheld := withheldOf(v, s)
	if withheld.steps > 0 {
		complete += "\n" + withheld.String() + " Of these only the proof of entry was."
	}
	return a.show(map[string]any{"stream": s.ID, "complete": true, "withheld": withheld.steps, "time": v.Time, "steps": steps}, append(rows, watched(seen, steps), row{"Complete", complete})...)
}

func stepOf(v *client.View, s evidence.Stream, seq int64, seen client.Seen) (step, error) {
	leaf, index := v.Leaf(s, seq)
	t := step{Step: seq + 1, Entry: index, Event: leaf, Withheld: v.Withheld(s, seq), Proof: "recorded"}
	if seen.Confirmed && index < seen.Final {
		t.Proof = "witnessed"
	}
	if t.Withheld != 0 {
		return t, nil
	}
	e, err := v.Event(s, seq)
	if err != nil {
		return t, err
	}
	t.Kind, t.Time, t.Actor, t.Role, t.Organization, t.Purpose, t.Change = e.Kind, e.Time, e.Actor.ID, e.Actor.Role, e.Actor.Organization, e.Purpose, e.Change
	t.Incident, _ = e.Details.(*evidence.VaultIncidentDetails)
	if d, ok := e.Details.(*evidence.ItemExportedDetails); ok {
		if t.Export = d.Form; d.Form == "print" {
			t.PageCode = dossier.PageCode(leaf)
		}
	}
	if until := v.Secret(s, seq); until > v.Time {
		t.Secret = until
	}
	return t, nil
}

// pageFound is the step that a printed page stands on.
type pageFound struct {
	Item    evidence.ItemID `json:"item,omitempty"` // where the step is an item's
	Exhibit int64           `json:"exhibit,omitempty"`
	Stream  string          `json:"stream"`
	step
}

// page finds the steps that have a page code: in one history, or in every item that this person may list.
func (a *app) page(ctx context.Context, cl *client.Client, code string, typed []string) error {
	var streams []evidence.Stream
	if len(typed) == 1 {
		s, err := findStream(ctx, cl, typed[0])
		if err != nil {
			return err
		}
		streams = append(streams, s)
	} else {
		items, err := cl.Visible(ctx)
		if err != nil {
			return err
		}
		for _, id := range items {
			streams = append(streams, evidence.ItemOf(id))
		}
	}
	names, err := namesOf(ctx, cl)
	if err != nil {
		return err
	}
	seen, err := cl.Seen(ctx)
	if err != nil {
		return err
	}
	var found []pageFound
	var rows []row
	for _, s := range streams {
		v, err := cl.Look(ctx, s)
		if err != nil {
			return err
		}
		for seq := range v.Len(s) {
			if leaf, _ := v.Leaf(s, seq); dossier.PageCode(leaf) != code {
				continue
			}
			t, err := stepOf(v, s, seq, seen)
			if err != nil {
				return err
			}
			p := pageFound{Stream: s.ID, step: t}
			if item, ok := v.State(s).(*evidence.ItemState); ok {
				p.Item, p.Exhibit = item.ID, item.Exhibit
				rows = append(rows, row{"Page of", called(item) + "\n" + string(item.ID)})
			}
			found, rows = append(found, p), append(rows, t.row(cl.Actor(), names))
		}
	}
	if len(found) == 0 {
		return evidence.Refuse(evidence.NotFound, dossier.ReasonPageCode)
	}
	return a.show(map[string]any{"page_code": code, "found": found}, rows...)
}

// watched says whether anybody but the vault vouches for the steps.
func watched(seen client.Seen, steps []step) row {
	waiting := 0
	for _, t := range steps {
		if t.Proof == "recorded" {
			waiting++
		}
	}
	switch {
	case !seen.Confirmed:
		return row{"Watched", "The trust file names no independent witness: the vault alone vouches for one history."}
	case waiting > 0:
		return row{"Watched", plural(waiting, "step is", "steps are") + " not confirmed yet by those whom the trust file names."}
	}
	return row{"Watched", "Those whom the trust file names have confirmed every step."}
}

// incidentText says what was stated to have gone wrong, with what and when.
func incidentText(d *evidence.VaultIncidentDetails) string {
	until := ", not over when it was stated"
	if d.Until != 0 {
		until = " until " + dateOf(d.Until)
	}
	return ": " + plain(d.Code) + ", scope: " + plain(d.Scope) + "\nfrom " + dateOf(d.From) + until
}

// withheld is how much of a history may not be shown to this person yet, and until when at the longest.
type withheld struct {
	steps int
	until evidence.Time
}

func withheldOf(v *client.View, s evidence.Stream) (w withheld) {
	for seq := range v.Len(s) {
		if until := v.Withheld(s, seq); until != 0 {
			w.steps, w.until = w.steps+1, max(w.until, until)
		}
	}
	return w
}

func (w withheld) String() string {
	return plural(w.steps, "event", "events") + " may not be shown until " + dateOf(w.until) + "."
}

func (t step) row(me evidence.ActorID, names orgNames) row {
	if t.Withheld != 0 {
		return row{fmt.Sprintf("Step %d", t.Step), fmt.Sprintf("An event that may not be shown until %s.\nEntry %d", dateOf(t.Withheld), t.Entry)}
	}
	who := "the vault itself"
	if t.Role != evidence.Vault {
		who = names.who(t.Role, t.Actor, t.Organization)
	}
	if t.Actor == me {
		who = "you"
	}
	what := stepName(t.Kind)
	if name, ok := exportNames[t.Export]; ok {
		what = name
	}
	if t.Purpose != "" {
		what += ", for " + plain(string(t.Purpose))
	}
	if t.Change != "" {
		what += " (" + plain(string(t.Change)) + ")"
	}
	if t.Incident != nil {
		what += incidentText(t.Incident)
	}
	if t.PageCode != "" {
		what += "\npage code " + t.PageCode
	}
	if t.Secret != 0 {
		who += "\nsecret until " + dateOf(t.Secret) + ": others see that there is a step, and no more"
	}
	return row{fmt.Sprintf("Step %d", t.Step), fmt.Sprintf("%s\n%s, entry %d\n%s", what, dateOf(t.Time), t.Entry, who)}
}

func stepName(k evidence.Kind) string {
	if w, ok := stepNames[k]; ok {
		return w
	}
	return string(k)
}

// exportNames say in which way an item was taken out.
var exportNames = map[string]string{"package": "exported as a package", "print": "printed", "copy": "copied to a file"}

// stepNames says what each kind of event is, in a history.
var stepNames = map[evidence.Kind]string{
	evidence.ActorEnrolled:          "keys enrolled",
	evidence.ActorKeyRotated:        "new keys",
	evidence.ActorConfirmed:         "key number confirmed",
	evidence.ActorSuspended:         "suspended",
	evidence.ActorRevoked:           "key stopped for good",
	evidence.CaseOpened:             "case opened",
	evidence.CaseMemberAdded:        "member added",
	evidence.CaseMemberRemoved:      "member removed",
	evidence.CaseKeyringChanged:     "keyholders changed",
	evidence.CaseClosed:             "case closed",
	evidence.CaseReopened:           "case opened again",
	evidence.ConsentGiven:           "answers recorded",
	evidence.ConsentNarrowed:        "answers narrowed",
	evidence.ConsentWithdrawn:       "consent withdrawn, all use stopped",
	evidence.ConsentDelegated:       "helper named",
	evidence.ConsentDelegationEnded: "helper removed",
	evidence.ItemDeposited:          "deposited",
	evidence.ItemSealed:             "sealed, final",
	evidence.ItemOpened:             "opened",
	evidence.ItemVerified:           "compared with its deposit",
	evidence.ItemDerived:            "another item made from it",
	evidence.ItemAmended:            "description amended",
	evidence.ItemTransferred:        "handed over",
	evidence.ItemReceived:           "received",
	evidence.ItemExported:           "exported",
	evidence.ItemEnvelopeAdded:      "key written for a person",
	evidence.ItemEnvelopeRemoved:    "a person's key removed",
	evidence.ItemBreakGlass:         "emergency opening",
	evidence.ItemBreakGlassReviewed: "emergency opening reviewed",
	evidence.ItemShredProposed:      "proposed to make unreadable for good",
	evidence.ItemShredCancelled:     "proposal taken back",
	evidence.ItemShredded:           "made unreadable for good",
	evidence.RetentionSet:           "period set",
	evidence.HoldPlaced:             "kept by law",
	evidence.HoldConfirmed:          "kept by law, confirmed",
	evidence.HoldLifted:             "legal duty ended",
	evidence.GrantProposed:          "share proposed",
	evidence.GrantApproved:          "share approved",
	evidence.GrantRefused:           "share refused",
	evidence.GrantRevoked:           "share stopped",
	evidence.GrantExpired:           "share ended",
	evidence.GrantRedeemed:          "share opened by its recipient",
	evidence.GrantAcknowledged:      "receipt confirmed",
	evidence.VaultHeads:             "published",
	evidence.VaultConfigured:        "vault configured",
	evidence.VaultConfirmed:         "change of the vault confirmed",
	evidence.VaultRecovered:         "use of the recovery key stated",
	evidence.VaultRestored:          "vault restored",
	evidence.VaultIncident:          "incident",
}
