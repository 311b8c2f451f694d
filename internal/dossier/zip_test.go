package dossier

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
)

// pack lays out files with these contents.
func packZip(files ...string) []byte {
	var entries []entry
	for i, f := range files {
		entries = append(entries, entry{name: fmt.Sprintf("f%05d", i), size: int64(len(f)), crc: crc32.ChecksumIEEE([]byte(f))})
	}
	tail, _ := layOut(entries)
	var b []byte
	for i, e := range entries {
		b = append(append(b, e.local()...), files[i]...)
	}
	return append(b, tail...)
}

// Stock tools read what we write, and we read it back.
func TestZip(t *testing.T) {
	many := make([]string, max16+1)
	for _, files := range [][]string{{}, {""}, {"one", "", "three"}, many[:max16-1], many[:max16], many} {
		b := packZip(files...)
		entries, err := readZip(bytes.NewReader(b), int64(len(b)))
		if err != nil || len(entries) != len(files) {
			t.Fatalf("%d files: %v", len(files), err)
		}
		z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil || len(z.File) != len(files) {
			t.Fatalf("%d files: archive/zip: %v", len(files), err)
		}
		for i, f := range z.File[:min(len(files), 3)] {
			got, err := io.ReadAll(must(f.Open()))
			if err != nil || string(got) != files[i] {
				t.Errorf("%q, %v", got, err)
			}
		}
	}
}

// sparse is a file with a few pieces in it, and zeros between them.
type sparse struct {
	size   int64
	pieces map[int64][]byte
}

func (s *sparse) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	for at, b := range s.pieces {
		for i := range p {
			if j := off + int64(i) - at; j >= 0 && j < int64(len(b)) {
				p[i] = b[j]
			}
		}
	}
	if off+int64(len(p)) > s.size {
		return int(max(0, s.size-off)), io.EOF
	}
	return len(p), nil
}

func TestZip64(t *testing.T) {
	for _, sizes := range [][]int64{{max32 - 1, 3}, {max32, 3}, {10 << 30, 7, 5 << 30, 1}} {
		var entries []entry
		for i, size := range sizes {
			entries = append(entries, entry{name: fmt.Sprintf("f%d", i), size: size, crc: 7})
		}
		tail, size := layOut(entries)
		s := &sparse{size, map[int64][]byte{size - int64(len(tail)): tail}}
		for _, e := range entries {
			s.pieces[e.offset] = e.local()
		}
		got, err := readZip(s, size)
		if err != nil || !slices.Equal(got, entries) {
			t.Fatalf("%v: %v", sizes, err)
		}
		z, err := zip.NewReader(s, size)
		if err != nil {
			t.Fatalf("%v: archive/zip: %v", sizes, err)
		}
		for i, f := range z.File {
			at, err := f.DataOffset()
			if err != nil || at != entries[i].data() || f.UncompressedSize64 != uint64(sizes[i]) {
				t.Errorf("%v: archive/zip finds %s at %d, %v", sizes, f.Name, at, err)
			}
		}
	}
}

