// Package timestamping asks RFC 3161 authorities for time stamps, fetches their revocation lists, and is a small authority itself for
// development, which says in every certificate that it proves nothing.
//
// It may assume nothing of what an authority answers: the answer is capped, must be to the question that was asked, and is verified and
// brought into its one form by package tlog before anybody sees it. It never follows a redirect, never sends anything but a hash, and
// never asks over a network that is not encrypted. It keeps nothing.
package timestamping

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/digitorus/timestamp"

	"strongroom.example/strongroom/internal/tlog"
)

const (
	// DefaultTimeout is how long an answer may take where Options say nothing.
	DefaultTimeout = 10 * time.Second

	queryType  = "application/timestamp-query"
	answerType = "application/timestamp-reply"
)

// What a client refuses an answer for, besides tlog.ErrTimestamp.
var (
	// ErrAnswer: not the answer of an authority: another status or type, or too long.
	ErrAnswer = errors.New("this is no answer of a time-stamp authority")
	// ErrNonce: an answer to another question.
	ErrNonce = errors.New("the answer is to another question")
	// ErrPolicy: a stamp under another policy than was asked for.
	ErrPolicy = errors.New("the time stamp is under another policy")
	// ErrCRL: not a revocation list.
	ErrCRL = errors.New("this is no certificate revocation list")
)

// Options name one authority.
type Options struct {
	// URL is where it answers: https, or http on this machine.
	URL string
	// CA are the certificates that the one of its TLS must come from, instead of the system's. Optional.
	CA []*x509.Certificate
	// Policy is the dotted OID of the policy that its stamps must be under. Optional.
	Policy string
	// Timeout bounds one answer. Optional.
	Timeout time.Duration
	// CRL is where the revocation list of its issuer lies; it is signed, so http will do. Optional.
	CRL string
	// Roots are what its certificate must come from; Intermediates those between, if it does not send them itself.
	Roots, Intermediates []*x509.Certificate
}

// Client asks one authority. Its methods may be called from several goroutines.
type Client struct {
	options Options
	policy  asn1.ObjectIdentifier
	http    *http.Client
}

// New checks the options.
func New(o Options) (*Client, error) {
	if err := CheckURL(o.URL); err != nil {
		return nil, err
	}
	c := &Client{options: o}
	if o.Policy != "" {
		var err error
		if c.policy, err = ParsePolicy(o.Policy); err != nil {
			return nil, err
		}
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: 16 << 10,
	}
	if len(o.CA) > 0 {
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		for _, ca := range o.CA {
			transport.TLSClientConfig.RootCAs.AddCert(ca)
		}
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	c.http = &http.Client{
		Transport: transport, Timeout: o.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// CheckURL demands https, or http to this machine.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return errors.New("the address is not https://host/…")
	}
	address := net.ParseIP(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "localhost" && (address == nil || !address.IsLoopback())) {
		return errors.New("the address is not https://host/…")
	}
	return nil
}

// ParsePolicy reads a dotted OID.
func ParsePolicy(s string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || strconv.FormatUint(n, 10) != part {
			return nil, errors.New("the policy is not a dotted object identifier")
		}
		oid = append(oid, int(n))
	}
	if _, err := asn1.Marshal(oid); err != nil {
		return nil, errors.New("the policy is not a dotted object identifier")
	}
	return oid, nil
}

// Ask has a message stamped and returns the response in its one form (FORMATS §6), and the chain of the certificate that signed it, in
// DER, up to one of the roots. Errors: tlog.ErrTimestamp, ErrAnswer, ErrNonce, ErrPolicy, and the network's.
func (c *Client) Ask(ctx context.Context, message []byte) (response []byte, chain [][]byte, err error) {
	// 64 bits and never zero: some authorities take no more.
	nonce := new(big.Int)
	for nonce.Sign() == 0 {
		if nonce, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 64)); err != nil {
			return nil, nil, err
		}
	}
	imprint := sha256.Sum256(message)
	query, err := (&timestamp.Request{
		HashAlgorithm: crypto.SHA256, HashedMessage: imprint[:], Certificates: true, TSAPolicyOID: c.policy, Nonce: nonce,
	}).Marshal()
	if err != nil {
		return nil, nil, err
	}
	answer, err := c.post(ctx, query)
	if err != nil {
		return nil, nil, err
	}
	response, chain, err = tlog.CanonicalTimestamp(answer, message, c.options.Roots, c.options.Intermediates)
	if err != nil {
		return nil, nil, err
	}
	stamp, err := timestamp.ParseResponse(response)
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("time stamp: %w", err)
	case stamp.Nonce == nil || stamp.Nonce.Cmp(nonce) != 0:
		return nil, nil, ErrNonce
	case c.policy != nil && !stamp.Policy.Equal(c.policy):
		return nil, nil, ErrPolicy
	}
	return response, chain, nil
}

func (c *Client) post(ctx context.Context, query []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.options.URL, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", queryType)
	request.Header.Set("Accept", answerType)
	return c.read(request, answerType, tlog.MaxTimestampAnswer)
}

// read returns a capped body of one type, or of any.
func (c *Client) read(request *http.Request, kind string, most int64) ([]byte, error) {
	request.Header.Set("User-Agent", "strongroomd")
	answer, err := c.http.Do(request)                       //#nosec G704 -- addresses of the operator's configuration
	if inURL := (*url.Error)(nil); errors.As(err, &inURL) { // its text has the address, which may hold an account's key
		err = inURL.Err
	}
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	got, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if answer.StatusCode != http.StatusOK || kind != "" && (err != nil || got != kind) {
		return nil, fmt.Errorf("%w: status %d", ErrAnswer, answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, most+1))
	if err == nil && int64(len(body)) > most {
		err = fmt.Errorf("%w: too long", ErrAnswer)
	}
	return body, err
}

// CRL fetches the revocation list, in DER. Who signed it is for Trust.TimestampRevocation to check. Errors: ErrAnswer, ErrCRL, and the
// network's.
func (c *Client) CRL(ctx context.Context) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.options.CRL, nil)
	if err != nil {
		return nil, err
	}
	list, err := c.read(request, "", tlog.MaxCRL)
	if err != nil {
		return nil, err
	}
	if _, err := x509.ParseRevocationList(list); err != nil {
		return nil, ErrCRL
	}
	return list, nil
}

// ParseCertificates reads certificates in PEM and tells roots, which sign themselves, from those between.
func ParseCertificates(text []byte) (roots, intermediates []*x509.Certificate, err error) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return nil, nil, errors.New("this is not a file of certificates")
		}
		if bytes.Equal(c.RawSubject, c.RawIssuer) && c.CheckSignatureFrom(c) == nil {
			roots = append(roots, c)
		} else {
			intermediates = append(intermediates, c)
		}
	}
	if len(bytes.TrimSpace(text)) > 0 || len(roots) == 0 {
		return nil, nil, errors.New("this is not a file of certificates with a root")
	}
	return roots, intermediates, nil
}
