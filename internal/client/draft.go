package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"sync"
	"time"

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
	Mark      evidence.Hash                 `json:"mark,omitzero"`    // of a DepositOnce
	Content   evidence.Hash                 `json:"content,omitzero"` // see contentOf

	kept bool // on this device
}

// valid reports whether the draft is whole, so far as that shows before it is sent: the law and the vault judge the rest.
func (d *draft) valid() bool {
	return evidence.ValidID(d.Item) && evidence.ValidID(d.Case) && (d.Upload == "" || evidence.ValidID(d.Upload)) && d.Envelopes != nil
}

// name is what a draft's documents are called. Those of one mark stand together.
func (d *draft) name() string {
	if d.Mark.IsZero() {
		return string(d.Item)
	}
	return d.Mark.String() + "-" + string(d.Item)
}

func (d *draft) doc() string  { return path.Join(depositsDir, d.name()+".json") }
func (d *draft) file() string { return path.Join(depositsDir, d.name()+".age") }

// lock is the name that whoever works on the draft holds. It is one for all of the same mark.
func (d *draft) lock() string {
	if d.Mark.IsZero() {
		return path.Join(depositsDir, string(d.Item)+".lock")
	}
	return path.Join(depositsDir, d.Mark.String()+".lock")
}

// hold takes the draft's lock. While another has it, it waits for as long as that lasts, or refuses.
func (c *Client) hold(ctx context.Context, d *draft, wait bool) (release func() error, err error) {
	for {
		release, ok, err := c.cfg.Keystore.Lock(d.lock())
		if ok || err != nil {
			return release, err
		}
		if !wait {
			return nil, evidence.Refuse(evidence.Conflict, reasonBusy)
		}
		if err := c.pause(ctx, 100*time.Millisecond); err != nil {
			return nil, err
		}
	}
}

// keep makes the draft durable. Commit point of this device: the sealed file was kept before.
func (c *Client) keep(d *draft) error {
	err := writeDoc(c.cfg.Keystore, d.doc(), d)
	d.kept = d.kept || err == nil
	return err
}

// reader is who gets an envelope.
type reader struct {
	fingerprint evidence.Hash
	recipient   string
}

// readers are those of the cases in one view: reading long keys takes time, and a view serves many deposits.
type readers struct {
	sync.Mutex
	of map[evidence.CaseID][]reader
}

// readersOf lists exactly the keyring and recovery, by fingerprint.
func readersOf(v *View, in *evidence.CaseState) ([]reader, error) {
	v.readers.Lock()
	defer v.readers.Unlock()
	if list, ok := v.readers.of[in.ID]; ok {
		return list, nil
	}
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
	if v.readers.of == nil {
		v.readers.of = make(map[evidence.CaseID][]reader)
	}
	v.readers.of[in.ID] = list
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
	for again := true; ; again = false {
		if err := c.bringUp(ctx, d, progress); err != nil {
			return nil, err
		}
		receipt, err := c.performOn(ctx, &c.ground, c.streams(d), func(v *View) (act, error) {
			a, in, err := d.act(v)
			if err != nil {
				return a, err
			}
			return a, c.envelopesFor(v, d, in, &a)
		})
		if err == nil {
			return receipt, c.settle(d, receipt)
		}
		switch evidence.ReasonOf(err) {
		case evidence.ReasonPosition: // it was accepted before: by another process, or in an attempt whose answer was lost
			if done, looked := c.accepted(ctx, d); evidence.KindOf(looked) != evidence.NotFound {
				return done, looked
			}
		case "upload", "upload_incomplete", "upload_differs": // it expired by now, or is not what was sent
			if again {
				if err := c.startOver(ctx, d, progress); err != nil {
					return nil, err
				}
				continue
			}
		}
		return nil, err
	}
}

// startOver gives up what the vault has, so that the same sealed file is sent again, if it is still what was sealed.
func (c *Client) startOver(ctx context.Context, d *draft, progress Progress) error {
	file, err := c.cfg.Keystore.Open(d.file())
	if err != nil {
		return c.lost(ctx, d, err)
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(file, 0, file.Size())); err != nil {
		return err
	}
	if evidence.Hash(sum.Sum(nil)) != d.Details.Evidence.SHA256 {
		return c.lost(ctx, d, errDamaged)
	}
	if err := c.dropUpload(ctx, d.Upload); err != nil {
		return err
	}
	d.Upload = ""
	progress.at(Resending)(0, file.Size())
	return nil
}

// lost gives up a draft whose sealed file is gone or damaged. Nothing is sealed with its key again: the original is deposited anew, with a
// new one. What the vault has expires, if it cannot be told now.
func (c *Client) lost(ctx context.Context, d *draft, cause error) error {
	if !errors.Is(cause, fs.ErrNotExist) && !errors.Is(cause, errDamaged) {
		return cause
	}
	if d.Upload != "" {
		if err := c.dropUpload(ctx, d.Upload); err != nil && !connection(ctx, err) {
			return err
		}
	}
	if err := c.forget(d); err != nil {
		return err
	}
	return evidence.Fail(evidence.Gone, reasonSealedFile, cause)
}

// reasonSealedFile says that what was sealed for a deposit is gone from this device, or damaged.
const reasonSealedFile = "sealed_file"

// settle notes what became of a draft and removes it.
func (c *Client) settle(d *draft, r *Receipt) error {
	if err := c.remember(d, r); err != nil {
		return err
	}
	return c.forget(d)
}

func (c *Client) forget(d *draft) error {
	return errors.Join(c.cfg.Keystore.Remove(d.doc()), c.cfg.Keystore.Remove(d.file()))
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

// bringUp makes the draft durable here, and then the whole ciphertext in the vault.
func (c *Client) bringUp(ctx context.Context, d *draft, progress Progress) error {
	if d.Details.Class == evidence.DescriptionOnly {
		if d.kept {
			return nil
		}
		return c.keep(d)
	}
	file, err := c.cfg.Keystore.Open(d.file())
	if err != nil {
		return c.lost(ctx, d, err)
	}
	defer file.Close()
	if file.Size() != d.Details.Evidence.Size {
		return c.lost(ctx, d, errDamaged)
	}
	for range 3 { // an upload that has expired begins again
		at := int64(-1)
		if d.Upload == "" {
			if at, err = c.begin(ctx, d, file); err != nil {
				return err
			}
		}
		err = c.upload(ctx, d.Upload, at, file, file.Size(), progress.at(Uploading))
		if !errors.Is(err, errNoUpload) {
			return err
		}
		d.Upload = ""
		progress.at(Resending)(0, file.Size())
	}
	return err
}

// begin gives the draft an upload, and a small file all of it at once. If the vault cannot be reached, the draft is kept without one
// first, and nothing comes along any more: on a bad line that could be sent often for nothing.
func (c *Client) begin(ctx context.Context, d *draft, file File) (at int64, err error) {
	n := file.Size()
	if n > along || d.kept {
		n = 0
	}
	d.Upload, at, err = c.createUpload(ctx, file.Size(), file, n)
	if err != nil && !d.kept {
		if err := c.keep(d); err != nil {
			return 0, err
		}
	}
	if n > 0 && evidence.KindOf(err) == evidence.Conflict || connection(ctx, err) {
		err = c.patiently(ctx, func() (err error) {
			d.Upload, at, err = c.createUpload(ctx, file.Size(), nil, 0)
			return err
		})
	}
	if err != nil {
		return 0, err
	}
	return at, c.keep(d)
}
