package evidence

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
)

// Identifiers carry neither time nor meaning (FORMATS §2): a prefix, a hyphen and 26 characters of lower-case base32 that hold
// 16 random bytes. Each kind is a type of its own, so that one cannot stand where another belongs.
type (
	ActorID   string // act-…
	OrgID     string // org-…
	CaseID    string // cas-…
	ItemID    string // itm-…
	ConsentID string // con-…
	GrantID   string // gra-…
	HoldID    string // hld-…
	UploadID  string // upl-…
)

func (ActorID) prefix() string   { return "act" }
func (OrgID) prefix() string     { return "org" }
func (CaseID) prefix() string    { return "cas" }
func (ItemID) prefix() string    { return "itm" }
func (ConsentID) prefix() string { return "con" }
func (GrantID) prefix() string   { return "gra" }
func (HoldID) prefix() string    { return "hld" }
func (UploadID) prefix() string  { return "upl" }

type id interface {
	~string
	prefix() string
}

const idAlphabet = "abcdefghijklmnopqrstuvwxyz234567"

var idEncoding = base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)

// NewID makes a random identifier of the wanted type.
func NewID[T id]() T {
	var raw [16]byte
	rand.Read(raw[:]) // never fails: crypto/rand crashes the program instead
	var t T
	return T(t.prefix() + "-" + idEncoding.EncodeToString(raw[:]))
}

// ParseID checks that s is an identifier of the wanted type in its only spelling: the two stray bits must be zero.
func ParseID[T id](s string) (T, error) {
	if !ValidID(T(s)) {
		return "", Refuse(Invalid, "identifier")
	}
	return T(s), nil
}

// ValidID reports whether v is well formed. 26 characters hold 130 bits: the last one must leave its two stray bits zero.
func ValidID[T id](v T) bool {
	p := v.prefix()
	if len(v) != len(p)+27 || string(v[:len(p)]) != p || v[len(p)] != '-' {
		return false
	}
	code := v[len(p)+1:]
	for i := range len(code) {
		if c := code[i]; (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return strings.IndexByte(idAlphabet, code[25])%4 == 0
}
