// Package interop holds what Strongroom hands out against software that is not ours: sigstore-go and @sigstore/verify judge every receipt,
// offline, by the trusted root of the trust file and the signer's public key.
//
// It is a module of its own, so that nothing it needs is ever linked into Strongroom. It may import our internal packages, because its
// path lies under ours; none of them may import it. It judges with stock code only and checks nothing itself.
package interop

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
)

const predicateType = "https://strongroom.example/custody-event/v1"

// stock is a verifier as anybody builds one from sigstore-go, and one from @sigstore/verify: the log's keys, the people's keys, and one
// inclusion proof demanded. One time stamp is demanded of a receipt that has any, where the trusted root names an authority.
type stock struct {
	trustedRoot []byte
	keys        [][]byte
	authorities bool
	material    root.TrustedMaterial
}

// newStock takes a Sigstore trusted root and the keys (SPKI DER) of everybody whose signature counts.
func newStock(trustedRoot []byte, keys ...[]byte) (stock, error) {
	logs, err := root.NewTrustedRootFromJSON(trustedRoot)
	if err != nil {
		return stock{}, err
	}
	people := make(map[string]*root.ExpiringKey)
	for _, spki := range keys {
		public, err := x509.ParsePKIXPublicKey(spki)
		if err != nil {
			return stock{}, err
		}
		verifier, err := signature.LoadVerifier(public, crypto.SHA256)
		if err != nil {
			return stock{}, err
		}
		id := sha256.Sum256(spki)
		people[base64.StdEncoding.EncodeToString(id[:])] = root.NewExpiringKey(verifier, time.Time{}, time.Time{})
	}
	material := root.TrustedMaterialCollection{logs, root.NewTrustedPublicKeyMaterialFromMapping(people)}
	return stock{trustedRoot, keys, len(logs.TimestampingAuthorities()) > 0, material}, nil
}

// timestamps is how many are demanded of a receipt.
func (s stock) timestamps(receipt []byte) int {
	var b struct {
		VerificationMaterial struct {
			TimestampVerificationData struct {
				RFC3161Timestamps []json.RawMessage `json:"rfc3161Timestamps"`
			}
		}
	}
	if s.authorities && json.Unmarshal(receipt, &b) == nil && len(b.VerificationMaterial.TimestampVerificationData.RFC3161Timestamps) > 0 {
		return 1
	}
	return 0
}

// accept says why one of the two refuses a receipt, or nil.
func (s stock) accept(receipt []byte) error {
	if err := s.sigstoreGo(receipt); err != nil {
		return err
	}
	return s.sigstoreJS(receipt)
}

// sigstoreGo judges a receipt with sigstore-go, once for each subject that its statement names: as the holder of that file would.
func (s stock) sigstoreGo(receipt []byte) error {
	digests, err := subjects(receipt)
	if err != nil {
		return err
	}
	for _, digest := range digests {
		if err := s.sigstoreGoFor(receipt, digest); err != nil {
			return err
		}
	}
	return nil
}

// sigstoreGoFor judges a receipt for a file with this SHA-256.
func (s stock) sigstoreGoFor(receipt, digest []byte) error {
	stamps := verify.WithNoObserverTimestamps()
	if n := s.timestamps(receipt); n > 0 {
		stamps = verify.WithSignedTimestamps(n)
	}
	verifier, err := verify.NewVerifier(s.material, verify.WithTransparencyLog(1), stamps)
	if err != nil {
		return err
	}
	var b bundle.Bundle
	if err := b.UnmarshalJSON(receipt); err != nil {
		return err
	}
	result, err := verifier.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest("sha256", digest), verify.WithKey()))
	if err != nil {
		return err
	}
	if result.Statement.GetPredicateType() != predicateType {
		return errors.New("accepted as a statement of another type")
	}
	return nil
}

// sigstoreJS judges a receipt with @sigstore/verify, which leaves it to its caller to compare the subjects with files.
func (s stock) sigstoreJS(receipt []byte) error {
	return node().judge(question{string(receipt), string(s.trustedRoot), s.keys, s.timestamps(receipt)})
}

// subjects reads the digests that the statement in a receipt names, and nothing else.
func subjects(receipt []byte) ([][]byte, error) {
	var b struct {
		DSSE struct{ Payload []byte } `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(receipt, &b); err != nil {
		return nil, err
	}
	var statement struct {
		Subject []struct{ Digest struct{ SHA256 string } }
	}
	if err := json.Unmarshal(b.DSSE.Payload, &statement); err != nil {
		return nil, err
	}
	if len(statement.Subject) == 0 {
		return nil, errors.New("a statement without a subject")
	}
	var digests [][]byte
	for _, subject := range statement.Subject {
		digest, err := hex.DecodeString(subject.Digest.SHA256)
		if err != nil || len(digest) != sha256.Size {
			return nil, errors.New("a subject without a SHA-256")
		}
		digests = append(digests, digest)
	}
	return digests, nil
}
