package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// auditorOf enrols an auditor, with the clock of the others.
func (w *world) auditorOf(clock *later) *person {
	w.Helper()
	p := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	w.setClock(p, clock)
	return p
}

func (a Audit) of(kind FindingKind) (list []Finding) {
	for _, f := range a.Findings {
		if f.Kind == kind {
			list = append(list, f)
		}
	}
	return list
}

// RULES §1, A4 and A6: every emergency is listed with its review, or that there is none; every refusal; and releases with their ground.
func TestAudit(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	auditor := w.auditorOf(clock)
	in := w.openCase()
	_, err := w.custodian.AddMember(ctx, in, evidence.Member{Actor: w.investigator.Actor(), Rights: []evidence.Right{evidence.OnDuty}}, "")
	check(t, err)
	consent := w.consent(in)
	emergency := func() (evidence.ItemID, *Receipt) {
		t.Helper()
		item := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
		opened, _, err := w.investigator.BreakGlass(ctx, Emergency{Item: item, Code: "life", Reason: "the attacker is on the way"}, io.Discard)
		check(t, err)
		return item, opened.Receipt
	}
	never, _ := emergency()
	tooLate, second := emergency()
	inTime, third := emergency()
	_, err = w.second.ReviewEmergency(ctx, inTime, third.Leaf, true, "none", nil)
	check(t, err)
	refused := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	check(t, w.opens(w.second, refused, ""))
	_, err = w.clinician.Seal(ctx, refused, 0)
	check(t, err)
	now := evidence.At(clock.now())
	grant, _, err := w.custodian.Propose(ctx, Proposal{Item: refused, Recipient: w.court.Actor(), Actions: []evidence.Action{evidence.View},
		Purpose: evidence.ForAdjudication, Jurisdiction: "DE", LegalBasis: "court_order", NotBefore: now, Expires: now.Add(time.Hour)})
	check(t, err)
	_, err = w.second.Refuse(ctx, refused, grant, "the request names no case")
	check(t, err)

	early := must(auditor.Audit(ctx, 100, nil))(t)
	for _, f := range early.of(FoundEmergency) {
		if f.Late {
			t.Errorf("late before it is due: %+v", f)
		}
	}
	clock.pass(73 * time.Hour)
	_, err = w.second.ReviewEmergency(ctx, tooLate, second.Leaf, false, "spoken to", nil)
	check(t, err)
	audit := must(auditor.Audit(ctx, 100, nil))(t)

	found := audit.of(FoundEmergency)
	if len(found) != 3 {
		t.Fatalf("%d emergencies", len(found))
	}
	for _, f := range found {
		want := map[evidence.ItemID]struct{ done, late bool }{never: {false, true}, tooLate: {true, true}, inTime: {true, false}}[f.Item]
		if f.Actor != w.investigator.Actor() || f.Case != in || f.Due.Sub(f.Since) != 72*time.Hour || (f.Done != 0) != want.done || f.Late != want.late {
			t.Errorf("%+v, want %+v", f, want)
		}
	}
	if found := audit.of(FoundRefusal); len(found) != 1 || found[0].Item != refused || found[0].Actor != w.second.Actor() || found[0].Entry == 0 || found[0].Since == 0 {
		t.Errorf("refusals %+v", found)
	}
	i := slices.IndexFunc(audit.of(FoundRelease), func(f Finding) bool { return f.Item == refused })
	if i < 0 {
		t.Fatal("the opening is not among the releases")
	}
	f := audit.of(FoundRelease)[i]
	if f.Actor != w.second.Actor() || f.Entry == 0 || !strings.Contains(f.Why, string(consent)+", version 1") {
		t.Errorf("%+v", f)
	}
	if n := len(must(auditor.Audit(ctx, 1, nil))(t).of(FoundRelease)); n != 1 {
		t.Errorf("%d of one sampled", n)
	}
}

