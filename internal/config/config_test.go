package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
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
records:
  postgresql:
    url_file: records.url
log:
  trillian:
    address: log.internal:8090
    ca_file: log-ca.pem
witnesses:
  ca_file: witness-ca.pem
timestamps:
  authorities:
    - name: first
      url: https://time.example/tsr
      policy: 1.2.3.4
      timeout: 5s
      crl: http://time.example/root.crl
    - name: second
      url: http://127.0.0.1:3180/
      ca_file: time-ca.pem
  events: [grant, item]
`

func TestParse(t *testing.T) {
	want := Config{Objects: Objects{S3: &S3{
		Endpoint: "https://s3.example:9000", Region: "eu-central-1", Bucket: "evidence", Prefix: "strongroom/", CAFile: "ca.pem", CredentialsFile: "/run/secrets/s3",
	}}, Records: Records{PostgreSQL: &PostgreSQL{URLFile: "records.url"}}, Log: Log{Trillian: &Trillian{Address: "log.internal:8090", CAFile: "log-ca.pem"}}, Witnesses: Witnesses{CAFile: "witness-ca.pem"}, Timestamps: Timestamps{Authorities: []Authority{
		{Name: "first", URL: "https://time.example/tsr", Policy: "1.2.3.4", Timeout: 5 * time.Second, CRL: "http://time.example/root.crl"},
		{Name: "second", URL: "http://127.0.0.1:3180/", CAFile: "time-ca.pem"},
	}, Events: &[]string{"grant", "item"}}}
	if got, err := Parse([]byte(whole)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Parse = %+v, %v", got, err)
	}
	for _, empty := range []string{"", "\n", "# nothing\n", "---\n", "objects:\n", "objects: {}\n"} {
		if got, err := Parse([]byte(empty)); err != nil || !reflect.DeepEqual(got, Config{}) {
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
		{"direct address in the open", "    bucket:", "    direct: http://" + secret + "\n    bucket:", "line 6: objects.s3.direct must be https://host"},
		{"path in the direct address", "    bucket:", "    direct: https://a/" + secret + "\n    bucket:", "line 6: objects.s3.direct must be"},
		{"mode of locks", "    bucket:", "    retention: " + secret + "\n    bucket:", "line 6: objects.s3.retention must be compliance or governance"},
		{"no region", "    region: eu-central-1\n", "", "line 3: objects.s3.region is missing"},
		{"no bucket", "evidence", `""`, "line 6: objects.s3.bucket is missing"},
		{"prefix", "strongroom/", secret, "line 7: objects.s3.prefix must end"},
		{"no address of records", "    url_file: records.url\n", "    url_file:\n", "line 12: records.postgresql.url_file is missing"},
		{"address of records in the file", "url_file: records.url", "url: postgres://a:" + secret + "@db/v", "line 12: records.postgresql has a key that is not known"},
		{"no address of the log", "    address: log.internal:8090\n", "", "line 14: log.trillian.address must be host:port"},
		{"address without port", "log.internal:8090", secret, "line 15: log.trillian.address must be host:port"},
		{"address of no host", "log.internal:8090", ":8090", "line 15: log.trillian.address must be host:port"},
		{"port of a name", "log.internal:8090", "log.internal:" + secret, "line 15: log.trillian.address must be host:port"},
		{"port 0", "log.internal:8090", "log.internal:0", "line 15: log.trillian.address must be host:port"},
		{"URL for an address", "log.internal:8090", "https://" + secret + ":8090", "line 15: log.trillian.address must be host:port"},
		{"unknown of the log", "    ca_file: log-ca.pem", "    " + secret + ": 7", "line 16: log.trillian has a key that is not known"},
		{"unknown of an authority", "      policy:", "      " + secret + ": x\n      policy:", "line 23: timestamps.authorities[0] has a key that is not known"},
		{"name of an authority", "name: second", "name: " + secret, "line 26: timestamps.authorities[1].name must be"},
		{"name twice", "name: second", "name: first", "line 26: timestamps.authorities[1].name is the name of another"},
		{"name of the development authority", "name: second", "name: development", "line 26: timestamps.authorities[1].name is the dev"},
		{"no name", "    - name: second\n      url", "    - url", "line 26: timestamps.authorities[1].name must be"},
		{"http to a network", "http://127.0.0.1:3180/", "http://" + secret + "/", "line 27: timestamps.authorities[1].url must be https://host"},
		{"password in an address", "http://127", "http://a:" + secret + "@127", "line 27: timestamps.authorities[1].url must be"},
		{"policy", "1.2.3.4", secret, "line 23: timestamps.authorities[0].policy must be"},
		{"timeout in no unit", "5s", "5", "line 24: timestamps.authorities[0].timeout is not of its form"},
		{"long timeout", "5s", "11s", "line 24: timestamps.authorities[0].timeout must be"},
		{"negative timeout", "5s", "-1s", "line 24: timestamps.authorities[0].timeout must be"},
		{"address of a revocation list", "http://time.example/root", "file:///" + secret, "line 25: timestamps.authorities[0].crl must be"},
		{"class of events", "[grant, item]", "[grant, " + secret + "]", "line 29: timestamps.events must be a list of"},
		{"class twice", "[grant, item]", "[item, item]", "line 29: timestamps.events must be a list of"},
		{"classes that are none", "[grant, item]", "{" + secret + ": x}", "line 29: timestamps.events is not of its form"},
		{"address to listen on", "# where", "serve: {listen: " + secret + "}\n# where", "line 1: serve.listen must be host:port"},
		{"key without certificate", "# where", "serve:\n  key_file: " + secret + "\n# where", "line 1: serve.cert_file and key_file"},
		{"host for a network", "# where", "serve: {trusted_proxies: [10.0.0.1/8]}\n# where", "line 1: serve.trusted_proxies must be"},
		{"long drain", "# where", "serve: {drain: 11m}\n# where", "line 1: serve.drain must be"},
		{"metrics for everybody", "# where", "metrics:\n  listen: 0.0.0.0:9464\n# where", "line 2: metrics.listen is an address that other machines can reach"},
		{"metrics on every interface", "# where", "metrics:\n  listen: :9464\n# where", "line 2: metrics.listen is an address that other machines can reach"},
		{"metrics nowhere", "# where", "metrics: {listen: " + secret + ", allow_remote: true}\n# where", "line 1: metrics.listen must be"},
		{"traces in the open", "# where", "traces: {endpoint: 'http://" + secret + ":4318'}\n# where", "line 1: traces.endpoint must be"},
		{"password of a collector", "# where", "traces: {endpoint: 'https://a:" + secret + "@host'}\n# where", "line 1: traces.endpoint must be"},
		{"key of a collector in its address", "# where", "traces: {endpoint: 'https://host:4318/?key=" + secret + "'}\n# where", "line 1: traces.endpoint must be"},
		{"no collector", "# where", "traces: {sample: 1}\n# where", "line 1: traces.endpoint must be"},
		{"sample of no part", "# where", "traces: {endpoint: 'https://host', sample: 1.5}\n# where", "line 1: traces.sample must be"},
		{"sample that is no number", "# where", "traces: {endpoint: 'https://host', sample: .nan}\n# where", "line 1: traces.sample must be"},
		{"level", "# where", "logging: {level: " + secret + "}\n# where", "line 1: logging.level must be"},
		{"format", "# where", "logging: {format: " + secret + "}\n# where", "line 1: logging.format must be"},
		{"unknown of the server", "# where", "serve: {" + secret + ": 1}\n# where", "line 1: serve has a key that is not known"},
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
	if a := c.Timestamps.Authorities; len(a) != 2 || a[0].CAFile != "" || a[1].CAFile != filepath.Join(dir, "time-ca.pem") {
		t.Errorf("Read = %+v", a)
	}
	if err == nil && (c.Records.PostgreSQL.URLFile != filepath.Join(dir, "records.url") || c.Log.Trillian.CAFile != filepath.Join(dir, "log-ca.pem")) {
		t.Errorf("Read = %+v, %+v", c.Records.PostgreSQL, c.Log.Trillian)
	}
	if err != nil || c.Objects.S3.CAFile != filepath.Join(dir, "ca.pem") || c.Objects.S3.CredentialsFile != "/run/secrets/s3" {
		t.Errorf("Read = %+v, %v", c.Objects.S3, err)
	}
}

// FuzzParse: any text is a configuration or an *Error, never a panic.
func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("objects: {s3: null}"))
	f.Add([]byte("records: {postgresql: {url_file: f}}\nlog: {trillian: {address: '[::1]:1'}}\n"))
	f.Add(Example())
	f.Add([]byte("metrics: {listen: '[::1]:0'}\ntraces: {endpoint: 'http://[::1]:1', sample: 1e-3}\n"))
	f.Add([]byte("a: &a [*a]\n---\n"))
	f.Add([]byte("objects: !!binary x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text)
		var typed *Error
		if err != nil && !errors.As(err, &typed) {
			t.Errorf("%q: %v is not of its type", text, err)
		}
		for _, a := range c.Timestamps.Authorities {
			if err == nil && (!authorityName.MatchString(a.Name) || a.URL == "" || a.Timeout > maxTimeout) {
				t.Errorf("%q: accepted %+v", text, a)
			}
		}
		if err == nil && (c.Records.PostgreSQL != nil && c.Records.PostgreSQL.URLFile == "" || c.Log.Trillian != nil && !hostAndPort(c.Log.Trillian.Address)) {
			t.Errorf("%q: accepted %+v, %+v", text, c.Records.PostgreSQL, c.Log.Trillian)
		}
		if err == nil && c.Metrics != nil && !c.Metrics.AllowRemote && c.Metrics.Listen != "" && !Loopback(c.Metrics.Listen) {
			t.Errorf("%q: accepted %+v", text, c.Metrics)
		}
		if err == nil && c.Objects.S3 != nil && (c.Objects.S3.Endpoint == "" || c.Objects.S3.Bucket == "") {
			t.Errorf("%q: accepted %+v", text, c.Objects.S3)
		}
	})
}
