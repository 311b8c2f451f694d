package main

import (
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/ledger"
)

// What was found, kept and lost is said in a line each, and what is lost is counted: by it rebuild ends with 1.
func TestPrintRebuilt(t *testing.T) {
	all := ledger.Confirmations{Checkpoints: 5, Cosignatures: 9, Stamps: 4, EventStamps: 30}
	some := ledger.Confirmations{Checkpoints: 4, Cosignatures: 7, Stamps: 4, EventStamps: 29}
	for name, test := range map[string]struct {
		made daemon.Rebuilt
		lost int
		want string
	}{
		"nobody confirms": {daemon.Rebuilt{}, 0, ""},
		"no file has it": {daemon.Rebuilt{Confirmed: &daemon.Reclaimed{}}, 1, `
Lost       what witnesses and time-stamp authorities confirmed: no file that was given holds it
Anew       entries from leaf 0 on are confirmed anew, and dated by that
`},
		"all came back": {daemon.Rebuilt{Confirmed: &daemon.Reclaimed{Found: all, Kept: all, Final: 77}}, 0, `
Found      5 published checkpoints, 9 cosignatures on them, 4 time stamps over them, 30 over events
Kept       5 published checkpoints, 9 cosignatures on them, 4 time stamps over them, 30 over events
Anew       entries from leaf 77 on are confirmed anew, and dated by that
`},
		"some of it, and a file is damaged": {daemon.Rebuilt{Unread: []string{"a.db"}, Confirmed: &daemon.Reclaimed{Found: all, Kept: some, Final: 60}}, 5, `
Unread     a.db: it is damaged, or no database of records; what could be read was taken
Found      5 published checkpoints, 9 cosignatures on them, 4 time stamps over them, 30 over events
Kept       4 published checkpoints, 7 cosignatures on them, 4 time stamps over them, 29 over events
Lost       1 published checkpoints, 2 cosignatures on them, 0 time stamps over them, 1 over events: they do not prove themselves
Anew       entries from leaf 60 on are confirmed anew, and dated by that
`},
	} {
		var out strings.Builder
		if lost := printRebuilt(&out, test.made); lost != test.lost || out.String() != strings.TrimPrefix(test.want, "\n") {
			t.Errorf("%s: %d lost\n%s", name, lost, out.String())
		}
	}
}
