package sealing

import (
	"strings"
	"testing"
)

func TestCard(t *testing.T) {
	card := NewCard()
	code := card.Code()
	if len(code) != 9*4+8 || NewCard() == card {
		t.Fatal(len(code))
	}
	for _, typed := range []string{
		code, strings.ToLower(code), strings.ReplaceAll(code, "-", ""), strings.ReplaceAll(code, "-", " "),
		"  " + strings.ReplaceAll(code, "-", " - ") + " ", strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(code),
	} {
		if got, err := ParseCard(typed); err != nil || got != card {
			t.Errorf("%v", err)
		}
	}
	for _, typed := range []string{
		"", "-", code[:39], code + "A", code + "-AAAA", strings.ReplaceAll(code, "-", "\n"), strings.ReplaceAll(code, "-", "_"),
		strings.Repeat("=", 36), strings.Repeat(" ", 10000) + code, code[:5] + "9" + code[6:],
	} {
		if _, err := ParseCard(typed); err != ErrCard {
			t.Errorf("%q: %v", typed, err)
		}
	}
	// One mistyped character, or two neighbours exchanged.
	for i := range code {
		if code[i] == '-' {
			continue
		}
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" {
			if typed := code[:i] + string(c) + code[i+1:]; typed != code {
				if got, err := ParseCard(typed); err == nil && got == card {
					t.Fatalf("character %d may be %c", i, c)
				}
			}
		}
	}
}

// The check group is 20 bits: of all single errors on one fixed card none passes.
func TestCardCatchesTypingErrors(t *testing.T) {
	code := Card{code: [20]byte{1, 2, 3}}.Code()
	for i := range code {
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" {
			typed := code[:i] + string(c) + code[i+1:]
			if code[i] == '-' || typed == code {
				continue
			}
			if _, err := ParseCard(typed); err != ErrCard {
				t.Errorf("character %d as %c: %v", i, c, err)
			}
		}
	}
}

func TestCardKeys(t *testing.T) {
	card := NewCard()
	id, key, err := card.Keys("vault.example")
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseCard(card.Code())
	if err != nil {
		t.Fatal(err)
	}
	id2, key2, err := again.Keys("vault.example")
	if err != nil || id2.id.String() != id.id.String() || !key2.Equal(key) {
		t.Error("other keys at the second time", err)
	}
	for _, c := range []struct {
		Card
		origin string
	}{{card, "vault.example2"}, {NewCard(), "vault.example"}} {
		id2, key2, err := c.Keys(c.origin)
		if err != nil || id2.id.String() == id.id.String() || key2.Equal(key) {
			t.Error("the same keys elsewhere", err)
		}
	}
	envelope, err := WriteEnvelope(newKey(t), id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stockDecrypt(envelope, id.id); err != nil {
		t.Error(err)
	}
}

func FuzzParseCard(f *testing.F) {
	f.Add(Card{}.Code())
	f.Add(strings.ToLower(Card{code: [20]byte{9}}.text()))
	f.Fuzz(func(t *testing.T, s string) {
		card, err := ParseCard(s)
		if err != nil {
			return
		}
		if again, err := ParseCard(card.Code()); err != nil || again != card {
			t.Error(err)
		}
	})
}
