package timestamping

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// opensslAuthority is an authority of the command openssl behind a handler: its own root, its own key and policy.
type opensslAuthority struct {
	t    *testing.T
	dir  string
	mu   sync.Mutex // openssl counts serial numbers in a file
	Root *x509.Certificate
	URL  string
}

const opensslPolicy = "1.3.6.1.4.1.32473.9"

func newOpenSSLAuthority(t *testing.T) *opensslAuthority {
	a := &opensslAuthority{t: t, dir: t.TempDir()}
	a.write("config", []byte(`
[root]
basicConstraints = critical,CA:true
[signer]
basicConstraints = critical,CA:false
extendedKeyUsage = critical,timeStamping
[tsa]
default_tsa = one
[one]
serial = `+a.path("serial")+`
crypto_device = builtin
default_policy = `+opensslPolicy+`
digests = sha256
signer_digest = sha256
accuracy = secs:1
`))
	a.write("serial", []byte("01\n"))
	a.run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Test root", "-days", "30", "-keyout", a.path("root.key"), "-out", a.path("root.pem"))
	a.run("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Test authority", "-keyout", a.path("own.key"), "-out", a.path("own.csr"))
	a.run("x509", "-req", "-in", a.path("own.csr"), "-CA", a.path("root.pem"), "-CAkey", a.path("root.key"), "-set_serial", "7", "-days", "20",
		"-extfile", a.path("config"), "-extensions", "signer", "-out", a.path("own.pem"))
	roots, _, err := ParseCertificates(a.read("root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	a.Root = roots[0]
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

func (a *opensslAuthority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.t.Error(err)
	}
	a.write("query", body)
	a.run("ts", "-reply", "-config", a.path("config"), "-queryfile", a.path("query"), "-signer", a.path("own.pem"), "-inkey", a.path("own.key"), "-out", a.path("answer"))
	w.Header().Set("Content-Type", answerType)
	w.Write(a.read("answer"))
}

func (a *opensslAuthority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *opensslAuthority) write(name string, data []byte) {
	if err := os.WriteFile(a.path(name), data, 0o600); err != nil {
		a.t.Error(err)
	}
}

func (a *opensslAuthority) read(name string) []byte {
	data, err := os.ReadFile(a.path(name))
	if err != nil {
		a.t.Error(err)
	}
	return data
}

func (a *opensslAuthority) run(args ...string) {
	if out, err := exec.Command("openssl", args...).CombinedOutput(); err != nil {
		a.t.Errorf("openssl %s: %v\n%s", args[0], err, out)
	}
}

// opensslVerify is `openssl ts -verify` over raw bytes, with the root alone: the chain is in the response.
func opensslVerify(t *testing.T, response, message []byte, root *x509.Certificate) error {
	t.Helper()
	a := &opensslAuthority{t: t, dir: t.TempDir()}
	a.write("response", response)
	a.write("message", message)
	a.write("root.pem", pemOf(root))
	out, err := exec.Command("openssl", "ts", "-verify", "-in", a.path("response"), "-data", a.path("message"), "-CAfile", a.path("root.pem")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
