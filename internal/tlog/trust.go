package tlog

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"slices"
	"time"
)

const (
	// MaxTrustSize bounds a trust file, in bytes.
	MaxTrustSize = 256 << 10

	maxActor       = 64
	maxFounders    = 64
	maxLogs        = 32
	maxAuthorities = 16
	maxEarlier     = 16
	maxChain       = 8
	maxURI         = 256
	maxCertificate = 16 << 10
)

// Log is one of the log's keys and when it was in use.
type Log struct {
	// Key is *ecdsa.PublicKey (P-256) or ed25519.PublicKey.
	Key crypto.PublicKey
	Valid
}

// Valid is a span of time, in whole milliseconds UTC. A zero End leaves it open.
type Valid struct {
	Start, End time.Time
}

// Contains reports whether t lies in [Start, End], or from Start on.
func (v Valid) Contains(t time.Time) bool {
	return !t.Before(v.Start) && (v.End.IsZero() || !t.After(v.End))
}

// Authority is an RFC 3161 authority, as stock tools need to know it.
type Authority struct {
	// URI says where the authority answers.
	URI string
	// Chain is its certificates in DER, from its own up to its root, which is
	// one of the trust file's time stamp roots.
	Chain [][]byte
	Valid
}

// Founder is one of those who enrol themselves: the trust file says who they
// are, in which role, and with which key they begin.
type Founder struct {
	// Actor is the identifier of the founder's actor stream.
	Actor string `json:"actor"`
	// Key is SPKI DER (P-256).
	Key []byte `json:"key"`
	// Role is administrator, custodian or vault; one founder is the vault.
	Role string `json:"role"`
}

// EarlierPolicy is a witness policy that was in force before another came.
type EarlierPolicy struct {
	// Policy is a text as ParsePolicy reads it.
	Policy string
	// Until is when it ended, in whole milliseconds UTC: a cosignature made
	// later is not counted under it.
	Until time.Time
}

// TrustParts are what a trust file says (FORMATS §10).
type TrustParts struct {
	// Vault is the vault's origin.
	Vault string
	// Logs are the log's keys. The first is the ECDSA key in use.
	Logs []Log
	// Authorities are the time-stamp authorities.
	Authorities []Authority
	// Founders are at least an administrator, a custodian and the vault.
	Founders []Founder
	// WitnessPolicy is a text as ParsePolicy reads it.
	WitnessPolicy string
	// EarlierPolicies are those before it, at most 16, the oldest first.
	EarlierPolicies []EarlierPolicy
	// TimestampRoots are certificates in DER. One or more: receipts to a court
	// need a time stamp under one of them.
	TimestampRoots [][]byte
}

// Trust is a trust file: what a court or a client pins, handed over apart from
// any package, and judges everything by.
type Trust struct {
	parts       TrustParts
	keys        LogKeys
	policy      Policy
	earlier     []Policy        // as parts.EarlierPolicies
	auditors    map[string]bool // signers that are auditors in any policy
	json        []byte
	trustedRoot []byte
}

// NewTrust puts a trust file together. It keeps the slices it is given.
func NewTrust(p TrustParts) (Trust, error) {
	t := Trust{parts: p}
	var err error
	if t.keys, err = checkLogs(p.Vault, p.Logs); err != nil {
		return Trust{}, err
	}
	if err := checkFounders(p.Founders); err != nil {
		return Trust{}, err
	}
	if err := t.readPolicies(); err != nil {
		return Trust{}, err
	}
	if err := checkTimestamping(p.Authorities, p.TimestampRoots); err != nil {
		return Trust{}, err
	}
	f, err := trustFileOf(p)
	if err != nil {
		return Trust{}, err
	}
	if t.json, err = canonical(f); err != nil {
		return Trust{}, err
	}
	if t.trustedRoot, err = canonical(f.TrustedRoot); err != nil {
		return Trust{}, err
	}
	if len(t.json) > MaxTrustSize {
		return Trust{}, malformed("trust file is too large")
	}
	return t, nil
}

