package tlog

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	_ "crypto/sha1" //#nosec G505 -- some authorities name their certificate by it; a root vouches for it all the same
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"regexp"
	"slices"
	"time"
)

const (
	// MaxTimestampAnswer bounds what an authority may answer, in bytes. The one
	// form of it, which is kept, has at most maxTimestamp.
	MaxTimestampAnswer = 64 << 10

	// maxAccuracy is about what a time stamp may leave open and still be one.
	maxAccuracy = time.Hour
)

var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCert   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}

	// stampTime is GeneralizedTime as RFC 3161 has it: UTC, no zero at the end
	// of a fraction.
	stampTime = regexp.MustCompile(`^[0-9]{14}(\.[0-9]{0,8}[1-9])?Z$`)
)

// digests are those an authority may sign with, each with the signatures that
// go with it.
var digests = []digest{
	{crypto.SHA256, oidSHA256, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}},
	{crypto.SHA384, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}},
	{crypto.SHA512, asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}},
}

type digest struct {
	hash                    crypto.Hash
	oid, withRSA, withECDSA asn1.ObjectIdentifier
}

// The structures of RFC 3161 and RFC 5652, as far as time stamps use them.
type (
	timestampResponse struct {
		Status struct {
			Status int
			Text   []asn1.RawValue `asn1:"optional"`
			Fail   asn1.BitString  `asn1:"optional"`
		}
		Token struct {
			Type asn1.ObjectIdentifier
			Data signedData `asn1:"explicit,tag:0"`
		}
	}
	signedData struct {
		Version int
		Digests []pkix.AlgorithmIdentifier `asn1:"set"`
		Content struct {
			Type asn1.ObjectIdentifier
			Info []byte `asn1:"explicit,tag:0"`
		}
		Certificates []asn1.RawValue `asn1:"optional,tag:0,set"`
		CRLs         asn1.RawValue   `asn1:"optional,tag:1"`
		Signers      []signerInfo    `asn1:"set"`
	}
	signerInfo struct {
		Version int
		Issuer  struct {
			Name   asn1.RawValue
			Serial *big.Int
		}
		Digest    pkix.AlgorithmIdentifier
		Signed    []attribute `asn1:"tag:0,set"`
		Algorithm pkix.AlgorithmIdentifier
		Signature []byte
		Unsigned  asn1.RawValue `asn1:"optional,tag:1"`
	}
	attribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
	tstInfo struct {
		Version int
		Policy  asn1.ObjectIdentifier
		Imprint struct {
			Algorithm pkix.AlgorithmIdentifier
			Hash      []byte
		}
		Serial   *big.Int
		Time     asn1.RawValue
		Accuracy struct {
			Seconds int64 `asn1:"optional"`
			Millis  int64 `asn1:"optional,tag:0"`
			Micros  int64 `asn1:"optional,tag:1"`
		} `asn1:"optional"`
		Ordering   bool             `asn1:"optional"`
		Nonce      *big.Int         `asn1:"optional"`
		Authority  asn1.RawValue    `asn1:"optional,tag:0"`
		Extensions []pkix.Extension `asn1:"optional,tag:1"`
	}
	signingCertificate struct {
		Certificates []struct {
			Digest pkix.AlgorithmIdentifier `asn1:"optional"`
			Hash   []byte
		}
	}
)

// timestamp is a response taken apart, its signature not yet verified.
type timestamp struct {
	response     timestampResponse
	time         time.Time
	accuracy     time.Duration
	serial       *big.Int
	imprint      []byte
	certificates []*x509.Certificate
	signer       *x509.Certificate
}

