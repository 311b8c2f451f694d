package daemon

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// served serves a handler as a vault is served, and returns where.
func served(t *testing.T, handler http.Handler, set func(*http.Server)) (address string, trust *tls.Config) {
	t.Helper()
	d := &Daemon{parts: &parts{options: testOptions(), folder: folder(t.TempDir())}, handler: handler}
	own := must(d.Loopback())
	server := newServer(handler, slog.New(slog.DiscardHandler))
	if set != nil {
		set(server)
	}
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	go server.Serve(d.listen(l, own.Certificate))
	t.Cleanup(func() { server.Close() })
	roots := x509.NewCertPool()
	roots.AddCert(must(own.Certificate(nil)).Leaf)
	return l.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// The vault's own certificate: for this machine only, its key closed to others, renewed in time and with the same key.
func TestLoopback(t *testing.T) {
	now := time.Now()
	d := &Daemon{parts: &parts{options: testOptions(), folder: folder(t.TempDir())}}
	d.parts.options.Now = func() time.Time { return now }
	first := must(d.Loopback())
	leaf := must(first.Certificate(nil)).Leaf
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if leaf.IsCA || leaf.VerifyHostname("vault.example") == nil {
		t.Error("the certificate is good for more than this machine")
	}
	for path, want := range map[string]fs.FileMode{first.keyFile(): 0o600, filepath.Dir(first.keyFile()): fs.ModeDir | 0o700} {
		if got := must(os.Stat(path)).Mode(); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	again := must(d.Loopback())
	if !must(again.Certificate(nil)).Leaf.Equal(leaf) || again.Fingerprint() != first.Fingerprint() {
		t.Error("another certificate after a restart")
	}
	now = now.Add(loopbackLife - loopbackRenew + time.Minute)
	for name, l := range map[string]*Loopback{"while serving": again, "at the next start": must(d.Loopback())} {
		renewed := must(l.Certificate(nil)).Leaf
		if renewed.Equal(leaf) || renewed.NotAfter.Sub(now) < loopbackLife-time.Hour || l.Fingerprint() != first.Fingerprint() {
			t.Errorf("%s: not renewed with the same key: until %s", name, renewed.NotAfter)
		}
	}
	must(0, os.WriteFile(first.certificateFile(), []byte("nonsense"), 0o600))
	if must(d.Loopback()).Fingerprint() != first.Fingerprint() {
		t.Error("a damaged certificate took its key along")
	}
	must(0, os.WriteFile(first.keyFile(), []byte("nonsense"), 0o600))
	if _, err := d.Loopback(); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged key: %v", err)
	}
}

// TLS 1.3, and nothing else: no older version, nothing in the clear.
func TestTLSOnly(t *testing.T) {
	address, trust := served(t, http.NotFoundHandler(), nil)
	if conn, err := tls.Dial("tcp", address, trust); err != nil || conn.ConnectionState().Version != tls.VersionTLS13 {
		t.Errorf("TLS 1.3: %v", err)
	}
	old := trust.Clone()
	old.MaxVersion = tls.VersionTLS12
	if _, err := tls.Dial("tcp", address, old); err == nil {
		t.Error("TLS 1.2 was accepted")
	}
	if resp, err := http.Get("http://" + address); err == nil && resp.StatusCode != http.StatusBadRequest {
		t.Errorf("in the clear: %d", resp.StatusCode)
	}
}

// Who says nothing, or never ends what was begun, is not waited for.
func TestSlowConnections(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotFound) })
	for name, said := range map[string]string{
		"a header without an end":        "GET / HTTP/1.1\r\nHost: vault.example\r\nX-Slow: a",
		"nothing at all":                 "",
		"a body that never comes":        "POST / HTTP/1.1\r\nHost: vault.example\r\nContent-Length: 100\r\n\r\n",
		"a body that comes by the piece": "POST / HTTP/1.1\r\nHost: vault.example\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			address, trust := served(t, handler, func(s *http.Server) {
				for _, limit := range []*time.Duration{&s.ReadHeaderTimeout, &s.ReadTimeout, &s.WriteTimeout, &s.IdleTimeout} {
					if *limit <= 0 || *limit > 2*time.Minute {
						t.Errorf("a limit of %s", *limit)
					}
					*limit /= 100
				}
			})
			conn := must(tls.Dial("tcp", address, trust))
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			must(io.WriteString(conn, said))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the server waits for ever")
			}
		})
	}
}

