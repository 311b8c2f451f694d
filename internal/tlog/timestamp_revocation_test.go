package tlog

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"
)

// FuzzRevocationList: nothing but a whole list in its one form is read, and nothing else than ErrMalformed is said of the rest.
func FuzzRevocationList(f *testing.F) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	issuer := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, SubjectKeyId: []byte{1}, KeyUsage: x509.KeyUsageCRLSign}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, entries := range [][]x509.RevocationListEntry{nil, {{SerialNumber: big.NewInt(7), RevocationTime: at, ReasonCode: 4}, {SerialNumber: big.NewInt(8), RevocationTime: at}}} {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at, NextUpdate: at.AddDate(0, 1, 0), RevokedCertificateEntries: entries}, issuer, key)
		if err != nil {
			f.Fatal(err)
		}
		if _, err := ParseRevocationList(der); err != nil {
			f.Fatal(err)
		}
		f.Add(der)
		f.Add(append(der, 0))
		f.Add(der[:len(der)-1])
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		l, err := ParseRevocationList(der)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%v", err)
			}
			return
		}
		if !bytes.Equal(l.list.Raw, der) {
			t.Fatal("read, but it is not the whole of what was given")
		}
	})
}
