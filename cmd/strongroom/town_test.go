package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/sealing"
)

// town is a vault with its people, each with a folder of their own.
type town struct {
	t       *testing.T
	dir     string
	trust   string
	address string
	number  string // of the vault
	server  *server

	admin, custodian, second, clinician, court *person
}

func (w *town) path(name string) string { return filepath.Join(w.dir, name) }

func (w *town) write(name, text string) string {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return w.path(name)
}

// newPerson has keys without a passphrase, but for the custodian: unlocking takes a second each time.
func (w *town) newPerson(name string) *person {
	return &person{t: w.t, home: w.path(name), with: []string{"--json"}}
}

// as returns the person with other arguments for every command.
func (p *person) as(with ...string) *person {
	q := *p
	q.with = with
	return &q
}

// newTown has people with folders, and no vault yet.
func newTown(t *testing.T, dir string) *town {
	w := &town{t: t, dir: dir, trust: filepath.Join(dir, "vault", "trust.json")}
	w.admin, w.custodian = w.newPerson("admin"), w.newPerson("custodian")
	w.custodian.with = append(w.custodian.with, "--passphrase-file", w.path("passphrase"))
	w.second, w.clinician, w.court = w.newPerson("second"), w.newPerson("clinician"), w.newPerson("court")
	return w
}

func (w *town) people() []*person {
	return []*person{w.admin, w.custodian, w.second, w.clinician, w.court}
}

// firstTown is a town that was founded once, at rest.
var firstTown struct {
	sync.Once
	*town
}

// foundTown opens a vault, which people founded and joined through the programs, and serves it until the test ends. Tests get copies of
// the first town, but for one with options, which are strongroomd's at founding.
func foundTown(t *testing.T, options ...string) *town {
	t.Helper()
	if testing.Short() {
		t.Skip("runs the real programs; run without -short")
	}
	t.Parallel() // much of the time is spent waiting for disks
	w := newTown(t, t.TempDir())
	if len(options) > 0 {
		w.found(options...)
		return w
	}
	firstTown.Do(func() {
		first := newTown(t, filepath.Join(bin, "town"))
		if err := os.Mkdir(first.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		first.found()
		first.server.stop(syscall.SIGTERM)
		first.server = nil
		firstTown.town = first
	})
	if firstTown.town == nil {
		t.Fatal("another test could not found the first town")
	}
	if out, err := exec.Command("cp", "-Rp", firstTown.dir+"/.", w.dir).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v\n%s", err, out)
	}
	w.number = firstTown.number
	for i, p := range w.people() {
		p.id = firstTown.people()[i].id
	}
	w.serve()
	for _, p := range w.people() {
		p.types("", "connect", "--server", w.address).ends(0)
	}
	return w
}

// found founds the vault through the programs, as people do, and serves it.
func (w *town) found(options ...string) {
	t, vault := w.t, w.path("vault")
	t.Helper()
	w.write("passphrase", "five quiet words in spring\n")
	made := runProgram(t, "", "strongroomd", "init", "--data", vault).ends(0)
	name := field(t, made.out, "Name")
	runFound := func(p *person, role string, more ...string) {
		t.Helper()
		o := p.types("", append([]string{"found", "--vault", name, "--role", role, "--out", p.home + ".founder"}, more...)...).object()
		p.id = str(t, o, "actor")
	}
	runFound(w.admin, "administrator", "--plain-keys")
	runFound(w.custodian, "custodian")
	recovery, err := sealing.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	founded := runProgram(t, "", "strongroomd", append([]string{"init", "--data", vault, "--founder", w.admin.home + ".founder",
		"--founder", w.custodian.home + ".founder", "--recovery", recovery.Recipient()}, options...)...).ends(0)
	w.number = field(t, founded.out, "Number")
	w.serve()
	for _, p := range []*person{w.admin, w.custodian} {
		p.types("", "connect", "--server", w.address, "--trust", w.trust, "--number", w.number).ends(0)
	}
	w.enrol(w.second, "custodian", w.admin, w.custodian)
	w.enrol(w.clinician, "clinician", w.admin, w.custodian)
	w.enrol(w.court, "court", w.custodian, w.second)
}

