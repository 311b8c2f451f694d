package interop

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/tlog"
)

// openssl35 reports whether the command openssl at hand knows ML-DSA, as versions from 3.5 on do.
var openssl35 = sync.OnceValue(func() bool {
	return bytes.Contains(must(exec.Command("openssl", "list", "-signature-algorithms").Output()), []byte("ML-DSA-44"))
})

// witness signs what a log of this origin said: its size and root (FORMATS §5).
type witness struct {
	name string
	vkey string
	id   []byte
	sign func(note string, at time.Time) []byte
}

const witnessName = "w.example"

func ed25519Witness() witness {
	public, key := must2(ed25519.GenerateKey(rand.Reader))
	typed := append([]byte{4}, public...)
	id := sha256.Sum256(slices.Concat([]byte(witnessName+"\n"), typed))
	return witness{witnessName, fmt.Sprintf("%s+%x+%s", witnessName, id[:4], base64Text(typed)), id[:4], func(note string, at time.Time) []byte {
		text, _, _ := strings.Cut(note, "\n\n")
		signed := ed25519.Sign(key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s\n", at.Unix(), text))
		return append(binary.BigEndian.AppendUint64(nil, uint64(at.Unix())), signed...)
	}}
}

func mldsaWitness(name string) witness {
	secret, vkey := must2(formats.GenerateMLDSAKey(name))
	signer := must(formats.NewMLDSASigner(secret))
	return witness{name, vkey, binary.BigEndian.AppendUint32(nil, signer.KeyHash()), func(note string, at time.Time) []byte {
		text, _, _ := strings.Cut(note, "\n\n")
		cp := must(tlog.ParseCheckpoint([]byte(text + "\n")))
		return must(signer.SignSubtree(uint64(at.Unix()), cp.Origin, 0, uint64(cp.Size), cp.Root[:]))
	}}
}

func must2[A, B any](a A, b B, err error) (A, B) {
	if err != nil {
		panic(err)
	}
	return a, b
}

// cosignedPackages puts a package all of whose checkpoints a witness signed, or the log itself with a key of ML-DSA-44, under a trust file that
// names that key.
func cosignedPackages(t *testing.T, r *reading) {
	in := func(name string) string { return filepath.Join("..", "..", "api", "vectors", "dossier", name) }
	base, plain := readContents(t, in("first.zip")), must(os.ReadFile(in("five.trust.json")))
	// The statements' times, which are after now, lie before it.
	at := time.Date(2027, 3, 2, 12, 0, 0, 0, time.UTC)
	log := must(tlog.ParseTrust(plain)).Vault()
	for _, c := range []struct {
		name    string
		witness witness
		changed bool
	}{
		{"by an Ed25519 witness", ed25519Witness(), false},
		{"by an Ed25519 witness, a byte changed", ed25519Witness(), true},
		{"by an ML-DSA-44 witness", mldsaWitness(witnessName), false},
		{"by an ML-DSA-44 witness, a byte changed", mldsaWitness(witnessName), true},
		{"by the log's own ML-DSA-44 key", mldsaWitness(log), false},
		{"by the log's own ML-DSA-44 key, a byte changed", mldsaWitness(log), true},
	} {
		cosign := func(note string) string {
			signed := c.witness.sign(note, at)
			if c.changed {
				signed = flipped(signed, -1)
			}
			return note + "— " + c.witness.name + " " + base64Text(slices.Concat(c.witness.id, signed)) + "\n"
		}
		files := slices.Clone(base.files)
		for i, f := range files {
			switch receipt, is := base.receipts[f.Path]; {
			case is:
				d := open(t, receipt)
				*d.note() = cosign(*d.note())
				files[i] = dossier.BytesFile(f.Path, d.text())
			case f.Path == "log/checkpoint":
				files[i] = dossier.BytesFile(f.Path, []byte(cosign(string(readFile(f)))))
			}
		}
		policy := fmt.Sprintf(`witness w %s https://w.example\nquorum w\n`, c.witness.vkey)
		if c.witness.name == log {
			policy = fmt.Sprintf(`log %s\nquorum none\n`, c.witness.vkey)
		}
		trust := bytes.Replace(plain, []byte(`"witness_policy":""`), []byte(`"witness_policy":"`+policy+`"`), 1)
		p := pack{file: filepath.Join(folder, "cosigned.zip"), trust: filepath.Join(folder, "cosigned.json"), identity: in("five.identity.txt")}
		writePackage(t, p.file, base.manifest, files)
		if err := os.WriteFile(p.trust, trust, 0o600); err != nil {
			t.Fatal(err)
		}
		r.checkPackage(t, "cosigned", c.name, p)
	}
}
