//go:build js && wasm

package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// decision is what stands beside the terms of a share before somebody decides on it (RULES §7): what does not go, who receives it and who proposed
// it, and earlier proposals to the same recipient that were refused.
type decision struct {
	Recipient  person             `json:"recipient"`
	ProposedBy person             `json:"proposed_by"`
	HasReason  bool               `json:"has_reason"` // the proposal says why, in a note that opens with the item
	No         []evidence.Content `json:"no"`         // kinds of content among the case's other items to which the answer is no
	Consents   []consentVersion   `json:"consents"`   // that govern the item, as they are now
	Hold       evidence.HoldID    `json:"hold,omitempty"`
	Decided    bool               `json:"decided"` // a custodian has approved it; it waits for the persons concerned
	Refused    []refusal          `json:"refused"`
}

type consentVersion struct {
	ID      evidence.ConsentID `json:"id"`
	Version int64              `json:"version"`
}

// refusal is an earlier proposal that was refused; its reason is for members of the case.
type refusal struct {
	Grant  evidence.GrantID `json:"grant"`
	Time   evidence.Time    `json:"time"`
	By     person           `json:"by"`
	Reason string           `json:"reason,omitempty"`
}

// weigh says what a person must know before deciding on a share. It opens nothing and leaves no trace.
func weigh(r request, c *client.Client, p shareParams) (a decision, err error) {
	v, err := c.Look(r, evidence.ItemOf(p.Item))
	if err != nil {
		return a, err
	}
	item, ok := v.State(evidence.ItemOf(p.Item)).(*evidence.ItemState)
	if !ok {
		return a, evidence.Refuse(evidence.NotFound, "not_found")
	}
	g := item.Grant(p.Grant)
	if g == nil {
		return a, evidence.Refuse(evidence.NotFound, evidence.ReasonGrant)
	}
	names, err := organizations(r, c)
	if err != nil {
		return a, err
	}
	to, err := c.Person(r, g.Terms.Recipient.Actor)
	if err != nil {
		return a, err
	}
	a = decision{Recipient: person{to.ID, to.Role, to.Organization, names[to.Organization], false}, Hold: g.Hold, Decided: g.Custodian != "",
		No: []evidence.Content{}, Consents: []consentVersion{}, Refused: []refusal{}}
	var consents []*evidence.ConsentState
	for _, id := range item.Consent {
		if s, ok := v.State(evidence.ConsentOf(id)).(*evidence.ConsentState); ok {
			consents = append(consents, s)
			a.Consents = append(a.Consents, consentVersion{id, s.Version})
		}
	}
	if a.No, err = refusedKinds(r, c, v.Time, item, g, consents); err != nil {
		return a, err
	}
	return a, a.past(r, c, v, item, g, names)
}

// refusedKinds are the kinds of content among the case's other items which the consents do not let go to this recipient.
func refusedKinds(r request, c *client.Client, now evidence.Time, item *evidence.ItemState, g *evidence.GrantState, consents []*evidence.ConsentState) ([]evidence.Content, error) {
	items, err := c.Items(r, item.Case)
	if err != nil {
		return nil, err
	}
	no := make(map[evidence.Content]bool)
	for _, i := range items {
		for _, s := range consents {
			if i.ID != item.ID && slices.Contains(i.Consent, s.ID) && s.Shares(i.Content, g.Terms.RecipientClass, g.Terms.Jurisdiction, now) != nil {
				no[i.Content] = true
			}
		}
	}
	return append([]evidence.Content{}, slices.Sorted(maps.Keys(no))...), nil
}

// past reads who proposed the share, and what was refused before.
func (a *decision) past(r request, c *client.Client, v *client.View, item *evidence.ItemState, g *evidence.GrantState, names map[evidence.OrgID]string) error {
	who := func(s evidence.Signer) person {
		return person{s.ID, s.Role, s.Organization, names[s.Organization], s.ID == c.Actor()}
	}
	for e, err := range v.Events(evidence.ItemOf(item.ID)) {
		if err != nil {
			return err
		}
		switch d := e.Details.(type) {
		case *evidence.GrantProposedDetails:
			if d.ID == g.Terms.ID {
				a.ProposedBy = who(e.Actor)
				a.HasReason = slices.ContainsFunc(e.Notes, func(n evidence.Note) bool { return n.Name == "reason" && n.Audience == evidence.ToRecipient })
			}
		case *evidence.GrantRefusedDetails:
			before := item.Grant(d.Grant)
			if before == nil || before.Terms.Recipient.Actor != g.Terms.Recipient.Actor {
				continue
			}
			reason, err := c.InternalNote(r, item.Case, e, "reason")
			if client.LieOf(err) != "" {
				return err // who cannot read it still sees that it was refused
			}
			a.Refused = append(a.Refused, refusal{d.Grant, e.Time, who(e.Actor), reason})
		}
	}
	return nil
}

type whyAnswer struct {
	Text   string        `json:"text,omitempty"`
	Unread client.Unread `json:"unread,omitempty"` // why there is no text
}

// why reads the reason of a proposal. A keyholder opens the item for that: an access, logged as one.
func why(r request, c *client.Client, p shareParams) (a whyAnswer, err error) {
	note, err := c.GrantReason(r, p.Item, p.Grant)
	if err != nil || note == nil {
		return a, err
	}
	return whyAnswer{note.Text, note.Unread}, nil
}

type proposeParams struct {
	Item         evidence.ItemID   `json:"item"`
	To           evidence.ActorID  `json:"to"`
	Actions      []evidence.Action `json:"actions"`
	Purpose      evidence.Purpose  `json:"purpose"`
	Jurisdiction string            `json:"jurisdiction"`
	LegalBasis   string            `json:"legal_basis"`
	Onward       bool              `json:"onward,omitempty"`
	Until        evidence.Time     `json:"until"`
	Reason       string            `json:"reason,omitempty"` // to the recipient and the keyholders
}

func (p proposeParams) check() error { return valid(evidence.ValidID(p.Item), evidence.ValidID(p.To)) }

type proposeAnswer struct {
	Entry int64            `json:"entry"`
	Grant evidence.GrantID `json:"grant"`
}

// propose signs that a share shall be, from now on. Another person decides.
func propose(r request, c *client.Client, p proposeParams) (a proposeAnswer, err error) {
	grant, receipt, err := c.Propose(r, client.Proposal{
		Item: p.Item, Recipient: p.To, Actions: p.Actions, Purpose: p.Purpose, Jurisdiction: p.Jurisdiction, LegalBasis: p.LegalBasis,
		Onward: p.Onward, NotBefore: evidence.At(r.now().Truncate(time.Minute)), Expires: p.Until, Reason: strings.TrimSpace(p.Reason),
	})
	if err != nil {
		return a, err
	}
	return proposeAnswer{receipt.Index(), grant}, nil
}
