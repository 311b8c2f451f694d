package main

import "testing"

// What a person sees before something leaves: who asks and why, what was not looked for, what a recipient may do; and what goes to a recipient
// afterwards is asked about, too.
func TestLeaving(t *testing.T) {
	w := foundTown(t)
	rights := ":deposit,open,approve,manage"
	in := str(t, w.second.types("", "case", "open", "--member", "me"+rights, "--member", w.custodian.id+rights, "--member", w.clinician.id+":deposit",
		"--keyholder", "me", "--keyholder", w.custodian.id).object(), "case")

	// A ground without words is none.
	file := w.write("chat.txt", "messages of Olena")
	ground := []string{"deposit", file, "--case", in, "--content", "digital", "--basis", "court_order", "--authority"}
	for _, text := range []string{" \n", "x", "judge\norder 7\nact 4\n"} {
		w.second.types("", append(ground, w.write("ground.txt", text))...).refused(exitRefused, "ground_lines")
	}
	asked := "judge\norder 7\nact 4\n"
	w.second.types(asked+"\n", ground[:len(ground)-1]...).refused(exitRefused, "ground_lines") // the last line is blank
	w.second.as().types(asked+"Art. 9(2)(f)\n", ground[:len(ground)-1]...).ends(0).has("Which ground of GDPR Art. 9?")
	w.second.types("", "hold", "place", "--case", in, "--basis", "court_order", "--expires", "9d", "--review", "8d", "--order", w.write("order.txt", "x")).
		refused(exitRefused, "ground_lines")

	consent := str(t, w.clinician.types("", "consent", "give", "--case", in, "--form", w.write("form.txt", "signed form"), "--until", "365d",
		"--examination", "yes", "--storage", "yes", "--court", "NL:information", "--yes").object(), "consent")
	report := w.write("report.txt", "findings on Olena")
	item := string(decodeLines[deposited](t, w.clinician.types("", "deposit", report, "--case", in, "--content", "clinical", "--consent", consent).ends(0).out)[0].Item)
	w.clinician.types("", "seal", item, "--yes").object()
	propose := []string{"grant", "propose", item, "--to", w.court.id, "--jurisdiction", "NL", "--legal-basis", "treaty", "--until", "90d"}

	// For viewing: opened as such, and no package.
	const none = "Names None were looked for. Give --names FILE or --identity FILE."
	const recorded = "Recorded Each opening is recorded first; the survivor may see it. Others granted this item or case can see that you opened it."
	viewing := w.custodian.types("", append(propose, "--allow", "view")...).ends(0).has(none)
	view := str(t, viewing.object(), "grant")
	w.second.as().types("approve\n", "grant", "approve", view).ends(0).has(none, "May view, without keeping a copy", "Proposed by custodian of ", w.custodian.id)
	w.court.as().types("", "grant", "redeem", view, "--to", w.path("seen.txt")).ends(0).has(recorded, "This share is for viewing; keep no copy.")
	w.same("seen.txt", report)
	w.court.as().types("", "grant", "export", view, "--to", w.path("none.zip")).ends(exitRefused).has(recorded, "no package may be made of it", "Reason view_only")

	w.second.types("", "grant", "revoke", view, "--yes").object() // one key at a time

	// Why it was proposed is shown to who holds a key, before anything is approved.
	grant := str(t, w.custodian.types("", append(propose, "--reason-file", w.write("why.txt", "request 7"))...).object(), "grant")
	w.second.as().types("stop\n", "grant", "approve", grant).ends(exitRefused).has("May view and download", "Why request 7", none)
	w.clinician.as().types("stop\n", "grant", "approve", grant).ends(exitRefused).has("Why There is a reason that you cannot read.")
	w.second.types("approve\n", "grant", "approve", grant).object()
	w.court.as().types("", "grant", "export", grant, "--to", w.path("package.zip")).ends(0).has(recorded, "May view and download")

	// A second share of the item needs no second key.
	more := str(t, w.custodian.types("", append(propose, "--reason-file", w.write("again.txt", "request 8"))...).object(), "grant")
	w.second.as().types("approve\n", "grant", "approve", more).ends(0).has("The recipient has a key to this item already.")
	w.court.as().types("", "grant", "redeem", more, "--to", w.path("again-seen.txt")).ends(0)
	w.same("again-seen.txt", report)
	w.second.types("", "grant", "revoke", more, "--yes").object()

	// What is written afterwards goes there, too.
	amend := []string{"item", "amend", item, "--name", "Olena.txt", "--reason-file", w.write("better.txt", "better")}
	w.second.as().types("stop\n", amend...).ends(exitRefused).has("Receives it court in NL "+w.court.id+", with "+grant, none, "Reason readers")
	w.second.as().types("stop\n", append(amend, "--names", w.write("names.txt", "Olena"))...).ends(exitRefused).has("Found file name: name 1 of your list")
	shown := w.second.types("", "item", "show", item).object()["shown"].(map[string]any)
	if name := shown["description"].(map[string]any)["name"]; name != "report.txt" {
		t.Errorf("the court would receive %q", name)
	}
	w.second.types("send\n", amend...).object()
}
