package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
)

const someActor = "act-aaaaaaaaaaaaaaaaaaaaaaaaaa"

var someTime = time.Date(2026, 3, 1, 12, 30, 0, int(250*time.Millisecond), time.UTC)

func someSettings() settings {
	return settings{
		"vault.example", someActor, someTime.Truncate(time.Second), KeyNames{Vault: "awskms:///alias/vault", Log: "log-2.pem", PostQuantum: "log-ml-dsa.pem"}, inPostgreSQL, 7,
	}
}

func someManifest() Manifest {
	m := Manifest{Version: 1, Vault: "vault.example", Taken: someTime, LogSize: 7, Objects: 2, Horizon: 30 * 86400}
	for _, path := range []string{"checkpoint", erasableFile, "keys/log-ed25519.pem", "keys/log.pem", "keys/passphrase", "keys/vault.pem", "log.db",
		"organizations.json", "records.db", "strongroomd.yaml", "trust.json", "vault.json"} {
		m.Files = append(m.Files, ManifestFile{path, int64(len(path)), ev.SHA256([]byte(path))})
	}
	return m
}

// fuzzDocument gives a parser anything: what it reads is spelled in one way.
func fuzzDocument[D document](f *testing.F, d D) {
	text := d.marshal()
	f.Add(text)
	f.Add(bytes.TrimSpace(text))
	f.Add(append(text[:len(text):len(text)], text...))
	f.Add([]byte("null\n"))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := parseDocument[D](text)
		if err == nil && (!bytes.Equal(d.marshal(), text) || len(text) > maxDocument) {
			t.Fatalf("%q is written as %q", text, d.marshal())
		}
	})
}

func FuzzSettings(f *testing.F) { fuzzDocument(f, someSettings()) }
func FuzzRotation(f *testing.F) {
	fuzzDocument(f, Rotation{Keys: KeyNames{Log: "log-2.pem"}, LogKeys: []string{"YQ==", "Yg=="}, Witness: "quorum none\n", TimestampRoots: [][]byte{{1}}, Roots: rootDigests([][]byte{{1}}),
		Authorities: []authority{{URI: "https://time.example", Chain: [][]byte{{2}, {1}}, Start: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}}})
}
func FuzzOwner(f *testing.F)    { fuzzDocument(f, owner{"vault.example"}) }
func FuzzPrepared(f *testing.F) { fuzzDocument(f, prepared{"20260301T123000.250Z", 7, 1}) }

// FuzzManifest: moreover, what a manifest lists stays inside the folder that is made of it.
func FuzzManifest(f *testing.F) {
	f.Add(bytes.Replace(someManifest().marshal(), []byte("strongroomd.yaml"), []byte("../../etc/passwd"), 1))
	f.Add(bytes.Replace(someManifest().marshal(), []byte("Z\""), []byte("+02:00\""), 1))
	f.Add(someManifest().marshal())
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseDocument[Manifest](text)
		if err != nil {
			return
		}
		if !bytes.Equal(m.marshal(), text) {
			t.Fatalf("%q is written as %q", text, m.marshal())
		}
		seen := make(map[string]bool)
		for _, file := range m.Files {
			if !filepath.IsLocal(filepath.FromSlash(file.Path)) || seen[file.Path] {
				t.Fatalf("%q lists %q", text, file.Path)
			}
			seen[file.Path] = true
		}
		if window(m.Horizon) <= 0 {
			t.Fatalf("%q keeps what opens items for no time", text)
		}
	})
}

