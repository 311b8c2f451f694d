package custody

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"math/big"

	"strongroom.example/strongroom/internal/evidence"
)

// Signer holds a P-256 private key: in memory, in a browser's key store, in a KMS. Sign returns a DER signature (ECDSA, SHA-256)
// over message; it need not be low-S.
type Signer interface {
	Sign(message []byte) (der []byte, err error)
}

// KeyID names a public key: SHA-256 of its SPKI DER (FORMATS §4).
func KeyID(spki []byte) evidence.Hash { return evidence.SHA256(spki) }

// ParseSPKI reads a public key as events carry it: standard base64 of the canonical SPKI DER of a P-256 key. Reasons: "key" for what
// is no key in that form, "key_type" for another algorithm or curve.
func ParseSPKI(text string) ([]byte, error) {
	spki, err := base64.StdEncoding.DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(spki) != text {
		return nil, evidence.Refuse(evidence.Invalid, "key")
	}
	if _, err := PublicKey(spki); err != nil {
		return nil, err
	}
	return spki, nil
}

// PublicKey reads the canonical SPKI DER of a P-256 key; errors as in ParseSPKI.
func PublicKey(spki []byte) (*ecdsa.PublicKey, error) {
	parsed, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return nil, evidence.Fail(evidence.Invalid, "key", err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, evidence.Refuse(evidence.Invalid, "key_type")
	}
	if again, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(again, spki) {
		return nil, evidence.Fail(evidence.Invalid, "key", err)
	}
	return key, nil
}

var (
	halfOrder      = new(big.Int).Rsh(elliptic.P256().Params().N, 1)
	halfOrderBytes = halfOrder.Bytes()
)

type pair struct{ R, S *big.Int }

// parseDER reads a signature in its only DER spelling. Whether r and s are in range is the verification's business.
func parseDER(der []byte) (pair, error) {
	var rs pair
	if rest, err := asn1.Unmarshal(der, &rs); err != nil || len(rest) != 0 {
		return rs, evidence.Fail(evidence.Invalid, "signature_form", err)
	}
	if again, err := asn1.Marshal(rs); err != nil || !bytes.Equal(again, der) {
		return rs, evidence.Fail(evidence.Invalid, "signature_form", err)
	}
	return rs, nil
}

// isLowS reports whether s is not the larger of s and n-s. Errors as of parseDER, which it asks about all but the usual form: two
// positive integers of at most 32 bytes.
func isLowS(der []byte) (bool, error) {
	rest, sequence := bytes.CutPrefix(der, []byte{0x30, byte(len(der) - 2)})
	_, rest, r := integer(rest)
	s, rest, ok := integer(rest)
	if sequence && r && ok && len(rest) == 0 && len(der) < 0x80 {
		return bytes.Compare(append(make([]byte, 32-len(s), 32), s...), halfOrderBytes) <= 0, nil
	}
	rs, err := parseDER(der)
	return err == nil && rs.S.Cmp(halfOrder) <= 0, err
}

// integer takes a positive DER integer of at most 32 bytes off b, without the zero byte that keeps it positive.
func integer(b []byte) (n, rest []byte, ok bool) {
	if len(b) < 3 || b[0] != 2 || b[1] == 0 || b[1] > 33 || len(b) < 2+int(b[1]) || b[2] > 0x7f {
		return nil, nil, false
	}
	n, rest = b[2:2+b[1]], b[2+b[1]:]
	if n[0] == 0 {
		n = n[1:]
		return n, rest, len(n) > 0 && n[0] > 0x7f
	}
	return n, rest, len(n) <= 32
}

// lowS replaces s by n-s where that is smaller: both verify, so one of them must not (FORMATS §4).
func lowS(der []byte) ([]byte, error) {
	rs, err := parseDER(der)
	if err != nil || rs.S.Cmp(halfOrder) <= 0 {
		return der, err
	}
	rs.S.Sub(elliptic.P256().Params().N, rs.S)
	return asn1.Marshal(rs)
}

// signMessage signs with signer and checks the result against spki, so that a wrong key is found by who signs, not by who receives.
func signMessage(message, spki []byte, signer Signer) (Signature, error) {
	der, err := signer.Sign(message)
	if err != nil {
		return Signature{}, evidence.Fail(evidence.Internal, "signer", err)
	}
	if der, err = lowS(der); err != nil {
		return Signature{}, err
	}
	s := Signature{KeyID(spki), der}
	return s, verify(spki, message, s)
}

// Key is a Signer in memory.
type Key struct {
	private *ecdsa.PrivateKey
	spki    []byte
}

// NewKey takes a P-256 private key.
func NewKey(private *ecdsa.PrivateKey) (*Key, error) {
	if private.Curve != elliptic.P256() {
		return nil, evidence.Refuse(evidence.Invalid, "key_type")
	}
	spki, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, evidence.Fail(evidence.Invalid, "key", err)
	}
	return &Key{private, spki}, nil
}

// GenerateKey makes a random key.
func GenerateKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, evidence.Fail(evidence.Internal, "key", err)
	}
	return NewKey(private)
}

// ParsePKCS8 reads what PKCS8 wrote.
func ParsePKCS8(der []byte) (*Key, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, evidence.Refuse(evidence.Invalid, "key") // without the cause: it may speak of the private key
	}
	private, ok := parsed.(*ecdsa.PrivateKey)
	if !ok {
		return nil, evidence.Refuse(evidence.Invalid, "key_type")
	}
	return NewKey(private)
}

// PKCS8 returns the private key in DER, in plain: who stores it encrypts it first.
func (k *Key) PKCS8() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(k.private) }

// SPKI returns the public key in DER. It must not be changed.
func (k *Key) SPKI() []byte { return k.spki }

// Sign implements Signer.
func (k *Key) Sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, k.private, digest[:])
}
