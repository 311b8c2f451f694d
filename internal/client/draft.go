package client

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// draft is a deposit under way as the keystore keeps it. Nothing in it is readable without a key: what was written is sealed, the item key
// is in envelopes.
type draft struct {
	Item      evidence.ItemID               `json:"item"`
	Case      evidence.CaseID               `json:"case"`
	Details   evidence.ItemDepositedDetails `json:"details"` // without envelopes
	Consent   []evidence.ConsentID          `json:"consent,omitempty"`
	Form      string                        `json:"form,omitempty"`
	Place     string                        `json:"place,omitempty"`
	Notes     []evidence.Note               `json:"notes,omitempty"`
	Files     []wire.Attachment             `json:"files"`
	Envelopes map[evidence.Hash][]byte      `json:"envelopes"` // by fingerprint: the keyring's when it was sealed
	Own       []byte                        `json:"own"`       // for this person: only a changed keyring needs it
	Upload    evidence.UploadID             `json:"upload,omitempty"`
}

func draftDoc(id evidence.ItemID) string  { return path.Join(depositsDir, string(id)+".json") }
func draftFile(id evidence.ItemID) string { return path.Join(depositsDir, string(id)+".age") }

// reader is who gets an envelope.
type reader struct {
	fingerprint evidence.Hash
	recipient   string
}

// readersOf lists exactly the keyring and recovery, by fingerprint.
func readersOf(v *View, in *evidence.CaseState) ([]reader, error) {
	to, err := recovery(v, in)
	if err != nil {
		return nil, err
	}
	list := []reader{{in.Recovery, to}}
	for _, k := range in.Keyring {
		r, err := recipientOf(v, k.Actor, k.Fingerprint)
		if err != nil {
			return nil, err
		}
		list = append(list, reader{k.Fingerprint, r})
	}
	slices.SortFunc(list, func(a, b reader) int { return a.fingerprint.Compare(b.fingerprint) })
	return list, nil
}

// act is the deposit's event, still without envelopes.
func (d *draft) act(v *View) (act, *evidence.CaseState, error) {
	details := d.Details
	a := act{stream: evidence.ItemOf(d.Item), upload: d.Upload, attachments: slices.Clone(d.Files), event: &evidence.Event{
		Kind: evidence.ItemDeposited, Case: d.Case, Purpose: evidence.ForDocumentation, Authority: &evidence.Authority{Basis: details.Basis},
		Place: d.Place, Object: &evidence.Object{Class: details.Class, Content: details.Content, Form: d.Form},
		Notes: slices.Clone(d.Notes), Details: &details,
	}}
	for _, id := range d.Consent {
		c, err := state[*evidence.ConsentState](v, evidence.ConsentOf(id))
		if err != nil {
			return a, nil, err
		}
		a.event.Consent = append(a.event.Consent, evidence.ConsentRef{ID: id, Version: c.Version})
	}
	in, err := state[*evidence.CaseState](v, evidence.CaseOf(d.Case))
	return a, in, err
}

