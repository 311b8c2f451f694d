//go:build linux

package dossier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// ceiling is what strongroom-verify never exceeds, in KiB, whatever it is given.
const ceiling = 256 << 10

// The packages that cost most, made with the keys of the log, the vault and a custodian, and the program that a court runs.
func TestMemory(t *testing.T) {
	program := filepath.Join(t.TempDir(), "strongroom-verify")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/strongroom-verify").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, c := range []struct {
		name    string
		long    bool
		make    func(w *world, file io.Writer) // nil world: any
		verdict Verdict
		check   Check
		reason  string
	}{
		{"directory and list of nothing but names", false, manyNames, Refused, CheckPackage, ReasonManifest},
		{"list of empty entries", false, func(_ *world, f io.Writer) {
			manifestOnly(f, `{"covers":1,"files":[`+strings.Repeat("{},", 5<<20)+"{}]}")
		}, Refused, CheckPackage, ReasonManifest},
		{"list of empty items", false, func(_ *world, f io.Writer) {
			manifestOnly(f, `{"covers":1,"files":[],"grant":"","items":[`+strings.Repeat(`"",`, 5<<20)+`""],"nonce":"","recipient":"","vault":"","version":1}`)
		}, Refused, CheckPackage, ReasonManifest},
		{"states that later events stand on", true, func(w *world, f io.Writer) { oldGrounds(w, f, 2500) }, Refused, CheckRules, ReasonTooMuch},
		{"large statements under many checkpoints", true, largeStatements, Incomplete, CheckContent, ReasonNoteMissing},
		{"long proofs of many streams", true, longProofs, Refused, CheckComplete, ReasonMissingLast},
		{"large descriptions of many items", true, largeDescriptions, Verified, CheckContent, ""},
		{"an honest package of 100,000 events", true, honest, Verified, CheckContent, ReasonNoIdentity},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.long && os.Getenv("STRONGROOM_LONG") == "" {
				t.Skip("set STRONGROOM_LONG=1")
			}
			w := newWorld(t)
			name := filepath.Join(t.TempDir(), "package.zip")
			file := must(os.Create(name))
			c.make(w, file)
			must(0, file.Close())
			args := []string{"--json", "--trust", w.save("trust.json", w.trust.Marshal())}
			if c.reason == "" {
				args = append(args, "--identity", w.save("identity.txt", sealing.PlainIdentityFile(w.people["court"].age)))
			}
			start := time.Now()
			report, peak := run(t, program, append(args, name)...)
			t.Logf("%d MiB package, %d MiB of memory, %v", must(os.Stat(name)).Size()>>20, peak>>10, time.Since(start).Round(time.Millisecond))
			wanted(t, report, c.verdict, c.check, c.reason)
			if peak > ceiling {
				t.Errorf("%d KiB", peak)
			}
		})
	}
}

func (w *world) save(name string, b []byte) string {
	name = filepath.Join(w.t.(*testing.T).TempDir(), name)
	must(0, os.WriteFile(name, b, 0o600))
	return name
}

var vmHWM = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// run runs the program and returns its report and the most memory it had, in KiB. The kernel's own account of a child begins with the
// memory of its parent, so it is asked for the child's again and again.
func run(t *testing.T, program string, args ...string) (r *Report, peak int) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	must(0, cmd.Start())
	var done sync.WaitGroup
	ended := make(chan bool)
	done.Go(func() {
		for {
			if m := vmHWM.FindSubmatch(must(orNothing(os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))))); m != nil {
				peak = max(peak, must(strconv.Atoi(string(m[1]))))
			}
			select {
			case <-ended:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	err := cmd.Wait()
	close(ended)
	done.Wait()
	if e := (*exec.ExitError)(nil); err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	r = new(Report)
	if err := json.Unmarshal(out.Bytes(), r); err != nil {
		t.Fatalf("%v, %v: %.200s", cmd.ProcessState, err, out.Bytes())
	}
	if peak == 0 {
		t.Fatal("no account of memory")
	}
	return r, peak
}

func orNothing(b []byte, _ error) ([]byte, error) { return b, nil }

// manifestOnly is an archive with one file.
func manifestOnly(f io.Writer, manifest string) { archive(f, []string{manifestName}, manifest) }

// archive writes empty files, of which package.json has contents.
func archive(f io.Writer, names []string, manifest string) {
	entries := make([]entry, len(names))
	for i, name := range names {
		entries[i].name = name
		if name == manifestName {
			entries[i].size, entries[i].crc = int64(len(manifest)), crc32.ChecksumIEEE([]byte(manifest))
		}
	}
	tail, _ := layOut(entries)
	for _, e := range entries {
		must(f.Write(e.local()))
		if e.size > 0 {
			must(io.WriteString(f, manifest))
		}
	}
	must(f.Write(tail))
}

// manyNames: as many and as long names as fit into the directory, and the list likewise.
func manyNames(_ *world, f io.Writer) {
	var names []string
	for i := range maxFiles - 1 {
		names = append(names, fmt.Sprintf("a%0150d", i))
	}
	names = append(names, manifestName)
	manifest := `{"covers":1,"files":[`
	each := `{"path":"","sha256":"","size":0},`
	manifest += strings.Repeat(each, (MaxManifest-len(manifest)-len(each))/len(each)) + strings.TrimSuffix(each, ",") + `]}`
	archive(f, names, manifest)
}

// pour writes a sample.
func (s *sample) pour(f io.Writer) { must(0, Write(f, s.manifest, s.files)) }

// shared is newShared in a world that is there.
func (w *world) shared() ev.ItemID {
	id := w.deposit("shared")
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	w.share(id)
	return id
}

// compared logs that the custodian compared the item with the record.
func (w *world) compared(id ev.ItemID, set ...func(*ev.Event)) {
	d := &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)}
	w.do(w.on(id, "custodian", ev.ItemVerified, d, append(set, func(e *ev.Event) { e.Result = &ev.Result{Outcome: ev.Success} })...))
}

