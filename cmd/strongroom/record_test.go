package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
	"strongroom.example/strongroom/internal/words"
)

// document writes an example of a record with some of its fields changed: name, value, name, value; nil takes one out.
func (w *town) document(example string, changes ...any) (path string) {
	w.t.Helper()
	text, err := os.ReadFile("../../api/forms/examples/" + example + ".json")
	if err != nil {
		w.t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(changes); i += 2 {
		if fields[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
			delete(fields, changes[i].(string))
		}
	}
	if text, err = json.Marshal(fields); err != nil {
		w.t.Fatal(err)
	}
	file, err := os.CreateTemp(w.dir, example+"-*.json")
	if err != nil {
		w.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Write(text); err != nil {
		w.t.Fatal(err)
	}
	return file.Name()
}

func TestRecordFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real programs; run without -short")
	}
	w := &town{t: t, dir: t.TempDir()}
	p := w.newPerson("nobody")
	for _, s := range forms.Schemas() {
		name, _, _ := strings.Cut(string(s), "/")
		if blank := p.types("", "record", "new", name).ends(0).out; blank != string(forms.Blank(s)) {
			t.Errorf("%s: %s", s, blank)
		}
	}
	blank := w.path("blank.json")
	p.as().types("", "record", "new", "clinical-record/1", "--to", blank).ends(0).has("Written", "Clinical record, blank")
	p.types("", "record", "new", "clinical-record", "--to", blank).refused(exitRefused, "exists")
	p.types("", "record", "new", "dental-record").refused(exitCannot, "usage")

	type answer struct {
		Result   string
		Opinions bool
		Problems []forms.Problem
	}
	unfinished := decodeOne[answer](t, p.types("", "record", "validate", blank).ends(1).out)
	if unfinished.Result != "unfinished" || len(unfinished.Problems) < 10 || unfinished.Problems[0].Path == "" {
		t.Errorf("%+v", unfinished)
	}
	p.as().types("", "record", "validate", blank).ends(1).has("Missing", "conclusions", "a draft. It cannot be sealed yet.")
	p.types("", "record", "validate", blank, "--draft").ends(0)
	wrong := w.document("clinical-record-facts-1", "conclusions", "an opinion")
	if got := decodeOne[answer](t, p.types("", "record", "validate", wrong, "--draft").ends(1).out); got.Result != "wrong" {
		t.Errorf("%+v", got)
	}
	complete := w.document("clinical-record-1")
	if got := decodeOne[answer](t, p.types("", "record", "validate", complete).ends(0).out); got.Result != "complete" || !got.Opinions {
		t.Errorf("%+v", got)
	}
	p.types("", "record", "validate", w.path("absent")).refused(exitCannot, "file")
	p.as().types("", "record", "show", complete).ends(0).has("Clinical record (clinical-record/1)", "CASE INFORMATION", "seamstress")
	p.types("", "record", "show", wrong).refused(exitRefused, "document")
	paper := w.path("record.html")
	p.as().types("", "--language", "ar", "record", "show", complete, "--to", paper).ends(0).has("Written", "Readable")
	if page, err := os.ReadFile(paper); err != nil || !strings.Contains(string(page), `<section lang="ar" dir="rtl">`) || strings.Count(string(page), "<figure") != 2 {
		t.Errorf("%v: the page has not the body maps of the marks, or not in Arabic", err)
	}
	if info, err := os.Stat(paper); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v: others may read the page", info.Mode())
	}
	p.types("", "record", "show", complete, "--to", paper).refused(exitRefused, "exists")
	p.types("", "--language", "tlh", "record", "show", complete, "--to", w.path("other.html")).refused(exitCannot, "usage")
	if _, err := os.Stat(p.home); err == nil {
		t.Error("a folder was made for it")
	}
}

// printed: a record's page is recorded before it is written, and its page code leads back to who printed it, when and what for.
func (w *town) printed(item string) {
	t := w.t
	paper := w.path("printed.html")
	done := w.second.types("", "record", "show", item, "--version", "2", "--to", paper, "--purpose", "prosecution", "--language", "ar").object()
	code := str(t, done, "page_code")
	text, err := os.ReadFile(paper)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`<html lang="ar" dir="rtl">`, code, "@bottom-left", "الدليل 1", "<h2>الخلفية</h2>", "Exemple grew up elsewhere."} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s on the page", want)
		}
	}
	found := decodeOne[struct{ Found []pageFound }](t, w.custodian.types("", "history", "--page-code", strings.ReplaceAll(code, " ", "-")).ends(0).out).Found
	if len(found) != 1 || string(found[0].Item) != item || found[0].Export != "print" || string(found[0].Actor) != w.second.id || found[0].Purpose != "prosecution" ||
		float64(found[0].Entry) != done["print_entry"] || found[0].PageCode != code {
		t.Errorf("%+v", found)
	}
	w.second.as().types("", "history", item, "--page-code", code).ends(0).has("Page of Exhibit 1", "printed, for prosecution page code "+code, "you")
	w.second.as().types("", "history", item).ends(0).has("page code " + code)
	w.custodian.types("", "history", "--page-code", "00000 00000 00000 00000").refused(exitRefused, "page_code")
	w.custodian.types("", "history", "--page-code", "48213").refused(exitRefused, "page_code")
	w.custodian.types("", "history").refused(exitCannot, "usage")

	// A custody report names the last step that it tells of.
	report := w.path("custody.html")
	w.custodian.types("", "report", item, "--to", report).object()
	if text, err = os.ReadFile(report); err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "Page code ")
	last := decodeOne[struct{ Found []pageFound }](t, w.custodian.types("", "history", "--page-code", after[:23]).ends(0).out).Found
	steps := decodeOne[struct{ Steps []step }](t, w.custodian.types("", "history", item).ends(0).out).Steps
	if len(last) != 1 || last[0].Step != int64(len(steps)) || !strings.Contains(string(text), "Printed it.") {
		t.Errorf("the report's page names %+v", last)
	}
}

