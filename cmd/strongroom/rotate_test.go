package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// The record book's keys are rotated through the real programs: planned by the operator, proposed, confirmed, finished, told by phone and
// accepted; what was made before still verifies with the new file, and what is made afterwards does not with the old one.
func TestRotation(t *testing.T) {
	const wait = time.Second
	w := foundTown(t, "--waits", wait.String())
	vault := w.path("vault")
	in := str(t, w.second.types("", "case", "open", "--member", "me:deposit,open,manage,approve", "--member", w.clinician.id+":deposit,open",
		"--keyholder", "me", "--keyholder", w.clinician.id).object(), "case")
	consent := str(t, w.clinician.types("", "consent", "give", "--case", in, "--form", w.write("form.txt", "signed form"), "--until", "365d",
		"--examination", "yes", "--storage", "yes", "--yes").object(), "consent")
	item := string(decodeLines[deposited](t, w.clinician.types("", "deposit", w.write("report.txt", "what was found"), "--case", in, "--content", "clinical",
		"--consent", consent).ends(0).out)[0].Item)
	old := w.write("old-trust.json", string(must(os.ReadFile(w.trust))))

	planned := runProgram(t, "", "strongroomd", "rotate", "plan", "--data", vault, "--new-log-keys").ends(0)
	number := field(t, planned.out, "Log key")
	w.admin.types("", "vault", "configure", "--rotation", old).refused(exitCannot, "rotation_file")
	w.admin.as().types("configure\n", "vault", "configure", "--rotation", w.path("vault/rotation.json")).ends(0).has("the keys of the record book", number, "Waits for a custodian")
	w.second.as().types("confirm\n", "vault", "confirm").ends(0).has("the keys of the record book", number)
	time.Sleep(wait)
	if running := runProgram(t, "", "strongroomd", "rotate", "finish", "--data", vault); running.code == 0 {
		t.Error("finished while the vault is served")
	}
	w.server.stop(syscall.SIGTERM)
	finished := runProgram(t, "", "strongroomd", "rotate", "finish", "--data", vault).ends(0)
	told := field(t, finished.out, "Number")
	if told == w.number {
		t.Fatal("the trust file has the same number")
	}
	w.server = w.start(vault, "127.0.0.1:0")
	w.address = w.server.address
	for _, p := range w.people() {
		p.types("", "connect", "--server", w.address).ends(0)
	}

	// The administrator takes the new file. What is signed under it the others refuse, and are told what to do.
	w.admin.types("", "connect", "--trust", w.trust, "--number", w.number).refused(exitRefused, "number_differs")
	w.admin.types("", "connect", "--trust", w.trust, "--number", told).ends(0)
	w.admin.types("", "vault", "incident", "--code", "outage", "--scope", "vault", "--from", time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "--yes").object()
	w.second.types("", "open", item, "--purpose", "investigation", "--to", w.path("refused.txt")).refused(exitRefused, "wrong_log_key")
	w.second.as().types("", "open", item, "--purpose", "investigation", "--to", w.path("refused.txt")).ends(exitRefused).has("strongroom connect --trust")
	for _, p := range []*person{w.second, w.clinician} {
		p.types("", "connect", "--trust", w.trust, "--number", told).ends(0)
		p.types("", "connect", "--trust", old, "--number", w.number).refused(exitRefused, "trust_older")
	}
	w.second.types("", "open", item, "--purpose", "investigation", "--to", w.path("after.txt")).ends(0)
	w.same("after.txt", w.path("report.txt"))
}
