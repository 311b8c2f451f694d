package fs

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"testing/iotest"

	"strongroom.example/strongroom/internal/objects"
)

// The environment variable that makes a test binary a child, and says where it works.
const childDir = "STRONGROOM_TEST_FULL"

// TestFileLimit meets the limit of a process on the size of a file, which any system can set.
func TestFileLimit(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		runChild(t, nil)
		return
	}
	const limit = 1 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit + 100, Max: limit * 2}); err != nil {
		t.Fatal(err)
	}
	if err := Create(filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(dir, "store"))
	all := content(2 * limit)
	if err := s.StageCreate(t.Context(), "upl-a", int64(len(all))); err != nil {
		t.Fatal(err)
	}
	n, err := s.StageAppend(t.Context(), "upl-a", 0, bytes.NewReader(all))
	if n < limit-chunk || n > limit+100 || !errors.Is(err, objects.ErrFull) {
		t.Fatalf("append = %d, %v", n, err)
	}
	if info, err := s.StageInfo(t.Context(), "upl-a"); err != nil || info.Offset != n {
		t.Fatalf("append kept %d, StageInfo = %v, %v", n, info, err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit * 2, Max: limit * 2}); err != nil {
		t.Fatal(err)
	}
	if err := appendUntil(t.Context(), s, "upl-a", all, int64(len(all))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.StageCommit(t.Context(), "upl-a", sha256.Sum256(all)); err != nil {
		t.Fatal(err)
	}
}

// TestFull fills a file system of 2 MiB, in a child that may mount one of its own.
func TestFull(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		runChild(t, &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		})
		return
	}
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("needs to mount a tmpfs in a user namespace: %v", err)
	}
	fillDisk(t, filepath.Join(dir, "store"))
}

// runChild runs the calling test again, in a process that has attr.
func runChild(t *testing.T, attr *syscall.SysProcAttr) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childDir+"="+t.TempDir())
	cmd.SysProcAttr = attr
	out, err := cmd.CombinedOutput()
	switch {
	case cmd.Process == nil && attr != nil:
		t.Skipf("needs user namespaces (kernel.unprivileged_userns_clone, user.max_user_namespaces): %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name())):
		t.Fatalf("child did not run the test:\n%s", out)
	}
}

func fillDisk(t *testing.T, dir string) {
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	full := func(err error) {
		t.Helper()
		if !errors.Is(err, objects.ErrFull) {
			t.Fatalf("error is %v, want %v", err, objects.ErrFull)
		}
	}
	must(Create(dir))
	s := open(t, dir)
	small, big := content(1000), content(4<<20)
	d := objects.Digest(sha256.Sum256(small))
	must(s.StageCreate(ctx, "upl-small", 1000))
	must(appendUntil(ctx, s, "upl-small", small, 1000))
	_, err := s.StageCommit(ctx, "upl-small", d)
	must(err)
	must(s.Hold(ctx, d, true))

	must(s.StageCreate(ctx, "upl-big", 4<<20))
	n, err := s.StageAppend(ctx, "upl-big", 0, bytes.NewReader(big))
	full(err)
	if n < 1<<20 || n > 2<<20 {
		t.Fatalf("on 2 MiB %d bytes found room", n)
	}
	if info, err := s.StageInfo(ctx, "upl-big"); err != nil || info.Offset != n {
		t.Fatalf("append kept %d, StageInfo = %v, %v", n, info, err)
	}
	stored, err := os.ReadFile(filepath.Join(dir, "staging", "upl-big", "4194304"))
	must(err)
	if !bytes.Equal(stored, big[:n]) {
		t.Fatalf("of %d bytes that found room %d are there, equal %v", n, len(stored), bytes.HasPrefix(big, stored))
	}

	for kept := int64(1); kept > 0; n += kept {
		kept, err = s.StageAppend(ctx, "upl-big", n, iotest.OneByteReader(bytes.NewReader(big[n:])))
		full(err)
	}

	// With no room for a byte more: the lock stays as it was, and the object stays readable.
	full(s.Hold(ctx, d, false))
	if _, lock, err := s.Stat(ctx, d); err != nil || !lock.Hold {
		t.Fatalf("lock is %v, %v", lock, err)
	}
	if _, err := s.Verify(ctx, d); err != nil {
		t.Fatal(err)
	}

	// The expiry of an upload makes room, and all goes on.
	must(s.StageRemove(ctx, "upl-big"))
	must(s.Hold(ctx, d, false))
	must(s.StageCreate(ctx, "upl-next", 1<<20))
	must(appendUntil(ctx, s, "upl-next", big, 1<<20))
	_, err = s.StageCommit(ctx, "upl-next", sha256.Sum256(big[:1<<20]))
	must(err)
}
