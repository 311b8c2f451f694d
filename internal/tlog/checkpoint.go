package tlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
)

const (
	// MaxCheckpointSize bounds a signed checkpoint, in bytes.
	MaxCheckpointSize = 32 << 10
	// MaxSignatures bounds its signature lines: the log's, the witnesses' and
	// the auditors'.
	MaxSignatures = 32
	// MaxTreeSize keeps every index and size an exact JSON number.
	MaxTreeSize = 1<<53 - 1
)

// emptyRoot is the root of a tree without leaves (RFC 6962 §2.1).
var emptyRoot = Hash(sha256.Sum256(nil))

// Checkpoint is what a log's signature commits to (FORMATS §5). It proves
// nothing by itself: it is worth what OpenCheckpoint returned it for.
type Checkpoint struct {
	// Origin names the log: a bare lower-case host name (FORMATS §2).
	Origin string
	// Size is the number of leaves, 0 ≤ Size ≤ MaxTreeSize.
	Size int64
	// Root is the Merkle root over them (RFC 6962 §2.1).
	Root Hash
}

// Marshal returns the checkpoint's text, the bytes that signatures cover.
func (c Checkpoint) Marshal() []byte {
	return log.Checkpoint{Origin: c.Origin, Size: uint64(c.Size), Hash: c.Root[:]}.Marshal()
}

// ParseCheckpoint reads a checkpoint's text: origin, size and root, a line
// each, and nothing else. It accepts exactly what Marshal writes.
func ParseCheckpoint(text []byte) (Checkpoint, error) {
	if len(text) > MaxCheckpointSize {
		return Checkpoint{}, malformed("checkpoint is too large")
	}
	var read log.Checkpoint
	rest, err := read.Unmarshal(text)
	switch {
	case err != nil:
		return Checkpoint{}, malformed("checkpoint is not three lines")
	case len(rest) > 0:
		return Checkpoint{}, malformed("checkpoint has extension lines")
	case len(read.Hash) != sha256.Size:
		return Checkpoint{}, malformed("checkpoint root of another length")
	case read.Size > MaxTreeSize:
		return Checkpoint{}, malformed("checkpoint size is out of range")
	}
	c := Checkpoint{read.Origin, int64(read.Size), Hash(read.Hash)}
	if err := c.check(); err != nil {
		return Checkpoint{}, err
	}
	if !bytes.Equal(c.Marshal(), text) {
		return Checkpoint{}, malformed("checkpoint is not in canonical form")
	}
	return c, nil
}

func (c Checkpoint) check() error {
	if err := checkOrigin(c.Origin); err != nil {
		return err
	}
	if c.Size < 0 || c.Size > MaxTreeSize {
		return malformed("checkpoint size is out of range")
	}
	if c.Size == 0 && c.Root != emptyRoot {
		return malformed("checkpoint of an empty tree with another root")
	}
	return nil
}

// SignCheckpoint returns the signed note, one line for each signer in this
// order. Each signer must be named after the origin.
func SignCheckpoint(cp Checkpoint, signers ...note.Signer) ([]byte, error) {
	if err := cp.check(); err != nil {
		return nil, err
	}
	if len(signers) == 0 {
		return nil, errors.New("no signer for the checkpoint")
	}
	for _, s := range signers {
		if s.Name() != cp.Origin {
			return nil, refuse(ErrOrigin, "signer has another name")
		}
	}
	return note.Sign(&note.Note{Text: string(cp.Marshal())}, signers...)
}

// OpenCheckpoint reads a signed checkpoint. One of the ECDSA keys must have
// signed it, and no line of a known key may be wrong; lines of other keys, the
// witnesses', are let through. Errors: ErrMalformed, ErrOrigin, ErrLogKey,
// ErrSignature.
func OpenCheckpoint(signed []byte, keys LogKeys) (Checkpoint, error) {
	cp, _, err := openCheckpoint(signed, keys)
	return cp, err
}

// openCheckpoint also returns the ids of the ECDSA keys that signed.
func openCheckpoint(signed []byte, keys LogKeys) (Checkpoint, []Hash, error) {
	if keys.opened == nil { // the zero value trusts nobody
		return verifyCheckpoint(signed, keys)
	}
	return keys.opened.get(signed, keys)
}

// opened remembers what the last notes opened as under one set of keys: many
// receipts carry the same checkpoint, and the same bytes under the same keys
// are always worth the same.
type opened struct {
	mu    sync.Mutex
	notes map[string]*openedNote
}

