package daemon

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/timestamping"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// decided has two people decide a plan; late are options with a clock by which that counts.
func decided(t *testing.T, dir string, plan Rotation) (late Options) {
	t.Helper()
	return decidedAt(t, dir, plan, testOptions())
}

// decidedAt has them decide by the clock of o.
func decidedAt(t *testing.T, dir string, plan Rotation, o Options) (late Options) {
	t.Helper()
	_, c := once()
	return c.decided(t, dir, plan, o)
}

// decided has an administrator and a custodian of the cast decide by the clock of o.
func (c cast) decided(t *testing.T, dir string, plan Rotation, o Options) (late Options) {
	t.Helper()
	ctx := t.Context()
	p := must(open(ctx, dir, o))
	policy := ev.PolicyOf(p.settings.Origin)
	state := func() *ev.PolicyState { return must(p.records.States(ctx, policy))[policy].(*ev.PolicyState) }
	s := state()
	for _, step := range []struct {
		by *person
		k  ev.Kind
		d  func() ev.Details
	}{
		{c.Administrator, ev.VaultConfigured, func() ev.Details {
			return &ev.VaultConfiguredDetails{Rules: s.Rules, Recovery: s.Recovery, Policy: s.Policy, LogKeys: plan.LogKeys, Witness: plan.Witness, TimestampRoots: plan.Roots,
				Version: s.Version, Builds: s.Builds}
		}},
		{c.A, ev.VaultConfirmed, func() ev.Details { return &ev.VaultConfirmedDetails{Event: state().ProposedLeaf} }},
	} {
		signed := step.by.sign(p, policy, step.k, step.d(), func(e *ev.Event) { e.Time = ev.At(o.Now()) })
		must(p.vault.Submit(ctx, step.by.caller(), vault.Submission{DSSE: signed.DSSE()}))
	}
	late = o
	at := state().Effective.Std().Add(time.Minute)
	began := time.Now()
	late.Now = func() time.Time { return at.Add(time.Since(began)) }
	must(0, p.close())
	return late
}

