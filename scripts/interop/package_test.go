package interop

import (
	"archive/zip"
	"bytes"
	"encoding/pem"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/tlog"
)

// contents are what stock tools take from a package, and what it takes to write it again.
type contents struct {
	manifest dossier.Manifest
	files    []dossier.File
	receipts map[string][]byte // by path
	keys     [][]byte          // of the signers, SPKI DER
}

func readContents(t *testing.T, file string) contents {
	t.Helper()
	archive := must(zip.OpenReader(file))
	defer archive.Close()
	c := contents{receipts: map[string][]byte{}}
	for _, f := range archive.File {
		b := content(f)
		switch {
		case f.Name == "package.json":
			c.manifest = must(dossier.ParseManifest(b))
			continue
		case strings.HasSuffix(f.Name, ".sigstore.json"):
			c.receipts[f.Name] = b
		case path.Dir(f.Name) == "trust/signers":
			block, _ := pem.Decode(b)
			if block == nil || path.Base(f.Name) != custody.KeyID(block.Bytes).String()+".pub" {
				t.Fatalf("%s is not the key that it is named after", f.Name)
			}
			c.keys = append(c.keys, block.Bytes)
		}
		c.files = append(c.files, dossier.BytesFile(f.Name, b))
	}
	if len(c.receipts) == 0 {
		t.Fatal("no receipt is in the package")
	}
	return c
}

func content(f *zip.File) []byte {
	r := must(f.Open())
	defer r.Close()
	return must(io.ReadAll(r))
}

func readFile(f dossier.File) []byte {
	r := must(f.Open())
	defer r.Close()
	return must(io.ReadAll(r))
}

func writePackage(t *testing.T, file string, m dossier.Manifest, files []dossier.File) {
	t.Helper()
	var out bytes.Buffer
	if err := dossier.Write(&out, m, files); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

// stock takes the pinned trusted root, and the signers' keys that the package brings along.
func (c contents) stock(trust tlog.Trust) stock {
	return must(newStock(trust.TrustedRoot(), c.keys...))
}

// twoByOne returns two steps of the item by one person, in their order.
func (c contents) twoByOne(t *testing.T) (path, next string) {
	t.Helper()
	paths := slices.DeleteFunc(slices.Sorted(maps.Keys(c.receipts)), func(p string) bool { return !strings.HasPrefix(p, "items/") })
	for i := 1; i < len(paths); i++ {
		a, b := open(t, c.receipts[paths[i-1]]), open(t, c.receipts[paths[i]])
		if bytes.Equal(a.Material.PublicKey.Hint, b.Material.PublicKey.Hint) {
			return paths[i-1], paths[i]
		}
	}
	t.Fatal("nobody took two steps")
	return "", ""
}

// Every receipt of a package that a vault gave out is accepted under the pinned trust file, as a court judges that has stock tools and no
// program of ours; changed, it is refused. Where the trust file asks for time stamps openssl accepts those of the package, and there are some.
func TestPackage(t *testing.T) {
	file, trust := os.Getenv("STRONGROOM_PACKAGE"), os.Getenv("STRONGROOM_TRUST")
	if file == "" || trust == "" {
		t.Skip("set STRONGROOM_PACKAGE and STRONGROOM_TRUST to a court package and its trust file")
	}
	c := readContents(t, file)
	pinned := must(tlog.ParseTrust(must(os.ReadFile(trust))))
	s, stamped := c.stock(pinned), 0
	for name, receipt := range c.receipts {
		stamped += s.timestamps(receipt)
		d := open(t, receipt)
		d.DSSE.Payload = flipped(d.DSSE.Payload, -2)
		for _, verifier := range []int{sigstoreGo, sigstoreJS} {
			if err := s.by(verifier, receipt); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if s.by(verifier, d.text()) == nil {
				t.Errorf("%s is accepted with a changed byte", name)
			}
		}
	}
	t.Logf("%d receipts by %d people, %d of them stamped", len(c.receipts), len(c.keys), stamped)
	if !pinned.RequiresTimestamps() {
		return
	}
	states := c.openSSLStamps(t, pinned)
	if stamped == 0 || states == 0 {
		t.Errorf("%d receipts and %d states of the log are stamped", stamped, states)
	}
}

// openSSLStamps puts every time stamp of the package to the command openssl, as FORMATS §6 says, with the pinned roots. It returns how many lie
// beside the receipts.
func (c contents) openSSLStamps(t *testing.T, trust tlog.Trust) (states int) {
	t.Helper()
	dir := t.TempDir()
	put := func(name string, b []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var roots []byte
	for _, der := range trust.TimestampRoots() {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	put("roots.pem", roots)
	verify := func(what string, response, message []byte) {
		for _, other := range []bool{false, true} {
			if other {
				message = append([]byte("x"), message...)
			}
			err := exec.Command("openssl", "ts", "-verify", "-in", put("stamp", response), "-data", put("message", message), "-CAfile", filepath.Join(dir, "roots.pem")).Run()
			if (err != nil) != other {
				t.Errorf("%s: over another message %t: openssl: %v", what, other, err)
			}
		}
	}
	text := map[string][]byte{} // of the states under which there are receipts, by size
	for name, receipt := range c.receipts {
		d := open(t, receipt)
		note, _, _ := strings.Cut(*d.note(), "\n\n")
		text[d.proof().Size] = []byte(note + "\n")
		if d.Material.Stamps == nil {
			continue
		}
		for _, s := range d.Material.Stamps.List {
			verify(name, s.Signed, d.DSSE.Signatures[0].Sig)
		}
	}
	for _, f := range c.files {
		if size, _, is := strings.Cut(strings.TrimPrefix(f.Path, "log/"), "-"); is && strings.HasSuffix(f.Path, ".tsr") {
			verify(f.Path, readFile(f), text[size])
			states++
		}
	}
	return states
}
