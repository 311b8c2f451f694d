//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// caseOf opens a case in which the second custodian deposits on a court's order, and returns the arguments for it.
func (w *town) caseOf() (in string, with []string) {
	w.t.Helper()
	rights := ":deposit,open,approve,manage"
	in = str(w.t, w.second.types("", "case", "open", "--member", "me"+rights, "--member", w.clinician.id+rights,
		"--keyholder", "me", "--keyholder", w.clinician.id).object(), "case")
	return in, []string{"--case", in, "--content", "digital", "--basis", "court_order", "--authority", w.write("order.txt", "A court\nOrder 1\nact 4\nnone")}
}

func (w *town) deposits(args ...string) said {
	w.t.Helper()
	return w.second.types("", append([]string{"deposit"}, args...)...)
}

// items lists a case as its other member sees it.
func (w *town) items(in string) map[evidence.ItemID]listed {
	w.t.Helper()
	items := make(map[evidence.ItemID]listed)
	for _, i := range decodeOne[[]listed](w.t, w.clinician.types("", "list", "--case", in).ends(0).out) {
		items[i.Item] = i
	}
	return items
}

// byResult demands that the results are so many of each, and returns them by file.
func byResult(t *testing.T, out string, want map[string]int) map[string]deposited {
	t.Helper()
	have, files := make(map[string]int), make(map[string]deposited)
	for _, r := range decodeLines[deposited](t, out) {
		have[r.Result]++
		files[r.File] = r
	}
	if fmt.Sprint(have) != fmt.Sprint(want) {
		t.Fatalf("results %v, want %v\n%s", have, want, tail(out, 3000))
	}
	return files
}

// Whatever lies in a folder: every file is recorded once, what cannot be has its own line, and nothing stops the rest.
func TestManyFiles(t *testing.T) {
	w := foundTown(t)
	in, with := w.caseOf()
	dir := w.path("evidence")
	names := []string{"звіт 1.txt", "تقرير.pdf", "報告書.jpg", "रिपोर्ट.txt", "ἔκθεσις.txt", "👁.png", "-rf", "a b'\"$(x).txt", "two\nlines.txt",
		"\x1b[2Jcleared.txt", "caf\xe9.txt", strings.Repeat("long", 62) + ".txt", "no extension"}
	const many = 130
	for i := range many {
		names = append(names, fmt.Sprintf("d%d/e%d/%04d.bin", i%3, i%7, i))
	}
	contents := make(map[string]string)
	put := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
		contents[path] = content
	}
	for i, name := range names {
		put(name, strings.Repeat(fmt.Sprintf("%d %s\n", i, name), i%40)) // the first is empty
	}
	for _, err := range []error{
		os.Symlink(filepath.Join(dir, "-rf"), filepath.Join(dir, "link")), os.Symlink("/", filepath.Join(dir, "linked folder")),
		os.Symlink("nowhere", filepath.Join(dir, "dangling")), syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600), os.Mkdir(filepath.Join(dir, "empty"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{dir, w.path("absent"), filepath.Join(dir, "pipe")}, with...)
	refused := 2 // named, but absent or no file
	if runtime.GOOS == "linux" {
		args, refused = append(args, "/proc/self/mem"), 3 // opens, and cannot be read, whoever one is
	}
	first := byResult(t, w.deposits(args...).ends(exitCannot).out, map[string]int{"recorded": len(names), "left_out": 4, "not_done": refused})
	if r := first[w.path("absent")]; r.Reason != "file" || !strings.Contains(r.Message, "absent") {
		t.Errorf("%+v", r)
	}
	items := w.items(in)
	if len(items) != len(names) {
		t.Errorf("%d items, want %d", len(items), len(names))
	}
	for i, name := range []string{"تقرير.pdf", "caf\xe9.txt", "звіт 1.txt", "d1/e1/0001.bin"} {
		path := filepath.Join(dir, name)
		r := first[strings.ToValidUTF8(path, "\uFFFD")]
		to := w.path(fmt.Sprintf("back%d", i))
		w.second.types("", "open", string(r.Item), "--purpose", "verification", "--to", to).object()
		w.same(filepath.Base(to), path)
		if label := items[r.Item].Label; label != strings.ToValidUTF8(filepath.Base(name), "\uFFFD") {
			t.Errorf("%q is labelled %q", name, label)
		}
	}

	again := byResult(t, w.deposits(append([]string{dir}, with...)...).ends(0).out, map[string]int{"recorded_before": len(names), "left_out": 4})
	for path, r := range again {
		if r.Item != first[path].Item || r.Entry != first[path].Entry || r.Event != first[path].Event {
			t.Errorf("%s was %+v, is %+v", path, first[path], r)
		}
	}
	put("d0/e0/0000.bin", "changed")
	put("new.txt", "new")
	text := w.second.as().types("", append([]string{"deposit", dir}, with...)...).ends(0)
	text.has(fmt.Sprintf("Together 2 of %d files recorded, 10 bytes", len(names)+5), fmt.Sprintf("Before %d recorded from this folder before", len(names)-1), "Left out 4", "Recorded new.txt, 3 bytes")
	if strings.ContainsAny(text.out, "\x1b") {
		t.Error("a file's name moves the cursor")
	}
	byResult(t, w.deposits(append([]string{filepath.Join(dir, "new.txt"), "--again"}, with...)...).ends(0).out, map[string]int{"recorded": 1})
	other, elsewhere := w.caseOf()
	byResult(t, w.deposits(append([]string{filepath.Join(dir, "new.txt")}, elsewhere...)...).ends(0).out, map[string]int{"recorded": 1})
	if n, m := len(w.items(in)), len(w.items(other)); n != len(names)+3 || m != 1 {
		t.Errorf("%d and %d items, want %d and 1", n, m, len(names)+3)
	}
	w.fileThatChanges(with)
	w.manyFilesKilled()
}

