package embedded

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/trillian"
	"github.com/google/trillian/monitoring"
	"github.com/google/trillian/quota"
	"github.com/google/trillian/server"
	"github.com/google/trillian/server/interceptor"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"strongroom.example/strongroom/internal/translog"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

// serve offers a log's storage as trillian_log_server would, interceptors
// included, and connects to it.
func serve(t *testing.T, l *Log) trillian.TrillianLogClient {
	t.Helper()
	registry := newRegistry(l.storage.store, l.clock)
	intercept := interceptor.New(registry.AdminStorage, quota.Noop(), false, monitoring.InertMetricFactory{})
	s := grpc.NewServer(grpc.ChainUnaryInterceptor(interceptor.ErrorWrapper, intercept.UnaryInterceptor))
	trillian.RegisterTrillianLogServer(s, server.NewTrillianLogRPCServer(registry, l.clock))
	pipe := bufconn.Listen(1 << 20)
	go s.Serve(pipe)
	t.Cleanup(s.Stop)
	conn, err := grpc.NewClient("passthrough:///log",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return trillian.NewTrillianLogClient(conn)
}

// TestReaderOverGRPC has the same Reader ask the same log in this process and
// through gRPC: the answers must be equal, errors included.
func TestReaderOverGRPC(t *testing.T) {
	l, err := Create(t.Context(), filepath.Join(t.TempDir(), "log.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if _, err := l.Append(t.Context(), sampleLeaves(270)); err != nil {
		t.Fatal(err)
	}
	log := serve(t, l)
	remote := translog.NewReader(log, l.tree.TreeId)
	for name, ask := range map[string]func(r *translog.Reader) (any, error){
		"root":               func(r *translog.Reader) (any, error) { return r.Root(t.Context()) },
		"inclusion":          func(r *translog.Reader) (any, error) { return r.Inclusion(t.Context(), 100, 269) },
		"inclusion of one":   func(r *translog.Reader) (any, error) { return r.Inclusion(t.Context(), 0, 1) },
		"consistency":        func(r *translog.Reader) (any, error) { return r.Consistency(t.Context(), 5, 260) },
		"consistency, equal": func(r *translog.Reader) (any, error) { return r.Consistency(t.Context(), 5, 5) },
		"leaves":             func(r *translog.Reader) (any, error) { return r.Leaves(t.Context(), 3, 300) },
	} {
		near, err1 := ask(l.Reader)
		far, err2 := ask(remote)
		if err1 != nil || err2 != nil || !reflect.DeepEqual(near, far) {
			t.Errorf("%s: %v, %v here; %v, %v there", name, near, err1, far, err2)
		}
	}
	if _, err := remote.Inclusion(t.Context(), 0, 271); !errors.Is(err, translog.ErrBeyondRoot) {
		t.Errorf("inclusion beyond the root: %v", err)
	}
	if _, err := remote.Consistency(t.Context(), 1, 271); !errors.Is(err, translog.ErrBeyondRoot) {
		t.Errorf("consistency beyond the root: %v", err)
	}

	// Leaves that come in by Trillian's own queue are found, and integrated
	// with the next append, ahead of it.
	for _, tt := range []struct {
		number int
		want   codes.Code
	}{{17, codes.AlreadyExists}, {270, codes.OK}, {270, codes.AlreadyExists}} {
		leaf, err := translog.NewLeaf(translogtest.Leaf(tt.number))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := log.QueueLeaf(t.Context(), &trillian.QueueLeafRequest{LogId: l.tree.TreeId, Leaf: leaf})
		if err != nil || codes.Code(resp.QueuedLeaf.GetStatus().GetCode()) != tt.want {
			t.Errorf("queue leaf %d: %v, %v; want %v", tt.number, resp, err, tt.want)
		}
	}
	indexes, err := l.Append(t.Context(), sampleLeaves(272)[271:])
	if err != nil || indexes[0] != 271 {
		t.Errorf("index %v, %v; want 271", indexes, err)
	}
	if got := translogtest.Check(t, l); len(got) != 272 {
		t.Errorf("%d leaves, want 272", len(got))
	}
}
