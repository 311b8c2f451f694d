package scan

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"regexp"
	"strings"
	"unicode/utf16"
)

// File looks through the first bytes of a file, at most Most, or all of it if it is shorter: text and JSON as such; of everything else
// readable strings, the properties and texts of office documents, and where a picture was taken with which camera.
func (s *Scanner) File(part, mediaType string, b []byte) {
	b = b[:min(len(b), Most)]
	mediaType, _, _ = strings.Cut(strings.ToLower(mediaType), ";")
	if text, ok := wide(b); ok {
		s.lines(part, text)
		return
	}
	switch {
	case strings.HasSuffix(mediaType, "json"):
		s.JSON(part, b)
		return
	case strings.HasPrefix(mediaType, "text/"), strings.HasSuffix(mediaType, "xml"), mediaType == "message/rfc822":
		s.lines(part, valid(b))
		return
	}
	s.strings(part+", properties", b)
	s.pictures(part, b)
	if bytes.HasPrefix(b, []byte("PK\x03\x04")) {
		s.packed(part, b)
	}
}

// wide reads text of two bytes a character, as its first character says (byte order mark).
func wide(b []byte) (string, bool) {
	var order binary.ByteOrder = binary.LittleEndian
	switch {
	case bytes.HasPrefix(b, []byte{0xFE, 0xFF}):
		order = binary.BigEndian
	case !bytes.HasPrefix(b, []byte{0xFF, 0xFE}):
		return "", false
	}
	units := make([]uint16, 0, len(b)/2)
	for b = b[2:]; len(b) > 1; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return string(utf16.Decode(units)), true
}

// strings looks through what is readable among bytes.
func (s *Scanner) strings(where string, b []byte) {
	for start := 0; start < len(b); {
		end := start
		for end < len(b) && b[end] >= 0x20 && b[end] != 0x7f {
			end++
		}
		if end-start >= leastRun {
			s.text(where, valid(b[start:end]), false)
		}
		start = end + 1
	}
	for start := 0; start+1 < len(b); { // two bytes a character, as Windows writes properties
		end := start
		for end+1 < len(b) && b[end] >= 0x20 && b[end] < 0x7f && b[end+1] == 0 {
			end += 2
		}
		if (end-start)/2 >= leastRun {
			s.text(where, strings.ReplaceAll(string(b[start:end]), "\x00", ""), false)
		}
		start = max(end, start+1)
	}
}

// packed looks through an office document: the names in it, its properties and texts.
func (s *Scanner) packed(part string, b []byte) {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return
	}
	left := int64(Most)
	for i, f := range z.File {
		if i == maxEntries || left <= 0 {
			return
		}
		s.Text(part+", names within", f.Name)
		if !strings.HasSuffix(f.Name, ".xml") && !strings.HasSuffix(f.Name, ".rels") && !strings.HasSuffix(f.Name, ".txt") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(io.LimitReader(r, left)) // what came before an error is looked at, too
		r.Close()
		left -= int64(len(text))
		s.text(part+", text within", tags.ReplaceAllString(valid(text), " "), true)
	}
}

const (
	leastRun   = 4 // characters: shorter ones are a coincidence, mostly
	maxEntries = 2000
)

var tags = regexp.MustCompile(`<[^>]*>`)
