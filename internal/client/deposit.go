package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// Deposit is what is put into the vault, and how it is described. Everything a person wrote is sealed before it leaves the device.
type Deposit struct {
	Case    evidence.CaseID
	Class   evidence.Class
	Content evidence.Content
	Basis   evidence.Basis
	Consent []evidence.ConsentID // of every subject, where the basis is consent
	Source  evidence.ItemID      // of a working copy or derivative
	Place   string               // country code, or ""

	Label       string            // what lists show
	Extent      dossier.Extent    // how long it is, for an index, or nothing
	Description Description       // with its documents (RULES §4 to §6)
	Draft       bool              // they may be unfinished; for who holds a key of the case
	Authority   string            // note: issuer, number, law, ground of GDPR Art. 9, a line each; demanded where the basis is not consent
	Notes       map[string]string // further notes to who opens the item, by name

	Body     io.Reader // the original bytes; nil for a description alone
	Size     int64     // for Progress; 0 if unknown
	Progress Progress  // may be nil

	form     string // schema that the event names; see read
	inherits bool   // Authority is that of the source, as it was written there
}

// Progress is told how far a step is, in bytes. total is 0 if it is not known.
type Progress func(step Step, done, total int64)

// Step of a long act.
type Step string

const (
	Comparing   Step = "comparing" // with what was deposited before
	Sealing     Step = "sealing"
	Uploading   Step = "uploading"
	Resending   Step = "resending" // once: the vault has nothing left of an upload, which begins again with the same sealed file
	Downloading Step = "downloading"
)

func (p Progress) at(step Step) func(done, total int64) {
	if p == nil {
		return func(int64, int64) {}
	}
	return func(done, total int64) { p(step, done, total) }
}

// Deposit puts an item into a case (ARCHITECTURE §4). Its documents are read first, and refused if they are none, or neither finished nor
// drafts; so is the note on a ground that is not consent, if a line is missing (ReasonGround). Then:
//
//  1. the law is asked with what is known so far, so that nobody seals 200 GB in vain;
//  2. one pass over the original: digests, ciphertext into a file of the keystore;
//  3. the rest is sealed, envelopes are written for exactly the verified keyring and recovery, and all is noted in a draft;
//  4. the ciphertext goes up, item.deposited is signed, its receipt is verified;
//  5. draft and file are removed.
//
// From the end of 3 on ResumeDeposits finishes what was interrupted, with the same ciphertext.
func (c *Client) Deposit(ctx context.Context, p Deposit) (evidence.ItemID, *Receipt, error) {
	if err := p.read(); err != nil {
		return "", nil, err
	}
	d := draft{Item: evidence.NewID[evidence.ItemID]()}
	release, err := c.hold(ctx, &d, false)
	if err != nil {
		return "", nil, err
	}
	receipt, err := c.deposit(ctx, &d, p)
	return d.Item, receipt, errors.Join(err, release())
}

// deposit is Deposit under the draft's lock. d has its names.
func (c *Client) deposit(ctx context.Context, d *draft, p Deposit) (*Receipt, error) {
	if (p.Body == nil) != (p.Class == evidence.DescriptionOnly) {
		return nil, evidence.Refuse(evidence.Invalid, evidence.ReasonClass)
	}
	d.Case, d.Consent, d.Form, d.Place = p.Case, slices.Sorted(slices.Values(p.Consent)), p.form, p.Place
	d.Details = evidence.ItemDepositedDetails{Class: p.Class, Content: p.Content, Basis: p.Basis, Source: p.Source}
	v, err := c.rehearse(ctx, *d, p)
	if err != nil {
		return nil, err
	}
	in, err := state[*evidence.CaseState](v, evidence.CaseOf(d.Case))
	if err == nil && p.Draft && !in.Holds(c.actor) {
		err = evidence.Refuse(evidence.Forbidden, reasonDraft)
	}
	if err != nil {
		return nil, err
	}
	if err := c.seal(v, d, p); err != nil {
		return nil, errors.Join(err, c.cfg.Keystore.Remove(d.file()))
	}
	return c.finish(ctx, d, p.Progress)
}

// rehearse asks the law about a deposit whose digests are not known yet.
func (c *Client) rehearse(ctx context.Context, d draft, p Deposit) (*View, error) {
	placeholder := evidence.SHA256([]byte("rehearsal"))
	file := evidence.File{SHA256: placeholder, Size: 1}
	d.Details.Description, d.Details.Label = file, file
	d.Details.Evidence = evidence.Evidence{SHA256: placeholder, Size: 1, Tree: placeholder}
	if p.Class == evidence.DescriptionOnly {
		d.Details.Evidence = noEvidence
	}
	if strings.TrimSpace(p.Authority) != "" {
		d.Notes = []evidence.Note{{Name: "authority", Audience: evidence.ToItem, SHA256: placeholder, Size: 512}}
	}
	key, err := sealing.NewItemKey()
	if err != nil {
		return nil, err
	}
	d.Details.ItemRecipient = key.Recipient()
	view, _, err := c.prepare(ctx, &c.ground, c.streams(&d), func(v *View) (act, error) {
		a, in, err := d.act(v)
		if err != nil {
			return a, err
		}
		to, err := readersOf(v, in)
		for _, r := range to {
			details := a.event.Details.(*evidence.ItemDepositedDetails)
			details.Envelopes = append(details.Envelopes, evidence.EnvelopeRef{Recipient: r.fingerprint, SHA256: placeholder})
		}
		return a, err
	})
	return view, err
}

