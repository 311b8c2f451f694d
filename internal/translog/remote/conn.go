package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"path"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"strongroom.example/strongroom/internal/translog"
)

// policy lets calls wait for a server that is being replaced, and repeats those that only read where the connection broke meanwhile.
const policy = `{"methodConfig": [
	{"name": [{}], "waitForReady": true},
	{"name": [
		{"service": "trillian.TrillianLog", "method": "GetLatestSignedLogRoot"},
		{"service": "trillian.TrillianLog", "method": "GetInclusionProof"},
		{"service": "trillian.TrillianLog", "method": "GetInclusionProofByHash"},
		{"service": "trillian.TrillianLog", "method": "GetConsistencyProof"},
		{"service": "trillian.TrillianLog", "method": "GetLeavesByRange"}],
	"waitForReady": true,
	"retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.05s", "maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}
]}`

// maxAnswer bounds an answer of the server, in bytes: 256 leaves of the largest size that a statement has.
const maxAnswer = 64 << 20

// dial prepares the connection; the first call makes it.
func dial(cfg Config) (*grpc.ClientConn, error) {
	known := &tls.Config{MinVersion: tls.VersionTLS13}
	if cfg.TLS != nil {
		known = cfg.TLS.Clone()
		known.MinVersion = max(known.MinVersion, tls.VersionTLS12)
	}
	conn, err := grpc.NewClient(cfg.Address,
		grpc.WithTransportCredentials(credentials.NewTLS(known)),
		grpc.WithDefaultServiceConfig(policy), grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)),
		grpc.WithUnaryInterceptor(limit(cmp.Or(cfg.Deadline, 10*time.Second))),
		grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: 5 * time.Second,
			Backoff: backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}}),
		// A stock server drops clients that ask more often than every five minutes whether it is there. What matters is the timeout: it
		// also ends a connection on which what was sent is not acknowledged, which otherwise takes a quarter of an hour.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 6 * time.Minute, Timeout: 20 * time.Second}))
	if err != nil {
		return nil, fmt.Errorf("%w: address: %w", translog.ErrInvalid, err)
	}
	return conn, nil
}

// limit gives each call its deadline, and its error a type of package translog.
func limit(deadline time.Duration) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		limited, cancel := context.WithTimeout(ctx, deadline)
		defer cancel()
		err := call(limited, method, req, reply, conn, opts...)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %s: %w", kind(err), path.Base(method), err)
	}
}

// kind is what an error of the server says. A database that does not answer is told as Unknown, in the driver's words.
func kind(err error) error {
	switch status.Code(err) {
	case codes.NotFound, codes.FailedPrecondition: // not there, not initialised
		return translog.ErrNoTree
	case codes.PermissionDenied:
		return translog.ErrFrozen
	case codes.InvalidArgument:
		return translog.ErrInvalid
	case codes.Canceled: // not by the caller
		return translog.ErrClosed
	}
	return translog.ErrUnavailable
}