// oldGrounds: a case grows, member by member; then events on the item stand on each of its states.
func oldGrounds(w *world, f io.Writer, n int) {
	id, in := w.shared(), ev.CaseOf(w.cas)
	var states []ev.State
	for i := range n {
		name := fmt.Sprint("member ", i)
		w.enrol(name, ev.Clinician, false)
		p := w.people[name]
		w.do(w.event("custodian", in, ev.CaseMemberAdded, &ev.CaseMemberAddedDetails{Member: ev.Member{Actor: p.ID, Rights: []ev.Right{ev.MayOpen}},
			Envelope: ev.EnvelopeRef{Recipient: p.fingerprint(), SHA256: ev.SHA256([]byte(name))}}))
		states = append(states, w.facts.States[in])
	}
	now := w.facts.States[in]
	for _, then := range states {
		w.facts.States[in] = then
		w.compared(id)
	}
	w.facts.States[in] = now
	w.pack(id).pour(f)
}

// largeStatements: each as large as can be, with notes that are not there, and each receipt under a checkpoint of its own.
func largeStatements(w *world, f io.Writer) {
	id := w.shared()
	var notes []ev.Note
	for i := range 500 {
		name := string([]byte{'a' + byte(i/26/26), 'a' + byte(i/26%26), 'a' + byte(i%26)})
		notes = append(notes, ev.Note{Name: name, Audience: ev.ToItem, SHA256: ev.SHA256([]byte(name)), Size: 512})
	}
	for range 4500 {
		w.compared(id, func(e *ev.Event) { e.Notes = notes })
	}
	s := w.pack(id)
	for seq, at := range w.events[ev.ItemOf(id)] {
		name := s.path(ev.ItemOf(id), seq)
		p := w.parts(at, at+1)
		for i := range 30 {
			p.Checkpoint = append(p.Checkpoint, fmt.Sprintf("— witness-%d.example %s\n", i, "AAAA"+strings.Repeat("AAAA", 250))...)
		}
		for i := range s.files {
			if s.files[i].Path == name {
				s.files[i] = BytesFile(name, must(tlog.NewReceipt(p)).Marshal())
			}
		}
	}
	s.pour(f)
}

func (s *sample) path(stream ev.Stream, seq int) string {
	return fmt.Sprintf("%sevents/%06d.sigstore.json", folder(stream, true), seq)
}

// longProofs: streams without events, with proofs as long as proofs can be.
func longProofs(w *world, f io.Writer) {
	s := w.pack(w.shared())
	long := heads.Proof{Leaf: &heads.Entry{Key: ev.SHA256(nil)}}
	for range 256 {
		long.Siblings = append(long.Siblings, ev.SHA256(nil))
	}
	complete := must(Length{1, &long, long}.Marshal())
	file := BytesFile("", complete)
	for range MaxStreams - 100 {
		file.Path = folder(ev.CaseOf(ev.NewID[ev.CaseID]()), false) + "complete.json"
		s.files = append(s.files, file)
	}
	s.pour(f)
}

// largeDescriptions: a mebibyte for each item.
func largeDescriptions(w *world, f io.Writer) {
	w.grant = ev.NewID[ev.GrantID]()
	w.describe = func(sha string, size int) string {
		return fmt.Sprintf(`{"form":{"a":"%s"},"media_type":"","name":"","sha256":"%s","size":%d}`, strings.Repeat("x", 1<<20-8192), sha, size)
	}
	var ids []ev.ItemID
	for i := range 300 {
		id := w.deposit(fmt.Sprint(i))
		w.seal(id, int64(i+1))
		w.share(id)
		ids = append(ids, id)
	}
	w.pack(ids...).pour(f)
}

func honest(w *world, f io.Writer) {
	id := w.shared()
	opened := &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}
	for len(w.logged) < MaxEvents-8 {
		w.do(w.on(id, "custodian", ev.ItemOpened, opened, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	}
	w.pack(id).pour(f)
}

// As many holds and secrets as an item may have stay far below what a verifier holds at hand, or a few such items would make a history that
// nobody can verify.
func TestSizeOfSecrets(t *testing.T) {
	s := &ev.ItemState{Holds: make([]ev.HoldState, ev.MaxHolds)}
	for range ev.MaxSecrets {
		s.Veils = append(s.Veils, ev.Veil{Steps: make([]int64, ev.MaxHolds), Item: &ev.ItemState{Holds: make([]ev.HoldState, ev.MaxHolds)}})
	}
	if n := size(s); n > MaxStates/50 {
		t.Errorf("%d KiB of %d", n>>10, MaxStates>>10)
	}
}
