package custody

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"slices"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
)

// Keys verifies many statements of few signers: it reads each key once. The zero value is ready for use, by several goroutines.
type Keys struct {
	mu    sync.RWMutex
	known map[string]*knownKey // by SPKI DER
}

type knownKey struct {
	*ecdsa.PublicKey
	id   evidence.Hash
	spki []byte
}

const maxKnownKeys = 1024

// Verify is (*Statement).Verify.
func (k *Keys) Verify(s *Statement, spki []byte) (*Signed, error) {
	key, err := k.get(spki)
	if err != nil {
		return nil, err
	}
	if err := key.verify(s.digest, s.signature); err != nil {
		return nil, err
	}
	return newSigned(s, key.spki), nil
}

func (k *Keys) get(spki []byte) (*knownKey, error) {
	k.mu.RLock()
	known := k.known[string(spki)]
	k.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	key, err := PublicKey(spki)
	if err != nil {
		return nil, err
	}
	known = &knownKey{key, KeyID(spki), slices.Clone(spki)}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxKnownKeys {
		k.known = make(map[string]*knownKey)
	}
	k.known[string(spki)] = known
	return known, nil
}

// verify checks one signature over message. Reasons: "key" and "key_type" for the key, "keyid" when the signature names another,
// "signature_form" when it is not strict DER, "signature_high_s", "signature" when it is of other bytes or by another key.
func verify(spki, message []byte, s Signature) error {
	key, err := new(Keys).get(spki)
	if err != nil {
		return err
	}
	return key.verify(sha256.Sum256(message), s)
}

func (k *knownKey) verify(digest evidence.Hash, s Signature) error {
	if s.KeyID != k.id {
		return evidence.Refuse(evidence.Unauthenticated, "keyid")
	}
	low, err := isLowS(s.DER)
	if err != nil {
		return err
	}
	if !low {
		return evidence.Refuse(evidence.Invalid, "signature_high_s")
	}
	if !ecdsa.VerifyASN1(k.PublicKey, digest[:], s.DER) {
		return evidence.Refuse(evidence.Unauthenticated, "signature")
	}
	return nil
}
