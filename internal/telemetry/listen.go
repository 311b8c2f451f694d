package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler answers GET /metrics in the form of Prometheus and, from the vault's own handler, GET /healthz and GET /readyz.
func (t *Telemetry) Handler(vault http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.Handle("GET /healthz", vault)
	mux.Handle("GET /readyz", vault)
	return mux
}

// Serve answers on l, without TLS, until ctx ends.
func (t *Telemetry) Serve(ctx context.Context, l net.Listener, vault http.Handler, logger *slog.Logger) error {
	server := &http.Server{
		Handler: t.Handler(vault), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
