package campaign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/client"
	ev "strongroom.example/strongroom/internal/evidence"
)

// errNothing means that there is nothing to do of this kind.
var errNothing = errors.New("nothing to do")

// worker is one person at work in a campaign, with dice of their own.
type worker struct {
	*campaign
	*person
	acts []act
	dice *rand.Rand
}

type act struct {
	name   string
	weight int
	do     func(w *worker, ctx context.Context) error
}

// desk is what the people know of each other's work; it may be behind.
type desk struct {
	sync.Mutex
	cases    []ev.CaseID
	consents []*consent
	items    []*item
	grants   []*grant
	// colleague is who came last, and may be a member of cases.
	colleague ev.ActorID
}

type consent struct {
	in   ev.CaseID
	id   ev.ConsentID
	over bool
}

type item struct {
	in      ev.CaseID
	id      ev.ItemID
	consent *consent // nil under an order
	sealed  bool
}

type grant struct {
	item  *item
	id    ev.GrantID
	by    *person
	stage grantStage
	found ev.Hash
}

type grantStage int

const (
	proposed grantStage = iota
	approved
	addressed
	redeemed
	over
)

// pick draws one of those on a list of the desk that fit. Others may be adding to it.
func pick[T any](w *worker, list *[]T, fit func(T) bool) (T, error) {
	w.desk.Lock()
	defer w.desk.Unlock()
	fitting := slices.DeleteFunc(slices.Clone(*list), func(t T) bool { return !fit(t) })
	if len(fitting) == 0 {
		var none T
		return none, errNothing
	}
	return fitting[w.dice.IntN(len(fitting))], nil
}

func (d *desk) change(f func()) {
	d.Lock()
	defer d.Unlock()
	f()
}

func anyOf[T any](T) bool { return true }

var all = []ev.Right{ev.MayDeposit, ev.MayOpen, ev.MayApprove, ev.MayManage}

func (w *worker) openCase(ctx context.Context) error {
	if w.desk.Lock(); len(w.desk.cases) >= 6 {
		w.desk.Unlock()
		return errNothing
	}
	w.desk.Unlock()
	holders := []*person{w.custodian, w.second, w.investigator}
	c := client.NewCase{Type: "case", Members: []ev.Member{{Actor: w.clinician.Actor(), Rights: []ev.Right{ev.MayDeposit}}}}
	for _, p := range holders {
		c.Members = append(c.Members, ev.Member{Actor: p.Actor(), Rights: all})
		c.Keyholders = append(c.Keyholders, p.Actor())
	}
	id, _, err := w.OpenCase(ctx, c)
	if err == nil {
		w.desk.change(func() { w.desk.cases = append(w.desk.cases, id) })
	}
	return err
}

func (w *worker) giveConsent(ctx context.Context) error {
	c, err := pick(w, &w.desk.consents, func(c *consent) bool { return !c.over })
	if err != nil || w.dice.IntN(2) == 0 {
		in, err := pick(w, &w.desk.cases, anyOf)
		if err != nil {
			return err
		}
		c = &consent{in: in}
	}
	now, yes := time.Now(), ev.Yes
	p := client.Consent{
		Consent: c.id, Case: c.in, By: "self", From: ev.At(now.Add(-time.Hour)), Until: ev.At(now.Add(24 * time.Hour)),
		Answers: ev.Answers{Examination: yes, Photographs: yes, Storage: yes,
			Courts: []ev.CourtAnswer{{Jurisdiction: "DE", Information: yes, Photographs: yes}}},
		Form: client.Deposit{Label: "Consent form", Description: client.Description{Name: "form.txt", MediaType: "text/plain"}, Body: w.file(1 << 10)},
	}
	id, _, _, err := w.GiveConsent(ctx, p)
	if err == nil && c.id == "" {
		c.id = id
		w.desk.change(func() { w.desk.consents = append(w.desk.consents, c) })
	}
	return err
}

func (w *worker) withdraw(ctx context.Context) error {
	w.desk.Lock()
	left := len(slices.DeleteFunc(slices.Clone(w.desk.consents), func(c *consent) bool { return c.over }))
	w.desk.Unlock()
	if left < 3 {
		return errNothing
	}
	c, err := pick(w, &w.desk.consents, func(c *consent) bool { return !c.over })
	if err != nil {
		return err
	}
	w.desk.change(func() { c.over = true }) // if it fails it may still have been done
	_, _, err = w.WithdrawConsent(ctx, c.id, "asked to stop")
	return err
}

