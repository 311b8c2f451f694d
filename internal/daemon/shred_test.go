package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/sealing"
)

// The drill of invariant 8: an item is shredded after a backup was made. Restored with the log as it went on, the backup brings back nothing
// that opens it; once the horizon that the event states has passed, no backup holds anything that did; log and receipts still verify.
func TestShredDrill(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	_, c := once()
	now := time.Now()
	o := testOptions()
	o.Now = func() time.Time { return now }
	p := must(open(t.Context(), dir, o))
	in, _, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	item, deposited, err := c.deposit(p, in, 5000)
	if err != nil {
		t.Fatal(err)
	}
	stream := ev.ItemOf(item)
	kept, _, err := c.deposit(p, in, 5000)
	if err != nil {
		t.Fatal(err)
	}
	secrets := [][]byte{}
	for _, who := range []ev.Hash{c.A.fingerprint(), c.B.fingerprint(), ev.Fingerprint(nil, c.Recovery)} {
		body := must(p.records.Envelope(t.Context(), stream, who)).Body
		secrets = append(secrets, body[len(body)-64:])
	}
	before := must(p.records.States(t.Context(), stream))[stream].(*ev.ItemState)
	for _, digest := range []ev.Hash{before.Label.SHA256, before.Description.SHA256} {
		body := must(p.records.StreamAttachment(t.Context(), stream, digest)).Body
		secrets = append(secrets, body[len(body)-64:])
	}
	first := backedUp(t, p, to)

	act := func(who *person, k ev.Kind, d ev.Details) {
		t.Helper()
		signed := who.sign(p, stream, k, d, func(e *ev.Event) { e.Case, e.Time = in, ev.At(now) })
		if o, err := who.submit(p, signed, ""); err != nil || o.Receipt == nil {
			t.Fatalf("%s: %v", k, err)
		}
	}
	act(c.A, ev.RetentionSet, &ev.RetentionSetDetails{Category: "records", Due: ev.At(now)})
	now = now.Add(time.Duration(DefaultPolicy.ConfirmWait)*time.Second + time.Minute)
	act(c.A, ev.ItemShredProposed, &ev.ItemShredProposedDetails{Cause: ev.CauseDue, DryRun: ev.SHA256([]byte("list"))})
	now = now.Add(time.Duration(DefaultPolicy.BinWait)*time.Second + time.Minute)
	horizon := now.Add(time.Duration(DefaultPolicy.BackupHorizon)*time.Second + time.Minute)
	d := &ev.ItemShreddedDetails{Stores: []string{"records", "backups"}, Horizon: ev.At(horizon)}
	for _, e := range before.Envelopes {
		d.Envelopes = append(d.Envelopes, e.Recipient)
	}
	act(c.B, ev.ItemShredded, d)
	gone := func(where string) {
		t.Helper()
		for i, secret := range secrets {
			if found := holds(t, where, secret); len(found) != 0 {
				t.Errorf("part %d is in %q", i, found)
			}
		}
	}
	gone(dir)

	// A crash may come between the event and the erasure: fsck names what is left, and the next start destroys it.
	must(0, p.close())
	statements(t, dir, `update attachments set body = zeroblob(2048) where ord in (select ord from events where stream_id = '`+string(item)+`')`)
	left := 0
	must(Fsck(t.Context(), dir, o, func(d Damage) {
		if left++; !d.Harmless || !strings.Contains(d.What, "was taken away and still exists") {
			t.Errorf("%+v", d)
		}
	}))
	if left == 0 {
		t.Error("fsck does not see what was not erased")
	}
	p = must(open(t.Context(), dir, o))
	must(0, p.vault.Sweep(t.Context()))
	must(0, p.close())
	must(Fsck(t.Context(), dir, o, func(d Damage) { t.Errorf("after a start: %+v", d) }))
	p = must(open(t.Context(), dir, o))
	lost := p.ledger.Checkpoint()

	// A backup alone is older than what is known; with the log it brings everything but what was shredded.
	newest := []string{checkpointFile(t, lost)}
	var fork *Fork
	if _, err := Restore(t.Context(), Restoration{From: to, Data: filepath.Join(t.TempDir(), "old"), Newest: newest}, o, nil); !errors.As(err, &fork) {
		t.Errorf("a backup from before the shred was restored: %v", err)
	}
	must(0, p.close())
	r := Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), Newest: newest, Log: filepath.Join(dir, "log.db")}
	if _, err := Restore(t.Context(), r, o, nil); err != nil {
		t.Fatal(err)
	}
	gone(r.Data)
	anew := must(open(t.Context(), r.Data, o))
	if s := must(anew.records.States(t.Context(), stream))[stream].(*ev.ItemState); s.Shredded == 0 || len(s.Envelopes) != 0 {
		t.Errorf("it came back: %+v", s)
	}
	if _, err := anew.records.Envelope(t.Context(), ev.ItemOf(kept), c.A.fingerprint()); err != nil {
		t.Errorf("another item lost its envelopes: %v", err)
	}
	if entry, err := anew.records.Entry(t.Context(), deposited.LeafHash); err != nil || !entry.Included() {
		t.Errorf("the deposit of a shredded item is not proved any more: %v", err)
	}
	// What is left of its file opens nothing any more. Once it is removed that is no damage, neither to fsck nor to a backup.
	must(0, anew.objects.Remove(t.Context(), objects.Digest(before.Evidence.SHA256), neverLocked))
	backedUp(t, anew, filepath.Join(t.TempDir(), "after"))
	must(0, anew.close())
	clean(t, r.Data, o)

	// Until the horizon the first backup still holds them, as the event says; then none does.
	p = must(open(t.Context(), dir, o))
	defer p.close()
	if found := holds(t, to, secrets[0]); len(found) != 1 {
		t.Fatalf("the first backup has it in %q", found)
	}
	now = horizon
	done := backedUp(t, p, to)
	if len(done.Erased) == 0 || done.Erased[0] != first.Snapshot {
		t.Fatalf("erased: %q", done.Erased)
	}
	gone(to)
}

