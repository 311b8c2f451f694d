package client

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// signedBy is a report on one person, as somebody sees it: the kinds in the items, and those elsewhere.
func signedBy(t *testing.T, c *Client, actor evidence.ActorID) (inItems, elsewhere []evidence.Kind) {
	t.Helper()
	items := must(c.Visible(t.Context()))(t)
	check(t, c.CustodyBy(t.Context(), actor, items, func(part dossier.Custody) error {
		for _, i := range part.Items {
			for _, r := range i.Rows {
				inItems = append(inItems, r.Kind)
				if r.Actor.ID != actor || r.Stream.Type != evidence.ItemStream {
					t.Errorf("in the report on %s: %s by %s", actor, r.Kind, r.Actor.ID)
				}
			}
		}
		for i, r := range part.Acts {
			elsewhere = append(elsewhere, r.Kind)
			if r.Actor.ID != actor || r.Item != "" || i > 0 && r.Entry <= part.Acts[i-1].Entry || r.What(dossier.English) == "" || strings.Contains(r.What(dossier.English), "does not know") {
				t.Errorf("in the report on %s: %+v", actor, r)
			}
		}
		return nil
	}))
	return inItems, elsewhere
}

// RULES §10, report per user: an auditor, who is a member of no case, sees of anybody what that one signed wherever it is; who is a member sees
// what the own cases hold.
func TestCustodyBy(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	auditor := w.auditorOf(clock)
	in := w.openCase()
	consent := w.consent(in)
	item := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	_, err := w.clinician.Seal(ctx, item, 0)
	check(t, err)
	check(t, w.opens(w.second, item, ""))
	_, _, err = w.clinician.WithdrawConsent(ctx, consent, "")
	check(t, err)
	_, err = w.admin.ReportIncident(ctx, evidence.VaultIncidentDetails{Code: "outage", From: evidence.At(clock.now()), Scope: "vault"})
	check(t, err)
	_, err = w.admin.Suspend(ctx, w.court.Actor(), evidence.CauseMisconduct, evidence.At(clock.now().Add(time.Hour)))
	check(t, err)

	has := func(list []evidence.Kind, want ...evidence.Kind) {
		t.Helper()
		for _, k := range want {
			if !slices.Contains(list, k) {
				t.Errorf("%s is not among %q", k, list)
			}
		}
	}
	items, acts := signedBy(t, auditor.Client, w.clinician.Actor())
	has(items, evidence.ItemDeposited, evidence.ItemSealed)
	has(acts, evidence.ConsentGiven, evidence.ConsentWithdrawn)
	if n := len(acts); n != 2 {
		t.Errorf("%d acts of the clinician, each counts once: %q", n, acts)
	}
	items, acts = signedBy(t, auditor.Client, w.admin.Actor())
	has(acts, evidence.ActorEnrolled, evidence.ActorConfirmed, evidence.ActorSuspended, evidence.VaultIncident)
	if len(items) > 0 {
		t.Errorf("the administrator in items: %q", items)
	}
	_, acts = signedBy(t, auditor.Client, w.custodian.Actor())
	has(acts, evidence.CaseOpened, evidence.ActorConfirmed)
	if items, _ = signedBy(t, auditor.Client, w.second.Actor()); !slices.Equal(items, []evidence.Kind{evidence.ItemOpened}) {
		t.Errorf("the second custodian in items: %q", items)
	}

	items, acts = signedBy(t, w.second.Client, w.clinician.Actor())
	has(items, evidence.ItemDeposited)
	has(acts, evidence.ConsentWithdrawn)
	_, acts = signedBy(t, w.admin.Client, w.admin.Actor()) // a member of no case
	has(acts, evidence.ActorEnrolled, evidence.VaultIncident)
	if len(must(w.admin.Visible(ctx))(t)) != 0 || len(must(auditor.Visible(ctx))(t)) != 2 || !slices.Equal(must(w.second.Visible(ctx))(t), must(auditor.Visible(ctx))(t)) {
		t.Error("who may list which items")
	}

	var beside []evidence.Kind
	check(t, w.second.Custody(ctx, w.clinician.Actor(), []evidence.ItemID{item}, func(part dossier.Custody) error {
		for _, r := range part.Acts {
			beside = append(beside, r.Kind)
		}
		return nil
	}))
	if !slices.Equal(beside, []evidence.Kind{evidence.ConsentGiven, evidence.ConsentWithdrawn}) {
		t.Errorf("beside the item: %q", beside)
	}
}

