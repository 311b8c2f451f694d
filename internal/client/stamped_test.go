package client

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/digitorus/timestamp"

	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/tlog"
)

// authority is an RFC 3161 authority with a root of its own, which also says that it revoked nobody.
type authority struct {
	testing.TB
	url             string
	root, own       *x509.Certificate
	rootKey, ownKey *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{TB: t, rootKey: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t), ownKey: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)}
	from := time.Now().Add(-time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root of " + name}, NotBefore: from, NotAfter: from.AddDate(1, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte(name)}
	a.root = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, root, root, &a.rootKey.PublicKey, a.rootKey))(t)))(t)
	usage := must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))(t) // timeStamping, critical and alone
	own := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: from.AddDate(1, 0, 0),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}}}
	a.own = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, own, a.root, &a.ownKey.PublicKey, a.rootKey))(t)))(t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tsr", a.answer)
	mux.HandleFunc("GET /crl", func(w http.ResponseWriter, _ *http.Request) { w.Write(a.crl()) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

func (a *authority) answer(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		a.Error(err)
	}
	query, err := timestamp.ParseRequest(body)
	if err != nil {
		a.Error(err)
		return
	}
	stamp := timestamp.Timestamp{HashAlgorithm: query.HashAlgorithm, HashedMessage: query.HashedMessage, Nonce: query.Nonce, Time: time.Now().UTC(), Accuracy: time.Second,
		Policy: asn1.ObjectIdentifier{1, 2, 3}, AddTSACertificate: query.Certificates}
	answer, err := stamp.CreateResponseWithOpts(a.own, a.ownKey, crypto.SHA256)
	if err != nil {
		a.Error(err)
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.Write(answer)
}

// crl is a list that covers what is stamped in the hour to come, so that nothing of a package is without one.
func (a *authority) crl() []byte {
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(time.Hour), NextUpdate: time.Now().Add(48 * time.Hour)}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.root, a.rootKey)
	if err != nil {
		a.Error(err)
	}
	return der
}

// configured is the line of a configuration that names it.
func (a *authority) configured(name string) []byte {
	return fmt.Appendf(nil, "timestamps: {authorities: [{name: %s, url: %q, crl: %q}]}\n", name, a.url+"/tsr", a.url+"/crl")
}

// attends serves the vault as its program does, until it has fetched the revocation list of an authority.
func (w *world) attends(name string) {
	w.Helper()
	list := filepath.Join(w.dir, "crl", name+".crl")
	d := must(daemon.Open(w.Context(), w.dir, options))(w)
	own := must(d.Loopback())(w)
	l := must(net.Listen("tcp", "127.0.0.1:0"))(w)
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, l, own.Certificate) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(list); err == nil {
			break
		}
		if time.Now().After(deadline) {
			w.Fatal("no revocation list is fetched")
		}
	}
	cancel()
	check(w, <-served)
	check(w, d.Close())
}

// stamped puts every time stamp of a package to the command openssl, with nothing but roots, and returns how many there are over states of the
// log and over events. The package has the revocation list of the authority that stamps now.
func stamped(t *testing.T, file *bytes.Reader, name string, a *authority, before ...*authority) (states, events int) {
	t.Helper()
	dir, text := t.TempDir(), make(map[string][]byte)
	var roots []byte
	for _, a := range append(before, a) {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.root.Raw})...)
	}
	put := func(name string, b []byte) string {
		name = filepath.Join(dir, name)
		check(t, os.WriteFile(name, b, 0o600))
		return name
	}
	root := put("roots.pem", roots)
	verify := func(response, message []byte) error {
		return exec.Command("openssl", "ts", "-verify", "-in", put("response", response), "-data", put("message", message), "-CAfile", root).Run()
	}
	good := func(what string, response, message []byte) {
		if err := verify(response, message); err != nil {
			t.Errorf("%s: openssl: %v", what, err)
		}
		if verify(response, append([]byte("x"), message...)) == nil {
			t.Errorf("%s: openssl accepts it over another message", what)
		}
	}
	files := make(map[string][]byte)
	for _, f := range must(zip.NewReader(file, file.Size()))(t).File {
		r := must(f.Open())(t)
		files[f.Name] = must(io.ReadAll(r))(t)
		r.Close()
	}
	for at, b := range files {
		if !strings.HasSuffix(at, ".sigstore.json") {
			continue
		}
		r := must(tlog.ParseReceipt(b))(t)
		note, _, _ := bytes.Cut(r.Checkpoint(), []byte("\n\n"))
		lines := strings.Split(string(note), "\n")
		text[lines[1]] = append(note, '\n')
		_, _, signature := r.Signed()
		for _, response := range r.Timestamps() {
			events++
			good(at, response, signature)
		}
	}
	for at, b := range files {
		size, ok := strings.CutSuffix(path.Base(at), "-"+name+".tsr")
		if !ok || path.Dir(at) != "log" {
			continue
		}
		if _, err := strconv.ParseInt(size, 10, 64); err != nil || text[size] == nil {
			t.Fatalf("%s is over no state in the package", at)
		}
		states++
		good(at, b, text[size])
	}
	if list, err := x509.ParseRevocationList(files["log/"+name+".crl"]); err != nil || list.CheckSignatureFrom(a.root) != nil {
		t.Errorf("the authority's revocation list is not in the package: %v", err)
	}
	return states, events
}

