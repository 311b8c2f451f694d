package installed

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A program that listens with the certificate is reached by who trusts it, and by nobody else; one that ends is not waited for.
func TestLoopback(t *testing.T) {
	certificate, key := filepath.Join(t.TempDir(), "server.crt"), filepath.Join(t.TempDir(), "server.key")
	check(t, WriteCertificate(certificate, key))
	pair, err := tls.LoadX509KeyPair(certificate, key)
	check(t, err)
	address, err := FreeAddress()
	check(t, err)
	ended := make(chan struct{})
	close(ended)
	if err := Listening(t.Context(), address, ended); !errors.Is(err, errEnded) {
		t.Errorf("nobody listens, and never will: %v", err)
	}
	l, err := tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13})
	check(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.(*tls.Conn).Handshake()
			_ = c.Close()
		}
	}()
	check(t, Listening(t.Context(), address, nil))
	text, err := os.ReadFile(certificate)
	check(t, err)
	known := x509.NewCertPool()
	known.AppendCertsFromPEM(text)
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: known, MinVersion: tls.VersionTLS13})
	check(t, err)
	check(t, c.Close())
	if _, err := tls.Dial("tcp", address, &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}); err == nil {
		t.Error("it is believed without being known")
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
