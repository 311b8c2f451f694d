package vault_test

import (
	"context"
	"io"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/vault"
)

// held stops one call on its way until it is told to go on.
type held struct {
	call          string
	reached, goOn chan struct{}
}

func (h *held) stop(call string) {
	if h.call == call {
		h.call = ""
		close(h.reached)
		<-h.goOn
	}
}

type heldObjects struct {
	objects.Store
	*held
}

func (h heldObjects) StageOpen(ctx context.Context, id string) (io.ReadCloser, error) {
	h.stop("StageOpen")
	return h.Store.StageOpen(ctx, id)
}

type heldRecords struct {
	vault.Records
	*held
}

func (h heldRecords) Upload(ctx context.Context, id ev.UploadID) (vault.Upload, error) {
	h.stop("Upload")
	return h.Records.Upload(ctx, id)
}

// A client whose connection broke sends the same event again while the first is still at work. Each is answered as the first, whichever
// of them comes through.
func TestSentTwiceAtOnce(t *testing.T) {
	for _, call := range []string{"StageOpen", "Upload"} {
		t.Run("held at "+call, func(t *testing.T) {
			w := newWorld(t)
			h := &held{reached: make(chan struct{}), goOn: make(chan struct{})}
			w.objects = func(s objects.Store) objects.Store { return heldObjects{s, h} }
			w.records = func(r vault.Records) vault.Records { return heldRecords{r, h} }
			w.restart()
			it := w.prepare(w.openCase(), ev.ConsentForm)
			signed := w.signDeposit(it)
			h.call = call
			first := make(chan vault.Outcome)
			go func() {
				o, err := w.try("clinician", signed, it.upload, it.attachments...)
				if err != nil {
					t.Errorf("the first: %v", err)
				}
				first <- o
			}()
			<-h.reached
			if call == "StageOpen" { // the second waits for what the first one does
				time.AfterFunc(300*time.Millisecond, func() { close(h.goOn) })
			}
			second := w.submit("clinician", signed, it.upload, it.attachments...)
			if call != "StageOpen" {
				close(h.goOn)
			}
			if o := <-first; o.LeafHash != second.LeafHash || string(o.Receipt) != string(second.Receipt) {
				t.Error("one event has two outcomes")
			}
		})
	}
}
