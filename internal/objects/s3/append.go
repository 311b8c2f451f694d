package s3

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

const (
	chunk        = 128 << 10       // bytes read at a time
	partPatience = 5 * time.Minute // for one part on its way to the bucket
)

// StageAppend implements [objects.Store]. It keeps whole parts (of one block, of four in an upload of more than 80 GiB): what r gave after
// the last of them is dropped. A part that is on its way when ctx ends arrives.
func (s *Store) StageAppend(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	u, err := s.take(ctx, id)
	if err != nil {
		return 0, fail("append", err)
	}
	defer s.give(id, u)
	n, broken, err := s.append(ctx, id, offset, r)
	if err != nil {
		return n, fail("append", err)
	}
	if broken != nil {
		return n, fmt.Errorf("objects: append: body broke off: %w", broken)
	}
	return n, nil
}

// append tells r's and the context's errors (broken) from the store's own. While one part is on its way the next one is read. What is
// durable is told only if this process was the writer for as long as it sent.
func (s *Store) append(ctx context.Context, id string, offset int64, r io.Reader) (n int64, broken, err error) {
	st, err := s.load(ctx, id)
	if err == nil && offset != st.offset {
		err = objects.ErrOffset
	}
	if err != nil || offset == st.Size {
		return 0, nil, err
	}
	room := min(st.Part, st.Size-offset)
	if err := s.room.take(ctx, room); err != nil { // before the claim: who waits stands in nobody's way
		return 0, nil, err
	}
	defer s.room.give(room)
	if err := s.claim(ctx, id); err != nil {
		return 0, nil, err
	}
	if st, err = s.load(ctx, id); err != nil { // what the one before has sent by now
		return 0, nil, err
	}
	if offset != st.offset {
		err = objects.ErrOffset
	}
	if err != nil || offset == st.Size {
		return 0, nil, err
	}
	if st.sums == nil && offset == 0 {
		st.sums = newSums() // begun by an earlier version
	}
	c := s.watch(ctx, id)
	n, broken, err = s.sendAll(ctx, c, &sending{lease{id, st.record, st.etag}, st.sums}, offset, r)
	c.end()
	lasted, failed := s.yield(context.WithoutCancel(ctx), id, offset+n == st.Size)
	if !lasted {
		if failed == nil {
			failed = objects.ErrOffset
		}
		return 0, nil, failed
	}
	return n, broken, err
}

// sendAll sends what r gives from the offset of an upload on, as long as the claim holds.
func (s *Store) sendAll(ctx context.Context, c *claim, u *sending, offset int64, r io.Reader) (n int64, broken, err error) {
	size, whole := u.Size, u.Part
	var sent chan error
	arrived := func() error { // waits for the part on its way
		if sent == nil {
			return nil
		}
		err := <-sent
		sent = nil
		if err == nil {
			n += min(whole, size-offset-n)
		}
		return err
	}
	var parts [2]part
	next, more := 0, false // the part to fill; whether there is room for both
	defer func() {
		parts[0].close()
		parts[1].close()
		if more {
			s.room.give(whole)
		}
	}()
	for at := offset; at < size && broken == nil; {
		if sent != nil && !more {
			if more = s.room.free(whole); !more {
				if err = arrived(); err != nil { // and then its room serves again
					break
				}
			}
		}
		if sent != nil {
			next = 1 - next
		}
		p := &parts[next]
		broken, err = p.fill(ctx, c, r, min(whole, size-at))
		if failed := arrived(); failed != nil {
			err = failed
		}
		if err != nil || p.size < min(whole, size-at) {
			break
		}
		if !c.holds() {
			err = c.refusal()
			break
		}
		sent = make(chan error, 1)
		number := int(at/whole) + 1
		go func() { sent <- s.send(c.sends, u, number, p) }()
		at += p.size
	}
	if failed := arrived(); err == nil {
		err = failed
	}
	if broken == io.EOF {
		broken = nil
	}
	return n, broken, err
}

