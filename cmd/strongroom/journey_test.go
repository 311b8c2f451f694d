package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestJourney(t *testing.T) {
	w := foundTown(t)
	rights := ":open,approve,manage"
	in := str(t, w.custodian.types("", "case", "open", "--member", "me"+rights, "--member", w.second.id+rights, "--member", w.clinician.id+":deposit,open",
		"--keyholder", "me", "--keyholder", w.second.id, "--keyholder", w.clinician.id).object(), "case")

	// Consent: nothing is recorded before the word is typed.
	form := w.write("form.txt", "signed form")
	give := []string{"consent", "give", "--case", in[:8], "--form", form, "--until", "365d", "--examination", "yes", "--storage", "yes",
		"--photographs", "no", "--court", "NL:information"}
	w.clinician.types("no\n", give...).refused(exitRefused, "declined")
	w.clinician.types("", give...).refused(exitRefused, "no_answer")
	consent := str(t, w.clinician.types("record\n", give...).object(), "consent")
	shown := w.clinician.as().types("", "consent", "show", consent[:9]).ends(0)
	shown.has("No May I take photographs?", "Yes May this record be kept?", "Not asked May it serve research", "NL courts and defence: findings yes")

	// Two files in, a third refused for what was answered, a fourth that is not there.
	report := w.write("report.txt", strings.Repeat("findings\n", 20_000))
	note := w.write("note.txt", "")
	photo := w.write("photo.jpg", "picture")
	list := decodeLines[deposited](t, w.clinician.types("", "deposit", report, note, "--case", in, "--content", "clinical", "--consent", consent).ends(0).out)
	slices.SortFunc(list, func(a, b deposited) int { return int(b.Size - a.Size) }) // they came as they were done
	if len(list) != 2 || list[0].Result != "recorded" || list[1].Result != "recorded" || list[0].Size != 180_000 || list[0].Item == list[1].Item {
		t.Fatalf("deposit: %+v", list)
	}
	item := string(list[0].Item)
	refusal := w.clinician.as().types("", "deposit", photo, "--case", in, "--content", "photograph", "--consent", consent).ends(exitRefused)
	refusal.has("The answer given for this is no", "Reason consent_answer")
	absent := decodeLines[deposited](t, w.clinician.types("", "deposit", w.path("absent"), "--case", in, "--content", "clinical", "--consent", consent).ends(exitCannot).out)
	if len(absent) != 1 || absent[0].Reason != "file" {
		t.Errorf("a file that is not there: %+v", absent)
	}
	w.clinician.as().types("", "deposit", "--resume").ends(0).has("Everything is sent.")
	w.clinician.types("", "deposit", photo, "--case", in).refused(exitCannot, "usage")

	// Sealing, opening, comparing.
	w.clinician.types("yes\n", "seal", item).refused(exitRefused, "declined")
	if sealed := w.clinician.types("seal\n", "seal", item[:12]).object(); sealed["exhibit"] != float64(1) {
		t.Errorf("seal: %v", sealed)
	}
	w.clinician.types("seal\n", "seal", item).refused(exitRefused, "sealed")
	opened := w.second.as().types("", "open", item, "--purpose", "investigation", "--to", w.path("opened.txt")).ends(0)
	opened.has("Opened", "180.0 kB, the same as deposited", "proof of entry checked", "in the record book tells of this copy")
	w.same("opened.txt", report)
	w.second.types("", "open", item, "--purpose", "investigation", "--to", w.path("opened.txt")).refused(exitRefused, "exists")
	w.second.types("", "open", item, "--purpose", "curiosity", "--to", w.path("other.txt")).refused(exitCannot, "code")
	w.second.types("", "verify-item", item).object()
	items := decodeOne[[]listed](t, w.second.types("", "list", "--case", in).ends(0).out)
	confirmed := 0
	for _, i := range items {
		if i.Confirmed {
			confirmed++
		}
	}
	if len(items) != 3 || confirmed != 1 {
		t.Errorf("list: %+v", items)
	}
	w.second.as().types("", "list").ends(0).has("Exhibit 1 report.txt", "Not yet checked by a second person.")
	w.court.types("", "open", item, "--purpose", "adjudication", "--to", w.path("early.txt")).refused(exitRefused, "not_found")

	grant := w.share(in, item)
	w.receive(grant, report)
	w.withdraw(consent, item, grant)
}

