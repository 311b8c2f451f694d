package ceremony

import (
	"bytes"
	"encoding/base32"
	"strings"

	"github.com/cloudflare/circl/group"
)

// The code of a share: version, number, of, needed (a byte each), the first five bytes of the recovery key's fingerprint, which people see
// as the first of its six groups, the secret, and a check of four bytes. That is 72 characters in 18 groups, without stray bits.
const (
	codeVersion = 1
	tagSize     = 5
	shareSize   = 4 + tagSize + secretSize
	checkSize   = 4
	codeGroup   = 4
	codeText    = (shareSize + checkSize) * 8 / 5
	maxCodeText = 4 << 10 // a share's file, with what it says around the code
)

var encoding = base32.StdEncoding.WithPadding(base32.NoPadding)

func (s Share) bytes() []byte {
	b := append([]byte{codeVersion, byte(s.Number), byte(s.Of), byte(s.Needed)}, s.recovery[:]...)
	return append(b, s.secret[:]...)
}

func (s Share) text() string {
	b := s.bytes()
	return encoding.EncodeToString(append(b, sum("strongroom/share/check/v1", b)[:checkSize]...))
}

// Code is the secret text to print: eighteen groups of four characters, separated by hyphens. Parse reads it.
func (s Share) Code() string {
	text := s.text()
	var groups []string
	for i := 0; i < len(text); i += codeGroup {
		groups = append(groups, text[i:i+codeGroup])
	}
	return strings.Join(groups, "-")
}

// Rows are the groups, three in a row, as they are printed.
func (s Share) Rows() (rows []string) {
	groups := strings.Split(s.Code(), "-")
	for ; len(groups) > 0; groups = groups[3:] {
		rows = append(rows, strings.Join(groups[:3], " "))
	}
	return rows
}

// Parse reads a code as it is typed or scanned, or a share's file: upper or lower case, with spaces, hyphens and line ends anywhere, and
// lines that begin with # passed over; 0, 1 and 8, which no code has, are read as the letters O, I and B. Anything else, one wrong character
// too, is ErrShare.
func Parse(text string) (Share, error) {
	if len(text) > maxCodeText {
		return Share{}, ErrShare
	}
	var code strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			code.WriteString(typed.Replace(line))
		}
	}
	upper := strings.ToUpper(code.String())
	if len(upper) != codeText {
		return Share{}, ErrShare
	}
	b, err := encoding.DecodeString(upper)
	if err != nil || len(b) != shareSize+checkSize || b[0] != codeVersion {
		return Share{}, ErrShare
	}
	s := Share{Number: int(b[1]), Of: int(b[2]), Needed: int(b[3])}
	copy(s.recovery[:], b[4:])
	copy(s.secret[:], b[4+tagSize:])
	if s.text() != upper || s.Needed < LeastNeeded || s.Of > MostTrustees || s.Needed > s.Of || s.Number < 1 || s.Number > s.Of {
		return Share{}, ErrShare
	}
	if _, err := s.scalar(); err != nil {
		return Share{}, err
	}
	return s, nil
}

// scalar is the secret as a number below the field's order, in its one spelling.
func (s Share) scalar() (group.Scalar, error) {
	value := field.NewScalar()
	if err := value.UnmarshalBinary(s.secret[:]); err != nil {
		return nil, ErrShare
	}
	if again, err := value.MarshalBinary(); err != nil || !bytes.Equal(again, s.secret[:]) {
		return nil, ErrShare
	}
	return value, nil
}

var typed = strings.NewReplacer(" ", "", "-", "", "\t", "", "\r", "", "\n", "", "0", "O", "1", "I", "8", "B")
