package vault

import (
	"bytes"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
)

// checkAttachments demands exactly the files that the event names, each an age file in the permitted form with the named digest, and returns
// them with it. What the caller gave is left as it is: he may send it again at the same time.
func checkAttachments(e *evidence.Event, given []ledger.Attachment) ([]ledger.Attachment, error) {
	want := attachmentsOf(e)
	if len(given) != len(want) {
		return nil, evidence.Refuse(evidence.Invalid, "attachments")
	}
	have := slices.Clone(given)
	for i := range have {
		h := &have[i]
		h.SHA256 = evidence.SHA256(h.Body)
		w, ok := want[slot{h.Kind, h.Name, h.Recipient}]
		switch {
		case !ok || h.Audience != w.audience || h.SHA256 != w.digest || w.size != 0 && int64(len(h.Body)) != w.size:
			return nil, evidence.Refuse(evidence.Invalid, "attachments")
		case len(h.Body) > w.most:
			return nil, evidence.Refuse(evidence.TooLarge, "attachments")
		}
		delete(want, slot{h.Kind, h.Name, h.Recipient})
		if err := ageError(bytes.NewReader(h.Body), w.recipients); err != nil {
			return nil, err
		}
	}
	return have, nil
}

// slot is one of the places an attachment can have in an event.
type slot struct {
	kind      ledger.AttachmentKind
	name      string
	recipient evidence.Hash
}

type expected struct {
	digest     evidence.Hash
	audience   evidence.Audience
	size       int64 // exact, 0 where the event does not say
	most       int   // bytes
	recipients int   // stanzas allowed in the header
}

// maxNoteRecipients bounds the stanzas of a note to a grant's recipient and all keyholders: as many as leave room for a text.
const maxNoteRecipients = 40

// Named lists the attachments that an event names, without their bytes.
func Named(e *evidence.Event) []ledger.Attachment {
	var list []ledger.Attachment
	for s, w := range attachmentsOf(e) {
		list = append(list, ledger.Attachment{Kind: s.kind, Name: s.name, Audience: w.audience, Recipient: s.recipient, SHA256: w.digest})
	}
	return list
}

func attachmentsOf(e *evidence.Event) map[slot]expected {
	want := make(map[slot]expected)
	for _, n := range e.Notes {
		recipients := 1
		if n.Audience == evidence.ToRecipient {
			recipients = maxNoteRecipients
		}
		want[slot{kind: ledger.Note, name: n.Name}] = expected{n.SHA256, n.Audience, n.Size, evidence.MaxNote, recipients}
	}
	envelope := func(kind ledger.AttachmentKind, list ...evidence.EnvelopeRef) {
		for _, ref := range list {
			want[slot{kind: kind, recipient: ref.Recipient}] = expected{ref.SHA256, "", 0, evidence.MaxEnvelope, 1}
		}
	}
	file := func(kind ledger.AttachmentKind, f evidence.File, most int) {
		want[slot{kind: kind}] = expected{f.SHA256, "", f.Size, most, 1}
	}
	switch d := e.Details.(type) {
	case *evidence.CaseOpenedDetails:
		envelope(ledger.LabelEnvelope, d.LabelKey.Envelopes...)
	case *evidence.CaseMemberAddedDetails:
		envelope(ledger.LabelEnvelope, d.Envelope)
	case *evidence.CaseMemberRemovedDetails:
		envelope(ledger.LabelEnvelope, d.LabelKey.Envelopes...)
	case *evidence.ItemDepositedDetails:
		envelope(ledger.Envelope, d.Envelopes...)
		file(ledger.Label, d.Label, evidence.MaxLabel)
		file(ledger.Description, d.Description, evidence.MaxDescription)
	case *evidence.ItemAmendedDetails:
		file(ledger.Description, d.Description, evidence.MaxDescription)
	case *evidence.ItemEnvelopeAddedDetails:
		envelope(ledger.Envelope, d.Envelope)
	}
	return want
}