func (c *Client) streams(d *draft) []evidence.Stream {
	streams := []evidence.Stream{evidence.CaseOf(d.Case), evidence.ActorOf(c.actor)}
	for _, id := range d.Consent {
		streams = append(streams, evidence.ConsentOf(id))
	}
	if d.Details.Source != "" {
		streams = append(streams, evidence.ItemOf(d.Details.Source))
	}
	return streams
}

// noEvidence is what stands for the file of a description alone (FORMATS §3).
var noEvidence = evidence.Evidence{SHA256: evidence.SHA256(nil), Tree: evidence.SHA256(nil)}

// seal encrypts everything. When it returns nil, the deposit can be finished without the original.
func (c *Client) seal(v *View, d *draft, p Deposit) error {
	key, err := sealing.NewItemKey()
	if err != nil {
		return err
	}
	in, err := state[*evidence.CaseState](v, evidence.CaseOf(d.Case))
	if err != nil {
		return err
	}
	self, err := state[*evidence.ActorState](v, evidence.ActorOf(c.actor))
	if err != nil {
		return err
	}
	d.Details.ItemRecipient, d.Details.Evidence = key.Recipient(), noEvidence
	p.Description.Size, p.Description.SHA256 = 0, evidence.SHA256(nil)
	if p.Body != nil {
		sealed, err := c.encrypt(d, key, p)
		if err != nil {
			return err
		}
		d.Details.Evidence = evidence.Evidence{SHA256: sealed.Ciphertext.SHA256, Size: sealed.Ciphertext.Size, Tree: sealed.Tree}
		p.Description.Size, p.Description.SHA256 = sealed.Plaintext.Size, sealed.Plaintext.SHA256
	}
	d.Content = contentOf(d.Mark, p.Description.SHA256)
	if err := d.sealTexts(p, in.LabelKey.Recipient); err != nil {
		return err
	}
	to, err := readersOf(v, in)
	if err != nil {
		return err
	}
	d.Envelopes = make(map[evidence.Hash][]byte)
	for _, r := range to {
		if d.Envelopes[r.fingerprint], err = sealing.WriteEnvelope(key, r.recipient); err != nil {
			return err
		}
	}
	d.Own, err = sealing.WriteEnvelope(key, self.Recipient)
	return err
}

func (c *Client) encrypt(d *draft, key sealing.ItemKey, p Deposit) (sealing.Sealed, error) {
	file, err := c.cfg.Keystore.Create(d.file())
	if err != nil {
		return sealing.Sealed{}, err
	}
	defer file.Close()
	progress := p.Progress.at(Sealing)
	sealed, err := sealing.Encrypt(file, &counter{p.Body, 0, func(at int64) { progress(at, p.Size) }}, key)
	if err != nil {
		return sealed, err
	}
	return sealed, file.Keep()
}

// sealTexts seals description, label and notes.
func (d *draft) sealTexts(p Deposit, labelKey string) error {
	object, err := p.Description.Marshal()
	if err != nil {
		return err
	}
	description, err := sealing.SealDescription(object, d.Details.ItemRecipient)
	if err != nil {
		return err
	}
	if !p.Extent.Valid() {
		return evidence.Refuse(evidence.Invalid, "extent")
	}
	label, err := sealing.SealLabel(labelOf(p.Label, p.Extent), labelKey)
	if err != nil {
		return err
	}
	d.Details.Description = evidence.File{SHA256: evidence.SHA256(description), Size: int64(len(description))}
	d.Details.Label = evidence.File{SHA256: evidence.SHA256(label), Size: int64(len(label))}
	a := act{event: &evidence.Event{}, attachments: []wire.Attachment{
		{Kind: wire.AttachmentKindDescription, Body: description}, {Kind: wire.AttachmentKindLabel, Body: label},
	}}
	if err := a.note("authority", evidence.ToItem, p.Authority, d.Details.ItemRecipient); err != nil {
		return err
	}
	for name, text := range p.Notes {
		if err := a.note(name, evidence.ToItem, text, d.Details.ItemRecipient); err != nil {
			return err
		}
	}
	d.Notes, d.Files = a.event.Notes, a.attachments
	return nil
}
