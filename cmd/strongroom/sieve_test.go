package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// addText looks for a text in every form in which a program may hold or write it. What is compressed or encrypted is not found.
func (s *sieve) addText(name, text string) {
	s.addBytes(name, []byte(text))
	var little, big, escaped, percent []byte
	for _, u := range utf16.Encode([]rune(text)) {
		little, big = append(little, byte(u), byte(u>>8)), append(big, byte(u>>8), byte(u))
		escaped = fmt.Appendf(escaped, `\u%04x`, u)
	}
	for _, b := range []byte(text) {
		percent = fmt.Appendf(percent, "%%%02X", b)
	}
	s.add(name+" in UTF-16LE", little)
	s.add(name+" in UTF-16BE", big)
	s.add(name+" escaped as in JSON", escaped)
	s.add(name+" percent-encoded", percent)
	s.add(name+" percent-encoded in lower case", bytes.ToLower(percent))
}

// addBytes looks for bytes as they are, in hexadecimal, and in base64 once and twice, which is how statements travel.
func (s *sieve) addBytes(name string, text []byte) {
	s.add(name, text)
	s.add(name+" in hex", []byte(hex.EncodeToString(text)))
	s.add(name+" in upper-case hex", []byte(strings.ToUpper(hex.EncodeToString(text))))
	for before := range 3 {
		once := inBase64(base64.RawStdEncoding, text, before)
		s.add(fmt.Sprintf("%s in base64 (%d)", name, before), once)
		s.add(fmt.Sprintf("%s in base64url (%d)", name, before), inBase64(base64.RawURLEncoding, text, before))
		for outside := range 3 {
			s.add(fmt.Sprintf("%s in base64 twice (%d, %d)", name, before, outside), inBase64(base64.RawStdEncoding, once, outside))
		}
	}
}

// inBase64 is what nothing but text decides of its encoding, if so many bytes stand before it in a group of three.
func inBase64(e *base64.Encoding, text []byte, before int) []byte {
	whole := e.AppendEncode(nil, append(make([]byte, before), text...))
	return whole[(8*before+5)/6 : 8*(before+len(text))/6]
}

// addKey looks for a private key's number in two halves: encoded texts are broken into lines.
func (s *sieve) addKey(name string, number []byte) {
	half := len(number) / 2
	s.addBytes(name+", first half", number[:half])
	s.addBytes(name+", second half", number[half:])
}

func (s *sieve) in(t *testing.T, r io.Reader) (names []string) {
	t.Helper()
	if _, err := s.search(t.Context(), r, func(name string) { names = append(names, name) }); err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Every form is found at any place, also across the pieces in which it is read, and nothing else is.
func TestSieve(t *testing.T) {
	var s sieve
	s.addText("text", mark)
	s.addKey("key", bytes.Repeat([]byte{7, 99, 201}, 11)[:32])
	forms := 0
	for _, words := range s.words {
		for _, w := range words {
			forms++
			for _, at := range []int{3, 1<<20 + s.longest - len(w.text)/2} {
				hay := append(bytes.Repeat([]byte("."), at), w.text...)
				if got := s.in(t, bytes.NewReader(hay)); !slices.Contains(got, w.name) {
					t.Fatalf("%s at %d: found %v", w.name, at, got)
				}
				if got := s.in(t, bytes.NewReader(hay[:len(hay)-1])); slices.Contains(got, w.name) {
					t.Fatalf("%s at %d, cut short: found %v", w.name, at, got)
				}
			}
		}
	}
	if forms != 5+3*18 {
		t.Errorf("%d forms", forms)
	}
	// As programs write it, in the middle of something.
	for _, text := range []string{
		base64.StdEncoding.EncodeToString([]byte("a" + mark + "b")), base64.URLEncoding.EncodeToString([]byte("ab" + mark)), fmt.Sprintf("%x", "?"+mark),
		base64.StdEncoding.EncodeToString([]byte("abc" + mark + "bc")),
		base64.StdEncoding.EncodeToString([]byte("?" + base64.StdEncoding.EncodeToString([]byte("ab"+mark+"c")) + "?")),
	} {
		if len(s.in(t, strings.NewReader("{"+text+"}"))) == 0 {
			t.Errorf("not found in %s", text)
		}
	}
}

// plainKeys looks for the private keys in a person's folder, as text and as numbers.
func (s *sieve) plainKeys(t *testing.T, p *person) {
	t.Helper()
	name := filepath.Base(p.home)
	text, err := os.ReadFile(filepath.Join(p.home, signingFile))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	number, err := key.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s.addKey("the signing key of "+name, number)
	text, err = os.ReadFile(filepath.Join(p.home, identityFile))
	if os.IsNotExist(err) {
		return // an administrator opens nothing
	}
	line := regexp.MustCompile(`AGE-SECRET-KEY-PQ-1([A-Z0-9]+)`).FindSubmatch(text)
	if err != nil || line == nil {
		t.Fatalf("no age identity: %v", err)
	}
	s.addText("the identity of "+name, string(line[1][:40]))
	s.addKey("the identity of "+name, bech32(t, string(line[1])))
}

// bech32 decodes the data of a bech32 text, without its checksum.
func bech32(t *testing.T, text string) (data []byte) {
	t.Helper()
	bits, n := 0, 0
	for _, c := range strings.ToLower(text[:len(text)-6]) {
		v := strings.IndexRune("qpzry9x8gf2tvdw0s3jn54khce6mua7l", c)
		if v < 0 {
			t.Fatal("not bech32")
		}
		if bits, n = bits<<5|v, n+5; n >= 8 {
			data, n = append(data, byte(bits>>(n-8))), n-8
		}
	}
	return data
}
