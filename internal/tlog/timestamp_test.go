package tlog

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// stampVector is a case of api/vectors/timestamps, made by openssl (generate.py there).
type stampVector struct {
	Name  string `json:"name"`
	Input struct {
		Trust       string `json:"trust"`
		Response    []byte `json:"response"`
		Message     []byte `json:"message"`
		Time        string `json:"time"`
		Accuracy    int64  `json:"accuracy_microseconds"`
		Authority   string `json:"authority"`
		Development bool   `json:"development"`
	} `json:"input"`
	OpenSSL string          `json:"openssl"`
	Expect  json.RawMessage `json:"expect"`
}

func stampVectors(t testing.TB) (vectors []stampVector) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "api", "vectors", "timestamps", "timestamps.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &vectors); err != nil || len(vectors) == 0 {
		t.Fatal("no vectors", err)
	}
	return vectors
}

func (v stampVector) accept() bool { return string(v.Expect) == `"accept"` }

func (v stampVector) trust(t testing.TB) Trust {
	t.Helper()
	trust, err := ParseTrust([]byte(v.Input.Trust))
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return trust
}

func stampCase(t testing.TB, name string) stampVector {
	t.Helper()
	for _, v := range stampVectors(t) {
		if v.Name == name {
			return v
		}
	}
	t.Fatal("vector is gone: " + name)
	return stampVector{}
}

// said is a stamp without the certificates, to be compared.
func said(s Stamp) Stamp {
	s.signer, s.issuer = nil, nil
	return s
}

func TestTimestampVectors(t *testing.T) {
	for _, v := range stampVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			got, err := v.trust(t).VerifyTimestamp(v.Input.Response, v.Input.Message)
			if !v.accept() {
				if !errors.Is(err, ErrTimestamp) || got != (Stamp{}) {
					t.Fatalf("got %v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			at, err := time.Parse(time.RFC3339Nano, v.Input.Time)
			if err != nil {
				t.Fatal(err)
			}
			want := Stamp{Time: at, Accuracy: time.Duration(v.Input.Accuracy) * time.Microsecond, Authority: v.Input.Authority, Development: v.Input.Development}
			if got := said(got); got != want {
				t.Fatalf("got %v, want %v", got, want)
			}
		})
	}
}

// TestTimestampOpenSSL holds every case against the command openssl: whatever we accept it accepts, and where it takes more the vectors say so.
func TestTimestampOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("the command openssl is not here")
	}
	for _, v := range stampVectors(t) {
		if v.accept() && v.OpenSSL != "accept" {
			t.Errorf("%s: accepted here and not by openssl", v.Name)
		}
		if got := verifyByOpenSSL(t, openssl, v); got != (v.OpenSSL == "accept") {
			t.Errorf("%s: openssl is said to %s it", v.Name, v.OpenSSL)
		}
	}
}

