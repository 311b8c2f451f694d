package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	demoWaits = "2 seconds"
	waitsFlag = "2s"

	openTime  = 30 * time.Second // for the vault to open
	drainTime = 30 * time.Second // for it to end, once told to
)

// sisterPrograms returns the folder of this program, in which the named ones must be.
func sisterPrograms(names ...string) (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	if own, err = filepath.EvalSymlinks(own); err != nil {
		return "", err
	}
	dir := filepath.Dir(own)
	for _, name := range names {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return "", demoCannot(name+" is missing beside this program.", "Build all programs with ./scripts/build, then run bin/strongroom demo.")
		}
	}
	return dir, nil
}

// vaultProcess is a running strongroomd.
type vaultProcess struct {
	address string
	pid     int

	cmd   *exec.Cmd
	log   string // file with what it writes
	ended chan struct{}
	err   error // of the process, once ended
}

// startVault starts a founded vault on a free port of this computer, and waits until it is open. What it says goes into a new file.
func startVault(ctx context.Context, bin, data, logFile string) (*vaultProcess, error) {
	p := &vaultProcess{log: logFile, ended: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	addressFile := logFile + ".address"
	p.cmd = exec.Command(filepath.Join(bin, "strongroomd"), "serve", "--data", data, "--listen", "127.0.0.1:0", "--address-file", addressFile) //#nosec G204 -- the program beside this one
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = ownProcess()
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	deadline := time.After(openTime)
	for {
		// The address ends with a line feed, so that half of it is not taken for all.
		if text, err := os.ReadFile(addressFile); err == nil && bytes.HasSuffix(text, []byte("\n")) {
			p.address = strings.TrimSpace(string(text))
			return p, os.Remove(addressFile)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.ended:
			return nil, fmt.Errorf("the vault did not open: %w%s", p.err, p.lastWords())
		case <-deadline:
			return nil, errors.Join(fmt.Errorf("the vault did not open within %s%s", openTime, p.lastWords()), p.stop())
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), p.stop())
		}
	}
}

// listens is where the process does: host:port.
func (p *vaultProcess) listens() string {
	at, _, _ := strings.Cut(strings.TrimPrefix(p.address, "https://"), "#")
	return at
}

// wait returns when ctx ends: nil. If the vault ends first, that is an error.
func (p *vaultProcess) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-p.ended:
		return fmt.Errorf("the vault's process ended: %w%s", p.err, p.lastWords())
	}
}

// stop tells the process to end, and ends it if it does not.
func (p *vaultProcess) stop() error {
	select {
	case <-p.ended:
		return p.outcome()
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return errors.Join(err, p.kill())
	}
	select {
	case <-p.ended:
		return p.outcome()
	case <-time.After(drainTime):
		return errors.Join(errors.New("the vault's process did not end when it was told to"), p.kill())
	}
}

func (p *vaultProcess) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	return err
}

func (p *vaultProcess) outcome() error {
	if p.err != nil {
		return fmt.Errorf("the vault's process: %w%s", p.err, p.lastWords())
	}
	return nil
}

// lastWords is the end of what the process wrote.
func (p *vaultProcess) lastWords() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	text = bytes.TrimSpace(text)
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return "\n" + string(text)
}

// run runs another program to its end and returns what it wrote and its exit code.
func (d *demo) run(ctx context.Context, name, memory string, args ...string) (stdout []byte, exit int, err error) {
	var out, errs bytes.Buffer
	c := exec.CommandContext(ctx, filepath.Join(d.bin, name), args...) //#nosec G204 -- a program beside this one
	c.Stdout, c.Stderr = &out, &errs
	c.SysProcAttr = ownProcess()
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	c.WaitDelay = drainTime
	if err := c.Start(); err != nil {
		return nil, -1, err
	}
	d.memory.watch(memory, c.Process.Pid)
	err = c.Wait()
	code := c.ProcessState.ExitCode()
	if ctx.Err() != nil {
		return nil, code, ctx.Err()
	}
	if exited := (*exec.ExitError)(nil); errors.As(err, &exited) && code >= 0 {
		err = nil
	}
	if err == nil && code != 0 && errs.Len() > 0 {
		return out.Bytes(), code, fmt.Errorf("%s: %s", name, bytes.TrimSpace(errs.Bytes()))
	}
	return out.Bytes(), code, err
}