// clean demands that fsck finds nothing.
func clean(t *testing.T, dir string, o Options) Examined {
	t.Helper()
	examined, err := Fsck(t.Context(), dir, o, func(d Damage) {
		if !d.Harmless {
			t.Errorf("%+v", d)
		}
	})
	if err != nil {
		t.Error(err)
	}
	return examined
}

// Who left a case and came back has the new label key. That the envelope of before is gone is no damage, nor a loss when the records are made
// again, which do not bring it back either.
func TestMemberComesBack(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	_, c := once()
	p := must(open(t.Context(), dir, testOptions()))
	in, _, err := c.openCase(p)
	if err != nil {
		t.Fatal(err)
	}
	stream := ev.CaseOf(in)
	comes := func() []byte {
		t.Helper()
		a := ledger.Attachment{Kind: ledger.LabelEnvelope, Recipient: c.C.fingerprint(), Body: must(sealing.WriteEnvelope(must(sealing.NewItemKey()), c.C.Recipient))}
		d := &ev.CaseMemberAddedDetails{
			Member: ev.Member{Actor: c.C.ID, Rights: []ev.Right{ev.MayDeposit}}, Envelope: ev.EnvelopeRef{Recipient: a.Recipient, SHA256: ev.SHA256(a.Body)},
		}
		must(c.A.submit(p, c.A.sign(p, stream, ev.CaseMemberAdded, d), "", a))
		return a.Body[len(a.Body)-64:]
	}
	first := comes()
	backedUp(t, p, to) // the newest that has it
	label := must(sealing.NewItemKey())
	refs, envelopes := c.sealed(label, ledger.LabelEnvelope)
	gone := &ev.CaseMemberRemovedDetails{Actor: c.C.ID, Cause: ev.CauseDeparture, LabelKey: ev.LabelKey{Recipient: label.Recipient(), Envelopes: refs}}
	must(c.A.submit(p, c.A.sign(p, stream, ev.CaseMemberRemoved, gone), "", envelopes...))
	second := comes()
	must(0, p.settle(t.Context()))
	must(0, p.close())
	clean(t, dir, testOptions())
	if len(holds(t, dir, first)) != 0 || len(holds(t, dir, second)) == 0 {
		t.Error("the envelope of before is not gone, or the one of now is")
	}

	attachments := must(filepath.Glob(filepath.Join(to, "snapshots", "*", erasableFile)))
	was := folder(dir).records()
	kept := filepath.Join(t.TempDir(), "records.db")
	must(0, os.Rename(was, kept))
	done := must(Rebuild(t.Context(), dir, testOptions(), append(attachments, kept)))
	if len(done.Lost) != 0 {
		t.Errorf("lost: %+v", done.Lost)
	}
	if len(holds(t, dir, first)) != 0 || len(holds(t, dir, second)) == 0 {
		t.Error("made again: the envelope of before came back, or the one of now did not")
	}
	clean(t, dir, testOptions())
}
