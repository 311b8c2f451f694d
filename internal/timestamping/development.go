package timestamping

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"time"

	"github.com/digitorus/timestamp"

	"strongroom.example/strongroom/internal/tlog"
)

// ErrDevelopment: a file that MakeDevelopment did not make.
var ErrDevelopment = errors.New("this is not the file of a development authority")

var (
	developmentPolicy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 1} // the number that RFC 5612 keeps for examples
	extendedKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	// What it says proves nothing at any time, so the time of its certificates is no bound on anything.
	developmentStart = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	developmentEnd   = time.Date(2120, 1, 1, 0, 0, 0, 0, time.UTC)
)

const maxQuery = 4 << 10

// Development is an authority for development and demonstrations: whoever runs it holds its key, so its stamps prove nothing to anybody
// else. Every certificate of it says so (tlog.DevelopmentUnit), and verifiers say it again.
type Development struct {
	key   crypto.Signer
	own   *x509.Certificate
	root  *x509.Certificate
	clock func() time.Time
}

// MakeDevelopment makes an authority's file (PEM): its key, its certificate and its root. The root's key is thrown away.
func MakeDevelopment() ([]byte, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	subject := func(name string) pkix.Name {
		return pkix.Name{OrganizationalUnit: []string{tlog.DevelopmentUnit}, CommonName: name}
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: subject("Development time stamps root"), NotBefore: developmentStart, NotAfter: developmentEnd,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}) // timeStamping
	if err != nil {
		return nil, err
	}
	own := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: subject("Development time stamps"), NotBefore: developmentStart, NotAfter: developmentEnd,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		// crypto/x509 would not mark it critical.
		ExtraExtensions: []pkix.Extension{{Id: extendedKeyUsage, Critical: true, Value: usage}},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	if root, err = x509.ParseCertificate(rootDER); err != nil {
		return nil, err
	}
	ownDER, err := x509.CreateCertificate(rand.Reader, own, root, key.Public(), rootKey)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var file []byte
	for _, block := range []pem.Block{{Type: "PRIVATE KEY", Bytes: keyDER}, {Type: "CERTIFICATE", Bytes: ownDER}, {Type: "CERTIFICATE", Bytes: rootDER}} {
		file = append(file, pem.EncodeToMemory(&block)...)
	}
	return file, nil
}

// OpenDevelopment reads the file of MakeDevelopment.
func OpenDevelopment(file []byte, clock func() time.Time) (*Development, error) {
	var blocks [3]*pem.Block
	for i := range blocks {
		if blocks[i], file = pem.Decode(file); blocks[i] == nil {
			return nil, ErrDevelopment
		}
	}
	key, err := x509.ParsePKCS8PrivateKey(blocks[0].Bytes)
	private, ok := key.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return nil, ErrDevelopment
	}
	own, err := x509.ParseCertificate(blocks[1].Bytes)
	if err != nil || !private.PublicKey.Equal(own.PublicKey) {
		return nil, ErrDevelopment
	}
	root, err := x509.ParseCertificate(blocks[2].Bytes)
	if err != nil || own.CheckSignatureFrom(root) != nil {
		return nil, ErrDevelopment
	}
	return &Development{private, own, root, clock}, nil
}

// Root is the certificate that its stamps lead to.
func (d *Development) Root() *x509.Certificate { return d.root }

// Ask stamps a message without a network, as Client.Ask does with one.
func (d *Development) Ask(_ context.Context, message []byte) (response []byte, chain [][]byte, err error) {
	imprint := sha256.Sum256(message)
	answer, err := d.stamp(&timestamp.Request{HashAlgorithm: crypto.SHA256, HashedMessage: imprint[:], Certificates: true})
	if err != nil {
		return nil, nil, err
	}
	return tlog.CanonicalTimestamp(answer, message, []*x509.Certificate{d.root}, nil)
}

func (d *Development) stamp(query *timestamp.Request) ([]byte, error) {
	stamp := timestamp.Timestamp{
		HashAlgorithm: query.HashAlgorithm, HashedMessage: query.HashedMessage, Nonce: query.Nonce, Policy: developmentPolicy,
		Time: d.clock().UTC(), Accuracy: time.Second, AddTSACertificate: query.Certificates,
	}
	return stamp.CreateResponseWithOpts(d.own, d.key, crypto.SHA256)
}

// ServeHTTP answers queries as RFC 3161 §3.4 says.
func (d *Development) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != queryType {
		http.Error(w, "a time-stamp query is expected", http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuery))
	if err != nil {
		http.Error(w, "a time-stamp query is expected", http.StatusBadRequest)
		return
	}
	answer, err := d.answer(body)
	if err != nil {
		http.Error(w, "no time stamp could be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", answerType)
	w.Write(answer)
}

func (d *Development) answer(body []byte) ([]byte, error) {
	query, err := timestamp.ParseRequest(body)
	switch {
	case err != nil:
		return timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadDataFormat)
	case query.HashAlgorithm != crypto.SHA256 || len(query.HashedMessage) != sha256.Size:
		return timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.BadAlgorithm)
	case query.TSAPolicyOID != nil && !query.TSAPolicyOID.Equal(developmentPolicy):
		return timestamp.CreateErrorResponse(timestamp.Rejection, timestamp.UnacceptedPolicy)
	}
	return d.stamp(query)
}
