package tlog

import (
	"encoding/binary"
	"fmt"
	"strings"
)

const (
	groups      = 6
	groupDigits = 5
	groupBytes  = 5
)

// SixGroups shows a fingerprint as people read it out: six groups of five
// digits with a space between them, each from five bytes of the hash,
// big-endian, mod 100000 (FORMATS §9).
func SixGroups(hash [32]byte) string {
	var shown [groups]string
	for i := range shown {
		var b [8]byte
		copy(b[8-groupBytes:], hash[i*groupBytes:])
		shown[i] = fmt.Sprintf("%05d", binary.BigEndian.Uint64(b[:])%100000)
	}
	return strings.Join(shown[:], " ")
}

// ParseSixGroups returns what a person typed in the form SixGroups writes, to
// be compared with it. Digits may be grouped by any spaces, hyphens and line
// ends, or not at all.
func ParseSixGroups(typed string) (string, error) {
	var digits []byte
	for i := 0; i < len(typed); i++ {
		switch c := typed[i]; {
		case c >= '0' && c <= '9':
			digits = append(digits, c)
		case !strings.ContainsRune(" -\t\r\n", rune(c)):
			return "", malformed("fingerprint has more than digits")
		}
		if len(digits) > groups*groupDigits {
			break
		}
	}
	if len(digits) != groups*groupDigits {
		return "", malformed("fingerprint is not six groups of five digits")
	}
	var shown [groups]string
	for i := range shown {
		shown[i] = string(digits[i*groupDigits:][:groupDigits])
	}
	return strings.Join(shown[:], " "), nil
}
