package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
)

// Hash is a SHA-256 value. In JSON it is 64 lower-case hexadecimal digits; the zero Hash is the empty string, which stands for
// "none" (FORMATS §1, §3).
type Hash [32]byte

// SHA256 hashes b.
func SHA256(b []byte) Hash { return sha256.Sum256(b) }

// ParseHash reads 64 lower-case hexadecimal digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	raw, err := hex.DecodeString(s)
	if err != nil || len(raw) != len(h) || hex.EncodeToString(raw) != s {
		return h, Refuse(Invalid, "digest")
	}
	copy(h[:], raw)
	return h, nil
}

func (h Hash) IsZero() bool { return h == Hash{} }

// Compare orders digests as their hexadecimal text is ordered.
func (h Hash) Compare(g Hash) int { return bytes.Compare(h[:], g[:]) }

func (h Hash) String() string {
	if h.IsZero() {
		return ""
	}
	return hex.EncodeToString(h[:])
}

func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

func (h *Hash) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return Refuse(Invalid, "digest")
	}
	if s == "" {
		*h = Hash{}
		return nil
	}
	parsed, err := ParseHash(s)
	*h = parsed
	return err
}

// UnmarshalText reads a digest that is a map's key.
func (h *Hash) UnmarshalText(b []byte) error {
	parsed, err := ParseHash(string(b))
	*h = parsed
	return err
}

// Fingerprint names an actor's pair of keys (FORMATS §9). The recovery recipient has no signing key and vault and administrators
// have no age recipient: the missing part is empty.
func Fingerprint(spki []byte, recipient string) Hash {
	h := sha256.New()
	io.WriteString(h, "strongroom/actor/v1\x00")
	h.Write(spki)
	h.Write([]byte{0})
	io.WriteString(h, recipient)
	return Hash(h.Sum(nil))
}
