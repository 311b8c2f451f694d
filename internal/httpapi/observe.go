package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/gin-gonic/gin"

	"strongroom.example/strongroom/internal/evidence"
)

// observe gives each request a number, writes its one log line, and turns a panic into an answer. The line holds the route's pattern, not
// the address; a reason, not a text; and for faults of the vault itself the cause, which package errors promise to keep free of values.
func observe(logger *slog.Logger) gin.HandlerFunc {
	return func(c *gin.Context) {
		start, ctx := time.Now(), c.Request.Context()
		var raw [8]byte
		rand.Read(raw[:])
		id := hex.EncodeToString(raw[:])
		c.Header("X-Request-Id", id)
		defer func() {
			fault := recover()
			if fault == http.ErrAbortHandler {
				panic(fault)
			}
			attributes := []slog.Attr{slog.String("request_id", id)}
			if fault != nil {
				attributes = append(attributes, slog.String("panic", describe(fault)), slog.String("stack", string(debug.Stack())))
				refuse(c, evidence.Refuse(evidence.Internal, "panic"))
			}
			route := c.FullPath()
			if route == "" {
				route = "none"
			}
			status := c.Writer.Status()
			attributes = append(attributes, slog.String("route", c.Request.Method+" "+route), slog.Int("status", status),
				slog.Int64("duration_ms", time.Since(start).Milliseconds()))
			if err, ok := c.Value(failure).(error); ok {
				attributes = append(attributes, slog.String("reason", reasonOf(err)))
				if evidence.KindOf(err) == evidence.Internal && status >= http.StatusInternalServerError {
					attributes = append(attributes, slog.String("error", err.Error()))
				}
			}
			level := slog.LevelInfo
			gone := errors.Is(ctx.Err(), context.Canceled) // the client did not wait: no fault of the vault
			if status >= http.StatusInternalServerError && status != http.StatusServiceUnavailable && !gone {
				level = slog.LevelError
			}
			logger.LogAttrs(context.WithoutCancel(ctx), level, "request", attributes...)
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