// RULES §1, A3: whatever was done to people and to the vault is listed, by whom and when, in the order of the log; and whoever signed
// anything is among the people.
func TestAuditActs(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	auditor := w.auditorOf(clock)
	in := w.openCase()
	w.deposit(w.clinician, in, w.consent(in), strings.NewReader("x"))
	until := evidence.At(clock.now().Add(time.Hour))
	_, err := w.admin.Suspend(ctx, w.court.Actor(), evidence.CauseMisconduct, until)
	check(t, err)
	_, err = w.custodian.Revoke(ctx, w.court.Actor(), evidence.CauseDeparture)
	check(t, err)
	_, err = w.admin.ReportIncident(ctx, evidence.VaultIncidentDetails{Code: "outage", From: until.Add(-2 * time.Hour), Scope: "vault"})
	check(t, err)
	audit := must(auditor.Audit(ctx, 0, nil))(t)
	var said []string
	for i, a := range audit.Acts {
		if i > 0 && a.Entry <= audit.Acts[i-1].Entry || a.Event.IsZero() || a.Time == 0 {
			t.Errorf("act %d: %+v", i, a)
		}
		names := map[evidence.ActorID]string{w.admin.Actor(): "admin", w.custodian.Actor(): "custodian", w.court.Actor(): "court", auditor.Actor(): "auditor", "": "vault"}
		said = append(said, strings.TrimSpace(strings.Join([]string{names[a.By], string(a.Kind), names[a.Of], a.Detail}, " ")))
		if a.Kind == evidence.ActorSuspended && a.Until != until {
			t.Errorf("%+v", a)
		}
	}
	for _, want := range []string{
		"admin actor.enrolled admin administrator", "custodian actor.enrolled court court", "admin actor.confirmed court in_person",
		"admin actor.enrolled auditor auditor", "custodian actor.confirmed auditor in_person",
		"admin actor.suspended court misconduct", "custodian actor.revoked court departure", "admin vault.incident vault outage",
	} {
		if !slices.Contains(said, want) {
			t.Errorf("%q is not among %q", want, said)
		}
	}
	if !slices.ContainsFunc(audit.Acts, func(a Act) bool {
		return a.Kind == evidence.VaultConfigured && a.Of == "" && a.Detail == "version test"
	}) {
		t.Error("how the vault was configured is not listed")
	}

	for _, p := range []*person{w.clinician, w.admin} { // one who acted on an item, one on people alone
		hide := instead("GET", "/actors", func(body []byte) []byte {
			var list wire.ActorList
			check(t, json.Unmarshal(body, &list))
			list.Actors = slices.DeleteFunc(list.Actors, func(a wire.Actor) bool { return a.ID == string(p.Actor()) })
			return must(json.Marshal(list))(t)
		})
		_, err = w.client(auditor, hide).Audit(ctx, 0, nil)
		wantLie(t, err, Omitted)
	}
}

