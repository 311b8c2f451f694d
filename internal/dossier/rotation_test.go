package dossier

import (
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// rotated are one package, made while the witnesses were others than now, under trust files that say so.
func rotated(t *testing.T) []struct {
	asked
	verdict Verdict
	check   Check
	reason  string
	by      bool // whether the bounds are told by somebody's signature
} {
	t.Helper()
	a, id := witnessed(t)
	s := a.packed(id)
	whole := s.write(t)
	s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = spoilt(p.Checkpoint, "one") })
	hurt := s.write(t)
	was := a.trust.WitnessPolicy()
	next, auditor := newCosigner("three"), newCosigner("reviewer")
	others := next.rule() + auditor.rule() + "group auditors 1 reviewer\nquorum three\n"
	var last ev.Time
	for _, at := range a.seen {
		last = max(last, at)
	}
	cosigned := last.Std().Truncate(time.Second) // the auditor came an hour later
	audited := cosigned.Add(time.Hour)
	trust := func(now string, stamped bool, earlier ...tlog.EarlierPolicy) tlog.Trust {
		p := tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: now, EarlierPolicies: earlier}
		if stamped {
			p.Authorities, p.TimestampRoots = a.trust.Authorities(), a.trust.TimestampRoots()
		}
		return must(tlog.NewTrust(p))
	}
	until := func(end time.Time) tlog.EarlierPolicy { return tlog.EarlierPolicy{Policy: was, Until: end} }
	list := []struct {
		asked
		verdict Verdict
		check   Check
		reason  string
		by      bool
	}{
		{asked{name: "until the auditor's second", trust: trust(others, true, until(audited))}, Verified, CheckWitnesses, "", true},
		{asked{name: "until just before it", trust: trust(others, true, until(audited.Add(-time.Millisecond)))}, Incomplete, CheckAudit, ReasonAuditMissing, true},
		{asked{name: "until the witnesses' second", trust: trust(next.rule()+"quorum three\n", true, until(cosigned))}, Verified, CheckWitnesses, "", true},
		{asked{name: "until just before them", trust: trust(next.rule()+"quorum three\n", true, until(cosigned.Add(-time.Millisecond)))}, Incomplete, CheckWitnesses, ReasonWitnessMissing, true},
		{asked{name: "forgotten", trust: trust(others, true)}, Incomplete, CheckWitnesses, ReasonWitnessMissing, true},
		{asked{name: "nobody was asked", trust: trust(others, true, tlog.EarlierPolicy{Until: audited})}, Incomplete, CheckWitnesses, ReasonWitnessMissing, true},
		{asked{name: "two rotations", trust: trust(others, true, until(audited), tlog.EarlierPolicy{Policy: next.rule() + "quorum three\n", Until: audited})}, Verified, CheckWitnesses, "", true},
		{asked{name: "one of them stays", trust: trust(a.one.rule()+"quorum one\n", true, until(cosigned.Add(-time.Hour)))}, Verified, CheckWitnesses, "", true},
		{asked{name: "nobody is asked any more", trust: trust("", false, until(audited))}, Verified, CheckWitnesses, ReasonNoWitness, true},
		{asked{name: "nor was when it was made", trust: trust("", false, until(cosigned.AddDate(-1, 0, 0)))}, Verified, CheckWitnesses, ReasonNoWitness, false},
		{asked{name: "a wrong line", data: hurt, trust: trust(others, true, until(audited))}, Refused, CheckWitnesses, ReasonWitnessSignature, true},
		{asked{name: "a wrong line of later", data: hurt, trust: trust("", false, until(cosigned.AddDate(-1, 0, 0)))}, Refused, CheckWitnesses, ReasonWitnessSignature, false},
	}
	for i := range list {
		if list[i].data == nil {
			list[i].data = whole
		}
	}
	return list
}

// A package keeps the word of those who were asked when it was made; what they sign after they were replaced is worth nothing.
func TestWitnessRotation(t *testing.T) {
	for _, c := range rotated(t) {
		t.Run(c.name, func(t *testing.T) {
			r := verify(t, &world{trust: c.trust}, c.data, nil)
			wanted(t, r, c.verdict, c.check, c.reason)
			if len(r.Events) == 0 || (r.Events[0].By != 0) != c.by && r.Verdict != Refused {
				t.Errorf("bounds %+v", r.Events)
			}
		})
	}
}

// The second verifier says the same of each.
func TestIndependentOfRotation(t *testing.T) {
	needsPython(t)
	var list []asked
	for _, c := range rotated(t) {
		list = append(list, c.asked)
	}
	agree(t, list...)
}

// Witnesses that were replaced can date what they sign to the time when they were asked. The court's own export betrays them.
func TestReplacedWitnessesDateBack(t *testing.T) {
	a, id := witnessed(t)
	end := a.now.Std().Add(-day)
	a.attest = func(_ int, note []byte) []byte {
		return append(note, a.one.line(note, ev.At(end))+a.two.line(note, ev.At(end))+a.auditor.line(note, ev.At(end))...)
	}
	a.trust = must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: newCosigner("three").rule() + "quorum three\n",
		EarlierPolicies: []tlog.EarlierPolicy{{Policy: a.trust.WitnessPolicy(), Until: end}}}))
	r := verify(t, a.world, a.pack(id).write(t), nil)
	wanted(t, r, Refused, CheckTime, ReasonTimeBounds)
	if r.Check(CheckWitnesses).Result != Pass {
		t.Errorf("%+v", r.Check(CheckWitnesses))
	}
}
