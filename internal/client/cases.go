package client

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// NewCase says who works in a case with which rights, and who receives a key to each of its items. Recovery always does.
type NewCase struct {
	Type       string // "case" or "complaint"
	Members    []evidence.Member
	Keyholders []evidence.ActorID // members; at least two
}

// Complaint is a complaint to all auditors of the vault, so that it depends on none of them: each manages it and holds its keys. Fewer than
// two are ReasonNoManager. Of auditors whom the vault keeps back somebody else may know: they can be named to OpenCase.
func (c *Client) Complaint(ctx context.Context) (NewCase, error) {
	p := NewCase{Type: "complaint", Members: []evidence.Member{{Actor: c.Actor(), Rights: []evidence.Right{evidence.MayDeposit}}}}
	list, err := c.Directory(ctx)
	for _, a := range list {
		if id := evidence.ActorID(a.ID); evidence.Role(a.Role) == evidence.Auditor && a.Status == wire.ActorStatusActive {
			p.Members = append(p.Members, evidence.Member{Actor: id, Rights: []evidence.Right{evidence.MayApprove, evidence.MayManage, evidence.MayOpen}})
			p.Keyholders = append(p.Keyholders, id)
		}
	}
	if err == nil && len(p.Keyholders) < 2 {
		err = evidence.Refuse(evidence.Conflict, evidence.ReasonNoManager)
	}
	return p, err
}

// OpenCase signs case.opened with a fresh label key for all members (RULES §3.4). A complaint that no auditor may manage could never be
// closed, nor follow when an auditor changes keys: it is not opened, "no_manager".
func (c *Client) OpenCase(ctx context.Context, p NewCase) (evidence.CaseID, *Receipt, error) {
	id := evidence.NewID[evidence.CaseID]()
	var streams []evidence.Stream
	for _, m := range p.Members {
		streams = append(streams, evidence.ActorOf(m.Actor))
	}
	receipt, err := c.perform(ctx, streams, func(v *View) (act, error) {
		to, err := recovery(v, nil)
		if err != nil {
			return act{}, err
		}
		d := &evidence.CaseOpenedDetails{Type: p.Type, Members: slices.Clone(p.Members), Recovery: evidence.Fingerprint(nil, to)}
		a := act{stream: evidence.CaseOf(id), event: &evidence.Event{Kind: evidence.CaseOpened, Details: d}}
		slices.SortFunc(d.Members, func(a, b evidence.Member) int { return cmp.Compare(a.Actor, b.Actor) })
		readers := map[evidence.Hash]string{d.Recovery: to}
		managed := p.Type != "complaint" // of a case the law asks it
		for _, m := range d.Members {
			who, err := state[*evidence.ActorState](v, evidence.ActorOf(m.Actor))
			if err != nil {
				return a, err
			}
			managed = managed || who.Role == evidence.Auditor && slices.Contains(m.Rights, evidence.MayManage)
			readers[who.Fingerprint()] = who.Recipient
			if slices.Contains(p.Keyholders, m.Actor) {
				d.Keyring = append(d.Keyring, evidence.Keyholder{Actor: m.Actor, Fingerprint: who.Fingerprint()})
			}
		}
		if len(d.Keyring) != len(p.Keyholders) {
			return a, evidence.Refuse(evidence.Invalid, evidence.ReasonKeyring)
		}
		if !managed {
			return a, evidence.Refuse(evidence.Invalid, evidence.ReasonNoManager)
		}
		d.LabelKey, err = a.newLabelKey(readers)
		return a, err
	})
	return id, receipt, err
}

// newLabelKey makes a label key and gives it to the readers, age recipients by fingerprint (FORMATS §8).
func (a *act) newLabelKey(readers map[evidence.Hash]string) (evidence.LabelKey, error) {
	key, err := sealing.NewItemKey()
	if err != nil {
		return evidence.LabelKey{}, err
	}
	l := evidence.LabelKey{Recipient: key.Recipient()}
	for fingerprint, recipient := range readers {
		ref, err := a.envelope(wire.AttachmentKindLabelEnvelope, key, fingerprint, recipient)
		if err != nil {
			return l, err
		}
		l.Envelopes = append(l.Envelopes, ref)
	}
	slices.SortFunc(l.Envelopes, func(a, b evidence.EnvelopeRef) int { return a.Recipient.Compare(b.Recipient) })
	return l, nil
}

