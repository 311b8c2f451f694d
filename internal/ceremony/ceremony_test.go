package ceremony

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rsc.io/qr"

	"strongroom.example/strongroom/internal/sealing"
)

func made(t testing.TB, trustees, needed int) (Record, []Share) {
	t.Helper()
	record, shares, err := Make(trustees, needed, "2027-03-14")
	if err != nil {
		t.Fatal(err)
	}
	return record, shares
}

// Any that are needed give the key, and one fewer never does, whichever they are.
func TestCombine(t *testing.T) {
	for _, size := range [][2]int{{2, 2}, {3, 2}, {5, 3}, {MostTrustees, MostTrustees}} {
		trustees, needed := size[0], size[1]
		record, shares := made(t, trustees, needed)
		for first := range trustees {
			some := append(slices.Clone(shares[first:]), shares[:first]...)
			id, err := Combine(record, some[:needed])
			if err != nil || id.Recipient() != record.Recipient {
				t.Fatalf("%d of %d from %d: %v", needed, trustees, first+1, err)
			}
			_, err = Combine(record, append(some[:needed-1:needed-1], some[0]))
			if want := (TooFew{needed - 1, needed}); !errors.Is(err, want) {
				t.Errorf("one too few: %v", err)
			}
		}
		if _, err := Combine(Record{Recipient: record.Recipient}, shares); err != nil {
			t.Errorf("all of them, without the record: %v", err)
		}
	}
}

// What is combined with fewer than needed is another key, not the beginning of this one.
func TestFewerSayNothing(t *testing.T) {
	record, shares := made(t, 3, 3)
	for i := range shares {
		shares[i].Needed = 2 // a trustee who changes the number on the sheet
	}
	if _, err := Combine(Record{Recipient: record.Recipient}, shares[:2]); !errors.Is(err, ErrCombination) {
		t.Errorf("2 of 3 needed: %v", err)
	}
}