// ParseTrust reads a trust file. It accepts exactly what Marshal returns.
func ParseTrust(data []byte) (Trust, error) {
	if len(data) > MaxTrustSize {
		return Trust{}, malformed("trust file is too large")
	}
	var f trustFile
	if err := unmarshalJSON(data, &f); err != nil {
		return Trust{}, malformed("trust file is not what it should be")
	}
	p, err := f.parts()
	if err != nil {
		return Trust{}, err
	}
	t, err := NewTrust(p)
	if err != nil {
		return Trust{}, err
	}
	if !bytes.Equal(t.json, data) {
		return Trust{}, malformed("trust file is not in canonical form")
	}
	return t, nil
}

// Marshal returns the file's bytes, canonical JSON (RFC 8785).
func (t Trust) Marshal() []byte { return slices.Clone(t.json) }

// Fingerprint returns SHA-256 of the file's bytes, which people compare over a
// second channel as SixGroups shows it.
func (t Trust) Fingerprint() Hash { return sha256.Sum256(t.json) }

// TrustedRoot returns the Sigstore trusted root in it, for stock tools.
func (t Trust) TrustedRoot() []byte { return slices.Clone(t.trustedRoot) }

// Vault returns the vault's origin.
func (t Trust) Vault() string { return t.parts.Vault }

// LogKeys returns the keys that checkpoints and receipts are verified with.
func (t Trust) LogKeys() LogKeys { return t.keys }

// Logs returns the log's keys with the time each was in use.
func (t Trust) Logs() []Log { return t.parts.Logs }

// Authorities returns the time-stamp authorities.
func (t Trust) Authorities() []Authority { return t.parts.Authorities }

// Founders returns those who enrol themselves.
func (t Trust) Founders() []Founder { return t.parts.Founders }

// WitnessPolicy returns the policy's text, empty if there is none.
func (t Trust) WitnessPolicy() string { return t.parts.WitnessPolicy }

// EarlierPolicies returns those that were in force before, the oldest first.
func (t Trust) EarlierPolicies() []EarlierPolicy { return slices.Clone(t.parts.EarlierPolicies) }

// Policy returns the policy in force as read. Whether a checkpoint was
// cosigned as it had to be at its time, Trust.Cosigned says.
func (t Trust) Policy() Policy { return t.policy }

// TimestampRoots returns the trusted root certificates in DER.
func (t Trust) TimestampRoots() [][]byte { return t.parts.TimestampRoots }

// RequiresWitnesses reports whether checkpoints must be cosigned by witnesses.
func (t Trust) RequiresWitnesses() bool { return t.policy.RequiresWitnesses() }

// RequiresAuditors reports whether checkpoints must be cosigned by auditors.
func (t Trust) RequiresAuditors() bool { return t.policy.RequiresAuditors() }

// RequiresTimestamps reports whether receipts must carry a time stamp.
func (t Trust) RequiresTimestamps() bool { return len(t.parts.TimestampRoots) > 0 }

// readPolicies reads the witness policies: each is one by itself, and a key name
// with its key id is the same key in all, so that a line is of one key alone.
func (t *Trust) readPolicies() (err error) {
	if t.policy, err = ParsePolicy(t.parts.WitnessPolicy); err != nil {
		return err
	}
	if len(t.parts.EarlierPolicies) > maxEarlier {
		return malformed("number of earlier witness policies")
	}
	var last time.Time
	for _, e := range t.parts.EarlierPolicies {
		if !sayable(e.Until) || e.Until.Before(last) {
			return malformed("end of an earlier witness policy")
		}
		last = e.Until
		p, err := ParsePolicy(e.Policy)
		if err != nil {
			return err
		}
		t.earlier = append(t.earlier, p)
	}
	all := append([]Policy{t.policy}, t.earlier...)
	keys := make(map[string]string)
	t.auditors = make(map[string]bool)
	for _, p := range all {
		for signer, key := range p.keys {
			if before, there := keys[signer]; there && before != key {
				return malformed("two keys of one name and key id")
			}
			keys[signer] = key
		}
		for _, w := range p.all {
			if w.Auditor {
				t.auditors[signerOf(w.Verifier)] = true
			}
		}
	}
	t.keys, err = t.keys.with(all...)
	return err
}

