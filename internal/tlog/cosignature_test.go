package tlog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// cosigner is a witness's key, told the time.
type cosigner struct {
	name, vkey string
	// line cosigns a checkpoint at that Unix second.
	line func(t testing.TB, cp Checkpoint, at uint64) string
}

func newCosigner(t testing.TB, name string) cosigner {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	typed := append([]byte{4}, pub...)
	id := sha256.Sum256(slices.Concat([]byte(name+"\n"), typed))
	return cosigner{name, fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(typed)),
		func(_ testing.TB, cp Checkpoint, at uint64) string {
			sig := ed25519.Sign(key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, cp.Marshal()))
			return sigLine(name, id[:4], binary.BigEndian.AppendUint64(nil, at), sig)
		}}
}

func newMLDSACosigner(t testing.TB, name string) cosigner {
	skey, vkey, err := formats.GenerateMLDSAKey(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := formats.NewMLDSASigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	id := binary.BigEndian.AppendUint32(nil, s.KeyHash())
	return cosigner{name, vkey, func(t testing.TB, cp Checkpoint, at uint64) string {
		sig, err := s.SignSubtree(at, cp.Origin, 0, uint64(cp.Size), cp.Root[:])
		if err != nil {
			t.Fatal(err)
		}
		return sigLine(name, id, sig)
	}}
}

func sigLine(name string, parts ...[]byte) string {
	return "— " + name + " " + base64.StdEncoding.EncodeToString(slices.Concat(parts...)) + "\n"
}

func (c cosigner) rule() string {
	return "witness " + c.name + " " + c.vkey + " https://" + c.name + ".example/w\n"
}

func mustPolicy(t testing.TB, text string) Policy {
	t.Helper()
	p, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var cosignedAt = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestCosigned counts who has cosigned, in either algorithm, and what of a
// policy that meets.
func TestCosigned(t *testing.T) {
	_, log := newECDSA(t)
	cp := Checkpoint{testOrigin, 7, Hash{1}}
	bare, err := SignCheckpoint(cp, log)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := newCosigner(t, "a"), newMLDSACosigner(t, "b"), newCosigner(t, "c")
	stranger := newCosigner(t, "stranger")
	at := uint64(cosignedAt.Unix())
	line := func(c cosigner) string { return c.line(t, cp, at) }
	one := a.rule() + b.rule() + c.rule() + "group ab 1 a b\ngroup auditors all c\nquorum ab\n"
	both := strings.Replace(one, "group ab 1", "group ab all", 1)

	for name, test := range map[string]struct {
		policy          string
		lines           string
		by              string
		quorum, audited bool
	}{
		"nobody asked":         {"", line(a), "", true, true},
		"quorum none":          {a.rule() + "quorum none\n", line(a), "a", true, true},
		"nobody came":          {one, "", "", false, false},
		"Ed25519":              {one, line(a), "a", true, false},
		"ML-DSA-44":            {one, line(b), "b", true, false},
		"the policy's order":   {one, line(b) + line(a), "ab", true, false},
		"one of two":           {both, line(b), "b", false, false},
		"both":                 {both, line(a) + line(b), "ab", true, false},
		"auditor only":         {one, line(c), "c", false, true},
		"an unknown key":       {one, line(stranger), "", false, false},
		"a quorum of one":      {a.rule() + "quorum a\n", line(a), "a", true, true},
		"groups within groups": {a.rule() + b.rule() + c.rule() + "group x 1 a b\ngroup y all x c\nquorum y\n", line(b) + line(c), "bc", true, true},
		"an inner one not met": {a.rule() + b.rule() + c.rule() + "group x all a b\ngroup y all x c\nquorum y\n", line(b) + line(c), "bc", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := mustPolicy(t, test.policy).Cosigned(append(bytes.Clone(bare), test.lines...))
			if err != nil {
				t.Fatal(err)
			}
			by := ""
			for _, c := range got.By {
				by += c.Witness.Name
				if !c.Time.Equal(cosignedAt) {
					t.Errorf("%s cosigned at %v", c.Witness.Name, c.Time)
				}
			}
			if by != test.by || got.Quorum != test.quorum || got.Audited != test.audited {
				t.Fatalf("by %q, quorum %v, audited %v", by, got.Quorum, got.Audited)
			}
		})
	}
}

// TestCosignedRefuses refuses every line of a key of the policy that is not
// that key's word about this checkpoint at some time.
func TestCosignedRefuses(t *testing.T) {
	_, log := newECDSA(t)
	cp := Checkpoint{testOrigin, 7, Hash{1}}
	bare, err := SignCheckpoint(cp, log)
	if err != nil {
		t.Fatal(err)
	}
	at := uint64(cosignedAt.Unix())
	for _, w := range []cosigner{newCosigner(t, "w"), newMLDSACosigner(t, "w")} {
		p := mustPolicy(t, w.rule()+"quorum none\n") // wrong is wrong, also where nobody is asked
		good := w.line(t, cp, at)
		raw, err := base64.StdEncoding.DecodeString(strings.Fields(good)[2])
		if err != nil {
			t.Fatal(err)
		}
		other := newCosigner(t, "w").line(t, cp, at)
		otherRaw, err := base64.StdEncoding.DecodeString(strings.Fields(other)[2])
		if err != nil {
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			line string
			want Reason
		}{
			"another checkpoint": {w.line(t, Checkpoint{testOrigin, 8, Hash{1}}, at), ErrCosignature},
			"another origin":     {w.line(t, Checkpoint{"other.example", 7, Hash{1}}, at), ErrCosignature},
			"another time":       {sigLine("w", raw[:4], binary.BigEndian.AppendUint64(nil, at+1), raw[12:]), ErrCosignature},
			"another key":        {sigLine("w", raw[:4], otherRaw[4:]), ErrCosignature},
			"no time":            {w.line(t, cp, 0), ErrCosignature},
			"year 10000":         {w.line(t, cp, maxCosignedAt+1), ErrCosignature},
			"before all time":    {w.line(t, cp, 1<<63), ErrCosignature},
			"short":              {sigLine("w", raw[:11]), ErrCosignature},
			"one byte more":      {sigLine("w", raw, []byte{0}), ErrCosignature},
			"twice":              {good + good, ErrMalformed},
			"no base64":          {strings.Replace(good, " w ", " w !", 1), ErrMalformed},
			"no line feed":       {strings.TrimSuffix(good, "\n"), ErrMalformed},
			"carriage return":    {strings.Replace(good, "\n", "\r\n", 1), ErrMalformed},
		} {
			signed := append(bytes.Clone(bare), test.line...)
			if got, err := p.Cosigned(signed); !errors.Is(err, test.want) || got.By != nil || got.Quorum {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			if _, err := p.Cosign(signed, []byte(good)); !errors.Is(err, test.want) {
				t.Errorf("%s is carried along: %v", name, err)
			}
		}
		if _, err := p.Cosigned(append(bytes.Clone(bare), w.line(t, cp, maxCosignedAt)...)); err != nil {
			t.Errorf("the last second: %v", err)
		}
	}
}

// TestCosign puts witnesses' answers on a note: whatever comes in whichever
// order and how often, the note is the same, and what does not verify under the
// policy is not on it.
func TestCosign(t *testing.T) {
	key, log := newECDSA(t)
	_, log2 := newEd25519(t)
	cp := Checkpoint{testOrigin, 7, Hash{1}}
	bare, err := SignCheckpoint(cp, log, log2)
	if err != nil {
		t.Fatal(err)
	}
	a, b, stranger := newCosigner(t, "a"), newMLDSACosigner(t, "b"), newCosigner(t, "stranger")
	at := uint64(cosignedAt.Unix())
	p := mustPolicy(t, a.rule()+b.rule()+"group ab all a b\nquorum ab\n")
	la, lb := a.line(t, cp, at), b.line(t, cp, at)
	want := string(bare) + la + lb
	wrong := a.line(t, Checkpoint{testOrigin, 8, Hash{1}}, at)

	for name, answers := range map[string][]string{
		"in order":          {la, lb},
		"the other order":   {lb, la},
		"at once":           {lb + la},
		"an empty answer":   {"", la, "", lb},
		"with a stranger's": {stranger.line(t, cp, at) + lb, la},
		"later once more":   {la, lb, a.line(t, cp, at+60)},
		"wrong first":       {wrong, la, wrong, lb},
	} {
		signed := bytes.Clone(bare)
		for _, answer := range answers {
			if signed, err = p.Cosign(signed, []byte(answer)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if string(signed) != want {
			t.Errorf("%s: another note:\n%s", name, signed)
		}
	}
	if got, err := p.Cosigned([]byte(want)); err != nil || !got.Quorum {
		t.Fatalf("%v, %v", got, err)
	}
	keys, err := NewLogKeys(testOrigin, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenCheckpoint([]byte(want), keys); err != nil || got != cp {
		t.Fatalf("cosigned, the log's checkpoint is %v, %v", got, err)
	}

	for name, lines := range map[string]string{
		"no signature line": "thank you\n", "no line feed": strings.TrimSuffix(la, "\n"), "an empty line": la + "\n",
		"twice": la + la, "a space more": strings.Replace(la, " ", "  ", 1), "a hyphen": strings.Replace(la, "—", "-", 1),
		"too many": strings.Repeat(la, MaxSignatures+1), "too long": strings.Repeat("x", MaxCheckpointSize) + "\n",
	} {
		if _, err := p.Cosign(bare, []byte(lines)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := bytes.Clone(bare)
	for i := range MaxSignatures - 2 {
		full = append(full, newCosigner(t, fmt.Sprintf("s%d", i)).line(t, cp, at)...)
	}
	if _, err := p.Cosign(full, []byte(la)); !errors.Is(err, ErrMalformed) {
		t.Errorf("one line more than a note may have: %v", err)
	}
}

// TestEveryByteOfCosignature changes each byte of a cosigned note: it is
// refused, or the cosignature is nobody's any more.
func TestEveryByteOfCosignature(t *testing.T) {
	_, log := newECDSA(t)
	cp := Checkpoint{testOrigin, 7, Hash{1}}
	for _, w := range []cosigner{newCosigner(t, "w"), newMLDSACosigner(t, "w")} {
		bare, err := SignCheckpoint(cp, log)
		if err != nil {
			t.Fatal(err)
		}
		p := mustPolicy(t, w.rule()+"quorum w\n")
		signed := append(bytes.Clone(bare), w.line(t, cp, uint64(cosignedAt.Unix()))...)
		step := 1
		if len(signed) > 1000 {
			step = 17 // the ends of the note are closer together than that
		}
		for i := 0; i < len(signed); i += step {
			if i >= len(cp.Marshal())+1 && i < len(bare) {
				continue // the log's line, which OpenCheckpoint verifies
			}
			for _, mask := range []byte{1, 0x20, 0x80} {
				signed[i] ^= mask
				if got, err := p.Cosigned(signed); err == nil && (got.Quorum || got.By != nil) {
					t.Errorf("byte %d changed, still cosigned", i)
				}
				signed[i] ^= mask
			}
		}
	}
}

// TestPolicyWitnesses says whom to ask, where, and who comes by itself.
func TestPolicyWitnesses(t *testing.T) {
	a, b, c, d := newCosigner(t, "a"), newMLDSACosigner(t, "b"), newCosigner(t, "c"), newCosigner(t, "d")
	p := mustPolicy(t, a.rule()+b.rule()+c.rule()+d.rule()+"group inner 1 d\ngroup auditors 1 b inner\nquorum a\n")
	var got []string
	for _, w := range p.Witnesses() {
		got = append(got, fmt.Sprint(w.Name, " ", w.URL, " ", w.Verifier.Name(), " ", w.Auditor))
	}
	want := []string{
		"a https://a.example/w/add-checkpoint a false", "b https://b.example/w/add-checkpoint b true",
		"c https://c.example/w/add-checkpoint c false", "d https://d.example/w/add-checkpoint d true",
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%q", got)
	}
}

// TestPolicyRefusals: one party is counted once, and every key has one spelling.
func TestPolicyRefusals(t *testing.T) {
	a, b, ml := newCosigner(t, "a"), newCosigner(t, "b"), newMLDSACosigner(t, "m")
	namedA := newCosigner(t, "a")
	_, plainKey, err := note.GenerateKey(rand.Reader, "plain")
	if err != nil {
		t.Fatal(err)
	}
	rest := strings.SplitN(a.vkey, "+", 3)
	quorum := "quorum none\n"
	// 1313 bytes leave two bits in the last letter that mean nothing.
	stray := strings.TrimSuffix(ml.vkey, "=")
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	stray = stray[:len(stray)-1] + string(letters[strings.IndexByte(letters, stray[len(stray)-1])|1]) + "="
	if stray == ml.vkey {
		t.Fatal("nothing was changed")
	}
	for name, text := range map[string]string{
		"one name":                        a.rule() + "witness a " + b.vkey + " https://b.example\n",
		"one key name":                    a.rule() + "witness b " + namedA.vkey + " https://b.example\n",
		"one key":                         a.rule() + "witness b " + renamed(t, a.vkey, "b") + " https://b.example\n",
		"one URL":                         a.rule() + "witness b " + b.vkey + " https://a.example/w\n",
		"one URL, slash":                  a.rule() + "witness b " + b.vkey + " https://a.example/w/\n",
		"one URL, capitals":               a.rule() + "witness b " + b.vkey + " https://A.example/w\n",
		"no URL":                          "witness a " + a.vkey + "\n",
		"a file":                          "witness a " + a.vkey + " file:///etc/w\n",
		"no host":                         "witness a " + a.vkey + " https:///w\n",
		"a password":                      "witness a " + a.vkey + " https://u:p@a.example\n",
		"a query":                         "witness a " + a.vkey + " https://a.example/?x=1\n",
		"no timestamped type":             "witness a " + plainKey + " https://a.example\n",
		"another key id":                  "witness a a+00000000+" + rest[2] + " https://a.example\n",
		"key id in capitals":              "witness a a+" + "ABCDEF12" + "+" + rest[2] + " https://a.example\n",
		"base64 with stray":               "witness m " + stray + " https://m.example\n",
		"a log key of Ed25519":            "log " + a.vkey + "\n",
		"a log without a key":             "log\n",
		"the log as witness":              "log " + ml.vkey + "\n" + ml.rule(),
		"a group of nothing":              "group auditors\n",
		"a group of which none must sign": a.rule() + "group auditors 0 a\nquorum a\n",
	} {
		if _, err := ParsePolicy(text + quorum); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParsePolicy(a.rule() + b.rule() + ml.rule() + quorum); err != nil {
		t.Errorf("three of them: %v", err)
	}
}

// renamed returns the same key under another name, with the key id of that.
func renamed(t *testing.T, vkey, name string) string {
	key64 := strings.SplitN(vkey, "+", 3)[2]
	key, err := base64.StdEncoding.DecodeString(key64)
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(slices.Concat([]byte(name+"\n"), key))
	return fmt.Sprintf("%s+%x+%s", name, id[:4], key64)
}

// TestLogMLDSA: the trust file names the log's own ML-DSA-44 key in a log line
// of the policy. Its line on a checkpoint must then verify; nobody else's key
// may stand there, and no witness may have the log's name.
func TestLogMLDSA(t *testing.T) {
	_, trust := goodReceipt(t)
	parts := trust.parts
	key, log := newECDSA(t)
	parts.Logs = []Log{{Key: &key.PublicKey, Valid: parts.Logs[0].Valid}}
	parts.Vault = testOrigin
	own, other := newMLDSACosigner(t, testOrigin), newMLDSACosigner(t, "other.example")
	with := func(policy string) (Trust, error) {
		p := parts
		p.WitnessPolicy = policy + "quorum none\n"
		return NewTrust(p)
	}
	for name, policy := range map[string]string{
		"another log":              "log " + other.vkey + "\n",
		"a witness named the log":  "witness w " + own.vkey + " https://w.example\n",
		"two log keys of one name": "log " + own.vkey + "\nlog " + newMLDSACosigner(t, testOrigin).vkey + "\n",
	} {
		if _, err := with(policy); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	trust, err := with("log " + own.vkey + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if logs := trust.Policy().Logs(); len(logs) != 1 || logs[0] != own.vkey {
		t.Errorf("its log lines name %q", logs)
	}
	number := SixGroups(sha256.Sum256([]byte(own.vkey)))
	if shown := PolicyLines("# ours\nlog " + own.vkey + " https://log.example\n\nquorum none\n"); !slices.Equal(shown, []string{"# ours", "log " + number + " https://log.example", "quorum none"}) {
		t.Errorf("its lines are shown as %q", shown)
	}
	if shown := PolicyLines(""); len(shown) != 0 {
		t.Errorf("no policy is shown as %q", shown)
	}
	if trust.RequiresWitnesses() || len(trust.Policy().Witnesses()) != 0 {
		t.Error("the log's own key is a witness")
	}
	if bytes.Contains(trust.TrustedRoot(), []byte(strings.SplitN(own.vkey, "+", 3)[2])) {
		t.Error("stock tools meet a key they do not know")
	}
	cp := Checkpoint{testOrigin, 7, Hash{1}}
	signed, err := SignCheckpoint(cp, log)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		line string
		want error
	}{
		"absent":                {"", nil},
		"there":                 {own.line(t, cp, 1), nil},
		"at no time":            {own.line(t, cp, 0), nil},
		"of another checkpoint": {own.line(t, Checkpoint{testOrigin, 8, Hash{1}}, 1), ErrSignature},
	} {
		if _, err := OpenCheckpoint(append(bytes.Clone(signed), test.line...), trust.LogKeys()); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	keys, err := NewLogKeys(testOrigin, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCheckpoint(append(bytes.Clone(signed), own.line(t, cp, 1)...), keys); err != nil {
		t.Errorf("a reader who does not know the key: %v", err)
	}
}

// FuzzCosign: whatever a witness answers, the note keeps its text and its log's
// line, only lines that verify are added, and putting them on again changes nothing.
func FuzzCosign(f *testing.F) {
	_, log := newECDSA(f)
	cp := Checkpoint{testOrigin, 7, Hash{1}}
	bare, err := SignCheckpoint(cp, log)
	if err != nil {
		f.Fatal(err)
	}
	a, b := newCosigner(f, "a"), newMLDSACosigner(f, "b")
	p := mustPolicy(f, a.rule()+b.rule()+"group ab all a b\nquorum ab\n")
	at := uint64(cosignedAt.Unix())
	f.Add(bare, []byte(a.line(f, cp, at)))
	f.Add(bare, []byte(b.line(f, cp, at)+a.line(f, cp, at)))
	f.Add(append(bytes.Clone(bare), a.line(f, cp, at)...), []byte(a.line(f, cp, at+1)))
	f.Add(bare, []byte("— a AAAA\n"))
	f.Fuzz(func(t *testing.T, signed, lines []byte) {
		note, err := p.Cosign(signed, lines)
		if err != nil {
			return
		}
		before, err := p.Cosigned(signed)
		if err != nil {
			t.Fatal("a note that was refused is cosigned")
		}
		after, err := p.Cosigned(note)
		if err != nil || len(after.By) < len(before.By) || len(note) < len(signed) {
			t.Fatal("cosigning took something away")
		}
		if again, err := p.Cosign(note, lines); err != nil || !bytes.Equal(again, note) {
			t.Fatal("twice is not once")
		}
	})
}
