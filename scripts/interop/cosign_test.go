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

var (
	preformatted = regexp.MustCompile(`(?s)<pre[^>]*>(.*?)</pre>`)
	signerFile   = regexp.MustCompile(`trust/signers/[0-9a-f]{64}\.pub`)
	evidenceFile = regexp.MustCompile(`items/\S+/evidence\.age`)
)

// cosignCommands are the lines for cosign that README.html gives, as a browser shows them.
func cosignCommands(page []byte) (list []string) {
	for _, m := range preformatted.FindAllSubmatch(page, -1) {
		for line := range strings.Lines(html.UnescapeString(string(m[1]))) {
			if strings.HasPrefix(line, "cosign ") {
				list = append(list, line)
			}
		}
	}
	return list
}

// The commands that README.html of a package gives, pasted as they stand there into a shell in the folder where it was unpacked, accept the
// deposit of each item. Put to another step, as README.html says how, they accept that too; and no step that was changed, of another signer or
// with another file. With the flag that README.html names they accept those that carry a time stamp.
func TestCosign(t *testing.T) {
	program := os.Getenv("STRONGROOM_COSIGN")
	if program == "" {
		t.Skip("set STRONGROOM_COSIGN to the program cosign (scripts/cosign), and STRONGROOM_PACKAGE to a court package if it is to be looked at too")
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
		var given []string
		for _, f := range c.files {
			put(f.Path, readFile(f))
			if f.Path == "README.html" {
				given = cosignCommands(readFile(f))
			}
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
		slices.Sort(given)
		given = slices.Compact(given) // each part of the page gives them
		if len(given) != len(c.manifest.Items) {
			t.Fatalf("%s: README.html gives %q", file, given)
		}
		steps := 0
		for i, id := range c.manifest.Items { // sorted, as the commands are
			first := "items/" + string(id) + "/events/000000.sigstore.json"
			if err := run(given[i]); err != nil || strings.Count(given[i], first) != 1 || len(signerFile.FindAllString(given[i], -1)) != 1 {
				t.Fatalf("%s: %s: %v", file, given[i], err)
			}
			for _, at := range slices.Sorted(maps.Keys(c.receipts)) {
				if !strings.HasPrefix(at, "items/"+string(id)+"/") {
					continue
				}
				steps++
				receipt := c.receipts[at]
				d := open(t, receipt)
				key := "trust/signers/" + hex.EncodeToString(d.Material.PublicKey.Hint) + ".pub"
				command := strings.Replace(signerFile.ReplaceAllString(given[i], key), first, at, 1)
				if at == first && command != given[i] {
					t.Errorf("%s: %s is not for the key of %s", file, given[i], at)
				}
				if err := run(command); err != nil {
					t.Errorf("%s: %s: %v", file, at, err)
				}
				flagged := strings.Replace(command, " --type", " --use-signed-timestamps --type", 1)
				if err := run(flagged); (err == nil) != (d.Material.Stamps != nil) {
					t.Errorf("%s: %s: with its time stamp: %v", file, at, err)
				}
				if at != first {
					continue
				}
				d.DSSE.Payload = flipped(d.DSSE.Payload, -2)
				put(at, d.text())
				if run(command) == nil {
					t.Errorf("%s: %s is accepted with a changed byte", file, at)
				}
				put(at, receipt)
				if run(evidenceFile.ReplaceAllString(command, "trust/trusted_root.json")) == nil {
					t.Errorf("%s: %s is accepted for another file", file, at)
				}
				other := slices.IndexFunc(c.keys, func(spki []byte) bool { return !bytes.Equal(keyHint(spki), d.Material.PublicKey.Hint) })
				if run(strings.Replace(command, key, "trust/signers/"+hex.EncodeToString(keyHint(c.keys[other]))+".pub", 1)) == nil {
					t.Errorf("%s: %s is accepted by another's key", file, at)
				}
			}
		}
		if steps < 2 {
			t.Errorf("%s: %d steps", file, steps)
		}
	}
}
