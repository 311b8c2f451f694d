package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects/versitygw"
	"strongroom.example/strongroom/internal/wire"
)

// door is where people reach the bucket. Tests stand in it.
type door struct {
	*httptest.Server
	mu      sync.Mutex
	visits  []*http.Request
	instead doorman
}

// doorman answers in place of the bucket, or lets through.
type doorman func(w http.ResponseWriter, r *http.Request, bucket http.Handler)

func (d *door) answer(w http.ResponseWriter, r *http.Request, bucket http.Handler) {
	d.mu.Lock()
	d.visits = append(d.visits, r.Clone(context.Background()))
	instead := d.instead
	d.mu.Unlock()
	if instead == nil {
		bucket.ServeHTTP(w, r)
	} else {
		instead(w, r, bucket)
	}
}

// set puts somebody into the door, and forgets who was there.
func (d *door) set(instead doorman) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.visits, d.instead = nil, instead
}

func (d *door) seen() []*http.Request {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.visits)
}

// cut breaks an answer off after some bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(b []byte) (int, error) {
	if len(b) > c.left {
		c.ResponseWriter.Write(b[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(b)
	return c.ResponseWriter.Write(b)
}

// bucketWorld is a world whose files are in a real bucket, with a door to it.
type bucketWorld struct {
	*world
	server *versitygw.Server
	door   *door
	logs   *safeBuffer
	in     evidence.CaseID
	given  evidence.ConsentID
}

type safeBuffer struct {
	sync.Mutex
	bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.Lock()
	defer b.Unlock()
	return b.Buffer.String()
}

func newBucketWorld(t *testing.T) *bucketWorld { return newBucketWorldWith(t, options, false) }

// newBucketWorldWith has options of its own, and may have the vault itself go through the door.
func newBucketWorldWith(t *testing.T, o daemon.Options, vaultToo bool) *bucketWorld {
	t.Helper()
	program, err := versitygw.Find()
	if errors.Is(err, versitygw.ErrMissing) {
		t.Skip(err)
	}
	check(t, err)
	t.Parallel()
	dir := t.TempDir()
	check(t, os.Mkdir(filepath.Join(dir, "bucket"), 0o700))
	server := must(versitygw.Start(t.Context(), program, filepath.Join(dir, "bucket")))(t)
	t.Cleanup(server.Kill)
	w := &bucketWorld{world: &world{TB: t, dir: filepath.Join(dir, "vault")}, server: server, door: &door{}, logs: &safeBuffer{}}
	ca := must(os.ReadFile(server.CAFile))(t)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	target := must(url.Parse(server.Endpoint))(t)
	inside := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	through := &httputil.ReverseProxy{Transport: inside, Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host // the Host header is signed
		r.Out.Host = r.In.Host
	}}
	w.door.Server = httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.door.answer(rw, r, through) }))
	t.Cleanup(func() { w.door.Close(); inside.CloseIdleConnections() })
	both := filepath.Join(dir, "ca.pem")
	check(t, os.WriteFile(both, append(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.door.Certificate().Raw})...), 0o600))
	w.file = filepath.Join(dir, "strongroomd.yaml")
	endpoint := server.Endpoint
	if vaultToo {
		endpoint = w.door.URL
	}
	check(t, os.WriteFile(w.file, fmt.Appendf(nil, "objects:\n  s3: {endpoint: %q, region: %s, bucket: evidence, ca_file: %q, credentials_file: %q, direct: %q}\n",
		endpoint, versitygw.Region, both, server.CredentialsFile, w.door.URL), 0o600))
	w.found()
	o.ConfigFile, o.Logger = w.file, slog.New(slog.NewTextHandler(w.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d := must(daemon.Open(t.Context(), w.dir, o))(t)
	w.world.server = httptest.NewServer(d.Handler())
	t.Cleanup(func() {
		w.world.server.Close()
		check(t, d.Close())
	})
	for _, p := range []*person{w.admin, w.custodian, w.second, w.clinician, w.investigator, w.court} {
		w.connect(p)
	}
	w.in = w.openCase()
	w.given = w.consent(w.in)
	return w
}

// throughVault counts what comes from the vault as evidence, and may ask it for no more than some bytes at once.
type throughVault struct {
	most  int64
	bytes int
	asked int
	say   func(*wire.EvidenceAddress) // changes what the vault says
}

func (v *throughVault) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/evidence") {
		return http.DefaultTransport.RoundTrip(r)
	}
	v.asked++
	if v.most > 0 && r.URL.Query().Get("direct") == "true" {
		var from int64
		fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		r = r.Clone(r.Context())
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, from+v.most-1))
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	switch {
	case resp.StatusCode >= 300:
	case resp.Header.Get("Content-Type") != "application/json":
		v.bytes += len(body)
	case v.say != nil:
		var a wire.EvidenceAddress
		if err := json.Unmarshal(body, &a); err != nil {
			return nil, err
		}
		v.say(&a)
		body, err = json.Marshal(a)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	resp.Header.Del("Content-Length")
	return resp, err
}

