package vault

import (
	"context"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// MaxPage bounds every list.
const MaxPage = 1000

func eventOf(entry ledger.Entry) (*evidence.Event, error) {
	statement, err := custody.Open(entry.Leaf.Extra)
	if err != nil {
		return nil, evidence.Fail(evidence.Internal, "stored_statement", err)
	}
	return statement.Event(), nil
}

// Stream returns a stream's events with Seq > after. Actor, policy and vault streams are for everybody who is signed in and knows the
// id; the others for the members of the case and for recipients of a grant in it.
func (v *Vault) Stream(ctx context.Context, by Caller, s evidence.Stream, after int64, limit int) ([]ledger.Entry, error) {
	if err := v.readable(ctx, by, s); err != nil {
		return nil, err
	}
	return v.cfg.Records.Stream(ctx, s, after, min(limit, MaxPage))
}

// Complete proves how long each of the streams is, under one publication that covers the log beyond index.
func (v *Vault) Complete(ctx context.Context, by Caller, streams []evidence.Stream, index int64) (ledger.Completeness, error) {
	for _, s := range streams {
		if err := v.readable(ctx, by, s); err != nil {
			return ledger.Completeness{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Limits.Answer)
	defer cancel()
	return v.cfg.Ledger.Complete(ctx, streams, index)
}

// readable answers errHidden for every stream that the caller may not see or that does not exist.
func (v *Vault) readable(ctx context.Context, by Caller, s evidence.Stream) error {
	states, err := v.cfg.Records.States(ctx, s)
	if err != nil {
		return err
	}
	var in evidence.CaseID
	switch state := states[s].(type) {
	case *evidence.ActorState, *evidence.PolicyState, *evidence.HeadsState:
		return nil
	case *evidence.CaseState:
		in = state.ID
	case *evidence.ConsentState:
		in = state.Case
	case *evidence.ItemState:
		if in = state.Case; state.Class != evidence.ConsentForm && !v.member(ctx, by, in) {
			return v.grantedItem(state, by)
		}
	default:
		return errHidden
	}
	if v.member(ctx, by, in) {
		return nil
	}
	granted, err := v.cfg.Records.Granted(ctx, by.Actor, in)
	if err == nil && !granted {
		err = errHidden
	}
	return err
}

// grantedItem lets a recipient see the stream of an item that was granted to it, also after the grant ended: its package must verify.
func (v *Vault) grantedItem(item *evidence.ItemState, by Caller) error {
	for _, g := range item.Grants {
		if g.Terms.Recipient.Actor == by.Actor && g.Status != evidence.GrantPending && g.Status != evidence.GrantDenied {
			return nil
		}
	}
	return errHidden
}

func (v *Vault) member(ctx context.Context, by Caller, in evidence.CaseID) bool {
	c, err := state[*evidence.CaseState](ctx, v, evidence.CaseOf(in))
	if err != nil {
		return false
	}
	_, ok := c.Member(by.Actor, v.now())
	return ok
}

// Actors lists the directory: pseudonyms, roles, keys. It is for staff; others read the streams of the actors they have to do with.
func (v *Vault) Actors(ctx context.Context, after evidence.ActorID, limit int) ([]*evidence.ActorState, error) {
	return v.cfg.Records.Actors(ctx, after, min(limit, MaxPage))
}

// Cases lists the cases of the caller.
func (v *Vault) Cases(ctx context.Context, by Caller, after evidence.CaseID, limit int) ([]*evidence.CaseState, error) {
	cases, err := v.cfg.Records.Cases(ctx, by.Actor, after, min(limit, MaxPage))
	for i, c := range cases { // past members know the case exists, and no more
		if _, ok := c.Member(by.Actor, v.now()); !ok {
			cases[i] = &evidence.CaseState{Last: c.Last, ID: c.ID, Type: c.Type, Open: c.Open}
		}
	}
	return cases, err
}

// Consents lists the consents of a case to its members.
func (v *Vault) Consents(ctx context.Context, by Caller, in evidence.CaseID, after evidence.ConsentID, limit int) ([]*evidence.ConsentState, error) {
	if !v.member(ctx, by, in) {
		return nil, errHidden
	}
	return v.cfg.Records.Consents(ctx, in, after, min(limit, MaxPage))
}

// Listed is an item in a list with its label.age.
type Listed struct {
	Item  *evidence.ItemState
	Label []byte
}

// Items lists the items of a case to its members.
func (v *Vault) Items(ctx context.Context, by Caller, in evidence.CaseID, after evidence.ItemID, limit int) ([]Listed, error) {
	if !v.member(ctx, by, in) {
		return nil, errHidden
	}
	items, err := v.cfg.Records.Items(ctx, in, after, min(limit, MaxPage))
	if err != nil {
		return nil, err
	}
	list := make([]Listed, len(items))
	for i, item := range items {
		label, err := v.cfg.Records.StreamAttachment(ctx, evidence.ItemOf(item.ID), item.Label.SHA256)
		if err != nil && evidence.KindOf(err) != evidence.Gone {
			return nil, err
		}
		list[i] = Listed{item, label.Body}
	}
	return list, nil
}

// LabelEnvelope returns the caller's envelope of the case label key.
func (v *Vault) LabelEnvelope(ctx context.Context, by Caller, in evidence.CaseID) ([]byte, error) {
	if !v.member(ctx, by, in) {
		return nil, errHidden
	}
	fingerprint, err := v.fingerprint(ctx, by)
	if err != nil {
		return nil, err
	}
	a, err := v.cfg.Records.Envelope(ctx, evidence.CaseOf(in), fingerprint)
	return a.Body, err
}

// Grants lists the grants to the caller.
func (v *Vault) Grants(ctx context.Context, by Caller, after evidence.GrantID, limit int) ([]GrantOf, error) {
	return v.cfg.Records.Grants(ctx, by.Actor, after, min(limit, MaxPage))
}
