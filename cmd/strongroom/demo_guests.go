package main

import (
	"context"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// guest is a place for who reads the demonstration: it is taken in a browser, with keys that are made there.
type guest struct {
	called, sees      string
	role              evidence.Role
	like              *player // whose organization it is
	inviter, compares *player
	welcome           func(context.Context, evidence.ActorID) error // gives them something to do; nil where there is

	link       string
	invitation evidence.Hash
	here       bool
}

// guestPause is between two looks whether somebody has come.
const guestPause = time.Second

// inviteGuests makes one invitation for each role that has pages.
func (d *demo) inviteGuests(ctx context.Context) ([]*guest, error) {
	list := []*guest{
		{called: "a court", sees: "a share that you open, confirm and take away", role: evidence.Court, like: d.court,
			inviter: d.custodian1, compares: d.custodian2, welcome: d.shareWith},
		{called: "a custodian", sees: "a share that waits for your decision", role: evidence.Custodian, like: d.custodian2,
			inviter: d.administrator, compares: d.custodian1, welcome: d.askFor},
		{called: "an auditor", sees: "the histories of all that was done", role: evidence.Auditor, like: d.administrator,
			inviter: d.administrator, compares: d.custodian1},
	}
	address, _, _ := strings.Cut(d.address, "#")
	for _, v := range list {
		secret, digest, err := v.inviter.Invite(ctx, client.Offer{Role: v.role, Organization: v.like.organization})
		if err != nil {
			return nil, err
		}
		v.invitation, v.link = digest, address+"/join#"+secret
	}
	return list, nil
}

// receiveGuests does what colleagues would for who comes, until ctx or the vault ends. Nobody phones here: what is compared by voice is
// taken from the vault, and the demonstration says so.
func (d *demo) receiveGuests(ctx context.Context, list []*guest) error {
	for {
		for _, v := range list {
			if v.here {
				continue
			}
			if err := d.receive(ctx, v); err != nil && ctx.Err() == nil {
				return err
			}
		}
		pause, done := context.WithTimeout(ctx, guestPause)
		err := d.server.wait(pause)
		done()
		if err != nil || ctx.Err() != nil || d.narrator.err != nil {
			return err
		}
	}
}

// receive admits and confirms a guest who has answered.
func (d *demo) receive(ctx context.Context, v *guest) error {
	open, err := v.inviter.Invitations(ctx)
	if err != nil {
		return err
	}
	for _, i := range open {
		if i.Digest != v.invitation.String() || i.Keys == nil {
			continue
		}
		actor := evidence.ActorID(i.Actor)
		enrolled, err := v.inviter.Admit(ctx, v.invitation, "")
		if err != nil {
			return err
		}
		who, err := v.compares.Person(ctx, actor)
		if err != nil {
			return err
		}
		confirmed, err := v.compares.Confirm(ctx, client.Confirmation{Actor: actor, Typed: who.Shown, Method: evidence.InPerson})
		if err != nil {
			return err
		}
		if v.welcome != nil {
			if err := v.welcome(ctx, actor); err != nil {
				return err
			}
		}
		v.here = true
		d.entry(enrolled.Index(), "You are %s now: %s enrols you.", v.called, lowered(v.inviter.called))
		d.entry(confirmed.Index(), "%s confirms your key. In earnest they would call you and have you read out its number.", v.compares.called)
		d.note("What you find: %s.", v.sees)
	}
	return nil
}

// shareWith gives a guest exhibit 1, as the court got it.
func (d *demo) shareWith(ctx context.Context, court evidence.ActorID) error {
	item := d.sharedItem().id
	grant, _, err := d.custodian1.Propose(ctx, d.proposal(item, court))
	if err != nil {
		return err
	}
	if _, err := d.custodian2.Approve(ctx, item, grant); err != nil {
		return err
	}
	_, err = d.custodian2.WriteEnvelope(ctx, item, grant, nil)
	return err
}

// askFor makes a guest keyholder of the case, and leaves them a share to decide on.
func (d *demo) askFor(ctx context.Context, custodian evidence.ActorID) error {
	_, err := d.custodian1.AddMember(ctx, d.inCase.id, evidence.Member{Actor: custodian, Rights: keyholder}, sampleMark+": name of the guest")
	if err != nil {
		return err
	}
	if _, err := d.custodian1.ChangeKeyring(ctx, d.inCase.id, []evidence.ActorID{custodian}, nil); err != nil {
		return err
	}
	last := d.inCase.items[len(d.inCase.items)-1].id // the court has the first one's key, unless there is but one
	if _, err := d.custodian1.Rewrap(ctx, last); err != nil {
		return err
	}
	_, _, err = d.custodian1.Propose(ctx, d.proposal(last, d.court.Actor()))
	return err
}
