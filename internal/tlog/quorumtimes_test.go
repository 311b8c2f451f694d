package tlog

import (
	"bytes"
	"testing"
	"time"
)

// TestQuorumTimes: by when, and since when, a quorum had cosigned. The clock of
// one who is not the quorum moves neither beyond what the others say.
func TestQuorumTimes(t *testing.T) {
	_, trust := goodReceipt(t)
	_, log := newECDSA(t)
	cp := Checkpoint{testOrigin, 7, Hash{1}}
	bare, err := SignCheckpoint(cp, log)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c, d := newCosigner(t, "a"), newMLDSACosigner(t, "b"), newCosigner(t, "c"), newCosigner(t, "d")
	rules := a.rule() + b.rule() + c.rule() + d.rule()
	twoOf3, audited := rules+"group q 2 a b c\nquorum q\n", rules+"group auditors 1 d\ngroup w 2 a b c\n"
	for name, test := range map[string]struct {
		now, earlier string
		at           [4]int64 // seconds after cosignedAt when a, b, c, d signed; 0: not
		until, since int64
	}{
		"two of three":                 {twoOf3, "", [4]int64{10, 20, 30, 0}, 20, 20},
		"one far behind":               {twoOf3, "", [4]int64{-1e6, 20, 30, 0}, 20, 20},
		"one far ahead":                {twoOf3, "", [4]int64{10, 20, 1e6, 0}, 20, 20},
		"two, one of them behind":      {twoOf3, "", [4]int64{-1e6, 0, 30, 0}, 30, -1e6},
		"two, one of them ahead":       {twoOf3, "", [4]int64{0, 20, 1e6, 0}, 1e6, 20},
		"at one time":                  {twoOf3, "", [4]int64{5, 5, 5, 0}, 5, 5},
		"too few":                      {twoOf3, "", [4]int64{10, 0, 0, 15}, 0, 0},
		"nobody is asked":              {rules + "quorum none\n", "", [4]int64{10, 20, 30, 40}, 0, 0},
		"nobody is named":              {"", "", [4]int64{10, 20, 30, 40}, 0, 0},
		"an auditor who is not asked":  {audited + "quorum w\n", "", [4]int64{10, 20, 30, -1e6}, 20, 20},
		"an auditor who is, late":      {audited + "group q all w auditors\nquorum q\n", "", [4]int64{10, 20, 30, 1e6}, 1e6, 20},
		"an auditor who is, behind":    {audited + "group q all w auditors\nquorum q\n", "", [4]int64{10, 20, 30, -1e6}, 20, -1e6},
		"an auditor who is enough":     {audited + "group q any w auditors\nquorum q\n", "", [4]int64{10, 20, 30, 1e6}, 20, 0},
		"auditors alone":               {audited + "quorum auditors\n", "", [4]int64{10, 20, 30, 40}, 40, 0},
		"an earlier one":               {d.rule() + "quorum d\n", twoOf3, [4]int64{10, 20, 30, 0}, 20, 20},
		"an earlier one, one too late": {d.rule() + "quorum d\n", twoOf3, [4]int64{10, 20, 101, 0}, 20, 10},
		"an earlier one, two too late": {d.rule() + "quorum d\n", twoOf3, [4]int64{10, 101, 101, 0}, 0, 0},
		"both":                         {d.rule() + "quorum d\n", twoOf3, [4]int64{10, 20, 30, 40}, 20, 40},
		"both, the other way round":    {d.rule() + "quorum d\n", twoOf3, [4]int64{10, 20, 30, 5}, 5, 20},
		"its auditor is a witness now": {d.rule() + "quorum d\n", audited + "quorum w\n", [4]int64{10, 20, 30, 40}, 20, 20},
		"it asked for nobody":          {twoOf3, rules + "quorum none\n", [4]int64{10, 20, 30, 1}, 20, 20},
	} {
		t.Run(name, func(t *testing.T) {
			p := trust.parts
			if p.WitnessPolicy = test.now; test.earlier != "" {
				p.EarlierPolicies = []EarlierPolicy{{test.earlier, cosignedAt.Add(100 * time.Second)}}
			}
			trust, err := NewTrust(p)
			if err != nil {
				t.Fatal(err)
			}
			signed := bytes.Clone(bare)
			for i, w := range []cosigner{a, b, c, d} {
				if test.at[i] != 0 {
					signed = append(signed, w.line(t, cp, uint64(cosignedAt.Unix()+test.at[i]))...)
				}
			}
			got, err := trust.Cosigned(signed)
			if err != nil {
				t.Fatal(err)
			}
			for what, times := range map[string]struct {
				got  time.Time
				want int64
			}{"until": {got.Until, test.until}, "since": {got.Since, test.since}} {
				if want := cosignedAt.Add(time.Duration(times.want) * time.Second); times.want == 0 && !times.got.IsZero() || times.want != 0 && !times.got.Equal(want) {
					t.Errorf("%s is %v, want %d seconds", what, times.got.Sub(cosignedAt), times.want)
				}
			}
		})
	}
}