// verifyByOpenSSL asks as the heading of generate.py says.
func verifyByOpenSSL(t *testing.T, openssl string, v stampVector) bool {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	var roots []byte
	for _, der := range v.trust(t).TimestampRoots() {
		roots = append(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	at := time.Now()
	if token, err := parseTimestamp(v.Input.Response); err == nil {
		at = token.time
	}
	return exec.Command(openssl, "ts", "-verify", "-in", write("response", v.Input.Response), "-data", write("message", v.Input.Message),
		"-CAfile", write("roots.pem", roots), "-attime", strconv.FormatInt(at.Unix(), 10)).Run() == nil
}

// TestTimestampEveryByte changes each byte of a response, and cuts it: as its form is one, nothing that is changed is accepted, neither as
// another time nor as the same.
func TestTimestampEveryByte(t *testing.T) {
	long := os.Getenv("STRONGROOM_LONG") != ""
	for _, v := range stampVectors(t) {
		if !v.accept() || !long && v.Name != "a fraction of a second" && v.Name != "an intermediate certificate" {
			continue
		}
		trust, response := v.trust(t), v.Input.Response
		for i := range response {
			flips := []byte{1 << (i % 8)}
			if long {
				flips = []byte{1, 2, 4, 8, 16, 32, 64, 128, 255}
			}
			for _, flip := range flips {
				response[i] ^= flip
				if got, err := trust.VerifyTimestamp(response, v.Input.Message); err == nil {
					t.Errorf("%s: byte %d xor %d: accepted as %v", v.Name, i, flip, got)
				}
				response[i] ^= flip
			}
			if _, err := trust.VerifyTimestamp(response[:i], v.Input.Message); err == nil {
				t.Errorf("%s: accepted when cut to %d bytes", v.Name, i)
			}
		}
	}
}

// TestCanonicalTimestamp: what an authority of openssl's answered, with its remark, becomes the one form, which then stays.
func TestCanonicalTimestamp(t *testing.T) {
	v := stampCase(t, "as the authority answered: with a remark")
	trust := v.trust(t)
	roots, err := parseCertificates(trust.TimestampRoots())
	if err != nil {
		t.Fatal(err)
	}
	response := v.Input.Response
	for range 2 {
		var chain [][]byte
		if response, chain, err = CanonicalTimestamp(response, v.Input.Message, roots, nil); err != nil {
			t.Fatal(err)
		}
		if len(chain) != 2 || !bytes.Equal(chain[1], roots[0].Raw) {
			t.Fatal("the chain does not lead to the root")
		}
		if _, err := trust.VerifyTimestamp(response, v.Input.Message); err != nil {
			t.Fatal(err)
		}
	}
	// Whatever form it comes in, it becomes the same one, or is refused.
	want := stampCase(t, "a fraction of a second").Input.Response
	for _, name := range []string{
		"digest algorithm with parameters", "sha256WithRSAEncryption for rsaEncryption", "an unsigned attribute", "a revocation list beside",
		"its certificate twice", "signed attributes unsorted", "a remark", "a failure beside",
	} {
		v := stampCase(t, name)
		got, _, err := CanonicalTimestamp(v.Input.Response, v.Input.Message, roots, nil)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A certificate that the authority leaves out is taken from those at hand.
	v, whole := stampCase(t, "without the intermediate certificate"), stampCase(t, "an intermediate certificate")
	token, err := parseTimestamp(whole.Input.Response)
	if err != nil {
		t.Fatal(err)
	}
	got, chain, err := CanonicalTimestamp(v.Input.Response, v.Input.Message, roots, token.certificates)
	if err != nil || len(chain) != 3 {
		t.Fatal(err, len(chain))
	}
	if _, err := trust.VerifyTimestamp(got, v.Input.Message); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"another message", "rejected", "SHA-1", "extended key usage not critical", "cut short"} {
		v := stampCase(t, name)
		if _, _, err := CanonicalTimestamp(v.Input.Response, v.Input.Message, roots, nil); !errors.Is(err, ErrTimestamp) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := CanonicalTimestamp(want, v.Input.Message, []*x509.Certificate{}, nil); !errors.Is(err, ErrTimestamp) {
		t.Errorf("without a root: %v", err)
	}
}

// FuzzTimestamp: nothing panics; what is accepted is in its one form and states what the seeds, which alone are signed, state.
func FuzzTimestamp(f *testing.F) {
	trusts := map[string]Trust{}
	stated := map[Stamp]bool{}
	for _, v := range stampVectors(f) {
		f.Add(v.Input.Response)
		trusts[v.Input.Trust] = v.trust(f)
	}
	for _, v := range stampVectors(f) {
		for _, trust := range trusts {
			if got, err := trust.VerifyTimestamp(v.Input.Response, v.Input.Message); err == nil {
				stated[said(got)] = true
			}
		}
	}
	message := stampCase(f, "a fraction of a second").Input.Message
	f.Fuzz(func(t *testing.T, response []byte) {
		for _, trust := range trusts {
			got, err := trust.VerifyTimestamp(response, message)
			if err == nil && !stated[said(got)] {
				t.Fatalf("accepted as %v", got)
			}
			roots, _ := parseCertificates(trust.TimestampRoots())
			again, _, err := CanonicalTimestamp(response, message, roots, nil)
			if err != nil {
				continue
			}
			if twice, _, err := CanonicalTimestamp(again, message, roots, nil); err != nil || !bytes.Equal(twice, again) {
				t.Fatalf("the one form is not one: %v", err)
			}
		}
	})
}
