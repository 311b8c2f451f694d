package deploy

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// somebody and another are addresses that people come from.
const (
	somebody = "127.0.0.77"
	another  = "127.0.0.78"
)

// proxy is one that runs with its file of the folder deploy/proxy.
type proxy struct {
	address string
	said    *output
	stop    func()
}

type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// startProxy starts the program in front of a server. In its file ports, paths and the server's address become those of here, and the first of
// each pair the second.
func startProxy(t *testing.T, name, server string, changes ...string) proxy {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	dir := t.TempDir()
	openssl := exec.CommandContext(t.Context(), "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2",
		"-subj", "/CN=proxy", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", filepath.Join(dir, "public.key"), "-out", filepath.Join(dir, "ca.pem"))
	_, err := openssl.Output()
	check(t, err)
	chain, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	check(t, err)
	key, err := os.ReadFile(filepath.Join(dir, "public.key"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "public.pem"), append(chain, key...), 0o600))
	p := proxy{address: unused(t), said: &output{}}
	var file string
	var args []string
	switch name {
	case "haproxy":
		file, args = "haproxy.cfg", []string{"-f"}
		changes = append(changes, "bind :8443", "bind "+p.address, "replica-1:8443", server, "replica-2:8443", server)
	case "nginx":
		file, args = "nginx.conf", []string{"-p", dir, "-e", "stderr", "-g", "daemon off; pid " + dir + "/pid;", "-c"}
		changes = append(changes, "listen 443", "listen "+p.address, "listen [::]:443 ssl http2;", "", "10.0.0.11:8443", server, "10.0.0.12:8443", server)
	case "caddy":
		file, args = "Caddyfile", []string{"run", "--adapter", "caddyfile", "--config"}
		changes = append(changes, "\tservers {", "\tadmin off\n\tauto_https disable_redirects\n\tservers {", "10.0.0.11:8443", server, "10.0.0.12:8443", server,
			"vault.your-organization.example {", "https://"+p.address+" {", "tls {", "tls "+dir+"/public.pem "+dir+"/public.key {")
	}
	text, err := os.ReadFile(filepath.Join(folder, "proxy", file))
	check(t, err)
	at := filepath.Join(dir, file)
	changes = append(changes, "/run/secrets/", dir+"/", "/etc/strongroom/", dir+"/")
	check(t, os.WriteFile(at, []byte(strings.NewReplacer(changes...).Replace(string(text))), 0o600))
	c := exec.CommandContext(context.WithoutCancel(t.Context()), name, append(args, at)...)
	c.Env = append(os.Environ(), "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	c.Stdout, c.Stderr = p.said, p.said
	check(t, c.Start())
	p.stop = sync.OnceFunc(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
	})
	t.Cleanup(p.stop)
	until(t, name+" answers", func() bool {
		conn, err := net.Dial("tcp", p.address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return p
}

// unused is an address at which nobody answers.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

// from is the browser of somebody at an address.
func from(address string) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 20 * time.Second}
}

// A proxy whose servers do not answer says that, and not who asked for what: its log is kept by others than the vault's.
func TestProxiesTellNobody(t *testing.T) {
	for _, name := range []string{"haproxy", "nginx", "caddy"} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, name, unused(t))
			answer, err := from(somebody).Get("https://" + p.address + "/v1/cases/cas-0123456789")
			if err != nil {
				t.Fatalf("%v\n%s", err, p.said)
			}
			answer.Body.Close()
			if answer.StatusCode < 500 {
				t.Errorf("%d without a server", answer.StatusCode)
			}
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(somebody)}}
			conn, err := dialer.Dial("tcp", p.address)
			check(t, err)
			_, err = conn.Write([]byte("GET /v1/cases/cas-0123456789 HTTP/1.1\r\nHost: vault\r\n\r\n")) // not TLS
			check(t, err)
			_, _ = conn.Read(make([]byte, 1<<10))
			conn.Close()
			p.stop()
			for _, told := range []string{somebody, "cas-0123456789"} {
				if strings.Contains(p.said.String(), told) {
					t.Errorf("its log has %s:\n%s", told, p.said)
				}
			}
		})
	}
}

// strongroomd does not bound the connections of its proxies, so they bound those of one address.
func TestHAProxyBoundsConnections(t *testing.T) {
	const bound = 16
	p := startProxy(t, "haproxy", unused(t), "gt 1024", fmt.Sprint("gt ", bound))
	open := func(address string) bool {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		conn, err := dialer.Dial("tcp", p.address)
		if err != nil {
			return false // hung up on at once
		}
		t.Cleanup(func() { conn.Close() })
		return tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).Handshake() == nil
	}
	for n := range bound {
		if !open(somebody) {
			t.Fatalf("connection %d was not taken", n+1)
		}
	}
	if open(somebody) {
		t.Error("one more was taken")
	}
	if !open(another) {
		t.Error("and nobody else may come")
	}
}

// nginx counts what is under way.
func TestNginxBoundsRequests(t *testing.T) {
	const bound = 16
	hold, arrived := make(chan struct{}), make(chan struct{}, 4*bound)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-hold
	}))
	server.StartTLS()
	t.Cleanup(server.Close)
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	p := startProxy(t, "nginx", server.Listener.Addr().String(), "places 1024", fmt.Sprint("places ", bound), "proxy_ssl_verify on", "proxy_ssl_verify off")
	get := func(client *http.Client) int {
		answer, err := client.Get("https://" + p.address + "/v1")
		if err != nil {
			t.Errorf("%v\n%s", err, p.said)
			return 0
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	var under sync.WaitGroup
	begin := func(client *http.Client) {
		under.Go(func() {
			if status := get(client); status != http.StatusOK {
				t.Errorf("a request that was held: %d", status)
			}
		})
		select {
		case <-arrived:
		case <-time.After(20 * time.Second):
			t.Fatalf("it never came to the server\n%s", p.said)
		}
	}
	client := from(somebody)
	for range bound {
		begin(client)
	}
	if status := get(client); status != http.StatusTooManyRequests {
		t.Errorf("one more: %d", status)
	}
	begin(from(another))
	release()
	under.Wait()
}
