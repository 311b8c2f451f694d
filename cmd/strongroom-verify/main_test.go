//go:build !(js && wasm)

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/sealing"
)

const vectors = "../../api/vectors/dossier/"

func never() (string, error) { return "", errors.New("nobody is asked") }

func run(t *testing.T, ask func() (string, error), args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(args, &out, &errs, ask)
	for line := range strings.Lines(out.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 && !strings.HasPrefix(out.String(), "{") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	return code, out.String(), errs.String()
}

// The exit code of every vector is that of its verdict, and the first word of the text is the verdict.
func TestVerdicts(t *testing.T) {
	data, err := os.ReadFile(vectors + "vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Package, Trust, Identity, Previous, Reason string
		Verdict                                    dossier.Verdict
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		args := []string{"--trust", vectors + v.Trust, "--identity", vectors + v.Identity}
		if v.Previous != "" {
			args = append(args, "--previous", vectors+v.Previous)
		}
		code, out, _ := run(t, never, append(args, vectors+v.Package)...)
		if code != v.Verdict.ExitCode() || !strings.HasPrefix(out, strings.ToUpper(string(v.Verdict))+" ") || !strings.Contains(out, v.Reason) {
			t.Errorf("%s: exit %d\n%s", v.Package, code, out)
		}
	}
}

// With the package that the court got before, the report says that the log goes on from there, or prints both heads where it does not.
func TestPrevious(t *testing.T) {
	args := []string{"--trust", vectors + "five.trust.json", "--previous", vectors + "first.zip"}
	for pkg, want := range map[string]struct {
		code  int
		roots int
		says  bool
	}{"second.zip": {0, 0, true}, "second-unproven.zip": {2, 2, false}, "second-forked.zip": {1, 2, false}} {
		for _, form := range []string{"", "--json"} {
			all := slices.DeleteFunc(append(slices.Clone(args), form, vectors+pkg), func(s string) bool { return s == "" })
			code, out, _ := run(t, never, all...)
			said := strings.Join(strings.Fields(out), " ")
			if code != want.code || strings.Count(said, "entries, root ")%2 != 0 || strings.Contains(said, "entries, root ") != (want.roots > 0) || strings.Contains(said, "This log extends the one of the earlier package") != want.says {
				t.Errorf("%s %s: exit %d\n%s", pkg, form, code, out)
			}
		}
	}
	if code, out, errs := run(t, never, "--previous", filepath.Join(t.TempDir(), "none.zip"), vectors+"second.zip"); code != 2 || out != "" || errs == "" {
		t.Errorf("no such package: exit %d, %q", code, out)
	}
}

func TestJSON(t *testing.T) {
	code, out, _ := run(t, never, "--json", "--trust", vectors+"one.trust.json", vectors+"genuine.zip")
	var report map[string]json.RawMessage
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
		t.Fatal(code, err)
	}
	for _, name := range []string{"verdict", "checks", "items", "events", "shows", "does_not_show"} {
		if len(report[name]) < 3 {
			t.Errorf("%s: %s", name, report[name])
		}
	}
	if len(report) != 6 {
		t.Errorf("%d members", len(report))
	}
}

func TestWithoutTrust(t *testing.T) {
	code, out, _ := run(t, never, vectors+"genuine.zip")
	if code != 2 || !strings.Contains(out, "The trust file is missing") {
		t.Errorf("exit %d\n%s", code, out)
	}
}

func TestUnable(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := os.WriteFile(garbage, []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{}, {"a", "b"}, {"--colour", "x"}, {filepath.Join(t.TempDir(), "none.zip")},
		{"--trust", garbage, vectors + "genuine.zip"},
		{"--identity", garbage, vectors + "genuine.zip"},
		{"--extract", t.TempDir(), vectors + "genuine.zip"},
	} {
		if code, out, errs := run(t, never, args...); code != 2 || out != "" || errs == "" {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, errs)
		}
	}
	if code, _, _ := run(t, never, garbage); code != 1 {
		t.Errorf("garbage as a package: exit %d", code)
	}
}

func TestHelp(t *testing.T) {
	code, out, _ := run(t, never, "--help")
	for _, word := range []string{"--trust", "--identity", "--extract", "--previous", "--json", "--lang", "Exit code"} {
		if code != 0 || !strings.Contains(out, word) {
			t.Errorf("exit %d, no %s", code, word)
		}
	}
}

func TestExtract(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "opened")
	args := []string{"--trust", vectors + "one.trust.json", "--identity", vectors + "one.identity.txt", "--extract", dir}
	if code, _, errs := run(t, never, append(args, vectors+"evidence-replaced.zip")...); code != 1 || !strings.Contains(errs, "Nothing was written") {
		t.Errorf("exit %d, %s", code, errs)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("a refused package was opened")
	}
	if code, _, errs := run(t, never, append(args, vectors+"genuine.zip")...); code != 0 {
		t.Fatalf("exit %d, %s", code, errs)
	}
	got, err := os.ReadFile(filepath.Join(dir, "exhibit-1.txt"))
	if err != nil || string(got) != "left forearm, three marks" {
		t.Errorf("%q, %v", got, err)
	}
	description, err := os.ReadFile(filepath.Join(dir, "exhibit-1.description.json"))
	if err != nil || !json.Valid(description) {
		t.Errorf("%q, %v", description, err)
	}
	if code, _, errs := run(t, never, append(args, vectors+"genuine.zip")...); code != 2 || !strings.Contains(errs, "nothing is overwritten") {
		t.Errorf("a second time: exit %d, %s", code, errs)
	}
	if list, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}

// A locked key file asks for its passphrase, once.
func TestLockedIdentity(t *testing.T) {
	if testing.Short() {
		t.Skip("a passphrase takes a second and 256 MiB")
	}
	file, err := os.ReadFile(vectors + "one.identity.txt")
	if err != nil {
		t.Fatal(err)
	}
	id, err := sealing.ReadIdentityFile(file, "")
	if err != nil {
		t.Fatal(err)
	}
	locked, err := sealing.WriteIdentityFile(id, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "locked.age")
	if err := os.WriteFile(name, locked, 0o600); err != nil {
		t.Fatal(err)
	}
	for passphrase, want := range map[string]int{"correct horse": 0, "wrong": 2} {
		asked := 0
		code, _, errs := run(t, func() (string, error) { asked++; return passphrase, nil }, "--trust", vectors+"one.trust.json", "--identity", name, vectors+"genuine.zip")
		if code != want || asked != 1 {
			t.Errorf("%s: exit %d, asked %d times, %s", passphrase, code, asked, errs)
		}
	}
}
