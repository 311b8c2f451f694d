package dossier

import (
	"encoding/csv"
	"strconv"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// The index lists what is sealed; the schedule of unused material only what nobody outside was given. Drafts are in neither.
func TestSchedules(t *testing.T) {
	w, shared := newShared(t)
	kept, draft := w.deposit("another finding"), w.deposit("not final")
	w.seal(kept, 2)
	h, findings := Replay(w.trust, w.excerpt(ev.ItemOf(shared), ev.ItemOf(kept), ev.ItemOf(draft)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	c := must(h.CustodyOf("", w.now, shared, kept, draft))
	for _, s := range []struct {
		Schedule
		want []ev.ItemID
	}{{Index, []ev.ItemID{shared, kept}}, {Unused, []ev.ItemID{kept}}} {
		var table, page strings.Builder
		for _, out := range []*CustodyWriter{s.NewTable(&table), s.NewPage(&page, 3)} {
			if err := out.Add(c); err != nil {
				t.Fatal(err)
			}
			if err := out.End(); err != nil {
				t.Fatal(err)
			}
		}
		rows := must(csv.NewReader(strings.NewReader(table.String())).ReadAll())
		if len(rows) != len(s.want)+1 {
			t.Fatalf("%s: %d rows", s.Title, len(rows))
		}
		for i, id := range s.want {
			row := rows[i+1]
			file := w.files[id].evidence
			if row[1] != string(id) || row[3] != ev.SHA256(file).String() || row[4] != strconv.Itoa(len(file)) || row[7] == "" || (row[8] == "shared") != (id == shared) {
				t.Errorf("%s: %q", s.Title, row)
			}
			if !strings.Contains(page.String(), row[1]) || !strings.Contains(page.String(), row[3]) {
				t.Errorf("%s: %s is not on the page", s.Title, id)
			}
		}
		if strings.Contains(page.String(), string(draft)) || !strings.Contains(page.String(), strconv.Itoa(len(s.want))+" in all") || strings.Contains(page.String(), "http") {
			t.Errorf("%s:\n%s", s.Title, page.String())
		}
	}
	item := c.Items[1] // what was handed over as an object is not unused
	item.Rows = append(item.Rows, CustodyRow{Event: &ev.Event{Details: &ev.ItemTransferredDetails{Class: ev.Police}}})
	c.Items = []CustodyItem{item}
	if list := Unused.lines(c); len(list) != 0 {
		t.Errorf("handed over, and unused: %+v", list)
	}
	g := ev.GrantState{Status: ev.GrantEnded} // stopped before anybody approved it
	state := *c.Items[0].ItemState
	state.Grants = []ev.GrantState{g}
	c.Items[0].ItemState, c.Items[0].Rows = &state, item.Rows[:len(item.Rows)-1]
	if list := Unused.lines(c); len(list) != 1 {
		t.Errorf("never approved, and used: %+v", list)
	}
}
