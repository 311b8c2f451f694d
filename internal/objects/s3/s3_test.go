package s3_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/objectstest"
	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/objects/versitygw"
)

// serverKey is the environment variable by which a child finds the server of its parent.
const serverKey = "STRONGROOM_TEST_S3"

// shared is the server of all tests that need none of their own.
var shared versitygw.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if text := os.Getenv(serverKey); text != "" {
		if err := json.Unmarshal([]byte(text), &shared); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}
	program, err := versitygw.Find()
	if errors.Is(err, versitygw.ErrMissing) {
		return m.Run() // tests that need it say so
	}
	dir, err := os.MkdirTemp("", "strongroom-s3-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	s, err := versitygw.Start(context.Background(), program, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.Kill()
	shared = *s
	text, err := json.Marshal(s)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(serverKey, string(text))
	return m.Run()
}

// need skips a test if there is no server program to test with.
func need(t testing.TB) {
	t.Helper()
	if shared.Endpoint == "" {
		t.Skip(versitygw.ErrMissing)
	}
}

// server starts a server of the test's own, which it may kill.
func server(t testing.TB) *versitygw.Server {
	t.Helper()
	need(t)
	program, err := versitygw.Find()
	must(t, err)
	s, err := versitygw.Start(t.Context(), program, t.TempDir())
	must(t, err)
	t.Cleanup(s.Kill)
	return s
}

const bucket = "vault"

// config is the store of a place on a server.
func config(s *versitygw.Server, place string) s3.Config {
	name := sha256.Sum256([]byte(place))
	return s3.Config{
		Endpoint: s.Endpoint, Region: versitygw.Region, Bucket: bucket, Prefix: hex.EncodeToString(name[:8]) + "/",
		CAFile: s.CAFile, CredentialsFile: s.CredentialsFile, Direct: s.Endpoint,
	}
}

func open(place string) (objects.Store, error) {
	c := config(&shared, place)
	if objectstest.Child() {
		c.Process = "child" // again and again the same one
	}
	s, err := s3.Open(context.Background(), c)
	if errors.Is(err, objects.ErrNotFound) || errors.Is(err, s3.ErrBucket) {
		if err := s3.Create(context.Background(), c); err != nil {
			return nil, err
		}
		s, err = s3.Open(context.Background(), c)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// bodyFile is where a server keeps an object's bytes.
func bodyFile(s *versitygw.Server, c s3.Config, d objects.Digest) (string, error) {
	h := d.String()
	b, err := os.ReadFile(filepath.Join(s.Data, bucket, c.Prefix, "object", h[:2], h[2:4], h))
	if err != nil {
		return "", err
	}
	var m struct{ Body string }
	err = json.Unmarshal(b, &m)
	return filepath.Join(s.Data, bucket, c.Prefix, "body", m.Body), err
}

func damage(place string, d objects.Digest, change func([]byte) []byte) error {
	name, err := bodyFile(&shared, config(&shared, place), d)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return os.WriteFile(name, change(b), 0o600)
}

func TestStore(t *testing.T) {
	need(t)
	objectstest.Run(t, objectstest.Suite{Open: open, Shared: true, Damage: damage})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}
