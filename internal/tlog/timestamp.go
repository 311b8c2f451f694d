package tlog

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"github.com/sigstore/timestamp-authority/v2/pkg/verification"
)

// DevelopmentUnit is the organizational unit in the subject of the development
// authority's certificates. Whoever runs the vault holds its key, so what it
// stamps proves nothing to anybody else.
const DevelopmentUnit = "DEVELOPMENT ONLY, PROVES NOTHING"

// ErrTimestamp: a time stamp is not the one canonical form, does not cover the
// message, or is not of an authority under a trusted root.
const ErrTimestamp Reason = "time stamp does not hold"

// Stamp is what a verified time stamp says.
type Stamp struct {
	// Time is when the authority saw the message, to within Accuracy, which is
	// zero where the authority does not state it.
	Time     time.Time
	Accuracy time.Duration
	// Authority is the common name of the authority's certificate.
	Authority string
	// Development is true where any certificate of the chain is the
	// development authority's: it proves nothing to outsiders.
	Development bool

	signer, issuer *x509.Certificate
}

// VerifyTimestamp checks an RFC 3161 response in its one form (FORMATS §6) over
// message: a receipt's raw signature or a checkpoint's note text. The chain
// ends at a time-stamp root of the trust file and holds at the stamp's own
// time; where the file lists the signer's key as an authority's, the time lies
// in that authority's span. Revocation is RevocationList's. Error:
// ErrTimestamp.
func (t Trust) VerifyTimestamp(response, message []byte) (Stamp, error) {
	token, err := parseTimestamp(response)
	if err != nil {
		return Stamp{}, err
	}
	again, err := token.marshal(token.certificates)
	if err != nil || !bytes.Equal(again, response) {
		return Stamp{}, refuse(ErrTimestamp, "not in canonical form")
	}
	roots, err := parseCertificates(t.parts.TimestampRoots)
	if err != nil {
		return Stamp{}, err
	}
	chain, err := token.verify(response, message, roots, nil)
	if err != nil {
		return Stamp{}, err
	}
	// A certificate that leads nowhere could say anything.
	if !sameCertificates(chain[:len(chain)-1], token.certificates) {
		return Stamp{}, refuse(ErrTimestamp, "certificates are not those of its chain")
	}
	// By the key: a certificate can be issued again, or spelled another way.
	for _, a := range t.parts.Authorities {
		listed, err := parseCertificate(a.Chain[0])
		if err != nil {
			return Stamp{}, err
		}
		if bytes.Equal(listed.RawSubjectPublicKeyInfo, chain[0].RawSubjectPublicKeyInfo) && !a.Contains(token.time) {
			return Stamp{}, refuse(ErrTimestamp, "outside the authority's time")
		}
	}
	return Stamp{
		Time: token.time, Accuracy: token.accuracy,
		Authority: chain[0].Subject.CommonName, Development: slices.ContainsFunc(chain, development),
		signer: chain[0], issuer: chain[1],
	}, nil
}

// CanonicalTimestamp verifies an authority's answer under the given roots and
// returns its one form, as VerifyTimestamp accepts it, and the chain of its
// signer in DER, up to the root. What the authority did not sign is dropped: its
// remarks, certificates of other chains, revocation lists; certificates that
// it left out are taken from intermediates. Error: ErrTimestamp.
func CanonicalTimestamp(response, message []byte, roots, intermediates []*x509.Certificate) (canonical []byte, chain [][]byte, err error) {
	token, err := parseTimestamp(response)
	if err != nil {
		return nil, nil, err
	}
	plain, err := token.marshal(token.certificates)
	if err != nil {
		return nil, nil, err
	}
	verified, err := token.verify(plain, message, roots, intermediates)
	if err != nil {
		return nil, nil, err
	}
	if canonical, err = token.marshal(verified[:len(verified)-1]); err != nil {
		return nil, nil, err
	}
	if len(canonical) > maxTimestamp {
		return nil, nil, refuse(ErrTimestamp, "too large")
	}
	for _, c := range verified {
		chain = append(chain, c.Raw)
	}
	return canonical, chain, nil
}

// verify checks signature, message and certificates, and returns the chain from
// the signer to a root. response is the token's canonical form.
func (token timestamp) verify(response, message []byte, roots, intermediates []*x509.Certificate) ([]*x509.Certificate, error) {
	if imprint := sha256.Sum256(message); !bytes.Equal(imprint[:], token.imprint) {
		return nil, refuse(ErrTimestamp, "covers another message")
	}
	opts := x509.VerifyOptions{
		Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping}, CurrentTime: token.time,
	}
	for _, c := range roots {
		opts.Roots.AddCert(c)
	}
	for _, c := range slices.Concat(token.certificates, intermediates) {
		opts.Intermediates.AddCert(c)
	}
	chains, err := token.signer.Verify(opts)
	if err != nil {
		return nil, refuse(ErrTimestamp, whyNotTrusted(err))
	}
	// The shortest, and of two the same one at every time: which chain is
	// written down must not depend on the order of a map.
	chain := slices.MinFunc(chains, func(a, b []*x509.Certificate) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return slices.CompareFunc(a, b, func(a, b *x509.Certificate) int { return bytes.Compare(a.Raw, b.Raw) })
	})
	if len(chain) < 2 || len(chain) > maxChain {
		return nil, refuse(ErrTimestamp, "length of the certificate chain")
	}
	const signing = x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment
	if usage := token.signer.KeyUsage; usage != 0 && (usage&signing == 0 || usage&^signing != 0) {
		return nil, refuse(ErrTimestamp, "the authority's key is not for signatures alone")
	}
	// The library checks signature, imprint and extended key usages;
	// parseTimestamp has refused what the library would read leniently.
	seen, err := verification.VerifyTimestampResponse(response, bytes.NewReader(message), verification.VerifyOpts{
		Roots: roots, Intermediates: intermediates, CurrentTime: token.time, TSACertificate: token.signer,
	})
	if err != nil {
		return nil, refuse(ErrTimestamp, "signature, or what its certificate is for")
	}
	if !seen.Time.Equal(token.time) || seen.Accuracy != token.accuracy || seen.SerialNumber.Cmp(token.serial) != 0 {
		return nil, refuse(ErrTimestamp, "read in two ways")
	}
	return chain, nil
}

// whyNotTrusted says it without the names in the certificates.
func whyNotTrusted(err error) string {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return "under no trusted root"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "a certificate was not valid then"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "certificate is not for time stamps"
	}
	return "certificates do not hold"
}

func development(c *x509.Certificate) bool {
	return slices.Contains(c.Subject.OrganizationalUnit, DevelopmentUnit)
}

func sameCertificates(a, b []*x509.Certificate) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(c *x509.Certificate) bool {
		return !slices.ContainsFunc(b, c.Equal)
	})
}

func parseCertificates(ders [][]byte) ([]*x509.Certificate, error) {
	certificates := make([]*x509.Certificate, 0, len(ders))
	for _, der := range ders {
		c, err := parseCertificate(der)
		if err != nil {
			return nil, err
		}
		certificates = append(certificates, c)
	}
	return certificates, nil
}
