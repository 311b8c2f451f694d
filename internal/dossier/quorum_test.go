package dossier

import (
	"fmt"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// looked is a package with a step between two states that three witnesses, of which two are asked for, and an auditor saw at times of
// their own, and when the step was signed.
type looked struct {
	name          string
	before, after [4]time.Duration // of the state without it and of that with it; from when it was signed, 0 is no cosignature
	verdict       Verdict
	reason        string
	since, by     time.Duration // 0 is none
	policy        string        // after the rules of witnesses; "" is two of the three
	vector        string        // its name among them, if it is one
	earlier       bool          // the policy has ended, two minutes after the step was signed, and another is in force
}

const (
	sec    = time.Second
	hour   = time.Hour
	ago    = -5 * sec
	soon   = 5 * sec
	days   = 96 * time.Hour
	ofAll  = "group auditors 1 d\ngroup q all a b c auditors\nquorum q\n"
	either = "group w 2 a b c\ngroup auditors 1 d\ngroup q any w auditors\nquorum q\n"
)

var lookings = []looked{
	{"all right", [4]time.Duration{ago, ago + sec, ago + 2*sec, hour}, [4]time.Duration{soon, soon + sec, soon + 2*sec, hour}, Verified, "", ago + sec, soon + sec, "", "", false},
	{"one clock days behind", [4]time.Duration{-days, ago, ago + sec, hour}, [4]time.Duration{-days, soon, soon + sec, hour}, Verified, "", ago, soon, "", "one-clock-behind", false},
	{"one clock days ahead", [4]time.Duration{ago, ago + sec, days, hour}, [4]time.Duration{soon, soon + sec, days, hour}, Verified, "", ago + sec, soon + sec, "", "", false},
	{"one behind, then ahead", [4]time.Duration{days, ago, ago + sec, hour}, [4]time.Duration{-days, soon, soon + sec, hour}, Verified, "", ago + sec, soon, "", "", false},
	{"one behind, of two", [4]time.Duration{-days, ago, 0, hour}, [4]time.Duration{-days, soon, 0, hour}, Verified, "", -days, soon, "", "", false},
	{"one ahead, of two", [4]time.Duration{0, ago, days, hour}, [4]time.Duration{0, soon, days, hour}, Verified, "", ago, days, "", "", false},
	{"two clocks behind", [4]time.Duration{ago, ago, ago, hour}, [4]time.Duration{-days, -days, soon, hour}, Refused, ReasonTimeBounds, 0, 0, "", "", false},
	{"two clocks behind all the time", [4]time.Duration{-days, -days, ago, hour}, [4]time.Duration{-days, -days, soon, hour}, Refused, ReasonTimeBounds, 0, 0, "", "", false},
	{"two clocks ahead", [4]time.Duration{ago, days, days, hour}, [4]time.Duration{soon, days, days, hour}, Refused, ReasonTimeBounds, 0, 0, "", "", false},
	{"two clocks ahead, then right", [4]time.Duration{ago, days, days, hour}, [4]time.Duration{soon, soon, soon, hour}, Incomplete, ReasonClocks, days, soon, "", "clocks-contradict", false},
	{"against each other, as clocks may", [4]time.Duration{ago, 200 * sec, 200 * sec, hour}, [4]time.Duration{soon, soon, soon, hour}, Verified, "", 200 * sec, soon, "", "", false},
	{"the auditor's clock behind", [4]time.Duration{ago, ago, ago, -days}, [4]time.Duration{soon, soon, soon, -days}, Verified, "", ago, soon, "", "", false},
	{"the auditor comes late", [4]time.Duration{ago, ago, ago, days}, [4]time.Duration{soon, soon, soon, days}, Verified, "", ago, days, ofAll, "", false},
	{"the auditor's clock behind, in the quorum", [4]time.Duration{ago, ago, ago, -days}, [4]time.Duration{soon, soon, soon, -days}, Verified, "", -days, soon, ofAll, "", false},
	{"the auditor is enough", [4]time.Duration{ago, ago, ago, days}, [4]time.Duration{soon, soon, soon, days}, Verified, "", 0, soon, either, "", false},
	{"nobody is asked", [4]time.Duration{ago, ago, ago, hour}, [4]time.Duration{-days, -days, -days, hour}, Verified, ReasonNoAuthority, 0, 0, "quorum none\n", "", false},

	{"under an earlier policy", [4]time.Duration{ago, ago, ago, ago}, [4]time.Duration{-days, soon, soon, soon}, Verified, "", ago, soon, "", "", true},
	{"under an earlier policy, one after its end", [4]time.Duration{ago, ago, days, ago}, [4]time.Duration{soon, soon, days, soon}, Verified, "", ago, soon, "", "", true},
	{"under an earlier policy, two after its end", [4]time.Duration{ago, ago, ago, ago}, [4]time.Duration{soon, days, days, soon}, Incomplete, "", 0, 0, "", "", true},
}

// packed is the package, and the step in the item's history.
func (c looked) packed(t *testing.T) (_ *sample, step *ev.Event) {
	t.Helper()
	w, id := newShared(t)
	var by [4]*cosigner
	rules := ""
	for i := range by {
		by[i] = newCosigner(string(rune('a' + i)))
		rules += by[i].rule()
	}
	policy := c.policy
	if policy == "" {
		policy = "group q 2 a b c\nquorum q\n"
	}
	parts := tlog.TrustParts{Vault: origin, Logs: w.trust.Logs(), Founders: w.trust.Founders(), WitnessPolicy: rules + policy}
	before := len(w.logged)
	w.open(id)
	step = w.logged[before].signed.Event()
	if c.earlier {
		parts.WitnessPolicy = newCosigner("new").rule() + "quorum new\n"
		parts.EarlierPolicies = []tlog.EarlierPolicy{{Policy: rules + policy, Until: step.Time.Std().Add(2 * time.Minute)}}
	}
	w.trust = must(tlog.NewTrust(parts))
	w.attest = func(size int, note []byte) []byte {
		times := c.after
		if size <= before {
			times = c.before
		}
		for i, d := range times {
			if d != 0 {
				note = append(note, by[i].line(note, step.Time.Add(d))...)
			}
		}
		return note
	}
	s := w.pack(id)
	s.rereceiptOf(ev.ItemOf(id), 1, func(p *tlog.ReceiptParts) { // an earlier step stands under the state without it
		p.Proof, p.Checkpoint = must(w.tree.InclusionProof(uint64(p.Index), uint64(before))), w.checkpoint(before)
	})
	return s, step
}

// A clock without which the quorum is met moves no bound; clocks that contradict each other verify nothing.
func TestQuorumOfClocks(t *testing.T) {
	for _, c := range lookings {
		t.Run(c.name, func(t *testing.T) {
			s, step := c.packed(t)
			r := verify(t, s.w, s.write(t), nil)
			check := CheckTime
			if c.verdict == Incomplete && c.reason == "" {
				check, c.reason = CheckWitnesses, ReasonWitnessMissing
			}
			wanted(t, r, c.verdict, check, c.reason)
			if c.verdict == Refused || check != CheckTime {
				return
			}
			at := func(d time.Duration) ev.Time {
				if d == 0 {
					return 0
				}
				return ev.At(step.Time.Add(d).Std().Truncate(time.Second))
			}
			if e := r.Events[step.Stream.Seq]; e.After != at(c.since) || e.By != at(c.by) {
				t.Errorf("bounds (%v, %v], want (%v, %v]", e.After, e.By, at(c.since), at(c.by))
			}
		})
	}
}

// The second verifier says the same of each.
func TestIndependentOfQuorumOfClocks(t *testing.T) {
	needsPython(t)
	var list []asked
	for _, c := range lookings {
		s, _ := c.packed(t)
		list = append(list, asked{name: c.name, data: s.write(t), trust: s.w.trust})
	}
	for i, r := range opinions(t, list) {
		if c := lookings[i]; r.Verdict != c.verdict || c.reason != "" && r.Check(CheckTime).Reason != c.reason {
			t.Errorf("%s: %s, %s", c.name, r.Verdict, fmt.Sprint(r.Checks))
		}
	}
	agree(t, list...)
}
