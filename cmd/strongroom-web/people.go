//go:build js && wasm

package main

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// person is who somebody is, as far as a page names people: nobody's name is known here.
type person struct {
	Actor            evidence.ActorID `json:"actor"`
	Role             evidence.Role    `json:"role"`
	Organization     evidence.OrgID   `json:"organization,omitempty"`
	OrganizationName string           `json:"organization_name,omitempty"`
	Me               bool             `json:"me,omitempty"`
}

// invitation is an open one of this person's. It is for orientation; admit checks.
type invitation struct {
	person
	Invitation    evidence.Hash `json:"invitation"`
	DocumentsOnly bool          `json:"documents_only"`
	Rotation      bool          `json:"rotation"`
	Until         evidence.Time `json:"until"`
	State         string        `json:"state"` // "unanswered", "answered": its keys wait to be admitted, "admitted"
}

// newcomer is somebody whose keys were admitted and wait until another person has compared their number, from the checked history.
type newcomer struct {
	person
	DocumentsOnly bool          `json:"documents_only"`
	KeyNumber     string        `json:"key_number"`
	Rotation      bool          `json:"rotation"` // new keys of somebody who was confirmed before
	Admitted      evidence.Time `json:"admitted"`
	AdmittedBy    person        `json:"admitted_by"` // who cannot confirm them
}

// organization is one that people of this vault act for.
type organization struct {
	Organization evidence.OrgID  `json:"organization"`
	Name         string          `json:"name,omitempty"` // the operator's word
	Roles        []evidence.Role `json:"roles"`          // of its people
}

type peopleAnswer struct {
	Invitations   []invitation   `json:"invitations"`
	Newcomers     []newcomer     `json:"newcomers"`
	Organizations []organization `json:"organizations"`
}

// people lists who is on the way into the vault, as far as it concerns this person. Who there is, is the vault's claim; each newcomer is checked.
func people(r request, c *client.Client, _ none) (a peopleAnswer, err error) {
	listed, err := c.Directory(r)
	if err != nil {
		return a, err
	}
	names, err := organizations(r, c)
	if err != nil {
		return a, err
	}
	open, err := c.Invitations(r)
	if err != nil && evidence.KindOf(err) != evidence.Forbidden && evidence.KindOf(err) != evidence.NotFound {
		return a, err
	}
	a = peopleAnswer{[]invitation{}, []newcomer{}, organizationsOf(listed, names)}
	for _, i := range slices.Backward(open) { // the oldest first
		one, err := invitationOf(i, listed)
		if err != nil {
			return a, err
		}
		one.OrganizationName = names[one.Organization]
		a.Invitations = append(a.Invitations, one)
	}
	for _, who := range listed {
		if evidence.Status(who.Status) != evidence.StatusPending || !evidence.ValidID(evidence.ActorID(who.ID)) {
			continue
		}
		n, err := newcomerOf(r, c, evidence.ActorID(who.ID))
		if err != nil {
			return a, err
		}
		if n == nil {
			continue // confirmed since the list was made
		}
		n.OrganizationName, n.AdmittedBy.OrganizationName = names[n.Organization], names[n.AdmittedBy.Organization]
		a.Newcomers = append(a.Newcomers, *n)
	}
	slices.SortStableFunc(a.Newcomers, func(x, y newcomer) int { return cmp.Compare(x.Admitted, y.Admitted) })
	return a, nil
}

func organizationsOf(listed []wire.Actor, names map[evidence.OrgID]string) []organization {
	roles := make(map[evidence.OrgID][]evidence.Role)
	for id := range names {
		roles[id] = []evidence.Role{}
	}
	for _, who := range listed {
		if id := evidence.OrgID(who.Organization); evidence.ValidID(id) && !slices.Contains(roles[id], evidence.Role(who.Role)) {
			roles[id] = append(roles[id], evidence.Role(who.Role))
		}
	}
	list := []organization{}
	for _, id := range slices.Sorted(maps.Keys(roles)) {
		list = append(list, organization{id, names[id], slices.Sorted(slices.Values(roles[id]))})
	}
	slices.SortStableFunc(list, func(x, y organization) int { return cmp.Compare(x.Name, y.Name) })
	return list
}

