package logserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/postgresql"
)

// Both programs start, end and start again at the same address, the server speaks TLS alone, and nobody reads the database's password.
func TestPrograms(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	programs, err := Find()
	check(t, err)
	where, err := postgresql.Find()
	check(t, err)
	database, err := postgresql.Start(ctx, where)
	check(t, err)
	defer database.Remove()
	name, err := database.NewDatabase(ctx)
	check(t, err)
	schema, err := Schema(programs)
	check(t, err)
	check(t, database.Exec(ctx, name, schema))
	dir := filepath.Join(t.TempDir(), "servers")
	l, err := Start(ctx, programs, dir, database.URL(name), 50*time.Millisecond)
	check(t, err)
	defer l.Kill()

	known, err := l.TLS()
	check(t, err)
	known.NextProtos = []string{"h2"}
	answers := func() error {
		c, err := tls.Dial("tcp", l.Address(), known)
		if err != nil {
			return err
		}
		return c.Close()
	}
	check(t, answers())
	if _, err := tls.Dial("tcp", l.Address(), &tls.Config{NextProtos: []string{"h2"}}); err == nil {
		t.Error("who trusts others took it for the server")
	}
	password, _, _ := strings.Cut(strings.SplitN(database.URL(name), ":", 3)[2], "@")
	for _, p := range []*Program{l.Server, l.Signer} {
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.Process().Pid)); err == nil && bytes.Contains(line, []byte(password)) {
			t.Error("everybody reads the password")
		}
	}
	files, err := os.ReadDir(dir)
	check(t, err)
	for _, f := range files {
		if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f.Name(), info.Mode(), err)
		}
	}

	l.Server.Kill()
	if answers() == nil {
		t.Error("a killed server answers")
	}
	check(t, l.Server.Run(ctx))
	check(t, answers())
	check(t, l.Server.Stop())
	if answers() == nil {
		t.Error("a stopped server answers")
	}
	check(t, l.Server.Run(ctx))
	check(t, answers())
	l.Kill()
	l.Kill() // whoever cleans up need not know

	if _, err := Start(ctx, programs, filepath.Join(t.TempDir(), "other"), database.URLFor(name, "nobody", "guessed"), time.Second); err == nil || !strings.Contains(err.Error(), "trillian_log_server") {
		t.Errorf("without a database: %v", err)
	}
}

func TestMissing(t *testing.T) {
	t.Setenv("STRONGROOM_TRILLIAN", "/elsewhere")
	if dir, err := Find(); err != nil || dir != "/elsewhere" {
		t.Errorf("%s, %v", dir, err)
	}
	t.Setenv("STRONGROOM_TRILLIAN", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if _, err := Find(); err != ErrMissing || !strings.Contains(err.Error(), "./scripts/trillian") {
		t.Errorf("missing: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
