package scan

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

func none(string) bool { return false }

// kinds lists what was found, in order.
func kinds(s *Scanner) string {
	var list []string
	for _, f := range s.Findings(none) {
		list = append(list, string(f.Kind))
	}
	return strings.Join(list, " ")
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name, text string
		found      bool
	}{
		{"Amara Exemple", "the report of Amara Exemple.", true},
		{"Amara Exemple", "EXEMPLE, AMARA", true},
		{"Amara Exemple", "amara_exemple-2.jpg", true},
		{"Amara Exemple", "signed: A. Exemple", true},
		{"Amara Exemple", "amaraexemple.jpg", true},
		{"Amara Exemple", "Amar went home", false},
		{"Amara Exemple", "an example", false},
		{"Inès Modèle", "Ines Modele", true},
		{"Ines Modele", "INÈS MODÈLE", true},
		{"Ines Modele", "Ine\u0300s spoke", true},
		{"Jan van der Berg", "a man van der straat", false},
		{"Jan van der Berg", "mevrouw Berg", true},
		{"Jan van der Berg", "Jan van der Berg", true},
		{"Li Wu", "Li Wu was there", true},
		{"Li Wu", "Li\nWu was there", true},
		{"Li Wu", "Li and Wu", false},
		{"Ann", "Ann", true},
		{"Ann", "annual", false},
		{"Maria", "marialuisa", true},
		{"王小明", "昨天王小明来了", true},
		{"أحمد", "واحمد قال", true},
		{"Straße", "STRASSE 5", true},
		{"Łukasz", "lukasz", true},
		{"SPECIMEN-0000", "no. specimen 0000", true},
		{"", "anything", false},
		{" - ", "anything - else", false},
	} {
		s := New([]string{c.name})
		s.Text("label", c.text)
		if got := kinds(s) == "name"; got != c.found || !c.found && kinds(s) != "" {
			t.Errorf("%q in %q: %q", c.name, c.text, kinds(s))
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"mail to a.b@clinic.example now", "email"},
		{"no mail @ all, a@b", ""},
		{"اكتب إلى مريم@مثال.مصر", "email"},
		{"call +31 20 555 01 23", "phone"},
		{"call 020-5550123", "phone"},
		{"call (020) 555.0123", "phone"},
		{"on 2026-05-03 at 10:30, 12 cm", ""},
		{"on 03.05.2026 and 3/5/2026", ""},
		{"size 12345678 bytes", ""},
		{"mark 1: 32 18 7 mm", ""},
		{"1234 5678 9012 3456 7890", ""},
		{"see itm-5luit2umh5otysdjtccoaqkqcq", "id"},
		{"see cas-5luit2umh5otysdjtccoaqkqcq, con-i5y7vsqkkcng24ujuda26gexsm", "id id"},
		{"see act-5luit2umh5otysdjtccoaqkqcq", ""},
		{"exif:GPSLatitude=\"52,22.1N\"", "place"},
	} {
		s := New(nil)
		s.Text("label", c.text)
		if got := kinds(s); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestWhere: a finding says where, counts, and never repeats what was found.
func TestWhere(t *testing.T) {
	s := New([]string{"", "Amara Exemple"})
	s.File("file", "text/plain; charset=utf-8", []byte("one\nAmara\nthree\nAmara\r\nExemple and Amara\n"), 0)
	s.JSON("record", []byte(`{"conclusions":{"limits":"seen by Exemple"},"present":["a","Exemple"],"Exemple":"Exemple","n":1}`))
	own := "itm-5luit2umh5otysdjtccoaqkqcq"
	s.Text("label", own+" cas-i5y7vsqkkcng24ujuda26gexsm")
	got, err := json.Marshal(s.Findings(func(id string) bool { return id == own }))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"kind":"name","where":"file, line 2","count":1,"of":2},{"kind":"name","where":"file, line 4","count":1,"of":2},` +
		`{"kind":"name","where":"file, line 5","count":2,"of":2},{"kind":"name","where":"record.…","count":1,"of":2},` +
		`{"kind":"name","where":"record.conclusions.limits","count":1,"of":2},{"kind":"name","where":"record.present[2]","count":1,"of":2},` +
		`{"kind":"id","where":"label","count":1}]`
	if string(got) != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if ids := s.IDs(); len(ids) != 2 || ids[0] != own {
		t.Errorf("ids: %v", ids)
	}
}

// camera makes a TIFF block with a place, a serial number, both or neither.
func camera(o binary.AppendByteOrder, place, serial bool) []byte {
	b := []byte("II*\x00")
	if o == binary.BigEndian {
		b = []byte("MM\x00*")
	}
	entry := func(tag uint16, value uint32) {
		b = o.AppendUint16(o.AppendUint16(b, tag), 4)
		b = o.AppendUint32(o.AppendUint32(b, 1), value)
	}
	b = o.AppendUint32(b, 8)
	b = o.AppendUint16(b, 2)
	const second = 8 + 2 + 2*12 + 4
	entry(tagExif, second)
	entry(tagGPS, second+2+12+4)
	b = o.AppendUint32(b, 0)
	tags := map[bool]uint16{true: tagBodySerial, false: 0x9000}
	b = o.AppendUint16(b, 1)
	entry(tags[serial], 0)
	b = o.AppendUint32(b, 0)
	tags = map[bool]uint16{true: tagLatitude, false: 0x001d}
	b = o.AppendUint16(b, 1)
	entry(tags[place], 0)
	return o.AppendUint32(b, 0)
}

func jpeg(block []byte) []byte {
	b := []byte{0xFF, 0xD8, 0xFF, 0xE1}
	b = binary.BigEndian.AppendUint16(b, uint16(2+6+len(block)))
	return append(append(append(b, "Exif\x00\x00"...), block...), 0xFF, 0xDA, 1, 2, 3, 0xFF, 0xD9)
}

func TestPictures(t *testing.T) {
	for _, o := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, c := range []struct {
			place, serial bool
			want          string
		}{{true, true, "serial_number place"}, {true, false, "place"}, {false, true, "serial_number"}, {false, false, ""}} {
			block := camera(o, c.place, c.serial)
			for name, file := range map[string][]byte{
				"jpeg": jpeg(block), "tiff": block, "png": append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x50eXIf"), block...),
				"webp": append([]byte("RIFF....WEBPEXIF\x50\x00\x00\x00"), block...),
			} {
				s := New(nil)
				s.File("file", "image/"+name, file, int64(len(file)))
				if got := kinds(s); got != strings.TrimSpace(c.want+" unseen") {
					t.Errorf("%s, %v, place %v, serial %v: %q", name, o, c.place, c.serial, got)
				}
			}
		}
	}
}

func TestFiles(t *testing.T) {
	var office bytes.Buffer
	z := zip.NewWriter(&office)
	for name, text := range map[string]string{
		"docProps/core.xml": "<dc:creator>Amara</dc:creator><cp:lastModifiedBy>Exemple</cp:lastModifiedBy>", "word/document.xml": "<w:t>a@b.example</w:t>",
	} {
		f, err := z.Create(name)
		if err == nil {
			_, err = f.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	z.Close()
	wide := []byte{0xFF, 0xFE}
	author := []byte{1, 2, 3}
	for _, u := range utf16.Encode([]rune("by Amara\n")) {
		wide = binary.LittleEndian.AppendUint16(wide, u)
		author = binary.LittleEndian.AppendUint16(author, u)
	}
	for _, c := range []struct {
		name, media string
		file        []byte
		want        string
	}{
		{"text", "text/plain", []byte("Amara +31 20 555 01 23"), "phone name"},
		{"wide text", "text/plain", wide, "name"},
		{"json", "application/json", []byte(`{"a":{"b":"Amara"}}`), "name"},
		{"broken json", "application/json", []byte("{\nAmara"), "name"},
		{"mail", "message/rfc822", []byte("From: a@b.example\n\n"), "email"},
		{"picture's author", "image/jpeg", append(author, 0xff, 0xd9), "name unseen"},
		{"pdf", "application/pdf", []byte("%PDF-1.7\n/Author (Amara)\n0000012345 00000 n"), "name unread_pdf"},
		{"numbers in bytes", "application/octet-stream", []byte("\x00\x01+31 20 555 01 23\x00"), "unread"},
		{"not a text's bytes", "text/plain", []byte("\xff\xfa Amara \xc3"), "name"},
	} {
		s := New([]string{"Amara"})
		s.File("file", c.media, c.file, int64(len(c.file)))
		if got := kinds(s); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	s := New([]string{"Amara Exemple"})
	s.File("file", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", office.Bytes(), int64(office.Len()))
	for _, want := range []string{"name", "email"} {
		if !strings.Contains(kinds(s), want) {
			t.Errorf("office document: %q", kinds(s))
		}
	}
	s = New([]string{"Amara"})
	s.File("file", "text/plain", append(bytes.Repeat([]byte("x"), Most), " Amara"...), Most+6)
	if kinds(s) != "rest" {
		t.Error("it looked beyond Most, or does not say that it did not")
	}
}

const kindsAtMost = 10

// What was found after very many others is told in few findings: where a picture was taken and what was not read as such, the rest as rest.
func TestFull(t *testing.T) {
	many := []byte(strings.Repeat("Amara\n", maxFindings+100))
	picture := jpeg(camera(binary.LittleEndian, true, true))
	s := New([]string{"Amara"})
	s.File("file", "text/plain", many, int64(len(many))+1)
	s.File("picture", "image/jpeg", picture, int64(len(picture)))
	s.File("pdf", "application/pdf", []byte("%PDF-"), 5)
	s.File("archive", "application/zip", []byte("PK\x03\x04"), 4)
	got := strings.TrimLeft(strings.ReplaceAll(kinds(s), "name", ""), " ")
	if want := "rest rest serial_number place unseen unread_pdf unread"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !slices.Contains(s.Findings(none), Finding{Kind: Rest, Where: full, Count: 100}) {
		t.Error("it does not say that more was found")
	}
	s = New(nil)
	for range 3 {
		places := []byte(strings.Repeat("GPSLatitude a@b.example\n", 3*maxFindings))
		s.File("file", "text/plain", places, int64(len(places)))
	}
	places := 0
	for _, f := range s.Findings(none) {
		if f.Kind == Place {
			places += f.Count
		}
	}
	if n := len(s.Findings(none)); n > 2*maxFindings+kindsAtMost || places != 9*maxFindings {
		t.Errorf("%d findings, %d places", n, places)
	}
}

func FuzzFile(f *testing.F) {
	f.Add("image/jpeg", jpeg(camera(binary.LittleEndian, true, true)))
	f.Add("image/tiff", camera(binary.BigEndian, true, false))
	f.Add("text/plain", []byte("Amara a@b.example +31 20 555 01 23"))
	f.Add("application/json", []byte(`{"a":["Amara"]}`))
	f.Add("application/zip", []byte("PK\x03\x04"))
	for _, c := range documents() {
		f.Add("application/pdf", c.file)
	}
	f.Fuzz(func(t *testing.T, media string, b []byte) {
		s := New([]string{"Amara Exemple", "王小明"})
		s.File("file", media, b, int64(len(b)))
		list := s.Findings(none)
		if len(list) > 2*maxFindings+kindsAtMost {
			t.Error("too many findings")
		}
		for _, f := range list {
			if f.Count < 1 || f.Where == "" || f.Kind == "" || (f.Kind == Name) != (f.Of > 0) {
				t.Errorf("%+v", f)
			}
		}
	})
}