// A flood of headers is cut off at 32 KiB, whether in one line or in many.
func TestHeaderFlood(t *testing.T) {
	var asked atomic.Int32
	address, trust := served(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }), nil)
	for name, flood := range map[string]string{"one line": "X: " + strings.Repeat("a", 64<<10), "many lines": strings.Repeat("X: a\r\n", 12<<10) + "X: a"} {
		conn := must(tls.Dial("tcp", address, trust))
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		go fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: vault.example\r\n%s\r\n\r\n", flood) // the server may hang up meanwhile
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil && resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge || asked.Load() > 0 {
			t.Errorf("%s: %v %v", name, resp, err)
		}
		conn.Close()
	}
}

// HTTP/2 rapid reset: requests that are taken back at once still count while they are worked on, and who goes on is thrown out.
func TestRapidReset(t *testing.T) {
	var working, most atomic.Int32
	release := make(chan struct{})
	defer close(release)
	address, trust := served(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		most.Store(max(most.Load(), working.Add(1)))
		defer working.Add(-1)
		<-release
	}), nil)
	trust.NextProtos = []string{"h2"}
	conn := must(tls.Dial("tcp", address, trust))
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	frame := func(kind, flags byte, stream uint32, payload string) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
		return append(binary.BigEndian.AppendUint32(append(b, flags), stream), payload...)
	}
	const settings, headers, reset, goAway = 4, 1, 3, 7
	must(conn.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(settings, 0, 0, "")...)))
	go func() {
		request := "\x82\x87\x84\x01\x0dvault.example" // GET, https, /, authority (RFC 7541)
		for stream := uint32(1); stream < 10000; stream += 2 {
			if _, err := conn.Write(append(frame(headers, 5, stream, request), frame(reset, 0, stream, "\x00\x00\x00\x08")...)); err != nil {
				return
			}
		}
	}()
	thrownOut := false
	for head := make([]byte, 9); !thrownOut; {
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatalf("no farewell: %v", err)
		}
		must(io.CopyN(io.Discard, conn, int64(binary.BigEndian.Uint32(head)>>8)))
		thrownOut = head[3] == goAway
	}
	if n := most.Load(); n > 100 || n == 0 {
		t.Errorf("%d requests were worked on at once", n)
	}
}

// pipes is a listener of connections that come from where the test says.
type pipes struct {
	net.Listener
	from chan string
}

func (p pipes) Accept() (net.Conn, error) {
	from, ok := <-p.from
	if !ok {
		return nil, net.ErrClosed
	}
	server, _ := net.Pipe()
	return piped{server, must(netip.ParseAddrPort(from))}, nil
}

type piped struct {
	net.Conn
	from netip.AddrPort
}

func (p piped) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.from) }

// Connections are bounded, in all and from one place, and a place that let go may come again.
func TestBoundedConnections(t *testing.T) {
	in := pipes{from: make(chan string, 2*maxConnections)}
	b := newBounded(in, []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")})
	open := func(n int, from func(i int) string) (conns []net.Conn) {
		t.Helper()
		for i := range n {
			in.from <- from(i)
		}
		in.from <- "10.0.0.1:1" // comes through, and shows that all before it were seen
		for {
			conn := must(b.Accept())
			if conn.RemoteAddr().String() == "10.0.0.1:1" {
				conn.Close()
				return conns
			}
			conns = append(conns, conn)
		}
	}
	one := open(maxConnectionsFromOne+500, func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i+1) })
	if len(one) != maxConnectionsFromOne {
		t.Fatalf("%d connections from one /64", len(one))
	}
	if n := len(open(1, func(int) string { return "[2001:db8:0:1::1]:1" })); n != 1 {
		t.Error("its neighbour was refused")
	}
	for _, c := range one[:10] {
		c.Close()
		c.Close() // counts once
	}
	if n := len(open(20, func(int) string { return "[2001:db8::1]:2" })); n != 10 {
		t.Errorf("%d connections in the place of ten that ended", n)
	}
	if n := len(open(2000, func(i int) string { return fmt.Sprintf("10.0.0.1:%d", i+2) })); n != 2000 {
		t.Errorf("a trusted proxy got %d connections", n)
	}
	rest := open(maxConnections-maxConnectionsFromOne-2001-1, func(i int) string { return fmt.Sprintf("203.0.%d.%d:1", i/200, i%200) })
	if b.all != maxConnections-1 || len(rest) == 0 {
		t.Fatalf("%d connections in all", b.all)
	}
	in.from <- "198.51.100.1:1"
	must(b.Accept())
	in.from <- "198.51.100.2:1"
	close(in.from)
	if _, err := b.Accept(); err == nil {
		t.Error("more connections than are allowed in all")
	}
}