// finish uploads, submits and tidies up. It begins where an earlier attempt ended.
func (c *Client) finish(ctx context.Context, d *draft, progress Progress) (*Receipt, error) {
	if err := c.bringUp(ctx, d, progress); err != nil {
		return nil, err
	}
	receipt, err := c.perform(ctx, c.streams(d), func(v *View) (act, error) {
		a, in, err := d.act(v)
		if err != nil {
			return a, err
		}
		return a, c.envelopesFor(v, d, in, &a)
	})
	if evidence.ReasonOf(err) == evidence.ReasonPosition { // another process of this person was faster
		if done, looked := c.accepted(ctx, d); looked == nil {
			return done, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return receipt, c.forget(d)
}

func (c *Client) forget(d *draft) error {
	return errors.Join(c.cfg.Keystore.Remove(draftDoc(d.Item)), c.cfg.Keystore.Remove(draftFile(d.Item)))
}

// envelopesFor attaches an envelope for each entry of the keyring as it is now. Those written when the item was sealed serve, unless the
// keyring has changed since.
func (c *Client) envelopesFor(v *View, d *draft, in *evidence.CaseState, a *act) error {
	to, err := readersOf(v, in)
	if err != nil {
		return err
	}
	details := a.event.Details.(*evidence.ItemDepositedDetails)
	for _, r := range to {
		body, ok := d.Envelopes[r.fingerprint]
		if !ok {
			id, err := c.unlock()
			if err != nil {
				return err
			}
			key, err := sealing.OpenEnvelope(d.Own, id, d.Details.ItemRecipient)
			if err != nil {
				return err
			}
			if body, err = sealing.WriteEnvelope(key, r.recipient); err != nil {
				return err
			}
			d.Envelopes[r.fingerprint] = body
		}
		details.Envelopes = append(details.Envelopes, evidence.EnvelopeRef{Recipient: r.fingerprint, SHA256: evidence.SHA256(body)})
		a.attachments = append(a.attachments, wire.Attachment{Kind: wire.AttachmentKindEnvelope, Recipient: r.fingerprint.String(), Body: body})
	}
	return nil
}

// bringUp makes the whole ciphertext durable in the vault.
func (c *Client) bringUp(ctx context.Context, d *draft, progress Progress) error {
	if d.Details.Class == evidence.DescriptionOnly {
		return nil
	}
	file, err := c.cfg.Keystore.Open(draftFile(d.Item))
	if err != nil {
		return err
	}
	defer file.Close()
	if file.Size() != d.Details.Evidence.Size {
		return errDamaged
	}
	for range 3 { // an upload that has expired begins again
		if d.Upload == "" {
			if d.Upload, err = c.createUpload(ctx, file.Size()); err != nil {
				return err
			}
			if err := writeDoc(c.cfg.Keystore, draftDoc(d.Item), d); err != nil {
				return err
			}
		}
		err = c.upload(ctx, d.Upload, file, file.Size(), progress.at(Uploading))
		if !errors.Is(err, errNoUpload) {
			return err
		}
		d.Upload = ""
	}
	return err
}

// Resumed is what became of an interrupted deposit.
type Resumed struct {
	Item    evidence.ItemID
	Receipt *Receipt // nil if Err is set
	Err     error
}

// ResumeDeposits finishes the deposits that were interrupted on this device, each for itself.
func (c *Client) ResumeDeposits(ctx context.Context, progress Progress) ([]Resumed, error) {
	names, err := c.cfg.Keystore.List(depositsDir)
	if err != nil {
		return nil, err
	}
	var list []Resumed
	for _, name := range names {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		var d draft
		err := readDoc(c.cfg.Keystore, name, &d)
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has finished it
		}
		r := Resumed{Item: d.Item, Err: err}
		if err == nil {
			r.Receipt, r.Err = c.resume(ctx, &d, progress)
		}
		list = append(list, r)
	}
	return list, nil
}

// resume finishes a draft, which may have been accepted just before the interruption.
func (c *Client) resume(ctx context.Context, d *draft, progress Progress) (*Receipt, error) {
	receipt, err := c.accepted(ctx, d)
	if evidence.KindOf(err) == evidence.NotFound {
		return c.finish(ctx, d, progress)
	}
	return receipt, err
}

// accepted returns the receipt of a deposit that is in the vault, and tidies up: NotFound if it is not.
func (c *Client) accepted(ctx context.Context, d *draft) (*Receipt, error) {
	stream := evidence.ItemOf(d.Item)
	v, err := c.Look(ctx, stream)
	if err != nil {
		return nil, err
	}
	e, err := v.Event(stream, 0)
	if err != nil {
		return nil, err
	}
	if have, ok := e.Details.(*evidence.ItemDepositedDetails); !ok || have.ItemRecipient != d.Details.ItemRecipient || have.Evidence != d.Details.Evidence {
		return nil, alarm(OtherBytes, stream, nil)
	}
	receipt, err := v.receipt(c.trust.LogKeys(), stream, 0)
	if err != nil {
		return nil, err
	}
	return receipt, c.forget(d)
}
