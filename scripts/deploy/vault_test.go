package deploy

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// shared is compose's vault on this machine: its engines, by the command lines of compose.yaml, and its replicas' folders.
type shared struct {
	*postgres
	dir, config string
	moved       *strings.Replacer // from what stands in compose.yaml and README.md
	trillian    []func()
}

// run starts a program that goes on, and returns what ends it.
func run(t *testing.T, name string, env []string, args ...string) (stop func()) {
	t.Helper()
	c := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	c.Env = append(os.Environ(), env...)
	said := &output{}
	c.Stdout, c.Stderr = said, said
	check(t, c.Start())
	stop = sync.OnceFunc(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = c.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said)
		}
	})
	t.Cleanup(stop)
	return stop
}

func answers(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

func startShared(t *testing.T) *shared {
	t.Helper()
	strongroomd(t)
	v := &shared{postgres: startPostgres(t), dir: t.TempDir()}
	at := map[string]string{"log": unused(t), "s3": unused(t)}
	port := func(name string) string { _, p, _ := net.SplitHostPort(at[name]); return p }
	v.moved = strings.NewReplacer("trillian-server:8090", "localhost:"+port("log"), "https://s3:7070", "https://localhost:"+port("s3"), "0.0.0.0:7070", at["s3"],
		"0.0.0.0:8090", at["log"], "127.0.0.1:8092", unused(t), "@postgresql:5432", "@localhost:"+v.port, "/run/secrets/", v.secrets+"/",
		"/etc/strongroom/strongroomd.yaml", filepath.Join(v.dir, "strongroomd.yaml"), "/data/", filepath.Join(v.dir, "data")+"/")
	for _, name := range []string{"records.url", "owner.url", "trillian.flags"} {
		v.move(t, filepath.Join(v.secrets, name), filepath.Join(v.secrets, name))
	}
	v.move(t, filepath.Join(folder, "compose", "strongroomd.yaml"), filepath.Join(v.dir, "strongroomd.yaml"), "0.0.0.0:8443", "127.0.0.1:0", "drain: 10s", "drain: 0s")

	for _, name := range []string{"objects", "versions"} {
		check(t, os.MkdirAll(filepath.Join(v.dir, "data", name), 0o700))
	}
	env, err := os.ReadFile(filepath.Join(v.secrets, "s3.env"))
	check(t, err)
	run(t, programOf(t, "versitygw"), strings.Fields(string(env)), v.args(v.project.Services["s3"].Command)...)
	until(t, "the bucket's service answers", func() bool { return answers(at["s3"]) })
	v.startTrillian(t)
	return v
}

// move copies a file with this machine's addresses and paths, and the first of each pair replaced by the second.
func (v *shared) move(t *testing.T, from, to string, changes ...string) {
	t.Helper()
	text, err := os.ReadFile(from)
	check(t, err)
	check(t, os.WriteFile(to, []byte(strings.NewReplacer(changes...).Replace(v.moved.Replace(string(text)))), 0o600))
}

func (v *shared) args(command []string) (args []string) {
	for _, arg := range command {
		args = append(args, v.moved.Replace(arg))
	}
	return args
}

func (v *shared) startTrillian(t *testing.T) {
	t.Helper()
	for _, stop := range v.trillian {
		stop()
	}
	v.trillian = nil
	for _, name := range []string{"trillian-server", "trillian-signer"} {
		args := v.args(v.project.Services[name].Command)
		v.trillian = append(v.trillian, run(t, programOf(t, strings.TrimPrefix(args[0], "/")), nil, args[1:]...))
	}
}

// strongroomd runs a command as in the container of a replica, whose folder is where its image says.
func (v *shared) strongroomd(t *testing.T, replica string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), strongroomd(t), v.args(args)...)
	c.Env = append(os.Environ(), "XDG_DATA_HOME="+filepath.Join(v.dir, replica))
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("strongroomd %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// serve starts a replica, by the command line of compose.yaml, and waits until it is ready.
func (v *shared) serve(t *testing.T, replica string) (stop func()) {
	t.Helper()
	metrics, config := unused(t), filepath.Join(v.dir, replica+".yaml")
	text, err := os.ReadFile(filepath.Join(v.dir, "strongroomd.yaml"))
	check(t, err)
	text = regexp.MustCompile(`listen: \S+ # published`).ReplaceAll(text, []byte("listen: "+metrics+" # published"))
	check(t, os.WriteFile(config, text, 0o600))
	var args []string
	for _, arg := range v.args(v.project.Services[replica].Command) {
		args = append(args, strings.Replace(arg, filepath.Join(v.dir, "strongroomd.yaml"), config, 1))
	}
	stop = run(t, strongroomd(t), []string{"XDG_DATA_HOME=" + filepath.Join(v.dir, replica)}, args...)
	until(t, replica+" is ready", func() bool {
		return exec.CommandContext(t.Context(), strongroomd(t), "ready", "--address", metrics).Run() == nil
	})
	return stop
}

// readmes are the commands that deploy/README.md has in the replica's container.
func readmes(t *testing.T) (commands [][]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, "README.md"))
	check(t, err)
	joined := strings.ReplaceAll(string(text), "\\\n", " ")
	for _, found := range regexp.MustCompile(`(?m)^docker compose run --rm --no-deps replica-1 (.*)$`).FindAllStringSubmatch(joined, -1) {
		commands = append(commands, strings.Fields(quoted.ReplaceAllString(found[1], "RECIPIENT")))
	}
	return commands
}