// A page whose print cannot be recorded is not written.
func TestNoPrintWithoutEntry(t *testing.T) {
	d, _ := forms.Parse(forms.Blank(forms.ClinicalRecord))
	dir := t.TempDir()
	lost := evidence.Refuse(evidence.Pending, "not_reached")
	err := new(app).writePage(filepath.Join(dir, "page.html"), []*forms.Document{d}, func(*words.Language) (forms.Foot, error) { return forms.Foot{}, lost })
	if left, failed := os.ReadDir(dir); failed != nil || len(left) > 0 || evidence.ReasonOf(err) != "not_reached" {
		t.Errorf("%d files, %v, %v", len(left), err, failed)
	}
}

// TestRecord is a record's way: deposited, sealed, corrected, read, shared after a look for names; an identity apart from it.
func TestRecord(t *testing.T) {
	w := foundTown(t)
	rights := ":deposit,open,approve,manage"
	open := func() string {
		return str(t, w.second.types("", "case", "open", "--member", "me"+rights, "--member", w.custodian.id+rights, "--member", w.clinician.id+":deposit",
			"--keyholder", "me", "--keyholder", w.custodian.id).object(), "case")
	}
	give := func(in, form string, more ...string) said {
		return w.clinician.types("record\n", append([]string{"consent", "give", "--case", in, "--form", form, "--until", "365d", "--examination", "yes", "--storage", "yes",
			"--photographs", "yes", "--court", "NL:information"}, more...)...)
	}
	in := open()
	form := w.document("consent-form-1")
	give(in, form, "--research", "yes").refused(exitRefused, "document_answers")
	give(in, w.document("consent-form-1", "wording", nil)).refused(exitRefused, "document_unfinished")
	give(in, form, "--police-information", "no").refused(exitRefused, "document_answers") // which the form does not list

	// Beside a scanned paper the document says what the paper does not; it is sealed with it, and neither alone is taken for both.
	scan := w.write("scan.pdf", "%PDF-1.7 a signed form")
	give(in, scan).has("Missing who judged capacity", "strongroom record new consent-form")
	give(in, scan, "--record", scan).refused(exitCannot, "usage")
	give(in, form, "--record", form).refused(exitCannot, "usage")
	give(in, scan, "--record", form, "--research", "yes").refused(exitRefused, "document_answers")
	give(in, scan, "--record", w.document("consent-form-1", "wording", nil)).refused(exitRefused, "document_unfinished")
	beside := give(in, scan, "--record", form)
	w.second.as().types("", "record", "show", str(t, beside.object(), "form")).ends(0).has("ABILITY TO DECIDE", "Version 1 of 1")

	consent := str(t, give(in, form).object(), "consent")

	// Deposited: complete or not at all, from who has no key.
	deposit := func(p *person, in string, more ...string) said {
		return p.types("", append([]string{"deposit", "--case", in, "--consent", consent}, more...)...)
	}
	unfinished := w.document("clinical-record-1", "conclusions", nil)
	refused := decodeLines[deposited](t, deposit(w.clinician, in, "--record", unfinished).ends(exitRefused).out)
	if len(refused) != 1 || refused[0].Reason != "document_unfinished" || len(refused[0].Problems) != 1 || refused[0].Problems[0].Path != "conclusions" {
		t.Errorf("%+v", refused)
	}
	deposit(w.clinician.as(), in, "--record", unfinished, "--draft").ends(exitRefused).has("Reason document_draft")
	deposit(w.clinician.as(), in, "--record", w.document("identity-1")).ends(exitRefused).has("Reason document_place")
	complete := w.document("clinical-record-1", "background", "Amara Exemple grew up here.")
	item := string(decodeLines[deposited](t, deposit(w.clinician, in, "--record", complete).ends(0).out)[0].Item)
	again := decodeLines[deposited](t, deposit(w.clinician, in, "--record", complete).ends(0).out)
	if again[0].Result != "recorded_before" || string(again[0].Item) != item {
		t.Errorf("%+v", again)
	}
	draft := string(decodeLines[deposited](t, deposit(w.second, in, "--record", unfinished, "--draft").ends(0).out)[0].Item)
	w.second.as().types("seal\n", "seal", draft).ends(exitRefused).has("conclusions", "Reason document_unfinished")
	photo := w.write("left.jpg", "picture")
	acquired := deposit(w.clinician, in, photo, "--content", "photograph", "--acquisition", w.document("acquisition-1")).ends(0)
	w.second.as().types("", "record", "show", string(decodeLines[deposited](t, acquired.out)[0].Item)).ends(0).has("Acquisition record", "Version 1 of 1")

	// Sealed, corrected beside, both versions read.
	w.clinician.types("seal\n", "seal", item).object()
	corrected := w.document("clinical-record-1", "background", "Exemple grew up elsewhere.")
	why := w.write("why.txt", "as she said later")
	edit := []string{"record", "edit", item, "--file", corrected, "--reason-file", why}
	w.second.types("", "item", "amend", item, "--record", corrected, "--reason-file", why).refused(exitRefused, "document_kept")
	w.second.types("yes\n", edit...).refused(exitRefused, "declined")
	amended := w.second.types("amend\n", edit...)
	if amended.has("Changes background"); !slices.Equal(amended.object()["changes"].([]any), []any{"background"}) {
		t.Error(amended.out)
	}
	w.clinician.types("amend\n", "record", "edit", item, "--file", complete, "--reason-file", why).refused(exitRefused, "envelope")
	w.clinician.types("amend\n", "record", "edit", item, "--file", complete, "--reason-file", why, "--before", corrected).object()
	w.second.as().types("", "record", "show", item, "--version", "2").ends(0).has("Exemple grew up elsewhere.", "Version 2 of 3")
	w.second.as().types("", "record", "show", item).ends(0).has("Amara Exemple grew up here.", "Version 3 of 3")
	paper := w.path("version-2.html")
	w.second.as().types("", "record", "show", item, "--version", "2", "--to", paper).ends(0).has("Written", "Version 2 of 3", "Recorded")
	if page, err := os.ReadFile(paper); err != nil || !strings.Contains(string(page), "Exemple grew up elsewhere.") || strings.Count(string(page), "<figure") != 2 {
		t.Errorf("%v: the page is not the record with its body maps", err)
	}
	w.printed(item)

	// Looked through before it leaves.
	propose := []string{"grant", "propose", item, "--to", w.court.id, "--jurisdiction", "NL", "--legal-basis", "mla_request", "--until", "90d"}
	names := w.write("names.txt", "Nobody\nAmara Exemple\n")
	w.second.types("", append(propose, "--names", names)...).refused(exitRefused, "found")
	told := w.write("told.txt", "asked by clerk@court.example")
	w.custodian.types("", append(propose, "--reason-file", told)...).refused(exitRefused, "found")
	w.second.as().types("stop\n", append(propose, "--reason-file", told)...).ends(exitRefused).has("Found reason: mail address", "nothing was proposed", "Reason found")
	w.second.as().types("stop\n", append(propose, "--names", names)...).ends(exitRefused).has("record.background: name 2 of your list", "Reason found")
	grant := str(t, w.custodian.types("", propose...).object(), "grant")
	identity := w.document("identity-1")
	approve := w.second.as().types("approve\nno\n", "grant", "approve", grant, "--identity", identity).ends(exitRefused)
	approve.has("record.background: name 1 of your list", "Reason found", "strongroom grant key")
	w.court.types("", "grant", "redeem", grant, "--to", w.path("early")).refused(exitRefused, "envelope")
	w.second.as().types("send\n", "grant", "key", grant, "--identity", identity).ends(0).has("Found", "written for the recipient")
	w.court.types("", "grant", "export", grant, "--to", w.path("package.zip"), "--names", names).refused(exitRefused, "found")
	w.court.types("", "grant", "export", grant, "--to", w.path("package.zip"), "--names", names, "--despite").object()

	// Who it is, apart from all that.
	deposit(w.clinician, in, "--identity", identity).refused(exitRefused, "identity_case")
	apart := open()
	consent = str(t, give(apart, form).object(), "consent")
	who := string(decodeLines[deposited](t, deposit(w.clinician, apart, "--identity", identity).ends(0).out)[0].Item)
	w.second.as().types("", "record", "show", who).ends(0).has("Identity (identity/1)", "Amara Exemple")
	wrong := []string{"deposit", w.write("passport.txt", "N 1234"), "--consent", consent, "--content"}
	w.clinician.types("", append(wrong, "identity", "--class", "identity", "--case", in)...).refused(exitRefused, "identity_case")
	w.clinician.types("", append(wrong, "photograph", "--case", apart)...).refused(exitRefused, "identity_case")
	w.clinician.types("", append(wrong, "identity", "--class", "identity", "--case", apart)...).ends(0)
	listed := w.second.as().types("", "list", "--case", apart).ends(0).has("Draft Identity", "identity,")
	if strings.Contains(listed.out, "Amara") {
		t.Errorf("a list names the person:\n%s", listed.out)
	}
}
