// Package omniwitness runs a real C2SP witness, omniwitness, for tests and for the demonstration.
//
// Each runs as a process of its own, with a key of its own, listens on loopback, and remembers what it has cosigned in a file of its folder. It
// is no part of a vault: a witness on the vault's own machine, under the same hands, proves nothing to anybody.
package omniwitness

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/installed"
)

// ErrMissing means that the program is not there.
const ErrMissing = installed.Missing("omniwitness")

// Find returns the program: the one that STRONGROOM_OMNIWITNESS names, or the one that scripts/omniwitness of this module installed.
func Find() (string, error) { return installed.Find("omniwitness", "STRONGROOM_OMNIWITNESS") }

// Algorithm is of a witness's key.
type Algorithm string

const (
	Ed25519 Algorithm = "Ed25519"   // signature type 0x04
	MLDSA44 Algorithm = "ML-DSA-44" // signature type 0x06
)

// Witness is one witness: made, running, or killed.
type Witness struct {
	Name string // of its key, and in a policy
	Key  string // its verifier key
	URL  string // http://127.0.0.1:port

	program, dir, address string
	process               *exec.Cmd
	log                   *os.File
}

// New makes a witness's key in dir, a folder of its own, and takes an address for it. It does not run yet: a policy names a witness before the
// vault has a log that it could watch.
func New(program, dir, name string, a Algorithm) (*Witness, error) {
	address, err := installed.FreeAddress()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	w := &Witness{Name: name, URL: "http://" + address, program: program, dir: dir, address: address}
	var secret string
	switch a {
	case MLDSA44:
		secret, w.Key, err = formats.GenerateMLDSAKey(name)
	default:
		var plain string
		if secret, plain, err = note.GenerateKey(rand.Reader, name); err == nil {
			w.Key, err = formats.VKeyToCosignatureV1(plain)
		}
	}
	if err != nil {
		return nil, err
	}
	return w, os.WriteFile(w.path("key"), []byte(secret), 0o600)
}

// Line is the witness's in a policy (C2SP tlog-policy).
func (w *Witness) Line() string { return fmt.Sprintf("witness %s %s %s\n", w.Name, w.Key, w.URL) }

func (w *Witness) path(name string) string { return filepath.Join(w.dir, name) }

// Run starts the program, at the same address each time, with what it remembers. It watches the one log whose origin and verifier key are
// given.
func (w *Witness) Run(ctx context.Context, origin, key string) (err error) {
	logs := fmt.Sprintf("Logs:\n  - Origin: %q\n    URL: %q\n    PublicKey: %q\n", origin, "https://"+origin, key)
	if err := os.WriteFile(w.path("logs.yaml"), []byte(logs), 0o600); err != nil {
		return err
	}
	if w.log, err = os.OpenFile(w.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	w.process = exec.Command(w.program, "--listen", w.address, "--metrics_listen", "", "--private_key_path", w.path("key"), //#nosec G204 -- the program that the caller chose
		"--additional_logs", w.path("logs.yaml"), "--db_file", w.path("witness.db"), "--logtostderr")
	w.process.Stdout, w.process.Stderr = w.log, w.log
	if err := w.process.Start(); err != nil {
		return errors.Join(err, w.log.Close())
	}
	if err := installed.Listening(ctx, w.address, nil); err != nil {
		w.Kill()
		out, _ := os.ReadFile(w.path("log"))
		return fmt.Errorf("omniwitness does not listen: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Kill ends the program at once.
func (w *Witness) Kill() {
	_ = w.process.Process.Kill()
	_ = w.process.Wait()
	_ = w.log.Close()
}

// Process is the running program's.
func (w *Witness) Process() *os.Process { return w.process.Process }
