package client

import (
	"context"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// Founder is who brings a vault into being, before there is anything to connect to.
type Founder struct {
	Origin       string // of the vault
	Role         evidence.Role
	Organization evidence.OrgID
	Signer       Signer
	Recipient    string // age recipient; "" for an administrator
	Tool         evidence.Tool
	Time         evidence.Time
}

// Found makes a founder file: a person's own enrolment, signed with the key that the trust file will name (RULES §3.3).
func Found(f Founder) (evidence.ActorID, []byte, error) {
	id := evidence.NewID[evidence.ActorID]()
	e := &evidence.Event{
		Vault: f.Origin, Kind: evidence.ActorEnrolled, Stream: evidence.Position{Type: evidence.ActorStream, ID: string(id)},
		Actor: evidence.Signer{ID: id, Role: f.Role, Organization: f.Organization}, Time: f.Time, Tool: f.Tool,
		Details: &evidence.ActorEnrolledDetails{
			Keys: evidence.Keys{Key: base64.StdEncoding.EncodeToString(f.Signer.SPKI()), Recipient: f.Recipient},
			Role: f.Role, Organization: f.Organization,
		},
	}
	e.Subject = e.Subjects(nil)
	facts := evidence.Facts{Origin: f.Origin, Founders: []evidence.Founder{{Actor: id, Role: f.Role, Key: custody.KeyID(f.Signer.SPKI())}}}
	if _, err := evidence.Apply(facts, e, evidence.SHA256(nil)); err != nil {
		return "", nil, err
	}
	signed, err := custody.Sign(e, f.Signer.SPKI(), f.Signer)
	if err != nil {
		return "", nil, err
	}
	return id, signed.DSSE(), nil
}

// InvitationTerms says what an invitation is for, before it is answered.
func (c *Client) InvitationTerms(ctx context.Context, secret string) (wire.InvitationTerms, error) {
	req, err := wire.NewGetInvitationTermsRequest(c.address, wire.InvitationSecret{Secret: secret})
	terms, err := public[wire.InvitationTerms](ctx, c, req, err, http.StatusOK)
	if err != nil {
		return terms, err
	}
	if terms.Origin != c.trust.Vault() {
		return terms, alarm(WrongVault, evidence.Stream{}, nil)
	}
	_, err = evidence.ParseTime(terms.Expires)
	if !evidence.ValidID(evidence.ActorID(terms.Actor)) || !terms.Role.Valid() || err != nil ||
		terms.Organization != "" && !evidence.ValidID(evidence.OrgID(terms.Organization)) {
		return wire.InvitationTerms{}, alarm(Malformed, evidence.Stream{}, err)
	}
	return terms, nil
}

// AnswerInvitation offers this device's keys, with the proof that their holder wants them in this vault, and keeps the actor's id. It
// returns the fingerprint to be read out over a second channel. Repeating it changes nothing. The keys count once an enrolment is signed
// and another person has confirmed it (RULES §3.3).
//
// An error comes with the fingerprint, too, unless the vault has not taken the keys for certain: when its answer did not come back, or says
// what cannot be.
func (c *Client) AnswerInvitation(ctx context.Context, secret string) (evidence.Hash, error) {
	terms, err := c.InvitationTerms(ctx, secret)
	if err != nil {
		return evidence.Hash{}, err
	}
	actor := evidence.ActorID(terms.Actor)
	if c.actor != "" && c.actor != actor {
		return evidence.Hash{}, evidence.Refuse(evidence.Conflict, "enrolled_already")
	}
	recipient := ""
	if !evidence.Role(terms.Role).Keyless() {
		id, err := c.unlock()
		if err != nil {
			return evidence.Hash{}, err
		}
		recipient = id.Recipient()
	}
	fingerprint := evidence.Fingerprint(c.cfg.Signer.SPKI(), recipient)
	keys := evidence.Keys{Key: c.publicKey(), Recipient: recipient, Invitation: evidence.SHA256([]byte(strings.ToLower(secret)))}
	if err := c.prove(actor, fingerprint, &keys); err != nil {
		return evidence.Hash{}, err
	}
	answer, err := lossy(ctx, c, func() (wire.Answered, error) {
		req, err := wire.NewAnswerInvitationRequest(c.address, wire.InvitationAnswer{
			Secret: secret, Key: keys.Key, Recipient: keys.Recipient, Possession: keys.Possession,
		})
		return public[wire.Answered](ctx, c, req, err, http.StatusOK)
	})
	if declined(err) {
		return evidence.Hash{}, err
	}
	if err != nil {
		return fingerprint, err
	}
	if answer.Fingerprint != fingerprint.String() {
		return fingerprint, alarm(OtherOffer, evidence.Stream{}, errors.New("the vault read other keys"))
	}
	c.actor = actor
	return fingerprint, WriteProfile(c.cfg.Keystore, Profile{Address: c.profile, Actor: actor})
}

// declined reports whether an error is what a vault says that has read a request and will not have it: not that it is busy or broken, and
// nothing that anybody between said.
func declined(err error) bool {
	said := (*Problem)(nil)
	if !errors.As(err, &said) || said.Reason == "http" {
		return false
	}
	kind := evidence.KindOf(err)
	return kind != evidence.Internal && kind != evidence.Pending && kind != evidence.TooMany
}

// prove fills in the proof that their holder wants these keys. It is kept, so that an answer that got lost can be given again: no two
// signatures are alike, and the vault takes one answer only.
func (c *Client) prove(actor evidence.ActorID, fingerprint evidence.Hash, keys *evidence.Keys) error {
	err := readDoc(c.cfg.Keystore, answerDoc, &keys.Possession)
	if err == nil && custody.CheckPossession(c.trust.Vault(), actor, *keys) == nil {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	message := custody.Possession{Vault: c.trust.Vault(), Actor: actor, Fingerprint: fingerprint, Invitation: keys.Invitation}
	dsse, err := message.Sign(c.cfg.Signer.SPKI(), c.cfg.Signer)
	if err != nil {
		return err
	}
	_, signature, err := custody.OpenPossession(dsse)
	if err != nil {
		return err
	}
	keys.Possession = base64.StdEncoding.EncodeToString(signature.DER)
	return writeDoc(c.cfg.Keystore, answerDoc, keys.Possession)
}

// Offer is what a person is invited for: a role in an organization, or new keys for an actor who has lost the old ones.
type Offer struct {
	Role          evidence.Role    `json:"role,omitempty"`
	Organization  evidence.OrgID   `json:"organization,omitempty"`
	DocumentsOnly bool             `json:"documents_only,omitempty"`
	Rotation      evidence.ActorID `json:"rotation,omitempty"`
}

// Invite makes an invitation and returns its secret, to be handed over outside the vault, and its digest, by which it is admitted. What
// it was for is remembered here, so that the vault cannot make it one for something else.
func (c *Client) Invite(ctx context.Context, o Offer) (secret string, digest evidence.Hash, err error) {
	req, err := wire.NewCreateInvitationRequest(c.address, wire.InvitationRequest{
		Role: wire.Role(o.Role), Organization: string(o.Organization), DocumentsOnly: o.DocumentsOnly, Rotation: string(o.Rotation),
	})
	made, err := ask[wire.NewInvitation](ctx, c, req, err, http.StatusCreated)
	if err != nil {
		return "", digest, err
	}
	if len(made.Secret) != 26 || strings.Trim(made.Secret, "abcdefghijklmnopqrstuvwxyz234567") != "" { // it is read out
		return "", digest, alarm(Malformed, evidence.Stream{}, nil)
	}
	digest = evidence.SHA256([]byte(made.Secret))
	if made.Invitation.Digest != digest.String() {
		return "", digest, alarm(OtherOffer, evidence.Stream{}, nil)
	}
	offers := make(map[evidence.Hash]Offer)
	if err := readDoc(c.cfg.Keystore, offersDoc, &offers); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", digest, err
	}
	offers[digest] = o
	return made.Secret, digest, writeDoc(c.cfg.Keystore, offersDoc, offers)
}

// Invitations lists this person's open invitations. It is for orientation: Admit checks.
func (c *Client) Invitations(ctx context.Context) ([]wire.Invitation, error) {
	limit := int32(100)
	req, err := wire.NewListInvitationsRequest(c.address, &wire.ListInvitationsParams{Limit: &limit})
	list, err := ask[wire.InvitationList](ctx, c, req, err, http.StatusOK)
	return list.Invitations, err
}

// Admit signs actor.enrolled for an invitation that was answered, or actor.key_rotated if it was one for new keys (RULES §3.3). The keys
// stay pending until another person has confirmed their fingerprint. cause is for a rotation, trustees for a survivor.
func (c *Client) Admit(ctx context.Context, digest evidence.Hash, cause evidence.Cause, trustees ...evidence.ActorID) (*Receipt, error) {
	offers := make(map[evidence.Hash]Offer)
	if err := readDoc(c.cfg.Keystore, offersDoc, &offers); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	offer, ok := offers[digest]
	if !ok {
		return nil, evidence.Refuse(evidence.NotFound, "invitation") // made on another device, or by another person
	}
	answer, err := c.answered(ctx, digest)
	if err != nil {
		return nil, err
	}
	actor := evidence.ActorID(answer.Actor)
	keys := evidence.Keys{Key: answer.Keys.Key, Recipient: answer.Keys.Recipient, Possession: answer.Keys.Possession, Invitation: digest}
	if err := custody.CheckPossession(c.trust.Vault(), actor, keys); err != nil {
		return nil, alarm(OtherOffer, evidence.ActorOf(actor), err)
	}
	stream := evidence.ActorOf(actor)
	if offer.Rotation != "" {
		if actor != offer.Rotation {
			return nil, alarm(OtherOffer, stream, nil)
		}
		return c.perform(ctx, []evidence.Stream{stream}, func(*View) (act, error) {
			return act{stream: stream, event: &evidence.Event{
				Kind: evidence.ActorKeyRotated, Change: cause, Details: &evidence.ActorKeyRotatedDetails{Keys: keys, Cause: cause},
			}}, nil
		})
	}
	if answer.Rotation {
		return nil, alarm(OtherOffer, stream, nil)
	}
	trustees = slices.Sorted(slices.Values(trustees))
	return c.perform(ctx, nil, func(*View) (act, error) {
		return act{stream: stream, event: &evidence.Event{Kind: evidence.ActorEnrolled, Details: &evidence.ActorEnrolledDetails{
			Keys: keys, Role: offer.Role, Organization: offer.Organization, DocumentsOnly: offer.DocumentsOnly, Trustees: trustees,
		}}}, nil
	})
}

func (c *Client) answered(ctx context.Context, digest evidence.Hash) (wire.Invitation, error) {
	list, err := c.Invitations(ctx)
	if err != nil {
		return wire.Invitation{}, err
	}
	for _, i := range list {
		if i.Digest != digest.String() {
			continue
		}
		if i.Keys == nil {
			return i, evidence.Refuse(evidence.Pending, "invitation_unanswered")
		}
		return i, nil
	}
	return wire.Invitation{}, evidence.Refuse(evidence.NotFound, "invitation")
}

// Confirmation is a fingerprint that was read out over a second channel, as it was typed: six groups of five digits.
type Confirmation struct {
	Actor  evidence.ActorID
	Typed  string
	Method evidence.Method
}

// Confirm signs actor.confirmed ② if what was typed is the fingerprint of the keys that wait (RULES §3.3).
func (c *Client) Confirm(ctx context.Context, p Confirmation) (*Receipt, error) {
	typed, err := tlog.ParseSixGroups(p.Typed)
	if err != nil {
		return nil, evidence.Fail(evidence.Invalid, evidence.ReasonFingerprint, nil)
	}
	stream := evidence.ActorOf(p.Actor)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		who, err := state[*evidence.ActorState](v, stream)
		if err != nil {
			return act{}, err
		}
		if tlog.SixGroups(who.Fingerprint()) != typed {
			return act{}, evidence.Refuse(evidence.Invalid, evidence.ReasonFingerprint)
		}
		return act{stream: stream, event: &evidence.Event{
			Kind: evidence.ActorConfirmed, Details: &evidence.ActorConfirmedDetails{Fingerprint: who.Fingerprint(), Method: p.Method},
		}}, nil
	})
}