// A rotation that was killed anywhere leaves a vault that starts: before the commit point with the old keys, from it on with the new ones.
func TestRotationKilled(t *testing.T) {
	dir := made(t)
	f := folder(dir)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if _, err := FinishRotation(ctx, dir, testOptions()); !errors.Is(err, ErrNoRotation) {
		t.Fatalf("nothing was planned: %v", err)
	}
	if _, err := PlanRotation(ctx, dir, testOptions(), Change{}); !errors.Is(err, errUnplanned) {
		t.Errorf("nothing changes: %v", err)
	}
	plan := must(PlanRotation(ctx, dir, testOptions(), Change{NewLogKeys: true}))
	late := decided(t, dir, plan)
	oldTrust, oldSettings := must(os.ReadFile(f.trust())), must(os.ReadFile(f.settings()))
	size := func(o Options) int64 {
		t.Helper()
		p := must(open(ctx, dir, o))
		defer p.close()
		return p.ledger.Size()
	}
	before := size(late)

	// The name of a key turns to another one after two people have decided.
	next := f.path("keys", plan.Keys.Log)
	if plan.Keys.Log == "" {
		t.Fatal("the plan names no key")
	}
	planned := must(os.ReadFile(next))
	must(0, os.WriteFile(next, must(os.ReadFile(f.path("keys", vaultKey))), 0o600))
	if _, err := FinishRotation(ctx, dir, late); !errors.Is(err, errOtherKey) {
		t.Errorf("another key than was decided: %v", err)
	}
	must(0, os.WriteFile(next, planned, 0o600))

	trust := must(FinishRotation(ctx, dir, late))
	newTrust, newSettings := must(os.ReadFile(f.trust())), must(os.ReadFile(f.settings()))
	done := plan
	done.Trust = string(newTrust)
	// What each kill leaves: what is on disk then, in the order in which it happens. Each is the start of a vault that goes on.
	for _, left := range []struct {
		name                      string
		trust, settings, rotation []byte
		keys                      tlog.Trust
	}{
		{"after planning", oldTrust, oldSettings, plan.marshal(), must(tlog.ParseTrust(oldTrust))},
		{"at the commit point", oldTrust, oldSettings, done.marshal(), trust},
		{"with the new trust file", newTrust, oldSettings, done.marshal(), trust},
		{"before the plan is removed", newTrust, newSettings, done.marshal(), trust},
		{"at the end", newTrust, newSettings, nil, trust},
	} {
		name := left.name
		for path, text := range map[string][]byte{f.trust(): left.trust, f.settings(): left.settings, f.rotation(): left.rotation} {
			if text == nil {
				os.Remove(path)
				continue
			}
			must(0, writeFile(path, text, 0o600))
		}
		if n := size(late); n < before {
			t.Errorf("%s: the log is shorter: %d", name, n)
		}
		_, now, err := f.inUse()
		if err != nil || now.Fingerprint() != left.keys.Fingerprint() {
			t.Errorf("%s: another trust file than the keys: %v", name, err)
		}
		if _, err := os.Stat(f.rotation()); (err == nil) != (name == "after planning") {
			t.Errorf("%s: rotation.json is there: %v", name, err == nil)
		}
	}
	// The new file is the last that was in place; the log goes on under it, and everything is whole.
	must(0, os.RemoveAll(f.rotation()))
	must(0, writeFile(f.trust(), newTrust, 0o644))
	must(0, writeFile(f.settings(), newSettings, 0o600))
	p := must(open(ctx, dir, late))
	_, c := once()
	e := c.Administrator.sign(p, ev.PolicyOf(p.settings.Origin), ev.VaultIncident, &ev.VaultIncidentDetails{Code: "outage", Scope: "vault", From: ev.At(late.Now().Add(-time.Hour))},
		func(e *ev.Event) { e.Time = ev.At(late.Now()) })
	must(p.vault.Submit(ctx, c.Administrator.caller(), vault.Submission{DSSE: e.DSSE()}))
	for len(must(p.records.Pending(ctx, 1))) > 0 && ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
	}
	must(0, p.close())
	note := must(os.ReadFile(f.checkpoint()))
	if _, err := tlog.OpenCheckpoint(note, trust.LogKeys()); err != nil {
		t.Errorf("under the new file: %v", err)
	}
	if _, err := tlog.OpenCheckpoint(note, must(tlog.ParseTrust(oldTrust)).LogKeys()); !errors.Is(err, tlog.ErrLogKey) {
		t.Errorf("under the old file: %v", err)
	}
	must(Fsck(ctx, dir, late, func(d Damage) { t.Errorf("fsck: %+v", d) }))

	// The keys that are in use now are in the backup, by their names.
	p = must(open(ctx, dir, late))
	b := must(p.backup(ctx, BackupOptions{To: filepath.Join(t.TempDir(), "backup"), Keep: 1}))
	must(0, p.close())
	for _, name := range []string{"keys/" + p.settings.Keys.Log, "keys/" + p.settings.Keys.Note, "keys/" + vaultKey} {
		if !slices.ContainsFunc(b.Manifest.Files, func(m ManifestFile) bool { return m.Path == name }) {
			t.Errorf("%s is not in the backup", name)
		}
	}
}

// Witnesses and time-stamp roots change in the same way; a root that was trusted stays.
func TestRotationOfWitnesses(t *testing.T) {
	dir := made(t)
	ctx := t.Context()
	policy := "witness other other.example+aeb5ad85+AaoSbOz14Sz2GUbOyhGS6gf4AUyXiqHKjkKkS5w5S5w5 https://other.example\nquorum other\n"
	if _, err := PlanRotation(ctx, dir, testOptions(), Change{Witness: &policy}); err == nil {
		t.Error("a witness key that is none was planned")
	}
	if _, err := os.Stat(folder(dir).rotation()); err == nil {
		t.Error("what was refused is planned")
	}
	none := "quorum none\n"
	root := selfSigned(t)
	must(PlanRotation(ctx, dir, testOptions(), Change{Witness: &none, TimestampRoots: [][]byte{root}}))
	must(0, CancelRotation(dir))
	if _, err := FinishRotation(ctx, dir, testOptions()); !errors.Is(err, ErrNoRotation) {
		t.Errorf("after it was taken back: %v", err)
	}
	plan := must(PlanRotation(ctx, dir, testOptions(), Change{Witness: &none, TimestampRoots: [][]byte{root}}))
	late := decided(t, dir, plan)
	if _, err := FinishRotation(ctx, dir, testOptions()); !errors.Is(err, ErrUndecided) {
		t.Errorf("before the wait is over: %v", err)
	}
	before := late.Now()
	trust := must(FinishRotation(ctx, dir, late))
	earlier := trust.EarlierPolicies()
	if len(earlier) != 1 || earlier[0].Policy != "" || earlier[0].Until.Before(before.Add(ev.Clock).Truncate(time.Millisecond)) || earlier[0].Until.After(late.Now().Add(ev.Clock)) {
		t.Errorf("earlier policies %+v", earlier)
	}
	if trust.WitnessPolicy() != none || len(trust.TimestampRoots()) != 1 || !bytes.Equal(trust.TimestampRoots()[0], root) || len(trust.Logs()) != 2 {
		t.Errorf("%q, %d roots, %d keys", trust.WitnessPolicy(), len(trust.TimestampRoots()), len(trust.Logs()))
	}
	p := must(open(ctx, dir, late))
	must(0, p.close())
}

