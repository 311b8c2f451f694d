package ceremony

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

const (
	recordVersion = 1
	maxRecord     = 16 << 10
)

// Record is what a ceremony leaves that is no secret: the recipient, which the vault is founded with, and a digest of each share.
type Record struct {
	Version   int             `json:"version"`
	Made      string          `json:"made"` // a date
	Needed    int             `json:"needed"`
	Recipient string          `json:"recipient"`
	Shares    []evidence.Hash `json:"shares"` // digests, in the order of their numbers
}

// Recovery is the recovery key's fingerprint (FORMATS §9), Number as people see it.
func (r Record) Recovery() evidence.Hash { return evidence.Fingerprint(nil, r.Recipient) }
func (r Record) Number() string          { return tlog.SixGroups(tlog.Hash(r.Recovery())) }

// Marshal returns the record's file: one line of JSON.
func (r Record) Marshal() []byte {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // strings and numbers
	}
	return append(text, '\n')
}

// ParseRecord reads exactly what Marshal writes: ErrRecord.
func ParseRecord(text []byte) (Record, error) {
	var r Record
	if len(text) > maxRecord || json.Unmarshal(text, &r) != nil || r.check() != nil || !bytes.Equal(r.Marshal(), text) {
		return Record{}, ErrRecord
	}
	return r, nil
}

var date = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

func (r Record) check() error {
	if r.Version != recordVersion || !date.MatchString(r.Made) || r.Needed < LeastNeeded || len(r.Shares) < r.Needed || len(r.Shares) > MostTrustees ||
		sealing.CheckRecipient(r.Recipient) != nil {
		return ErrRecord
	}
	return nil
}

// File is a share as a text file, which Parse reads. It is as secret as the code in it.
func (r Record) File(s Share) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Strongroom: share %d of %d of a recovery key. Any %d of them give the key.\n", s.Number, s.Of, s.Needed)
	fmt.Fprintf(&b, "# Recovery key %s, made on %s\n# Keep this secret, offline, and away from the other shares.\n", r.Number(), r.Made)
	for _, row := range s.Rows() {
		b.WriteString(row + "\n")
	}
	return []byte(b.String())
}
