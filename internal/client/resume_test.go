package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// killer ends a client at a place of its choice: from then on nothing reaches the vault, and nothing comes back.
type killer struct {
	at      func(req *http.Request) bool // the request in which it happens
	after   int64                        // bytes of its body that still leave; -1: all of it, but the answer is lost
	kill    context.CancelFunc
	mu      sync.Mutex
	happens bool
}

var errKilled = errors.New("killed")

func (k *killer) RoundTrip(req *http.Request) (*http.Response, error) {
	k.mu.Lock()
	now := !k.happens && k.at(req)
	if k.happens {
		k.mu.Unlock()
		return nil, errKilled
	}
	k.happens = k.happens || now
	k.mu.Unlock()
	if !now {
		return http.DefaultTransport.RoundTrip(req)
	}
	defer k.kill()
	if k.after >= 0 {
		req = req.Clone(context.WithoutCancel(req.Context()))
		req.Body = io.NopCloser(io.MultiReader(io.LimitReader(req.Body, k.after), broken{}))
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	return nil, errKilled
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errKilled }

// deposit begins a deposit that is killed, and returns the draft that it left.
func (w *world) killed(k *killer, d Deposit) draft {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	k.kill = cancel
	if _, _, err := w.client(w.clinician, k).Deposit(ctx, d); err == nil || !k.happens {
		w.Fatalf("the deposit was not killed: %v", err)
	}
	names := must(w.clinician.folder.List(depositsDir))(w)
	i := slices.IndexFunc(names, func(n string) bool { return strings.HasSuffix(n, ".json") })
	if i < 0 {
		w.Fatal("no draft is left")
	}
	var left draft
	check(w, readDoc(w.clinician.folder, names[i], &left))
	return left
}

// resumed finishes the one draft, in another process, and checks that the item is what was begun.
func (w *world) resumed(left draft, original []byte) {
	w.Helper()
	ctx := w.Context()
	c := w.client(w.clinician, nil)
	done := must(c.ResumeDeposits(ctx, nil))(w)
	if len(done) != 1 || done[0].Err != nil || done[0].Item != left.Item || done[0].Receipt == nil {
		w.Fatalf("%+v", done)
	}
	if names := must(w.clinician.folder.List(depositsDir))(w); len(names) > 0 {
		w.Errorf("%d files are left", len(names))
	}
	v := must(w.custodian.Look(ctx, evidence.ItemOf(left.Item)))(w)
	item := must(state[*evidence.ItemState](v, evidence.ItemOf(left.Item)))(w)
	if item.Evidence != left.Details.Evidence || v.Len(evidence.ItemOf(left.Item)) != 1 {
		w.Error("the evidence was sealed again")
	}
	var got bytes.Buffer
	_, err := w.custodian.Open(ctx, Open{Item: left.Item, Purpose: evidence.ForCare}, &got)
	check(w, err)
	if !bytes.Equal(got.Bytes(), original) {
		w.Error("the item opens as something else")
	}
}

func isPatch(req *http.Request) bool { return req.Method == http.MethodPatch }
func isEvent(req *http.Request) bool {
	return req.Method == http.MethodPost && req.URL.Path == "/v1/events"
}

func TestKilledDepositsResume(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	original := random(12 << 20)

	t.Run("in the middle of the upload", func(t *testing.T) {
		left := w.killed(&killer{at: isPatch, after: 9 << 20}, w.photo(in, consent, bytes.NewReader(original)))
		offset, err := w.clinician.uploadOffset(ctx, left.Upload, left.Details.Evidence.Size)
		check(t, err)
		if offset == 0 || offset >= left.Details.Evidence.Size {
			t.Errorf("%d bytes of 12 MiB are durable after 9 MiB were sent", offset)
		}
		file := must(w.clinician.folder.Open(left.file()))(t)
		sum := new(sealing.TreeHasher)
		must(io.Copy(sum, io.NewSectionReader(file, 0, file.Size())))(t)
		check(t, file.Close())
		if sum.Sum() != left.Details.Evidence.Tree {
			t.Error("the ciphertext that is left is not the one that the draft names")
		}
		w.resumed(left, original)
	})
	t.Run("before the upload", func(t *testing.T) {
		first := func(req *http.Request) bool { return req.Method == http.MethodPost && req.URL.Path == uploadsPath }
		w.resumed(w.killed(&killer{at: first}, w.photo(in, consent, bytes.NewReader(original))), original)
	})
	t.Run("before the event", func(t *testing.T) {
		w.resumed(w.killed(&killer{at: isEvent}, w.photo(in, consent, bytes.NewReader(original))), original)
	})
	t.Run("after the event", func(t *testing.T) {
		w.resumed(w.killed(&killer{at: isEvent, after: -1}, w.photo(in, consent, bytes.NewReader(original))), original)
	})
	t.Run("the upload expired", func(t *testing.T) {
		left := w.killed(&killer{at: isPatch, after: 1 << 20}, w.photo(in, consent, bytes.NewReader(original)))
		req := must(http.NewRequest(http.MethodDelete, w.clinician.address+uploadsPath+string(left.Upload), nil))(t)
		req.Header.Set("Tus-Resumable", "1.0.0")
		resp := must(w.clinician.signedIn(ctx, req, http.StatusNoContent))(t)
		check(t, resp.Body.Close())
		w.resumed(left, original)
	})
	t.Run("the keyring changed", func(t *testing.T) {
		left := w.killed(&killer{at: isPatch, after: 1 << 20}, w.photo(in, consent, bytes.NewReader(original)))
		third := w.enrol("third", evidence.Custodian, w.admin, w.custodian)
		_, err := w.custodian.AddMember(ctx, in, evidence.Member{Actor: third.Actor(), Rights: []evidence.Right{evidence.MayOpen}}, "Third")
		check(t, err)
		_, err = w.custodian.ChangeKeyring(ctx, in, []evidence.ActorID{third.Actor()}, []evidence.ActorID{w.investigator.Actor()})
		check(t, err)
		w.resumed(left, original)
		_, err = third.Open(ctx, Open{Item: left.Item, Purpose: evidence.ForCare}, io.Discard)
		check(t, err)
	})
	t.Run("the draft is damaged", func(t *testing.T) {
		left := w.killed(&killer{at: isPatch, after: 1 << 20}, w.photo(in, consent, bytes.NewReader(original)))
		check(t, w.clinician.folder.Write(left.file(), random(100)))
		done := must(w.clinician.ResumeDeposits(ctx, nil))(t)
		if len(done) != 1 || !errors.Is(done[0].Err, errDamaged) {
			t.Errorf("%+v", done)
		}
		check(t, w.clinician.forget(&left))
	})
}

// Nothing that a person wrote lies readable in the keystore while a deposit waits, and nothing of it reaches the vault.
func TestDraftsHoldNoPlaintext(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	consent := w.consent(in)
	secrets := []string{"canary-label", "canary-name", "canary-note", "canary-body", "canary-form"}
	var sent bytes.Buffer
	k := &killer{at: isEvent, after: 0}
	k.at = func(req *http.Request) bool {
		if req.GetBody != nil {
			body, _ := req.GetBody()
			io.Copy(&sent, body)
		}
		return isEvent(req)
	}
	d := w.photo(in, consent, strings.NewReader(strings.Repeat("canary-body ", 1000)))
	d.Label, d.Description.Name, d.Notes = "canary-label", "canary-name", map[string]string{"reason": "canary-note"}
	d.Description.Acquisition = filled(t, "acquisition-1", map[string]any{"errors": map[string]string{"unknown": "canary-form"}})
	left := w.killed(k, d)
	text := must(w.clinician.folder.Read(left.doc()))(t)
	for _, f := range left.Files { // base64 in the document
		text = append(text, f.Body...)
	}
	file := must(w.clinician.folder.Read(left.file()))(t)
	for _, secret := range secrets {
		for name, b := range map[string][]byte{"draft": text, "file": file, "requests": sent.Bytes()} {
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s stands in the %s", secret, name)
			}
		}
	}
	if sent.Len() < 10_000 {
		t.Fatal("nothing was looked at")
	}
}