// AddMember signs case.member_added: rights until a date, and the label key. Adding a member again replaces both, which is how a
// membership is renewed and how rotated keys get the label key (RULES §3.4). name, the person's, goes into an internal note.
func (c *Client) AddMember(ctx context.Context, in evidence.CaseID, m evidence.Member, name string) (*Receipt, error) {
	stream := evidence.CaseOf(in)
	return c.perform(ctx, []evidence.Stream{stream, evidence.ActorOf(m.Actor)}, func(v *View) (act, error) {
		own, err := state[*evidence.CaseState](v, stream)
		if err != nil {
			return act{}, err
		}
		who, err := state[*evidence.ActorState](v, evidence.ActorOf(m.Actor))
		if err != nil {
			return act{}, err
		}
		key, err := c.labelKey(ctx, v, own)
		if err != nil {
			return act{}, err
		}
		d := &evidence.CaseMemberAddedDetails{Member: m}
		a := act{stream: stream, event: &evidence.Event{Kind: evidence.CaseMemberAdded, Details: d}}
		if d.Envelope, err = a.envelope(wire.AttachmentKindLabelEnvelope, key, who.Fingerprint(), who.Recipient); err != nil {
			return a, err
		}
		return a, a.note("name", evidence.ToInternal, name, own.LabelKey.Recipient)
	})
}

// RemoveMember signs case.member_removed ‡: access ends, and those who stay get a new label key (RULES §3.4). A keyholder leaves the
// keyring first. Everybody may remove themselves.
func (c *Client) RemoveMember(ctx context.Context, in evidence.CaseID, gone evidence.ActorID, cause evidence.Cause) (*Receipt, error) {
	stream := evidence.CaseOf(in)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		own, err := state[*evidence.CaseState](v, stream)
		if err != nil {
			return act{}, err
		}
		to, err := recovery(v, own)
		if err != nil {
			return act{}, err
		}
		readers := map[evidence.Hash]string{own.Recovery: to}
		for _, m := range own.Members {
			who, err := state[*evidence.ActorState](v, evidence.ActorOf(m.Actor))
			if err != nil {
				return act{}, err
			}
			if _, holds := own.Member(m.Actor, v.Time); holds && m.Actor != gone && who.Active(v.Time) {
				readers[who.Fingerprint()] = who.Recipient
			}
		}
		d := &evidence.CaseMemberRemovedDetails{Actor: gone, Cause: cause}
		a := act{stream: stream, event: &evidence.Event{Kind: evidence.CaseMemberRemoved, Change: cause, Details: d}}
		d.LabelKey, err = a.newLabelKey(readers)
		return a, err
	})
}

// ChangeKeyring signs case.keyring_changed ‡ (RULES §3.4). An actor both removed and added changes keys. Recovery follows the vault's, which
// may be all that changes. The case's items follow by Rewrap.
func (c *Client) ChangeKeyring(ctx context.Context, in evidence.CaseID, added, removed []evidence.ActorID) (*Receipt, error) {
	stream := evidence.CaseOf(in)
	streams := []evidence.Stream{stream}
	for _, id := range added {
		streams = append(streams, evidence.ActorOf(id))
	}
	return c.perform(ctx, streams, func(v *View) (act, error) {
		d := &evidence.CaseKeyringChangedDetails{Removed: slices.Sorted(slices.Values(removed))}
		for _, id := range slices.Sorted(slices.Values(added)) {
			who, err := state[*evidence.ActorState](v, evidence.ActorOf(id))
			if err != nil {
				return act{}, err
			}
			d.Added = append(d.Added, evidence.Keyholder{Actor: id, Fingerprint: who.Fingerprint()})
		}
		return act{stream: stream, event: &evidence.Event{Kind: evidence.CaseKeyringChanged, Details: d}}, nil
	})
}