// field reads a labelled line.
func field(t *testing.T, text, label string) string {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if rest, ok := strings.CutPrefix(line, label+" "); ok {
			return strings.TrimSpace(rest)
		}
	}
	t.Fatalf("no %q in:\n%s", label, text)
	return ""
}

// serve serves the vault until the test ends.
func (w *town) serve() {
	w.t.Helper()
	w.server = w.start(w.path("vault"), "127.0.0.1:0")
	w.address = w.server.address
	w.t.Cleanup(func() {
		if w.server != nil {
			w.server.stop(syscall.SIGTERM)
		}
	})
}

// server is a strongroomd that runs.
type server struct {
	*exec.Cmd
	t       *testing.T
	address string
	ended   chan struct{}

	mu  sync.Mutex
	log bytes.Buffer
}

// said is everything on its standard error so far.
func (s *server) said() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Clone(s.log.Bytes())
}

// start runs strongroomd; through is what runs it, if it is not run by itself.
func (w *town) start(vault, listen string, through ...string) *server {
	w.t.Helper()
	args := append(through, filepath.Join(bin, "strongroomd"), "serve", "--data", vault, "--listen", listen)
	s := &server{Cmd: exec.Command(args[0], args[1:]...), t: w.t, ended: make(chan struct{})}
	said, err := s.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		w.t.Fatal(err)
	}
	address := make(chan string, 1)
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if a, ok := strings.CutPrefix(lines.Text(), "Address"); ok {
				address <- strings.TrimSpace(a)
			}
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
		}
	}()
	select {
	case s.address = <-address:
	case <-s.ended:
		w.t.Fatalf("strongroomd ended:\n%s", s.said())
	case <-time.After(30 * time.Second):
		w.t.Fatal("strongroomd does not say its address")
	}
	return s
}

// stop ends it. Only SIGKILL may end it in disorder.
func (s *server) stop(signal syscall.Signal) {
	s.Process.Signal(signal)
	<-s.ended
	if err := s.Wait(); err != nil && signal != syscall.SIGKILL {
		s.t.Errorf("strongroomd: %v", err)
	}
	if s.t.Failed() {
		s.t.Logf("strongroomd said:\n%s", tail(string(s.said()), 1500))
	}
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// enrol brings a person in, through three people.
func (w *town) enrol(p *person, role string, inviter, confirmer *person) {
	w.t.Helper()
	offer := inviter.types("", "actor", "invite", "--role", role).object()
	answer := p.types(str(w.t, offer, "code")+"\n", "enrol", "--server", w.address, "--trust", w.trust, "--number", w.number, "--plain-keys").object()
	p.id = str(w.t, answer, "actor")
	before := p.types("", "whoami").object()
	if before["current"] != false || before["reason"] != "sign_in" {
		w.t.Errorf("before the confirmation: %v", before)
	}
	inviter.types("", "actor", "admit", str(w.t, offer, "invitation")[:8]).object()
	reason := "second_person"
	if inviter == w.admin { // who enrolled staff never confirms anybody of them
		reason = "role"
	}
	inviter.types("", "actor", "confirm", p.id, "--number", str(w.t, answer, "key_number")).refused(exitRefused, reason)
	confirmer.types("", "actor", "confirm", p.id, "--number", w.number).refused(exitRefused, "fingerprint")
	confirmer.types(str(w.t, answer, "key_number")+"\n", "actor", "confirm", p.id).object()
	after := p.types("", "whoami").object()
	if after["current"] != true || after["status"] != "active" || after["role"] != role {
		w.t.Errorf("after the confirmation: %v", after)
	}
}

// same demands that a file the program wrote is the original.
func (w *town) same(name, original string) {
	w.t.Helper()
	got, err := os.ReadFile(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	want, err := os.ReadFile(original)
	if err != nil {
		w.t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		w.t.Errorf("%s differs from its original", name)
	}
}
