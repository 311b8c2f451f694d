package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
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
		if bad := name != "" && name[0] == '!'; bad != (err != nil) || err == nil && !reflect.DeepEqual(got, r) {
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

// TestHashes: hashes that are kept go on where they were, and the longest record is within its limit.
func TestHashes(t *testing.T) {
	all := make([]byte, 2*objects.Block+page+1)
	rand.NewChaCha8([32]byte{}).Read(all)
	for _, at := range []int{0, objects.Block, 2 * objects.Block, len(all)} {
		s := newSums()
		s.Write(all[:at])
		s.parts = follow(s.parts, 1, "a", "b")
		state, err := s.state()
		if err != nil {
			t.Fatal(err)
		}
		again, ok := parseHashes(state, int64(len(all)))
		if !ok || again.Size() != int64(at) || again.Sums() != s.Sums() || again.whole != s.whole || again.parts != s.parts || !bytes.Equal(again.allPages(), s.allPages()) {
			t.Fatalf("at %d: other hashes", at)
		}
		if _, ok := parseHashes(state, int64(at)-1); ok {
			t.Errorf("at %d: hashes of more than the upload", at)
		}
		if at == len(all) {
			if _, ok := parseHashes(state, int64(at)+1); ok {
				t.Error("hashes of half a block")
			}
			continue
		}
		again.Write(all[at:])
		s.Write(all[at:])
		if again.Sums() != s.Sums() || again.whole != crc32.Checksum(all, castagnoli) || !bytes.Equal(again.allPages(), s.allPages()) {
			t.Errorf("from %d on: other hashes", at)
		}
	}
	s := newSums()
	s.Write(all)
	good, _ := s.state()
	h, _ := parse[hashes](good)
	for name, change := range map[string]func(*hashes){
		"hasher": func(h *hashes) { h.Hasher = h.Hasher[1:] }, "no pages": func(h *hashes) { h.Pages = nil }, "half a page": func(h *hashes) { h.Pages = h.Pages[1:] },
		"a page too few": func(h *hashes) { h.Pages = h.Pages[4:] }, "a page too many": func(h *hashes) { h.Pages = make([]byte, len(h.Pages)+4) },
		"a sheet of nothing": func(h *hashes) { h.Sheet = "v" }, "too many pages": func(h *hashes) { h.Pages = make([]byte, 4*(maxTail+readStep/page+1)) },
		"parts": func(h *hashes) { h.Parts = h.Parts[1:] }, "version": func(h *hashes) { h.Pages, h.Sheet = h.Pages[4:], strings.Repeat("v", maxVersion+1) },
	} {
		wrong := h
		change(&wrong)
		if _, ok := parseHashes(marshal(wrong), int64(len(all))); ok {
			t.Errorf("%s is taken", name)
		}
	}
	longest := marshal(hashes{make([]byte, 768), 1<<32 - 1, make([]byte, 4*(maxTail+readStep/page)), strings.Repeat("v", maxVersion), make([]byte, 32)})
	process := strings.Repeat("p", maxProcess)
	r := marshal(record{maxSize, maxPart, someBody, strings.Repeat("m", 1024), someDigest, process, process, longest})
	if len(r) > maxRecord {
		t.Errorf("the longest record has %d bytes", len(r))
	}
}

// FuzzParse: what parses re-encodes to the same bytes.
func FuzzParse(f *testing.F) {
	f.Add(marshal(record{Size: 5, Part: objects.Block, Body: someBody, Multipart: "m", End: someDigest}))
	f.Add(marshal(record{Size: maxSize, Part: maxPart, Body: someBody, Multipart: "<&>", End: removed}))
	s := newSums()
	s.Write(make([]byte, objects.Block))
	state, err := s.state()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(state))
	f.Add(marshal(record{Size: maxSize, Part: maxPart, Body: someBody, Multipart: "m", State: state}))
	f.Add(marshal(manifest{Size: page + 1, Body: someBody, Version: "v", Pages: make([]byte, 8)}))
	f.Add(marshal(manifest{Body: someBody, Version: "v", Pages: []byte{}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRecord(b); err == nil && !bytes.Equal(marshal(r), b) {
			t.Errorf("record %q has another spelling", b)
		}
		if s, ok := parseHashes(b, 3*objects.Block); ok {
			if again, err := s.state(); err != nil || !bytes.Equal(again, b) {
				t.Errorf("hashes %q have another spelling", b)
			}
		}
		if m, err := parseManifest(b); err == nil && !bytes.Equal(marshal(m), b) {
			t.Errorf("manifest %q has another spelling", b)
		}
	})
}
