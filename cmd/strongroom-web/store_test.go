//go:build js && wasm

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"flag"
	"io/fs"
	"os"
	"slices"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/browser"
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/client/keystoretest"
)

// These tests run in a browser's Worker: scripts/browser/client.test.mjs builds and starts them.

func TestStore(t *testing.T) {
	s, err := openStore("test", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	keystoretest.Run(t, s)
}

// What nobody kept and nobody uses is removed once it is old; what is young may be another tab's. A level that was made is no file.
func TestStoreIsTidied(t *testing.T) {
	s, err := openStore("tidy", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"deposits/kept.age", "deposits/kept.json", "deposits/unnoted.age", "exports/left.age"} {
		if err := s.Write(name, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	unkept, err := s.Create("doc")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		now  time.Time
		want []string
	}{
		{time.Now(), []string{"deposits/kept.age", "deposits/kept.json", "deposits/unnoted.age", "exports/left.age"}},
		{time.Now().Add(2 * client.Abandoned), []string{"deposits/kept.age", "deposits/kept.json"}},
	} {
		again, err := openStore("tidy", c.now)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, level := range []string{"deposits", "exports"} {
			list, err := again.List(level)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, list...)
		}
		if !slices.Equal(names, c.want) {
			t.Errorf("at %v: %q", c.now, names)
		}
	}
	if err := unkept.Keep(); err != nil {
		t.Errorf("what another tab writes was taken away: %v", err)
	}
	if _, err := s.Read("deposits"); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a level: %v", err)
	}
}

// The key signs as the law of signatures has it, is the same one when it is opened again, and cannot be read.
func TestSigner(t *testing.T) {
	if _, err := openSigner("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	made, err := createSigner("test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := createSigner("test"); err == nil {
		t.Error("a key was replaced")
	}
	s, err := openSigner("test")
	if err != nil || !bytes.Equal(s.SPKI(), made.SPKI()) {
		t.Fatal("another key", err)
	}
	public, err := x509.ParsePKIXPublicKey(s.SPKI())
	if err != nil {
		t.Fatal(err)
	}
	for range 300 { // r or s begins with a zero, or needs one before it
		message := []byte("a statement")
		der, err := s.Sign(message)
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(message)
		if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], der) {
			t.Fatalf("%x is no signature", der)
		}
	}
	for _, format := range []string{"pkcs8", "jwk"} {
		if _, err := browser.AwaitCall(subtle(), "exportKey", format, s.private); err == nil {
			t.Errorf("the private key was given out as %s", format)
		}
	}
}

// The names of the tests are what the browser's console tells.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.v", "true"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}
