package vault_test

import (
	"slices"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
)

// Who leaves a case reads nothing of it any more, and the label key changes hands.
func TestMemberLeaves(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	second := w.people["second"]
	by := second.caller()
	stream := ev.CaseOf(c.in)
	deposited := w.eventOf(c.item.id, 0)
	reads := func() map[string]error {
		errs := make(map[string]error)
		for name, s := range map[string]ev.Stream{"case": stream, "consent": ev.ConsentOf(c.consent), "item": ev.ItemOf(c.item.id), "form": ev.ItemOf(c.form.id)} {
			_, errs[name] = w.Stream(ctx(), by, s, -1, 10, false)
			_, errs["complete "+name] = w.Complete(ctx(), by, []ev.Stream{s}, 0, false)
		}
		_, errs["items"] = w.Items(ctx(), by, c.in, "", 10)
		_, errs["consents"] = w.Consents(ctx(), by, c.in, "", 10)
		_, errs["label envelope"] = w.LabelEnvelope(ctx(), by, c.in)
		_, errs["label"] = w.CaseAttachment(ctx(), by, deposited, c.item.details.Label.SHA256)
		return errs
	}
	for name, err := range reads() {
		if err != nil {
			t.Errorf("a member reads %s: %v", name, err)
		}
	}
	if cases, err := w.Cases(ctx(), by, "", 10); err != nil || len(cases) != 1 {
		t.Errorf("a member has %d cases: %v", len(cases), err)
	}
	label := must(sealing.NewItemKey())
	refs, attachments := w.envelopes(label, ledger.LabelEnvelope, w.people["clinician"], w.people["custodian"])
	old := must(w.LabelEnvelope(ctx(), w.people["clinician"].caller(), c.in))
	w.submit("custodian", w.sign("custodian", stream, ev.CaseMemberRemoved, &ev.CaseMemberRemovedDetails{
		Actor: second.id, Cause: ev.CauseDeparture, LabelKey: ev.LabelKey{Recipient: label.Recipient(), Envelopes: refs},
	}), "", attachments...)
	for name, err := range reads() {
		if ev.KindOf(err) != ev.NotFound {
			t.Errorf("a past member reads %s: %v", name, err)
		}
	}
	if cases, err := w.Cases(ctx(), by, "", 10); err != nil || len(cases) != 0 {
		t.Errorf("a past member has %d cases: %v", len(cases), err)
	}
	if w.envelope(stream, second.fingerprint()) {
		t.Error("the past member's label envelope is still there")
	}
	if now := must(w.LabelEnvelope(ctx(), w.people["clinician"].caller(), c.in)); string(now) == string(old) {
		t.Error("who stays gets the old label key")
	}
	if _, err := w.db.StreamAttachment(ctx(), stream, ev.SHA256(old)); err != nil {
		t.Errorf("who stays cannot open older labels any more: %v", err)
	}
}

