package tlog

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// The receipt as encoding/json reads and writes it: slower, and the judge of the scanner.

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

// slowReceipt reads a receipt by the types above.
func slowReceipt(data []byte) (Receipt, bool) {
	var b bundle
	if len(data) > maxReceiptJSON || unmarshalJSON(data, &b) != nil || len(b.Material.Entries) != 1 || len(b.DSSE.Signatures) != 1 {
		return Receipt{}, false
	}
	entry, hash := b.Material.Entries[0], func(b []byte) Hash { return Hash(append(slices.Clone(b), make([]byte, len(Hash{}))...)) }
	r, err := NewReceipt(ReceiptParts{
		LogID: hash(entry.LogID.KeyID), Leaf: entry.Body, Index: entry.Index, Proof: entry.Proof.Hashes,
		Checkpoint: []byte(entry.Proof.Checkpoint.Envelope), Timestamps: b.Material.timestamps(), PayloadType: b.DSSE.PayloadType,
		Payload: b.DSSE.Payload, Signature: b.DSSE.Signatures[0].Sig, KeyID: hash(b.Material.PublicKey.Hint),
	})
	if err != nil {
		return Receipt{}, false
	}
	again, err := marshalJSON(r.bundle())
	return r, err == nil && bytes.Equal(again, data)
}

// sameReceipt holds the scanner against the slow reader.
func sameReceipt(t *testing.T, data []byte) {
	t.Helper()
	quick, err := ParseReceipt(data)
	slow, ok := slowReceipt(data)
	if ok != (err == nil) {
		t.Fatalf("%v, but read the slow way: %v\n%s", err, ok, data)
	}
	if ok && !reflect.DeepEqual(quick, slow) {
		t.Fatalf("%s\nis read otherwise the slow way", data)
	}
}

// TestScanner changes, leaves out and doubles bytes here and there, and tries what JSON would let through.
func TestScanner(t *testing.T) {
	const changed = " \"\\,:[]{}01aF+=\n\x00\x7f\xff"
	for _, v := range readVectors[receiptInput](t, "receipts.json") {
		data := []byte(v.Input.Receipt)
		sameReceipt(t, data)
		for i := rand.IntN(100); i < len(data); i += 1 + rand.IntN(100) {
			b := slices.Clone(data)
			b[i] = changed[rand.IntN(len(changed))]
			sameReceipt(t, b)
			sameReceipt(t, slices.Delete(slices.Clone(data), i, i+1))
			sameReceipt(t, slices.Insert(slices.Clone(data), i, data[i]))
		}
		for _, replace := range [][2]string{{`"logIndex":"`, `"logIndex":"0`}, {`\n`, `\u000a`}, {`\n`, "\n"}, {`—`, `\u2014`}, {`—`, "\xe2\x80"}, {`=`, ``}, {`=","`, `=\r\n","`}, {`=","`, "=\n\",\""},
			{`— `, `— a\"b+/ AAAAAAA=\n— `}, {`— `, `— a\\b AAAAAAA=\n— `}, {`— `, `— <b> AAAAAAA=\n— `}, {`— `, "— \u2028 AAAAAAA=\n— "}, {`— `, `— \u003c AAAAAAA=\n— `}} {
			sameReceipt(t, bytes.Replace(data, []byte(replace[0]), []byte(replace[1]), 1))
		}
	}
}
