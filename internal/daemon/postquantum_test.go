package daemon

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

func postQuantum(o *Options) { o.PostQuantum = true }

// ownLine is the base64 of the ML-DSA-44 line that a log has put on a checkpoint, "" if it has not; a log's other lines are short.
func ownLine(t *testing.T, note []byte) string {
	t.Helper()
	var found []string
	for line := range strings.Lines(string(note)) {
		words := strings.Fields(line)
		if origin, _, _ := strings.Cut(string(note), "\n"); len(words) == 3 && words[0] == "—" && words[1] == origin && len(words[2]) > 3000 {
			found = append(found, words[2])
		}
	}
	if len(found) > 1 {
		t.Fatalf("%d lines of the log", len(found))
	}
	return strings.Join(found, "")
}

// tampered is a checkpoint with one bit of that line changed.
func tampered(t *testing.T, note []byte, at int) []byte {
	t.Helper()
	line := ownLine(t, note)
	if line == "" {
		t.Fatal("the log has not signed with its key of ML-DSA-44")
	}
	sig := must(base64.StdEncoding.DecodeString(line))
	sig[at] ^= 1
	return bytes.Replace(note, []byte(line), []byte(base64.StdEncoding.EncodeToString(sig)), 1)
}

// sealed demands that the log has signed a checkpoint with the key that a trust file names, and that its line is not believed once changed.
func sealed(t *testing.T, what string, note []byte, trust tlog.Trust) {
	t.Helper()
	if _, err := tlog.OpenCheckpoint(note, trust.LogKeys()); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for _, at := range []int{4, 12, 1200, 4 + 8 + 2420 - 1} { // time, signature
		if _, err := tlog.OpenCheckpoint(tampered(t, note, at), trust.LogKeys()); !errors.Is(err, tlog.ErrSignature) {
			t.Errorf("%s: with byte %d of the line changed: %v", what, at, err)
		}
	}
}

// A vault with a key of ML-DSA-44 signs every checkpoint with it as well. A real witness cosigns those; they come back from a backup, and
// go on after it; fsck finds a line that is not the log's. Nobody but this program names the key.
func TestPostQuantum(t *testing.T) {
	dir, c, trust, w, key := watched(t, postQuantum)
	if _, policy, _ := strings.Cut(trust.WitnessPolicy(), "\n"); len(trust.Policy().Logs()) != 1 || policy != w.Line()+"quorum witness.example\n" {
		t.Fatalf("the trust file says %q", trust.WitnessPolicy())
	}
	run(t, w, trust, key)
	p := must(open(t.Context(), dir, testOptions()))
	policy := ev.PolicyOf(p.settings.Origin)
	if now := must(p.records.States(t.Context(), policy))[policy].(*ev.PolicyState); now.Witness != trust.WitnessPolicy() {
		t.Errorf("configured is %q", now.Witness)
	}
	_, o, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	receipt := must(tlog.ParseReceipt(final(t, p, o)))
	sealed(t, "a final receipt's", receipt.Checkpoint(), trust)
	if by := must(trust.Cosigned(receipt.Checkpoint())); !by.Quorum || len(by.By) != 1 {
		t.Errorf("cosigned: %+v", by)
	}
	settled(t, p)
	rows := must(p.records.AllPublished(t.Context(), -1, 1000))
	for _, row := range rows {
		sealed(t, "a published checkpoint", row.Note, trust)
	}
	for _, stored := range must(p.records.Checkpoints(t.Context(), -1, 1000)) {
		sealed(t, "a stored checkpoint", stored.Signed, trust)
	}
	backup, newest := filepath.Join(t.TempDir(), "backup"), checkpointFile(t, p.ledger.Checkpoint())
	b := backedUp(t, p, backup)
	if !slices.ContainsFunc(b.Manifest.Files, func(f ManifestFile) bool { return f.Path == "keys/"+postQuantumKey }) {
		t.Error("the key is not in the backup")
	}
	must(0, p.close())
	if found := examine(t, dir); len(found) > 0 {
		t.Errorf("a sound vault has damage: %+v", found)
	}

	anew, _ := restored(t, Restoration{From: backup, Data: filepath.Join(t.TempDir(), "anew"), Newest: []string{newest}})
	sealed(t, "after the restore, a checkpoint", anew.ledger.Checkpoint(), trust)
	if s := settled(t, anew); s.Alarmed() || s.Witnesses[0].State != ledger.Well {
		t.Errorf("status after the restore is %+v", s)
	}
	must(0, anew.close())

	last := rows[len(rows)-1]
	hurt := filepath.Join(t.TempDir(), "hurt")
	must(0, os.CopyFS(hurt, os.DirFS(dir)))
	must(0, private(hurt))
	line := ownLine(t, last.Note)
	statements(t, hurt, `update published set signed = replace(cast(signed as text), '`+line+`', '`+ownLine(t, tampered(t, last.Note, 100))+`')`)
	if found := examine(t, hurt); !slices.ContainsFunc(found, func(d Damage) bool { return strings.Contains(d.What, "not signed by this vault's log") }) {
		t.Errorf("a changed line is not found; found was %+v", found)
	}

	// Another key than the one that the trust file names signs nothing, and fsck says so.
	must(0, os.Remove(folder(dir).path("keys", postQuantumKey)))
	must(keys.Create(folder(dir).path("keys", postQuantumKey), keys.MLDSA44, nil))
	if _, err := open(t.Context(), dir, testOptions()); !errors.Is(err, errOtherKey) {
		t.Errorf("with another key: %v", err)
	}
	if found := examine(t, dir); !slices.ContainsFunc(found, func(d Damage) bool { return strings.Contains(d.What, "ML-DSA-44") }) {
		t.Errorf("another key is not found; found was %+v", found)
	}
}

