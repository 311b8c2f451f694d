package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/config"
)

// run runs a command line, and returns what it printed and its exit code.
func run(args ...string) (out string, code int) {
	var b bytes.Buffer
	c := root()
	c.SetOut(&b)
	c.SetArgs(args)
	err := c.Execute()
	switch e := err.(type) {
	case nil:
		return b.String(), 0
	case interface{ ExitCode() int }:
		return b.String(), e.ExitCode()
	}
	return b.String(), 2
}

func TestConfigShow(t *testing.T) {
	if out, code := run("config", "show"); code != 0 || out != string(config.Example()) {
		t.Errorf("%d\n%s", code, out)
	}
}

// TestConfigCheck: every setting with its value and place, what is wrong with the line, and never what stood there.
func TestConfigCheck(t *testing.T) {
	dir := t.TempDir()
	if out, code := run("config", "check", "--data", dir); code != 0 || !strings.Contains(out, "every setting is the default") ||
		!strings.Contains(out, "serve.listen                       127.0.0.1:8443  (default)\n    listen is ") || !strings.Contains(out, "\nRight ") {
		t.Errorf("%d\n%s", code, out)
	}
	secret := filepath.Join(dir, "records.url")
	for name, tt := range map[string]struct {
		text, want string
		code       int
	}{
		"well": {"records:\n  postgresql: {url_file: records.url}\n", "records.postgresql.url_file        " + secret + "  (line 2)", 0},
		"keys": {"timestamps:\n  authorities:\n    - {name: one, url: 'https://time.example/tsr?token=kanarienvogel'}\n",
			"https://time.example/tsr (and more, not shown)  (line 3)\n", 0},
		"a key that nobody would send": {"traces: {endpoint: 'https://collector.example/in?key=kanarienvogel'}\n",
			"Wrong      line 1: traces.endpoint must be https://host:port", 1},
		"unknown":        {"serve:\n  kanarienvogel: 1\n", "Wrong      line 2: serve has a key that is not known\n", 1},
		"no file":        {"log:\n  trillian: {address: 'host:1', ca_file: none.pem}\n", "Wrong      line 2: log.trillian.ca_file names a file that is not there\n", 1},
		"a folder":       {"witnesses: {ca_file: .}\n", "Wrong      line 1: witnesses.ca_file names something that is no file\n", 1},
		"open secret":    {"records:\n  postgresql: {url_file: open.url}\n", "Wrong      line 2: records.postgresql.url_file names a secret that everybody", 1},
		"no certificate": {"serve: {cert_file: records.url, key_file: records.url}\n", "Wrong      serve.cert_file and key_file are not a certificate", 1},
	} {
		must(t, os.WriteFile(secret, []byte("postgres://a:kanarienvogel@host/db"), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "open.url"), nil, 0o644))
		must(t, os.Chmod(filepath.Join(dir, "open.url"), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "strongroomd.yaml"), []byte(tt.text), 0o600))
		out, code := run("config", "check", "--data", dir)
		if code != tt.code || !strings.Contains(out, tt.want) || strings.Contains(out, "kanarienvogel") {
			t.Errorf("%s: %d\n%s", name, code, out)
		}
		asJSON, code := run("config", "check", "--data", dir, "--json")
		var answer checked
		if err := json.Unmarshal([]byte(asJSON), &answer); err != nil || code != tt.code || answer.OK != (code == 0) || answer.File == "" ||
			(len(answer.Wrong) > 0) != (code == 1) || strings.Contains(asJSON, "null") || strings.Contains(asJSON, "kanarienvogel") {
			t.Errorf("%s: %d, %v\n%s", name, code, err, asJSON)
		}
	}
	if _, code := run("config", "check", "--config", filepath.Join(dir, "none.yaml")); code != 2 {
		t.Errorf("no file: %d", code)
	}
	text := "log:\n  trillian: {address: '127.0.0.1:1'}\ntraces: {endpoint: 'http://127.0.0.1:1/'}\n" +
		"timestamps:\n  authorities:\n    - {name: one, url: 'http://127.0.0.1:1/?key=kanarienvogel'}\n"
	must(t, os.WriteFile(filepath.Join(dir, "strongroomd.yaml"), []byte(text), 0o600))
	if out, code := run("config", "check", "--data", dir, "--reach"); code != 1 || !strings.Contains(out, "\nFails      log: ") ||
		!strings.Contains(out, "\nFails      traces: ") || strings.Contains(out, "kanarienvogel") {
		t.Errorf("%d\n%s", code, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestConfigured: a flag comes before the configuration, and this before the default.
func TestConfigured(t *testing.T) {
	says := config.Serve{Listen: "0.0.0.0:443", CertFile: "c", KeyFile: "k", TrustedProxies: []string{"10.0.0.0/8"}, Drain: time.Minute}
	flags := site{listen: "flag:1", cert: "fc", key: "fk", proxies: []string{"fp"}, drain: time.Second}
	for _, tt := range []struct {
		says  config.Serve
		given bool
		want  site
	}{
		{says, true, flags},
		{says, false, site{listen: "0.0.0.0:443", cert: "c", key: "k", proxies: []string{"10.0.0.0/8"}, drain: time.Minute}},
		{config.Serve{}, false, site{listen: "flag:1"}},
	} {
		got := flags
		got.configured(tt.says, func(string) bool { return tt.given })
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%+v, not %+v", got, tt.want)
		}
	}
}

// TestLogger: lines are of the level and the form that the configuration says.
func TestLogger(t *testing.T) {
	for _, tt := range []struct {
		says config.Logging
		want string
	}{
		{config.Logging{}, `"msg":"i"`},
		{config.Logging{Level: "warn"}, ""},
		{config.Logging{Level: "debug", Format: "text"}, "msg=d"},
	} {
		var b bytes.Buffer
		l := logger(&b, tt.says)
		l.Debug("d")
		l.Info("i")
		if tt.want == "" && b.Len() > 0 || !strings.Contains(b.String(), tt.want) || strings.Contains(b.String(), `"d"`) {
			t.Errorf("%+v: %s", tt.says, &b)
		}
	}
}
