//go:build unix

package main

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// large writes a file of random bytes.
func (w *town) large(name string, size int) string {
	w.t.Helper()
	content := make([]byte, size)
	rand.NewChaCha8([32]byte(bytes.Repeat([]byte(name), 32)[:32])).Read(content)
	return w.write(name, string(content))
}

// staged is how many bytes of uploads the vault holds.
func (w *town) staged() (n int64) {
	filepath.WalkDir(w.path("vault/objects/staging"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// waits until the vault has received so much.
func (w *town) receives(n int64) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); w.staged() < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatal("the vault receives nothing")
		}
	}
}

// What was sealed arrives, once and whole, whatever happens to the programs, the original, the disks.
func TestUploadsSurvive(t *testing.T) {
	w := foundTown(t)
	w.clientKilled()
	w.vaultKilled()
	w.originalGone()
	w.fullDisks()
}

// clientKilled: the deposit is finished with the same item, and opens to the same bytes.
func (w *town) clientKilled() {
	t := w.t
	_, with := w.caseOf()
	file := w.large("killed.bin", 32<<20)
	deposit := append([]string{"deposit", file}, with...)
	c, _ := w.second.start(deposit...)
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for drafts := filepath.Join(w.second.home, "deposits", "*.json"); ; time.Sleep(2 * time.Millisecond) {
		if found, err := filepath.Glob(drafts); err != nil || len(found) > 0 {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("the deposit ended before it could be killed: %v", err)
		default:
		}
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended

	list := decodeLines[deposited](t, w.second.types("", "deposit", "--resume").ends(0).out)
	if len(list) != 1 || list[0].Result != "recorded" || !evidence.ValidID(list[0].Item) {
		t.Fatalf("resume: %+v", list)
	}
	w.second.types("", "open", string(list[0].Item), "--purpose", "verification", "--to", w.path("resumed.bin")).object()
	w.same("resumed.bin", file)
	if left, err := filepath.Glob(filepath.Join(w.second.home, "deposits", "*.[ja]*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if again := w.second.types("", "deposit", "--resume").ends(0).out; again != "" {
		t.Errorf("resumed twice: %s", again)
	}
	// Stopped by its own time limit before anything is accepted.
	w.second.types("", append(deposit, "--again", "--wait", "1ms")...).ends(exitCannot)
}

// vaultKilled: while it receives, again and again, and comes back. The command goes on by itself.
func (w *town) vaultKilled() {
	t := w.t
	in, with := w.caseOf()
	file := w.large("large.bin", 64<<20)
	c, out := w.second.start(append([]string{"deposit", file}, with...)...)
	at := strings.TrimPrefix(strings.Split(w.address, "#")[0], "https://")
	for _, n := range []int64{5 << 20, 18 << 20, 36 << 20} {
		w.receives(n)
		w.server.stop(syscall.SIGKILL)
		time.Sleep(200 * time.Millisecond)
		w.server = w.start(w.path("vault"), at)
	}
	if err := c.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	list := decodeLines[deposited](t, out.String())
	if len(list) != 1 || list[0].Result != "recorded" || len(w.items(in)) != 1 {
		t.Fatalf("%+v", list)
	}
	w.second.types("", "open", string(list[0].Item), "--purpose", "verification", "--to", w.path("back.bin")).object()
	w.same("back.bin", file)
	if n := w.staged(); n != 0 {
		t.Errorf("%d bytes are still staged", n)
	}
}

// originalGone: a client is killed while it sends, and its original is replaced, or moved away.
func (w *town) originalGone() {
	t := w.t
	in, with := w.caseOf()
	file, copied := w.large("large.bin", 40<<20), w.large("copy.bin", 0)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	w.write("copy.bin", string(content))
	for i, gone := range []func(string) error{
		func(name string) error { return os.WriteFile(name, []byte("another content"), 0o600) },
		os.Remove,
	} {
		w.write("large.bin", string(content))
		c, _ := w.second.start(append([]string{"deposit", file, "--again"}, with...)...)
		w.receives(4 << 20)
		c.Process.Kill()
		c.Wait()
		if err := gone(file); err != nil {
			t.Fatal(err)
		}
		list := decodeLines[deposited](t, w.second.types("", "deposit", "--resume").ends(0).out)
		if len(list) != 1 || list[0].Result != "recorded" || len(w.items(in)) != i+1 {
			t.Fatalf("%+v", list)
		}
		back := []string{"back0.bin", "back1.bin"}[i]
		w.second.types("", "open", string(list[0].Item), "--purpose", "verification", "--to", w.path(back)).object()
		w.same(back, copied)
	}
}

// limited is how a program is run that may write files of 32 MiB at most, which is what a full disk does to a larger one.
var limited = []string{"sh", "-c", `ulimit -f 65536; exec "$0" "$@"`}

// fullDisks: here and there. It is said in words, nothing is half done, and it goes on where there is room again.
func (w *town) fullDisks() {
	t := w.t
	in, with := w.caseOf()
	file := w.large("large.bin", 40<<20)
	args := append([]string{"deposit", file}, with...)

	here := runThrough(t, limited, filepath.Join(bin, "strongroom"), append([]string{"--home", w.second.home, "--json"}, args...)...)
	r := byResult(t, here.ends(exitCannot).out, map[string]int{"not_done": 1})[file]
	if r.Reason != "file" {
		t.Errorf("%+v", r)
	}
	if left, err := filepath.Glob(filepath.Join(w.second.home, "deposits", "*.[ja]*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	at := strings.TrimPrefix(strings.Split(w.address, "#")[0], "https://")
	w.server.stop(syscall.SIGTERM)
	w.server = w.start(w.path("vault"), at, limited...)
	small := w.write("small.txt", "small")
	there := w.second.as().types("", append([]string{"deposit", file, small}, with...)...).ends(exitCannot)
	there.has("The vault has no room left.", "strongroom deposit --resume")
	w.server.stop(syscall.SIGTERM)
	w.server = w.start(w.path("vault"), at)
	list := decodeLines[deposited](t, w.second.types("", args...).ends(0).out)
	if len(list) != 1 || list[0].Result != "recorded" {
		t.Fatalf("%+v", list)
	}
	w.second.types("", "open", string(list[0].Item), "--purpose", "verification", "--to", w.path("back2.bin")).object()
	w.same("back2.bin", file)
	if items := w.items(in); items[list[0].Item].Label != "large.bin" {
		t.Errorf("%+v", items)
	}
}
