package interop

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func keyHint(spki []byte) []byte {
	id := sha256.Sum256(spki)
	return id[:]
}

var cosignCommand = regexp.MustCompile(`(?s)cosign verify-blob-attestation .*?/evidence\.age`)

// The command that README.html of a package gives, as it stands there but for the key's name, accepts every step of the item; and no step that
// was changed, of another signer or with another file. With the flag that README.html names it accepts those that carry a time stamp.
func TestCosign(t *testing.T) {
	program := os.Getenv("STRONGROOM_COSIGN")
	if program == "" {
		t.Skip("set STRONGROOM_COSIGN to the program cosign, and STRONGROOM_PACKAGE to a court package if it is to be looked at too")
	}
	packages := []string{filepath.Join("..", "..", "api", "vectors", "dossier", "genuine.zip"), filepath.Join("..", "..", "api", "vectors", "dossier", "final.zip")}
	if file := os.Getenv("STRONGROOM_PACKAGE"); file != "" {
		packages = append(packages, file)
	}
	home := t.TempDir()
	tool := filepath.Join(home, "tools")
	if err := os.MkdirAll(tool, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(must(filepath.Abs(program)), filepath.Join(tool, "cosign")); err != nil {
		t.Fatal(err)
	}
	for _, file := range packages {
		c, dir := readContents(t, file), t.TempDir()
		put := func(name string, b []byte) {
			t.Helper()
			name = filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		page := ""
		for _, f := range c.files {
			switch {
			case f.Path == "README.html":
				page = html.UnescapeString(string(readFile(f)))
			case f.Path == "trust/trusted_root.json", strings.HasPrefix(f.Path, "trust/signers/"), strings.HasSuffix(f.Path, "/evidence.age"):
				put(f.Path, readFile(f))
			}
		}
		given := cosignCommand.FindString(page)
		if strings.Count(given, "KEY") != 1 || strings.Count(given, "000000.sigstore.json") != 1 {
			t.Fatalf("%s: README.html gives %q", file, given)
		}
		run := func(command string) error {
			shell := exec.Command("sh", "-c", command)
			shell.Dir, shell.Env = dir, append(os.Environ(), "HOME="+home, "PATH="+tool+string(filepath.ListSeparator)+os.Getenv("PATH"))
			out, err := shell.CombinedOutput()
			if err == nil && string(out) != "Verified OK\n" {
				err = fmt.Errorf("it says %q", out)
			}
			return err
		}
		steps := 0
		for _, at := range slices.Sorted(maps.Keys(c.receipts)) {
			if !strings.HasPrefix(at, "items/") {
				continue
			}
			steps++
			receipt := c.receipts[at]
			d := open(t, receipt)
			key := hex.EncodeToString(d.Material.PublicKey.Hint)
			put(at, receipt)
			command := strings.NewReplacer("000000.sigstore.json", filepath.Base(at), "KEY", key).Replace(given)
			if err := run(command); err != nil {
				t.Errorf("%s: %s: %v", file, at, err)
			}
			flagged := strings.Replace(command, " --type", " --use-signed-timestamps --type", 1)
			if err := run(flagged); (err == nil) != (d.Material.Stamps != nil) {
				t.Errorf("%s: %s: with its time stamp: %v", file, at, err)
			}
			if steps > 1 {
				continue
			}
			d.DSSE.Payload = flipped(d.DSSE.Payload, -2)
			put(at, d.text())
			if run(command) == nil {
				t.Errorf("%s: %s is accepted with a changed byte", file, at)
			}
			put(at, receipt)
			if run(regexp.MustCompile(`items/\S+/evidence\.age`).ReplaceAllString(command, "trust/trusted_root.json")) == nil {
				t.Errorf("%s: %s is accepted for another file", file, at)
			}
			other := slices.IndexFunc(c.keys, func(spki []byte) bool { return !bytes.Equal(keyHint(spki), d.Material.PublicKey.Hint) })
			if run(strings.Replace(command, key, hex.EncodeToString(keyHint(c.keys[other])), 1)) == nil {
				t.Errorf("%s: %s is accepted by another's key", file, at)
			}
		}
		if steps < 2 {
			t.Errorf("%s: %d steps", file, steps)
		}
	}
}
