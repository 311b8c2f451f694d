// Package s3 is the object store in an S3 bucket, for as many processes at once as there are.
//
//	<prefix>store              whose store this is
//	<prefix>upload/<id>        an upload: its size, where its bytes go, how far they are hashed, and how it ended
//	<prefix>sheet/<random>     while a large upload is under way: a CRC32C of each MiB of its body, as far as the record does not hold them
//	<prefix>body/<random>      bytes, first as the parts of a multipart upload, then as one S3 object
//	<prefix>object/ab/cd/<hex> an object: which body it is, and a CRC32C of each MiB of it
//
// Bytes are sent once and never copied: an upload's body gets its name, the digest, by a small object beside it. That one is written
// under the condition that there is none, which makes an object create-only. An upload's own record changes under the condition
// that nobody changed it before, so that of two processes one commits it and the other removes it, never both, and that one at a time
// appends to it. With each part the record says how far the bytes are hashed: whoever is the next to write goes on from there, and nobody
// reads a body to hash it but where that was lost. Nothing is remembered outside the bucket.
//
// Every request goes over TLS. Each part is sent with its CRC32C and the body is declared with the CRC32C of the whole; what is read is
// compared with the CRC32C of its MiB before any of it is handed out.
//
// A part waits for its way to the bucket in a nameless file in the folder for temporary files, up to two of 8 MiB for each upload under way
// (of 32 MiB above 80 GiB), which hold ciphertext and are gone with the process. Together they are never more than 256 MiB: with many uploads
// at once there is one part of each, and who comes then waits.
//
// It may assume that the bucket has versioning and Object Lock and that nobody else writes below the prefix. It never overwrites a
// body or an object, and never says a key, a secret or a name in an error.
package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"strongroom.example/strongroom/internal/objects"
)

// Config says where a store is. Without a credentials file the credentials come, as usual, from the environment (AWS_ACCESS_KEY_ID and
// so on), the user's ~/.aws/credentials, or the machine's role.
type Config struct {
	Endpoint        string // https://host[:port]
	Region          string
	Bucket          string
	Prefix          string // of every key; "" or ending in /
	CAFile          string // PEM certificates to trust instead of the system's; "" is the system's
	CredentialsFile string // in the form of ~/.aws/credentials, profile default; "" is the usual chain
	Owner           string // whose store it is; another's is not opened
	Process         string // tells this process from others, and is the same after a restart in the same place; "" is a new one
	Direct          string // https://host[:port] at which others reach the same bucket; "" is nowhere
	Governance      bool   // locks new objects in the mode GOVERNANCE, which some may override, instead of COMPLIANCE, which nobody may
}

// Store is an open bucket. See [objects.Store] for what its methods promise.
type Store struct {
	bucket   bucket
	web      *http.Transport
	direct   *minio.Core // signs addresses for others; nil is none
	trust    []byte      // certificates (PEM) that Config.CAFile holds
	mode     minio.RetentionMode
	process  string
	takeover time.Duration // the constant, but for tests

	room *room // for parts on their way
	tail int64 // maxTail, but for tests

	mu      sync.Mutex
	uploads map[string]*upload // those in use

	lockMu sync.Mutex // held while a lock is judged or changed
}

var _ objects.Store = (*Store)(nil)

// Create makes an empty store, and the bucket too if there is none and the credentials allow it. ErrExists if there is a store of another
// owner, or one that is not empty.
func Create(ctx context.Context, c Config) error {
	s, err := connect(c)
	if err != nil {
		return fail("create", err)
	}
	defer s.Close()
	return fail("create", s.create(ctx, c.Owner))
}

func (s *Store) create(ctx context.Context, owner string) error {
	if err := s.bucket.credentials(); err != nil {
		return err
	}
	if err := s.bucket.make(ctx); err != nil {
		return err
	}
	if err := s.bucket.fit(ctx); err != nil {
		return err
	}
	_, err := s.bucket.put(ctx, marker, []byte(owner), absent)
	if !errors.Is(err, errCondition) {
		return err
	}
	if err := s.bucket.owned(ctx, owner); err != nil {
		return errors.Join(err, objects.ErrExists)
	}
	for _, prefix := range []string{objectPrefix, uploadPrefix} {
		for _, err := range s.bucket.keys(ctx, prefix, "") {
			if err != nil {
				return err
			}
			return objects.ErrExists
		}
	}
	return nil
}

