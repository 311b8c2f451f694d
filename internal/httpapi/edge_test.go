package httpapi_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

func TestSession(t *testing.T) {
	w := newWorld(t)
	p := w.people["custodian"]
	s := call[wire.Session](w, "custodian", "GET", "/v1/session", nil, 200)
	if s.Actor != string(p.id) || s.Role != wire.RoleCustodian || s.KeyID != custody.KeyID(p.key.SPKI()).String() {
		t.Errorf("session %+v", s)
	}
	call[struct{}](w, "custodian", "DELETE", "/v1/session", nil, 204)
	if resp, _ := w.request("custodian", "GET", "/v1/session", nil); resp.StatusCode != 401 || resp.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("after signing out: %d", resp.StatusCode)
	}
	p.token = ""
	call[wire.Session](w, "custodian", "GET", "/v1/session", nil, 200)
	w.drift.Add(int64(30 * time.Minute))
	if resp, _ := w.request("custodian", "GET", "/v1/session", nil); resp.StatusCode != 401 {
		t.Errorf("after half an hour: %d", resp.StatusCode)
	}
}

// A revoked actor's session is void with the revocation itself.
func TestRevocationEndsTheSession(t *testing.T) {
	w := newWorld(t)
	w.enrol("custodian 2", ev.Custodian)
	court := w.enrol("court", ev.Court)
	call[wire.Session](w, "court", "GET", "/v1/session", nil, 200)
	w.submit("custodian", w.sign("custodian", ev.ActorOf(court.id), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseLoss}), "")
	if resp, _ := w.request("court", "GET", "/v1/session", nil); resp.StatusCode != 401 {
		t.Errorf("after the revocation: %d", resp.StatusCode)
	}
}

// A member of the case is told which rule refused; one statement submitted twice has one answer.
func TestSubmit(t *testing.T) {
	w := newWorld(t)
	w.enrol("custodian 2", ev.Custodian)
	in := w.openCase()
	confirm := func(by, whom string) *custody.Signed {
		p := w.people[whom]
		return w.sign(by, ev.ActorOf(p.id), ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: p.fingerprint(), Method: ev.ByPhone})
	}
	for name, c := range map[string]struct {
		by     string
		signed *custody.Signed
		status int
		reason string
	}{
		"confirmed already": {"custodian", confirm("custodian", "clinician"), 409, ev.ReasonNotPending},
		"another's event":   {"custodian 2", confirm("custodian", "clinician"), 403, "signer_key"},
		"without the right": {"custodian 2", w.sign("custodian 2", ev.CaseOf(in), ev.CaseMemberRemoved, &ev.CaseMemberRemovedDetails{
			Actor: w.people["clinician"].id, Cause: ev.CauseDeparture, LabelKey: w.labelKey("custodian", "custodian 2")}), 403, ev.ReasonRight},
	} {
		resp, body := w.request(c.by, "POST", "/v1/events", wire.Submission{DSSE: c.signed.DSSE()})
		if resp.StatusCode != c.status || reason(t, body) != c.reason {
			t.Errorf("%s: %d %s", name, resp.StatusCode, body)
		}
	}
	p := w.people["clinician"]
	signed := w.sign("custodian", ev.ActorOf(p.id), ev.ActorSuspended, &ev.ActorSuspendedDetails{Cause: ev.CauseLoss, Until: ev.At(w.now().Add(time.Hour))})
	first, again := w.submit("custodian", signed, ""), w.submit("custodian", signed, "")
	if string(first.Receipt) != string(again.Receipt) || first.LeafHash != signed.LeafHash().String() {
		t.Error("one statement has two answers")
	}
	if resp, body := w.request("custodian", "POST", "/v1/events", wire.Submission{DSSE: []byte(strings.Replace(string(signed.DSSE()), "payload", "Payload", 1))}); resp.StatusCode != 422 {
		t.Errorf("another spelling: %d %s", resp.StatusCode, body)
	}
}

func (w *world) labelKey(names ...string) ev.LabelKey {
	k := ev.LabelKey{Recipient: w.recovery.Recipient()}
	var to []*person
	for _, n := range names {
		to = append(to, w.people[n])
	}
	k.Envelopes, _ = w.envelopes(must(sealing.NewItemKey()), wire.AttachmentKindLabelEnvelope, to...)
	return k
}

