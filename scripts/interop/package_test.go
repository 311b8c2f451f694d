package interop

import (
	"archive/zip"
	"encoding/pem"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/tlog"
)

// Every receipt in a court package is accepted under the pinned trust file, with the signers' keys that the package brings along: as a
// court does that has stock tools and no program of ours. A changed statement is refused; that a step is missing, stock tools cannot see.
func TestPackage(t *testing.T) {
	vectors := filepath.Join("..", "..", "api", "vectors", "dossier")
	trust := filepath.Join(vectors, "one.trust.json")
	for _, c := range []struct {
		name, file, trust string
		refused           int // how many of its receipts
	}{
		{"genuine", filepath.Join(vectors, "genuine.zip"), trust, 0},
		{"last event omitted", filepath.Join(vectors, "last-event-omitted.zip"), trust, 0},
		{"statement changed", filepath.Join(vectors, "statement-changed.zip"), trust, 1},
		{"given", os.Getenv("STRONGROOM_PACKAGE"), os.Getenv("STRONGROOM_TRUST"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.file == "" || c.trust == "" {
				t.Skip("set STRONGROOM_PACKAGE and STRONGROOM_TRUST to a court package and its trust file")
			}
			if refused := refusedIn(t, c.file, must(tlog.ParseTrust(must(os.ReadFile(c.trust))))); refused != c.refused {
				t.Errorf("%d receipts are refused, want %d", refused, c.refused)
			}
		})
	}
}

// refusedIn counts the receipts of a package that are refused, and demands that each of the others is refused once it is changed.
func refusedIn(t *testing.T, file string, trust tlog.Trust) (refused int) {
	t.Helper()
	archive := must(zip.OpenReader(file))
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
			t.Logf("%s: %v", name, err)
			refused++
			continue
		}
		changed := change(t, receipt, func(b map[string]any) { flip(at(b, "dsseEnvelope"), "payload", -2) })
		if err := s.acceptFor(changed, must(subjects(receipt))[0]); err == nil {
			t.Errorf("%s is accepted with a changed byte", name)
		}
	}
	t.Logf("%d receipts by %d people", len(receipts), len(keys))
	return refused
}

func content(f *zip.File) []byte {
	r := must(f.Open())
	defer r.Close()
	return must(io.ReadAll(io.LimitReader(r, 1<<20)))
}
