package vault_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

const secret = time.Hour

// secretHold is a consented item with a survivor, everybody who may read its history, and a secret hold.
type secretHold struct {
	consented
	hold  ev.HoldID
	first int64 // seq of hold.placed
	until ev.Time
	order ev.Hash // of the note
}

// peopled is a consented item whose history everybody of the list may read, two of them as recipients.
func (w *world) peopled() consented {
	w.t.Helper()
	c := w.consented()
	survivor, advocate := w.enrol("survivor", ev.Survivor), w.enrol("advocate", ev.Advocate)
	w.enrol("auditor", ev.Auditor)
	w.join(c, w.enrol("investigator", ev.Investigator), ev.MayDeposit)
	w.join(c, w.enrol("third", ev.Custodian)) // no right at all
	form := w.prepare(c.in, ev.ConsentForm)
	if _, err := w.tryDeposit(form); err != nil {
		w.t.Fatal(err)
	}
	own := w.state(ev.ConsentOf(c.consent)).(*ev.ConsentState)
	w.do("investigator", ev.ConsentOf(c.consent), ev.ConsentGiven, &ev.ConsentGivenDetails{
		Version: 2, Answers: own.Answers, From: own.From, Until: own.Until, By: "self", Form: form.id, Subject: survivor.id})
	w.do("survivor", ev.ConsentOf(c.consent), ev.ConsentDelegated, &ev.ConsentDelegatedDetails{
		Advocate: advocate.id, Rights: []string{"approve", "read"}, Until: ev.At(w.now().Add(100 * time.Hour))})
	w.enrol("court", ev.Court)
	w.enrol("ordering court", ev.Court)
	w.share(c, "court", "treaty", nil)
	return c
}

// share grants the item as far as the envelope; under the hold, if there is one.
func (w *world) share(c consented, to, basis string, under *ev.Authority) ev.GrantID {
	w.t.Helper()
	p, stream, terms := w.people[to], ev.ItemOf(c.item.id), w.terms(c, to, basis)
	w.do("custodian", stream, ev.GrantProposed, &ev.GrantProposedDetails{Terms: terms}, func(e *ev.Event) { e.Authority = under })
	w.do("second", stream, ev.GrantApproved, &ev.GrantApprovedDetails{Grant: terms.ID, Terms: w.itemState(c.item.id).Grant(terms.ID).Terms.Digest()})
	opened := w.signOpen("custodian", c.item.id)
	if under != nil {
		opened = w.sign("custodian", stream, ev.ItemOpened, opened.Event().Details, func(e *ev.Event) { e.Purpose, e.Authority = ev.ForProsecution, under })
	}
	w.submit("custodian", opened, "")
	body := must(sealing.WriteEnvelope(c.item.key, p.recipient()))
	ref := ev.EnvelopeRef{Recipient: p.fingerprint(), SHA256: ev.SHA256(body)}
	w.submit("custodian", w.sign("custodian", stream, ev.ItemEnvelopeAdded, &ev.ItemEnvelopeAddedDetails{Envelope: ref, Cause: ev.CauseGrant, Grant: terms.ID}), "",
		ledger.Attachment{Kind: ledger.Envelope, Recipient: ref.Recipient, Body: body})
	return terms.ID
}

// place places and confirms a secret hold.
func (w *world) place(c consented) secretHold {
	w.t.Helper()
	h := secretHold{consented: c, hold: ev.NewID[ev.HoldID](), first: w.itemState(c.item.id).Last.Seq + 1, until: ev.At(w.now().Add(secret))}
	text := must(sealing.SealNote("the order", c.item.key.Recipient()))
	h.order = ev.SHA256(text)
	d := &ev.HoldPlacedDetails{Hold: h.hold, Basis: ev.CourtOrder, Expires: ev.At(w.now().Add(100 * time.Hour)), Review: ev.At(w.now().Add(time.Minute)), SecretUntil: h.until}
	w.submit("custodian", w.sign("custodian", ev.ItemOf(c.item.id), ev.HoldPlaced, d, func(e *ev.Event) {
		e.Notes = []ev.Note{{Name: "order", Audience: ev.ToInternal, SHA256: h.order, Size: int64(len(text))}}
	}), "", ledger.Attachment{Kind: ledger.Note, Name: "order", Audience: ev.ToInternal, Body: text})
	w.do("second", ev.ItemOf(c.item.id), ev.HoldConfirmed, &ev.HoldConfirmedDetails{Hold: h.hold})
	return h
}

