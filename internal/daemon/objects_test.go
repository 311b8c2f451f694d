package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/objects/versitygw"
)

// bucketServer is an S3 server of the test's own.
func bucketServer(t *testing.T) *versitygw.Server {
	t.Helper()
	program, err := versitygw.Find()
	if errors.Is(err, versitygw.ErrMissing) {
		t.Skip(err)
	}
	server, err := versitygw.Start(t.Context(), program, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Kill)
	return server
}

// bucketConfig is the file of the configuration of a vault that keeps its objects there.
func bucketConfig(t *testing.T, server *versitygw.Server, bucket string) string {
	t.Helper()
	return written(t, objectsConfig(server, bucket))
}

func objectsConfig(server *versitygw.Server, bucket string) string {
	return fmt.Sprintf("objects:\n  s3: {endpoint: %q, region: %s, bucket: %s, prefix: v1/, ca_file: %q, credentials_file: %q}\n",
		server.Endpoint, versitygw.Region, bucket, server.CAFile, server.CredentialsFile)
}

// TestBucket founds a vault that keeps its objects in a bucket, deposits, checks everything, and finds what was altered there.
func TestBucket(t *testing.T) {
	server := bucketServer(t)
	o := testOptions()
	o.ConfigFile = bucketConfig(t, server, "evidence")
	dir := filepath.Join(t.TempDir(), "vault")
	origin := must(Create(t.Context(), dir, "", o))
	for name, algorithm := range map[string]keys.Algorithm{logKey: keys.P256, logNoteKey: keys.Ed25519, vaultKey: keys.P256} {
		path := folder(dir).path("keys", name)
		must(0, os.Remove(path))
		must(keys.Create(path, algorithm, nil))
	}
	_, c := once()
	must(Found(t.Context(), dir, o, Founding{
		Founders: [][]byte{c.Administrator.founder(origin), c.A.founder(origin), c.B.founder(origin)},
		Recovery: c.Recovery, Policy: DefaultPolicy, Version: "test",
	}))

	p := must(open(t.Context(), dir, o))
	in, _, err := c.openCase(p)
	if err == nil {
		_, _, err = c.deposit(p, in, 10_000)
	}
	if err := errors.Join(err, p.close()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder(dir).objects()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder for objects beside the bucket: %v", err)
	}

	look := func() (found []Damage) {
		t.Helper()
		examined, err := Fsck(t.Context(), dir, o, func(d Damage) { found = append(found, d) })
		if err != nil || examined.Objects != 1 || examined.Orphans != 0 {
			t.Errorf("fsck: %+v, %v", examined, err)
		}
		return found
	}
	if found := look(); len(found) > 0 {
		t.Errorf("damage in a sound vault: %v", found)
	}
	bodies := must(filepath.Glob(filepath.Join(server.Data, "evidence", "v1", "body", "*")))
	if len(bodies) != 1 {
		t.Fatalf("%d bodies of one object", len(bodies))
	}
	b := must(os.ReadFile(bodies[0]))
	b[len(b)/2] ^= 1
	must(0, os.WriteFile(bodies[0], b, 0o600))
	if found := look(); len(found) != 1 || !strings.Contains(found[0].Where, "item") {
		t.Errorf("a flipped bit in the bucket: %v", found)
	}

	// Neither another configuration nor another vault's bucket is taken for its own.
	if _, err := open(t.Context(), dir, testOptions()); !errors.Is(err, ErrNoObjects) {
		t.Errorf("without its configuration: %v", err)
	}
	if _, err := Create(t.Context(), filepath.Join(t.TempDir(), "other"), "", o); err == nil || !strings.Contains(err.Error(), "another prefix") {
		t.Errorf("a second vault in the same bucket: %v", err)
	}
	server.Kill()
	if _, err := open(t.Context(), dir, o); err == nil || strings.Contains(err.Error(), filepath.Base(bodies[0])) {
		t.Errorf("without the server: %v", err)
	}
	if err := server.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := must(open(t.Context(), dir, o)).close(); err != nil {
		t.Fatal(err)
	}
}
