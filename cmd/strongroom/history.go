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
	return &cobra.Command{
		Use:   "history ITEM",
		Short: "Show who did what, when and why, proved to be complete",
		Long: `Shows every step of an item's history, and of a case, a consent or a person if
that is the id given; of what was decided about the vault itself with the word
vault. Each signature was checked, each entry found in the record book, and it
was proved that no step is missing up to the moment shown.

Reading a history leaves no trace in it.

Signs:     nothing.`,
		Example: `  strongroom history itm-7c2k
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
			return a.history(c.Context(), cl, s)
		},
	}
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

// step is what a history says of one event.
type step struct {
	Step         int64            `json:"step"` // from 1
	Kind         evidence.Kind    `json:"kind"`
	Time         evidence.Time    `json:"time"`
	Actor        evidence.ActorID `json:"actor"`
	Role         evidence.Role    `json:"role"`
	Organization evidence.OrgID   `json:"organization,omitempty"`
	Purpose      evidence.Purpose `json:"purpose,omitempty"`
	Change       evidence.Cause   `json:"change,omitempty"`
	Entry        int64            `json:"entry"`
	Event        evidence.Hash    `json:"event"`
}

func (a *app) history(ctx context.Context, cl *client.Client, s evidence.Stream) error {
	v, err := cl.Look(ctx, s)
	if err != nil {
		return err
	}
	steps := []step{}
	var rows []row
	for seq := range v.Len(s) {
		e, err := v.Event(s, seq)
		if err != nil {
			return err
		}
		leaf, index := v.Leaf(s, seq)
		t := step{seq + 1, e.Kind, e.Time, e.Actor.ID, e.Actor.Role, e.Actor.Organization, e.Purpose, e.Change, index, leaf}
		steps = append(steps, t)
		rows = append(rows, t.row(cl.Actor()))
	}
	complete := "to " + dateOf(v.Time) + ". No step from 1 to " + fmt.Sprint(len(steps)) + " is missing; each signature and proof of entry was checked."
	return a.show(map[string]any{"stream": s.ID, "complete": true, "time": v.Time, "steps": steps}, append(rows, row{"Complete", complete})...)
}

func (t step) row(me evidence.ActorID) row {
	who := "the vault itself"
	if t.Role != evidence.Vault {
		who = plain(string(t.Role)) + " " + string(t.Actor)
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
	evidence.VaultRecovered:         "recovery key used",
	evidence.VaultRestored:          "vault restored",
	evidence.VaultIncident:          "incident",
}
