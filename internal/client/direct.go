package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"strconv"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// A vault may keep its files where this device can fetch them itself, past the vault (api/openapi.yaml, EvidenceAddress). Nothing that is
// said there is believed: the bytes are compared with the signed events, like those that the vault sends. An address is a secret: it stands
// in no error, and what goes there carries no session. Where that place cannot be reached everything comes through the vault.

// mayDial reports whether this program opens connections by itself, to the vault or to others: a page in a browser does not.
const mayDial = runtime.GOOS != "js"

const (
	bucketDial   = 5 * time.Second  // to reach it
	bucketAnswer = 30 * time.Second // before it begins to answer
	bucketStall  = time.Minute      // without a byte
)

// bucket is the way to where a vault's files are.
type bucket struct {
	sync.Mutex
	certificates string // besides those that the device trusts
	client       Doer
	leave        func() // closes what is open to it
	closed       bool   // it could not be reached from here
}

// usable reports whether the vault is to be asked for addresses.
func (b *bucket) usable() bool {
	b.Lock()
	defer b.Unlock()
	return mayDial && !b.closed
}

func (b *bucket) close() {
	b.Lock()
	defer b.Unlock()
	b.closed = true
}

// over is the client that believes these certificates, too. The one before is kept as long as they stay the same.
func (b *bucket) over(certificates string) Doer {
	b.Lock()
	defer b.Unlock()
	if b.client != nil && b.certificates == certificates {
		return b.client
	}
	trust, err := x509.SystemCertPool()
	if err != nil {
		trust = x509.NewCertPool()
	}
	trust.AppendCertsFromPEM([]byte(certificates))
	if b.client != nil {
		b.leave()
	}
	b.certificates = certificates
	over := &http.Client{
		Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: bucketDial}).DialContext,
			TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trust},
			TLSHandshakeTimeout:   2 * bucketDial,
			ResponseHeaderTimeout: bucketAnswer,
			IdleConnTimeout:       time.Minute,
			ForceAttemptHTTP2:     true,
			DisableCompression:    true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	b.client, b.leave = over, over.CloseIdleConnections
	return over
}

var (
	errBucket = errors.New("the place where the vault's files are does not give them out")
	rangeForm = regexp.MustCompile(`^bytes=(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,15})$`)
)

// part is a part of a file, from where a download is to some byte.
type part struct {
	io.ReadCloser
	end int64 // the byte after the last
}

// fetch fetches what an address is for, which must begin at a byte of the item's file. errBucket where the place does not give it; any
// other error is an alarm.
func (b *bucket) fetch(ctx context.Context, item *evidence.ItemState, a wire.EvidenceAddress, at int64) (part, error) {
	if !mayDial {
		return part{}, errBucket
	}
	size, stream := item.Evidence.Size, evidence.ItemOf(item.ID)
	u, err := url.Parse(a.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "" || len(a.Certificates) > 64<<10 {
		return part{}, alarm(Malformed, stream, errors.New("an address of another form"))
	}
	bounds := rangeForm.FindStringSubmatch(a.Range)
	if bounds == nil {
		return part{}, alarm(Malformed, stream, errors.New("a range of another form"))
	}
	from, _ := strconv.ParseInt(bounds[1], 10, 64)
	to, _ := strconv.ParseInt(bounds[2], 10, 64)
	if from != at || to < from || to >= size {
		return part{}, alarm(Malformed, stream, errors.New("an address for another range"))
	}
	ctx, stop := context.WithCancel(ctx)
	req := (&http.Request{Method: http.MethodGet, URL: u, Header: http.Header{"Range": {a.Range}}}).WithContext(ctx)
	resp, err := b.over(a.Certificates).Do(req) //#nosec G704 -- by the vault's word, over TLS, with nothing in it
	if err != nil {
		if ctx.Err() == nil {
			b.close()
		}
		stop()
		return part{}, errBucket // and not err, which says the address
	}
	if resp.StatusCode != http.StatusPartialContent {
		stop()
		resp.Body.Close()
		return part{}, errBucket
	}
	body := &watched{ReadCloser: resp.Body, stop: stop}
	body.stall = time.AfterFunc(bucketStall, stop)
	if resp.Header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", from, to, size) {
		body.Close()
		return part{}, alarm(OtherBytes, stream, errors.New("another file, or another part of it"))
	}
	return part{body, to + 1}, nil
}

// watched is an answer that ends when nothing comes any more.
type watched struct {
	io.ReadCloser
	stall *time.Timer
	stop  context.CancelFunc
}

func (w *watched) Read(p []byte) (int, error) {
	w.stall.Reset(bucketStall)
	return w.ReadCloser.Read(p)
}

func (w *watched) Close() error {
	w.stall.Stop()
	w.stop()
	return w.ReadCloser.Close()
}
