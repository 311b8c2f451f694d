package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
)

var cores = runtime.GOMAXPROCS(0)

// size is a file's, a quarter of it in a quick run.
func (b *bench) size(full int64) int64 {
	if b.quick {
		return full / 4
	}
	return full
}

// command runs a peer to its end.
func command(ctx context.Context, name string, args ...string) {
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "RESTIC_PASSWORD=benchmark")
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Run(); err != nil {
		check(fmt.Errorf("%s: %w: %s", name, err, bytes.TrimSpace(out.Bytes())))
	}
}

func shell(ctx context.Context, script string, args ...string) {
	command(ctx, "bash", append([]string{"-c", script, "bash"}, args...)...)
}
