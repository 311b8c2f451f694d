package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"path"
	"slices"
	"strconv"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

// Export is a package for a court (FORMATS §11).
type Export struct {
	Item     evidence.ItemID
	Grant    evidence.GrantID // "" is a keyholder's own copy
	Purpose  evidence.Purpose // of a keyholder's copy; a grant has its own
	Nonce    string           // the court's: 32 to 64 characters of [a-z0-9]; "" makes one
	Check    *Check           // or nil
	Earlier  []int64          // the log's size under earlier packages that the reader has, beside those made on this device
	Language dossier.Language // of README.html, before English
	Progress Progress
}

// Exported is what became of it.
type Exported struct {
	Access, Receipt *Receipt // of the access and of item.exported
	Acknowledged    *Receipt // nil for a keyholder's copy, or if it was acknowledged before
	Nonce           string
	Covers          int64 // leaves of the log under the package's proofs
}

// Export makes a package that verifies offline, and writes it to dst:
//
//  1. the grant is redeemed, or the item opened: logged first, as always;
//  2. the ciphertext is downloaded, compared with the deposit and decrypted once to see that it opens;
//  3. a recipient acknowledges what was found, equal or not;
//  4. the item is looked through, if there is a check, and item.exported is signed over the content digest of all files that exist by then;
//  5. every stream is fetched again with the proofs that nothing is left out, under one publication, and the ZIP is written.
//
// What was written counts only if Export returns nil.
func (c *Client) Export(ctx context.Context, p Export, dst io.Writer) (*Exported, error) {
	if p.Nonce == "" {
		p.Nonce = newNonce()
	}
	a, err := c.enterFor(ctx, p)
	if err != nil {
		return nil, err
	}
	name := path.Join(exportsDir, a.receipt.Leaf.String()+".age")
	done := &Exported{Access: a.receipt, Nonce: p.Nonce}
	var file beginning // its beginning, for the check
	err = c.fetchEvidence(ctx, a, name, &file, p.Progress)
	if p.Grant != "" && !a.found.IsZero() && (err == nil || LieOf(err) == OtherBytes || evidence.ReasonOf(err) == reasonContent) {
		var ack error
		if done.Acknowledged, ack = c.acknowledge(ctx, a, p, err == nil); ack != nil {
			err = errors.Join(err, ack)
		}
	}
	if err == nil {
		err = c.leave(ctx, a, p.Check, &file, leaving{grant: p.Grant})
	}
	if err == nil {
		err = c.export(ctx, a, p, name, dst, done)
	}
	return done, errors.Join(err, c.cfg.Keystore.Remove(name))
}

// reasonViewOnly says that a share is for viewing, so that no package may be made of it.
const reasonViewOnly = "view_only"

func (c *Client) enterFor(ctx context.Context, p Export) (*access, error) {
	if p.Grant == "" {
		return c.enter(ctx, Open{Item: p.Item, Purpose: p.Purpose})
	}
	_, item, err := lookAt[*evidence.ItemState](ctx, c, evidence.ItemOf(p.Item))
	if err != nil {
		return nil, err
	}
	if g := item.Grant(p.Grant); g != nil && !slices.Contains(g.Terms.Actions, evidence.Download) { // before anything is signed
		return nil, evidence.Refuse(evidence.Forbidden, reasonViewOnly)
	}
	return c.redeem(ctx, Redemption{Item: p.Item, Grant: p.Grant, Action: evidence.Download})
}

// fetchEvidence keeps the ciphertext as a file of the keystore, once it is known to be the deposit's and to open.
func (c *Client) fetchEvidence(ctx context.Context, a *access, name string, content io.Writer, progress Progress) error {
	file, err := c.cfg.Keystore.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	if a.found, err = c.decrypt(ctx, a, content, file, progress); err != nil {
		return err
	}
	return file.Keep()
}

func (c *Client) acknowledge(ctx context.Context, a *access, p Export, equal bool) (*Receipt, error) {
	if g := a.item.Grant(p.Grant); g.Acknowledged && !g.Unequal {
		return nil, nil
	}
	return c.Acknowledge(ctx, p.Item, p.Grant, a.found, equal)
}

