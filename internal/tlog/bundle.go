package tlog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"unicode/utf8"
)

// A receipt's one form is a Sigstore Bundle v0.3 as FORMATS §6 uses it: fixed text around a few fields, in the order of the fields in
// sigstore_bundle.proto; bytes are standard base64, int64 strings. The signature has no keyid: stock verifiers compare one with the
// key's SSH fingerprint and refuse any other. The hint names the key.
const (
	bundleHint       = `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"`
	bundleIndex      = `"},"tlogEntries":[{"logIndex":"`
	bundleLogID      = `","logId":{"keyId":"`
	bundleProofIndex = `"},"kindVersion":{"kind":"hashedrekord","version":"0.0.2"},"inclusionProof":{"logIndex":"`
	bundleRoot       = `","rootHash":"`
	bundleSize       = `","treeSize":"`
	bundleHashes     = `","hashes":[`
	bundleCheckpoint = `],"checkpoint":{"envelope":`
	bundleBody       = `}},"canonicalizedBody":"`
	bundleEntryEnd   = `"}]`
	bundleTimestamps = `,"timestampVerificationData":{"rfc3161Timestamps":[`
	bundleTimestamp  = `{"signedTimestamp":"`
	bundlePayload    = `},"dsseEnvelope":{"payload":"`
	bundleType       = `","payloadType":`
	bundleSignature  = `,"signatures":[{"sig":"`
	bundleEnd        = `"}]}}`
)

// appendBundle writes a receipt. claimed is what p.Checkpoint says.
func appendBundle(b []byte, p ReceiptParts, claimed Checkpoint) []byte {
	b64 := base64.StdEncoding.AppendEncode
	number := func(b []byte, n int64) []byte { return strconv.AppendInt(b, n, 10) }
	b = b64(append(b, bundleHint...), p.KeyID[:])
	b = number(append(b, bundleIndex...), p.Index)
	b = b64(append(b, bundleLogID...), p.LogID[:])
	b = number(append(b, bundleProofIndex...), p.Index)
	b = b64(append(b, bundleRoot...), claimed.Root[:])
	b = number(append(b, bundleSize...), claimed.Size)
	b = append(b, bundleHashes...)
	for i, h := range p.Proof {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b64(append(b, '"'), h), '"')
	}
	b = appendText(append(b, bundleCheckpoint...), p.Checkpoint)
	b = b64(append(b, bundleBody...), p.Leaf)
	b = append(b, bundleEntryEnd...)
	for i, token := range p.Timestamps {
		before := ","
		if i == 0 {
			before = bundleTimestamps
		}
		b = append(b64(append(append(b, before...), bundleTimestamp...), token), `"}`...)
	}
	if len(p.Timestamps) > 0 {
		b = append(b, "]}"...)
	}
	b = b64(append(b, bundlePayload...), p.Payload)
	b = appendText(append(b, bundleType...), []byte(p.PayloadType))
	b = b64(append(b, bundleSignature...), p.Signature)
	return append(b, bundleEnd...)
}

// scanned are the fields of a receipt, of which two stand there twice.
type scanned struct {
	ReceiptParts
	proofIndex, size int64
	root             Hash
}

// scanBundle takes a receipt apart. It is no judge of how the fields are spelled: its caller writes them again and compares.
func scanBundle(data []byte) (f scanned, ok bool) {
	s := scanner{rest: data}
	f.KeyID = s.hash(bundleHint)
	f.Index = s.number(bundleIndex)
	f.LogID = s.hash(bundleLogID)
	f.proofIndex = s.number(bundleProofIndex)
	f.root = s.hash(bundleRoot)
	f.size = s.number(bundleSize)
	s.skip(bundleHashes)
	f.Proof = [][]byte{}
	for i := 0; s.at(`"`) || i > 0 && s.at(`,"`); i++ {
		f.Proof = append(f.Proof, s.bytes(""))
		s.skip(`"`)
	}
	f.Checkpoint = s.text(bundleCheckpoint)
	f.Leaf = s.bytes(bundleBody)
	s.skip(bundleEntryEnd)
	if s.at(bundleTimestamps) {
		for i := 0; i == 0 || s.at(","); i++ {
			f.Timestamps = append(f.Timestamps, s.bytes(bundleTimestamp))
			s.skip(`"}`)
		}
		s.skip("]}")
	}
	f.Payload = s.bytes(bundlePayload)
	f.PayloadType = string(s.text(bundleType))
	f.Signature = s.bytes(bundleSignature)
	s.skip(bundleEnd)
	return f, !s.failed && len(s.rest) == 0
}

// scanner takes fields off the text that remains, each behind the fixed text before it.
type scanner struct {
	rest   []byte
	failed bool
}

func (s *scanner) at(fixed string) bool {
	rest, found := bytes.CutPrefix(s.rest, []byte(fixed))
	s.rest = rest
	return found
}

func (s *scanner) skip(fixed string) {
	if !s.at(fixed) {
		s.fail()
	}
}

// fail lets nothing be read any more.
func (s *scanner) fail() { s.rest, s.failed = nil, true }

// upTo takes what stands behind before, up to the next quotation mark.
func (s *scanner) upTo(before string) []byte {
	s.skip(before)
	n := bytes.IndexByte(s.rest, '"')
	if n < 0 {
		s.fail()
		return nil
	}
	field := s.rest[:n]
	s.rest = s.rest[n:]
	return field
}

func (s *scanner) bytes(before string) []byte {
	field := s.upTo(before)
	b := make([]byte, base64.StdEncoding.DecodedLen(len(field)))
	n, err := base64.StdEncoding.Decode(b, field)
	if err != nil {
		s.fail()
	}
	return b[:n]
}

func (s *scanner) hash(before string) Hash {
	b := s.bytes(before)
	if len(b) != len(Hash{}) {
		s.fail()
		return Hash{}
	}
	return Hash(b)
}

func (s *scanner) number(before string) int64 {
	n, err := strconv.ParseInt(string(s.upTo(before)), 10, 64)
	if err != nil {
		s.fail()
	}
	return n
}

// text takes a JSON string with its quotes.
func (s *scanner) text(before string) []byte {
	s.skip(before)
	end := 1
	for end < len(s.rest) && s.rest[end] != '"' {
		if s.rest[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(s.rest) {
		s.fail()
		return nil
	}
	literal := s.rest[:end+1]
	s.rest = s.rest[end+1:]
	if plain := bytes.ReplaceAll(literal[1:end], []byte(`\n`), []byte("\n")); bytes.IndexByte(plain, '\\') < 0 {
		return plain
	}
	var decoded string
	if json.Unmarshal(literal, &decoded) != nil {
		s.fail()
	}
	return []byte(decoded)
}

// appendText writes a JSON string as ProtoJSON and JCS do, without escaping for HTML.
func appendText(b, text []byte) []byte {
	strange := func(c byte) bool { return c < ' ' && c != '\n' || c == '"' || c == '\\' }
	if slices.ContainsFunc(text, strange) || !utf8.Valid(text) || bytes.Contains(text, []byte("\u2028")) || bytes.Contains(text, []byte("\u2029")) {
		literal, err := marshalJSON(string(text))
		if err != nil {
			panic("tlog: text does not encode: " + err.Error()) // every string does
		}
		return append(b, literal...)
	}
	b = append(b, '"')
	for line := range bytes.Lines(text) {
		line, ended := bytes.CutSuffix(line, []byte("\n"))
		if b = append(b, line...); ended {
			b = append(b, `\n`...)
		}
	}
	return append(b, '"')
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
