package client

import (
	"context"
	"net/http"
	"slices"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// Listed is an item of a case: its verified state, and its label if one of this person's label keys opens it.
type Listed struct {
	*evidence.ItemState
	Label  string
	Extent dossier.Extent
	Opened bool // whether both could be opened
}

// itemsOfLook bounds how many items are looked at together; each brings the streams it stands on.
const itemsOfLook = 200

// Items lists the items of a case, each verified, with its label. Which items there are is the vault's claim (RULES §11, 3).
func (c *Client) Items(ctx context.Context, in evidence.CaseID) ([]Listed, error) {
	items, err := c.listItems(ctx, in)
	if err != nil {
		return nil, err
	}
	keys, err := c.labelKeys(ctx, in)
	if err != nil {
		return nil, err
	}
	return c.listed(ctx, items, in, keys)
}

// OwnConsents lists the consents for which this person speaks now, as the survivor or as an advocate. It is for orientation; what is
// decided on is looked at.
func (c *Client) OwnConsents(ctx context.Context) ([]wire.OwnConsent, error) {
	req, err := wire.NewListOwnConsentsRequest(c.address)
	list, err := ask[wire.OwnConsentList](ctx, c, req, err, http.StatusOK)
	return list.Consents, err
}

// OwnItems lists what a consent governs, and its form, each verified, for who speaks for the person concerned. Labels are not for them.
func (c *Client) OwnItems(ctx context.Context, consent evidence.ConsentID) ([]Listed, error) {
	items, err := c.listOwnItems(ctx, consent)
	if err != nil {
		return nil, err
	}
	return c.listed(ctx, items, "", nil)
}

// AllItems lists every item of the vault, each verified, for auditors. Labels are not for them.
func (c *Client) AllItems(ctx context.Context) ([]Listed, error) {
	items, err := c.listAllItems(ctx)
	if err != nil {
		return nil, err
	}
	return c.listed(ctx, items, "", nil)
}

// listed verifies listed items, of the case unless that is "", and opens their labels as far as the keys do.
func (c *Client) listed(ctx context.Context, items []wire.Item, in evidence.CaseID, keys []sealing.ItemKey) (list []Listed, _ error) {
	for batch := range slices.Chunk(items, itemsOfLook) {
		streams := make([]evidence.Stream, len(batch))
		for i, item := range batch {
			streams[i] = evidence.ItemOf(evidence.ItemID(item.ID))
		}
		v, err := c.Look(ctx, streams...)
		if err != nil {
			return nil, err
		}
		for i, item := range batch {
			own, err := state[*evidence.ItemState](v, streams[i])
			switch {
			case v.Len(streams[i]) == 0: // it has just been deposited, and is not in the log yet
				continue
			case err != nil:
				return nil, err
			case in != "" && own.Case != in:
				return nil, alarm(Malformed, streams[i], nil)
			case len(item.Label) > 0 && evidence.SHA256(item.Label) != own.Label.SHA256:
				return nil, alarm(OtherText, streams[i], nil)
			}
			l := Listed{ItemState: own}
			l.Label, l.Extent, l.Opened = openLabel(item.Label, keys)
			list = append(list, l)
		}
	}
	return list, nil
}

// Apart reports whether a deposit of this class must go into another case: who a person is shares one with nothing but consent forms (RULES
// §3.6). It is for asking early; what is there already is the vault's claim, and the vault's to refuse.
func (c *Client) Apart(ctx context.Context, in evidence.CaseID, class evidence.Class) (apart bool, _ error) {
	if class == evidence.ConsentForm {
		return false, nil
	}
	_, err := pages(ctx, func(ctx context.Context, cursor *string) ([]wire.Item, string, error) {
		req, err := wire.NewListItemsRequest(c.address, string(in), &wire.ListItemsParams{Cursor: cursor})
		page, err := ask[wire.ItemList](ctx, c, req, err, http.StatusOK)
		for _, i := range page.Items {
			if i.Class != wire.ClassConsentForm && i.Shredded == "" { // the first one tells what the case is for
				apart = (i.Class == wire.ClassIdentity) != (class == evidence.Identity)
				return nil, "", err
			}
		}
		return page.Items, page.Next, err
	})
	return apart, err
}

func (c *Client) listItems(ctx context.Context, in evidence.CaseID) ([]wire.Item, error) {
	return pages(ctx, func(ctx context.Context, cursor *string) ([]wire.Item, string, error) {
		req, err := wire.NewListItemsRequest(c.address, string(in), &wire.ListItemsParams{Cursor: cursor})
		page, err := ask[wire.ItemList](ctx, c, req, err, http.StatusOK)
		return page.Items, page.Next, err
	})
}

func (c *Client) listAllItems(ctx context.Context) ([]wire.Item, error) {
	return pages(ctx, func(ctx context.Context, cursor *string) ([]wire.Item, string, error) {
		req, err := wire.NewListAllItemsRequest(c.address, &wire.ListAllItemsParams{Cursor: cursor})
		page, err := ask[wire.ItemList](ctx, c, req, err, http.StatusOK)
		return page.Items, page.Next, err
	})
}

func (c *Client) listOwnItems(ctx context.Context, consent evidence.ConsentID) ([]wire.Item, error) {
	return pages(ctx, func(ctx context.Context, cursor *string) ([]wire.Item, string, error) {
		req, err := wire.NewListOwnItemsRequest(c.address, string(consent), &wire.ListOwnItemsParams{Cursor: cursor})
		page, err := ask[wire.ItemList](ctx, c, req, err, http.StatusOK)
		return page.Items, page.Next, err
	})
}

// labelKeys returns the label keys of a case that are addressed to this person, the newest first: the label key changes whenever somebody
// leaves, and labels sealed before stay under the older one.
func (c *Client) labelKeys(ctx context.Context, in evidence.CaseID) ([]sealing.ItemKey, error) {
	stream := evidence.CaseOf(in)
	v, own, err := lookAt[*evidence.CaseState](ctx, c, stream, evidence.ActorOf(c.actor))
	if err != nil {
		return nil, err
	}
	current, err := c.labelKey(ctx, v, own)
	if err != nil {
		return nil, err
	}
	self, err := state[*evidence.ActorState](v, evidence.ActorOf(c.actor))
	if err != nil {
		return nil, err
	}
	keys := []sealing.ItemKey{current}
	recipient := "" // of the label key after the event looked at, going forward
	for e, err := range v.Events(stream) {
		if err != nil {
			return nil, err
		}
		var refs []evidence.EnvelopeRef
		switch d := e.Details.(type) {
		case *evidence.CaseOpenedDetails:
			recipient, refs = d.LabelKey.Recipient, d.LabelKey.Envelopes
		case *evidence.CaseMemberRemovedDetails:
			recipient, refs = d.LabelKey.Recipient, d.LabelKey.Envelopes
		case *evidence.CaseMemberAddedDetails:
			refs = []evidence.EnvelopeRef{d.Envelope}
		}
		if recipient == current.Recipient() {
			continue
		}
		for _, ref := range refs {
			if ref.Recipient != self.Fingerprint() {
				continue
			}
			body, err := c.attachment(ctx, e.Leaf, ref.SHA256, nil, evidence.MaxEnvelope)
			if kind := evidence.KindOf(err); kind == evidence.NotFound || kind == evidence.Gone {
				continue // destroyed: labels of that time stay closed
			}
			if err != nil {
				return nil, err
			}
			key, err := c.openLabelKey(v, own, body, evidence.LabelKey{Recipient: recipient, Envelopes: []evidence.EnvelopeRef{ref}})
			if err != nil {
				return nil, err
			}
			keys = slices.Insert(keys, 1, key)
		}
	}
	return keys, nil
}

// attachment fetches a file that an event names, by its digest; access is the access event that allows it, nil for files of a case.
func (c *Client) attachment(ctx context.Context, event, digest evidence.Hash, access *evidence.Hash, most int64) ([]byte, error) {
	params := &wire.GetAttachmentParams{}
	if access != nil {
		params.Access = new(access.String())
	}
	req, err := wire.NewGetAttachmentRequest(c.address, event.String(), digest.String(), params)
	if err != nil {
		return nil, err
	}
	resp, err := c.signedIn(ctx, req, http.StatusOK)
	if err != nil {
		return nil, err
	}
	body, err := readAll(resp, most)
	if err == nil && evidence.SHA256(body) != digest {
		err = alarm(OtherText, evidence.Stream{}, nil)
	}
	return body, err
}

// History returns a stream's events from the first to the last, verified, and proved to be all of them up to that moment, but for those that
// a secret hold withholds.
func (c *Client) History(ctx context.Context, s evidence.Stream) ([]Entry, error) {
	v, err := c.Look(ctx, s)
	if err != nil {
		return nil, err
	}
	list := make([]Entry, 0, v.Len(s))
	for e, err := range v.Events(s) {
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, nil
}

// InternalNote reads an internal note of an event of a case, for its members.
func (c *Client) InternalNote(ctx context.Context, in evidence.CaseID, e Entry, name string) (string, error) {
	i := slices.IndexFunc(e.Notes, func(n evidence.Note) bool { return n.Name == name && n.Audience == evidence.ToInternal })
	if i < 0 {
		return "", evidence.Refuse(evidence.NotFound, "note")
	}
	keys, err := c.keysOfCase(ctx, in)
	if err != nil {
		return "", err
	}
	text, unread, err := c.readNote(ctx, e.Leaf, e.Notes[i], nil, keys...)
	if err == nil && unread != "" {
		err = evidence.Refuse(evidence.Forbidden, evidence.ReasonKeys)
	}
	return text, err
}