// Open opens the store that Create made. ErrNotFound if there is none. [ErrCredentials], [objects.ErrUnreachable], [ErrBucket], [ErrUnfit] and
// [ErrOwner] say what else is in the way.
func Open(ctx context.Context, c Config) (*Store, error) {
	s, err := connect(c)
	if err != nil {
		return nil, fail("open", err)
	}
	if err = s.bucket.credentials(); err == nil {
		err = s.bucket.fit(ctx)
	}
	if err == nil {
		err = s.bucket.owned(ctx, c.Owner)
	}
	if err != nil {
		s.Close()
		return nil, fail("open", err)
	}
	return s, nil
}

// connect makes ready to speak to the bucket, and does not yet.
func connect(c Config) (*Store, error) {
	host, err := hostOf(c.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("the endpoint is not of the form https://host: %w", err)
	}
	if c.Region == "" || c.Bucket == "" || c.Prefix != "" && !strings.HasSuffix(c.Prefix, "/") || len(c.Process) > maxProcess {
		return nil, fmt.Errorf("region, bucket, prefix or process is not of its form: %w", objects.ErrInvalid)
	}
	s := &Store{mode: minio.Compliance, process: c.Process, takeover: takeover, room: newRoom(maxWaiting), tail: maxTail, uploads: make(map[string]*upload)}
	if c.Governance {
		s.mode = minio.Governance
	}
	if s.process == "" {
		s.process = newBody()
	}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		if s.trust, err = certificates(c.CAFile); err != nil {
			return nil, err
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(s.trust) {
			return nil, fmt.Errorf("the CA file holds no certificate: %w", objects.ErrInvalid)
		}
	}
	s.web = &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       trust,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: time.Minute,
		IdleConnTimeout:       time.Minute,
		MaxIdleConnsPerHost:   16,
		DisableCompression:    true,
	}
	options := &minio.Options{
		Creds: chain(c.CredentialsFile, s.web), Secure: true, Transport: s.web, Region: c.Region, TrailingHeaders: true, MaxRetries: 3,
	}
	api, err := minio.NewCore(host, options)
	if err != nil {
		return nil, fmt.Errorf("endpoint: %w", objects.ErrInvalid)
	}
	s.bucket = bucket{api, c.Bucket, c.Prefix, c.Region}
	if c.Direct == "" {
		return s, nil
	}
	if host, err = hostOf(c.Direct); err == nil {
		s.direct, err = minio.NewCore(host, options)
	}
	if err != nil {
		return nil, fmt.Errorf("the direct address is not of the form https://host: %w", objects.ErrInvalid)
	}
	return s, nil
}

// hostOf is the host, with its port, of an address that is nothing else.
func hostOf(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", objects.ErrInvalid
	}
	return u.Host, nil
}

// certificates reads those of a file (PEM), and nothing else that it may hold.
func certificates(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, errors.Join(errors.New("the CA file cannot be read"), objects.ErrInvalid)
	}
	var list []byte
	for b, rest := pem.Decode(text); b != nil; b, rest = pem.Decode(rest) {
		if b.Type == "CERTIFICATE" {
			list = append(list, pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes})...)
		}
	}
	return list, nil
}

func chain(file string, web *http.Transport) *credentials.Credentials {
	if file != "" {
		return credentials.New(&credentials.FileAWSCredentials{Filename: file, Profile: "default"})
	}
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.EnvAWS{},
		&credentials.FileAWSCredentials{},
		&credentials.IAM{Client: &http.Client{Timeout: 10 * time.Second, Transport: web}},
	})
}

// Close implements [objects.Store].
func (s *Store) Close() error {
	s.web.CloseIdleConnections()
	return nil
}
