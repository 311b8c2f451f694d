package campaign

import (
	"context"
	"crypto/sha256"
	"strconv"
	"time"

	"strongroom.example/strongroom/internal/client"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

func (w *worker) propose(ctx context.Context) error {
	i, err := pick(w, w.desk.items, func(i *item) bool { return i.sealed })
	if err != nil {
		return err
	}
	now := ev.At(time.Now())
	p := client.Proposal{
		Item: i.id, Recipient: w.court.Actor(), Actions: []ev.Action{ev.View, ev.Download}, Purpose: ev.ForAdjudication,
		Jurisdiction: "DE", LegalBasis: "mla_request", NotBefore: now - 10_000, Expires: now.Add(time.Hour), Reason: "request 12/27",
	}
	id, _, err := w.Propose(ctx, p)
	if err == nil {
		w.desk.change(func() { w.desk.grants = append(w.desk.grants, &grant{item: i, id: id, by: w.person}) })
	}
	return err
}

// step takes a grant from one stage to the next.
func (w *worker) step(from, to grantStage, do func(g *grant) error) error {
	g, err := pick(w, w.desk.grants, func(g *grant) bool { return g.stage == from && (from != proposed || g.by != w.person) })
	if err != nil {
		return err
	}
	err = do(g)
	if err == nil || settled(err) {
		w.desk.change(func() { g.stage = max(g.stage, to) })
	}
	return err
}

// settled reports whether a refusal says that an act was done before, if only by an attempt that seemed to fail.
func settled(err error) bool {
	switch ev.ReasonOf(err) {
	case ev.ReasonNotPending, ev.ReasonFrozen, ev.ReasonGrantOver, ev.ReasonEnvelopes:
		return true
	}
	return false
}

func (w *worker) approve(ctx context.Context) error {
	return w.step(proposed, approved, func(g *grant) error {
		_, err := w.Approve(ctx, g.item.id, g.id)
		return err
	})
}

func (w *worker) refuse(ctx context.Context) error {
	return w.step(proposed, over, func(g *grant) error {
		_, err := w.Refuse(ctx, g.item.id, g.id, "not needed")
		return err
	})
}

func (w *worker) address(ctx context.Context) error {
	return w.step(approved, addressed, func(g *grant) error {
		_, err := w.WriteEnvelope(ctx, g.item.id, g.id)
		return err
	})
}

func (w *worker) revokeGrant(ctx context.Context) error {
	return w.step(redeemed, over, func(g *grant) error {
		_, err := w.RevokeGrant(ctx, g.item.id, g.id, ev.CauseRequest)
		return err
	})
}

func (w *worker) redeem(ctx context.Context) error {
	return w.step(addressed, redeemed, func(g *grant) error {
		digest := sha256.New()
		opened, err := w.Redeem(ctx, client.Redemption{Item: g.item.id, Grant: g.id, Action: ev.View}, digest)
		if err == nil {
			w.compare(g.item.id, ev.Hash(digest.Sum(nil)))
			w.desk.change(func() { g.found = opened.Ciphertext })
		}
		return err
	})
}

func (w *worker) acknowledge(ctx context.Context) error {
	g, err := pick(w, w.desk.grants, func(g *grant) bool { return g.stage == redeemed && !g.found.IsZero() })
	if err != nil {
		return err
	}
	_, err = w.Acknowledge(ctx, g.item.id, g.id, g.found, true)
	return err
}

func (w *worker) grants(ctx context.Context) error {
	_, err := w.Grants(ctx)
	return err
}

// newcomer is somebody on the way in, or with new keys; each step is taken until it succeeds.
type newcomer struct {
	*person
	rotation       bool
	secret         string
	digest         ev.Hash
	fingerprint    ev.Hash
	admitted, done bool
}

// introduce takes the newcomer a step further, through the administrator and a custodian.
func (w *worker) introduce(ctx context.Context) error {
	n := w.newcomer
	switch {
	case n == nil || n.done && n.rotation:
		if w.people == 4 {
			return errNothing
		}
		w.people++
		n = &newcomer{person: w.join(w.newPerson("newcomer" + strconv.Itoa(w.people)))}
	case n.done: // new keys
		p := *n.person
		p.key, p.identity = must(keys.Create(w.path(p.name, "renewed.pem"), keys.P256, nil))(w), must(sealing.NewIdentity())(w)
		n = &newcomer{person: w.join(&p), rotation: true}
	}
	w.newcomer = n
	if n.secret == "" {
		offer := client.Offer{Role: ev.Investigator, Organization: w.org}
		if n.rotation {
			offer = client.Offer{Rotation: n.Actor()}
		}
		secret, digest, err := w.Invite(ctx, offer)
		if err != nil {
			return err
		}
		n.secret, n.digest = secret, digest
	}
	if n.fingerprint.IsZero() {
		fingerprint, err := n.AnswerInvitation(ctx, n.secret)
		if err != nil {
			return err
		}
		n.fingerprint = fingerprint
	}
	if !n.admitted {
		cause := ev.Cause("")
		if n.rotation {
			cause = ev.CauseLoss
		}
		if _, err := w.Admit(ctx, n.digest, cause); err != nil && !known(err) {
			return err
		}
		n.admitted = true
	}
	_, err := w.custodian.Confirm(ctx, client.Confirmation{Actor: n.Actor(), Typed: tlog.SixGroups(n.fingerprint), Method: ev.ByPhone})
	if n.done = err == nil || known(err); n.done {
		w.desk.change(func() { w.desk.colleague = n.Actor() })
	}
	return err
}

// known reports whether somebody is admitted or confirmed already, if only by an attempt that seemed to fail.
func known(err error) bool {
	switch ev.ReasonOf(err) {
	case ev.ReasonPosition, ev.ReasonNotPending, ev.ReasonSameKey, "key_reused":
		return true
	}
	return false
}

func (w *worker) suspend(ctx context.Context) error {
	if n := w.newcomer; n == nil || !n.done {
		return errNothing
	}
	_, err := w.Suspend(ctx, w.newcomer.Actor(), ev.CauseMisconduct, ev.At(time.Now().Add(20*time.Second)))
	return err
}

func (w *worker) member(ctx context.Context) error {
	in, err := pick(w, w.desk.cases, anyOf)
	w.desk.Lock()
	colleague := w.desk.colleague
	w.desk.Unlock()
	if err != nil || colleague == "" {
		return errNothing
	}
	if w.dice.IntN(2) == 0 {
		_, err = w.AddMember(ctx, in, ev.Member{Actor: colleague, Rights: []ev.Right{ev.MayDeposit}}, "A colleague")
	} else {
		_, err = w.RemoveMember(ctx, in, colleague, ev.CauseDeparture)
	}
	return err
}

func (w *worker) directory(ctx context.Context) error {
	_, err := w.Directory(ctx)
	return err
}