// A recipient sees what a package needs, and of that no content; nobody else sees anything.
func TestWhoReads(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	other := w.prepare(c.in, ev.Original, ev.ConsentRef{ID: c.consent, Version: 1})
	if _, err := w.tryDeposit(other); err != nil {
		t.Fatal(err)
	}
	w.enrol("court", ev.Court)
	w.enrol("stranger", ev.Court)
	unknown := ev.ItemOf(ev.NewID[ev.ItemID]())
	needed := []ev.Stream{ev.CaseOf(c.in), ev.ConsentOf(c.consent), ev.ItemOf(c.item.id), ev.ItemOf(c.form.id)}
	reads := func(name string, s ev.Stream) error {
		_, err := w.Stream(ctx(), w.people[name].caller(), s, -1, 10, false)
		_, err2 := w.Complete(ctx(), w.people[name].caller(), []ev.Stream{s}, 0, false)
		if (err == nil) != (err2 == nil) {
			t.Errorf("stream and completeness of %s: %v, %v", s.Type, err, err2)
		}
		return err
	}
	id := w.propose(c, "court", time.Hour)
	for _, s := range needed {
		hidden(t, reads("court", s)) // not active yet
	}
	w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
	hidden(t, reads("court", ev.ItemOf(c.item.id))) // never was
	id = w.grant(c, "court", time.Hour)
	for _, s := range needed {
		if err := reads("court", s); err != nil {
			t.Errorf("the court reads %s: %v", s.Type, err)
		}
		hidden(t, reads("stranger", s))
	}
	for _, s := range []ev.Stream{ev.ItemOf(other.id), unknown, ev.CaseOf(ev.NewID[ev.CaseID]())} {
		hidden(t, reads("court", s))
		hidden(t, reads("stranger", s))
	}
	for _, s := range []ev.Stream{ev.ActorOf(w.people["clinician"].id), ev.PolicyOf(origin), ev.VaultOf(origin)} {
		if err := reads("stranger", s); err != nil {
			t.Errorf("%s: %v", s.Type, err)
		}
	}
	by := w.people["court"].caller()
	o := w.redeem("court", c, id)
	_, err := w.Attachment(ctx(), by, o.LeafHash, w.eventOf(c.form.id, 0), c.form.details.Description.SHA256)
	hidden(t, err)
	_, err = w.CaseAttachment(ctx(), by, w.eventOf(c.item.id, 0), c.item.details.Label.SHA256)
	hidden(t, err)
	_, err = w.Items(ctx(), by, c.in, "", 10)
	hidden(t, err)
	_, err = w.LabelEnvelope(ctx(), by, c.in)
	hidden(t, err)
	if grants, err := w.Grants(ctx(), by, "", 10); err != nil || len(grants) != 2 {
		t.Errorf("%d grants: %v", len(grants), err)
	}
	w.do("second", ev.ItemOf(c.item.id), ev.GrantRevoked, &ev.GrantRevokedDetails{Grant: id, Cause: ev.CauseRequest})
	if err := reads("court", ev.ItemOf(c.item.id)); err != nil {
		t.Errorf("after a redeemed grant: %v", err)
	}
}

// A copy made from an item needs that item's stream in a package, too.
func TestSourceOfWhatWasGranted(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	w.open("clinician", c.item.id)
	derived := w.prepare(c.in, ev.Derived, ev.ConsentRef{ID: c.consent, Version: 1})
	derived.details.Source = c.item.id
	if _, err := w.tryDeposit(derived); err != nil {
		t.Fatal(err)
	}
	w.do("clinician", ev.ItemOf(derived.id), ev.ItemSealed, &ev.ItemSealedDetails{Exhibit: 2, Root: c.item.id})
	w.enrol("court", ev.Court)
	share := c
	share.item = derived
	w.grant(share, "court", time.Hour)
	if _, err := w.Stream(ctx(), w.people["court"].caller(), ev.ItemOf(c.item.id), -1, 10, false); err != nil {
		t.Errorf("the source of what was granted: %v", err)
	}
}

// Survivors and advocates see of the directory the auditors, to whom they can complain, and nobody else.
func TestDirectory(t *testing.T) {
	w := newWorld(t)
	survivor, gone := w.enrol("survivor", ev.Survivor), w.enrol("auditor 1", ev.Auditor)
	auditors := []ev.ActorID{w.enrol("auditor 2", ev.Auditor).id, w.enrol("auditor 3", ev.Auditor).id}
	w.do("administrator", ev.ActorOf(gone.id), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseDeparture})
	slices.Sort(auditors)
	seen := func(by *person, limit int) (list []ev.ActorID) {
		for after := ev.ActorID(""); ; {
			page := must(w.Actors(ctx(), by.caller(), after, limit))
			for _, a := range page {
				after = a.ID
				list = append(list, a.ID)
			}
			if len(page) < limit {
				return list
			}
		}
	}
	for limit := 1; limit < 5; limit++ {
		if list := seen(survivor, limit); !slices.Equal(list, auditors) {
			t.Errorf("%d on a page: a survivor sees %d actors", limit, len(list))
		}
	}
	if list := seen(w.people["custodian"], 3); !slices.Contains(list, survivor.id) || !slices.Contains(list, gone.id) {
		t.Errorf("staff see %d actors", len(list))
	}
}
