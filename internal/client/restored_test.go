package client

import (
	"bytes"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
)

// The machine is lost and the vault restored elsewhere. People go on with what their devices remember: nothing they saw is missing, so no
// alarm; but nothing new is taken until a custodian has confirmed the restore.
func TestPeopleGoOnAfterRestore(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	id := w.deposit(w.clinician, in, consent, strings.NewReader("a finding"))
	_, err := w.custodian.Restored(ctx)
	if evidence.KindOf(err) != evidence.NotFound {
		t.Errorf("a restore that nobody made: %v", err)
	}
	w.stop()

	to, anew := filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "vault")
	backed := must(daemon.Backup(ctx, w.dir, options, daemon.BackupOptions{To: to, Keep: 3}))(t)
	must(daemon.Restore(ctx, daemon.Restoration{From: to, Data: anew, Newest: []string{filepath.Join(w.dir, "checkpoint")}}, options, nil))(t)
	d := must(daemon.Open(ctx, anew, options))(t)
	w.server = httptest.NewServer(d.Handler())
	t.Cleanup(func() {
		w.server.Close()
		check(t, d.Close())
	})
	for _, p := range []*person{w.admin, w.custodian, w.second, w.clinician, w.investigator, w.court} {
		w.connect(p)
	}

	var body bytes.Buffer
	must(w.custodian.Open(ctx, Open{Item: id, Purpose: evidence.ForDocumentation}, &body))(t)
	if body.String() != "a finding" {
		t.Errorf("after the restore: %q", &body)
	}
	_, _, err = w.clinician.Deposit(ctx, w.photo(in, consent, strings.NewReader("another")))
	if evidence.ReasonOf(err) != evidence.ReasonRestored {
		t.Errorf("a deposit before the confirmation: %v", err)
	}
	waits := must(w.second.Restored(ctx))(t)
	if waits.Details.Before != backed.Manifest.LogSize || waits.Details.After < waits.Details.Before {
		t.Errorf("%+v, backed up at %d", waits.Details, backed.Manifest.LogSize)
	}
	if _, err := w.second.ConfirmRestore(ctx, evidence.SHA256(nil)); evidence.KindOf(err) != evidence.NotFound {
		t.Errorf("another restore confirmed: %v", err)
	}
	must(w.second.ConfirmRestore(ctx, waits.Event))(t)
	w.deposit(w.clinician, in, consent, strings.NewReader("another"))
}
