package scan

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// pdf looks through a document of ISO 32000: what its pages show, as far as its fonts write it in letters, what stands beside the pages, and
// its properties. All streams are looked at, those of earlier versions too: they are in the file. What cannot be read is said to be unread.
func (s *Scanner) pdf(part string, b []byte) {
	p := pdf{Scanner: s, part: part, left: maxInflated, unread: bytes.Contains(b, []byte("/Encrypt"))}
	rest, n := b, 0
	for ; ; n++ {
		at := streamIn(rest)
		if at < 0 {
			break
		}
		if n == maxStreams {
			p.unread = true
			break
		}
		body := bytes.TrimPrefix(bytes.TrimPrefix(rest[at+len("stream"):], []byte("\r")), []byte("\n"))
		end := bytes.Index(body, []byte("endstream"))
		if end < 0 {
			end = len(body)
		}
		before := rest[:at]
		p.objects(before)
		p.stream(dictionaryOf(before), body[:end])
		rest = bytes.TrimPrefix(body[end:], []byte("endstream"))
	}
	p.objects(rest)
	if p.unread || !p.shows || bytes.Count(b, []byte("endstream")) > n { // some are announced otherwise than programs do
		s.add(Finding{Kind: UnreadPDF, Where: part})
	}
}

const (
	maxStreams  = 5000
	maxInflated = 2 * Most // bytes of all streams of a document: a small file may unpack to any size
	maxNesting  = 64
)

type pdf struct {
	*Scanner
	part   string
	left   int64
	shows  bool // some text was read
	unread bool // something could not be
}

// page looks through the instructions of a page. Letters are set one by one, to keep their distance: a name may stand in pieces. What is
// joined as it seems to be meant is looked through for everything; names also in what is joined without any space, and with one everywhere.
func (p *pdf) page(b []byte) {
	var meant, tight, loose strings.Builder
	var beside, besideTight strings.Builder // what is said to be meant by what is shown (14.9.4)
	put := func(s string) {
		meant.WriteString(s)
		tight.WriteString(s)
		loose.WriteString(s + " ")
	}
	in, array, picture := false, false, false
	nested := 0
	shown := token{} // the newest operand
	for t := range tokens(&b) {
		switch t.kind {
		case wordToken:
		case dictToken:
			nested++
			continue
		case dictEndToken:
			nested = max(0, nested-1)
			continue
		case arrayToken, arrayEndToken:
			array = t.kind == arrayToken
			continue
		case numberToken:
			if array && in && numberOf(t.text) < -wordGap {
				meant.WriteByte(' ')
			}
			continue
		default:
			if nested > 0 && t.kind == textToken {
				beside.WriteString(letters(t.text) + " ")
				besideTight.WriteString(letters(t.text))
				continue
			}
			if shown = t; t.kind == textToken && in && array {
				put(letters(t.text))
			}
			continue
		}
		switch t.text {
		case "BT":
			in = true
		case "ET":
			in = false
			meant.WriteByte('\n')
		case "Td", "TD", "T*", "Tm":
			meant.WriteByte(' ')
		case "Tj", "'", `"`:
			if t.text != "Tj" {
				meant.WriteByte('\n')
			}
			if shown.kind == textToken && in {
				put(letters(shown.text))
			}
		case "BI": // a picture within the page
			p.add(Finding{Kind: Unseen, Where: p.part})
			picture = true
		case "ID":
			if picture {
				var sure bool
				b, sure = afterPicture(b)
				p.unread = p.unread || !sure
				picture = false
			}
		case "true", "false", "null":
			continue
		}
		shown, array, nested = token{}, false, 0
	}
	p.shows = p.shows || strings.TrimSpace(tight.String()) != ""
	p.joined(p.part+", text", meant.String(), tight.String(), loose.String())
	p.joined(p.part+", properties", beside.String(), besideTight.String())
}

// wordGap is the distance, in thousandths of the size of the letters, from which on it is read as a space.
const wordGap = 150

func numberOf(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return f
}

// objects looks through what stands beside the streams: properties, notes on pages, what was typed into forms. It looks at the fonts, too: a
// text whose font has letters of its own is not read.
func (p *pdf) objects(b []byte) {
	type dictionary struct {
		key   string
		names map[string]string
		value bool // what comes next is one
		array int  // how deep in arrays
	}
	var nested []dictionary
	for t := range tokens(&b) {
		var in dictionary
		top := len(nested) - 1
		if top >= 0 {
			in = nested[top]
		}
		switch t.kind {
		case textToken:
			if said, ok := textString(t.text); ok {
				p.Text(p.part+", properties", said)
			}
			in.value = false
		case dictToken:
			if in.value = false; len(nested) == maxNesting {
				p.unread = true
				return
			}
		case dictEndToken:
			p.unread = p.unread || in.names["/Type"] == "/Font" && !plainFont(in.names)
			nested = nested[:max(0, top)]
			continue
		case arrayToken:
			in.value = false
			in.array++
		case arrayEndToken:
			in.array = max(0, in.array-1)
		case nameToken:
			if in.array > 0 || top < 0 {
				break
			}
			if in.value = !in.value; in.value {
				in.key, in.names[t.text] = t.text, ""
			} else {
				in.names[in.key] = t.text
			}
		case wordToken:
			if in.value = false; t.text == "endobj" { // whatever was left open
				nested, top = nil, -1
			}
		default: // a number, or the beginning of a reference
			in.value = false
		}
		if top >= 0 {
			nested[top] = in
		}
		if t.kind == dictToken {
			nested = append(nested, dictionary{names: make(map[string]string)})
		}
	}
}

var standardFonts = regexp.MustCompile(`^/(?:Helvetica|Times|Courier)`)

// plainFont reports whether the letters of a font are those of Latin script, as its dictionary says.
func plainFont(names map[string]string) bool {
	switch names["/Subtype"] {
	case "/Type0", "/Type3":
		return false
	case "/CIDFontType0", "/CIDFontType2":
		return true // it is part of a font of type 0
	}
	encoding, stated := names["/Encoding"]
	switch encoding {
	case "/WinAnsiEncoding", "/MacRomanEncoding", "/StandardEncoding", "/PDFDocEncoding":
		return true
	}
	return !stated && standardFonts.MatchString(names["/BaseFont"])
}

// letters reads what a page shows, one byte a letter.
func letters(b string) string {
	if said, ok := textString(b); ok {
		return said
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 {
			return -1
		}
		return r
	}, latin(b))
}

func latin(b string) string {
	runes := make([]rune, len(b))
	for i := range len(b) {
		runes[i] = rune(b[i])
	}
	return string(runes)
}

// textString reads a text of a property: two bytes a character, UTF-8, or one byte a letter. It reports whether it looks like a text.
func textString(b string) (string, bool) {
	switch {
	case strings.HasPrefix(b, "\xfe\xff"), strings.HasPrefix(b, "\xff\xfe"):
		text, _ := wide([]byte(b))
		return text, true
	case strings.HasPrefix(b, "\xef\xbb\xbf"):
		return valid([]byte(b[3:])), true
	case len(b) > 3 && len(b)%2 == 0 && strings.Count(b, "\x00") == len(b)/2: // letters of two bytes, as some fonts have them
		units := make([]uint16, 0, len(b)/2)
		for i := 0; i < len(b); i += 2 {
			units = append(units, uint16(b[i])<<8|uint16(b[i+1]))
		}
		return string(utf16.Decode(units)), true
	}
	for i := range len(b) {
		if c := b[i]; c < 0x20 && c != '\t' && c != '\r' && c != '\n' || c == 0x7f {
			return "", false
		}
	}
	return latin(b), true
}