func (h secretHold) ground() *ev.Authority { return &ev.Authority{Basis: ev.CourtOrder, Hold: h.hold} }

// Who sees what of a secret hold: the whole table, before its date and after.
func TestSecretHold(t *testing.T) {
	w := newWorld(t)
	c := w.peopled()
	stream := ev.ItemOf(c.item.id)
	h := w.place(c)
	w.open("clinician", c.item.id) // as ever
	w.share(c, "ordering court", "court_order", h.ground())
	w.do("second", stream, ev.HoldLifted, &ev.HoldLiftedDetails{Hold: h.hold, Cause: ev.CauseOrder})
	hidden := []ev.Kind{ev.HoldPlaced, ev.HoldConfirmed, ev.GrantProposed, ev.GrantApproved, ev.ItemOpened, ev.ItemEnvelopeAdded, ev.HoldLifted}
	sees := map[string]bool{"custodian": true, "second": true, "third": true, "auditor": true, "ordering court": true,
		"clinician": false, "investigator": false, "survivor": false, "advocate": false, "court": false}
	check := func(name string, all bool) {
		t.Helper()
		by := w.people[name].caller()
		list, err := w.Stream(ctx(), by, stream, h.first-1, 100, false)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if n := w.itemState(c.item.id).Last.Seq + 1 - h.first; int64(len(list)) != n {
			t.Fatalf("%s is told of %d events, want %d", name, len(list), n)
		}
		withheld := 0
		for i, s := range list {
			real := must(w.db.Stream(ctx(), stream, s.Seq-1, 1))[0]
			kind := must(custody.Open(real.Leaf.Extra)).Event().Kind
			want := !all && i != 2 // the clinician's opening
			if want {
				withheld++
			}
			switch {
			case s.Seq != h.first+int64(i) || s.LeafHash != real.LeafHash:
				t.Errorf("%s: %s is out of place", name, kind)
			case (s.Withheld != nil) != want:
				t.Errorf("%s: withheld %v, want %v, at %s", name, s.Withheld != nil, want, kind)
			case !want && !slices.Equal(s.Receipt, real.Receipt):
				t.Errorf("%s is shown another %s", name, kind)
			case want:
				if s.Withheld.Until != h.until || s.Receipt != nil || s.Leaf.Value != nil || s.Leaf.Extra != nil {
					t.Errorf("%s is shown of %s: %+v", name, kind, s)
				}
				keys := must(tlog.NewLogKeys(origin, must(x509.ParsePKIXPublicKey(w.logKey.SPKI())).(*ecdsa.PublicKey)))
				cp := must(tlog.OpenCheckpoint(s.Withheld.Checkpoint, keys))
				if _, err := tlog.VerifyInclusion(tlog.Hash(s.LeafHash), s.Withheld.Index, s.Withheld.Hashes, cp); err != nil {
					t.Errorf("%s: %s is not proved: %v", name, kind, err)
				}
			}
		}
		if want := len(hidden); !all && withheld != want {
			t.Errorf("%s: %d events are withheld, want %d", name, withheld, want)
		}
	}
	for name, all := range sees {
		check(name, all)
	}
	w.restart()
	for name, all := range sees {
		check(name, all)
	}
	w.pass(secret)
	for name := range sees {
		check(name, true)
	}
}