// share proposes and approves, by two persons.
func (w *town) share(in, item string) (grant string) {
	t := w.t
	propose := []string{"grant", "propose", item, "--to", w.court.id, "--jurisdiction", "NL", "--legal-basis", "mla_request", "--until", "90d"}
	refused := str(t, w.custodian.types("", propose...).object(), "grant")
	w.second.types("not needed\n", "grant", "refuse", refused).object()
	w.second.types("approve\n", "grant", "approve", refused).refused(exitRefused, "not_pending")

	grant = str(t, w.custodian.types("", propose...).object(), "grant")
	w.custodian.types("approve\n", "grant", "approve", grant).refused(exitRefused, "second_person")
	w.second.types("Approve\n", "grant", "approve", grant).refused(exitRefused, "declined")
	w.court.types("", "grant", "redeem", grant, "--to", w.path("early.txt")).refused(exitRefused, "not_found")
	approved := w.second.as().types("approve\n", "grant", "approve", grant[:10], "--item", item).ends(0)
	approved.has("Goes Exhibit 1 (report.txt): clinical", "Stays 2 other items of the case", "court in NL", "compared: phone",
		"Law mla request, for adjudication", "They may keep copies; the end date does not reach them.", "Approved "+grant, "written for the recipient", "Known as P-",
		"Before "+refused+" to the same recipient was refused on", "by custodian "+w.second.id)
	return grant
}

// receive is the court's part, up to the package and its check.
func (w *town) receive(grant, original string) {
	t := w.t
	w.court.types("", "grant", "acknowledge", grant, "--copy", original).refused(exitRefused, "not_redeemed")
	told := w.court.types("", "grant", "redeem", grant, "--to", w.path("received.txt")).object()["notes"]
	if list, ok := told.([]any); !ok || len(list) != 1 || !strings.Contains(list[0].(map[string]any)["text"].(string), " P-") {
		t.Errorf("the court is told %v", told)
	}
	w.same("received.txt", original)
	w.court.types("", "grant", "acknowledge", grant, "--copy", w.write("other.txt", "other")).refused(exitRefused, "no_answer")
	if receipt := w.court.types("", "grant", "acknowledge", grant, "--copy", w.path("received.txt")).object(); receipt["equal"] != true {
		t.Errorf("acknowledge: %v", receipt)
	}
	pkg := w.path("package.zip")
	w.court.types("", "grant", "export", grant, "--to", pkg).object()
	w.readme("package.zip", "en", "ltr")
	w.court.as().types("", "verify", pkg, "--open").ends(0).has("VERIFIED", "Vault number: "+w.number)
	w.court.as().types("", "verify", pkg, "--trust", w.trust).ends(0).has("VERIFIED")
	w.court.as().types("", "verify", pkg, "--language", "uk").ends(0).has("ПЕРЕВІРЕНО", "Номер сховища: "+w.number, "Дозволено: ")
	w.court.types("", "verify", pkg, "--language", "tlh").refused(exitCannot, "usage")
	stranger := &person{t: t, home: w.path("nobody")}
	stranger.types("", "verify", pkg).ends(2).has("INCOMPLETE")
	if _, err := os.Stat(stranger.home); err == nil {
		t.Error("verifying made a folder")
	}

	text, err := os.ReadFile(pkg)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/3] ^= 1
	w.court.as().types("", "verify", w.write("tampered.zip", string(text))).ends(1).has("REFUSED", "Do not rely on this package.")

	steps := decodeOne[struct {
		Complete bool
		Steps    []step
	}](t, w.court.types("", "history", str(t, w.court.types("", "grant", "redeem", grant, "--to", w.path("again.txt")).object(), "item")).ends(0).out)
	kinds := make(map[string]int)
	for i, s := range steps.Steps {
		if s.Step != int64(i)+1 {
			t.Errorf("step %d is at place %d", s.Step, i+1)
		}
		kinds[string(s.Kind)]++
	}
	if !steps.Complete || kinds["item.sealed"] != 1 || kinds["grant.redeemed"] != 3 || kinds["grant.acknowledged"] != 1 || kinds["item.exported"] != 4 { // a keyholder's copy, two of the court, and a package
		t.Errorf("history: %v", kinds)
	}
}

// withdraw stops all use: for keyholders and for the court.
func (w *town) withdraw(consent, item, grant string) {
	t := w.t
	w.clinician.types("stop\n", "consent", "withdraw", consent).refused(exitRefused, "declined")
	stopped := w.clinician.as().types("withdraw\n", "consent", "withdraw", consent).ends(0)
	stopped.has("2 items: nobody opens or shares them any more; 1 share ends", "court in NL has opened it 3 times", "Number")
	w.second.types("", "open", item, "--purpose", "investigation", "--to", w.path("late.txt")).refused(exitRefused, "frozen")
	late := w.court.types("", "grant", "redeem", grant, "--to", w.path("late.txt"))
	if late.code != exitRefused {
		t.Errorf("the court's access after a withdrawal ended with %d:\n%s", late.code, late.err)
	}
	if _, err := os.Stat(w.path("late.txt")); err == nil {
		t.Error("a file was written after the withdrawal")
	}
	w.clinician.types("", "deposit", w.write("more.txt", "more"), "--case", in(t, w, consent), "--content", "clinical", "--consent", consent).ends(exitRefused)
	w.second.as().types("", "list").ends(0).has("Stopped: ")
	w.second.as().types("", "consent", "show", consent).ends(0).has("The consent was withdrawn")
}

// in is the case of a consent.
func in(t *testing.T, w *town, consent string) string {
	t.Helper()
	return str(t, w.clinician.types("", "consent", "show", consent).object(), "case")
}
