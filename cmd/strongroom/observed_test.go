package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collected is what an OTLP/HTTP collector was sent: the names of the spans of each trace, and every byte.
type collected struct {
	mu    sync.Mutex
	names map[string]map[string]bool
	raw   strings.Builder
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil {
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw.Write(body)
	for _, of := range request.ResourceSpans {
		for _, in := range of.ScopeSpans {
			for _, s := range in.Spans {
				trace := hex.EncodeToString(s.TraceId)
				if c.names[trace] == nil {
					c.names[trace] = make(map[string]bool)
				}
				c.names[trace][s.Name] = true
			}
		}
	}
}

func (c *collected) bytes() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.String()
}

// watched serves a town's vault again, with numbers and traces.
func (w *town) watched() *collected {
	w.t.Helper()
	c := &collected{names: make(map[string]map[string]bool)}
	at := httptest.NewServer(c)
	w.t.Cleanup(at.Close)
	w.server.stop(syscall.SIGTERM)
	w.write("vault/strongroomd.yaml", "metrics: {listen: '127.0.0.1:0'}\ntraces: {endpoint: '"+at.URL+"', sample: 1}\nlogging: {level: debug}\n")
	w.server = w.start(w.path("vault"), "127.0.0.1:0")
	w.address = w.server.address
	for _, p := range w.people() {
		p.types("", "connect", "--server", w.address).ends(0)
	}
	return c
}

var monitoredAt = regexp.MustCompile(`"metrics_served","address":"([0-9.:]+)"`)

// numbers is what monitoring reads now.
func (w *town) numbers() string {
	w.t.Helper()
	var at [][]byte
	for range 500 {
		if at = monitoredAt.FindSubmatch(w.server.said()); at != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if at == nil {
		w.t.Fatal("strongroomd does not say where its numbers are")
	}
	response, err := http.Get(fmt.Sprintf("http://%s/metrics", at[1]))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		w.t.Fatalf("%d, %v", response.StatusCode, err)
	}
	return string(text)
}

// labelled are the values of all labels in a text of metrics, by label.
func labelled(text string) map[string]map[string]bool {
	found := make(map[string]map[string]bool)
	for _, l := range regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`).FindAllStringSubmatch(text, -1) {
		if found[l[1]] == nil {
			found[l[1]] = make(map[string]bool)
		}
		found[l[1]][l[2]] = true
	}
	return found
}

// TestObserved: a deposit and an opening, watched. One request makes one trace through API, records, log and objects; every line that it caused
// says its number; and neither numbers nor traces hold an id, an address, a name or a value of anybody.
func TestObserved(t *testing.T) {
	w := foundTown(t)
	traces := w.watched()
	in, with := w.caseOf()
	file := w.write(mark+".jpg", secret("content"))
	item := string(byResult(t, w.deposits(append([]string{file}, with...)...).ends(0).out, map[string]int{"recorded": 1})[file].Item)
	w.second.types("", "open", item, "--purpose", "investigation", "--to", w.path("opened")).object()
	numbers := w.numbers()
	for _, want := range []string{
		`strongroom_http_requests_total{route="POST /v1/events",status="201"}`, `strongroom_part_operation_duration_seconds_count{operation="commit",part="records"}`,
		`strongroom_part_operation_duration_seconds_count{operation="append",part="log"}`, `strongroom_part_operation_duration_seconds_count{operation="stageCommit",part="objects"}`,
		`strongroom_log_pending_events `, `strongroom_log_size `, `strongroom_certificate_expiry_timestamp_seconds `, `strongroom_records_numbers_missing 0`,
		`strongroom_uploads_open 0`, `strongroom_lease_held{work="sweep"} 1`, `strongroom_build_info{`, `go_goroutines `,
		`strongroom_part_faults_total{operation="none",part="records"} 0`,
	} {
		if !strings.Contains(numbers, want) {
			t.Errorf("nobody tells %s", want)
		}
	}

	said := w.server
	said.stop(syscall.SIGTERM) // which sends the spans that are left
	w.server = nil
	traces.mu.Lock()
	defer traces.mu.Unlock()
	whole := ""
	for trace, names := range traces.names {
		if names["POST /v1/events"] && names["records commit"] && names["records include"] && names["log await"] && names["log append"] && names["objects stageCommit"] {
			whole = trace
		}
	}
	if whole == "" {
		t.Errorf("no trace of a deposit has all layers: %v", traces.names)
	}
	line := struct {
		Message string `json:"msg"`
		Request string `json:"request_id"`
		Trace   string `json:"trace_id"`
	}{}
	for text := range strings.Lines(string(said.said())) {
		if json.Unmarshal([]byte(text), &line) == nil && line.Trace == whole && line.Message == "request" && line.Request != "" {
			whole = ""
		}
	}
	if whole != "" {
		t.Error("the request's line does not say its trace")
	}

	names := []string{mark, item, in, "127.0.0.1", "investigation"}
	for _, p := range w.people() {
		names = append(names, p.id)
	}
	for _, name := range names {
		if strings.Contains(numbers, name) || strings.Contains(traces.raw.String(), name) {
			t.Errorf("%s is in the numbers, or in a trace", name)
		}
	}
	allowed := map[string]*regexp.Regexp{
		"route":     regexp.MustCompile(`^(none|[A-Z]+ /[a-z0-9_/:-]+)$`),
		"status":    regexp.MustCompile(`^[1-5][0-9][0-9]$`),
		"part":      regexp.MustCompile(`^(records|log|objects)$`),
		"operation": regexp.MustCompile(`^[a-zA-Z]{3,24}$`),
		"work":      regexp.MustCompile(`^(log|sweep|scrub)$`),
		"pool":      regexp.MustCompile(`^(read|write)$`),
		"state":     regexp.MustCompile(`^(in_use|idle)$`),
		"queue":     regexp.MustCompile(`^(uploads|grants)$`),
		"le":        regexp.MustCompile(`^([0-9.e+-]+|\+Inf)$`),
		"quantile":  regexp.MustCompile(`^[0-9.]+$`),
		"program":   regexp.MustCompile(`^strongroomd$`),
		"version":   regexp.MustCompile(`^[a-z0-9.+-]+$`),
		"go":        regexp.MustCompile(`^go1[a-zA-Z0-9.:+ -]+$`),
	}
	for label, values := range labelled(numbers) {
		for value := range values {
			if allowed[label] == nil || !allowed[label].MatchString(value) || len(value) > 80 {
				t.Errorf("the label %s has the value %q", label, value)
			}
		}
	}
}
