package ageheader

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// stanza is what age writes for a hybrid recipient, with fixed bytes for the
// encapsulated key and the wrapped file key.
func stanza(fill byte) string {
	enc := base64.RawStdEncoding.EncodeToString
	return "-> mlkem768x25519 " + enc(bytes.Repeat([]byte{fill}, 1120)) + "\n" +
		enc(bytes.Repeat([]byte{fill + 1}, 32)) + "\n"
}

var (
	x25519 = "-> X25519 " + strings.Repeat("A", 43) + "\n" + strings.Repeat("A", 43) + "\n"
	scrypt = "-> scrypt " + strings.Repeat("A", 22) + " 18\n" + strings.Repeat("A", 43) + "\n"
	grease = "-> x8p;-grease 5kW\n\n"
	mac    = "--- " + strings.Repeat("A", 43) + "\n"
	body   = strings.Repeat("\x00", Payload)
)

func TestCheck(t *testing.T) {
	one := intro + stanza(1) + mac + body
	change := func(old, new string) string { return strings.Replace(one, old, new, 1) }
	line := stanza(1)[strings.Index(stanza(1), "\n")+1:]
	for _, test := range []struct {
		name string
		file string
		most int
		want error
	}{
		{"one", one, 1, nil},
		{"one of many", one, 9, nil},
		{"three", intro + stanza(1) + stanza(2) + stanza(3) + mac + body, 3, nil},
		{"payload", one + "more", 1, nil},
		{"second", intro + stanza(1) + stanza(2) + mac + body, 1, ErrTooMany},
		{"fourth", intro + stanza(1) + stanza(2) + stanza(3) + stanza(4) + mac + body, 3, ErrTooMany},
		{"empty", "", 1, ErrTruncated},
		{"armored", armor + "\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+\n", 1, ErrArmored},
		{"zip", "PK\x03\x04" + strings.Repeat("\x00", 99), 1, ErrNotAge},
		{"short text", "hello", 1, ErrNotAge},
		{"age v2", change("v1", "v2"), 1, ErrNotAge},
		{"carriage return", change("v1\n", "v1\r\n"), 1, ErrNotAge},
		{"leading byte", " " + one, 1, ErrNotAge},
		{"X25519", intro + x25519 + mac + body, 1, ErrStanzaType},
		{"scrypt", intro + scrypt + mac + body, 1, ErrStanzaType},
		{"X25519 second", intro + stanza(1) + x25519 + mac + body, 2, ErrStanzaType},
		{"X25519 first", intro + x25519 + stanza(1) + mac + body, 2, ErrStanzaType},
		{"grease", intro + stanza(1) + grease + mac + body, 9, ErrStanzaType},
		{"grease alone", intro + grease + mac + body, 1, ErrStanzaType},
		{"longer type", change("mlkem768x25519 ", "mlkem768x25519x "), 1, ErrStanzaType},
		{"upper case", change("mlkem", "MLKEM"), 1, ErrStanzaType},
		{"no argument", change(stanza(1), "-> mlkem768x25519\n"+line), 1, ErrStanzaType},
		{"no stanza", intro + mac + body + one, 1, ErrMalformed},
		{"two spaces", change("-> ", "->  "), 1, ErrStanzaType},
		{"no arrow", change("-> ", "=> "), 1, ErrMalformed},
		{"second argument", change("\n"+line, " AA\n"+line), 1, ErrMalformed},
		{"long argument", change("\n"+line, "AAAA\n"+line), 1, ErrMalformed},
		{"short argument", change("AQEB", ""), 1, ErrMalformed},
		{"padded argument", change("\n"+line, "==\n"+line), 1, ErrMalformed},
		{"stray bits in argument", change("AQ\n", "AR\n"), 1, ErrMalformed},
		{"url alphabet", change("AQEB", "AQ-B"), 1, ErrMalformed},
		{"line break in argument", change("AQEB", "AQ\nB"), 1, ErrMalformed},
		{"carriage return in argument", change("AQEBA", "AQE\rA"), 1, ErrMalformed},
		{"long body", change(line, "AAAA"+line), 1, ErrMalformed},
		{"short body", change(line, line[4:]), 1, ErrMalformed},
		{"empty body line", change(line, line+"\n"), 1, ErrMalformed},
		{"stray bits in body", change("AgI\n", "AgJ\n"), 1, ErrMalformed},
		{"mac without space", change("--- ", "---"), 1, ErrMalformed},
		{"mac missing", change(mac, "---\n"), 1, ErrMalformed},
		{"long mac", change("--- ", "--- A"), 1, ErrMalformed},
		{"stray bits in mac", change("A\n"+body, "B\n"+body), 1, ErrMalformed},
		{"carriage return after mac", change("A\n"+body, "A\r\n"+body), 1, ErrMalformed},
	} {
		t.Run(test.name, func(t *testing.T) {
			size, err := Check(strings.NewReader(test.file), test.most)
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if want := strings.Index(test.file, mac) + len(mac); err == nil && size != want {
				t.Errorf("size %d, want %d", size, want)
			}
			if err != nil && size != 0 {
				t.Errorf("size %d beside an error", size)
			}
		})
	}
}

