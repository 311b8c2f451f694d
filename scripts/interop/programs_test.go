package interop

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// folder is where this run keeps strongroom-verify and packages that are put to it.
var folder string

func TestMain(m *testing.M) {
	folder = must(os.MkdirTemp("", "interop"))
	code := m.Run()
	os.RemoveAll(folder)
	os.Exit(code)
}

// strongroomVerify is our own program, as it is built for a court.
var strongroomVerify = sync.OnceValue(func() string {
	program := filepath.Join(folder, "strongroom-verify")
	if out, err := exec.Command("go", "build", "-C", filepath.Join("..", ".."), "-o", program, "./cmd/strongroom-verify").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("%v: %s", err, out))
	}
	return program
})

// pack is a package, and by what it is to be judged.
type pack struct {
	file, trust string
	identity    string // of its recipient, or ""
	previous    string // a package that was there before, or ""
}

// byProgram is what strongroom-verify says of a package.
func (p pack) byProgram(t *testing.T) string {
	args := []string{"--json", "--trust", p.trust}
	if p.identity != "" {
		args = append(args, "--identity", p.identity)
	}
	if p.previous != "" {
		args = append(args, "--previous", p.previous)
	}
	return verdict(t, exec.Command(strongroomVerify(), append(args, p.file)...))
}

// byScript is what verify.py says of it. It opens no content.
func (p pack) byScript(t *testing.T) string {
	args := []string{filepath.Join("..", "..", "api", "verify.py"), "--json"}
	if p.previous != "" {
		args = append(args, "--previous", p.previous)
	}
	return verdict(t, exec.Command("python3", append(args, p.file, p.trust)...))
}

// verdict runs a program that reports in the form of FORMATS §12, with the exit code that belongs to its verdict.
func verdict(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	var out, complaint bytes.Buffer
	c.Stdout, c.Stderr = &out, &complaint
	var failed *exec.ExitError
	if err := c.Run(); err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	var report struct {
		Verdict string
		Checks  []struct{ Name, Result, Reason, Detail string }
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil {
		t.Fatalf("%v: %s%s", err, out.Bytes(), complaint.Bytes())
	}
	for _, check := range report.Checks {
		if check.Result == "fail" || check.Result == "not_checked" && check.Reason != "not_reached" {
			t.Logf("%s: %s: %s %s", c.Args[0], check.Name, check.Reason, check.Detail)
		}
	}
	words := map[string]struct {
		cell string
		code int
	}{"verified": {accept, 0}, "refused": {refuse, 1}, "incomplete": {incomplete, 2}}
	if word, known := words[report.Verdict]; known && word.code == c.ProcessState.ExitCode() {
		return word.cell
	}
	t.Fatalf("%s says %q and exits with %d", c.Args[0], report.Verdict, c.ProcessState.ExitCode())
	return ""
}
