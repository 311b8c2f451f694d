package daemon

import (
	"context"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/config"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
)

func TestFoundAndOpen(t *testing.T) {
	dir := made(t)
	p, err := open(t.Context(), dir, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	policy := ev.PolicyOf(p.settings.Origin)
	complete, err := p.ledger.Complete(ctx, []ev.Stream{policy, ev.ActorOf(p.settings.Actor)}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, length := range complete.Streams {
		if length.N != 1 {
			t.Errorf("%s has %d events, want 1", length.Stream.Type, length.N)
		}
	}
	var entries []ledger.Entry
	if entries, err = p.records.Pending(ctx, 10); err != nil || len(entries) > 1 {
		t.Errorf("%d events are pending: %v", len(entries), err)
	}
}

// Who pinned an earlier trust file gets that one, byte for byte, also after the operator has put a newer one in its place.
func TestEarlierTrustFiles(t *testing.T) {
	dir := made(t)
	var d *Daemon
	open := func() (file, number string, ask func(number string) (int, string)) {
		t.Helper()
		if d != nil {
			d.Close()
		}
		d = must(Open(t.Context(), dir, testOptions()))
		trust := must(tlog.ParseTrust(must(os.ReadFile(folder(dir).trust()))))
		hash := trust.Fingerprint()
		return string(trust.Marshal()), ev.Hash(hash).String(), func(number string) (int, string) {
			w := httptest.NewRecorder()
			d.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/v1/trust/"+number, nil))
			return w.Code, w.Body.String()
		}
	}
	first, one, _ := open()
	newer := strings.Replace(first, `"witness_policy":""`, `"witness_policy":"quorum none\n"`, 1)
	if newer == first {
		t.Fatal("the trust file has a witness policy already")
	}
	if err := os.WriteFile(folder(dir).trust(), []byte(newer), 0o644); err != nil {
		t.Fatal(err)
	}
	second, two, ask := open()
	for number, want := range map[string]string{one: first, two: second} {
		hash := must(ev.ParseHash(number))
		for _, number := range []string{number, strings.ReplaceAll(tlog.SixGroups(tlog.Hash(hash)), " ", "")} {
			if code, file := ask(number); code != 200 || file != want {
				t.Errorf("%s: %d %.60s", number, code, file)
			}
		}
	}
	defer d.Close()
	// The same thirty digits are not the same number.
	last := byte('0')
	if one[63] == '0' {
		last = '1'
	}
	for _, number := range []string{one[:63] + string(last), strings.Repeat("0", 64), strings.Repeat("0", 30)} {
		if code, _ := ask(number); code != 404 {
			t.Errorf("%s: %d", number, code)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := open(t.Context(), t.TempDir(), testOptions()); !errors.Is(err, ErrNoVault) {
		t.Errorf("empty folder: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "vault")
	if _, err := Create(t.Context(), dir, "vault.example", testOptions()); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t.Context(), dir, testOptions()); !errors.Is(err, ErrNotFounded) {
		t.Errorf("without founders: %v", err)
	}
	if _, err := Create(t.Context(), dir, "", testOptions()); !errors.Is(err, ErrExists) {
		t.Errorf("second vault in a folder: %v", err)
	}
	other := newPerson(ev.Custodian).founder("other.example")
	if _, err := Found(t.Context(), dir, testOptions(), Founding{Founders: [][]byte{other}}); err == nil {
		t.Error("a founder file of another vault was accepted")
	}
}

// A vault that lost its settings must not be made anew over its evidence.
func TestCreateSparesAVault(t *testing.T) {
	dir := made(t)
	if err := os.Remove(filepath.Join(dir, "vault.json")); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, filepath.Join(dir, "records.db"))
	if _, err := Create(t.Context(), dir, "", testOptions()); !errors.Is(err, ErrUnsettled) {
		t.Errorf("init over a vault without settings: %v", err)
	}
	if string(snapshot(t, filepath.Join(dir, "records.db"))) != string(before) {
		t.Error("the records were touched")
	}
}

// A vault whose founding was interrupted is not opened.
func TestHalfFounded(t *testing.T) {
	dir := made(t)
	must(0, os.Remove(filepath.Join(dir, "checkpoint")))
	must(folder(dir).createRecords(t.Context(), config.Records{}))
	must(folder(dir).createLog(t.Context(), config.Log{}, ""))
	if _, err := open(t.Context(), dir, testOptions()); !errors.Is(err, ErrNotFounded) {
		t.Errorf("half founded: %v", err)
	}
}

// A restored older copy of one part must not fork the log: the vault refuses to open.
func TestRolledBackPartsAreRefused(t *testing.T) {
	for _, part := range []string{"log.db", "records.db", "checkpoint"} {
		t.Run(part, func(t *testing.T) {
			dir := made(t)
			old := snapshot(t, filepath.Join(dir, part))
			grow(t, dir)
			if err := os.WriteFile(filepath.Join(dir, part), old, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, suffix := range []string{"-wal", "-shm"} {
				os.Remove(filepath.Join(dir, part+suffix))
			}
			p, err := open(t.Context(), dir, testOptions())
			if err == nil {
				p.close()
				t.Fatalf("a vault with an older %s was opened", part)
			}
			if m := (*ledger.Mismatch)(nil); !errors.As(err, &m) {
				t.Errorf("the refusal is not a Mismatch: %v", err)
			}
		})
	}
}

func snapshot(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// grow opens the vault and logs another configuration by the vault itself.
func grow(t *testing.T, dir string) {
	t.Helper()
	p, err := open(t.Context(), dir, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	policy, author := ev.PolicyOf(p.settings.Origin), ev.ActorOf(p.settings.Actor)
	states, err := p.records.States(t.Context(), policy, author)
	if err != nil {
		t.Fatal(err)
	}
	now := states[policy].(*ev.PolicyState)
	e := &ev.Event{Kind: ev.VaultConfigured, Details: &ev.VaultConfiguredDetails{
		Rules: now.Rules, Recovery: now.Recovery, Policy: now.Policy, LogKeys: now.LogKeys, Version: "test-2",
	}}
	signed, err := p.author.Sign(e, policy, ev.Facts{Origin: p.settings.Origin, States: states}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.vault.Found(t.Context(), signed); err != nil {
		t.Fatal(err)
	}
}
