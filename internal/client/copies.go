package client

import (
	"context"
	"crypto/sha256"
	"io"
	"slices"
	"strconv"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// Derivation is what was made from an item: a working copy, or something processed.
type Derivation struct {
	Source     evidence.ItemID
	Form       evidence.Class   // evidence.Working or evidence.Derived
	Content    evidence.Content // "" is that of the source
	Made       evidence.Tool    // with which it was made
	Parameters string           // note to who opens the source: settings, commands
	Purpose    evidence.Purpose // of opening the source
	Reason     string           // internal note, or ""
	Check      *Check           // of what is added to the source, where somebody outside has a key to it

	Label       string
	Extent      dossier.Extent
	Description Description
	Body        io.ReadSeeker
	Size        int64
	Progress    Progress
}

const noteParameters = "parameters"

// reasonSame says that what is called derived is the original itself.
const reasonSame = "same_as_source"

// Derive deposits what was made from an item, and links it there (RULES §3.6):
//
//  1. the source is opened, which is an access and logged as one: its key opens the note on its ground, its description tells its digest;
//  2. the new item is deposited, with the ground and the consents of the source;
//  3. item.derived is signed on the source, with the tool and its parameters.
//
// The source stays as it is: nothing here can write to it. Repeated after an interruption, Derive goes on where it ended.
func (c *Client) Derive(ctx context.Context, p Derivation) (Deposited, *Receipt, error) {
	a, err := c.enter(ctx, Open{Item: p.Source, Purpose: p.Purpose, Reason: p.Reason})
	if err != nil {
		return Deposited{}, nil, err
	}
	d := Deposit{
		Case: a.item.Case, Class: p.Form, Content: p.Content, Basis: a.item.Basis, Consent: a.item.Consent, Source: p.Source,
		Label: p.Label, Extent: p.Extent, Description: p.Description, Body: p.Body, Size: p.Size, Progress: p.Progress,
	}
	if d.Content == "" {
		d.Content = a.item.Content
	}
	d.Description.DerivedFrom = p.Source
	if p.Form == evidence.Derived {
		same, err := isContent(p.Body, a.description)
		if err == nil && same {
			err = evidence.Refuse(evidence.Invalid, reasonSame)
		}
		if err != nil {
			return Deposited{}, nil, err
		}
	}
	if d.inherits = d.Basis != evidence.ByConsent; d.inherits {
		if d.Authority, err = c.itemNote(ctx, a, 0, "authority"); err != nil {
			return Deposited{}, nil, err
		}
	}
	v, err := c.Look(ctx, evidence.ItemOf(p.Source))
	if err != nil {
		return Deposited{}, nil, err
	}
	linking := act{stream: evidence.ItemOf(p.Source), check: p.Check}
	linking.say(noteParameters, p.Parameters)
	if _, err := c.leaveAddition(ctx, v, linking); err != nil { // before anything is deposited
		return Deposited{}, nil, err
	}
	made, err := c.DepositOnce(ctx, d)
	if err != nil {
		return made, nil, err
	}
	link, err := c.link(ctx, made.Item, p)
	return made, link, err
}

// link signs item.derived, if that was not done before.
func (c *Client) link(ctx context.Context, made evidence.ItemID, p Derivation) (*Receipt, error) {
	source := evidence.ItemOf(p.Source)
	v, err := c.Look(ctx, source)
	if err != nil {
		return nil, err
	}
	for e, err := range v.Events(source) {
		if err != nil {
			return nil, err
		}
		if d, ok := e.Details.(*evidence.ItemDerivedDetails); ok && d.Item == made {
			return v.receipt(c.trust.LogKeys(), source, e.Stream.Seq)
		}
	}
	return c.onItemAct(ctx, p.Source, evidence.ItemDerived, &evidence.ItemDerivedDetails{Item: made, Form: p.Form, Tool: p.Made},
		func(_ *View, own *evidence.ItemState, a *act) error {
			a.event.Purpose, a.check = p.Purpose, p.Check
			return a.note(noteParameters, evidence.ToItem, p.Parameters, own.ItemRecipient)
		})
}

func digestOf(file io.Reader) (sealing.Digest, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, file)
	return sealing.Digest{SHA256: evidence.Hash(sum.Sum(nil)), Size: n}, err
}

