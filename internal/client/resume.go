package client

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
)

// Resumed is what became of an interrupted deposit.
type Resumed struct {
	Item    evidence.ItemID
	Receipt *Receipt // nil if Err is set
	Err     error
}

// ResumeDeposits finishes the deposits that were interrupted on this device, each for itself.
func (c *Client) ResumeDeposits(ctx context.Context, progress Progress) ([]Resumed, error) {
	names, err := c.cfg.Keystore.List(depositsDir)
	if err != nil {
		return nil, err
	}
	var list []Resumed
	for _, name := range names {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		if r, ok := c.resumeDoc(ctx, name, progress); ok {
			list = append(list, r)
		}
	}
	return list, nil
}

// resumeDoc finishes one draft; ok is false if another process has.
func (c *Client) resumeDoc(ctx context.Context, name string, progress Progress) (r Resumed, ok bool) {
	d, err := c.draftAt(name)
	if err == nil {
		var release func() error
		if release, err = c.hold(ctx, &d, false); err == nil {
			defer release()
			d, err = c.draftAt(name) // it may have been finished before it was held
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return r, false
	}
	r = Resumed{Item: d.Item, Err: err}
	if err == nil {
		r.Receipt, r.Err = c.resume(ctx, &d, progress)
	}
	return r, true
}

func (c *Client) draftAt(name string) (draft, error) {
	d := draft{kept: true}
	if err := readDoc(c.cfg.Keystore, name, &d); err != nil {
		return draft{}, err
	}
	if d.doc() != name || !d.valid() {
		return draft{}, errDamaged
	}
	return d, nil
}

// resume finishes a draft, which may have been accepted just before the interruption.
func (c *Client) resume(ctx context.Context, d *draft, progress Progress) (*Receipt, error) {
	receipt, err := c.accepted(ctx, d)
	if evidence.KindOf(err) == evidence.NotFound {
		return c.finish(ctx, d, progress)
	}
	return receipt, err
}

// accepted returns the receipt of a deposit that is in the vault, and tidies up: NotFound if it is not, Pending if it is not in the log.
func (c *Client) accepted(ctx context.Context, d *draft) (*Receipt, error) {
	stream := evidence.ItemOf(d.Item)
	var v *View
	err := c.patiently(ctx, func() (err error) {
		v, err = c.Look(ctx, stream)
		return err
	})
	if err != nil {
		return nil, err
	}
	e, err := v.Event(stream, 0)
	if evidence.KindOf(err) == evidence.NotFound { // the stream is there, its first event not yet
		return nil, evidence.Refuse(evidence.Pending, "proof_pending")
	}
	if err != nil {
		return nil, err
	}
	if have, ok := e.Details.(*evidence.ItemDepositedDetails); !ok || have.ItemRecipient != d.Details.ItemRecipient || have.Evidence != d.Details.Evidence {
		return nil, alarm(OtherBytes, stream, nil)
	}
	receipt, err := v.receipt(c.trust.LogKeys(), stream, 0)
	if err != nil {
		return nil, err
	}
	return receipt, c.settle(d, receipt)
}
