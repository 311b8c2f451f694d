package tlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestEarlierPolicies: a checkpoint that met the quorum of its time still has
// it, and one that was cosigned later by those of then has none.
func TestEarlierPolicies(t *testing.T) {
	_, trust := goodReceipt(t)
	_, log := newECDSA(t)
	cp := Checkpoint{testOrigin, 7, Hash{1}}
	bare, err := SignCheckpoint(cp, log)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c, d := newCosigner(t, "a"), newMLDSACosigner(t, "b"), newCosigner(t, "c"), newCosigner(t, "d")
	end := cosignedAt.Add(time.Hour)
	at, late := uint64(end.Unix()), uint64(end.Unix())+1 // the last second that counts, and the first that does not
	both := a.rule() + b.rule() + "group ab all a b\nquorum ab\n"
	audited := a.rule() + d.rule() + "group auditors 1 d\nquorum a\n"
	for name, test := range map[string]struct {
		now             string
		earlier         []string // the second ends an hour after the first
		lines           string
		by              string
		quorum, audited bool
	}{
		"in time":                            {c.rule() + "quorum c\n", []string{both}, a.line(t, cp, at) + b.line(t, cp, at), "ab", true, true},
		"too late":                           {c.rule() + "quorum c\n", []string{both}, a.line(t, cp, late) + b.line(t, cp, late), "", false, true},
		"one too late":                       {c.rule() + "quorum c\n", []string{both}, a.line(t, cp, at) + b.line(t, cp, late), "a", false, true},
		"one of two":                         {c.rule() + "quorum c\n", []string{both}, b.line(t, cp, at), "b", false, true},
		"nobody":                             {c.rule() + "quorum c\n", []string{both}, "", "", false, true},
		"the policy in force":                {c.rule() + "quorum c\n", []string{both}, c.line(t, cp, late), "c", true, true},
		"half of each":                       {a.rule() + c.rule() + "group ac all a c\nquorum ac\n", []string{both}, b.line(t, cp, at) + c.line(t, cp, at), "cb", false, true},
		"one that stays, later":              {a.rule() + "quorum a\n", []string{both}, a.line(t, cp, late) + b.line(t, cp, late), "a", true, true},
		"the second of two":                  {c.rule() + "quorum c\n", []string{both, a.rule() + "quorum a\n"}, a.line(t, cp, late), "a", true, true},
		"the first of two, too late":         {c.rule() + "quorum c\n", []string{a.rule() + "quorum a\n", both}, a.line(t, cp, late), "a", false, true},
		"asked for nobody":                   {c.rule() + "quorum c\n", []string{""}, "", "", false, true},
		"asked for nobody, named somebody":   {c.rule() + "quorum c\n", []string{a.rule() + "quorum none\n"}, a.line(t, cp, at), "a", false, true},
		"asks for nobody now":                {"", []string{both}, "", "", true, true},
		"auditors that nobody was":           {audited, []string{audited}, "", "", false, false},
		"an earlier auditor":                 {c.rule() + "group auditors 1 c\nquorum none\n", []string{audited}, d.line(t, cp, at), "D", true, true},
		"an earlier auditor, too late":       {c.rule() + "group auditors 1 c\nquorum none\n", []string{audited}, d.line(t, cp, late), "", true, false},
		"no auditor was there":               {audited, []string{a.rule() + "quorum a\n"}, a.line(t, cp, at), "a", true, false},
		"an auditor then, a witness now":     {d.rule() + "quorum d\n", []string{audited}, d.line(t, cp, late), "D", true, true},
		"a witness then, an auditor now":     {audited, []string{d.rule() + "quorum d\n"}, d.line(t, cp, at), "D", true, true},
		"a name that went to another's name": {newCosigner(t, "a").rule() + "quorum a\n", []string{a.rule() + "quorum a\n"}, a.line(t, cp, at), "a", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := trust.parts
			p.WitnessPolicy = test.now
			for i, text := range test.earlier {
				p.EarlierPolicies = append(p.EarlierPolicies, EarlierPolicy{text, end.Add(time.Duration(i) * time.Hour)})
			}
			trust, err := NewTrust(p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := trust.Cosigned(append(bytes.Clone(bare), test.lines...))
			if err != nil {
				t.Fatal(err)
			}
			by := ""
			for _, c := range got.By {
				if c.Witness.Auditor {
					c.Witness.Name = strings.ToUpper(c.Witness.Name)
				}
				by += c.Witness.Name
			}
			if by != test.by || got.Quorum != test.quorum || got.Audited != test.audited {
				t.Fatalf("by %q, quorum %v, audited %v", by, got.Quorum, got.Audited)
			}
			// The policy in force alone is what the log is asked for.
			alone, err := trust.Policy().Cosigned(append(bytes.Clone(bare), test.lines...))
			if err != nil || alone.Quorum && !got.Quorum || alone.Audited && !got.Audited || len(alone.By) > len(got.By) {
				t.Fatalf("%+v, %v", alone, err)
			}
		})
	}
}

