package client

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/scan"
	"strongroom.example/strongroom/internal/sealing"
)

// Check looks through an item before it leaves, for names and other things that should not travel by accident (RULES §12.12). It happens on
// this device alone, while the item is open.
type Check struct {
	Names []string            // to look for
	Agree func(Noticed) error // asked if something was found; its error stops the act before anything is signed for the recipient
}

// Noticed is what a check found.
type Noticed struct {
	Identity bool // the item says who a person is
	Findings []scan.Finding
	Looked   int64 // at how many bytes of the file
	Size     int64 // of the file
}

// reasonFound says that something was found and nobody agreed to let it go.
const reasonFound = "found"

// leave checks an item that is open. file is the beginning of its file, if it was fetched already.
func (c *Client) leave(ctx context.Context, a *access, k *Check, file *beginning) error {
	if k == nil {
		return nil
	}
	if file == nil {
		file = &beginning{stops: true}
		if _, err := c.decrypt(ctx, a, file, nil, nil); err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
	s, d := scan.New(k.Names), a.description
	label, err := c.labelOf(ctx, a.item)
	if err != nil {
		return err
	}
	s.Text("label", label)
	s.Text("file name", d.Name)
	if d.Form != nil {
		s.JSON("record", d.Form)
	}
	if d.Acquisition != nil {
		s.JSON("acquisition", d.Acquisition)
	}
	s.File("file", d.MediaType, file.Bytes())
	own, err := c.ownIDs(ctx, a, s.IDs())
	if err != nil {
		return err
	}
	f := Noticed{a.item.Class == evidence.Identity, s.Findings(func(id string) bool { return slices.Contains(own, id) }), int64(file.Len()), d.Size}
	switch {
	case !f.Identity && len(f.Findings) == 0:
		return nil
	case k.Agree == nil:
		return evidence.Refuse(evidence.Forbidden, reasonFound)
	}
	return k.Agree(f)
}

// beginning keeps the beginning of a file.
type beginning struct {
	bytes.Buffer
	stops bool // the rest is not wanted
}

var errEnough = errors.New("client: enough was read")

func (h *beginning) Write(p []byte) (int, error) {
	n := min(len(p), scan.Most-h.Len())
	h.Buffer.Write(p[:n])
	if n < len(p) && h.stops {
		return n, errEnough
	}
	return len(p), nil
}

// ownIDs are those which whoever receives the item knows anyway (RULES §11): its own, and those of other items of its case.
func (c *Client) ownIDs(ctx context.Context, a *access, found []string) ([]string, error) {
	own := []string{string(a.item.ID), string(a.item.Case), string(a.item.Source)}
	for _, id := range a.item.Consent {
		own = append(own, string(id))
	}
	if !slices.ContainsFunc(found, func(id string) bool { return !slices.Contains(own, id) }) {
		return own, nil
	}
	items, err := c.listItems(ctx, a.item.Case)
	if kind := evidence.KindOf(err); kind == evidence.NotFound || kind == evidence.Forbidden {
		return own, nil // who is no member sees none
	}
	for _, i := range items {
		own = append(own, i.ID)
	}
	return own, err
}

// labelOf opens an item's label for members; to others it is not sealed.
func (c *Client) labelOf(ctx context.Context, item *evidence.ItemState) (string, error) {
	v, err := c.Look(ctx, evidence.CaseOf(item.Case), evidence.ItemOf(item.ID))
	if err != nil {
		return "", err
	}
	in, err := state[*evidence.CaseState](v, evidence.CaseOf(item.Case))
	if err != nil {
		return "", err
	}
	if _, ok := in.Member(c.actor, v.Time); !ok {
		return "", nil
	}
	keys, err := c.labelKeys(ctx, item.Case)
	if err != nil {
		return "", err
	}
	leaf, _ := v.Leaf(evidence.ItemOf(item.ID), 0)
	file, err := c.attachment(ctx, leaf, item.Label.SHA256, nil, evidence.MaxLabel)
	if err != nil {
		return "", err
	}
	for _, key := range keys {
		if text, err := sealing.OpenLabel(file, key); err == nil {
			return text, nil
		}
	}
	return "", nil // sealed before this person joined
}