func checkLogs(vault string, logs []Log) (LogKeys, error) {
	if len(logs) == 0 || len(logs) > maxLogs {
		return LogKeys{}, malformed("number of log keys")
	}
	if _, primary := logs[0].Key.(*ecdsa.PublicKey); !primary || !logs[0].End.IsZero() {
		return LogKeys{}, malformed("the first log key is not the ECDSA key in use")
	}
	keys := make([]crypto.PublicKey, len(logs))
	for i, l := range logs {
		if !l.Valid.ok() {
			return LogKeys{}, malformed("time of a log key")
		}
		keys[i] = l.Key
	}
	return NewLogKeys(vault, keys...)
}

func checkFounders(founders []Founder) error {
	if len(founders) > maxFounders {
		return malformed("number of founders")
	}
	keys, actors, roles := make(map[string]bool), make(map[string]bool), make(map[string]int)
	for _, f := range founders {
		key, err := x509.ParsePKIXPublicKey(f.Key)
		if err != nil {
			return malformed("founder's key")
		}
		pub, _ := key.(*ecdsa.PublicKey)
		again, err := marshalP256(pub)
		if err != nil || !bytes.Equal(again, f.Key) {
			return malformed("founder's key")
		}
		if f.Actor == "" || len(f.Actor) > maxActor || !printable(f.Actor) {
			return malformed("founder's identifier")
		}
		if keys[string(f.Key)] || actors[f.Actor] {
			return malformed("a founder stands twice")
		}
		keys[string(f.Key)], actors[f.Actor] = true, true
		roles[f.Role]++
	}
	if roles["administrator"] == 0 || roles["custodian"] == 0 || roles["vault"] != 1 ||
		roles["administrator"]+roles["custodian"]+1 != len(founders) {
		return malformed("roles of the founders")
	}
	return nil
}

// checkTimestamping also makes sure that stock tools, which read the
// authorities, trust no root that we do not.
func checkTimestamping(authorities []Authority, roots [][]byte) error {
	if len(authorities) > maxAuthorities || len(roots) > maxAuthorities {
		return malformed("number of time-stamp authorities")
	}
	trusted := make(map[string]bool)
	for _, der := range roots {
		if _, err := parseCertificate(der); err != nil {
			return err
		}
		if trusted[string(der)] {
			return malformed("a time-stamp root stands twice")
		}
		trusted[string(der)] = true
	}
	for _, a := range authorities {
		if len(a.URI) > maxURI || !printable(a.URI) || !a.Valid.ok() {
			return malformed("time-stamp authority")
		}
		if len(a.Chain) == 0 || len(a.Chain) > maxChain {
			return malformed("length of a certificate chain")
		}
		for _, der := range a.Chain {
			if _, err := parseCertificate(der); err != nil {
				return err
			}
		}
		if !trusted[string(a.Chain[len(a.Chain)-1])] {
			return malformed("a time-stamp authority's root is not trusted")
		}
	}
	return nil
}

func parseCertificate(der []byte) (*x509.Certificate, error) {
	if len(der) > maxCertificate {
		return nil, malformed("certificate is too large")
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, malformed("certificate")
	}
	return cert, nil
}

// ok reports whether the span is one that the file can say.
func (v Valid) ok() bool {
	return sayable(v.Start) && (v.End.IsZero() || sayable(v.End) && v.End.After(v.Start))
}

func sayable(t time.Time) bool {
	return t.Equal(t.Truncate(time.Millisecond)) && t.After(time.Unix(0, 0)) && t.Year() <= 9999
}
