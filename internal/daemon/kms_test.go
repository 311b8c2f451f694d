package daemon

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// inPlugin builds sigstore's plugin of the tests and makes three keys in its folder.
func inPlugin(t *testing.T) (dir string, names KeyNames) {
	t.Helper()
	dir = t.TempDir()
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "sigstore-kms-pemfile"), "../keys/testdata/plugin").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("PATH", dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	for _, k := range allKeys {
		path := filepath.Join(dir, k.name)
		must(keys.Create(path, k.algorithm, nil))
		*names.of(k.name) = "pemfile://" + path
	}
	return dir, names
}

// A vault whose keys are in a KMS is founded, served, backed up and started again. While the plugin fails, events are accepted and wait; nothing
// is signed wrong, and once it is well again everything that waited is in the log.
func TestVaultOnKMS(t *testing.T) {
	kms, names := inPlugin(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	dir := filepath.Join(t.TempDir(), "vault")
	o := testOptions()
	o.Keys = names
	for name, wrong := range map[string]KeyNames{
		"an Ed25519 key for the log": {Log: names.Note}, "a P-256 key where it is Ed25519": {Note: names.Log}, "no such KMS": {Vault: "nosuchkms://x"}, "a file": {Vault: "vault-2.pem"},
	} {
		with := testOptions()
		with.Keys = wrong
		if _, err := Create(ctx, filepath.Join(t.TempDir(), "vault"), "", with); err == nil {
			t.Errorf("%s: made", name)
		}
	}
	origin := must(Create(ctx, dir, "", o))
	if left := must(os.ReadDir(folder(dir).path("keys"))); len(left) != 0 {
		t.Errorf("the folder holds keys all the same: %v", left)
	}
	admin, custodian := newPerson(ev.Administrator), newPerson(ev.Custodian)
	trust := must(Found(ctx, dir, testOptions(), Founding{
		Founders: [][]byte{admin.founder(origin), custodian.founder(origin)}, Recovery: must(sealing.NewIdentity()).Recipient(), Policy: DefaultPolicy, Version: "test",
	}))
	opened := must(os.ReadFile(folder(dir).checkpoint()))
	if _, err := tlog.OpenCheckpoint(opened, trust.LogKeys()); err != nil {
		t.Fatal(err)
	}

	p := must(open(ctx, dir, testOptions()))
	for _, mode := range []string{"die", "wrong", "noise"} {
		for _, name := range []string{logKey, logNoteKey} {
			must(0, os.WriteFile(filepath.Join(kms, name+".mode"), []byte(mode), 0o600))
		}
		e := admin.sign(p, ev.PolicyOf(origin), ev.VaultIncident, &ev.VaultIncidentDetails{Code: "outage", Scope: "vault", From: ev.At(time.Now().Add(-time.Hour))})
		brief, done := context.WithTimeout(ctx, time.Second)
		outcome, _ := p.vault.Submit(brief, admin.caller(), vault.Submission{DSSE: e.DSSE()})
		done()
		if outcome.Receipt != nil {
			t.Fatalf("%s: there is a receipt", mode)
		}
		if entry := must(p.records.Entry(ctx, e.LeafHash())); entry.Included() {
			t.Fatalf("%s: it is in the log", mode)
		}
	}
	must(tlog.OpenCheckpoint(must(os.ReadFile(folder(dir).checkpoint())), trust.LogKeys())) // whatever is published is signed right
	for _, name := range []string{logKey, logNoteKey} {
		must(0, os.Remove(filepath.Join(kms, name+".mode")))
	}
	for len(must(p.records.Pending(ctx, 1))) > 0 {
		if ctx.Err() != nil {
			t.Fatal("what waited is not in the log")
		}
		time.Sleep(20 * time.Millisecond)
	}

	done := must(p.backup(ctx, BackupOptions{To: filepath.Join(t.TempDir(), "backup"), Keep: 1}))
	if !slices.Equal(done.InKMS, []string{logKey, logNoteKey, vaultKey}) {
		t.Errorf("not in the backup: %v", done.InKMS)
	}
	for _, file := range done.Manifest.Files {
		if strings.HasPrefix(file.Path, "keys/") {
			t.Errorf("%s is in the backup", file.Path)
		}
	}
	must(0, p.close())

	// A plugin that does not answer, or with another key, starts no vault.
	for _, name := range []string{logKey, logNoteKey, vaultKey} {
		path := filepath.Join(kms, name)
		must(0, os.Rename(path, path+".away"))
		if _, err := open(ctx, dir, testOptions()); !errors.Is(err, keys.ErrKMS) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		algorithm := keys.P256
		if name == logNoteKey {
			algorithm = keys.Ed25519
		}
		must(keys.Create(path, algorithm, nil))
		if _, err := open(ctx, dir, testOptions()); !errors.Is(err, errOtherKey) || !strings.Contains(err.Error(), name) {
			t.Errorf("with another %s: %v", name, err)
		}
		must(0, os.Rename(path+".away", path))
	}
	must(0, must(open(ctx, dir, testOptions())).close())
}
