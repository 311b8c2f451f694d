package daemon

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/tlog"
)

// KeyNames say where a vault's keys are where they are not the files that Create makes: the URI of one in a KMS, or, after a rotation,
// another file in keys/.
type KeyNames struct {
	Log         string `json:"log,omitempty"`         // ECDSA P-256
	Note        string `json:"log_ed25519,omitempty"` // Ed25519
	PostQuantum string `json:"log_ml_dsa,omitempty"`  // ML-DSA-44: a file, or the vault has none
	Vault       string `json:"vault,omitempty"`       // ECDSA P-256
	Next        string `json:"vault_next,omitempty"`  // the vault's next key, from RotateVaultKey until it is in force
}

var (
	keyFile = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}\.pem$`)
	keyURI  = regexp.MustCompile(`^[a-z][a-z0-9.+-]{0,31}://[!-~]{1,500}$`)
)

// errKeyName does not repeat the name: a URI may hold what is nobody's business.
var errKeyName = errors.New("a key is named by the URI of one in a KMS, such as hashivault://NAME, in at most 500 printable characters")

func (n KeyNames) valid() bool {
	for _, name := range []string{n.Log, n.Note, n.Vault, n.Next} {
		if name != "" && !keyFile.MatchString(name) && !keyURI.MatchString(name) {
			return false
		}
	}
	return n.PostQuantum == "" || keyFile.MatchString(n.PostQuantum)
}

// of is the name of one of the keys.
func (n *KeyNames) of(key string) *string {
	switch key {
	case logKey:
		return &n.Log
	case logNoteKey:
		return &n.Note
	case postQuantumKey:
		return &n.PostQuantum
	case nextVaultKey:
		return &n.Next
	}
	return &n.Vault
}

// nextVaultKey stands for the vault's next key, which has a name of its own.
const nextVaultKey = "vault_next"

type keyKind struct {
	name      string
	algorithm keys.Algorithm
}

// allKeys are those of every vault, with what each must be; furtherKeys those that it has if its settings name them.
var (
	allKeys     = []keyKind{{logKey, keys.P256}, {logNoteKey, keys.Ed25519}, {vaultKey, keys.P256}}
	furtherKeys = []keyKind{{postQuantumKey, keys.MLDSA44}, {nextVaultKey, keys.P256}}
)

// key is where one of the three is: a file in keys/, or a URI.
func (s settings) key(name string) string {
	if other := *s.Keys.of(name); other != "" {
		return other
	}
	return name
}

// elsewhere are the keys that are in a KMS.
func (s settings) elsewhere() (list []string) {
	for _, k := range allKeys {
		if keys.InKMS(s.key(k.name)) {
			list = append(list, k.name)
		}
	}
	return list
}

// kinds are the keys that the vault has.
func (s settings) kinds() []keyKind {
	return append(slices.Clone(allKeys), slices.DeleteFunc(slices.Clone(furtherKeys), func(k keyKind) bool { return *s.Keys.of(k.name) == "" })...)
}

// files are its keys that are files in keys/.
func (s settings) files() (list []string) {
	for _, k := range s.kinds() {
		if name := s.key(k.name); !keys.InKMS(name) {
			list = append(list, name)
		}
	}
	return list
}

// openKeys opens the vault's keys. The passphrase is needed only where one of them is a file.
func (f folder) openKeys(ctx context.Context, s settings, passphraseFile string) (map[string]*keys.Signer, error) {
	var passphrase []byte
	if len(s.files()) > 0 {
		var err error
		if passphrase, err = f.readPassphrase(passphraseFile); err != nil {
			return nil, err
		}
	}
	opened := make(map[string]*keys.Signer)
	for _, k := range s.kinds() {
		signer, err := f.openKey(ctx, s.key(k.name), k.algorithm, passphrase)
		if k.name == postQuantumKey && errors.Is(err, os.ErrNotExist) {
			continue // the log signs without it, as a line that is missing is no fault (FORMATS §5); open says so
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		opened[k.name] = signer
	}
	return opened, nil
}

// openKey opens a key, which must be of its algorithm.
func (f folder) openKey(ctx context.Context, name string, algorithm keys.Algorithm, passphrase []byte) (*keys.Signer, error) {
	path := name
	if !keys.InKMS(name) {
		path = f.path("keys", name)
	}
	signer, err := keys.Open(ctx, path, passphrase)
	if err != nil {
		return nil, err
	}
	if signer.Algorithm() != algorithm {
		return nil, fmt.Errorf("%w: this key must be %s", keys.ErrUnsupported, algorithm)
	}
	return signer, nil
}

// createKeys makes the keys that are files, and asks the KMS for the others. An earlier attempt that was interrupted left some of them
// behind; nothing was signed with them, because vault.json is missing.
func (f folder) createKeys(ctx context.Context, names KeyNames, passphraseFile string) error {
	var passphrase []byte
	made := settings{Keys: names}
	if len(made.files()) > 0 {
		if _, err := os.Stat(f.passphrase()); passphraseFile == "" && errors.Is(err, os.ErrNotExist) {
			if err := writeFile(f.passphrase(), newPassphrase(), 0o600); err != nil {
				return err
			}
		}
		var err error
		if passphrase, err = f.readPassphrase(passphraseFile); err != nil {
			return err
		}
	}
	for _, k := range made.kinds() {
		name := made.key(k.name)
		if name != k.name {
			if !keyURI.MatchString(name) {
				return errKeyName
			}
			if _, err := f.openKey(ctx, name, k.algorithm, nil); err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
			continue
		}
		if err := os.Remove(f.path("keys", k.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if _, err := keys.Create(f.path("keys", k.name), k.algorithm, passphrase); err != nil {
			return err
		}
	}
	return nil
}

// errOtherKey means that a KMS turned to another key, or that a key file is from elsewhere.
var errOtherKey = errors.New("this is not the key that the vault signs with; nothing was signed")

// checkKeys compares the keys at hand with those that the trust file and the directory name, before anything is signed with them.
func (p *parts) checkKeys(ctx context.Context, trust tlog.Trust) error {
	for _, name := range []string{logKey, logNoteKey} {
		id, err := tlog.LogID(p.keys[name].Public())
		if err != nil {
			return err
		}
		inUse := func(l tlog.Log) bool {
			other, err := tlog.LogID(l.Key)
			return err == nil && other == id && l.End.IsZero()
		}
		if !slices.ContainsFunc(trust.Logs(), inUse) {
			return fmt.Errorf("%s: %w", name, errOtherKey)
		}
	}
	if err := checkLogLine(p.settings.Origin, p.keys[postQuantumKey], trust.WitnessPolicy()); err != nil {
		return err
	}
	self := evidence.ActorOf(p.settings.Actor)
	states, err := p.records.States(ctx, self)
	if err != nil {
		return err
	}
	s, ok := states[self].(*evidence.ActorState)
	if !ok || s.Key == base64.StdEncoding.EncodeToString(p.keys[vaultKey].SPKI()) {
		return nil
	}
	next := p.keys[nextVaultKey]
	if next == nil || s.Key != base64.StdEncoding.EncodeToString(next.SPKI()) {
		return fmt.Errorf("%s: %w", vaultKey, errOtherKey)
	}
	return p.adoptKey(s.Status)
}
