package deploy

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// postgres is a cluster as compose.yaml has it: its settings, its pg_hba.conf, its databases.sh, its certificates and passwords.
type postgres struct {
	bin, dir, secrets, port string
	as                      *syscall.Credential // PostgreSQL refuses to be root
	project                 *types.Project
	stop                    func()
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
	dir, project := composed(t, "certificate postgresql postgresql", "certificate postgresql postgresql localhost",
		"certificate trillian trillian-server", "certificate trillian trillian-server localhost", "certificate s3 s3", "certificate s3 s3 localhost")
	p := &postgres{bin: found[len(found)-1], project: project}
	p.dir, err = os.MkdirTemp("", "strongroom-deploy-") // t.TempDir is closed to other accounts
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(p.dir) })
	p.secrets = filepath.Join(p.dir, "secrets")
	check(t, os.CopyFS(p.secrets, os.DirFS(filepath.Join(dir, "secrets"))))
	check(t, os.CopyFS(filepath.Join(p.dir, "programs"), os.DirFS(filepath.Join(dir, "..", "postgresql"))))
	for _, name := range []string{"archive", "base"} {
		check(t, os.Mkdir(filepath.Join(p.dir, name), 0o700))
	}
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
		if err == nil && e.Type().IsRegular() { // whose mode the copy has lost
			mode := os.FileMode(0o600)
			if filepath.Base(filepath.Dir(path)) == "programs" {
				mode = 0o700
			}
			err = os.Chmod(path, mode)
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
	p.start(t)
	databases := p.command(t, "")
	databases.Path, databases.Args = "/bin/bash", []string{"bash", "-s"}
	script, err := os.Open(filepath.Join(dir, "databases.sh"))
	check(t, err)
	defer script.Close()
	schema, err := os.ReadFile(filepath.Join(dir, "trillian.sql"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(p.dir, "trillian.sql"), schema, 0o644))
	databases.Stdin = script
	// What stands on command lines is kept: the list of processes shows it to every account of the machine.
	lines := filepath.Join(p.dir, "lines")
	check(t, os.Mkdir(lines, 0o777))
	check(t, os.Chmod(lines, 0o777))
	listed := "#!/bin/bash\necho \"$@\" >>" + lines + "/said\nexec " + filepath.Join(p.bin, "psql") + " \"$@\"\n"
	check(t, os.WriteFile(filepath.Join(lines, "psql"), []byte(listed), 0o755))
	databases.Env = append(databases.Env, "PATH="+lines+":"+p.bin+":"+os.Getenv("PATH"), "PASSWORDS="+p.secrets, "SCHEMA="+filepath.Join(p.dir, "trillian.sql"))
	if out, err := databases.CombinedOutput(); err != nil {
		t.Fatalf("databases.sh: %v\n%s", err, out)
	}
	said, err := os.ReadFile(filepath.Join(lines, "said"))
	check(t, err)
	for _, role := range []string{"strongroom_owner", "strongroom", "trillian", "backup"} {
		if strings.Contains(string(said), p.password(t, role)) {
			t.Errorf("the list of processes showed the password of %s", role)
		}
	}
	return p
}

// start starts the server on what is in the folder data, with compose's settings.
func (p *postgres) start(t *testing.T) {
	t.Helper()
	there := strings.NewReplacer("/run/secrets", p.secrets, "/etc/postgresql", p.dir, "/usr/local/bin/", filepath.Join(p.dir, "programs")+"/",
		"/archive", filepath.Join(p.dir, "archive"))
	args := []string{"-D", "data", "-p", p.port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + p.dir}
	for _, arg := range p.project.Services["postgresql"].Command[1:] {
		args = append(args, there.Replace(arg))
	}
	server := p.command(t, "postgres", args...)
	server.Stderr = t.Output()
	check(t, server.Start())
	p.stop = sync.OnceFunc(func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		_ = server.Wait()
	})
	t.Cleanup(p.stop)
	until(t, "PostgreSQL answers", func() bool { return p.command(t, "pg_isready", "--host", "127.0.0.1").Run() == nil })
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("it never came: %s", what)
		}
	}
}

