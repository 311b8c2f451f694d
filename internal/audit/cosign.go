package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// typeCosignature is the type of an Ed25519 key that makes cosignatures (C2SP tlog-cosignature).
const typeCosignature = 0x04

// Cosigner makes an auditor's cosignatures with an Ed25519 key (FORMATS §5).
type Cosigner struct {
	vkey     string
	verifier note.Verifier
	sign     tlog.SignFunc
}

// NewCosigner returns the cosigner of that name: at most 128 characters of ASCII without spaces and pluses, such as a host name.
func NewCosigner(name string, key ed25519.PublicKey, sign tlog.SignFunc) (*Cosigner, error) {
	if name == "" || len(name) > 128 || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII || r == '+' || r == 0x7f }) {
		return nil, errors.New("audit: not a name for a key")
	}
	typed := append([]byte{typeCosignature}, key...)
	id := evidence.SHA256(append([]byte(name+"\n"), typed...))
	vkey := fmt.Sprintf("%s+%x+%s", name, id[:4], base64.StdEncoding.EncodeToString(typed))
	verifier, err := cosignature.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		return nil, err
	}
	return &Cosigner{vkey, verifier, sign}, nil
}

// VerifierKey is the public key as a witness policy names it (C2SP signed-note).
func (c *Cosigner) VerifierKey() string { return c.vkey }

// Signed reports whether a note has its cosignature.
func (c *Cosigner) Signed(signed []byte) bool {
	_, err := note.Open(signed, note.VerifierList(c.verifier))
	return err == nil
}

// cosign returns the signature line over a checkpoint's text, verified.
func (c *Cosigner) cosign(cp tlog.Checkpoint, now time.Time) ([]byte, error) {
	at, text := now.Unix(), cp.Marshal()
	signature, err := c.sign(fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at, text))
	if err != nil {
		return nil, err
	}
	stamped := append(binary.BigEndian.AppendUint64(nil, uint64(at)), signature...) //#nosec G115 -- after 1970
	if at <= 0 || !c.verifier.Verify(text, stamped) {
		return nil, errors.New("audit: the signature does not verify under its public key")
	}
	line := base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, c.verifier.KeyHash()), stamped...))
	return fmt.Appendf(nil, "— %s %s\n", c.verifier.Name(), line), nil
}

var (
	// ErrAlarms means that evidence of an alarm stands in the state: who was shown two histories vouches for neither.
	ErrAlarms = errors.New("audit: an alarm stands")
	// ErrVoid means that entries stand in no list of last steps: packages that rest on one say so, and no auditor says that it is whole.
	ErrVoid = errors.New("audit: entries are void")
	// ErrBehind means that the checkpoint is larger than what was verified, smaller than what was cosigned before, not the one right after
	// a publication that was verified, or that statements which it covers were not read.
	ErrBehind = errors.New("audit: not a checkpoint to be cosigned")
)

// Cosign returns the cosignature line for a signed checkpoint whose log, map and statements were verified by the steps so far. It is one of
// State.Cosignable: the publication that it ends with was shown here, so a package that rests on one that was not has no auditor's word. It
// never cosigns one that does not extend what it cosigned before: that it does is durable before the signature exists. Errors: ErrAlarms,
// ErrVoid, ErrBehind, an Alarm.
func (f *Follower) Cosign(signed []byte, c *Cosigner, now time.Time) ([]byte, tlog.Checkpoint, error) {
	s := f.State
	cp, err := tlog.OpenCheckpoint(signed, s.keys)
	if err != nil {
		return nil, cp, f.alarm(UnsignedHead, signed, -1, err)
	}
	alarms, err := s.Alarms()
	if err != nil {
		return nil, cp, err
	}
	switch {
	case len(alarms) > 0:
		return nil, cp, ErrAlarms
	case len(s.Void()) > 0: // whoever signs says that the list of last steps is whole
		return nil, cp, ErrVoid
	case f.HashesOnly, f.spoiled, cp.Size > s.cp.Size, s.kept.Cosigned != nil && cp.Size < s.kept.Cosigned.Size:
		return nil, cp, ErrBehind
	}
	root, err := s.RootAt(cp.Size)
	if err != nil {
		return nil, cp, err
	}
	if root != cp.Root {
		a := f.alarm(Forked, signed, -1, nil)
		if cp.Size == s.cp.Size {
			a.Reason = TwoRoots
		} else if split, err := s.Split(cp.Size, s.cp.Size); err == nil && cp.Size > 0 {
			a.Split = &split
		}
		return nil, cp, a
	}
	if !slices.Contains(s.Cosignable(), cp.Size) {
		return nil, cp, ErrBehind
	}
	before := s.kept.Cosigned
	s.kept.Cosigned = &head{cp.Size, evidence.Hash(cp.Root)}
	if err := s.commit(); err != nil {
		s.kept.Cosigned = before
		return nil, cp, err
	}
	line, err := c.cosign(cp, now)
	return line, cp, err
}

// Alarms lists the folders of evidence in the state.
func (s *State) Alarms() ([]string, error) {
	entries, err := os.ReadDir(s.path(alarmsDir))
	if absent(err) {
		return nil, nil
	}
	var list []string
	for _, e := range entries {
		if e.IsDir() && !strings.HasSuffix(e.Name(), unfinished) {
			list = append(list, s.path(alarmsDir+"/"+e.Name()))
		}
	}
	return list, err
}
