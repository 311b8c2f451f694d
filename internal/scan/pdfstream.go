package scan

import (
	"bytes"
	"compress/zlib"
	"encoding/ascii85"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
)

// streamIn finds where a stream is announced: after its dictionary, at the end of a line.
func streamIn(b []byte) int {
	for at := 0; ; at += len("stream") {
		n := bytes.Index(b[at:], []byte("stream"))
		if n < 0 {
			return -1
		}
		at += n
		after := b[at+len("stream"):]
		if len(after) > 0 && (after[0] == '\r' || after[0] == '\n') && bytes.HasSuffix(bytes.TrimRight(b[:at], blanks), []byte(">>")) {
			return at
		}
	}
}

// dictionaryOf is that of the stream which begins after b.
func dictionaryOf(b []byte) []byte {
	b = b[max(0, len(b)-64<<10):]
	return b[max(0, bytes.LastIndex(b, []byte(" obj"))):]
}

// outermost is the last dictionary in b without the dictionaries and texts in it. It reports whether it is whole.
func outermost(b []byte) (dictionary string, whole bool) {
	var signs []string
	depth := 0
	for t := range tokens(&b) {
		switch {
		case t.kind == dictToken:
			if depth++; depth == 1 {
				signs = nil
			}
		case t.kind == dictEndToken && depth == 0: // it began before b
			return "", false
		case t.kind == dictEndToken:
			depth--
		case depth != 1 || t.kind == textToken:
		case t.kind == arrayToken:
			signs = append(signs, "[")
		case t.kind == arrayEndToken:
			signs = append(signs, "]")
		default:
			signs = append(signs, t.text)
		}
	}
	return strings.Join(signs, " "), depth == 0
}

var (
	filterOf  = regexp.MustCompile(`/Filter\s*(\[[^\]]*\]|/\w+)`)
	filters   = regexp.MustCompile(`/\w+`)
	pictured  = regexp.MustCompile(`/Subtype\s*/Image\b`)
	unwritten = regexp.MustCompile(`/Type\s*/XRef\b|/Length1\b|/Subtype\s*/(?:Type1C|CIDFontType0C|OpenType)\b|/FunctionType\b|/ShadingType\b|/Alternate\b`)
	packedIn  = regexp.MustCompile(`/Type\s*/ObjStm\b`)
	metadata  = regexp.MustCompile(`/Type\s*/Metadata\b|/Subtype\s*/XML\b`)
	attached  = regexp.MustCompile(`/Type\s*/EmbeddedFile\b`)
	predicted = regexp.MustCompile(`/Predictor\s*(?:[2-9]|1\d)`)
	shownForm = regexp.MustCompile(`/Subtype\s*/Form\b`)
)

// stream looks through one stream, as its dictionary says what it is. What is nested in there speaks of other things.
func (p *pdf) stream(all, body []byte) {
	dictionary, whole := outermost(all)
	if !whole {
		dictionary = string(all)
	}
	switch {
	case pictured.MatchString(dictionary):
		p.add(Finding{Kind: Unseen, Where: p.part})
		p.unread = p.unread || !whole
		return
	case whole && unwritten.MatchString(dictionary) && !shownForm.MatchString(dictionary): // tables, fonts, colours
		return
	}
	text, ok := p.unpack(dictionary, body)
	p.unread = p.unread || !ok || !whole || predicted.Match(all)
	switch {
	case attached.MatchString(dictionary):
		p.unread = true
		p.strings(p.part+", text within", text)
	case metadata.MatchString(dictionary):
		p.marked(p.part+", properties", valid(text))
	case packedIn.MatchString(dictionary):
		p.objects(text)
	case bytes.Contains(text, []byte("begincmap")):
	default:
		p.page(text)
	}
}

// unpack undoes the filters of a stream, and reports whether all of it was. What is packed twice is not: a few bytes may then unpack to very
// many of which nothing comes.
func (p *pdf) unpack(dictionary string, body []byte) ([]byte, bool) {
	m := filterOf.FindStringSubmatch(dictionary)
	if m == nil {
		whole := int64(len(body)) <= p.left && !strings.Contains(dictionary, "/Filter") // which may stand elsewhere
		body = body[:min(int64(len(body)), p.left)]
		p.left -= int64(len(body))
		return body, whole
	}
	src, packed := io.Reader(bytes.NewReader(body)), false
	for i, name := range filters.FindAllString(m[1], 4) {
		switch flate := name == "/FlateDecode" || name == "/Fl"; {
		case i > 0 && !flate, packed:
			return nil, false
		}
		switch name {
		case "/ASCII85Decode", "/A85":
			text, _, _ := bytes.Cut(body, []byte("~>"))
			src = ascii85.NewDecoder(bytes.NewReader(bytes.TrimPrefix(bytes.TrimSpace(text), []byte("<~"))))
		case "/ASCIIHexDecode", "/AHx":
			text, _, _ := bytes.Cut(body, []byte(">"))
			src = bytes.NewReader(unhex(text))
		case "/FlateDecode", "/Fl":
			z, err := zlib.NewReader(src)
			if err != nil {
				return nil, false
			}
			src, packed = z, true
		default:
			return nil, false
		}
	}
	text, err := io.ReadAll(io.LimitReader(src, p.left+1)) // what came before an error is looked at, too
	whole := err == nil && int64(len(text)) <= p.left
	text = text[:min(int64(len(text)), p.left)]
	p.left -= int64(len(text))
	return text, whole
}

func unhex(b []byte) []byte {
	digits := bytes.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789abcdefABCDEF", r) {
			return r
		}
		return -1
	}, b)
	if len(digits)%2 == 1 {
		digits = append(digits, '0')
	}
	out := make([]byte, len(digits)/2)
	n, _ := hex.Decode(out, digits)
	return out[:n]
}
