package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// download reads evidence.age on the strength of an access event. It goes on where a broken connection ended, and renews the release when
// its time is over. It never gives more bytes than the deposit has.
type download struct {
	c        *Client
	ctx      context.Context
	leaf     evidence.Hash
	item     *evidence.ItemState
	progress func(done, total int64)

	body     io.ReadCloser
	at       int64
	excess   bool
	sum      hash.Hash
	patience patience
}

func (c *Client) download(ctx context.Context, leaf evidence.Hash, item *evidence.ItemState, progress Progress) *download {
	return &download{c: c, ctx: ctx, leaf: leaf, item: item, progress: progress.at(Downloading), sum: sha256.New(), patience: unbroken}
}

var unbroken = patience{next: 500 * time.Millisecond, longest: 30 * time.Second, left: 20}

// digest is that of the file; zero unless all of it was read, and nothing came after it.
func (d *download) digest() evidence.Hash {
	if d.at != d.item.Evidence.Size || d.excess {
		return evidence.Hash{}
	}
	return evidence.Hash(d.sum.Sum(nil))
}

func (d *download) Close() error {
	if d.body == nil {
		return nil
	}
	return d.body.Close()
}

func (d *download) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if d.body == nil {
			if d.at == d.item.Evidence.Size {
				return 0, io.EOF
			}
			if err := d.connect(); err != nil {
				return 0, err
			}
		}
		n, err := d.body.Read(p)
		if int64(n) > d.item.Evidence.Size-d.at {
			d.excess = true
			return 0, alarm(OtherBytes, evidence.ItemOf(d.item.ID), errors.New("more bytes than were deposited"))
		}
		d.sum.Write(p[:n])
		d.at += int64(n)
		d.progress(d.at, d.item.Evidence.Size)
		if err != nil {
			broken := err
			d.body.Close()
			d.body = nil
			if n == 0 && d.at < d.item.Evidence.Size {
				if err := d.patience.wait(d.ctx, d.c, broken); err != nil {
					return 0, err
				}
			}
		}
		if n > 0 {
			d.patience = unbroken
			return n, nil
		}
	}
}

// connect asks for the file from where the last connection ended.
func (d *download) connect() error {
	renewed := false
	for {
		req, err := wire.NewGetEvidenceRequest(d.c.address, d.leaf.String(), d.params())
		if err != nil {
			return err
		}
		status := http.StatusOK
		if d.at > 0 {
			status = http.StatusPartialContent
		}
		resp, err := d.c.signedIn(d.ctx, req, status)
		switch {
		case err == nil:
			return d.begin(resp)
		case evidence.ReasonOf(err) == "range": // the file ends before the deposit's size
			return alarm(OtherBytes, evidence.ItemOf(d.item.ID), err)
		case evidence.ReasonOf(err) == "release_expired" && !renewed:
			if _, err := d.c.release(d.ctx, d.leaf); err != nil {
				return err
			}
			renewed = true
		case connection(d.ctx, err):
			if err := d.patience.wait(d.ctx, d.c, err); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func (d *download) etag() string { return `"` + d.item.Evidence.SHA256.String() + `"` }

func (d *download) params() *wire.GetEvidenceParams {
	if d.at == 0 {
		return &wire.GetEvidenceParams{}
	}
	from, tag := fmt.Sprintf("bytes=%d-", d.at), d.etag()
	return &wire.GetEvidenceParams{Range: &from, IfRange: &tag}
}

func (d *download) begin(resp *http.Response) error {
	d.body = resp.Body
	size := d.item.Evidence.Size
	part := d.at > 0 && resp.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", d.at, size-1, size)
	if part || resp.Header.Get("ETag") != d.etag() {
		return alarm(OtherBytes, evidence.ItemOf(d.item.ID), errors.New("another file, or another part of it"))
	}
	return nil
}
