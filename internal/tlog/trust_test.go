package tlog

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
)

// TestNewTrust builds from a parsed file's parts the file itself, and refuses
// what a file could not say.
func TestNewTrust(t *testing.T) {
	for _, v := range readVectors[trustInput](t, "trust.json") {
		trust, err := ParseTrust([]byte(v.Input.Trust))
		if err != nil {
			continue
		}
		again, err := NewTrust(TrustParts{
			Vault: trust.Vault(), Logs: trust.Logs(), Authorities: trust.Authorities(), Founders: trust.Founders(),
			WitnessPolicy: trust.WitnessPolicy(), EarlierPolicies: trust.EarlierPolicies(), TimestampRoots: trust.TimestampRoots(),
		})
		if err != nil || !bytes.Equal(again.Marshal(), trust.Marshal()) {
			t.Errorf("%s: another file: %v", v.Name, err)
		}
	}
	_, trust := goodReceipt(t)
	for name, change := range map[string]func(p *TrustParts){
		"microseconds": func(p *TrustParts) { p.Logs[0].Start = p.Logs[0].Start.Add(time.Microsecond) },
		"year zero":    func(p *TrustParts) { p.Logs[0].Start = time.Time{} },
		"an end in microseconds": func(p *TrustParts) {
			p.EarlierPolicies = []EarlierPolicy{{Until: p.Logs[0].Start.Add(time.Microsecond)}}
		},
		"no end":    func(p *TrustParts) { p.EarlierPolicies = []EarlierPolicy{{}} },
		"no origin": func(p *TrustParts) { p.Vault = "" },
		"other key": func(p *TrustParts) { p.Logs[0].Key = "key" },
		"spaced URI": func(p *TrustParts) {
			p.Authorities = []Authority{{URI: "a b", Chain: [][]byte{{1}}, Valid: p.Logs[0].Valid}}
		},
		"no chain": func(p *TrustParts) { p.Authorities = []Authority{{Valid: p.Logs[0].Valid}} },
	} {
		p := trust.parts
		p.Logs = append([]Log(nil), p.Logs...)
		change(&p)
		if _, err := NewTrust(p); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidContains(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := start.AddDate(1, 0, 0)
	for _, test := range []struct {
		v    Valid
		t    time.Time
		want bool
	}{
		{Valid{start, end}, start.Add(-1), false},
		{Valid{start, end}, start, true},
		{Valid{start, end}, end, true},
		{Valid{start, end}, end.Add(1), false},
		{Valid{start, time.Time{}}, end.AddDate(100, 0, 0), true},
	} {
		if got := test.v.Contains(test.t); got != test.want {
			t.Errorf("%v contains %v: %v", test.v, test.t, got)
		}
	}
}

// TestPolicyCountsOnce refuses groups that share members: one witness would
// stand for two, and these would take 2^26 steps to evaluate.
func TestPolicyCountsOnce(t *testing.T) {
	_, vkey, err := note.GenerateKey(rand.Reader, "w")
	if err != nil {
		t.Fatal(err)
	}
	if vkey, err = formats.VKeyToCosignatureV1(vkey); err != nil {
		t.Fatal(err)
	}
	once := "witness a " + vkey + " https://w.example\ngroup b 1 a\n"
	if p, err := ParsePolicy(once + "quorum b\n"); err != nil || !p.RequiresWitnesses() {
		t.Fatalf("each member once: %v", err)
	}
	shared := once
	for c := 'b'; c < 'z'; c++ {
		shared += fmt.Sprintf("group %c 2 %c %c\n", c+1, c, c)
	}
	if _, err := ParsePolicy(shared + "quorum z\n"); !errors.Is(err, ErrMalformed) {
		t.Fatalf("shared members: %v", err)
	}
}

func TestParseHash(t *testing.T) {
	h := LeafHash([]byte("leaf"))
	if again, err := ParseHash(h.String()); err != nil || again != h {
		t.Fatalf("%v, %v", again, err)
	}
	for _, s := range []string{"", h.String()[2:], h.String() + "00", strings.ToUpper(h.String()), "g" + h.String()[1:]} {
		if _, err := ParseHash(s); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// FuzzParsePolicy: no text panics, and what is read answers both questions.
func FuzzParsePolicy(f *testing.F) {
	for _, v := range readVectors[trustInput](f, "trust.json") {
		if trust, err := ParseTrust([]byte(v.Input.Trust)); err == nil {
			f.Add(trust.WitnessPolicy())
		}
	}
	f.Add("")
	f.Add("log vault.example+1234abcd+AAAA\nwitness a x\ngroup g 1 a\nquorum g\n")
	f.Add("group auditors any auditors\nquorum auditors\n")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParsePolicy(text); err == nil {
			if again, err := ParsePolicy(text + "\n"); err == nil && (again.RequiresWitnesses() != p.RequiresWitnesses() || again.RequiresAuditors() != p.RequiresAuditors()) {
				t.Fatal("an empty line changes the policy")
			}
		}
	})
}

func FuzzParseSixGroups(f *testing.F) {
	f.Add(SixGroups([32]byte{1}))
	f.Add("00000-00000 00000\n000000000000000")
	f.Fuzz(func(t *testing.T, typed string) {
		if shown, err := ParseSixGroups(typed); err == nil {
			if again, err := ParseSixGroups(shown); err != nil || again != shown {
				t.Fatalf("%q is shown as %q, which is read as %q, %v", typed, shown, again, err)
			}
		}
	})
}
