package sealing

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const maxIdentityFile = 16 << 10

// workFactor is log2 of the scrypt cost: about a second and 256 MiB. Only tests
// lower it.
var workFactor = 18

// WriteIdentityFile returns an identity at rest: an armored age file, encrypted
// with a passphrase, around what [PlainIdentityFile] returns. Stock age uses it
// with -i, or opens it with -d. An empty passphrase is refused with
// [ErrPassphrase].
func WriteIdentityFile(id Identity, passphrase string) ([]byte, error) {
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, ErrPassphrase
	}
	to.SetWorkFactor(workFactor)
	var file bytes.Buffer
	a := armor.NewWriter(&file)
	w, err := age.Encrypt(a, to)
	if err == nil {
		_, err = w.Write(PlainIdentityFile(id))
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = a.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("sealing: write identity: %w", err)
	}
	return file.Bytes(), nil
}

// PlainIdentityFile returns an identity in the form of age-keygen, not
// encrypted: whoever reads it is that person.
func PlainIdentityFile(id Identity) []byte {
	return fmt.Appendf(nil, "# public key: %s\n%s\n", id.Recipient(), id.id)
}

// ReadIdentityFile reads an identity file of at most 16 KiB, of this package or
// of stock age: plain, or encrypted with a passphrase, armored or not. It must
// hold exactly one identity; empty lines and lines that begin with # are
// skipped. The passphrase is used only when the file asks for it; without one
// the answer is [ErrPassphrase], on which the caller may prompt. Further errors:
// [ErrKey], [ErrClassicKey], [ErrContent], [ErrDamaged], [ErrTooLarge].
func ReadIdentityFile(file []byte, passphrase string) (Identity, error) {
	if len(file) > maxIdentityFile {
		return Identity{}, ErrTooLarge
	}
	switch {
	case bytes.HasPrefix(file, []byte(armor.Header)):
		return unlock(armor.NewReader(bytes.NewReader(file)), passphrase)
	case bytes.HasPrefix(file, []byte("age-encryption.org/")):
		return unlock(bytes.NewReader(file), passphrase)
	}
	return parseIdentityFile(file)
}

func unlock(file io.Reader, passphrase string) (Identity, error) {
	key, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return Identity{}, ErrPassphrase
	}
	r, err := age.Decrypt(file, key)
	if errors.Is(err, age.ErrIncorrectIdentity) {
		return Identity{}, ErrPassphrase
	}
	if err != nil {
		return Identity{}, ErrDamaged
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return Identity{}, ErrDamaged
	}
	return parseIdentityFile(text)
}

func parseIdentityFile(text []byte) (Identity, error) {
	var key string
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "", strings.HasPrefix(line, "#"):
		case key != "":
			return Identity{}, ErrContent
		default:
			key = line
		}
	}
	if key == "" {
		return Identity{}, ErrContent
	}
	return ParseIdentity(key)
}