func (c *Client) export(ctx context.Context, a *access, p Export, name string, dst io.Writer, done *Exported) error {
	stream := evidence.ItemOf(p.Item)
	v, self, err := lookAt[*evidence.ActorState](ctx, c, evidence.ActorOf(c.actor), stream)
	if err != nil {
		return err
	}
	m := dossier.Manifest{Grant: p.Grant, Items: []evidence.ItemID{p.Item}, Nonce: p.Nonce, Recipient: self.Fingerprint(), Vault: c.trust.Vault()}
	files, err := c.contentFiles(ctx, v, a, p, name)
	if err != nil {
		return err
	}
	readme, err := dossier.Readme(c.trust, m, []evidence.Hash{v.Signer(stream, 0)}, p.Language)
	if err != nil {
		return err
	}
	files = append(files, readme, dossier.ToolFile())
	if c.cfg.Page != nil {
		page, err := c.cfg.Page(ctx)
		if err != nil {
			return err
		}
		if page != nil {
			files = append(files, dossier.PageFile(page))
		}
	}
	content := dossier.ContentDigest(dossier.Lists(files))
	done.Receipt, err = c.exported(ctx, exporting{item: p.Item, form: asPackage, grant: p.Grant, purpose: p.Purpose, nonce: p.Nonce, content: content})
	if err != nil {
		return err
	}
	if v, err = c.lookFinal(ctx, stream); err != nil { // now with item.exported, and the proof that it is there
		return err
	}
	records, err := dossier.RecordFiles(v.excerpt, m.Items)
	if err != nil {
		return err
	}
	log, size, err := c.logFiles(ctx, v.excerpt, p.Earlier)
	if err != nil {
		return err
	}
	done.Covers, m.Covers = v.Heads().Covers, v.Heads().Covers
	if err := dossier.Write(dst, m, slices.Concat(files, records, log)); err != nil {
		return err
	}
	return c.noteExported(size)
}

// contentFiles gathers what item.exported covers: the item's own files, and trust data for stock tools.
func (c *Client) contentFiles(ctx context.Context, v *View, a *access, p Export, name string) ([]dossier.File, error) {
	sealed, err := dossier.NewFile(dossier.ItemPath(p.Item, "evidence.age"), func() (io.ReadCloser, error) { return c.openEvidence(a, name) })
	if err != nil {
		return nil, err
	}
	files := []dossier.File{sealed, dossier.BytesFile(dossier.ItemPath(p.Item, "key.age"), a.envelope)}
	for e, err := range v.Events(evidence.ItemOf(p.Item)) {
		if err != nil {
			return nil, err
		}
		more, err := c.filesOf(ctx, a, e, p)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	signers, err := v.signers()
	if err != nil {
		return nil, err
	}
	return append(files, dossier.TrustFiles(c.trust, signers...)...), nil
}

func (c *Client) openEvidence(a *access, name string) (io.ReadCloser, error) {
	if a.item.Class == evidence.DescriptionOnly {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	file, err := c.cfg.Keystore.Open(name)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(file, 0, file.Size()), file}, nil
}

// filesOf fetches the descriptions and notes that an event brought and that belong into the package: notes to the item, and those to the
// recipient of this grant.
func (c *Client) filesOf(ctx context.Context, a *access, e Entry, p Export) ([]dossier.File, error) {
	var files []dossier.File
	add := func(path string, digest evidence.Hash, most int64) error {
		body, err := c.attachment(ctx, e.Leaf, digest, &a.receipt.Leaf, most)
		if err == nil {
			files = append(files, dossier.BytesFile(path, body))
		}
		return err
	}
	switch d := e.Details.(type) {
	case *evidence.ItemDepositedDetails:
		if err := add(dossier.ItemPath(p.Item, "description.age"), d.Description.SHA256, evidence.MaxDescription); err != nil {
			return nil, err
		}
	case *evidence.ItemAmendedDetails:
		name := "description." + strconv.FormatInt(e.Stream.Seq, 10) + ".age"
		if err := add(dossier.ItemPath(p.Item, name), d.Description.SHA256, evidence.MaxDescription); err != nil {
			return nil, err
		}
	}
	for _, n := range e.Notes {
		if n.Audience == evidence.ToItem || n.Audience == evidence.ToRecipient && p.Grant != "" && grantOf(e.Event) == p.Grant {
			if err := add(dossier.NotePath(p.Item, e.Stream.Seq, n.Name), n.SHA256, evidence.MaxNote); err != nil {
				return nil, err
			}
		}
	}
	return files, nil
}

// signers are the public keys that the actors of the view ever had.
func (v *View) signers() (list [][]byte, _ error) {
	for _, s := range v.Streams() {
		if s.Type != evidence.ActorStream {
			continue
		}
		for e, err := range v.Events(s) {
			if err != nil {
				return nil, err
			}
			key := ""
			switch d := e.Details.(type) {
			case *evidence.ActorEnrolledDetails:
				key = d.Key
			case *evidence.ActorKeyRotatedDetails:
				key = d.Key
			}
			if spki, err := base64.StdEncoding.DecodeString(key); err == nil && key != "" {
				list = append(list, spki)
			}
		}
	}
	slices.SortFunc(list, bytes.Compare)
	return list, nil
}
