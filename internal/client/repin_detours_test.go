package client

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// would is what Repin says, by a clock that is off, if nothing is kept of it.
func (w *world) would(p *person, next tlog.Trust, off time.Duration) error {
	c := w.config(p)
	c.Keystore = &trial{Keystore: c.Keystore, written: make(map[string][]byte)}
	c.Now = func() time.Time { return options.Now().Add(off) }
	return Repin(context.Background(), c, next)
}

// pin gives a new trust file to those who decide.
func (w *world) pin(next tlog.Trust) {
	w.Helper()
	for _, p := range []*person{w.admin, w.custodian} {
		c := w.config(p)
		c.Now = options.Now
		check(w, Repin(w.Context(), c, next))
		p.Client = must(New(c))(w)
	}
}

// Plans are lost, decisions taken back by mistake and mended, and one waits to be carried out: whoever has an earlier file pins the one in use.
func TestRotationByDetours(t *testing.T) {
	w := newWorldOf(t)
	ctx := t.Context()
	witnesses := func(name string) daemon.Change {
		policy := named(name)
		return daemon.Change{Witness: &policy}
	}
	w.decide(must(daemon.PlanRotation(ctx, w.dir, options, witnesses("one")))(t))
	check(t, daemon.CancelRotation(w.dir))
	now := must(w.admin.Policy(ctx))(t).Configuration()
	change := witnesses("two")
	change.NewLogKeys = true
	plan := must(daemon.PlanRotation(ctx, w.dir, options, change))(t)
	w.decide(plan)
	var next tlog.Trust
	w.again(func() { next = must(daemon.FinishRotation(ctx, w.dir, options))(t) })
	w.pin(next)
	w.decide(daemon.Rotation{LogKeys: now.LogKeys, Witness: now.Witness, Roots: now.TimestampRoots}) // the old keys and the lost witnesses, by mistake
	if err := w.would(w.court, next, 0); err != nil {
		t.Errorf("while it is taken back, which cannot be: %v", err)
	}
	w.decide(plan)
	if err := w.would(w.court, next, 0); err != nil {
		t.Errorf("mended: %v", err)
	}

	w.decide(must(daemon.PlanRotation(ctx, w.dir, options, witnesses("one")))(t)) // which was lost before
	if err := w.would(w.court, next, 0); err != nil {
		t.Errorf("the file in use, while what was decided waits: %v", err)
	}
	w.again(func() { next = must(daemon.FinishRotation(ctx, w.dir, options))(t) })
	check(t, Repin(ctx, w.config(w.court), next))
}

// Half an hour after the founding the log's keys are rotated, and later the records are rebuilt from the log: all receipts are made anew, under
// the new key. Not parallel: the clock of all vaults is moved.
func TestRotationThenRebuild(t *testing.T) {
	var drift atomic.Int64
	options.Now = func() time.Time { return time.Now().Add(time.Duration(drift.Load())) }
	t.Cleanup(func() { options.Now = time.Now })
	w := &world{TB: t, dir: filepath.Join(t.TempDir(), "vault"), policy: daemon.DefaultPolicy}
	w.policy.ConfirmWait = 1
	w.found()
	w.again(func() {})
	ctx := t.Context()
	w.decide(must(daemon.PlanRotation(ctx, w.dir, options, daemon.Change{NewLogKeys: true}))(t))
	drift.Store(int64(30 * time.Minute))
	var next tlog.Trust
	w.again(func() { next = must(daemon.FinishRotation(ctx, w.dir, options))(t) })
	if err := w.would(w.court, next, 0); err != nil {
		t.Fatal(err)
	}
	wantReason(t, w.would(w.court, next, -10*time.Minute), evidence.ReasonClock)
	w.pin(next)
	_, err := w.admin.ReportIncident(ctx, evidence.VaultIncidentDetails{Code: "outage", Scope: "vault", From: evidence.At(time.Now().Add(-time.Hour))})
	check(t, err)
	drift.Store(int64(time.Hour))
	late := tlog.TrustParts{Vault: next.Vault(), Logs: append([]tlog.Log{}, next.Logs()...), Founders: next.Founders(), WitnessPolicy: next.WitnessPolicy()}
	late.Logs[2].End = late.Logs[2].End.Add(20 * time.Minute)
	if err := w.would(w.court, must(tlog.NewTrust(late))(t), 0); LieOf(err) != UndecidedTrust {
		t.Errorf("an end after the use of the new key: %v", err)
	}
	w.again(func() {
		away := filepath.Join(filepath.Dir(w.dir), "away.db")
		check(t, os.Rename(filepath.Join(w.dir, "records.db"), away))
		must(daemon.Rebuild(ctx, w.dir, options, []string{away}))(t)
	})
	if err := w.would(w.court, next, 0); err != nil {
		t.Errorf("after the records were rebuilt: %v", err)
	}
	late.Logs[2].End = late.Logs[2].End.Add(time.Hour)
	if err := w.would(w.court, must(tlog.NewTrust(late))(t), 0); LieOf(err) != UndecidedTrust {
		t.Errorf("after that, an end that lies ahead: %v", err)
	}
	w.stop()
}