func (w *bucketWorld) photographed(size int) (evidence.ItemID, []byte) {
	w.Helper()
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{5}).Read(b)
	return w.deposit(w.clinician, w.in, w.given, bytes.NewReader(b)), b
}

func (w *bucketWorld) open(through *throughVault, item evidence.ItemID) (*Client, []byte, error) {
	w.Helper()
	c := w.client(w.custodian, through)
	var got bytes.Buffer
	_, err := c.Open(w.Context(), Open{Item: item, Purpose: evidence.ForInvestigation}, &got)
	return c, got.Bytes(), err
}

// TestDirect fetches evidence past the vault.
func TestDirect(t *testing.T) {
	w := newBucketWorld(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *bucketWorld)
	}{{"parts", directParts}, {"broken", directBroken}, {"damaged", directDamaged}, {"lies", directLies}, {"frozen", directFrozen}, {"closed", directClosed}} {
		t.Run(test.name, func(t *testing.T) {
			w.TB = t
			test.run(t, w)
		})
	}
	w.TB = t
}

// directParts: evidence comes from the bucket, part by part, and the address of a part is nobody else's business.
func directParts(t *testing.T, w *bucketWorld) {
	item, all := w.photographed(3<<20 + 77)
	for _, most := range []int64{0, 1 << 20, 500_000} {
		w.door.set(nil)
		through := &throughVault{most: most}
		c, got, err := w.open(through, item)
		check(t, err)
		visits := w.door.seen()
		if !bytes.Equal(got, all) || through.bytes != 0 || len(visits) != through.asked || !c.bucket.usable() {
			t.Fatalf("%d bytes, %d of them through the vault, %d visits, %d addresses", len(got), through.bytes, len(visits), through.asked)
		}
		if most > 0 && len(visits) != (len(all)+len(all)/100)/int(most)+1 {
			t.Errorf("%d parts of at most %d bytes", len(visits), most)
		}
		for _, r := range visits {
			if r.Method != "GET" || r.Header.Get("Authorization") != "" || len(r.Cookies()) != 0 || r.Header.Get("Range") == "" || r.URL.Query().Get("X-Amz-Expires") != "60" {
				t.Errorf("%s %v", r.Method, r.Header)
			}
			if strings.Contains(w.logs.String(), r.URL.Query().Get("X-Amz-Signature")) || strings.Contains(w.logs.String(), r.URL.Path) {
				t.Error("an address is in the log")
			}
		}
	}
	if !strings.Contains(w.logs.String(), "/evidence") {
		t.Error("nothing is in the log at all")
	}
}

// directBroken: what breaks off goes on, at a new address; where the bucket cannot be reached or refuses, all comes through the vault.
func directBroken(t *testing.T, w *bucketWorld) {
	item, all := w.photographed(3 << 20)
	elsewhere := atomic.Bool{}
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Store(true) }))
	defer other.Close()
	says := func(status int) doorman {
		return func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
			rw.Header().Set("Location", other.URL)
			rw.WriteHeader(status)
			rw.Write(all)
		}
	}
	broken := func(after int) doorman {
		return func(rw http.ResponseWriter, r *http.Request, bucket http.Handler) {
			bucket.ServeHTTP(&cut{rw, after}, r)
		}
	}
	for name, test := range map[string]struct {
		instead doorman
		visits  int // at least
		through bool
		closed  bool // nobody tries again
		lie     Lie
	}{
		"broken again and again": {broken(900_000), 4, false, false, ""},
		"broken at once":         {broken(0), 1, true, false, ""},
		"no answer":              {func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }, 1, true, true, ""},
		"expired":                {says(403), 1, true, false, ""},
		"slow down":              {says(503), 1, true, false, ""},
		"gone":                   {says(404), 1, true, false, ""},
		"all of it":              {says(200), 1, true, false, ""},
		"sent on":                {says(307), 1, true, false, ""},
		"another part":           {says(206), 1, false, false, OtherBytes},
	} {
		w.door.set(test.instead)
		through := &throughVault{}
		c, got, err := w.open(through, item)
		switch {
		case LieOf(err) != test.lie || test.lie == "" && (err != nil || !bytes.Equal(got, all)) || test.lie != "" && len(got) > 0:
			t.Errorf("%s: %v, %d bytes", name, err, len(got))
		case len(w.door.seen()) < test.visits || through.bytes > 0 != test.through || c.bucket.usable() == test.closed:
			t.Errorf("%s: %d visits, %d bytes through the vault, usable %t", name, len(w.door.seen()), through.bytes, c.bucket.usable())
		}
	}
	if elsewhere.Load() {
		t.Error("went where the bucket sent it")
	}
}

