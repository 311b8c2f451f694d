package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

func historyCommand(a *app) *cobra.Command {
	var notes bool
	c := &cobra.Command{
		Use:   "history ITEM",
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

Signs:     nothing.`,
		Example: `  strongroom history itm-7c2k --notes
  strongroom history vault`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.session(c.Context())
			if err != nil {
				return err
			}
			s, err := findStream(c.Context(), cl, args[0])
			if err != nil {
				return err
			}
			return a.history(c.Context(), cl, s, notes)
		},
	}
	c.Flags().BoolVar(&notes, "notes", false, "show the notes, too")
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
		leaf, index := v.Leaf(s, seq)
		t := step{Step: seq + 1, Entry: index, Event: leaf, Withheld: v.Withheld(s, seq), Proof: "recorded"}
		if seen.Confirmed && index < seen.Final {
			t.Proof = "witnessed"
		}
		if t.Withheld != 0 {
			steps, rows = append(steps, t), append(rows, t.row(cl.Actor(), names))
			continue
		}
		e, err := v.Event(s, seq)
		if err != nil {
			return err
		}
		t.Kind, t.Time, t.Actor, t.Role, t.Organization, t.Purpose, t.Change = e.Kind, e.Time, e.Actor.ID, e.Actor.Role, e.Actor.Organization, e.Purpose, e.Change
		t.Notes = notesOf(read, seq)
		t.Incident, _ = e.Details.(*evidence.VaultIncidentDetails)
		if until := v.Secret(s, seq); until > v.Time {
			t.Secret = until
		}
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
	if t.Purpose != "" {
		what += ", for " + plain(string(t.Purpose))
	}
	if t.Change != "" {
		what += " (" + plain(string(t.Change)) + ")"
	}
	if t.Incident != nil {
		what += incidentText(t.Incident)
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
