package scan

import (
	"bytes"
	"iter"
	"strings"
)

type tokenKind int

const (
	wordToken tokenKind = iota // an operator, or anything else
	numberToken
	nameToken     // with its slash
	textToken     // a string, as its bytes are meant
	arrayToken    // [
	arrayEndToken // ]
	dictToken     // <<
	dictEndToken  // >>
)

type token struct {
	kind tokenKind
	text string
}

const (
	blanks     = "\x00\t\n\f\r "
	delimiters = "()<>[]{}/%"
)

// tokens reads the signs of a PDF's objects and pages (ISO 32000-1, 7.2), and leaves in rest what comes after each. Whatever the bytes are,
// it comes to their end.
func tokens(rest *[]byte) iter.Seq[token] {
	return func(yield func(token) bool) {
		for len(*rest) > 0 {
			b := *rest
			c := b[0]
			t, n := token{}, 1
			switch {
			case strings.IndexByte(blanks, c) >= 0:
				*rest = b[1:]
				continue
			case c == '%':
				if n = bytes.IndexAny(b, "\r\n"); n < 0 {
					return
				}
				*rest = b[n:]
				continue
			case c == '(':
				t.kind = textToken
				t.text, n = literal(b)
			case bytes.HasPrefix(b, []byte("<<")):
				t.kind, n = dictToken, 2
			case bytes.HasPrefix(b, []byte(">>")):
				t.kind, n = dictEndToken, 2
			case c == '<':
				if n = bytes.IndexByte(b, '>'); n < 0 {
					return
				}
				t = token{textToken, string(unhex(b[1:n]))}
				n++
			case c == '[':
				t.kind = arrayToken
			case c == ']':
				t.kind = arrayEndToken
			case strings.IndexByte("){}>", c) >= 0:
				*rest = b[1:]
				continue
			default:
				for n < len(b) && strings.IndexByte(blanks, b[n]) < 0 && strings.IndexByte(delimiters, b[n]) < 0 {
					n++
				}
				t = token{kindOf(c), string(b[:n])}
			}
			*rest = b[n:]
			if !yield(t) {
				return
			}
		}
	}
}

func kindOf(first byte) tokenKind {
	switch {
	case first == '/':
		return nameToken
	case '0' <= first && first <= '9', first == '-', first == '+', first == '.':
		return numberToken
	}
	return wordToken
}

// afterPicture is what comes after a picture within a page, whose bytes begin b (ISO 32000-1, 8.9.7). It reports whether that is sure: its
// bytes may look like its end.
func afterPicture(b []byte) (rest []byte, sure bool) {
	for at := 1; at < len(b); at++ {
		n := bytes.Index(b[at:], []byte("EI"))
		if n < 0 {
			break
		}
		at += n
		if rest = b[at+2:]; len(rest) > 0 && strings.IndexByte(blanks, rest[0]) < 0 {
			continue
		}
		binary := func(r rune) bool { return r > '~' || r < ' ' && !strings.ContainsRune(blanks, r) }
		alone := strings.IndexByte(blanks+">", b[at-1]) >= 0
		return rest, alone && !bytes.ContainsFunc(rest[:min(len(rest), 16)], binary)
	}
	return nil, false
}

// literal reads a string in parentheses, which may hold others, and its length in the file.
func literal(b []byte) (string, int) {
	var out []byte
	depth, i := 0, 0
	for ; i < len(b); i++ {
		switch c := b[i]; c {
		case '(':
			if depth++; depth > 1 {
				out = append(out, c)
			}
		case ')':
			if depth--; depth == 0 {
				return string(out), i + 1
			}
			out = append(out, c)
		case '\\':
			if i++; i == len(b) {
				return string(out), i
			}
			switch e := b[i]; {
			case e == 'n':
				out = append(out, '\n')
			case e == 'r':
				out = append(out, '\r')
			case e == 't':
				out = append(out, '\t')
			case e == 'b', e == 'f':
			case e == '\r': // the string goes on in the next line
				if i+1 < len(b) && b[i+1] == '\n' {
					i++
				}
			case e == '\n':
			case '0' <= e && e <= '7':
				code := 0
				j := i
				for ; j < len(b) && j < i+3 && '0' <= b[j] && b[j] <= '7'; j++ {
					code = code*8 + int(b[j]-'0')
				}
				out = append(out, byte(code))
				i = j - 1
			default:
				out = append(out, e)
			}
		default:
			out = append(out, c)
		}
	}
	return string(out), i
}
