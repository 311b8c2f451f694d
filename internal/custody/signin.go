package custody

import (
	"bytes"
	"encoding/base64"
	"encoding/json"

	"strongroom.example/strongroom/internal/evidence"
)

// maxMessage bounds a sign-in or a proof of possession, in bytes.
const maxMessage = 1 << 10

// SignIn asks for a session. Nonce is the vault's challenge: 32 to 64 characters of [a-z0-9]. Whether the nonce is open and the
// time near enough is for who receives it to check.
type SignIn struct {
	Vault string           `json:"vault"` // the origin
	Actor evidence.ActorID `json:"actor"` // empty: whose key it is
	Nonce string           `json:"nonce"`
	Time  evidence.Time    `json:"time"`
}

func (m SignIn) check() bool {
	return evidence.ValidOrigin(m.Vault) && (m.Actor == "" || evidence.ValidID(m.Actor)) && validNonce(m.Nonce)
}

func validNonce(s string) bool {
	if len(s) < 32 || len(s) > 64 {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// Sign returns the DSSE form.
func (m SignIn) Sign(spki []byte, signer Signer) ([]byte, error) {
	return signSmall(m, signInType, spki, signer)
}

// OpenSignIn reads the DSSE form, strictly; the signature is not yet verified. Reasons as for Open, and "sign_in".
func OpenSignIn(dsse []byte) (SignIn, Signature, error) { return openSmall[SignIn](dsse, signInType) }

// Verify checks the signature that came with the sign-in; errors as of (*Statement).Verify.
func (m SignIn) Verify(spki []byte, s Signature) error { return verifySmall(m, signInType, spki, s) }

// Possession proves, at enrolment and rotation, that who is enrolled holds the signing key and wants exactly this pair of keys in
// this vault under this invitation.
type Possession struct {
	Vault       string           `json:"vault"`
	Actor       evidence.ActorID `json:"actor"`
	Fingerprint evidence.Hash    `json:"fingerprint"`
	Invitation  evidence.Hash    `json:"invitation"` // SHA-256 of the invitation's secret
}

func (m Possession) check() bool {
	return evidence.ValidOrigin(m.Vault) && evidence.ValidID(m.Actor) && !m.Fingerprint.IsZero() && !m.Invitation.IsZero()
}

// Sign returns the DSSE form.
func (m Possession) Sign(spki []byte, signer Signer) ([]byte, error) {
	return signSmall(m, possessionType, spki, signer)
}

// OpenPossession reads the DSSE form, strictly; the signature is not yet verified. Reasons as for Open, and "possession".
func OpenPossession(dsse []byte) (Possession, Signature, error) {
	return openSmall[Possession](dsse, possessionType)
}

// Verify checks the signature that came with the proof; errors as of (*Statement).Verify.
func (m Possession) Verify(spki []byte, s Signature) error {
	return verifySmall(m, possessionType, spki, s)
}

// CheckPossession checks the proof that keys carry in actor.enrolled and actor.key_rotated: the base64 DER signature, the rest of
// the message being known. Reasons as of (*Statement).Verify, and "possession".
func CheckPossession(origin string, actor evidence.ActorID, keys evidence.Keys) error {
	spki, err := ParseSPKI(keys.Key)
	if err != nil {
		return err
	}
	der, err := base64.StdEncoding.DecodeString(keys.Possession)
	if err != nil || base64.StdEncoding.EncodeToString(der) != keys.Possession {
		return evidence.Refuse(evidence.Invalid, "possession")
	}
	m := Possession{origin, actor, evidence.Fingerprint(spki, keys.Recipient), keys.Invitation}
	return m.Verify(spki, Signature{KeyID(spki), der})
}

// small is one of the two messages above.
type small interface {
	SignIn | Possession
	check() bool
}

func signSmall[M small](m M, payloadType string, spki []byte, signer Signer) ([]byte, error) {
	payload, err := smallPayload(m, payloadType)
	if err != nil {
		return nil, err
	}
	s, err := signMessage(pae(payloadType, payload), spki, signer)
	if err != nil {
		return nil, err
	}
	return writeDSSE(payloadType, payload, s), nil
}

func openSmall[M small](dsse []byte, payloadType string) (M, Signature, error) {
	var m M
	payload, s, err := readDSSE(dsse, payloadType, maxMessage)
	if err != nil {
		return m, s, err
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return m, s, evidence.Fail(evidence.Invalid, smallReason(payloadType), err)
	}
	again, err := smallPayload(m, payloadType)
	if err != nil {
		return m, s, err
	}
	switch {
	case bytes.Equal(again, payload):
		return m, s, nil
	case isCanonical(payload): // other members than these
		return m, s, evidence.Refuse(evidence.Invalid, smallReason(payloadType))
	}
	return m, s, evidence.Refuse(evidence.Invalid, "canonical")
}

func verifySmall[M small](m M, payloadType string, spki []byte, s Signature) error {
	payload, err := smallPayload(m, payloadType)
	if err != nil {
		return err
	}
	return verify(spki, pae(payloadType, payload), s)
}

func smallPayload[M small](m M, payloadType string) ([]byte, error) {
	if !m.check() {
		return nil, evidence.Refuse(evidence.Invalid, smallReason(payloadType))
	}
	return canonical(m)
}

func smallReason(payloadType string) string {
	if payloadType == signInType {
		return "sign_in"
	}
	return "possession"
}