// The states of an invitation.
const (
	unanswered = "unanswered"
	answered   = "answered"
	admitted   = "admitted"
)

// invitationOf reads one of the list. It is admitted if the directory has its keys already.
func invitationOf(i wire.Invitation, listed []wire.Actor) (a invitation, err error) {
	digest, err := evidence.ParseHash(i.Digest)
	if err != nil {
		return a, err
	}
	until, err := evidence.ParseTime(i.Expires)
	if err != nil {
		return a, err
	}
	a = invitation{person: person{Actor: evidence.ActorID(i.Actor), Role: evidence.Role(i.Role), Organization: evidence.OrgID(i.Organization)},
		Invitation: digest, DocumentsOnly: i.DocumentsOnly, Rotation: i.Rotation, Until: until, State: unanswered}
	if i.Keys == nil {
		return a, nil
	}
	spki, err := custody.ParseSPKI(i.Keys.Key)
	if err != nil {
		return a, err
	}
	a.State = answered
	number := evidence.Fingerprint(spki, i.Keys.Recipient).String()
	if slices.ContainsFunc(listed, func(who wire.Actor) bool { return who.ID == i.Actor && who.Fingerprint == number }) {
		a.State = admitted
	}
	return a, nil
}

// newcomerOf looks at who waits; nil if nobody does.
func newcomerOf(r request, c *client.Client, id evidence.ActorID) (*newcomer, error) {
	s := evidence.ActorOf(id)
	v, err := c.Look(r, s)
	if err != nil {
		return nil, err
	}
	who, ok := v.State(s).(*evidence.ActorState)
	if !ok || who.Status != evidence.StatusPending {
		return nil, nil
	}
	n := &newcomer{person: person{Actor: id, Role: who.Role, Organization: who.Organization}, DocumentsOnly: who.DocumentsOnly,
		KeyNumber: tlog.SixGroups(who.Fingerprint()), Rotation: v.Len(s) > 1,
		AdmittedBy: person{Actor: who.EnrolledBy, Role: who.EnrolledRole, Organization: who.EnrolledOrg, Me: who.EnrolledBy == c.Actor()}}
	for e, err := range v.Events(s) {
		if err != nil {
			return nil, err
		}
		if e.Kind == evidence.ActorEnrolled || e.Kind == evidence.ActorKeyRotated {
			n.Admitted = e.Time
		}
	}
	return n, nil
}

type inviteParams struct {
	Role          evidence.Role    `json:"role,omitempty"`
	Organization  evidence.OrgID   `json:"organization,omitempty"` // a new one if there is none
	DocumentsOnly bool             `json:"documents_only,omitempty"`
	Rotation      evidence.ActorID `json:"rotation,omitempty"` // who lost the keys; then nothing else is said
}

func (p inviteParams) check() error {
	return valid(p.Rotation != "" || wire.Role(p.Role).Valid(), p.Organization == "" || evidence.ValidID(p.Organization), p.Rotation == "" || evidence.ValidID(p.Rotation))
}

type inviteAnswer struct {
	Code          string         `json:"code"` // to be handed over outside the vault; it is kept nowhere
	Invitation    evidence.Hash  `json:"invitation"`
	Organization  evidence.OrgID `json:"organization,omitempty"`
	Role          evidence.Role  `json:"role,omitempty"`
	DocumentsOnly bool           `json:"documents_only,omitempty"`
	Until         evidence.Time  `json:"until,omitempty"`
}

