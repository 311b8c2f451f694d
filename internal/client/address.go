package client

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
)

// Address is where a vault answers, and by what it is known there: one line that a person can be given, and that is kept as a whole.
//
//	https://vault.example                        its certificate is vouched for by an authority that this device knows
//	https://127.0.0.1:8443#sha256:<64 hex>       its certificate has the key (SPKI DER) with this SHA-256, whoever vouches for it
//
// A vault that is served on one machine makes a certificate of the second kind and says its address (strongroomd serve). The key alone
// counts then: not the name, and not the dates, because devices' clocks are wrong at times.
type Address struct {
	url url.URL
	key evidence.Hash // zero: an authority vouches
}

const keyMark = "sha256:"

// ParseAddress reads an address: Invalid "not_encrypted" for http, Invalid "address" for everything else that is none.
func ParseAddress(s string) (Address, error) {
	base, fragment, pinned := strings.Cut(s, "#")
	u, err := url.Parse(strings.TrimSuffix(base, "/"))
	if err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.User != nil {
		return Address{}, evidence.Refuse(evidence.Invalid, "address")
	}
	switch u.Scheme {
	case "https":
	case "http":
		return Address{}, evidence.Refuse(evidence.Invalid, "not_encrypted")
	default:
		return Address{}, evidence.Refuse(evidence.Invalid, "address")
	}
	a := Address{url: url.URL{Scheme: u.Scheme, Host: u.Host}}
	if !pinned {
		return a, nil
	}
	digest, ok := strings.CutPrefix(fragment, keyMark)
	if a.key, err = evidence.ParseHash(digest); !ok || err != nil || a.key == (evidence.Hash{}) {
		return Address{}, evidence.Refuse(evidence.Invalid, "address")
	}
	return a, nil
}

// URL is the address without what the certificate must be.
func (a Address) URL() string { return a.url.String() }

func (a Address) String() string {
	if a.key == (evidence.Hash{}) {
		return a.URL()
	}
	return a.URL() + "#" + keyMark + a.key.String()
}

// errOtherKey is what a handshake with somebody else ends with.
var errOtherKey = errors.New("the certificate has another key than the address names")

// Transport speaks TLS 1.3 with who the address names, and with nobody else.
func (a Address) Transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS13}
	if a.key != (evidence.Hash{}) {
		t.TLSClientConfig.InsecureSkipVerify = true //#nosec G402 -- VerifyConnection does it, by the key
		t.TLSClientConfig.VerifyConnection = func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || evidence.SHA256(s.PeerCertificates[0].RawSubjectPublicKeyInfo) != a.key {
				return errOtherKey
			}
			return nil
		}
	}
	return t
}

// stranger tells a handshake that failed on the certificate from other errors of the way to the vault. The handshake comes before
// anything else: nothing was sent.
func stranger(err error) error {
	unknown := (*tls.CertificateVerificationError)(nil)
	switch {
	case errors.Is(err, errOtherKey):
		return evidence.Fail(evidence.Forbidden, "other_certificate", err)
	case errors.As(err, &unknown):
		return evidence.Fail(evidence.Forbidden, "certificate", err)
	}
	return err
}
