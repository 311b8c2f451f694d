package dossier

import (
	"encoding/csv"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// What the vault calls an organization stands beside its id, last in a table, and never instead of it; markup in it stays text.
func TestCustodyNames(t *testing.T) {
	w, id := newShared(t)
	h, findings := Replay(w.trust, w.excerpt(ev.ItemOf(id)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	report := must(h.CustodyOf("", w.now, id))
	by := report.Items[0].Rows[0].Actor
	report.Acts = must(h.ActsOf(by.ID, ev.ConsentOf(w.con)))
	report.Name(map[ev.OrgID]string{by.Organization: "City <b>Hospital"})
	var table, page strings.Builder
	if err := report.WriteCSV(&table, English); err != nil {
		t.Fatal(err)
	}
	named := 0
	rows := must(csv.NewReader(strings.NewReader(table.String())).ReadAll())
	for _, row := range rows[1:] {
		want := ""
		if row[7] == string(by.Organization) {
			want = "City <b>Hospital"
			named++
		}
		if row[28] != want || rows[0][28] != "organization_as_the_vault_names_it" {
			t.Errorf("%s of %q is %q", rows[0][28], row[7], row[28])
		}
	}
	if err := report.WriteHTML(&page, English); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(page.String(), `<code dir="ltr">`+string(by.Organization)+"</code>, as the vault names it: <bdi>City &lt;b&gt;Hospital</bdi>"); n != named || named < 2 || named == len(rows)-1 {
		t.Errorf("%d on the page, %d in the table", n, named)
	}
}
