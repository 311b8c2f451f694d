package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// Keystore keeps one person's documents and sealed files on one device: a Folder, InMemory, or a browser's own storage. Names are
// lower-case ASCII with "/" between levels. What is absent is fs.ErrNotExist. It is safe for concurrent use.
//
// The signing key is not in it: it may live in a token or a KMS, and is handed to the Client as a Signer.
type Keystore interface {
	// Read returns a document, at most a few megabytes.
	Read(name string) ([]byte, error)
	// Write replaces a document at once and durably, or leaves the old one.
	Write(name string, content []byte) error
	// Create begins a file that exists under its name, durably, once Keep returns nil; closed before, it never existed.
	Create(name string) (NewFile, error)
	// Open opens a kept file.
	Open(name string) (File, error)
	// Remove removes a document or a file. What is absent is removed already.
	Remove(name string) error
	// List returns the names below a level, in order, without those of locks.
	List(level string) ([]string, error)
	// Lock takes a name, which ends in ".lock", for the caller alone among all processes of the device. It does not wait: ok is false
	// while another has it. A process that ends lets go, however it ends.
	Lock(name string) (release func() error, ok bool, err error)
}

// NewFile is a file that is being written.
type NewFile interface {
	io.WriteCloser
	Keep() error
}

// File is a file that is read.
type File interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// The documents of a Keystore.
const (
	profileDoc  = "profile.json"
	trustDoc    = "trust.json"
	identityDoc = "identity.age"
	memoryDoc   = "memory.json"
	offersDoc   = "offers.json" // made by this person
	answerDoc   = "answer.json" // to the newest invitation of this person
	headsDir    = "heads"       // of what was seen, beside memoryDoc
	depositsDir = "deposits"    // under way
	doneDir     = "deposited"   // what became of them
	exportsDir  = "exports"     // ciphertext on its way into a package
	exportedDoc = "exported.json"
	cosignedDir = "cosigned" // the checkpoint that an auditor's key cosigned last, by key

	// Sealed to the person, each document of them.
	formsDir      = "forms"      // what forms said whose consents are not given yet
	pseudonymsDir = "pseudonyms" // what was learnt of them
)

// Abandoned is how long something unfinished may lie there: who made it was killed.
const Abandoned = 7 * 24 * time.Hour

// IsScratch reports whether a name is of something that nobody needs once it was abandoned: an export, or what was sealed for a deposit whose
// draft was never written. A Keystore removes that, and files that were never kept, when it is opened. has tells which names there are.
func IsScratch(name string, has func(name string) bool) bool {
	draft, sealed := strings.CutSuffix(name, ".age")
	return path.Dir(name) == exportsDir || sealed && path.Dir(name) == depositsDir && !has(draft+".json")
}

// Profile says who this person is, and where the vault answers.
type Profile struct {
	Address string           `json:"address"` // as ParseAddress reads it
	Actor   evidence.ActorID `json:"actor"`
}

// ReadProfile returns the profile; fs.ErrNotExist before the first WriteProfile.
func ReadProfile(k Keystore) (Profile, error) {
	var p Profile
	err := readDoc(k, profileDoc, &p)
	if err == nil && p.Actor != "" && !evidence.ValidID(p.Actor) {
		err = errDamaged
	}
	return p, err
}

// WriteProfile replaces the profile.
func WriteProfile(k Keystore, p Profile) error { return writeDoc(k, profileDoc, p) }

// ErrPinned means that this device trusts another vault already.
var ErrPinned = errors.New("another trust file is pinned on this device; a second vault needs a second folder")

// Pin stores the trust file that everything is judged by (FORMATS §10). It is compared over a second channel first, and never replaced
// by another.
func Pin(k Keystore, trust tlog.Trust) error {
	old, err := k.Read(trustDoc)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return k.Write(trustDoc, trust.Marshal())
	case err != nil:
		return err
	case string(old) != string(trust.Marshal()):
		return ErrPinned
	}
	return nil
}

// ReadTrust returns the pinned trust file; fs.ErrNotExist before Pin.
func ReadTrust(k Keystore) (tlog.Trust, error) {
	text, err := k.Read(trustDoc)
	if err != nil {
		return tlog.Trust{}, err
	}
	return tlog.ParseTrust(text)
}

// WriteIdentity stores the age identity under a passphrase.
func WriteIdentity(k Keystore, id sealing.Identity, passphrase string) error {
	file, err := sealing.WriteIdentityFile(id, passphrase)
	if err != nil {
		return err
	}
	return k.Write(identityDoc, file)
}

// ReadIdentity unlocks the age identity: fs.ErrNotExist, and the errors of sealing.ReadIdentityFile.
func ReadIdentity(k Keystore, passphrase string) (sealing.Identity, error) {
	file, err := k.Read(identityDoc)
	if err != nil {
		return sealing.Identity{}, err
	}
	return sealing.ReadIdentityFile(file, passphrase)
}

var errDamaged = errors.New("a document of this device's store is damaged")

// readDoc reads what writeDoc wrote and nothing else: a document in another spelling is damaged, and what it held is not taken for nothing.
// A member that comes to a document later is omitted when zero, so that documents of before have one spelling too.
func readDoc(k Keystore, name string, into any) error {
	text, err := k.Read(name)
	if err != nil {
		return err
	}
	return parseDoc(text, into)
}

func parseDoc(text []byte, into any) error {
	if json.Unmarshal(text, into) != nil || string(text) == "null" {
		return errDamaged
	}
	if again, err := json.Marshal(into); err != nil || !bytes.Equal(again, text) {
		return errDamaged
	}
	return nil
}

func writeDoc(k Keystore, name string, doc any) error {
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	return k.Write(name, text)
}
