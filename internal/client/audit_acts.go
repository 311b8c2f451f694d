package client

import (
	"context"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
)

// Act is an act on the vault itself or on a person's place in it: roles, keys, policy, versions, restores, incidents (RULES §1, A3).
type Act struct {
	Kind   evidence.Kind    `json:"kind"`
	By     evidence.ActorID `json:"by"`
	Role   evidence.Role    `json:"role"`             // of who signed
	Of     evidence.ActorID `json:"of,omitempty"`     // whose keys; "" of the vault
	For    evidence.OrgID   `json:"for,omitempty"`    // of an enrolment: the person's organization
	Detail string           `json:"detail,omitempty"` // the role enrolled, the cause, the incident's code, the version in service
	Until  evidence.Time    `json:"until,omitempty"`  // of a suspension
	Time   evidence.Time    `json:"time"`
	Entry  int64            `json:"entry"`
	Event  evidence.Hash    `json:"event"`
}

// acts are all acts in the stream of an actor or of the policy, whoever signed them.
func (v *View) acts(s evidence.Stream) ([]Act, error) {
	list := make([]Act, 0, v.Len(s))
	for e, err := range v.Events(s) {
		if err != nil {
			return nil, err
		}
		a := Act{Kind: e.Kind, By: e.Actor.ID, Role: e.Actor.Role, Time: e.Time, Entry: e.Index, Event: e.Leaf}
		if s.Type == evidence.ActorStream {
			a.Of = evidence.ActorID(s.ID)
		}
		switch d := e.Details.(type) {
		case *evidence.ActorEnrolledDetails:
			a.Detail, a.For = string(d.Role), d.Organization
		case *evidence.ActorKeyRotatedDetails:
			a.Detail = string(d.Cause)
		case *evidence.ActorConfirmedDetails:
			a.Detail = string(d.Method)
		case *evidence.ActorSuspendedDetails:
			a.Detail, a.Until = string(d.Cause), d.Until
		case *evidence.ActorRevokedDetails:
			a.Detail = string(d.Cause)
		case *evidence.VaultConfiguredDetails:
			a.Detail = "version " + d.Version
		case *evidence.VaultRecoveredDetails:
			if a.Detail = string(d.Cause); d.Ends() {
				a.Detail = "nothing is to be opened, " + a.Detail
			}
		case *evidence.VaultIncidentDetails:
			a.Detail = d.Code
		}
		list = append(list, a)
	}
	return list, nil
}

// actors are the streams of the directory. Who is seen among those who signed is in it, or it leaves somebody out.
func (c *Client) actors(ctx context.Context, signed *clocks) ([]evidence.Stream, error) {
	listed, err := c.Directory(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]evidence.Stream, len(listed))
	for i, a := range listed {
		list[i] = evidence.ActorOf(evidence.ActorID(a.ID))
	}
	for s := range signed.until {
		if s.Type == evidence.ActorStream && !slices.Contains(list, s) {
			return nil, alarm(Omitted, s, nil)
		}
	}
	return list, nil
}
