package campaign

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The power is cut while people work: what was acknowledged is there, though the disk has only what the vault waited for. Kernel and disk
// are played from a trace of the system calls of strongroomd (strace), so that nothing has to be cut. At each of some moments one disk has
// nothing that was not fsynced, another one has parts of it. The normal run cuts at 8 moments, STRONGROOM_LONG=1 at 100, every 10 of them
// in a new vault.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err == nil {
		err = exec.Command(strace, "-f", "-qq", "-o", os.DevNull, "true").Run()
	}
	if err != nil {
		t.Skipf("TestPowerCut was not run: it needs strace (Debian package strace) and leave to trace a process: %v", err)
	}
	cuts, seed := 8, seed(t)
	if long {
		cuts = 100
	}
	cuts = number("STRONGROOM_CUTS", cuts)
	for vault := 0; cuts > 0 && !t.Failed(); vault++ {
		n := min(cuts, 10)
		cuts -= n
		t.Run(fmt.Sprint("vault ", vault), func(t *testing.T) { powerless(t, strace, seed+uint64(vault), n) })
	}
}

func powerless(t *testing.T, strace string, seed uint64, cuts int) {
	w := newWorld(t, seed)
	c := begin(w)
	c.faultless, c.small = true, true
	d := newDisk(t, w.path("vault"), seed)
	trace := w.path("trace")
	p := &process{world: w, under: []string{strace, "-D", "-f", "-q", "-y", "-xx", "-s", strconv.Itoa(maxWrite), "--seccomp-bpf", "-e", "signal=none",
		"-e", "trace=" + strings.Join(traced, ","), "-o", trace}}
	p.start()
	c.work()
	defer c.rest()
	var before []said // at each cut
	for range cuts {
		for range 4 + w.model.rand.IntN(12) {
			w.await(atReceipt, 2*time.Second)
		}
		before = append(before, w.model.said())
		p.knock()
	}
	c.rest()
	p.terminate()
	t.Log(c.summary())
	if n := len(w.model.included); n < cuts {
		t.Errorf("hardly anything was acknowledged: %d events", n)
	}
	next := 0
	d.replay(wholeTrace(t, trace, p.cmd.Process.Pid), func() {
		if next == len(before) {
			t.Fatal("more cuts in the trace than were made")
		}
		for _, how := range []string{"nothing", "parts"} {
			left := must(os.MkdirTemp(w.dir, "left"))(t)
			d.cut(left, how == "parts")
			w.examine(left, before[next])
			if t.Failed() {
				t.Fatalf("cut %d of %d, with %s of what was not fsynced", next+1, len(before), how)
			}
		}
		next++
	})
	if next != len(before) {
		t.Errorf("%d cuts are in the trace, %d were made", next, len(before))
	}
	t.Logf("%d cuts; fsynced %d times", next, d.syncs)
}

// stranger is whence nobody comes but who knocks.
const stranger = "127.0.0.2"

// knock leaves a mark in the trace, later than all that the vault did before it said what has been heard by now. The door is opened and shut
// again when it returns: a knock just before the vault ends would not be heard.
func (p *process) knock() {
	p.Helper()
	conn := must((&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(stranger)}}).Dial("tcp", p.place.Load().host))(p)
	defer conn.Close()
	check(p, conn.(*net.TCPConn).CloseWrite())
	check(p, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		p.Fatalf("the vault does not answer a knock: %v", err)
	}
}

// wholeTrace opens the trace when it is whole.
func wholeTrace(t *testing.T, name string, pid int) *bufio.Reader {
	t.Helper()
	trace := must(os.Open(name))(t)
	t.Cleanup(func() { trace.Close() })
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		end := make([]byte, 100)
		n, err := trace.ReadAt(end, max(0, must(trace.Stat())(t).Size()-int64(len(end))))
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(end[:n]), "\n"), "\n")
		if last := strings.Fields(lines[len(lines)-1]); slices.Equal(last, strings.Fields(fmt.Sprint(pid, " +++ exited with 0 +++"))) {
			return bufio.NewReader(trace)
		}
		if time.Now().After(deadline) {
			t.Fatalf("the trace does not end: %s", end[:n])
		}
	}
}

// traced are the system calls that change files and names, make them durable, or tell where in a file the next write goes.
var traced = []string{
	"accept4", "open", "openat", "write", "pwrite64", "lseek", "ftruncate", "fsync", "fdatasync", "mkdir", "mkdirat", "link", "linkat", "unlink", "unlinkat",
	"rmdir", "rename", "renameat", "renameat2",
	// Of these the disk knows nothing, and says so.
	"creat", "writev", "pwritev", "pwritev2", "truncate", "fallocate", "copy_file_range", "sendfile", "splice", "sync_file_range", "symlink",
	"symlinkat", "mmap",
}

// maxWrite is more than anybody writes with one call.
const maxWrite = 4 << 20
