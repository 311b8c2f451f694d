package campaign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"slices"
	"strconv"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

func (w *worker) propose(ctx context.Context) error {
	i, err := pick(w, &w.desk.items, func(i *item) bool { return i.sealed })
	if err != nil {
		return err
	}
	_, err = w.proposes(ctx, i)
	return err
}

func (w *worker) proposes(ctx context.Context, i *item) (*grant, error) {
	now := ev.At(time.Now())
	p := client.Proposal{
		Item: i.id, Recipient: w.court.Actor(), Actions: []ev.Action{ev.View, ev.Download}, Purpose: ev.ForAdjudication,
		Jurisdiction: "DE", LegalBasis: "mla_request", NotBefore: now - 10_000, Expires: now.Add(time.Hour), Reason: "request 12/27",
	}
	id, _, err := w.Propose(ctx, p)
	g := &grant{item: i, id: id, by: w.person}
	if err == nil {
		w.desk.change(func() { w.desk.grants = append(w.desk.grants, g) })
	}
	return g, err
}

// step takes a grant from one stage to the next.
func (w *worker) step(from, to grantStage, do func(g *grant) error) error {
	g, err := pick(w, &w.desk.grants, func(g *grant) bool { return g.stage == from && (from != proposed || g.by != w.person) })
	if err != nil {
		return err
	}
	err = do(g)
	switch reason := ev.ReasonOf(err); {
	case err == nil, reason == ev.ReasonNotPending, reason == ev.ReasonEnvelopes: // it was done, if only by an attempt that seemed to fail
		w.desk.change(func() { g.stage = max(g.stage, to) })
	case reason == ev.ReasonFrozen, reason == ev.ReasonGrantOver:
		w.desk.change(func() { g.stage = over })
	}
	return err
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
		_, err := w.WriteEnvelope(ctx, g.item.id, g.id, nil)
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
			w.desk.change(func() {
				if g.found.IsZero() { // written once: who picked the grant reads it without the lock
					g.found = opened.Ciphertext
				}
			})
		}
		return err
	})
}

func (w *worker) acknowledge(ctx context.Context) error {
	g, err := pick(w, &w.desk.grants, func(g *grant) bool { return g.stage == redeemed && !g.found.IsZero() })
	if err != nil {
		return err
	}
	_, err = w.Acknowledge(ctx, g.item.id, g.id, g.found, true)
	return err
}

func (w *worker) export(ctx context.Context) error {
	g, err := pick(w, &w.desk.grants, func(g *grant) bool { return g.stage == redeemed || g.stage == addressed })
	if err != nil {
		return err
	}
	return w.exports(ctx, g)
}

// exports makes a court's package and verifies it as the court does, with nothing but its identity and the trust file.
func (w *worker) exports(ctx context.Context, g *grant) error {
	var file bytes.Buffer
	if _, err := w.Export(ctx, client.Export{Item: g.item.id, Grant: g.id}, &file); err != nil {
		return err
	}
	report, err := dossier.Verify(bytes.NewReader(file.Bytes()), int64(file.Len()), dossier.Options{Trust: &w.trust, Identity: &w.identity})
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	switch {
	case err != nil:
		return err
	case report.Verdict != dossier.Verified:
		w.model.lie("a package that was just made is %s: %+v", report.Verdict, report.Checks)
	}
	return nil
}

// delivers shares something with the court and has it make a package, by nobody's dice: at the end of a campaign it must go through.
func (c *campaign) delivers() {
	c.Helper()
	ctx := c.Context()
	of := func(p *person) *worker {
		return c.workers[slices.IndexFunc(c.workers, func(w *worker) bool { return w.person == p })]
	}
	unshared := func(i *item) bool { // with content, under an order, which nobody withdraws
		_, content := c.model.contents[i.id]
		return content && i.consent == nil && !slices.ContainsFunc(c.desk.grants, func(g *grant) bool { return g.item == i })
	}
	if len(c.desk.cases) == 0 {
		check(c, of(c.custodian).openCase(ctx))
	}
	for !slices.ContainsFunc(c.desk.items, unshared) {
		check(c, of(c.investigator).image(ctx))
	}
	i := c.desk.items[slices.IndexFunc(c.desk.items, unshared)]
	if _, err := c.investigator.Seal(ctx, i.id, 0); err != nil && ev.ReasonOf(err) != ev.ReasonSealed {
		c.Fatal(err)
	}
	g := must(of(c.custodian).proposes(ctx, i))(c)
	must(c.second.Approve(ctx, i.id, g.id))(c)
	must(c.second.WriteEnvelope(ctx, i.id, g.id, nil))(c)
	check(c, of(c.court).exports(ctx, g))
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
	_, err := w.Suspend(ctx, w.newcomer.Actor(), ev.CauseMisconduct, ev.At(time.Now().Add(time.Minute)))
	return err
}

func (w *worker) member(ctx context.Context) error {
	in, err := pick(w, &w.desk.cases, anyOf)
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
