package client

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

const (
	uploadsPath = "/v1/uploads/"
	// partSize is what one PATCH carries, a multiple of the tree's block (FORMATS §8): four minutes at 1 Mbit/s.
	partSize = 32 << 20
)

// errNoUpload means that the vault does not have the upload, or no longer.
var errNoUpload = errors.New("no such upload")

// createUpload begins an upload of size bytes (tus 1.0, creation).
func (c *Client) createUpload(ctx context.Context, size int64) (evidence.UploadID, error) {
	req, err := http.NewRequest(http.MethodPost, c.address+uploadsPath, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Length", strconv.FormatInt(size, 10))
	resp, err := c.signedIn(ctx, req, http.StatusCreated)
	if err != nil {
		return "", err
	}
	resp.Body.Close()
	id, ok := strings.CutPrefix(resp.Header.Get("Location"), uploadsPath)
	if !ok {
		return "", alarm(Malformed, evidence.Stream{}, errors.New("an upload at another place"))
	}
	return evidence.ParseID[evidence.UploadID](id)
}

// uploadOffset asks how many bytes are durable (tus 1.0, HEAD).
func (c *Client) uploadOffset(ctx context.Context, id evidence.UploadID, size int64) (int64, error) {
	req, err := http.NewRequest(http.MethodHead, c.address+uploadsPath+string(id), nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	resp, err := c.signedIn(ctx, req, http.StatusOK)
	if kind := evidence.KindOf(err); kind == evidence.NotFound || kind == evidence.Gone {
		return 0, errNoUpload
	}
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	length, err := headerSize(resp, "Upload-Length", size)
	if err == nil && length != size {
		return 0, errNoUpload // it is of another file
	}
	if err != nil {
		return 0, err
	}
	return headerSize(resp, "Upload-Offset", size)
}

// headerSize reads a header in its only spelling.
func headerSize(resp *http.Response, name string, most int64) (int64, error) {
	text := resp.Header.Get(name)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most || strconv.FormatInt(n, 10) != text {
		return 0, alarm(Malformed, evidence.Stream{}, errors.New("an upload without its place"))
	}
	return n, nil
}

// append sends one part at offset and returns the durable length (tus 1.0, PATCH).
func (c *Client) append(ctx context.Context, id evidence.UploadID, src io.ReaderAt, offset, n, size int64, progress func(int64)) (int64, error) {
	body := func() (io.ReadCloser, error) {
		return io.NopCloser(&counter{io.NewSectionReader(src, offset, n), offset, progress}), nil
	}
	first, _ := body()
	req, err := http.NewRequest(http.MethodPatch, c.address+uploadsPath+string(id), first)
	if err != nil {
		return 0, err
	}
	req.GetBody, req.ContentLength = body, n
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	req.Header.Set("Content-Type", "application/offset+octet-stream")
	resp, err := c.signedIn(ctx, req, http.StatusNoContent)
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return headerSize(resp, "Upload-Offset", size)
}

// counter tells how far it was read.
type counter struct {
	io.Reader
	at       int64
	progress func(int64)
}

func (r *counter) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.at += int64(n)
	r.progress(r.at)
	return n, err
}

// upload brings up what is missing of src. Where to go on is asked of the vault, never assumed: it alone knows what is durable. A broken
// connection is mended for as long as there is progress now and then.
func (c *Client) upload(ctx context.Context, id evidence.UploadID, src io.ReaderAt, size int64, progress func(done, total int64)) error {
	fresh := patience{next: 500 * time.Millisecond, longest: 30 * time.Second, left: 20}
	patience, furthest := fresh, int64(0)
	for {
		offset, err := c.uploadOffset(ctx, id, size)
		for err == nil {
			if offset > furthest {
				furthest, patience = offset, fresh
			}
			progress(offset, size)
			if offset == size {
				return nil
			}
			var next int64
			next, err = c.append(ctx, id, src, offset, min(partSize, size-offset), size, func(at int64) { progress(at, size) })
			if err == nil && next <= offset {
				err = evidence.Refuse(evidence.Conflict, "upload_offset")
			}
			offset = next
		}
		again := connection(ctx, err) || evidence.KindOf(err) == evidence.Conflict || evidence.KindOf(err) == evidence.Held ||
			evidence.ReasonOf(err) == "session"
		if !again || errors.Is(err, errNoUpload) {
			return err
		}
		if err := patience.wait(ctx, c, err); err != nil {
			return err
		}
	}
}
