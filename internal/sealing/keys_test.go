package sealing

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/armor"

	"strongroom.example/strongroom/internal/ageheader"
)

func TestMain(m *testing.M) {
	workFactor = 4
	os.Exit(m.Run())
}

func TestEnvelope(t *testing.T) {
	key, other, me := newKey(t), newKey(t), newIdentity(t)
	envelope, err := WriteEnvelope(key, me.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if len(envelope) != 1737 {
		t.Errorf("%d bytes", len(envelope))
	}
	got, err := OpenEnvelope(envelope, me, key.Recipient())
	if err != nil || got.id.String() != key.id.String() {
		t.Fatal(err)
	}
	if _, err := OpenEnvelope(envelope, newIdentity(t), key.Recipient()); err != ErrNotForYou {
		t.Error(err)
	}
	for _, want := range []string{other.Recipient(), me.Recipient(), "", strings.ToUpper(key.Recipient())} {
		if _, err := OpenEnvelope(envelope, me, want); err != ErrForeignEnvelope {
			t.Error(err)
		}
	}
	// What a court does with stock age.
	plain, err := stockDecrypt(envelope, me.id)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(plain))
	if err != nil || len(ids) != 1 {
		t.Fatal(err)
	}
	if b, err := stockDecrypt(evidence(t, key, []byte("x")), ids[0]); err != nil || string(b) != "x" {
		t.Error(err)
	}
}

func TestEnvelopeContent(t *testing.T) {
	key, me := newKey(t), newIdentity(t)
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	line := key.id.String()
	for _, plaintext := range []string{
		"", "\n", line, line + "\n\n", line + "\r\n", line + "\n ", "# key\n" + line + "\n", " " + line + "\n",
		line + "\n" + line + "\n", strings.ToLower(line) + "\n", line[:76] + "\n", classic.String() + "\n",
		key.Recipient() + "\n",
	} {
		file := evidence(t, me, []byte(plaintext))
		if _, err := OpenEnvelope(file, me, key.Recipient()); err != ErrContent {
			t.Errorf("%.20q…: %v", plaintext, err)
		}
	}
	if _, err := OpenEnvelope(evidence(t, me, make([]byte, MaxEnvelope)), me, key.Recipient()); err != ErrTooLarge {
		t.Error(err)
	}
	if _, err := OpenEnvelope(stockEncrypt(t, []byte(line+"\n"), classic.Recipient()), me, key.Recipient()); !errors.Is(err, ageheader.ErrStanzaType) {
		t.Error(err)
	}
	if _, err := WriteEnvelope(key, classic.Recipient().String()); err != ErrClassicKey {
		t.Error(err)
	}
}

func TestRecipients(t *testing.T) {
	good := newKey(t).Recipient()
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if len(good) != 1959 {
		t.Errorf("%d characters", len(good))
	}
	swapped := []byte(good)
	swapped[100], swapped[101] = 'q', 'q'
	for s, want := range map[string]error{
		good:                         nil,
		"":                           ErrKey,
		strings.ToUpper(good):        ErrKey,
		good + "\n":                  ErrKey,
		" " + good:                   ErrKey,
		good[:len(good)-1]:           ErrKey,
		good[:len(good)-1] + "qp":    ErrKey,
		string(swapped):              ErrKey,
		"age1tagpq1" + good[8:]:      ErrKey,
		classic.Recipient().String(): ErrClassicKey,
		newIdentity(t).id.String():   ErrKey,
		"ssh-ed25519 AAAAC3Nz":       ErrKey,
	} {
		err := CheckRecipient(s)
		if err != want {
			t.Errorf("%.20q…: %v", s, err)
		}
	}
}

func TestIdentities(t *testing.T) {
	id := newIdentity(t)
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	line := id.id.String()
	for s, want := range map[string]error{
		line:                  nil,
		"":                    ErrKey,
		strings.ToLower(line): ErrKey,
		line + " ":            ErrKey,
		line[:76]:             ErrKey,
		classic.String():      ErrClassicKey,
		id.Recipient():        ErrKey,
	} {
		if _, err := ParseIdentity(s); err != want {
			t.Errorf("identity %.20q…: %v", s, err)
		}
		if _, err := ParseItemKey(s); err != want {
			t.Errorf("item key %.20q…: %v", s, err)
		}
	}
}

// A key that is printed by mistake shows nothing.
func TestKeysDoNotPrint(t *testing.T) {
	key, id, card := newKey(t), newIdentity(t), NewCard()
	secrets := []string{
		key.id.String()[19:40], id.id.String()[19:40],
		card.Code()[:9], fmt.Sprintf("%X", card.code[:4]), strings.Trim(fmt.Sprint(card.code[:4]), "[]"),
	}
	for _, v := range []any{key, id, &key, &id, card, &card} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
			text := strings.ToUpper(fmt.Sprintf(verb, v))
			for _, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%s of %T shows a secret", verb, v)
				}
			}
		}
	}
}

