package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// envelopes addresses a key to people and to recovery.
func (w *world) envelopes(key sealing.ItemKey, kind wire.AttachmentKind, to ...*person) ([]ev.EnvelopeRef, []wire.Attachment) {
	var refs []ev.EnvelopeRef
	var attachments []wire.Attachment
	add := func(recipient string, fingerprint ev.Hash) {
		body := must(sealing.WriteEnvelope(key, recipient))
		refs = append(refs, ev.EnvelopeRef{Recipient: fingerprint, SHA256: ev.SHA256(body)})
		attachments = append(attachments, wire.Attachment{Kind: kind, Recipient: fingerprint.String(), Body: body})
	}
	add(w.recovery.Recipient(), ev.Fingerprint(nil, w.recovery.Recipient()))
	for _, p := range to {
		add(p.recipient(), p.fingerprint())
	}
	slices.SortFunc(refs, func(a, b ev.EnvelopeRef) int { return bytes.Compare(a.Recipient[:], b.Recipient[:]) })
	return refs, attachments
}

// deposited is an item with what only its depositor's client knows.
type deposited struct {
	id         ev.ItemID
	event      ev.Hash
	key        sealing.ItemKey
	plain      []byte
	ciphertext []byte
	label      ev.Hash
}

// deposit puts a consent form into the case: the one class that needs no consent yet.
func (w *world) deposit(in ev.CaseID, plain []byte) deposited {
	w.t.Helper()
	it := deposited{id: ev.NewID[ev.ItemID](), key: must(sealing.NewItemKey()), plain: plain}
	var file bytes.Buffer
	sealed := must(sealing.Encrypt(&file, bytes.NewReader(plain), it.key))
	it.ciphertext = file.Bytes()
	upload := w.upload("clinician", it.ciphertext)
	description := must(sealing.SealDescription([]byte(`{"name":"form"}`), it.key.Recipient()))
	label := must(sealing.SealLabel("form", it.key.Recipient()))
	it.label = ev.SHA256(label)
	envelopes, attachments := w.envelopes(it.key, wire.AttachmentKindEnvelope, w.people["clinician"], w.people["custodian"])
	attachments = append(attachments, wire.Attachment{Kind: wire.AttachmentKindLabel, Body: label}, wire.Attachment{Kind: wire.AttachmentKindDescription, Body: description})
	signed := w.sign("clinician", ev.ItemOf(it.id), ev.ItemDeposited, &ev.ItemDepositedDetails{
		ItemRecipient: it.key.Recipient(), Class: ev.ConsentForm, Content: ev.Testimony, Basis: ev.ByConsent,
		Evidence:    ev.Evidence{SHA256: ev.Hash(sealed.Ciphertext.SHA256), Size: int64(len(it.ciphertext)), Tree: ev.Hash(sealed.Tree)},
		Description: ev.File{SHA256: ev.SHA256(description), Size: int64(len(description))},
		Label:       ev.File{SHA256: it.label, Size: int64(len(label))}, Envelopes: envelopes,
	}, func(e *ev.Event) { e.Case = in })
	it.event = must(ev.ParseHash(w.submit("clinician", signed, upload, attachments...).LeafHash))
	return it
}

// open signs and submits an access event and returns what it released.
func (w *world) open(by string, in ev.CaseID, it deposited) wire.Included {
	w.t.Helper()
	state := must(w.db.States(context.Background(), ev.ItemOf(it.id)))[ev.ItemOf(it.id)].(*ev.ItemState)
	ref, _ := state.Envelope(w.people[by].fingerprint())
	return w.submit(by, w.sign(by, ev.ItemOf(it.id), ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ref.SHA256}, func(e *ev.Event) {
		e.Case, e.Purpose = in, ev.ForInvestigation
	}), "")
}

// upload sends a file by tus in two parts, of which a bucket may keep less.
func (w *world) upload(by string, file []byte) ev.UploadID {
	w.t.Helper()
	id := w.createUpload(by, len(file))
	at := 0
	for _, end := range []int{len(file) / 2, len(file)} {
		resp, b := w.patch(by, id, at, file[at:end])
		offset := resp.Header.Get("Upload-Offset")
		if resp.StatusCode != 204 || w.bucket == nil && offset != itoa(end) {
			w.t.Fatalf("append at %d: %d %s, offset %s", at, resp.StatusCode, b, offset)
		}
		at = must(strconv.Atoi(offset))
	}
	if at != len(file) {
		w.t.Fatalf("of %d bytes %d are durable", len(file), at)
	}
	return id
}

func (w *world) createUpload(by string, size int) ev.UploadID {
	w.t.Helper()
	resp, b := w.request(by, "POST", "/v1/uploads/", nil, tus("Upload-Length", itoa(size)))
	if resp.StatusCode != 201 {
		w.t.Fatalf("create: %d %s", resp.StatusCode, b)
	}
	return must(ev.ParseID[ev.UploadID](strings.TrimPrefix(resp.Header.Get("Location"), "/v1/uploads/")))
}

func (w *world) patch(by string, id ev.UploadID, offset int, part []byte) (*http.Response, []byte) {
	w.t.Helper()
	return w.request(by, "PATCH", "/v1/uploads/"+string(id), nil, tus("Upload-Offset", itoa(offset)), func(r *http.Request) {
		r.Header.Set("Content-Type", "application/offset+octet-stream")
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(part)), int64(len(part))
	})
}

// tus sets the protocol's version and pairs of headers.
func tus(pairs ...string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Tus-Resumable", "1.0.0")
		for i := 0; i+1 < len(pairs); i += 2 {
			r.Header.Set(pairs[i], pairs[i+1])
		}
	}
}

func itoa(n int) string { return string(must(json.Marshal(n))) }
