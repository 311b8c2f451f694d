package s3

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"hash/crc32"

	"strongroom.example/strongroom/internal/objects"
)

const (
	page        = 1 << 20 // bytes under one CRC32C, which is the least that is read
	maxParts    = 10_000  // of a multipart upload
	maxPart     = 4 * objects.Block
	maxSize     = maxParts * maxPart
	maxRecord   = 32 << 10
	maxProcess  = 128  // letters of a process's name
	maxVersion  = 1024 // of a version's
	maxManifest = 4<<10 + (maxSize/page+1)*4/3*4 + 4
)

// record is what the bucket keeps of an upload.
type record struct {
	Size      int64  `json:"size"`
	Part      int64  `json:"part"`      // bytes of every part but the last
	Body      string `json:"body"`      // where the bytes go
	Multipart string `json:"multipart"` // S3's own id of the upload to there
	End       string `json:"end"`       // "" is open; removed, or the digest it is made an object of

	Writer string `json:"writer,omitempty"` // the process that may append; "" is none
	Next   string `json:"next,omitempty"`   // the one that waits for Writer to stop

	State json.RawMessage `json:"state,omitempty"` // see hashes; none is that nobody knows them. Taken for none if it is not of its form
}

// removed is the end of an upload that does not become an object.
const removed = "removed"

// parseRecord reads what marshal wrote and nothing else.
func parseRecord(b []byte) (record, error) {
	r, err := parse[record](b)
	if err != nil || r.Size < 0 || r.Size > maxSize || r.Part != partSize(r.Size) || !validBody(r.Body) || r.Multipart == "" ||
		len(r.Writer) > maxProcess || len(r.Next) > maxProcess {
		return record{}, objects.ErrDamaged
	}
	if r.End != "" && r.End != removed {
		if _, err := objects.ParseDigest(r.End); err != nil {
			return record{}, objects.ErrDamaged
		}
	}
	return r, nil
}

// partSize is one block, unless that makes too many parts.
func partSize(size int64) int64 {
	if size <= maxParts*objects.Block {
		return objects.Block
	}
	return maxPart
}

// manifest is what the bucket keeps of an object: where its bytes are, and a CRC32C of each page of them, big-endian.
type manifest struct {
	Size    int64  `json:"size"`
	Body    string `json:"body"`
	Version string `json:"version"`
	Pages   []byte `json:"pages"`
}

// parseManifest reads what marshal wrote and nothing else.
func parseManifest(b []byte) (manifest, error) {
	m, err := parse[manifest](b)
	if err != nil || m.Size < 0 || m.Size > maxSize || !validBody(m.Body) || m.Version == "" || m.Pages == nil || int64(len(m.Pages)) != 4*pages(m.Size) {
		return manifest{}, objects.ErrDamaged
	}
	return m, nil
}

func pages(size int64) int64 { return (size + page - 1) / page }

// holds reports whether b is page i.
func (m manifest) holds(i int64, b []byte) bool {
	return binary.BigEndian.Uint32(m.Pages[4*i:]) == crc32.Checksum(b, castagnoli)
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and bytes
	}
	return b
}

// parse reads JSON in the one spelling that marshal gives it.
func parse[T any](b []byte) (v T, err error) {
	if err = json.Unmarshal(b, &v); err == nil && !bytes.Equal(marshal(v), b) {
		err = objects.ErrDamaged
	}
	return v, err
}

func newBody() string {
	var random [16]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}

func validBody(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 16 && hex.EncodeToString(b) == s
}

func objectKey(d objects.Digest) string {
	h := d.String()
	return objectPrefix + h[:2] + "/" + h[2:4] + "/" + h
}

// readRecord reads an upload's record and the ETag that a change of it must name.
func (s *Store) readRecord(ctx context.Context, id string) (r record, etag string, err error) {
	b, info, err := s.bucket.get(ctx, uploadPrefix+id, "", maxRecord)
	if err != nil {
		return record{}, "", err
	}
	r, err = parseRecord(b)
	return r, info.ETag, err
}

// readManifest reads an object's manifest.
func (s *Store) readManifest(ctx context.Context, d objects.Digest) (manifest, error) {
	b, _, err := s.bucket.get(ctx, objectKey(d), "", maxManifest)
	if err != nil {
		return manifest{}, err
	}
	return parseManifest(b)
}
