package evidence

// Event is one custody event: the in-toto statement without its wrapping (FORMATS §3). Package custody reads and writes its bytes.
type Event struct {
	Subject []Subject `json:"-"` // stands beside the predicate in the statement

	Vault        string        `json:"vault"` // the origin
	Kind         Kind          `json:"kind"`
	Stream       Position      `json:"stream"`
	Actor        Signer        `json:"actor"`
	Time         Time          `json:"time"` // the moment of signing
	Tool         Tool          `json:"tool"`
	Case         CaseID        `json:"case,omitempty"`
	Purpose      Purpose       `json:"purpose,omitempty"`
	Authority    *Authority    `json:"authority,omitempty"`
	Place        string        `json:"place,omitempty"` // ISO 3166-1 alpha-2 or "withheld"
	Consent      []ConsentRef  `json:"consent,omitempty"`
	Object       *Object       `json:"object,omitempty"`
	Digests      *Digests      `json:"digests,omitempty"`
	Result       *Result       `json:"result,omitempty"`
	Counterparty *Counterparty `json:"counterparty,omitempty"`
	Change       Cause         `json:"change,omitempty"`
	ReliedOn     []Head        `json:"relied_on"` // sorted by type, id
	Notes        []Note        `json:"notes"`     // sorted by name
	Details      Details       `json:"details"`
}

// Subject is an in-toto subject.
type Subject struct {
	Name   string `json:"name"`
	Digest struct {
		SHA256 Hash `json:"sha256"`
	} `json:"digest"`
}

// Named makes a Subject.
func Named(name string, digest Hash) Subject {
	s := Subject{Name: name}
	s.Digest.SHA256 = digest
	return s
}

// Signer is who signed, in the one role that actor has.
type Signer struct {
	ID           ActorID `json:"id"`
	Role         Role    `json:"role"`
	Organization OrgID   `json:"organization,omitempty"` // absent for the vault
	OnBehalfOf   ActorID `json:"on_behalf_of,omitempty"`
}

// Tool is the program that made the statement; Build is the digest of its binary or "".
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Build   string `json:"build"`
}

// Authority is the stated ground of an act; the order's number and law stand in a note.
type Authority struct {
	Basis Basis   `json:"basis"`
	Hold  HoldID  `json:"hold,omitempty"`
	Grant GrantID `json:"grant,omitempty"`
}

// ConsentRef names one version of one consent.
type ConsentRef struct {
	ID      ConsentID `json:"id"`
	Version int64     `json:"version"` // from 1
}

// Object says in plain what the act is about.
type Object struct {
	Class   Class   `json:"class"`
	Content Content `json:"content"`
	Form    string  `json:"form,omitempty"`    // schema of the sealed form, e.g. "clinical-record/1"
	Exhibit int64   `json:"exhibit,omitempty"` // number in the case, from 1, once sealed
}

// Digests are of ciphertext files.
type Digests struct {
	Before Hash  `json:"before"`
	After  Hash  `json:"after"`
	Size   int64 `json:"size"` // bytes
}

// Result is how the act ended; Code is a short lower-case code.
type Result struct {
	Outcome Outcome `json:"outcome"`
	Code    string  `json:"code,omitempty"`
}

// Counterparty is the other side of an act.
type Counterparty struct {
	Actor       ActorID `json:"actor,omitempty"`
	Fingerprint Hash    `json:"fingerprint,omitzero"`
	Class       Role    `json:"class,omitempty"`
	Receipt     Hash    `json:"receipt,omitzero"` // leaf hash of the event that received or handed over
}

// Note is a sealed text that travels beside the statement (FORMATS §3): a padded age file with this digest and size.
type Note struct {
	Name     string   `json:"name"`
	Audience Audience `json:"audience"`
	SHA256   Hash     `json:"sha256"`
	Size     int64    `json:"size"` // bytes, a multiple of 512, at most MaxNote
}

// Sizes of what travels with events, in bytes (FORMATS §1).
const (
	MaxStatement   = 64 << 10
	MaxEnvelope    = 16 << 10
	MaxLabel       = 8 << 10
	MaxNote        = 64 << 10
	MaxDescription = 1<<20 + 4096 // an age file around at most 1 MiB of description
	MaxEvidence    = 1 << 43      // 8 TiB: more than any store accepts
	maxList        = 1000         // members, keyholders, envelopes, relied_on, void leaves
)

// File is a stored age file that an event names.
type File struct {
	SHA256 Hash  `json:"sha256"`
	Size   int64 `json:"size"` // bytes
}

// Evidence is the ciphertext file of an item; Tree is the RFC 6962 root over its 8,388,608-byte blocks (FORMATS §8).
type Evidence struct {
	SHA256 Hash  `json:"sha256"`
	Size   int64 `json:"size"`
	Tree   Hash  `json:"tree"`
}

// EnvelopeRef names an envelope by the fingerprint of its recipient and the digest of its bytes.
type EnvelopeRef struct {
	Recipient Hash `json:"recipient"`
	SHA256    Hash `json:"sha256"`
}
