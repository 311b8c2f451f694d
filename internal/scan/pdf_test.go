package scan

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/ascii85"
	"encoding/binary"
	"encoding/hex"
	"fmt"
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
		"large": document(plain, bomb, bomb), "many": document(append(many, plain, page("BT (x) Tj ET"))...),
		"deep": []byte("%PDF-" + strings.Repeat("<</a[", 1<<20)), "open": []byte("%PDF-" + strings.Repeat("(", 1<<20)),
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