// directDamaged: a bit that flipped in the bucket is found by who fetches it there, and nobody takes the file for genuine.
func directDamaged(t *testing.T, w *bucketWorld) {
	w.door.set(nil)
	item, _ := w.photographed(3 << 20)
	sound, all := w.photographed(1 << 20)
	name := ""
	check(t, filepath.WalkDir(filepath.Join(w.server.Data, "evidence", "body"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if evidence.SHA256(b) == must(stateOf(w, item))(t).Evidence.SHA256 {
			name = path
			b[2_500_000] ^= 1 // the vault itself reads the beginning
			err = os.WriteFile(path, b, 0o600)
		}
		return err
	}))
	if name == "" {
		t.Fatal("found no body to damage")
	}
	through := &throughVault{}
	_, _, err := w.open(through, item)
	found := (*Alarm)(nil)
	if !errors.As(err, &found) || found.Lie != OtherBytes || found.Stream != evidence.ItemOf(item) || through.bytes > 0 {
		t.Errorf("%v; %d bytes through the vault", err, through.bytes)
	}
	if _, err := w.client(w.custodian, &throughVault{}).Verify(t.Context(), Open{Item: item, Purpose: evidence.ForVerification}); err == nil {
		t.Error("a damaged file was verified")
	}
	if _, got, err := w.open(&throughVault{}, sound); err != nil || !bytes.Equal(got, all) {
		t.Errorf("another file: %v", err)
	}
}

func stateOf(w *bucketWorld, item evidence.ItemID) (*evidence.ItemState, error) {
	_, s, err := lookAt[*evidence.ItemState](w.Context(), w.custodian.Client, evidence.ItemOf(item))
	return s, err
}

// directFrozen: each part asks the law again. After a consent was withdrawn nothing more is given out.
func directFrozen(t *testing.T, w *bucketWorld) {
	item, all := w.photographed(3 << 20)
	withdraw := sync.OnceFunc(func() {
		_, _, err := w.clinician.WithdrawConsent(w.Context(), w.given, "")
		check(t, err)
	})
	w.door.set(func(rw http.ResponseWriter, r *http.Request, bucket http.Handler) {
		withdraw()
		bucket.ServeHTTP(rw, r)
	})
	_, got, err := w.open(&throughVault{most: 1 << 20}, item)
	if evidence.KindOf(err) != evidence.Held || len(got) > 1<<20 || !bytes.HasPrefix(all, got) || len(w.door.seen()) != 1 {
		t.Errorf("%v after %d bytes and %d visits", err, len(got), len(w.door.seen()))
	}
}

// directLies: a vault that sends people elsewhere is not followed, or learns nothing by it.
func directLies(t *testing.T, w *bucketWorld) {
	item, _ := w.photographed(1 << 20)
	for name, say := range map[string]func(*wire.EvidenceAddress){
		"in the open":     func(a *wire.EvidenceAddress) { a.URL = "http" + strings.TrimPrefix(a.URL, "https") },
		"a password":      func(a *wire.EvidenceAddress) { a.URL = strings.Replace(a.URL, "https://", "https://a:b@", 1) },
		"no host":         func(a *wire.EvidenceAddress) { a.URL = "https:///x" },
		"no address":      func(a *wire.EvidenceAddress) { a.URL = "" },
		"a file":          func(a *wire.EvidenceAddress) { a.URL = "file:///etc/passwd" },
		"later":           func(a *wire.EvidenceAddress) { a.Range = "bytes=1-2" },
		"beyond the end":  func(a *wire.EvidenceAddress) { a.Range = "bytes=0-99999999" },
		"backwards":       func(a *wire.EvidenceAddress) { a.Range = "bytes=0--1" },
		"many ranges":     func(a *wire.EvidenceAddress) { a.Range = "bytes=0-1,3-4" },
		"no range":        func(a *wire.EvidenceAddress) { a.Range = "" },
		"too many papers": func(a *wire.EvidenceAddress) { a.Certificates = strings.Repeat(" ", 1<<17) },
	} {
		w.door.set(nil)
		through := &throughVault{say: say}
		_, got, err := w.open(through, item)
		if LieOf(err) != Malformed || len(got) > 0 || len(w.door.seen()) > 0 || through.bytes > 0 {
			t.Errorf("%s: %v, %d bytes, %d visits", name, err, len(got), len(w.door.seen()))
		}
	}
	// One whom nobody vouches for is not spoken to.
	w.door.set(nil)
	through := &throughVault{say: func(a *wire.EvidenceAddress) { a.Certificates = "" }}
	if _, _, err := w.open(through, item); err != nil || len(w.door.seen()) > 0 || through.bytes == 0 {
		t.Errorf("without certificates: %v, %d visits", err, len(w.door.seen()))
	}
}

// directClosed: where the bucket cannot be reached from here, all comes through the vault, and the next file is not tried there.
func directClosed(t *testing.T, w *bucketWorld) {
	w.given = w.consent(w.in) // the one before was withdrawn
	item, all := w.photographed(3 << 20)
	w.door.Close()
	through := &throughVault{}
	c, got, err := w.open(through, item)
	if err != nil || !bytes.Equal(got, all) || c.bucket.usable() {
		t.Errorf("without the bucket: %v, %d bytes", err, len(got))
	}
	asked := through.asked
	if _, err := c.Open(t.Context(), Open{Item: item, Purpose: evidence.ForInvestigation}, io.Discard); err != nil || through.asked != asked+1 {
		t.Errorf("the next file: %v, asked %d times", err, through.asked-asked)
	}
}
