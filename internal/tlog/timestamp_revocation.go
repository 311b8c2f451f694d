package tlog

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"sync"
	"time"
)

// MaxCRL bounds a certificate revocation list, in bytes.
const MaxCRL = 1 << 20

// Revocation is what a revocation list says of the certificate that signed a
// time stamp.
type Revocation int

const (
	// RevocationUnknown: the list is not of the certificate's issuer, is not
	// whole, or is older than the time stamp.
	RevocationUnknown Revocation = iota
	// RevocationGood: the certificate could be relied on when it stamped.
	RevocationGood
	// RevocationRevoked: it could not (RFC 3161 §4).
	RevocationRevoked
)

var (
	oidReason  = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidDelta   = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidPortion = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// RevocationList is a certificate revocation list (RFC 5280 §5). Many time
// stamps may be held against it. It is safe for concurrent use.
type RevocationList struct {
	list    *x509.RevocationList
	revoked map[string][]revocation // by serial number
	issuers sync.Map                // certificates in DER → whether they signed it
}

// revocation is an entry, in a hundredth of the memory.
type revocation struct {
	at    time.Time
	keeps bool // what was stamped before
}

// ParseRevocationList reads a complete list in DER of at most MaxCRL bytes.
// Error: ErrMalformed.
func ParseRevocationList(der []byte) (*RevocationList, error) {
	if len(der) > MaxCRL {
		return nil, malformed("revocation list is too large")
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil || !wholeList(der) {
		return nil, malformed("revocation list")
	}
	// A list of some certificates only, or of what changed, says so in these.
	for _, e := range list.Extensions {
		if e.Critical || e.Id.Equal(oidDelta) || e.Id.Equal(oidPortion) {
			return nil, malformed("revocation list is not complete")
		}
	}
	l := &RevocationList{list: list, revoked: make(map[string][]revocation, len(list.RevokedCertificateEntries))}
	for _, e := range list.RevokedCertificateEntries {
		serial := e.SerialNumber.String()
		l.revoked[serial] = append(l.revoked[serial], revocation{e.RevocationTime, keepsOldStamps(e)})
	}
	list.RevokedCertificateEntries = nil
	return l, nil
}

// wholeList reports whether a list has its three parts and nothing besides,
// which its signature would not cover, and of which x509 takes no notice.
func wholeList(der []byte) bool {
	var parts struct {
		Signed, Algorithm asn1.RawValue
		Signature         asn1.BitString
	}
	if rest, err := asn1.Unmarshal(der, &parts); err != nil || len(rest) > 0 {
		return false
	}
	again, err := asn1.Marshal(parts)
	return err == nil && bytes.Equal(again, der)
}

// Of says what the list says of the certificate that signed a verified time
// stamp: nothing, unless that certificate's issuer signed the list. Only the
// authority's own certificate is looked up. A list that is out of date by now
// still tells of the time before it.
func (l *RevocationList) Of(s Stamp) Revocation {
	if s.signer == nil || !bytes.Equal(l.list.RawIssuer, s.signer.RawIssuer) {
		return RevocationUnknown
	}
	signed, known := l.issuers.Load(string(s.issuer.Raw))
	if !known {
		signed = l.list.CheckSignatureFrom(s.issuer) == nil
		l.issuers.Store(string(s.issuer.Raw), signed)
	}
	if signed != true {
		return RevocationUnknown
	}
	for _, entry := range l.revoked[s.signer.SerialNumber.String()] {
		if !entry.keeps || !entry.at.After(s.Time) {
			return RevocationRevoked
		}
	}
	if l.list.ThisUpdate.Before(s.Time) {
		return RevocationUnknown
	}
	return RevocationGood
}

// keepsOldStamps reports whether the reason of a revocation leaves what was
// stamped before it valid (RFC 3161 §4): a reason must be stated.
func keepsOldStamps(entry x509.RevocationListEntry) bool {
	stated := slices.ContainsFunc(entry.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidReason) })
	return stated && slices.Contains([]int{0, 3, 4, 5}, entry.ReasonCode)
}
