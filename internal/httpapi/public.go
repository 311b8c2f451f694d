package httpapi

import (
	"context"
	"encoding/hex"
	"maps"
	"math"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

type probes struct {
	vault *vault.Vault
	ready func(context.Context) wire.Health
}

func (probes) Health(context.Context, HealthRequestObject) (HealthResponseObject, error) {
	return Health200JSONResponse{HealthJSONResponse{Status: wire.HealthStatusOk}}, nil
}

func (p probes) Ready(ctx context.Context, _ ReadyRequestObject) (ReadyResponseObject, error) {
	h := HealthJSONResponse(p.ready(ctx))
	h.Status = wire.HealthStatusOk
	switch s := p.vault.Witnessed(); {
	case s.Alarmed():
		h.Witnesses = wire.HealthWitnessesAlarm
	case s.Late(p.vault.Info().Time.Std()):
		h.Witnesses = wire.HealthWitnessesBehind
	}
	// By a clock that is minutes off, shares would go on after their end, or end before it. Without log and objects people still sign in, withdraw, revoke and place holds: a balancer must not turn them away.
	switch on := h.Dependencies; {
	case h.Draining, on.Records == wire.DependencyDown, math.Abs(float64(h.Clock)) > evidence.Clock.Seconds():
		h.Status = wire.HealthStatusNotReady
		return Ready503JSONResponse(h), nil
	case on.Log != wire.DependencyOk || on.Objects != wire.DependencyOk:
		h.Status = wire.HealthStatusDegraded
	}
	return Ready200JSONResponse{h}, nil
}

type logReads struct {
	vault     *vault.Vault
	trust     evidence.Hash
	trustFile func(ctx context.Context, number string) (string, error)

	revocations func() (map[string][]byte, error)
}

func (l logReads) GetVault(ctx context.Context, _ GetVaultRequestObject) (GetVaultResponseObject, error) {
	info := l.vault.Info()
	newest, err := l.vault.Newest(ctx)
	if err != nil {
		return nil, err
	}
	return GetVault200JSONResponse{
		Origin: info.Origin, Time: info.Time.String(), Checkpoint: string(newest), TrustFingerprint: l.trust.String(),
		Final: finality(l.vault.Witnessed()),
	}, nil
}

// finality is nothing where nobody is asked.
func finality(s ledger.Status) *wire.Finality {
	if !s.Required && len(s.Witnesses) == 0 && len(s.Authorities) == 0 {
		return nil
	}
	return &wire.Finality{
		Required: s.Required, Size: s.Size, Behind: s.Behind, Since: instant(s.Since),
		Witnesses: each(s.Witnesses, peer), Authorities: each(s.Authorities, peer),
	}
}

func peer(p ledger.Peer) wire.Peer {
	return wire.Peer{Name: p.Name, Auditor: p.Auditor, State: wire.PeerState(p.State), Reason: p.Reason, Size: p.Size, At: instant(p.At)}
}

// instant is a time, or nothing.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return evidence.At(t).String()
}

func (l logReads) GetTrust(ctx context.Context, r GetTrustRequestObject) (GetTrustResponseObject, error) {
	text, err := l.trustFile(ctx, r.Number)
	if err != nil {
		return nil, err
	}
	return GetTrust200TextResponse(text), nil
}

func (l logReads) GetCheckpoint(ctx context.Context, r GetCheckpointRequestObject) (GetCheckpointResponseObject, error) {
	var note []byte
	var err error
	switch {
	case r.Params.Final:
		note, err = l.vault.FinalCheckpoint(ctx)
	case r.Params.Published:
		var p ledger.Published
		p, err = l.vault.PublishedCheckpoint(ctx, 0)
		note = p.Note
	default:
		note, err = l.vault.Newest(ctx)
	}
	if err == nil && note == nil {
		err = evidence.Refuse(evidence.NotFound, "checkpoint")
	}
	if err != nil {
		return nil, err
	}
	return GetCheckpoint200TextResponse(note), nil
}

func (l logReads) GetPublished(ctx context.Context, r GetPublishedRequestObject) (GetPublishedResponseObject, error) {
	p, err := l.vault.PublishedCheckpoint(ctx, r.Size)
	if err != nil {
		return nil, err
	}
	return GetPublished200JSONResponse{
		Size: p.Size, Checkpoint: string(p.Note), Final: !p.Final.IsZero(),
		Stamps: each(p.Stamps, func(s ledger.Stamp) wire.Stamp { return wire.Stamp{Authority: s.Authority, Response: s.Response} }),
	}, nil
}

func (l logReads) ListRevocations(context.Context, ListRevocationsRequestObject) (ListRevocationsResponseObject, error) {
	var lists map[string][]byte
	if l.revocations != nil {
		var err error
		if lists, err = l.revocations(); err != nil {
			return nil, evidence.Fail(evidence.Internal, "revocations", err)
		}
	}
	return ListRevocations200JSONResponse{
		Lists: each(slices.Sorted(maps.Keys(lists)), func(authority string) wire.RevocationList {
			return wire.RevocationList{Authority: authority, CRL: lists[authority]}
		}),
	}, nil
}

func (l logReads) Cosign(ctx context.Context, r CosignRequestObject) (CosignResponseObject, error) {
	if err := l.vault.Cosign(ctx, r.Body.Size, []byte(r.Body.Lines)); err != nil {
		return nil, err
	}
	return Cosign204Response{}, nil
}

