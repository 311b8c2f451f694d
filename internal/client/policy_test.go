package client

import (
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// The vault's limits (RULES §3.7): nobody changes them alone, in whatever direction.
func TestConfigure(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	now := func() Policy { t.Helper(); return must(w.second.Policy(ctx))(t) }
	configure := func(p *person, change func(*evidence.VaultPolicy)) error {
		t.Helper()
		seen := now()
		to := seen.Configuration()
		change(&to.Policy)
		_, err := p.Configure(ctx, seen, to)
		return err
	}
	bin := func(d time.Duration) func(*evidence.VaultPolicy) {
		return func(p *evidence.VaultPolicy) { p.BinWait = int64(d.Seconds()) }
	}
	const day = 24 * time.Hour
	limit := func() time.Duration { return time.Duration(now().Now.Policy.BinWait) * time.Second }

	if p := now(); p.Waiting != nil || p.Now.Policy != daemon.DefaultPolicy {
		t.Errorf("at first: %+v", p)
	}
	for _, p := range []*person{w.custodian, w.clinician} {
		wantReason(t, configure(p, bin(30*day)), evidence.ReasonRole)
	}
	wantReason(t, configure(w.admin, bin(14*day)), reasonUnchanged)
	wantReason(t, configure(w.admin, bin(-day)), evidence.ReasonSize)
	seen := now()
	to := seen.Configuration()
	to.Recovery = "age1pq1nobody"
	_, err := w.admin.Configure(ctx, seen, to)
	wantReason(t, err, evidence.ReasonKeys)

	// Longer, by two and after the wait. What somebody decided on before is not signed any more.
	check(t, configure(w.admin, bin(30*day)))
	if now().Waiting == nil || limit() != 14*day {
		t.Errorf("one administrator made the wait %s", limit())
	}
	_, err = w.admin.Configure(ctx, seen, seen.Configuration())
	wantReason(t, err, reasonPolicyMoved)
	_, _, err = w.custodian.ConfirmConfiguration(ctx, now().Waiting.Event)
	check(t, err)
	clock.pass(7 * day)
	if now().Waiting != nil || limit() != 30*day {
		t.Errorf("confirmed, the wait is %s, %+v waits", limit(), now().Waiting)
	}

	// Shorter: the administrator alone changes nothing, however long he waits; nor does a custodian alone.
	check(t, configure(w.admin, bin(7*day)))
	clock.pass(30 * day)
	waits := now().Waiting
	if limit() != 30*day || waits == nil || waits.Effective != 0 || waits.By != w.admin.Actor() {
		t.Fatalf("in force %s, %+v waits", limit(), waits)
	}
	_, _, err = w.admin.ConfirmConfiguration(ctx, waits.Event)
	wantReason(t, err, evidence.ReasonRole)
	_, _, err = w.custodian.ConfirmConfiguration(ctx, evidence.SHA256(nil))
	wantReason(t, err, evidence.ReasonProposal)
	_, effective, err := w.custodian.ConfirmConfiguration(ctx, waits.Event)
	check(t, err)
	if p := now(); p.Waiting == nil || p.Waiting.Effective != effective || effective < p.Time.Add(7*day-time.Minute) || effective > p.Time.Add(7*day) {
		t.Errorf("from %d on, %+v waits", effective, p.Waiting)
	}
	_, _, err = w.second.ConfirmConfiguration(ctx, waits.Event)
	wantReason(t, err, evidence.ReasonApproved)
	clock.pass(7*day - time.Hour)
	if limit() != 30*day {
		t.Errorf("before the wait is over: %s", limit())
	}
	clock.pass(time.Hour)
	if now().Waiting != nil || limit() != 7*day {
		t.Errorf("after the wait: %s, %+v waits", limit(), now().Waiting)
	}

	// A newer configuration takes the place of what waits; what is in force already takes it back.
	check(t, configure(w.admin, bin(day)))
	waits = now().Waiting
	check(t, configure(w.admin, bin(2*day)))
	_, _, err = w.custodian.ConfirmConfiguration(ctx, waits.Event)
	wantReason(t, err, evidence.ReasonProposal)
	check(t, configure(w.admin, func(*evidence.VaultPolicy) {}))
	if p := now(); p.Waiting != nil || limit() != 7*day {
		t.Errorf("taken back: %s, %+v waits", limit(), p.Waiting)
	}
}

// Another recovery key: the keyring of each case follows it, and then every item.
func TestConfigureRecovery(t *testing.T) {
	w, clock := newLaterWorld(t)
	ctx := t.Context()
	in := w.openCase()
	begin := evidence.At(time.Now())
	consent, _, _, err := w.clinician.GiveConsent(ctx, Consent{Case: in, By: "self", From: begin, Until: begin.Add(30 * 24 * time.Hour),
		Answers: evidence.Answers{Storage: evidence.Yes, Photographs: evidence.Yes},
		Form:    Deposit{Label: "Consent form", Description: Description{Name: "form.txt", MediaType: "text/plain"}, Body: strings.NewReader("I agree.")}})
	check(t, err)
	item := w.deposit(w.clinician, in, consent, strings.NewReader("a finding"))
	seen := must(w.admin.Policy(ctx))(t)
	recovery := must(sealing.NewIdentity())(t).Recipient()
	to := seen.Configuration()
	to.Recovery = recovery
	must(w.admin.Configure(ctx, seen, to))(t)
	_, _, err = w.second.ConfirmConfiguration(ctx, must(w.second.Policy(ctx))(t).Waiting.Event)
	check(t, err)
	_, err = w.second.ChangeKeyring(ctx, in, nil, nil)
	wantReason(t, err, evidence.ReasonKeyring) // nothing has changed yet
	clock.pass(7 * 24 * time.Hour)

	_, _, err = w.clinician.Deposit(ctx, w.photo(in, consent, strings.NewReader("another")))
	wantReason(t, err, "keyring_outdated")
	must(w.second.ChangeKeyring(ctx, in, nil, nil))(t)
	if got := must(w.second.Rewrap(ctx, item))(t); len(got) != 1 {
		t.Errorf("%d keys written, want recovery's", len(got))
	}
	v := must(w.second.Look(ctx, evidence.ItemOf(item)))(t)
	if _, ok := v.State(evidence.ItemOf(item)).(*evidence.ItemState).Envelope(evidence.Fingerprint(nil, recovery)); !ok {
		t.Error("the new recovery key does not open the item")
	}
}

// A survivor complains to auditors: one of them manages it, and nobody else is let in.
func TestComplaint(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	survivor := w.enrol("survivor", evidence.Survivor, w.custodian, w.second)
	one, two := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian), w.enrol("auditor 2", evidence.Auditor, w.admin, w.custodian)
	complaint := NewCase{Type: "complaint", Keyholders: []evidence.ActorID{one.Actor(), two.Actor()}, Members: []evidence.Member{
		{Actor: survivor.Actor(), Rights: []evidence.Right{evidence.MayDeposit, evidence.MayManage}},
		{Actor: one.Actor(), Rights: []evidence.Right{evidence.MayOpen}}, {Actor: two.Actor(), Rights: []evidence.Right{evidence.MayOpen}},
	}}
	_, _, err := survivor.OpenCase(ctx, complaint)
	wantReason(t, err, evidence.ReasonNoManager)
	all := must(survivor.Complaint(ctx))(t)
	if len(all.Members) != 3 || len(all.Keyholders) != 2 || !slices.Contains(all.Keyholders, two.Actor()) {
		t.Errorf("a complaint to all auditors goes to %d members", len(all.Members))
	}
	complaint.Members[1].Rights = []evidence.Right{evidence.MayManage, evidence.MayOpen}
	in, _, err := survivor.OpenCase(ctx, complaint)
	check(t, err)
	third := w.enrol("auditor 3", evidence.Auditor, w.admin, w.custodian)
	must(one.AddMember(ctx, in, evidence.Member{Actor: third.Actor(), Rights: []evidence.Right{evidence.MayOpen}}, ""))(t)
	must(one.ChangeKeyring(ctx, in, []evidence.ActorID{third.Actor()}, []evidence.ActorID{two.Actor()}))(t)
	must(one.RemoveMember(ctx, in, two.Actor(), evidence.CauseReplacement))(t)
	_, err = survivor.CloseCase(ctx, in, "decided")
	wantReason(t, err, evidence.ReasonRole)
	for _, p := range []*person{w.custodian, w.admin} {
		if _, err := p.CloseCase(ctx, in, "decided"); evidence.KindOf(err) != evidence.NotFound {
			t.Errorf("closed by who is no member: %v", err)
		}
	}
	must(one.CloseCase(ctx, in, "decided"))(t)
	must(one.ReopenCase(ctx, in, evidence.CauseNewFacts))(t)
}
