package main

import (
	"os"
	"strings"
	"testing"
)

func TestFoldersAndKeys(t *testing.T) {
	w := foundTown(t)

	// A folder holds to its vault and its person.
	w.court.types("", "enrol", "AAAA", "--plain-keys").refused(exitRefused, "code_form")
	w.court.types("", "enrol", strings.Repeat("A", 26), "--plain-keys").refused(exitRefused, "invitation")
	wrong := strings.Replace(w.number, w.number[:5], "00000", 1)
	fresh := w.newPerson("fresh")
	fresh.types("", "connect", "--server", w.address, "--trust", w.trust, "--number", wrong).refused(exitRefused, "number_differs")
	fresh.types("different\n", "connect", "--server", w.address, "--trust", w.trust).refused(exitRefused, "declined")
	fresh.types("", "connect", "--server", "http://vault.example", "--trust", w.trust, "--yes").refused(exitRefused, "not_encrypted")
	fresh.types("", "whoami").refused(exitRefused, "no_keys")
	fresh.as().types("same\n", "connect", "--server", w.address, "--trust", w.trust).ends(0).has("Compare", w.number, "Connected")
	fresh.types("", "connect", "--trust", w.write("not-trust.json", "{}"), "--yes").refused(exitCannot, "trust_file")

	// The passphrase opens the keys, nothing else does.
	custodian := w.custodian.as("--json", "--passphrase-file", w.write("wrong", "four loud words in autumn"))
	custodian.types("", "whoami").refused(exitRefused, "passphrase")
	w.custodian.as("--json").types("", "whoami").refused(exitRefused, "no_terminal")
	w.custodian.as("--passphrase-file", w.path("passphrase")).types("", "whoami").ends(0).has("custodian", "active", w.number)
	short := fresh.as("--json", "--passphrase-file", w.write("short", "short"))
	short.types("", "found", "--vault", "vault.example", "--role", "custodian", "--out", w.path("x.founder")).refused(exitRefused, "passphrase_short")
	for _, name := range []string{"signing.pem", "identity.age"} {
		text, err := os.ReadFile(w.custodian.home + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "AGE-SECRET-KEY") || !strings.Contains(string(text), "ENCRYPTED") {
			t.Errorf("%s is not encrypted", name)
		}
		if info, err := os.Stat(w.custodian.home + "/" + name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}

	// Plain keys are warned of, loudly, also when the answer is for programs.
	code := str(t, w.admin.types("", "actor", "invite", "--role", "investigator").object(), "code")
	fresh.types(code+"\n", "enrol", "--plain-keys").ends(0).has("WARNING", "without a passphrase")

	// New keys after a loss: another folder, two other persons; the old key counts no more.
	offer := w.admin.types("", "actor", "rotate", w.clinician.id).object()
	w.clinician.types(str(t, offer, "code")+"\n", "enrol", "--plain-keys").refused(exitRefused, "keys_exist")
	renewed := w.newPerson("clinician-new")
	answer := renewed.types(str(t, offer, "code")+"\n", "enrol", "--server", w.address, "--trust", w.trust, "--yes", "--plain-keys").object()
	if answer["actor"] != w.clinician.id {
		t.Errorf("new keys for %v", answer)
	}
	w.admin.types("", "actor", "admit", str(t, offer, "invitation"), "--cause", "loss").object()
	w.custodian.types("", "actor", "confirm", w.clinician.id, "--number", str(t, answer, "key_number"), "--method", "video").object()
	renewed.types("", "case", "list").ends(0)
	w.clinician.types("", "case", "list").refused(exitRefused, "sign_in")
	w.custodian.as("--passphrase-file", w.path("passphrase")).types("", "history", w.clinician.id).ends(0).
		has("Step 1 keys enrolled", "Step 3 new keys", "Step 4 key number confirmed", "No step from 1 to 4 is missing")
	w.clinician.home = renewed.home

	// A stopped key does nothing more.
	w.admin.types("yes\n", "actor", "revoke", w.clinician.id, "--cause", "departure").refused(exitRefused, "declined")
	w.admin.as().types("revoke\n", "actor", "revoke", w.clinician.id, "--cause", "departure").ends(0).has("This cannot be undone", "Stopped", "for good")
	w.clinician.types("", "list").refused(exitRefused, "sign_in")
	w.admin.types("", "actor", "suspend", w.second.id, "--cause", "request", "--until", "1h").object()
	w.second.types("", "case", "list").refused(exitRefused, "sign_in")
	w.admin.as().types("", "actor", "list").ends(0).has("suspended", "stopped for good", "active, founder", "answered; admit it")

	// Somebody else at the vault's address: nothing is sent.
	bare, _, _ := strings.Cut(w.address, "#")
	for address, reason := range map[string]string{bare: "certificate", bare + "#sha256:" + strings.Repeat("0a", 32): "other_certificate"} {
		w.admin.types("", "connect", "--server", address).ends(0)
		w.admin.types("", "actor", "list").refused(exitRefused, reason)
	}

	// A vault that is not there.
	w.admin.types("", "connect", "--server", "https://127.0.0.1:1").ends(0)
	w.admin.types("", "actor", "list").refused(exitCannot, "network")
	if me := w.admin.types("", "whoami").object(); me["reason"] != "network" || me["current"] != false {
		t.Errorf("whoami without a vault: %v", me)
	}
}