// invite makes an invitation. This device remembers what it was for, so that it is admitted from here.
func invite(r request, c *client.Client, p inviteParams) (a inviteAnswer, err error) {
	o := client.Offer{Role: p.Role, Organization: p.Organization, DocumentsOnly: p.DocumentsOnly, Rotation: p.Rotation}
	if o.Organization == "" && o.Rotation == "" {
		o.Organization = evidence.NewID[evidence.OrgID]()
	}
	a = inviteAnswer{Organization: o.Organization, Role: o.Role, DocumentsOnly: o.DocumentsOnly}
	if a.Code, a.Invitation, err = c.Invite(r, o); err != nil {
		return inviteAnswer{}, err
	}
	open, err := c.Invitations(r)
	if client.LieOf(err) != "" {
		return inviteAnswer{}, err // another error is no reason to lose the code
	}
	for _, i := range open {
		if until, err := evidence.ParseTime(i.Expires); i.Digest == a.Invitation.String() && err == nil {
			a.Until = until
		}
	}
	return a, nil
}

type admitParams struct {
	Invitation evidence.Hash  `json:"invitation"`
	Cause      evidence.Cause `json:"cause,omitempty"` // of new keys
}

type admitAnswer struct {
	Entry int64            `json:"entry"`
	Actor evidence.ActorID `json:"actor"`
}

// admit signs that the keys which answered an invitation of this person's shall be somebody's. They wait for another person.
func admit(r request, c *client.Client, p admitParams) (a admitAnswer, err error) {
	receipt, err := c.Admit(r, p.Invitation, p.Cause)
	if err != nil {
		return a, err
	}
	return admitAnswer{receipt.Index(), evidence.ActorID(receipt.Event.Stream.ID)}, nil
}

type confirmParams struct {
	Actor     evidence.ActorID `json:"actor"`
	KeyNumber string           `json:"key_number"` // that was shown, and compared as a whole
	Heard     map[int]string   `json:"heard"`      // two of its groups or more, counted from 1, as they were heard and typed
	Method    evidence.Method  `json:"method"`
}

func (p confirmParams) check() error { return valid(evidence.ValidID(p.Actor)) }

// leastHeard is how many groups a person types as they are heard: who only looks at a number has not listened.
const leastHeard = 2

// confirm signs that the key number was compared over a second channel. What was typed must be of the number that was shown, and that one of
// the keys that wait when it is signed.
func confirm(r request, c *client.Client, p confirmParams) (a onlyEntry, err error) {
	shown, err := tlog.ParseSixGroups(p.KeyNumber)
	if err != nil {
		return a, evidence.Refuse(evidence.Invalid, evidence.ReasonFingerprint)
	}
	groups := strings.Fields(shown)
	if len(p.Heard) < leastHeard {
		return a, evidence.Refuse(evidence.Invalid, evidence.ReasonFingerprint)
	}
	for n, heard := range p.Heard {
		if n < 1 || n > len(groups) || groups[n-1] != heard {
			return a, evidence.Refuse(evidence.Invalid, evidence.ReasonFingerprint)
		}
	}
	receipt, err := c.Confirm(r, client.Confirmation{Actor: p.Actor, Typed: shown, Method: p.Method})
	if err != nil {
		return a, err
	}
	return onlyEntry{receipt.Index()}, nil
}

type actorParams struct {
	Actor evidence.ActorID `json:"actor"`
}

func (p actorParams) check() error { return valid(evidence.ValidID(p.Actor)) }

// reject stops keys that nobody has confirmed, because the number that was heard is another one. Only who is new is stopped so: somebody who was
// confirmed before keeps what was signed, and new keys count for nothing until they are confirmed.
func reject(r request, c *client.Client, p actorParams) (a onlyEntry, err error) {
	n, err := newcomerOf(r, c, p.Actor)
	if err != nil {
		return a, err
	}
	if n == nil || n.Rotation {
		return a, evidence.Refuse(evidence.Conflict, evidence.ReasonNotPending)
	}
	receipt, err := c.Revoke(r, p.Actor, evidence.CauseCompromise)
	if err != nil {
		return a, err
	}
	return onlyEntry{receipt.Index()}, nil
}
