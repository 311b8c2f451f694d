package sealing

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"strings"
)

// A Card is the secret code printed on a survivor's card, from which both of her
// keys are made anew each time (FORMATS §9). It cannot be changed, only replaced
// by another card.
type Card struct{ code [cardSize]byte }

const (
	cardSize  = 20 // bytes, eight groups of four base32 characters
	cardGroup = 4
	cardText  = 32 + cardGroup
)

var cardEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewCard makes the code of a new card.
func NewCard() Card {
	var c Card
	rand.Read(c.code[:])
	return c
}

// ParseCard reads a code as it is typed or scanned: upper or lower case, with
// spaces and hyphens anywhere; 0, 1 and 8, which no code has, are read as the
// letters O, I and B, which they resemble. The last group is a check on the others, so that
// a typing error gives [ErrCard] and not somebody else's keys.
func ParseCard(s string) (Card, error) {
	if len(s) > 4*cardText {
		return Card{}, ErrCard
	}
	var c Card
	text := strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "0", "O", "1", "I", "8", "B").Replace(s))
	if len(text) != cardText {
		return Card{}, ErrCard
	}
	n, err := cardEncoding.Decode(c.code[:], []byte(text[:cardText-cardGroup]))
	if err != nil || n != cardSize || text != c.text() {
		return Card{}, ErrCard
	}
	return c, nil
}

// Code is the secret text to print: nine groups of four characters, separated
// by hyphens. [ParseCard] reads it.
func (c Card) Code() string {
	text := c.text()
	var groups []string
	for i := 0; i < len(text); i += cardGroup {
		groups = append(groups, text[i:i+cardGroup])
	}
	return strings.Join(groups, "-")
}

// Format prints no secret, whatever the verb.
func (Card) Format(s fmt.State, _ rune) { io.WriteString(s, "card") }

// text is the code and its check group, which are the first 20 bits of
// SHA-256(`strongroom/card/check/v1` ‖ code).
func (c Card) text() string {
	sum := sha256.Sum256(append([]byte("strongroom/card/check/v1"), c.code[:]...))
	check := cardEncoding.EncodeToString(sum[:])[:cardGroup]
	return cardEncoding.EncodeToString(c.code[:]) + check
}

// Keys derives the survivor's identity and signing key for the vault with the
// given origin. The counter of FORMATS §9 is one byte and starts at 0.
func (c Card) Keys(origin string) (Identity, *ecdsa.PrivateKey, error) {
	prk, err := hkdf.Extract(sha256.New, c.code[:], []byte("strongroom/card/v1\x00"+origin))
	if err != nil {
		return Identity{}, nil, fmt.Errorf("sealing: card: %w", err)
	}
	seed, err := hkdf.Expand(sha256.New, prk, "age", 32)
	if err != nil {
		return Identity{}, nil, fmt.Errorf("sealing: card: %w", err)
	}
	id, err := ParseIdentity(identityLine(seed))
	if err != nil {
		return Identity{}, nil, err
	}
	for counter := 0; ; counter++ {
		scalar, err := hkdf.Expand(sha256.New, prk, "p256"+string([]byte{byte(counter)}), 32)
		if err != nil {
			return Identity{}, nil, fmt.Errorf("sealing: card: %w", err)
		}
		// It refuses what is not in [1, n-1], once in 2³² times.
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
		if err == nil || counter == 255 {
			return id, key, err
		}
	}
}

// IdentityOfSeed returns the hybrid identity with a given seed: whoever has the seed has the key.
func IdentityOfSeed(seed [32]byte) (Identity, error) { return ParseIdentity(identityLine(seed[:])) }

const bech32Alphabet = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

var bech32 = base32.NewEncoding(bech32Alphabet).WithPadding(base32.NoPadding)

// identityLine is the Bech32 text (BIP 173) of a hybrid identity with the given
// seed, which age reads but exports no function to write.
func identityLine(seed []byte) string {
	const name = "age-secret-key-pq-"
	data := bech32.EncodeToString(seed)
	sum := uint32(1)
	add := func(value int) {
		top := sum >> 25
		sum = sum&0x1ffffff<<5 ^ uint32(value)
		for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			sum ^= g * (top >> i & 1)
		}
	}
	for _, c := range name {
		add(int(c >> 5))
	}
	add(0)
	for _, c := range name {
		add(int(c & 31))
	}
	for _, c := range data {
		add(strings.IndexRune(bech32Alphabet, c))
	}
	for range 6 {
		add(0)
	}
	sum ^= 1
	for shift := 25; shift >= 0; shift -= 5 {
		data += bech32Alphabet[sum>>shift&31:][:1]
	}
	return strings.ToUpper(name + "1" + data)
}
