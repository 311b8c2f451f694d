package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// force submits a proposer's approval of the own share, signed with the real key, as a changed program would: one that does not ask the
// rules first. The answer must be the vault's refusal for that very reason.
func (d *demo) force(ctx context.Context, p *player, item evidence.ItemID, grant evidence.GrantID) error {
	stream := evidence.ItemOf(item)
	view, err := p.Look(ctx, stream)
	if err != nil {
		return err
	}
	facts := view.Facts()
	own, ok := facts.States[stream].(*evidence.ItemState)
	if !ok || own.Grant(grant) == nil {
		return errors.New("the share that was proposed is not there")
	}
	e := &evidence.Event{
		Vault: facts.Origin, Kind: evidence.GrantApproved,
		Stream:  evidence.Position{Type: stream.Type, ID: stream.ID, Seq: own.Last.Seq + 1, Prev: own.Last.Leaf},
		Actor:   evidence.Signer{ID: p.Actor(), Role: p.role, Organization: p.organization},
		Time:    max(evidence.At(time.Now()), own.Last.Time),
		Tool:    tool(),
		Case:    own.Case,
		Details: &evidence.GrantApprovedDetails{Grant: grant, Terms: own.Grant(grant).Terms.Digest()},
	}
	e.ReliedOn = evidence.ReliedOn(facts, e)
	e.Subject = e.Subjects(own)
	signed, err := custody.Sign(e, p.signer.SPKI(), p.signer)
	if err != nil {
		return err
	}
	token, err := d.signIn(ctx, p)
	if err != nil {
		return err
	}
	var problem wire.Problem
	status, err := d.post(ctx, "/v1/events", token, wire.Submission{DSSE: signed.DSSE()}, &problem)
	switch {
	case err != nil:
		return err
	case status < 400:
		return errors.New("the vault accepted an approval by who proposed the share")
	case problem.Reason != evidence.ReasonSecondPerson:
		return fmt.Errorf("the vault refused a proposer's own approval for another reason: %s", problem.Reason)
	}
	return nil
}

// signIn begins a session with a person's own key (FORMATS §4).
func (d *demo) signIn(ctx context.Context, p *player) (string, error) {
	var challenge wire.Challenge
	if status, err := d.post(ctx, "/v1/sign-in/challenges", "", nil, &challenge); err != nil || status != http.StatusCreated {
		return "", cmp.Or(err, fmt.Errorf("sign-in: status %d", status))
	}
	dsse, err := custody.SignIn{Vault: p.Trust().Vault(), Actor: p.Actor(), Nonce: challenge.Nonce, Time: evidence.At(time.Now())}.
		Sign(p.signer.SPKI(), p.signer)
	if err != nil {
		return "", err
	}
	var signed wire.SignedIn
	if status, err := d.post(ctx, "/v1/sign-in", "", wire.SignInRequest{DSSE: dsse}, &signed); err != nil || status != http.StatusCreated {
		return "", cmp.Or(err, fmt.Errorf("sign-in: status %d", status))
	}
	return signed.Token, nil
}

// post sends JSON, or nothing, and reads the answer into what is given, whatever the status.
func (d *demo) post(ctx context.Context, path, token string, body, answer any) (status int, err error) {
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	address, err := client.ParseAddress(d.address)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.URL()+path, bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	way := address.Transport()
	defer way.CloseIdleConnections()
	resp, err := way.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(answer)
}