// With a further root, the authority that the configuration names now is in the trust file, for stock tools; those of before stay. Under a root
// that is trusted already it comes in without a decision, because nobody is trusted anew.
func TestRotationOfAuthorities(t *testing.T) {
	v := newStampingVault(t, time.Now)
	ctx := t.Context()
	old := must(Found(ctx, v.dir, v.options, v.founding))
	config := must(os.ReadFile(v.options.ConfigFile))
	names := []string{"first"}
	further := func(path string) (root []byte) {
		authority := must(timestamping.OpenDevelopment(must(timestamping.MakeDevelopment()), time.Now))
		server := httptest.NewServer(authority)
		t.Cleanup(server.Close)
		names = append(names, path)
		added := fmt.Sprintf("[{name: %s, url: %q}, ", path, server.URL+"/"+path)
		config = bytes.Replace(config, []byte("["), []byte(added), 1)
		must(0, os.WriteFile(v.options.ConfigFile, config, 0o600))
		return authority.Root().Raw
	}
	root, second := further("second"), further("third")
	if _, err := PlanRotation(ctx, v.dir, v.options, Change{TimestampRoots: [][]byte{root}}); !errors.Is(err, tlog.ErrTimestamp) {
		t.Errorf("an authority under no root of the plan: %v", err)
	}
	if _, err := os.Stat(folder(v.dir).rotation()); err == nil {
		t.Error("what was refused is planned")
	}
	plan := must(PlanRotation(ctx, v.dir, v.options, Change{TimestampRoots: [][]byte{root, second}}))
	late := decided(t, v.dir, plan)
	late.ConfigFile = v.options.ConfigFile
	trust := must(FinishRotation(ctx, v.dir, late))
	list := trust.Authorities()
	if len(list) != 3 || len(trust.TimestampRoots()) != 3 || !bytes.Equal(list[0].Chain[0], old.Authorities()[0].Chain[0]) {
		t.Fatalf("%d roots, %d authorities", len(trust.TimestampRoots()), len(list))
	}
	for _, a := range list {
		if !a.Start.Equal(old.Authorities()[0].Start) || !a.End.IsZero() {
			t.Errorf("%s from %v to %v", a.URI, a.Start, a.End)
		}
	}
	p := must(open(ctx, v.dir, late))
	message := []byte("checkpoint")
	for _, a := range p.authorities(trust) {
		stamp := must(trust.VerifyTimestamp(must(a.Stamp(ctx, message)), message))
		if !slices.Contains(names, a.Name) {
			t.Errorf("%s stamped at %v", a.Name, stamp.Time)
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == a.Name })
	}
	must(0, p.close())
	if len(names) > 0 {
		t.Errorf("no stamp by %q", names)
	}
	if _, err := PlanRotation(ctx, v.dir, late, Change{TimestampRoots: [][]byte{root}}); !errors.Is(err, errUnplanned) {
		t.Errorf("nothing changes: %v", err)
	}
	// A trust file that forgot one learns of it again.
	parts := tlog.TrustParts{Vault: trust.Vault(), Founders: trust.Founders(), Logs: trust.Logs(), Authorities: list[:2], TimestampRoots: trust.TimestampRoots()}
	must(0, writeFile(folder(v.dir).trust(), must(tlog.NewTrust(parts)).Marshal(), 0o644))
	if plan := must(PlanRotation(ctx, v.dir, late, Change{TimestampRoots: [][]byte{root}})); len(plan.Authorities) != 1 || len(plan.TimestampRoots) != 3 {
		t.Errorf("planned are %d authorities, %d roots", len(plan.Authorities), len(plan.TimestampRoots))
	}
	if trust := must(FinishRotation(ctx, v.dir, late)); len(trust.Authorities()) != 3 {
		t.Errorf("%d authorities", len(trust.Authorities()))
	}
}

// selfSigned is a root certificate.
func selfSigned(t *testing.T) []byte {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	return must(x509.CreateCertificate(nil, template, template, public, private))
}
