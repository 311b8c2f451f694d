package dossier

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

var update = flag.Bool("update", false, "make api/vectors/dossier anew, with new keys")

const vectors = "../../api/vectors/dossier"

// vector is a package with the trust file and the key of its court, and what every verifier must say of it.
type vector struct {
	Name    string  `json:"name"`
	Package string  `json:"package"`
	Trust   string  `json:"trust"`
	Key     string  `json:"identity"`
	Verdict Verdict `json:"verdict"`
	Check   Check   `json:"check"`
	Reason  string  `json:"reason"`
}

// inVectors are the changes of TestChangedPackage that become vectors.
var inVectors = map[string]string{
	"nothing changed":        "genuine",
	"statement changed":      "statement-changed",
	"last event omitted":     "last-event-omitted",
	"consent stream missing": "consent-missing",
	"evidence replaced":      "evidence-replaced",
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	read := func(name string) []byte { return must(os.ReadFile(filepath.Join(vectors, name))) }
	var list []vector
	if err := json.Unmarshal(read("vectors.json"), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < len(inVectors)+2 {
		t.Errorf("%d vectors", len(list))
	}
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) {
			trust, id, data := must(tlog.ParseTrust(read(v.Trust))), must(sealing.ReadIdentityFile(read(v.Key), "")), read(v.Package)
			r, err := Verify(bytes.NewReader(data), int64(len(data)), Options{&trust, &id})
			if err != nil {
				t.Fatal(err)
			}
			wanted(t, r, v.Verdict, v.Check, v.Reason)
		})
	}
}

func writeVectors(t *testing.T) {
	var list []vector
	write := func(name string, b []byte) string {
		if err := os.WriteFile(filepath.Join(vectors, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	add := func(s *sample, world, name string, verdict Verdict, check Check, reason string) {
		list = append(list, vector{name, write(name+".zip", s.write(t)), write(world+".trust.json", s.w.trust.Marshal()),
			write(world+".identity.txt", sealing.PlainIdentityFile(s.w.people["court"].age)), verdict, check, reason})
	}
	base, _ := newPackage(t)
	for _, c := range changes {
		if name, ok := inVectors[c.name]; ok {
			s := *base
			c.change(&s)
			add(&s, "one", name, c.verdict, c.check, c.reason)
		}
	}
	w, id := newShared(t)
	w.withdraw()
	add(w.packUnlawful(id), "two", "consent-withdrawn", Refused, CheckRules, ev.ReasonFrozen)
	add(newerField(t), "three", "newer-field", Incomplete, CheckRules, ev.ReasonField)
	write("vectors.json", append(must(json.MarshalIndent(list, "", "  ")), '\n'))
}
