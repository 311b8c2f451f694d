// Package telemetry tells operators how a vault is doing: numbers for Prometheus, traces for OpenTelemetry, and a listener of its own on which
// monitoring reads them.
//
// It owns the registry of metrics and the provider of traces, neither of them global. It may assume that the names it is told are out of few:
// routes, operations, and whom the trust file names as witnesses and authorities. It never puts into a label or an attribute what a request or
// a record says: no person, no case, no item, no address. What it is told of is named in package trail; nothing below it knows Prometheus or
// OpenTelemetry.
package telemetry

import (
	"context"
	"log/slog"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"strongroom.example/strongroom/internal/trail"
)

// Options are what is told, and to whom.
type Options struct {
	Program, Version string
	Traces           *Traces // nil: none are made
	Logger           *slog.Logger
}

// Telemetry counts, and makes traces if it is to.
type Telemetry struct {
	registry *prometheus.Registry
	tracing  *tracing // nil: no traces

	requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	inFlight prometheus.Gauge
	asked    *prometheus.HistogramVec
	faults   *prometheus.CounterVec
}

// New returns one that has counted nothing.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	t := &Telemetry{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strongroom_http_requests_total", Help: "Requests that were answered, by the contract's route and the status.",
		}, []string{"route", "status"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "strongroom_http_request_duration_seconds", Help: "How long requests took, bodies included, by route.",
			Buckets: []float64{0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 60, 600},
		}, []string{"route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "strongroom_http_requests_in_flight", Help: "Requests that are being answered.",
		}),
		asked: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "strongroom_part_operation_duration_seconds", Help: "How long records, log and objects took, by operation.",
			Buckets: []float64{0.001, 0.01, 0.1, 1, 10},
		}, []string{"part", "operation"}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "strongroom_part_faults_total", Help: "Operations of records, log and objects that failed; a refusal is no failure.",
		}, []string{"part", "operation"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "strongroom_build_info", Help: "1, with the version of the program and of Go.",
		ConstLabels: prometheus.Labels{"program": o.Program, "version": o.Version, "go": runtime.Version()},
	})
	build.Set(1)
	t.registry.MustRegister(t.requests, t.took, t.inFlight, t.asked, t.faults, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, part := range []string{trail.Records, trail.Log, trail.Objects} { // a first fault is seen as a change from none
		t.faults.WithLabelValues(part, "none")
	}
	if o.Traces != nil {
		var err error
		if t.tracing, err = newTracing(ctx, *o.Traces, o); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// Close sends the spans that are left, for as long as ctx allows.
func (t *Telemetry) Close(ctx context.Context) error {
	if t.tracing == nil {
		return nil
	}
	return t.tracing.provider.Shutdown(ctx)
}

// Watched returns ctx with a watcher of what is asked of records, log and objects in it.
func (t *Telemetry) Watched(ctx context.Context) context.Context {
	within := trail.Of(ctx)
	within.Watch = t.watch
	return trail.With(ctx, within)
}

// watch is a trail.Watch. It makes a span only within the trace of a request: what the vault does of itself would be a trace every second.
func (t *Telemetry) watch(ctx context.Context, part, operation string) (context.Context, func(error)) {
	began, within := time.Now(), trail.Of(ctx)
	var span trace.Span
	if parent, ok := within.Span.(trace.Span); ok && t.tracing != nil && parent.SpanContext().IsSampled() {
		_, span = t.tracing.Start(trace.ContextWithSpan(context.Background(), parent), part+" "+operation,
			trace.WithAttributes(attribute.String("strongroom.part", part)))
		within.Span = span
		ctx = trail.With(ctx, within)
	}
	return ctx, func(fault error) {
		t.asked.WithLabelValues(part, operation).Observe(time.Since(began).Seconds())
		if fault != nil {
			t.faults.WithLabelValues(part, operation).Inc()
		}
		if span != nil {
			if fault != nil {
				span.SetStatus(codes.Error, "") // what failed is in the log
			}
			span.End()
		}
	}
}

// Observe is a trail.Observe.
func (t *Telemetry) Observe(ctx context.Context, r trail.Request) (context.Context, func(trail.Answer)) {
	began, route, within := time.Now(), "none", trail.Of(ctx)
	if r.Route != "" {
		route = r.Method + " " + r.Route
	}
	within.Request, within.Watch = r.ID, t.watch
	span := t.tracing.request(route, r)
	if span != nil {
		within.Span = span
		if span.SpanContext().IsSampled() {
			within.Trace = span.SpanContext().TraceID().String()
		}
	}
	t.inFlight.Inc()
	return trail.With(ctx, within), func(a trail.Answer) {
		t.inFlight.Dec()
		t.requests.WithLabelValues(route, strconv.Itoa(a.Status)).Inc()
		t.took.WithLabelValues(route).Observe(time.Since(began).Seconds())
		if span == nil {
			return
		}
		span.SetAttributes(attribute.Int("http.response.status_code", a.Status))
		if a.Reason != "" {
			span.SetAttributes(attribute.String("error.type", a.Reason))
		}
		if a.Status >= 500 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
