package client

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// law asks whether a proposal to shred for a cause would be accepted now, without making one.
func law(t *testing.T, p *person, id evidence.ItemID, cause evidence.Cause) error {
	t.Helper()
	stream := evidence.ItemOf(id)
	_, _, err := p.prepareOn(t.Context(), afresh{p.Client}, []evidence.Stream{stream, evidence.ActorOf(p.actor)}, func(v *View) (act, error) {
		_, e, err := v.onItem(id, evidence.ItemShredProposed, &evidence.ItemShredProposedDetails{Cause: cause, DryRun: evidence.SHA256([]byte("list"))})
		if err == nil {
			e.Change = cause
		}
		return act{stream: stream, event: e}, err
	})
	return err
}

// A dry run lists for a cause exactly what the law would let be proposed for it: what expired is due, what was withdrawn or narrowed away
// is withdrawn.
func TestDryRunIsTheLaws(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	in := w.openCase()
	items := make(map[string]evidence.ItemID)
	deposit := func(name string, consents ...evidence.ConsentID) {
		d := w.photo(in, consents[0], strings.NewReader(name))
		d.Consent = slices.Sorted(slices.Values(consents))
		items[name] = must(func() (evidence.ItemID, error) { id, _, err := w.clinician.Deposit(ctx, d); return id, err }())(t)
	}
	kept, narrowed, withdrawn, both, ended := w.consent(in), w.consent(in), w.consent(in), w.consent(in), w.consent(in)
	deposit("kept", kept)
	deposit("sealed", kept)
	deposit("narrowed", narrowed)
	deposit("withdrawn", withdrawn)
	deposit("of two, one withdrawn", kept, withdrawn)
	deposit("withdrawn, then ended", both)
	deposit("ended", ended)
	deposit("of two, one ended and one withdrawn", ended, withdrawn)
	_, err := w.clinician.Seal(ctx, items["sealed"], 0)
	check(t, err)
	_, err = w.clinician.NarrowConsent(ctx, Narrowing{Consent: narrowed, No: func(a *evidence.Answers) { a.Photographs = evidence.No }})
	check(t, err)
	_, err = w.clinician.NarrowConsent(ctx, Narrowing{Consent: ended, Until: evidence.At(clock.now().Add(time.Hour))})
	check(t, err)
	_, err = w.clinician.NarrowConsent(ctx, Narrowing{Consent: both, Until: evidence.At(clock.now().Add(time.Hour))})
	check(t, err)
	for _, id := range []evidence.ConsentID{withdrawn, both} {
		_, _, err = w.clinician.WithdrawConsent(ctx, id, "")
		check(t, err)
	}
	clock.pass(2 * time.Hour)
	want := map[string]string{ // causes that are true, beside draft
		"kept": "", "sealed": "", "narrowed": "withdrawal", "withdrawn": "withdrawal", "of two, one withdrawn": "withdrawal", "withdrawn, then ended": "withdrawal due",
		"ended": "due", "of two, one ended and one withdrawn": "withdrawal due",
	}
	for name, id := range items {
		_, v := itemNow(t, w.custodian, id)
		var causes []string
		for _, cause := range []evidence.Cause{evidence.CauseWithdrawal, evidence.CauseDue, evidence.CauseDraft} {
			line, err := v.Line(id, cause)
			if said := law(t, w.custodian, id, cause); evidence.ReasonOf(said) != evidence.ReasonOf(err) || (said == nil) != (err == nil) {
				t.Errorf("%s, %s: the dry run says %v, the law %v", name, cause, err, said)
			}
			if err == nil && cause != evidence.CauseDraft {
				causes = append(causes, string(cause))
				if line.Due == 0 || line.Due > v.Time {
					t.Errorf("%s, %s: since %v", name, cause, line.Due)
				}
			}
		}
		if got := strings.Join(causes, " "); got != want[name] {
			t.Errorf("%s: %q, want %q", name, got, want[name])
		}
	}
}

