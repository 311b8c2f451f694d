package interop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"
)

// document is a receipt as a document, its members in the order of its one spelling (FORMATS §6), so that what is false about a changed one
// is the change alone.
type document struct {
	MediaType string   `json:"mediaType"`
	Material  material `json:"verificationMaterial"`
	DSSE      envelope `json:"dsseEnvelope"`
}

type material struct {
	PublicKey struct {
		Hint []byte `json:"hint"`
	} `json:"publicKey"`
	Entries []entry `json:"tlogEntries"`
	Stamps  *stamps `json:"timestampVerificationData,omitempty"`
}

type stamps struct {
	List []stamp `json:"rfc3161Timestamps"`
}

type stamp struct {
	Signed []byte `json:"signedTimestamp"`
}

type entry struct {
	Index string `json:"logIndex"`
	LogID struct {
		Key []byte `json:"keyId"`
	} `json:"logId"`
	Kind struct {
		Kind    string `json:"kind"`
		Version string `json:"version"`
	} `json:"kindVersion"`
	Integrated string     `json:"integratedTime,omitempty"`
	Promise    *promise   `json:"inclusionPromise,omitempty"`
	Proof      *inclusion `json:"inclusionProof,omitempty"`
	Body       []byte     `json:"canonicalizedBody"`
}

type promise struct {
	Signed []byte `json:"signedEntryTimestamp,omitempty"`
}

type inclusion struct {
	Index      string   `json:"logIndex"`
	Root       []byte   `json:"rootHash"`
	Size       string   `json:"treeSize"`
	Hashes     [][]byte `json:"hashes"`
	Checkpoint struct {
		Envelope string `json:"envelope"`
	} `json:"checkpoint"`
}

type envelope struct {
	Payload    []byte   `json:"payload"`
	Type       string   `json:"payloadType"`
	Signatures []signed `json:"signatures"`
}

type signed struct {
	Sig   []byte `json:"sig"`
	KeyID string `json:"keyid,omitempty"`
}

func (b *document) entry() *entry     { return &b.Material.Entries[0] }
func (b *document) proof() *inclusion { return b.entry().Proof }
func (b *document) note() *string     { return &b.proof().Checkpoint.Envelope }

func open(t *testing.T, receipt []byte) *document {
	t.Helper()
	b := new(document)
	if err := json.Unmarshal(receipt, b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.text(), receipt) {
		t.Fatal("a receipt is not the same when it is written again")
	}
	return b
}

func (b *document) text() []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(b); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// flipped is b with one bit of the byte at i, which counts from the end if negative, turned over.
func flipped(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[(i+len(b))%len(b)] ^= 1
	return b
}

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
