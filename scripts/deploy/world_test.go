// Package deploy holds the tests of what is in the folder deploy: that the files say what they must, fit each other, and are accepted by the
// programs that they start. It is a module of its own, so that what reads such files is linked into nothing.
package deploy

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// folder is where what is tested lies.
const folder = "../../deploy"

// program is a program that the caller of the tests names, or skips the test.
func program(t *testing.T, variable, name string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		t.Skipf("%s names no folder with %s (scripts/deploy/check sets it)", variable, name)
	}
	return filepath.Join(dir, name)
}

func strongroomd(t *testing.T) string { return program(t, "STRONGROOM_BIN", "strongroomd") }

// programs are those of others, by the name that a command begins with.
func programOf(t *testing.T, name string) string {
	t.Helper()
	switch name {
	case "strongroomd":
		return strongroomd(t)
	case "trillian_log_server", "trillian_log_signer":
		return program(t, "STRONGROOM_TRILLIAN", name)
	case "versitygw":
		file := os.Getenv("STRONGROOM_VERSITYGW")
		if file == "" {
			t.Skip("STRONGROOM_VERSITYGW names no program")
		}
		return file
	}
	t.Fatalf("nobody knows the program %q", name)
	return ""
}

// accepted demands that a program knows all of its arguments. Asked for help beside them it looks at them first, and does nothing.
func accepted(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), programOf(t, name), append(args, "--help")...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, first(out))
	}
}

var (
	ofServer = regexp.MustCompile(`(?m)(?:^ *strongroomd|/strongroomd|--no-deps replica-1) ((?:init|restore|rotate|serve|config) .*)$`)
	quoted   = regexp.MustCompile(`"\$\([^)]*\)"`)
)

// Each command that README has the operator give to strongroomd is one that it knows.
func TestReadmeCommands(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(folder, "README.md"))
	check(t, err)
	found := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		joined := regexp.MustCompile(` *\\\n *`).ReplaceAllString(block[1], " ")
		for _, command := range ofServer.FindAllStringSubmatch(joined, -1) {
			accepted(t, "strongroomd", strings.Fields(quoted.ReplaceAllString(command[1], "given"))...)
			found++
		}
	}
	if found < 8 {
		t.Errorf("%d commands were found", found)
	}
}

func first(out []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// checked demands that strongroomd takes a configuration, of which every path that begins with one of the pairs' first is at its second.
func checked(t *testing.T, file string, paths ...string) {
	t.Helper()
	text, err := os.ReadFile(file)
	check(t, err)
	moved := filepath.Join(t.TempDir(), "strongroomd.yaml")
	check(t, os.WriteFile(moved, []byte(strings.NewReplacer(paths...).Replace(string(text))), 0o600))
	out, err := exec.CommandContext(t.Context(), strongroomd(t), "config", "check", "--data", t.TempDir(), "--config", moved).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", file, err, out)
	}
}

// copied is a copy of the folder deploy, so that nothing is written there.
func copied(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deploy")
	check(t, os.CopyFS(dir, os.DirFS(folder)))
	return dir
}

func check(t *testing.T, err error) {
	t.Helper()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		t.Fatalf("%v\n%s", err, exit.Stderr)
	}
	if err != nil {
		t.Fatal(err)
	}
}
