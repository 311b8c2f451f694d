package daemon

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reached is what Reach says, by name.
func reached(t *testing.T, dir string, o Options) map[string]Reached {
	t.Helper()
	found := make(map[string]Reached)
	must(0, Reach(t.Context(), dir, o, func(r Reached) { found[r.Name] = r }))
	return found
}

// demand compares with what is to be said: that it is well, or a part of why not.
func demand(t *testing.T, found map[string]Reached, want map[string]string) {
	t.Helper()
	for name, wrong := range want {
		if r, ok := found[name]; !ok || r.OK != (wrong == "") || !strings.Contains(r.Says, wrong) || strings.Contains(r.Says, "\n") || r.Says == "" {
			t.Errorf("%s: %+v, not %q", name, r, wrong)
		}
		delete(found, name)
	}
	if len(found) > 0 {
		t.Errorf("also %+v", found)
	}
}

// TestReach tries a vault elsewhere before it is made and while it is served, and what is wrong with it.
func TestReach(t *testing.T) {
	e, gateway := someEngines(t), bucketServer(t)
	owner, server := e.newDatabase(t)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" {
			w.WriteHeader(http.StatusBadRequest)
		}
	}))
	t.Cleanup(collector.Close)
	traces := fmt.Sprintf("traces: {endpoint: %q}\n", collector.URL)
	o := testOptions()
	o.ConfigFile = written(t, e.recordsConfig(server)+e.logConfig()+objectsConfig(gateway, "reached")+traces)
	dir := filepath.Join(t.TempDir(), "vault")
	demand(t, reached(t, dir, o), map[string]string{
		"records": "strongroomd migrate", "log": "", "objects": "the bucket does not exist", "traces": "",
	})
	must(0, MigrateRecords(t.Context(), owner, "strongroom"))

	dir, o, c := elsewhere(t, e, objectsConfig(gateway, "reached"), traces)
	well := map[string]string{"records": "", "log": "", "objects": "", "traces": ""}
	demand(t, reached(t, dir, o), well)
	s := serve(t, dir, o)
	in, _, err := c.openCase(s.d.parts)
	if err == nil {
		_, _, err = c.deposit(s.d.parts, in, 5_000)
	}
	must(0, err)
	before := must(s.d.parts.records.Leases(t.Context(), ""))
	demand(t, reached(t, dir, o), well)
	after := must(s.d.parts.records.Leases(t.Context(), ""))
	if len(after) != len(before) {
		t.Errorf("leases %+v, and then %+v", before, after)
	}
	s.close(t)

	text := string(must(os.ReadFile(o.ConfigFile)))
	wrong := func(old, new string) Options {
		t.Helper()
		changed := strings.Replace(text, old, new, 1)
		if changed == text {
			t.Fatalf("%q is not in %s", old, text)
		}
		o := o
		o.ConfigFile = written(t, changed)
		return o
	}
	_, afterURL, _ := strings.Cut(text, "url_file: ")
	serverFile, _, _ := strings.Cut(afterURL, "}")
	serverURL := string(must(os.ReadFile(strings.Trim(serverFile, `"`))))
	ownerURL := e.database.URL(serverURL[strings.LastIndexByte(serverURL, '/')+1 : strings.IndexByte(serverURL, '?')])
	for _, tt := range []struct {
		name, old, new, part, says string
	}{
		{"the owner's role", serverFile, fmt.Sprintf("%q", written(t, ownerURL)), "records", "update events"},
		{"no such role", serverFile, fmt.Sprintf("%q", written(t, strings.Replace(serverURL, "of%20tests", "kanarienvogel", 1))), "records", "password authentication failed"},
		{"no file", serverFile, `"/none"`, "records", "no such file"},
		{"another bucket", "bucket: reached", "bucket: other", "objects", "the bucket does not exist"},
		{"another prefix", "prefix: v1/", "prefix: v2/", "objects", "not found"},
		{"another collector", "endpoint: \"" + collector.URL + "\"}\n", "endpoint: \"" + collector.URL + "/else\"}\n", "traces", "answers 400"},
		{"the log's own CA for the bucket", gateway.CAFile, e.log.CA, "objects", "certificate"},
	} {
		found := reached(t, dir, wrong(tt.old, tt.new))
		if r := found[tt.part]; r.OK || !strings.Contains(r.Says, tt.says) || strings.Contains(r.Says, "kanarienvogel") {
			t.Errorf("%s: %+v", tt.name, r)
		}
		for part, r := range found {
			if part != tt.part && !r.OK {
				t.Errorf("%s: %s %+v", tt.name, part, r)
			}
		}
	}
}

// TestReachPeers tries witnesses and time-stamp authorities.
func TestReachPeers(t *testing.T) {
	ahead := time.Duration(0)
	v := newStampingVault(t, func() time.Time { return time.Now().Add(ahead) })
	demand(t, reached(t, v.dir, v.options), map[string]string{"time stamps first": ""})
	must(Found(t.Context(), v.dir, v.options, v.founding))
	demand(t, reached(t, v.dir, v.options), map[string]string{"time stamps first": ""})
	ahead = 10 * time.Minute
	demand(t, reached(t, v.dir, v.options), map[string]string{"time stamps first": " behind the authority's"})

	dir, _, trust, w, key := watched(t)
	name := "witness witness.example"
	demand(t, reached(t, dir, testOptions()), map[string]string{name: "refused"})
	run(t, w, trust, key)
	o := testOptions()
	demand(t, reached(t, dir, o), map[string]string{name: ""})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	must(0, Reach(ctx, dir, o, func(r Reached) {
		if r.OK {
			t.Errorf("reached although it was stopped: %+v", r)
		}
	}))
}
