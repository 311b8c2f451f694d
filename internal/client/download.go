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

// download reads evidence.age on the strength of an access event, from the vault or, part by part, from where the vault says that it is. It
// goes on where a broken connection ended, and renews the release when its time is over. It never gives more bytes than the deposit has.
type download struct {
	c        *Client
	ctx      context.Context
	leaf     evidence.Hash
	item     *evidence.ItemState
	progress func(done, total int64)

	body     part
	begun    int64 // where it begins
	direct   bool  // it does not come from the vault
	through  bool  // nor shall anything any more: all comes through the vault
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
	if d.body.ReadCloser == nil {
		return nil
	}
	return d.body.Close()
}

func (d *download) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if d.body.ReadCloser == nil {
			if d.at == d.item.Evidence.Size {
				return 0, io.EOF
			}
			if err := d.connect(); err != nil {
				return 0, err
			}
		}
		n, err := d.body.Read(p)
		if int64(n) > d.body.end-d.at {
			d.excess = true
			return 0, alarm(OtherBytes, evidence.ItemOf(d.item.ID), errors.New("more bytes than were deposited"))
		}
		d.sum.Write(p[:n])
		d.at += int64(n)
		d.progress(d.at, d.item.Evidence.Size)
		if err != nil {
			broken := err
			d.body.Close()
			nothing := d.direct && d.at == d.begun
			d.through = d.through || nothing
			if n == 0 && d.at < d.body.end && !nothing {
				if err := d.patience.wait(d.ctx, d.c, broken); err != nil {
					return 0, err
				}
			}
			d.body = part{}
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
		params := d.params()
		req, err := wire.NewGetEvidenceRequest(d.c.address, d.leaf.String(), params)
		if err != nil {
			return err
		}
		want := []int{http.StatusOK}
		if d.at > 0 {
			want = []int{http.StatusPartialContent}
		}
		if params.Direct {
			want = append(want, http.StatusOK)
		}
		resp, err := d.c.signedIn(d.ctx, req, want...)
		if err == nil && params.Direct && resp.Header.Get("Content-Type") == "application/json" {
			if err = d.beginAt(resp); err == nil || !errors.Is(err, errBucket) {
				return err
			}
			d.through = true
			continue
		}
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
	p := &wire.GetEvidenceParams{Direct: !d.through && d.c.bucket.usable()}
	if d.at > 0 {
		from, tag := fmt.Sprintf("bytes=%d-", d.at), d.etag()
		p.Range, p.IfRange = &from, &tag
	}
	return p
}

// begin takes what the vault sends.
func (d *download) begin(resp *http.Response) error {
	size := d.item.Evidence.Size
	d.body, d.begun, d.direct = part{resp.Body, size}, d.at, false
	other := d.at > 0 && resp.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", d.at, size-1, size)
	if other || resp.Header.Get("ETag") != d.etag() {
		return alarm(OtherBytes, evidence.ItemOf(d.item.ID), errors.New("another file, or another part of it"))
	}
	return nil
}

// beginAt goes where the vault says that the file is.
func (d *download) beginAt(resp *http.Response) error {
	var a wire.EvidenceAddress
	if err := decode(resp, &a); err != nil {
		return err
	}
	body, err := d.c.bucket.fetch(d.ctx, d.item, a, d.at)
	d.body, d.begun, d.direct = body, d.at, true
	return err
}
