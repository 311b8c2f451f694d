package main

import (
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// A secret hold through the real programs: who must act on it acts, everybody else sees that something is withheld and until when, a court's
// package says what it lacks, and after the date all is shown.
func TestSecretHold(t *testing.T) {
	w := foundTown(t)
	began := time.Now()
	third, survivor, auditor := w.newPerson("third"), w.newPerson("survivor"), w.newPerson("auditor")
	w.enrol(third, "custodian", w.admin, w.second)
	w.enrol(survivor, "survivor", w.second, third)
	w.enrol(auditor, "auditor", w.admin, w.second)
	in := str(t, w.second.types("", "case", "open", "--member", "me:open,approve,manage", "--member", third.id+":open,approve,manage",
		"--member", w.clinician.id+":deposit,open", "--keyholder", "me", "--keyholder", third.id, "--keyholder", w.clinician.id).object(), "case")
	consent := str(t, w.clinician.types("", "consent", "give", "--case", in, "--form", w.write("form.txt", "signed form"), "--until", "365d", "--subject", survivor.id,
		"--examination", "yes", "--storage", "yes", "--court", "NL:information", "--yes").object(), "consent")
	report := w.write("report.txt", "findings")
	item := string(decodeLines[deposited](t, w.clinician.types("", "deposit", report, "--case", in, "--content", "clinical", "--consent", consent).ends(0).out)[0].Item)
	w.clinician.types("", "seal", item, "--yes").object()
	grant := str(t, w.second.types("", "grant", "propose", item, "--to", w.court.id, "--jurisdiction", "NL", "--legal-basis", "treaty", "--until", "90d").object(), "grant")
	third.types("approve\n", "grant", "approve", grant).object()

	// What has to be seen before the date takes about as many commands as there were so far.
	until := evidence.At(time.Now().Add(10*time.Second + 3*time.Since(began)))
	place := []string{"hold", "place", item, "--basis", "court_order", "--expires", "365d", "--review", "90d", "--secret-until"}
	w.second.types("Court of K.\n7/27\nCode of procedure, 94\n", append(place, "366d")...).refused(exitCannot, "usage")
	said := w.second.as().types("Court of K.\n7/27\nCode of procedure, 94\n", append(place, until.String())...).ends(0)
	said.has("Secret until " + dateOf(until) + ", but for custodians of the case and auditors")
	hold := "hld-" + strings.Fields(strings.SplitN(said.err, "hld-", 2)[1])[0]
	third.as().types("confirm\n", "hold", "confirm", hold).ends(0).has("Secret until "+dateOf(until), "Court of K.", "Confirmed Exhibit 1")
	third.types("", "open", item, "--purpose", "prosecution", "--under-hold", hold, "--to", w.path("ordered.txt")).object()

	// Who must know.
	for _, p := range []*person{w.second, third, auditor} {
		p.as().types("", "history", item).ends(0).has("kept by law", "secret until "+dateOf(until))
	}
	w.second.as().types("", "hold", "list").ends(0).has("Held "+hold, "secret until "+dateOf(until))

	// Everybody else.
	hidden := "An event that may not be shown until " + dateOf(until) + "."
	betrays := func(name string, s string) {
		t.Helper()
		for _, text := range []string{hold, "kept by law", "Kept by law", "court order", "prosecution", "hold."} {
			if strings.Contains(s, text) {
				t.Errorf("%s is told %q:\n%s", name, text, s)
			}
		}
	}
	betrays("the clinician", w.clinician.as().types("", "history", item).ends(0).has(hidden, "4 events may not be shown until").out)
	betrays("the clinician's list", w.clinician.as().types("", "list", "--case", in).ends(0).has("There are events that may not be shown until "+dateOf(until)).out)
	w.clinician.as().types("", "hold", "list").ends(0).has("No holds.")
	w.clinician.as().types("", "open", item, "--purpose", "care", "--to", w.path("care.txt")).ends(0).has("the same as deposited")
	w.clinician.types("", "open", item, "--purpose", "care", "--under-hold", hold, "--to", w.path("no.txt")).refused(exitRefused, "hold")
	w.clinician.as().types("", "report", item, "--csv", "--to", w.path("report.csv")).ends(0).has("with 4 events that may not be shown yet")
	betrays("the survivor", survivor.as().types("", "own").ends(0).has("4 events may not be shown until "+dateOf(until), "Until then what is said here may not be all").out)
	w.court.types("", "grant", "export", grant, "--to", w.path("before.zip")).object()
	w.court.as().types("", "verify", w.path("before.zip")).ends(2).has("INCOMPLETE", "A step may not be shown yet. Its place is proved, what it says is not.")

	// She takes all back. Nobody makes it unreadable; whoever could propose it is told why.
	survivor.types("withdraw\n", "consent", "withdraw", consent).object()
	w.second.types("propose\n", "shred", "propose", item, "--because", "withdrawal").refused(exitRefused, "held")
	betrays("the survivor after her withdrawal", survivor.as().types("", "own").ends(0).has("frozen: nobody can open it", "may not be shown until").out)
	if time.Now().After(until.Std()) {
		t.Fatal("the second half took more than three times as long as the first: the hold is not secret any more")
	}
	time.Sleep(time.Until(until.Std()) + time.Second)

	survivor.as().types("", "own").ends(0).has("must be kept: court order", "custodian", "for prosecution", "no step is missing.")
	survivor.inEveryLanguage("own")
	w.clinician.as().types("", "history", item).ends(0).has("kept by law, confirmed", "opened, for prosecution", "is missing")
	w.clinician.as().types("", "list", "--case", in).ends(0).has("Kept by law.")
	w.court.as().types("", "history", item).ends(0).has("kept by law")
}
