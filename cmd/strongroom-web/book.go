//go:build js && wasm

package main

import (
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

type witnesses struct {
	Have  int  `json:"have"`            // who keep up, as the vault says
	Need  int  `json:"need"`            // who are asked
	Alarm bool `json:"alarm,omitempty"` // one has seen another record book, or a longer one
}

type bookAnswer struct {
	Size      int64         `json:"size"`      // entries that this device has verified
	Confirmed int64         `json:"confirmed"` // of these, those that everybody whom the trust file names has confirmed; all where it names nobody
	Waiting   int64         `json:"waiting"`
	Final     bool          `json:"final"` // nothing waits
	At        evidence.Time `json:"at"`
	Witnesses *witnesses    `json:"witnesses,omitempty"`
}

// book asks for the newest state of the record book and checks it against all that this device has seen.
func book(r request, c *client.Client, _ none) (a bookAnswer, err error) {
	seen, err := c.Seen(r)
	if err != nil {
		return a, err
	}
	a = bookAnswer{Size: seen.Size, Confirmed: seen.Final, Waiting: seen.Size - seen.Final, Final: seen.Final == seen.Size, At: seen.Time}
	told, err := c.Finality(r)
	if err != nil || told == nil {
		return a, err
	}
	a.Witnesses = new(witnesses)
	for _, w := range told.Witnesses {
		if w.Auditor {
			continue
		}
		a.Witnesses.Need++
		switch w.State {
		case wire.PeerStateOk:
			a.Witnesses.Have++
		case wire.PeerStateAlarm:
			a.Witnesses.Alarm = true
		}
	}
	return a, nil
}

type itemParams struct {
	Item evidence.ItemID `json:"item"`
}

func (p itemParams) check() error { return valid(evidence.ValidID(p.Item)) }

// step is what a history says of one event. Of one that is withheld there is its place, its entry and until when.
type step struct {
	Step             int64            `json:"step"` // from 1
	Time             evidence.Time    `json:"time,omitempty"`
	Who              evidence.ActorID `json:"who,omitempty"`
	Me               bool             `json:"me,omitempty"`
	Role             evidence.Role    `json:"role,omitempty"`
	Organization     evidence.OrgID   `json:"organization,omitempty"`
	OrganizationName string           `json:"organization_name,omitempty"`
	Kind             evidence.Kind    `json:"kind,omitempty"`
	Purpose          evidence.Purpose `json:"purpose,omitempty"`
	Change           evidence.Cause   `json:"change,omitempty"`
	Grant            evidence.GrantID `json:"grant,omitempty"`
	Export           string           `json:"export,omitempty"` // package, print or copy
	Entry            int64            `json:"entry"`
	Proof            string           `json:"proof"` // "recorded", or "witnessed" once everybody whom the trust file names has confirmed it
	Withheld         evidence.Time    `json:"withheld_until,omitempty"`
}

// history is every step of an item, proved to be all of them up to that moment.
func history(r request, c *client.Client, p itemParams) ([]step, error) {
	s := evidence.ItemOf(p.Item)
	v, err := c.Look(r, s)
	if err != nil {
		return nil, err
	}
	seen, err := c.Seen(r)
	if err != nil {
		return nil, err
	}
	names, err := organizations(r, c)
	if err != nil {
		return nil, err
	}
	steps := []step{}
	for seq := range v.Len(s) {
		_, index := v.Leaf(s, seq)
		t := step{Step: seq + 1, Entry: index, Proof: "recorded", Withheld: v.Withheld(s, seq)}
		if seen.Confirmed && index < seen.Final {
			t.Proof = "witnessed"
		}
		if t.Withheld == 0 {
			e, err := v.Event(s, seq)
			if err != nil {
				return nil, err
			}
			t.tell(e, c)
			t.OrganizationName = names[t.Organization]
		}
		steps = append(steps, t)
	}
	return steps, nil
}

func (t *step) tell(e *evidence.Event, c *client.Client) {
	t.Time, t.Kind, t.Purpose, t.Change = e.Time, e.Kind, e.Purpose, e.Change
	t.Who, t.Role, t.Organization, t.Me = e.Actor.ID, e.Actor.Role, e.Actor.Organization, e.Actor.ID == c.Actor()
	t.Grant = evidence.GrantNamed(e.Details)
	switch d := e.Details.(type) {
	case *evidence.GrantProposedDetails:
		t.Grant = d.ID
	case *evidence.ItemExportedDetails:
		t.Export = d.Form
	}
}
