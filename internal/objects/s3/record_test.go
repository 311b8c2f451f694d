package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/objects"
)

const someBody = "00112233445566778899aabbccddeeff"

var someDigest = objects.Digest(sha256.Sum256([]byte("x"))).String()

func TestParseRecord(t *testing.T) {
	good := record{Size: 5, Part: objects.Block, Body: someBody, Multipart: "a-b/c", End: ""}
	for name, change := range map[string]func(*record){
		"":              func(r *record) {},
		"removed":       func(r *record) { r.End = removed },
		"an object":     func(r *record) { r.End = someDigest },
		"large":         func(r *record) { r.Size, r.Part = maxSize, maxPart },
		"!size":         func(r *record) { r.Size = -1 },
		"!too large":    func(r *record) { r.Size, r.Part = maxSize+1, maxPart },
		"!part":         func(r *record) { r.Part++ },
		"!body":         func(r *record) { r.Body = strings.ToUpper(someBody) },
		"!body's place": func(r *record) { r.Body = "../" + someBody[3:] },
		"!multipart":    func(r *record) { r.Multipart = "" },
		"!end":          func(r *record) { r.End = "x" },
	} {
		r := good
		change(&r)
		got, err := parseRecord(marshal(r))
		if bad := name != "" && name[0] == '!'; bad != (err != nil) || err == nil && got != r {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestSums: pages end where they should, however the bytes come, and each has its CRC32C.
func TestSums(t *testing.T) {
	all := make([]byte, 3*page+1)
	rand.NewChaCha8([32]byte{}).Read(all)
	for _, size := range []int{0, 1, page - 1, page, page + 1, 3 * page, 3*page + 1} {
		s := newSums()
		for rest := all[:size]; len(rest) > 0; {
			n := min(1+rand.IntN(page), len(rest))
			s.Write(rest[:n])
			s.allPages() // looking must not disturb
			rest = rest[n:]
		}
		want := []byte{}
		for at := 0; at < size; at += page {
			want = binary.BigEndian.AppendUint32(want, crc32.Checksum(all[at:min(at+page, size)], castagnoli))
		}
		if got := s.allPages(); !bytes.Equal(got, want) || s.Sums().Digest != objects.Digest(sha256.Sum256(all[:size])) {
			t.Errorf("%d bytes: pages %x, want %x", size, got, want)
		}
		m := manifest{Size: int64(size), Body: someBody, Version: "v", Pages: s.allPages()}
		if got, err := parseManifest(marshal(m)); err != nil || got.Size != m.Size || !bytes.Equal(got.Pages, want) {
			t.Errorf("%d bytes: manifest %v", size, err)
		}
		if len(marshal(manifest{Size: maxSize, Body: someBody, Version: strings.Repeat("v", 1024), Pages: make([]byte, 4*pages(maxSize))})) > maxManifest {
			t.Fatal("the largest manifest is above the limit")
		}
	}
}

// FuzzParse: what parses re-encodes to the same bytes.
func FuzzParse(f *testing.F) {
	f.Add(marshal(record{Size: 5, Part: objects.Block, Body: someBody, Multipart: "m", End: someDigest}))
	f.Add(marshal(record{Size: maxSize, Part: maxPart, Body: someBody, Multipart: "<&>", End: removed}))
	f.Add(marshal(manifest{Size: page + 1, Body: someBody, Version: "v", Pages: make([]byte, 8)}))
	f.Add(marshal(manifest{Body: someBody, Version: "v", Pages: []byte{}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRecord(b); err == nil && !bytes.Equal(marshal(r), b) {
			t.Errorf("record %q has another spelling", b)
		}
		if m, err := parseManifest(b); err == nil && !bytes.Equal(marshal(m), b) {
			t.Errorf("manifest %q has another spelling", b)
		}
	})
}
