package timestamping

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"strongroom.example/strongroom/internal/tlog"
)

var message = []byte("a checkpoint\n")

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// trustIn is a trust file with these roots and authorities: those of a vector of api/vectors/tlog, otherwise.
func trustIn(t testing.TB, authorities []tlog.Authority, roots ...*x509.Certificate) tlog.Trust {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "api", "vectors", "tlog", "trust.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Input struct {
			Trust string `json:"trust"`
		} `json:"input"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	least, err := tlog.ParseTrust([]byte(vectors[0].Input.Trust))
	if err != nil {
		t.Fatal(err)
	}
	parts := tlog.TrustParts{Vault: least.Vault(), Logs: least.Logs(), Founders: least.Founders(), Authorities: authorities}
	for _, root := range roots {
		parts.TimestampRoots = append(parts.TimestampRoots, root.Raw)
	}
	trust, err := tlog.NewTrust(parts)
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

func newDevelopment(t testing.TB) *Development {
	t.Helper()
	file, err := MakeDevelopment()
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDevelopment(file, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func newClient(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDevelopment: what the development authority stamps, over HTTP and without, our verifier and openssl accept, and ours says what it is.
func TestDevelopment(t *testing.T) {
	d := newDevelopment(t)
	server := httptest.NewServer(d)
	defer server.Close()
	client := newClient(t, Options{URL: server.URL, Roots: []*x509.Certificate{d.Root()}, Policy: developmentPolicy.String()})
	trust := trustIn(t, nil, d.Root())
	for name, ask := range map[string]func(context.Context, []byte) ([]byte, [][]byte, error){"over HTTP": client.Ask, "in the process": d.Ask} {
		response, chain, err := ask(t.Context(), message)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(chain) != 2 || !bytes.Equal(chain[1], d.Root().Raw) {
			t.Errorf("%s: a chain of %d", name, len(chain))
		}
		stamp, err := trust.VerifyTimestamp(response, message)
		if err != nil || !stamp.Development || stamp.Accuracy != time.Second || stamp.Authority != "Development time stamps" {
			t.Errorf("%s: %+v, %v", name, stamp, err)
		}
		if age := time.Since(stamp.Time); age < -time.Second || age > time.Hour {
			t.Errorf("%s: stamped %v ago", name, age)
		}
		if err := opensslVerify(t, response, message, d.Root()); err != nil {
			t.Errorf("%s: openssl: %v", name, err)
		}
		if err := opensslVerify(t, response, append([]byte("not "), message...), d.Root()); err == nil {
			t.Errorf("%s: openssl accepts it over another message", name)
		}
	}
	for _, file := range [][]byte{nil, []byte("-----BEGIN"), bytes.Repeat(pemOf(d.Root()), 3)} {
		if _, err := OpenDevelopment(file, time.Now); !errors.Is(err, ErrDevelopment) {
			t.Errorf("a file that is none: %v", err)
		}
	}
}

// TestOpenSSL: an authority that is the command openssl is asked, and believed by our verifier and by openssl.
func TestOpenSSL(t *testing.T) {
	a := newOpenSSLAuthority(t)
	client := newClient(t, Options{URL: a.URL, Roots: []*x509.Certificate{a.Root}, Policy: opensslPolicy})
	response, chain, err := client.Ask(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	trust := trustIn(t, []tlog.Authority{{URI: a.URL, Chain: chain, Valid: tlog.Valid{Start: time.Now().UTC().Truncate(time.Millisecond).Add(-time.Hour)}}}, a.Root)
	stamp, err := trust.VerifyTimestamp(response, message)
	if err != nil || stamp.Development || stamp.Authority != "Test authority" {
		t.Fatalf("%+v, %v", stamp, err)
	}
	if err := opensslVerify(t, response, message, a.Root); err != nil {
		t.Error(err)
	}
	if _, _, err := newClient(t, Options{URL: a.URL, Roots: []*x509.Certificate{newDevelopment(t).Root()}}).Ask(t.Context(), message); !errors.Is(err, tlog.ErrTimestamp) {
		t.Errorf("another root: %v", err)
	}
	if _, _, err := newClient(t, Options{URL: a.URL, Roots: []*x509.Certificate{a.Root}, Policy: "1.2.3"}).Ask(t.Context(), message); !errors.Is(err, tlog.ErrTimestamp) {
		t.Errorf("a policy it does not have: %v", err)
	}
}

// TestAnswers: what an authority must not answer, each refused for its own reason.
func TestAnswers(t *testing.T) {
	d := newDevelopment(t)
	replayed, _, err := d.Ask(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(body []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", answerType)
			w.Write(body)
		}
	}
	changed := func(change func(q *timestamp.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			var body bytes.Buffer
			body.ReadFrom(r.Body)
			q, err := timestamp.ParseRequest(body.Bytes())
			if err != nil || !q.Certificates || q.Nonce == nil || q.HashAlgorithm != crypto.SHA256 {
				t.Errorf("query: %+v, %v", q, err)
				return
			}
			change(q)
			stamped, err := d.stamp(q)
			if err != nil {
				t.Error(err)
			}
			answer(stamped)(w, r)
		}
	}
	rejected, err := timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.TimeNotAvailable)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    error
	}{
		{"as it should be", changed(func(*timestamp.Request) {}), nil},
		{"an earlier answer", answer(replayed), ErrNonce},
		{"another nonce", changed(func(q *timestamp.Request) { q.Nonce = new(big.Int).Add(q.Nonce, big.NewInt(1)) }), ErrNonce},
		{"another message", changed(func(q *timestamp.Request) { q.HashedMessage = bytes.Repeat([]byte{1}, 32) }), tlog.ErrTimestamp},
		{"without its certificate", changed(func(q *timestamp.Request) { q.Certificates = false }), tlog.ErrTimestamp},
		{"rejected", answer(rejected), tlog.ErrTimestamp},
		{"nothing", answer(nil), tlog.ErrTimestamp},
		{"huge", answer(make([]byte, tlog.MaxTimestampAnswer+1)), ErrAnswer},
		{"another status", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", answerType)
			w.WriteHeader(http.StatusAccepted)
			changed(func(*timestamp.Request) {})(w, r)
		}, ErrAnswer},
		{"another type", func(w http.ResponseWriter, _ *http.Request) { w.Write(replayed) }, ErrAnswer},
		{"somewhere else", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/else" {
				t.Error("a redirect was followed")
			}
			http.Redirect(w, r, "/else", http.StatusTemporaryRedirect)
		}, ErrAnswer},
		{"slow", func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // or the server does not see that who asked has gone
			<-r.Context().Done()
		}, context.DeadlineExceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			o := Options{URL: server.URL, Roots: []*x509.Certificate{d.Root()}}
			if errors.Is(test.want, context.DeadlineExceeded) {
				o.Timeout = 50 * time.Millisecond
			}
			response, _, err := newClient(t, o).Ask(t.Context(), message)
			if !errors.Is(err, test.want) || (err == nil) != (response != nil) {
				t.Errorf("%d bytes, %v", len(response), err)
			}
		})
	}
	server := httptest.NewServer(d)
	defer server.Close()
	c := newClient(t, Options{URL: server.URL, Roots: []*x509.Certificate{d.Root()}, Policy: developmentPolicy.String()})
	c.options.URL = httptest.NewServer(changed(func(*timestamp.Request) {})).URL
	c.policy = []int{1, 2, 3}
	if _, _, err := c.Ask(t.Context(), message); !errors.Is(err, ErrPolicy) {
		t.Errorf("another policy: %v", err)
	}
}

// TestTLS: an authority's certificate must come from the CA that is named.
func TestTLS(t *testing.T) {
	d := newDevelopment(t)
	server := httptest.NewTLSServer(d)
	defer server.Close()
	o := Options{URL: server.URL, Roots: []*x509.Certificate{d.Root()}, CA: []*x509.Certificate{server.Certificate()}}
	if _, _, err := newClient(t, o).Ask(t.Context(), message); err != nil {
		t.Error(err)
	}
	o.CA, o.URL = []*x509.Certificate{d.Root()}, server.URL+"/tsr?account=secret"
	if _, _, err := newClient(t, o).Ask(t.Context(), message); !errors.As(err, new(x509.UnknownAuthorityError)) || strings.Contains(err.Error(), "secret") {
		t.Errorf("another CA: %v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, test := range []struct {
		url, policy string
		ok          bool
	}{
		{"https://time.example/tsr", "", true},
		{"https://time.example/tsr?x=1", "1.2.3", true},
		{"http://127.0.0.1:1/", "", true},
		{"http://[::1]:1/", "", true},
		{"http://localhost/", "", true},
		{"http://time.example/tsr", "", false},
		{"http://127.0.0.1.time.example/", "", false},
		{"ftp://127.0.0.1/", "", false},
		{"https://", "", false},
		{"https://a:b@time.example/", "", false},
		{"https://time.example/#x", "", false},
		{"time.example", "", false},
		{"https://time.example/", "1", false},
		{"https://time.example/", "1.2.x", false},
		{"https://time.example/", "1.2.03", false},
		{"https://time.example/", "1.2.", false},
		{"https://time.example/", "9.2.3", false},
		{"https://time.example/", "1.2.99999999999999", false},
	} {
		if _, err := New(Options{URL: test.url, Policy: test.policy}); (err == nil) != test.ok {
			t.Errorf("%s %s: %v", test.url, test.policy, err)
		}
	}
	for _, text := range []string{"", "text", string(pemOf(newDevelopment(t).own)), string(pemOf(newDevelopment(t).Root())) + "more",
		strings.ReplaceAll(string(pemOf(newDevelopment(t).Root())), "CERTIFICATE", "SECRET")} {
		if _, _, err := ParseCertificates([]byte(text)); err == nil {
			t.Errorf("%.20q: certificates", text)
		}
	}
}

// TestRevocation: a list answers for the issuer that signed it and for the time up to its own, and reasons matter (RFC 3161 §4).
func TestRevocation(t *testing.T) {
	d := newDevelopment(t)
	// The development root's key is gone, so these come from a root of the test's.
	rootKey, root := selfSigned(t, "Root")
	otherKey, other := selfSigned(t, "Root")
	d.root, d.own = root, issue(t, d, root, rootKey)
	trust := trustIn(t, nil, root)
	response, _, err := d.Ask(t.Context(), message)
	if err != nil {
		t.Fatal(err)
	}
	stamp, err := trust.VerifyTimestamp(response, message)
	if err != nil {
		t.Fatal(err)
	}
	before, after := stamp.Time.Add(-time.Hour), stamp.Time.Add(time.Hour)
	for _, test := range []struct {
		name    string
		at      time.Time
		entries []x509.RevocationListEntry
		by      *x509.Certificate
		key     crypto.Signer
		more    []pkix.Extension
		want    tlog.Revocation
	}{
		{"nobody revoked", after, nil, root, rootKey, nil, tlog.RevocationGood},
		{"at the very time", stamp.Time, nil, root, rootKey, nil, tlog.RevocationGood},
		{"older than the stamp", before, nil, root, rootKey, nil, tlog.RevocationUnknown},
		{"another issuer of the same name", after, nil, other, otherKey, nil, tlog.RevocationUnknown},
		{"of some certificates only", after, nil, root, rootKey, []pkix.Extension{{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}}, tlog.RevocationUnknown},
		{"with an extension that need not be understood", after, []x509.RevocationListEntry{{SerialNumber: d.own.SerialNumber, RevocationTime: before}}, root, rootKey,
			[]pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 311, 21, 1}, Value: []byte{2, 1, 0}}}, tlog.RevocationRevoked},
		{"with one that must be", after, nil, root, rootKey, []pkix.Extension{{Id: []int{1, 3, 6, 1, 4, 1, 311, 21, 1}, Critical: true, Value: []byte{2, 1, 0}}}, tlog.RevocationUnknown},
		{"another certificate revoked", after, []x509.RevocationListEntry{{SerialNumber: big.NewInt(5), RevocationTime: before}}, root, rootKey, nil, tlog.RevocationGood},
		{"revoked before", after, []x509.RevocationListEntry{{SerialNumber: d.own.SerialNumber, RevocationTime: before, ReasonCode: 4}}, root, rootKey, nil, tlog.RevocationRevoked},
		{"superseded after", after, []x509.RevocationListEntry{{SerialNumber: d.own.SerialNumber, RevocationTime: after, ReasonCode: 4}}, root, rootKey, nil, tlog.RevocationGood},
		{"stolen, found out after", after, []x509.RevocationListEntry{{SerialNumber: d.own.SerialNumber, RevocationTime: after, ReasonCode: 1}}, root, rootKey, nil, tlog.RevocationRevoked},
		{"after, without a reason", after, []x509.RevocationListEntry{{SerialNumber: d.own.SerialNumber, RevocationTime: after}}, root, rootKey, nil, tlog.RevocationRevoked},
	} {
		list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: test.at, NextUpdate: test.at.Add(time.Hour), RevokedCertificateEntries: test.entries, ExtraExtensions: test.more,
		}, test.by, test.key)
		if err != nil {
			t.Fatal(err)
		}
		got := tlog.RevocationUnknown
		if parsed, err := tlog.ParseRevocationList(list); err == nil {
			got = parsed.Of(stamp)
			if of := parsed.Of(tlog.Stamp{}); of != tlog.RevocationUnknown {
				t.Errorf("%s: of no stamp: %v", test.name, of)
			}
		}
		if got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(list) }))
		fetched, err := newClient(t, Options{URL: "https://time.example", CRL: server.URL}).CRL(t.Context())
		server.Close()
		if err != nil || !bytes.Equal(fetched, list) {
			t.Errorf("%s: fetched: %v", test.name, err)
		}
	}
	if _, err := tlog.ParseRevocationList([]byte("none")); !errors.Is(err, tlog.ErrMalformed) {
		t.Errorf("no list: %v", err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("none")) }))
	defer server.Close()
	if _, err := newClient(t, Options{URL: "https://time.example", CRL: server.URL}).CRL(t.Context()); !errors.Is(err, ErrCRL) {
		t.Errorf("no list fetched: %v", err)
	}
}

func selfSigned(t *testing.T, name string) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: developmentStart, NotAfter: developmentEnd,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(name),
	}
	return key, sign(t, c, c, key.Public(), key)
}

// issue makes the authority's certificate anew, under another root.
func issue(t *testing.T, d *Development, root *x509.Certificate, key crypto.Signer) *x509.Certificate {
	own := *d.own
	n := slices.IndexFunc(own.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(extendedKeyUsage) })
	own.ExtraExtensions, own.ExtKeyUsage = own.Extensions[n:n+1], nil
	return sign(t, &own, root, d.key.Public(), key)
}

func sign(t *testing.T, c, by *x509.Certificate, public crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, by, public, key)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// FuzzDevelopment: no query panics, and every answer is a response.
func FuzzDevelopment(f *testing.F) {
	d := newDevelopment(f)
	query, err := (&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: make([]byte, 32), Certificates: true, Nonce: big.NewInt(1)}).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(query)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		answer, err := d.answer(body)
		if err != nil || len(answer) == 0 || len(answer) > tlog.MaxTimestampAnswer {
			t.Errorf("%d bytes, %v", len(answer), err)
		}
	})
}
