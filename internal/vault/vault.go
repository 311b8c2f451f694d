// Package vault is what can be done with the vault: submit a signed event, bring up evidence, open what an access event allows, read
// streams and lists, invite people, sweep what has expired.
//
// It may assume that its Caller was authenticated, and that Records, Objects and Ledger keep what they say they keep. It decides on
// nothing that package evidence decides: it gathers the facts, asks, and makes the answer durable. It alone compares what was stored
// with what an event names. It never sees a key that opens anything: what passes through here is ciphertext and codes.
//
// Outside the wall everything looks alike: what does not exist and what the caller may not see are one and the same NotFound.
package vault

import (
	"context"
	"encoding/base64"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
)

// Config is what a vault works with.
type Config struct {
	Origin   string
	Founders []evidence.Founder // those of the trust file
	Records  Records
	Objects  objects.Store
	Ledger   *ledger.Ledger
	Author   ledger.Author // the vault as an actor
	Now      func() time.Time
	Logger   *slog.Logger
	Limits   Limits
	Process  string // tells this process from others over the same records, and is the same after a restart in the same place
}

// Limits bound what one person can use up.
type Limits struct {
	Uploads     int           // open uploads of one actor
	UploadBytes int64         // the sum of their sizes
	UploadLife  time.Duration // how long an upload may take
	Invitation  time.Duration // how long an invitation can be answered
	Answer      time.Duration // how long a submission waits for the log before it is answered "pending"
	Final       time.Duration // how long who asks for a final proof waits for it
	Reading     time.Duration // how long a submission waits for its upload to be read, before it is answered "not yet"
}

// DefaultLimits fit a clinic on a bad line: an upload of 2 GB at 1 Mbit/s takes four and a half hours. What a submission waits for is over
// together before a proxy gives up.
var DefaultLimits = Limits{
	Uploads: 64, UploadBytes: 4 << 40, UploadLife: 7 * 24 * time.Hour, Invitation: 7 * 24 * time.Hour, Answer: 10 * time.Second,
	Final: time.Minute, Reading: 20 * time.Second,
}

// A release lasts a quarter of an hour and can be renewed on the same access event for a day (ARCHITECTURE §4).
const (
	releaseTime  = 15 * time.Minute
	releaseLimit = 24 * time.Hour
)

// Vault does the use cases. It is safe for concurrent use.
type Vault struct {
	cfg  Config
	keys custody.Keys // of those who submitted

	sweeping   sync.Mutex               // held by a sweep, guards what follows: what this process knows of sweeping. Another one finds it out anew
	heard      int64                    // the order of the last event that was looked at
	unfinished map[evidence.Stream]bool // in which an event left something to do
	passed     Moment                   // up to here the moments were looked at
	late       map[evidence.Stream]bool // in which something is left to do since
	locks      locks                    // of files in the object store

	works works

	swept atomic.Int64 // when the last sweep ended that failed at nothing, in microseconds since 1970; 0: never
}

// New returns a vault over its parts.
func New(cfg Config) *Vault {
	return &Vault{cfg: cfg, unfinished: make(map[evidence.Stream]bool), late: make(map[evidence.Stream]bool), locks: locks{due: make(map[evidence.ItemID]bool)},
		works: works{of: make(map[workOn]*work)}}
}

// Caller is who is signed in. The zero Caller is nobody.
type Caller struct {
	Actor evidence.ActorID
	Role  evidence.Role
	KeyID evidence.Hash
}

// errHidden is the one answer to whoever may not know whether something exists.
var errHidden = evidence.Refuse(evidence.NotFound, "not_found")

// Info is what anybody may know.
type Info struct {
	Origin     string
	Time       evidence.Time
	Checkpoint []byte // the newest signed note that is known here, nil before the first event
}

func (v *Vault) Info() Info {
	return Info{v.cfg.Origin, v.now(), v.cfg.Ledger.Checkpoint()}
}

// Newest is the newest signed note, nil before the first event, whichever replica signed it.
func (v *Vault) Newest(ctx context.Context) ([]byte, error) { return v.cfg.Ledger.Newest(ctx) }

// Consistency and Inclusion are the log reads with which a client detects a fork. They reveal hashes only.
func (v *Vault) Consistency(ctx context.Context, from, to int64) ([][]byte, error) {
	return v.cfg.Ledger.Consistency(ctx, from, to)
}

func (v *Vault) Inclusion(ctx context.Context, leafHash evidence.Hash, size int64) (int64, [][]byte, error) {
	return v.cfg.Ledger.Inclusion(ctx, leafHash, size)
}

// Witnessed says how far the newest checkpoint that is final is behind, and why.
func (v *Vault) Witnessed() ledger.Status { return v.cfg.Ledger.Witnessed() }

// FinalCheckpoint, PublishedCheckpoint and Cosign are for whoever follows the log from outside.
func (v *Vault) FinalCheckpoint(ctx context.Context) ([]byte, error) {
	return v.cfg.Ledger.FinalCheckpoint(ctx)
}

func (v *Vault) PublishedCheckpoint(ctx context.Context, size int64) (ledger.Published, error) {
	return v.cfg.Ledger.PublishedCheckpoint(ctx, size)
}

func (v *Vault) Cosign(ctx context.Context, size int64, lines []byte) error {
	return v.cfg.Ledger.Cosign(ctx, size, lines)
}

func (v *Vault) now() evidence.Time { return evidence.At(v.cfg.Now()) }

func (v *Vault) facts(states map[evidence.Stream]evidence.State) evidence.Facts {
	return evidence.Facts{Origin: v.cfg.Origin, Founders: v.cfg.Founders, States: states}
}

// state reads one stream's present state; a missing one is errHidden.
func state[T evidence.State](ctx context.Context, v *Vault, s evidence.Stream) (T, error) {
	var none T
	states, err := v.cfg.Records.States(ctx, s)
	if err != nil {
		return none, err
	}
	t, ok := states[s].(T)
	if !ok {
		return none, errHidden
	}
	return t, nil
}

// fingerprint returns that of the keys the caller acts with now.
func (v *Vault) fingerprint(ctx context.Context, by Caller) (evidence.Hash, error) {
	actor, err := state[*evidence.ActorState](ctx, v, evidence.ActorOf(by.Actor))
	if err != nil {
		return evidence.Hash{}, err
	}
	return actor.Fingerprint(), nil
}

// checkSigner demands that the statement was signed with the key in force for its actor in these states or, for a founder's enrolment
// of itself, with the key that it brings.
func checkSigner(signed *custody.Signed, states map[evidence.Stream]evidence.State) error {
	e := signed.Event()
	want := ""
	if d, ok := e.Details.(*evidence.ActorEnrolledDetails); ok && e.Stream.Seq == 0 && e.Stream.ID == string(e.Actor.ID) {
		want = d.Key
	} else if actor, ok := states[evidence.ActorOf(e.Actor.ID)].(*evidence.ActorState); ok {
		want = actor.Key
	}
	if want != base64.StdEncoding.EncodeToString(signed.SPKI()) {
		return evidence.Refuse(evidence.Forbidden, "signer_key")
	}
	return nil
}