// Lists, attachments and openings tell nothing of a secret hold to those from whom it is kept.
func TestSecretHoldElsewhere(t *testing.T) {
	w := newWorld(t)
	c := w.peopled()
	stream := ev.ItemOf(c.item.id)
	h := w.place(c)
	amended := must(sealing.SealDescription([]byte(`{"name":"changed under the order"}`), c.item.key.Recipient()))
	w.submit("custodian", w.sign("custodian", stream, ev.ItemAmended, &ev.ItemAmendedDetails{
		Description: ev.File{SHA256: ev.SHA256(amended), Size: int64(len(amended))}, Cause: ev.CauseError}, func(e *ev.Event) { e.Authority = h.ground() }), "",
		ledger.Attachment{Kind: ledger.Description, Body: amended})
	listed := func(list []vault.Listed, err error) vault.Listed {
		t.Helper()
		i := slices.IndexFunc(must(list, err), func(l vault.Listed) bool { return l.Item.ID == c.item.id })
		return list[i]
	}
	lists := func() map[string]vault.Listed {
		return map[string]vault.Listed{
			"clinician":    listed(w.Items(ctx(), w.people["clinician"].caller(), c.in, "", 100)),
			"investigator": listed(w.Items(ctx(), w.people["investigator"].caller(), c.in, "", 100)),
			"survivor":     listed(w.Governed(ctx(), w.people["survivor"].caller(), c.consent, "", 100)),
			"advocate":     listed(w.Governed(ctx(), w.people["advocate"].caller(), c.consent, "", 100)),
			"custodian":    listed(w.Items(ctx(), w.people["custodian"].caller(), c.in, "", 100)),
			"auditor":      listed(w.AllItems(ctx(), "", 100)),
		}
	}
	for name, l := range lists() {
		told := name == "custodian" || name == "auditor"
		if l.Held != told || (len(l.Item.Holds) > 0) != told || l.Item.Last.Seq != w.itemState(c.item.id).Last.Seq {
			t.Errorf("%s is told: held %v, %d holds, length %d", name, l.Held, len(l.Item.Holds), l.Item.Last.Seq+1)
		}
	}
	order := func(name string) error {
		_, err := w.CaseAttachment(ctx(), w.people[name].caller(), w.eventOf(c.item.id, h.first), h.order)
		return err
	}
	hidden(t, order("clinician"))
	if err := order("third"); err != nil {
		t.Error(err)
	}
	description := func(name string) string {
		p := w.people[name]
		o := w.open(name, c.item.id)
		key := must(sealing.OpenEnvelope(o.Opening.Envelope, p.identity, c.item.details.ItemRecipient))
		return string(must(sealing.OpenDescription(o.Opening.Description, key)))
	}
	if got := description("clinician"); got != `{"name":"form"}` {
		t.Errorf("the clinician opens with %s", got)
	}
	if got := description("custodian"); got == `{"name":"form"}` {
		t.Error("the custodian opens with the former description")
	}
	opened := w.open("clinician", c.item.id)
	_, err := w.Attachment(ctx(), w.people["clinician"].caller(), opened.LeafHash, w.eventOf(c.item.id, h.first+2), ev.SHA256(amended))
	hidden(t, err)

	w.pass(secret)
	for name, l := range lists() {
		if !l.Held || len(l.Item.Holds) != 1 {
			t.Errorf("after the date %s is told: held %v, %d holds", name, l.Held, len(l.Item.Holds))
		}
	}
	if err := order("clinician"); err != nil {
		t.Error(err)
	}
	if got := description("clinician"); got == `{"name":"form"}` {
		t.Error("after the date the clinician opens with the former description")
	}
}

