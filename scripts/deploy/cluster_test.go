package deploy

import (
	"context"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// postgres is a cluster as compose.yaml has it: its settings, its pg_hba.conf, its databases.sh, its certificates and passwords.
type postgres struct {
	bin, dir, secrets, port string
	as                      *syscall.Credential // PostgreSQL refuses to be root
}

func (p *postgres) command(t *testing.T, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(p.bin, name), args...)
	c.Dir = p.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: p.as}
	c.Env = []string{"PATH=" + p.bin + ":" + os.Getenv("PATH"), "LC_ALL=C", "PGHOST=" + p.dir, "PGPORT=" + p.port}
	return c
}

func startPostgres(t *testing.T) *postgres {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	check(t, err)
	if len(found) == 0 {
		t.Skip("PostgreSQL is not installed where Debian puts it")
	}
	dir, project := composed(t, "certificate postgresql postgresql", "certificate postgresql postgresql localhost")
	p := &postgres{bin: found[len(found)-1]}
	p.dir, err = os.MkdirTemp("", "strongroom-deploy-") // t.TempDir is closed to other accounts
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(p.dir) })
	p.secrets = filepath.Join(p.dir, "secrets")
	check(t, os.CopyFS(p.secrets, os.DirFS(filepath.Join(dir, "secrets"))))
	check(t, os.Mkdir(filepath.Join(p.dir, "archive"), 0o700))
	hba, err := os.ReadFile(filepath.Join(dir, "pg_hba.conf"))
	check(t, err)
	if os.Geteuid() == 0 {
		account, err := user.Lookup("postgres")
		check(t, err)
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		p.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	} else {
		hba = []byte(strings.Replace(string(hba), "peer", "trust", 1)) // we are not the account of that name
	}
	check(t, os.WriteFile(filepath.Join(p.dir, "pg_hba.conf"), hba, 0o600))
	check(t, filepath.WalkDir(p.dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			err = os.Chmod(path, 0o600) // which the copy has lost
		}
		if err != nil || p.as == nil {
			return err
		}
		return os.Chown(path, int(p.as.Uid), int(p.as.Gid))
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	_, p.port, _ = net.SplitHostPort(l.Addr().String())
	check(t, l.Close())

	service := project.Services["postgresql"]
	initdb := append([]string{"-D", "data", "-U", "postgres", "--no-sync"}, strings.Fields(*service.Environment["POSTGRES_INITDB_ARGS"])...)
	_, err = p.command(t, "initdb", initdb...).Output()
	check(t, err)
	there := strings.NewReplacer("/run/secrets", p.secrets, "/etc/postgresql", p.dir, "/archive", filepath.Join(p.dir, "archive"))
	args := []string{"-D", "data", "-p", p.port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + p.dir}
	for _, arg := range service.Command[1:] {
		args = append(args, there.Replace(arg))
	}
	server := p.command(t, "postgres", args...)
	server.Stderr = t.Output()
	check(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		_ = server.Wait()
	})
	until(t, "PostgreSQL answers", func() bool { return p.command(t, "pg_isready", "--host", "127.0.0.1").Run() == nil })
	databases := p.command(t, "")
	databases.Path, databases.Args = "/bin/bash", []string{"bash", "-s"}
	script, err := os.Open(filepath.Join(dir, "databases.sh"))
	check(t, err)
	defer script.Close()
	schema, err := os.ReadFile(filepath.Join(dir, "trillian.sql"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(p.dir, "trillian.sql"), schema, 0o644))
	databases.Stdin = script
	databases.Env = append(databases.Env, "PASSWORDS="+p.secrets, "SCHEMA="+filepath.Join(p.dir, "trillian.sql"))
	if out, err := databases.CombinedOutput(); err != nil {
		t.Fatalf("databases.sh: %v\n%s", err, out)
	}
	return p
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("it never came: %s", what)
		}
	}
}

// addressed is a file of the secrets, with this cluster's address in it.
func (p *postgres) addressed(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.secrets, name))
	check(t, err)
	file := filepath.Join(t.TempDir(), name)
	moved := strings.NewReplacer("@postgresql:5432", "@localhost:"+p.port, "/run/secrets", p.secrets).Replace(string(text))
	check(t, os.WriteFile(file, []byte(moved), 0o600))
	return file
}

