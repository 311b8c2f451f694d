package remote_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/trillian"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog"
	"strongroom.example/strongroom/internal/translog/remote"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

// tree makes one that Create would not.
func tree(t *testing.T, kind trillian.TreeType, name string) int64 {
	t.Helper()
	made, err := trillian.NewTrillianAdminClient(ask(t)).CreateTree(t.Context(), &trillian.CreateTreeRequest{Tree: &trillian.Tree{
		TreeState: trillian.TreeState_ACTIVE, TreeType: kind, Description: name, MaxRootDuration: durationpb.New(0)}})
	check(t, err)
	t.Cleanup(func() { remove(t, made.TreeId) })
	return made.TreeId
}

func TestOpenRefuses(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer silent.Close()
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	check(t, nobody.Close())
	good := create(t)
	deleted := config(t)
	if deleted.TreeID, err = remote.Create(t.Context(), deleted, "deleted"); err != nil {
		t.Fatal(err)
	}
	remove(t, deleted.TreeID)

	for _, tt := range []struct {
		name   string
		change func(*remote.Config)
		want   error
		says   string
	}{
		{"another authority", func(c *remote.Config) { c.TLS = &tls.Config{RootCAs: x509.NewCertPool()} }, translog.ErrUnavailable, "x509"},
		{"authorities of this system", func(c *remote.Config) { c.TLS = nil }, translog.ErrUnavailable, "x509"},
		{"another name", func(c *remote.Config) { c.TLS = c.TLS.Clone(); c.TLS.ServerName = "log.example" }, translog.ErrUnavailable, "x509"},
		{"nobody there", func(c *remote.Config) { c.Address = nobody.Addr().String() }, translog.ErrUnavailable, "refused"},
		{"who does not answer", func(c *remote.Config) { c.Address, c.Deadline = silent.Addr().String(), 100*time.Millisecond }, translog.ErrUnavailable, ""},
		{"no address", func(c *remote.Config) { c.Address = "" }, translog.ErrUnavailable, ""},
		{"no scheme of an address", func(c *remote.Config) { c.Address = "\x00" }, translog.ErrInvalid, ""},
		{"unknown tree", func(c *remote.Config) { c.TreeID++ }, translog.ErrNoTree, ""},
		{"deleted tree", func(c *remote.Config) { c.TreeID = deleted.TreeID }, translog.ErrNoTree, ""},
		{"tree without a root", func(c *remote.Config) { c.TreeID = tree(t, trillian.TreeType_PREORDERED_LOG, "without a root") }, translog.ErrNoTree, ""},
		{"tree that orders by itself", func(c *remote.Config) { c.TreeID = tree(t, trillian.TreeType_LOG, "orders by itself") }, translog.ErrTreeType, ""},
	} {
		cfg := good
		tt.change(&cfg)
		log, err := remote.Open(t.Context(), cfg)
		if err == nil {
			check(t, log.Close())
		}
		if !errors.Is(err, tt.want) || !strings.Contains(fmt.Sprint(err), tt.says) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

// A frozen tree is read, and takes nothing more.
func TestFrozen(t *testing.T) {
	cfg := create(t)
	log := open(t, cfg)
	_, err := log.Append(t.Context(), leaves(0, 3))
	check(t, err)
	_, err = trillian.NewTrillianAdminClient(ask(t)).UpdateTree(t.Context(), &trillian.UpdateTreeRequest{
		Tree:       &trillian.Tree{TreeId: cfg.TreeID, TreeState: trillian.TreeState_FROZEN},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"tree_state"}},
	})
	check(t, err)
	for _, log := range []*remote.Log{log, open(t, cfg)} {
		if _, err := log.Append(t.Context(), leaves(3, 4)); !errors.Is(err, translog.ErrFrozen) {
			t.Errorf("append: %v", err)
		}
		if len(translogtest.Check(t, log)) != 3 {
			t.Error("a frozen tree does not hold what it held")
		}
	}
}

