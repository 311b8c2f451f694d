package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/web"
)

// spoken is what a server logged.
type spoken struct {
	sync.Mutex
	bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) {
	s.Lock()
	defer s.Unlock()
	return s.Buffer.Write(p)
}

func (s *spoken) has(text string) bool {
	s.Lock()
	defer s.Unlock()
	return strings.Contains(s.String(), text)
}

// serveUntil serves a vault with a program until something is so, and says whether it ever was.
func serveUntil(t *testing.T, dir string, o Options, so func(*parts) bool) bool {
	t.Helper()
	d := must(Open(t.Context(), dir, o))
	own := must(d.Loopback())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	go func() { ended <- d.Serve(ctx, l, own.Certificate) }()
	was := false
	for begun := time.Now(); !was && time.Since(begun) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
		was = so(d.parts)
	}
	stop()
	must(0, <-ended)
	must(0, d.Close())
	return was
}

func policyOf(p *parts) *ev.PolicyState {
	policy := ev.PolicyOf(p.settings.Origin)
	return must(p.records.States(context.Background(), policy))[policy].(*ev.PolicyState)
}

// The vault names the program that serves it, once, and changes nothing else with that (RULES §3.7).
func TestVersionNamed(t *testing.T) {
	dir, o := made(t), testOptions()
	o.Tool.Version, o.Tool.Build = "test-2", strings.Repeat("ab", 32)
	p := must(open(t.Context(), dir, o))
	before := policyOf(p)
	must(0, p.close())
	if !serveUntil(t, dir, o, func(p *parts) bool { return policyOf(p).Version == "test-2" }) {
		t.Fatal("the new version is not in the record book")
	}
	p = must(open(t.Context(), dir, o))
	after := policyOf(p)
	entries := must(p.records.Stream(t.Context(), ev.PolicyOf(p.settings.Origin), before.Last.Seq, 10))
	if len(entries) != 1 || entries[0].Kind != ev.VaultConfigured || !slices.Equal(after.Builds, append([]string{o.Tool.Build}, must(web.Programs())...)) || after.Policy != before.Policy ||
		after.Recovery != before.Recovery || !slices.Equal(after.LogKeys, before.LogKeys) || after.Proposed != nil {
		t.Errorf("%d events; before %+v, after %+v", len(entries), before, after)
	}
	for range 2 {
		must(0, p.nameVersion(t.Context()))
	}
	if policyOf(p).Last != after.Last {
		t.Error("the same program is named again")
	}
	must(0, p.close())
	if found := examine(t, dir); len(found) > 0 {
		t.Errorf("fsck: %v", found)
	}
	p = must(open(t.Context(), dir, o))
	if policyOf(p).Last != after.Last {
		t.Error("fsck logs something")
	}
	must(0, p.close())

	// What the record book does not take is said in the server's own, and it serves on.
	said := new(spoken)
	o.Logger, o.Tool.Version = slog.New(slog.NewTextHandler(said, nil)), "no\nname"
	if !serveUntil(t, dir, o, func(*parts) bool { return said.has("version_not_logged") }) {
		t.Error("a failure is not logged")
	}
}

// A restored vault waits with it for the confirmation.
func TestVersionAfterRestore(t *testing.T) {
	dir, to := made(t), filepath.Join(t.TempDir(), "backup")
	p := must(open(t.Context(), dir, testOptions()))
	known := p.ledger.Checkpoint()
	backedUp(t, p, to)
	must(0, p.close())
	_, c := once()
	p, _ = restored(t, Restoration{From: to, Data: filepath.Join(t.TempDir(), "anew"), Newest: []string{checkpointFile(t, known)}})
	defer p.close()
	p.options.Tool.Version = "test-2"
	waits := policyOf(p)
	must(0, p.nameVersion(t.Context()))
	if policyOf(p).Last != waits.Last {
		t.Fatal("a vault that is read-only says something")
	}
	must(0, c.confirm(p))
	must(0, p.nameVersion(t.Context()))
	if s := policyOf(p); s.Version != "test-2" || s.Last.Seq != waits.Last.Seq+2 {
		t.Errorf("after the confirmation: %+v", s)
	}
}