// Held against the record book that was followed, a list that leaves out an item or an actor is found, also one who signed nothing; and so is
// a book that is not the one that was followed.
func TestAuditOmitted(t *testing.T) {
	w, auditor, in := lively(t)
	ctx := t.Context()
	consent := w.consent(in)
	hidden := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	check(t, w.opens(w.second, hidden, ""))
	passive := w.enrol("passive", evidence.Court, w.custodian, w.second)
	f := w.follow(auditor.Client, t.TempDir())
	settled(t, f)

	whole := must(auditor.Audit(ctx, 0, f))(t)
	if whole.Followed != f.State.Read() || whole.Followed < 20 {
		t.Errorf("held against %d entries of %d", whole.Followed, f.State.Read())
	}
	later := w.deposit(w.clinician, in, consent, strings.NewReader("y")) // after what was followed: nothing is said of that
	if now := must(auditor.Audit(ctx, 0, f))(t); now.Items != whole.Items+1 || now.Followed != whole.Followed {
		t.Errorf("%d items to entry %d, then %d to entry %d", whole.Items, whole.Followed, now.Items, now.Followed)
	}
	for name, hide := range map[string]struct {
		path, id string
	}{
		"an item":                     {"/items", string(hidden)},
		"somebody who signed nothing": {"/actors", string(passive.Actor())},
	} {
		t.Run(name, func(t *testing.T) {
			lie := about("GET", hide.path, func(list *map[string]any) {
				for _, of := range []string{"items", "actors"} {
					if all, ok := (*list)[of].([]any); ok {
						(*list)[of] = slices.DeleteFunc(all, func(one any) bool { return one.(map[string]any)["id"] == hide.id })
					}
				}
			})
			deceived := w.client(auditor, lie)
			if _, err := deceived.Audit(ctx, 0, nil); err != nil {
				t.Errorf("without what was followed it cannot be seen: %v", err)
			}
			_, err := deceived.Audit(ctx, 0, f)
			wantLie(t, err, Omitted)
			if lie.told.Load() == 0 {
				t.Error("no lie was told")
			}
		})
	}
	hide := about("GET", "/items", func(list *wire.ItemList) {
		list.Items = slices.DeleteFunc(list.Items, func(i wire.Item) bool { return i.ID == string(later) })
	})
	if _, err := w.client(auditor, hide).Audit(ctx, 0, f); err != nil {
		t.Errorf("of what came after nothing is said: %v", err)
	}
	settled(t, f) // now it is before
	_, err := w.client(auditor, hide).Audit(ctx, 0, f)
	wantLie(t, err, Omitted)

	t.Run("another book", func(t *testing.T) {
		other, another, _ := lively(t)
		g := other.follow(another.Client, t.TempDir())
		settled(t, g)
		_, err := auditor.Audit(t.Context(), 0, g)
		wantLie(t, err, Forked)
	})
}

// RULES §1, I6: right, missing and different are counted, and what nobody compared for longer than it should be is found.
func TestAuditCompared(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	auditor := w.auditorOf(clock)
	in := w.openCase()
	consent := w.consent(in)
	whole := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	other := w.deposit(w.clinician, in, consent, bytes.NewReader(random(100_000)))
	is := func(want Comparison, late int) {
		t.Helper()
		audit := must(auditor.Audit(ctx, 0, nil))(t)
		if audit.Compared != want || len(audit.of(FoundUncompared)) != late {
			t.Errorf("%+v, %d late; want %+v, %d", audit.Compared, len(audit.of(FoundUncompared)), want, late)
		}
		for _, f := range audit.of(FoundUncompared) {
			if !f.Late || f.Item == other || f.Due.Sub(f.Since) != comparedLate {
				t.Errorf("%+v", f)
			}
		}
	}
	is(Comparison{Right: 3}, 0) // the form, too
	flipped := instead("GET", "/evidence", func(b []byte) []byte { b[70_000] ^= 1; return b })
	second := w.client(w.second, flipped)
	second.clock.now = clock.now
	_, err := second.Verify(ctx, Open{Item: other, Purpose: evidence.ForVerification})
	wantLie(t, err, OtherBytes)
	is(Comparison{Right: 2, Different: 1}, 0)
	if f := must(auditor.Audit(ctx, 0, nil))(t).of(FoundDamaged); len(f) != 1 || f[0].Item != other || f[0].Actor != w.second.Actor() || f[0].Why != "different" || f[0].Entry == 0 {
		t.Errorf("%+v", f)
	}
	clock.pass(32 * 24 * time.Hour)
	is(Comparison{Late: 2, Different: 1}, 0)
	clock.pass(4 * 24 * time.Hour)
	is(Comparison{Late: 2, Different: 1}, 2)
	draft, _ := itemNow(t, w.custodian, whole)
	v := must(w.custodian.Look(ctx, evidence.ItemOf(whole)))(t)
	for _, c := range []struct {
		change func(*evidence.ItemState)
		want   Comparison
	}{
		{func(s *evidence.ItemState) { s.Compared = v.Time }, Comparison{Right: 1}},
		{func(s *evidence.ItemState) { s.Shredded = v.Time }, Comparison{}},
		{func(s *evidence.ItemState) { s.Class = evidence.DescriptionOnly }, Comparison{}},
	} {
		changed, got := *draft, Comparison{}
		c.change(&changed)
		found := must(v.findings(&changed, &got))(t)
		if got != c.want || slices.ContainsFunc(found, func(f Finding) bool { return f.Kind == FoundUncompared }) {
			t.Errorf("%+v, want %+v", got, c.want)
		}
	}
	// What the scrub says of a file that is not there.
	_, err = auditor.onItemAct(ctx, whole, evidence.ItemVerified, &evidence.ItemVerifiedDetails{Scope: "ciphertext", Evidence: evidence.SHA256(nil)},
		func(_ *View, _ *evidence.ItemState, a *act) error {
			a.event.Result = &evidence.Result{Outcome: evidence.Failure}
			return nil
		})
	check(t, err)
	is(Comparison{Late: 1, Missing: 1, Different: 1}, 1)
}

