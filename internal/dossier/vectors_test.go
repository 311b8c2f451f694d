package dossier

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

var update = flag.Bool("update", false, "make api/vectors/dossier anew, with new keys")

const vectors = "../../api/vectors/dossier"

// vector is a package with the trust file and the key of its court, and what every verifier must say of it.
type vector struct {
	Name     string  `json:"name"`
	Package  string  `json:"package"`
	Trust    string  `json:"trust"`
	Key      string  `json:"identity"`
	Previous string  `json:"previous,omitempty"` // a package that the court got before
	Verdict  Verdict `json:"verdict"`
	Check    Check   `json:"check"`
	Reason   string  `json:"reason"`
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
			o := Options{Trust: &trust, Identity: &id}
			if v.Previous != "" {
				before := read(v.Previous)
				o.Previous = io.NewSectionReader(bytes.NewReader(before), 0, int64(len(before)))
			}
			r, err := Verify(bytes.NewReader(data), int64(len(data)), o)
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
			write(world+".identity.txt", sealing.PlainIdentityFile(s.w.people["court"].age)), "", verdict, check, reason})
	}
	later := func(s *sample, world, name, previous string, verdict Verdict, reason string) {
		add(s, world, name, verdict, CheckCheckpoint, reason)
		list[len(list)-1].Previous = previous + ".zip"
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
	a, id := witnessed(t)
	final := a.packed(id)
	add(final, "four", "final", Verified, CheckWitnesses, "")
	for _, c := range []struct {
		name    string
		change  func(s *sample)
		verdict Verdict
		check   Check
		reason  string
	}{
		{"witness-missing", func(s *sample) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = bare(p.Checkpoint, "one") })
		}, Incomplete, CheckWitnesses, ReasonWitnessMissing},
		{"witness-wrong", func(s *sample) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = spoilt(p.Checkpoint, "one") })
		}, Refused, CheckWitnesses, ReasonWitnessSignature},
		{"auditor-missing", func(s *sample) { s.replace("log/checkpoint", bare(s.file("log/checkpoint"), "auditor")) }, Incomplete, CheckAudit, ReasonAuditMissing},
		{"timestamp-missing", func(s *sample) { s.replace(a.stampName(), nil) }, Incomplete, CheckTime, ReasonTimestampMissing},
		{"timestamp-of-another-state", func(s *sample) {
			s.replace(a.stampName(), a.authority.stamp(a.text(len(a.logged)-1), a.now))
		}, Refused, CheckTime, ReasonTimestamp},
		{"timestamp-revoked", func(s *sample) { s.replace("log/tsa.crl", a.authority.revoked(a.now.Add(-time.Hour), 2)) }, Refused, CheckTime, ReasonTimestampRevoked},
		{"signed-after-its-timestamp", func(s *sample) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) {
				p.Timestamps = [][]byte{a.authority.stamp(p.Signature, a.now.Add(-time.Hour))}
			})
		}, Refused, CheckTime, ReasonTimeBounds},
	} {
		s := *final
		c.change(&s)
		add(&s, "four", c.name, c.verdict, c.check, c.reason)
	}
	afterwards, at := *final, len(a.logged)-1
	a.open(id)
	afterwards.under(at, at+2)
	afterwards.files = append(afterwards.files, must(StampFile(int64(at+2), "tsa", a.authority.stamp(a.text(at+2), a.now))))
	add(&afterwards, "four", "auditor-of-a-later-state", Incomplete, CheckAudit, ReasonAuditMissing)
	for _, c := range lookings {
		if c.vector != "" {
			s, _ := c.packed(t)
			add(s, c.vector, c.vector, c.verdict, CheckTime, c.reason)
		}
	}

	w, id = newShared(t)
	restore := w.snapshot()
	add(w.pack(id), "five", "first", Verified, CheckCheckpoint, "")
	from := len(w.logged)
	w.open(id)
	second := w.pack(id)
	later(second, "five", "second-unproven", "first", Incomplete, ReasonPreviousUnproven)
	proved, spoilt := *second, *second
	growth := w.growth(from, len(w.logged))
	proved.proving(growth)
	later(&proved, "five", "second", "first", Verified, "")
	growth.Hashes = slices.Clone(growth.Hashes)
	growth.Hashes[0] = make([]byte, 32)
	spoilt.proving(growth)
	later(&spoilt, "five", "second-false-proof", "first", Refused, ReasonConsistency)
	restore()
	w.open(id)
	w.open(id)
	later(w.pack(id), "five", "second-forked", "first", Refused, ReasonLogFork)
	write("vectors.json", append(must(json.MarshalIndent(list, "", "  ")), '\n'))
}
