package custody

import (
	"crypto/sha256"
	"encoding/base64"

	"strongroom.example/strongroom/internal/evidence"
)

// Signed is a custody event whose signature was verified. Only Sign and (*Statement).Verify make one.
// What its methods return must not be changed.
type Signed struct {
	statement *Statement
	spki      []byte
	leaf      []byte
	leafHash  evidence.Hash
}

// Sign encodes e, signs it and verifies what it made. Before asking the signer it reads its own encoding back as Open would: what
// cannot be read is not signed (Invalid, reasons as for Open, or Unknown).
func Sign(e *evidence.Event, spki []byte, signer Signer) (*Signed, error) {
	payload, err := writeStatement(e)
	if err != nil {
		return nil, err
	}
	if len(payload) > evidence.MaxStatement {
		return nil, evidence.Refuse(evidence.Invalid, "size")
	}
	event, unknown, err := readStatement(payload)
	if err == nil {
		err = unknown
	}
	if err != nil {
		return nil, err
	}
	message := pae(PayloadType, payload)
	signature, err := signMessage(message, spki, signer)
	if err != nil {
		return nil, err
	}
	return newSigned(&Statement{event, nil, payload, signature, evidence.SHA256(message)}, append([]byte(nil), spki...)), nil
}

// Verify checks the signature against the SPKI DER of a P-256 key: that key's id, strict DER, low S, over the statement.
// Reasons: "key", "key_type", "keyid", "signature_form", "signature_high_s" (Invalid) or "signature" (Unauthenticated, as "keyid").
func (s *Statement) Verify(spki []byte) (*Signed, error) { return new(Keys).Verify(s, spki) }

func newSigned(s *Statement, spki []byte) *Signed {
	l := leaf(s.digest, s.signature.DER, spki)
	return &Signed{s, spki, l, leafHash(l)}
}

// leaf writes the entry of the log, byte for byte as FORMATS §4 has it: a Rekor v2 hashedrekord in canonical JSON.
func leaf(paeDigest evidence.Hash, der, spki []byte) []byte {
	b64 := base64.StdEncoding
	b := make([]byte, 0, 512)
	b = append(b, `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"SHA2_256","digest":"`...)
	b = b64.AppendEncode(b, paeDigest[:])
	b = append(b, `"},"signature":{"content":"`...)
	b = b64.AppendEncode(b, der)
	b = append(b, `","verifier":{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"`...)
	b = b64.AppendEncode(b, spki)
	return append(b, `"}}}}}}`...)
}

func leafHash(leaf []byte) evidence.Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(leaf)
	return evidence.Hash(h.Sum(nil))
}

// Event is what was signed.
func (s *Signed) Event() *evidence.Event { return s.statement.event }

// Unknown is set when the statement is of a newer version; see Open.
func (s *Signed) Unknown() error { return s.statement.unknown }

// DSSE is the signed form in its canonical bytes: what Open accepts.
func (s *Signed) DSSE() []byte {
	return writeDSSE(PayloadType, s.statement.payload, s.statement.signature)
}

// Payload is the statement in canonical JSON.
func (s *Signed) Payload() []byte { return s.statement.payload }

// SPKI is the public key that signed, in DER.
func (s *Signed) SPKI() []byte { return s.spki }

// KeyID is SHA-256 of the SPKI.
func (s *Signed) KeyID() evidence.Hash { return s.statement.signature.KeyID }

// Signature is the raw DER signature: what time stamps cover (FORMATS §6).
func (s *Signed) Signature() []byte { return s.statement.signature.DER }

// PAEDigest is SHA-256 of the signed bytes.
func (s *Signed) PAEDigest() evidence.Hash { return s.statement.PAEDigest() }

// Leaf is the event's entry in the log.
func (s *Signed) Leaf() []byte { return s.leaf }

// LeafHash is the Merkle leaf hash (RFC 6962), by which later events name this one.
func (s *Signed) LeafHash() evidence.Hash { return s.leafHash }