func (p *postgres) password(t *testing.T, role string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.secrets, role+".password"))
	check(t, err)
	return strings.TrimSpace(string(text))
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

	// Whoever runs the cluster writes the table anew without a password.
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	check(t, err)
	_, rest, _ := strings.Cut(string(readme), "docker compose exec postgresql psql ")
	line, _, found := strings.Cut(rest, "\n")
	vacuum := p.command(t, "")
	vacuum.Path, vacuum.Args = "/bin/bash", []string{"bash", "-c", filepath.Join(p.bin, "psql") + " " + line}
	if out, err := vacuum.CombinedOutput(); err != nil || !found || !strings.Contains(string(out), "VACUUM") {
		t.Errorf("psql %s: %v\n%s", line, err, out)
	}

	// Trillian's programs find their tables.
	flags := p.addressed(t, "trillian.flags")
	text, err := os.ReadFile(flags)
	check(t, err)
	_, rest, _ = strings.Cut(string(text), "--postgresql_uri=")
	uri, _, _ := strings.Cut(rest, "'")
	if out, err := p.command(t, "psql", uri, "--tuples-only", "--command", "select count(*) from trees").CombinedOutput(); err != nil || strings.TrimSpace(string(out)) != "0" {
		t.Errorf("trillian's role: %v\n%s", err, out)
	}
	if out, _ := p.command(t, "psql", uri, "--tuples-only", "--no-align", "--command", "show plan_cache_mode").Output(); strings.TrimSpace(string(out)) != "force_custom_plan" {
		t.Errorf("the signer would keep plans made for empty tables: %s", out)
	}

	connects := func(role, database, mode string) error {
		c := p.command(t, "psql", "host=localhost user="+role+" dbname="+database+" sslmode="+mode+" sslrootcert="+filepath.Join(p.secrets, "ca.pem"), "--command", "select 1")
		c.Env = append(c.Env, "PGPASSWORD="+p.password(t, role))
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
}

// backup is the one of compose.yaml, by the role that is for it.
func (p *postgres) backup(t *testing.T) error {
	t.Helper()
	_, project := composed(t)
	service := project.Services["backup"]
	there := strings.NewReplacer("/run/secrets", p.secrets, "/usr/local/bin/", filepath.Join(p.dir, "programs")+"/", "/base", filepath.Join(p.dir, "base"),
		"/archive", filepath.Join(p.dir, "archive"), "host=postgresql", "host=localhost port="+p.port)
	var args []string
	for _, arg := range append(slices.Clone([]string(service.Entrypoint)), service.Command...) {
		args = append(args, there.Replace(arg))
	}
	pass := filepath.Join(p.secrets, "backup.pgpass")
	text, err := os.ReadFile(pass)
	check(t, err)
	check(t, os.WriteFile(pass, []byte(strings.Replace(string(text), "postgresql:5432:", "localhost:"+p.port+":", 1)), 0o600))
	c := p.command(t, "")
	c.Path, c.Args = args[0], args
	out, err := c.CombinedOutput()
	t.Logf("%s", out)
	return err
}

func (p *postgres) bases(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(p.dir, "base", "2*"))
	check(t, err)
	return found
}

// archived are the files of WAL that were kept.
func (p *postgres) archived(t *testing.T) (segments []string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(p.dir, "archive", "*.gz"))
	check(t, err)
	for _, file := range found {
		if name := strings.TrimSuffix(filepath.Base(file), ".gz"); len(name) == 24 {
			segments = append(segments, name)
		}
	}
	return segments
}

// began is the first file of WAL that a base backup needs.
func began(t *testing.T, base string) string {
	t.Helper()
	label, err := os.ReadFile(filepath.Join(base, "backup_label"))
	check(t, err)
	_, rest, _ := strings.Cut(string(label), "(file ")
	file, _, _ := strings.Cut(rest, ")")
	return file
}