// file is random content of about a size.
func (w *worker) file(size int) io.Reader {
	b := make([]byte, w.dice.IntN(size+1))
	for i := 0; i+8 <= len(b); i += 8 {
		v := w.dice.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return bytes.NewReader(b)
}

// size is mostly small, at times several blocks, and rarely more than one part of an upload.
func (w *worker) size() int {
	switch n := w.dice.IntN(100); {
	case n < 3 && !w.small:
		return 40 << 20
	case n < 20:
		return 4 << 20
	}
	return 200 << 10
}

func (w *worker) photograph(ctx context.Context) error {
	c, err := pick(w, &w.desk.consents, func(c *consent) bool { return !c.over })
	if err != nil {
		return err
	}
	return w.deposit(ctx, c, client.Deposit{
		Case: c.in, Class: ev.Original, Content: ev.Photograph, Basis: ev.ByConsent, Consent: []ev.ConsentID{c.id}, Body: w.file(w.size()),
		Label: "Photograph", Description: client.Description{Name: "back.jpg", MediaType: "image/jpeg"},
	})
}

func (w *worker) image(ctx context.Context) error {
	in, err := pick(w, &w.desk.cases, anyOf)
	if err != nil {
		return err
	}
	d := client.Deposit{
		Case: in, Class: ev.Original, Content: ev.Digital, Basis: ev.CourtOrder, Authority: "judge\norder 7/27\nact 4\nArt. 9(2)(f)", Body: w.file(w.size()),
		Label: "Disk image", Description: client.Description{Name: "disk.img", MediaType: "application/octet-stream"},
	}
	if w.dice.IntN(5) == 0 {
		d.Class, d.Content, d.Body = ev.DescriptionOnly, ev.Physical, nil
	}
	return w.deposit(ctx, nil, d)
}

func (w *worker) deposit(ctx context.Context, c *consent, d client.Deposit) error {
	digest := sha256.New()
	if d.Body != nil {
		d.Body = io.TeeReader(d.Body, digest)
	}
	id, _, err := w.Deposit(ctx, d)
	if id != "" && d.Body != nil {
		w.model.mu.Lock()
		w.model.contents[id] = ev.Hash(digest.Sum(nil)) // whenever it is finished, it has this content
		w.model.mu.Unlock()
	}
	if err == nil {
		w.desk.change(func() { w.desk.items = append(w.desk.items, &item{in: d.Case, id: id, consent: c}) })
	}
	return err
}

// resume finishes what was interrupted. Of those refused for good, as by a withdrawn consent, the draft stays.
func (w *worker) resume(ctx context.Context) error {
	list, err := w.ResumeDeposits(ctx, nil)
	if err == nil && len(list) == 0 {
		return errNothing
	}
	for _, r := range list {
		err = errors.Join(err, r.Err)
	}
	return err
}

func (w *worker) seal(ctx context.Context) error {
	i, err := pick(w, &w.desk.items, func(i *item) bool { return !i.sealed && (i.consent == nil) == (w.person == w.investigator) })
	if err != nil {
		return err
	}
	_, err = w.Seal(ctx, i.id, 0)
	if err == nil {
		w.desk.change(func() { i.sealed = true })
	}
	return err
}

func (w *worker) look(ctx context.Context) error {
	i, err := pick(w, &w.desk.items, anyOf)
	if err != nil {
		return err
	}
	return w.opens(ctx, i.id)
}

// opens compares an item with what was deposited.
func (w *worker) opens(ctx context.Context, id ev.ItemID) error {
	digest := sha256.New()
	_, err := w.Open(ctx, client.Open{Item: id, Purpose: ev.ForInvestigation, Reason: "review " + strconv.Itoa(w.dice.Int())}, digest)
	if err == nil {
		w.compare(id, ev.Hash(digest.Sum(nil)))
	}
	return err
}

func (w *worker) compare(id ev.ItemID, got ev.Hash) {
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	if want, ok := w.model.contents[id]; ok && got != want {
		w.model.lie("an item opens as something else than was deposited")
	}
}

func (w *worker) verify(ctx context.Context) error {
	i, err := pick(w, &w.desk.items, func(i *item) bool { return i.sealed })
	if err != nil {
		return err
	}
	_, err = w.Verify(ctx, client.Open{Item: i.id, Purpose: ev.ForVerification})
	return err
}

func (w *worker) list(ctx context.Context) error {
	in, err := pick(w, &w.desk.cases, anyOf)
	if err != nil {
		return err
	}
	_, err = w.Items(ctx, in)
	return err
}

func (w *worker) history(ctx context.Context) error {
	i, err := pick(w, &w.desk.items, anyOf)
	if err != nil {
		return err
	}
	_, err = w.History(ctx, ev.ItemOf(i.id))
	return err
}
