package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// sums is what the bytes written to it make: their hashes, the CRC32C of all of them and of each page, and which parts they are.
type sums struct {
	*objects.Hasher
	whole  uint32         // CRC32C of all
	pages  []byte         // CRC32C of whole pages, without those of the sheet
	crc    uint32         // of the page begun
	filled int            // bytes of it
	sheet  string         // version of the sheet, which holds the pages before; "" is none
	parts  objects.Digest // over what the bucket named the parts, see follow
}

func newSums() *sums { return &sums{Hasher: objects.NewHasher(), pages: []byte{}} }

// Write never fails.
func (s *sums) Write(p []byte) (int, error) {
	s.Hasher.Write(p)
	s.whole = crc32.Update(s.whole, castagnoli, p)
	for rest := p; len(rest) > 0; {
		n := min(page-s.filled, len(rest))
		s.crc = crc32.Update(s.crc, castagnoli, rest[:n])
		if s.filled, rest = s.filled+n, rest[n:]; s.filled == page {
			s.pages = binary.BigEndian.AppendUint32(s.pages, s.crc)
			s.crc, s.filled = 0, 0
		}
	}
	return len(p), nil
}

// allPages returns the CRC32C of each page after those of the sheet, the last one as short as it came.
func (s *sums) allPages() []byte {
	if s.filled == 0 {
		return s.pages
	}
	return binary.BigEndian.AppendUint32(s.pages[:len(s.pages):len(s.pages)], s.crc)
}

// follow takes the next part's names into what tells parts from others: a part that is sent again has another ETag, unless it is the same.
func follow(parts objects.Digest, number int, etag, crc string) objects.Digest {
	return sha256.Sum256(fmt.Appendf(parts[:], "%d %q %q", number, etag, crc))
}

// hashes is how a record keeps sums, so that whoever writes next goes on from there and nobody reads the bytes to hash them. It stands for
// whole blocks, or for all of an upload.
type hashes struct {
	Hasher []byte `json:"hasher"`          // see [objects.Hasher.AppendBinary]
	Whole  uint32 `json:"whole"`           // CRC32C of the same bytes
	Pages  []byte `json:"pages"`           // see manifest, but without those of the sheet
	Sheet  string `json:"sheet,omitempty"` // version
	Parts  []byte `json:"parts"`           // see follow
}

const (
	maxTail  = 4096      // pages in a record: of more a sheet is made, so that 4 GiB make no record longer than those before
	readStep = 256 << 20 // bytes that are read before it is noted that they were
	maxSheet = 4 * (maxSize/page + 1)
)

func (s *sums) state() (json.RawMessage, error) {
	state, err := s.AppendBinary(nil)
	return marshal(hashes{state, s.whole, s.allPages(), s.sheet, s.parts[:]}), err
}

// parseHashes reads what state wrote and nothing else, for an upload of that size.
func parseHashes(b []byte, size int64) (*sums, bool) {
	h, err := parse[hashes](b)
	if err != nil || h.Pages == nil || len(h.Pages)%4 != 0 || len(h.Pages) > 4*(maxTail+readStep/page) || len(h.Sheet) > maxVersion ||
		len(h.Parts) != len(objects.Digest{}) {
		return nil, false
	}
	s := &sums{Hasher: new(objects.Hasher), whole: h.Whole, pages: h.Pages, sheet: h.Sheet, parts: objects.Digest(h.Parts)}
	if s.UnmarshalBinary(h.Hasher) != nil || s.Size() > size || s.Size()%objects.Block != 0 && s.Size() != size {
		return nil, false
	}
	if sheeted := s.sheeted(); sheeted < 0 || sheeted > 0 != (h.Sheet != "") {
		return nil, false
	}
	return s, true
}

// sheeted is how many pages the sheet holds.
func (s *sums) sheeted() int64 { return pages(s.Size()) - int64(len(s.allPages()))/4 }

// restore takes up the hashes of the record if they are of the parts that are there. Parts behind them do not count, and are sent again:
// who sent them died before it noted them, and told nobody. Where the hashes are of other parts, or there are none, all parts count, and the
// bytes are read in the end. Who was told of a byte finds it again in either case.
func (st *staged) restore() {
	s, ok := parseHashes(st.State, st.Size)
	if !ok {
		return
	}
	if st.body == nil {
		n := int((s.Size() + st.Part - 1) / st.Part)
		if s.Size()%st.Part != 0 && s.Size() != st.Size || n > len(st.parts) {
			return
		}
		var parts objects.Digest
		for _, p := range st.parts[:n] {
			parts = follow(parts, p.PartNumber, p.ETag, p.ChecksumCRC32C)
		}
		if parts != s.parts {
			return
		}
		st.parts, st.offset = st.parts[:n], s.Size()
	}
	st.sums = s
}

// lease is a record as it was read or written last, by who may write it.
type lease struct {
	id string
	record
	etag string
}

// note writes into the record how far the hashes are; nil is that nobody knows them any more. What it says is durable from then on.
// ErrOffset if this process is not the writer any more.
func (s *Store) note(ctx context.Context, l *lease, h *sums) (err error) {
	var state json.RawMessage
	if h != nil {
		if state, err = s.state(ctx, l.Body, h); err != nil {
			return err
		}
	}
	for {
		next := l.record
		next.State = state
		etag, err := s.write(ctx, l.id, next, l.etag)
		if err == nil {
			l.record, l.etag = next, etag
		}
		if !errors.Is(err, errCondition) {
			return err
		}
		// Somebody waits to append, or the answer to an earlier try was lost.
		if l.record, l.etag, err = s.readRecord(ctx, l.id); err != nil {
			return err
		}
		if l.Writer != s.process || l.End != "" {
			return objects.ErrOffset
		}
		if bytes.Equal(l.State, state) {
			return nil
		}
	}
}

