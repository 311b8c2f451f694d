package dossier

import (
	"bytes"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	filippo "filippo.io/mldsa"
)

// openSSL is an environment in which the command openssl hands what is about ML-DSA-44 to this test program, and all else to the real one. As
// "old" it knows no key of that kind, as "new" it makes, signs and verifies with them as openssl 3.5 does.
func openSSL(t *testing.T, kind string) []string {
	t.Helper()
	dir := t.TempDir()
	own := filepath.Join(dir, "mldsa", "openssl")
	must(0, os.Mkdir(filepath.Dir(own), 0o700))
	must(0, os.Symlink(must(os.Executable()), own))
	// The keys are told by how they begin in base64.
	script := fmt.Sprintf(`#!/bin/sh
case "$*" in *ML-DSA-44*) exec %[1]q "$@" ;; esac
case "$1" in pkey | pkeyutl)
	for file; do
		[ ! -f "$file" ] || ! grep -qE '^(MIIFMjALBglghkgBZQMEAxED|MDQCAQAwCwYJYIZIAWUDBAMR)' "$file" || exec %[1]q "$@"
	done ;;
esac
exec %[2]q "$@"
`, own, must(exec.LookPath("openssl")))
	must(0, os.WriteFile(filepath.Join(dir, "openssl"), []byte(script), 0o700))
	return []string{"PATH=" + dir + string(filepath.ListSeparator) + os.Getenv("PATH"), "STRONGROOM_OPENSSL_IS=" + kind}
}

// Before any test: whoever is called openssl is.
func init() {
	if filepath.Base(os.Args[0]) != "openssl" {
		return
	}
	if err := mldsaCommand(os.Getenv("STRONGROOM_OPENSSL_IS") == "new", os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

const (
	mldsaPrivate = "\x30\x34\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x04\x22\x80\x20" // PKCS #8, before the seed
	mldsaPublic  = "\x30\x82\x05\x32\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x03\x82\x05\x21\x00" // SPKI, before the key
)

var errCommand = errors.New("what openssl does with this is not known here")

// mldsaCommand does what verify.py asks of openssl about ML-DSA-44.
func mldsaCommand(known bool, args []string) error {
	f := flag.NewFlagSet("openssl", flag.ContinueOnError)
	text := make(map[string]*string)
	for _, name := range []string{"algorithm", "in", "inkey", "out", "outform", "sigfile"} {
		text[name] = f.String(name, "", "")
	}
	given := make(map[string]*bool)
	for _, name := range []string{"sign", "verify", "pubin", "pubout", "rawin"} {
		given[name] = f.Bool(name, false, "")
	}
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if !known {
		return errors.New("unsupported algorithm")
	}
	read := func(name string) []byte { return must(os.ReadFile(*text[name])) }
	key := func(name, prefix string) []byte {
		block, _ := pem.Decode(read(name))
		b, ok := bytes.CutPrefix(block.Bytes, []byte(prefix))
		if !ok {
			panic("a key of another kind")
		}
		return b
	}
	private := func(name string) *filippo.PrivateKey {
		return must(filippo.NewPrivateKey(filippo.MLDSA44(), key(name, mldsaPrivate)))
	}
	write := func(b []byte) error { return os.WriteFile(*text["out"], b, 0o600) }
	switch {
	case args[0] == "genpkey" && *text["algorithm"] == "ML-DSA-44":
		seed := make([]byte, 32)
		rand.Read(seed)
		return write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: append([]byte(mldsaPrivate), seed...)}))
	case args[0] == "pkey" && *given["pubout"] && *text["outform"] == "DER":
		return write(append([]byte(mldsaPublic), private("in").PublicKey().Bytes()...))
	case args[0] == "pkeyutl" && *given["sign"] && *given["rawin"]:
		return write(must(private("inkey").Sign(nil, read("in"), nil)))
	case args[0] == "pkeyutl" && *given["verify"] && *given["pubin"] && *given["rawin"]:
		public := must(filippo.NewPublicKey(filippo.MLDSA44(), key("inkey", mldsaPublic)))
		err := filippo.Verify(public, read("in"), read("sigfile"), nil)
		if err == nil {
			fmt.Println("Signature Verified Successfully")
		}
		return err
	}
	return errCommand
}