// The cluster that compose.yaml makes lets each role do what it is for, over TLS, and nobody anything else.
func TestComposeCluster(t *testing.T) {
	binary := strongroomd(t)
	p := startPostgres(t)
	owner, records := p.addressed(t, "owner.url"), p.addressed(t, "records.url")
	out, err := exec.CommandContext(t.Context(), binary, "migrate", "--url-file", owner, "--role", "strongroom").CombinedOutput()
	if err != nil {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	config := filepath.Join(t.TempDir(), "strongroomd.yaml")
	check(t, os.WriteFile(config, []byte("records:\n  postgresql: { url_file: "+records+" }\n"), 0o600))
	out, err = exec.CommandContext(t.Context(), binary, "config", "check", "--reach", "--data", t.TempDir(), "--config", config).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "TLSv1.3") && !strings.Contains(string(out), "TLS 1.3") {
		t.Errorf("the server's role: %v\n%s", err, out)
	}

	// Trillian's programs find their tables.
	flags := p.addressed(t, "trillian.flags")
	text, err := os.ReadFile(flags)
	check(t, err)
	_, rest, _ := strings.Cut(string(text), "--postgresql_uri=")
	uri, _, _ := strings.Cut(rest, "'")
	if out, err := p.command(t, "psql", uri, "--tuples-only", "--command", "select count(*) from trees").CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "0" {
		t.Errorf("trillian's role: %v\n%s", err, out)
	}
	if out, _ := p.command(t, "psql", uri, "--tuples-only", "--no-align", "--command", "show plan_cache_mode").Output(); strings.TrimSpace(string(out)) != "force_custom_plan" {
		t.Errorf("the signer would keep plans made for empty tables: %s", out)
	}

	password := func(role string) string {
		text, err := os.ReadFile(filepath.Join(p.secrets, role+".password"))
		check(t, err)
		return strings.TrimSpace(string(text))
	}
	connects := func(role, database, mode string) error {
		c := p.command(t, "psql", "host=localhost user="+role+" dbname="+database+" sslmode="+mode+" sslrootcert="+filepath.Join(p.secrets, "ca.pem"), "--command", "select 1")
		c.Env = append(c.Env, "PGPASSWORD="+password(role))
		return c.Run()
	}
	for _, test := range []struct {
		role, database, mode string
		may                  bool
	}{
		{"strongroom", "vault", "verify-full", true}, {"strongroom_owner", "vault", "verify-full", true}, {"trillian", "log", "verify-full", true},
		{"strongroom", "vault", "disable", false}, {"strongroom", "log", "verify-full", false}, {"trillian", "vault", "verify-full", false},
		{"backup", "vault", "verify-full", false}, {"postgres", "postgres", "verify-full", false},
	} {
		if err := connects(test.role, test.database, test.mode); (err == nil) != test.may {
			t.Errorf("%s in %s with sslmode=%s: %v", test.role, test.database, test.mode, err)
		}
	}

	// The backup of deploy/README.md, by the role that is for it, and its removal of what is old.
	archived := func() (segments []string) {
		list, err := os.ReadDir(filepath.Join(p.dir, "archive"))
		check(t, err)
		for _, e := range list {
			if len(e.Name()) == 24 {
				segments = append(segments, e.Name())
			}
		}
		return segments
	}
	for _, name := range []string{"first", "second"} {
		base := filepath.Join(p.dir, "base", name)
		backup := p.command(t, "pg_basebackup", "--dbname", "host=localhost user=backup sslmode=verify-full sslrootcert="+filepath.Join(p.secrets, "ca.pem"),
			"--checkpoint", "fast", "--wal-method", "stream", "--pgdata", base)
		backup.Env = append(backup.Env, "PGPASSWORD="+password("backup"))
		if out, err := backup.CombinedOutput(); err != nil {
			t.Fatalf("pg_basebackup: %v\n%s", err, out)
		}
		if out, err := p.command(t, "pg_verifybackup", base).CombinedOutput(); err != nil {
			t.Errorf("pg_verifybackup: %v\n%s", err, out)
		}
	}
	label, err := os.ReadFile(filepath.Join(p.dir, "base", "second", "backup_label"))
	check(t, err)
	_, rest, _ = strings.Cut(string(label), "(file ")
	needed, _, _ := strings.Cut(rest, ")")
	until(t, "archived WAL", func() bool { return slices.Contains(archived(), needed) })
	old := time.Now().Add(-22 * 24 * time.Hour)
	check(t, os.Chtimes(filepath.Join(p.dir, "base", "first"), old, old))
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	check(t, err)
	from := strings.Index(string(readme), "find base ")
	block, _, _ := strings.Cut(string(readme)[max(from, 0):], "```")
	expire := p.command(t, "")
	expire.Path, expire.Args = "/bin/bash", []string{"bash", "-euo", "pipefail", "-c", block}
	if out, err := expire.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", block, err, out)
	}
	left := archived()
	if _, err := os.Stat(filepath.Join(p.dir, "base", "first")); !os.IsNotExist(err) || len(left) == 0 || left[0] != needed {
		t.Errorf("what is old is still there (%v), or too much is gone: %q, and the backup that is left begins at %s", err, left, needed)
	}
}
