package vault_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
)

// Damaged bytes are never served.
func TestDamagedIsNotServed(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	o := w.open("custodian", c.item.id)
	w.records = func(r vault.Records) vault.Records { return flippedRecords{r} }
	w.restart()
	by := w.people["custodian"].caller()
	_, err := w.Vault.Open(ctx(), by, o.LeafHash)
	refused(t, err, ev.Internal, "damaged")
	_, err = w.Attachment(ctx(), by, o.LeafHash, w.eventOf(c.item.id, 0), c.item.notes[0].SHA256)
	refused(t, err, ev.Internal, "damaged")
	_, err = w.LabelEnvelope(ctx(), by, c.in)
	refused(t, err, ev.Internal, "damaged")
	if again, err := w.Outcome(ctx(), by, o.LeafHash); err != nil || again.Receipt == nil || again.Opening != nil {
		t.Errorf("the event's own outcome: %v", err)
	}
}

type flippedRecords struct{ vault.Records }

func flip(a ledger.Attachment, err error) (ledger.Attachment, error) {
	if err == nil {
		a.Body[len(a.Body)-1] ^= 1
	}
	return a, err
}

func (r flippedRecords) Envelope(ctx context.Context, s ev.Stream, recipient ev.Hash) (ledger.Attachment, error) {
	return flip(r.Records.Envelope(ctx, s, recipient))
}

func (r flippedRecords) StreamAttachment(ctx context.Context, s ev.Stream, digest ev.Hash) (ledger.Attachment, error) {
	return flip(r.Records.StreamAttachment(ctx, s, digest))
}

func (r flippedRecords) Attachment(ctx context.Context, event, digest ev.Hash) (ledger.Attachment, error) {
	return flip(r.Records.Attachment(ctx, event, digest))
}

// A file that lost its end is not served as if it were shorter.
func TestTruncatedFileIsNotServed(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	by, access := w.people["custodian"].caller(), w.submit("custodian", w.signOpen("custodian", c.item.id), "").LeafHash
	allServed(t, w.fetch(by, access, c.item.id))
	digest := w.itemState(c.item.id).Evidence.SHA256.String()
	cut := 0
	must(0, filepath.WalkDir(w.path("objects"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == digest {
			cut++
			err = errors.Join(os.Chmod(path, 0o600), os.Truncate(path, 100))
		}
		return err
	}))
	if cut != 1 {
		t.Fatalf("%d files were cut", cut)
	}
	_, err := w.Evidence(ctx(), by, access, nil)
	refused(t, err, ev.Held, ev.ReasonDamaged)
}