// CloseCase signs case.closed: nothing more is deposited (RULES §3.4). outcome is "decided", "discontinued", "transferred" or "merged".
func (c *Client) CloseCase(ctx context.Context, in evidence.CaseID, outcome string) (*Receipt, error) {
	return c.onCase(ctx, in, evidence.CaseClosed, "", &evidence.CaseClosedDetails{Outcome: outcome})
}

// ReopenCase signs case.reopened.
func (c *Client) ReopenCase(ctx context.Context, in evidence.CaseID, cause evidence.Cause) (*Receipt, error) {
	return c.onCase(ctx, in, evidence.CaseReopened, cause, &evidence.CaseReopenedDetails{Cause: cause})
}

func (c *Client) onCase(ctx context.Context, in evidence.CaseID, kind evidence.Kind, change evidence.Cause, d evidence.Details) (*Receipt, error) {
	stream := evidence.CaseOf(in)
	return c.perform(ctx, []evidence.Stream{stream}, func(*View) (act, error) {
		return act{stream: stream, event: &evidence.Event{Kind: kind, Change: change, Details: d}}, nil
	})
}

// labelKey returns the case's label key in force, out of this person's envelope. That may be of an event that came after in was looked at, and
// is on its way into the log: then it is looked at again.
func (c *Client) labelKey(ctx context.Context, v *View, in *evidence.CaseState) (key sealing.ItemKey, err error) {
	for attempt := 0; ; attempt++ {
		req, err := wire.NewGetLabelKeyRequest(c.address, string(in.ID))
		answer, err := ask[wire.LabelKey](ctx, c, req, err, http.StatusOK)
		if err != nil {
			return key, err
		}
		if key, err = c.openLabelKey(v, in, answer.Envelope, in.LabelKey); LieOf(err) != OtherEnvelope || attempt == 3 {
			return key, err
		}
		if err := c.pause(ctx, 200*time.Millisecond); err != nil {
			return key, err
		}
		if v, in, err = lookAt[*evidence.CaseState](ctx, c, evidence.CaseOf(in.ID), evidence.ActorOf(c.actor)); err != nil {
			return key, err
		}
	}
}

// openLabelKey opens an envelope of a label key, which must be the one that the signed event names for this person.
func (c *Client) openLabelKey(v *View, in *evidence.CaseState, envelope []byte, l evidence.LabelKey) (sealing.ItemKey, error) {
	self, err := state[*evidence.ActorState](v, evidence.ActorOf(c.actor))
	if err != nil {
		return sealing.ItemKey{}, err
	}
	if !slices.Contains(l.Envelopes, evidence.EnvelopeRef{Recipient: self.Fingerprint(), SHA256: evidence.SHA256(envelope)}) {
		return sealing.ItemKey{}, alarm(OtherEnvelope, evidence.CaseOf(in.ID), nil)
	}
	id, err := c.unlock()
	if err != nil {
		return sealing.ItemKey{}, err
	}
	key, err := sealing.OpenEnvelope(envelope, id, l.Recipient)
	if err != nil {
		return key, alarm(OtherEnvelope, evidence.CaseOf(in.ID), err)
	}
	return key, nil
}

// Cases lists this person's cases. It is for orientation; what is decided on is looked at.
func (c *Client) Cases(ctx context.Context) ([]wire.Case, error) {
	return pages(ctx, func(ctx context.Context, cursor *string) ([]wire.Case, string, error) {
		req, err := wire.NewListCasesRequest(c.address, &wire.ListCasesParams{Cursor: cursor})
		page, err := ask[wire.CaseList](ctx, c, req, err, http.StatusOK)
		return page.Cases, page.Next, err
	})
}

// Directory lists the actors, for staff; to a survivor and an advocate, the auditors. It is for orientation; Person verifies one.
func (c *Client) Directory(ctx context.Context) ([]wire.Actor, error) {
	return pages(ctx, func(ctx context.Context, cursor *string) ([]wire.Actor, string, error) {
		req, err := wire.NewListActorsRequest(c.address, &wire.ListActorsParams{Cursor: cursor})
		page, err := ask[wire.ActorList](ctx, c, req, err, http.StatusOK)
		return page.Actors, page.Next, err
	})
}
