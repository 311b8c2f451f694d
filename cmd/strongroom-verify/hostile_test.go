//go:build !(js && wasm)

package main

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Trust file and identity come from people, too: whatever is in them, the program ends with one of its three answers. A changed trust
// file that still reads is another one, with another number to compare; a changed identity opens nothing else.
func TestChangedTrustAndIdentity(t *testing.T) {
	genuine := []string{"--trust", vectors + "one.trust.json", "--identity", vectors + "one.identity.txt", vectors + "genuine.zip"}
	code, want, _ := run(t, never, genuine...)
	if code != 0 {
		t.Fatal("not genuine")
	}
	samples := 60
	if os.Getenv("STRONGROOM_LONG") != "" {
		samples = 1 << 20
	}
	for _, at := range []int{1, 3} {
		good := read(t, genuine[at])
		name := filepath.Join(t.TempDir(), "changed")
		args := slices.Clone(genuine)
		args[at] = name
		step := 1 + len(good)/samples
		for i := rand.IntN(step); i < len(good); i += step {
			for _, b := range [][]byte{flipped(good, i), good[:i], slices.Insert(slices.Clone(good), i, good[i])} {
				write(t, name, b)
				code, out, _ := run(t, never, args...)
				if code < 0 || code > 2 {
					t.Fatalf("byte %d of %s: exit %d", i, genuine[at], code)
				}
				if code == 0 && at == 1 && number(out) == number(want) {
					t.Errorf("byte %d of the trust file: the same number", i)
				}
				if code == 0 && at == 3 && out != want {
					t.Errorf("byte %d of the identity: another answer", i)
				}
			}
		}
	}
}

// number is the line that a court compares by telephone.
func number(report string) string {
	_, after, _ := strings.Cut(report, "\n  - Vault number: ")
	line, _, _ := strings.Cut(after, "\n")
	return line
}

func flipped(b []byte, i int) []byte {
	b = slices.Clone(b)
	b[i] ^= byte(1 << rand.IntN(8))
	return b
}

func read(t testing.TB, name string) []byte {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, name string, b []byte) {
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// FuzzPackage gives the program any file for a package: it never says verified of anything but the genuine one.
func FuzzPackage(f *testing.F) {
	genuine := read(f, vectors+"genuine.zip")
	for _, name := range []string{"genuine.zip", "statement-changed.zip", "newer-field.zip"} {
		f.Add(read(f, vectors+name))
	}
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "package.zip")
		write(t, name, b)
		code := Run([]string{"--trust", vectors + "one.trust.json", name}, io.Discard, io.Discard, never)
		if code < 0 || code > 2 || code == 0 && !slices.Equal(b, genuine) {
			t.Fatalf("exit %d", code)
		}
	})
}

func FuzzTrustFile(f *testing.F) {
	genuine := read(f, vectors+"one.trust.json")
	f.Add(genuine)
	f.Fuzz(func(t *testing.T, b []byte) {
		name := filepath.Join(t.TempDir(), "trust.json")
		write(t, name, b)
		if trust, err := readTrust(name); err == nil && !slices.Equal(trust.Marshal(), b) {
			t.Fatal("read, but another file")
		}
	})
}