// A vault goes over from one time-stamp authority to another, under another root, which two people decided. Its packages carry tokens, with their
// chains, and revocation lists; openssl accepts every token; packages of before verify under the new trust file, those of after do not under the
// old one.
func TestAuthorityRotation(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	one, two := newAuthority(t, "one"), newAuthority(t, "two")
	dir := t.TempDir()
	w := &world{TB: t, dir: filepath.Join(dir, "vault"), policy: daemon.DefaultPolicy, file: filepath.Join(dir, "founding.yaml")}
	w.policy.ConfirmWait = 1
	w.roots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: one.root.Raw})
	check(t, os.WriteFile(w.file, one.configured("first"), 0o600))
	w.found()
	config := filepath.Join(w.dir, "strongroomd.yaml")
	check(t, os.WriteFile(config, one.configured("first"), 0o600))
	w.attends("first")
	w.again(func() {})
	in := w.openCase()
	consent := w.consent(in)
	old, earlier := w.trustFile(), w.exported(in, consent, "before")
	whole := func(what string, file *bytes.Reader, trust tlog.Trust, name string, a *authority) {
		t.Helper()
		r := must(dossier.Verify(file, file.Size(), dossier.Options{Trust: &trust, Identity: &w.court.identity}))(t)
		if c := r.Check(dossier.CheckTime); r.Verdict != dossier.Verified || c.Result != dossier.Pass || strings.Contains(strings.Join(r.DoesNotShow, "\n"), "revoked") {
			t.Errorf("%s is %s: %+v, does not show %q", what, r.Verdict, c, r.DoesNotShow)
		}
		for _, e := range r.Events {
			if e.By == 0 || e.Stamped == 0 || e.Stamped < e.By {
				t.Errorf("%s, step %d: by %v, stamped %v", what, e.Step, e.By, e.Stamped)
			}
		}
		if states, events := stamped(t, file, name, a); states == 0 || events == 0 {
			t.Errorf("%s: %d states and %d events are stamped", what, states, events)
		}
	}
	whole("the earlier package", earlier, old, "first", one)

	check(t, os.WriteFile(config, two.configured("second"), 0o600))
	plan := must(daemon.PlanRotation(ctx, w.dir, options, daemon.Change{TimestampRoots: [][]byte{two.root.Raw}}))(t)
	w.decide(plan)
	var next tlog.Trust
	w.again(func() {
		next = must(daemon.FinishRotation(ctx, w.dir, options))(t)
		w.attends("second")
	})
	if len(next.TimestampRoots()) != 2 || len(next.Authorities()) != 2 {
		t.Fatalf("%d roots, %d authorities", len(next.TimestampRoots()), len(next.Authorities()))
	}
	parts := tlog.TrustParts{Vault: next.Vault(), Logs: next.Logs(), Founders: next.Founders(), Authorities: next.Authorities(), TimestampRoots: next.TimestampRoots()}
	parts.TimestampRoots = append(parts.TimestampRoots, newAuthority(t, "three").root.Raw)
	if err := Repin(ctx, w.config(w.custodian), must(tlog.NewTrust(parts))(t)); LieOf(err) != UndecidedTrust {
		t.Errorf("a root that nobody decided: %v", err)
	}
	for _, p := range []*person{w.admin, w.custodian, w.clinician, w.second, w.court} {
		check(t, Repin(ctx, w.config(p), next))
		p.Client = w.client(p, nil)
	}
	w.verified("the earlier package, under the new file", earlier, next, dossier.Verified, "")
	later := w.exported(in, consent, "after")
	w.verified("a later package, under the old file", later, old, dossier.Refused, dossier.ReasonTimestamp)
	w.verified("a later package", later, next, dossier.Verified, "")
	item := must(dossier.Verify(later, later.Size(), dossier.Options{Trust: &next}))(t).Events
	if len(item) == 0 || item[0].Stamped == 0 {
		t.Errorf("the later package's first step: %+v", item)
	}
	if states, events := stamped(t, later, "second", two, one); states == 0 || events == 0 {
		t.Errorf("a later package: %d states and %d events are stamped", states, events)
	}
}
