package custody

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
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
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}`,
		b64(payload), payloadType, s.KeyID, b64(s.DER))
}

// readDSSE takes a DSSE form apart, strictly. The payload is at most max bytes and not yet parsed.
func readDSSE(b []byte, payloadType string, max int) (payload []byte, s Signature, err error) {
	if len(b) > base64.StdEncoding.EncodedLen(max)+maxFrame {
		return nil, s, evidence.Refuse(evidence.Invalid, "size")
	}
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
