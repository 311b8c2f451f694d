package logserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"strongroom.example/strongroom/internal/installed"
)

// Program is one of the two: running, or not.
type Program struct {
	path, config, log, address string

	process *exec.Cmd
	ended   chan struct{} // closed once the process is gone
}

// Run starts the program, at the same address each time, and waits until it listens.
func (p *Program) Run(ctx context.Context) error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(p.path, "--logtostderr", "--config", p.config) //#nosec G204 -- the program that the caller chose
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	go func() {
		_ = process.Wait()
		close(ended)
	}()
	p.process, p.ended = process, ended
	if err := installed.Listening(ctx, p.address, ended); err != nil {
		p.Kill()
		out, _ := os.ReadFile(p.log)
		return fmt.Errorf("%s does not listen: %w\n%s", p.path, err, bytes.TrimSpace(out))
	}
	return nil
}

// Stop asks the program to end, and waits: it finishes what it is at, and takes some seconds about it.
func (p *Program) Stop() error {
	if p.process == nil {
		return nil
	}
	err := p.process.Process.Signal(syscall.SIGTERM)
	<-p.ended
	return err
}

// Kill ends the program at once, if it runs.
func (p *Program) Kill() {
	if p.process != nil {
		_ = p.process.Process.Kill()
		<-p.ended
	}
}

// Process is the running program's.
func (p *Program) Process() *os.Process { return p.process.Process }
