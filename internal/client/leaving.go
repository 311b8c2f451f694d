package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/scan"
	"strongroom.example/strongroom/internal/sealing"
)

// Check looks through an item before it leaves, for names and other things that should not travel by accident (RULES §12.12). It happens on
// this device alone, while the item is open.
type Check struct {
	Names []string            // to look for
	Agree func(Noticed) error // asked if there is something to agree to; its error stops the act before anything is signed for the recipient
	Tell  func(Noticed)       // told if there is not, so that silence is no result; or nil

	agreed map[evidence.Hash]bool // additions that were agreed to: an act may be made again
}

// Noticed is what a check found.
type Noticed struct {
	Named    int  // how many names were looked for: without any, none is found
	Identity bool // the item says who a person is
	Findings []scan.Finding
	Unseen   []string // parts that are to be seen or heard, which nobody looked through
	Opened   bool     // the item was looked through, not only what is added to it
	Looked   int64    // at how many bytes of the file
	Size     int64    // of the file
	Unread   []string // notes that go too and that this person cannot read, as Finding.Where names them
	Readers  []Reader // who has a key to the item already, and so receives what is added to it
	// Forms are the consent forms that this person cannot read: what they say of places and camera numbers, which were found, is not known.
	Forms []evidence.ItemID
}

// stops reports whether somebody must agree. That a picture is to be seen is no surprise.
func (f *Noticed) stops() bool {
	return f.Identity || len(f.Findings)+len(f.Unread)+len(f.Readers) > 0
}

const (
	reasonFound   = "found"    // something was found, and nobody agreed to let it go
	reasonReaders = "readers"  // what is added goes to who has a key already, and nobody agreed to that
	reasonLeftOut = "left_out" // the person concerned chose that copies which are shared do not hold what was found
)

// leaving is what goes to a recipient beside the item: what a grant tells that one, and the reason of a grant that is to be proposed.
type leaving struct {
	grant  evidence.GrantID // "" for who gets the item without one
	reason string
	shared bool // what the person concerned chose for shared copies counts
}

// leave checks an item that is open: all that whoever has its key can read, now or from a package. file is the beginning of its file, if it was
// fetched already.
func (c *Client) leave(ctx context.Context, a *access, k *Check, file *beginning, to leaving) error {
	if k == nil {
		return nil
	}
	if file == nil {
		file = &beginning{stops: true}
		if _, err := c.decrypt(ctx, a, file, nil, nil); err != nil && !errors.Is(err, errEnough) {
			return err
		}
	}
	s, f := scan.New(k.Names), Noticed{Identity: a.item.Class == evidence.Identity, Opened: true, Looked: int64(file.Len()), Size: a.description.Size}
	label, err := c.labelOf(ctx, a.item)
	if err != nil {
		return err
	}
	s.Text("label", label)
	describe(s, a.description, "")
	s.File("file", a.description.MediaType, file.Bytes(), a.description.Size)
	s.Text(whereReason, to.reason)
	if err := c.leaveVersions(ctx, a, s); err != nil {
		return err
	}
	if f.Unread, err = c.leaveNotes(ctx, a, s, to.grant); err != nil {
		return err
	}
	if to.shared {
		if f.Forms, err = c.choice(ctx, a, s.Findings(func(string) bool { return true })); err != nil {
			return err
		}
	}
	return c.agreed(ctx, k, s, a.item, f)
}

// whereReason is the part in which the reason of a share is.
const whereReason = "reason"

// leaveReason checks the reason of a share without opening its item.
func (c *Client) leaveReason(ctx context.Context, k *Check, item *evidence.ItemState, reason string) error {
	s := scan.New(k.Names)
	s.Text(whereReason, reason)
	return c.agreed(ctx, k, s, item, Noticed{})
}

// agreed asks about what was found, if anything was.
func (c *Client) agreed(ctx context.Context, k *Check, s *scan.Scanner, item *evidence.ItemState, f Noticed) error {
	own, err := c.ownIDs(ctx, item, s.IDs())
	if err != nil {
		return err
	}
	for _, found := range s.Findings(func(id string) bool { return slices.Contains(own, id) }) {
		if found.Kind == scan.Unseen {
			f.Unseen = append(f.Unseen, found.Where)
		} else {
			f.Findings = append(f.Findings, found)
		}
	}
	for _, name := range k.Names {
		if strings.TrimSpace(name) != "" {
			f.Named++
		}
	}
	switch {
	case !f.stops():
		if k.Tell != nil {
			k.Tell(f)
		}
		return nil
	case k.Agree == nil && len(f.Readers) > 0:
		return evidence.Refuse(evidence.Forbidden, reasonReaders)
	case k.Agree == nil:
		return evidence.Refuse(evidence.Forbidden, reasonFound)
	}
	return k.Agree(f)
}

// describe looks through a description; version begins what its parts are called.
func describe(s *scan.Scanner, d Description, version string) {
	s.Text(version+"file name", d.Name)
	s.Text(version+"kind of file", d.MediaType)
	if d.Form != nil {
		s.JSON(version+"record", d.Form)
	}
	if d.Acquisition != nil {
		s.JSON(version+"acquisition", d.Acquisition)
	}
}

// leaveVersions looks through the descriptions before the newest: they stay readable, and a package holds them.
func (c *Client) leaveVersions(ctx context.Context, a *access, s *scan.Scanner) error {
	list, err := c.versions(ctx, a)
	for i, v := range list {
		if i < len(list)-1 {
			describe(s, v.Description, fmt.Sprintf("version %d, ", v.Number))
		}
	}
	return err
}

// leaveNotes looks through the notes that go along: those to who opens the item, and those of a grant to its recipient but the pseudonyms.
func (c *Client) leaveNotes(ctx context.Context, a *access, s *scan.Scanner, grant evidence.GrantID) (unread []string, _ error) {
	list, err := c.notes(ctx, evidence.ItemOf(a.item.ID), a, func(n ReadNote) bool {
		return n.Audience == evidence.ToItem || n.Audience == evidence.ToRecipient && grant != "" && n.Grant == grant && n.Name != notePseudonym
	})
	for _, n := range list {
		where := fmt.Sprintf("note %q of step %d", n.Name, n.Seq+1)
		if n.Unread != "" {
			unread = append(unread, where)
			continue
		}
		s.Text(where, n.Text)
	}
	return unread, err
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
func (c *Client) ownIDs(ctx context.Context, item *evidence.ItemState, found []string) ([]string, error) {
	own := []string{string(item.ID), string(item.Case), string(item.Source)}
	for _, id := range item.Consent {
		own = append(own, string(id))
	}
	if !slices.ContainsFunc(found, func(id string) bool { return !slices.Contains(own, id) }) {
		return own, nil
	}
	items, err := c.listItems(ctx, item.Case)
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
	v, in, err := lookAt[*evidence.CaseState](ctx, c, evidence.CaseOf(item.Case), evidence.ItemOf(item.ID))
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
