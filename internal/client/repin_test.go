package client

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/omniwitness"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// newWorldOf is a world of its own, in which a change of the policy counts a second after it was confirmed.
func newWorldOf(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{TB: t, dir: filepath.Join(t.TempDir(), "vault"), policy: daemon.DefaultPolicy}
	w.policy.ConfirmWait = 1
	w.found()
	w.again(func() {})
	return w
}

// again stops the vault, does something to its folder, and serves it anew.
func (w *world) again(meanwhile func()) {
	w.Helper()
	if w.stop != nil {
		w.stop()
	}
	meanwhile()
	d := must(daemon.Open(context.Background(), w.dir, options))(w)
	server := httptest.NewServer(d.Handler())
	stopped := false
	w.server, w.stop = server, func() {
		if !stopped {
			stopped = true
			server.Close()
			check(w, d.Close())
		}
	}
	w.Cleanup(w.stop)
	for _, p := range []*person{w.admin, w.custodian, w.second, w.clinician, w.investigator, w.court} {
		profile := must(ReadProfile(p.folder))(w)
		profile.Address = server.URL
		check(w, WriteProfile(p.folder, profile))
		p.Client = w.client(p, nil)
	}
}

func (w *world) config(p *person) Config {
	return Config{Keystore: p.folder, Signer: p.key, Unlock: func() (sealing.Identity, error) { return p.identity, nil }, HTTP: w.server.Client(), Tool: tool, Now: time.Now}
}

// decide has two people decide what was planned, and waits until it counts: from when is returned.
func (w *world) decide(plan daemon.Rotation) evidence.Time {
	w.Helper()
	ctx := w.Context()
	now := must(w.admin.Policy(ctx))(w)
	to := now.Configuration()
	to.LogKeys, to.Witness, to.TimestampRoots = plan.LogKeys, plan.Witness, plan.Roots
	_, err := w.admin.Configure(ctx, now, to)
	check(w, err)
	_, effective, err := w.custodian.ConfirmConfiguration(ctx, must(w.custodian.Policy(ctx))(w).Waiting.Event)
	check(w, err)
	time.Sleep(time.Until(effective.Std()) + 10*time.Millisecond)
	return effective
}

// exported is a package of something that is shared with the court.
func (w *world) exported(in evidence.CaseID, consent evidence.ConsentID, body string) *bytes.Reader {
	w.Helper()
	item := w.deposit(w.clinician, in, consent, strings.NewReader(body))
	_, err := w.clinician.Seal(w.Context(), item, 0)
	check(w, err)
	var file bytes.Buffer
	_, err = w.court.Export(w.Context(), Export{Item: item, Grant: w.grants(w.custodian, item, w.court)}, &file)
	check(w, err)
	return bytes.NewReader(file.Bytes())
}

// verified compares what a package is under a trust file with what it should be, and why.
func (w *world) verified(what string, file *bytes.Reader, trust tlog.Trust, want dossier.Verdict, reason string) {
	w.Helper()
	r := must(dossier.Verify(file, file.Size(), dossier.Options{Trust: &trust, Identity: &w.court.identity}))(w)
	found := reason == ""
	for _, c := range r.Checks {
		found = found || c.Reason == reason && c.Detail != ""
	}
	if r.Verdict != want || !found {
		w.Errorf("%s is %s: %+v", what, r.Verdict, r.Checks)
	}
}

func (w *world) trustFile() tlog.Trust {
	w.Helper()
	return must(tlog.ParseTrust(must(os.ReadFile(filepath.Join(w.dir, "trust.json")))(w)))(w)
}

