package auth

import (
	"context"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// Records keep challenges and sessions. Satisfied by *sqldb.DB.
type Records interface {
	// PutChallenge stores a nonce that can be used once before it expires.
	PutChallenge(ctx context.Context, nonce evidence.Hash, expires time.Time) error
	// TakeChallenge removes the nonce: NotFound if it is unknown, used or expired at now. Two racing calls: one wins.
	TakeChallenge(ctx context.Context, nonce evidence.Hash, now time.Time) error
	// PutSession stores a session under the digest of its token.
	PutSession(ctx context.Context, token evidence.Hash, s Session) error
	// Session finds it: NotFound if unknown; expiry is the caller's business.
	Session(ctx context.Context, token evidence.Hash) (Session, error)
	// DropSession ends one session; DropSessions all of an actor.
	DropSession(ctx context.Context, token evidence.Hash) error
	DropSessions(ctx context.Context, actor evidence.ActorID) error
}

// Session says who is signed in, with which key.
type Session struct {
	Actor   evidence.ActorID
	Role    evidence.Role
	KeyID   evidence.Hash
	Expires time.Time
}
