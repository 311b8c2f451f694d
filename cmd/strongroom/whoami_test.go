package main

import (
	"slices"
	"testing"

	"strongroom.example/strongroom/internal/wire"
)

// Who looks at himself is told whether those whom the trust file names keep up, and which of them does not.
func TestFinality(t *testing.T) {
	peer := func(name string, state wire.PeerState) wire.Peer { return wire.Peer{Name: name, State: state} }
	for name, c := range map[string]struct {
		is   *wire.Finality
		want []string
	}{
		"no witness is asked for": {nil, nil},
		"all is confirmed": {&wire.Finality{Size: 12, Witnesses: []wire.Peer{peer("one", wire.PeerStateOk)}},
			[]string{"all 12 entries are confirmed by those whom the trust file names"}},
		"one is down": {&wire.Finality{Size: 12, Behind: 1, Witnesses: []wire.Peer{peer("one", wire.PeerStateOk), peer("two", wire.PeerStateFailing)}},
			[]string{"1 entry is not confirmed yet; what leaves for a court waits for that", "two does not answer; it is asked again by itself"}},
		"one saw something else": {&wire.Finality{Size: 12, Behind: 3, Witnesses: []wire.Peer{peer("one", wire.PeerStateAlarm)}, Authorities: []wire.Peer{peer("clock", wire.PeerStateFailing)}},
			[]string{"3 entries are not confirmed yet; what leaves for a court waits for that",
				"one has seen another record book, or a longer one: tell the administrator and the auditors", "clock does not answer; it is asked again by itself"}},
	} {
		var said []string
		for _, r := range finality(c.is) {
			said = append(said, r.text)
		}
		if !slices.Equal(said, c.want) {
			t.Errorf("%s: %q, want %q", name, said, c.want)
		}
	}
}