func TestForeignZip(t *testing.T) {
	good := packZip("one", "two")
	reads := func(b []byte) error { _, err := readZip(bytes.NewReader(b), int64(len(b))); return err }
	if err := reads(good); err != nil {
		t.Fatal(err)
	}
	// Any changed byte outside the contents and checksums is refused; those are compared with the manifest.
	contents := map[int]bool{}
	entries := must(readZip(bytes.NewReader(good), int64(len(good))))
	for _, e := range entries {
		for i := range 3 {
			contents[int(e.data())+i] = true
		}
	}
	for i := range good {
		for bit := range 8 {
			b := slices.Clone(good)
			b[i] ^= 1 << bit
			if err := reads(b); err == nil != contents[i] {
				t.Errorf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
	for i := range good {
		if reads(good[:i]) == nil {
			t.Errorf("accepted the first %d bytes", i)
		}
	}
	made := func(set func(z *zip.Writer, h *zip.FileHeader)) []byte {
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		h := &zip.FileHeader{Name: "f0000", Method: zip.Store}
		set(z, h)
		w := must(z.CreateHeader(h))
		w.Write([]byte("one"))
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for name, b := range map[string][]byte{
		"nothing":         {},
		"trailing":        append(slices.Clone(good), 0),
		"leading":         append([]byte{0}, good...),
		"twice":           append(slices.Clone(good), good...),
		"data descriptor": made(func(*zip.Writer, *zip.FileHeader) {}),
		"compressed":      made(func(_ *zip.Writer, h *zip.FileHeader) { h.Method = zip.Deflate }),
		"comment":         made(func(z *zip.Writer, _ *zip.FileHeader) { z.SetComment("hello") }),
		"file comment":    made(func(_ *zip.Writer, h *zip.FileHeader) { h.Comment = "hello" }),
		"extra field":     made(func(_ *zip.Writer, h *zip.FileHeader) { h.Extra = []byte{9, 9, 0, 0} }),
		"link":            made(func(_ *zip.Writer, h *zip.FileHeader) { h.SetMode(0o777 | 1<<27) }),
	} {
		if err := reads(b); err != errZip {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, entries := range [][]entry{{{name: "b"}, {name: "a"}}, {{name: "a"}, {name: "a"}}} {
		tail, _ := layOut(entries)
		var b []byte
		for _, e := range entries {
			b = append(b, e.local()...)
		}
		if err := reads(append(b, tail...)); err != errZip {
			t.Errorf("names out of order: %v", err)
		}
	}
	// A directory that promises more than there is costs no memory.
	end := slices.Clone(good[len(good)-endSize:])
	binary.LittleEndian.PutUint32(end[12:], 1<<31)
	if err := reads(end); err != errZip {
		t.Errorf("large directory: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(must(os.ReadFile(vectors + "/genuine.zip")))
	f.Add(packZip("one", "two"))
	f.Add(packZip())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Read(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		var files []File
		for _, l := range p.Files {
			f, err := NewFile(l.Path, func() (io.ReadCloser, error) { return io.NopCloser(p.Open(l.Path)), nil })
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		if p.checkFiles() != nil {
			return
		}
		var again bytes.Buffer
		if err := Write(&again, p.Manifest, files); err != nil || !bytes.Equal(again.Bytes(), b) {
			t.Fatalf("read, but written again it is another file: %v", err)
		}
	})
}

func FuzzParseManifest(f *testing.F) {
	item := ev.NewID[ev.ItemID]()
	f.Add(must(Manifest{Covers: 3, Grant: ev.NewID[ev.GrantID](), Items: []ev.ItemID{item}, Nonce: courtNonce, Recipient: ev.SHA256(nil), Vault: origin, Version: 1,
		Files: []Listed{{"README.html", ev.SHA256(nil), 0}, {ItemPath(item, "key.age"), ev.SHA256(nil), 7}}}.Marshal()))
	f.Add([]byte(`{"covers":3,"files":[],"grant":"","items":["` + string(item) + `"],"nonce":"` + courtNonce + `","recipient":"","vault":"vault.example","version":2}`))
	genuine := must(os.ReadFile(vectors + "/genuine.zip"))
	f.Add(must(Read(bytes.NewReader(genuine), int64(len(genuine)))).manifest())
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseManifest(b)
		if err == nil && !bytes.Equal(must(m.Marshal()), b) {
			t.Fatal("parsed, but re-encodes to other bytes")
		}
		var slow Manifest // as encoding/json reads it
		if json.Unmarshal(b, &slow) != nil {
			slow = Manifest{}
		}
		if again, wrong := slow.Marshal(); (err == nil) != (wrong == nil && bytes.Equal(again, b)) {
			t.Fatalf("%v, but read otherwise: %v", err, wrong)
		}
	})
}

func (p *Package) manifest() []byte { return must(p.read(manifestName, MaxManifest)) }

func FuzzParseLength(f *testing.F) {
	genuine := must(os.ReadFile(vectors + "/genuine.zip"))
	p := must(Read(bytes.NewReader(genuine), int64(len(genuine))))
	f.Add(must(p.read(ItemPath(p.Items[0], "complete.json"), maxComplete)))
	f.Add([]byte(`{"absent":{"leaf":null,"siblings":[]},"length":0,"member":null}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := ParseLength(b); err == nil && !bytes.Equal(must(l.Marshal()), b) {
			t.Fatal("parsed, but re-encodes to other bytes")
		}
	})
}

func FuzzParseWithheld(f *testing.F) {
	f.Add([]byte(`{"checkpoint":"vault.example\n1\nAAAA\n","hashes":["AAAA"],"index":0,"leaf_hash":"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d","until":"2027-03-01T09:00:00.000Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, err := ParseWithheld(b); err == nil && !bytes.Equal(must(w.Marshal()), b) {
			t.Fatal("parsed, but re-encodes to other bytes")
		}
	})
}

// FuzzOpen takes receipts and their leaves and statements apart.
func FuzzOpen(f *testing.F) {
	genuine := must(os.ReadFile(vectors + "/genuine.zip"))
	p := must(Read(bytes.NewReader(genuine), int64(len(genuine))))
	for _, l := range p.Files {
		if strings.HasSuffix(l.Path, ".sigstore.json") {
			f.Add(must(p.read(l.Path, maxReceipt)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, _, reason, err := open(data)
		if (err == nil) != (reason == "") {
			t.Fatalf("%q, %v", reason, err)
		}
		if err != nil {
			return
		}
		Names(o.statement.Event())
		if _, _, reason, _ := o.verify(new(custody.Keys)); reason == "" && !bytes.Equal(o.receipt.Marshal(), data) {
			t.Fatal("verified, but re-encodes to other bytes")
		}
	})
}

// A bomb, small where it lies and vast where it is unpacked, is refused by its form: nothing is unpacked, and nothing of its size is made.
func TestZipBomb(t *testing.T) {
	const vast = 256 << 20
	var packed bytes.Buffer
	z := must(flate.NewWriter(&packed, flate.BestSpeed))
	for range vast >> 20 {
		must(z.Write(make([]byte, 1<<20)))
	}
	must(0, z.Close())
	le := binary.LittleEndian
	one := entry{name: manifestName, size: int64(packed.Len()), crc: crc32.ChecksumIEEE(packed.Bytes())}
	local, central := one.local(), one.central()
	for _, header := range [][]byte{local[8:], central[10:]} { // from the method on
		le.PutUint16(header, zip.Deflate)
		le.PutUint32(header[14:], vast)
	}
	start := int64(len(local)) + one.size
	deflated := slices.Concat(local, packed.Bytes(), central, ending(1, start, int64(len(central))))

	// Many names for one body: all begin at the same place.
	body := make([]byte, 1<<20)
	shared := entry{name: manifestName, size: int64(len(body)), crc: crc32.ChecksumIEEE(body)}
	overlapping := append(shared.local(), body...)
	start = int64(len(overlapping))
	for i := range 256 {
		shared.name = fmt.Sprintf("f%03d", i)
		overlapping = append(overlapping, shared.central()...)
	}
	overlapping = append(overlapping, ending(256, start, int64(len(overlapping))-start)...)

	for name, bomb := range map[string][]byte{"deflated": deflated, "overlapping": overlapping} {
		stock := must(zip.NewReader(bytes.NewReader(bomb), int64(len(bomb))))
		promised := uint64(0)
		for _, f := range stock.File {
			promised += f.UncompressedSize64
		}
		if promised < vast || len(bomb) > 2<<20 {
			t.Fatalf("%s: no bomb: %d bytes that promise %d", name, len(bomb), promised)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Read(bytes.NewReader(bomb), int64(len(bomb)))
		runtime.ReadMemStats(&after)
		var f Finding
		if !errors.As(err, &f) || f.Check != CheckPackage || f.Result != Fail || f.Reason != ReasonContainer {
			t.Errorf("%s: %v", name, err)
		}
		if made := after.TotalAlloc - before.TotalAlloc; made > 4<<20 {
			t.Errorf("%s: %d bytes were made to refuse %d", name, made, len(bomb))
		}
	}
}

// A name that leads out of the folder into which somebody unpacks, or to another place than it says, is refused though archive and list
// agree about it.
func TestPathsOutside(t *testing.T) {
	s, id := newPackage(t)
	reads := func(name string) error {
		files := append(slices.Clone(s.files), BytesFile(name, []byte("x")))
		slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
		m, again := s.manifest, *s
		m.Version, m.Files, again.files = manifestVersion, Lists(files), files
		data := again.with(t, must(json.Marshal(m))) // its own Marshal would refuse the name
		_, err := Read(bytes.NewReader(data), int64(len(data)))
		return err
	}
	if err := reads(NotePath(id, 999999, "reason")); err != nil {
		t.Fatalf("a name that may be: %v", err)
	}
	for _, name := range []string{
		"../evil", "../../etc/cron.d/evil", "/etc/passwd", "items/../../evil", "items/" + string(id) + "/../../evil", "items/" + string(id) + "/notes/../../../evil",
		`..\evil`, `C:\evil`, "C:evil", `\\host\share\evil`, "./README.html", "items//README.html", "log/..", "..", ".", "log/\x00", "log/a\nb.tsr", "README.html/",
		"tools/../README.html", "trust/signers/" + strings.Repeat("a", 64) + ".pub/../x", "aux", "~/evil", "related/actor/../evil/complete.json",
	} {
		want := ReasonFileName
		if strings.ContainsAny(name, "\\\x00\n") {
			want = ReasonManifest // nothing in a list is ever escaped
		}
		var f Finding
		if err := reads(name); !errors.As(err, &f) || f.Check != CheckPackage || f.Result != Fail || f.Reason != want {
			t.Errorf("%q: %v", name, err)
		}
	}
}
