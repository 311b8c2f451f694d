package daemon

import (
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/vault"
)

func testOptions() Options {
	return Options{
		Tool:   evidence.Tool{Name: "strongroomd", Version: "test"},
		Limits: vault.DefaultLimits, Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

// founder makes a founder file: an actor who enrols itself.
func founder(t *testing.T, origin string, role evidence.Role) []byte {
	t.Helper()
	key, err := custody.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	d := &evidence.ActorEnrolledDetails{
		Keys: evidence.Keys{Key: base64.StdEncoding.EncodeToString(key.SPKI())}, Role: role, Organization: evidence.NewID[evidence.OrgID](),
	}
	if !role.Keyless() {
		identity, err := sealing.NewIdentity()
		if err != nil {
			t.Fatal(err)
		}
		d.Recipient = identity.Recipient()
	}
	id := evidence.NewID[evidence.ActorID]()
	e := &evidence.Event{
		Vault: origin, Kind: evidence.ActorEnrolled, Stream: evidence.Position{Type: evidence.ActorStream, ID: string(id)},
		Actor: evidence.Signer{ID: id, Role: role, Organization: d.Organization}, Time: evidence.At(time.Now()),
		Tool: evidence.Tool{Name: "strongroom", Version: "test"}, Details: d,
	}
	e.Subject = e.Subjects(nil)
	signed, err := custody.Sign(e, key.SPKI(), key)
	if err != nil {
		t.Fatal(err)
	}
	return signed.DSSE()
}

func recovery(t *testing.T) string {
	t.Helper()
	identity, err := sealing.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return identity.Recipient()
}

// made creates and founds a vault in a fresh folder.
func made(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "vault")
	origin, err := Create(t.Context(), dir, "", "", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	founding := Founding{
		Founders: [][]byte{founder(t, origin, evidence.Administrator), founder(t, origin, evidence.Custodian)},
		Recovery: recovery(t), Policy: DefaultPolicy, Version: "test",
	}
	for range 2 { // the second time changes nothing
		trust, err := Found(t.Context(), dir, testOptions(), founding)
		if err != nil {
			t.Fatal(err)
		}
		if trust.Vault() != origin || len(trust.Founders()) != 3 {
			t.Fatalf("trust file of %s with %d founders", trust.Vault(), len(trust.Founders()))
		}
	}
	return dir
}

func TestFoundAndOpen(t *testing.T) {
	dir := made(t)
	p, err := open(t.Context(), dir, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	policy := evidence.PolicyOf(p.settings.Origin)
	complete, err := p.ledger.Complete(ctx, []evidence.Stream{policy, evidence.ActorOf(p.settings.Actor)}, 3)
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

func TestOpenRefuses(t *testing.T) {
	if _, err := open(t.Context(), t.TempDir(), testOptions()); !errors.Is(err, ErrNoVault) {
		t.Errorf("empty folder: %v", err)
	}
	dir := filepath.Join(t.TempDir(), "vault")
	if _, err := Create(t.Context(), dir, "vault.example", "", time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t.Context(), dir, testOptions()); !errors.Is(err, ErrNotFounded) {
		t.Errorf("without founders: %v", err)
	}
	if _, err := Create(t.Context(), dir, "", "", time.Now()); !errors.Is(err, ErrExists) {
		t.Errorf("second vault in a folder: %v", err)
	}
	other := founder(t, "other.example", evidence.Custodian)
	if _, err := Found(t.Context(), dir, testOptions(), Founding{Founders: [][]byte{other}}); err == nil {
		t.Error("a founder file of another vault was accepted")
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
	policy, author := evidence.PolicyOf(p.settings.Origin), evidence.ActorOf(p.settings.Actor)
	states, err := p.records.States(t.Context(), policy, author)
	if err != nil {
		t.Fatal(err)
	}
	now := states[policy].(*evidence.PolicyState)
	e := &evidence.Event{Kind: evidence.VaultConfigured, Details: &evidence.VaultConfiguredDetails{
		Rules: now.Rules, Recovery: now.Recovery, Policy: now.Policy, LogKeys: now.LogKeys, Version: "test-2",
	}}
	signed, err := p.author.Sign(e, policy, evidence.Facts{Origin: p.settings.Origin, States: states}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.vault.Found(t.Context(), signed); err != nil {
		t.Fatal(err)
	}
}
