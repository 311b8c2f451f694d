package tlog

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// goodReceipt returns the vector "with time stamps" and its trust file.
func goodReceipt(t testing.TB) (data []byte, trust Trust) {
	for _, v := range readVectors[receiptInput](t, "receipts.json") {
		if v.Name == "with time stamps" {
			trust, err := ParseTrust([]byte(v.Input.Trust))
			if err != nil {
				t.Fatal(err)
			}
			return []byte(v.Input.Receipt), trust
		}
	}
	t.Fatal("vector is gone")
	return nil, Trust{}
}

// TestNewReceipt builds from a parsed receipt's parts the receipt itself.
func TestNewReceipt(t *testing.T) {
	data, trust := goodReceipt(t)
	r, err := ParseReceipt(data)
	if err != nil {
		t.Fatal(err)
	}
	payloadType, payload, signature, _ := r.DSSE()
	again, err := NewReceipt(ReceiptParts{
		LogID: r.LogID(), Leaf: r.Leaf(), Index: r.Index(), Proof: r.Proof(), Checkpoint: r.Checkpoint(),
		Timestamps: r.Timestamps(), PayloadType: payloadType, Payload: payload, Signature: signature, KeyID: r.parts.KeyID,
	})
	if err != nil || !bytes.Equal(again.Marshal(), data) {
		t.Fatalf("another receipt: %v", err)
	}
	if _, err := again.Verify(trust.LogKeys()); err != nil {
		t.Fatal(err)
	}
}

// TestReceiptParts checks the bounds that a receipt cannot be made beyond.
func TestReceiptParts(t *testing.T) {
	data, _ := goodReceipt(t)
	r, err := ParseReceipt(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		change func(p *ReceiptParts)
		want   Reason
	}{
		"no leaf":             {func(p *ReceiptParts) { p.Leaf = nil }, ErrMalformed},
		"large leaf":          {func(p *ReceiptParts) { p.Leaf = make([]byte, maxLeaf+1) }, ErrMalformed},
		"no payload":          {func(p *ReceiptParts) { p.Payload = nil }, ErrMalformed},
		"large payload":       {func(p *ReceiptParts) { p.Payload = make([]byte, MaxPayloadSize+1) }, ErrMalformed},
		"no payload type":     {func(p *ReceiptParts) { p.PayloadType = "" }, ErrMalformed},
		"payload type spaced": {func(p *ReceiptParts) { p.PayloadType = "a b" }, ErrMalformed},
		"no signature":        {func(p *ReceiptParts) { p.Signature = nil }, ErrMalformed},
		"large signature":     {func(p *ReceiptParts) { p.Signature = make([]byte, maxSignature+1) }, ErrMalformed},
		"no checkpoint":       {func(p *ReceiptParts) { p.Checkpoint = nil }, ErrMalformed},
		"index beyond":        {func(p *ReceiptParts) { p.Index = 11 }, ErrIndex},
		"negative index":      {func(p *ReceiptParts) { p.Index = -1 }, ErrIndex},
		"short hash":          {func(p *ReceiptParts) { p.Proof = [][]byte{{1}} }, ErrProof},
		"long proof":          {func(p *ReceiptParts) { p.Proof = slices.Repeat(p.Proof[:1], maxProof+1) }, ErrProof},
		"many time stamps":    {func(p *ReceiptParts) { p.Timestamps = slices.Repeat(p.Timestamps[:1], maxTimestamps+1) }, ErrMalformed},
		"large time stamp":    {func(p *ReceiptParts) { p.Timestamps = [][]byte{make([]byte, maxTimestamp+1)} }, ErrMalformed},
	} {
		p := r.parts
		test.change(&p)
		if _, err := NewReceipt(p); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := r.parts
	p.Payload = make([]byte, MaxPayloadSize)
	largest, err := NewReceipt(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseReceipt(largest.Marshal()); err != nil {
		t.Errorf("the largest payload does not parse: %v", err)
	}
}

// TestEveryByteOfReceipt changes each byte. A receipt that still verifies
// states the same fact: what changed is not the log's to vouch for, the signed
// event and the time stamps, which are checked elsewhere, or the name on a
// further signature line.
func TestEveryByteOfReceipt(t *testing.T) {
	data, trust := goodReceipt(t)
	r, err := ParseReceipt(data)
	if err != nil {
		t.Fatal(err)
	}
	want, err := r.Verify(trust.LogKeys())
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		data[i] ^= 1
		if r, err := ParseReceipt(data); err == nil {
			if !bytes.Equal(r.Marshal(), data) {
				t.Errorf("byte %d: parsed, but re-encodes to other bytes", i)
			}
			if got, err := r.Verify(trust.LogKeys()); err == nil && got != want {
				t.Errorf("byte %d: verifies, but states another fact", i)
			}
		}
		data[i] ^= 1
	}
}

// TestErrorsSayNothingSubmitted feeds a canary where texts are expected.
func TestErrorsSayNothingSubmitted(t *testing.T) {
	const canary = "canary7"
	data, trust := goodReceipt(t)
	r, err := ParseReceipt(data)
	if err != nil {
		t.Fatal(err)
	}
	_, receiptErr := ParseReceipt(bytes.ReplaceAll(data, []byte("hashedrekord"), []byte(canary)))
	_, trustErr := ParseTrust(bytes.ReplaceAll(trust.Marshal(), []byte("SHA2_256"), []byte(canary)))
	_, fieldErr := ParseTrust([]byte(`{"` + canary + `":1}`))
	_, policyErr := ParsePolicy("witness " + canary + " x y\nquorum " + canary)
	_, noteErr := OpenCheckpoint(bytes.ReplaceAll(r.Checkpoint(), []byte(testOrigin), []byte(canary)), trust.LogKeys())
	for i, err := range []error{receiptErr, trustErr, fieldErr, policyErr, noteErr} {
		if err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("error %d: %v", i, err)
		}
	}
}

func FuzzParseReceipt(f *testing.F) {
	_, trust := goodReceipt(f)
	for _, v := range readVectors[receiptInput](f, "receipts.json") {
		f.Add([]byte(v.Input.Receipt))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		sameReceipt(t, data)
		r, err := ParseReceipt(data)
		if err != nil {
			return
		}
		if !bytes.Equal(r.Marshal(), data) {
			t.Fatal("parsed, but re-encodes to other bytes")
		}
		if in, err := r.Verify(trust.LogKeys()); err == nil && in.LeafHash() != LeafHash(r.Leaf()) {
			t.Fatal("another leaf verified")
		}
	})
}

func FuzzParseTrust(f *testing.F) {
	for _, v := range readVectors[trustInput](f, "trust.json") {
		f.Add([]byte(v.Input.Trust))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if trust, err := ParseTrust(data); err == nil && !bytes.Equal(trust.Marshal(), data) {
			t.Fatal("parsed, but re-encodes to other bytes")
		}
	})
}

func BenchmarkVerifyReceipt(b *testing.B) {
	data, trust := goodReceipt(b)
	for b.Loop() {
		r, err := ParseReceipt(data)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.Verify(trust.LogKeys()); err != nil {
			b.Fatal(err)
		}
	}
}