// isContent reports whether a file is the original that a description tells of. It leaves the file at its beginning.
func isContent(file io.ReadSeeker, d Description) (bool, error) {
	found, err := digestOf(file)
	if err != nil {
		return false, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return found == sealing.Digest{SHA256: d.SHA256, Size: d.Size}, err
}

// itemNote reads a note to the item out of an access to it.
func (c *Client) itemNote(ctx context.Context, a *access, seq int64, name string) (string, error) {
	stream := evidence.ItemOf(a.item.ID)
	v, err := c.Look(ctx, stream)
	if err != nil {
		return "", err
	}
	e, err := v.Event(stream, seq)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(e.Notes, func(n evidence.Note) bool { return n.Name == name && n.Audience == evidence.ToItem })
	if i < 0 {
		return "", evidence.Refuse(evidence.NotFound, "note")
	}
	leaf, _ := v.Leaf(stream, seq)
	file, err := c.attachment(ctx, leaf, e.Notes[i].SHA256, &a.receipt.Leaf, evidence.MaxNote)
	if err != nil {
		return "", err
	}
	text, err := sealing.OpenNote(file, a.key)
	if err != nil {
		return "", evidence.Fail(evidence.Invalid, "note", err)
	}
	return text, nil
}

// Amendment is a new version of an item's description. The evidence itself is never replaced.
type Amendment struct {
	Item    evidence.ItemID
	Cause   evidence.Cause
	Reason  string             // note to who opens the item: what changed, and why
	Change  func(*Description) // in a copy of the present one
	Purpose evidence.Purpose   // of opening the item
	Check   *Check             // of the new description, where somebody outside has a key to the item
	// Original is the file that was deposited, for who has no key to the item and so cannot read its description: then Change fills in all
	// but its size and digest, and nothing is opened.
	Original io.Reader

	// Addendum is asked before a document of the item is changed (RULES §1, C7): it is told the paths that change, and its error stops the
	// amendment. Without it the documents that an item has stay as they are.
	Addendum func(changes []string) error
	Draft    bool        // the new document may be unfinished, while the item is not sealed
	Earlier  Description // with Original: the documents as this person has them
}

// Amend signs item.amended with a new description. The earlier ones stay readable (Describe).
func (c *Client) Amend(ctx context.Context, p Amendment) (*Receipt, error) {
	stream := evidence.ItemOf(p.Item)
	v, own, err := lookAt[*evidence.ItemState](ctx, c, stream)
	if err != nil {
		return nil, err
	}
	schema, err := v.formOf(stream)
	if err != nil {
		return nil, err
	}
	var description Description
	if p.Original == nil {
		a, err := c.enter(ctx, Open{Item: p.Item, Purpose: p.Purpose})
		if err != nil {
			return nil, err
		}
		description = a.description
	} else {
		found, err := digestOf(p.Original)
		if err != nil {
			return nil, err
		}
		description.Size, description.SHA256 = found.Size, found.SHA256
	}
	before := description
	if p.Change != nil {
		p.Change(&description)
	}
	if schema, err = p.addendum(own, schema, p.Original == nil, before, &description); err != nil {
		return nil, err
	}
	object, err := description.Marshal()
	if err != nil {
		return nil, err
	}
	d := &evidence.ItemAmendedDetails{Cause: p.Cause}
	return c.onItemAct(ctx, p.Item, evidence.ItemAmended, d, func(_ *View, own *evidence.ItemState, a *act) error {
		a.event.Object.Form, a.event.Change = schema, p.Cause
		a.describes, a.check = &description, p.Check
		file, err := sealing.SealDescription(object, own.ItemRecipient)
		if err != nil {
			return err
		}
		d.Description = evidence.File{SHA256: evidence.SHA256(file), Size: int64(len(file))}
		a.attachments = append(a.attachments, wire.Attachment{Kind: wire.AttachmentKindDescription, Body: file})
		return a.note("reason", evidence.ToItem, p.Reason, own.ItemRecipient)
	})
}

// Version is one description of an item, with the event that brought it.
type Version struct {
	Entry
	Number      int // from 1
	Description Description

	path string // in a package, as the export's content names it
	file evidence.File
}

// Describe opens an item, which is an access and logged as one, and returns its descriptions from the first to the newest.
func (c *Client) Describe(ctx context.Context, p Open) ([]Version, *Receipt, error) {
	a, err := c.enter(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	list, err := c.versions(ctx, a)
	if err != nil {
		return nil, a.receipt, err
	}
	return list, a.receipt, nil
}

// versions reads all descriptions of an item by an access to it.
func (c *Client) versions(ctx context.Context, a *access) ([]Version, error) {
	stream := evidence.ItemOf(a.item.ID)
	v, err := c.Look(ctx, stream)
	if err != nil {
		return nil, err
	}
	var list []Version
	for e, err := range v.Events(stream) {
		if err != nil {
			return nil, err
		}
		file, name := evidence.File{}, "description.age"
		switch d := e.Details.(type) {
		case *evidence.ItemDepositedDetails:
			file = d.Description
		case *evidence.ItemAmendedDetails:
			file, name = d.Description, "description."+strconv.FormatInt(e.Stream.Seq, 10)+".age"
		default:
			continue
		}
		body, err := c.attachment(ctx, e.Leaf, file.SHA256, &a.receipt.Leaf, evidence.MaxDescription)
		if err != nil {
			return nil, err
		}
		version := Version{Entry: e, Number: len(list) + 1, path: dossier.ItemPath(a.item.ID, name), file: file}
		object, err := sealing.OpenDescription(body, a.key)
		if err == nil {
			version.Description, err = dossier.ParseDescription(object)
		}
		if err != nil {
			return nil, evidence.Fail(evidence.Invalid, "description", err)
		}
		list = append(list, version)
	}
	return list, nil
}
