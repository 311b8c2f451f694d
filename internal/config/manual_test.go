package config

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestExampleFile: the example in the repository is the one that the structs' comments make. It is written anew with
// `go run ./cmd/strongroomd config show > deploy/strongroomd.yaml`.
func TestExampleFile(t *testing.T) {
	kept, err := os.ReadFile("../../deploy/strongroomd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, Example()) {
		t.Error("deploy/strongroomd.yaml is not what config show prints")
	}
}

// TestExample: it is valid, and sets every field that there is.
func TestExample(t *testing.T) {
	c, err := Parse(Example())
	if err != nil {
		t.Fatal(err)
	}
	var unset func(v reflect.Value, at string)
	unset = func(v reflect.Value, at string) {
		for v.Kind() == reflect.Pointer && !v.IsNil() {
			v = v.Elem()
		}
		switch {
		case v.IsZero():
			t.Errorf("%s is not set", at)
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				unset(v.Field(i), at+"."+v.Type().Field(i).Name)
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				unset(v.Index(i), at)
			}
		}
	}
	unset(reflect.ValueOf(c), "config")
	for line := range strings.Lines(string(Example())) {
		if len(line) > width+1 {
			t.Errorf("%d characters: %s", len(line), line)
		}
	}
}

// TestManual: every setting is explained, and begins with its own name.
func TestManual(t *testing.T) {
	seen := 0
	var look func(of reflect.Type, path string)
	look = func(of reflect.Type, path string) {
		for _, f := range fields(of, path) {
			seen++
			key := f.Name[strings.LastIndexByte(f.Name, '.')+1:]
			if !strings.HasPrefix(f.Meaning, key+" ") || strings.Contains(f.Meaning, "\n") {
				t.Errorf("%s: %q", f.Name, f.Meaning)
			}
			if (f.inner == nil) == (f.Example == "") {
				t.Errorf("%s has the example %q", f.Name, f.Example)
			}
			if f.inner != nil {
				look(f.inner, f.Name)
			}
		}
	}
	look(reflect.TypeFor[Config](), "")
	if seen != len(known) {
		t.Errorf("%d fields of %d", seen, len(known))
	}
}

// TestDefaults: what the manual says is what counts.
func TestDefaults(t *testing.T) {
	values, err := Values("")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"serve.listen": DefaultListen, "serve.drain": "0s", "logging.level": "info", "logging.format": "json",
		"timestamps.events": "[" + strings.Join(Classes, ", ") + "]",
	} {
		if got := valueOf(values, name); got.Value != want || got.Line != 0 {
			t.Errorf("%s = %+v", name, got)
		}
	}
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, []byte("metrics: {}\ntraces: {endpoint: 'http://localhost:4318'}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if values, err = Values(path); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"metrics.listen": DefaultMetrics, "metrics.allow_remote": "false", "traces.sample": "0.1"} {
		if got := valueOf(values, name); got.Value != want || got.Line != 0 {
			t.Errorf("%s = %+v", name, got)
		}
	}
}

func valueOf(values []Value, name string) Value {
	for _, v := range values {
		if v.Name == name {
			return v
		}
	}
	return Value{}
}

// TestValues: what is in force, and where it stands.
func TestValues(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strongroomd.yaml")
	text := whole + "serve:\n  drain: 1m\n  trusted_proxies: [10.0.0.0/24, 2001:db8::/32]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	values, err := Values(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct {
		name, value string
		line        int
	}{
		{"objects.s3.region", "eu-central-1", 5},
		{"objects.s3.ca_file", filepath.Join(filepath.Dir(path), "ca.pem"), 8},
		{"timestamps.authorities[0].timeout", "5s", 24},
		{"timestamps.authorities[1].timeout", "10s", 0},
		{"timestamps.authorities[1].name", "second", 26},
		{"timestamps.events", "[grant, item]", 29},
		{"serve.drain", "1m0s", 31},
		{"serve.trusted_proxies", "[10.0.0.0/24, 2001:db8::/32]", 32},
		{"serve.listen", DefaultListen, 0},
		{"metrics", "", 0},
	} {
		if got := valueOf(values, want.name); got.Value != want.value || got.Line != want.line || got.Meaning == "" {
			t.Errorf("%+v, not %+v", got, want)
		}
	}
	if _, err := Values(path + ".none"); err == nil {
		t.Error("no file has values")
	}
}
