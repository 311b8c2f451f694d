package s3

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"os"
	"slices"
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
	n, broken, err := s.append(ctx, id, u, offset, r)
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
func (s *Store) append(ctx context.Context, id string, u *upload, offset int64, r io.Reader) (n int64, broken, err error) {
	st, err := s.load(ctx, id)
	if err != nil {
		return 0, nil, err
	}
	if offset == st.offset && offset < st.Size {
		if err := s.claim(ctx, id); err != nil {
			return 0, nil, err
		}
		if st, err = s.load(ctx, id); err != nil { // what the one before has sent by now
			return 0, nil, err
		}
	}
	if offset != st.offset {
		err = objects.ErrOffset
	}
	if err != nil || offset == st.Size {
		return 0, nil, err
	}
	if u.sums == nil || !slices.EqualFunc(u.parts, st.parts, same) {
		u.forget()
		if offset == 0 {
			u.sums = newSums()
		}
	}
	c := s.watch(ctx, id)
	n, broken, err = s.sendAll(ctx, c, u, st, r)
	c.end()
	lasted, failed := s.yield(context.WithoutCancel(ctx), id, offset+n == st.Size)
	if !lasted {
		u.forget()
		if failed == nil {
			failed = objects.ErrOffset
		}
		return 0, nil, failed
	}
	return n, broken, err
}

// sendAll sends what r gives from the offset of an upload on, as long as the claim holds.
func (s *Store) sendAll(ctx context.Context, c *claim, u *upload, st staged, r io.Reader) (n int64, broken, err error) {
	offset := st.offset
	var sent chan error
	arrived := func() error { // waits for the part on its way
		if sent == nil {
			return nil
		}
		err := <-sent
		sent = nil
		if err == nil {
			n += min(st.Part, st.Size-offset-n)
		}
		return err
	}
	var parts [2]part
	defer func() { parts[0].close(); parts[1].close() }()
	for at := offset; at < st.Size && broken == nil; {
		p := &parts[at/st.Part%2]
		broken, err = p.fill(ctx, c, r, min(st.Part, st.Size-at))
		if failed := arrived(); failed != nil {
			err = failed
		}
		if err != nil || p.size < min(st.Part, st.Size-at) {
			break
		}
		if !c.holds() {
			err = c.refusal()
			break
		}
		sent = make(chan error, 1)
		number := int(at/st.Part) + 1
		go func() { sent <- s.send(c.sends, u, st.record, number, p) }()
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

func same(a minio.CompletePart, b minio.ObjectPart) bool {
	return a.PartNumber == b.PartNumber && a.ETag == b.ETag && a.ChecksumCRC32C == b.ChecksumCRC32C
}

// send brings one part into the bucket and takes it into the sums.
func (s *Store) send(ctx context.Context, u *upload, r record, number int, p *part) error {
	ctx, cancel := context.WithTimeout(ctx, partPatience)
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
	made, err := s.bucket.send(ctx, bodyPrefix+r.Body, r.Multipart, number, p.reader(), p.size, p.crc)
	if err = errors.Join(err, <-hashed); err != nil {
		u.forget()
		return err
	}
	if u.sums != nil {
		u.parts = append(u.parts, made)
	}
	return nil
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
