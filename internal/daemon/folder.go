// Package daemon is a running vault: its data folder, the wiring of its parts, and the listening server.
//
// It owns the layout of the folder and the order in which parts are opened and closed. It decides nothing that the parts decide.
// Records, log and objects are in the folder, or where the configuration says.
//
//	<dir>/vault.json     origin, the vault's own actor, when it was made; written last, so a folder without it is unfinished
//	<dir>/trust.json     what courts and clients pin (FORMATS §10), once the vault has founders
//	<dir>/records.db     records (SQLite), unless the configuration names a database of PostgreSQL for them
//	<dir>/log.db         the log's tree (Trillian on bbolt), unless the configuration names a Trillian log server for it
//	<dir>/checkpoint     the last signed checkpoint, kept apart from both
//	<dir>/objects/       ciphertext, unless the configuration names a bucket for it
//	<dir>/organizations.json  what the operator calls organizations, if any has a name
//	<dir>/strongroomd.yaml  the configuration, if the operator put one there
//	<dir>/operator.sock  where a running server answers backup and scrub
//	<dir>/tls/           the certificate for clients on the same machine, made when it is first needed
//	<dir>/keys/          the log's and the vault's signing keys that no KMS has, encrypted under keys/passphrase or a passphrase of one's own,
//	                     and, if init made it, the file of the development time-stamp authority, which is nobody's secret
//	<dir>/crl/           what the time-stamp authorities' issuers said last of revoked certificates; fetched again if it is gone
package daemon

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// ErrNoVault means that the folder holds no vault; ErrNotFounded that it has no founders yet; ErrUnsettled that it lost its settings.
var (
	ErrNoVault    = errors.New("there is no vault in this folder; make one with: strongroomd init")
	ErrNotFounded = errors.New("this vault has no founders yet; finish it with: strongroomd init --founder FILE --founder FILE --recovery RECIPIENT")
	ErrExists     = errors.New("there is a vault in this folder already")
	errSettings   = errors.New("vault.json is damaged")
	ErrUnsettled  = errors.New("this folder holds a vault whose vault.json is missing; put vault.json back from a backup")
)

// folder names the files of one vault.
type folder string

func (f folder) path(name ...string) string {
	return filepath.Join(append([]string{string(f)}, name...)...)
}

func (f folder) settings() string   { return f.path("vault.json") }
func (f folder) trust() string      { return f.path("trust.json") }
func (f folder) records() string    { return f.path("records.db") }
func (f folder) log() string        { return f.path("log.db") }
func (f folder) checkpoint() string { return f.path("checkpoint") }
func (f folder) objects() string    { return f.path("objects") }
func (f folder) config() string     { return f.path("strongroomd.yaml") }
func (f folder) names() string      { return f.path("organizations.json") }
func (f folder) passphrase() string { return f.path("keys", "passphrase") }

// The keys of a vault.
const (
	logKey         = "log.pem"         // ECDSA P-256: checkpoints
	logNoteKey     = "log-ed25519.pem" // Ed25519: checkpoints, for witnesses
	postQuantumKey = "log-ml-dsa.pem"  // ML-DSA-44: checkpoints, if the vault has one
	vaultKey       = "vault.pem"       // ECDSA P-256: the vault's own events
)

// settings are what init decides once, and where a rotation put the keys.
type settings struct {
	Origin string           `json:"origin"`
	Actor  evidence.ActorID `json:"actor"`
	Made   time.Time        `json:"made"`
	Keys   KeyNames         `json:"keys,omitzero"`
	// Where records and log are, if not in the folder: "postgresql", and the number of a log server's tree.
	Records string `json:"records,omitempty"`
	Tree    int64  `json:"tree,string,omitempty"`
}

func (s settings) marshal() []byte { return line(s) }

func (s settings) valid() bool {
	return evidence.ValidOrigin(s.Origin) && evidence.ValidID(s.Actor) && isUTC(s.Made) && s.Keys.valid() &&
		(s.Records == "" || s.Records == inPostgreSQL) && s.Tree >= 0
}

func isUTC(t time.Time) bool {
	_, offset := t.Zone()
	return offset == 0 && !t.IsZero()
}

func (f folder) readSettings() (settings, error) {
	s, err := readDocument[settings](f.settings())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return s, ErrNoVault
	case errors.Is(err, errDocument):
		return s, errSettings
	}
	return s, err
}

// writeFile writes a file durably, at once or not at all.
func writeFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// readPassphrase reads the key passphrase from a file of the operator's, or from the one that init made.
func (f folder) readPassphrase(file string) ([]byte, error) {
	if file == "" {
		file = f.passphrase()
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("passphrase file: %w", err)
	}
	for len(text) > 0 && (text[len(text)-1] == '\n' || text[len(text)-1] == '\r') {
		text = text[:len(text)-1]
	}
	if len(text) == 0 {
		return nil, errors.New("the passphrase file is empty")
	}
	return text, nil
}

func newPassphrase() []byte {
	var raw [24]byte
	rand.Read(raw[:])
	return []byte(base64.RawURLEncoding.EncodeToString(raw[:]) + "\n")
}