// People are warned 90, 30 and 7 days before, and alarmed when the time is over and nobody decided; a decision ends that.
func TestWarnings(t *testing.T) {
	const hours = 24
	for left, want := range map[evidence.Time]Warning{-1: WarnOverdue, 0: WarnOverdue, 1: WarnWeek, 7 * hours: WarnWeek, 7*hours + 1: WarnMonth, 30 * hours: WarnMonth,
		30*hours + 1: WarnQuarter, 90 * hours: WarnQuarter, 90*hours + 1: "", 8000 * 366 * hours: ""} {
		now := evidence.At(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))
		if got := warned(now+left*3600*1000, now); got != want {
			t.Errorf("%d hours before: %q, want %q", left, got, want)
		}
	}
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	photo := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
	disk, _, err := w.investigator.Deposit(ctx, Deposit{Case: in, Class: evidence.Original, Content: evidence.Digital, Basis: evidence.CourtOrder,
		Authority: sampleGround, Label: "disk", Description: Description{Name: "disk.img", MediaType: "application/octet-stream"}, Body: bytes.NewReader([]byte("x"))})
	check(t, err)
	_, err = w.custodian.SetRetention(ctx, disk, "case_files", evidence.At(clock.now().Add(100*24*time.Hour)), "Code of Criminal Procedure, section 5")
	check(t, err)
	_, _, err = w.clinician.WithdrawConsent(ctx, consent, "")
	check(t, err)
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	w.setClock(auditor, clock)
	alarms := func() (list []FindingKind) {
		t.Helper()
		for _, f := range must(auditor.Audit(ctx, 0, nil))(t).Findings {
			if f.Late && f.Kind != FoundUncompared { // nobody scrubs here
				list = append(list, f.Kind)
			}
		}
		slices.Sort(list)
		return list
	}
	is := func(id evidence.ItemID, want Warning) {
		t.Helper()
		item, v := itemNow(t, w.custodian, id)
		if got, by, err := v.Warning(item); got != want || err != nil || got != "" && by == 0 {
			t.Errorf("warned %q by %v: %v, want %q", got, by, err, want)
		}
	}
	is(photo, WarnWeek) // the decision clock of a withdrawal
	is(disk, "")
	clock.pass(6 * 24 * time.Hour)
	if got := alarms(); len(got) != 0 {
		t.Errorf("alarms in time: %v", got)
	}
	clock.pass(36 * time.Hour)
	is(photo, WarnOverdue)
	if got := alarms(); !slices.Equal(got, []FindingKind{FoundUndecided}) {
		t.Errorf("alarms %v", got)
	}
	clock.pass(10 * 24 * time.Hour)
	is(disk, WarnQuarter)
	clock.pass(60 * 24 * time.Hour)
	is(disk, WarnMonth)
	clock.pass(16 * 24 * time.Hour)
	is(disk, WarnWeek)
	clock.pass(8 * 24 * time.Hour)
	is(disk, WarnOverdue)
	if got := alarms(); !slices.Contains(got, FoundOverdue) {
		t.Errorf("alarms %v", got)
	}
	_, err = w.custodian.ProposeShred(ctx, disk, Shredding{Cause: evidence.CauseDue})
	check(t, err)
	until := evidence.At(clock.now().Add(time.Hour))
	_, err = w.custodian.PlaceHold(ctx, photo, Hold{ID: evidence.NewID[evidence.HoldID](), Basis: evidence.CourtOrder, Expires: until, Review: until, Order: "order 8"})
	check(t, err)
	is(disk, "")
	is(photo, "")
	if got := alarms(); len(got) != 0 {
		t.Errorf("alarms %v", got)
	}
	if held := must(w.clinician.HeldIn(ctx, in))(t); !slices.Equal(held, []evidence.ItemID{photo}) {
		t.Errorf("held %v", held)
	}
	if held := must(w.clinician.HeldIn(ctx, w.openCase()))(t); len(held) != 0 {
		t.Errorf("in another case, held %v", held)
	}
}