// state is that of h, with its pages in a sheet once they are many.
func (s *Store) state(ctx context.Context, body string, h *sums) (json.RawMessage, error) {
	if tail := h.allPages(); int64(len(tail)) >= 4*s.tail {
		before, err := s.readSheet(ctx, body, h)
		if err != nil {
			return nil, err
		}
		made, err := s.bucket.put(ctx, sheetPrefix+body, append(before, tail...), always)
		if err != nil {
			return nil, err
		}
		h.sheet, h.pages, h.crc, h.filled = made.VersionID, []byte{}, 0, 0 // a page that is not whole is the last
	}
	return h.state()
}

// readSheet reads the version of the sheet that these sums go on from: what others may have written since does not matter. errHashes if it
// is lost.
func (s *Store) readSheet(ctx context.Context, body string, h *sums) ([]byte, error) {
	if h.sheet == "" {
		return nil, nil
	}
	b, _, err := s.bucket.get(ctx, sheetPrefix+body, h.sheet, maxSheet)
	if errors.Is(err, objects.ErrNotFound) || errors.Is(err, objects.ErrDamaged) || err == nil && int64(len(b)) != 4*h.sheeted() {
		err = errHashes
	}
	return b, err
}

// errHashes means that noted hashes are of no use.
var errHashes = errors.New("what was noted of the hashes is lost")

// sums makes the hashes of a body known. They are those of the record, so far as they go; what they leave out is read, and noted as it goes.
//
// Nothing is believed because a record says so: the CRC32C that S3 itself gave all of the body must be that of the bytes that were hashed, by
// whatever processes. Where it is not, the record's hashes are of other bytes, and all is read anew.
func (s *Store) sums(ctx context.Context, id string, st *staged) error {
	for {
		anew := st.sums == nil
		if anew {
			st.sums = newSums()
		}
		err := s.readRest(ctx, id, st)
		if err == nil {
			err = s.unfold(ctx, st)
		}
		if err == nil && st.body.ChecksumCRC32C != "" && st.body.ChecksumCRC32C != sum64(st.sums.whole) {
			err = errHashes
		}
		switch {
		case !errors.Is(err, errHashes):
			return err
		case anew:
			return objects.ErrDamaged
		}
		st.sums = nil
	}
}

// unfold takes the pages of the sheet in, for the manifest.
func (s *Store) unfold(ctx context.Context, st *staged) error {
	before, err := s.readSheet(ctx, st.Body, st.sums)
	if err == nil && st.sums.sheet != "" {
		st.sums.pages, st.sums.sheet = append(before, st.sums.pages...), ""
	}
	return err
}

// readRest hashes what of a body is not hashed yet. However it ends, what it has read is noted: the next call, in any process, goes on from
// there. Of several that read at once each takes up what another one noted before it.
func (s *Store) readRest(ctx context.Context, id string, st *staged) error {
	for at := st.sums.Size(); at < st.Size; at = st.sums.Size() {
		read, err := s.readBody(ctx, st, at, min(at+readStep, st.Size))
		if err != nil && read != nil {
			whole, ok := parseHashes(read, st.Size)
			if !ok || whole.Size() == at {
				return err
			}
			st.sums = whole
		} else if err != nil {
			return err
		}
		noting, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		failed := s.noteRead(noting, id, st)
		cancel()
		if failed != nil {
			return failed
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && !errors.Is(err, objects.ErrUnreachable) {
			return err
		}
	}
	return nil
}

// noteRead is note for who reads.
func (s *Store) noteRead(ctx context.Context, id string, st *staged) error {
	state, err := s.state(ctx, st.Body, st.sums)
	for err == nil {
		next := st.record
		next.State = state
		var etag string
		if etag, err = s.write(ctx, id, next, st.etag); err == nil {
			st.record, st.etag = next, etag
			return nil
		}
		if !errors.Is(err, errCondition) {
			return err
		}
		st.record, st.etag, err = s.readRecord(ctx, id)
		switch there, ok := parseHashes(st.State, st.Size); {
		case err == nil && st.End == removed:
			return objects.ErrNotFound
		case err == nil && ok && there.Size() >= st.sums.Size():
			st.sums = there
			return nil
		}
	}
	return err
}

// readBody reads a body from one place to another into the sums. If it breaks off, read is the state of the last whole block.
func (s *Store) readBody(ctx context.Context, st *staged, from, to int64) (read json.RawMessage, err error) {
	going, stop := context.WithCancel(ctx)
	defer stop()
	watch := time.AfterFunc(stall, stop)
	body, size, err := s.bucket.open(going, bodyPrefix+st.Body, st.body.VersionID, from, to-1)
	watch.Stop()
	if err == nil && size != st.Size {
		body.Close()
		err = objects.ErrDamaged
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	buf := make([]byte, page)
	for at := from; at < to; at += int64(len(buf)) {
		if at%objects.Block == 0 {
			if read, err = st.sums.state(); err != nil {
				return nil, err
			}
		}
		buf = buf[:min(page, to-at)]
		watch := time.AfterFunc(stall, stop)
		_, err := io.ReadFull(body, buf)
		watch.Stop()
		switch {
		case err != nil && ctx.Err() != nil:
			return read, ctx.Err()
		case err != nil:
			return read, fmt.Errorf("%w: an answer broke off", objects.ErrUnreachable)
		}
		st.sums.Write(buf)
	}
	return nil, nil
}
