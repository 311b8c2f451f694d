package auth

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
)

const (
	challengeTime = 2 * time.Minute  // to answer a challenge
	clockDrift    = 2 * time.Minute  // between the signer's clock and the vault's
	sessionTime   = 30 * time.Minute // of a session; a new sign-in gives a new one
)

// The two reasons this package gives to the outside: for every sign-in that fails, and for every token that does not count.
const (
	reasonSignIn  = "sign_in"
	reasonSession = "session"
)

// Directory tells what actors are now. Satisfied by *sqldb.DB.
type Directory interface {
	// States returns the present states of the streams that exist, those of accepted events that are still pending included.
	States(ctx context.Context, streams ...evidence.Stream) (map[evidence.Stream]evidence.State, error)
	// Key returns whose key it is, or was: NotFound if it was never enrolled.
	Key(ctx context.Context, keyID evidence.Hash) (evidence.ActorID, []byte, error)
}

// Auth signs people in. It is safe for concurrent use.
type Auth struct {
	origin    string
	records   Records
	directory Directory
	now       func() time.Time
	decoy     string // a key nobody has, as an actor's is kept: what a sign-in of nobody is checked against
}

// New returns the sign-in of one vault.
func New(origin string, records Records, directory Directory, now func() time.Time) (*Auth, error) {
	key, err := custody.GenerateKey()
	if err != nil {
		return nil, err
	}
	return &Auth{origin, records, directory, now, base64.StdEncoding.EncodeToString(key.SPKI())}, nil
}

// Challenge is a nonce to sign: 32 random bytes that count once, until Expires.
type Challenge struct {
	Nonce   evidence.Hash
	Time    time.Time
	Expires time.Time
}

// Challenge makes one. It is for nobody in particular: the actor is named by who signs it.
func (a *Auth) Challenge(ctx context.Context) (Challenge, error) {
	now := a.now()
	c := Challenge{Time: now, Expires: now.Add(challengeTime)}
	rand.Read(c.Nonce[:])
	return c, a.records.PutChallenge(ctx, c.Nonce, c.Expires)
}

// SignIn takes a signed challenge (FORMATS §4) and returns a session with its token, 32 random bytes in base64url. The challenge is used
// up, whatever the outcome. Who has a key and does not know whose it is, as with a card, names no actor. Every refusal is Unauthenticated
// "sign_in"; only the error's cause, for the log, says why.
func (a *Auth) SignIn(ctx context.Context, dsse []byte) (token string, s Session, err error) {
	m, signature, err := custody.OpenSignIn(dsse)
	if err != nil {
		return "", Session{}, refuse(reasonSignIn, err)
	}
	if err := a.takeChallenge(ctx, m); err != nil {
		return "", Session{}, refuse(reasonSignIn, err)
	}
	id := m.Actor
	if id == "" {
		if id, _, err = a.directory.Key(ctx, signature.KeyID); evidence.KindOf(err) == evidence.Internal {
			return "", Session{}, err
		}
	}
	actor, spki, standing := a.standing(ctx, id)
	if evidence.KindOf(standing) == evidence.Internal {
		return "", Session{}, standing
	}
	// Nobody learns by time who exists: whatever stands against it, a key is read and the signature checked before it is refused.
	if standing != nil {
		if spki, err = custody.ParseSPKI(a.decoy); err != nil {
			return "", Session{}, err
		}
	} else if signature.KeyID != custody.KeyID(spki) {
		standing = evidence.Refuse(evidence.Unauthenticated, "signer_key")
	}
	signature.KeyID = custody.KeyID(spki)
	if err := m.Verify(spki, signature); err != nil || standing != nil {
		return "", Session{}, refuse(reasonSignIn, errors.Join(standing, err))
	}
	s = Session{Actor: actor.ID, Role: actor.Role, KeyID: custody.KeyID(spki), Expires: a.now().Add(sessionTime)}
	token = newToken()
	return token, s, a.records.PutSession(ctx, evidence.SHA256([]byte(token)), s)
}

func (a *Auth) takeChallenge(ctx context.Context, m custody.SignIn) error {
	now := a.now()
	nonce, err := evidence.ParseHash(m.Nonce)
	switch drift := m.Time.Std().Sub(now); {
	case err != nil:
		return err
	case m.Vault != a.origin:
		return evidence.Refuse(evidence.Unauthenticated, evidence.ReasonVault)
	case drift.Abs() > clockDrift:
		return evidence.Refuse(evidence.Unauthenticated, evidence.ReasonClock)
	}
	return a.records.TakeChallenge(ctx, nonce, now)
}

// standing returns an actor who may sign in now, with the key in force. Errors other than Internal say why the actor may not.
func (a *Auth) standing(ctx context.Context, id evidence.ActorID) (*evidence.ActorState, []byte, error) {
	stream := evidence.ActorOf(id)
	states, err := a.directory.States(ctx, stream)
	if err != nil {
		return nil, nil, evidence.Fail(evidence.Internal, "directory", err)
	}
	actor, ok := states[stream].(*evidence.ActorState)
	if !ok {
		return nil, nil, evidence.Refuse(evidence.NotFound, "actor")
	}
	if actor.Role == evidence.Vault { // the vault signs events and never asks for anything
		return nil, nil, evidence.Refuse(evidence.Forbidden, evidence.ReasonRole)
	}
	if err := actor.Inactive(evidence.At(a.now())); err != nil {
		return nil, nil, err
	}
	spki, err := custody.ParseSPKI(actor.Key)
	if err != nil {
		return nil, nil, evidence.Fail(evidence.Internal, "directory", err)
	}
	return actor, spki, nil
}

// Session returns the session of a token, if it has not expired, and its actor may still sign in, with the same key. A suspension, a
// revocation or a new key therefore ends every session at once. Every refusal is Unauthenticated "session".
func (a *Auth) Session(ctx context.Context, token string) (Session, error) {
	s, err := a.records.Session(ctx, evidence.SHA256([]byte(token)))
	if err != nil {
		return Session{}, refuse(reasonSession, err)
	}
	if !a.now().Before(s.Expires) {
		return Session{}, evidence.Refuse(evidence.Unauthenticated, reasonSession)
	}
	actor, spki, err := a.standing(ctx, s.Actor)
	if err != nil {
		return Session{}, refuse(reasonSession, err)
	}
	if custody.KeyID(spki) != s.KeyID || actor.Role != s.Role {
		return Session{}, evidence.Refuse(evidence.Unauthenticated, reasonSession)
	}
	return s, nil
}

// SignOut ends the session of a token. Idempotent.
func (a *Auth) SignOut(ctx context.Context, token string) error {
	return a.records.DropSession(ctx, evidence.SHA256([]byte(token)))
}

// newToken has 256 random bits: knowing its SHA-256, which is all that is stored, does not help to guess it.
func newToken() string {
	var raw [32]byte
	rand.Read(raw[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// refuse hides why, except that something broke.
func refuse(reason string, cause error) error {
	if evidence.KindOf(cause) == evidence.Internal {
		return cause
	}
	return &evidence.Error{Kind: evidence.Unauthenticated, Reason: reason, Err: cause}
}
