package main

import (
	"os"
	"strings"
	"testing"
)

// Reports on a person, an index and a schedule; the law of a period; an emergency judged unread; what an incident was; and what a survivor
// is told of a hold and of those who opened. Through the real programs.
func TestReportsThroughCommands(t *testing.T) {
	w := foundTown(t)
	third, survivor, auditor := w.newPerson("third"), w.newPerson("survivor"), w.newPerson("auditor")
	w.enrol(third, "custodian", w.admin, w.second)
	w.enrol(survivor, "survivor", w.second, third)
	w.enrol(auditor, "auditor", w.admin, w.second)
	in := str(t, w.second.types("", "case", "open", "--member", "me:open,approve,manage", "--member", third.id+":open,approve,manage",
		"--member", w.clinician.id+":deposit,duty", "--keyholder", "me", "--keyholder", third.id, "--keyholder", w.clinician.id).object(), "case")
	consent := str(t, w.clinician.types("", "consent", "give", "--case", in, "--form", w.write("form.txt", "signed form"), "--until", "365d", "--subject", survivor.id,
		"--examination", "yes", "--storage", "yes", "--court", "NL:information", "--yes").object(), "consent")
	item := string(decodeLines[deposited](t, w.clinician.types("", "deposit", w.write("report.txt", "findings"), "--case", in, "--content", "clinical", "--pages", "12", "--consent",
		consent).ends(0).out)[0].Item)
	w.clinician.types("", "seal", item, "--yes").object()
	w.second.types("", "open", item, "--purpose", "care", "--to", w.path("care.txt")).object()
	written := func(p *person, args ...string) string {
		t.Helper()
		name := w.path("report-" + strings.Join(strings.Fields(strings.Join(args, "")), ""))
		p.types("", append([]string{"report", "--to", name}, args...)...).object()
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}

	// An emergency is not called justified by who has not read why.
	w.clinician.types("The attacker is on the way.\nemergency\n", "item", "break-glass", item, "--code", "life", "--to", w.path("urgent.txt")).object()
	review := []string{"item", "review", item, "--justified", "yes"}
	auditor.types("None.\nreview\n", review...).refused(exitRefused, "reason_unread")
	auditor.as().types("None.\nreview\n", review...).ends(exitRefused).has("Why (not for you to read) It is sealed for the members of the case.",
		"strongroom case add-member "+in+" "+auditor.id+":open --until 7d")
	w.second.types("", "case", "add-member", in, auditor.id+":open", "--until", "7d").object()
	auditor.as().types("None.\nreview\n", review...).ends(0).has("Why The attacker is on the way.", "Reviewed")
	w.second.types("", "case", "remove-member", in, auditor.id, "--cause", "closed").object()
	w.clinician.types("They are at the door.\nemergency\n", "item", "break-glass", item, "--code", "life", "--to", w.path("again.txt")).object()
	auditor.types("I spoke with the police, who had asked.\nreview\n", append(review, "--unread")...).object()

	// What nothing dates is said to be undated; a period names its law.
	w.second.as().types("", "retention", "due", in).ends(0).has("No date", "nothing says until when it is kept", "1 item has no date")
	auditor.as().types("", "audit").ends(0).has("No date itm-", "kept for ever", "Whole Every item and every person with one of the ", "Clocks Times run against the order of entry by")
	set := []string{"retention", "set", item, "--category", "medical_records", "--due", "30d"}
	w.second.types("", set...).refused(exitRefused, "no_answer")
	w.second.types("", append(set, "--law", w.write("law.txt", "Patients' Act, section 10: ten years\n"))...).acts(1)
	third.as().types("", "retention", "due", in, "--soon", "400d").ends(0).has("medical records until", "Patients' Act, section 10: ten years")
	third.as().types("", "item", "notes", item).ends(0).has("authority: Patients' Act, section 10: ten years")

	// Reports.
	if text := written(auditor, "--by", w.admin.id, "--csv"); !strings.Contains(text, ",actor.enrolled,") || strings.Contains(text, w.clinician.id+",clinician") {
		t.Errorf("on the administrator:\n%s", text)
	}
	if text := written(auditor, "--by", w.clinician.id, "--csv"); strings.Count(text, ",consent.given,") != 1 || strings.Count(text, ",item.break_glass,") != 2 || strings.Contains(text, "case.opened") {
		t.Errorf("on the clinician:\n%s", text)
	}
	if text := written(w.second, "--index", "--case", in, "--csv"); strings.Count(text, "\n") != 2 || !strings.Contains(text, "1,"+item+","+in+",") || !strings.HasSuffix(text, ",not_shared,,12,\r\n") {
		t.Errorf("index:\n%s", text)
	}
	if text := written(auditor, "--index", item, "--csv"); !strings.HasSuffix(text, ",not_shared,,,\r\n") { // who is not of the case
		t.Errorf("index of a stranger:\n%s", text)
	}
	if text := written(w.second, "--index", item); !strings.Contains(text, "pages: 12") {
		t.Errorf("index:\n%s", text)
	}
	for _, wrong := range [][]string{{"--pages", "-1"}, {"--duration", "1500ms"}, {"--pages", "1", "--duration", "1s"}} {
		w.clinician.types("", append([]string{"deposit", w.write("more.txt", "more"), "--case", in, "--content", "clinical", "--consent", consent}, wrong...)...).refused(exitCannot, "usage")
	}
	if text := written(w.second, "--unused", item); !strings.Contains(text, "Schedule of unused material") || !strings.Contains(text, item) {
		t.Errorf("unused:\n%s", text)
	}
	w.second.types("", "report", "--to", w.path("none.html")).refused(exitCannot, "usage")
	w.second.types("", "report", item, "--to", w.path("none.html"), "--language", "de").refused(exitCannot, "usage")
	if text := written(w.second, "--language", "fr_CH", item); !strings.Contains(text, `<html lang="fr" dir="ltr">`) || !strings.Contains(text, "<dt>Coffre</dt>") || strings.Contains(text, "Vault") {
		t.Errorf("in French:\n%s", text)
	}

	// What an incident was.
	w.admin.types("incident\n", "vault", "incident", "--code", "outage", "--scope", "vault", "--from", "2026-01-02T03:04:05Z", "--until", "2026-01-02T05:00:00Z").object()
	auditor.as().types("", "history", "vault").ends(0).has("incident: outage, scope: vault from 2 January 2026, 03:04:05 UTC until 2 January 2026, 05:00:00 UTC")

	// Who withdraws is told of those inside who opened, and of a hold when it is looked at again and where its order is.
	opened := "4 openings inside the service (clinician 2 times from "
	survivor.as().types("", "own").ends(0).has(opened, "whoever opened may have kept a copy; such copies cannot be called back.")
	survivor.as().types("withdraw\n", "consent", "withdraw", consent).ends(0).has("Copies "+opened, "custodian 2 times from ")
	w.second.types("Court of K.\n7/27\nCode of procedure, 94\n", "hold", "place", item, "--basis", "court_order", "--expires", "2099-01-01", "--review", "2098-01-01").acts(1)
	survivor.as().types("", "own").ends(0).has("must be kept: court order, until 1 January 2099.", "To be looked at again by 1 January 2098",
		"Ask the custodians for the order, or ask for it in a complaint.")
	survivor.inEveryLanguage("own")

	// A report of the item says that the consent was withdrawn.
	if text := written(w.second, item, "--csv"); !strings.Contains(text, ",consent.withdrawn,") {
		t.Errorf("custody:\n%s", text)
	}
}
