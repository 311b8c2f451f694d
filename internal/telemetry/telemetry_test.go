package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"strongroom.example/strongroom/internal/trail"
)

var update = flag.Bool("update", false, "write the table of metrics anew")

const (
	monitoring = "../../deploy/monitoring/"
	manual     = monitoring + "README.md"
)

// full is a Telemetry that has something to tell of everything.
func full(t *testing.T) *Telemetry {
	t.Helper()
	tell, err := New(t.Context(), Options{Program: "strongroomd", Version: "1.2.3", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, answered := tell.Observe(t.Context(), trail.Request{ID: "00", Method: "GET", Route: "/v1/items/:item"})
	_, end := trail.Begin(ctx, trail.Objects, "open")
	end(errors.New("full"))
	answered(trail.Answer{Status: 503, Reason: "store_full"})
	now, ahead := time.Now(), time.Second
	tell.Read(func() Present {
		return Present{
			Size: 7, FinalBehind: 1, FinalWaits: time.Minute, Swept: now, CertificateEnds: now,
			Witnesses: []Peer{{Name: "w", Signed: now, Behind: 2, Failing: true}}, Authorities: []Peer{{Name: "a", Signed: now}}, Pools: []Pool{{Name: "read", InUse: 1}},
		}
	}, func(context.Context) (Kept, error) {
		return Kept{
			Pending: 3, OldestPending: time.Second, Late: map[string]int64{"grants": 0}, Leases: map[string]bool{"log": true}, Replicas: 2, ClockAhead: &ahead,
			Scrubbed: now, Damaged: 1,
		}, nil
	})
	return tell
}

// scrape is what monitoring reads.
func scrape(t *testing.T, tell *Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tell.Handler(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// ours are the metrics that are told, each with its labels and what it means.
func ours(t *testing.T) map[string]string {
	t.Helper()
	families, err := full(t).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "strongroom_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		found[f.GetName()] = fmt.Sprintf("| `%s` | %s | %s |\n", f.GetName(), strings.Join(labels, ", "), f.GetHelp())
	}
	return found
}

// TestManual: the manual lists every metric that is told, and no other. -update writes the list.
func TestManual(t *testing.T) {
	told := ours(t)
	if len(told) != len(all)+6 {
		t.Errorf("%d metrics are told of %d", len(told), len(all)+6)
	}
	var table strings.Builder
	for _, name := range sorted(told) {
		table.WriteString(told[name])
	}
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)(^\| metric \| labels \| meaning \|\n\|---\|---\|---\|\n)(METRICS\n|(?:\|.*\n)*)`)
	written := rows.FindStringSubmatch(string(text))
	if written == nil {
		t.Fatal("the manual has no table of metrics")
	}
	if *update {
		text = rows.ReplaceAllFunc(text, func([]byte) []byte { return []byte(written[1] + table.String()) })
		if err := os.WriteFile(manual, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if written[2] != table.String() {
		t.Error("the table in deploy/monitoring/README.md is not what is told: go test ./internal/telemetry -run TestManual -update")
	}
}

func sorted[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

var named = regexp.MustCompile(`strongroom_[a-z_]+`)

// exist demands that every metric which an expression names is told.
func exist(t *testing.T, where, expression string, told map[string]string, used map[string]bool) {
	t.Helper()
	for _, name := range named.FindAllString(expression, -1) {
		for _, suffix := range []string{"", "_bucket", "_count", "_sum"} {
			if whole, ok := strings.CutSuffix(name, suffix); ok && told[whole] != "" {
				used[whole], name = true, ""
				break
			}
		}
		if name != "" {
			t.Errorf("%s names %s, which nobody tells", where, name)
		}
	}
}

// TestFiles: alert rules and dashboard name metrics that there are, together all of them; each alert has its chapter in the manual, which says
// what happens, what is not lost and what to do; and each chapter its alert.
func TestFiles(t *testing.T) {
	told, used := ours(t), make(map[string]bool)
	text, err := os.ReadFile(monitoring + "alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	decoder.KnownFields(true)
	if err := decoder.Decode(&rules); err != nil {
		t.Fatal(err)
	}
	chapters := make(map[string]string)
	runbook, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	for _, chapter := range strings.Split(string(runbook), "\n### ")[1:] {
		name, body, _ := strings.Cut(chapter, "\n")
		chapters[name] = body
	}
	for _, r := range rules.Groups[0].Rules {
		exist(t, r.Alert, r.Expr, told, used)
		for _, part := range []string{"**Happening:**", "**Not lost:**", "**Do:**"} {
			if !strings.Contains(chapters[r.Alert], part) {
				t.Errorf("the manual does not say of %s: %s", r.Alert, part)
			}
		}
		if delete(chapters, r.Alert); r.Annotations["runbook"] != "deploy/monitoring/README.md#"+strings.ToLower(r.Alert) || r.Annotations["summary"] == "" ||
			r.Labels["severity"] != "page" && r.Labels["severity"] != "ticket" {
			t.Errorf("%s: %v, %v", r.Alert, r.Labels, r.Annotations)
		}
	}
	for _, name := range sorted(chapters) {
		t.Errorf("the manual has a chapter for %s, which is no alert", name)
	}

	if text, err = os.ReadFile(monitoring + "dashboard.json"); err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		if p.Title == "" || (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("panel %q of type %s has %d queries", p.Title, p.Type, len(p.Targets))
		}
		for _, target := range p.Targets {
			exist(t, p.Title, target.Expr, told, used)
		}
	}
	for _, name := range sorted(told) {
		if !used[name] {
			t.Errorf("nothing shows %s", name)
		}
	}
}

// TestPromtool: Prometheus takes the rules, and they fire when they should.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not in PATH (Debian: prometheus)")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "alerts_test.yaml", "alerts_days_test.yaml"}} {
		cmd := exec.CommandContext(t.Context(), promtool, args...)
		cmd.Dir = monitoring
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

// TestNumbers: the records are asked once for many who read, and what they do not answer is left out and said.
func TestNumbers(t *testing.T) {
	newOne := func(kept func(context.Context) (Kept, error)) *Telemetry {
		tell, err := New(t.Context(), Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		tell.Read(func() Present { return Present{Size: 7} }, kept)
		return tell
	}
	var asked atomic.Int32
	well := newOne(func(context.Context) (Kept, error) {
		asked.Add(1)
		return Kept{Pending: 3}, nil
	})
	if text := scrape(t, well); !strings.Contains(text, "\nstrongroom_log_pending_events 3\n") || !strings.Contains(text, "strongroom_records_numbers_missing 0\n") {
		t.Error(text)
	}
	asked.Store(0)
	fresh := &numbers{asked: time.Now().Add(time.Hour), last: Kept{Pending: 9}, kept: func(context.Context) (Kept, error) {
		asked.Add(1)
		return Kept{}, nil
	}}
	if kept, err := fresh.read(); kept.Pending != 9 || err != nil || asked.Load() != 0 {
		t.Errorf("what was answered a moment ago: %+v, %v, asked %d times", kept, err, asked.Load())
	}
	fresh.asked = time.Now().Add(-time.Hour)
	if kept, err := fresh.read(); kept.Pending != 0 || err != nil || asked.Load() != 1 {
		t.Errorf("what was answered long ago: %+v, %v, asked %d times", kept, err, asked.Load())
	}

	text := scrape(t, newOne(func(context.Context) (Kept, error) { return Kept{Pending: 3}, errors.New("busy") }))
	if strings.Contains(text, "log_pending") || !strings.Contains(text, "strongroom_records_numbers_missing 1\n") || !strings.Contains(text, "\nstrongroom_log_size 7\n") {
		t.Error(text)
	}

	hangs := make(chan struct{})
	defer close(hangs)
	asked.Store(0)
	stuck := newOne(func(context.Context) (Kept, error) { // not even when its time is over
		asked.Add(1)
		<-hangs
		return Kept{}, nil
	})
	var reading sync.WaitGroup
	for range 2 {
		reading.Go(func() {
			if text := scrape(t, stuck); strings.Contains(text, "log_pending") || !strings.Contains(text, "strongroom_records_numbers_missing 1\n") {
				t.Error(text)
			}
		})
	}
	reading.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("records that hang were asked %d times", n)
	}
}

// TestListener: monitoring gets numbers and probes, and nothing else of the vault.
func TestListener(t *testing.T) {
	vault := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "vault "+r.URL.Path) })
	server := httptest.NewServer(full(t).Handler(vault))
	defer server.Close()
	for _, tt := range []struct {
		method, path string
		status       int
		want         string
	}{
		{"GET", "/metrics", 200, `strongroom_http_requests_total{route="GET /v1/items/:item",status="503"} 1`},
		{"GET", "/healthz", 200, "vault /healthz"},
		{"GET", "/readyz", 200, "vault /readyz"},
		{"GET", "/v1/vault", 404, ""},
		{"POST", "/metrics", 405, ""},
		{"GET", "/debug/pprof/", 404, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
			t.Errorf("%s %s: %d %s", tt.method, tt.path, response.StatusCode, body)
		}
	}
}
