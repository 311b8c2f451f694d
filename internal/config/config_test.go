package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const whole = `# where ciphertext is kept
objects:
  s3:
    endpoint: https://s3.example:9000
    region: eu-central-1
    bucket: evidence
    prefix: strongroom/
    ca_file: ca.pem
    credentials_file: /run/secrets/s3
`

func TestParse(t *testing.T) {
	want := Config{Objects: Objects{S3: &S3{
		Endpoint: "https://s3.example:9000", Region: "eu-central-1", Bucket: "evidence", Prefix: "strongroom/", CAFile: "ca.pem", CredentialsFile: "/run/secrets/s3",
	}}}
	if got, err := Parse([]byte(whole)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Parse = %+v, %v", got, err)
	}
	for _, empty := range []string{"", "\n", "# nothing\n", "---\n", "objects:\n", "objects: {}\n"} {
		if got, err := Parse([]byte(empty)); err != nil || got != (Config{}) {
			t.Errorf("%q: %+v, %v", empty, got, err)
		}
	}
}

// TestWrong: each error names field and line, and nothing of what stood there.
func TestWrong(t *testing.T) {
	const secret = "AKIASECRET"
	for _, test := range []struct{ name, old, new, want string }{
		{"unknown at top", "objects:", secret + ": x\nobjects:", "line 2: has a key that is not known"},
		{"unknown within", "    bucket:", "    " + secret + ": x\n    bucket:", "line 6: objects.s3 has a key that is not known"},
		{"secret in the file", "    bucket:", "    secret_key: " + secret + "\n    bucket:", "line 6: objects.s3 has a key that is not known"},
		{"twice", "    bucket:", "    region: " + secret + "\n    bucket:", "line 6: objects.s3.region is given twice"},
		{"list for text", "eu-central-1", "[" + secret + "]", "line 5: objects.s3.region is not of its form"},
		{"text for a mapping", "  s3:\n", "  s3: " + secret + "\n  s4:\n", "line 3: objects.s3 is not of its form"},
		{"no YAML", "    bucket:", "    \t" + secret + ":", "is not YAML"},
		{"anchor", "evidence", "&a " + secret, "uses anchors"},
		{"tag", "evidence", "!!str " + secret, "uses anchors, aliases or tags"},
		{"two documents", "# where", "objects:\n---\n# where", "has more than one document"},
		{"http", "https:", "http:", "line 4: objects.s3.endpoint must be https://host"},
		{"key in the endpoint", "https://", "https://" + secret + "@", "line 4: objects.s3.endpoint must be"},
		{"path in the endpoint", ":9000", ":9000/" + secret, "line 4: objects.s3.endpoint must be"},
		{"no endpoint", "    endpoint: https://s3.example:9000\n", "", "line 3: objects.s3.endpoint must be"},
		{"no region", "    region: eu-central-1\n", "", "line 3: objects.s3.region is missing"},
		{"no bucket", "evidence", `""`, "line 6: objects.s3.bucket is missing"},
		{"prefix", "strongroom/", secret, "line 7: objects.s3.prefix must end"},
		{"too long", "# where", "#" + strings.Repeat(" ", maxSize), "is longer than 64 KiB"},
	} {
		text := strings.Replace(whole, test.old, test.new, 1)
		_, err := Parse([]byte(text))
		var typed *Error
		if text == whole || !errors.As(err, &typed) || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "strongroomd.yaml")
	if _, err := Read(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Read(path)
	if err != nil || c.Objects.S3.CAFile != filepath.Join(dir, "ca.pem") || c.Objects.S3.CredentialsFile != "/run/secrets/s3" {
		t.Errorf("Read = %+v, %v", c.Objects.S3, err)
	}
}

// FuzzParse: any text is a configuration or an *Error, never a panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("objects: {s3: null}"))
	f.Add([]byte("a: &a [*a]\n---\n"))
	f.Add([]byte("objects: !!binary x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		var typed *Error
		if err != nil && !errors.As(err, &typed) {
			t.Errorf("%q: %v is not of its type", text, err)
		}
		if err == nil && c.Objects.S3 != nil && (c.Objects.S3.Endpoint == "" || c.Objects.S3.Bucket == "") {
			t.Errorf("%q: accepted %+v", text, c.Objects.S3)
		}
	})
}
