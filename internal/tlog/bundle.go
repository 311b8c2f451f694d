package tlog

import (
	"bytes"
	"encoding/json"
)

const (
	bundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	entryKind       = "hashedrekord"
	entryVersion    = "0.0.2"
)

// bundle is a Sigstore Bundle v0.3 as FORMATS §6 uses it, in the order of the
// fields in sigstore_bundle.proto: bytes are standard base64, int64 strings.
type bundle struct {
	MediaType string   `json:"mediaType"`
	Material  material `json:"verificationMaterial"`
	DSSE      envelope `json:"dsseEnvelope"`
}

type material struct {
	PublicKey struct {
		// Hint is a string in the protobuf; FORMATS §6 makes it base64.
		Hint []byte `json:"hint"`
	} `json:"publicKey"`
	Entries    []logEntry     `json:"tlogEntries"`
	Timestamps *timestampData `json:"timestampVerificationData,omitempty"`
}

type logEntry struct {
	Index int64 `json:"logIndex,string"`
	LogID keyID `json:"logId"`
	Kind  struct {
		Kind    string `json:"kind"`
		Version string `json:"version"`
	} `json:"kindVersion"`
	Proof inclusionProof `json:"inclusionProof"`
	Body  []byte         `json:"canonicalizedBody"`
}

type keyID struct {
	KeyID []byte `json:"keyId"`
}

type inclusionProof struct {
	Index      int64    `json:"logIndex,string"`
	RootHash   []byte   `json:"rootHash"`
	TreeSize   int64    `json:"treeSize,string"`
	Hashes     [][]byte `json:"hashes"`
	Checkpoint struct {
		Envelope string `json:"envelope"`
	} `json:"checkpoint"`
}

type timestampData struct {
	RFC3161 []signedTimestamp `json:"rfc3161Timestamps"`
}

type signedTimestamp struct {
	Signed []byte `json:"signedTimestamp"`
}

type envelope struct {
	Payload     []byte          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []dsseSignature `json:"signatures"`
}

// dsseSignature has no keyid: stock verifiers compare one with the key's SSH
// fingerprint and refuse any other. The hint names the key.
type dsseSignature struct {
	Sig []byte `json:"sig"`
}

// bundle returns the receipt as the struct that is encoded.
func (r Receipt) bundle() bundle {
	p := r.parts
	entry := logEntry{Index: p.Index, LogID: keyID{p.LogID[:]}, Body: p.Leaf}
	entry.Kind.Kind, entry.Kind.Version = entryKind, entryVersion
	entry.Proof = inclusionProof{
		Index:    p.Index,
		RootHash: r.claimed.Root[:],
		TreeSize: r.claimed.Size,
		Hashes:   append([][]byte{}, p.Proof...),
	}
	entry.Proof.Checkpoint.Envelope = string(p.Checkpoint)

	b := bundle{MediaType: bundleMediaType}
	b.Material.PublicKey.Hint = p.KeyID[:]
	b.Material.Entries = []logEntry{entry}
	if len(p.Timestamps) > 0 {
		b.Material.Timestamps = new(timestampData)
		for _, token := range p.Timestamps {
			b.Material.Timestamps.RFC3161 = append(b.Material.Timestamps.RFC3161, signedTimestamp{token})
		}
	}
	b.DSSE = envelope{p.Payload, p.PayloadType, []dsseSignature{{p.Signature}}}
	return b
}

func (m material) timestamps() [][]byte {
	if m.Timestamps == nil {
		return nil
	}
	var tokens [][]byte
	for _, t := range m.Timestamps.RFC3161 {
		tokens = append(tokens, t.Signed)
	}
	return tokens
}

// marshalJSON encodes as ProtoJSON and JCS do, without escaping for HTML.
func marshalJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// unmarshalJSON decodes known fields only. Its caller encodes again and
// compares, which refuses every other liberty encoding/json takes.
func unmarshalJSON(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}
