package keys

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen gives a vault anything for a key file: it panics at nothing, and what it opens without a passphrase is written the same again,
// and signs.
func FuzzOpen(f *testing.F) {
	for _, algorithm := range []Algorithm{P256, Ed25519, MLDSA44} {
		name := filepath.Join(f.TempDir(), "key.pem")
		if _, err := Create(name, algorithm, nil); err != nil { // to try a passphrase takes a tenth of a second: none is tried here
			f.Fatal(err)
		}
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "")
	}
	f.Add([]byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "right")
	f.Add(endless, "right")
	f.Add(greedy, "right")
	f.Fuzz(func(t *testing.T, text []byte, passphrase string) {
		private, err := decode(text, []byte(passphrase))
		if err != nil {
			return
		}
		if again, err := encode(private, nil); !Encrypted(text) && (err != nil || !bytes.Equal(again, text)) {
			t.Fatalf("%q is written again as %q: %v", text, again, err)
		}
		s, err := load(private)
		if err != nil {
			return
		}
		if _, err := s.Sign([]byte("message")); err != nil {
			t.Fatalf("opened, but it does not sign: %v", err)
		}
	})
}

// endless is a key file whose author asks for two thousand million rounds to try a passphrase (PKCS #8, PBKDF2).
var endless = pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: decoded(
	"MIHuMFkGCSqGSIb3DQEFDTBMMCsGCSqGSIb3DQEFDDAeBAhgznOS0fKRvgIEf////zAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQ8rgy7Yw4GJT8qCtvJotlKASB" +
		"kKgc8pDCYccQNXP1A6KWP5aViXokhg4OGmzleJKs0RCQULN1gFpqKQ6Trri0FN4UjIU0exm7MPP4QtfaFKlKyciL849Y4xOvjamzNz4BRPduYw3bqD/kkHACEpM6" +
		"5hrExgNvSWPXDBCSD4wQD/fg2+6U4zsM2YN+BUB/36riFkrsaSqsxmCzuzfAb1lLJgvdng==")})

// greedy is one whose author asks for 128 GiB.
var greedy = pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: []byte(
	`{"kdf":{"name":"scrypt","params":{"N":134217728,"r":8,"p":1},"salt":"AAAA"},"cipher":{"name":"nacl/secretbox","nonce":"AAAA"},"ciphertext":"AAAA"}`)})

func decoded(text string) []byte {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return b
}