// Suspend signs actor.suspended: until then no signature of the actor counts (RULES §3.3).
func (c *Client) Suspend(ctx context.Context, actor evidence.ActorID, cause evidence.Cause, until evidence.Time) (*Receipt, error) {
	stream := evidence.ActorOf(actor)
	return c.perform(ctx, []evidence.Stream{stream}, func(*View) (act, error) {
		return act{stream: stream, event: &evidence.Event{
			Kind: evidence.ActorSuspended, Change: cause, Details: &evidence.ActorSuspendedDetails{Cause: cause, Until: until},
		}}, nil
	})
}

// Revoke signs actor.revoked: no later signature of the actor counts, ever (RULES §3.3). Everybody may revoke themselves.
func (c *Client) Revoke(ctx context.Context, actor evidence.ActorID, cause evidence.Cause) (*Receipt, error) {
	stream := evidence.ActorOf(actor)
	return c.perform(ctx, []evidence.Stream{stream}, func(*View) (act, error) {
		return act{stream: stream, event: &evidence.Event{
			Kind: evidence.ActorRevoked, Change: cause, Details: &evidence.ActorRevokedDetails{Cause: cause},
		}}, nil
	})
}

// ActorInfo is one entry of the verified directory.
type ActorInfo struct {
	*evidence.ActorState
	Shown string // the fingerprint in six groups
}

