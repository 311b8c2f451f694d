//go:build js && wasm

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// offer is what an invitation is for, with the trust file whose number was shown beside it: what is joined is what was shown.
type offer struct {
	terms wire.InvitationTerms
	trust tlog.Trust
}

type codeParams struct {
	Code string `json:"code"`
}

type termsAnswer struct {
	Vault         string         `json:"vault"`
	VaultNumber   string         `json:"vault_number"` // six groups, to be compared by phone
	Role          evidence.Role  `json:"role"`
	Organization  evidence.OrgID `json:"organization,omitempty"`
	DocumentsOnly bool           `json:"documents_only"`
	Rotation      bool           `json:"rotation"` // it is for new keys of somebody who lost the old ones
	Until         evidence.Time  `json:"until"`
}

// invitationCode is the form of a code (api/openapi.yaml, Secret).
var invitationCode = regexp.MustCompile(`^[A-Za-z2-7]{26}$`)

func parseCode(text string) (string, error) {
	code := strings.NewReplacer(" ", "", "-", "").Replace(strings.TrimSpace(text))
	if !invitationCode.MatchString(code) {
		return "", evidence.Refuse(evidence.Invalid, "code_form")
	}
	return code, nil
}

// terms says what an invitation is for. Nothing is kept on this device.
func terms(r request, p codeParams) (a termsAnswer, err error) {
	code, err := parseCode(p.Code)
	if err != nil {
		return a, err
	}
	address, err := client.ParseAddress(origin())
	if err != nil {
		return a, err
	}
	trust, err := client.PresentTrust(r, address, fetcher{})
	if err != nil {
		return a, err
	}
	k := new(client.InMemory)
	if err := errors.Join(client.Pin(k, trust), client.WriteProfile(k, client.Profile{Address: origin()})); err != nil {
		return a, err
	}
	c, err := client.New(r.config(k, nil))
	if err != nil {
		return a, err
	}
	t, err := c.InvitationTerms(r, code)
	if evidence.KindOf(err) == evidence.NotFound {
		err = evidence.Refuse(evidence.NotFound, "invitation")
	}
	if err != nil {
		return a, err
	}
	until, err := evidence.ParseTime(t.Expires)
	if err != nil {
		return a, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.offers[code] = offer{t, trust}
	return termsAnswer{trust.Vault(), tlog.SixGroups(trust.Fingerprint()), evidence.Role(t.Role), evidence.OrgID(t.Organization), t.DocumentsOnly, t.Rotation, until}, nil
}

type joinParams struct {
	Code       string `json:"code"`
	Passphrase string `json:"passphrase"`
}

type recovery struct {
	Name string `json:"name"`
	Text string `json:"text"` // the age identity under the passphrase, as stock age reads it
}

type joinAnswer struct {
	Actor     evidence.ActorID `json:"actor"`
	KeyNumber string           `json:"key_number"`         // six groups, to be read out to the second person
	Recovery  *recovery        `json:"recovery,omitempty"` // none for roles that open nothing
}

// join makes the keys and answers the invitation whose terms were shown. Repeating it after an interruption goes on with the same keys, under
// the same passphrase.
func join(r request, p joinParams) (a joinAnswer, err error) {
	code, err := parseCode(p.Code)
	if err != nil {
		return a, err
	}
	r.mu.Lock()
	o, shown := r.offers[code]
	if !shown {
		r.mu.Unlock()
		return a, evidence.Refuse(evidence.Conflict, "terms_first")
	}
	k, err := r.store()
	r.mu.Unlock()
	if err != nil {
		return a, err
	}
	release, err := r.alone(k)
	if err != nil {
		return a, err
	}
	defer release()
	r.mu.Lock()
	c, err := r.prepare(o, p.Passphrase)
	r.mu.Unlock() // answering asks for the identity
	if err != nil {
		return a, err
	}
	number, err := c.AnswerInvitation(r, code)
	if err != nil {
		return a, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.client = c
	a.Actor, a.KeyNumber = c.Actor(), tlog.SixGroups(number)
	if evidence.Role(o.terms.Role).Keyless() {
		return a, nil
	}
	a.Recovery, err = r.recovery(a.Actor)
	return a, err
}

// alone waits until no other tab makes keys: two would make two, and keep one of them while the vault was told of the other.
func (r request) alone(k client.Keystore) (release func() error, err error) {
	for {
		release, ok, err := k.Lock("enrolment.lock")
		if ok || err != nil {
			return release, err
		}
		select {
		case <-r.Done():
			return nil, r.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (d *device) recovery(actor evidence.ActorID) (*recovery, error) {
	text, err := d.kept.Read(identityDoc)
	return &recovery{"recovery-" + string(actor) + ".age", string(text)}, err
}

// again is the recovery file, for who closed the page before it was saved.
func again(r request, c *client.Client, _ none) (a recovery, err error) {
	e, err := readEnrolment(r.kept)
	if err != nil {
		return a, err
	}
	if e.Role.Keyless() {
		return a, errNoKeys
	}
	file, err := r.device.recovery(c.Actor())
	return *file, err
}

// prepare pins the trust file and makes what is missing of the keys; it is called under the lock.
func (d *device) prepare(o offer, passphrase string) (*client.Client, error) {
	k, err := d.store()
	if err != nil {
		return nil, err
	}
	profile, err := client.ReadProfile(k)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if profile.Actor != "" && (o.terms.Rotation || string(profile.Actor) != o.terms.Actor) {
		return nil, evidence.Refuse(evidence.Conflict, "keys_exist")
	}
	text, err := json.Marshal(enrolment{evidence.Role(o.terms.Role), evidence.OrgID(o.terms.Organization)})
	if err != nil {
		return nil, err
	}
	profile.Address = origin()
	if err := errors.Join(client.Pin(k, o.trust), client.WriteProfile(k, profile), k.Write(enrolmentDoc, text)); err != nil {
		return nil, err
	}
	// Whose role opens nothing has an identity for the passphrase alone: it is never offered.
	id, err := client.ReadIdentity(k, passphrase)
	if errors.Is(err, fs.ErrNotExist) {
		if id, err = sealing.NewIdentity(); err == nil {
			err = client.WriteIdentity(k, id, passphrase)
		}
	}
	if err != nil {
		return nil, err
	}
	if d.signer, err = openSigner(keyName); errors.Is(err, fs.ErrNotExist) {
		d.signer, err = createSigner(keyName)
	}
	if err != nil {
		return nil, err
	}
	d.identity = &id
	return client.New(d.config(k, d.signer))
}

type meAnswer struct {
	Actor            evidence.ActorID `json:"actor"`
	Role             evidence.Role    `json:"role"`
	Organization     evidence.OrgID   `json:"organization,omitempty"`
	OrganizationName string           `json:"organization_name,omitempty"`
	State            evidence.Status  `json:"state"` // "waiting": the vault does not know these keys, or not yet
	KeyNumber        string           `json:"key_number"`
	Confirmed        bool             `json:"confirmed"` // these keys are the ones that count, and are active
}

const stateWaiting evidence.Status = "waiting"

// me asks the vault who this is. Before somebody has confirmed the keys it says nothing of them, as to a stranger.
func me(r request, c *client.Client, _ none) (a meAnswer, err error) {
	e, err := readEnrolment(r.kept)
	if err != nil {
		return a, err
	}
	recipient := ""
	if !e.Role.Keyless() {
		id, err := r.config(r.kept, nil).Unlock()
		if err != nil {
			return a, err
		}
		recipient = id.Recipient()
	}
	number := evidence.Fingerprint(r.signer.SPKI(), recipient)
	a = meAnswer{Actor: c.Actor(), Role: e.Role, Organization: e.Organization, State: stateWaiting, KeyNumber: tlog.SixGroups(number)}
	info, _, err := c.WhoAmI(r)
	if evidence.KindOf(err) == evidence.Unauthenticated && evidence.ReasonOf(err) == "sign_in" {
		return a, nil
	}
	if err != nil {
		return a, err
	}
	names, err := organizations(r, c)
	if err != nil {
		return a, err
	}
	a.Role, a.Organization, a.OrganizationName, a.State = info.Role, info.Organization, names[info.Organization], info.Status
	a.Confirmed = info.Fingerprint() == number && info.Active(evidence.At(r.now()))
	return a, nil
}

// organizations are the operator's names; none where the vault has none to give.
func organizations(r request, c *client.Client) (map[evidence.OrgID]string, error) {
	names, err := c.Organizations(r)
	if err != nil && client.LieOf(err) == "" {
		return nil, nil
	}
	return names, err
}
