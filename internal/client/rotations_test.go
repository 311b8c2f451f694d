package client

import (
	"testing"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// While a rotation of the log's keys waits, the vault's own key is changed. Carried out, the first does not undo the second.
func TestVaultKeyChangesMeanwhile(t *testing.T) {
	w := newWorldOf(t)
	ctx := t.Context()
	plan := must(daemon.PlanRotation(ctx, w.dir, options, daemon.Change{NewLogKeys: true}))(t)
	vault := evidence.ActorID(w.trust.Founders()[0].Actor)
	code, digest, err := w.custodian.Invite(ctx, Offer{Rotation: vault})
	check(t, err)
	var number evidence.Hash
	w.again(func() { number = must(daemon.RotateVaultKey(ctx, w.dir, options, code, ""))(t) })
	_, err = w.custodian.Admit(ctx, digest, evidence.CauseCompromise)
	check(t, err)
	_, err = w.second.Confirm(ctx, Confirmation{Actor: vault, Typed: tlog.SixGroups(tlog.Hash(number)), Method: evidence.InPerson})
	check(t, err)
	w.again(func() {})
	w.decide(plan)
	var next tlog.Trust
	w.again(func() { next = must(daemon.FinishRotation(ctx, w.dir, options))(t) })
	check(t, Repin(ctx, w.config(w.admin), next))
	w.admin.Client = w.client(w.admin, nil)
	_, err = w.admin.ReportIncident(ctx, evidence.VaultIncidentDetails{Code: "outage", Scope: "vault", From: evidence.At(options.Now())})
	check(t, err)
	_, err = w.admin.Look(ctx, evidence.PolicyOf(w.trust.Vault()))
	check(t, err)
}
