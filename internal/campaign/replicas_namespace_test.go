package campaign

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// namespace is a network of its own, in which nothing is but a loopback. nil is everybody's.
type namespace struct {
	testing.TB
	name string
	file *os.File
}

// setns is the number of Linux's system call of that name.
var setns = map[string]uintptr{"amd64": 308, "arm64": 268}[runtime.GOARCH]

const newNetwork = 0x40000000 // CLONE_NEWNET

// newNamespace makes one, or says why it cannot: that takes Linux, root, and the programs ip and iptables.
func newNamespace(t testing.TB) (*namespace, error) {
	t.Helper()
	if runtime.GOOS != "linux" || setns == 0 || os.Geteuid() != 0 {
		return nil, fmt.Errorf("network namespaces are made by root on Linux")
	}
	n := &namespace{TB: t, name: fmt.Sprintf("strongroom-%x", rand.Uint64())}
	if err := run("ip", "netns", "add", n.name); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if n.file != nil {
			n.file.Close()
		}
		if err := run("ip", "netns", "delete", n.name); err != nil {
			t.Error(err)
		}
	})
	var err error
	if n.file, err = os.Open("/run/netns/" + n.name); err != nil {
		return nil, err
	}
	if err := n.run("ip", "link", "set", "lo", "up"); err != nil {
		return nil, err
	}
	return n, n.run("iptables", "--list", "--numeric")
}

// under is the command that runs others in the namespace.
func (n *namespace) under() []string {
	if n == nil {
		return nil
	}
	return []string{"ip", "netns", "exec", n.name}
}

func (n *namespace) run(command ...string) error {
	return run(append(n.under(), command...)...)
}

func run(command ...string) error {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%v: %w: %s", command, err, out)
	}
	return nil
}

// do calls f in the namespace, where its sockets stay. The thread is never used again.
func (n *namespace) do(f func() error) error {
	if n == nil {
		return f()
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if _, _, failed := syscall.RawSyscall(setns, n.file.Fd(), newNetwork, 0); failed != 0 {
			done <- failed
			return
		}
		done <- f()
	}()
	return <-done
}

func (n *namespace) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = n.do(func() error {
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// drop has the kernel drop every packet to and from an address in the namespace, of one connection or, if from is "", of all; or no longer.
func (n *namespace) drop(address, from string, on bool) {
	n.Helper()
	what := "--delete"
	if on {
		what = "--append"
	}
	for ours, theirs := range map[string]string{"--dport": "--sport", "--sport": "--dport"} {
		rule := []string{"iptables", what, "INPUT", "--protocol", "tcp", ours, port(n, address)}
		if from != "" {
			rule = append(rule, theirs, port(n, from))
		}
		check(n, n.run(append(rule, "--jump", "DROP")...))
	}
}

func port(t testing.TB, address string) string {
	t.Helper()
	_, number, err := net.SplitHostPort(address)
	check(t, err)
	return number
}