// What is too old goes once there is something younger that is whole, and not before.
func TestComposeBackup(t *testing.T) {
	p := startPostgres(t)
	query := func(text string) string {
		out, err := p.command(t, "psql", "--username", "postgres", "--dbname", "postgres", "--tuples-only", "--no-align", "--command", text).Output()
		check(t, err)
		return strings.TrimSpace(string(out))
	}
	check(t, p.backup(t))
	first := p.bases(t)
	if len(first) != 1 {
		t.Fatalf("backups: %q", first)
	}
	aged := filepath.Join(p.dir, "base", time.Now().Add(-22*24*time.Hour).UTC().Format("20060102T150405Z"))
	check(t, os.Rename(first[0], aged))

	// One that fails removes nothing, and leaves nothing that could be taken for a backup.
	verify := filepath.Join(p.dir, "programs", "pg_verifybackup")
	check(t, os.WriteFile(verify, []byte("#!/bin/sh\nrm \"$2/PG_VERSION\"\nexec "+filepath.Join(p.bin, "pg_verifybackup")+" \"$@\"\n"), 0o755))
	path := p.bin
	p.bin = filepath.Join(p.dir, "programs") + ":" + path
	if p.backup(t) == nil {
		t.Error("a damaged backup was taken for one")
	}
	p.bin = path
	check(t, os.Remove(verify))
	if left := p.bases(t); !slices.Contains(left, aged) {
		t.Errorf("the last good backup went for a damaged one: %q", left)
	}

	query("select pg_switch_wal()")
	check(t, p.backup(t))
	left := p.bases(t)
	if len(left) != 1 || left[0] == aged {
		t.Fatalf("backups: %q", left)
	}
	needed := began(t, left[0])
	until(t, "archived WAL", func() bool { return slices.Contains(p.archived(t), needed) })
	if kept := p.archived(t); kept[0] != needed {
		t.Errorf("the backup that is left begins at %s, and kept are %q", needed, kept)
	}

	// A file of WAL with little in it is kept as little.
	file := query("select pg_walfile_name(pg_current_wal_lsn())")
	query("create table numbers (x int); insert into numbers select generate_series(1, 1000); select pg_switch_wal()")
	until(t, "the file of WAL in the archive", func() bool { return slices.Contains(p.archived(t), file) })
	at := filepath.Join(p.dir, "archive", file+".gz")
	info, err := os.Stat(at)
	check(t, err)
	t.Logf("a file of WAL with a thousand rows: %d bytes", info.Size())
	if info.Size() > 256<<10 {
		t.Errorf("a file of WAL with a thousand rows is kept as %d bytes", info.Size())
	}

	// After a crash PostgreSQL may have the same file kept again; another of its name is refused.
	again := filepath.Join(p.dir, "again")
	text, err := exec.CommandContext(t.Context(), "gzip", "-dc", at).Output()
	check(t, err)
	keep := func() error {
		check(t, os.WriteFile(again, text, 0o644))
		c := p.command(t, "")
		c.Path, c.Args = filepath.Join(p.dir, "programs", "keep-wal"), []string{"keep-wal", again, filepath.Join(p.dir, "archive", file)}
		return c.Run()
	}
	if err := keep(); err != nil {
		t.Errorf("the same file again: %v", err)
	}
	text[len(text)-1] ^= 1
	if keep() == nil {
		t.Error("another file of the same name was taken")
	}

	// What deploy/README.md has PostgreSQL restore from is what was kept.
	readme, err := os.ReadFile(filepath.Join(folder, "README.md"))
	check(t, err)
	_, rest, _ := strings.Cut(string(readme), "restore_command = '")
	command, _, found := strings.Cut(rest, "'")
	restore := exec.CommandContext(t.Context(), "sh", "-c", strings.NewReplacer("/archive", filepath.Join(p.dir, "archive"), "%f", file, "%p", again).Replace(command))
	if out, err := restore.CombinedOutput(); err != nil || !found {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	got, err := os.ReadFile(again)
	check(t, err)
	text[len(text)-1] ^= 1
	if !bytes.Equal(got, text) {
		t.Error("what is restored is not what was kept")
	}
}
