package daemon

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/tlog"
)

// WitnessKey is the verifier key by which a witness's operator takes the log in: its newest Ed25519 key (C2SP signed-note).
func WitnessKey(trust tlog.Trust) (string, error) {
	for _, log := range trust.Logs() {
		if key, ok := log.Key.(ed25519.PublicKey); ok && log.End.IsZero() {
			return note.NewEd25519VerifierKey(trust.Vault(), key)
		}
	}
	return "", errors.New("the trust file names no Ed25519 key of the log")
}

// witnessClient is how witnesses are asked. Each answer is small: what takes longer than this is no answer.
func witnessClient(c config.Witnesses) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	transport.ResponseHeaderTimeout = 10 * time.Second
	transport.MaxResponseHeaderBytes = 16 << 10
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("witnesses.ca_file: %w", err)
		}
		trusted, err := x509.SystemCertPool()
		if err != nil {
			trusted = x509.NewCertPool()
		}
		if !trusted.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("witnesses.ca_file: no certificate in it")
		}
		transport.TLSClientConfig.RootCAs = trusted
	}
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}, nil
}