// parseTimestamp reads a granted response, and writes into the structures it
// keeps the one spelling of what nobody signed. What else marshal writes in one
// way only, its caller checks by comparing.
func parseTimestamp(response []byte) (timestamp, error) {
	var t timestamp
	if len(response) > MaxTimestampAnswer {
		return t, refuse(ErrTimestamp, "too large")
	}
	rest, err := asn1.Unmarshal(response, &t.response)
	status, data := &t.response.Status, &t.response.Token.Data
	switch {
	case err != nil || len(rest) > 0:
		return t, refuse(ErrTimestamp, "not a response with a token")
	case status.Status != 0:
		return t, refuse(ErrTimestamp, "not granted")
	case !t.response.Token.Type.Equal(oidSignedData) || !data.Content.Type.Equal(oidTSTInfo):
		return t, refuse(ErrTimestamp, "not a time-stamp token")
	case data.Version != 3 || len(data.Digests) != 1 || len(data.Signers) != 1 || data.Signers[0].Version != 1:
		return t, refuse(ErrTimestamp, "not signed once")
	case len(data.Certificates) == 0 || len(data.Certificates) > maxChain:
		return t, refuse(ErrTimestamp, "number of certificates")
	}
	for _, raw := range data.Certificates {
		c, err := parseCertificate(raw.FullBytes)
		if err != nil || !canonicalCertificate(raw.FullBytes) {
			return t, refuse(ErrTimestamp, "certificate")
		}
		t.certificates = append(t.certificates, c)
	}
	status.Text, status.Fail = nil, asn1.BitString{}
	data.CRLs = asn1.RawValue{}
	if err := t.readSigner(); err != nil {
		return t, err
	}
	return t, t.readInfo()
}

// marshal returns the response with these certificates, in DER, which sorts
// them and the signed attributes.
func (t timestamp) marshal(certificates []*x509.Certificate) ([]byte, error) {
	r := t.response
	r.Token.Data.Certificates = nil
	for _, c := range certificates {
		r.Token.Data.Certificates = append(r.Token.Data.Certificates, asn1.RawValue{FullBytes: c.Raw})
	}
	response, err := asn1.Marshal(r)
	if err != nil {
		return nil, refuse(ErrTimestamp, "not in canonical form")
	}
	return response, nil
}

// readSigner finds the signer's certificate and checks that the signature is of
// a kind known here and names the certificate (RFC 5652 §5.3, RFC 5816).
func (t *timestamp) readSigner() error {
	data := &t.response.Token.Data
	s := &data.Signers[0]
	n := slices.IndexFunc(t.certificates, func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawIssuer, s.Issuer.Name.FullBytes) && c.SerialNumber.Cmp(s.Issuer.Serial) == 0
	})
	if n < 0 {
		return refuse(ErrTimestamp, "without its signer's certificate")
	}
	t.signer = t.certificates[n]

	n = slices.IndexFunc(digests, func(d digest) bool { return d.oid.Equal(s.Digest.Algorithm) })
	if n < 0 || !data.Digests[0].Algorithm.Equal(s.Digest.Algorithm) {
		return refuse(ErrTimestamp, "digest algorithm")
	}
	d := digests[n]
	data.Digests[0] = pkix.AlgorithmIdentifier{Algorithm: d.oid}
	s.Digest = data.Digests[0]
	signed := s.Algorithm.Algorithm
	switch t.signer.PublicKey.(type) {
	case *rsa.PublicKey:
		if !signed.Equal(oidRSA) && !signed.Equal(d.withRSA) {
			return refuse(ErrTimestamp, "signature algorithm")
		}
		s.Algorithm = pkix.AlgorithmIdentifier{Algorithm: oidRSA, Parameters: asn1.NullRawValue}
	case *ecdsa.PublicKey:
		if !signed.Equal(d.withECDSA) {
			return refuse(ErrTimestamp, "signature algorithm")
		}
		s.Algorithm = pkix.AlgorithmIdentifier{Algorithm: d.withECDSA}
	default:
		return refuse(ErrTimestamp, "kind of key")
	}
	s.Unsigned = asn1.RawValue{}
	return t.readAttributes(s.Signed)
}

