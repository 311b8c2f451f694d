package campaign

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/objects/versitygw"
)

// weather is what befalls a bucket's server.
type weather int32

const (
	fair     weather = iota
	down             // it is killed, and started when the storm is over
	sluggish         // it takes its time
	refusing         // it says that it cannot now, to every second request
)

// bucketStorms are what a vault with a bucket must live through besides.
var bucketStorms = []storm{
	{name: "the bucket's server is killed", bucket: down},
	{name: "the bucket's server is slow", bucket: sluggish},
	{name: "the bucket's server refuses", bucket: refusing},
	{name: "calls of the bucket fail", calls: []string{"objects."}, rate: 0.3, ways: []way{before, after, late}},
	{name: "the bucket's server is killed, and the network breaks", bucket: down, lossy: true},
}

// bucket is a real S3 server, and what stands before it.
type bucket struct {
	testing.TB
	server *versitygw.Server
	proxy  *httptest.Server
	now    atomic.Int32               // weather
	struck [refusing + 1]atomic.Int64 // requests, by the weather that met them

	mu   sync.Mutex
	dice *rand.Rand
}

func newBucket(t testing.TB, seed uint64) *bucket {
	t.Helper()
	program, err := versitygw.Find()
	if errors.Is(err, versitygw.ErrMissing) {
		t.Skip(err)
	}
	b := &bucket{TB: t, server: must(versitygw.Start(t.Context(), program, t.TempDir()))(t), dice: rand.New(rand.NewPCG(seed, 300))}
	t.Cleanup(func() { b.server.Kill() })
	certificate := must(tls.LoadX509KeyPair(b.server.CAFile, filepath.Join(filepath.Dir(b.server.CAFile), "key.pem")))(t)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(must(os.ReadFile(b.server.CAFile))(t))
	to := must(url.Parse(b.server.Endpoint))(t)
	way := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(to); r.Out.Host = r.In.Host }, // the signature covers the host
		Transport:    way,
		ErrorLog:     log.New(io.Discard, "", 0),
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // as if nobody were there
	}
	b.proxy = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := weather(b.now.Load())
		b.struck[now].Add(1)
		switch now {
		case sluggish:
			time.Sleep(time.Duration(b.draw(200)) * time.Millisecond)
		case refusing:
			if b.draw(2) == 0 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	b.proxy.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	b.proxy.StartTLS()
	t.Cleanup(func() { b.proxy.Close(); way.CloseIdleConnections() })
	return b
}

func (b *bucket) draw(sides int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dice.IntN(sides)
}

// turn lets the weather change.
func (b *bucket) turn(to weather) {
	b.Helper()
	switch was := weather(b.now.Swap(int32(to))); {
	case was != down && to == down:
		b.server.Kill()
	case was == down && to != down:
		check(b, b.server.Run(b.Context()))
	}
}

// felt waits until some requests have met the weather, but not for ever.
func (b *bucket) felt(now weather, most time.Duration) {
	for before, over := b.struck[now].Load(), time.Now().Add(most); b.struck[now].Load() < before+5 && time.Now().Before(over); {
		time.Sleep(10 * time.Millisecond)
	}
}

// config is where a vault finds its objects.
func (b *bucket) config(origin string) s3.Config {
	return s3.Config{
		Endpoint: b.proxy.URL, Region: versitygw.Region, Bucket: "evidence", CAFile: b.server.CAFile, CredentialsFile: b.server.CredentialsFile, Owner: origin,
	}
}

// configFile says the same to strongroomd.
func (b *bucket) configFile(w *world) string {
	c, file := b.config(""), w.path("strongroomd.yaml")
	check(w, os.WriteFile(file, fmt.Appendf(nil, "objects:\n  s3: {endpoint: %q, region: %s, bucket: %s, ca_file: %q, credentials_file: %q}\n",
		c.Endpoint, c.Region, c.Bucket, c.CAFile, c.CredentialsFile), 0o600))
	return file
}

// The objects are in a bucket, and its server is killed, slow, and refuses.
func TestBucketStorms(t *testing.T) {
	t.Parallel()
	rounds, seed := 1, seed(t)
	if long {
		rounds = 10
	}
	b := newBucket(t, seed)
	w := newWorld(t, seed)
	check(t, s3.Create(t.Context(), b.config(w.trust.Vault())))
	check(t, os.RemoveAll(w.path("vault", "objects")))
	w.config = b.configFile(w)
	var list []storm
	for range rounds {
		list = append(list, bucketStorms...)
	}
	stormy(w, b, list)
	for now := range b.struck {
		if n := b.struck[now].Load(); n == 0 {
			t.Errorf("nothing was asked of the bucket in weather %d", now)
		} else {
			t.Logf("weather %d: %d requests", now, n)
		}
	}
}