// WhoAmI returns this person's verified entry of the directory, and whether the device's keys are those in force.
func (c *Client) WhoAmI(ctx context.Context) (me ActorInfo, current bool, err error) {
	if me, err = c.Person(ctx, c.actor); err != nil {
		return me, false, err
	}
	return me, me.Key == c.publicKey(), nil
}

// Person returns a verified entry of the directory.
func (c *Client) Person(ctx context.Context, id evidence.ActorID) (ActorInfo, error) {
	_, who, err := lookAt[*evidence.ActorState](ctx, c, evidence.ActorOf(id))
	if err != nil {
		return ActorInfo{}, err
	}
	return ActorInfo{who, tlog.SixGroups(who.Fingerprint())}, nil
}

// recipientOf returns the age recipient of an actor, whose keys must be those of the fingerprint: who has changed keys since is addressed
// by nobody until those who decide have followed.
func recipientOf(v *View, id evidence.ActorID, fingerprint evidence.Hash) (string, error) {
	who, err := state[*evidence.ActorState](v, evidence.ActorOf(id))
	if err != nil {
		return "", err
	}
	if who.Fingerprint() != fingerprint {
		return "", evidence.Refuse(evidence.Conflict, "keyring_outdated")
	}
	if err := sealing.CheckRecipient(who.Recipient); err != nil {
		return "", evidence.Fail(evidence.Invalid, evidence.ReasonKeys, err)
	}
	return who.Recipient, nil
}