// Every document in another spelling, and every one that is not whole, is refused.
func TestDocumentsAreStrict(t *testing.T) {
	strict(t, "settings", someSettings(), "origin", map[string]settings{
		"no name":           {"", someActor, someTime, KeyNames{}, "", 0},
		"a host":            {"vault", someActor, someTime, KeyNames{}, "", 0},
		"no actor":          {"vault.example", "", someTime, KeyNames{}, "", 0},
		"no time":           {"vault.example", someActor, time.Time{}, KeyNames{}, "", 0},
		"a time zone":       {"vault.example", someActor, someTime.In(time.FixedZone("", 3600)), KeyNames{}, "", 0},
		"a key elsewhere":   {"vault.example", someActor, someTime, KeyNames{Log: "../log.pem"}, "", 0},
		"a URI of nothing":  {"vault.example", someActor, someTime, KeyNames{Vault: "awskms://"}, "", 0},
		"records elsewhere": {"vault.example", someActor, someTime, KeyNames{}, "sqlite", 0},
		"less than no tree": {"vault.example", someActor, someTime, KeyNames{}, "", -1},
		"ML-DSA in a KMS":   {"vault.example", someActor, someTime, KeyNames{PostQuantum: "awskms:///alias/log"}, "", 0},
	})
	strict(t, "owner", owner{"vault.example"}, "vault", map[string]owner{"nobody's": {}})
	strict(t, "prepared", prepared{"20260301T123000.250Z", 7, 1}, "snapshot", map[string]prepared{
		"less than nothing": {"20260301T123000.250Z", -1, 0}, "less damaged than none": {"20260301T123000.250Z", 7, -1},
	})
	wrong := make(map[string]Manifest)
	for name, change := range map[string]func(*Manifest){
		"another version":    func(m *Manifest) { m.Version = 2 },
		"no vault":           func(m *Manifest) { m.Vault = "" },
		"no time":            func(m *Manifest) { m.Taken = time.Time{} },
		"a time zone":        func(m *Manifest) { m.Taken = m.Taken.In(time.FixedZone("", -3600)) },
		"a negative log":     func(m *Manifest) { m.LogSize = -1 },
		"negative objects":   func(m *Manifest) { m.Objects = -1 },
		"no horizon":         func(m *Manifest) { m.Horizon = 0 },
		"no files":           func(m *Manifest) { m.Files = nil },
		"no records":         func(m *Manifest) { m.Files = append(m.Files[:8], m.Files[9:]...) },
		"a file twice":       func(m *Manifest) { m.Files = append(m.Files[:1], m.Files...) },
		"another order":      func(m *Manifest) { m.Files[3], m.Files[4] = m.Files[4], m.Files[3] },
		"a file of no size":  func(m *Manifest) { m.Files[0].Size = -1 },
		"a file of its own":  func(m *Manifest) { m.Files[9].Path = "socket" },
		"a file outside":     func(m *Manifest) { m.Files = append([]ManifestFile{{Path: "../vault.json"}}, m.Files...) },
		"a file by its root": func(m *Manifest) { m.Files = append([]ManifestFile{{Path: "/vault.json"}}, m.Files...) },
	} {
		m := someManifest()
		change(&m)
		wrong[name] = m
	}
	strict(t, "manifest", someManifest(), "vault", wrong)
}

func strict[D document](t *testing.T, what string, d D, member string, wrong map[string]D) {
	t.Helper()
	text := string(d.marshal())
	if _, err := parseDocument[D]([]byte(text)); err != nil {
		t.Errorf("%s: what was written is not read: %v", what, err)
	}
	spelled := map[string]string{
		"empty": "", "null": "null\n", "a list": "[]\n", "cut": text[:len(text)-2], "no line end": strings.TrimSuffix(text, "\n"), "twice": text + text,
		"space":         " " + text,
		"unknown field": strings.Replace(text, "{", `{"more":1,`, 1),
		"repeated":      strings.Replace(text, "{", `{"`+member+`":"",`, 1),
		"capitals":      strings.Replace(text, `"`+member+`"`, `"`+strings.ToUpper(member)+`"`, 1),
		"escaped":       strings.Replace(text, `"`+member[:1], fmt.Sprintf(`"\u%04x`, member[0]), 1),
		"long":          text + strings.Repeat(" ", maxDocument),
	}
	for name, d := range wrong {
		spelled[name] = string(d.marshal())
	}
	for name, text := range spelled {
		if _, err := parseDocument[D]([]byte(text)); !errors.Is(err, errDocument) {
			t.Errorf("%s, %s: %v", what, name, err)
		}
	}
}

// FuzzFounder gives a new vault anything for one founder's file: what it takes in is the file, word for word, and signed for this vault.
func FuzzFounder(f *testing.F) {
	const origin = "vault.example"
	administrator, custodian := newPerson(ev.Administrator), newPerson(ev.Custodian)
	rest := [][]byte{administrator.founder(origin), custodian.founder(origin)}
	f.Add(newPerson(ev.Custodian).founder(origin))
	f.Add(newPerson(ev.Auditor).founder(origin))
	f.Add(newPerson(ev.Custodian).founder("other.example"))
	f.Fuzz(func(t *testing.T, file []byte) {
		founders, err := readFounders(origin, append([][]byte{file}, rest...))
		if err != nil {
			return
		}
		if e := founders[0].Event(); !bytes.Equal(founders[0].DSSE(), file) || e.Vault != origin || e.Kind != ev.ActorEnrolled {
			t.Fatalf("taken in: %q", file)
		}
	})
}

// A founder file that the law refuses does not become part of the trust file.
func TestUnlawfulFounders(t *testing.T) {
	const origin = "vault.example"
	for name, change := range map[string]func(*ev.Event){
		"another role than its own": func(e *ev.Event) { e.Actor.Role = ev.Custodian },
		"another organization":      func(e *ev.Event) { e.Actor.Organization = ev.NewID[ev.OrgID]() },
		"in somebody else's name":   func(e *ev.Event) { e.Actor.ID = ev.NewID[ev.ActorID]() },
		"not the first of its life": func(e *ev.Event) { e.Stream.Seq, e.Stream.Prev = 1, ev.SHA256(nil) },
	} {
		p, custodian := newPerson(ev.Administrator), newPerson(ev.Custodian)
		statement := must(custody.Open(p.founder(origin)))
		e := statement.Event()
		change(e)
		signed, err := custody.Sign(e, p.key.SPKI(), p.key)
		if err != nil {
			continue // not even a statement
		}
		if _, err := readFounders(origin, [][]byte{signed.DSSE(), custodian.founder(origin)}); err == nil {
			t.Errorf("%s: taken in", name)
		}
	}
}