// readAttributes leaves the message digest to the library.
func (t *timestamp) readAttributes(attributes []attribute) error {
	value := make(map[string][]byte)
	for _, a := range attributes {
		name := a.Type.String()
		if _, twice := value[name]; twice || len(a.Values) != 1 {
			return refuse(ErrTimestamp, "signed attributes")
		}
		value[name] = a.Values[0].FullBytes
	}
	var content asn1.ObjectIdentifier
	if err := unmarshalDER(value[oidContentType.String()], &content); err != nil || !content.Equal(oidTSTInfo) {
		return refuse(ErrTimestamp, "signed content type")
	}
	if value[oidMessageDigest.String()] == nil {
		return refuse(ErrTimestamp, "no digest is signed")
	}
	older, newer := value[oidSigningCert.String()], value[oidSigningCertV2.String()]
	if older == nil && newer == nil {
		return refuse(ErrTimestamp, "does not name its signer's certificate")
	}
	if older != nil && !t.named(older, crypto.SHA1) || newer != nil && !t.named(newer, crypto.SHA256) {
		return refuse(ErrTimestamp, "names another certificate")
	}
	return nil
}

// named reports whether a signing certificate attribute begins with the
// signer's certificate, by a hash that is usual unless it says which.
func (t *timestamp) named(der []byte, usual crypto.Hash) bool {
	var list signingCertificate
	if err := unmarshalDER(der, &list); err != nil || len(list.Certificates) == 0 {
		return false
	}
	named := list.Certificates[0]
	if algorithm := named.Digest.Algorithm; algorithm != nil {
		n := slices.IndexFunc(digests, func(d digest) bool { return d.oid.Equal(algorithm) })
		if n < 0 || usual == crypto.SHA1 {
			return false
		}
		usual = digests[n].hash
	}
	h := usual.New()
	h.Write(t.signer.Raw)
	return bytes.Equal(h.Sum(nil), named.Hash)
}

func (t *timestamp) readInfo() error {
	var info tstInfo
	if err := unmarshalDER(t.response.Token.Data.Content.Info, &info); err != nil || info.Version != 1 {
		return refuse(ErrTimestamp, "content")
	}
	if !info.Imprint.Algorithm.Algorithm.Equal(oidSHA256) {
		return refuse(ErrTimestamp, "imprint is not SHA-256")
	}
	if slices.ContainsFunc(info.Extensions, func(e pkix.Extension) bool { return e.Critical }) {
		return refuse(ErrTimestamp, "extension that must be understood")
	}
	at := info.Time
	if at.Class != asn1.ClassUniversal || at.Tag != asn1.TagGeneralizedTime || !stampTime.Match(at.Bytes) {
		return refuse(ErrTimestamp, "time")
	}
	var err error
	if t.time, err = time.Parse("20060102150405Z", string(at.Bytes)); err != nil { // takes a fraction, too
		return refuse(ErrTimestamp, "time")
	}
	a := info.Accuracy
	if a.Seconds < 0 || a.Seconds > int64(maxAccuracy/time.Second) || a.Millis < 0 || a.Millis > 999 || a.Micros < 0 || a.Micros > 999 {
		return refuse(ErrTimestamp, "accuracy")
	}
	t.accuracy = time.Duration(a.Seconds)*time.Second + time.Duration(a.Millis)*time.Millisecond + time.Duration(a.Micros)*time.Microsecond
	t.serial, t.imprint = info.Serial, info.Imprint.Hash
	return nil
}

// canonicalCertificate refuses what a certificate's signature does not cover
// and its parser passes over.
func canonicalCertificate(der []byte) bool {
	var c struct {
		Signed    asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if err := unmarshalDER(der, &c); err != nil {
		return false
	}
	again, err := asn1.Marshal(c)
	return err == nil && bytes.Equal(again, der)
}

func unmarshalDER(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err == nil && len(rest) > 0 {
		return asn1.SyntaxError{Msg: "trailing data"}
	}
	return err
}
