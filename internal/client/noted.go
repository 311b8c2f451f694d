package client

import (
	"context"
	"errors"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// Unread says why a note is without its text.
type Unread string

const (
	UnreadOpens  Unread = "needs_opening" // reading it is an access to the item
	UnreadErased Unread = "erased"        // it went with the item's keys
	UnreadSealed Unread = "not_for_you"   // sealed for somebody else, or before this person was to read it
	UnreadBroken Unread = "unreadable"    // it is what was signed, and not in the form of a note
)

// ReadNote is a note that an event names: its text, or why there is none.
type ReadNote struct {
	evidence.Note
	Seq    int64            // of the event in its stream
	Grant  evidence.GrantID // that the event is about, or ""
	Text   string
	Unread Unread // "" if Text is the note's
}

// Notes lists the notes of a stream, and reads those that need no opening: internal ones, for members of the case. It leaves no trace. Each
// text is compared with the digest in its event.
func (c *Client) Notes(ctx context.Context, s evidence.Stream) ([]ReadNote, error) {
	return c.notes(ctx, s, nil, nil)
}

// OpenNotes opens an item, which is an access and logged as one, and reads all notes of it that are for this person.
func (c *Client) OpenNotes(ctx context.Context, p Open) ([]ReadNote, *Receipt, error) {
	a, err := c.enter(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	list, err := c.notes(ctx, evidence.ItemOf(p.Item), a, nil)
	return list, a.receipt, err
}

// NotesToRecipient reads what a redeemed grant tells its recipient, by the access that was just made. It leaves no trace of its own.
func (c *Client) NotesToRecipient(ctx context.Context, o *Opened) ([]ReadNote, error) {
	grant := evidence.GrantNamed(o.Receipt.Event.Details)
	return c.notes(ctx, evidence.ItemOf(o.access.item.ID), o.access, func(n ReadNote) bool { return n.Audience == evidence.ToRecipient && n.Grant == grant })
}

// notes reads what can be read of the notes that are wanted, nil for all: with an access also notes to the item and to recipients.
func (c *Client) notes(ctx context.Context, s evidence.Stream, a *access, want func(ReadNote) bool) (list []ReadNote, _ error) {
	v, err := c.Look(ctx, s, evidence.ActorOf(c.actor))
	if err != nil {
		return nil, err
	}
	var labels []sealing.Key // of the case, asked for once
	for e, err := range v.Events(s) {
		if err != nil {
			return nil, err
		}
		for _, n := range e.Notes {
			r := ReadNote{Note: n, Seq: e.Stream.Seq, Grant: grantOf(e.Event)}
			if want != nil && !want(r) {
				continue
			}
			r.Unread = v.unread(c.actor, s, r, a != nil)
			keys, access := []sealing.Key(nil), (*evidence.Hash)(nil)
			switch {
			case r.Unread != "":
			case n.Audience == evidence.ToInternal:
				if labels == nil {
					if labels, err = c.keysOfCase(ctx, caseOf(s, e.Event)); err != nil {
						return nil, err
					}
				}
				keys = labels
			case n.Audience == evidence.ToItem:
				keys, access = []sealing.Key{a.key}, &a.receipt.Leaf
			default:
				id, err := c.unlock()
				if err != nil {
					return nil, err
				}
				keys, access = []sealing.Key{id}, &a.receipt.Leaf
			}
			if r.Unread == "" {
				if r.Text, r.Unread, err = c.readNote(ctx, e.Leaf, n, access, keys...); err != nil {
					return nil, err
				}
			}
			list = append(list, r)
		}
	}
	return list, nil
}

// unread is what can be said of a note before anything is fetched: "" if it may be read now.
func (v *View) unread(me evidence.ActorID, s evidence.Stream, n ReadNote, open bool) Unread {
	own, _ := v.facts.States[s].(*evidence.ItemState)
	if own != nil && own.Shredded != 0 && (n.Seq < own.ShredSeq || n.Audience == evidence.ToItem) {
		return UnreadErased
	}
	in := s
	if own != nil {
		in = evidence.CaseOf(own.Case)
	} else if consent, ok := v.facts.States[s].(*evidence.ConsentState); ok {
		in = evidence.CaseOf(consent.Case)
	}
	members, _ := v.facts.States[in].(*evidence.CaseState)
	switch n.Audience {
	case evidence.ToInternal:
		if members == nil {
			return UnreadSealed
		}
		if _, ok := members.Member(me, v.Time); !ok {
			return UnreadSealed
		}
		return ""
	case evidence.ToRecipient:
		if g := own.Grant(n.Grant); (members == nil || !members.Holds(me)) && (g == nil || g.Terms.Recipient.Actor != me) {
			return UnreadSealed
		}
	}
	if _, err := v.envelope(own, me); err != nil {
		return UnreadSealed
	}
	if !open {
		return UnreadOpens
	}
	return ""
}

// keysOfCase are the label keys of a case as keys of its notes; none where the vault has none for this person.
func (c *Client) keysOfCase(ctx context.Context, in evidence.CaseID) ([]sealing.Key, error) {
	labels, err := c.labelKeys(ctx, in)
	if err != nil && !hidden(err) {
		return nil, err
	}
	keys := []sealing.Key{}
	for _, k := range labels {
		keys = append(keys, k)
	}
	return keys, nil
}

// readNote fetches a note and opens it with the first key that does.
func (c *Client) readNote(ctx context.Context, leaf evidence.Hash, n evidence.Note, access *evidence.Hash, keys ...sealing.Key) (string, Unread, error) {
	if len(keys) == 0 {
		return "", UnreadSealed, nil
	}
	file, err := c.attachment(ctx, leaf, n.SHA256, access, evidence.MaxNote)
	if hidden(err) {
		return "", UnreadSealed, nil
	}
	if err != nil {
		return "", "", err
	}
	for _, key := range keys {
		text, err := sealing.OpenNote(file, key)
		if err == nil {
			return text, "", nil
		}
		if !errors.Is(err, sealing.ErrNotForYou) {
			return "", UnreadBroken, nil
		}
	}
	return "", UnreadSealed, nil
}

// hidden reports whether the vault answered that there is nothing, or nothing for this person.
func hidden(err error) bool {
	switch evidence.KindOf(err) {
	case evidence.NotFound, evidence.Gone, evidence.Forbidden:
		return err != nil && LieOf(err) == ""
	}
	return false
}

// grantOf is the grant that an event is about, its proposal too.
func grantOf(e *evidence.Event) evidence.GrantID {
	if d, ok := e.Details.(*evidence.GrantProposedDetails); ok {
		return d.ID
	}
	return evidence.GrantNamed(e.Details)
}

func caseOf(s evidence.Stream, e *evidence.Event) evidence.CaseID {
	if s.Type == evidence.CaseStream {
		return evidence.CaseID(s.ID)
	}
	return e.Case
}
