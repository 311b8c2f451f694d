package main

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// verifier builds the third program beside those of TestMain.
var verifier = sync.OnceValue(func() error {
	if out, err := exec.Command("go", "build", "-o", bin+string(filepath.Separator), "../strongroom-verify").CombinedOutput(); err != nil {
		return errors.Join(err, errors.New(string(out)))
	}
	return nil
})

func needPrograms(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs the real programs; run without -short")
	}
	if err := verifier(); err != nil {
		t.Fatal(err)
	}
}

// runDemo runs the program in dir with a temporary folder of its own, in which it must leave nothing behind.
func runDemo(t *testing.T, dir string, args ...string) said {
	t.Helper()
	temp := t.TempDir()
	defer leftNothing(t, temp)
	c := exec.Command(filepath.Join(dir, "strongroom"), append([]string{"demo"}, args...)...)
	c.Env = append(os.Environ(), "TMPDIR="+temp, "STRONGROOM_DEMO_MAX_MEMORY=268435456")
	return ran(t, c)
}

func ran(t *testing.T, c *exec.Cmd) said {
	t.Helper()
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return said{t, out.String(), errs.String(), c.ProcessState.ExitCode()}
}

func leftNothing(t *testing.T, temp string) {
	t.Helper()
	left, err := os.ReadDir(temp)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("the demo left %s behind", f.Name())
	}
}

