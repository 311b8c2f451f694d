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
	// along is how large a file may be to come along when its upload is created, which saves a round trip. Of a larger one, what arrives
	// before the connection breaks would be lost.
	along = 4 << 20

	uploadType = "application/offset+octet-stream"
)

// errNoUpload means that the vault does not have the upload, or no longer.
var errNoUpload = errors.New("no such upload")

// createUpload begins an upload of size bytes (tus 1.0, creation) and returns how many of them are durable: none, if nothing comes along.
func (c *Client) createUpload(ctx context.Context, size int64, first io.ReaderAt, n int64) (evidence.UploadID, int64, error) {
	req, err := http.NewRequest(http.MethodPost, c.address+uploadsPath, nil)
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	req.Header.Set("Upload-Length", strconv.FormatInt(size, 10))
	if n > 0 { // tus 1.0, creation-with-upload
		req.Header.Set("Content-Type", uploadType)
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(first, 0, n)), nil }
		req.Body, _ = req.GetBody()
		req.ContentLength = n
	}
	resp, err := c.signedIn(ctx, req, http.StatusCreated)
	if err != nil {
		return "", 0, err
	}
	resp.Body.Close()
	text, ok := strings.CutPrefix(resp.Header.Get("Location"), uploadsPath)
	if !ok {
		return "", 0, alarm(Malformed, evidence.Stream{}, errors.New("an upload at another place"))
	}
	id, err := evidence.ParseID[evidence.UploadID](text)
	if err != nil || n == 0 {
		return id, 0, err
	}
	offset, err := headerSize(resp, "Upload-Offset", size)
	if err == nil && offset > n {
		err = alarm(FalseOffset, evidence.Stream{}, errOffset)
	}
	return id, offset, err
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
	req.Header.Set("Content-Type", uploadType)
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

// sending is one upload, as far as this process knows it.
type sending struct {
	*Client
	id   evidence.UploadID
	src  io.ReaderAt
	size int64

	durable int64 // the most that the vault has acknowledged
	sent    int64 // the most that can have arrived there
}

// upload brings up what is missing of src. Where to go on is asked of the vault, never assumed: it alone knows what is durable. A broken
// connection is mended for as long as there is progress now and then. at is how far the upload is, if this process began it; -1 if an
// earlier one may have sent some of it.
func (c *Client) upload(ctx context.Context, id evidence.UploadID, at int64, src io.ReaderAt, size int64, progress func(done, total int64)) error {
	s := &sending{Client: c, id: id, src: src, size: size, durable: at, sent: at}
	if at < 0 {
		s.durable, s.sent = 0, size
	}
	return s.run(ctx, at < 0, progress)
}

func (s *sending) run(ctx context.Context, ask bool, progress func(done, total int64)) error {
	full := patience{next: 500 * time.Millisecond, longest: 30 * time.Second, left: 20}
	patience, furthest := full, int64(0)
	for {
		offset, err := s.durable, error(nil)
		if ask {
			offset, err = s.ask(ctx)
		}
		ask = true
		for err == nil {
			if offset > furthest {
				furthest, patience = offset, full
			}
			progress(offset, s.size)
			if offset == s.size {
				return nil
			}
			offset, err = s.part(ctx, offset, func(at int64) { progress(at, s.size) })
		}
		if !s.again(ctx, err) {
			return err
		}
		if err := patience.wait(ctx, s.Client, err); err != nil {
			return err
		}
	}
}

// again reports whether what is wrong may pass by itself.
func (s *sending) again(ctx context.Context, err error) bool {
	switch evidence.ReasonOf(err) {
	case reasonFull:
		return false
	case "session":
		return true
	case reasonBusy:
		return evidence.KindOf(err) == evidence.Conflict && !errors.Is(err, errOther)
	}
	if errors.Is(err, errNoUpload) {
		return false
	}
	kind := evidence.KindOf(err)
	return connection(ctx, err) || kind == evidence.Conflict || kind == evidence.Held
}

// What the vault says of an upload that this package has to tell from the rest.
const (
	reasonBusy = "upload_busy" // somebody else sends to it
	reasonFull = "store_full"  // the vault has no room

	reasonReading = "upload_reading" // it is not done with reading it
)

// errOther is the cause of reasonBusy when this side finds it out.
var errOther = errors.New("more has arrived than was sent from here")

var errOffset = errors.New("the vault acknowledges other bytes of an upload than were sent")

// ask asks how much is durable. What was acknowledged stays so, and nothing arrives that was not sent.
func (s *sending) ask(ctx context.Context) (int64, error) {
	offset, err := s.uploadOffset(ctx, s.id, s.size)
	switch {
	case err != nil:
		return 0, err
	case offset < s.durable:
		return 0, alarm(FalseOffset, evidence.Stream{}, errOffset)
	case offset > s.sent:
		return 0, evidence.Fail(evidence.Conflict, reasonBusy, errOther)
	}
	s.durable = offset
	return offset, nil
}

// part sends one and returns where the next begins. The vault may keep less than a whole part, but not more.
func (s *sending) part(ctx context.Context, offset int64, progress func(int64)) (int64, error) {
	n := min(partSize, s.size-offset)
	s.sent = max(s.sent, offset+n)
	next, err := s.append(ctx, s.id, s.src, offset, n, s.size, progress)
	switch {
	case err != nil:
		return 0, err
	case next <= offset, next > offset+n:
		return 0, alarm(FalseOffset, evidence.Stream{}, errOffset)
	}
	s.durable = next
	return next, nil
}

// dropUpload gives up an upload (tus 1.0, termination). That it is gone already is no error.
func (c *Client) dropUpload(ctx context.Context, id evidence.UploadID) error {
	req, err := http.NewRequest(http.MethodDelete, c.address+uploadsPath+string(id), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	resp, err := c.signedIn(ctx, req, http.StatusNoContent)
	if kind := evidence.KindOf(err); kind == evidence.NotFound || kind == evidence.Gone {
		return nil
	}
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
