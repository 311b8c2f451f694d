package main

import (
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"strongroom.example/strongroom/internal/audit"
)

// Each alarm is a plain sentence.
func TestAuditAlarms(t *testing.T) {
	for _, r := range []audit.Reason{
		audit.UnsignedHead, audit.TwoRoots, audit.Forked, audit.FalseProof, audit.RolledBack, audit.FalseLeaves, audit.FalsePage, audit.Elsewhere, audit.ForeignHeads,
		audit.BrokenHeads, audit.FalseCount, audit.OmittedInsert, audit.VoidInsert, audit.RepeatedInsert, audit.OtherMap, audit.FalseKey, audit.FalseStatement,
	} {
		if auditLies[r] == "" {
			t.Errorf("%s: no words", r)
		}
		checkText(t, "message "+string(r), auditLies[r])
	}
}

// The record book followed from outside by an auditor and by somebody without an account, through the real programs; and the vault put back
// from a copy, which both find out.
func TestAuditFollow(t *testing.T) {
	w := foundTown(t)
	auditor := w.newPerson("auditor")
	w.enrol(auditor, "auditor", w.admin, w.second)
	open := []string{"case", "open", "--member", "me:open,approve,manage", "--member", w.custodian.id + ":open,approve,manage", "--keyholder", "me", "--keyholder", w.custodian.id}
	w.second.types("", open...).object()

	outsider := w.newPerson("outsider")
	outsider.types("", "audit", "follow", "--once").refused(exitRefused, "no_vault")
	outsider.types("", "connect", "--server", w.address, "--trust", w.trust, "--number", w.number).ends(0)
	outsider.as().types("", "audit", "follow", "--once").ends(0).has("Followed", "signed by a key of your trust file", "Not The lists of last steps were not checked")
	if o := outsider.types("", "audit", "follow", "--once").object(); o["map"] != false || o["covers"] != 0.0 {
		t.Errorf("an outsider: %v", o)
	}

	auditor.types("", "audit", "follow", "--once", "--cosign").refused(exitRefused, "audit_key")
	auditor.types("", "audit", "key").refused(exitCannot, "usage")
	auditor.types("", "audit", "key", "--name", "two words").refused(exitCannot, "usage")
	key := str(t, auditor.types("", "audit", "key", "--name", "auditor.example", "--plain-keys").object(), "key")
	if !strings.HasPrefix(key, "auditor.example+") || str(t, auditor.types("", "audit", "key").object(), "key") != key {
		t.Errorf("key %q", key)
	}
	auditor.types("", "audit", "key", "--name", "other.example").refused(exitCannot, "usage")
	o := auditor.types("", "audit", "follow", "--once", "--cosign").object()
	if o["map"] != true || o["publications"].(float64) < 1 || o["statements"].(float64) < 5 || o["statements"] != o["covers"] {
		t.Errorf("an auditor: %v", o)
	}
	auditor.as().types("", "audit", "follow", "--once").ends(0).has("Lists 0 new", "Read what was signed at")

	// The whole audit follows in the same folder, unless another run does: then it says what it did not check.
	if o := auditor.types("", "audit").object(); o["followed"].(float64) < 5 {
		t.Errorf("held against %v entries", o["followed"])
	}
	release, err := aloneIn(filepath.Join(auditor.home, "audit"))
	if err != nil || release == nil {
		t.Fatalf("the folder is free: %v", err)
	}
	auditor.as().types("", "audit").ends(0).has("Whole not checked")
	auditor.types("", "audit", "follow", "--once").refused(exitRefused, "audit_running")
	if o := auditor.types("", "audit", "--state", w.path("beside")).object(); o["followed"].(float64) < 5 {
		t.Errorf("in another folder it is held against %v entries", o["followed"])
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}

	// One state compared with itself and with a later one; nothing at hand says how it came from it, until it was followed.
	state := func(name string) string {
		t.Helper()
		any := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		resp, err := any.Get(strings.Split(w.address, "#")[0] + "/v1/log/checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s (%v)", resp.Status, err)
		}
		return w.write(name, string(text))
	}
	one := state("one.note")
	compare := func(args ...string) said {
		return outsider.types("", append([]string{"audit", "compare", "--trust", w.trust}, args...)...)
	}
	compare(one).refused(exitCannot, "usage")
	if r := compare(one, one).object(); r["result"] != "same" {
		t.Errorf("one state: %v", r)
	}

	// A copy of the vault goes on otherwise.
	w.server.stop(syscall.SIGTERM)
	if out, err := exec.Command("cp", "-Rp", w.path("vault"), w.path("copy")).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	w.server = w.start(w.path("vault"), "127.0.0.1:0")
	w.address = w.server.address
	for _, p := range []*person{w.second, auditor, outsider} {
		p.types("", "connect", "--server", w.address).ends(0)
	}
	w.second.types("", open...).object()
	two := state("two.note")
	empty := w.path("empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	if s := compare("--state", empty, one, two).ends(exitCannot); !strings.Contains(s.out, `"unproven"`) {
		t.Errorf("nothing shows it, and the answer is %s", s.out)
	}
	for _, p := range []*person{auditor, outsider} {
		p.types("", "audit", "follow", "--once").object()
	}
	if r := compare(one, two).object(); r["result"] != "extends" {
		t.Errorf("what was followed shows %v", r)
	}
	w.server.stop(syscall.SIGTERM)
	w.server = w.start(w.path("copy"), "127.0.0.1:0")
	w.address = w.server.address
	for _, p := range []*person{w.custodian, auditor, outsider} {
		p.types("", "connect", "--server", w.address).ends(0)
	}
	other := []string{"case", "open", "--member", "me:open,approve,manage", "--member", w.second.id + ":open,approve,manage", "--keyholder", "me", "--keyholder", w.second.id}
	for range 2 {
		w.custodian.types("", other...).object()
	}
	for _, p := range []*person{auditor, outsider} {
		s := p.as().types("", "audit", "follow", "--once").ends(exitAlarm).has("ALARM", "Copy the evidence to a safe place")
		if !strings.Contains(s.err, "forked_history") && !strings.Contains(s.err, "two_roots") {
			t.Errorf("for another reason: %s", s.err)
		}
		found, err := filepath.Glob(filepath.Join(p.home, "audit", "alarms", "*"))
		if err != nil || len(found) != 1 {
			t.Fatalf("%d folders of evidence (%v)", len(found), err)
		}
		if s := compare("--state", empty, found[0]).ends(exitAlarm); !strings.Contains(s.out, `"fork"`) {
			t.Errorf("the evidence alone shows %s", s.out)
		}
	}
	outsider.as().types("", "audit", "compare", "--trust", w.trust, two, state("three.note")).ends(exitCannot).has("Not shown", "/v1/log/consistency?from=")
}
