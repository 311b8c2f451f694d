package client

import (
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
)

// The recovery key is used by two trustees or not at all (RULES §3.7, §12.24), and auditors see what either of them states.
func TestRecovered(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	one, two := w.enrol("trustee", evidence.Trustee, w.custodian, w.second), w.enrol("trustee 2", evidence.Trustee, w.custodian, w.second)
	auditor := w.enrol("auditor", evidence.Auditor, w.admin, w.custodian)
	in := w.openCase()
	a, b := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("a")), w.deposit(w.clinician, in, w.consent(in), strings.NewReader("b"))
	stated := func() string {
		t.Helper()
		var list []string
		for _, f := range must(auditor.Audit(ctx, 0, nil))(t).Findings {
			if f.Kind == FoundRecovered || f.Kind == FoundRecovering {
				list = append(list, strings.Join([]string{string(f.Kind), map[evidence.ItemID]string{a: "a", b: "b"}[f.Item], f.Why}, " "))
				if f.Entry == 0 || f.Actor != one.Actor() && f.Actor != two.Actor() || (f.Done != 0) != (f.Kind == FoundRecovered) {
					t.Errorf("%+v", f)
				}
			}
		}
		slices.Sort(list)
		return strings.Join(list, ", ")
	}
	state := func(p *person, r Recovery, instead, second bool) {
		t.Helper()
		if _, confirmed, err := p.StateRecovery(ctx, r, instead); err != nil || confirmed != second {
			t.Errorf("confirmed %v: %v", confirmed, err)
		}
	}
	both := Recovery{Items: []evidence.ItemID{b, a, b}, Cause: evidence.CauseLoss}
	for _, p := range []*person{w.custodian, auditor, w.admin} {
		_, _, err := p.StateRecovery(ctx, both, false)
		wantReason(t, err, evidence.ReasonRole)
	}
	_, _, err := one.StateRecovery(ctx, Recovery{Cause: evidence.CauseLoss}, false)
	wantReason(t, err, "size")

	state(one, both, false, false)
	if got := stated(); got != "recovery_stated a loss, recovery_stated b loss" {
		t.Errorf("after one trustee: %s", got)
	}
	_, confirmed, err := one.StateRecovery(ctx, both, false)
	wantReason(t, err, evidence.ReasonSecondPerson)
	if confirmed {
		t.Error("the same trustee confirmed")
	}
	for _, other := range []Recovery{{both.Items[:1], both.Cause}, {both.Items, evidence.CauseOrder}} {
		_, _, err = two.StateRecovery(ctx, other, false)
		wantReason(t, err, reasonRecoveryDiffers)
	}
	state(two, Recovery{[]evidence.ItemID{a, b}, both.Cause}, false, true)
	if got := stated(); got != "recovered a loss, recovered b loss" {
		t.Errorf("after two trustees: %s", got)
	}

	// A mistake is corrected by who made it, or by another trustee who says so; what nobody confirmed stays visible as that.
	state(one, Recovery{[]evidence.ItemID{a}, evidence.CauseOrder}, false, false)
	state(one, Recovery{[]evidence.ItemID{b}, evidence.CauseOrder}, false, false)
	state(two, Recovery{[]evidence.ItemID{b}, evidence.CauseRequest}, true, false)
	state(one, Recovery{[]evidence.ItemID{b}, evidence.CauseRequest}, false, true)
	if got := stated(); got != "recovered a loss, recovered b loss, recovered b request, recovery_stated a order, recovery_stated b order" {
		t.Errorf("in the end: %s", got)
	}

	// One alone ends what two stated and takes back what waits, another one's too.
	state(one, Recovery{[]evidence.ItemID{a}, evidence.CauseLoss}, false, false)
	_, _, err = auditor.EndRecovery(ctx, evidence.CauseError)
	wantReason(t, err, evidence.ReasonRole)
	_, ended, err := two.EndRecovery(ctx, evidence.CauseError)
	if check(t, err); !slices.Equal(ended, slices.Sorted(slices.Values([]evidence.ItemID{a, b}))) {
		t.Errorf("ended: %v", ended)
	}
	_, _, err = one.EndRecovery(ctx, evidence.CauseError)
	wantReason(t, err, evidence.ReasonNoRecovery)
	state(two, Recovery{[]evidence.ItemID{a}, evidence.CauseLoss}, false, false)
	found := must(auditor.Audit(ctx, 0, nil))(t)
	n := 0
	for _, f := range found.Findings {
		switch {
		case f.Kind == FoundRecoveryEnded:
			if n++; f.Actor != two.Actor() || f.Why != "error" || f.Since == 0 || f.Item != a && f.Item != b {
				t.Errorf("%+v", f)
			}
		case f.Kind == FoundRecovered && (f.Until == 0 || f.Until >= f.Done+evidence.RecoveryTime*1000): // each was replaced or ended
			t.Errorf("%+v", f)
		case f.Kind == FoundRecovering && f.Actor == two.Actor() && f.Why == "loss" && f.Until != f.Since+evidence.RecoveryWait*1000: // waits
			t.Errorf("%+v", f)
		}
	}
	if n != 2 {
		t.Errorf("%d ends in %+v", n, found.Findings)
	}
	if !slices.ContainsFunc(found.Acts, func(act Act) bool { return act.Detail == "nothing is to be opened, error" }) {
		t.Errorf("%+v", found.Acts)
	}

	// Whoever stated it first must be in force when the second one does: nobody confirms what a thief may have stated.
	_, err = w.custodian.Revoke(ctx, two.Actor(), evidence.CauseCompromise)
	check(t, err)
	_, _, err = one.StateRecovery(ctx, Recovery{[]evidence.ItemID{a}, evidence.CauseLoss}, false)
	wantReason(t, err, evidence.ReasonActorInactive)
	_, ended, err = one.EndRecovery(ctx, evidence.CauseCompromise)
	if check(t, err); !slices.Equal(ended, []evidence.ItemID{a}) {
		t.Errorf("taken back: %v", ended)
	}
	state(one, Recovery{[]evidence.ItemID{a}, evidence.CauseLoss}, false, false)
}