// fileThatChanges is written to while it is read.
func (w *town) fileThatChanges(with []string) {
	t := w.t
	file := w.write("busy.bin", strings.Repeat("x", 24<<20))
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				f.WriteAt([]byte{byte(i)}, i)
			}
		}
	}()
	r := byResult(t, w.deposits(append([]string{file}, with...)...).ends(exitCannot).out, map[string]int{"not_done": 1})[file]
	if r.Reason != "file_changed" {
		t.Errorf("%+v", r)
	}
	close(stop)
	<-stopped
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(w.second.home, "deposits", "*.[ja]*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	byResult(t, w.deposits(append([]string{file}, with...)...).ends(0).out, map[string]int{"recorded": 1})
}

// A file's reader ends in an error, whatever about the file has changed.
func TestSteady(t *testing.T) {
	for name, change := range map[string]func(f *os.File) error{
		"nothing":        func(*os.File) error { return nil },
		"a byte":         func(f *os.File) error { _, err := f.WriteAt([]byte("y"), 10); return err },
		"longer":         func(f *os.File) error { _, err := f.WriteAt([]byte("y"), 1000); return err },
		"shorter":        func(f *os.File) error { return f.Truncate(900) },
		"to the start":   func(f *os.File) error { return f.Truncate(100) },
		"the time alone": func(f *os.File) error { return os.Chtimes(f.Name(), time.Time{}, time.Now().Add(time.Hour)) },
	} {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 1000), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openSteady(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(s, make([]byte, 500)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // a file's time is not finer
		w, err := os.OpenFile(file, os.O_RDWR, 0)
		if err == nil {
			err = errors.Join(change(w), w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(s)
		if (err == nil) != (name == "nothing") || err != nil && explain(err).reason != "file_changed" {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
}

// start begins a command and leaves it to the test.
func (p *person) start(args ...string) (*exec.Cmd, *bytes.Buffer) {
	p.t.Helper()
	c := exec.Command(filepath.Join(bin, "strongroom"), append(append([]string{"--home", p.home}, p.with...), args...)...)
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	return c, &out
}

// manyFilesKilled: a command that is stopped or killed again and again, and repeated each time, records every file once.
func (w *town) manyFilesKilled() {
	t := w.t
	in, with := w.caseOf()
	dir := w.path("stopped")
	const many = 120
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range many {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.bin", i)), bytes.Repeat([]byte{byte(i)}, 50_000+i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := append([]string{"deposit", dir}, with...)
	random := rand.New(rand.NewPCG(3, 4))
	kills, stops, last := 0, 0, ""
	sent := func() int { return bytes.Count(w.server.said(), []byte(`"route":"POST /v1/events"`)) }
	for round := 0; ; round++ {
		// After a number of events, not of seconds: on any machine there is work left.
		strike := sent() + random.IntN(12)
		c, out := w.second.start(args...)
		ended := make(chan error, 1)
		go func() { ended <- c.Wait() }()
		signal := []os.Signal{os.Kill, os.Interrupt}[round%2]
		var err error
		for wait := time.Duration(random.IntN(200)) * time.Millisecond; ; {
			select {
			case err = <-ended:
			case <-time.After(wait):
				if wait = 5 * time.Millisecond; sent() >= strike {
					c.Process.Signal(signal)
					strike = math.MaxInt // once: a second one does not ask
				}
				continue
			}
			break
		}
		if err == nil {
			last = out.String()
			break
		}
		switch code := c.ProcessState.ExitCode(); {
		case code < 0:
			kills++
		case code == exitCannot && signal == os.Interrupt:
			stops++
			for _, r := range decodeLines[deposited](t, out.String()) {
				if r.Result == "not_done" && r.Reason != "interrupted" && r.Reason != "not_begun" {
					t.Errorf("stopped: %+v", r)
				}
			}
		default:
			t.Fatalf("exit code %d:\n%s", code, tail(out.String(), 2000))
		}
	}
	if kills == 0 || stops == 0 {
		t.Errorf("killed %d times, stopped %d times", kills, stops)
	}
	files := decodeLines[deposited](t, last)
	items := make(map[evidence.ItemID]bool)
	for _, r := range files {
		if r.Result != "recorded" && r.Result != "recorded_before" {
			t.Errorf("%+v", r)
		}
		items[r.Item] = true
	}
	if n := len(w.items(in)); len(files) != many || len(items) != many || n != many {
		t.Errorf("%d results name %d items; the case has %d, want %d", len(files), len(items), n, many)
	}
	if left, err := filepath.Glob(filepath.Join(w.second.home, "deposits", "*.json")); err != nil || len(left) > 0 {
		t.Errorf("drafts left: %v, %v", left, err)
	}
	t.Logf("killed %d times, stopped %d times", kills, stops)
}
