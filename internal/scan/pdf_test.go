package scan

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"encoding/ascii85"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"time"
)

func deflated(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	z.Write(b)
	z.Close()
	return out.Bytes()
}

const plain = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"

// document makes a PDF of objects; a stream's dictionary and content are divided by a line "stream".
func document(objects ...string) []byte {
	b := []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	for i, o := range objects {
		b = fmt.Appendf(b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	return fmt.Appendf(b, "trailer << /Root 1 0 R /Info 2 0 R >>\nstartxref\n0\n%%%%EOF\n")
}

func streamed(dictionary string, content []byte) string {
	return fmt.Sprintf("<< %s /Length %d >>\nstream\n%s\nendstream", dictionary, len(content), content)
}

// page is one with this content, packed as most programs do.
func page(content string) string { return streamed("/Filter /FlateDecode", deflated([]byte(content))) }

// form is content that pages show, with something more in its dictionary.
func form(more, content string) string {
	return streamed("/Type /XObject /Subtype /Form "+more+" /Filter /FlateDecode", deflated([]byte(content)))
}

// nothing is what unpacks to nothing (RFC 1951, 3.2.4): blocks without bytes, of about this size.
func nothing(size int) []byte { return bytes.Repeat([]byte("\x00\x00\x00\xff\xff"), size/5) }

// flushed packs b so that more may follow (RFC 1951): what is packed alone can be joined.
func flushed(b []byte) []byte {
	var out bytes.Buffer
	z, err := flate.NewWriter(&out, flate.BestCompression)
	if err == nil {
		_, err = z.Write(b)
	}
	if err == nil {
		err = z.Flush()
	}
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}

// layers are three, each the packed form of the next; the last would be 40 GB and unpacks to nothing.
func layers() []byte {
	second := bytes.Repeat(flushed(nothing(1<<20)), 400)
	first := bytes.Repeat(flushed(second), 100)
	return slices.Concat([]byte(header), flushed(slices.Concat([]byte(header), flushed([]byte(header)))), first)
}

// header begins what zlib packs (RFC 1950).
const header = "\x78\x9c"

type sample struct {
	name string
	file []byte
	want string // kinds, in order
}

// documents all hold the name Olena, as it may stand in a PDF, or say that they cannot be read.
func documents() []sample {
	shown := "BT /F1 12 Tf 72 700 Td (Signed by Olena) Tj ET"
	var outside bytes.Buffer
	e := ascii85.NewEncoder(&outside)
	e.Write(deflated([]byte(shown)))
	e.Close()
	outside.WriteString("~>")
	wide := "FEFF" + strings.ToUpper(hex.EncodeToString([]byte("\x00O\x00l\x00e\x00n\x00a")))
	object := "1 0 2 50 << /Author (Olena) /Title (Report) >> << /Type /Font /Subtype /TrueType /BaseFont /Arial /Encoding /WinAnsiEncoding >>"
	body := "BT (Report) Tj ET"
	return []sample{
		{"packed", document(plain, page(shown)), "name"},
		{"not packed", document(plain, streamed("", []byte(shown))), "name"},
		{"in letters", document(plain, streamed("/Filter [/ASCII85Decode /FlateDecode]", outside.Bytes())), "name"},
		{"in digits", document(plain, streamed("/Filter /ASCIIHexDecode", []byte(hex.EncodeToString([]byte(shown))+">"))), "name"},
		{"in pieces", document(plain, page("BT [(Ole) -20 (na) 30] TJ ET")), "name"},
		{"piece by piece", document(plain, page("BT (Ol) Tj 9 0 Td (en) Tj 9 0 Td (a) Tj ET")), "name"},
		{"in blocks", document(plain, page("BT (Ole) Tj ET BT 1 0 0 1 90 700 Tm (na) Tj ET")), "name"},
		{"spaced", document(plain, page("BT [(Signed) -250 (Olena) -250 (x)] TJ ET")), "name"},
		{"new lines", document(plain, page("BT (Ole) Tj (x) ' 1 1 (Olena) \" ET")), "name"},
		{"escaped", document(plain, page(`BT (\117l\145n\141 \(x\) (y)\\) Tj ET`)), "name"},
		{"broken line", document(plain, page("BT (Ole\\\r\nna) Tj ET")), "name"},
		{"hex", document(plain, page("BT <4F6C 656E61> Tj ET")), "name"},
		{"mail", document(plain, page("BT [(ole) 5 (na@cli) 5 (nic.example)] TJ ET")), "email name"},
		{"property", document(plain, "<< /Author (Olena) >>", page(body)), "name"},
		{"wide property", document(plain, "<< /Author <"+wide+"> /Title (x) >>", page(body)), "name"},
		{"note on a page", document(plain, "<< /Type /Annot /Contents (ask \\117lena) >>", page(body)), "name"},
		{"packed property", document(streamed("/Type /ObjStm /N 2 /First 9 /Filter /FlateDecode", deflated([]byte(object))), page(body)), "name"},
		{"metadata", document(plain, streamed("/Type /Metadata /Subtype /XML", []byte("<dc:creator><rdf:li>Ole</rdf:li><b>na</b></dc:creator>")), page(body)), "name"},
		{"earlier version", append(document(plain, page(shown)), document(plain, page(body))...), "name"},
		{"after what looks like a stream", document(plain, "<< /Title (a downstream\nstory) >>", page(shown)), "name"},
		{"with a colour of its own", document(plain, form("/Resources << /ColorSpace << /C [/Separation /X /DeviceGray << /FunctionType 2 >>] >> >>", shown), page(body)), "name"},
		{"with a shade of its own", document(plain, form("/Resources << /Shading << /S << /ShadingType 2 >> >> >>", shown), page(body)), "name"},
		{"shown, with a font's length", document(plain, form("/Length1 1", shown), page(body)), "name"},
		{"with another's filter", document(plain, streamed("/PieceInfo << /Subtype /Image /Alternate /X >>", []byte(shown))), "name"},
		{"after a picture", document(plain, page("q BI /W 1 /H 1 /BPC 8 /CS /G ID \xff(<%\x80[ EI Q "+shown)), "unseen name"},
		{"after packed pictures", document(plain, page("BI /F /A85 ID (!!~>EI "+shown+" BI /F /AHx ID <00>\nEI Q")), "unseen name"},
		{"meant", document(plain, page("/Span << /ActualText (Olena) >> BDC BT (0) Tj ET EMC")), "name"},
		{"meant, wide", document(plain, page("BT /Span << /Lang (en) /ActualText <"+wide+"> >> BDC (0) Tj EMC ET")), "name"},
		{"meant, in pieces", document(plain, page("BT /S << /ActualText (Ole) >> BDC (0) Tj EMC /S << /ActualText (na) >> BDC (0) Tj EMC ET")), "name"},

		{"after what may be a picture's end", document(plain, page(body+" BI ID \xff EI \x80( EI Q")), "unseen unread_pdf"},
		{"after an end that touches", document(plain, page(body+" BI ID \xffEI Q")), "unseen unread_pdf"},
		{"after a picture without end", document(plain, page(body+" BI ID \xff")), "unseen unread_pdf"},
		{"announced otherwise", document(plain, page(body), strings.Replace(page(shown), ">>\nstream", ">> % stream\nstream", 1)), "unread_pdf"},
		{"broken dictionary", document(plain, page(body), streamed(">> /FunctionType 2", []byte("x"))), "unread_pdf"},
		{"packed twice", document(plain, streamed("/Filter [/FlateDecode /FlateDecode]", deflated(deflated([]byte(body)))), page(body)), "unread_pdf"},
		{"packing elsewhere", document(plain, streamed("/Filter 9 0 R", deflated([]byte(shown))), page(body)), "unread_pdf"},
		{"own letters", document("<< /Type /Font /Subtype /TrueType /BaseFont /AAAAAA+Liberation /ToUnicode 9 0 R >>", page("BT <0102030401> Tj ET")), "unread_pdf"},
		{"own letters of two bytes", document("<< /Type /Font /Subtype /Type0 /Encoding /Identity-H /DescendantFonts [4 0 R] >>", page("BT <00120013> Tj ET")), "unread_pdf"},
		{"own order", document("<< /Type /Font /Subtype /Type1 /BaseFont /X /Encoding << /Type /Encoding /Differences [1 /O /l /e] >> >>", page(body)), "unread_pdf"},
		{"order elsewhere", document("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding 7 0 R >>", page(body)), "unread_pdf"},
		{"scanned", document(streamed("/Subtype /Image /Filter /DCTDecode", []byte("\xff\xd8")), page("q 1 0 0 1 0 0 cm /Im0 Do Q")), "unseen unread_pdf"},
		{"password", document(plain, page(body), "<< /Encrypt 4 0 R >>"), "unread_pdf"},
		{"other packing", document(plain, streamed("/Filter /LZWDecode", []byte("x")), page(body)), "unread_pdf"},
		{"damaged", document(plain, streamed("/Filter /FlateDecode", deflated([]byte(strings.Repeat(shown, 50)))[:30]), page(body)), "unread_pdf"},
		{"with a file", document(plain, streamed("/Type /EmbeddedFile", []byte("PK")), page(body)), "unread_pdf"},
		{"empty", document(), "unread_pdf"},
	}
}

func TestPDF(t *testing.T) {
	for _, c := range documents() {
		for _, media := range []string{"application/pdf", "text/plain"} { // what it is called does not matter
			s := New([]string{"Olena"})
			s.File("file", media, c.file, int64(len(c.file)))
			if got := kinds(s); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
		}
	}
	s := New([]string{"Olena Model"})
	file := document(plain, page("BT [(Olena Mod) 10 (el, and Olena)] TJ ET"))
	s.File("file", "application/pdf", file, int64(len(file)))
	if list := s.Findings(none); len(list) != 1 || list[0].Where != "file, text" || list[0].Count != 3 {
		t.Errorf("%+v: not what stands there", list)
	}
}

// A small file that unpacks to a large one, or is made of very many, ends soon, and what was left out is said.
func TestPDFBomb(t *testing.T) {
	bomb := page("BT (" + strings.Repeat("x", 64<<20) + ") Tj ET")
	many := make([]string, maxStreams+2)
	for i := range many {
		many[i] = "<< /Length 0 >>\nstream\n\nendstream"
	}
	for name, file := range map[string][]byte{
		"large": document(plain, bomb, bomb), "layers": document(plain, streamed("/Filter [/FlateDecode /FlateDecode /FlateDecode]", layers()), page("BT (x) Tj ET")),
		"empty blocks": document(plain, streamed("/Filter /FlateDecode", append([]byte(header), nothing(15<<20)...)), page("BT (x) Tj ET")),
		"many":         document(append(many, plain, page("BT (x) Tj ET"))...),
		"deep":         []byte("%PDF-" + strings.Repeat("<</a[", 1<<20)), "open": []byte("%PDF-" + strings.Repeat("(", 1<<20)),
	} {
		began := time.Now()
		s := New([]string{"Olena"})
		s.File("file", "application/pdf", file, int64(len(file)))
		if !strings.Contains(kinds(s), "unread_pdf") {
			t.Errorf("%s: %q", name, kinds(s))
		}
		if d := time.Since(began); d > time.Minute {
			t.Errorf("%s took %v", name, d)
		}
	}
}

// What an archive holds is looked through as far as it is text; the rest is said to be unread.
func TestPacked(t *testing.T) {
	for _, c := range []struct {
		entries map[string]string
		want    []string
	}{
		{map[string]string{"word/document.xml": "<w:p><w:t>Ole</w:t></w:r><w:t>na</w:t></w:p>"}, []string{"name"}},
		{map[string]string{"content.xml": "<p>&#79;lena</p>", "mimetype": "application/vnd.oasis.opendocument.text"}, []string{"name"}},
		{map[string]string{"word/document.xml": "x", "word/media/1.jpg": string(jpeg(camera(binary.LittleEndian, true, false)))}, []string{"place", "unseen"}},
		{map[string]string{"word/document.xml": "x", "word/embeddings/1.bin": "\x00\x01"}, []string{"unread"}},
		{map[string]string{"inner.zip": "PK\x03\x04"}, []string{"unread"}},
		{map[string]string{"Olena.txt": "x", "sub/": ""}, []string{"name"}},
	} {
		var file bytes.Buffer
		z := zip.NewWriter(&file)
		for name, text := range c.entries {
			w, err := z.Create(name)
			if err == nil {
				_, err = w.Write([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		z.Close()
		for whole, size := range map[bool]int{true: file.Len(), false: file.Len() - 8} {
			s := New([]string{"Olena"})
			s.File("file", "application/zip", file.Bytes()[:size], int64(size))
			got := strings.Fields(kinds(s))
			slices.Sort(got)
			if got = slices.Compact(got); whole && !slices.Equal(got, c.want) || !whole && !slices.Contains(got, "unread") {
				t.Errorf("%v, whole %v: %q, want %q", c.entries, whole, got, c.want)
			}
		}
	}
}

// archive makes one of a single entry, which its directory names n times.
func archive(t *testing.T, h *zip.FileHeader, body []byte, n int) []byte {
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	h.CompressedSize64 = uint64(len(body))
	w, err := z.CreateRaw(h)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	b, end := file.Bytes(), file.Len()-22
	at := bytes.LastIndex(b, []byte("PK\x01\x02"))
	entries := bytes.Repeat(b[at:end], n)
	tail := slices.Clone(b[end:])
	binary.LittleEndian.PutUint16(tail[8:], uint16(n))
	binary.LittleEndian.PutUint16(tail[10:], uint16(n))
	binary.LittleEndian.PutUint32(tail[12:], uint32(len(entries)))
	return slices.Concat(b[:at], entries, tail)
}

// An archive whose entries lie over each other is not unpacked again and again.
func TestPackedOver(t *testing.T) {
	text := bytes.Repeat([]byte("x\n"), 4<<10)
	stored := zip.FileHeader{Name: "a.txt", Method: zip.Store, UncompressedSize64: uint64(len(text)), CRC32: crc32.ChecksumIEEE(text)}
	for n, want := range map[int]string{1: "", 2: "unread"} {
		file := archive(t, &stored, text, n)
		s := New(nil)
		s.File("file", "application/zip", file, int64(len(file)))
		if got := kinds(s); got != want {
			t.Errorf("%d entries: %q, want %q", n, got, want)
		}
	}
	bomb := archive(t, &zip.FileHeader{Name: "a.txt", Method: zip.Deflate, UncompressedSize64: 1}, nothing(15<<20), maxEntries)
	began := time.Now()
	s := New(nil)
	s.File("file", "application/zip", bomb, int64(len(bomb)))
	if kinds(s) != "unread" || time.Since(began) > 30*time.Second {
		t.Errorf("%q after %v", kinds(s), time.Since(began))
	}
}

// What begins with a PDF as its first entry is an archive all the same, and both are looked at.
func TestPackedPDF(t *testing.T) {
	for _, names := range [][]string{{"Olena"}, {"Amara"}} {
		var file bytes.Buffer
		z := zip.NewWriter(&file)
		first, err := z.CreateHeader(&zip.FileHeader{Name: "a.pdf", Method: zip.Store})
		if err == nil {
			_, err = first.Write(document(plain, page("BT (Amara) Tj ET")))
		}
		second, err2 := z.Create("b.txt")
		if err == nil && err2 == nil {
			_, err = second.Write([]byte("Olena"))
		}
		if err != nil || err2 != nil || z.Close() != nil {
			t.Fatal(err, err2)
		}
		s := New(names)
		s.File("file", "application/pdf", file.Bytes(), int64(file.Len()))
		if got := kinds(s); !strings.Contains(got, "name") || !strings.Contains(got, "unread") {
			t.Errorf("%q: %q", names, got)
		}
	}
}
