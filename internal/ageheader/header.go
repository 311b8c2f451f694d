// Package ageheader reads the header of an age file as text: it tells whether
// every recipient of a file is a post-quantum hybrid one (FORMATS §8, §9)
// without being able to open anything.
//
// It holds no key, links no cryptography and never looks past the first bytes
// of the payload, so that the server can use it and stay blind. It accepts a
// subset of the age v1 format (https://age-encryption.org/v1), byte for byte
// what age itself writes: the binary form, stanzas of type mlkem768x25519
// only, no grease. As each of these has one length and one encoding, a header
// with n stanzas is exactly [Size](n) bytes long. Whether the base64 in it
// means anything, only a key can tell.
package ageheader

import (
	"encoding/base64"
	"io"
	"strings"
)

// Error is the reason why a file is refused.
type Error string

func (e Error) Error() string { return "age header: " + string(e) }

const (
	ErrNotAge     Error = "not an age v1 file"
	ErrArmored    Error = "armored, not binary"
	ErrStanzaType Error = "a recipient is not of type mlkem768x25519"
	ErrTooMany    Error = "too many recipients"
	ErrMalformed  Error = "not in the form age writes"
	ErrTruncated  Error = "ends too early"
)

const (
	intro  = "age-encryption.org/v1\n"
	armor  = "-----BEGIN AGE ENCRYPTED FILE-----"
	opener = "-> mlkem768x25519 "
	footer = "--- "

	encSize  = 1088 + 32 // ML-KEM-768 ciphertext, X25519 share
	bodySize = 16 + 16   // file key, Poly1305 tag
	macSize  = 32

	// Payload is the size in bytes of the least that follows a header: the
	// nonce, and the tag of an empty chunk.
	Payload = 16 + 16
)

var b64 = base64.RawStdEncoding.Strict()

// Size is the length in bytes of a header with the given number of recipients.
func Size(recipients int) int {
	stanza := len(opener) + b64.EncodedLen(encSize) + 1 + b64.EncodedLen(bodySize) + 1
	return len(intro) + recipients*stanza + len(footer) + b64.EncodedLen(macSize) + 1
}

// Check reads a header with one to most recipients from the start of an age
// file, and returns its size: the offset of the payload's nonce. It consumes
// exactly that and the [Payload] bytes that must follow. What it refuses, it
// refuses with an [Error]; an error of r is returned as it is.
func Check(r io.Reader, most int) (size int, err error) {
	p := parser{r: r}
	p.intro()
	for n := 0; p.more(); n++ {
		if n >= most {
			p.fail(ErrTooMany)
		}
		p.stanza()
	}
	size = p.size
	p.take(Payload)
	if p.err != nil {
		return 0, p.err
	}
	return size, nil
}

// A parser takes the header apart in pieces of known length. After its first
// error it does nothing more.
type parser struct {
	r    io.Reader
	size int    // bytes taken
	tag  string // what was read to tell a stanza from the footer
	err  error
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// take returns the next n bytes, or fewer at the end of the file.
func (p *parser) take(n int) string {
	if p.err != nil {
		return ""
	}
	b := make([]byte, n)
	n, err := io.ReadFull(p.r, b)
	p.size += n
	if n < len(b) && (err == io.EOF || err == io.ErrUnexpectedEOF) {
		err = ErrTruncated
	}
	p.fail(err)
	return string(b[:n])
}

func (p *parser) intro() {
	got := p.take(len(intro))
	switch {
	case got == "", got == intro, p.err != nil && p.err != ErrTruncated:
	case got == armor[:len(got)]:
		p.err = ErrArmored
	case got != intro[:len(got)]:
		p.err = ErrNotAge
	}
}

// more reports whether another stanza follows; if not, it has read the footer.
func (p *parser) more() bool {
	p.tag = p.take(len(footer))
	switch {
	case p.err != nil:
	case p.tag == footer && p.size > len(intro)+len(footer): // not without a stanza
		p.line(macSize)
	case strings.HasPrefix(p.tag, "-> "):
		return true
	default:
		p.err = ErrMalformed
	}
	return false
}

// stanza reads the rest of a stanza, of which more has read the start.
func (p *parser) stanza() {
	if p.tag+p.take(len(opener)-len(p.tag)) != opener {
		p.fail(ErrStanzaType)
	}
	p.line(encSize)
	p.line(bodySize)
}

// line reads the base64 of size bytes and a line feed. All of them fit on one
// line of their kind: a body is wrapped only from 48 bytes on, arguments never.
func (p *parser) line(size int) {
	text := p.take(b64.EncodedLen(size) + 1)
	if p.err != nil {
		return
	}
	// The decoder skips line breaks, hence the comparison of lengths.
	text, end := text[:len(text)-1], text[len(text)-1]
	if data, err := b64.DecodeString(text); err != nil || len(data) != size || end != '\n' {
		p.err = ErrMalformed
	}
}
