package scan

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"html"
	"io"
	"path"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// File looks through the first bytes of a file of this size, at most Most, or all of it if it is shorter: text and JSON as such; the text of
// PDF and office documents; of everything else readable strings, and where a picture was taken with which camera. What it did not read is
// among the findings (Unread, UnreadPDF, Rest, Unseen).
func (s *Scanner) File(part, mediaType string, b []byte, size int64) {
	b = b[:min(len(b), Most)]
	mediaType, _, _ = strings.Cut(strings.ToLower(mediaType), ";")
	s.file(part, mediaType, b)
	if kind, _, _ := strings.Cut(mediaType, "/"); int64(len(b)) < size && !perceived[kind] {
		s.add(Finding{Kind: Rest, Where: part})
	}
}

// perceived are kinds of files that are to be seen or heard: all that can be read of them stands at their beginning.
var perceived = map[string]bool{"image": true, "audio": true, "video": true}

func (s *Scanner) file(part, mediaType string, b []byte) {
	kind, _, _ := strings.Cut(mediaType, "/")
	text, isWide := wide(b)
	isPDF := bytes.Contains(b[:min(len(b), 1024)], []byte("%PDF-"))
	switch {
	case isWide:
		s.lines(part, text)
	case bytes.HasPrefix(b, []byte("PK\x03\x04")):
		s.strings(part+", properties", b)
		s.packed(part, b)
		if isPDF { // the first entry, or what some programs open instead
			s.pdf(part, b)
		}
	case isPDF:
		s.pdf(part, b)
	case strings.HasSuffix(mediaType, "json"):
		s.JSON(part, b)
	case kind == "text", strings.HasSuffix(mediaType, "xml"), mediaType == "message/rfc822":
		s.lines(part, valid(b))
		if kind == "message" && bytes.Contains(bytes.ToLower(b), []byte("content-transfer-encoding: base64")) {
			s.add(Finding{Kind: Unread, Where: part})
		}
	case perceived[kind]:
		s.strings(part+", properties", b)
		s.pictures(part, b)
		if len(b) > 0 {
			s.add(Finding{Kind: Unseen, Where: part})
		}
	case utf8.Valid(b) && !bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != '\f' }):
		s.lines(part, string(b))
	default:
		s.strings(part+", properties", b)
		s.pictures(part, b)
		s.add(Finding{Kind: Unread, Where: part})
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

// packed looks through an office document or an archive: the names in it, its properties and texts. What else is in it is unread.
func (s *Scanner) packed(part string, b []byte) {
	unread := Finding{Kind: Unread, Where: part + ", within"}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		s.add(unread)
		return
	}
	left, unused := int64(Most), uint64(len(b)) // bytes to unpack, and to unpack them from: entries may lie over each other
	for i, f := range z.File {
		s.Text(part+", names within", f.Name)
		kind := strings.ToLower(path.Ext(f.Name))
		switch {
		case strings.HasSuffix(f.Name, "/"), f.UncompressedSize64 == 0, f.Name == "mimetype":
			continue
		case i >= maxEntries, f.CompressedSize64 > unused:
			s.add(unread)
			return
		}
		unused -= f.CompressedSize64
		r, err := f.Open()
		if err != nil || f.Flags&1 != 0 { // it has a password
			s.add(unread)
			continue
		}
		body, err := io.ReadAll(io.LimitReader(r, left+1)) // what came before an error is looked at, too
		r.Close()
		whole := err == nil && int64(len(body)) <= left
		body = body[:min(int64(len(body)), left)]
		left -= int64(len(body))
		switch {
		case textWithin[kind]:
			s.marked(part+", text within", valid(body))
		case pictureWithin[kind]:
			s.pictures(part+", picture within", body)
			s.add(Finding{Kind: Unseen, Where: part + ", picture within"})
		default:
			s.strings(part+", text within", body)
			whole = false
		}
		if !whole {
			s.add(unread)
		}
	}
}

var (
	textWithin    = map[string]bool{".xml": true, ".rels": true, ".txt": true, ".csv": true, ".json": true, ".htm": true, ".html": true, ".vml": true, ".rdf": true, ".svg": true}
	pictureWithin = map[string]bool{".jpg": true, ".jpeg": true, ".png": true, ".tif": true, ".tiff": true, ".gif": true, ".webp": true, ".bmp": true, ".emf": true, ".wmf": true}
)

// marked looks through a text with marks in it (XML). A word may stand in pieces, each with marks of its own.
func (s *Scanner) marked(where, text string) {
	s.joined(where, html.UnescapeString(tags.ReplaceAllString(text, " ")), html.UnescapeString(tags.ReplaceAllString(text, "")))
}

// joined looks through a text, and for names also in other readings of it: one that was found is not counted again.
func (s *Scanner) joined(where, text string, others ...string) {
	s.Text(where, text)
	for _, text := range others {
		more := make(map[int]bool)
		s.lookForNames(text, func(of, _ int) {
			f := Finding{Kind: Name, Where: where, Of: of}
			if _, found := s.at[f]; !found || more[of] {
				more[of] = true
				s.add(f)
			}
		})
	}
}

const (
	leastRun   = 4 // characters: shorter ones are a coincidence, mostly
	maxEntries = 2000
)

var tags = regexp.MustCompile(`<[^>]*>`)
