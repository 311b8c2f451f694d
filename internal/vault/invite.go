package vault

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
)

// Offer is what an invitation is for.
type Offer struct {
	Role          evidence.Role
	Organization  evidence.OrgID
	DocumentsOnly bool
	Rotation      evidence.ActorID // the actor who gets new keys, or ""
}

var secretEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Invite makes an invitation: a secret of 26 characters, handed to one person outside the vault, with which keys can be offered once.
// Whoever may sign the enrolment may invite: an administrator for staff, a custodian for everybody else; and who may sign new keys, for
// those: a custodian, and a trustee of the person concerned (RULES §3.3).
func (v *Vault) Invite(ctx context.Context, by Caller, o Offer) (secret string, i Invitation, err error) {
	i = Invitation{
		Actor: evidence.NewID[evidence.ActorID](), Role: o.Role, Organization: o.Organization, DocumentsOnly: o.DocumentsOnly,
		By: by.Actor, Expires: v.cfg.Now().Add(v.cfg.Limits.Invitation),
	}
	vouches := false
	if o.Rotation != "" {
		actor, err := state[*evidence.ActorState](ctx, v, evidence.ActorOf(o.Rotation))
		if err != nil {
			return "", i, err
		}
		vouches = by.Role == evidence.Custodian || slices.Contains(actor.Trustees, by.Actor)
		if by.Role == evidence.Trustee && !vouches {
			return "", i, evidence.Refuse(evidence.Forbidden, evidence.ReasonTrustee)
		}
		i.Actor, i.Role, i.Organization, i.DocumentsOnly, i.Rotation = actor.ID, actor.Role, actor.Organization, actor.DocumentsOnly, true
	}
	enroller := evidence.Custodian
	if i.Role.Staff() {
		enroller = evidence.Administrator
	}
	if i.Role == evidence.Vault && o.Rotation == "" || by.Role != enroller && !vouches {
		return "", i, evidence.Refuse(evidence.Forbidden, evidence.ReasonEnroller)
	}
	var raw [16]byte
	rand.Read(raw[:])
	secret = secretEncoding.EncodeToString(raw[:])
	i.Digest = evidence.SHA256([]byte(secret))
	return secret, i, v.cfg.Records.PutInvitation(ctx, i)
}

// InvitationTerms tells the holder of the secret what it is for. Unknown and expired ones look alike.
func (v *Vault) InvitationTerms(ctx context.Context, secret string) (Invitation, error) {
	i, err := v.cfg.Records.Invitation(ctx, evidence.SHA256([]byte(strings.ToLower(secret))))
	if evidence.KindOf(err) == evidence.NotFound || err == nil && !v.cfg.Now().Before(i.Expires) {
		return Invitation{}, errHidden
	}
	return i, err
}

// AnswerInvitation stores the keys that the holder of the secret offers. They mean nothing until the enrolment is signed and confirmed.
func (v *Vault) AnswerInvitation(ctx context.Context, secret string, keys evidence.Keys) (evidence.Hash, error) {
	i, err := v.InvitationTerms(ctx, secret)
	if err != nil {
		return evidence.Hash{}, err
	}
	keys.Invitation = i.Digest
	if err := keys.Check(); err != nil {
		return evidence.Hash{}, err
	}
	if err := checkPossession(v.cfg.Origin, i.Actor, keys); err != nil {
		return evidence.Hash{}, err
	}
	spki, err := custody.ParseSPKI(keys.Key)
	if err != nil {
		return evidence.Hash{}, err
	}
	if (keys.Recipient == "") != i.Role.Keyless() {
		return evidence.Hash{}, evidence.Refuse(evidence.Invalid, evidence.ReasonKeys)
	}
	return evidence.Fingerprint(spki, keys.Recipient), v.cfg.Records.AnswerInvitation(ctx, i.Digest, keys)
}

// checkPossession is custody's. Who gives a proof that does not fit is not asked to sign in for it.
func checkPossession(origin string, actor evidence.ActorID, keys evidence.Keys) error {
	err := custody.CheckPossession(origin, actor, keys)
	if evidence.KindOf(err) == evidence.Unauthenticated {
		return evidence.Refuse(evidence.Invalid, evidence.ReasonPossession)
	}
	return err
}

// Invitations lists the open invitations of the caller, answered or not.
func (v *Vault) Invitations(ctx context.Context, by Caller, limit int) ([]Invitation, error) {
	return v.cfg.Records.Invitations(ctx, by.Actor, v.cfg.Now(), min(limit, MaxPage))
}

// checkOffer compares new keys with the invitation that was answered with them, and checks the proof that their holder wants them.
func (v *Vault) checkOffer(ctx context.Context, e *evidence.Event) error {
	var keys evidence.Keys
	rotation := false
	switch d := e.Details.(type) {
	case *evidence.ActorEnrolledDetails:
		if keys = d.Keys; string(e.Actor.ID) == e.Stream.ID {
			return nil // a founder signs the enrolment itself with the key
		}
	case *evidence.ActorKeyRotatedDetails:
		keys, rotation = d.Keys, true
	default:
		return nil
	}
	id := evidence.ActorID(e.Stream.ID)
	if err := checkPossession(v.cfg.Origin, id, keys); err != nil {
		return err
	}
	i, err := v.cfg.Records.Invitation(ctx, keys.Invitation)
	if err != nil && evidence.KindOf(err) != evidence.NotFound {
		return err
	}
	if err != nil || i.Actor != id || i.Rotation != rotation || i.Keys == nil || *i.Keys != keys || !v.cfg.Now().Before(i.Expires) {
		return evidence.Refuse(evidence.Invalid, "invitation")
	}
	if d, ok := e.Details.(*evidence.ActorEnrolledDetails); ok &&
		(d.Role != i.Role || d.Organization != i.Organization || d.DocumentsOnly != i.DocumentsOnly) {
		return evidence.Refuse(evidence.Invalid, "invitation")
	}
	return nil
}
