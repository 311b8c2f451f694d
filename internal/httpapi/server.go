package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/trail"
	"strongroom.example/strongroom/internal/vault"
	"strongroom.example/strongroom/internal/wire"
)

// Config is what the edge stands on.
type Config struct {
	Vault *vault.Vault
	Auth  *auth.Auth
	// TrustFingerprint names the trust file that people compare over a second channel (FORMATS §10).
	TrustFingerprint evidence.Hash
	// TrustFile returns the trust file with this number, the present one or an earlier one: NotFound if there is none. A number is its
	// SHA-256 in hex, or the thirty digits by which that is shown.
	TrustFile func(ctx context.Context, number string) (string, error)
	// Organizations returns what the operator calls organizations, as it is now.
	Organizations func() (map[evidence.OrgID]string, error)
	// Revocations returns the revocation lists of the time-stamp authorities, by their names; nil is none.
	Revocations func() (map[string][]byte, error)
	// Ready says how what the vault stands on answers, and whether the process is draining. Its status is left out.
	Ready func(context.Context) wire.Health
	// Pages answers what is not in the contract and not under its address, /v1; nil: nothing is there.
	Pages  http.Handler
	Logger *slog.Logger
	// Observe is told of each request; nil: nobody is.
	Observe trail.Observe
	Now     func() time.Time // of limits and watches; nil is time.Now
	// Shared counts requests for all processes that serve the vault; nil: this is the only one.
	Shared Shared
	// TrustedProxies are believed about the address that a request comes from (X-Forwarded-For), its number and its trace. Without any, nobody is.
	TrustedProxies []netip.Prefix
}

// New returns the handler of everything in the contract. TLS, the time to read a header, and whatever else is served on the same address
// are the server's business.
func New(cfg Config) (http.Handler, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	k, err := loadContract()
	if err != nil {
		return nil, err
	}
	watches := watches{cfg.Auth, cfg.Now}
	uploads, err := newUploads(cfg.Vault, watches)
	if err != nil {
		return nil, err
	}
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.ContextWithFallback = true // cancellation and the session reach the handlers
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	if err := engine.SetTrustedProxies(nil); err != nil {
		return nil, err
	}
	engine.Use(observe(cfg.Logger, cfg.Observe, cfg.TrustedProxies), secure, sameOrigin())
	engine.NoRoute(func(c *gin.Context) {
		if cfg.Pages != nil && c.Request.URL.Path != "/v1" && !strings.HasPrefix(c.Request.URL.Path, "/v1/") {
			cfg.Pages.ServeHTTP(c.Writer, c.Request)
			c.Writer.WriteHeaderNow() // or gin would answer where there is no body
			return
		}
		refuse(c, evidence.Refuse(evidence.NotFound, "route"))
	})
	engine.NoMethod(func(c *gin.Context) { refuse(c, &notOurs{status: http.StatusMethodNotAllowed, reason: reasonMethod}) })

	routes := engine.Group("", admit(k, cfg.Auth, newLimiter(&cfg)))
	handlers := api{
		probes{cfg.Vault, cfg.Ready}, logReads{cfg.Vault, cfg.TrustFingerprint, cfg.TrustFile, cfg.Revocations}, sessions{cfg.Auth}, invitations{cfg.Vault},
		events{cfg.Vault}, content{cfg.Vault, watches}, lists{cfg.Vault, cfg.Organizations},
	}
	malformed := func(c *gin.Context, _ error) { refuse(c, departs()) }
	strict := NewStrictHandlerWithOptions(handlers, []StrictMiddlewareFunc{detached}, StrictGinServerOptions{
		RequestErrorHandlerFunc: malformed, HandlerErrorFunc: refuse, ResponseErrorHandlerFunc: refuse,
	})
	RegisterHandlersWithOptions(routes, strict, GinServerOptions{
		ErrorHandler: func(c *gin.Context, err error, _ int) { malformed(c, err) },
	})
	uploads.register(routes)
	return engine, nil
}

// detached gives a handler a context of its own. gin uses its contexts again for the next request, while what a handler began, a database
// driver's watch on cancellation for one, may still look at the one it was given.
func detached(handle StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(c *gin.Context, request any) (any, error) { return handle(c.Copy(), request) }
}

// api is the contract's operations, each group with the use case it needs; uploads are apart.
type api struct {
	probes
	logReads
	sessions
	invitations
	events
	content
	lists
}

var _ StrictServerInterface = api{}
