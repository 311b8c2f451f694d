package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"strongroom.example/strongroom/internal/trail"
)

// Traces is where traces go.
type Traces struct {
	Endpoint string  // of a collector that takes OTLP over HTTP: https://host:port, or http on this machine
	CAFile   string  // certificates (PEM) that its own must come from; "" is the system's
	Sample   float64 // the part of the requests that is traced, from 0 to 1
}

type tracing struct {
	trace.Tracer
	provider *sdk.TracerProvider
}

// sayAgain is how long nothing more is said of traces that cannot be sent.
const sayAgain = time.Minute

// newTracing makes spans and sends them by itself, a few thousand kept at most: what the collector does not take in time is dropped.
func newTracing(ctx context.Context, to Traces, o Options) (*tracing, error) {
	options := []otlptracehttp.Option{otlptracehttp.WithEndpointURL(strings.TrimSuffix(to.Endpoint, "/") + "/v1/traces"), otlptracehttp.WithTimeout(10 * time.Second)}
	trust := &tls.Config{MinVersion: tls.VersionTLS12}
	if to.CAFile != "" {
		pem, err := os.ReadFile(to.CAFile)
		if err != nil {
			return nil, fmt.Errorf("traces.ca_file: %w", err)
		}
		trust.RootCAs = x509.NewCertPool()
		if !trust.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("traces.ca_file: no certificate in it")
		}
	}
	if strings.HasPrefix(to.Endpoint, "https:") {
		options = append(options, otlptracehttp.WithTLSClientConfig(trust))
	}
	exporter, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	otel.SetErrorHandler(complaint(o.Logger)) // the library has no other way to say it
	provider := sdk.NewTracerProvider(
		sdk.WithBatcher(exporter), sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(to.Sample))),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", o.Program), attribute.String("service.version", o.Version))),
	)
	return &tracing{provider.Tracer(o.Program), provider}, nil
}

// complaint says that traces are not sent, once a minute at most.
func complaint(logger *slog.Logger) otel.ErrorHandler {
	var said atomic.Int64
	return otel.ErrorHandlerFunc(func(err error) {
		now, before := time.Now().UnixNano(), said.Load()
		if (before == 0 || now-before > int64(sayAgain)) && said.CompareAndSwap(before, now) {
			logger.Warn("traces_not_sent", "err", err)
		}
	})
}

// request begins the span of a request; nil without traces.
func (t *tracing) request(route string, r trail.Request) trace.Span {
	if t == nil {
		return nil
	}
	parent := context.Background()
	if r.Parent != "" {
		parent = propagation.TraceContext{}.Extract(parent, propagation.MapCarrier{"traceparent": r.Parent})
	}
	_, span := t.Start(parent, route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", r.Method), attribute.String("http.route", r.Route), attribute.String("strongroom.request_id", r.ID)))
	return span
}