// Clocks that ran back are found by signer, the worst first, each with the entry and the one it contradicts.
func TestAuditClocks(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	auditor := w.auditorOf(clock)
	in := w.openCase()
	consent := w.consent(in)
	if found := must(auditor.Audit(ctx, 0, nil))(t).of(FoundClock); len(found) > 0 {
		t.Errorf("of clocks that are right: %+v", found)
	}
	clock.pass(time.Hour)
	_, err := w.admin.Suspend(ctx, w.court.Actor(), evidence.CauseError, evidence.At(clock.now().Add(time.Hour)))
	check(t, err)
	_, err = w.admin.Look(ctx, evidence.ActorOf(w.court.Actor())) // waits for the publication: what comes later is behind the vault's clock, too
	check(t, err)
	clock.pass(-30 * time.Minute)
	w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	clock.pass(-10 * time.Minute)
	w.deposit(w.investigator, in, consent, strings.NewReader("x"))
	audit := must(auditor.Audit(ctx, 0, nil))(t)
	found := audit.of(FoundClock)
	if len(found) != 2 || found[0].Actor != w.investigator.Actor() || found[1].Actor != w.clinician.Actor() {
		t.Fatalf("%+v", found)
	}
	for i, about := range []time.Duration{40 * time.Minute, 30 * time.Minute} {
		f := found[i]
		if (f.Behind-about).Abs() > time.Minute || f.Entry <= f.Against || f.Against == 0 || f.Event.IsZero() || f.Since == 0 {
			t.Errorf("%+v, want about %v", f, about)
		}
	}
	if audit.Backwards != found[0].Behind {
		t.Errorf("backwards %v", audit.Backwards)
	}
}

// busyBook is of a vault that published once a second, so many times, each time of ten entries, with its own among them.
func busyBook(publications int64) *book {
	b := &book{len: publications, pages: make(map[int64][]dossier.Publication)}
	b.fetch = func(_ context.Context, first int64) (list []dossier.Publication, _ error) {
		for seq := first; seq < min(first+eventsOfPage, publications); seq++ {
			at := 10 * (seq + 1)
			list = append(list, dossier.Publication{Seq: seq, Entry: at, Covers: at, Time: evidence.Time(1000 * (seq + 1))})
		}
		return list, nil
	}
	return b
}

