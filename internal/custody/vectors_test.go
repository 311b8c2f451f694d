package custody

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

var update = flag.Bool("update", false, "write api/vectors/custody anew")

const vectorDir = "../../api/vectors/custody"

// vector is one signed form with what a reader must make of it.
type vector struct {
	Name     string   `json:"name"`
	Expect   string   `json:"expect"`           // accept, refuse or unknown
	Reason   string   `json:"reason,omitempty"` // of a refusal, or what is unknown
	Key      string   `json:"key,omitempty"`    // base64 SPKI DER to verify with
	DSSE     string   `json:"dsse,omitempty"`   // the exact bytes
	Events   []string `json:"events,omitempty"` // of a chain, instead of dsse
	PAE      ev.Hash  `json:"pae_digest,omitzero"`
	Leaf     string   `json:"leaf,omitempty"`
	LeafHash ev.Hash  `json:"leaf_hash,omitzero"`
}

func readVectors(t testing.TB, file string) []vector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, file))
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) == 0 {
		t.Fatal("no vectors")
	}
	return list
}

// verdict is what this package makes of a signed form.
func verdict(dsse, key string) (v vector) {
	spki, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	st, unknown := Open([]byte(dsse))
	if st == nil {
		return vector{Expect: "refuse", Reason: ev.ReasonOf(unknown)}
	}
	s, err := st.Verify(spki)
	if err != nil {
		return vector{Expect: "refuse", Reason: ev.ReasonOf(err)}
	}
	v = vector{Expect: "accept", PAE: s.PAEDigest(), Leaf: string(s.Leaf()), LeafHash: s.LeafHash()}
	if s.Unknown() != nil {
		v.Expect, v.Reason = "unknown", ev.ReasonOf(unknown)
	}
	return v
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	for _, file := range []string{"kinds.json", "statements.json"} {
		for _, v := range readVectors(t, file) {
			t.Run(v.Name, func(t *testing.T) {
				got := verdict(v.DSSE, v.Key)
				if got.Expect != v.Expect || got.Reason != v.Reason || got.PAE != v.PAE || got.Leaf != v.Leaf || got.LeafHash != v.LeafHash {
					t.Errorf("got %+v, want %s %s %s", got, v.Expect, v.Reason, v.LeafHash)
				}
			})
		}
	}
}

func TestMessageVectors(t *testing.T) {
	for _, v := range readVectors(t, "messages.json") {
		t.Run(v.Name, func(t *testing.T) {
			expect, reason := "accept", ""
			if err := openMessage([]byte(v.DSSE), v.Key); err != nil {
				expect, reason = "refuse", ev.ReasonOf(err)
			}
			if expect != v.Expect || reason != v.Reason {
				t.Errorf("got %s %s, want %s %s", expect, reason, v.Expect, v.Reason)
			}
		})
	}
}

// openMessage reads a sign-in, or a proof of possession when the bytes say that they are one.
func openMessage(dsse []byte, key string) error {
	spki, err := ParseSPKI(key)
	if err != nil {
		return err
	}
	if bytes.Contains(dsse, []byte(possessionType)) {
		m, s, err := OpenPossession(dsse)
		if err != nil {
			return err
		}
		return m.Verify(spki, s)
	}
	m, s, err := OpenSignIn(dsse)
	if err != nil {
		return err
	}
	return m.Verify(spki, s)
}

func TestChainVectors(t *testing.T) {
	for _, v := range readVectors(t, "chains.json") {
		t.Run(v.Name, func(t *testing.T) {
			spki, err := ParseSPKI(v.Key)
			if err != nil {
				t.Fatal(err)
			}
			var events []*Signed
			for _, dsse := range v.Events {
				st, err := Open([]byte(dsse))
				if err != nil {
					t.Fatal(err)
				}
				s, err := st.Verify(spki)
				if err != nil {
					t.Fatal(err)
				}
				events = append(events, s)
			}
			expect, reason := "accept", ""
			if err := Chain(events); err != nil {
				expect, reason = "refuse", ev.ReasonOf(err)
			}
			if expect != v.Expect || reason != v.Reason {
				t.Errorf("got %s %s, want %s %s", expect, reason, v.Expect, v.Reason)
			}
		})
	}
}

