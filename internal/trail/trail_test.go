package trail_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/trail"
)

func TestBegin(t *testing.T) {
	if _, end := trail.Begin(t.Context(), trail.Log, "append"); end == nil {
		t.Fatal("without a watcher there is nothing to call")
	} else {
		end(errors.New("nobody is told"))
	}
	var told []string
	watch := func(ctx context.Context, part, operation string) (context.Context, func(error)) {
		told = append(told, part+" "+operation+" in "+trail.Of(ctx).Request)
		within := trail.Of(ctx)
		within.Span = operation
		return trail.With(ctx, within), func(fault error) { told = append(told, "ended "+fault.Error()) }
	}
	ctx := trail.With(t.Context(), trail.Trail{Request: "7", Watch: watch})
	inner, end := trail.Begin(ctx, trail.Records, "commit")
	if trail.Of(inner).Span != "commit" || trail.Of(inner).Request != "7" || trail.Of(ctx).Span != nil {
		t.Errorf("%+v", trail.Of(inner))
	}
	end(errors.New("full"))
	if got := strings.Join(told, ", "); got != "records commit in 7, ended full" {
		t.Error(got)
	}
}

// TestLogger: a line says its request once, however often the logger was prepared, and nothing where there is none.
func TestLogger(t *testing.T) {
	var said bytes.Buffer
	plain := slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	logger := trail.Logger(trail.Logger(plain)).With("a", 1)
	ctx := trail.With(t.Context(), trail.Trail{Request: "77", Trace: "88"})
	logger.InfoContext(ctx, "x", "b", 2)
	logger.Info("y")
	if got, want := said.String(), "level=INFO msg=x a=1 b=2 request_id=77 trace_id=88\nlevel=INFO msg=y a=1\n"; got != want {
		t.Errorf("%q", got)
	}
}
