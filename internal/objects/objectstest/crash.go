package objectstest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// testLeaks does everything that opens something, well and badly, and counts what is left.
func testLeaks(t *testing.T, b *bench) {
	must(t, b.Close())
	use := func() {
		s, err := b.suite.Open(b.place)
		must(t, err)
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		all := content(40, 1000)
		for i := range 10 {
			id := fmt.Sprint("upl-", i)
			must(t, s.StageCreate(ctx, id, 1000))
			s.StageCreate(ctx, id, 1000)
			s.StageAppend(ctx, id, 1, bytes.NewReader(all))
			s.StageAppend(ctx, id, 0, iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(all))))
			s.StageCommit(ctx, id, digest(all))
			must(t, fill(ctx, s, id, all))
			r, err := s.StageOpen(ctx, id)
			must(t, errors.Join(err, r.Close()))
			s.StageCommit(ctx, id, digest(nil))
			_, err = s.StageCommit(ctx, id, digest(all))
			must(t, err)
			o, err := s.Open(ctx, digest(all))
			must(t, errors.Join(err, o.Close()))
			s.Open(ctx, digest(nil))
			_, err = s.Verify(ctx, digest(all))
			must(t, err)
			must(t, s.Hold(ctx, digest(all), true))
			is(t, s.Remove(ctx, digest(all), time.Now()), objects.ErrLocked)
			must(t, s.Hold(ctx, digest(all), false))
			s.StageList(ctx, func(string, time.Time) error { return io.EOF })
			_, err = s.List(ctx, objects.Digest{}, 1)
			must(t, err)
		}
		must(t, s.StageCreate(ctx, "upl-last", 1000))
		cancel()
		s.StageAppend(ctx, "upl-last", 0, bytes.NewReader(all))
		s.Verify(ctx, digest(all))
		s.List(ctx, objects.Digest{}, 1)
		must(t, s.StageRemove(t.Context(), "upl-last"))
		must(t, s.Remove(t.Context(), digest(all), time.Now()))
	}
	use() // whatever is opened once and for all
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	use()
	for range 50 {
		if runtime.NumGoroutine() <= goroutines && openFiles(t) <= files {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("goroutines %d → %d, files %d → %d", goroutines, runtime.NumGoroutine(), files, openFiles(t))
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Skip("needs /dev/fd to count open files")
	}
	return len(entries)
}

// Child reports whether this process is one that a suite runs and kills.
func Child() bool { return os.Getenv(childPlace) != "" }

// The environment variables that make a test binary a child, and say where it works and with
// which job it begins.
const (
	childPlace = "OBJECTSTEST_CHILD"
	childJob   = "OBJECTSTEST_JOB"
)

// job is one of the uploads a child makes, one after the other, until it is killed.
func job(i int) (id string, b []byte) {
	size := i * 100
	if i%4 == 3 {
		size += 2 * block
	}
	return fmt.Sprint("upl-", i), content(byte(i), size)
}

// child carries on with the jobs from wherever they stand, saying what is durable.
func (s Suite) child(t *testing.T, place string) {
	ctx := t.Context()
	store, err := s.Open(place)
	must(t, err)
	first, err := strconv.Atoi(os.Getenv(childJob))
	must(t, err)
	fmt.Println("open")
	for i := first; ; i++ {
		id, b := job(i)
		info, err := store.StageInfo(ctx, id)
		if errors.Is(err, objects.ErrNotFound) {
			// A creation cut short holds the id; it was never acknowledged.
			store.StageRemove(ctx, id)
			err = store.StageCreate(ctx, id, int64(len(b)))
		}
		must(t, err)
		for at := info.Offset; at < int64(len(b)); {
			n, err := store.StageAppend(ctx, id, at, bytes.NewReader(b[at:min(int64(len(b)), (at/block+1)*block)]))
			must(t, err)
			at += n
			fmt.Println("append", i, at)
		}
		_, err = store.StageCommit(ctx, id, digest(b))
		must(t, err)
		fmt.Println("commit", i, len(b))
	}
}

// testKilled kills a process at work, again and again. What it said is durable is; what it did
// not say is done or not done; and every upload ends as the object it was to be.
func testKilled(t *testing.T, b *bench) {
	ctx := t.Context()
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	committed, inAppend, inCommit := 0, 0, 0
	for range rounds {
		said := b.kill(t, committed, 1+rand.IntN(8), time.Duration(rand.IntN(60_000))*time.Microsecond)
		s, err := b.suite.Open(b.place)
		must(t, err)
		for ; ; committed++ {
			id, all := job(committed)
			last, offset := said[committed].commit, said[committed].offset
			_, err := s.Verify(ctx, digest(all))
			if last {
				must(t, err)
			} else if errors.Is(err, objects.ErrNotFound) {
				info, err := s.StageInfo(ctx, id)
				if err != nil {
					is(t, err, objects.ErrNotFound)
				}
				if info.Offset < offset {
					t.Fatalf("%s: %d bytes were durable, %d are there", id, offset, info.Offset)
				}
				if info.Offset > 0 && info.Offset < info.Size {
					inAppend++
				}
				break
			} else {
				must(t, err)
				inCommit++
			}
			// Done, said or not: to commit again answers the same and clears up.
			info, err := s.StageCommit(ctx, id, digest(all))
			must(t, err)
			if want := (objects.Info{Digest: digest(all), Size: int64(len(all))}); info != want {
				t.Fatalf("%s: StageCommit = %v, want %v", id, info, want)
			}
			_, err = s.StageInfo(ctx, id)
			is(t, err, objects.ErrNotFound)
		}
		must(t, s.Close())
	}
	s := b.reopen(t)
	id, all := job(committed)
	if _, err := s.StageInfo(ctx, id); err != nil {
		s.StageRemove(ctx, id)
		must(t, s.StageCreate(ctx, id, int64(len(all))))
	}
	must(t, fill(ctx, s, id, all))
	_, err := s.StageCommit(ctx, id, digest(all))
	must(t, err)
	t.Logf("%d kills, %d objects; %d kills left a part of an upload, %d an object its process had not reported", rounds, committed+1, inAppend, inCommit)
}

type progress struct {
	offset int64
	commit bool
}

// kill starts a child at a job, kills it some time after it said so many lines, and returns
// what it said.
func (b *bench) kill(t *testing.T, job, lines int, after time.Duration) map[int]progress {
	t.Helper()
	top, _, _ := strings.Cut(t.Name(), "/")
	cmd := exec.Command(os.Args[0], "-test.run=^"+top+"$")
	cmd.Env = append(os.Environ(), childPlace+"="+b.place, childJob+"="+strconv.Itoa(job))
	out, err := cmd.StdoutPipe()
	must(t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	must(t, cmd.Start())
	said := map[int]progress{}
	for child := bufio.NewScanner(out); child.Scan(); lines-- {
		if lines == 1 {
			time.AfterFunc(after, func() { cmd.Process.Kill() })
		}
		var i int
		var n int64
		switch line := child.Text(); {
		case line == "open":
		case scan(line, "append %d %d", &i, &n):
			said[i] = progress{offset: n}
		case scan(line, "commit %d %d", &i, &n):
			said[i] = progress{offset: n, commit: true}
		default:
			t.Errorf("child: %s", line)
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("child was not killed: %v\n%s", err, stderr.Bytes())
	}
	return said
}

func scan(line, format string, args ...any) bool {
	n, err := fmt.Sscanf(line, format, args...)
	return err == nil && n == len(args)
}
