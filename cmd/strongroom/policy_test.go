package main

import (
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/sealing"
)

// The vault's limits are changed by two people and after a wait, through the real programs.
func TestPolicy(t *testing.T) {
	const wait = 2 * time.Second
	w := foundTown(t, "--waits", wait.String())
	in := str(t, w.second.types("", "case", "open", "--member", "me:deposit,open,manage", "--member", w.clinician.id+":deposit,open",
		"--keyholder", "me", "--keyholder", w.clinician.id).object(), "case")
	consent := str(t, w.clinician.types("", "consent", "give", "--case", in, "--form", w.write("form.txt", "signed form"), "--until", "365d",
		"--examination", "yes", "--storage", "yes", "--yes").object(), "consent")
	w.clinician.as().types("", "vault", "policy").ends(0).
		has("bin-wait: 2 seconds in the bin", "review-time: 3 days to review", "A second person is another person, of whatever", "Waits nothing")

	for _, wrong := range []string{"14", "2w", "-3d", "1.5d", "10ms", "99999999h", "4000d", ""} {
		w.admin.types("configure\n", "vault", "configure", "--bin-wait="+wrong).refused(exitCannot, "usage")
	}
	w.admin.types("", "vault", "configure").refused(exitCannot, "usage")
	w.admin.types("", "vault", "configure", "--keep", "--bin-wait", "3d").refused(exitCannot, "usage")
	w.admin.types("", "vault", "configure", "--keep").refused(exitRefused, "proposal")
	w.admin.types("", "vault", "configure", "--recovery", "age1pq1nobody", "--yes").refused(exitRefused, "keys")
	w.admin.types("yes\n", "vault", "configure", "--bin-wait", "3d").refused(exitRefused, "declined")
	w.admin.types("configure\n", "vault", "configure", "--bin-wait", "2s").refused(exitRefused, "policy_unchanged")
	w.second.types("configure\n", "vault", "configure", "--bin-wait", "3d").refused(exitRefused, "role")
	w.second.types("confirm\n", "vault", "confirm").refused(exitRefused, "proposal")

	w.admin.as().types("configure\n", "vault", "configure", "--bin-wait", "3d", "--newest-rules").ends(0).
		has("bin-wait from 2 seconds to 3 days", "Nothing changes until a custodian has confirmed it", "Waits for a custodian")
	w.admin.types("confirm\n", "vault", "confirm").refused(exitRefused, "role")
	w.clinician.as().types("", "vault", "policy").ends(0).has("bin-wait: 2 seconds", "Rules version 3", "Waits bin-wait from 2 seconds to 3 days", "2 seconds after a custodian confirms it")
	w.second.as().types("confirm\n", "vault", "confirm").ends(0).has("Changes bin-wait from 2 seconds to 3 days", "Proposed by the administrator "+w.admin.id)
	time.Sleep(wait)
	w.clinician.as().types("", "vault", "policy").ends(0).has("bin-wait: 3 days", "Waits nothing")
	w.admin.as().types("configure\n", "vault", "configure", "--bin-wait", "1d", "--two-organizations").ends(0).
		has("bin-wait from 3 days to 24 hours", "second persons are of another organization", "Waits for a custodian")
	w.admin.as().types("configure\n", "vault", "configure", "--keep").ends(0).has("Counts at once", "What waits will not come into force: bin-wait from 3 days to 24 hours")

	// Another recovery key: cases follow, and then items.
	recovery := must(sealing.NewIdentity()).Recipient()
	item := decodeLines[deposited](t, w.clinician.types("", "deposit", w.write("report.txt", "what was found"), "--case", in, "--content", "clinical", "--consent", consent).ends(0).out)[0].Item
	w.admin.as().types("configure\n", "vault", "configure", "--recovery", recovery).ends(0).
		has("recovery key from", "strongroom case keyring CASE --recovery", "strongroom case rewrap CASE")
	w.second.types("no\n", "vault", "confirm").refused(exitRefused, "declined")
	w.second.as().types("confirm\n", "vault", "confirm").ends(0).
		has("recovery key from", "Proposed by the administrator "+w.admin.id, "it counts from")
	time.Sleep(wait)
	w.admin.as().types("", "vault", "policy").ends(0).has("Recovery "+recoveryNumber(recovery), "Waits nothing")
	w.clinician.types("", "deposit", w.write("late.txt", "late"), "--case", in, "--content", "clinical", "--consent", consent).ends(exitRefused)
	w.second.types("", "case", "keyring", in, "--recovery").object()
	if o := w.second.types("", "case", "rewrap", in).object(); o["written"] != 2.0 { // of the form and the report
		t.Errorf("rewrapped: %v", o)
	}
	if again := w.second.types("", "case", "rewrap", in).object(); again["written"] != 0.0 {
		t.Errorf("rewrapped again: %v", again)
	}
	w.clinician.types("", "deposit", w.path("late.txt"), "--case", in, "--content", "clinical", "--consent", consent).ends(0)
	w.second.as().types("", "case", "show", in).ends(0).has("Recovery " + recoveryNumber(recovery))
	w.second.as().types("", "history", string(item)).ends(0).has("is missing")
}

