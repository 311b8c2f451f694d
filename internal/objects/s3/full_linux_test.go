package s3_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/versitygw"
)

// The environment variable that makes a test binary a child, and says where it works.
const childDir = "STRONGROOM_TEST_FULL"

// TestFull fills the disk of a server, in a child that may mount a small one of its own.
func TestFull(t *testing.T) {
	need(t)
	dir := os.Getenv(childDir)
	if dir != "" {
		if err := syscall.Mount("none", dir, "tmpfs", 0, "size=40m"); err != nil {
			t.Skipf("needs to mount a tmpfs in a user namespace: %v", err)
		}
		fillDisk(t, dir)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), childDir+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case cmd.Process == nil:
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
	program, err := versitygw.Find()
	must(t, err)
	server, err := versitygw.Start(t.Context(), program, filepath.Join(dir, "gateway"))
	if err != nil {
		t.Skipf("needs extended attributes on tmpfs (Linux 6.6): %v", err)
	}
	defer server.Kill()
	s := create(t, config(server, "full"))
	small := put(t, s, "upl-small", content(1000))
	all := content(6 * block)
	must(t, s.StageCreate(t.Context(), "upl-big", int64(len(all))))
	n, err := s.StageAppend(t.Context(), "upl-big", 0, bytes.NewReader(all))
	is(t, err, objects.ErrFull)
	if n < block || n >= int64(len(all)) || n%block != 0 {
		t.Fatalf("on 40 MiB %d bytes found room", n)
	}
	for _, s := range []objects.Store{s, openConfig(t, config(server, "full"))} {
		info, err := s.StageInfo(t.Context(), "upl-big")
		must(t, err)
		if info.Offset != n {
			t.Fatalf("append kept %d, StageInfo says %d", n, info.Offset)
		}
		_, err = s.Verify(t.Context(), small)
		must(t, err)
		if n, err := s.StageAppend(t.Context(), "upl-big", n, bytes.NewReader(all[n:])); n != 0 || !errors.Is(err, objects.ErrFull) {
			t.Fatalf("append without room = %d, %v", n, err)
		}
	}
	// The expiry of an upload makes room, and all goes on.
	must(t, s.StageRemove(t.Context(), "upl-big"))
	d := put(t, s, "upl-next", all[:block+10])
	_, err = s.Verify(t.Context(), d)
	must(t, err)
}
