package tlog

import (
	"bytes"
	"slices"
)

const (
	// MaxPayloadSize bounds the signed statement in a receipt, in bytes.
	MaxPayloadSize = 64 << 10
	// MaxReceiptSize bounds a receipt's JSON without its payload (FORMATS §1).
	MaxReceiptSize = 64 << 10

	maxReceiptJSON = MaxReceiptSize + (MaxPayloadSize+2)/3*4

	maxLeaf        = 4 << 10
	maxPayloadType = 128
	maxSignature   = 128
	maxTimestamps  = 8
	maxTimestamp   = 16 << 10
)

// ReceiptParts are what a receipt is made of.
type ReceiptParts struct {
	// LogID is the log's ECDSA key: SHA-256(SPKI DER), as LogID returns.
	LogID Hash
	// Leaf is the leaf's bytes, a hashedrekord 0.0.2 entry (FORMATS §4).
	Leaf []byte
	// Index is the leaf's position, Proof the hashes from the leaf up to the
	// root of Checkpoint, a signed note.
	Index      int64
	Proof      [][]byte
	Checkpoint []byte
	// Timestamps are RFC 3161 responses (DER) over the raw Signature.
	Timestamps [][]byte

	// PayloadType, Payload and Signature are the signed event (DSSE), KeyID
	// its signer's key: SHA-256(SPKI DER).
	PayloadType string
	Payload     []byte
	Signature   []byte
	KeyID       Hash
}

// Receipt is the log's answer to one event: a Sigstore Bundle v0.3 (FORMATS
// §6). One that exists is well-formed: its indexes agree, and so do its proof
// and the text of its checkpoint. Only Verify says whether it is true.
type Receipt struct {
	parts ReceiptParts
	// claimed is the checkpoint as its note says, unverified.
	claimed Checkpoint
	json    []byte
}

// NewReceipt puts a receipt together. It keeps the slices it is given.
func NewReceipt(p ReceiptParts) (Receipt, error) {
	claimed, _, err := parseSigned(p.Checkpoint)
	if err != nil {
		return Receipt{}, err
	}
	switch {
	case p.Index < 0 || p.Index >= claimed.Size:
		return Receipt{}, &Error{Reason: ErrIndex}
	case !proofShaped(p.Proof):
		return Receipt{}, refuse(ErrProof, "not a list of hashes")
	case len(p.Leaf) == 0 || len(p.Leaf) > maxLeaf:
		return Receipt{}, malformed("receipt leaf size")
	case p.PayloadType == "" || len(p.PayloadType) > maxPayloadType || !printable(p.PayloadType):
		return Receipt{}, malformed("receipt payload type")
	case len(p.Payload) == 0 || len(p.Payload) > MaxPayloadSize:
		return Receipt{}, malformed("receipt payload size")
	case len(p.Signature) == 0 || len(p.Signature) > maxSignature:
		return Receipt{}, malformed("receipt signature size")
	case len(p.Timestamps) > maxTimestamps:
		return Receipt{}, malformed("receipt has too many time stamps")
	}
	for _, token := range p.Timestamps {
		if len(token) == 0 || len(token) > maxTimestamp {
			return Receipt{}, malformed("receipt time stamp size")
		}
	}
	r := Receipt{parts: p, claimed: claimed}
	r.json = appendBundle(make([]byte, 0, 2<<10+len(p.Payload)*3/2), p, claimed)
	if len(r.json) > MaxReceiptSize+(len(p.Payload)+2)/3*4 {
		return Receipt{}, malformed("receipt is too large")
	}
	return r, nil
}

// ParseReceipt reads a receipt. It accepts exactly what Marshal returns.
// Errors: ErrMalformed; ErrIndex where the log indexes disagree or lie outside
// the tree; ErrCheckpoint where the proof names another size or root than the
// checkpoint beside it.
func ParseReceipt(data []byte) (Receipt, error) {
	if len(data) > maxReceiptJSON {
		return Receipt{}, malformed("receipt is too large")
	}
	f, ok := scanBundle(data)
	switch {
	case !ok:
		return Receipt{}, malformed("receipt is not a bundle")
	case f.proofIndex != f.Index:
		return Receipt{}, refuse(ErrIndex, "two log indexes")
	}
	r, err := NewReceipt(f.ReceiptParts)
	if err != nil {
		return Receipt{}, err
	}
	if f.size != r.claimed.Size || f.root != r.claimed.Root {
		return Receipt{}, &Error{Reason: ErrCheckpoint}
	}
	if !bytes.Equal(r.json, data) {
		return Receipt{}, malformed("receipt is not in canonical form")
	}
	return r, nil
}

// Marshal returns the receipt's one form: ProtoJSON in the order of the
// protobuf fields, without white space. Where an empty list or a zero index
// could be left out, it is written.
func (r Receipt) Marshal() []byte { return slices.Clone(r.json) }

// Verify checks the receipt against the log's trusted keys: the key it names
// is one of the ECDSA keys and signed its checkpoint, whose origin is right and
// under whose root the leaf is included. When a key was in use is the caller's
// to check (Trust.Logs). Errors: ErrLogKey, ErrOrigin, ErrSignature,
// ErrMalformed, ErrProof.
func (r Receipt) Verify(keys LogKeys) (Included, error) {
	cp, by, err := openCheckpoint(r.parts.Checkpoint, keys)
	if err != nil {
		return Included{}, err
	}
	if !slices.Contains(by, r.parts.LogID) {
		return Included{}, refuse(ErrLogKey, "the named key did not sign the checkpoint")
	}
	return VerifyInclusion(LeafHash(r.parts.Leaf), r.parts.Index, r.parts.Proof, cp)
}

// LogID returns the id of the log key the receipt names.
func (r Receipt) LogID() Hash { return r.parts.LogID }

// Leaf returns the leaf's bytes.
func (r Receipt) Leaf() []byte { return r.parts.Leaf }

// Index returns the leaf's claimed position.
func (r Receipt) Index() int64 { return r.parts.Index }

// Proof returns the hashes from the leaf up to the checkpoint's root.
func (r Receipt) Proof() [][]byte { return r.parts.Proof }

// Checkpoint returns the signed note as it stands in the receipt, unverified.
func (r Receipt) Checkpoint() []byte { return r.parts.Checkpoint }

// Timestamps returns the RFC 3161 responses (DER) over the raw signature; none
// where no authority is configured.
func (r Receipt) Timestamps() [][]byte { return r.parts.Timestamps }

// Signed returns the signed event: payload type, payload, raw signature.
func (r Receipt) Signed() (payloadType string, payload, signature []byte) {
	return r.parts.PayloadType, r.parts.Payload, r.parts.Signature
}

// KeyID returns the key id of the signer, as the bundle's hint names it.
func (r Receipt) KeyID() Hash { return r.parts.KeyID }

// DSSE returns the signed event: its payload, the raw signature and, in
// lower-case hex, the key id of its signer as the bundle's hint names it.
func (r Receipt) DSSE() (payloadType string, payload, signature []byte, keyid string) {
	return r.parts.PayloadType, r.parts.Payload, r.parts.Signature, r.parts.KeyID.String()
}

func printable(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}