// TestEarlierPolicyRefuses: a wrong line of a key of any policy is wrong,
// whenever it claims to have been made.
func TestEarlierPolicyRefuses(t *testing.T) {
	_, trust := goodReceipt(t)
	_, log := newECDSA(t)
	cp, other := Checkpoint{testOrigin, 7, Hash{1}}, Checkpoint{testOrigin, 8, Hash{1}}
	bare, err := SignCheckpoint(cp, log)
	if err != nil {
		t.Fatal(err)
	}
	a, c := newCosigner(t, "a"), newCosigner(t, "c")
	p := trust.parts
	p.WitnessPolicy, p.EarlierPolicies = c.rule()+"quorum none\n", []EarlierPolicy{{a.rule() + "quorum none\n", cosignedAt}}
	if trust, err = NewTrust(p); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{cosignedAt, cosignedAt.Add(time.Hour)} {
		signed := append(bytes.Clone(bare), a.line(t, other, uint64(at.Unix()))...)
		if got, err := trust.Cosigned(signed); !errors.Is(err, ErrCosignature) || got.By != nil || got.Quorum {
			t.Errorf("%v: %+v, %v", at, got, err)
		}
	}
	if _, err := trust.Cosigned(bare[:len(bare)-1]); !errors.Is(err, ErrMalformed) {
		t.Errorf("no note: %v", err)
	}
}

// TestEarlierLogKey: the ML-DSA-44 key that the log had under an earlier policy
// is a key of the log, once.
func TestEarlierLogKey(t *testing.T) {
	_, trust := goodReceipt(t)
	p := trust.parts
	key, log := newECDSA(t)
	p.Logs, p.Vault = []Log{{Key: &key.PublicKey, Valid: p.Logs[0].Valid}}, testOrigin
	own, next := newMLDSACosigner(t, testOrigin), newMLDSACosigner(t, testOrigin)
	rule := func(c cosigner) string { return "log " + c.vkey + "\nquorum none\n" }
	p.WitnessPolicy = rule(next)
	p.EarlierPolicies = []EarlierPolicy{{rule(own), cosignedAt}, {"", cosignedAt}, {rule(own), cosignedAt.Add(time.Hour)}, {rule(next), cosignedAt.Add(time.Hour)}}
	trust, err := NewTrust(p)
	if err != nil {
		t.Fatal(err)
	}
	cp, other := Checkpoint{testOrigin, 7, Hash{1}}, Checkpoint{testOrigin, 8, Hash{1}}
	signed, err := SignCheckpoint(cp, log)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]cosigner{"of then": own, "of now": next} {
		if _, err := OpenCheckpoint(append(bytes.Clone(signed), c.line(t, cp, 1)...), trust.LogKeys()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := OpenCheckpoint(append(bytes.Clone(signed), c.line(t, other, 1)...), trust.LogKeys()); !errors.Is(err, ErrSignature) {
			t.Errorf("%s, wrong: %v", name, err)
		}
	}
}

// TestEarlierPolicyKeys: two keys that one line could be of are refused, in
// whichever policies they stand.
func TestEarlierPolicyKeys(t *testing.T) {
	_, trust := goodReceipt(t)
	seen := make(map[[4]byte]string)
	var twins []string // two keys of one name and key id
	for n := uint64(0); twins == nil; n++ {
		typed := append([]byte{4}, binary.BigEndian.AppendUint64(make([]byte, 24), n)...)
		sum := sha256.Sum256(slices.Concat([]byte("w\n"), typed))
		id := [4]byte(sum[:4])
		key := base64.StdEncoding.EncodeToString(typed)
		if before, there := seen[id]; there {
			twins = []string{before, key}
			for i, k := range twins {
				twins[i] = fmt.Sprintf("witness w w+%x+%s https://w.example\nquorum none\n", id, k)
			}
		}
		seen[id] = key
	}
	for name, texts := range map[string][]string{"now and then": {twins[0], twins[1]}, "then and then": {"", twins[0], twins[1]}} {
		p := trust.parts
		p.WitnessPolicy = texts[0]
		for _, text := range texts[1:] {
			p.EarlierPolicies = append(p.EarlierPolicies, EarlierPolicy{text, cosignedAt})
		}
		if _, err := NewTrust(p); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		for i := range p.EarlierPolicies {
			p.EarlierPolicies[i].Policy = twins[0]
		}
		p.WitnessPolicy = twins[0]
		if _, err := NewTrust(p); err != nil {
			t.Errorf("%s, one key: %v", name, err)
		}
	}
}