// The whole journey, on awkward files; then everything that it left is checked with the programs themselves.
func TestDemo(t *testing.T) {
	needPrograms(t)
	t.Parallel()
	files := t.TempDir()
	large := bytes.Repeat([]byte("0123456789abcdef"), 3<<20/16)
	given := []string{"плівка № 1 — صورة.bin", "empty", "two\nlines\x1b[31m"}
	for i, content := range [][]byte{large, nil, {0}} {
		given[i] = filepath.Join(files, given[i])
		if err := os.WriteFile(given[i], content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	keep := filepath.Join(t.TempDir(), "kept here")
	demo := runDemo(t, bin, append([]string{"--once", "--keep", keep}, given...)...).ends(0).has(
		"3.1 MB", "“empty”, 0 bytes", "two\uFFFDlines", "strongroom-verify says: verified, 8 checks passed",
		"The vault refuses as well", "A copy with one changed byte", "there is no step 13", "No independent witness was required")
	memory := regexp.MustCompile(`^memory: this program \d+ MB, server \d+ MB, verifier \d+ MB$`)
	if last := lastLine(demo.out); runtime.GOOS == "linux" && !memory.MatchString(last) {
		t.Errorf("the last line is %q", last)
	}
	journey, _, _ := strings.Cut(demo.out, "Kept in")
	checkText(t, "demo", journey)
	if strings.ContainsAny(journey, "\x1b\r\t") {
		t.Errorf("a file name reached the terminal as it is: %q", journey)
	}

	for _, name := range []string{"administrator", "clinician", "investigator", "custodian-1", "custodian-2", "court"} {
		if _, err := os.Stat(filepath.Join(keep, "people", name, signingFile)); err != nil {
			t.Error(err)
		}
	}
	court := func(name string) string { return filepath.Join(keep, "court", name) }
	opened := filepath.Join(t.TempDir(), "opened")
	ran(t, exec.Command(filepath.Join(bin, "strongroom-verify"), "--trust", court("trust.json"), "--identity", court("identity.txt"),
		"--extract", opened, court("package.zip"))).ends(0).has("VERIFIED")
	if got, err := os.ReadFile(filepath.Join(opened, "exhibit-1.bin")); err != nil || !bytes.Equal(got, large) {
		t.Errorf("the court's copy is not the first file (%v)", err)
	}
	ran(t, exec.Command(filepath.Join(bin, "strongroomd"), "fsck", "--data", filepath.Join(keep, "vault"))).ends(0).has("Clean")
	err := filepath.WalkDir(filepath.Join(keep, "people"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".age") && entry.Name() != identityFile && filepath.Base(filepath.Dir(path)) != "pseudonyms" {
			t.Errorf("a sealed file was left in a person's folder: %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Without --once the vault goes on; Ctrl-C ends it and all that is left of it, in the middle of the journey too.
func TestDemoEndsWithItsVault(t *testing.T) {
	needPrograms(t)
	for _, test := range []struct {
		name, until string
		exit        int
	}{
		{"while people enrol", "The people", exitCannot},
		{"while it serves", "API at ", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			temp := t.TempDir()
			c := exec.Command(filepath.Join(bin, "strongroom"), "demo")
			c.Env = append(os.Environ(), "TMPDIR="+temp)
			out, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			vault := 0
			said := bufio.NewScanner(out)
			for said.Scan() {
				if m := regexp.MustCompile(`strongroomd, process (\d+)`).FindStringSubmatch(said.Text()); m != nil {
					if vault, err = strconv.Atoi(m[1]); err != nil {
						t.Error(err)
					}
				}
				if strings.HasPrefix(said.Text(), test.until) {
					break
				}
			}
			if vault == 0 {
				t.Error("the demo did not name the vault's process")
			}
			if err := c.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, out)
			c.Wait()
			if exit := c.ProcessState.ExitCode(); exit != test.exit {
				t.Errorf("exit code %d, want %d", exit, test.exit)
			}
			if p, err := os.FindProcess(vault); vault > 0 && err == nil && p.Signal(syscall.Signal(0)) == nil {
				t.Errorf("the vault's process %d is still there", vault)
			}
			leftNothing(t, temp)
		})
	}
}

// Each link makes one person: who follows it with keys of their own is let in, has something to do, and can do it.
func TestDemoGuests(t *testing.T) {
	needPrograms(t)
	t.Parallel()
	temp, keep := t.TempDir(), filepath.Join(t.TempDir(), "keep")
	c := exec.Command(filepath.Join(bin, "strongroom"), "demo", "--keep", keep)
	c.Env = append(os.Environ(), "TMPDIR="+temp)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var codes []string
	address := ""
	lines := bufio.NewScanner(out)
	for address == "" && lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if _, code, ok := strings.Cut(line, "/join#"); ok {
			codes = append(codes, code)
		}
		address, _ = strings.CutPrefix(line, "API at ")
		if address == line {
			address = ""
		}
	}
	go io.Copy(io.Discard, out)
	defer func() {
		if err := errors.Join(c.Process.Signal(os.Interrupt), c.Wait()); err != nil {
			t.Error(err)
		}
		leftNothing(t, temp)
	}()
	if len(codes) != 3 {
		t.Fatalf("%d links", len(codes))
	}
	person := func(code, role string) func(args ...string) said {
		home := filepath.Join(t.TempDir(), role)
		act := func(args ...string) said {
			return ran(t, exec.Command(filepath.Join(bin, "strongroom"), append([]string{"--home", home, "--json"}, args...)...))
		}
		act("connect", "--server", address, "--trust", filepath.Join(keep, "court", "trust.json"), "--yes").ends(0)
		act("enrol", code, "--plain-keys").ends(0)
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(300 * time.Millisecond) {
			if me := act("whoami"); me.code == 0 && strings.Contains(me.out, `"active"`) {
				me.has(role)
				return act
			} else if time.Now().After(deadline) {
				t.Fatalf("%s is not let in: %s%s", role, me.out, me.err)
			}
		}
	}
	share := func(list said, status string) string {
		var shares []struct{ ID, Status string }
		if err := json.Unmarshal([]byte(list.out), &shares); err != nil {
			t.Fatal(err)
		}
		for _, s := range shares {
			if s.Status == status {
				return s.ID
			}
		}
		return ""
	}
	for deadline, court := time.Now().Add(time.Minute), person(codes[0], "court"); ; time.Sleep(300 * time.Millisecond) {
		list := court("grant", "list").ends(0)
		if grant := share(list, "active"); grant != "" && court("grant", "redeem", grant, "--to", filepath.Join(t.TempDir(), "exhibit")).code == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the court cannot use a share: %s%s", list.out, list.err)
		}
	}
	for deadline, custodian := time.Now().Add(time.Minute), person(codes[1], "custodian"); ; time.Sleep(300 * time.Millisecond) {
		list := custodian("grant", "list").ends(0)
		if grant := share(list, "pending"); grant != "" {
			custodian("grant", "approve", grant, "--yes", "--despite").ends(0)
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing waits for the custodian: %s%s", list.out, list.err)
		}
	}
	person(codes[2], "auditor")("audit").ends(0)
}

// What cannot work is said before anything is done.
func TestDemoRefusesToBegin(t *testing.T) {
	needPrograms(t)
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	alone := t.TempDir()
	program, err := os.ReadFile(filepath.Join(bin, "strongroom"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(alone, "strongroom"), program, 0o700); err != nil {
		t.Fatal(err)
	}
	vast := filepath.Join(t.TempDir(), "vast")
	if err := os.WriteFile(vast, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(vast, 1<<42); err != nil {
		t.Logf("no sparse files here: %v", err)
		vast = ""
	}
	for _, test := range []struct {
		name, bin string
		args      []string
		says      string
	}{
		{"folder in use", bin, []string{"--keep", full}, "is not empty"},
		{"no such file", bin, []string{filepath.Join(full, "nothing")}, "no such file"},
		{"a folder", bin, []string{full}, "is not a file"},
		{"programs missing", alone, nil, "./scripts/build"},
		{"no room", bin, []string{vast}, "free space"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "no room" && vast == "" {
				t.Skip("needs sparse files")
			}
			demo := runDemo(t, test.bin, append(test.args, "--once")...).ends(exitCannot).has(test.says)
			if demo.out != "" {
				t.Errorf("it began: %q", demo.out)
			}
		})
	}
	if vast != "" {
		new := filepath.Join(full, "new")
		runDemo(t, bin, "--once", "--keep", new, vast).ends(exitCannot).has("free space")
	}
	if left, err := os.ReadDir(full); err != nil || len(left) != 1 {
		t.Errorf("the folder was changed: %v %v", left, err)
	}
}

// The demo believes no verifier that says yes to everything.
func TestDemoDistrustsYes(t *testing.T) {
	needPrograms(t)
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"strongroom", "strongroomd"} {
		text, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	// It knows the true answer for the first package, and gives it for every package.
	yes := "#!/bin/sh\n[ -e \"$0.said\" ] || " + quoted(bin, "strongroom-verify") + " \"$@\" >\"$0.said\"\ncat \"$0.said\"\n"
	if err := os.WriteFile(filepath.Join(dir, "strongroom-verify"), []byte(yes), 0o700); err != nil {
		t.Fatal(err)
	}
	runDemo(t, dir, "--once").ends(exitRefused).has(`where it must say "refused"`)
}

func TestShown(t *testing.T) {
	for name, want := range map[string]string{
		"/a/b.txt":                        "“b.txt”",
		"\x1b]0;x\a\u202Etxt.exe":         "“\uFFFD]0;x\uFFFD\uFFFDtxt.exe”",
		"bad\xff":                         "“bad\uFFFD”",
		"صورة.png":                        "“\u2068صورة.png\u2069”",
		strings.Repeat("ж", 100) + ".txt": "“" + strings.Repeat("ж", 20) + "…" + strings.Repeat("ж", 15) + ".txt”",
	} {
		if got := shown(name); got != want {
			t.Errorf("%q is shown as %q, want %q", name, got, want)
		}
	}
}

func TestQuoted(t *testing.T) {
	for path, want := range map[string]string{"/a/b-c_1.x": "/a/b-c_1.x", "/a b/$c": "'/a b/$c'", "it's": `'it'\''s'`} {
		if got := quoted(path); got != want {
			t.Errorf("%q is quoted as %s, want %s", path, got, want)
		}
	}
}

func TestComparison(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("evidence"), 0o600); err != nil {
		t.Fatal(err)
	}
	for content, same := range map[string]bool{"evidence": true, "": false, "evidenc": false, "evidence.": false, "Evidence": false} {
		c, err := compareWith(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(c, io.LimitReader(strings.NewReader(content), 100))
		if err == nil {
			err = c.whole()
		}
		c.close()
		if (err == nil) != same {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestFlipByte(t *testing.T) {
	path := filepath.Join(t.TempDir(), "package.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, name := range []string{"a", "b"} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(name + "1234"))
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at, err := flipByte(path, "b")
	if err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if before[at] != '2' || after[at] != '2'^1 || !bytes.Equal(before[:at], after[:at]) || !bytes.Equal(before[at+1:], after[at+1:]) {
		t.Errorf("byte %d of %q became %q", at, before, after)
	}
	if _, err := flipByte(path, "c"); err == nil {
		t.Error("a file that is not there was changed")
	}
}

func TestMemoryWatch(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("memory is measured on Linux only")
	}
	w := watchMemory()
	defer w.stop()
	w.watch("this program", os.Getpid())
	waste := make([]byte, 64<<20)
	for i := range waste {
		waste[i] = byte(i)
	}
	time.Sleep(100 * time.Millisecond)
	runtime.KeepAlive(waste)
	var out bytes.Buffer
	if err := w.report(&narrator{out: &out}, 16<<20); err == nil {
		t.Error("64 MiB in use were not refused under a limit of 16 MiB")
	}
	if err := w.report(&narrator{out: &out}, 1<<40); err != nil || !strings.HasPrefix(out.String(), "\nmemory: this program ") {
		t.Errorf("%q, %v", out.String(), err)
	}
}
