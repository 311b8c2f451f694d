package s3_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/objects/versitygw"
)

const block = objects.Block

func content(size int) []byte {
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

func digest(b []byte) objects.Digest { return sha256.Sum256(b) }

// create makes a store of the test's own.
func create(t testing.TB, c s3.Config) *s3.Store {
	t.Helper()
	must(t, s3.Create(t.Context(), c))
	return openConfig(t, c)
}

func openConfig(t testing.TB, c s3.Config) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), c)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// upload appends what is missing of b, and fails at the first error.
func upload(ctx context.Context, s objects.Store, id string, b []byte) error {
	info, err := s.StageInfo(ctx, id)
	for at := info.Offset; err == nil && at < int64(len(b)); {
		var n int64
		n, err = s.StageAppend(ctx, id, at, bytes.NewReader(b[at:]))
		at += n
	}
	return err
}

func put(t testing.TB, s objects.Store, id string, b []byte) objects.Digest {
	t.Helper()
	must(t, s.StageCreate(t.Context(), id, int64(len(b))))
	must(t, upload(t.Context(), s, id, b))
	_, err := s.StageCommit(t.Context(), id, digest(b))
	must(t, err)
	return digest(b)
}

func TestCreateOpen(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	_, err := s3.Open(t.Context(), c)
	if !errors.Is(err, objects.ErrNotFound) && !errors.Is(err, s3.ErrBucket) {
		t.Fatal(err)
	}
	must(t, s3.Create(t.Context(), c))
	must(t, s3.Create(t.Context(), c)) // an empty one may be the rest of an interrupted creation
	other := c
	other.Owner = "other.example"
	is(t, s3.Create(t.Context(), other), objects.ErrExists)
	s := openConfig(t, c)
	must(t, s.StageCreate(t.Context(), "upl-a", 1))
	is(t, s3.Create(t.Context(), c), objects.ErrExists)
	must(t, s.StageRemove(t.Context(), "upl-a"))
	put(t, s, "upl-b", []byte("x"))
	is(t, s3.Create(t.Context(), c), objects.ErrExists)

	for name, wrong := range map[string]func(*s3.Config){
		"http":          func(c *s3.Config) { c.Endpoint = "http" + strings.TrimPrefix(c.Endpoint, "https") },
		"path":          func(c *s3.Config) { c.Endpoint += "/bucket" },
		"user":          func(c *s3.Config) { c.Endpoint = "https://key:secret@127.0.0.1" },
		"no endpoint":   func(c *s3.Config) { c.Endpoint = "" },
		"no region":     func(c *s3.Config) { c.Region = "" },
		"no bucket":     func(c *s3.Config) { c.Bucket = "" },
		"prefix":        func(c *s3.Config) { c.Prefix = "a" },
		"no CA":         func(c *s3.Config) { c.CAFile += "x" },
		"no CA in file": func(c *s3.Config) { c.CAFile = c.CredentialsFile },
	} {
		c := c
		wrong(&c)
		if _, err := s3.Open(t.Context(), c); !errors.Is(err, objects.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefused: what an operator can get wrong has an error of its own, soon, and none of them says a key, a secret or a digest.
func TestRefused(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	d := put(t, create(t, c), "upl-a", []byte("x"))
	credentials, err := os.ReadFile(c.CredentialsFile)
	must(t, err)
	file := func(text string) string {
		name := filepath.Join(t.TempDir(), "credentials")
		must(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed := "https://" + l.Addr().String()
	must(t, l.Close())
	var words []string // of the credentials file
	for _, line := range strings.Split(string(credentials), "\n") {
		if _, value, ok := strings.Cut(line, " = "); ok {
			words = append(words, value)
		}
	}
	for _, test := range []struct {
		name  string
		wrong func(*s3.Config)
		want  error
	}{
		{"other secret", func(c *s3.Config) { c.CredentialsFile = file(strings.TrimSpace(string(credentials)) + "0\n") }, s3.ErrCredentials},
		{"other key", func(c *s3.Config) {
			c.CredentialsFile = file(strings.Replace(string(credentials), "access", "axxess", 2))
		}, s3.ErrCredentials},
		{"no credentials", func(c *s3.Config) { c.CredentialsFile = file("") }, s3.ErrCredentials},
		{"no credentials file", func(c *s3.Config) { c.CredentialsFile += "x" }, s3.ErrCredentials},
		{"refused connection", func(c *s3.Config) { c.Endpoint = closed }, objects.ErrUnreachable},
		{"certificate of nobody", func(c *s3.Config) { c.CAFile = "" }, objects.ErrUnreachable},
		{"no bucket", func(c *s3.Config) { c.Bucket = "absent" }, s3.ErrBucket},
		{"another's", func(c *s3.Config) { c.Owner = "other.example" }, s3.ErrOwner},
	} {
		wrong := c
		test.wrong(&wrong)
		start := time.Now()
		_, err := s3.Open(t.Context(), wrong)
		if !errors.Is(err, test.want) || time.Since(start) > 15*time.Second {
			t.Errorf("%s: %v after %v", test.name, err, time.Since(start))
			continue
		}
		for _, word := range append(words, d.String(), wrong.Prefix) {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: the error says too much", test.name)
			}
		}
	}
}

// TestKilledServer kills the server under an upload again and again. What was durable stays, and the upload goes on where it was.
func TestKilledServer(t *testing.T) {
	server := server(t)
	c := config(server, t.TempDir())
	s := create(t, c)
	all := content(3*block + 1000)
	must(t, s.StageCreate(t.Context(), "upl-a", int64(len(all))))
	at := int64(0)
	for kills := 0; at < int64(len(all)); kills++ {
		rest, until := bytes.NewReader(all[at:]), rand.IntN(len(all)-int(at))
		n, err := s.StageAppend(t.Context(), "upl-a", at, readerFunc(func(p []byte) (int, error) {
			if read := len(all) - int(at) - rest.Len(); read >= until && kills < 4 {
				server.Kill() // while the part before this one is on its way
				until = len(all)
			}
			return rest.Read(p)
		}))
		at += n
		if kills < 4 {
			if err != nil {
				is(t, err, objects.ErrUnreachable)
				_, err = s.StageInfo(t.Context(), "upl-a")
				is(t, err, objects.ErrUnreachable)
			}
			must(t, server.Run(t.Context()))
		} else {
			must(t, err)
		}
		if kills%2 == 1 {
			s = openConfig(t, c) // another replica
		}
		info, err := s.StageInfo(t.Context(), "upl-a")
		must(t, err)
		if info.Offset < at {
			t.Fatalf("%d bytes were durable, %d are there", at, info.Offset)
		}
		at = info.Offset // a part whose answer was lost
	}
	_, err := s.StageCommit(t.Context(), "upl-a", digest(all))
	must(t, err)
	_, err = s.Verify(t.Context(), digest(all))
	must(t, err)
}

// TestFlippedBit: of a page that is not as it was written nothing is given, whichever way it is read.
func TestFlippedBit(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	s := create(t, c)
	const page = 1 << 20
	all := content(4*page + 1000)
	d := put(t, s, "upl-a", all)
	name, err := bodyFile(&shared, c, d)
	must(t, err)
	flip := func(name string, at int) {
		t.Helper()
		b, err := os.ReadFile(name)
		must(t, err)
		b[at] ^= 4
		must(t, os.WriteFile(name, b, 0o600))
	}
	flip(name, 2*page+5)
	o, err := s.Open(t.Context(), d)
	must(t, err)
	defer o.Close()
	got, err := io.ReadAll(o)
	is(t, err, objects.ErrDamaged)
	if !bytes.Equal(got, all[:2*page]) {
		t.Errorf("of an object damaged in its third page %d bytes were read", len(got))
	}
	for _, r := range []struct {
		off, n int64
		bad    bool
	}{{0, 2 * page, false}, {2*page - 1, 2, true}, {2*page + 6, 1, true}, {3*page - 1, 1, true}, {3 * page, page + 1000, false}, {4 * page, 1000, false}} {
		p := make([]byte, r.n)
		n, err := o.ReadAt(p, r.off)
		if r.bad != errors.Is(err, objects.ErrDamaged) || !bytes.Equal(p[:n], all[r.off:r.off+int64(n)]) || !r.bad && int64(n) != r.n {
			t.Errorf("ReadAt %d bytes at %d = %d, %v", r.n, r.off, n, err)
		}
		if _, err := o.Seek(r.off, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		n, err = io.ReadFull(o, p)
		if r.bad != errors.Is(err, objects.ErrDamaged) || !bytes.Equal(p[:n], all[r.off:r.off+int64(n)]) {
			t.Errorf("Read of %d bytes at %d = %d, %v", r.n, r.off, n, err)
		}
	}
	_, err = s.Verify(t.Context(), d)
	is(t, err, objects.ErrDamaged)
	flip(name, 2*page+5)
	_, err = s.Verify(t.Context(), d)
	must(t, err)

	// Nor is one that became shorter or longer taken for whole.
	b, err := os.ReadFile(name)
	must(t, err)
	for _, other := range [][]byte{b[:len(b)-1], append(bytes.Clone(b), 0), nil} {
		must(t, os.WriteFile(name, other, 0o600))
		if n, err := o.ReadAt(make([]byte, 10), 4*page); n != 0 || !errors.Is(err, objects.ErrDamaged) {
			t.Errorf("of an object with %d bytes of %d ReadAt = %d, %v", len(other), len(b), n, err)
		}
	}
	must(t, os.WriteFile(name, b, 0o600))

	// The same in what the store wrote beside it.
	h := d.String()
	flip(filepath.Join(shared.Data, bucket, c.Prefix, "object", h[:2], h[2:4], h), 9)
	for _, f := range []func() error{
		func() error { _, err := s.Open(t.Context(), d); return err },
		func() error { _, _, err := s.Stat(t.Context(), d); return err },
		func() error { _, err := s.Verify(t.Context(), d); return err },
	} {
		is(t, f(), objects.ErrDamaged)
	}
	list, err := s.List(t.Context(), objects.Digest{}, 10)
	must(t, err)
	if len(list) != 1 || list[0] != (objects.Info{Digest: d, Size: -1}) {
		t.Errorf("List = %v", list)
	}
	must(t, s.StageCreate(t.Context(), "upl-b", 10))
	flip(filepath.Join(shared.Data, bucket, c.Prefix, "upload", "upl-b"), 9)
	_, err = s.StageInfo(t.Context(), "upl-b")
	is(t, err, objects.ErrDamaged)
	must(t, s.StageRemove(t.Context(), "upl-b"))

	// Parts that rot before they are one body are not the object that was announced.
	all = content(block + 10)
	must(t, s.StageCreate(t.Context(), "upl-c", int64(len(all))))
	must(t, upload(t.Context(), s, "upl-c", all))
	parts, err := filepath.Glob(filepath.Join(shared.Data, bucket, ".sgwtmp", "multipart", "*", "*", "1"))
	must(t, err)
	for _, name := range parts {
		if fi, err := os.Stat(name); err == nil && fi.Size() == block {
			flip(name, 12345)
		}
	}
	if len(parts) == 0 {
		t.Fatal("found no parts to damage")
	}
	info, err := s.StageCommit(t.Context(), "upl-c", digest(all))
	if err == nil {
		_, err = s.Verify(t.Context(), info.Digest)
	}
	is(t, err, objects.ErrDamaged)
}

// proxy passes connections on to a server, and may delay, stop or cut what comes back.
type proxy struct {
	delay time.Duration // before each piece of an answer
	cut   atomic.Int64  // bytes of answers until the connection is cut; 0 is never
	stop  atomic.Bool   // answers no more
}

func (p *proxy) start(t *testing.T, server *versitygw.Server) (endpoint string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out, err := net.Dial("tcp", strings.TrimPrefix(server.Endpoint, "https://"))
				if err != nil {
					return
				}
				defer out.Close()
				go func() { io.Copy(out, in); out.Close() }()
				buf := make([]byte, 64<<10)
				for {
					n, err := out.Read(buf)
					if err != nil || p.stop.Load() {
						if p.stop.Load() {
							time.Sleep(3 * time.Second)
						}
						return
					}
					time.Sleep(p.delay)
					if left := p.cut.Load(); left > 0 && p.cut.Add(-int64(n)) <= 0 {
						p.cut.Store(0)
						return
					}
					if _, err := in.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "https://" + l.Addr().String()
}

// TestSlow: slow answers are waited for, up to the context's end; an answer that breaks off is asked for again from where it was.
func TestSlow(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	p := &proxy{delay: 20 * time.Millisecond}
	c.Endpoint = p.start(t, &shared)
	s := create(t, c)
	all := content(block + 5)
	d := put(t, s, "upl-a", all)

	p.cut.Store(3 << 20)
	o, err := s.Open(t.Context(), d)
	must(t, err)
	defer o.Close()
	got, err := io.ReadAll(o)
	must(t, err)
	if !bytes.Equal(got, all) || p.cut.Load() != 0 {
		t.Errorf("across a cut %d bytes were read", len(got))
	}

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	p.stop.Store(true)
	start := time.Now()
	_, err = s.Verify(ctx, d)
	is(t, err, context.DeadlineExceeded)
	if took := time.Since(start); took > 2*time.Second || strings.Contains(err.Error(), "/") {
		t.Errorf("gave up after %v: %v", took, err)
	}
	p.stop.Store(false)
	_, err = s.Verify(t.Context(), d)
	must(t, err)
}

// TestLateAnswer: who goes away while a part's answer is under way is told the truth about what is durable.
func TestLateAnswer(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	create(t, c)
	p := &proxy{delay: 300 * time.Millisecond}
	c.Endpoint = p.start(t, &shared)
	s := openConfig(t, c)
	must(t, s.StageCreate(t.Context(), "upl-a", 2*block))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	slow := io.MultiReader(bytes.NewReader(content(block)), readerFunc(func([]byte) (int, error) {
		time.Sleep(200 * time.Millisecond) // the part has arrived, and its answer waits in the proxy
		cancel()
		return 0, io.ErrUnexpectedEOF
	}))
	n, err := s.StageAppend(ctx, "upl-a", 0, slow)
	is(t, err, io.ErrUnexpectedEOF)
	info, err := s.StageInfo(t.Context(), "upl-a")
	must(t, err)
	if n != block || info.Offset != n {
		t.Errorf("append said %d, and %d are durable", n, info.Offset)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// busy stands before a server and answers some requests in its place: that it has too much to do.
func busy(t *testing.T, server *versitygw.Server, refuse func(*http.Request) bool) (endpoint, caFile string) {
	t.Helper()
	ca, err := os.ReadFile(server.CAFile)
	must(t, err)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(ca)
	target, err := url.Parse(server.Endpoint)
	must(t, err)
	inside := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}
	through := &httputil.ReverseProxy{Transport: inside, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = target.Scheme, target.Host, r.In.Host // the Host header is signed
	}}
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse(r) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusServiceUnavailable)
			io.WriteString(w, `<Error><Code>SlowDown</Code><Message>`+r.URL.Path+`</Message></Error>`)
			return
		}
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { front.Close(); inside.CloseIdleConnections() })
	caFile = filepath.Join(t.TempDir(), "ca.pem")
	must(t, os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw}), 0o600))
	return front.URL, caFile
}

