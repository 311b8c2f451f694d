package interop

import (
	"archive/zip"
	"encoding/pem"
	"io"
	"os"
	"path"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/tlog"
)

// Every receipt in a court package is accepted under the pinned trust file, with the signers' keys that the package brings along: as a
// court does that has stock tools and no program of ours.
func TestPackage(t *testing.T) {
	zipFile, trustFile := os.Getenv("STRONGROOM_PACKAGE"), os.Getenv("STRONGROOM_TRUST")
	if zipFile == "" || trustFile == "" {
		t.Skip("set STRONGROOM_PACKAGE and STRONGROOM_TRUST to a court package and its trust file")
	}
	trust := must(tlog.ParseTrust(must(os.ReadFile(trustFile))))
	archive := must(zip.OpenReader(zipFile))
	defer archive.Close()
	receipts, keys := map[string][]byte{}, [][]byte{}
	for _, f := range archive.File {
		switch {
		case strings.HasSuffix(f.Name, ".sigstore.json"):
			receipts[f.Name] = content(f)
		case path.Dir(f.Name) == "trust/signers":
			block, _ := pem.Decode(content(f))
			if block == nil || path.Base(f.Name) != custody.KeyID(block.Bytes).String()+".pub" {
				t.Fatalf("%s is not the key that it is named after", f.Name)
			}
			keys = append(keys, block.Bytes)
		}
	}
	if len(receipts) == 0 {
		t.Fatal("no receipt is in the package")
	}
	s := must(newStock(trust.TrustedRoot(), keys...))
	for name, receipt := range receipts {
		if err := s.accept(receipt); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		changed := change(t, receipt, func(b map[string]any) { flip(at(b, "dsseEnvelope"), "payload", -2) })
		if err := s.acceptFor(changed, must(subjects(receipt))[0]); err == nil {
			t.Errorf("%s is accepted with a changed byte", name)
		}
	}
	t.Logf("%d receipts by %d people", len(receipts), len(keys))
}

func content(f *zip.File) []byte {
	r := must(f.Open())
	defer r.Close()
	return must(io.ReadAll(io.LimitReader(r, 1<<20)))
}
