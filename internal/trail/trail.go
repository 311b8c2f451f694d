// Package trail carries through the calls that a request causes what its log lines and spans are told apart by, and tells a watcher what is
// asked of records, log and objects.
//
// It owns one value of a context. It may assume that a request's number and its trace's are random and say nothing of anybody. It never looks
// at what passes through a call, so that nothing confidential can be in a span or a number that is made from it, and it knows no library
// for either: package telemetry is the watcher.
package trail

import (
	"context"
	"log/slog"
)

// The parts that a vault stands on.
const (
	Records = "records"
	Log     = "log"
	Objects = "objects"
)

// Watch is told that an operation of a part begins, which is a name out of few. What it returns goes on from there, and is told how it
// ended: nil, also where the answer was a refusal, or the fault. Both may be called by any number of goroutines at once.
type Watch func(ctx context.Context, part, operation string) (context.Context, func(fault error))

// Trail is what a context carries.
type Trail struct {
	Request string // the number of the request that caused the call, or ""
	Trace   string // that of its trace, if it is recorded, or ""
	Span    any    // the watcher's own
	Watch   Watch  // nil watches nothing
}

// Request is what is told of a request: never its address, and never who sent it.
type Request struct {
	ID            string
	Method, Route string // one of HTTP's, and a pattern of the contract; "" for all others
	Parent        string // the W3C traceparent of somebody who may say so, or ""
}

// Answer is what is told of its end.
type Answer struct {
	Status int
	Reason string // a code, "" for none
}

// Observe is told of each request as it begins, and with what it returns of its end. It may be called by any number of goroutines at once.
type Observe func(context.Context, Request) (context.Context, func(Answer))

type key struct{}

// Of returns what ctx carries.
func Of(ctx context.Context) Trail {
	t, _ := ctx.Value(key{}).(Trail)
	return t
}

// With returns ctx with another trail: also to go on with somebody's in a context that ends by itself.
func With(ctx context.Context, t Trail) context.Context { return context.WithValue(ctx, key{}, t) }

// Begin tells the watcher of ctx, if there is one, that an operation begins. The function that it returns is to be called when it has ended.
func Begin(ctx context.Context, part, operation string) (context.Context, func(fault error)) {
	if watch := Of(ctx).Watch; watch != nil {
		return watch(ctx, part, operation)
	}
	return ctx, func(error) {}
}

// Logger returns a logger whose lines say the request and the trace of their context. One that does so already stays as it is.
func Logger(l *slog.Logger) *slog.Logger {
	if _, already := l.Handler().(handler); already {
		return l
	}
	return slog.New(handler{l.Handler()})
}

type handler struct{ slog.Handler }

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	t, r := Of(ctx), r.Clone()
	for _, a := range []slog.Attr{slog.String("request_id", t.Request), slog.String("trace_id", t.Trace)} {
		if a.Value.String() != "" {
			r.AddAttrs(a)
		}
	}
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs)}
}

func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name)} }
