package httpapi_test

import (
	"errors"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// What organizations are called is told to staff and to the persons concerned, by id and as it is at that moment; what cannot be read has no
// detail. The other side of a trial does not learn from it with whom the vault works.
func TestOrganizations(t *testing.T) {
	w := newWorld(t)
	const path = "/v1/organizations"
	a, b := ev.OrgID("org-aaaaaaaaaaaaaaaaaaaaaaaaaa"), ev.OrgID("org-aaaaaaaaaaaaaaaaaaaaaaaaae")
	for _, token := range []string{"", "nobody"} {
		if resp, body := w.request(token, "GET", path, nil); resp.StatusCode != 401 {
			t.Errorf("without a session: %d %s", resp.StatusCode, body)
		}
	}
	w.enrol("custodian 2", ev.Custodian)
	w.enrol("court", ev.Court)
	if resp, body := w.request("court", "GET", path, nil); resp.StatusCode != 403 {
		t.Errorf("to a court: %d %s", resp.StatusCode, body)
	}
	if list := w.names(); list == nil || len(list) != 0 {
		t.Errorf("before any has a name: %v", list)
	}
	w.organizations = map[ev.OrgID]string{b: "Police", a: "مستشفى"}
	if list := w.names(); len(list) != 2 || list[0] != (wire.Organization{ID: string(a), Name: "مستشفى"}) || list[1].Name != "Police" {
		t.Errorf("%v", list)
	}
	w.unreadable = errors.New("secret")
	if resp, body := w.request("custodian", "GET", path, nil); resp.StatusCode != 500 || string(body) == "" || reason(t, body) != "internal" {
		t.Errorf("unreadable: %d %s", resp.StatusCode, body)
	}
}

func (w *world) names() []wire.Organization {
	w.t.Helper()
	return call[wire.OrganizationList](w, w.token("custodian"), "GET", "/v1/organizations", nil, 200).Organizations
}
