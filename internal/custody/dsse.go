package custody

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"

	"strongroom.example/strongroom/internal/evidence"
)

// Payload types an actor's key signs. The type is part of what is signed, so that none can pass for another (FORMATS §4).
const (
	PayloadType    = "application/vnd.in-toto+json"
	signInType     = "application/vnd.strongroom.signin+json"
	possessionType = "application/vnd.strongroom.possession+json"
)

// MaxDSSE bounds the signed form of a statement, in bytes.
const MaxDSSE = (evidence.MaxStatement+2)/3*4 + maxFrame

// maxFrame is more than all of a DSSE form except its payload: member names, payload type, key id, signature.
const maxFrame = 512

// Signature is one DSSE signature as it was found: nothing is verified yet.
type Signature struct {
	KeyID evidence.Hash // SHA-256 of the SPKI
	DER   []byte
}

// frame is the DSSE JSON form. Its one accepted spelling is its RFC 8785 form, with exactly one signature, standard base64 with
// padding, and no other member (FORMATS §4): what writeDSSE writes.
type frame struct {
	Payload     string `json:"payload"`
	PayloadType string `json:"payloadType"`
	Signatures  []struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	} `json:"signatures"`
}

// DSSE writes the signed form of a statement that came in another container, such as a receipt (FORMATS §6), so that Open can read it.
func DSSE(statement []byte, s Signature) []byte { return writeDSSE(PayloadType, statement, s) }

func writeDSSE(payloadType string, payload []byte, s Signature) []byte {
	b64 := base64.StdEncoding
	b := make([]byte, 0, b64.EncodedLen(len(payload))+maxFrame)
	b = append(b, `{"payload":"`...)
	b = b64.AppendEncode(b, payload)
	b = append(b, `","payloadType":"`...)
	b = append(b, payloadType...)
	b = append(b, `","signatures":[{"keyid":"`...)
	b = append(b, s.KeyID.String()...)
	b = append(b, `","sig":"`...)
	b = b64.AppendEncode(b, s.DER)
	return append(b, `"}]}`...)
}

// exactDSSE is readDSSE for what is written exactly as writeDSSE does, which nearly everything is. What is not, anyDSSE judges. A fuzz test holds
// the two against each other.
func exactDSSE(b []byte, payloadType string, max int) (payload []byte, s Signature, ok bool) {
	rest, ok1 := bytes.CutPrefix(b, []byte(`{"payload":"`))
	encoded, rest, ok2 := bytes.Cut(rest, []byte(`","payloadType":"`+payloadType+`","signatures":[{"keyid":"`))
	keyID, rest, ok3 := bytes.Cut(rest, []byte(`","sig":"`))
	sig, ok4 := bytes.CutSuffix(rest, []byte(`"}]}`))
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return nil, s, false
	}
	payload, err1 := base64.StdEncoding.AppendDecode(nil, encoded)
	der, err2 := base64.StdEncoding.AppendDecode(nil, sig)
	id, err3 := evidence.ParseHash(string(keyID))
	if err1 != nil || err2 != nil || err3 != nil || len(payload) > max {
		return nil, s, false
	}
	s = Signature{id, der}
	return payload, s, bytes.Equal(writeDSSE(payloadType, payload, s), b)
}

// readDSSE takes a DSSE form apart, strictly. The payload is at most max bytes and not yet parsed.
func readDSSE(b []byte, payloadType string, max int) (payload []byte, s Signature, err error) {
	if len(b) > base64.StdEncoding.EncodedLen(max)+maxFrame {
		return nil, s, evidence.Refuse(evidence.Invalid, "size")
	}
	if payload, s, ok := exactDSSE(b, payloadType, max); ok {
		return payload, s, nil
	}
	return anyDSSE(b, payloadType, max)
}

// anyDSSE is readDSSE for every spelling.
func anyDSSE(b []byte, payloadType string, max int) (payload []byte, s Signature, err error) {
	var f frame
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, s, evidence.Fail(evidence.Invalid, "dsse", err)
	}
	if len(f.Signatures) != 1 {
		return nil, s, evidence.Refuse(evidence.Invalid, "signatures")
	}
	if f.PayloadType != payloadType {
		return nil, s, evidence.Refuse(evidence.Invalid, "payload_type")
	}
	payload, err1 := base64.StdEncoding.DecodeString(f.Payload)
	keyID, err2 := evidence.ParseHash(f.Signatures[0].KeyID)
	der, err3 := base64.StdEncoding.DecodeString(f.Signatures[0].Sig)
	if err1 != nil || err2 != nil || err3 != nil {
		return nil, s, evidence.Refuse(evidence.Invalid, "dsse")
	}
	if len(payload) > max {
		return nil, s, evidence.Refuse(evidence.Invalid, "size")
	}
	s = Signature{keyID, der}
	if !bytes.Equal(writeDSSE(payloadType, payload, s), b) {
		return nil, s, evidence.Refuse(evidence.Invalid, "dsse")
	}
	return payload, s, nil
}

// pae is what is really signed: DSSE's pre-authentication encoding of a payload and its type.
func pae(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len(payload)+len(payloadType)+32)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}
