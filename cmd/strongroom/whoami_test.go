package main

import (
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/client"
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

// Of a history it is said who vouches for it besides the vault.
func TestWatched(t *testing.T) {
	steps := func(proofs ...string) (list []step) {
		for _, p := range proofs {
			list = append(list, step{Proof: p})
		}
		return list
	}
	for name, c := range map[string]struct {
		seen  client.Seen
		steps []step
		want  string
	}{
		"nobody is named": {client.Seen{}, steps("recorded", "recorded"), "the vault alone vouches for one history"},
		"all confirmed":   {client.Seen{Confirmed: true}, steps("witnessed", "witnessed"), "have confirmed every step"},
		"one waits":       {client.Seen{Confirmed: true}, steps("witnessed", "recorded"), "1 step is not confirmed yet"},
		"two wait":        {client.Seen{Confirmed: true}, steps("recorded", "recorded"), "2 steps are not confirmed yet"},
	} {
		if got := watched(c.seen, c.steps); got.label != "Watched" || !strings.Contains(got.text, c.want) {
			t.Errorf("%s: %q", name, got.text)
		}
	}
}
