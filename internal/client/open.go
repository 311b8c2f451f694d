package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// Open is an access to an item: by a keyholder, or by the survivor whom it is about (Purpose ForSubjectAccess).
type Open struct {
	Item     evidence.ItemID
	Purpose  evidence.Purpose
	Reason   string          // internal note, or ""
	Hold     evidence.HoldID // a confirmed one on which the access stands where consent has ended, or ""
	Copy     bool            // the original is kept as a file, which item.exported tells first (RULES §3.6)
	Progress Progress
}

// Opened is what an access gave.
type Opened struct {
	Receipt     *Receipt // of the access
	Exported    *Receipt // of item.exported, nil where nothing is kept, and of an own copy
	Description Description
	Ciphertext  evidence.Hash // digest found of evidence.age; zero if it did not arrive whole

	access *access
}

// Open signs item.opened, verifies that the access is in the log, and only then opens the envelope and writes the original bytes to dst
// (RULES §3.6). Of a copy item.exported is in the log too before anything is written. What was written counts only if the error is nil: then ciphertext, tree and plaintext are those of the deposit. Give dst
// its final name afterwards (SaveAs). Once the access is logged, Opened is returned beside any error.
func (c *Client) Open(ctx context.Context, p Open, dst io.Writer) (*Opened, error) {
	a, err := c.enter(ctx, p)
	if err != nil {
		return nil, err
	}
	opened := &Opened{Receipt: a.receipt, Description: a.description, access: a}
	if p.Copy {
		if opened.Exported, err = c.copied(ctx, a, exporting{purpose: p.Purpose, hold: p.Hold}); err != nil {
			return opened, err
		}
	}
	opened.Ciphertext, err = c.decrypt(ctx, a, dst, nil, p.Progress)
	return opened, err
}

// Verify opens an item, compares ciphertext and content with the deposit, and signs item.verified with what was found (RULES §3.6). A
// difference is signed too, which stops serving, and returned as an error beside the receipt.
func (c *Client) Verify(ctx context.Context, p Open) (*Receipt, error) {
	a, err := c.enter(ctx, p)
	if err != nil {
		return nil, err
	}
	found, differs := c.decrypt(ctx, a, io.Discard, nil, p.Progress)
	outcome := evidence.Success
	switch {
	case LieOf(differs) == OtherBytes && !found.IsZero() && found != a.item.Evidence.SHA256, evidence.ReasonOf(differs) == reasonContent:
		outcome = evidence.Failure
	case differs != nil: // nothing can be said of a file that did not arrive whole
		return nil, differs
	}
	stream := evidence.ItemOf(p.Item)
	receipt, err := c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		item, e, err := v.onItem(p.Item, evidence.ItemVerified, &evidence.ItemVerifiedDetails{Scope: "content", Evidence: found})
		if err != nil {
			return act{}, err
		}
		e.Purpose, e.Result = evidence.ForVerification, &evidence.Result{Outcome: outcome}
		if outcome == evidence.Success && found != item.Evidence.SHA256 {
			return act{}, alarm(OtherBytes, stream, nil)
		}
		return act{stream: stream, event: e}, nil
	})
	return receipt, errors.Join(differs, err)
}

// Seal signs item.sealed: the item is final and has an exhibit number (RULES §3.6). Without a number it gets the next one of the case. A
// document in it must be finished: see readyToSeal, which opens the item.
func (c *Client) Seal(ctx context.Context, id evidence.ItemID, exhibit int64) (*Receipt, error) {
	if err := c.readyToSeal(ctx, id); err != nil {
		return nil, err
	}
	stream := evidence.ItemOf(id)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		d := &evidence.ItemSealedDetails{Exhibit: exhibit, Root: id}
		item, e, err := v.onItem(id, evidence.ItemSealed, d)
		if err != nil {
			return act{}, err
		}
		if d.Exhibit == 0 {
			if d.Exhibit, err = c.nextExhibit(ctx, item.Case); err != nil {
				return act{}, err
			}
		}
		if item.Source != "" {
			source, err := state[*evidence.ItemState](v, evidence.ItemOf(item.Source))
			if err != nil {
				return act{}, err
			}
			d.Root = source.Root
		}
		e.Object.Exhibit = d.Exhibit
		return act{stream: stream, event: e}, nil
	})
}

func (c *Client) nextExhibit(ctx context.Context, in evidence.CaseID) (int64, error) {
	items, err := c.listItems(ctx, in)
	last := int64(0)
	for _, i := range items {
		last = max(last, i.Exhibit)
	}
	return last + 1, err
}

