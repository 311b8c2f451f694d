package main

import (
	"context"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// orgNames are what the vault's operator calls organizations. They are for people to read; programs get the ids alone, which are signed.
type orgNames map[evidence.OrgID]string

// namesOf asks the vault for them. Where it has none to give, as an older one, ids are shown; where it lies, that is told.
func namesOf(ctx context.Context, cl *client.Client) (orgNames, error) {
	names, err := cl.Organizations(ctx)
	if err != nil && ctx.Err() == nil && client.LieOf(err) == "" {
		return nil, nil
	}
	return names, err
}

// shownOfID is how much of an id stands beside a name, in characters: enough to be typed.
const shownOfID = 8

// of is an organization's name with the beginning of its id, or the id where there is no name. None is "".
func (n orgNames) of(id evidence.OrgID) string {
	if n[id] == "" {
		return string(id)
	}
	return n[id] + " (" + string(id[:shownOfID]) + "…)"
}

// who is a role, a person and, where there is one, the organization: "custodian act-… of City Hospital (org-olhs…)".
func (n orgNames) who(role evidence.Role, actor evidence.ActorID, organization evidence.OrgID) string {
	text := plain(string(role)) + " " + string(actor)
	if organization != "" {
		text += " of " + n.of(organization)
	}
	return text
}
