package dossier

import (
	"encoding/csv"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// A custody report has a row for every step, of an item or of one person, with what RULES §10 lists, and its page needs no network.
func TestCustody(t *testing.T) {
	w, id := newShared(t)
	h, findings := Replay(w.trust, w.excerpt(ev.ItemOf(id)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	all := must(h.CustodyOf("", w.now, id))
	if int64(all.Steps()) != h.Len(ev.ItemOf(id)) || len(all.Items) != 1 {
		t.Fatalf("%d rows", all.Steps())
	}
	court := w.people["court"].ID
	own := must(h.CustodyOf(court, w.now, id))
	for _, r := range own.Items[0].Rows {
		if r.Actor.ID != court {
			t.Error("a row of somebody else")
		}
	}
	if own.Steps() < 2 || own.Steps() >= all.Steps() {
		t.Errorf("the court signed %d of %d", own.Steps(), all.Steps())
	}
	var table, page strings.Builder
	if err := all.WriteCSV(&table); err != nil {
		t.Fatal(err)
	}
	rows := must(csv.NewReader(strings.NewReader(table.String())).ReadAll())
	if len(rows) != all.Steps()+1 {
		t.Errorf("%d lines", len(rows))
	}
	for _, row := range rows[1:] {
		for i, name := range rows[0] {
			optional := strings.Contains(" exhibit on_behalf_of purpose authority consent result counterparty change why_allowed ", " "+name+" ")
			if row[i] == "" && !optional {
				t.Errorf("step %s has no %s", row[2], name)
			}
		}
	}
	if err := all.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	for _, r := range all.Items[0].Rows {
		if !strings.Contains(page.String(), r.Leaf.String()) {
			t.Errorf("step %d is not on the page", r.Step)
		}
	}
	for _, foreign := range []string{"http:", "https:", "src=", "<script", "<link"} {
		if strings.Contains(page.String(), foreign) {
			t.Errorf("the page has %q", foreign)
		}
	}
	if _, err := h.CustodyOf("", w.now, ev.NewID[ev.ItemID]()); ev.KindOf(err) != ev.NotFound {
		t.Errorf("an unknown item: %v", err)
	}
}
