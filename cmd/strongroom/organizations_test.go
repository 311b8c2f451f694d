package main

import (
	"os"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
)

// What the operator calls an organization stands beside its id wherever people read who acted, from the next command on; without a name, and
// where the names cannot be had, there is the id. Programs get the id alone.
func TestOrganizationNames(t *testing.T) {
	w := foundTown(t)
	auditor := w.newPerson("auditor")
	w.enrol(auditor, "auditor", w.admin, w.custodian)
	operator := func(args ...string) said {
		return runProgram(t, "", "strongroomd", append([]string{"organization", "--data", w.path("vault")}, args...)...)
	}
	first := decodeOne[struct{ Steps []step }](t, w.clinician.types("", "history", w.second.id).ends(0).out).Steps[0]
	org := string(first.Organization)
	if first.Actor != evidence.ActorID(w.admin.id) || org == "" {
		t.Fatalf("%+v", first)
	}
	shows := func(name string) {
		t.Helper()
		by := "administrator " + w.admin.id + " of " + name
		w.clinician.as().types("", "history", w.second.id).ends(0).has("keys enrolled", by)
		w.clinician.as().types("", "actor", "list").ends(0).has("for " + name)
		w.admin.as().types("", "whoami").ends(0).has("administrator for " + name)
		auditor.as().types("", "audit").ends(0).has("by "+by, "of "+w.admin.id+" of "+name)
	}
	shows(org)
	if out := operator().ends(0).out; out != "" {
		t.Errorf("before any has a name: %q", out)
	}
	operator(org, " City Hospital ").ends(0)
	shows("City Hospital (" + org[:8] + "…)")
	if out := operator().ends(0).out; out != org+"  City Hospital\n" {
		t.Errorf("%q", out)
	}
	if again := decodeOne[struct{ Steps []step }](t, w.clinician.types("", "history", w.second.id).ends(0).out).Steps[0]; again.Organization != first.Organization {
		t.Errorf("%+v", again)
	}
	for name, want := range map[string]string{"signed.csv": ",City Hospital,", "signed.html": `<code dir="ltr">` + org + "</code>, as the vault names it: <bdi>City Hospital</bdi>"} {
		args := []string{"report", "--by", w.admin.id, "--to", w.path(name)}
		if strings.HasSuffix(name, "csv") {
			args = append(args, "--csv")
		}
		w.clinician.types("", args...).ends(0)
		if text, err := os.ReadFile(w.path(name)); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%q is not in %s: %v", want, name, err)
		}
	}
	operator(org, "City\x1b[2J").ends(2).has("printable characters")
	operator(org).ends(2)
	operator("org-x", "City").ends(2).has("not the id of an organization")
	operator(org, "").ends(0)
	shows(org)
	operator(org, "Clinic").ends(0)
	w.write("vault/organizations.json", "{")
	shows(org)
}
