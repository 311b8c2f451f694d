package custody

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
)

func mustSign(t testing.TB, e *ev.Event) *Signed {
	t.Helper()
	k := testKey("signer")
	s, err := Sign(e, k.SPKI(), k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func refuses(t *testing.T, err error, kind ev.ErrorKind, reason string) {
	t.Helper()
	var e *ev.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Reason != reason {
		t.Errorf("got %v, want %s: %s", err, kind, reason)
	}
}

func TestSignOpenVerify(t *testing.T) {
	for kind := range sampleDetails() {
		t.Run(string(kind), func(t *testing.T) {
			e := sample(t, kind)
			if err := e.Check(); err != nil {
				t.Fatalf("the sample is refused: %v", err)
			}
			signed := mustSign(t, e)
			opened, err := Open(signed.DSSE())
			if err != nil {
				t.Fatal(err)
			}
			again, err := opened.Verify(testKey("signer").SPKI())
			if err != nil {
				t.Fatal(err)
			}
			want, _ := json.Marshal(e)
			got, _ := json.Marshal(again.Event())
			if !bytes.Equal(got, want) {
				t.Errorf("read back\n%s\nwant\n%s", got, want)
			}
			if !bytes.Equal(again.DSSE(), signed.DSSE()) || !bytes.Equal(again.Leaf(), signed.Leaf()) || again.LeafHash() != signed.LeafHash() ||
				again.PAEDigest() != opened.PAEDigest() || again.KeyID() != opened.KeyID() || !bytes.Equal(again.Payload(), opened.Payload()) {
				t.Error("what was signed and what was opened differ")
			}
		})
	}
}

// The leaf must be what a canonical JSON writer would make of it, and hold what FORMATS §4 says.
func TestLeaf(t *testing.T) {
	s := mustSign(t, sample(t, ev.ItemDeposited))
	if !isCanonical(s.Leaf()) || !isCanonical(s.DSSE()) {
		t.Fatal("leaf or signed form are not canonical JSON")
	}
	var l struct {
		APIVersion, Kind string
		Spec             struct {
			HashedRekordV002 struct {
				Data      struct{ Algorithm, Digest string }
				Signature struct {
					Content  []byte
					Verifier struct {
						KeyDetails string
						PublicKey  struct{ RawBytes []byte }
					}
				}
			}
		}
	}
	if err := json.Unmarshal(s.Leaf(), &l); err != nil {
		t.Fatal(err)
	}
	record := l.Spec.HashedRekordV002
	message := append([]byte("DSSEv1 28 application/vnd.in-toto+json "+big.NewInt(int64(len(s.Payload()))).String()+" "), s.Payload()...)
	pae := sha256.Sum256(message)
	if l.APIVersion != "0.0.2" || l.Kind != "hashedrekord" || record.Data.Algorithm != "SHA2_256" ||
		record.Data.Digest != base64.StdEncoding.EncodeToString(pae[:]) || record.Signature.Verifier.KeyDetails != "PKIX_ECDSA_P256_SHA_256" {
		t.Errorf("leaf %s", s.Leaf())
	}
	key, err := x509.ParsePKIXPublicKey(record.Signature.Verifier.PublicKey.RawBytes)
	if err != nil || !ecdsa.VerifyASN1(key.(*ecdsa.PublicKey), pae[:], record.Signature.Content) {
		t.Error("key or signature of the leaf do not verify")
	}
	if want := sha256.Sum256(append([]byte{0}, s.Leaf()...)); s.LeafHash() != ev.Hash(want) {
		t.Error("leaf hash")
	}
}

// Of a newer version's statement, what the chain and the log need is still there.
func TestUnknownKeepsItsPlace(t *testing.T) {
	for _, v := range readVectors(t, "statements.json") {
		if v.Expect != "unknown" {
			continue
		}
		st, err := Open([]byte(v.DSSE))
		if ev.KindOf(err) != ev.Unknown || st.Unknown() != err {
			t.Fatalf("%s: %v", v.Name, err)
		}
		s, err := st.Verify(testKey("signer").SPKI())
		if err != nil {
			t.Fatal(err)
		}
		e := s.Event()
		if e.Stream.Stream() != ev.ItemOf(item(0)) || e.Stream.Seq != 3 || e.Actor.ID != actor(0) || len(e.ReliedOn) != 1 || s.Unknown() == nil {
			t.Errorf("%s: %+v", v.Name, e)
		}
		if (e.Details == nil) != (v.Reason == "kind") {
			t.Errorf("%s: details %+v", v.Name, e.Details)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	k := testKey("signer")
	for name, tc := range map[string]struct {
		change func(*ev.Event)
		kind   ev.ErrorKind
		reason string
	}{
		"no details":    {func(e *ev.Event) { e.Details = nil }, ev.Invalid, "statement"},
		"unknown kind":  {func(e *ev.Event) { e.Kind = "item.dreamed" }, ev.Unknown, "kind"},
		"no time":       {func(e *ev.Event) { e.Time = 0 }, ev.Invalid, "time"},
		"big integer":   {func(e *ev.Event) { e.Object.Exhibit = 1 << 53 }, ev.Invalid, "integer"},
		"rounded":       {func(e *ev.Event) { e.Object.Exhibit = 1<<53 + 1 }, ev.Invalid, "integer"},
		"over 64 KiB":   {func(e *ev.Event) { e.Tool.Version = strings.Repeat("v", ev.MaxStatement) }, ev.Invalid, "size"},
		"other details": {func(e *ev.Event) { e.Details = &ev.CaseClosedDetails{Outcome: "decided"} }, ev.Invalid, "statement"},
	} {
		t.Run(name, func(t *testing.T) {
			e := sample(t, ev.ItemSealed)
			tc.change(e)
			_, err := Sign(e, k.SPKI(), k)
			refuses(t, err, tc.kind, tc.reason)
		})
	}
	_, err := Sign(sample(t, ev.ItemSealed), testKey("other").SPKI(), k)
	refuses(t, err, ev.Unauthenticated, "signature")
	_, err = Sign(sample(t, ev.ItemSealed), k.SPKI(), failing{})
	refuses(t, err, ev.Internal, "signer")
}

type failing struct{}

func (failing) Sign([]byte) ([]byte, error) { return nil, errors.New("the token was pulled out") }

// A signer may return either of the two signatures; what is signed is always low-S.
func TestSignNormalises(t *testing.T) {
	k := testKey("signer")
	s, err := Sign(sample(t, ev.ItemSealed), k.SPKI(), high{k})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.DSSE()); err != nil {
		t.Fatal(err)
	}
	rs, err := parseDER(s.Signature())
	if err != nil || rs.S.Cmp(halfOrder) > 0 {
		t.Error("signature is not low-S")
	}
}

// high makes high-S signatures.
type high struct{ Signer }

func (h high) Sign(message []byte) ([]byte, error) {
	der, err := h.Signer.Sign(message)
	if err != nil {
		return nil, err
	}
	return flipS(der), nil
}

func flipS(der []byte) []byte {
	rs, err := parseDER(der)
	if err != nil {
		panic(err)
	}
	if rs.S.Cmp(halfOrder) <= 0 {
		rs.S.Sub(elliptic.P256().Params().N, rs.S)
	}
	der, err = asn1.Marshal(rs)
	if err != nil {
		panic(err)
	}
	return der
}

func TestVerifyRefuses(t *testing.T) {
	k := testKey("signer")
	good := mustSign(t, sample(t, ev.ItemSealed))
	opened := func(change func(*Signature)) *Statement {
		s := Signature{good.KeyID(), bytes.Clone(good.Signature())}
		change(&s)
		st, err := Open(DSSE(good.Payload(), s))
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	long := func(der []byte) []byte { // the same integers, length in two bytes: BER, not DER
		return append([]byte{0x30, 0x81, der[1]}, der[2:]...)
	}
	for name, tc := range map[string]struct {
		change func(*Signature)
		kind   ev.ErrorKind
		reason string
	}{
		"high S":       {func(s *Signature) { s.DER = flipS(s.DER) }, ev.Invalid, "signature_high_s"},
		"BER length":   {func(s *Signature) { s.DER = long(s.DER) }, ev.Invalid, "signature_form"},
		"trailing":     {func(s *Signature) { s.DER = append(s.DER, 0) }, ev.Invalid, "signature_form"},
		"empty":        {func(s *Signature) { s.DER = nil }, ev.Invalid, "signature_form"},
		"raw r and s":  {func(s *Signature) { s.DER = make([]byte, 64) }, ev.Invalid, "signature_form"},
		"other bytes":  {func(s *Signature) { s.DER[10] ^= 1 }, ev.Unauthenticated, "signature"},
		"zero":         {func(s *Signature) { s.DER = []byte{0x30, 6, 2, 1, 0, 2, 1, 0} }, ev.Unauthenticated, "signature"},
		"other key id": {func(s *Signature) { s.KeyID = digest("no key") }, ev.Unauthenticated, "keyid"},
	} {
		t.Run(name, func(t *testing.T) {
			signed, err := opened(tc.change).Verify(k.SPKI())
			refuses(t, err, tc.kind, tc.reason)
			if signed != nil {
				t.Error("a Signed came with the refusal")
			}
		})
	}
	st := opened(func(*Signature) {})
	_, err := st.Verify(testKey("other").SPKI())
	refuses(t, err, ev.Unauthenticated, "keyid")
}

func TestParseSPKI(t *testing.T) {
	spki := testKey("signer").SPKI()
	b64 := base64.StdEncoding.EncodeToString
	marshal := func(key any) []byte {
		b, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	ed, _, _ := ed25519.GenerateKey(rand.Reader)
	off := bytes.Clone(spki)
	off[len(off)-1] ^= 1
	compressed := func() []byte {
		point, _ := testKey("signer").private.PublicKey.Bytes()
		b := append(bytes.Clone(spki[:26]), 2+point[64]&1)
		b = append(b, point[1:33]...)
		b[1], b[24] = byte(len(b)-2), 34
		return b
	}()
	for name, tc := range map[string]struct{ text, reason string }{
		"good":            {b64(spki), ""},
		"P-384":           {b64(marshal(&p384.PublicKey)), "key_type"},
		"Ed25519":         {b64(marshal(ed)), "key_type"},
		"off the curve":   {b64(off), "key"},
		"compressed":      {b64(compressed), "key"},
		"trailing":        {b64(append(bytes.Clone(spki), 0)), "key"},
		"unpadded base64": {strings.TrimRight(b64(spki), "="), "key"},
		"line break":      {b64(spki)[:40] + "\n" + b64(spki)[40:], "key"},
		"empty":           {"", "key"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSPKI(tc.text)
			if tc.reason == "" {
				if err != nil || !bytes.Equal(got, spki) {
					t.Fatal(err)
				}
				return
			}
			refuses(t, err, ev.Invalid, tc.reason)
		})
	}
}

func TestKey(t *testing.T) {
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	der, err := k.PKCS8()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParsePKCS8(der)
	if err != nil || !bytes.Equal(again.SPKI(), k.SPKI()) {
		t.Fatal(err)
	}
	if _, err := Sign(sample(t, ev.ItemSealed), k.SPKI(), again); err != nil {
		t.Fatal(err)
	}
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	der, _ = x509.MarshalPKCS8PrivateKey(p384)
	_, err = ParsePKCS8(der)
	refuses(t, err, ev.Invalid, "key_type")
	_, err = ParsePKCS8([]byte("no key"))
	refuses(t, err, ev.Invalid, "key")
}

// chain signs n events of one stream.
func chain(t testing.TB, n int) []*Signed {
	var list []*Signed
	for i := range n {
		e := sample(t, ev.ItemSealed)
		e.Stream.Seq, e.Stream.Prev = int64(i), ev.Hash{}
		if i > 0 {
			e.Stream.Prev = list[i-1].LeafHash()
		}
		list = append(list, mustSign(t, e))
	}
	return list
}

// chains are lists of events with the reason for which Chain refuses them, "" for none.
func chains(t testing.TB) map[string]struct {
	Events []*Signed
	Reason string
} {
	c := chain(t, 4)
	relinked := func(change func(*ev.Event)) []*Signed {
		e := *c[2].Event()
		change(&e)
		return []*Signed{c[0], c[1], mustSign(t, &e), c[3]}
	}
	return map[string]struct {
		Events []*Signed
		Reason string
	}{
		"whole":         {c, ""},
		"one":           {c[:1], ""},
		"none":          {nil, "missing_first"},
		"missing first": {c[1:], "missing_first"},
		"missing one":   {[]*Signed{c[0], c[1], c[3]}, "missing"},
		"swapped":       {[]*Signed{c[0], c[2], c[1], c[3]}, "swapped"},
		"swapped first": {[]*Signed{c[1], c[0]}, "swapped"},
		"duplicate":     {[]*Signed{c[0], c[1], c[1], c[2]}, "duplicate"},
		"fork":          {[]*Signed{c[0], c[1], relinked(func(e *ev.Event) { e.Stream.Seq, e.Stream.Prev = 1, digest("x") })[2]}, "fork"},
		"wrong prev":    {relinked(func(e *ev.Event) { e.Stream.Prev = digest("x") }), "link"},
		"replaced":      {relinked(func(e *ev.Event) { e.Place = "DE" }), "link"},
		"other stream":  {relinked(func(e *ev.Event) { e.Stream.ID = string(item(5)) }), "stream"},
		"other type":    {relinked(func(e *ev.Event) { e.Stream.Type = ev.CaseStream }), "stream"},
		"other vault":   {relinked(func(e *ev.Event) { e.Vault = "other.example.org" }), "stream"},
	}
}

func TestChain(t *testing.T) {
	for name, tc := range chains(t) {
		t.Run(name, func(t *testing.T) {
			err := Chain(tc.Events)
			if tc.Reason != "" {
				refuses(t, err, ev.Invalid, tc.Reason)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func BenchmarkOpenVerify(b *testing.B) {
	dsse := mustSign(b, sample(b, ev.ItemDeposited)).DSSE()
	spki := testKey("signer").SPKI()
	for b.Loop() {
		s, err := Open(dsse)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Verify(spki); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	dsse := mustSign(b, sample(b, ev.ItemDeposited)).DSSE()
	for b.Loop() {
		if _, err := Open(dsse); err != nil {
			b.Fatal(err)
		}
	}
}
