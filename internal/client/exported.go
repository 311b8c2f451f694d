package client

import (
	"context"
	"crypto/rand"
	"strings"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
)

// Ways in which an item leaves the vault's keeping (RULES §3.6).
const (
	asPackage = "package"
	asPrint   = "print"
	asCopy    = "copy"
)

// exporting is what item.exported says of what is about to leave.
type exporting struct {
	item    evidence.ItemID
	form    string
	grant   evidence.GrantID // "" is a keyholder's
	purpose evidence.Purpose // of a keyholder's; a grant has its own
	hold    evidence.HoldID  // on which a keyholder opened it, or ""
	nonce   string
	content evidence.Hash
}

// newNonce makes the number of an export that nobody chose one for.
func newNonce() string { return strings.ToLower(rand.Text() + rand.Text()) }

// exported signs item.exported. What it tells of is written once this returns, and not at all if it fails: then the entry is in the log.
func (c *Client) exported(ctx context.Context, p exporting) (*Receipt, error) {
	stream := evidence.ItemOf(p.item)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (a act, err error) {
		d := &evidence.ItemExportedDetails{Form: p.form, Grant: p.grant, Nonce: p.nonce, Content: p.content}
		a.stream = stream
		if p.grant != "" {
			_, _, a.event, err = v.onGrant(p.item, p.grant, evidence.ItemExported, d)
		} else if _, a.event, err = v.onItem(p.item, evidence.ItemExported, d); err == nil {
			a.event.Purpose, a.event.Authority.Hold = p.purpose, p.hold
		}
		return a, err
	})
}

// copied signs that the original of what was opened is about to be kept as a file. The person concerned is asked for nothing more than her
// opening, which says that it is of an own copy: the law knows no export by her (RULES §3.6). What is copied is named by its sealed file:
// the digest of the original would tell the server what it is.
func (c *Client) copied(ctx context.Context, a *access, p exporting) (*Receipt, error) {
	if a.receipt.Event.Actor.Role == evidence.Survivor {
		return nil, nil
	}
	p.item, p.form, p.nonce, p.content = a.item.ID, asCopy, newNonce(), sealedOriginal(a.item)
	return c.exported(ctx, p)
}

// Copied signs that a recipient is about to keep the original of a share that was redeemed only to be seen, as a page of a browser does. It
// is kept once this returns.
func (c *Client) Copied(ctx context.Context, item evidence.ItemID, grant evidence.GrantID) (*Receipt, error) {
	_, own, err := lookAt[*evidence.ItemState](ctx, c, evidence.ItemOf(item))
	if err != nil {
		return nil, err
	}
	return c.exported(ctx, exporting{item: item, form: asCopy, grant: grant, nonce: newNonce(), content: sealedOriginal(own)})
}

func sealedOriginal(item *evidence.ItemState) evidence.Hash {
	return digestOfOne(dossier.ItemPath(item.ID, "evidence.age"), evidence.File{SHA256: item.Evidence.SHA256, Size: item.Evidence.Size})
}

// Printed signs that a version of an item's description, as Describe gave it, is about to be written as a page. The page is written once this
// returns, and bears the code of the entry (dossier.PageCode).
func (c *Client) Printed(ctx context.Context, p Open, v Version) (*Receipt, error) {
	return c.exported(ctx, exporting{item: p.Item, form: asPrint, purpose: p.Purpose, hold: p.Hold, nonce: newNonce(), content: digestOfOne(v.path, v.file)})
}

// digestOfOne is the content digest of one file (FORMATS §11).
func digestOfOne(path string, f evidence.File) evidence.Hash {
	return dossier.ContentDigest([]dossier.Listed{{Path: path, Size: f.Size, SHA256: f.SHA256}})
}