// sending is an upload to which this process sends parts.
type sending struct {
	lease
	sums *sums // of what was sent by whomever; nil is unknown
}

// send brings one part into the bucket, takes it into the sums, and notes them. Commit point: from here the part is durable.
func (s *Store) send(ctx context.Context, u *sending, number int, p *part) error {
	short, cancel := context.WithTimeout(ctx, partPatience)
	defer cancel()
	hashed := make(chan error, 1)
	go func() {
		if u.sums == nil {
			hashed <- nil
			return
		}
		_, err := io.CopyBuffer(u.sums, struct{ io.Reader }{p.reader()}, make([]byte, chunk))
		hashed <- err
	}()
	made, err := s.bucket.send(short, bodyPrefix+u.Body, u.Multipart, number, p.reader(), p.size, p.crc)
	if err = errors.Join(err, <-hashed); err != nil || u.sums == nil {
		return err
	}
	u.sums.parts = follow(u.sums.parts, number, made.ETag, made.ChecksumCRC32C)
	if err = s.note(ctx, &u.lease, u.sums); errors.Is(err, errHashes) {
		u.sums = nil
		err = s.note(ctx, &u.lease, nil)
	}
	return err
}

// part is one part, whole, before it is sent. It lies in a file without a name: many slow uploads at once need no memory.
type part struct {
	file *os.File
	buf  []byte
	size int64
	crc  uint32
}

// fill reads a part of so many bytes, looking at ctx and at the claim as it goes. With fewer it gives r's error or the context's (broken).
func (p *part) fill(ctx context.Context, c *claim, r io.Reader, size int64) (broken, err error) {
	if p.file == nil {
		if p.file, err = os.CreateTemp("", "strongroom-part-*"); err != nil {
			return nil, err
		}
		if err := os.Remove(p.file.Name()); err != nil {
			return nil, err
		}
		p.buf = make([]byte, chunk)
	}
	for p.size, p.crc = 0, 0; p.size < size && broken == nil; {
		if broken = ctx.Err(); broken != nil {
			break
		}
		if !c.holds() {
			return nil, c.refusal()
		}
		var n int
		n, broken = r.Read(p.buf[:min(chunk, size-p.size)])
		if _, err := p.file.WriteAt(p.buf[:n], p.size); err != nil {
			return nil, err
		}
		p.crc = crc32.Update(p.crc, castagnoli, p.buf[:n])
		p.size += int64(n)
	}
	if p.size == size {
		broken = nil
	}
	return broken, nil
}

func (p *part) reader() *io.SectionReader { return io.NewSectionReader(p.file, 0, p.size) }

func (p *part) close() {
	if p.file != nil {
		p.file.Close()
	}
}

// begin begins a multipart upload whose body will be declared with the CRC32C of the whole.
func (b bucket) begin(ctx context.Context, key string) (multipart string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	multipart, err = b.api.NewMultipartUpload(ctx, b.name, b.prefix+key, minio.PutObjectOptions{
		UserMetadata: map[string]string{headerAlgorithm: "CRC32C", headerType: fullObject},
	})
	return multipart, translate(err)
}

// abort ends a multipart upload and drops its parts.
func (b bucket) abort(ctx context.Context, key, multipart string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return translate(b.api.AbortMultipartUpload(ctx, b.name, b.prefix+key, multipart))
}

// send brings one part into the bucket, which compares its CRC32C.
func (b bucket) send(ctx context.Context, key, multipart string, number int, r io.Reader, size int64, crc uint32) (minio.CompletePart, error) {
	p, err := b.api.PutObjectPart(ctx, b.name, b.prefix+key, multipart, number, r, size,
		minio.PutObjectPartOptions{CustomHeader: http.Header{headerCRC32C: {sum64(crc)}}, DisableContentSha256: true})
	return minio.CompletePart{PartNumber: number, ETag: p.ETag, ChecksumCRC32C: sum64(crc)}, translate(err)
}