// TestBusy: a server that has too much to do is asked again, a few times and no more; then the error says it, and nothing of a key. What
// was durable stays, and what was begun goes on.
func TestBusy(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	create(t, c)
	var all, asked atomic.Int64
	c.Endpoint, c.CAFile = busy(t, &shared, func(r *http.Request) bool {
		asked.Add(1)
		return all.Load() == 1 || all.Load() == 0 && asked.Load()%2 == 1 // everything, or every second request
	})
	c.Direct = ""
	s := openConfig(t, c)
	b := content(2*block + 10)
	d := put(t, s, "upl-a", b)
	must(t, s.Retain(t.Context(), d, time.Now().Add(time.Hour)))
	must1(s.Verify(t.Context(), d))
	must(t, s.StageCreate(t.Context(), "upl-b", 3*block))
	must1(s.StageAppend(t.Context(), "upl-b", 0, bytes.NewReader(b[:block])))
	all.Store(1)
	for name, do := range map[string]func() error{
		"create": func() error { return s.StageCreate(t.Context(), "upl-c", 10) },
		"append": func() error {
			_, err := s.StageAppend(t.Context(), "upl-b", block, bytes.NewReader(b[block:]))
			return err
		},
		"info":   func() error { _, err := s.StageInfo(t.Context(), "upl-b"); return err },
		"commit": func() error { _, err := s.StageCommit(t.Context(), "upl-b", d); return err },
		"open":   func() error { _, err := s.Open(t.Context(), d); return err },
		"retain": func() error { return s.Retain(t.Context(), d, time.Now().Add(2*time.Hour)) },
		"remove": func() error { return s.StageRemove(t.Context(), "upl-b") },
	} {
		before := asked.Load()
		err := do()
		if tries := asked.Load() - before; err == nil || tries < 2 || tries > 20 || strings.Contains(err.Error(), c.Prefix) || !strings.Contains(err.Error(), "SlowDown") {
			t.Errorf("%s: %v after %d tries", name, err, tries)
		}
	}
	all.Store(2)
	if info := must1(s.StageInfo(t.Context(), "upl-b")); info.Offset != block {
		t.Errorf("of %d bytes %d are there", block, info.Offset)
	}
	must1(s.StageAppend(t.Context(), "upl-b", block, bytes.NewReader(b[:2*block])))
	must1(s.StageSums(t.Context(), "upl-b"))
}
