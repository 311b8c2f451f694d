package remote_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/trillian"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"strongroom.example/strongroom/internal/logserver"
	"strongroom.example/strongroom/internal/postgresql"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/remote"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

// What the tests of this package share: one PostgreSQL, one log server, one signer. Each test has a tree of its own; none runs beside another.
var (
	database *postgresql.Server
	servers  *logserver.Log
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "strongroom-remote-")
	if err == nil {
		err = start(dir)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	if servers != nil {
		servers.Kill()
	}
	if database != nil {
		database.Remove()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func start(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	trillian, err := logserver.Find()
	if err != nil {
		return err
	}
	programs, err := postgresql.Find()
	if err != nil {
		return err
	}
	if database, err = postgresql.Start(ctx, programs); err != nil {
		return err
	}
	name, err := database.NewDatabase(ctx)
	if err != nil {
		return err
	}
	schema, err := logserver.Schema(trillian)
	if err != nil {
		return err
	}
	if err := database.Exec(ctx, name, schema); err != nil {
		return err
	}
	servers, err = logserver.Start(ctx, trillian, filepath.Join(dir, "servers"), database.URL(name), 10*time.Millisecond)
	return err
}

func config(t testing.TB) remote.Config {
	t.Helper()
	known, err := servers.TLS()
	check(t, err)
	return remote.Config{Address: servers.Address(), TLS: known}
}

// ask calls the server as an operator does.
func ask(t testing.TB) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(servers.Address(), grpc.WithTransportCredentials(credentials.NewTLS(config(t).TLS)))
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

var names atomic.Int64

// create makes a tree that the signer forgets when the test ends.
func create(t testing.TB) remote.Config {
	t.Helper()
	cfg := config(t)
	id, err := remote.Create(t.Context(), cfg, fmt.Sprintf("test %d", names.Add(1)))
	check(t, err)
	cfg.TreeID = id
	t.Cleanup(func() { remove(t, id) })
	return cfg
}

func remove(t testing.TB, id int64) {
	if _, err := trillian.NewTrillianAdminClient(ask(t)).DeleteTree(context.Background(), &trillian.DeleteTreeRequest{TreeId: id}); err != nil {
		t.Error(err)
	}
}

// open opens a log until the test ends.
func open(t testing.TB, cfg remote.Config) *remote.Log {
	t.Helper()
	log, err := remote.Open(t.Context(), cfg)
	check(t, err)
	t.Cleanup(func() { check(t, log.Close()) })
	return log
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func leaves(from, to int) []tlog.TreeLeaf {
	var list []tlog.TreeLeaf
	for i := from; i < to; i++ {
		list = append(list, translogtest.Leaf(i))
	}
	return list
}

func TestConformance(t *testing.T) {
	translogtest.Run(t, func(t *testing.T) func() translogtest.Tree {
		cfg := create(t)
		var before *remote.Log
		return func() translogtest.Tree {
			if before != nil {
				check(t, before.Close())
			}
			before = open(t, cfg)
			return before
		}
	})
}