// The log is open to everybody, and its proofs fit its checkpoint.
func TestLog(t *testing.T) {
	w := newWorld(t)
	v := call[wire.Vault](w, "", "GET", "/v1/vault", nil, 200)
	if v.Origin != origin || v.TrustFingerprint != ev.SHA256([]byte("trust")).String() {
		t.Errorf("vault %+v", v)
	}
	resp, text := w.request("", "GET", "/v1/trust/"+v.TrustFingerprint, nil)
	if resp.StatusCode != 200 || string(text) != "trust" {
		t.Errorf("trust file %d %q", resp.StatusCode, text)
	}
	for number, status := range map[string]int{noDigest: 404, strings.Repeat("0", 30): 404, strings.Repeat("0", 31): 400, "trust": 400, noDigest[1:]: 400} {
		if resp, _ := w.request("", "GET", "/v1/trust/"+number, nil); resp.StatusCode != status {
			t.Errorf("trust file %s: %d", number, resp.StatusCode)
		}
	}
	resp, note := w.request("", "GET", "/v1/log/checkpoint", nil)
	if resp.StatusCode != 200 || !strings.HasPrefix(string(note), origin+"\n") {
		t.Fatalf("checkpoint %d %q", resp.StatusCode, note)
	}
	w.enrol("clinician", ev.Clinician)
	history := call[wire.EventList](w, "custodian", "GET", "/v1/streams/actor/"+string(w.people["clinician"].id)+"/events", nil, 200)
	leaf := history.Events[0].LeafHash
	proof := call[wire.InclusionProof](w, "", "GET", "/v1/log/inclusion?size=6&leaf_hash="+leaf, nil, 200)
	if proof.Size != 6 || len(proof.Hashes) == 0 {
		t.Errorf("inclusion %+v", proof)
	}
	if c := call[wire.ConsistencyProof](w, "", "GET", "/v1/log/consistency?from=3&to=6", nil, 200); len(c.Hashes) == 0 {
		t.Errorf("consistency %+v", c)
	}
	for _, path := range []string{"/v1/log/consistency?from=1&to=9007199254740991", "/v1/log/consistency?from=5&to=2", "/v1/log/inclusion?size=9007199254740991&leaf_hash=" + leaf,
		"/v1/log/inclusion?size=1&leaf_hash=" + leaf, "/v1/log/inclusion?size=1&leaf_hash=" + noDigest} {
		if resp, body := w.request("", "GET", path, nil); resp.StatusCode >= 500 || resp.StatusCode < 400 {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	w := newWorld(t)
	for _, set := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		func(r *http.Request) { r.Header.Set("Origin", "https://elsewhere.example") },
	} {
		if resp, body := w.request("", "POST", "/v1/sign-in/challenges", nil, set); resp.StatusCode != 403 || reason(t, body) != "cross_origin" {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
	}
}

// Readiness names what does not answer. Only a vault without its records, or one that drains, is not ready.
func TestReady(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		on       wire.Dependencies
		draining bool
		clock    float32
		status   int
		says     wire.HealthStatus
	}{
		{wire.Dependencies{Records: "ok", Log: "ok", Objects: "ok"}, false, 0, 200, "ok"},
		{wire.Dependencies{Records: "ok", Log: "late", Objects: "ok"}, false, -90, 200, "degraded"},
		{wire.Dependencies{Records: "down", Log: "ok", Objects: "ok"}, false, 0, 503, "not_ready"},
		{wire.Dependencies{Records: "ok", Log: "down", Objects: "ok"}, false, 0, 200, "degraded"},
		{wire.Dependencies{Records: "ok", Log: "ok", Objects: "down"}, false, 0, 200, "degraded"},
		{wire.Dependencies{Records: "ok", Log: "down", Objects: "down"}, false, 0, 200, "degraded"},
		{wire.Dependencies{Records: "down", Log: "down", Objects: "down"}, false, 0, 503, "not_ready"},
		{wire.Dependencies{Records: "ok", Log: "ok", Objects: "down"}, true, 0, 503, "not_ready"},
		{wire.Dependencies{Records: "ok", Log: "ok", Objects: "ok"}, true, 0, 503, "not_ready"},
	} {
		w.ready = wire.Health{Dependencies: &test.on, Draining: test.draining, Clock: test.clock}
		h := call[wire.Health](w, "", "GET", "/readyz", nil, test.status)
		if h.Status != test.says || h.Dependencies == nil || *h.Dependencies != test.on || h.Draining != test.draining || h.Clock != test.clock {
			t.Errorf("%+v: %+v", test, h)
		}
		if h := call[wire.Health](w, "", "GET", "/healthz", nil, 200); h.Status != "ok" || h.Dependencies != nil || h.Draining {
			t.Errorf("%+v: the process itself is %+v", test, h)
		}
	}
}

// What a probe stands on may panic: the answer is a problem without detail, the log has the cause.
func TestFaults(t *testing.T) {
	w := newWorld(t)
	logs := &logBuffer{}
	edge := must(httpapi.New(httpapi.Config{
		Vault: w.vault, Auth: w.auth, Ready: func(context.Context) wire.Health { panic("disk on fire") }, Logger: newLogger(logs), Now: w.now,
	}))
	recorder := httptest.NewRecorder()
	edge.ServeHTTP(recorder, httptest.NewRequest("GET", "/readyz", nil))
	if recorder.Code != 500 || reason(t, recorder.Body.Bytes()) != "internal" || strings.Contains(recorder.Body.String(), "fire") {
		t.Errorf("%d %s", recorder.Code, recorder.Body)
	}
	var line struct {
		Level, Route, Reason, Error, Panic, Stack string
		Status                                    int
		RequestID                                 string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(logs.String()), &line); err != nil {
		t.Fatalf("not one line: %v %s", err, logs)
	}
	if line.Level != "ERROR" || line.Route != "GET /readyz" || line.Status != 500 || line.RequestID != recorder.Header().Get("X-Request-Id") ||
		strings.Contains(logs.String(), "disk on fire") {
		t.Errorf("%s", logs)
	}
}

// The committed code is what the generator makes of the contract.
func TestGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the generator: run without -short")
	}
	for _, c := range []struct{ config, file string }{
		{"server.yaml", "server.gen.go"}, {"spec.yaml", "spec.gen.go"}, {"../wire/generate.yaml", "../wire/wire.gen.go"},
	} {
		dir := t.TempDir()
		config, out := filepath.Join(dir, "config.yaml"), filepath.Join(dir, "out.go")
		setting := "\noutput: " + filepath.Base(c.file) + "\n"
		text := strings.Replace(string(must(os.ReadFile(c.config))), setting, "\noutput: "+out+"\n", 1)
		must(0, os.WriteFile(config, []byte(text), 0o600))
		command := exec.Command("go", "tool", "-modfile=../../scripts/tools.mod", "oapi-codegen", "-config", config, "../../api/openapi.yaml")
		if text, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c.config, err, text)
		}
		if string(must(os.ReadFile(out))) != string(must(os.ReadFile(c.file))) {
			t.Errorf("%s is not what go generate makes", c.file)
		}
	}
}