// The log's keys are rotated by two people. Clients refuse what the new keys sign until they have the new trust file, and take that only because
// the vault's history says that it was decided. Everything from before still verifies.
func TestLogKeyRotation(t *testing.T) {
	w := newWorldOf(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	item := w.deposit(w.clinician, in, consent, strings.NewReader("before"))
	old := w.trustFile()
	earlier := w.exported(in, consent, "shared before")
	w.verified("the earlier package", earlier, old, dossier.Verified, "")

	plan := must(daemon.PlanRotation(ctx, w.dir, options, daemon.Change{NewLogKeys: true}))(t) // while it is served
	if _, err := daemon.PlanRotation(ctx, w.dir, options, daemon.Change{NewLogKeys: true}); err == nil {
		t.Error("a second plan over the first")
	}
	w.again(func() {
		if _, err := daemon.FinishRotation(ctx, w.dir, options); !errors.Is(err, daemon.ErrUndecided) {
			t.Fatalf("before anybody decided it: %v", err)
		}
	})
	if w.trustFile().Fingerprint() != old.Fingerprint() {
		t.Fatal("a rotation that nobody decided has changed the trust file")
	}
	decided := w.decide(plan)
	var next tlog.Trust
	w.again(func() { next = must(daemon.FinishRotation(ctx, w.dir, options))(t) })
	if next.Fingerprint() != w.trustFile().Fingerprint() || len(next.Logs()) != 4 || next.Logs()[2].End.IsZero() || !next.Logs()[0].End.IsZero() {
		t.Fatalf("%+v", next.Logs())
	}

	// The administrator is the first to do something: until then the newest checkpoint is an old one, which everybody believes.
	check(t, Repin(ctx, w.config(w.admin), next))
	w.admin.Client = w.client(w.admin, nil)
	receipt, err := w.admin.ReportIncident(ctx, evidence.VaultIncidentDetails{Code: "outage", Scope: "vault", From: evidence.At(time.Now().Add(-time.Hour))})
	check(t, err)
	noted := receipt.Event.Time // the first entry under the new key
	_, err = w.custodian.Open(ctx, Open{Item: item, Purpose: evidence.ForDocumentation}, io.Discard)
	wantLie(t, err, WrongLogKey)

	// A trust file with a key that nobody decided, even if the operator signs with it, is refused; so is one that takes something away.
	foreign := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	parts := func(change func(*tlog.TrustParts)) tlog.Trust {
		p := tlog.TrustParts{Vault: next.Vault(), Logs: append([]tlog.Log{}, next.Logs()...), Founders: append([]tlog.Founder{}, next.Founders()...), WitnessPolicy: next.WitnessPolicy()}
		change(&p)
		return must(tlog.NewTrust(p))(t)
	}
	start := next.Logs()[0].Valid
	end := func(of func(time.Time) time.Time) tlog.Trust { // of the key that signed, which was pinned without one
		return parts(func(p *tlog.TrustParts) { p.Logs[2].End = of(p.Logs[2].End) })
	}
	for name, file := range map[string]tlog.Trust{
		"a key more": parts(func(p *tlog.TrustParts) { p.Logs = append(p.Logs, tlog.Log{Key: foreign.Public(), Valid: start}) }),
		"a retired one": parts(func(p *tlog.TrustParts) {
			p.Logs = append(p.Logs, tlog.Log{Key: foreign.Public(), Valid: tlog.Valid{Start: start.Start.Add(-time.Hour), End: start.Start}})
		}),
		"witnesses":                parts(func(p *tlog.TrustParts) { p.WitnessPolicy = "quorum none\n" }),
		"an end far ahead":         end(func(end time.Time) time.Time { return end.AddDate(1, 0, 0) }),
		"an end after its use":     end(func(time.Time) time.Time { return noted.Std().Add(2*evidence.Clock + time.Second) }),
		"an end before the change": end(func(time.Time) time.Time { return decided.Std().Add(evidence.Clock - time.Millisecond) }),
		"an end before all":        end(func(time.Time) time.Time { return next.Logs()[2].Start.Add(time.Millisecond) }),
		"retired, and no end":      end(func(time.Time) time.Time { return time.Time{} }),
		"in use, and an end":       parts(func(p *tlog.TrustParts) { p.Logs[1].End = p.Logs[2].End }),
		"a new key's beginning":    parts(func(p *tlog.TrustParts) { p.Logs[0].Start = p.Logs[0].Start.Add(-time.Hour) }),
		"a new key withheld":       parts(func(p *tlog.TrustParts) { p.Logs = slices.Delete(p.Logs, 1, 2) }),
	} {
		if err := Repin(ctx, w.config(w.custodian), file); LieOf(err) != UndecidedTrust {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, file := range map[string]tlog.Trust{
		"an old key gone":        parts(func(p *tlog.TrustParts) { p.Logs = p.Logs[:3] }),
		"an old key's beginning": parts(func(p *tlog.TrustParts) { p.Logs[2].Start = p.Logs[2].Start.Add(-time.Hour) }),
	} {
		wantReason(t, Repin(ctx, w.config(w.custodian), file), reasonOlderTrust)
		_ = name
	}
	if err := Repin(ctx, w.config(w.custodian), parts(func(p *tlog.TrustParts) { p.Founders[1].Actor = string(evidence.NewID[evidence.ActorID]()) })); !errors.Is(err, ErrPinned) {
		t.Errorf("other founders: %v", err)
	}
	if pinned := must(ReadTrust(w.custodian.folder))(t); pinned.Fingerprint() != old.Fingerprint() {
		t.Fatal("what was refused is pinned")
	}

	for _, p := range []*person{w.custodian, w.clinician, w.second, w.court} {
		check(t, Repin(ctx, w.config(p), next))
		p.Client = w.client(p, nil)
	}
	wantReason(t, Repin(ctx, w.config(w.custodian), old), reasonOlderTrust) // never back
	var got strings.Builder
	_, err = w.custodian.Open(ctx, Open{Item: item, Purpose: evidence.ForDocumentation}, &got)
	if check(t, err); got.String() != "before" {
		t.Errorf("%q", &got)
	}
	// Old packages verify with the new file, new ones not with the old.
	w.verified("the earlier package, under the new file", earlier, next, dossier.Verified, "")
	later := w.exported(in, consent, "shared after")
	w.verified("a later package", later, next, dossier.Verified, "")
	w.verified("a later package, under the old file", later, old, dossier.Refused, dossier.ReasonLogKey)

	// The investigator missed one rotation and comes back after another: what was in use between may not be missing, nor count for too long.
	// What two people decided between these was lost before anybody carried it out: nothing is to be found of it.
	w.decide(must(daemon.PlanRotation(ctx, w.dir, options, daemon.Change{NewLogKeys: true}))(t))
	check(t, daemon.CancelRotation(w.dir))
	w.decide(must(daemon.PlanRotation(ctx, w.dir, options, daemon.Change{NewLogKeys: true}))(t))
	w.again(func() { next = must(daemon.FinishRotation(ctx, w.dir, options))(t) })
	if len(next.Logs()) != 6 || next.Logs()[2].End.IsZero() || !next.Logs()[4].End.Before(next.Logs()[2].End) {
		t.Fatalf("%+v", next.Logs())
	}
	for name, file := range map[string]tlog.Trust{
		"withheld":      parts(func(p *tlog.TrustParts) { p.Logs = slices.Delete(p.Logs, 2, 3) }),
		"both withheld": parts(func(p *tlog.TrustParts) { p.Logs = slices.Delete(p.Logs, 2, 4) }),
		"as in use now": parts(func(p *tlog.TrustParts) { p.Logs[2].End = time.Time{} }),
		"the first until after the second was in use": parts(func(p *tlog.TrustParts) {
			p.Logs[4].End = noted.Std().Add(2*evidence.Clock + time.Second)
		}),
		"the second before the decision": parts(func(p *tlog.TrustParts) { p.Logs[2].End = p.Logs[4].End }),
		"the second from later on":       parts(func(p *tlog.TrustParts) { p.Logs[2].Start = p.Logs[2].End.Add(-time.Millisecond) }),
	} {
		if err := Repin(ctx, w.config(w.investigator), file); LieOf(err) != UndecidedTrust {
			t.Errorf("between, %s: %v", name, err)
		}
	}
	check(t, Repin(ctx, w.config(w.investigator), next))
	w.verified("the earlier package, after two rotations", earlier, next, dossier.Verified, "")
	w.stop()
	if e := must(daemon.Fsck(ctx, w.dir, options, func(d daemon.Damage) { t.Errorf("fsck: %+v", d) }))(t); e.Events == 0 {
		t.Error("nothing was examined")
	}
}

// The witnesses are replaced by two people, twice. Packages keep the word of those who were asked when they were made, and nobody makes those
// count for longer, nor others that were never asked.
func TestWitnessRotation(t *testing.T) {
	t.Parallel()
	w := &world{TB: t, dir: filepath.Join(t.TempDir(), "vault"), policy: daemon.DefaultPolicy}
	w.policy.ConfirmWait = 1
	program, ctx := must(omniwitness.Find())(t), t.Context()
	witness := func(name string) *omniwitness.Witness {
		return must(omniwitness.New(program, filepath.Join(filepath.Dir(w.dir), name), name, omniwitness.Ed25519))(t)
	}
	one, two, three := witness("one.example"), witness("two.example"), witness("three.example")
	both := func(a, b *omniwitness.Witness) string {
		return a.Line() + b.Line() + "group both all " + a.Name + " " + b.Name + "\nquorum both\n"
	}
	w.witness = both(one, two)
	w.found()
	w.runs(one)
	w.runs(two)
	w.again(func() {})
	in := w.openCase()
	consent := w.consent(in)
	earlier, old := w.exported(in, consent, "before"), w.trustFile()
	w.verified("the earlier package", earlier, old, dossier.Verified, "")
	item := w.deposit(w.clinician, in, consent, strings.NewReader("shared twice"))
	must(w.clinician.Seal(ctx, item, 0))(t)
	grant := w.grants(w.custodian, item, w.court)
	// deposited says between which times the witnesses saw the deposit.
	deposited := func(trust tlog.Trust) (after, by evidence.Time) {
		t.Helper()
		var file bytes.Buffer
		must(w.court.Export(ctx, Export{Item: item, Grant: grant}, &file))(t)
		r := must(dossier.Verify(bytes.NewReader(file.Bytes()), int64(file.Len()), dossier.Options{Trust: &trust}))(t)
		if r.Verdict != dossier.Verified || len(r.Events) == 0 {
			t.Fatalf("%s: %+v", r.Verdict, r.Checks)
		}
		return r.Events[0].After, r.Events[0].By
	}
	after, by := deposited(old)

	var decided evidence.Time
	rotate := func(policy string) tlog.Trust {
		t.Helper()
		decided = w.decide(must(daemon.PlanRotation(ctx, w.dir, options, daemon.Change{Witness: &policy}))(t))
		var next tlog.Trust
		w.again(func() { next = must(daemon.FinishRotation(ctx, w.dir, options))(t) })
		return next
	}
	w.runs(three)
	next := rotate(both(two, three))
	one.Kill()
	if list := next.EarlierPolicies(); len(list) != 1 || list[0].Policy != old.WitnessPolicy() || list[0].Until.After(time.Now().Add(2*evidence.Clock)) {
		t.Fatalf("%+v", list)
	}
	parts := func(of tlog.Trust, change func(*tlog.TrustParts)) tlog.Trust {
		p := tlog.TrustParts{Vault: of.Vault(), Logs: of.Logs(), Founders: of.Founders(), WitnessPolicy: of.WitnessPolicy(), EarlierPolicies: of.EarlierPolicies()}
		change(&p)
		return must(tlog.NewTrust(p))(t)
	}
	refused := func(who *person, files map[string]tlog.Trust) {
		t.Helper()
		for name, file := range files {
			// A file that still asks the first is refused for what it says, or sooner, because the first confirms nothing any more.
			lie := LieOf(Repin(ctx, w.config(who), file))
			if lie != UndecidedTrust && (lie != Unwitnessed || file.WitnessPolicy() != old.WitnessPolicy()) {
				t.Errorf("%s: %q", name, lie)
			}
		}
	}
	never := both(one, three)
	refused(w.custodian, map[string]tlog.Trust{
		"before the decision": parts(next, func(p *tlog.TrustParts) {
			p.EarlierPolicies[0].Until = decided.Add(evidence.Clock).Std().Add(-time.Millisecond)
		}),
		"for four minutes and more": parts(next, func(p *tlog.TrustParts) {
			p.EarlierPolicies[0].Until = time.Now().Add(2*evidence.Clock + time.Minute).UTC().Truncate(time.Millisecond)
		}),
		"twice":      parts(next, func(p *tlog.TrustParts) { p.EarlierPolicies = append(p.EarlierPolicies, p.EarlierPolicies[0]) }),
		"forgotten":  parts(next, func(p *tlog.TrustParts) { p.EarlierPolicies = nil }),
		"for a year": parts(next, func(p *tlog.TrustParts) { p.EarlierPolicies[0].Until = p.EarlierPolicies[0].Until.AddDate(1, 0, 0) }),
		"another":    parts(next, func(p *tlog.TrustParts) { p.EarlierPolicies[0].Policy = never }),
		"one that never was": parts(next, func(p *tlog.TrustParts) {
			p.EarlierPolicies = append(p.EarlierPolicies, tlog.EarlierPolicy{Policy: never, Until: p.EarlierPolicies[0].Until})
		}),
		"nothing changed": parts(old, func(p *tlog.TrustParts) {
			p.EarlierPolicies = next.EarlierPolicies()
			p.EarlierPolicies[0].Policy = never
		}),
	})
	for _, p := range []*person{w.admin, w.custodian, w.clinician, w.second} {
		check(t, Repin(ctx, w.config(p), next))
		p.Client = w.client(p, nil)
	}
	w.verified("the earlier package, under the new file", earlier, next, dossier.Verified, "")
	w.verified("the earlier package, without the earlier policy", earlier, parts(next, func(p *tlog.TrustParts) { p.EarlierPolicies = nil }), dossier.Incomplete, dossier.ReasonWitnessMissing)

	// The court comes back after two rotations, the others saw both.
	last := rotate(three.Line() + "quorum " + three.Name + "\n")
	two.Kill()
	refused(w.custodian, map[string]tlog.Trust{
		"the first longer": parts(last, func(p *tlog.TrustParts) {
			p.EarlierPolicies[0].Until = p.EarlierPolicies[0].Until.Add(time.Millisecond)
		}),
	})
	wantReason(t, Repin(ctx, w.config(w.custodian), old), reasonOlderTrust)
	refused(w.court, map[string]tlog.Trust{
		"between that never was": parts(last, func(p *tlog.TrustParts) { p.EarlierPolicies[1].Policy = never }),
		"one left out":           parts(last, func(p *tlog.TrustParts) { p.EarlierPolicies = p.EarlierPolicies[:1] }),
		"the first left out":     parts(last, func(p *tlog.TrustParts) { p.EarlierPolicies = p.EarlierPolicies[1:] }),
		"one put between": parts(last, func(p *tlog.TrustParts) {
			p.EarlierPolicies = slices.Insert(p.EarlierPolicies, 1, tlog.EarlierPolicy{Policy: never, Until: p.EarlierPolicies[0].Until})
		}),
		"in another order": parts(last, func(p *tlog.TrustParts) {
			p.EarlierPolicies[0].Policy, p.EarlierPolicies[1].Policy = p.EarlierPolicies[1].Policy, p.EarlierPolicies[0].Policy
		}),
		"the first before its decision": parts(last, func(p *tlog.TrustParts) { p.EarlierPolicies[0].Until = p.EarlierPolicies[0].Until.Add(-time.Hour) }),
		"the second before its decision": parts(last, func(p *tlog.TrustParts) {
			p.EarlierPolicies[1].Until = decided.Add(evidence.Clock).Std().Add(-time.Millisecond)
		}),
	})
	for _, p := range []*person{w.admin, w.custodian, w.clinician, w.second, w.court} {
		check(t, Repin(ctx, w.config(p), last))
		p.Client = w.client(p, nil)
	}
	later := w.exported(in, consent, "after")
	w.verified("a later package", later, last, dossier.Verified, "")
	if a, b := deposited(last); a != after || b != by || by == 0 {
		t.Errorf("the witnesses of its time saw the deposit in (%v, %v], a package of today says (%v, %v]", after, by, a, b)
	}
	w.verified("a later package, under the old file", later, old, dossier.Incomplete, dossier.ReasonWitnessMissing)
	w.verified("the earlier package, after two rotations", earlier, last, dossier.Verified, "")
	w.stop()
	must(daemon.Fsck(ctx, w.dir, options, func(d daemon.Damage) { t.Errorf("fsck: %+v", d) }))(t)
}

// The vault's own key is rotated by a custodian and confirmed by another person. The vault signs with the one that is in force, before, between
// and after, and says nothing while there is none. Packages of before and after verify under the one trust file.
func TestVaultKeyRotation(t *testing.T) {
	w := newWorldOf(t)
	ctx := t.Context()
	vault := evidence.ActorID(w.trust.Founders()[0].Actor)
	in := w.openCase()
	consent := w.consent(in)
	earlier := w.exported(in, consent, "before")
	if _, _, err := w.admin.Invite(ctx, Offer{Rotation: vault}); err == nil {
		t.Error("an administrator invites the vault's next key")
	}
	code, digest, err := w.custodian.Invite(ctx, Offer{Rotation: vault})
	check(t, err)
	var number evidence.Hash
	w.again(func() {
		if _, err := daemon.RotateVaultKey(ctx, w.dir, options, "aaaaaaaaaaaaaaaaaaaaaaaaaa", ""); err == nil {
			t.Error("another code was taken")
		}
		number = must(daemon.RotateVaultKey(ctx, w.dir, options, code, ""))(t)
		if again := must(daemon.RotateVaultKey(ctx, w.dir, options, code, ""))(t); again != number {
			t.Error("repeated, it makes another key")
		}
	})
	_, err = w.custodian.Admit(ctx, digest, evidence.CauseCompromise)
	check(t, err)
	_, err = w.custodian.Confirm(ctx, Confirmation{Actor: vault, Typed: tlog.SixGroups(tlog.Hash(number)), Method: evidence.InPerson})
	wantReason(t, err, evidence.ReasonSecondPerson)
	_, err = w.second.Confirm(ctx, Confirmation{Actor: vault, Typed: tlog.SixGroups(tlog.Hash(number)), Method: evidence.InPerson})
	check(t, err)

	whole := func() { // heads are signed by the vault's own key
		t.Helper()
		in := w.openCase()
		consent := w.consent(in)
		item := w.deposit(w.clinician, in, consent, strings.NewReader("x"))
		v, err := w.custodian.Look(ctx, evidence.ItemOf(item))
		if check(t, err); v.Len(evidence.ItemOf(item)) == 0 {
			t.Error("nothing is there")
		}
		who := must(w.custodian.Person(ctx, vault))(t)
		if who.Status != evidence.StatusActive {
			t.Errorf("%s", who.Status)
		}
	}
	whole()            // without a restart
	w.again(func() {}) // which makes the next key the vault's own
	whole()
	settings := string(must(os.ReadFile(filepath.Join(w.dir, "vault.json")))(t))
	if strings.Contains(settings, "vault_next") || !strings.Contains(settings, "vault-2.pem") {
		t.Errorf("%s", settings)
	}
	w.verified("a package of before", earlier, w.trust, dossier.Verified, "")
	w.verified("a package of after", w.exported(in, consent, "after"), w.trust, dossier.Verified, "")
	w.stop()
	must(daemon.Fsck(ctx, w.dir, options, func(d daemon.Damage) { t.Errorf("fsck: %+v", d) }))(t)
}
