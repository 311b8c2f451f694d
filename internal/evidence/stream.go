package evidence

import (
	"cmp"
	"crypto/sha256"
	"strings"
)

// StreamType says what a chain of events is about (FORMATS §3).
type StreamType string

const (
	ActorStream   StreamType = "actor"
	CaseStream    StreamType = "case"
	ConsentStream StreamType = "consent"
	ItemStream    StreamType = "item"
	PolicyStream  StreamType = "policy" // its id is the origin
	VaultStream   StreamType = "vault"  // its id is the origin; holds vault.heads only
)

// Stream is the chain an event belongs to.
type Stream struct {
	Type StreamType `json:"type"`
	ID   string     `json:"id"`
}

// Tag is the stream's name in the heads map: whoever knows the id can compute it, nobody else (FORMATS §3).
func (s Stream) Tag(origin string) Hash {
	return sha256.Sum256([]byte("strongroom/stream/v1\x00" + origin + "\x00" + string(s.Type) + "\x00" + s.ID))
}

// Compare orders streams by type, then id.
func (s Stream) Compare(t Stream) int {
	return cmp.Or(cmp.Compare(s.Type, t.Type), cmp.Compare(s.ID, t.ID))
}

func (s Stream) valid(origin string) bool {
	switch s.Type {
	case ActorStream:
		return ValidID(ActorID(s.ID))
	case CaseStream:
		return ValidID(CaseID(s.ID))
	case ConsentStream:
		return ValidID(ConsentID(s.ID))
	case ItemStream:
		return ValidID(ItemID(s.ID))
	case PolicyStream, VaultStream:
		return s.ID == origin
	}
	return false
}

// ParseStream checks a type and an id that came from outside.
func ParseStream(origin, typ, id string) (Stream, error) {
	s := Stream{StreamType(typ), id}
	if !s.valid(origin) {
		return Stream{}, Refuse(Invalid, "stream")
	}
	return s, nil
}

func ActorOf(id ActorID) Stream     { return Stream{ActorStream, string(id)} }
func CaseOf(id CaseID) Stream       { return Stream{CaseStream, string(id)} }
func ConsentOf(id ConsentID) Stream { return Stream{ConsentStream, string(id)} }
func ItemOf(id ItemID) Stream       { return Stream{ItemStream, string(id)} }
func PolicyOf(origin string) Stream { return Stream{PolicyStream, origin} }
func VaultOf(origin string) Stream  { return Stream{VaultStream, origin} }

// Position is an event's place in its stream: Seq counts from 0 without gaps, Prev is the Merkle leaf hash of the event before,
// zero only at seq 0.
type Position struct {
	Type StreamType `json:"type"`
	ID   string     `json:"id"`
	Seq  int64      `json:"seq"`
	Prev Hash       `json:"prev"`
}

func (p Position) Stream() Stream { return Stream{p.Type, p.ID} }

// Head names the last event of a stream that an act stands on.
type Head struct {
	Type StreamType `json:"type"`
	ID   string     `json:"id"`
	Seq  int64      `json:"seq"`
	Head Hash       `json:"head"`
}

func (h Head) Stream() Stream { return Stream{h.Type, h.ID} }

// ValidOrigin reports whether s is a bare lower-case host name of at least two labels (FORMATS §2).
func ValidOrigin(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return false
			}
		}
	}
	return len(s) <= 253 && strings.Contains(s, ".")
}
