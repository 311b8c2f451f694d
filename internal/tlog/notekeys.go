package tlog

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"slices"

	"golang.org/x/mod/sumdb/note"
)

// SignFunc signs a whole message, not its digest: ECDSA P-256 as ASN.1 DER over
// SHA-256(message), Ed25519 as its 64 bytes. The key may be anywhere.
type SignFunc func(message []byte) (signature []byte, err error)

// NewECDSANoteSigner returns the signer of a checkpoint's ECDSA P-256 line
// (FORMATS §5). It verifies every signature before handing it out.
func NewECDSANoteSigner(origin string, pub *ecdsa.PublicKey, sign SignFunc) (note.Signer, error) {
	v, err := NewECDSANoteVerifier(origin, pub)
	if err != nil {
		return nil, err
	}
	return &noteSigner{v, sign}, nil
}

// NewEd25519NoteSigner returns the signer of a checkpoint's Ed25519 line, note
// signature type 0x01. It verifies every signature before handing it out.
func NewEd25519NoteSigner(origin string, pub ed25519.PublicKey, sign SignFunc) (note.Signer, error) {
	v, err := NewEd25519NoteVerifier(origin, pub)
	if err != nil {
		return nil, err
	}
	return &noteSigner{v, sign}, nil
}

// NewECDSANoteVerifier returns the verifier of a checkpoint's ECDSA P-256 line.
// Its key id is the first four bytes of SHA-256(SPKI DER).
func NewECDSANoteVerifier(origin string, pub *ecdsa.PublicKey) (note.Verifier, error) {
	if err := checkOrigin(origin); err != nil {
		return nil, err
	}
	der, err := marshalP256(pub)
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(der)
	return &noteVerifier{origin, binary.BigEndian.Uint32(id[:]), func(msg, sig []byte) bool {
		digest := sha256.Sum256(msg)
		return ecdsa.VerifyASN1(pub, digest[:], sig)
	}}, nil
}

// NewEd25519NoteVerifier returns the verifier of a checkpoint's Ed25519 line.
func NewEd25519NoteVerifier(origin string, pub ed25519.PublicKey) (note.Verifier, error) {
	if err := checkOrigin(origin); err != nil {
		return nil, err
	}
	if len(pub) != ed25519.PublicKeySize {
		return nil, malformed("Ed25519 key of another length")
	}
	vkey, err := note.NewEd25519VerifierKey(origin, pub)
	if err != nil {
		return nil, malformed("Ed25519 key")
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, malformed("Ed25519 key")
	}
	return v, nil
}

type noteVerifier struct {
	name   string
	hash   uint32
	verify func(msg, sig []byte) bool
}

func (v *noteVerifier) Name() string                { return v.name }
func (v *noteVerifier) KeyHash() uint32             { return v.hash }
func (v *noteVerifier) Verify(msg, sig []byte) bool { return v.verify(msg, sig) }

type noteSigner struct {
	note.Verifier
	sign SignFunc
}

// Sign makes noteSigner a note.Signer.
func (s *noteSigner) Sign(msg []byte) ([]byte, error) {
	sig, err := s.sign(msg)
	if err != nil {
		return nil, err
	}
	if !s.Verify(msg, sig) {
		return nil, errors.New("the signer's signature does not verify under its public key")
	}
	return sig, nil
}

// LogKeys are the keys of one log that a reader trusts: ECDSA P-256 keys, of
// which one must have signed each checkpoint, and Ed25519 and ML-DSA-44 keys,
// whose lines must verify where they are present.
type LogKeys struct {
	origin    string
	list      []note.Verifier
	verifiers note.Verifiers
	// primary maps the note key id of each ECDSA key to its log id.
	primary map[uint32]Hash
	opened  *opened
}

// NewLogKeys returns the keys of the log named origin: *ecdsa.PublicKey and
// ed25519.PublicKey, at least one ECDSA, no two alike.
func NewLogKeys(origin string, keys ...crypto.PublicKey) (LogKeys, error) {
	k := LogKeys{origin: origin, primary: make(map[uint32]Hash), opened: new(opened)}
	seen := make(map[uint32]bool)
	for _, key := range keys {
		var v note.Verifier
		var err error
		switch key := key.(type) {
		case *ecdsa.PublicKey:
			if v, err = NewECDSANoteVerifier(origin, key); err == nil {
				k.primary[v.KeyHash()], err = LogID(key)
			}
		case ed25519.PublicKey:
			v, err = NewEd25519NoteVerifier(origin, key)
		default:
			err = malformed("log key of another type")
		}
		if err != nil {
			return LogKeys{}, err
		}
		if seen[v.KeyHash()] {
			return LogKeys{}, malformed("two log keys with one key id")
		}
		seen[v.KeyHash()] = true
		k.list = append(k.list, v)
	}
	if len(k.primary) == 0 {
		return LogKeys{}, malformed("no ECDSA log key")
	}
	k.verifiers = note.VerifierList(k.list...)
	return k, nil
}

// with returns the keys and those that log lines of policies name; in several,
// one key is one. A witness that is the log itself is none.
func (k LogKeys) with(policies ...Policy) (LogKeys, error) {
	k.list = slices.Clone(k.list)
	added := make(map[string]bool)
	for _, p := range policies {
		for _, w := range p.all {
			if w.Verifier.Name() == k.origin {
				return LogKeys{}, malformed("a witness has the log's name")
			}
		}
		for _, v := range p.logs {
			if v.Name() != k.origin {
				return LogKeys{}, malformed("witness policy names another log")
			}
			if !first(added, p.keys[signerOf(v)]) {
				continue
			}
			for _, other := range k.list {
				if other.KeyHash() == v.KeyHash() {
					return LogKeys{}, malformed("two log keys with one key id")
				}
			}
			k.list = append(k.list, v)
		}
	}
	k.verifiers = note.VerifierList(k.list...)
	k.opened = new(opened)
	return k, nil
}

// Origin returns the log's name.
func (k LogKeys) Origin() string { return k.origin }

// LogID returns the id of an ECDSA P-256 or Ed25519 log key: SHA-256(SPKI DER).
func LogID(key crypto.PublicKey) (Hash, error) {
	der, err := marshalLogKey(key)
	if err != nil {
		return Hash{}, err
	}
	return sha256.Sum256(der), nil
}

func marshalLogKey(key crypto.PublicKey) ([]byte, error) {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return marshalP256(key)
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return x509.MarshalPKIXPublicKey(key)
		}
	}
	return nil, malformed("log key of another type")
}

func marshalP256(pub *ecdsa.PublicKey) ([]byte, error) {
	if pub == nil || pub.Curve != elliptic.P256() {
		return nil, malformed("key is not ECDSA P-256")
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, malformed("key is not a point of P-256")
	}
	return der, nil
}
