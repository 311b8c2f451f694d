package custody

import (
	"encoding/base64"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

func TestSignIn(t *testing.T) {
	k := testKey("signer")
	m := SignIn{origin, actor(0), "0123456789abcdef0123456789abcdef", noon}
	dsse, err := m.Sign(k.SPKI(), k)
	if err != nil {
		t.Fatal(err)
	}
	got, s, err := OpenSignIn(dsse)
	if err != nil || got != m {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := got.Verify(k.SPKI(), s); err != nil {
		t.Error(err)
	}
	refuses(t, got.Verify(testKey("other").SPKI(), s), ev.Unauthenticated, "keyid")
	for _, change := range []func(*SignIn){
		func(m *SignIn) { m.Vault = "other.example.org" },
		func(m *SignIn) { m.Actor = actor(1) },
		func(m *SignIn) { m.Nonce = "1" + m.Nonce[1:] },
		func(m *SignIn) { m.Time++ },
	} {
		other := m
		change(&other)
		refuses(t, other.Verify(k.SPKI(), s), ev.Unauthenticated, "signature")
	}
	_, err = SignIn{}.Sign(k.SPKI(), k)
	refuses(t, err, ev.Invalid, "sign_in")
	m.Actor = "" // whose key it is
	if dsse, err = m.Sign(k.SPKI(), k); err != nil {
		t.Fatal(err)
	}
	if got, _, err := OpenSignIn(dsse); err != nil || got != m {
		t.Errorf("%+v, %v", got, err)
	}
}

// What is signed as one type never verifies as another, even over the same payload.
func TestPayloadTypesAreApart(t *testing.T) {
	k := testKey("signer")
	m := SignIn{origin, actor(0), "0123456789abcdef0123456789abcdef", noon}
	payload, err := smallPayload(m, signInType)
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{PayloadType, possessionType} {
		s, _ := signRaw(other, payload)
		refuses(t, m.Verify(k.SPKI(), s), ev.Unauthenticated, "signature")
	}
}

func TestCheckPossession(t *testing.T) {
	d := sampleDetails()[ev.ActorKeyRotated].(*ev.ActorKeyRotatedDetails)
	if err := CheckPossession(origin, actor(1), d.Keys); err != nil {
		t.Fatal(err)
	}
	refuses(t, CheckPossession("other.example.org", actor(1), d.Keys), ev.Unauthenticated, "signature")
	refuses(t, CheckPossession(origin, actor(2), d.Keys), ev.Unauthenticated, "signature")
	for name, tc := range map[string]struct {
		change func(*ev.Keys)
		kind   ev.ErrorKind
		reason string
	}{
		"other key":        {func(k *ev.Keys) { k.Key = base64.StdEncoding.EncodeToString(testKey("other").SPKI()) }, ev.Unauthenticated, "signature"},
		"no key":           {func(k *ev.Keys) { k.Key = "" }, ev.Invalid, "key"},
		"other recipient":  {func(k *ev.Keys) { k.Recipient = hybrid(9) }, ev.Unauthenticated, "signature"},
		"other invitation": {func(k *ev.Keys) { k.Invitation = digest("x") }, ev.Unauthenticated, "signature"},
		"no invitation":    {func(k *ev.Keys) { k.Invitation = ev.Hash{} }, ev.Invalid, "possession"},
		"not base64":       {func(k *ev.Keys) { k.Possession += "\n" }, ev.Invalid, "possession"},
		"no signature":     {func(k *ev.Keys) { k.Possession = "" }, ev.Invalid, "signature_form"},
	} {
		t.Run(name, func(t *testing.T) {
			keys := d.Keys
			tc.change(&keys)
			refuses(t, CheckPossession(origin, actor(1), keys), tc.kind, tc.reason)
		})
	}
}
