package keys

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"

	"filippo.io/mldsa"
)

// What stands in DER before the seed of a private key of ML-DSA-44 in PKCS #8, and before a public one in SPKI (RFC 9881). The standard
// library knows neither yet.
const (
	mldsaPKCS8 = "\x30\x34\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x04\x22\x80\x20"
	mldsaSPKI  = "\x30\x82\x05\x32\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x03\x82\x05\x21\x00"
)

// mldsa44 is the signature type of ML-DSA-44 (C2SP signed-note).
const mldsa44 = 0x06

func marshal(private crypto.PrivateKey) ([]byte, error) {
	if key, ok := private.(*mldsa.PrivateKey); ok {
		return append([]byte(mldsaPKCS8), key.Bytes()...), nil
	}
	return x509.MarshalPKCS8PrivateKey(private)
}

func unmarshal(der []byte) (private crypto.PrivateKey, err error) {
	if seed, ok := bytes.CutPrefix(der, []byte(mldsaPKCS8)); ok {
		private, err = mldsa.NewPrivateKey(mldsa.MLDSA44(), seed)
	} else {
		private, err = x509.ParsePKCS8PrivateKey(der)
	}
	if err != nil {
		return nil, ErrUnsupported
	}
	return private, nil
}

func loadMLDSA(private *mldsa.PrivateKey) *Signer {
	public := private.PublicKey()
	return &Signer{
		sign:   func(message []byte) ([]byte, error) { return private.Sign(nil, message, nil) },
		public: public, spki: append([]byte(mldsaSPKI), public.Bytes()...), seed: private.Bytes(),
	}
}

// PolicyKey is a key of ML-DSA-44 as the log line of a witness policy names it (FORMATS §5); ErrUnsupported of any other, for those stand
// in the trusted root.
func (s *Signer) PolicyKey(origin string) (string, error) {
	key, ok := s.public.(*mldsa.PublicKey)
	if !ok {
		return "", ErrUnsupported
	}
	return noteKey(origin, key, key.Bytes()), nil
}

// noteKey writes a key as C2SP signed-note does, with the public or the private half.
func noteKey(origin string, public *mldsa.PublicKey, half []byte) string {
	id := sha256.Sum256(slices.Concat([]byte(origin+"\n"), []byte{mldsa44}, public.Bytes()))
	return fmt.Sprintf("%s+%x+%s", origin, id[:4], base64.StdEncoding.EncodeToString(append([]byte{mldsa44}, half...)))
}
