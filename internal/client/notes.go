package client

import (
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// note seals a text beside a to its audience (FORMATS §3); one without a letter is no note, so the law misses it where it must be there.
func (a *act) note(name string, to evidence.Audience, text string, recipients ...string) error {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	if to == evidence.ToItem {
		a.say(name, text)
	}
	file, err := sealing.SealNote(text, recipients...)
	if err != nil {
		return err
	}
	a.event.Notes = append(a.event.Notes, evidence.Note{Name: name, Audience: to, SHA256: evidence.SHA256(file), Size: int64(len(file))})
	a.attachments = append(a.attachments, wire.Attachment{Kind: wire.AttachmentKindNote, Name: name, Audience: wire.Audience(to), Body: file})
	return nil
}

// noteToCase seals a note beside a to the members of a case.
func (v *View) noteToCase(a *act, in evidence.CaseID, name, text string) error {
	s, err := state[*evidence.CaseState](v, evidence.CaseOf(in))
	if err != nil {
		return err
	}
	return a.note(name, evidence.ToInternal, text, s.LabelKey.Recipient)
}

// envelope attaches an envelope and returns what the event says of it.
func (a *act) envelope(kind wire.AttachmentKind, key sealing.ItemKey, fingerprint evidence.Hash, recipient string) (evidence.EnvelopeRef, error) {
	body, err := sealing.WriteEnvelope(key, recipient)
	if err != nil {
		return evidence.EnvelopeRef{}, err
	}
	a.attachments = append(a.attachments, wire.Attachment{Kind: kind, Recipient: fingerprint.String(), Body: body})
	return evidence.EnvelopeRef{Recipient: fingerprint, SHA256: evidence.SHA256(body)}, nil
}

// keyholders returns the age recipients of a case's keyholders. Those whose keys have changed since are left out: they get an envelope, or
// a note, once the keyring follows.
func keyholders(v *View, in *evidence.CaseState) []string {
	var list []string
	for _, k := range in.Keyring {
		if r, err := recipientOf(v, k.Actor, k.Fingerprint); err == nil {
			list = append(list, r)
		}
	}
	return list
}

// recovery returns the vault's offline recipient; it must be the one on the keyring.
func recovery(v *View, in *evidence.CaseState) (string, error) {
	policy, err := state[*evidence.PolicyState](v, evidence.PolicyOf(v.facts.Origin))
	if err != nil {
		return "", err
	}
	r := policy.At(v.Time).Recovery
	if in != nil && evidence.Fingerprint(nil, r) != in.Recovery {
		return "", evidence.Refuse(evidence.Conflict, "keyring_outdated")
	}
	return r, nil
}
