package daemon

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	ev "strongroom.example/strongroom/internal/evidence"
)

const someOrganization ev.OrgID = "org-aaaaaaaaaaaaaaaaaaaaaaaaaa"

func someNames() Organizations {
	return Organizations{someOrganization: `Żółw & Söhne "Klinik" <3>`, "org-aaaaaaaaaaaaaaaaaaaaaaaaae": "مستشفى المدينة"}
}

// badNames are not what an organization can be called.
var badNames = map[string]string{
	"nothing": "", "a space before": " Clinic", "a space after": "Clinic ", "a line": "Clinic\nHospital", "a control": "Cli\x1b[2Jnic", "a delete": "Clinic\x7f",
	"turned": "Clinic \u202eytefas", "an isolate": "\u2068Clinic\u2069", "a mark of direction": "Clinic\u200f", "an empty joiner": "Cli\u200bnic",
	"a line separator": "Clinic\u2028", "no text": "Clinic\xff", "a formula": "=HYPERLINK(1)", "another formula": "@SUM(1)", "a mark alone": "\u0301a",
	"long": strings.Repeat("ä", maxName+1),
}

func TestOrganizationsAreStrict(t *testing.T) {
	many := make(Organizations)
	for len(many) <= maxOrganizations {
		many[ev.NewID[ev.OrgID]()] = "Clinic"
	}
	wrong := map[string]Organizations{"none": nil, "more than there may be": many, "another id": {"act-aaaaaaaaaaaaaaaaaaaaaaaaaa": "Clinic"}, "no id": {"": "Clinic"}}
	for what, name := range badNames {
		wrong[what] = Organizations{someOrganization: name}
	}
	strict(t, "organizations", someNames(), string(someOrganization), wrong)
	delete(many, slices.Collect(maps.Keys(many))[0])
	for id := range many {
		many[id] = strings.Repeat("<", maxName) // the longest spelling of a character
		many[id] = "a" + many[id][1:]
	}
	if _, err := parseDocument[Organizations](many.marshal()); err != nil {
		t.Errorf("as many and as long as they may be, %d bytes: %v", len(many.marshal()), err)
	}
}

// FuzzOrganizations: what is read is spelled in one way, and can be shown as it is.
func FuzzOrganizations(f *testing.F) {
	for _, text := range [][]byte{someNames().marshal(), Organizations{}.marshal(), []byte("null\n")} {
		f.Add(text)
	}
	for _, name := range badNames {
		f.Add(Organizations{someOrganization: name}.marshal())
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		names, err := parseDocument[Organizations](text)
		if err != nil {
			return
		}
		if string(names.marshal()) != string(text) || len(names) > 1000 {
			t.Fatalf("%q is written as %q", text, names.marshal())
		}
		for id, name := range names {
			if !ev.ValidID(id) || name == "" || utf8.RuneCountInString(name) > 80 || strings.ContainsFunc(name, func(r rune) bool {
				return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
			}) {
				t.Fatalf("%q names %q", text, name)
			}
		}
	})
}

// Names are given, changed and taken away one by one, and what is wrong changes nothing.
func TestNameOrganization(t *testing.T) {
	dir := made(t)
	for _, name := range []string{"Clinic", " City Hospital "} {
		must(0, NameOrganization(dir, someOrganization, name))
	}
	must(0, NameOrganization(dir, "org-aaaaaaaaaaaaaaaaaaaaaaaaae", "Police"))
	must(0, NameOrganization(dir, "org-aaaaaaaaaaaaaaaaaaaaaaaaae", " "))
	for what, name := range badNames {
		if strings.TrimSpace(name) != name || name == "" || strings.TrimSpace(name+"x") == "" {
			continue // trimmed, or taken away
		}
		if err := NameOrganization(dir, someOrganization, name); !errors.Is(err, ErrName) {
			t.Errorf("%s: %v", what, err)
		}
	}
	want := Organizations{someOrganization: "City Hospital"}
	if names := must(OrganizationNames(dir)); !maps.Equal(names, want) {
		t.Errorf("%q", names)
	}
	if info := must(os.Stat(folder(dir).names())); info.Mode().Perm() != 0o600 {
		t.Errorf("the names are open to others: %v", info.Mode())
	}
	if err := NameOrganization(t.TempDir(), someOrganization, "Clinic"); !errors.Is(err, ErrNoVault) {
		t.Errorf("without a vault: %v", err)
	}
	must(0, os.WriteFile(folder(dir).names(), []byte("{}"), 0o600))
	if err := NameOrganization(dir, someOrganization, "Clinic"); !errors.Is(err, errNames) {
		t.Errorf("over a damaged file: %v", err)
	}
}

// A running vault tells a name from the next request on, and no name is worth a vault: with a damaged file it runs, and fsck says so.
func TestNamesOfRunningVault(t *testing.T) {
	dir := made(t)
	d := must(Open(t.Context(), dir, testOptions()))
	told := d.parts.folder.readNames
	if names, err := told(); err != nil || len(names) != 0 {
		t.Errorf("before: %q, %v", names, err)
	}
	for _, name := range []string{"Clinic A", "Clinic B"} { // the same size, and within one tick of a coarse clock
		must(0, NameOrganization(dir, someOrganization, name))
		if names, err := told(); err != nil || names[someOrganization] != name {
			t.Errorf("%q, %v", names, err)
		}
	}
	must(0, os.WriteFile(folder(dir).names(), []byte(`{"x":"y"}`), 0o600))
	if _, err := told(); !errors.Is(err, errNames) {
		t.Errorf("damaged: %v", err)
	}
	must(0, d.Close())
	found := examine(t, dir)
	if len(found) != 1 || found[0].Where != "organizations.json" || !found[0].Harmless {
		t.Errorf("%+v", found)
	}
	must(0, must(Open(t.Context(), dir, testOptions())).Close())
}

// Names come along in a backup.
func TestNamesAreRestored(t *testing.T) {
	dir, to, anew := made(t), filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "anew")
	for i := range 3 {
		must(0, NameOrganization(dir, ev.NewID[ev.OrgID](), fmt.Sprint("Clinic ", i)))
	}
	p := must(open(t.Context(), dir, testOptions()))
	backedUp(t, p, to)
	must(0, p.close())
	restored(t, Restoration{From: to, Data: anew, None: true})
	if have, want := must(OrganizationNames(anew)), must(OrganizationNames(dir)); len(want) != 3 || !maps.Equal(have, want) {
		t.Errorf("%q, not %q", have, want)
	}
}