func TestIdentityFile(t *testing.T) {
	id := newIdentity(t)
	file, err := WriteIdentityFile(id, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadIdentityFile(file, "correct horse")
	if err != nil || got.Recipient() != id.Recipient() {
		t.Fatal(err)
	}
	for _, p := range []string{"", "wrong", "Correct horse"} {
		if _, err := ReadIdentityFile(file, p); err != ErrPassphrase {
			t.Errorf("passphrase %q: %v", p, err)
		}
	}
	if _, err := WriteIdentityFile(id, ""); err != ErrPassphrase {
		t.Error(err)
	}
	for i := 40; i < len(file); i += 29 {
		changed := bytes.Clone(file)
		changed[i] ^= 1
		if got, err := ReadIdentityFile(changed, "correct horse"); err == nil && got.Recipient() != id.Recipient() {
			t.Fatalf("byte %d: another identity", i)
		}
		if _, err := ReadIdentityFile(file[:i], "correct horse"); err == nil && i < len(file)-2 {
			t.Fatalf("%d bytes: no error", i)
		}
	}

	// Stock age opens it and finds what age-keygen writes.
	key, err := age.NewScryptIdentity("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(file)), key)
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := age.ParseIdentities(r); err != nil || len(ids) != 1 {
		t.Errorf("%d identities, %v", len(ids), err)
	}
}

func TestIdentityFileForms(t *testing.T) {
	id := newIdentity(t)
	line := id.id.String()
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	pass, err := age.NewScryptRecipient("p")
	if err != nil {
		t.Fatal(err)
	}
	pass.SetWorkFactor(4)
	locked := stockEncrypt(t, []byte("# created: 2026-01-01T00:00:00Z\n"+line+"\n"), pass)
	huge, err := age.NewScryptRecipient("p")
	if err != nil {
		t.Fatal(err)
	}
	huge.SetWorkFactor(4)
	costly := bytes.Replace(stockEncrypt(t, []byte(line), huge), []byte(" 4\n"), []byte(" 30\n"), 1)
	for name, test := range map[string]struct {
		file string
		want error
	}{
		"ours":               {string(PlainIdentityFile(id)), nil},
		"age-keygen":         {"# created: 2026-01-01T00:00:00Z\n# public key: " + id.Recipient() + "\n" + line + "\n", nil},
		"line alone":         {line, nil},
		"Windows lines":      {"# a\r\n\r\n" + line + "\r\n", nil},
		"locked, binary":     {string(locked), nil},
		"locked, armored":    {string(armored(t, locked)), nil},
		"empty":              {"", ErrContent},
		"comments alone":     {"# a\n\n", ErrContent},
		"two":                {line + "\n" + line + "\n", ErrContent},
		"classic":            {classic.String() + "\n", ErrClassicKey},
		"classic, locked":    {string(stockEncrypt(t, []byte(classic.String()), pass)), ErrClassicKey},
		"recipient":          {id.Recipient() + "\n", ErrKey},
		"indented":           {" " + line + "\n", ErrKey},
		"prose":              {"hello\n", ErrKey},
		"locked, cut":        {string(locked[:len(locked)-1]), ErrDamaged},
		"locked, lengthened": {string(locked) + "x", ErrDamaged},
		"costly":             {string(costly), ErrDamaged},
		"large":              {strings.Repeat("#\n", maxIdentityFile), ErrTooLarge},
	} {
		got, err := ReadIdentityFile([]byte(test.file), "p")
		if err != test.want || err == nil && got.Recipient() != id.Recipient() {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzReadIdentityFile(f *testing.F) {
	id := newIdentity(f)
	f.Add(PlainIdentityFile(id))
	f.Add([]byte("# a\n\n" + id.id.String()))
	f.Add([]byte("age-encryption.org/v1\n-> scrypt AAAAAAAAAAAAAAAAAAAAAA 4\n"))
	f.Add([]byte(armor.Header + "\nYWdl\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		// No passphrase: scrypt at the cost the file names would stop the fuzzer.
		if id, err := ReadIdentityFile(file, ""); err == nil {
			again, err := ReadIdentityFile(PlainIdentityFile(id), "")
			if err != nil || again.Recipient() != id.Recipient() {
				t.Error(err)
			}
			if !bytes.Contains(file, []byte(id.id.String())) {
				t.Error("an identity that the file does not spell")
			}
		}
	})
}

func FuzzCheckRecipient(f *testing.F) {
	f.Add(newIdentity(f).Recipient())
	f.Fuzz(func(t *testing.T, s string) {
		if r, err := parseRecipient(s); err == nil && r.String() != s {
			t.Error("accepted another spelling")
		}
	})
}