// Of a vault that published ten million times an audit reads as many pages as it may, each signer's times among them; of one that published
// less often, what is around each time. What it keeps is bounded.
func TestAuditOfBusyVault(t *testing.T) {
	ctx := t.Context()
	const publications, events, signers, pages = 10_000_000, 50_000, 20, 300
	var c clocks
	for i := range int64(events) {
		entry := 5 + i*(publications/events)*10
		s := stated{entry: entry, time: evidence.Time(100 * entry), by: evidence.ActorID(strconv.Itoa(int(i % signers))), event: evidence.SHA256([]byte(strconv.Itoa(int(i))))}
		if s.by == "7" {
			s.time = s.time.Add(time.Minute) // too little to be seen in the order of entry
		}
		c.list = append(c.list, s)
	}
	b := busyBook(publications)
	found, _, dated, err := c.findings(ctx, b, pages)
	check(t, err)
	if search := bits.Len64(publications / eventsOfPage); b.read < pages || b.read > pages+2*search || len(b.pages) > pages+2*search {
		t.Errorf("%d pages were read, %d kept", b.read, len(b.pages))
	}
	if len(found) != 1 || found[0].Actor != "7" || found[0].Ahead < 59*time.Second || dated < signers || dated >= events {
		t.Errorf("%d dated: %+v", dated, found)
	}

	c.list = c.list[:1000]
	b = busyBook(pages * eventsOfPage)
	found, _, dated, err = c.findings(ctx, b, pages)
	check(t, err)
	if dated != len(c.list) || b.read > pages || len(found) != 1 || found[0].Actor != "7" {
		t.Errorf("%d of %d dated, %d pages: %+v", dated, len(c.list), b.read, found)
	}

	b = busyBook(publications)
	for entry := int64(0); entry < 10*publications; entry += publications / 500 {
		before, err := b.before(ctx, entry)
		check(t, err)
		covering, err := b.covering(ctx, entry)
		check(t, err)
		if before.Entry != (entry-1)/10*10 || covering.Covers != (entry/10+1)*10 {
			t.Fatalf("around %d: %+v, %+v", entry, before, covering)
		}
		if len(b.pages) > pagesKept {
			t.Fatalf("%d pages are kept", len(b.pages))
		}
	}
	if b.read <= pagesKept {
		t.Error("nothing had to be forgotten")
	}
	if p, err := b.covering(ctx, 10*publications); err != nil || p != (dossier.Publication{}) {
		t.Errorf("what nothing covers: %+v, %v", p, err)
	}
	honest := b.fetch // later ones, of an earlier time
	b.fetch = func(ctx context.Context, first int64) ([]dossier.Publication, error) {
		list, err := honest(ctx, first)
		if first > publications/2 {
			for i := range list {
				list[i].Time -= 1000 * publications / 2
			}
		}
		return list, err
	}
	clear(b.pages)
	_, err = b.covering(ctx, 10*(publications-1))
	wantLie(t, err, BrokenChain)
}

// A report of more items than one look is of any number, each once, with one head and one end.
func TestCustodyOfMany(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	var items []evidence.ItemID
	for range 2 {
		items = append(items, w.deposit(w.clinician, in, consent, strings.NewReader("x")))
	}
	many := slices.Repeat(items, itemsOfLook*3/4)
	var page, table bytes.Buffer
	for _, out := range []*dossier.CustodyWriter{dossier.NewCustodyPage(&page, dossier.English, len(many)), dossier.NewCustodyTable(&table, dossier.English)} {
		parts, largest, steps := 0, 0, 0
		check(t, w.custodian.Custody(ctx, "", many, func(part dossier.Custody) error {
			parts, largest, steps = parts+1, max(largest, len(part.Items)), steps+part.Steps()
			return out.Add(part)
		}))
		check(t, out.End())
		if parts != 2 || largest != itemsOfLook || steps < len(many) {
			t.Errorf("%d parts, the largest of %d items, %d steps", parts, largest, steps)
		}
	}
	for text, n := range map[string]int{"<h1>": 1, "</html>": 1, "<dd>300</dd>": 1, "<dt>Item</dt>": len(many)} {
		if got := strings.Count(page.String(), text); got != n {
			t.Errorf("%q is %d times on the page, want %d", text, got, n)
		}
	}
	if strings.Count(table.String(), "why_allowed") != 1 || strings.Count(table.String(), "item.deposited") != len(many) {
		t.Error("the table has not one head and a row for each deposit")
	}
	w.custodian.known.Lock()
	for s := range w.custodian.known.receipts {
		if s.Type == evidence.ItemStream && slices.Contains(items, evidence.ItemID(s.ID)) {
			t.Error("an item of the report is kept in memory")
		}
	}
	w.custodian.known.Unlock()
	if err := w.custodian.Custody(ctx, "", nil, nil); evidence.KindOf(err) != evidence.NotFound {
		t.Errorf("of no item: %v", err)
	}
}
