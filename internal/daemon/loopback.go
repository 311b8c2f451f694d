package daemon

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

const (
	loopbackLife  = 365 * 24 * time.Hour
	loopbackRenew = 30 * 24 * time.Hour // before it ends
)

// Loopback is the certificate that a vault makes for itself, for clients on the same machine. No authority vouches for it: clients are
// told its key's fingerprint. It is renewed with the same key, so that they need to be told once.
type Loopback struct {
	folder folder
	now    func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
}

// Loopback opens the certificate in <dir>/tls, or makes it.
func (d *Daemon) Loopback() (*Loopback, error) {
	l := &Loopback{folder: d.parts.folder, now: d.parts.options.Now}
	if err := os.MkdirAll(l.folder.path("tls"), 0o700); err != nil {
		return nil, err
	}
	key, err := l.key()
	if err != nil {
		return nil, err
	}
	l.current = &tls.Certificate{PrivateKey: key}
	if text, err := os.ReadFile(l.certificateFile()); err == nil {
		l.read(text)
	}
	_, err = l.Certificate(nil)
	return l, err
}

func (l *Loopback) keyFile() string         { return l.folder.path("tls", "key.pem") }
func (l *Loopback) certificateFile() string { return l.folder.path("tls", "certificate.pem") }

// key reads the certificate's key, or makes one.
func (l *Loopback) key() (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(l.keyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return l.newKey()
	}
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(text); block != nil {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if p256, ok := key.(*ecdsa.PrivateKey); ok && p256.Curve == elliptic.P256() {
				return p256, nil
			}
		}
	}
	return nil, fmt.Errorf("%s is damaged; remove it, and tell the clients the new address", l.keyFile())
}

func (l *Loopback) newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writeFile(l.keyFile(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// read takes a stored certificate if it is one for the key.
func (l *Loopback) read(text []byte) {
	block, _ := pem.Decode(text)
	if block == nil {
		return
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !l.public().Equal(leaf.PublicKey) {
		return
	}
	l.current.Certificate, l.current.Leaf = [][]byte{leaf.Raw}, leaf
}

func (l *Loopback) public() *ecdsa.PublicKey {
	return &l.current.PrivateKey.(*ecdsa.PrivateKey).PublicKey
}

// Certificate is for tls.Config: the present certificate, renewed in time.
func (l *Loopback) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if leaf := l.current.Leaf; leaf != nil && now.After(leaf.NotBefore) && now.Before(leaf.NotAfter.Add(-loopbackRenew)) {
		return l.current, nil
	}
	made, err := l.renew(now)
	if err != nil {
		return nil, err
	}
	l.current = made // the old one may be in use by a handshake
	return made, nil
}

func (l *Loopback) renew(now time.Time) (*tls.Certificate, error) {
	key := l.current.PrivateKey.(*ecdsa.PrivateKey)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Strongroom on this machine"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(loopbackLife),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	made := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	return made, writeFile(l.certificateFile(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// Fingerprint is the SHA-256 of the certificate's public key (SPKI DER): what clients pin.
func (l *Loopback) Fingerprint() evidence.Hash {
	l.mu.Lock()
	defer l.mu.Unlock()
	return evidence.SHA256(l.current.Leaf.RawSubjectPublicKeyInfo)
}