// Everything below makes the vectors. Expectations are written by hand, then compared with what the package does.

// signRaw signs any bytes as a statement.
func signRaw(payloadType string, payload []byte) (Signature, []byte) {
	k := testKey("signer")
	s, err := signMessage(pae(payloadType, payload), k.SPKI(), k)
	if err != nil {
		panic(err)
	}
	return s, writeDSSE(payloadType, payload, s)
}

func writeVectors(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(testKey("signer").SPKI())
	fill := func(v vector) vector {
		if v.Key == "" {
			v.Key = key
		}
		if v.Expect != "refuse" {
			got := verdict(v.DSSE, v.Key)
			v.PAE, v.Leaf, v.LeafHash = got.PAE, got.Leaf, got.LeafHash
		}
		return v
	}
	var kinds, statements, lists []vector
	for _, k := range slices.Sorted(maps.Keys(sampleDetails())) {
		kinds = append(kinds, fill(vector{Name: string(k), Expect: "accept", DSSE: string(mustSign(t, sample(t, k)).DSSE())}))
	}
	for _, v := range append(payloadVectors(t), frameVectors(t)...) {
		statements = append(statements, fill(v))
	}
	cs := chains(t)
	for _, name := range slices.Sorted(maps.Keys(cs)) {
		v := vector{Name: name, Expect: "accept", Reason: cs[name].Reason, Key: key}
		if v.Reason != "" {
			v.Expect = "refuse"
		}
		for _, s := range cs[name].Events {
			v.Events = append(v.Events, string(s.DSSE()))
		}
		lists = append(lists, v)
	}
	for file, list := range map[string][]vector{"kinds.json": kinds, "statements.json": statements, "messages.json": messageVectors(), "chains.json": lists} {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		if err := enc.Encode(list); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(vectorDir, file), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// payloadVectors are statements in wrong spellings and of newer versions, each properly signed.
func payloadVectors(t *testing.T) []vector {
	good := string(mustSign(t, sample(t, ev.ItemSealed)).Payload())
	var list []vector
	add := func(name, expect, reason, payload string) {
		_, dsse := signRaw(PayloadType, []byte(payload))
		list = append(list, vector{Name: name, Expect: expect, Reason: reason, DSSE: string(dsse)})
	}
	edit := func(name, expect, reason, old, new string) {
		if strings.Count(good, old) != 1 {
			t.Fatalf("%s: %q occurs %d times", name, old, strings.Count(good, old))
		}
		add(name, expect, reason, strings.Replace(good, old, new, 1))
	}
	add("good", "accept", "", good)

	add("trailing newline in the statement", "refuse", "canonical", good+"\n")
	add("trailing data in the statement", "refuse", "canonical", good+"{}")
	edit("space after a colon", "refuse", "canonical", `"exhibit":7,"root"`, `"exhibit": 7,"root"`)
	edit("members in another order", "refuse", "canonical", `"details":{"exhibit":7,"root":"`+string(item(0))+`"}`, `"details":{"root":"`+string(item(0))+`","exhibit":7}`)
	edit("needless escape", "refuse", "canonical", `"kind":"item.sealed"`, `"kind":"item\u002esealed"`)
	edit("duplicate key", "refuse", "canonical", `"place":"withheld"`, `"place":"withheld","place":"withheld"`)
	edit("duplicate key, other value", "refuse", "canonical", `"place":"withheld"`, `"place":"DE","place":"withheld"`)
	edit("exponent", "refuse", "integer", `"exhibit":7,"root"`, `"exhibit":7e0,"root"`)
	edit("fraction", "refuse", "integer", `"exhibit":7,"root"`, `"exhibit":7.5,"root"`)
	edit("integer of 2^53", "refuse", "integer", `"exhibit":7,"root"`, `"exhibit":9007199254740992,"root"`)
	edit("integer beyond 2^53, which a JSON reader may round", "refuse", "integer", `"exhibit":7,"root"`, `"exhibit":9007199254740993,"root"`)
	edit("largest integer", "accept", "", `"exhibit":7,"root"`, `"exhibit":9007199254740991,"root"`)
	edit("minus zero", "refuse", "canonical", `"exhibit":7,"root"`, `"exhibit":-0,"root"`)
	edit("byte order mark", "refuse", "canonical", `{"_type"`, "\ufeff"+`{"_type"`)
	edit("half a surrogate pair", "refuse", "canonical", `"place":"withheld"`, `"place":"\ud800"`)
	add("empty statement", "refuse", "canonical", "")
	add("not an object", "refuse", "statement", "[]")
	add("cut off", "refuse", "canonical", good[:len(good)-1])

	edit("null instead of a list", "refuse", "statement", `"relied_on":[`, `"notes2":null,"relied_on":[`)
	edit("absent list", "refuse", "statement", `,"notes":[{"audience":"internal","name":"reason","sha256":"`+digest("note").String()+`","size":2560}]`, "")
	edit("required member absent", "refuse", "statement", `{"exhibit":7,"root"`, `{"root"`)
	edit("optional member present but empty", "refuse", "statement", `"purpose":"documentation"`, `"purpose":""`)
	edit("member name in capitals", "refuse", "statement", `"place":"withheld"`, `"placE":"withheld"`)
	edit("member name twice, once with a capital", "refuse", "statement", `"place":"withheld"`, `"placE":"withheld","place":"withheld"`)
	edit("text for an integer", "refuse", "statement", `"exhibit":7,"root"`, `"exhibit":"7","root"`)
	edit("integer for a text", "refuse", "statement", `"place":"withheld"`, `"place":1`)
	edit("details of another kind", "refuse", "statement", `"details":{"exhibit":7,"root":"`+string(item(0))+`"}`, `"details":{"outcome":"decided"}`)
	edit("digest in capitals", "refuse", "digest", digest("actor head").String(), strings.ToUpper(digest("actor head").String()))
	edit("time without milliseconds", "refuse", "time", "2026-03-01T12:00:00.000Z", "2026-03-01T12:00:00Z")
	edit("time in another zone", "refuse", "time", "2026-03-01T12:00:00.000Z", "2026-03-01T13:00:00.000+01:00")
	edit("time that does not exist", "refuse", "time", "2026-03-01T12:00:00.000Z", "2026-02-30T12:00:00.000Z")
	edit("other statement type", "refuse", "statement", "in-toto.io/Statement/v1", "in-toto.io/Statement/v0.1")
	edit("other predicate type", "refuse", "statement", "custody-event/v1", "custody-event/v2")

	edit("unknown member of the predicate", "unknown", "field", `"place":"withheld"`, `"place":"withheld","priority":3`)
	edit("unknown member of the details", "unknown", "field", `"root":"`+string(item(0))+`"`, `"root":"`+string(item(0))+`","series":{"a":[1,2]}`)
	edit("unknown member of the statement", "unknown", "field", `"predicateType"`, `"predicateExtra":{},"predicateType"`)
	edit("second digest of a subject", "unknown", "field", `"digest":{"sha256":"`+digest("evidence").String()+`"},"name"`, `"digest":{"sha256":"`+digest("evidence").String()+`","sha512":"00"},"name"`)
	edit("unknown member beside a malformed one", "refuse", "statement", `"place":"withheld","purpose"`, `"place":1,"priority":3,"purpose"`)
	edit("unknown member, not canonical", "refuse", "canonical", `"place":"withheld"`, `"place":"withheld", "priority":3`)
	edit("unknown kind", "unknown", "kind", `"details":{"exhibit":7,"root":"`+string(item(0))+`"},"digests"`, `"details":{"dream":true},"digests"`)
	list[len(list)-1].DSSE = unknownKind(good)
	edit("empty unknown member", "unknown", "field", `"place":"withheld"`, `"place":"withheld","priority":""`)

	deep := strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)
	edit("too deep", "refuse", "statement", `"place":"withheld"`, `"place":"withheld","priority":`+deep)
	var wide []string
	for i := range 200 {
		wide = append(wide, fmt.Sprintf(`"m%03d":1`, i))
	}
	edit("too many members", "refuse", "statement", `"place":"withheld"`, `"place":"withheld","priority":{`+strings.Join(wide, ",")+"}")
	room := ev.MaxStatement - len(good) - len(`,"priority":""`)
	edit("unknown member, exactly 64 KiB", "unknown", "field", `"place":"withheld"`, `"place":"withheld","priority":"`+strings.Repeat("x", room)+`"`)
	edit("one byte more than 64 KiB", "refuse", "size", `"place":"withheld"`, `"place":"withheld","priority":"`+strings.Repeat("x", room+1)+`"`)
	return list
}

func unknownKind(good string) string {
	payload := strings.Replace(good, `"kind":"item.sealed"`, `"kind":"item.dreamed"`, 1)
	payload = strings.Replace(payload, `"details":{"exhibit":7,"root":"`+string(item(0))+`"}`, `"details":{"dream":true}`, 1)
	_, dsse := signRaw(PayloadType, []byte(payload))
	return string(dsse)
}

// frameVectors are wrong envelopes, signatures and keys around a good statement.
func frameVectors(t *testing.T) []vector {
	signed := mustSign(t, sample(t, ev.ItemSealed))
	good := string(signed.DSSE())
	payload := signed.Payload()
	sig := base64.StdEncoding.EncodeToString(signed.Signature())
	var list []vector
	edit := func(name, reason, old, new string) {
		if !strings.Contains(good, old) {
			t.Fatalf("%s: %q does not occur", name, old)
		}
		list = append(list, vector{Name: name, Expect: "refuse", Reason: reason, DSSE: strings.Replace(good, old, new, 1)})
	}
	resign := func(name, reason string, change func(*Signature)) {
		s := Signature{signed.KeyID(), bytes.Clone(signed.Signature())}
		change(&s)
		list = append(list, vector{Name: name, Expect: "refuse", Reason: reason, DSSE: string(writeDSSE(PayloadType, payload, s))})
	}
	one := `{"keyid":"` + signed.KeyID().String() + `","sig":"` + sig + `"}`
	edit("two signatures", "signatures", one, one+","+one)
	edit("no signature", "signatures", one, "")
	edit("trailing newline", "dsse", "]}", "]}\n")
	edit("trailing data", "dsse", "]}", "]}{}")
	edit("space in the envelope", "dsse", `,"payloadType"`, `, "payloadType"`)
	edit("signatures first", "dsse", good, `{"signatures":[`+one+`],`+strings.Replace(good[1:], `,"signatures":[`+one+`]`, "", 1))
	edit("unknown member of the envelope", "dsse", `,"signatures"`, `,"payloadVersion":1,"signatures"`)
	edit("duplicate key in the envelope", "dsse", `,"payloadType"`, `,"payloadType":"`+PayloadType+`","payloadType"`)
	edit("unpadded base64", "dsse", sig, strings.TrimRight(sig, "="))
	edit("line break in base64", "dsse", sig, sig[:40]+`\n`+sig[40:])
	edit("key id in capitals", "dsse", signed.KeyID().String(), strings.ToUpper(signed.KeyID().String()))
	edit("no key id", "dsse", signed.KeyID().String(), "")
	edit("other payload type", "payload_type", PayloadType, signInType)
	edit("not JSON", "dsse", good, "-----BEGIN")
	edit("empty", "dsse", good, "")

	resign("high S", "signature_high_s", func(s *Signature) { s.DER = flipS(s.DER) })
	resign("BER length", "signature_form", func(s *Signature) { s.DER = append([]byte{0x30, 0x81, s.DER[1]}, s.DER[2:]...) })
	resign("byte behind the signature", "signature_form", func(s *Signature) { s.DER = append(s.DER, 0) })
	resign("signature as r and s", "signature_form", func(s *Signature) { s.DER = s.DER[8:] })
	resign("signature of other bytes", "signature", func(s *Signature) { s.DER[10] ^= 1 })
	resign("zero signature", "signature", func(s *Signature) { s.DER = []byte{0x30, 6, 2, 1, 0, 2, 1, 0} })
	resign("key id of another key", "keyid", func(s *Signature) { s.KeyID = testKey("other").keyID() })

	p384, err := ecdsa.ParseRawPrivateKey(elliptic.P384(), bytes.Repeat([]byte{7}, 48))
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&p384.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	resign("P-384 key", "key_type", func(s *Signature) { s.KeyID = KeyID(spki) })
	list[len(list)-1].Key = base64.StdEncoding.EncodeToString(spki)
	spki = append(bytes.Clone(signed.SPKI()), 0)
	resign("byte behind the key", "key", func(s *Signature) { s.KeyID = KeyID(spki) })
	list[len(list)-1].Key = base64.StdEncoding.EncodeToString(spki)
	return list
}

func (k fixedKey) keyID() ev.Hash { return KeyID(k.SPKI()) }

func messageVectors() []vector {
	key := base64.StdEncoding.EncodeToString(testKey("signer").SPKI())
	signIn := `{"actor":"` + string(actor(0)) + `","nonce":"` + strings.Repeat("n0", 16) + `","time":"2026-03-01T12:00:00.000Z","vault":"` + origin + `"}`
	possession := `{"actor":"` + string(actor(0)) + `","fingerprint":"` + digest("f").String() + `","invitation":"` + digest("i").String() + `","vault":"` + origin + `"}`
	var list []vector
	add := func(name, reason, payloadType, payload string) {
		v := vector{Name: name, Expect: "accept", Reason: reason, Key: key}
		if reason != "" {
			v.Expect = "refuse"
		}
		_, dsse := signRaw(payloadType, []byte(payload))
		v.DSSE = string(dsse)
		list = append(list, v)
	}
	edit := func(s, old, new string) string {
		if !strings.Contains(s, old) {
			panic(old)
		}
		return strings.Replace(s, old, new, 1)
	}
	add("sign-in", "", signInType, signIn)
	add("sign-in, by the key alone", "", signInType, edit(signIn, string(actor(0)), ""))
	add("possession", "", possessionType, possession)
	add("sign-in, trailing newline", "canonical", signInType, signIn+"\n")
	add("sign-in, unknown member", "sign_in", signInType, edit(signIn, `"time"`, `"scope":"all","time"`))
	add("sign-in, duplicate key", "canonical", signInType, edit(signIn, `"time"`, `"nonce":"`+strings.Repeat("n0", 16)+`","time"`))
	add("sign-in, short nonce", "sign_in", signInType, edit(signIn, strings.Repeat("n0", 16), "n0"))
	add("sign-in, nonce in capitals", "sign_in", signInType, edit(signIn, strings.Repeat("n0", 16), strings.Repeat("N0", 16)))
	add("sign-in, vault with a port", "sign_in", signInType, edit(signIn, origin, origin+":443"))
	add("sign-in, not an actor", "sign_in", signInType, edit(signIn, "act-", "org-"))
	add("sign-in, no time", "time", signInType, edit(signIn, "2026-03-01T12:00:00.000Z", ""))
	add("sign-in, null", "sign_in", signInType, "null")
	add("sign-in, over-size", "size", signInType, edit(signIn, origin, strings.Repeat("a", 1100)))
	add("statement as sign-in", "payload_type", PayloadType, signIn)
	add("possession, trailing space", "canonical", possessionType, possession+" ")
	add("possession, no invitation", "possession", possessionType, edit(possession, digest("i").String(), ""))
	add("possession, no fingerprint", "possession", possessionType, edit(possession, digest("f").String(), ""))
	add("possession, unknown member", "possession", possessionType, edit(possession, `"vault"`, `"until":1,"vault"`))
	return list
}
