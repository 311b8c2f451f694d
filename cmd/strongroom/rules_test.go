package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// actedOn is what a command about several items answers.
type actedOn struct {
	Result string
	Items  []acted
	Hold   string
	DryRun string `json:"dry_run"`
}

func (s said) acts(done int) actedOn {
	s.t.Helper()
	a := decodeOne[actedOn](s.t, s.ends(0).out)
	n := 0
	for _, i := range a.Items {
		if i.Entry > 0 {
			n++
		}
	}
	if a.Result != "recorded" || n != done {
		s.t.Fatalf("%d items done, want %d: %+v", n, done, a)
	}
	return a
}

// The rules of keeping, narrowing, hurrying and forgetting, through the real programs. The vault's waiting times are seconds.
func TestRules(t *testing.T) {
	const wait = 2 * time.Second
	w := foundTown(t, "--waits", wait.String())
	third, survivor := w.newPerson("third"), w.newPerson("survivor")
	w.enrol(third, "custodian", w.admin, w.second) // to unlock a passphrase takes a second each time
	w.enrol(survivor, "survivor", w.second, third)
	in := str(t, w.second.types("", "case", "open", "--member", "me:deposit,open,approve,manage", "--member", third.id+":open,approve,manage",
		"--member", w.clinician.id+":deposit,duty", "--keyholder", "me", "--keyholder", third.id, "--keyholder", w.clinician.id).object(), "case")
	consent := str(t, w.clinician.types("", "consent", "give", "--case", in, "--form", w.write("form.txt", "signed form"), "--until", "365d", "--subject", survivor.id,
		"--examination", "yes", "--storage", "yes", "--photographs", "yes", "--court", "NL:information", "--yes").object(), "consent")
	deposit := func(name, content string) string {
		t.Helper()
		list := decodeLines[deposited](t, w.clinician.types("", "deposit", w.write(name, content+" of "+name), "--case", in, "--content", content, "--consent", consent).ends(0).out)
		return string(list[0].Item)
	}
	report, photo := deposit("report.txt", "clinical"), deposit("photo.jpg", "photograph")
	w.clinician.types("", "seal", report, "--yes").object()

	w.emergency(report)
	w.describe(report)
	w.ownCopy(survivor, consent, report)

	// One answer is taken back: what it kept stops, the rest goes on.
	w.clinician.types("", "consent", "narrow", consent, "--no", "kindness").refused(exitCannot, "usage")
	w.clinician.types("narrow\n", "consent", "narrow", consent, "--no", "research").refused(exitRefused, "wider")
	w.clinician.types("yes\n", "consent", "narrow", consent, "--no", "photographs").refused(exitRefused, "declined")
	w.clinician.as().types("narrow\n", "consent", "narrow", consent, "--no", "photographs").ends(0).
		has("No May I take photographs?", "Stops Item "+photo+" (photo.jpg): photograph", "1 item stops; 0 shares end", "(to quote when asking about it)")
	w.second.types("", "open", photo, "--purpose", "care", "--to", w.path("late.jpg")).refused(exitRefused, "frozen")
	w.second.as().types("", "retention", "due", in).ends(0).has("Stopped Draft " + photo + " its consent was withdrawn, or does not allow it any more; to be decided by")

	// She withdraws all: two custodians hold one item and make the rest unreadable. What left the vault before is named to her.
	export := []string{"item", "export", report, "--to", w.path("own.zip"), "--despite", "--language"}
	w.second.as().types("", append(export, "de")...).ends(exitCannot).has("pages are not in that language; --language is one of ar, en, es, fr, uk")
	w.second.as().types("", append(export, "ar")...).ends(0).has("Exported")
	w.readme("own.zip", "ar", "rtl")
	copied := "custodian " + w.second.id + " has made a package of it on "
	survivor.as().types("", "own").ends(0).has(copied, "such copies cannot be called back")
	survivor.as().types("withdraw\n", "consent", "withdraw", consent).ends(0).
		has("3 items: nobody opens or shares them any more", copied, "such copies cannot be called back", "Decide By ")
	orders := "Court of K.\n7/27\nCode of procedure, 94\n"
	place := []string{"hold", "place", report, "--basis", "court_order", "--expires", "365d", "--review", "90d"}
	w.second.types("", place...).refused(exitRefused, "no_answer")
	hold := w.second.types(orders, place...).acts(1).Hold
	w.second.types(orders, append(place, "--hold", hold)...).acts(0) // repeated: it is there
	w.second.types("confirm\n", "hold", "confirm", hold).refused(exitRefused, "second_person")
	third.as().types("confirm\n", "hold", "confirm", hold[:10]).ends(0).
		has("Law court order", "Which authority issued it? Court of K.", "Item Exhibit 1, "+report, "Confirmed Exhibit 1")
	w.clinician.as().types("", "deposit", w.write("late.txt", "late"), "--case", in, "--content", "clinical", "--consent", consent).ends(exitRefused).
		has("A legal duty keeps 1 item of this case. What you deposit is not under it")
	due := w.second.types("", "retention", "due", in).object()
	number := str(t, due["dry_run"].(map[string]any), "withdrawal")
	w.second.types("propose\n", "shred", "propose", report, "--because", "withdrawal").refused(exitRefused, "held")
	w.second.types("propose\n", "shred", "propose", photo, "--because", "draft", "--case", in).refused(exitCannot, "usage")
	proposed := w.second.types("propose\n", "shred", "propose", "--case", in, "--because", "withdrawal").acts(2)
	if proposed.DryRun != number {
		t.Errorf("the list was %s, the proposals name %s", number, proposed.DryRun)
	}
	ready := time.Now().Add(wait)
	if again := w.second.types("propose\n", "shred", "propose", "--case", in, "--because", "withdrawal").acts(0); again.DryRun != number {
		t.Errorf("repeated, the list is %s, it was %s", again.DryRun, number)
	}
	w.second.types("", "shred", "cancel", photo, "--cause", "error").refused(exitRefused, "frozen")
	w.second.types("shred\n", "shred", "carry-out", photo).refused(exitRefused, "second_person")
	w.second.types("", "open", report, "--purpose", "investigation", "--to", w.path("stopped.txt")).refused(exitRefused, "frozen")
	w.second.types("", "open", report, "--purpose", "investigation", "--under-hold", hold, "--to", w.path("held.txt")).object()
	w.same("held.txt", w.path("report.txt"))
	survivor.types("", "open", report, "--purpose", "subject_access", "--to", w.path("still.txt")).object()
	time.Sleep(time.Until(ready))
	third.types("yes\n", "shred", "carry-out", "--case", in).refused(exitRefused, "declined")
	third.as().types("shred\n", "shred", "carry-out", "--case", in).ends(0).
		has("Destroys Draft "+photo, "4 keys, its name, description and notes", "Backups The last one that holds these keys ends by", "Unreadable Draft "+photo, "Tell the person who gave "+consent+" that this is done")
	w.second.types("", "open", photo, "--purpose", "care", "--to", w.path("never.jpg")).refused(exitRefused, "shredded")
	w.second.as().types("", "list", "--case", in).ends(0).has("Made unreadable for good on", "Exhibit 1", "Kept by law.")
	w.second.as().types("", "history", photo).ends(0).has("proposed to make unreadable for good", "made unreadable for good", "is missing")
	w.second.as().types("", "hold", "list").ends(0).has("Held "+hold, "1 item")
	for _, name := range []string{"late.jpg", "stopped.txt", "never.jpg"} {
		if _, err := os.Stat(w.path(name)); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// The recovery key: what one trustee states waits for another one, who states the same.
func TestRecoveredCommand(t *testing.T) {
	w := foundTown(t)
	one, two, auditor := w.newPerson("trustee"), w.newPerson("trustee 2"), w.newPerson("auditor")
	w.enrol(one, "trustee", w.custodian, w.second)
	w.enrol(two, "trustee", w.custodian, w.second)
	w.enrol(auditor, "auditor", w.admin, w.second)
	item, other := string(evidence.NewID[evidence.ItemID]()), string(evidence.NewID[evidence.ItemID]())
	state := []string{"vault", "recovered", "--item", item, "--cause", "loss"}
	one.types("yes\n", state...).refused(exitRefused, "declined")
	w.second.types("recovered\n", state...).refused(exitRefused, "role")
	one.as().types("recovered\n", state...).ends(0).has("You state that the recovery key opens 1 item.", item, "Waits for another trustee")
	auditor.as().types("", "audit").ends(0).has(item + ": one trustee states that the recovery key was used; no second one yet")
	one.types("recovered\n", state...).refused(exitRefused, "second_person")
	two.types("recovered\n", append(state, "--item", other)...).refused(exitRefused, "recovery_differs")
	two.as().types("recovered\n", state...).ends(0).has("Confirmed as the second of two trustees")
	auditor.as().types("", "audit").ends(0).has(item+": the recovery key was used, as two trustees state", "loss",
		"Compared 0 files as deposited", "Act keys enrolled (auditor) of "+auditor.id, "by administrator "+w.admin.id, "Act use of the recovery key stated (loss)", "until ")
	auditor.as().types("", "history", "vault").ends(0).has("use of the recovery key stated")

	// One trustee alone ends it.
	end := []string{"vault", "recovered", "--nothing", "--cause", "error"}
	two.types("", append(end, "--item", item)...).ends(exitCannot)
	two.types("", "vault", "recovered", "--cause", "error").ends(exitCannot)
	two.types("recovered\n", end...).refused(exitRefused, "declined")
	two.as().types("nothing\n", end...).ends(0).has("You state that nothing is to be opened", "Ended "+item)
	one.types("nothing\n", end...).refused(exitRefused, "no_recovery")
	auditor.as().types("", "audit").ends(0).has(item+": a trustee has ended what was stated of the recovery key", "by "+two.id,
		"Act use of the recovery key stated (nothing is to be opened, error)")
}

// emergency: a keyholder on duty who may not open does, another person reviews it.
func (w *town) emergency(item string) {
	t := w.t
	to := []string{"item", "break-glass", item, "--code", "life", "--to", w.path("urgent.txt")}
	w.clinician.types("", "open", item, "--purpose", "care", "--to", w.path("urgent.txt")).refused(exitRefused, "right")
	w.clinician.types("The attacker is on the way.\nyes\n", to...).refused(exitRefused, "declined")
	w.second.types("None.\nreview\n", "item", "review", item, "--justified", "yes").refused(exitRefused, "emergency")
	w.clinician.as().types("The attacker is on the way.\nemergency\n", to...).ends(0).has("Another person reviews it within 3 days", "Opened", "the same as deposited")
	w.same("urgent.txt", w.path("report.txt"))
	w.second.as().types("None.\nreview\n", "item", "review", item, "--justified", "yes").ends(0).has("life", "Why The attacker is on the way.", "Reviewed")
	list := decodeOne[[]emergency](t, w.second.types("", "item", "emergencies").ends(0).out)
	if len(list) != 1 || list[0].Code != "life" || list[0].State != "justified" || list[0].ReviewedBy != evidence.ActorID(w.second.id) {
		t.Errorf("%+v", list)
	}
}

// describe: a better description stands beside the earlier one, a working copy is an item of its own.
func (w *town) describe(item string) {
	t := w.t
	w.second.as().types("The name said the wrong day.\n", "item", "amend", item, "--name", "report of 3 May.txt").ends(0).has("the earlier description stays readable")
	w.second.as().types("", "item", "show", item, "--version", "1").ends(0).has("Name report.txt", "Version 1 of 2")
	w.second.as().types("", "item", "show", item).ends(0).has("Name report of 3 May.txt", "Version 2 of 2", "Because error")
	w.second.types("", "item", "show", item, "--version", "3").refused(exitRefused, "version")
	derive := []string{"item", "derive", item, w.path("report.txt"), "--tool", "cp", "--tool-version", "9.4", "--parameters", w.write("steps.txt", "cp -a")}
	w.second.types("", append(derive, "--form", "derived")...).refused(exitRefused, "same_as_source")
	copied := str(t, w.second.types("", append(derive, "--form", "working")...).object(), "item")
	if again := str(t, w.second.types("", append(derive, "--form", "working")...).object(), "item"); again != copied {
		t.Errorf("repeated, the working copy is %s, it was %s", again, copied)
	}
	w.second.as().types("", "history", item, "--notes").ends(0).has("another item made from it", "description amended", "emergency opening reviewed",
		"reason: The attacker is on the way.", "measures: (for who opens the item: strongroom item notes)")
	w.second.as().types("", "item", "notes", item).ends(0).has("measures: None.", "reason: The name said the wrong day.", "parameters: cp -a", "Recorded entry")
	w.admin.types("", "history", item, "--notes").refused(exitRefused, "not_found")
}

// ownCopy: the person concerned sees what is kept and opens a copy.
func (w *town) ownCopy(survivor *person, consent, item string) {
	w.t.Helper()
	open := []string{"open", item, "--purpose", "subject_access", "--to", w.path("mine.txt")}
	survivor.types("", open...).refused(exitRefused, "envelope")
	w.second.as().types("", "item", "copy-for-subject", item).ends(0).has("written for the person concerned, " + survivor.id)
	survivor.as().types("", open...).ends(0).has("the same as deposited", "What happens to it is not recorded.")
	open[len(open)-1] = w.path("mía.txt")
	copied := survivor.as("--language", "es").types("", open...).ends(0).has("igual que lo depositado").out
	translated(w.t, "es", strings.ReplaceAll(copied, "report of 3 May.txt", ""))
	w.same("mine.txt", w.path("report.txt"))
	survivor.as().types("", "list").ends(0).has("Exhibit 1 (its name is not for you)")
	survivor.as().types("", "consent", "list").ends(0).has(consent)
	survivor.inEveryLanguage("consent", "list")
	survivor.inEveryLanguage("consent", "show", consent)
	if shown := survivor.as().types("", "consent", "show", consent[:10]).ends(0); !strings.Contains(shown.out, survivor.id) {
		w.t.Errorf("the consent does not name her:\n%s", shown.out)
	}
}

func TestParseNo(t *testing.T) {
	yes := evidence.Yes
	full := func() evidence.Answers {
		return evidence.Answers{Storage: yes, Photographs: yes, Courts: []evidence.CourtAnswer{
			{Jurisdiction: "DE", Information: yes, Photographs: yes, Physical: yes}, {Jurisdiction: "NL", Information: yes, Photographs: yes, Physical: yes}}}
	}
	for _, c := range []struct {
		no   []string
		want func(*evidence.Answers)
	}{
		{nil, func(*evidence.Answers) {}},
		{[]string{"photographs"}, func(a *evidence.Answers) { a.Photographs = evidence.No }},
		{[]string{"storage", "court:NL"}, func(a *evidence.Answers) {
			a.Storage = evidence.No
			a.Courts[1] = evidence.CourtAnswer{Jurisdiction: "NL", Information: evidence.No, Photographs: evidence.No, Physical: evidence.No}
		}},
		{[]string{"court:DE:physical"}, func(a *evidence.Answers) { a.Courts[0].Physical = evidence.No }},
		{[]string{"court:FR"}, func(*evidence.Answers) {}}, // the law says that nothing was taken away
	} {
		no, err := parseNo(c.no)
		if err != nil {
			t.Fatal(err)
		}
		got, want := full(), full()
		no(&got)
		c.want(&want)
		if got.Storage != want.Storage || got.Photographs != want.Photographs || got.Courts[0] != want.Courts[0] || got.Courts[1] != want.Courts[1] {
			t.Errorf("%q: %+v, want %+v", c.no, got, want)
		}
	}
	for _, s := range []string{"", "everything", "court:NL:all", "Photographs"} {
		if _, err := parseNo([]string{s}); err == nil || explain(err).reason != "usage" {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestShortly(t *testing.T) {
	for seconds, want := range map[int64]string{1: "1 second", 90: "90 seconds", 3600: "1 hour", 24 * 3600: "24 hours", 14 * 24 * 3600: "14 days", 72 * 3600: "3 days", 3601: "3601 seconds"} {
		if got := shortly(seconds); got != want {
			t.Errorf("shortly(%d) = %q, want %q", seconds, got, want)
		}
	}
}

// Who wants to be asked before each share is asked: whoever proposes or decides is told who answers and where it says how to reach that
// person, and nothing is shared before.
func TestAskFirst(t *testing.T) {
	w := foundTown(t)
	survivor := w.newPerson("survivor")
	w.enrol(survivor, "survivor", w.custodian, w.second)
	in := str(t, w.second.types("", "case", "open", "--member", "me:open,approve,manage", "--member", w.custodian.id+":approve,manage",
		"--member", w.clinician.id+":deposit,open", "--keyholder", "me", "--keyholder", w.clinician.id).object(), "case")
	share := func(subject ...string) (grant string) {
		given := w.clinician.types("", append([]string{"consent", "give", "--case", in, "--form", w.write("form.txt", "signed form"), "--until", "365d", "--ask-first",
			"--examination", "yes", "--storage", "yes", "--court", "NL:information", "--yes"}, subject...)...).object()
		consent := str(t, given, "consent")
		item := string(decodeLines[deposited](t, w.clinician.types("", "deposit", w.write("report.txt", "findings"), "--case", in, "--content", "clinical", "--consent",
			consent).ends(0).out)[0].Item)
		w.clinician.types("", "seal", item, "--yes").object()
		said := w.second.as().types("", "grant", "propose", item, "--to", w.court.id, "--jurisdiction", "NL", "--legal-basis", "treaty", "--until", "90d").ends(0)
		grant = "gra-" + strings.Fields(strings.SplitN(said.err+said.out, "gra-", 2)[1])[0]
		who := "nobody can answer yet"
		if len(subject) > 0 {
			who = survivor.id
		}
		said.has("Ask first", who, "strongroom item show itm-")
		return grant
	}
	unanswered := share()
	if o := w.custodian.types("approve\n", "grant", "approve", unanswered).object(); o["key_written"] != false {
		t.Error("shared with nobody having been asked")
	}
	grant := share("--subject", survivor.id)
	w.custodian.as("--passphrase-file", w.path("passphrase")).types("approve\n", "grant", "approve", grant).ends(0).has("Ask first", survivor.id)
	survivor.as().types("", "own").ends(0).has("you are asked: strongroom grant approve " + grant)
	survivor.inEveryLanguage("own")
	agreed := survivor.as("--language", "fr").types("approuver\n", "grant", "approve", grant).ends(0).has("Approuvé")
	translated(t, "fr", agreed.out+agreed.err)
	if said := survivor.as().types("", "own").ends(0); strings.Contains(said.out, "you are asked") {
		t.Error("asked again after the answer")
	}
	w.second.types("", "grant", "key", grant).object()
}
