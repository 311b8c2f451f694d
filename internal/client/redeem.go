package client

import (
	"context"
	"io"
	"net/http"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// Grants lists the grants to this person. It is for orientation; what is decided on is looked at.
func (c *Client) Grants(ctx context.Context) ([]wire.Grant, error) {
	return pages(ctx, func(ctx context.Context, cursor *string) ([]wire.Grant, string, error) {
		req, err := wire.NewListGrantsRequest(c.address, &wire.ListGrantsParams{Cursor: cursor})
		page, err := ask[wire.GrantList](ctx, c, req, err, http.StatusOK)
		return page.Grants, page.Next, err
	})
}

// Redemption is a court's access under a grant.
type Redemption struct {
	Item     evidence.ItemID
	Grant    evidence.GrantID
	Action   evidence.Action
	Progress Progress
}

// Redeem signs grant.redeemed and, once that is in the log, writes the original bytes to dst, as Open does (RULES §7). Who downloads keeps a
// copy: then item.exported is in the log too before anything is written.
func (c *Client) Redeem(ctx context.Context, p Redemption, dst io.Writer) (*Opened, error) {
	a, err := c.redeem(ctx, p)
	if err != nil {
		return nil, err
	}
	opened := &Opened{Receipt: a.receipt, Description: a.description, access: a}
	if p.Action == evidence.Download {
		if opened.Exported, err = c.copied(ctx, a, exporting{grant: p.Grant}); err != nil {
			return opened, err
		}
	}
	opened.Ciphertext, err = c.decrypt(ctx, a, dst, nil, p.Progress)
	return opened, err
}

func (c *Client) redeem(ctx context.Context, p Redemption) (*access, error) {
	stream := evidence.ItemOf(p.Item)
	var item *evidence.ItemState
	var ref evidence.EnvelopeRef
	receipt, err := c.perform(ctx, []evidence.Stream{stream}, func(v *View) (a act, err error) {
		d := &evidence.GrantRedeemedDetails{Grant: p.Grant, Action: p.Action}
		a.stream = stream
		if item, _, a.event, err = v.onGrant(p.Item, p.Grant, evidence.GrantRedeemed, d); err != nil {
			return a, err
		}
		ref, err = v.envelope(item, c.actor)
		d.Envelope = ref.SHA256
		return a, err
	})
	if err != nil {
		return nil, err
	}
	return c.unseal(ctx, receipt, item, ref)
}

// Acknowledge signs grant.acknowledged: which ciphertext arrived, and whether it and its content are what was deposited and described
// (RULES §7.6). Unequal alarms both ends.
func (c *Client) Acknowledge(ctx context.Context, item evidence.ItemID, grant evidence.GrantID, found evidence.Hash, equal bool) (*Receipt, error) {
	stream := evidence.ItemOf(item)
	return c.perform(ctx, []evidence.Stream{stream}, func(v *View) (act, error) {
		_, _, e, err := v.onGrant(item, grant, evidence.GrantAcknowledged,
			&evidence.GrantAcknowledgedDetails{Grant: grant, Evidence: found, Equal: equal, Verifier: c.cfg.Tool.Name + " " + c.cfg.Tool.Version})
		if err != nil {
			return act{}, err
		}
		return act{stream: stream, event: e}, nil
	})
}