// governing are the consents that govern an item; of a consent form the one that was given with it, if it was looked at
// and the vault's rules know of that.
func (v *View) governing(item *evidence.ItemState) []evidence.ConsentID {
	if policy, err := v.policy(); err == nil && policy.Rules >= 2 && item.Class == evidence.ConsentForm {
		for _, s := range v.facts.States {
			if c, ok := s.(*evidence.ConsentState); ok && slices.Contains(c.Forms, item.ID) {
				return []evidence.ConsentID{c.ID}
			}
		}
	}
	return item.Consent
}

// concerning lists what is looked at to act on an item for the person concerned: its stream, and of a consent form the consent that was
// given with it.
func (c *Client) concerning(ctx context.Context, id evidence.ItemID) ([]evidence.Stream, error) {
	streams := []evidence.Stream{evidence.ItemOf(id)}
	_, item, err := lookAt[*evidence.ItemState](ctx, c, streams[0])
	if err != nil || item.Class != evidence.ConsentForm {
		return streams, err
	}
	list, err := c.Consents(ctx, item.Case)
	if evidence.KindOf(err) == evidence.NotFound { // no member: she speaks for some of them
		own, failed := c.OwnConsents(ctx)
		list, err = nil, failed
		for _, o := range own {
			list = append(list, o.Consent)
		}
	}
	for _, l := range list {
		s := evidence.ConsentOf(evidence.ConsentID(l.ID))
		if _, consent, failed := lookAt[*evidence.ConsentState](ctx, c, s); failed != nil {
			return streams, failed
		} else if slices.Contains(consent.Forms, id) {
			return append(streams, s), nil
		}
	}
	return streams, err
}

// onItem begins an event on an item: its case, the ground on which it is held, the consents that govern it as they are now, what it is.
func (v *View) onItem(id evidence.ItemID, kind evidence.Kind, d evidence.Details) (*evidence.ItemState, *evidence.Event, error) {
	item, err := state[*evidence.ItemState](v, evidence.ItemOf(id))
	if err != nil {
		return nil, nil, err
	}
	e := &evidence.Event{
		Kind: kind, Case: item.Case, Details: d, Authority: &evidence.Authority{Basis: item.Basis},
		Object: &evidence.Object{Class: item.Class, Content: item.Content, Exhibit: item.Exhibit},
	}
	for _, id := range v.governing(item) {
		c, err := state[*evidence.ConsentState](v, evidence.ConsentOf(id))
		if err != nil {
			return nil, nil, err
		}
		e.Consent = append(e.Consent, evidence.ConsentRef{ID: id, Version: c.Version})
	}
	return item, e, nil
}

// access is an access event that is in the log, with what it gave.
type access struct {
	receipt     *Receipt
	item        *evidence.ItemState // as it was when the event was signed
	key         sealing.ItemKey
	envelope    []byte
	found       evidence.Hash // digest of the ciphertext that arrived
	description Description
}

// enter signs item.opened and takes the item key out of this person's envelope.
func (c *Client) enter(ctx context.Context, p Open) (*access, error) {
	stream := evidence.ItemOf(p.Item)
	var item *evidence.ItemState
	var ref evidence.EnvelopeRef
	streams, err := []evidence.Stream{stream}, error(nil)
	if p.Purpose == evidence.ForSubjectAccess {
		if streams, err = c.concerning(ctx, p.Item); err != nil {
			return nil, err
		}
	}
	receipt, err := c.perform(ctx, streams, func(v *View) (a act, err error) {
		d := &evidence.ItemOpenedDetails{}
		a.stream = stream
		if item, a.event, err = v.onItem(p.Item, evidence.ItemOpened, d); err != nil {
			return a, err
		}
		if ref, err = v.envelope(item, c.actor); err != nil {
			return a, err
		}
		d.Envelope, a.event.Purpose, a.event.Authority.Hold = ref.SHA256, p.Purpose, p.Hold
		return a, v.noteToCase(&a, item.Case, "reason", p.Reason)
	})
	if err != nil {
		return nil, err
	}
	return c.unseal(ctx, receipt, item, ref)
}

// envelope returns what the signed events say of an actor's envelope. Of a shredded item there is none, for anybody, ever.
func (v *View) envelope(item *evidence.ItemState, id evidence.ActorID) (evidence.EnvelopeRef, error) {
	if item.Shredded != 0 {
		return evidence.EnvelopeRef{}, evidence.Refuse(evidence.Gone, evidence.ReasonShredded)
	}
	who, err := state[*evidence.ActorState](v, evidence.ActorOf(id))
	if err != nil {
		return evidence.EnvelopeRef{}, err
	}
	ref, ok := item.Envelope(who.Fingerprint())
	if !ok {
		return ref, evidence.Refuse(evidence.NotFound, evidence.ReasonEnvelope)
	}
	return ref, nil
}

