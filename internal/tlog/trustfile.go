package tlog

import (
	"crypto/ecdsa"
	"crypto/x509"
	"time"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
)

const (
	trustVersion         = 1
	trustedRootMediaType = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
	treeHash             = "SHA2_256"
	keyP256              = "PKIX_ECDSA_P256_SHA_256"
	keyEd25519           = "PKIX_ED25519"

	// timeFormat is FORMATS §1: RFC 3339, UTC, milliseconds.
	timeFormat = "2006-01-02T15:04:05.000Z"
)

// trustFile is trust.json (FORMATS §10).
type trustFile struct {
	Version         int             `json:"version"`
	Vault           string          `json:"vault"`
	TrustedRoot     trustedRoot     `json:"trusted_root"`
	Founders        []Founder       `json:"founders"`
	WitnessPolicy   string          `json:"witness_policy"`
	EarlierPolicies []earlierPolicy `json:"earlier_witness_policies,omitempty"`
	TimestampRoots  [][]byte        `json:"timestamp_roots"`
}

type earlierPolicy struct {
	Policy string `json:"policy"`
	Until  string `json:"until"`
}

// trustedRoot is a Sigstore trusted root (sigstore_trustroot.proto). There are
// no certificate authorities and no CT logs: people's keys are reached from the
// founders. Each log key, ECDSA or Ed25519, is an element of tlogs whose id is
// SHA-256(SPKI DER); stock tools look up the ECDSA one by the receipt's logId.
type trustedRoot struct {
	MediaType              string      `json:"mediaType"`
	Tlogs                  []tlogFile  `json:"tlogs"`
	CertificateAuthorities []struct{}  `json:"certificateAuthorities"`
	CTLogs                 []struct{}  `json:"ctlogs"`
	TimestampAuthorities   []authority `json:"timestampAuthorities"`
}

type tlogFile struct {
	BaseURL       string `json:"baseUrl"`
	HashAlgorithm string `json:"hashAlgorithm"`
	PublicKey     struct {
		RawBytes   []byte   `json:"rawBytes"`
		KeyDetails string   `json:"keyDetails"`
		ValidFor   validFor `json:"validFor"`
	} `json:"publicKey"`
	LogID keyID `json:"logId"`
}

type authority struct {
	Subject struct {
		Organization string `json:"organization"`
		CommonName   string `json:"commonName"`
	} `json:"subject"`
	URI       string `json:"uri"`
	CertChain struct {
		Certificates []certificate `json:"certificates"`
	} `json:"certChain"`
	ValidFor validFor `json:"validFor"`
}

type certificate struct {
	RawBytes []byte `json:"rawBytes"`
}

type validFor struct {
	Start string `json:"start"`
	End   string `json:"end,omitempty"`
}

func trustFileOf(p TrustParts) (trustFile, error) {
	f := trustFile{
		Version:        trustVersion,
		Vault:          p.Vault,
		Founders:       p.Founders,
		WitnessPolicy:  p.WitnessPolicy,
		TimestampRoots: append([][]byte{}, p.TimestampRoots...),
		TrustedRoot: trustedRoot{
			MediaType:              trustedRootMediaType,
			CertificateAuthorities: []struct{}{},
			CTLogs:                 []struct{}{},
			TimestampAuthorities:   []authority{},
		},
	}
	for _, e := range p.EarlierPolicies {
		f.EarlierPolicies = append(f.EarlierPolicies, earlierPolicy{e.Policy, e.Until.UTC().Format(timeFormat)})
	}
	for _, l := range p.Logs {
		der, err := marshalLogKey(l.Key)
		if err != nil {
			return trustFile{}, err
		}
		id, err := LogID(l.Key)
		if err != nil {
			return trustFile{}, err
		}
		e := tlogFile{BaseURL: "https://" + p.Vault, HashAlgorithm: treeHash, LogID: keyID{id[:]}}
		e.PublicKey.RawBytes = der
		e.PublicKey.KeyDetails = keyDetails(l)
		e.PublicKey.ValidFor = l.Valid.file()
		f.TrustedRoot.Tlogs = append(f.TrustedRoot.Tlogs, e)
	}
	for _, a := range p.Authorities {
		own, err := parseCertificate(a.Chain[0])
		if err != nil {
			return trustFile{}, err
		}
		e := authority{URI: a.URI, ValidFor: a.Valid.file()}
		e.Subject.CommonName = own.Subject.CommonName
		if len(own.Subject.Organization) > 0 {
			e.Subject.Organization = own.Subject.Organization[0]
		}
		for _, der := range a.Chain {
			e.CertChain.Certificates = append(e.CertChain.Certificates, certificate{der})
		}
		f.TrustedRoot.TimestampAuthorities = append(f.TrustedRoot.TimestampAuthorities, e)
	}
	return f, nil
}

// parts reads what NewTrust needs. What it does not look at, derived fields and
// constants, ParseTrust compares by encoding again.
func (f trustFile) parts() (TrustParts, error) {
	p := TrustParts{
		Vault:          f.Vault,
		Founders:       f.Founders,
		WitnessPolicy:  f.WitnessPolicy,
		TimestampRoots: f.TimestampRoots,
	}
	for _, e := range f.EarlierPolicies {
		until, err := time.Parse(timeFormat, e.Until)
		if err != nil {
			return TrustParts{}, malformed("end of an earlier witness policy")
		}
		p.EarlierPolicies = append(p.EarlierPolicies, EarlierPolicy{e.Policy, until})
	}
	for _, e := range f.TrustedRoot.Tlogs {
		key, err := x509.ParsePKIXPublicKey(e.PublicKey.RawBytes)
		if err != nil {
			return TrustParts{}, malformed("log key")
		}
		valid, err := e.PublicKey.ValidFor.parse()
		if err != nil {
			return TrustParts{}, err
		}
		p.Logs = append(p.Logs, Log{key, valid})
	}
	for _, e := range f.TrustedRoot.TimestampAuthorities {
		valid, err := e.ValidFor.parse()
		if err != nil {
			return TrustParts{}, err
		}
		a := Authority{URI: e.URI, Valid: valid}
		for _, c := range e.CertChain.Certificates {
			a.Chain = append(a.Chain, c.RawBytes)
		}
		p.Authorities = append(p.Authorities, a)
	}
	return p, nil
}

func keyDetails(l Log) string {
	if _, primary := l.Key.(*ecdsa.PublicKey); primary {
		return keyP256
	}
	return keyEd25519
}

func (v Valid) file() validFor {
	f := validFor{Start: v.Start.UTC().Format(timeFormat)}
	if !v.End.IsZero() {
		f.End = v.End.UTC().Format(timeFormat)
	}
	return f
}

func (f validFor) parse() (v Valid, err error) {
	if v.Start, err = time.Parse(timeFormat, f.Start); err != nil {
		return Valid{}, malformed("start of a span of time")
	}
	if f.End == "" {
		return v, nil
	}
	if v.End, err = time.Parse(timeFormat, f.End); err != nil {
		return Valid{}, malformed("end of a span of time")
	}
	return v, nil
}

// canonical encodes v as RFC 8785 does.
func canonical(v any) ([]byte, error) {
	plain, err := marshalJSON(v)
	if err != nil {
		return nil, err
	}
	return jsoncanonicalizer.Transform(plain)
}

type keyID struct {
	KeyID []byte `json:"keyId"`
}