// The vault of compose, as deploy/README.md has it made, served by both replicas, backed up, lost, and put back, with the engines themselves.
func TestComposeVault(t *testing.T) {
	v := startShared(t)
	v.strongroomd(t, "", v.project.Services["migrate"].Command...)
	folders := map[string]string{"replica-1": filepath.Join(v.dir, "replica-1", "strongroomd"), "replica-2": filepath.Join(v.dir, "replica-2", "strongroomd")}
	for _, path := range folders {
		check(t, os.MkdirAll(path, 0o700))
	}
	people := filepath.Join(filepath.Dir(strongroomd(t)), "strongroom")
	check(t, os.WriteFile(filepath.Join(v.dir, "phrase"), []byte("four unrelated words here\n"), 0o600))
	for _, role := range []string{"administrator", "custodian"} {
		file := map[string]string{"administrator": "admin", "custodian": role}[role] + ".founder"
		_, err := exec.CommandContext(t.Context(), people, "--home", filepath.Join(v.dir, role), "--passphrase-file", filepath.Join(v.dir, "phrase"),
			"found", "--vault", "vault.clinic.example", "--role", role, "--out", filepath.Join(folders["replica-1"], file)).Output()
		check(t, err)
	}
	ceremony := filepath.Join(v.dir, "ceremony")
	_ = exec.CommandContext(t.Context(), people, "ceremony", "--trustees", "5", "--needed", "3", "--out", ceremony).Run() // nobody types parts here
	recipient, err := os.ReadFile(filepath.Join(ceremony, "recipient.txt"))
	check(t, err)
	commands := readmes(t)
	if len(commands) != 2 {
		t.Fatalf("README has %d commands", len(commands))
	}
	for _, command := range commands {
		for i, arg := range command {
			command[i] = strings.NewReplacer("RECIPIENT", strings.TrimSpace(string(recipient)), "/var/lib/strongroomd", folders["replica-1"]).Replace(arg)
		}
		v.strongroomd(t, "replica-1", command...)
	}
	check(t, exec.CommandContext(t.Context(), "cp", "--archive", folders["replica-1"]+"/.", folders["replica-2"]+"/").Run())
	kept := filepath.Join(v.dir, "kept") // the folder, with the backups
	check(t, os.CopyFS(kept, os.DirFS(folders["replica-1"])))

	check(t, v.backup(t))
	// They name their version in the log, which has more than the backup then.
	stop := []func(){v.serve(t, "replica-1"), v.serve(t, "replica-2")}
	for _, end := range stop {
		end()
	}
	for name, path := range folders {
		text, err := os.ReadFile(filepath.Join(path, "checkpoint"))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(v.dir, name+".checkpoint"), text, 0o600))
	}

	// The cluster's disk is lost, but for the archive and what its last WAL was.
	until(t, "all WAL is kept", func() bool {
		out, err := v.command(t, "psql", "--username", "postgres", "--dbname", "postgres", "--tuples-only", "--no-align", "--command",
			"select pg_walfile_name(pg_switch_wal() - 1)").Output()
		check(t, err)
		_, err = os.Stat(filepath.Join(v.postgres.dir, "archive", strings.TrimSpace(string(out))+".gz"))
		return err == nil
	})
	for _, end := range v.trillian {
		end()
	}
	v.trillian = nil
	v.stop()
	check(t, os.RemoveAll(filepath.Join(v.postgres.dir, "data")))
	text, err := os.ReadFile(filepath.Join(folder, "README.md"))
	check(t, err)
	_, block, _ := strings.Cut(string(text), "cp --archive base/")
	block, _, _ = strings.Cut("cp --archive base/"+block, "```")
	block = regexp.MustCompile(`base/\d+T\d+Z`).ReplaceAllString(block, v.bases(t)[0])
	block = strings.NewReplacer("/var/lib/postgresql/data", filepath.Join(v.postgres.dir, "data"), "/archive", filepath.Join(v.postgres.dir, "archive")).Replace(block)
	back := v.command(t, "")
	back.Path, back.Args = "/bin/bash", []string{"bash", "-euo", "pipefail", "-c", block}
	if out, err := back.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", block, err, out)
	}
	v.start(t)
	until(t, "the cluster is whole", func() bool {
		out, _ := v.command(t, "psql", "--username", "postgres", "--dbname", "postgres", "--tuples-only", "--no-align", "--command", "select pg_is_in_recovery()").Output()
		return strings.TrimSpace(string(out)) == "f"
	})
	v.startTrillian(t)

	_, line, _ := strings.Cut(string(text), "strongroomd restore --engines")
	line, _, _ = strings.Cut(strings.ReplaceAll(line, "\\\n", " "), "\n")
	args := []string{"restore", "--engines"}
	for _, arg := range strings.Fields(line) {
		if !strings.HasPrefix(arg, "--") {
			arg = map[string]string{"vault": kept, "passphrase": filepath.Join(v.secrets, "passphrase")}[arg] + map[bool]string{true: filepath.Join(v.dir, arg)}[strings.Contains(arg, ".")]
		}
		args = append(args, arg)
	}
	if said := v.strongroomd(t, "", args...); !strings.Contains(said, "Restored") {
		t.Errorf("restore: %s", said)
	}
	for _, path := range folders {
		check(t, os.RemoveAll(path))
		check(t, os.CopyFS(path, os.DirFS(kept)))
	}
	v.serve(t, "replica-1")
	v.serve(t, "replica-2")
}