func TestWrongShare(t *testing.T) {
	record, shares := made(t, 5, 3)
	_, others := made(t, 5, 3)
	exchanged := shares[3]
	exchanged.secret[20] ^= 1
	for name, test := range map[string]struct {
		record Record
		shares []Share
		want   error
	}{
		"of another ceremony":            {record, []Share{shares[0], others[1], shares[2]}, WrongShare{2}},
		"the same, without the record":   {Record{Recipient: record.Recipient}, []Share{shares[0], others[1], shares[2]}, WrongShare{2}},
		"exchanged":                      {record, []Share{shares[0], shares[1], exchanged}, WrongShare{4}},
		"exchanged, without the record":  {Record{Recipient: record.Recipient}, []Share{shares[0], shares[1], exchanged}, ErrCombination},
		"under another's number":         {record, []Share{shares[0], shares[1], {Number: 5, Of: 5, Needed: 3, recovery: shares[2].recovery, secret: shares[2].secret}}, WrongShare{5}},
		"the same number, two secrets":   {Record{Recipient: record.Recipient}, []Share{shares[3], exchanged, shares[1]}, WrongShare{4}},
		"needs fewer than it did":        {record, []Share{shares[0], {Number: 2, Of: 5, Needed: 2, recovery: shares[1].recovery, secret: shares[1].secret}}, WrongShare{2}},
		"none":                           {record, nil, TooFew{0, 3}},
		"one, and nothing says how many": {Record{Recipient: record.Recipient}, []Share{{Number: 1, Of: 1, Needed: 1, recovery: shares[0].recovery}}, TooFew{1, 2}},
	} {
		if id, err := Combine(test.record, test.shares); !errors.Is(err, test.want) || id != (sealing.Identity{}) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	for _, s := range append(shares, exchanged, others[0]) {
		if err := record.Check(s); (err == nil) != slices.Contains(shares, s) {
			t.Errorf("share %d: %v", s.Number, err)
		}
	}
}

// Without the record, shares that are right name the others as soon as there are enough of them; before that, it is said that one is wrong.
func TestSharesNameEachOther(t *testing.T) {
	record, shares := made(t, 7, 3)
	known := Record{Recipient: record.Recipient}
	exchanged := func(number int, change func(*Share)) Share {
		s := shares[number-1]
		change(&s)
		return s
	}
	flipped := func(number int) Share { return exchanged(number, func(s *Share) { s.secret[20] ^= 1 }) }
	says := func(number, needed int) Share { return exchanged(number, func(s *Share) { s.Needed = needed }) }
	for name, test := range map[string]struct {
		shares []Share
		wrong  []int
		err    error
	}{
		"all right":                         {shares, nil, nil},
		"one wrong of as many as needed":    {[]Share{shares[0], flipped(2), shares[2]}, nil, ErrCombination},
		"one wrong, one more":               {[]Share{shares[0], flipped(2), shares[2], shares[5]}, []int{2}, nil},
		"the first one wrong":               {[]Share{flipped(1), shares[2], shares[5], shares[6]}, []int{1}, nil},
		"two wrong, two more":               {[]Share{flipped(7), flipped(1), shares[2], shares[5], shares[3]}, []int{1, 7}, nil},
		"two wrong, one more":               {[]Share{flipped(7), flipped(1), shares[2], shares[5]}, nil, ErrCombination},
		"one says that fewer are needed":    {[]Share{shares[0], says(2, 2), shares[2], shares[3]}, []int{2}, nil},
		"one says that more are needed":     {[]Share{shares[0], says(2, 7), shares[2], shares[3]}, []int{2}, nil},
		"and there are as many as needed":   {[]Share{shares[0], says(2, 7), shares[2]}, []int{2}, nil},
		"and it is exchanged":               {[]Share{shares[0], exchanged(2, func(s *Share) { s.Needed = 7; s.secret[20] ^= 1 }), shares[2]}, nil, TooFew{3, 7}},
		"one says so, another is exchanged": {[]Share{says(5, 2), flipped(4), shares[0], shares[1], shares[2]}, []int{4, 5}, nil},
	} {
		id, err := Combine(known, test.shares)
		if test.err == nil && test.wrong == nil {
			if err != nil || id.Recipient() != record.Recipient {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if test.err != nil && !errors.Is(err, test.err) || id != (sealing.Identity{}) {
			t.Errorf("%s: %v", name, err)
		}
		for n := range shares {
			if named := errors.Is(err, WrongShare{n + 1}); named != slices.Contains(test.wrong, n+1) {
				t.Errorf("%s: share %d, %v", name, n+1, err)
			}
		}
	}
}

// What would take too long is not tried to the end, and that is said.
func TestTooManyCombinations(t *testing.T) {
	if testing.Short() {
		t.Skip("tries thousands of keys; run without -short")
	}
	record, shares := made(t, MostTrustees, 10) // 184,756
	for i := range 11 {
		shares[i].secret[20] ^= 1
	}
	if _, err := Combine(Record{Recipient: record.Recipient}, shares); !errors.Is(err, ErrManyShares) {
		t.Errorf("got %v", err)
	}
	if _, err := Combine(record, shares); !errors.Is(err, WrongShare{1}) {
		t.Errorf("with the record: %v", err)
	}
}

func TestNext(t *testing.T) {
	chosen := []int{0, 1, 2}
	seen := map[[3]int]bool{}
	for ok := true; ok; ok = next(chosen, 6) {
		if !(chosen[0] < chosen[1] && chosen[1] < chosen[2] && chosen[2] < 6) {
			t.Fatal(chosen)
		}
		seen[[3]int(chosen)] = true
	}
	if len(seen) != 20 {
		t.Errorf("%d of 20 combinations", len(seen))
	}
}

func TestBounds(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {2, 1}, {2, 3}, {0, 0}, {MostTrustees + 1, 2}, {-1, -1}} {
		if _, _, err := Make(size[0], size[1], "2027-03-14"); !errors.Is(err, ErrBounds) {
			t.Errorf("%d of %d: %v", size[1], size[0], err)
		}
	}
}

// A share is read as people type it, and one wrong character, wherever it is, is refused.
func TestCode(t *testing.T) {
	record, shares := made(t, 3, 2)
	s := shares[1]
	code := s.Code()
	for _, text := range []string{code, strings.ToLower(code), strings.ReplaceAll(code, "-", " "), strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(code),
		strings.Join(s.Rows(), "\n"), string(record.File(s)), strings.ReplaceAll(string(record.File(s)), "\n", "\r\n")} {
		if again, err := Parse(text); err != nil || again != s {
			t.Errorf("%v", err)
		}
	}
	for i, c := range code {
		if c == '-' {
			continue
		}
		other := "A"
		if c == 'A' {
			other = "C"
		}
		if _, err := Parse(code[:i] + other + code[i+1:]); !errors.Is(err, ErrShare) {
			t.Fatalf("a wrong character at %d: %v", i, err)
		}
		if _, err := Parse(code[:i] + code[i+1:]); !errors.Is(err, ErrShare) {
			t.Fatalf("a missing character at %d: %v", i, err)
		}
	}
	for _, text := range []string{"", "share", code + "A", code + code, strings.Repeat(" ", maxCodeText) + code, code[:len(code)-1] + "!"} {
		if _, err := Parse(text); !errors.Is(err, ErrShare) {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
	if shown := fmt.Sprintf("%v %+v %s %#v", s, s, s, s); strings.Contains(shown, "secret") || strings.Contains(shown, fmt.Sprint(s.secret[0])+" ") {
		t.Errorf("a share prints itself: %s", shown)
	}
}

func TestRecord(t *testing.T) {
	record, shares := made(t, 3, 2)
	text := record.Marshal()
	if again, err := ParseRecord(text); err != nil || !slices.Equal(again.Shares, record.Shares) || again.Recipient != record.Recipient {
		t.Fatal(err)
	}
	for _, s := range shares {
		for _, secret := range [][]byte{s.secret[:], []byte(s.Code()), []byte(s.text())} {
			if bytes.Contains(text, secret) {
				t.Error("the record holds a share")
			}
		}
	}
	for name, other := range map[string]string{
		"empty": "", "another spelling": " " + string(text), "trailing": string(text) + "\n", "a member more": strings.Replace(string(text), "{", `{"x":1,`, 1),
		"another version": strings.Replace(string(text), `"version":1`, `"version":2`, 1), "no date": strings.Replace(string(text), "2027-03-14", "spring", 1),
		"one is enough": strings.Replace(string(text), `"needed":2`, `"needed":1`, 1), "more than there are": strings.Replace(string(text), `"needed":2`, `"needed":4`, 1),
		"another key": strings.Replace(string(text), "age1pq1", "age1pq2", 1),
	} {
		if _, err := ParseRecord([]byte(other)); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The sheet says all that a trustee needs, and its square holds the share's own code; nothing on it is fetched.
func TestSheet(t *testing.T) {
	record, shares := made(t, 5, 3)
	var page bytes.Buffer
	if err := record.WriteSheet(&page, shares[3]); err != nil {
		t.Fatal(err)
	}
	for _, want := range append(shares[3].Rows(), record.Number(), "2027-03-14", "share 4 of 5", "Any 3 of the 5", "<svg") {
		if !strings.Contains(page.String(), want) {
			t.Errorf("%q is not on the sheet", want)
		}
	}
	for _, never := range []string{"http:", "https:", "src=", "<script", shares[0].Rows()[3]} {
		if strings.Contains(page.String(), never) {
			t.Errorf("%q is on the sheet", never)
		}
	}
	code, err := qr.Encode(shares[3].Code(), qr.M)
	if err != nil {
		t.Fatal(err)
	}
	const quiet = 4 // the blank margin
	dark := make(map[[2]int]bool)
	for _, run := range regexp.MustCompile(`M\d+ \d+h\d+v1h-\d+z`).FindAllString(page.String(), -1) {
		var x, y, n, back int
		if _, err := fmt.Sscanf(run, "M%d %dh%dv1h-%dz", &x, &y, &n, &back); err != nil || n != back {
			t.Fatalf("a run of %q: %v", run, err)
		}
		for i := range n {
			dark[[2]int{x + i - quiet, y - quiet}] = true
		}
	}
	if !strings.Contains(page.String(), fmt.Sprintf(`viewBox="0 0 %d %[1]d"`, code.Size+2*quiet)) {
		t.Error("the square is of another size")
	}
	for y := range code.Size {
		for x := range code.Size {
			if dark[[2]int{x, y}] != code.Black(x, y) {
				t.Fatalf("the square differs at %d, %d", x, y)
			}
			delete(dark, [2]int{x, y})
		}
	}
	if len(dark) > 0 {
		t.Errorf("%d more places are dark", len(dark))
	}
}

func FuzzParse(f *testing.F) {
	record, shares := made(f, 3, 2)
	f.Add(shares[0].Code())
	f.Add(string(record.File(shares[2])))
	f.Add("# only a comment")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(s.Code()); err != nil || again != s || s.text() != strings.ReplaceAll(s.Code(), "-", "") {
			t.Errorf("another spelling is another share: %v", err)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	record, _ := made(f, 3, 2)
	f.Add(record.Marshal())
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := ParseRecord(text); err == nil && !bytes.Equal(r.Marshal(), text) {
			t.Error("two spellings of one record")
		}
	})
}
