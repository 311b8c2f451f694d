package ledger

import (
	"testing"
	"time"
)

// Who is cut off: finality is late, and nobody who is asked confirms anything.
func TestCutOff(t *testing.T) {
	now := time.Now()
	list := func(states ...PeerState) (list []Peer) {
		for _, s := range states {
			list = append(list, Peer{State: s, Auditor: s == Waiting})
		}
		return list
	}
	for name, c := range map[string]struct {
		witnesses, authorities []Peer
		cosigned, stamped      bool // is required
		since                  time.Duration
		want                   bool
	}{
		"all fail":                            {list(Failing, Failing), list(Failing), true, true, 2 * Late, true},
		"not for long":                        {list(Failing, Failing), list(Failing), true, true, Late / 2, false},
		"one witness answers":                 {list(Failing, Well), nil, true, false, 2 * Late, false},
		"auditors come by themselves":         {list(Failing, Waiting), nil, true, false, 2 * Late, true},
		"nobody is asked":                     {list(Waiting), nil, true, false, 2 * Late, false},
		"authorities fail, one must stamp":    {list(Well, Well), list(Failing, Failing), true, true, 2 * Late, true},
		"authorities fail, none need stamp":   {list(Well, Failing), list(Failing), true, false, 2 * Late, false},
		"witnesses fail, none need cosign":    {list(Failing), list(Well), false, true, 2 * Late, false},
		"who saw another history was reached": {list(Alarm), nil, true, false, 2 * Late, false},
	} {
		s := Status{Required: true, Since: now.Add(-c.since), Witnesses: c.witnesses, Authorities: c.authorities}
		if got := s.cutOff(c.cosigned, c.stamped, now); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if (Status{Required: true, Witnesses: list(Failing)}).cutOff(true, false, now) {
		t.Error("all is final")
	}
}