// A policy of the operator's names no log, whether or not the vault has such a key.
func TestForeignLogLine(t *testing.T) {
	other := must(must(keys.Create(filepath.Join(t.TempDir(), "key.pem"), keys.MLDSA44, nil)).PolicyKey("vault.example"))
	foreign := "log " + other + "\nquorum none\n"
	for _, set := range [][]func(*Options){nil, {postQuantum}} {
		dir := filepath.Join(t.TempDir(), "vault")
		_, founding := unfounded(dir, set...)
		founding.Witness = foreign
		if _, err := Found(t.Context(), dir, testOptions(), founding); !errors.Is(err, errLogLine) {
			t.Errorf("founded: %v", err)
		}
	}
	if _, err := PlanRotation(t.Context(), made(t), testOptions(), Change{Witness: &foreign}); !errors.Is(err, errLogLine) {
		t.Errorf("planned: %v", err)
	}
}

// The key comes to a vault that had none, and goes, each decided by two people. What was signed before verifies under every later trust file,
// and nothing of it with a byte changed.
func TestPostQuantumRotation(t *testing.T) {
	dir := made(t)
	ctx := t.Context()
	yes, no := true, false
	if _, err := PlanRotation(ctx, dir, testOptions(), Change{PostQuantum: &no}); !errors.Is(err, errUnplanned) {
		t.Errorf("none goes: %v", err)
	}
	var notes [][]byte
	note := func(o Options) []byte {
		t.Helper()
		p := must(open(ctx, dir, o))
		defer p.close()
		_, c := once()
		e := c.Administrator.sign(p, ev.PolicyOf(p.settings.Origin), ev.VaultIncident, &ev.VaultIncidentDetails{Code: "outage", Scope: "vault", From: ev.At(o.Now().Add(-time.Hour))},
			func(e *ev.Event) { e.Time = ev.At(o.Now()) })
		must(c.Administrator.submit(p, e, ""))
		return p.ledger.Checkpoint()
	}
	notes = append(notes, note(testOptions()))
	if ownLine(t, notes[0]) != "" {
		t.Fatal("a vault without the key signs with it")
	}
	options := testOptions()
	for _, step := range []struct {
		name   string
		change Change
		signs  bool
	}{
		{"comes", Change{PostQuantum: &yes}, true},
		{"goes", Change{PostQuantum: &no}, false},
	} {
		plan := must(PlanRotation(ctx, dir, options, step.change))
		options = decidedAt(t, dir, plan, options)
		trust := must(FinishRotation(ctx, dir, options))
		if logs := trust.Policy().Logs(); (len(logs) == 1) != step.signs {
			t.Fatalf("%s: named are %q", step.name, logs)
		}
		now := note(options)
		if (ownLine(t, now) != "") != step.signs {
			t.Errorf("%s: signed", step.name)
		}
		notes = append(notes, now)
		for i, before := range notes {
			if _, err := tlog.OpenCheckpoint(before, trust.LogKeys()); err != nil {
				t.Errorf("%s: the checkpoint of step %d: %v", step.name, i, err)
			}
			if ownLine(t, before) != "" {
				sealed(t, step.name, before, trust)
			}
		}
	}
	must(Fsck(ctx, dir, options, func(d Damage) { t.Errorf("%+v", d) }))
	if _, err := PlanRotation(ctx, dir, options, Change{PostQuantum: &no}); !errors.Is(err, errUnplanned) {
		t.Errorf("gone already: %v", err)
	}
}

