// Package ceremony splits the vault's offline recovery key among trustees and puts it together again (RULES §3.7).
//
// It makes the key itself: an age identity whose seed is drawn as a number below the order of P-256's group, and shared by Shamir's method
// over that field (circl). Fewer shares than are needed say nothing about it, whatever computers there will be. It may assume that the
// device it runs on is offline and trusted; it never returns the whole key but from Combine, and knows no file, clock or network.
//
// Each share carries a checksum, so that a mistyped one is refused by itself. A share that was exchanged is told by its digest in the
// Record, which is public, or by the others, where there are more of them than are needed. There are no Feldman commitments on purpose: the seed times a point of a curve, published, would give the key to
// whoever has a quantum computer one day, and the key is a post-quantum one.
package ceremony

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/secretsharing"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// Bounds of a ceremony: one person alone never has the key, and twenty sheets can be kept apart.
const (
	LeastNeeded  = 2
	MostTrustees = 20
)

var (
	// ErrBounds: so many trustees, or so many of them, cannot be asked for.
	ErrBounds = errors.New("ceremony: at least 2 are needed, of at most 20")
	// ErrShare: not the code of a share; most likely mistyped.
	ErrShare = errors.New("ceremony: not the code of a share")
	// ErrCombination: each share looks right, and together they are not the key. One at least was made up; with one more that is right, or
	// with the record, it is known which.
	ErrCombination = errors.New("ceremony: these shares do not give the recovery key")
	// ErrManyShares: together they are not the key, and there are too many ways to leave out some of them. The record would tell which.
	ErrManyShares = errors.New("ceremony: too many shares to find out which of them give the recovery key")
	// ErrRecord: not a record in its form.
	ErrRecord = errors.New("ceremony: not the record of a ceremony")
)

// WrongShare names a share that is not of this recovery key, or not the one that was given out under its number.
type WrongShare struct{ Number int }

func (e WrongShare) Error() string { return fmt.Sprintf("ceremony: share %d is a wrong one", e.Number) }

// TooFew says how many shares there are of those needed.
type TooFew struct{ Have, Needed int }

func (e TooFew) Error() string {
	return fmt.Sprintf("ceremony: %d shares, and %d are needed", e.Have, e.Needed)
}

// field is that of the shares. A seed is a number below its order, as all but one in 2³² are.
var field = group.P256

const secretSize = 32

// Share is one trustee's part of the recovery key. It is secret.
type Share struct {
	Number, Of, Needed int
	recovery           [tagSize]byte // the recovery key's fingerprint, its beginning
	secret             [secretSize]byte
}

// Format prints no secret, whatever the verb.
func (s Share) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "share %d of %d", s.Number, s.Of) }

// digest tells a share from any other without telling it.
func (s Share) digest() evidence.Hash {
	return evidence.SHA256(append([]byte("strongroom/share/v1\x00"), s.bytes()...))
}

// Make draws a recovery key and splits it: trustees shares, any needed of which give it back. made is the date, for the record. Error:
// ErrBounds.
func Make(trustees, needed int, made string) (Record, []Share, error) {
	if needed < LeastNeeded || trustees < needed || trustees > MostTrustees {
		return Record{}, nil, ErrBounds
	}
	seed := field.RandomNonZeroScalar(rand.Reader)
	identity, err := identityOf(seed)
	if err != nil {
		return Record{}, nil, err
	}
	record := Record{Version: recordVersion, Made: made, Needed: needed, Recipient: identity.Recipient()}
	fingerprint := record.Recovery()
	var shares []Share
	for i, part := range secretsharing.New(rand.Reader, uint(needed-1), seed).Share(uint(trustees)) {
		s := Share{Number: i + 1, Of: trustees, Needed: needed, recovery: [tagSize]byte(fingerprint[:tagSize])}
		if s.secret, err = secretOf(part.Value); err != nil {
			return Record{}, nil, err
		}
		shares = append(shares, s)
		record.Shares = append(record.Shares, s.digest())
	}
	return record, shares, record.check()
}

// Combine gives the recovery key back. Of the record Recipient is compared always, and Shares where they are known: without them (the
// record may be lost) a share that was exchanged is named where there are more than are needed, for those that are right give the key. A
// share given twice counts once. Errors: WrongShare, or several of them joined; TooFew, ErrCombination, ErrManyShares.
func Combine(record Record, shares []Share) (sealing.Identity, error) {
	fingerprint := record.Recovery()
	have := make(map[int]Share)
	for _, s := range shares {
		other, twice := have[s.Number]
		switch {
		case s.recovery != [tagSize]byte(fingerprint[:tagSize]),
			record.Needed != 0 && s.Needed != record.Needed,
			len(record.Shares) > 0 && (s.Number > len(record.Shares) || record.Shares[s.Number-1] != s.digest()),
			twice && other != s:
			return sealing.Identity{}, WrongShare{s.Number}
		}
		have[s.Number] = s
	}
	var all []part
	var needed []int // what the shares say; a wrong one may say anything
	for _, number := range slices.Sorted(maps.Keys(have)) {
		value, err := have[number].scalar()
		if err != nil {
			return sealing.Identity{}, WrongShare{number}
		}
		all = append(all, part{have[number], secretsharing.Share{ID: field.NewScalar().SetUint64(uint64(number)), Value: value}})
		needed = append(needed, max(have[number].Needed, LeastNeeded))
	}
	if len(all) == 0 {
		return sealing.Identity{}, TooFew{0, max(record.Needed, LeastNeeded)}
	}
	slices.Sort(needed)
	tries := mostTries
	for _, n := range slices.Compact(needed) {
		if n > len(all) {
			return sealing.Identity{}, TooFew{len(all), n}
		}
		if identity, found, err := search(all, n, record.Recipient, &tries); found || err != nil {
			return identity, err
		}
	}
	if tries == 0 {
		return sealing.Identity{}, ErrManyShares
	}
	return sealing.Identity{}, ErrCombination
}

// Check tells whether a share is one of the record's.
func (r Record) Check(s Share) error {
	if i := s.Number - 1; i < 0 || i >= len(r.Shares) || r.Shares[i] != s.digest() {
		return WrongShare{s.Number}
	}
	return nil
}

func identityOf(seed group.Scalar) (sealing.Identity, error) {
	secret, err := secretOf(seed)
	if err != nil {
		return sealing.Identity{}, err
	}
	return sealing.IdentityOfSeed(secret)
}

// secretOf is a number as 32 bytes, big-endian.
func secretOf(value group.Scalar) (secret [secretSize]byte, _ error) {
	text, err := value.MarshalBinary()
	if err == nil && len(text) != secretSize {
		err = ErrShare
	}
	copy(secret[:], text)
	return secret, err
}

func sum(domain string, content []byte) []byte {
	h := sha256.Sum256(append([]byte(domain), content...))
	return h[:]
}
