package sealing

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"strongroom.example/strongroom/internal/ageheader"
)

func armored(t testing.TB, file []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := armor.NewWriter(&b)
	w.Write(file)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var texts = []string{
	"", " ", "\n", "a", "ends in spaces   ", "ends in lines\n\n", "   \n  \n ", "ألم في الكتف", "a\x00b",
	strings.Repeat("x", 387), strings.Repeat("x", 388), strings.Repeat("x", 389), strings.Repeat("ж", 1500),
}

func TestText(t *testing.T) {
	key := newKey(t)
	for _, text := range texts {
		note, err := SealNote(text, key.Recipient())
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got, err := OpenNote(note, key); err != nil || got != text {
			t.Errorf("note %q: %q, %v", text, got, err)
		}
		label, err := SealLabel(text, key.Recipient())
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if got, err := OpenLabel(label, key); err != nil || got != text {
			t.Errorf("label %q: %q, %v", text, got, err)
		}
		if len(note)%512 != 0 || len(label)%512 != 0 || len(note) > 2048+len(text)/512*512+512 {
			t.Errorf("%q: note of %d, label of %d bytes", text, len(note), len(label))
		}
		plain, err := stockDecrypt(note, key.id)
		if err != nil || strings.TrimRight(string(plain), " ") != text+"\n" {
			t.Errorf("stock age: %q, %v", plain, err)
		}
	}
}

func TestShortTextsLookAlike(t *testing.T) {
	key := newKey(t)
	for _, n := range []int{0, 1, 388} {
		if note, err := SealNote(strings.Repeat("x", n), key.Recipient()); err != nil || len(note) != 2048 {
			t.Errorf("%d: %d bytes, %v", n, len(note), err)
		}
	}
}

func TestNoteForMany(t *testing.T) {
	court, other := newIdentity(t), newIdentity(t)
	var to []string
	for len(to) < MaxNoteRecipients-2 {
		to = append(to, other.Recipient())
	}
	keyholder := newIdentity(t)
	to = append(to, keyholder.Recipient(), court.Recipient())
	note, err := SealNote("reason", to...)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []Identity{court, keyholder, other} {
		if got, err := OpenNote(note, id); err != nil || got != "reason" {
			t.Errorf("%q, %v", got, err)
		}
	}
	if _, err := OpenNote(note, newIdentity(t)); err != ErrNotForYou {
		t.Error(err)
	}
	if _, err := SealNote("reason", append(to, other.Recipient())...); err != ErrTooLarge {
		t.Errorf("one recipient too many: %v", err)
	}
	if _, err := SealNote("reason"); err == nil {
		t.Error("a note to nobody")
	}
}

func TestTextLimits(t *testing.T) {
	key := newKey(t)
	most := MaxNote - overhead - 1
	note, err := SealNote(strings.Repeat("x", most), key.Recipient())
	if err != nil || len(note) != MaxNote {
		t.Fatalf("%d bytes, %v", len(note), err)
	}
	if _, err := OpenNote(note, key); err != nil {
		t.Error(err)
	}
	if _, err := OpenNote(append(note, 0), key); err != ErrTooLarge {
		t.Error(err)
	}
	if _, err := SealNote(strings.Repeat("x", most+1), key.Recipient()); err != ErrTooLarge {
		t.Error(err)
	}
	if _, err := SealLabel(strings.Repeat("x", MaxLabel-overhead), key.Recipient()); err != ErrTooLarge {
		t.Error(err)
	}
	if _, err := SealNote("\xff", key.Recipient()); err != ErrContent {
		t.Error(err)
	}
}

func TestTextContent(t *testing.T) {
	key := newKey(t)
	fit := func(text string) string {
		return text + strings.Repeat(" ", fill(fileSize(len(text), 1), textMultiple))
	}
	for name, test := range map[string]struct {
		plaintext string
		want      error
	}{
		"as written":         {fit("a\n"), nil},
		"not padded":         {"a\n", ErrContent},
		"padded once more":   {fit("a\n") + strings.Repeat(" ", 512), ErrContent},
		"no line feed":       {fit("a"), ErrContent},
		"nothing but spaces": {fit(""), ErrContent},
		"padded with zeros":  {strings.ReplaceAll(fit("a\n"), " ", "\x00"), ErrContent},
		"padded with lines":  {strings.ReplaceAll(fit("a\n"), " ", "\n"), nil}, // text that ends in many lines
		"not UTF-8":          {fit("\xff\n"), ErrContent},
		"empty":              {"", ErrContent},
	} {
		file := evidence(t, key, []byte(test.plaintext))
		if _, err := OpenNote(file, key); err != test.want {
			t.Errorf("note %s: %v", name, err)
		}
		if _, err := OpenLabel(file, key); err != test.want {
			t.Errorf("label %s: %v", name, err)
		}
	}
}

func TestDescription(t *testing.T) {
	key := newKey(t)
	for _, n := range []int{0, 1, 4096 - 9, 4096 - 8, 4096 - 7, 70000, 500000} {
		object := []byte(`{"name":"` + strings.Repeat("x", n) + `"}`)
		file, err := SealDescription(object, key.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := OpenDescription(file, key); err != nil || !bytes.Equal(got, object) {
			t.Errorf("%d: %d bytes, %v", n, len(got), err)
		}
		plain, err := stockDecrypt(file, key.id)
		if err != nil || len(plain)%4096 != 0 || len(plain) >= len(object)+4096 {
			t.Errorf("stock age: %d bytes, %v", len(plain), err)
		}
		for i := range object {
			if object[i] == ' ' {
				t.Fatal("seal changed its input")
			}
		}
	}
	for _, object := range []string{"", "{}\n", " {}", "{} ", "[]", `""`, "{", `{"a":}`, "{\"a\":\"\xff\"}", "{}{}"} {
		if _, err := SealDescription([]byte(object), key.Recipient()); err != ErrContent {
			t.Errorf("sealed %q: %v", object, err)
		}
		plaintext := object + strings.Repeat(" ", fill(len(object), 4096))
		_, err := OpenDescription(evidence(t, key, []byte(plaintext)), key)
		if object == "{} " { // the same as an object and its padding
			if err != nil {
				t.Error(err)
			}
		} else if err != ErrContent {
			t.Errorf("opened %q: %v", object, err)
		}
	}
	for _, spaces := range []int{0, 4093, 4095, 2*4096 - 2} {
		if _, err := OpenDescription(evidence(t, key, []byte("{}"+strings.Repeat(" ", spaces))), key); err != ErrContent {
			t.Errorf("padding of %d: %v", spaces, err)
		}
	}
	large := []byte(`{"a":"` + strings.Repeat("x", MaxDescription) + `"}`)
	if _, err := SealDescription(large, key.Recipient()); err != ErrTooLarge {
		t.Error(err)
	}
	// The tags of the chunks count too.
	large = []byte(`{"a":"` + strings.Repeat("x", MaxDescription-overhead-100) + `"}`)
	if _, err := SealDescription(large, key.Recipient()); err != ErrTooLarge {
		t.Error(err)
	}
}

// One for many functions: each opener refuses what is not its own.
func TestSmallFilesDamaged(t *testing.T) {
	key, me := newKey(t), newIdentity(t)
	note, err := SealNote("a", key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	label, err := SealLabel("a", key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	description, err := SealDescription([]byte("{}"), key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := WriteEnvelope(key, me.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		file []byte
		open func([]byte) error
	}{
		"note":        {note, func(b []byte) error { _, err := OpenNote(b, key); return err }},
		"label":       {label, func(b []byte) error { _, err := OpenLabel(b, key); return err }},
		"description": {description, func(b []byte) error { _, err := OpenDescription(b, key); return err }},
		"envelope":    {envelope, func(b []byte) error { _, err := OpenEnvelope(b, me, key.Recipient()); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			if err := test.open(test.file); err != nil {
				t.Fatal(err)
			}
			for i := 0; i < len(test.file); i += 23 {
				changed := bytes.Clone(test.file)
				changed[i] ^= 0x10
				err := test.open(changed)
				if i < 1627 && !errors.Is(err, ErrHeader) && err != ErrNotForYou && err != ErrDamaged || i >= 1627 && err != ErrDamaged {
					t.Fatalf("byte %d: %v", i, err)
				}
				if err := test.open(test.file[:i]); !errors.Is(err, ErrHeader) && err != ErrDamaged {
					t.Fatalf("%d bytes: %v", i, err)
				}
			}
			if err := test.open(append(bytes.Clone(test.file), 0)); err != ErrDamaged {
				t.Errorf("one byte more: %v", err)
			}
			if err := test.open(armored(t, test.file)); !errors.Is(err, ageheader.ErrArmored) {
				t.Errorf("armored: %v", err)
			}
		})
	}
	two := stockEncrypt(t, []byte("{}"), key.id.Recipient(), me.id.Recipient())
	if _, err := OpenDescription(two, key); !errors.Is(err, ageheader.ErrTooMany) {
		t.Error(err)
	}
	if _, err := OpenLabel(two, key); !errors.Is(err, ageheader.ErrTooMany) {
		t.Error(err)
	}
	if _, err := OpenEnvelope(two, me, key.Recipient()); !errors.Is(err, ageheader.ErrTooMany) {
		t.Error(err)
	}
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	mixed := stockEncrypt(t, []byte("a\n"), unlabelled{key.id.Recipient()}, classic.Recipient())
	if _, err := OpenNote(mixed, key); !errors.Is(err, ageheader.ErrStanzaType) {
		t.Error(err)
	}
	if _, err := SealNote("a", key.Recipient(), classic.Recipient().String()); err != ErrClassicKey {
		t.Error(err)
	}
}
