package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/words"
)

// bin is where TestMain builds the programs; empty with -short.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Setenv("LC_ALL", "C") // what is tested does not depend on this machine's language
	os.Exit(func() int {
		if testing.Short() {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "strongroom-bin")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		build := exec.Command("go", "build", "-o", dir+string(filepath.Separator), ".", "../strongroomd")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		bin = dir
		return m.Run()
	}())
}

// person is somebody with a folder of their own, who types commands.
type person struct {
	t    *testing.T
	home string
	with []string // arguments of every command
	id   string
}

// said is what came of a command.
type said struct {
	t        *testing.T
	out, err string
	code     int
}

// types runs a command; stdin is what the person types.
func (p *person) types(stdin string, args ...string) said {
	p.t.Helper()
	s := runProgram(p.t, stdin, "strongroom", append(append([]string{"--home", p.home}, p.with...), args...)...)
	for _, text := range []string{s.out, s.err} {
		for line := range strings.SplitSeq(text, "\n") {
			if !strings.HasPrefix(line, "{") && !strings.HasPrefix(line, "[") {
				checkText(p.t, strings.Join(args, " "), line)
			}
		}
	}
	return s
}

func runProgram(t *testing.T, stdin, program string, args ...string) said {
	t.Helper()
	return runCommand(t, stdin, exec.Command(filepath.Join(bin, program), args...))
}

// runThrough runs a program by another one.
func runThrough(t *testing.T, through []string, program string, args ...string) said {
	t.Helper()
	return runCommand(t, "", exec.Command(through[0], append(append(slices.Clone(through[1:]), program), args...)...))
}

func runCommand(t *testing.T, stdin string, c *exec.Cmd) said {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &errs
	c.Env = append(os.Environ(), "STRONGROOM_HOME=", "STRONGROOM_PASSPHRASE_FILE=")
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return said{t, out.String(), errs.String(), c.ProcessState.ExitCode()}
}

func (s said) ends(code int) said {
	s.t.Helper()
	if s.code != code {
		s.t.Fatalf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", s.code, code, s.out, s.err)
	}
	return s
}

// has demands texts in what was said. Lines are joined first: where they break depends on paths.
func (s said) has(texts ...string) said {
	s.t.Helper()
	all := strings.Join(strings.Fields(s.out+" "+s.err), " ")
	for _, text := range texts {
		if !strings.Contains(all, text) {
			s.t.Fatalf("%q is missing\nstdout:\n%s\nstderr:\n%s", text, s.out, s.err)
		}
	}
	return s
}

// object reads the one JSON object on stdout.
func (s said) object() map[string]any {
	s.t.Helper()
	return decodeOne[map[string]any](s.t, s.ends(0).out)
}

// refused demands exit code and reason of an error in JSON.
func (s said) refused(code int, reason string) {
	s.t.Helper()
	e := decodeOne[struct{ Reason, Message string }](s.t, lastLine(s.ends(code).err))
	if e.Reason != reason || e.Message == "" {
		s.t.Fatalf("reason %q, want %q\n%s", e.Reason, reason, s.err)
	}
	checkText(s.t, "message", e.Message)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

func decodeOne[T any](t *testing.T, text string) (v T) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
	if d.More() {
		t.Fatalf("more than one JSON value:\n%s", text)
	}
	return v
}

// decodeLines reads one JSON object per line.
func decodeLines[T any](t *testing.T, text string) (list []T) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			list = append(list, decodeOne[T](t, line))
		}
	}
	return list
}

func str(t *testing.T, o map[string]any, name string) string {
	t.Helper()
	s, ok := o[name].(string)
	if !ok || s == "" {
		t.Fatalf("%q is missing in %v", name, o)
	}
	return s
}

// banned are the words that no first-level text may have (INTERFACE §6).
var banned = regexp.MustCompile(`(?i)\b(hash(es)?|merkle|tokens?|ciphertext|users?|victims?|delete evidence|are you sure|invalid|failed|upload failed)\b`)

// checkText demands that a text fits the screen and the words of INTERFACE §6. A path or address longer than a line stands alone.
func checkText(t *testing.T, where, text string) {
	t.Helper()
	if word := banned.FindString(text); word != "" {
		t.Errorf("%s: the word %q is not for people:\n%s", where, word, text)
	}
	for line := range strings.SplitSeq(text, "\n") {
		rest := strings.TrimSpace(line[min(indent, len(line)):])
		if words.Width(line) > width && strings.Contains(rest, " ") && !strings.HasPrefix(where, "message") {
			t.Errorf("%s: longer than %d columns: %q", where, width, line)
		}
	}
}