// unseal takes the item key out of this person's envelope.
func (c *Client) unseal(ctx context.Context, r *Receipt, item *evidence.ItemState, ref evidence.EnvelopeRef) (*access, error) {
	return c.unsealWith(ctx, r, item, ref, c.unlock)
}

// unsealWith is the only way to an item key. It takes a receipt, so a verified inclusion: no proof, no key. What the vault released must be
// what the signed events name.
func (c *Client) unsealWith(ctx context.Context, r *Receipt, item *evidence.ItemState, ref evidence.EnvelopeRef, unlock func() (sealing.Identity, error)) (*access, error) {
	stream := evidence.ItemOf(item.ID)
	if r.included == (tlog.Included{}) || evidence.Hash(r.included.LeafHash()) != r.Leaf {
		return nil, alarm(NotIncluded, stream, nil)
	}
	o := r.opening
	if o == nil { // the right may have ended between the log's answer and now: the vault says why
		renewed, err := c.release(ctx, r.Leaf)
		if err != nil {
			return nil, err
		}
		o = &renewed
	}
	switch {
	case o.Event != r.Leaf.String(), o.Item != string(item.ID):
		return nil, alarm(OtherRelease, stream, nil)
	case evidence.SHA256(o.Envelope) != ref.SHA256:
		return nil, alarm(OtherEnvelope, stream, nil)
	case evidence.SHA256(o.Description) != item.Description.SHA256:
		return nil, alarm(OtherText, stream, nil)
	case o.Size != item.Evidence.Size:
		return nil, alarm(OtherBytes, stream, nil)
	}
	id, err := unlock()
	if err != nil {
		return nil, err
	}
	// From here on a fault is that of who deposited or shared: these are the bytes that they signed.
	a := &access{receipt: r, item: item, envelope: o.Envelope}
	if a.key, err = sealing.OpenEnvelope(o.Envelope, id, item.ItemRecipient); err != nil {
		return nil, evidence.Fail(evidence.Invalid, evidence.ReasonEnvelope, err)
	}
	object, err := sealing.OpenDescription(o.Description, a.key)
	if err != nil {
		return nil, evidence.Fail(evidence.Invalid, "description", err)
	}
	a.description, err = dossier.ParseDescription(object)
	return a, err
}

// release asks for, or renews, the right to fetch that an access event gave.
func (c *Client) release(ctx context.Context, leaf evidence.Hash) (wire.Opening, error) {
	req, err := wire.NewOpenItemRequest(c.address, leaf.String())
	return ask[wire.Opening](ctx, c, req, err, http.StatusOK)
}

// reasonContent says that the ciphertext is the one deposited, but what is in it is not what the depositor described.
const reasonContent = "content_differs"

// decrypt downloads evidence.age and writes the original bytes to dst, and the file itself to ciphertext unless that is nil. It returns the
// digest found of the file, also beside an OtherBytes alarm or reasonContent; zero if it did not arrive whole.
func (c *Client) decrypt(ctx context.Context, a *access, dst, ciphertext io.Writer, progress Progress) (evidence.Hash, error) {
	if a.item.Class == evidence.DescriptionOnly {
		return a.item.Evidence.SHA256, nil
	}
	src := c.download(ctx, a.receipt.Leaf, a.item, progress)
	defer src.Close()
	file := io.Reader(src)
	if ciphertext != nil {
		file = io.TeeReader(src, ciphertext)
	}
	got, err := sealing.Decrypt(dst, file, a.key)
	if damage(err) {
		// Whose fault it is the rest of the ciphertext tells.
		if _, err := io.Copy(io.Discard, file); err != nil {
			return src.digest(), err
		}
		if src.digest() == a.item.Evidence.SHA256 {
			return src.digest(), evidence.Fail(evidence.Invalid, reasonContent, err)
		}
		return src.digest(), alarm(OtherBytes, evidence.ItemOf(a.item.ID), err)
	}
	if err != nil {
		return src.digest(), err
	}
	want := evidence.Evidence{SHA256: got.Ciphertext.SHA256, Size: got.Ciphertext.Size, Tree: got.Tree}
	switch {
	case want != a.item.Evidence:
		return src.digest(), alarm(OtherBytes, evidence.ItemOf(a.item.ID), nil)
	case got.Plaintext != sealing.Digest{SHA256: a.description.SHA256, Size: a.description.Size}:
		return src.digest(), evidence.Refuse(evidence.Invalid, reasonContent)
	}
	return src.digest(), nil
}

// damage reports whether decrypting failed for what was read, not for the reading.
func damage(err error) bool {
	return slices.ContainsFunc([]error{sealing.ErrHeader, sealing.ErrNotForYou, sealing.ErrDamaged}, func(e error) bool { return errors.Is(err, e) })
}