// A survivor who has nothing but a card complains to two auditors. Custodians and administrators see nothing of it.
func TestComplaintByCard(t *testing.T) {
	w := foundTown(t)
	third, trustee := w.newPerson("third"), w.newPerson("trustee")
	w.enrol(third, "custodian", w.admin, w.second)
	w.enrol(trustee, "trustee", w.second, third)
	one, two := w.newPerson("auditor-1"), w.newPerson("auditor-2")
	w.enrol(one, "auditor", w.admin, w.second)
	w.enrol(two, "auditor", w.admin, w.second)
	she, id := w.giveCard(w.second, third)

	open := []string{"case", "open", "--type", "complaint", "--json", "--member", "me:deposit", "--keyholder"}
	she.by("", append(open, third.id, "--keyholder", one.id, "--member", third.id+":open,manage", "--member", one.id+":open,manage")...).
		refused(exitRefused, "keyholder_role")
	she.by("", append(open, one.id, "--keyholder", two.id, "--member", one.id+":open", "--member", two.id+":open")...).refused(exitRefused, "no_manager")
	in := str(t, she.by("", "case", "open", "--type", "complaint", "--json").object(), "case")
	text := w.write("complaint.txt", "How I was treated.")
	consent := str(t, she.by("", "consent", "give", "--case", in, "--form", w.write("form.txt", "I want auditors to read it."), "--until", "365d",
		"--storage", "yes", "--yes", "--json").object(), "consent")
	item := string(decodeLines[deposited](t, she.by("", "deposit", text, "--case", in, "--content", "testimony", "--consent", consent, "--json").ends(0).out)[0].Item)

	one.as().types("", "case", "list").ends(0).has(in)
	one.as().types("", "list", "--case", in).ends(0).has("complaint.txt")
	one.types("", "open", item, "--purpose", "documentation", "--to", w.path("read.txt")).object()
	w.same("read.txt", text)
	she.by("", "own").ends(0).has(consent, item, "auditor")
	for _, p := range []*person{w.admin, w.custodian, w.second, third, w.clinician} {
		for _, look := range [][]string{{"case", "show", in}, {"history", item}, {"consent", "show", consent}} {
			if said := p.types("", look...); said.code == 0 || strings.Contains(said.out, id) {
				t.Errorf("%s sees the complaint: %s", p.home, said.out)
			}
		}
		p.types("close\n", "case", "close", in, "--outcome", "decided").ends(exitRefused)
	}
	for _, p := range []*person{w.custodian, w.second, third, w.clinician} {
		if said := p.types("", "case", "list").ends(0); strings.Contains(said.out, in) {
			t.Errorf("%s lists the complaint: %s", p.home, said.out)
		}
	}
	two.types("close\n", "case", "close", in, "--outcome", "decided").object()
	she.by("", "deposit", text, "--again", "--case", in, "--content", "testimony", "--consent", consent, "--json").ends(exitRefused)
	one.types("", "case", "reopen", in, "--cause", "new_facts").object()
}