// Each row says by when it was in the record book: the time of the first publication that covers it, verified, and not of any other.
func TestCustodyBooked(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	item := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	before, v := itemNow(t, w.second, item)
	clock.pass(time.Hour)
	check(t, w.opens(w.second, item, ""))
	rows := func(c *Client) (list []dossier.CustodyRow, err error) {
		err = c.Custody(ctx, "", []evidence.ItemID{item}, func(part dossier.Custody) error {
			for _, i := range part.Items {
				list = append(list, i.Rows...)
			}
			return nil
		})
		return list, err
	}
	got := must(rows(w.second.Client))(t)
	b := w.second.bookOf(must(w.second.Look(ctx, evidence.ItemOf(item)))(t))
	var published []dossier.Publication
	for seq := range b.len {
		published = append(published, must(b.at(ctx, seq))(t))
	}
	for _, r := range got {
		i := slices.IndexFunc(published, func(p dossier.Publication) bool { return p.Covers > r.Entry })
		if i < 0 || r.Book != published[i] || i > 0 && published[i-1].Covers > r.Entry {
			t.Errorf("%s, entry %d: %+v", r.Kind, r.Entry, r.Book)
		}
	}
	deposited := got[slices.IndexFunc(got, func(r dossier.CustodyRow) bool { return r.Kind == evidence.ItemDeposited })]
	if late := deposited.Book.Time.Sub(before.Deposited); late > 30*time.Minute || deposited.Book.Time > v.Time.Add(time.Minute) {
		t.Errorf("deposited on %v, and in the book by %v, an hour later", before.Deposited, deposited.Book.Time)
	}

	swap := instead("GET", "/streams/vault/"+w.trust.Vault()+"/events", func(body []byte) []byte {
		var list wire.EventList
		check(t, json.Unmarshal(body, &list))
		if n := len(list.Events); n > 1 {
			list.Events[0].Receipt, list.Events[1].Receipt = list.Events[1].Receipt, list.Events[0].Receipt
		}
		return must(json.Marshal(list))(t)
	})
	liar := w.client(w.second, swap)
	liar.cfg.Now, liar.clock.now = clock.now, clock.now
	_, err := rows(liar)
	wantLie(t, err, BrokenChain)
	short := instead("GET", "/streams/vault/"+w.trust.Vault()+"/events", func([]byte) []byte { return []byte(`{"events":[]}`) })
	liar = w.client(w.second, short)
	liar.cfg.Now, liar.clock.now = clock.now, clock.now
	_, err = rows(liar)
	wantLie(t, err, MissingEvent)
}

// A clock that is fast within what the vault accepts is found by the vault's own; one that is right is not.
func TestAuditFastClock(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	auditor := w.auditorOf(clock)
	in := w.openCase()
	consent := w.consent(in)
	w.clinician.clock.now = func() time.Time { return clock.now().Add(90 * time.Second) } // after it had heard the vault's
	item := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	itemNow(t, w.second, item) // waits for the publication
	clock.pass(2 * time.Minute)
	check(t, w.opens(w.second, item, ""))
	audit := must(auditor.Audit(ctx, 0, nil))(t)
	found := audit.of(FoundClock)
	if len(found) != 1 || found[0].Actor != w.clinician.Actor() || (found[0].Ahead-80*time.Second).Abs() > 20*time.Second || found[0].Behind != 0 || found[0].Against <= found[0].Entry {
		t.Errorf("%+v", found)
	}
}

// What nothing says until when it is kept is a finding, until something does.
func TestAuditUndated(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	auditor := w.auditorOf(clock)
	in := w.openCase()
	consent := w.consent(in) // its form has no date either
	w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	disk, _, err := w.investigator.Deposit(ctx, Deposit{Case: in, Class: evidence.Original, Content: evidence.Digital, Basis: evidence.CourtOrder,
		Authority: sampleGround, Label: "disk", Description: Description{Name: "disk.img", MediaType: "application/octet-stream"}, Body: strings.NewReader("x")})
	check(t, err)
	undated := func() (list []evidence.ItemID) {
		for _, f := range must(auditor.Audit(ctx, 0, nil))(t).of(FoundUndated) {
			list = append(list, f.Item)
			if f.Late || f.Since == 0 || f.Case != in {
				t.Errorf("%+v", f)
			}
		}
		return list
	}
	if list := undated(); len(list) != 2 || !slices.Contains(list, disk) {
		t.Errorf("without a date: %v", list)
	}
	_, err = w.custodian.SetRetention(ctx, disk, "case_files", evidence.At(clock.now().Add(100*24*time.Hour)), "Code of Criminal Procedure, section 5")
	check(t, err)
	if list := undated(); len(list) != 1 || slices.Contains(list, disk) {
		t.Errorf("with a date: %v", list)
	}
	notes := must(w.second.Notes(ctx, evidence.ItemOf(disk)))(t)
	if i := slices.IndexFunc(notes, func(n ReadNote) bool {
		return n.Name == "authority" && n.Text == "Code of Criminal Procedure, section 5"
	}); i < 0 {
		t.Errorf("the law is not among the notes: %+v", notes)
	}
}

// What is destroyed on an order is so on that authority, in its proposal and in the deed, whatever it was kept on; and never on consent.
func TestShredAuthority(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	ordered, drafted := w.deposit(w.clinician, in, consent, strings.NewReader("x")), w.deposit(w.clinician, in, consent, strings.NewReader("y"))
	for item, p := range map[evidence.ItemID]Shredding{
		ordered: {Cause: evidence.CauseOrder, Basis: evidence.CourtOrder, Order: "order 9/27"}, drafted: {Cause: evidence.CauseDraft},
	} {
		_, err := w.custodian.ProposeShred(ctx, item, p)
		check(t, err)
	}
	clock.pass(14*24*time.Hour + time.Minute)
	for item, want := range map[evidence.ItemID]evidence.Basis{ordered: evidence.CourtOrder, drafted: ""} {
		_, err := w.second.Shred(ctx, item)
		check(t, err)
		for _, e := range must(w.second.History(ctx, evidence.ItemOf(item)))(t) {
			if e.Kind != evidence.ItemShredProposed && e.Kind != evidence.ItemShredded {
				continue
			}
			if said := e.Authority; (said == nil) != (want == "") || said != nil && said.Basis != want {
				t.Errorf("%s of %s on %+v", e.Kind, item, said)
			}
		}
	}
}
