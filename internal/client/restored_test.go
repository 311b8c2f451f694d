package client

import (
	"bytes"
	"io"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
)

// serve goes on from the vault in another folder, and everybody with what their devices remember.
func (w *world) serve(dir string) {
	w.Helper()
	d := must(daemon.Open(w.Context(), dir, options))(w)
	server := httptest.NewServer(d.Handler())
	w.server, w.stop = server, sync.OnceFunc(func() {
		server.Close()
		check(w, d.Close())
	})
	w.Cleanup(w.stop)
	for _, p := range []*person{w.admin, w.custodian, w.second, w.clinician, w.investigator, w.court} {
		w.connect(p)
	}
}

// An operator puts back an old copy of the whole folder, keys included, as if nothing had happened since: who saw more notices at once, and
// still does when the other history has outgrown the one that was seen.
func TestOldCopyPutBack(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	id := w.deposit(w.clinician, in, consent, strings.NewReader("a finding"))
	w.stop()
	old := filepath.Join(t.TempDir(), "old")
	copyFolder(t, old, w.dir)

	w.serve(w.dir)
	must(w.second.Open(ctx, Open{Item: id, Purpose: evidence.ForCare}, io.Discard))(t)
	must(w.custodian.Look(ctx, evidence.ItemOf(id)))(t)
	seen := w.custodian.memory.snapshot().parsed.Size
	w.stop()

	w.serve(old)
	_, err := w.custodian.Look(ctx, evidence.ItemOf(id))
	wantLie(t, err, RolledBack)
	for size := int64(0); size <= seen; { // the clinician saw nothing of the opening
		w.deposit(w.clinician, in, consent, strings.NewReader("another"))
		size = w.clinician.memory.snapshot().parsed.Size
	}
	_, err = w.custodian.Look(ctx, evidence.ItemOf(id))
	wantLie(t, err, Forked)
	_, err = w.custodian.Open(ctx, Open{Item: id, Purpose: evidence.ForCare}, io.Discard)
	wantLie(t, err, Forked)
}

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
	w.serve(anew)

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