func (l logReads) GetConsistency(ctx context.Context, r GetConsistencyRequestObject) (GetConsistencyResponseObject, error) {
	hashes, err := l.vault.Consistency(ctx, r.Params.From, r.Params.To)
	if err != nil {
		return nil, err
	}
	return GetConsistency200JSONResponse{From: r.Params.From, To: r.Params.To, Hashes: hexAll(hashes)}, nil
}

func (l logReads) GetInclusion(ctx context.Context, r GetInclusionRequestObject) (GetInclusionResponseObject, error) {
	leaf, err := evidence.ParseHash(r.Params.LeafHash)
	if err != nil {
		return nil, err
	}
	index, hashes, err := l.vault.Inclusion(ctx, leaf, r.Params.Size)
	if err != nil {
		return nil, err
	}
	return GetInclusion200JSONResponse{Index: index, Size: r.Params.Size, Hashes: hexAll(hashes)}, nil
}

func hexAll(hashes [][]byte) []string {
	list := make([]string, len(hashes))
	for i, h := range hashes {
		list[i] = hex.EncodeToString(h)
	}
	return list
}

type sessions struct {
	auth *auth.Auth
}

func (s sessions) CreateChallenge(ctx context.Context, _ CreateChallengeRequestObject) (CreateChallengeResponseObject, error) {
	c, err := s.auth.Challenge(ctx)
	if err != nil {
		return nil, err
	}
	return CreateChallenge201JSONResponse{
		Nonce: c.Nonce.String(), Time: evidence.At(c.Time).String(), Expires: evidence.At(c.Expires).String(),
	}, nil
}

func (s sessions) SignIn(ctx context.Context, r SignInRequestObject) (SignInResponseObject, error) {
	token, signedIn, err := s.auth.SignIn(ctx, r.Body.DSSE)
	if err != nil {
		return nil, err
	}
	return SignIn201JSONResponse{
		Token: token, Actor: string(signedIn.Actor), Role: wire.Role(signedIn.Role), Expires: evidence.At(signedIn.Expires).String(),
	}, nil
}

func (s sessions) GetSession(ctx context.Context, _ GetSessionRequestObject) (GetSessionResponseObject, error) {
	now := sessionOf(ctx)
	return GetSession200JSONResponse{
		Actor: string(now.Actor), Role: wire.Role(now.Role), KeyID: now.KeyID.String(), Expires: evidence.At(now.Expires).String(),
	}, nil
}

func (s sessions) SignOut(ctx context.Context, _ SignOutRequestObject) (SignOutResponseObject, error) {
	if err := s.auth.SignOut(ctx, sessionOf(ctx).token); err != nil {
		return nil, err
	}
	return SignOut204Response{}, nil
}

type invitations struct {
	vault *vault.Vault
}

func (i invitations) CreateInvitation(ctx context.Context, r CreateInvitationRequestObject) (CreateInvitationResponseObject, error) {
	b := r.Body
	if (b.Role == "") == (b.Rotation == "") || b.Rotation != "" && (b.Organization != "" || b.DocumentsOnly) {
		return nil, evidence.Refuse(evidence.Invalid, "invitation_offer")
	}
	secret, made, err := i.vault.Invite(ctx, callerOf(ctx), vault.Offer{
		Role: evidence.Role(b.Role), Organization: evidence.OrgID(b.Organization), DocumentsOnly: b.DocumentsOnly,
		Rotation: evidence.ActorID(b.Rotation),
	})
	if err != nil {
		return nil, err
	}
	return CreateInvitation201JSONResponse{Secret: secret, Invitation: invitation(made)}, nil
}

func (i invitations) ListInvitations(ctx context.Context, r ListInvitationsRequestObject) (ListInvitationsResponseObject, error) {
	list, err := i.vault.Invitations(ctx, callerOf(ctx), limit(r.Params.Limit))
	if err != nil {
		return nil, err
	}
	return ListInvitations200JSONResponse{Invitations: each(list, invitation)}, nil
}

func invitation(i vault.Invitation) wire.Invitation {
	w := wire.Invitation{
		Digest: i.Digest.String(), Actor: string(i.Actor), Role: wire.Role(i.Role), Organization: string(i.Organization),
		DocumentsOnly: i.DocumentsOnly, Rotation: i.Rotation, Expires: evidence.At(i.Expires).String(),
	}
	if i.Keys != nil {
		w.Keys = &wire.Keys{Key: i.Keys.Key, Recipient: i.Keys.Recipient, Possession: i.Keys.Possession}
	}
	return w
}

func (i invitations) GetInvitationTerms(ctx context.Context, r GetInvitationTermsRequestObject) (GetInvitationTermsResponseObject, error) {
	terms, err := i.vault.InvitationTerms(ctx, r.Body.Secret)
	if err != nil {
		return nil, err
	}
	return GetInvitationTerms200JSONResponse{
		Origin: i.vault.Info().Origin, Actor: string(terms.Actor), Role: wire.Role(terms.Role), Organization: string(terms.Organization),
		DocumentsOnly: terms.DocumentsOnly, Rotation: terms.Rotation, Expires: evidence.At(terms.Expires).String(),
	}, nil
}

func (i invitations) AnswerInvitation(ctx context.Context, r AnswerInvitationRequestObject) (AnswerInvitationResponseObject, error) {
	fingerprint, err := i.vault.AnswerInvitation(ctx, r.Body.Secret, evidence.Keys{
		Key: r.Body.Key, Recipient: r.Body.Recipient, Possession: r.Body.Possession,
	})
	if err != nil {
		return nil, err
	}
	return AnswerInvitation200JSONResponse{Fingerprint: fingerprint.String()}, nil
}
