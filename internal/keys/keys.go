// Package keys keeps signing keys: the log's checkpoint keys, the vault's event key and people's signing keys, through sigstore's
// signers. A key is an encrypted PEM file (PKCS #8 under a passphrase, sigstore's format) or lives in a KMS, named by its URI.
//
// It may assume that the folder it writes to is its own. It never overwrites a key, never writes one that can be read by others, and
// never keeps a passphrase. age identities are not its business: see package sealing.
package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/mldsa"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/tlog"
)

// Algorithm of a new key.
type Algorithm string

const (
	P256    Algorithm = "ecdsa-p256" // events and checkpoints
	Ed25519 Algorithm = "ed25519"    // checkpoints
	MLDSA44 Algorithm = "ml-dsa-44"  // checkpoints, against who can break the others one day; in no KMS
)

var (
	// ErrPassphrase means that the passphrase does not open the key file.
	ErrPassphrase = errors.New("the passphrase does not open this key")
	// ErrUnsupported means that the key is of another type than this vault uses.
	ErrUnsupported = errors.New("the key is neither ECDSA P-256 nor Ed25519 nor ML-DSA-44")
	// ErrKMS means that the KMS, or its plugin, did not answer in time, or not with what it was asked for.
	ErrKMS = errors.New("the KMS does not sign")
)

// Signer signs whole messages with one key.
type Signer struct {
	sign   func(message []byte) ([]byte, error)
	public crypto.PublicKey
	spki   []byte
	seed   []byte // of a key of ML-DSA-44: its note signer takes no other
}

// Create makes a key and its file, which must not exist. Without a passphrase the file is plain PKCS #8: the caller has warned.
func Create(path string, algorithm Algorithm, passphrase []byte) (*Signer, error) {
	var private crypto.PrivateKey
	var err error
	switch algorithm {
	case P256:
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case Ed25519:
		_, private, err = ed25519.GenerateKey(rand.Reader)
	case MLDSA44:
		private, err = mldsa.GenerateKey(mldsa.MLDSA44())
	default:
		err = ErrUnsupported
	}
	if err != nil {
		return nil, err
	}
	text, err := encode(private, passphrase)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if err := writeNew(path, text); err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	return load(private)
}

func encode(private crypto.PrivateKey, passphrase []byte) ([]byte, error) {
	der, err := marshal(private)
	if err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return cryptoutils.PEMEncode(cryptoutils.PrivateKeyPEMType, der), nil
	}
	if der, err = encrypted.Encrypt(der, passphrase); err != nil {
		return nil, err
	}
	return cryptoutils.PEMEncode(cryptoutils.EncryptedSigstorePrivateKeyPEMType, der), nil
}

// writeNew writes a file that only its owner reads: durable when it returns, and never over another.
func writeNew(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// maxKeyFile bounds a key file, in bytes.
const maxKeyFile = 16 << 10

// Open reads a key file as Create writes it, or asks a KMS if name is the URI of a key there (see InKMS). Errors: ErrPassphrase,
// ErrUnsupported, ErrKMS, and the file system's.
func Open(ctx context.Context, name string, passphrase []byte) (*Signer, error) {
	if InKMS(name) {
		return openKMS(ctx, name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if info.Size() > maxKeyFile {
		return nil, ErrUnsupported
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	private, err := decode(text, passphrase)
	if err != nil {
		return nil, err
	}
	return load(private)
}

// decode reads what encode writes and nothing else. The library reads more: formats whose author decides how long it takes to try a
// passphrase, and how much memory.
func decode(text, passphrase []byte) (crypto.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil || len(block.Headers) > 0 || !bytes.Equal(pem.EncodeToMemory(block), text) {
		return nil, ErrUnsupported
	}
	switch cryptoutils.PEMType(block.Type) {
	case cryptoutils.EncryptedSigstorePrivateKeyPEMType:
		if len(passphrase) == 0 {
			return nil, ErrPassphrase
		}
		der, err := encrypted.Decrypt(block.Bytes, passphrase)
		if err != nil {
			return nil, ErrPassphrase
		}
		return unmarshal(der)
	case cryptoutils.PrivateKeyPEMType:
		private, err := unmarshal(block.Bytes)
		if err != nil {
			return nil, err
		}
		if again, err := encode(private, nil); err != nil || !bytes.Equal(again, text) {
			return nil, ErrUnsupported
		}
		return private, nil
	}
	return nil, ErrUnsupported
}

// Encrypted reports whether a key file's text needs a passphrase.
func Encrypted(text []byte) bool { return bytes.Contains(text, []byte("ENCRYPTED")) }

func load(private crypto.PrivateKey) (*Signer, error) {
	if private, ok := private.(*mldsa.PrivateKey); ok {
		return loadMLDSA(private), nil
	}
	s, err := signature.LoadSigner(private, crypto.SHA256)
	if err != nil {
		return nil, ErrUnsupported
	}
	public, err := s.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return wrap(public, func(message []byte) ([]byte, error) { return s.SignMessage(bytes.NewReader(message)) })
}

func wrap(public crypto.PublicKey, sign func([]byte) ([]byte, error)) (*Signer, error) {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return nil, ErrUnsupported
		}
	case ed25519.PublicKey:
	default:
		return nil, ErrUnsupported
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	return &Signer{sign: sign, public: public, spki: spki}, err
}

// Sign signs a message: ECDSA over its SHA-256 as ASN.1 DER, Ed25519, or ML-DSA-44 with an empty context. A key in a KMS is asked anew each time, and its answer is
// verified: ErrKMS, after which the same may be asked again.
func (s *Signer) Sign(message []byte) ([]byte, error) { return s.sign(message) }

// Public returns the public key, SPKI its DER form (RFC 5280).
func (s *Signer) Public() crypto.PublicKey { return s.public }
func (s *Signer) SPKI() []byte             { return s.spki }

// Algorithm says of which kind the key is.
func (s *Signer) Algorithm() Algorithm {
	switch s.public.(type) {
	case *mldsa.PublicKey:
		return MLDSA44
	case ed25519.PublicKey:
		return Ed25519
	}
	return P256
}

// NoteSigner signs checkpoints of the log named origin with this key (FORMATS §5).
func (s *Signer) NoteSigner(origin string) (note.Signer, error) {
	switch key := s.public.(type) {
	case *ecdsa.PublicKey:
		return tlog.NewECDSANoteSigner(origin, key, s.Sign)
	case ed25519.PublicKey:
		return tlog.NewEd25519NoteSigner(origin, key, s.Sign)
	case *mldsa.PublicKey:
		return formats.NewMLDSASigner("PRIVATE+KEY+" + noteKey(origin, key, s.seed))
	}
	return nil, ErrUnsupported
}