func TestClosed(t *testing.T) {
	log, err := remote.Open(t.Context(), create(t))
	check(t, err)
	check(t, log.Close())
	check(t, log.Close())
	_, rootErr := log.Root(t.Context())
	_, appendErr := log.Append(t.Context(), leaves(0, 1))
	_, healthErr := log.Health(t.Context())
	for _, err := range []error{rootErr, appendErr, healthErr} {
		if !errors.Is(err, translog.ErrClosed) {
			t.Errorf("closed: %v", err)
		}
	}
}

// Large leaves go in calls of their own; what no call takes is refused at once.
func TestLargeLeaves(t *testing.T) {
	log := open(t, create(t))
	_, err := log.Append(t.Context(), leaves(100, 120))
	check(t, err)
	large := leaves(0, 8)
	for i := range large {
		large[i].Extra = bytes.Repeat([]byte("e"), 1<<20)
	}
	large[7].Extra = bytes.Repeat([]byte("e"), 7<<19-len(large[7].Value))
	indexes, err := log.Append(t.Context(), large)
	check(t, err)
	for i, index := range indexes {
		if index != int64(20+i) {
			t.Errorf("leaf %d is at %d", i, index)
		}
	}
	got, err := log.Leaves(t.Context(), 20, 8)
	check(t, err)
	for i := range got {
		if !bytes.Equal(got[i].Extra, large[i].Extra) {
			t.Errorf("leaf %d came back with %d bytes", i, len(got[i].Extra))
		}
	}
	if _, err := log.Append(t.Context(), []tlog.TreeLeaf{{Value: []byte("v"), Extra: make([]byte, 7<<19)}}); !errors.Is(err, translog.ErrInvalid) {
		t.Errorf("too large: %v", err)
	}
}

func TestCreate(t *testing.T) {
	cfg := config(t)
	id, err := remote.Create(t.Context(), cfg, "one for all")
	check(t, err)
	defer remove(t, id)
	for range 2 {
		if again, err := remote.Create(t.Context(), cfg, "one for all"); err != nil || again != id {
			t.Errorf("tree %d, %v; it was %d", again, err, id)
		}
	}

	// One that an earlier call did not finish is finished.
	unfinished := tree(t, trillian.TreeType_PREORDERED_LOG, "unfinished")
	if cfg.TreeID, err = remote.Create(t.Context(), cfg, "unfinished"); err != nil || cfg.TreeID != unfinished {
		t.Errorf("unfinished: %v", err)
	}
	_, err = open(t, cfg).Append(t.Context(), leaves(0, 2))
	check(t, err)

	tree(t, trillian.TreeType_LOG, "other type")
	for name, want := range map[string]error{"other type": translog.ErrTreeType, "": translog.ErrInvalid, strings.Repeat("n", 201): translog.ErrInvalid} {
		if _, err := remote.Create(t.Context(), cfg, name); !errors.Is(err, want) {
			t.Errorf("%.20q: %v", name, err)
		}
	}
	long, err := remote.Create(t.Context(), cfg, strings.Repeat("n", 200))
	check(t, err)
	remove(t, long)
}

// Calls at the same time never lead to two logs.
func TestCreateTogether(t *testing.T) {
	cfg := config(t)
	var mu sync.Mutex
	ids := make(map[int64]bool)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			id, err := remote.Create(t.Context(), cfg, "together")
			if err != nil && !errors.Is(err, remote.ErrTwoTrees) {
				t.Error(err)
			}
			if err == nil {
				mu.Lock()
				defer mu.Unlock()
				ids[id] = true
			}
		})
	}
	wait.Wait()
	if len(ids) > 1 {
		t.Errorf("trees %v", ids)
	}
	all, err := trillian.NewTrillianAdminClient(ask(t)).ListTrees(t.Context(), &trillian.ListTreesRequest{})
	check(t, err)
	made := 0
	for _, tree := range all.Tree {
		if tree.Description == "together" {
			made++
			remove(t, tree.TreeId)
		}
	}
	if made == 0 {
		t.Error("no tree was made")
	}

	tree(t, trillian.TreeType_PREORDERED_LOG, "twice")
	tree(t, trillian.TreeType_PREORDERED_LOG, "twice")
	if _, err := remote.Create(t.Context(), cfg, "twice"); !errors.Is(err, remote.ErrTwoTrees) {
		t.Errorf("two of a name: %v", err)
	}
}
