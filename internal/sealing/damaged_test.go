package sealing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"filippo.io/age"

	"strongroom.example/strongroom/internal/ageheader"
)

// decryptEveryWay returns the error of each way to read a file to its end.
func decryptEveryWay(file []byte, key ItemKey) map[string]error {
	_, stream := Decrypt(io.Discard, bytes.NewReader(file), key)
	r, ranged := OpenAt(bytes.NewReader(file), int64(len(file)), key)
	if ranged == nil {
		_, ranged = io.Copy(io.Discard, r)
	}
	return map[string]error{"stream": stream, "ranged": ranged}
}

func TestDamaged(t *testing.T) {
	key := newKey(t)
	file := evidence(t, key, []byte("thirteen o'clock"))
	head := evidence(t, key, noise(2*ageChunk+100))
	chunks := [3][]byte{head[1643 : 1643+ageChunk+16], head[1643+ageChunk+16 : 1643+2*(ageChunk+16)], head[1643+2*(ageChunk+16):]}
	head = head[:1643]
	refused := func(t *testing.T, file []byte, what string, want ...error) {
		t.Helper()
		for way, err := range decryptEveryWay(file, key) {
			if !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
				t.Fatalf("%s, %s: %v", what, way, err)
			}
		}
	}
	t.Run("flipped", func(t *testing.T) {
		for i := range file {
			changed := bytes.Clone(file)
			changed[i] ^= 1 << (i % 8)
			if i < 1627 {
				refused(t, changed, fmt.Sprint("byte ", i), ErrHeader, ErrNotForYou, ErrDamaged)
			} else {
				refused(t, changed, fmt.Sprint("byte ", i), ErrDamaged)
			}
		}
	})
	t.Run("truncated", func(t *testing.T) {
		for n := range file {
			refused(t, file[:n], fmt.Sprint(n, " bytes"), ErrHeader, ErrDamaged)
		}
	})
	for what, parts := range map[string][][]byte{
		"last chunk missing":     {head, chunks[0], chunks[1]},
		"all but first missing":  {head, chunks[0]},
		"cut inside a chunk":     {head, chunks[0], chunks[1][:99]},
		"first chunk missing":    {head, chunks[1], chunks[2]},
		"chunks swapped":         {head, chunks[1], chunks[0], chunks[2]},
		"chunk twice":            {head, chunks[0], chunks[0], chunks[1], chunks[2]},
		"byte after the end":     {head, chunks[0], chunks[1], chunks[2], {0}},
		"file after the end":     {head, chunks[0], chunks[1], chunks[2], file},
		"flipped in the middle":  {head, chunks[0], flipped(chunks[1]), chunks[2]},
		"payload of another":     {file[:1643], chunks[0], chunks[1], chunks[2]},
		"header of another file": {file[:1627], head[1627:], chunks[0], chunks[1], chunks[2]},
	} {
		t.Run(what, func(t *testing.T) { refused(t, slices.Concat(parts...), what, ErrDamaged) })
	}
	refused(t, slices.Concat([]byte{}, head, chunks[0], chunks[1], chunks[2]), "untouched", nil)
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

func TestWrongKey(t *testing.T) {
	file := evidence(t, newKey(t), []byte("a"))
	for way, err := range decryptEveryWay(file, newKey(t)) {
		if err != ErrNotForYou {
			t.Errorf("%s: %v", way, err)
		}
	}
}

func TestRefusedHeaders(t *testing.T) {
	key := newKey(t)
	classic, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	passphrase, err := age.NewScryptRecipient("p")
	if err != nil {
		t.Fatal(err)
	}
	passphrase.SetWorkFactor(1)
	hybrid := key.id.Recipient()
	for name, test := range map[string]struct {
		file []byte
		want ageheader.Error
	}{
		"X25519":       {stockEncrypt(t, nil, classic.Recipient()), ageheader.ErrStanzaType},
		"scrypt":       {stockEncrypt(t, nil, passphrase), ageheader.ErrStanzaType},
		"mixed":        {stockEncrypt(t, nil, unlabelled{hybrid}, classic.Recipient()), ageheader.ErrTooMany},
		"mixed before": {stockEncrypt(t, nil, classic.Recipient(), unlabelled{hybrid}), ageheader.ErrStanzaType},
		"two":          {stockEncrypt(t, nil, hybrid, newKey(t).id.Recipient()), ageheader.ErrTooMany},
		"grease":       {stockEncrypt(t, nil, unlabelled{hybrid}, grease{}), ageheader.ErrTooMany},
		"armored":      {armored(t, evidence(t, key, nil)), ageheader.ErrArmored},
		"no age file":  {noise(5000), ageheader.ErrNotAge},
		"empty":        {nil, ageheader.ErrTruncated},
	} {
		for way, err := range decryptEveryWay(test.file, key) {
			if !errors.Is(err, ErrHeader) || !errors.Is(err, test.want) {
				t.Errorf("%s, %s: %v", name, way, err)
			}
		}
	}
}

// unlabelled lets age put a hybrid recipient beside a classic one, which it
// otherwise refuses to write, though not to read.
type unlabelled struct{ age.Recipient }

type grease struct{}

func (grease) Wrap([]byte) ([]*age.Stanza, error) {
	return []*age.Stanza{{Type: "x-grease", Args: []string{"5kW"}, Body: []byte("hi")}}, nil
}

func TestHeaderIsThatOfAge(t *testing.T) {
	for n := 1; n <= 5; n++ {
		var to []age.Recipient
		for range n {
			to = append(to, newKey(t).id.Recipient())
		}
		file := stockEncrypt(t, []byte("a"), to...)
		header, err := age.ExtractHeader(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		size, err := ageheader.Check(bytes.NewReader(file), 5)
		if err != nil || size != len(header) || size != ageheader.Size(n) {
			t.Errorf("%d recipients: %d bytes, age says %d: %v", n, size, len(header), err)
		}
	}
}

// FuzzHeader looks for a header that is accepted here and read differently, or
// not at all, by age.
func FuzzHeader(f *testing.F) {
	key := newKey(f)
	f.Add(evidence(f, key, []byte("a")))
	f.Add(stockEncrypt(f, nil, key.id.Recipient(), key.id.Recipient()))
	f.Fuzz(func(t *testing.T, file []byte) {
		size, err := ageheader.Check(bytes.NewReader(file), 3)
		if err != nil {
			return
		}
		header, err := age.ExtractHeader(bytes.NewReader(file))
		if err != nil || !bytes.Equal(header, file[:size]) {
			t.Errorf("age: %d bytes, not %d: %v", len(header), size, err)
		}
	})
}
