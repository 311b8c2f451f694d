package sealing

import (
	"fmt"
	"strings"
	"sync/atomic"

	"filippo.io/age"
)

// A Key opens age files: an [ItemKey] or an [Identity].
type Key interface {
	// Recipient is the public half, "age1pq1…".
	Recipient() string
	hybrid() *age.HybridIdentity
}

// An ItemKey is the key of one item, kept nowhere but in envelopes (FORMATS §8).
// The label key of a case is an ItemKey too, and travels the same way.
type ItemKey struct {
	id *age.HybridIdentity
	// unused is set in a key that was made here and has encrypted no evidence.
	// Copies of the key share it.
	unused *atomic.Bool
}

// NewItemKey makes a key for a new item.
func NewItemKey() (ItemKey, error) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return ItemKey{}, fmt.Errorf("sealing: new key: %w", err)
	}
	k := ItemKey{id, new(atomic.Bool)}
	k.unused.Store(true)
	return k, nil
}

// ParseItemKey reads the line "AGE-SECRET-KEY-PQ-1…" that stock age takes out of
// an envelope. The key opens and is shared, but encrypts no evidence again.
func ParseItemKey(line string) (ItemKey, error) {
	id, err := parseHybrid(line)
	return ItemKey{id: id}, err
}

func (k ItemKey) Recipient() string           { return k.id.Recipient().String() }
func (k ItemKey) hybrid() *age.HybridIdentity { return k.id }

// use reports whether the key may encrypt evidence, once.
func (k ItemKey) use() bool { return k.unused != nil && k.unused.CompareAndSwap(true, false) }

// An Identity is a person's own key: it opens that person's envelopes.
type Identity struct{ id *age.HybridIdentity }

// NewIdentity makes the key of a person who enrols.
func NewIdentity() (Identity, error) {
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		return Identity{}, fmt.Errorf("sealing: new identity: %w", err)
	}
	return Identity{id}, nil
}

// ParseIdentity reads the line "AGE-SECRET-KEY-PQ-1…". Errors: [ErrKey],
// [ErrClassicKey].
func ParseIdentity(line string) (Identity, error) {
	id, err := parseHybrid(line)
	return Identity{id}, err
}

func (i Identity) Recipient() string           { return i.id.Recipient().String() }
func (i Identity) hybrid() *age.HybridIdentity { return i.id }

// CheckRecipient accepts the canonical text of a hybrid recipient, "age1pq1…",
// 1,959 characters. Errors: [ErrKey], [ErrClassicKey].
func CheckRecipient(s string) error {
	_, err := parseRecipient(s)
	return err
}

func parseRecipient(s string) (*age.HybridRecipient, error) {
	r, err := age.ParseHybridRecipient(s)
	if err != nil {
		if _, err := age.ParseX25519Recipient(s); err == nil {
			return nil, ErrClassicKey
		}
	}
	if err != nil || r.String() != s {
		return nil, ErrKey // without age's words: they repeat s
	}
	return r, nil
}

func parseHybrid(line string) (*age.HybridIdentity, error) {
	if strings.HasPrefix(line, "AGE-SECRET-KEY-1") {
		return nil, ErrClassicKey
	}
	id, err := age.ParseHybridIdentity(line)
	if err != nil || id.String() != line {
		return nil, ErrKey
	}
	return id, nil
}
