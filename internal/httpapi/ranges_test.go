package httpapi_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// Auditors read what the log holds, entry by entry: each statement makes its leaf. Nobody else is told any.
func TestStatementsAreForAuditors(t *testing.T) {
	w := newWorld(t)
	it := w.deposit(w.openCase(), []byte("words"))
	for name, role := range everybody {
		if w.people[name] == nil {
			w.enrol(name, role)
		}
	}
	const path = "/v1/log/statements?start=0&count=8192"
	var page wire.LogStatements
	found := false
	for deadline := time.Now().Add(time.Minute); !found && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) { // until all of it is published
		resp, body := w.request("auditor", http.MethodGet, path, nil)
		if resp.StatusCode != http.StatusOK {
			continue
		}
		must(0, json.Unmarshal(body, &page))
		for _, e := range page.Entries {
			found = found || tlog.LeafHash(e.Leaf) == tlog.Hash(it.event)
		}
	}
	if !found {
		t.Fatal("the deposit is not among them")
	}
	for i, e := range page.Entries {
		s := must(custody.Open(e.DSSE))
		verified := false
		for _, p := range w.people {
			signed, err := s.Verify(p.key.SPKI())
			verified = verified || err == nil && string(signed.Leaf()) == string(e.Leaf)
		}
		if !verified {
			t.Errorf("entry %d is not of its statement", i)
		}
	}
	for name, p := range w.people {
		if p.role == ev.Auditor || p.role == ev.Vault {
			continue
		}
		if resp, body := w.request(name, http.MethodGet, path, nil); resp.StatusCode != http.StatusForbidden || len(body) > 1000 {
			t.Errorf("%s: %s %s", name, resp.Status, body)
		}
	}
	if resp, body := w.request("", http.MethodGet, path, nil); resp.StatusCode != http.StatusUnauthorized || len(body) > 1000 {
		t.Errorf("nobody: %s %s", resp.Status, body)
	}
}
