package sealing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"filippo.io/age"

	"strongroom.example/strongroom/internal/ageheader"
)

// Limits of the age files that are read as a whole, in bytes (FORMATS §1).
const (
	MaxEnvelope    = 16 << 10
	MaxLabel       = 8 << 10
	MaxNote        = 64 << 10
	MaxDescription = 1 << 20
)

const (
	textMultiple        = 512  // of the size of a note or label
	descriptionMultiple = 4096 // of the size of a description's plaintext
)

// MaxNoteRecipients is how many recipients a note may have: enough for a case's
// keyholders, and 3 KiB of its limit are left for the text.
const MaxNoteRecipients = 40

// SealNote encrypts the text of a note (FORMATS §3) to its audience: one to
// [MaxNoteRecipients] recipients. The text is UTF-8. Errors: [ErrKey],
// [ErrClassicKey], [ErrContent], [ErrTooLarge].
func SealNote(text string, recipients ...string) ([]byte, error) {
	return sealText(text, MaxNote, recipients)
}

// OpenNote returns the text of a note. Errors: [ErrHeader], [ErrNotForYou],
// [ErrDamaged], [ErrContent], [ErrTooLarge].
func OpenNote(file []byte, key Key) (string, error) {
	return openText(file, key, MaxNoteRecipients, MaxNote)
}

// SealLabel encrypts what a list shows of an item (FORMATS §8) to the label key
// of its case. Errors as for [SealNote].
func SealLabel(label, recipient string) ([]byte, error) {
	return sealText(label, MaxLabel, []string{recipient})
}

// OpenLabel returns a label. Errors as for [OpenNote].
func OpenLabel(file []byte, caseKey ItemKey) (string, error) {
	return openText(file, caseKey, 1, MaxLabel)
}

// SealDescription encrypts a description, one JSON object without white space
// around it, to the recipient of its item (FORMATS §8). Errors as for [SealNote].
func SealDescription(object []byte, recipient string) ([]byte, error) {
	if !isObject(object) {
		return nil, ErrContent
	}
	plaintext := pad(object, fill(len(object), descriptionMultiple))
	return seal(plaintext, MaxDescription, []string{recipient})
}

// OpenDescription returns the JSON object of a description; whether it is
// canonical and what it says is for the caller to check. Errors as for [OpenNote].
func OpenDescription(file []byte, key ItemKey) ([]byte, error) {
	plaintext, err := open(file, key, 1, MaxDescription)
	if err != nil {
		return nil, err
	}
	object := bytes.TrimRight(plaintext, " ")
	if len(plaintext)-len(object) != fill(len(object), descriptionMultiple) || !isObject(object) {
		return nil, ErrContent
	}
	return object, nil
}

func isObject(b []byte) bool {
	return len(b) >= 2 && b[0] == '{' && b[len(b)-1] == '}' && utf8.Valid(b) && json.Valid(b)
}

func sealText(text string, limit int, recipients []string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, ErrContent
	}
	line := text + "\n"
	plaintext := pad([]byte(line), fill(fileSize(len(line), len(recipients)), textMultiple))
	return seal(plaintext, limit, recipients)
}

func openText(file []byte, key Key, most, limit int) (string, error) {
	plaintext, err := open(file, key, most, limit)
	if err != nil {
		return "", err
	}
	line := bytes.TrimRight(plaintext, " ")
	text, ended := bytes.CutSuffix(line, []byte("\n"))
	padded := len(plaintext) - len(line)
	if !ended || padded >= textMultiple || len(file)%textMultiple != 0 || !utf8.Valid(text) {
		return "", ErrContent
	}
	return string(text), nil
}

// fill is how much is missing from size to the next multiple.
func fill(size, multiple int) int { return (multiple - size%multiple) % multiple }

func pad(b []byte, spaces int) []byte {
	return append(b[:len(b):len(b)], bytes.Repeat([]byte(" "), spaces)...)
}

// fileSize is the size of an age file with one chunk of plaintext, that is at
// most 64 KiB.
func fileSize(plaintext, recipients int) int {
	return ageheader.Size(recipients) + ageheader.Payload + plaintext
}

// seal makes a whole age file of at most limit bytes.
func seal(plaintext []byte, limit int, recipients []string) ([]byte, error) {
	var to []age.Recipient
	for _, s := range recipients {
		r, err := parseRecipient(s)
		if err != nil {
			return nil, err
		}
		to = append(to, r)
	}
	if len(to) > MaxNoteRecipients {
		return nil, ErrTooLarge
	}
	var file bytes.Buffer
	w, err := age.Encrypt(&file, to...)
	if err == nil {
		_, err = w.Write(plaintext)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("sealing: encrypt: %w", err)
	}
	if file.Len() > limit {
		return nil, ErrTooLarge
	}
	return file.Bytes(), nil
}

// open decrypts a whole age file of at most limit bytes, for one to most
// recipients.
func open(file []byte, key Key, most, limit int) ([]byte, error) {
	if len(file) > limit {
		return nil, ErrTooLarge
	}
	r, err := decrypt(bytes.NewReader(file), key, most)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