type openedNote struct {
	once sync.Once
	cp   Checkpoint
	by   []Hash
	err  error
}

const maxOpened = 64

func (o *opened) get(signed []byte, keys LogKeys) (Checkpoint, []Hash, error) {
	o.mu.Lock()
	n := o.notes[string(signed)]
	if n == nil {
		if len(o.notes)%maxOpened == 0 {
			o.notes = make(map[string]*openedNote)
		}
		n = new(openedNote)
		o.notes[string(signed)] = n
	}
	o.mu.Unlock()
	n.once.Do(func() { n.cp, n.by, n.err = verifyCheckpoint(signed, keys) })
	return n.cp, n.by, n.err
}

func verifyCheckpoint(signed []byte, keys LogKeys) (Checkpoint, []Hash, error) {
	cp, _, err := parseSigned(signed)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	if cp.Origin != keys.origin {
		return Checkpoint{}, nil, &Error{Reason: ErrOrigin}
	}

	n, err := note.Open(signed, keys.verifiers)
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return Checkpoint{}, nil, &Error{Reason: ErrLogKey}
	case errors.As(err, &invalid):
		return Checkpoint{}, nil, &Error{Reason: ErrSignature}
	case err != nil:
		return Checkpoint{}, nil, malformed("checkpoint is not a signed note")
	}
	var by []Hash
	for _, sig := range n.Sigs {
		if id, primary := keys.primary[sig.Hash]; primary {
			by = append(by, id)
		}
	}
	if len(by) == 0 {
		return Checkpoint{}, nil, refuse(ErrLogKey, "no ECDSA signature")
	}
	return cp, by, nil
}

// parseSigned reads the checkpoint in a signed note without trusting it, and
// checks that the signature lines are canonical: strict base64, none twice.
func parseSigned(signed []byte) (Checkpoint, []line, error) {
	if len(signed) > MaxCheckpointSize {
		return Checkpoint{}, nil, malformed("checkpoint is too large")
	}
	text, rest, found := bytes.Cut(signed, []byte("\n\n"))
	if !found {
		return Checkpoint{}, nil, malformed("checkpoint is not a signed note")
	}
	cp, err := ParseCheckpoint(signed[:len(text)+1])
	if err != nil {
		return Checkpoint{}, nil, err
	}
	lines, err := parseLines(rest)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return cp, lines, nil
}

// line is a signature line of a note.
type line struct {
	// text is all of it, line feed included.
	text string
	// signer is the key's name and id, as signerOf spells them.
	signer    string
	signature []byte
}

// parseLines reads signature lines, one or more, each by another key.
func parseLines(data []byte) (lines []line, err error) {
	if !bytes.HasSuffix(data, []byte("\n")) {
		return nil, malformed("signature lines")
	}
	seen := make(map[string]bool)
	for text := range strings.Lines(string(data)) {
		words := strings.Split(strings.TrimSuffix(text, "\n"), " ")
		if len(words) != 3 || words[0] != "—" || !isKeyName(words[1]) || len(lines) == MaxSignatures {
			return nil, malformed("signature lines")
		}
		sig, err := base64.StdEncoding.DecodeString(words[2])
		// Also the strict decoder passes over carriage returns.
		if err != nil || len(sig) < 5 || base64.StdEncoding.EncodeToString(sig) != words[2] {
			return nil, malformed("signature lines")
		}
		l := line{text, words[1] + " " + string(sig[:4]), sig[4:]}
		if !first(seen, l.signer) {
			return nil, malformed("signed twice by one key")
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// signerOf spells a key as line.signer does.
func signerOf(v note.Verifier) string {
	return v.Name() + " " + string(binary.BigEndian.AppendUint32(nil, v.KeyHash()))
}

// isKeyName accepts the key names of C2SP signed-note: UTF-8 without spaces,
// pluses and control characters.
func isKeyName(name string) bool {
	return name != "" && utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == '+'
	})
}

// checkOrigin accepts a bare lower-case host name (FORMATS §2).
func checkOrigin(origin string) error {
	if len(origin) > 253 {
		return malformed("origin is not a host name")
	}
	for label := range strings.SplitSeq(origin, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return malformed("origin is not a host name")
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return malformed("origin is not a host name")
			}
		}
	}
	return nil
}
