package interop

import (
	"bytes"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/tlog"
)

// change edits a receipt as a JSON document.
func change(t *testing.T, receipt []byte, edit func(b map[string]any)) []byte {
	t.Helper()
	var b map[string]any
	if err := json.Unmarshal(receipt, &b); err != nil {
		t.Fatal(err)
	}
	edit(b)
	out, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func at(b any, path ...string) map[string]any {
	for _, name := range path {
		b = b.(map[string]any)[name]
		if list, ok := b.([]any); ok {
			b = list[0]
		}
	}
	return b.(map[string]any)
}

func entry(b map[string]any) map[string]any { return at(b, "verificationMaterial", "tlogEntries") }
func proof(b map[string]any) map[string]any { return at(entry(b), "inclusionProof") }
func sig(b map[string]any) map[string]any   { return at(b, "dsseEnvelope", "signatures") }

func flip(b map[string]any, field string, i int) {
	raw, err := base64.StdEncoding.DecodeString(b[field].(string))
	if err != nil {
		panic(err)
	}
	raw[(i+len(raw))%len(raw)] ^= 1
	b[field] = base64.StdEncoding.EncodeToString(raw)
}

// highS is the other ECDSA signature that verifies under the same key: the leaf holds this one and no other.
func highS(b map[string]any) {
	raw, err := base64.StdEncoding.DecodeString(b["sig"].(string))
	var pair struct{ R, S *big.Int }
	if err == nil {
		_, err = asn1.Unmarshal(raw, &pair)
	}
	if err == nil {
		pair.S.Sub(elliptic.P256().Params().N, pair.S)
		raw, err = asn1.Marshal(pair)
	}
	if err != nil {
		panic(err)
	}
	b["sig"] = base64.StdEncoding.EncodeToString(raw)
}

// Whatever is false about a receipt is refused. Each case is one change to a receipt that is accepted.
func TestRefusals(t *testing.T) {
	list, signer := statements(t)
	key := newKey(t)
	l, larger, stranger := newLog(t, key, list...), newLog(t, key, append(slices.Clone(list[1:]), list[0])...), newLog(t, newKey(t), list...)
	const index = 20
	good, other := l.receipt(list[index], index), l.receipt(list[index+1], index+1)
	someone := newKey(t).SPKI()
	s, err := newStock(l.trustedRoot(), signer, someone)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.accept(good); err != nil {
		t.Fatal(err)
	}
	checkpoint := func(of *log) func(map[string]any) {
		signed, _ := of.checkpoint()
		return func(b map[string]any) { at(proof(b), "checkpoint")["envelope"] = string(signed) }
	}
	from := func(donor []byte, part func(map[string]any) map[string]any, field string) func(map[string]any) {
		var d map[string]any
		if err := json.Unmarshal(donor, &d); err != nil {
			t.Fatal(err)
		}
		return func(b map[string]any) { part(b)[field] = part(d)[field] }
	}
	dsse := func(b map[string]any) map[string]any { return at(b, "dsseEnvelope") }
	material := func(b map[string]any) map[string]any { return at(b, "verificationMaterial") }
	for name, edit := range map[string]func(map[string]any){
		"a byte of the payload changed":             func(b map[string]any) { flip(dsse(b), "payload", -2) },
		"the payload of another event":              from(other, dsse, "payload"),
		"another payload type":                      func(b map[string]any) { dsse(b)["payloadType"] = "application/json" },
		"a byte of the signature changed":           func(b map[string]any) { flip(sig(b), "sig", -1) },
		"the signature of another event":            from(other, sig, "sig"),
		"the signature's high-S twin":               func(b map[string]any) { highS(sig(b)) },
		"no signature":                              func(b map[string]any) { dsse(b)["signatures"] = []any{} },
		"the whole event of another":                func(b map[string]any) { from(other, dsse, "payload")(b); from(other, sig, "sig")(b) },
		"another index":                             func(b map[string]any) { entry(b)["logIndex"], proof(b)["logIndex"] = "21", "21" },
		"the proof of another leaf":                 from(other, proof, "hashes"),
		"a hash of the proof changed":               func(b map[string]any) { h := proof(b)["hashes"].([]any); h[0] = h[1] },
		"no hashes":                                 func(b map[string]any) { proof(b)["hashes"] = []any{} },
		"a checkpoint of another tree, signed":      checkpoint(larger),
		"a checkpoint signed by another log":        checkpoint(stranger),
		"a checkpoint without signatures":           func(b map[string]any) { at(proof(b), "checkpoint")["envelope"] = string(unsigned(l)) },
		"the log entry of another event":            from(other, material, "tlogEntries"),
		"no log entry":                              func(b map[string]any) { material(b)["tlogEntries"] = []any{} },
		"no inclusion proof":                        func(b map[string]any) { delete(entry(b), "inclusionProof") },
		"the id of an unknown log key":              func(b map[string]any) { flip(at(entry(b), "logId"), "keyId", 0) },
		"the hint of someone else's key":            func(b map[string]any) { at(b, "verificationMaterial", "publicKey")["hint"] = hint(someone) },
		"the hint of a key that nobody vouches for": func(b map[string]any) { at(b, "verificationMaterial", "publicKey")["hint"] = hint(newKey(t).SPKI()) },
	} {
		changed := change(t, good, edit)
		if bytes.Equal(changed, change(t, good, func(map[string]any) {})) {
			t.Errorf("%s: nothing was changed", name)
		}
		digests, err := subjects(good) // the file itself stays the same
		if err != nil {
			t.Fatal(err)
		}
		if err := s.acceptFor(changed, digests[0]); err == nil {
			t.Errorf("accepted: %s", name)
		}
	}
	if err := s.accept(change(t, good, func(map[string]any) {})); err != nil {
		t.Errorf("refused without a change: %v", err) // or the cases above would prove nothing
	}
	var file [32]byte
	rand.Read(file[:])
	if err := s.acceptFor(good, file[:]); err == nil {
		t.Error("accepted for another file")
	}
	for name, trustedRoot := range map[string][]byte{"of another log": stranger.trustedRoot(), "of the log's key under another name": renamed(t, l)} {
		s, err := newStock(trustedRoot, signer)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.accept(good); err == nil {
			t.Errorf("accepted under the trusted root %s", name)
		}
	}
}

func unsigned(l *log) []byte {
	signed, _ := l.checkpoint()
	text, _, _ := bytes.Cut(signed, []byte("\n\n"))
	return append(text, "\n\n"...)
}

func renamed(t *testing.T, l *log) []byte {
	t.Helper()
	other := bytes.ReplaceAll(l.trustedRoot(), []byte("https://"+origin), []byte("https://other.example"))
	if bytes.Equal(other, l.trustedRoot()) {
		t.Fatal("the trusted root does not name the log")
	}
	return other
}

// A log may hold what it should not. Inclusion alone convinces nobody: the signature must hold, and be by a key that is vouched for.
func TestSignatureBehindInclusion(t *testing.T) {
	list, signer := statements(t)
	l := newLog(t, newKey(t), list...)
	spoiled := bytes.Clone(list[0].Signature())
	spoiled[len(spoiled)-1] ^= 1
	text := base64.StdEncoding.EncodeToString
	leaf := bytes.Replace(list[0].Leaf(), []byte(text(list[0].Signature())), []byte(text(spoiled)), 1)
	index, err := l.tree.Append(t.Context(), []tlog.TreeLeaf{{Value: leaf}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newStock(l.trustedRoot(), signer)
	if err != nil {
		t.Fatal(err)
	}
	err = s.accept(l.receiptOf(list[0], leaf, spoiled, index[0]))
	if err == nil || !strings.Contains(err.Error(), "failed to verify signature") {
		t.Errorf("a spoiled signature that was logged: %v", err)
	}
	if s, err = newStock(l.trustedRoot(), newKey(t).SPKI()); err != nil {
		t.Fatal(err)
	}
	if err := s.accept(l.receipt(list[0], 0)); err == nil {
		t.Error("accepted without the signer's key")
	}
}

func hint(spki []byte) string {
	id := custody.KeyID(spki)
	return base64.StdEncoding.EncodeToString(id[:])
}
