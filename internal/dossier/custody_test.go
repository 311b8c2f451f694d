package dossier

import (
	"encoding/csv"
	"html"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

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
	if int64(all.Steps()) != h.Len(ev.ItemOf(id))+h.Len(ev.ConsentOf(w.con)) || len(all.Items) != 1 {
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
	if err := all.WriteCSV(&table, English); err != nil {
		t.Fatal(err)
	}
	rows := must(csv.NewReader(strings.NewReader(table.String())).ReadAll())
	if len(rows) != all.Steps()+1 {
		t.Errorf("%d lines", len(rows))
	}
	for _, row := range rows[1:] {
		for i, name := range rows[0] {
			optional := strings.Contains(" exhibit on_behalf_of purpose authority consent result counterparty change why_allowed organization_as_the_vault_names_it not_yet_entered entered_by signature_stamped_by milliseconds_beyond_independent_clocks page_code ", " "+name+" ")
			if row[i] == "" && !optional {
				t.Errorf("step %s has no %s", row[2], name)
			}
		}
	}
	if w.files[id] == nil || rows[1][20] != ev.SHA256(w.files[id].evidence).String() || rows[1][21] != strconv.Itoa(len(w.files[id].evidence)) {
		t.Errorf("digest %s and size %s are not those of the encrypted file", rows[1][20], rows[1][21])
	}
	if err := all.WriteHTML(&page, English); err != nil {
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

// What became of the consent stands among the steps of the item that it governs, in the order of entry, and nothing destroyed or held names
// consent as its authority.
func TestCustodyOfWithdrawn(t *testing.T) {
	w, id := newShared(t)
	w.do(w.event("clinician", ev.ConsentOf(w.con), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"}, func(e *ev.Event) { e.Case = w.cas }))
	w.now = w.now.Add(time.Hour)
	w.do(w.on(id, "custodian", ev.ItemShredProposed, &ev.ItemShredProposedDetails{Cause: ev.CauseWithdrawal, DryRun: ev.SHA256(nil)},
		func(e *ev.Event) { e.Authority = &ev.Authority{Basis: ev.ByConsent} }))
	h, findings := Replay(w.trust, w.excerpt(ev.ItemOf(id)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	rows := must(h.CustodyOf("", w.now, id)).Items[0].Rows
	var kinds []ev.Kind
	for i, r := range rows {
		if kinds = append(kinds, r.Kind); i > 0 && r.Entry <= rows[i-1].Entry {
			t.Errorf("row %d is entry %d, after %d", i, r.Entry, rows[i-1].Entry)
		}
		if r.Item != id || r.Stream.Type == ev.ConsentStream && r.Place(English) != "consent "+string(w.con) {
			t.Errorf("%+v", r)
		}
	}
	if last := kinds[len(kinds)-2:]; !slices.Contains(kinds, ev.ConsentGiven) || !slices.Equal(last, []ev.Kind{ev.ConsentWithdrawn, ev.ItemShredProposed}) {
		t.Errorf("%q", kinds)
	}
	if proposed := rows[len(rows)-1]; proposed.Ground(English) != "" || proposed.Authority == nil {
		t.Errorf("shredding on the authority %q", proposed.Ground(English))
	}
	if opened := rows[slices.Index(kinds, ev.ItemDeposited)]; opened.Authority != nil && opened.Ground(English) == "" {
		t.Error("the authority of a deposit is not said")
	}
	acts := must(h.ActsOf(w.people["clinician"].ID, ev.ConsentOf(w.con), ev.CaseOf(w.cas)))
	if len(acts) != 3 || acts[0].Kind != ev.CaseOpened || acts[2].Kind != ev.ConsentWithdrawn || acts[2].Item != "" || acts[2].What(English) != "Withdrew the consent: all use stopped." {
		t.Errorf("%+v", acts)
	}
	if own := must(h.CustodyOf(w.people["clinician"].ID, w.now, id)).Items[0].Rows; slices.ContainsFunc(own, func(r CustodyRow) bool { return r.Stream.Type != ev.ItemStream }) {
		t.Error("of one person a consent stands among the steps, too")
	}
}

// A report says of each row how its time stands to the order of entry and to the vault's clock; the columns of before keep their places.
func TestCustodyClocks(t *testing.T) {
	w := newWorld(t)
	id, other := w.deposit("a finding"), w.deposit("another finding")
	w.now = w.now.Add(time.Hour)
	ahead := w.now
	w.seal(other, 2)
	w.now = w.now.Add(-time.Hour)
	w.seal(id, 1)
	h, findings := Replay(w.trust, w.excerpt(ev.ItemOf(id), ev.ItemOf(other)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	report := must(h.CustodyOf("", w.now, id))
	rows := report.Items[0].Rows
	sealed := rows[len(rows)-1]
	if sealed.After != ahead || sealed.Behind() != ahead.Sub(sealed.Time) || sealed.Behind() < 59*time.Minute {
		t.Errorf("sealed at %v, after %v, behind by %v", sealed.Time, sealed.After, sealed.Behind())
	}
	if first := rows[0]; first.After == 0 || first.After > first.Time || first.Behind() != 0 {
		t.Errorf("deposited at %v, after %v, behind by %v", first.Time, first.After, first.Behind())
	}
	if sealed.Book.Time == 0 || sealed.Book.Covers <= sealed.Entry {
		t.Errorf("no publication covers the entry: %+v", sealed.Book)
	}
	fast := sealed
	fast.Book.Time = sealed.Time.Add(-time.Minute)
	if fast.Ahead() != time.Minute || sealed.Ahead() != max(0, sealed.Time.Sub(sealed.Book.Time)) {
		t.Errorf("ahead by %v and %v", fast.Ahead(), sealed.Ahead())
	}
	var table, page strings.Builder
	if err := report.WriteCSV(&table, English); err != nil {
		t.Fatal(err)
	}
	lines := must(csv.NewReader(strings.NewReader(table.String())).ReadAll())
	if !slices.Equal(lines[0][:20], strings.Fields("item exhibit step kind what actor role organization on_behalf_of signed_at purpose authority "+
		"consent result counterparty change entry event proof why_allowed")) {
		t.Errorf("columns %q", lines[0])
	}
	last := lines[len(lines)-1]
	if lines[0][23] != "milliseconds_behind_order_of_entry" || lines[0][24] != "in_record_book_by" || last[24] != sealed.Book.Time.String() || last[22] != ahead.String() || last[23] != strconv.FormatInt(sealed.Behind().Milliseconds(), 10) || lines[1][23] != "0" {
		t.Errorf("%s: %q, %q", lines[0][23], lines[1], last)
	}
	if err := report.WriteHTML(&page, English); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{English.duration(sealed.Behind()) + " before " + English.instant(ahead), "in the record book by " + English.instant(sealed.Book.Time), "The second clock is the vault"} {
		if !strings.Contains(page.String(), text) {
			t.Errorf("%q is not on the page", text)
		}
	}
}

// Each printed page of an item's report has at its foot the exhibit, a page code and the time; the code is that of the last step that the
// report tells of, and no other step has it. So has what was printed and copied a sentence of its own.
func TestCustodyPages(t *testing.T) {
	w, id := newShared(t)
	out := func(form string) {
		w.do(w.on(id, "custodian", ev.ItemExported, &ev.ItemExportedDetails{Form: form, Nonce: strings.Repeat("n0", 16), Content: ev.SHA256(nil)},
			func(e *ev.Event) { e.Purpose = ev.ForInvestigation }))
	}
	w.do(w.on(id, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForInvestigation }))
	out("print")
	out("copy")
	h, findings := Replay(w.trust, w.excerpt(ev.ItemOf(id)))
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	report := must(h.CustodyOf("", w.now, id))
	rows := report.Items[0].Rows
	code := report.Items[0].Page()
	last, _ := h.Leaf(ev.ItemOf(id), h.Len(ev.ItemOf(id))-1)
	for i, r := range rows {
		if (PageCode(r.Leaf) == code) != (r.Leaf == last) {
			t.Errorf("row %d of %d has the page code %s", i, len(rows), PageCode(r.Leaf))
		}
	}
	var table strings.Builder
	if err := report.WriteCSV(&table, English); err != nil {
		t.Fatal(err)
	}
	for i, row := range must(csv.NewReader(strings.NewReader(table.String())).ReadAll())[1:] {
		printed := rows[i].Kind == ev.ItemExported && rows[i].Details.(*ev.ItemExportedDetails).Form == "print"
		if got := row[len(row)-1]; printed && got != PageCode(rows[i].Leaf) || !printed && got != "" {
			t.Errorf("row %d of the table has the page code %q", i, got)
		}
	}
	for _, tag := range Languages() {
		l := must(ParseLanguage(tag))
		var page strings.Builder
		if err := report.WriteHTML(&page, l); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			`@page ` + report.Items[0].Paper() + ` { @bottom-left { content: "` + l.say(tell("custody.exhibit", "number", 1)) + " · ",
			`<section style="page: ` + report.Items[0].Paper() + `">`, `counter(page) " / " counter(pages)`, code,
			l.text("event.item.exported.print"), l.text("event.item.exported.copy"), html.EscapeString(l.text("custody.pages")), `@bottom-center { content: "` + l.moment(w.now) + `" }`,
		} {
			if !strings.Contains(page.String(), want) {
				t.Errorf("%s: no %s on the page", tag, want)
			}
		}
		if strings.Contains(page.String(), "ZgotmplZ") {
			t.Errorf("%s: the styles are not what they should be", tag)
		}
	}
	for typed, want := range map[string]string{
		code: code, strings.ReplaceAll(code, " ", ""): code, strings.ReplaceAll(code, " ", "-"): code, code[1:]: "", code + " 1": "", "": "", "٤" + code[1:]: "", strings.Replace(code, " ", "x", 1): "",
	} {
		if got, err := ParsePageCode(typed); got != want || (want == "") != (ev.ReasonOf(err) == ReasonPageCode) {
			t.Errorf("%q is %q: %v", typed, got, err)
		}
	}
}
