package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// requestTime bounds a request whose body is JSON: 12 MiB take two minutes at 1 Mbit/s, and the longest wait for the log is shorter.
const requestTime = 4 * time.Minute

// publicTime bounds a request of who is not signed in: 64 KiB take it at 9 kbit/s.
const publicTime = time.Minute

// session is who a request comes from.
type session struct {
	auth.Session
	token string
	asked time.Time // when it was looked up
}

type sessionKey struct{}

// sessionOf returns who is signed in; the zero session for public operations.
func sessionOf(ctx context.Context) session {
	s, _ := ctx.Value(sessionKey{}).(session)
	return s
}

// callerOf is the same for the use cases.
func callerOf(ctx context.Context) vault.Caller {
	s := sessionOf(ctx)
	return vault.Caller{Actor: s.Actor, Role: s.Role, KeyID: s.KeyID}
}

// admit lets a request through to its handler: first the limits of its address, then the session, the role, the limits of the actor, and
// then the contract, so that who is not signed in can make the vault read no more than a header.
func admit(k *contract, a *auth.Auth, limits *limiter) gin.HandlerFunc {
	return func(c *gin.Context) {
		op := k.operation(c)
		ctx := c.Request.Context()
		if !op.streams {
			limit := requestTime
			if auth.Public(op.action) {
				limit = publicTime
			}
			timed, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			ctx = timed
			deadline(c.Writer, limit)
		}
		if err := limits.address(ctx, c.Request, op.action); err != nil {
			refuse(c, err)
			return
		}
		if !auth.Public(op.action) {
			s, err := signedIn(ctx, c.Request, a, limits.now())
			if err == nil && !auth.Allowed(s.Role, op.action) {
				err = evidence.Refuse(evidence.Forbidden, evidence.ReasonRole)
			}
			if err == nil {
				err = limits.actor(ctx, s.Actor, op.action)
			}
			if err != nil {
				refuse(c, err)
				return
			}
			ctx = context.WithValue(ctx, sessionKey{}, s)
		}
		c.Request = c.Request.WithContext(ctx)
		if err := k.check(c, op); err != nil {
			refuse(c, err)
			return
		}
		c.Next()
	}
}

func signedIn(ctx context.Context, r *http.Request, a *auth.Auth, now time.Time) (session, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || len(token) > 64 {
		return session{}, evidence.Refuse(evidence.Unauthenticated, "session")
	}
	s, err := a.Session(ctx, token)
	return session{s, token, now}, err
}

// deadline moves the time at which the connection is given up. A server that knows no deadlines (a test's recorder) does without.
func deadline(w http.ResponseWriter, d time.Duration) {
	conn, end := http.NewResponseController(w), time.Now().Add(d)
	_ = conn.SetReadDeadline(end)
	_ = conn.SetWriteDeadline(end)
}
