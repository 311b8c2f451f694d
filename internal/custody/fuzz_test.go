package custody

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

// FuzzOpen: whatever is accepted has one spelling, and nothing panics.
func FuzzOpen(f *testing.F) {
	for _, file := range []string{"kinds.json", "statements.json", "messages.json"} {
		for _, v := range readVectors(f, file) {
			if len(v.DSSE) < 8<<10 {
				f.Add([]byte(v.DSSE))
			}
		}
	}
	f.Fuzz(func(t *testing.T, dsse []byte) {
		if payload, quick, ok := exactDSSE(dsse, PayloadType, ev.MaxStatement); ok {
			slowly, slow, err := anyDSSE(dsse, PayloadType, ev.MaxStatement)
			if err != nil || !bytes.Equal(payload, slowly) || quick.KeyID != slow.KeyID || !bytes.Equal(quick.DER, slow.DER) {
				t.Fatalf("read quickly, but slowly %v", err)
			}
		}
		s, err := Open(dsse)
		if err != nil && (s != nil) != (ev.KindOf(err) == ev.Unknown) || err == nil && s == nil {
			t.Fatalf("a statement came with %v", err)
		}
		if s == nil {
			if ev.KindOf(err) != ev.Invalid {
				t.Fatalf("refused as %v", err)
			}
			return
		}
		if !bytes.Equal(writeDSSE(PayloadType, s.payload, s.signature), dsse) || !isCanonical(dsse) || !isCanonical(s.payload) {
			t.Fatal("another spelling was accepted")
		}
		if err == nil {
			again, err := writeStatement(s.Event())
			if err != nil || !bytes.Equal(again, s.payload) {
				t.Fatalf("the event is written as\n%s\nbut was read from\n%s", again, s.payload)
			}
		}
	})
}

// FuzzStatement starts one layer deeper, where the fuzzer need not find its way through base64.
func FuzzStatement(f *testing.F) {
	for _, file := range []string{"kinds.json", "statements.json"} {
		for _, v := range readVectors(f, file) {
			if payload, _, err := readDSSE([]byte(v.DSSE), PayloadType, ev.MaxStatement); err == nil && len(payload) < 8<<10 {
				f.Add(payload)
			}
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		sameReading(t, payload)
		e, unknown, err := readStatement(payload)
		if err != nil {
			if ev.KindOf(err) != ev.Invalid {
				t.Fatalf("refused as %v", err)
			}
			return
		}
		if !isCanonical(payload) || !json.Valid(payload) {
			t.Fatal("another spelling was accepted")
		}
		if unknown != nil {
			return
		}
		if again, err := writeStatement(e); err != nil || !bytes.Equal(again, payload) {
			t.Fatalf("%s\nis written again as\n%s", payload, again)
		}
		e.Check() // must not panic on anything that can be read
	})
}

func FuzzSignIn(f *testing.F) {
	seedMessages(f)
	f.Fuzz(func(t *testing.T, dsse []byte) {
		m, s, err := OpenSignIn(dsse)
		if err == nil {
			reencodes(t, m, signInType, s, dsse)
		}
	})
}

func FuzzPossession(f *testing.F) {
	seedMessages(f)
	f.Fuzz(func(t *testing.T, dsse []byte) {
		m, s, err := OpenPossession(dsse)
		if err == nil {
			reencodes(t, m, possessionType, s, dsse)
		}
	})
}

func seedMessages(f *testing.F) {
	for _, v := range readVectors(f, "messages.json") {
		f.Add([]byte(v.DSSE))
	}
}

func reencodes[M small](t *testing.T, m M, payloadType string, s Signature, dsse []byte) {
	t.Helper()
	payload, err := smallPayload(m, payloadType)
	if err != nil || !bytes.Equal(writeDSSE(payloadType, payload, s), dsse) {
		t.Fatal("another spelling was accepted")
	}
}

// FuzzSignature: of all byte strings that verify for a message, each is strict DER with a low S.
func FuzzSignature(f *testing.F) {
	k := testKey("signer")
	message := []byte("message")
	s, err := signMessage(message, k.SPKI(), k)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.DER)
	f.Add(flipS(s.DER))
	f.Fuzz(func(t *testing.T, der []byte) {
		low, quick := isLowS(der)
		if rs, slow := parseDER(der); (quick == nil) != (slow == nil) || slow == nil && low != (rs.S.Cmp(halfOrder) <= 0) {
			t.Fatalf("%x: %v, %v, but %v", der, low, quick, slow)
		}
		if verify(k.SPKI(), message, Signature{s.KeyID, der}) == nil && !bytes.Equal(der, s.DER) {
			t.Fatal("a second signature of the same key verifies") // the fuzzer has no key: it can only have bent the first
		}
	})
}

func FuzzParseSPKI(f *testing.F) {
	f.Add(base64.StdEncoding.EncodeToString(testKey("signer").SPKI()))
	f.Fuzz(func(t *testing.T, text string) {
		if spki, err := ParseSPKI(text); err == nil && base64.StdEncoding.EncodeToString(spki) != text {
			t.Fatal("another spelling was accepted")
		}
	})
}
