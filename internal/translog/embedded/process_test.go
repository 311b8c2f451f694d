//go:build unix

package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"k8s.io/klog/v2"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/translog/embedded"
	"strongroom.example/strongroom/internal/translog/translogtest"
)

// The tests here need a process of their own: this test binary runs again and
// plays the part named in the environment.
const (
	childPart = "TRANSLOG_TEST_CHILD"
	childPath = "TRANSLOG_TEST_PATH"
	childFrom = "TRANSLOG_TEST_FROM"
)

func TestMain(m *testing.M) {
	parts := map[string]func(path string) error{"append": appendForEver, "fill": fillDisk, "open": openOnce}
	if part := parts[os.Getenv(childPart)]; part != nil {
		if err := part(os.Getenv(childPath)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func child(t *testing.T, part, path string, from int) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childPart+"="+part, childPath+"="+path, fmt.Sprintf("%s=%d", childFrom, from))
	cmd.Stderr = os.Stderr
	return cmd
}

// appendForEver appends from eight clients, single leaves and batches, and
// prints the number and index of each leaf once it is acknowledged.
func appendForEver(path string) error {
	l, err := embedded.Open(context.Background(), path, embedded.Options{})
	if err != nil {
		return err
	}
	var next atomic.Int64
	var from int
	fmt.Sscan(os.Getenv(childFrom), &from)
	next.Store(int64(from))
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for {
				n := 1 + 3*(c%2)
				first := int(next.Add(int64(n))) - n
				indexes, err := l.Append(context.Background(), leaves(first, first+n))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				var line strings.Builder
				for i, index := range indexes {
					fmt.Fprintf(&line, "%d %d\n", first+i, index)
				}
				io.WriteString(os.Stdout, line.String())
			}
		})
	}
	clients.Wait()
	return nil
}

// TestCrash kills an appending process at a random moment, again and again on
// the same file, and looks for each leaf it acknowledged.
func TestCrash(t *testing.T) {
	const rounds = 6
	path := filepath.Join(t.TempDir(), "log.db")
	create(t, path, embedded.Options{}).Close()
	acknowledged := map[int]int64{}
	previous := tlog.Root{}
	for round := range rounds {
		cmd := child(t, "append", path, 1_000_000*round)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		before := len(acknowledged)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				break // killed; an unfinished line acknowledges nothing
			}
			if len(acknowledged) == before {
				time.AfterFunc(time.Duration(rand.IntN(150))*time.Millisecond, func() { cmd.Process.Kill() })
			}
			var number int
			var index int64
			if _, err := fmt.Sscan(line, &number, &index); err != nil {
				t.Fatalf("child says %q", line)
			}
			acknowledged[number] = index
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("child was not killed: %v", cmd.ProcessState)
		}

		l := open(t, path, embedded.Options{})
		all := translogtest.Check(t, l) // consistent, nothing twice
		for number, index := range acknowledged {
			if index >= int64(len(all)) || !bytes.Equal(all[index].Value, translogtest.Leaf(number).Value) {
				t.Fatalf("round %d: acknowledged leaf %d is not at %d", round, number, index)
			}
		}
		root, err := l.Root(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Consistency(t.Context(), previous.Size, root.Size); err != nil {
			t.Errorf("round %d: consistency: %v", round, err)
		}
		previous = root
		l.Close()
	}
	t.Logf("%d leaves acknowledged, %d in the log", len(acknowledged), previous.Size)
}

func openOnce(path string) error {
	var logged bytes.Buffer
	start := time.Now()
	_, err := embedded.Open(context.Background(), path, embedded.Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if waited := time.Since(start); !errors.Is(err, embedded.ErrLocked) || waited < 900*time.Millisecond || waited > 5*time.Second {
		return fmt.Errorf("answer after %v: %v", waited, err)
	}
	klog.Warning("said by Trillian")
	if !strings.Contains(logged.String(), "said by Trillian") {
		return errors.New("klog does not reach the given logger")
	}
	return nil
}

func TestSecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	l := create(t, path, embedded.Options{})
	if out, err := child(t, "open", path, 0).Output(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	appendTo(t, l, leaves(0, 1)...)
}

// fillDisk lets writes beyond a limit fail: growing the file, then, with the
// limit inside the file, some of a commit's pages. After each failure nothing
// may have changed, and with the limit gone the same log must go on.
func fillDisk(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	l, err := embedded.Open(ctx, path, embedded.Options{})
	if err != nil {
		return err
	}
	next, failures := 0, 0
	leaf := func() tlog.TreeLeaf {
		leaf := translogtest.Leaf(next)
		leaf.Extra = bytes.Repeat([]byte{'x'}, 60_000)
		return leaf
	}
	for _, limit := range []uint64{18 << 20, 0, 1 << 14, 2 << 20, 12 << 20, 18<<20 + 4096, 19 << 20, 19<<20 + 12345} {
		if err := limitFiles(limit); err != nil {
			return err
		}
		var failure error
		for tries := 0; failure == nil && tries < 400; tries++ {
			if _, failure = l.Append(ctx, []tlog.TreeLeaf{leaf()}); failure == nil {
				next++
			}
		}
		if !errors.Is(failure, embedded.ErrWrite) {
			return fmt.Errorf("limit %d: got %v", limit, failure)
		}
		failures++
		root, err := l.Root(ctx)
		if err != nil || root.Size != int64(next) {
			return fmt.Errorf("limit %d: root of %d, %v; want %d", limit, root.Size, err, next)
		}
		// bbolt takes free pages in no order, so a second try may find room inside the limit, but not where nothing can be written.
		switch _, err := l.Append(ctx, []tlog.TreeLeaf{leaf()}); {
		case err == nil && limit > 0:
			next++
		case !errors.Is(err, embedded.ErrWrite):
			return fmt.Errorf("limit %d: second try: %v", limit, err)
		}
		if err := limitFiles(unlimited); err != nil {
			return err
		}
		indexes, err := l.Append(ctx, []tlog.TreeLeaf{leaf()})
		if err != nil || indexes[0] != int64(next) {
			return fmt.Errorf("limit %d: after space came back: %v, %v; want %d", limit, indexes, err, next)
		}
		next++
	}
	fmt.Println(next, failures)
	return l.Close()
}

const unlimited = ^uint64(0)

func limitFiles(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	limit.Cur = min(n, limit.Max)
	return syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit)
}

func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.db")
	create(t, path, embedded.Options{}).Close()
	out, err := child(t, "fill", path, 0).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var appended, failures int
	if _, err := fmt.Sscan(string(out), &appended, &failures); err != nil || failures == 0 {
		t.Fatalf("child says %q", out)
	}
	if got := translogtest.Check(t, open(t, path, embedded.Options{})); len(got) != appended {
		t.Errorf("%d leaves, want %d", len(got), appended)
	}
}
