package client

import (
	"fmt"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// Staff learn what the operator calls organizations, as it is now; what a lying vault makes of it does not reach a screen.
func TestOrganizations(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if names := must(w.clinician.Organizations(ctx))(t); len(names) != 0 {
		t.Errorf("before any has a name: %q", names)
	}
	for _, name := range []string{"Clinic", "مستشفى المدينة", strings.Repeat("ä", 80)} {
		check(t, daemon.NameOrganization(w.dir, w.org, name))
		if names := must(w.clinician.Organizations(ctx))(t); len(names) != 1 || names[w.org] != name {
			t.Errorf("%q, want %q", names, name)
		}
	}
	lie := func(change func(*wire.OrganizationList)) error {
		t.Helper()
		l := about("GET", "/v1/organizations", change)
		_, err := w.client(w.clinician, l).Organizations(ctx)
		if l.told.Load() == 0 {
			t.Error("nothing was changed")
		}
		return err
	}
	for _, name := range []string{"", " ", "Clinic ", " Clinic", "Cli\nnic", "\x1b[2JClinic", "Clinic\x07", "Clinic \u202ecinilC", "\u2066Clinic", "Cli\u200bnic", "Clinic\u2028",
		"\u00a0", "=1+1", "+1", "@a", "-a", strings.Repeat("ä", 81), strings.Repeat("a", 1<<20)} {
		wantLie(t, lie(func(list *wire.OrganizationList) { list.Organizations[0].Name = name }), Malformed)
	}
	for _, id := range []string{"", "org-x", string(w.court.Actor()), "\x1b[2J"} {
		wantLie(t, lie(func(list *wire.OrganizationList) { list.Organizations[0].ID = id }), Malformed)
	}
	wantLie(t, lie(func(list *wire.OrganizationList) {
		list.Organizations = append(list.Organizations, wire.Organization{ID: string(w.org), Name: "Police"})
	}), Malformed)
	wantLie(t, lie(func(list *wire.OrganizationList) {
		for i := range maxOrganizations {
			list.Organizations = append(list.Organizations, wire.Organization{ID: string(evidence.NewID[evidence.OrgID]()), Name: fmt.Sprint("Clinic ", i)})
		}
	}), Malformed)
}