// Its file turns to another key after two people have decided about the one that was planned.
func TestPostQuantumDecided(t *testing.T) {
	dir, yes := made(t), true
	plan := must(PlanRotation(t.Context(), dir, testOptions(), Change{PostQuantum: &yes}))
	if plan.Keys.PostQuantum == "" || len(tlog.PolicyLines(plan.Witness)[0]) > 100 {
		t.Fatalf("planned is %+v", plan)
	}
	late := decided(t, dir, plan)
	path := folder(dir).path("keys", plan.Keys.PostQuantum)
	planned := must(os.ReadFile(path))
	must(0, os.Remove(path))
	must(keys.Create(path, keys.MLDSA44, nil))
	if _, err := FinishRotation(t.Context(), dir, late); !errors.Is(err, errOtherKey) {
		t.Errorf("another key than was decided: %v", err)
	}
	must(0, os.WriteFile(path, planned, 0o600))
	must(FinishRotation(t.Context(), dir, late))
}

// Where a KMS has the other keys, this one is a file all the same, under a passphrase.
func TestPostQuantumBesideKMS(t *testing.T) {
	_, names := inPlugin(t)
	dir := filepath.Join(t.TempDir(), "vault")
	o := testOptions()
	o.Keys, o.PostQuantum = names, true
	origin := must(Create(t.Context(), dir, "", o))
	if text := must(os.ReadFile(folder(dir).path("keys", postQuantumKey))); !keys.Encrypted(text) {
		t.Error("the key is not encrypted")
	}
	admin, custodian := newPerson(ev.Administrator), newPerson(ev.Custodian)
	trust := must(Found(t.Context(), dir, testOptions(), Founding{
		Founders: [][]byte{admin.founder(origin), custodian.founder(origin)}, Recovery: must(sealing.NewIdentity()).Recipient(), Policy: DefaultPolicy, Version: "test",
	}))
	p := must(open(t.Context(), dir, testOptions()))
	sealed(t, "a checkpoint", p.ledger.Checkpoint(), trust)
	b := backedUp(t, p, filepath.Join(t.TempDir(), "backup"))
	must(0, p.close())
	for _, name := range []string{"keys/" + postQuantumKey, "keys/passphrase"} {
		if !slices.ContainsFunc(b.Manifest.Files, func(f ManifestFile) bool { return f.Path == name }) {
			t.Errorf("%s is not in the backup", name)
		}
	}
}

// Whoever loses the key of ML-DSA-44 alone goes on without it, is told, and replaces it or leaves it out by the next decision.
func TestLostPostQuantumKey(t *testing.T) {
	dir, _, trust, _, _ := watched(t, postQuantum)
	f := folder(dir)
	if err := os.Remove(f.path("keys", postQuantumKey)); err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	o := testOptions()
	o.Logger = slog.New(slog.NewTextHandler(&said, nil))
	p, err := open(t.Context(), dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.close(); err != nil || !strings.Contains(said.String(), "post-quantum key is lost") {
		t.Errorf("%v, said %q", err, &said)
	}
	yes, no := true, false
	for name, change := range map[string]Change{"left out": {PostQuantum: &no}, "replaced": {PostQuantum: &yes}, "with all keys": {NewLogKeys: true}} {
		r, err := PlanRotation(t.Context(), dir, testOptions(), change)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		policy, err := tlog.ParsePolicy(r.Witness)
		if err != nil || slices.Equal(policy.Logs(), trust.Policy().Logs()) || (len(policy.Logs()) == 1) != (name == "replaced") || len(policy.Witnesses()) != 1 {
			t.Errorf("%s: %v, %q", name, err, r.Witness)
		}
		if err := CancelRotation(dir); err != nil {
			t.Fatal(err)
		}
	}
}
