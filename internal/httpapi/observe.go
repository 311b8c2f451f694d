package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"regexp"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/trail"
)

// number is the form of a request's number: hexadecimal, so that nobody's name can be in it.
var number = regexp.MustCompile(`^[0-9A-Fa-f-]{8,64}$`)

// told is what may be told of a request. What it says of its own number and of the trace that it belongs to counts only from a trusted proxy:
// anybody else could give the requests of others its own number, or have each of its own traced.
func told(c *gin.Context, proxies []netip.Prefix) trail.Request {
	r := trail.Request{Route: c.FullPath()}
	if r.Route != "" {
		r.Method = c.Request.Method
	}
	if peer, err := netip.ParseAddrPort(c.Request.RemoteAddr); err == nil && among(plain(peer.Addr()), proxies) {
		if id := c.GetHeader("X-Request-Id"); number.MatchString(id) {
			r.ID = id
		}
		r.Parent = c.GetHeader("Traceparent")
	}
	if r.ID == "" {
		var raw [8]byte
		rand.Read(raw[:])
		r.ID = hex.EncodeToString(raw[:])
	}
	return r
}

// observe gives each request a number, tells who observes of it, writes its one log line, and turns a panic into an answer. The line holds the
// route's pattern, not the address; a reason, not a text; and for faults of the vault itself the cause, which package errors promise to keep
// free of values.
func observe(logger *slog.Logger, observer trail.Observe, proxies []netip.Prefix) gin.HandlerFunc {
	logger = trail.Logger(logger)
	return func(c *gin.Context) {
		start, about := time.Now(), told(c, proxies)
		within := trail.Of(c.Request.Context())
		within.Request = about.ID
		ctx, ended := trail.With(c.Request.Context(), within), func(trail.Answer) {}
		if observer != nil {
			ctx, ended = observer(ctx, about)
		}
		c.Request = c.Request.WithContext(ctx)
		c.Header("X-Request-Id", about.ID)
		defer func() {
			fault := recover()
			if fault == http.ErrAbortHandler {
				ended(trail.Answer{Status: c.Writer.Status(), Reason: "aborted"})
				panic(fault)
			}
			var attributes []slog.Attr
			if fault != nil {
				attributes = append(attributes, slog.String("panic", describe(fault)), slog.String("stack", string(debug.Stack())))
				refuse(c, evidence.Refuse(evidence.Internal, "panic"))
			}
			route := c.FullPath()
			if route == "" {
				route = "none"
			}
			answer := trail.Answer{Status: c.Writer.Status()}
			attributes = append(attributes, slog.String("route", c.Request.Method+" "+route), slog.Int("status", answer.Status),
				slog.Int64("duration_ms", time.Since(start).Milliseconds()))
			if err, ok := c.Value(failure).(error); ok {
				answer.Reason = reasonOf(err)
				attributes = append(attributes, slog.String("reason", answer.Reason))
				if evidence.KindOf(err) == evidence.Internal && answer.Status >= http.StatusInternalServerError {
					attributes = append(attributes, slog.String("error", err.Error()))
				}
			}
			level := slog.LevelInfo
			gone := errors.Is(ctx.Err(), context.Canceled) // the client did not wait: no fault of the vault
			if answer.Status >= http.StatusInternalServerError && answer.Status != http.StatusServiceUnavailable && !gone {
				level = slog.LevelError
			}
			logger.LogAttrs(context.WithoutCancel(ctx), level, "request", attributes...)
			ended(answer)
		}()
		c.Next()
	}
}

// reasonOf is the precise reason, which only the log and the tests see where the answer is the one of outside the wall.
func reasonOf(err error) string {
	if e, ok := err.(*notOurs); ok {
		return e.reason
	}
	return evidence.ReasonOf(err)
}

// describe tells what a panic was without its value, which could be anybody's data, unless the value is the Go runtime's own.
func describe(fault any) string {
	if err, ok := fault.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", fault)
}

// secure sets what every answer says to browsers and caches.
func secure(c *gin.Context) {
	h := c.Writer.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if c.Request.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=63072000")
	}
}

// sameOrigin refuses what a browser sends from another site's page.
func sameOrigin() gin.HandlerFunc {
	protection := http.NewCrossOriginProtection()
	return func(c *gin.Context) {
		if protection.Check(c.Request) != nil {
			refuse(c, &notOurs{status: http.StatusForbidden, reason: reasonCrossOrigin})
		}
	}
}