// A refusal tells no one of a secret hold who may not know it; whoever may propose to shred may.
func TestSecretHoldRefusals(t *testing.T) {
	w := newWorld(t)
	c := w.peopled()
	stream := ev.ItemOf(c.item.id)
	h := w.place(c)
	id := w.share(c, "ordering court", "court_order", h.ground())
	try := func(by string, k ev.Kind, d ev.Details, set ...func(*ev.Event)) error {
		_, err := w.try(by, w.sign(by, stream, k, d, set...), "")
		return err
	}
	named := func(hold ev.HoldID) func(*ev.Event) {
		return func(e *ev.Event) {
			e.Purpose, e.Authority = ev.ForInvestigation, &ev.Authority{Basis: ev.CourtOrder, Hold: hold}
		}
	}
	mine, _ := w.itemState(c.item.id).Envelope(w.people["clinician"].fingerprint())
	opening := &ev.ItemOpenedDetails{Envelope: mine.SHA256}
	refused(t, try("clinician", ev.ItemOpened, opening, named(h.hold)), ev.NotFound, ev.ReasonHold) // as of one that there never was
	refused(t, try("clinician", ev.ItemOpened, opening, named(ev.NewID[ev.HoldID]())), ev.NotFound, ev.ReasonHold)
	terms := w.itemState(c.item.id).Grant(id).Terms.Digest()
	for _, by := range []string{"survivor", "advocate"} {
		approval := func(g ev.GrantID) error { // as somebody makes it who does not see the grant
			signed := w.sign(by, stream, ev.GrantApproved, &ev.GrantApprovedDetails{Grant: ev.NewID[ev.GrantID](), Terms: terms}, func(e *ev.Event) {
				if by == "advocate" {
					e.Actor.OnBehalfOf = w.people["survivor"].id
				}
			})
			e := *signed.Event()
			e.Details = &ev.GrantApprovedDetails{Grant: g, Terms: terms}
			_, err := w.try(by, must(custody.Sign(&e, signed.SPKI(), w.people[by].key)), "")
			return err
		}
		refused(t, approval(id), ev.NotFound, ev.ReasonGrant)
		refused(t, approval(ev.NewID[ev.GrantID]()), ev.NotFound, ev.ReasonGrant)
	}
	removal := func(of ev.Hash) error {
		return try("clinician", ev.ItemEnvelopeRemoved, &ev.ItemEnvelopeRemovedDetails{Recipient: of, Cause: ev.CauseError, Horizon: ev.At(w.now().Add(1000 * time.Hour))})
	}
	a, b := removal(w.people["ordering court"].fingerprint()), removal(ev.SHA256([]byte("nobody")))
	if a == nil || ev.ReasonOf(a) != ev.ReasonOf(b) || ev.KindOf(a) != ev.KindOf(b) {
		t.Errorf("a clinician who asks about a court's key gets %v, about nobody's %v", a, b)
	}
	w.withdraw(c)
	proposal := &ev.ItemShredProposedDetails{Cause: ev.CauseWithdrawal, DryRun: ev.SHA256([]byte("list"))}
	refused(t, try("clinician", ev.ItemShredProposed, proposal), ev.Forbidden, ev.ReasonRole)
	refused(t, try("third", ev.ItemShredProposed, proposal), ev.Held, ev.ReasonHeld)
	w.redeem("ordering court", c, id) // who was given it under the order acts on it
}

// Before a withheld event is in the log nothing can be said of it, nor of what follows.
func TestSecretHoldPending(t *testing.T) {
	w := newWorld(t)
	c := w.peopled()
	closed := new(atomic.Bool)
	w.wrapTree = func(tree ledger.Tree) ledger.Tree { return gatedTree{tree, closed} }
	w.restart()
	closed.Store(true)
	before := w.itemState(c.item.id).Last.Seq
	text := must(sealing.SealNote("the order", c.item.key.Recipient()))
	d := &ev.HoldPlacedDetails{Hold: ev.NewID[ev.HoldID](), Basis: ev.CourtOrder, Expires: ev.At(w.now().Add(100 * time.Hour)), Review: ev.At(w.now().Add(time.Minute)), SecretUntil: ev.At(w.now().Add(secret))}
	o, err := w.try("custodian", w.sign("custodian", ev.ItemOf(c.item.id), ev.HoldPlaced, d, func(e *ev.Event) {
		e.Notes = []ev.Note{{Name: "order", Audience: ev.ToInternal, SHA256: ev.SHA256(text), Size: int64(len(text))}}
	}), "", ledger.Attachment{Kind: ledger.Note, Name: "order", Audience: ev.ToInternal, Body: text})
	if err != nil || o.Receipt != nil {
		t.Fatalf("not pending: %v", err)
	}
	for name, want := range map[string]int64{"custodian": before + 2, "clinician": before + 1, "survivor": before + 1} {
		if list := must(w.Stream(ctx(), w.people[name].caller(), ev.ItemOf(c.item.id), -1, 100, false)); int64(len(list)) != want {
			t.Errorf("%s is told of %d events, want %d", name, len(list), want)
		}
	}
	closed.Store(false)
}