func TestCheckTruncated(t *testing.T) {
	file := intro + stanza(1) + stanza(2) + mac + body
	for n := range len(file) {
		if _, err := Check(strings.NewReader(file[:n]), 2); err != ErrTruncated {
			t.Fatalf("%d bytes: got %v", n, err)
		}
	}
}

func TestCheckConsumesExactly(t *testing.T) {
	r := strings.NewReader(intro + stanza(1) + mac + body + "rest")
	size, err := Check(iotest.OneByteReader(r), 1)
	if err != nil || size != Size(1) || size != 1627 {
		t.Fatalf("size %d, error %v", size, err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "rest" {
		t.Errorf("left %q", rest)
	}
}

func TestCheckReturnsReadError(t *testing.T) {
	broken := errors.New("broken")
	file := intro + stanza(1) + mac + body
	for _, n := range []int{0, 5, 22, 24, 100, 1600, len(file) - 1} {
		r := io.MultiReader(strings.NewReader(file[:n]), iotest.ErrReader(broken))
		if _, err := Check(r, 1); err != broken {
			t.Errorf("after %d bytes: got %v", n, err)
		}
	}
	r := io.MultiReader(strings.NewReader("no"), iotest.ErrReader(broken))
	if _, err := Check(r, 1); err != broken {
		t.Errorf("inside another first line: got %v", err)
	}
}

// FuzzCheck looks for a header that is accepted and has a second spelling:
// whatever is accepted must come out the same when its parts are written anew.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(intro+stanza(1)+mac+body), 1)
	f.Add([]byte(intro+stanza(1)+stanza(7)+mac+body), 3)
	f.Add([]byte(intro+x25519+mac+body), 2)
	f.Add([]byte(intro+stanza(1)+grease+mac+body), 2)
	f.Add([]byte(armor), 1)
	f.Fuzz(func(t *testing.T, file []byte, most int) {
		size, err := Check(bytes.NewReader(file), most)
		if err != nil {
			if _, ok := err.(Error); !ok {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		var again strings.Builder
		again.WriteString(intro)
		lines := strings.Split(string(file[:size]), "\n")
		recode := func(text string) string {
			b, err := base64.RawStdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			return base64.RawStdEncoding.EncodeToString(b)
		}
		n := 0
		for ; strings.HasPrefix(lines[1+2*n], "-> "); n++ {
			again.WriteString(opener + recode(lines[1+2*n][len(opener):]) + "\n" + recode(lines[2+2*n]) + "\n")
		}
		again.WriteString(footer + recode(lines[1+2*n][len(footer):]) + "\n")
		if again.String() != string(file[:size]) {
			t.Error("accepted a header that is written differently")
		}
		if n < 1 || n > most || size != Size(n) || len(file) < size+Payload {
			t.Errorf("accepted %d recipients of %d, %d of %d bytes", n, most, size, len(file))
		}
	})
}
