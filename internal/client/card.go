package client

import (
	"context"
	"errors"
	"strings"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// Card is all that a card says (FORMATS §9): the secret code, where the vault answers, and the number of the trust file.
type Card struct {
	Code    sealing.Card
	Address Address
	Trust   TrustNumber
}

// NewCard makes a card for a vault: its code is new.
func NewCard(address Address, trust tlog.Trust) Card {
	return Card{sealing.NewCard(), address, TrustNumber{evidence.Hash(trust.Fingerprint()).String()}}
}

// maxCardLine bounds the line, in bytes: a host name has 253 at most.
const maxCardLine = 512

// ParseCardLine reads the line that the card's square holds, in its only spelling: Invalid "card_code", or what ParseAddress says.
func ParseCardLine(line string) (Card, error) {
	fields := strings.Split(line, " ")
	if len(line) > maxCardLine || len(fields) != 3 {
		return Card{}, errCard
	}
	code, err := sealing.ParseCard(fields[0])
	if err != nil {
		return Card{}, errCard
	}
	address, err := ParseAddress(fields[1])
	if err != nil {
		return Card{}, err
	}
	trust, err := ParseTrustNumber(fields[2])
	if err != nil {
		return Card{}, err
	}
	if c := (Card{code, address, trust}); c.Line() == line {
		return c, nil
	}
	return Card{}, errCard
}

var errCard = evidence.Refuse(evidence.Invalid, "card_code")

// Line is the secret text of the card's square: code, address and the trust file's whole number.
func (c Card) Line() string { return c.Code.Code() + " " + c.Address.String() + " " + c.Trust.text }

// TrustNumber names a trust file (FORMATS §10): by its whole number, as a square carries it, or by the six groups that a person types.
// The groups are 99 bits of it: nobody finds another file that has them. Who makes two files that share them, as only who founds a vault
// might, has half of that to overcome; a square leaves no such way.
type TrustNumber struct{ text string }

// ParseTrustNumber reads 64 digits in hex, or six groups: Invalid "trust_number".
func ParseTrustNumber(s string) (TrustNumber, error) {
	if hash, err := evidence.ParseHash(s); err == nil {
		return TrustNumber{hash.String()}, nil
	}
	groups, err := tlog.ParseSixGroups(s)
	if err != nil {
		return TrustNumber{}, evidence.Refuse(evidence.Invalid, "trust_number")
	}
	return TrustNumber{groups}, nil
}

// Groups is the number as it is shown and read out.
func (n TrustNumber) Groups() string {
	if hash, err := evidence.ParseHash(n.text); err == nil {
		return tlog.SixGroups(tlog.Hash(hash))
	}
	return n.text
}

// names reports whether this is the number of these bytes.
func (n TrustNumber) names(file []byte) bool {
	hash := evidence.SHA256(file)
	return n.text == hash.String() || n.text == tlog.SixGroups(tlog.Hash(hash))
}

// ByCard returns the client of a card's holder, who need not be known to the vault yet. The trust file comes from the vault and counts only
// if it has the card's number. Keystore, Signer and Unlock are the card's own, whatever cfg says: nothing is kept when the process ends, so
// that what was seen on other days cannot be compared.
//
// The vault not knowing the number is NotFound "trust_number", any other file an Alarm OtherTrust.
func ByCard(ctx context.Context, card Card, cfg Config) (*Client, error) {
	if cfg.HTTP == nil {
		cfg.HTTP = defaultHTTP(card.Address)
	}
	trust, err := fetchTrust(ctx, card, cfg.HTTP)
	if err != nil {
		return nil, err
	}
	identity, private, err := card.Code.Keys(trust.Vault())
	if err != nil {
		return nil, err
	}
	if cfg.Signer, err = custody.NewKey(private); err != nil {
		return nil, err
	}
	cfg.Unlock = func() (sealing.Identity, error) { return identity, nil }
	k := new(InMemory)
	if err := errors.Join(Pin(k, trust), WriteProfile(k, Profile{Address: card.Address.String()})); err != nil {
		return nil, err
	}
	cfg.Keystore = k
	return New(cfg)
}

// fetchTrust asks the vault for the trust file that the card names.
func fetchTrust(ctx context.Context, card Card, through Doer) (tlog.Trust, error) {
	c := &Client{cfg: Config{HTTP: through}, address: card.Address.URL(), pause: pause}
	file, err := c.trustFile(ctx, strings.ReplaceAll(card.Trust.text, " ", ""))
	switch {
	case evidence.KindOf(err) == evidence.NotFound:
		return tlog.Trust{}, evidence.Refuse(evidence.NotFound, "trust_number")
	case err != nil:
		return tlog.Trust{}, err
	case !card.Trust.names(file):
		return tlog.Trust{}, alarm(OtherTrust, evidence.Stream{}, nil)
	}
	return tlog.ParseTrust(file)
}

// Recognize signs in by the key alone and learns whose it is, which is then checked: that the key is the one in force for that actor.
// A card that does not count is Unauthenticated "card": replaced, not confirmed yet, or of another vault; the vault does not say which.
func (c *Client) Recognize(ctx context.Context) error {
	signed, err := c.signIn(ctx)
	if evidence.ReasonOf(err) == "sign_in" {
		return evidence.Refuse(evidence.Unauthenticated, "card")
	}
	if err != nil {
		return err
	}
	if c.actor = evidence.ActorID(signed.Actor); !evidence.ValidID(c.actor) {
		return alarm(Malformed, evidence.Stream{}, nil)
	}
	if _, err := c.session.begin(signed); err != nil {
		return err
	}
	_, current, err := c.WhoAmI(ctx)
	if err == nil && !current {
		err = alarm(ForeignKey, evidence.ActorOf(c.actor), errors.New("the vault names an actor who has another key"))
	}
	return err
}
