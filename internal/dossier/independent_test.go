package dossier

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	formats "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// independent is what api/verify.py, which shares no code with this package, says of a package: its report, never a traceback, with the
// exit code that belongs to the verdict.
func independent(t *testing.T, data, trust []byte, earlier ...[]byte) *Report {
	t.Helper()
	dir := t.TempDir()
	file, pinned := filepath.Join(dir, "package.zip"), filepath.Join(dir, "trust.json")
	if err := errors.Join(os.WriteFile(file, data, 0o600), os.WriteFile(pinned, trust, 0o600)); err != nil {
		t.Fatal(err)
	}
	args := []string{independentProgram, "--json"}
	for i, b := range earlier {
		name := filepath.Join(dir, fmt.Sprint(i))
		must(0, os.WriteFile(name, b, 0o600))
		args = append(args, "--previous", name)
	}
	var out, complaint bytes.Buffer
	c := exec.Command("python3", append(args, file, pinned)...)
	c.Stdout, c.Stderr = &out, &complaint
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	r := new(Report)
	if err := json.Unmarshal(out.Bytes(), r); err != nil || complaint.Len() > 0 {
		t.Fatalf("%v: %s%s", err, out.Bytes(), complaint.Bytes())
	}
	if code, want := c.ProcessState.ExitCode(), map[Verdict]int{Verified: 0, Refused: 1, Incomplete: 2}[r.Verdict]; code != want || len(r.Checks) != 11 {
		t.Fatalf("exit code %d for %s, %d checks", code, r.Verdict, len(r.Checks))
	}
	return r
}

const independentProgram = "../../api/verify.py"

func needsPython(t *testing.T) {
	t.Helper()
	if _, err := os.ReadFile(independentProgram); err != nil { // read, so that no result is kept when it changes
		t.Fatal(err)
	}
	for _, program := range []string{"python3", "openssl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not installed: the independent verifier is not run", program)
		}
	}
	t.Parallel()
}

func TestIndependentOfEarlierPackages(t *testing.T) {
	needsPython(t)
	folders := must(filepath.Glob("../../api/vectors/earlier/*"))
	if len(folders) == 0 {
		t.Fatal("no package is here")
	}
	for _, folder := range folders {
		r := independent(t, must(os.ReadFile(filepath.Join(folder, "package.zip"))), must(os.ReadFile(filepath.Join(folder, "trust.json"))))
		if r.Verdict != Verified || r.Check(CheckRules).Result != Pass || len(r.Items) == 0 || len(r.Events) == 0 {
			t.Errorf("%s: %s, %+v", folder, r.Verdict, r.Checks)
		}
	}
}

func TestIndependentOfVectors(t *testing.T) {
	needsPython(t)
	read := func(name string) []byte { return must(os.ReadFile(filepath.Join(vectors, name))) }
	var list []vector
	if err := json.Unmarshal(read("vectors.json"), &list); err != nil || len(list) == 0 {
		t.Fatal(err)
	}
	var packages []asked
	for _, v := range list {
		a := asked{name: v.Name, data: read(v.Package), trust: must(tlog.ParseTrust(read(v.Trust)))}
		if v.Previous != "" {
			a.earlier = read(v.Previous)
		}
		packages = append(packages, a)
	}
	for i, r := range opinions(t, packages) {
		t.Run(list[i].Name, func(t *testing.T) {
			v, a := list[i], packages[i]
			wanted(t, r, v.Verdict, v.Check, v.Reason)
			if v.Reason == ReasonLogFork { // and as people ask
				wanted(t, independent(t, a.data, a.trust.Marshal(), a.earlier), v.Verdict, v.Check, v.Reason)
			}
		})
	}
}

// Both verifiers come to the same verdict on everything that TestChangedPackage does to a package.
func TestIndependentOfChangedPackage(t *testing.T) {
	needsPython(t)
	base, _ := newPackage(t)
	chosen(len(changes), 10, func(i int) {
		s := *base
		changes[i].change(&s)
		if r := independent(t, s.write(t), s.w.trust.Marshal()); r.Verdict != changes[i].verdict {
			t.Errorf("%s: %s, want %s: %+v", changes[i].name, r.Verdict, changes[i].verdict, r.Checks)
		}
	})
}

// earlierPackage is the newest of the earlier packages, taken apart.
func earlierPackage(t *testing.T) (data, trust []byte, m Manifest, files []File) {
	t.Helper()
	folders := must(filepath.Glob("../../api/vectors/earlier/*"))
	newest := folders[len(folders)-1]
	data, trust = must(os.ReadFile(filepath.Join(newest, "package.zip"))), must(os.ReadFile(filepath.Join(newest, "trust.json")))
	p := must(Read(bytes.NewReader(data), int64(len(data))))
	for _, l := range p.Files {
		files = append(files, BytesFile(l.Path, must(io.ReadAll(p.Open(l.Path)))))
	}
	return data, trust, p.Manifest, files
}

// Whoever changes an earlier package, and makes list and archive anew, is never told that it was verified.
func TestIndependentOfForgery(t *testing.T) {
	needsPython(t)
	data, trust, m, files := earlierPackage(t)
	written := func(m Manifest, files []File) []byte {
		var b bytes.Buffer
		if err := Write(&b, m, files); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if !bytes.Equal(written(m, files), data) {
		t.Fatal("the package is not what it was when it is made again")
	}
	body := func(f File) []byte { return must(io.ReadAll(must(f.Open()))) }
	with := func(i int, b []byte) []byte {
		list := slices.Clone(files)
		list[i] = BytesFile(files[i].Path, b)
		return written(m, list)
	}
	var events []int
	for i, f := range files {
		if strings.Contains(f.Path, "/events/") {
			events = append(events, i)
		}
	}
	for name, forge := range map[string]func(refused func(name string, b []byte)){
		"a bit of a file": func(refused func(string, []byte)) {
			chosen(len(files), 9, func(i int) {
				if b := body(files[i]); len(b) > 0 {
					b[mathrand.IntN(len(b))] ^= 1 << mathrand.IntN(8)
					refused(files[i].Path, with(i, b))
				}
			})
		},
		"a file left out": func(refused func(string, []byte)) {
			chosen(len(files), 6, func(i int) {
				refused(files[i].Path, written(m, slices.Delete(slices.Clone(files), i, i+1)))
			})
		},
		"another event": func(refused func(string, []byte)) {
			chosen(len(events), 4, func(i int) {
				refused(files[events[i]].Path, with(events[i], body(files[events[(i+1)%len(events)]])))
			})
		},
		"another list": func(refused func(string, []byte)) {
			for name, change := range map[string]func(m *Manifest){
				"covers":    func(m *Manifest) { m.Covers-- },
				"nonce":     func(m *Manifest) { m.Nonce = strings.Repeat("a", 32) },
				"grant":     func(m *Manifest) { m.Grant = "" },
				"recipient": func(m *Manifest) { m.Recipient[31] ^= 1 },
				"vault":     func(m *Manifest) { m.Vault = "other.example" },
			} {
				changed := m
				change(&changed)
				refused(name, written(changed, files))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			forge(func(name string, b []byte) {
				if r := independent(t, b, trust); r.Verdict == Verified {
					t.Errorf("%s: verified", name)
				}
			})
		})
	}
}

// An archive that is not in its one form is refused for that.
func TestIndependentOfForeignZip(t *testing.T) {
	needsPython(t)
	data, trust, _, _ := earlierPackage(t)
	central := func(b []byte) int { return int(binary.LittleEndian.Uint32(b[len(b)-6:])) }
	first := func(b []byte) (local, entry []byte) { return b, b[central(b):] }
	twice := packZip("a", "b")
	local, entry := first(twice)
	for _, header := range [][]byte{local[30:], entry[46:]} {
		copy(header, "f00001") // the name of the second file
	}
	climbing := packZip("a")
	local, entry = first(climbing)
	for _, header := range [][]byte{local[30:], entry[46:]} {
		copy(header, "../f00")
	}
	bomb := slices.Clone(data)
	local, entry = first(bomb)
	for _, header := range [][]byte{local[18:], entry[20:]} {
		binary.LittleEndian.PutUint32(header, 0xFFFFFFF0)
		binary.LittleEndian.PutUint32(header[4:], 0xFFFFFFF0)
	}
	deflated := slices.Clone(data)
	local, entry = first(deflated)
	local[8], entry[10] = 8, 8
	many := slices.Clone(data[len(data)-22:])
	for i := 8; i < 20; i++ {
		many[i] = 0xFF
	}
	changed := slices.Clone(data)
	changed[len(data)/2] ^= 1
	sum := slices.Clone(data)
	binary.LittleEndian.PutUint32(sum[14:], crc32.ChecksumIEEE(nil))
	for name, b := range map[string][]byte{
		"one file twice": twice, "path that climbs": climbing, "trailing byte": append(slices.Clone(data), 0),
		"leading byte": append([]byte{0}, data...), "size that is not there": bomb, "compressed": deflated, "endless directory": many,
		"cut off": data[:len(data)-1], "half": data[:len(data)/2], "nothing": {}, "a byte changed": changed, "checksum": sum,
	} {
		r := independent(t, b, trust)
		if r.Verdict != Refused || r.Check(CheckPackage).Result != Fail {
			t.Errorf("%s: %s, %+v", name, r.Verdict, r.Checks)
		}
	}
}

// Of a package under the trust file of another vault nothing is believed, and without a usable one nothing is said.
func TestIndependentOfTrust(t *testing.T) {
	needsPython(t)
	data, trust, _, _ := earlierPackage(t)
	other := must(os.ReadFile("../../api/vectors/earlier/1/trust.json"))
	wanted(t, independent(t, data, other), Refused, CheckPackage, ReasonOtherVault)
	wanted(t, independent(t, data, trust[1:]), Incomplete, CheckRules, "trust_malformed")
	// The same vault's name, and other keys.
	theirs, ours := must(tlog.ParseTrust(other)), must(tlog.ParseTrust(trust))
	false1 := bytes.ReplaceAll(other, []byte(theirs.Vault()), []byte(ours.Vault()))
	if r := independent(t, data, false1); r.Verdict != Refused || r.Check(CheckCheckpoint).Result != Fail {
		t.Errorf("keys of another vault: %s, %+v", r.Verdict, r.Checks)
	}
}

// What a vault that lies could log, with keys, tree and proofs in order.
func TestIndependentOfLyingVault(t *testing.T) {
	needsPython(t)
	revoke := func(w *world) {
		w.do(w.event("custodian", ev.ActorOf(w.people["court"].ID), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseCompromise}))
	}
	for name, c := range map[string]struct {
		check Check
		lie   func(w *world, id ev.ItemID) *sample
	}{
		"signer revoked": {CheckSignatures, func(w *world, id ev.ItemID) *sample {
			revoke(w)
			return w.packUnlawful(id)
		}},
		"signer revoked, ground outdated": {CheckRules, func(w *world, id ev.ItemID) *sample {
			old := ev.ReliedOn(w.facts, w.redemption(id))
			revoke(w)
			return w.packUnlawful(id, func(e *ev.Event) { e.ReliedOn = old })
		}},
		"another's key": {CheckSignatures, func(w *world, id ev.ItemID) *sample {
			w.people["court"].key = must(custody.GenerateKey())
			return w.pack(id)
		}},
		"used after its end": {CheckRules, func(w *world, id ev.ItemID) *sample {
			w.now = w.now.Add(8 * day)
			w.force(w.redemption(id), nil)
			return w.packUnlawful(id)
		}},
		"enrolled without the key": {CheckSignatures, func(w *world, id ev.ItemID) *sample {
			p, invitation := w.meet("stranger", ev.Court), ev.SHA256([]byte("i"))
			d := &ev.ActorEnrolledDetails{Role: ev.Court, Organization: p.Organization, Keys: ev.Keys{Key: base64.StdEncoding.EncodeToString(p.key.SPKI()),
				Recipient: p.recipient(), Invitation: invitation, Possession: possess(w.people["court"], invitation)}}
			w.do(w.event("custodian", ev.ActorOf(p.ID), ev.ActorEnrolled, d))
			verified := &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[id].evidence)}
			w.do(w.on(id, "custodian", ev.ItemVerified, verified, func(e *ev.Event) {
				e.Result, e.Counterparty = &ev.Result{Outcome: ev.Success}, &ev.Counterparty{Actor: p.ID}
			}))
			return w.pack(id)
		}},
	} {
		w, id := newShared(t)
		s := c.lie(w, id)
		r := independent(t, s.write(t), w.trust.Marshal())
		if own := verify(t, w, s.write(t), nil); r.Verdict != Refused || own.Verdict != Refused || r.Check(c.check).Result != Fail {
			t.Errorf("%s: %s and %s, %+v", name, r.Verdict, own.Verdict, r.Checks)
		}
	}
}

// asked is a package on which both verifiers are asked.
type asked struct {
	name          string
	data, earlier []byte
	trust         tlog.Trust
}

// severalAtOnce judges many packages in one process, which verifies signatures that they share once.
const severalAtOnce = `
import json, sys, tempfile
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import verify
with tempfile.TemporaryDirectory() as folder:
    openssl = verify.OpenSSL(folder)
    for line in sys.stdin:
        package, trust, earlier = json.loads(line)
        print(json.dumps(json.loads(verify.verify(package, trust, earlier or None, openssl).as_json())), flush=True)
`

// agree has both verifiers judge each package: they come to the same verdict, by the same check, and say the same of others' clocks.
func agree(t *testing.T, list ...asked) { agreed(t, differ, list) }

func agreed(t *testing.T, differ func(own, other *Report) string, list []asked) {
	t.Helper()
	for i, other := range opinions(t, list) {
		a := list[i]
		o := Options{Trust: &a.trust}
		if a.earlier != nil {
			o.Previous = io.NewSectionReader(bytes.NewReader(a.earlier), 0, int64(len(a.earlier)))
		}
		own := must(Verify(bytes.NewReader(a.data), int64(len(a.data)), o))
		if why := differ(own, other); why != "" {
			t.Errorf("%s: %s\nours   %s %+v\ntheirs %s %+v", a.name, why, own.Verdict, own.Checks, other.Verdict, other.Checks)
		}
	}
}

// opinions are the other verifier's reports.
func opinions(t *testing.T, list []asked) (reports []*Report) {
	t.Helper()
	dir := t.TempDir()
	put := func(i int, name string, b []byte) string {
		if b == nil {
			return ""
		}
		path := filepath.Join(dir, fmt.Sprint(i)+name)
		must(0, os.WriteFile(path, b, 0o600))
		return path
	}
	var in, out, complaint bytes.Buffer
	for i, a := range list {
		must(0, json.NewEncoder(&in).Encode([]string{put(i, ".zip", a.data), put(i, ".trust.json", a.trust.Marshal()), put(i, ".earlier.zip", a.earlier)}))
	}
	c := exec.Command("python3", "-c", severalAtOnce, filepath.Dir(independentProgram))
	c.Stdin, c.Stdout, c.Stderr = &in, &out, &complaint
	if err := c.Run(); err != nil || complaint.Len() > 0 {
		t.Fatalf("%v: %s", err, complaint.Bytes())
	}
	decoder := json.NewDecoder(&out)
	for range list {
		r := new(Report)
		if err := decoder.Decode(r); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	return reports
}

// differ says in what two reports do.
func differ(own, other *Report) string {
	same := func(c CheckResult) bool {
		d := other.Check(c.Name)
		return c.Result == d.Result && (c.Result == Fail || c.Reason == d.Reason)
	}
	found := func(c CheckResult) bool {
		return c.Result == Fail || c.Result == NotChecked && c.Reason != ReasonNotReached
	}
	findings := slices.DeleteFunc(slices.Clone(own.Checks), func(c CheckResult) bool { return !found(c) })
	switch {
	case own.Verdict != other.Verdict:
		return "another verdict"
	case own.Verdict == Refused && !slices.ContainsFunc(findings, func(c CheckResult) bool { return c.Result == Fail && same(c) }):
		return "another check"
	case own.Verdict == Incomplete && !slices.EqualFunc(findings, findings, func(c, _ CheckResult) bool { return same(c) }):
		return "another finding"
	case own.Verdict != Refused && len(own.Events) != len(other.Events):
		return "other events"
	}
	for i, e := range own.Events[:min(len(own.Events), len(other.Events))] {
		if d := other.Events[i]; own.Verdict == Verified && (e.After != d.After || e.By != d.By || e.Stamped != d.Stamped || e.Drift != d.Drift || e.Judged != d.Judged ||
			e.Leaf != d.Leaf || e.Time != d.Time || (e.Why == "") != (d.Why == "")) {
			return fmt.Sprintf("step %d: %+v and %+v", e.Step, e, d)
		}
	}
	for i, x := range own.Items[:min(len(own.Items), len(other.Items))] {
		if y := other.Items[i]; own.Verdict == Verified && (x.Steps != y.Steps || x.Deposited != y.Deposited || x.AsOf != y.AsOf || (x.Share == nil) != (y.Share == nil) ||
			x.Share != nil && x.Share.Status != y.Share.Status) {
			return fmt.Sprintf("item %+v and %+v", x, y)
		}
	}
	return ""
}

// What third parties signed, changed in every way that TestAttestation knows and some more.
func TestIndependentOfAttestation(t *testing.T) {
	needsPython(t)
	a, id := witnessed(t)
	w, item, size := a.world, ev.ItemOf(id), len(a.logged)
	base := a.packed(id)
	size = len(w.logged)
	var list []asked
	try := func(name string, change func(s *sample)) {
		s := *base
		change(&s)
		list = append(list, asked{name, s.write(t), nil, a.trust})
	}
	third := w.logged[w.events[item][3]].signed.Event().Time
	other, again := newAuthority(w.now.Std().AddDate(-1, 0, 0)), newCosigner("one")
	try("as it is", func(*sample) {})
	for where, put := range map[string]func(s *sample, change func(note []byte) []byte){
		"receipt": func(s *sample, change func(note []byte) []byte) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = change(p.Checkpoint) })
		},
		"checkpoint": func(s *sample, change func(note []byte) []byte) {
			s.replace("log/checkpoint", change(s.file("log/checkpoint")))
		},
		"publication": func(s *sample, change func(note []byte) []byte) {
			p := w.parts(size-1, size)
			p.Checkpoint = change(p.Checkpoint)
			s.replace("log/heads.sigstore.json", must(tlog.NewReceipt(p)).Marshal())
		},
		"stand-in": func(s *sample, change func(note []byte) []byte) {
			s.withhold(item, 7, w.now.Add(30*day), func(h *Withheld) { h.Checkpoint = string(change([]byte(h.Checkpoint))) })
		},
	} {
		for what, change := range map[string]func(note []byte) []byte{
			"nothing":            func(note []byte) []byte { return note },
			"no witness":         func(note []byte) []byte { return bare(note, "one") },
			"no auditor":         func(note []byte) []byte { return bare(note, "auditor") },
			"a wrong witness":    func(note []byte) []byte { return spoilt(note, "two") },
			"a wrong auditor":    func(note []byte) []byte { return spoilt(note, "auditor") },
			"a wrong log":        func(note []byte) []byte { return spoilt(note, origin) },
			"a stranger":         func(note []byte) []byte { return append(bytes.Clone(note), newCosigner("x").line(note, w.now)...) },
			"another key's name": func(note []byte) []byte { return append(bytes.Clone(note), again.line(note, w.now)...) },
			"signed before":      func(note []byte) []byte { return append(bare(note, "one"), a.one.line(note, third.Add(-time.Hour))...) },
			"audited before": func(note []byte) []byte {
				return append(bare(note, "auditor"), a.auditor.line(note, third.Add(-time.Hour))...)
			},
			"signed two days late": func(note []byte) []byte {
				return append(bare(note, "one"), a.one.line(note, third.Add(48*time.Hour))...)
			},
			"no time":       func(note []byte) []byte { return append(bare(note, "one"), a.one.line(note, 0)...) },
			"two spaces":    func(note []byte) []byte { return bytes.Replace(note, []byte("— two "), []byte("— two  "), 1) },
			"another state": func(note []byte) []byte { return w.checkpoint(size - 1) },
			"garbage":       func(note []byte) []byte { return []byte("note") },
		} {
			func() {
				defer func() { _ = recover() }() // what cannot be written as a receipt
				try(where+": "+what, func(s *sample) { put(s, change) })
			}()
		}
	}
	stamped := func(response []byte) func(s *sample) {
		return func(s *sample) { s.replace(a.stampName(), response) }
	}
	own := func(at ev.Time, list string, seqs ...int64) func(s *sample) {
		return func(s *sample) {
			for _, seq := range seqs {
				s.rereceipt(seq, func(p *tlog.ReceiptParts) { p.Timestamps = [][]byte{a.authority.stamp(p.Signature, at)} })
			}
			if list != "" {
				s.replace("log/tsa.crl", nil)
				s.files = append(s.files, must(RevocationFile(list, a.authority.revoked(at.Add(-time.Hour), 2))))
			}
		}
	}
	tail := func(b []byte, change func(b []byte)) []byte { b = bytes.Clone(b); change(b); return b }
	for name, change := range map[string]func(s *sample){
		"no time stamp":            stamped(nil),
		"an empty time stamp":      stamped([]byte{}),
		"over another state":       stamped(a.authority.stamp(w.text(size-1), w.now)),
		"by another authority":     stamped(other.stamp(w.text(size), w.now)),
		"not a time stamp":         stamped([]byte("stamp")),
		"a large time stamp":       stamped(make([]byte, 17<<10)),
		"stamped as it was signed": stamped(a.authority.stamp(w.text(size), third)),
		"stamped long before":      stamped(a.authority.stamp(w.text(size), third.Add(-time.Hour))),
		"own":                      own(w.now, "", 3),
		"own, and no other":        func(s *sample) { own(w.now, "", 0, 1, 2, 3, 4, 5, 6, 7, 8)(s); stamped(nil)(s) },
		"own, two minutes before":  own(third.Add(-2*time.Minute-time.Second), "", 3),
		"own, more":                own(third.Add(-2*time.Minute-2*time.Second), "", 3),
		"own, listed as revoked":   own(w.now, "tsa", 3),
		"own twice": func(s *sample) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { b := a.authority.stamp(p.Signature, w.now); p.Timestamps = [][]byte{b, b} })
		},
		"own, of another event": func(s *sample) {
			s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Timestamps = [][]byte{a.authority.stamp(p.Leaf, w.now)} })
		},
		"another authority's list": func(s *sample) { s.replace("log/tsa.crl", other.revoked(w.now.Add(time.Hour), 2)) },
		"no list":                  func(s *sample) { s.replace("log/tsa.crl", nil) },
		"an old list":              func(s *sample) { s.replace("log/tsa.crl", a.authority.revoked(w.now.Add(-time.Hour))) },
		"revoked":                  func(s *sample) { s.replace("log/tsa.crl", a.authority.revoked(w.now.Add(time.Hour), 2)) },
		"revoked, another key":     func(s *sample) { s.replace("log/tsa.crl", a.authority.revoked(w.now.Add(time.Hour), 3)) },
		"a list with a wrong signature": func(s *sample) {
			s.replace("log/tsa.crl", tail(a.authority.revoked(w.now.Add(time.Hour), 2), func(b []byte) { b[len(b)-1] ^= 1 }))
		},
		"a list that is none":       func(s *sample) { s.replace("log/tsa.crl", []byte("list")) },
		"a large list":              func(s *sample) { s.replace("log/tsa.crl", make([]byte, 1<<20+1)) },
		"over a state nobody shows": func(s *sample) { s.files = append(s.files, must(StampFile(3, "tsa", []byte("stamp")))) },
		"a second one, by another": func(s *sample) {
			s.files = append(s.files, must(StampFile(int64(size), "second", other.stamp(w.text(size), w.now))))
		},
	} {
		try(name, change)
	}
	for _, c := range []struct {
		name  string
		entry x509.RevocationListEntry
	}{
		{"superseded afterwards", x509.RevocationListEntry{RevocationTime: w.now.Std().Add(time.Hour), ReasonCode: 4}},
		{"superseded before", x509.RevocationListEntry{RevocationTime: w.now.Std().Add(-time.Hour), ReasonCode: 4}},
		{"compromised afterwards", x509.RevocationListEntry{RevocationTime: w.now.Std().Add(time.Hour), ReasonCode: 1}},
	} {
		c.entry.SerialNumber = big.NewInt(2)
		try(c.name, func(s *sample) { s.replace("log/tsa.crl", a.authority.list(c.entry)) })
	}
	for _, c := range []struct {
		name string
		more pkix.Extension
	}{
		{"a delta list", pkix.Extension{Id: []int{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}},
		{"a part of a list", pkix.Extension{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 3, 0x81, 1, 0xff}}},
		{"a list of a place", pkix.Extension{Id: []int{2, 5, 29, 28}, Critical: true, Value: []byte{0x30, 0}}},
		{"a list with what must be understood", pkix.Extension{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}},
	} {
		for _, serial := range []int64{2, 3} {
			try(fmt.Sprintf("%s, %d", c.name, serial), func(s *sample) {
				s.replace("log/tsa.crl", a.authority.list(x509.RevocationListEntry{SerialNumber: big.NewInt(serial), RevocationTime: w.now.Std()}, c.more))
			})
		}
	}
	for name, policy := range map[string]string{
		"nobody":           "",
		"named, not asked": a.one.rule() + "quorum none\n",
		"another witness":  newCosigner("z").rule() + "quorum z\n",
		"the other one":    again.rule() + "quorum one\n",
		"auditors alone":   a.auditor.rule() + "group auditors 1 auditor\nquorum none\n",
	} {
		for what, change := range map[string]func(s *sample){
			"": func(*sample) {}, ", a wrong one": func(s *sample) {
				s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Checkpoint = spoilt(p.Checkpoint, "one") })
			}, ", signed long before": func(s *sample) {
				s.rereceipt(3, func(p *tlog.ReceiptParts) {
					p.Checkpoint = append(bare(p.Checkpoint, "one"), a.one.line(p.Checkpoint, third.Add(-time.Hour))...)
				})
			}} {
			for _, roots := range [][][]byte{nil, {a.authority.root.Raw}} {
				s := *base
				change(&s)
				trust := must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: policy, TimestampRoots: roots}))
				list = append(list, asked{fmt.Sprintf("%s%s, %d roots", name, what, len(roots)), s.write(t), nil, trust})
			}
		}
	}
	agree(t, some(list, 16)...)
}

// list is a revocation list with one entry.
func (a *authority) list(e x509.RevocationListEntry, more ...pkix.Extension) []byte {
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: e.RevocationTime.Add(48 * time.Hour), NextUpdate: e.RevocationTime.AddDate(0, 1, 0),
		RevokedCertificateEntries: []x509.RevocationListEntry{e}, ExtraExtensions: more}
	return must(x509.CreateRevocationList(rand.Reader, template, a.root, a.rootKey))
}

// What an earlier package shows, and proofs of growth, right and wrong.
func TestIndependentOfPrevious(t *testing.T) {
	needsPython(t)
	w, id := newShared(t)
	restore := w.snapshot()
	first := w.pack(id)
	old, from := first.write(t), len(w.logged)
	w.open(id)
	second := w.pack(id)
	to := len(w.logged)
	var list []asked
	try := func(name string, s *sample, earlier []byte, proofs ...Growth) {
		c := *s
		if proofs != nil {
			c.proving(proofs...)
		}
		list = append(list, asked{name, c.write(t), earlier, w.trust})
	}
	wrong := func(g Growth, i int) Growth {
		g.Hashes = slices.Clone(g.Hashes)
		g.Hashes[i] = make([]byte, 32)
		return g
	}
	grown := w.growth(from, to)
	proved := *second
	proved.proving(grown)
	newer := proved.write(t)
	try("unproven", second, old)
	try("proved", second, old, grown)
	try("proved, and nothing earlier", second, nil, grown)
	try("proved over a state that nobody showed", second, old, w.growth(from, from+1), w.growth(from+1, to))
	try("from a state that nobody showed", second, old, w.growth(from-1, to))
	try("to a state that nobody showed", second, old, w.growth(from, to-1))
	for i := range grown.Hashes {
		try(fmt.Sprint("a wrong hash ", i), second, old, wrong(grown, i))
		try(fmt.Sprint("a wrong hash between states that nobody showed ", i), second, nil, wrong(grown, i))
	}
	try("a hash less", second, old, Growth{grown.From, grown.Hashes[1:], grown.To})
	try("a hash more", second, old, Growth{grown.From, append(slices.Clone(grown.Hashes), make([]byte, 32)), grown.To})
	list = append(list, asked{"itself", newer, newer, w.trust}, asked{"the newer one", old, newer, w.trust})
	for name, b := range map[string][]byte{"garbage": []byte("garbage"), "nothing": {}, "cut off": old[:len(old)-1], "a byte changed": func() []byte {
		b := bytes.Clone(old)
		b[len(b)/2] ^= 1
		return b
	}()} {
		list = append(list, asked{name, newer, b, w.trust})
	}
	for name, change := range map[string]func(s *sample){
		"without its checkpoint":    func(s *sample) { s.replace("log/checkpoint", nil) },
		"without its publication":   func(s *sample) { s.replace("log/heads.sigstore.json", nil) },
		"another signature":         func(s *sample) { s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Signature = bytes.Clone(p.Leaf[:70]) }) },
		"an event is missing":       func(s *sample) { s.omit(3) },
		"its last event is missing": func(s *sample) { s.omit(int64(len(s.excerpt.Streams[0].receipts())) - 1) },
		"two events swapped": func(s *sample) {
			a, b := s.event(ev.ItemOf(id), 3), s.event(ev.ItemOf(id), 4)
			x, y := s.file(a), s.file(b)
			s.replace(a, y)
			s.replace(b, x)
		},
		"false growth":        func(s *sample) { s.proving(Growth{3, [][]byte{make([]byte, 32)}, int64(from)}) },
		"no evidence":         func(s *sample) { s.replace(ItemPath(id, "evidence.age"), nil) },
		"other evidence":      func(s *sample) { s.replace(ItemPath(id, "evidence.age"), []byte("x")) },
		"no proof of the end": func(s *sample) { s.replace("items/"+string(id)+"/complete.json", []byte("{}")) },
		"another end":         func(s *sample) { s.manifest.Covers-- },
		"a withheld step":     func(s *sample) { s.withhold(ev.ItemOf(id), 7, w.now.Add(30*day), func(*Withheld) {}) },
	} {
		s := *first
		change(&s)
		list = append(list, asked{"earlier: " + name, newer, s.write(t), w.trust})
	}
	other, theirs := newShared(t)
	list = append(list, asked{"another vault's", newer, other.pack(theirs).write(t), w.trust})
	s := *second
	s.withhold(ev.ItemOf(id), 7, w.now.Add(30*day), func(*Withheld) {})
	try("a step withheld now", &s, old, grown)
	for more := range 6 {
		restore()
		for range more {
			w.open(id)
		}
		try(fmt.Sprint("forked, more: ", more), w.pack(id), old)
		try(fmt.Sprint("forked, with a proof, more: ", more), w.pack(id), old, Growth{int64(from), [][]byte{make([]byte, 32)}, int64(from + 50)})
	}
	agree(t, some(list, 8)...)
}

// some of a list, in their order: all with STRONGROOM_LONG=1.
func some(list []asked, samples int) (picked []asked) {
	chosen(len(list), samples, func(i int) { picked = append(picked, list[i]) })
	return picked
}

// Receipts under states of different sizes.
func TestIndependentOfConsistency(t *testing.T) {
	needsPython(t)
	w, id := newShared(t)
	base := w.pack(id)
	n := len(w.logged)
	sizes := []int{n - 8, n - 5}
	var list []asked
	for _, proofs := range [][]Growth{nil, {w.growth(sizes[0], n), w.growth(sizes[1], n)}, {w.growth(sizes[0], sizes[1]), w.growth(sizes[1], n)}, {w.growth(sizes[0], n)},
		{{3, [][]byte{make([]byte, 32)}, 4}}, {{int64(sizes[0]), [][]byte{make([]byte, 32)}, int64(n)}}, {{int64(sizes[0]), [][]byte{make([]byte, 32)}, int64(n + 9)}}} {
		s := *base
		for i, size := range sizes {
			s.rereceipt(int64(i), func(p *tlog.ReceiptParts) {
				p.Proof, p.Checkpoint = must(w.tree.InclusionProof(uint64(p.Index), uint64(size))), w.checkpoint(size)
			})
		}
		if proofs != nil {
			s.proving(proofs...)
		}
		list = append(list, asked{fmt.Sprint(len(list)), s.write(t), nil, w.trust})
	}
	for _, text := range []string{"", "{}", `{"proofs":[],"version":1}`, `{"proofs":[],"version":1}` + "\n", `{"proofs":[],"version":2}`, `{"proofs":null,"version":1}`,
		`{"proofs":[{"from":0,"hashes":[],"to":1}],"version":1}`, `{"proofs":[{"from":2,"hashes":["` + base64.StdEncoding.EncodeToString(make([]byte, 31)) + `"],"to":3}],"version":1}`} {
		s := *base
		s.replace(consistencyName, []byte(text))
		list = append(list, asked{text, s.write(t), nil, w.trust})
	}
	fork := testonly.New(rfc6962.DefaultHasher)
	for i := range sizes[1] {
		leaf := w.logged[i].signed.Leaf()
		if i == sizes[1]-1 {
			leaf = []byte("another")
		}
		fork.AppendData(leaf)
	}
	for _, proofs := range [][]Growth{nil, {w.growth(sizes[1], n)}} {
		s := *base
		s.rereceipt(1, func(p *tlog.ReceiptParts) {
			p.Proof = must(fork.InclusionProof(uint64(p.Index), uint64(sizes[1])))
			p.Checkpoint = must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: origin, Size: int64(sizes[1]), Root: tlog.Hash(fork.Hash())}, w.signer))
		})
		if proofs != nil {
			s.proving(proofs...)
		}
		list = append(list, asked{fmt.Sprint("forked, proofs: ", len(proofs)), s.write(t), nil, w.trust})
	}
	agree(t, some(list, 5)...)
}

// Random bits of what third parties signed, and of what tells of it: never an error of the program, and the same verdict.
func TestIndependentOfBits(t *testing.T) {
	needsPython(t)
	a, id := witnessed(t)
	w := a.world
	before := len(w.logged)
	w.open(id)
	s := a.packed(id)
	s.rereceipt(1, func(p *tlog.ReceiptParts) {
		p.Proof, p.Checkpoint = must(w.tree.InclusionProof(uint64(p.Index), uint64(before))), w.checkpoint(before)
		p.Timestamps = [][]byte{a.authority.stamp(p.Signature, w.now)}
	})
	s.proving(w.growth(before, len(w.logged)))
	s.withhold(ev.ItemOf(id), 9, w.now.Add(30*day), func(*Withheld) {})
	f := newForger(s.write(t))
	var list []asked
	for _, l := range f.pkg.Files {
		samples := 0
		if strings.HasPrefix(l.Path, "log/") || l.Path == s.event(ev.ItemOf(id), 1) || strings.HasSuffix(l.Path, "withheld.json") {
			samples = 1
		}
		if samples > 0 {
			seen := 0
			for seen < samples || os.Getenv("STRONGROOM_LONG") != "" && seen < 60 {
				i, bit := mathrand.IntN(int(l.Size)), mathrand.IntN(8)
				f.flip(l.Path, i, bit)
				list = append(list, asked{fmt.Sprintf("bit %d of byte %d of %s", bit, i, l.Path), bytes.Clone(f.data), nil, a.trust})
				f.flip(l.Path, i, bit)
				seen++
			}
		}
	}
	agreed(t, func(own, other *Report) string { // one bit makes several things wrong, and which of them is named is each one's own
		if own.Verdict != other.Verdict {
			return "another verdict"
		}
		return ""
	}, append(list, asked{"as it is", f.data, nil, a.trust}))
}

// put logs an event, lawful or not. It says whether it was.
func (w *world) put(e *ev.Event) error {
	w.t.Helper()
	s := w.sign(e)
	old := w.facts.States[e.Stream.Stream()]
	state, err := ev.Apply(w.facts, e, s.LeafHash())
	if err != nil {
		tip := ev.Tip{Seq: e.Stream.Seq, Leaf: s.LeafHash(), Time: e.Time}
		switch old := old.(type) {
		case *ev.ItemState:
			n := *old
			n.Last, state = tip, &n
		case *ev.PolicyState:
			n := *old
			n.Last, state = tip, &n
		case *ev.ConsentState:
			n := *old
			n.Last, state = tip, &n
		default:
			w.t.Fatalf("%s: %v", e.Kind, err)
		}
	}
	w.accept(s, state)
	return err
}

// lives is a vault with an item that a custodian has exported for himself, made from another one whose history goes on.
func lives(t *testing.T) (w *world, source ev.ItemID, pack func() *sample) {
	w = newWorld(t)
	for _, name := range []string{"trustee", "trustee 2"} {
		w.enrol(name, ev.Trustee, false)
	}
	source = w.deposit("a finding", func(e *ev.Event) { e.Time = w.now })
	w.do(w.on(source, "clinician", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[source].envelopes["clinician"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	made := w.deposit("a copy", func(e *ev.Event) {
		d := e.Details.(*ev.ItemDepositedDetails)
		d.Class, d.Source = ev.Working, source
	})
	w.files[made].envelopes["court"] = w.files[made].envelopes["custodian"] // what contents packs
	w.do(w.on(made, "custodian", ev.ItemOpened, &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[made].envelopes["custodian"])}, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	m := Manifest{Items: []ev.ItemID{made}, Nonce: courtNonce, Recipient: w.people["custodian"].fingerprint(), Vault: origin}
	files := w.contents(m)
	w.do(w.on(made, "custodian", ev.ItemExported, &ev.ItemExportedDetails{Form: "package", Nonce: courtNonce, Content: ContentDigest(Lists(files))}))
	return w, source, func() *sample { return w.finish(m, files, []ev.Stream{ev.ItemOf(made)}) }
}

// fate is something that somebody does, lawfully or not.
func (w *world) fate(r *mathrand.Rand, source ev.ItemID) *ev.Event {
	any := func(names ...string) string { return names[r.IntN(len(names))] }
	state := func(id ev.ItemID) *ev.ItemState { return w.facts.States[ev.ItemOf(id)].(*ev.ItemState) }
	policy := w.facts.States[ev.PolicyOf(origin)].(*ev.PolicyState)
	item := source
	if r.IntN(8) == 0 {
		item = w.form
	}
	custodian := any("custodian", "custodian 2", "custodian", "custodian 2", "custodian", "clinician", "vault", "administrator")
	order := func(e *ev.Event) {
		if r.IntN(4) > 0 {
			e.Authority = &ev.Authority{Basis: ev.Basis(any("court_order", "statutory_duty", "care"))}
		}
		if r.IntN(4) > 0 && e.Kind == ev.ItemShredProposed {
			e.Notes = []ev.Note{{Name: "authority", Audience: ev.ToInternal, SHA256: ev.SHA256([]byte("a")), Size: 512}}
		}
	}
	noted := func(name string) func(e *ev.Event) {
		return func(e *ev.Event) {
			e.Notes = []ev.Note{{Name: name, Audience: ev.ToInternal, SHA256: ev.SHA256([]byte(name)), Size: 512}}
		}
	}
	form := func(e *ev.Event) {
		if item == w.form && r.IntN(2) == 0 {
			e.Consent = []ev.ConsentRef{{ID: w.con, Version: w.facts.States[ev.ConsentOf(w.con)].(*ev.ConsentState).Version}}
		}
	}
	recovery := ev.Fingerprint(nil, w.recovery.Recipient())
	switch r.IntN(17) {
	case 0, 1:
		return w.on(item, custodian, ev.ItemShredProposed, &ev.ItemShredProposedDetails{Cause: ev.Cause(any("draft", "withdrawal", "due", "order")), DryRun: ev.SHA256([]byte("x"))}, order, form)
	case 2:
		return w.on(item, custodian, ev.ItemShredCancelled, &ev.ItemShredCancelledDetails{Cause: ev.CauseError}, form)
	case 3, 4, 5:
		d := &ev.ItemShreddedDetails{Stores: []string{"records", "backups", "cold"}[:2+r.IntN(2)], Horizon: w.now.Add(time.Duration(29+r.IntN(9)) * day)}
		for _, e := range state(item).Envelopes {
			d.Envelopes = append(d.Envelopes, e.Recipient)
		}
		if r.IntN(9) == 0 {
			d.Envelopes = d.Envelopes[min(1, len(d.Envelopes)):]
		}
		return w.on(item, custodian, ev.ItemShredded, d, order, form)
	case 6, 7:
		return w.on(item, custodian, ev.RetentionSet, &ev.RetentionSetDetails{Category: any("a", "b"), Due: w.now.Add(time.Duration(r.IntN(60)-10) * day)}, form)
	case 8:
		return w.on(item, custodian, ev.HoldPlaced, &ev.HoldPlacedDetails{Hold: ev.NewID[ev.HoldID](), Basis: ev.CourtOrder, Expires: w.now.Add(30 * day), Review: w.now.Add(9 * day)}, noted("order"), form)
	case 9:
		if h := state(item).Holds; len(h) > 0 {
			return w.on(item, custodian, ev.HoldConfirmed, &ev.HoldConfirmedDetails{Hold: h[r.IntN(len(h))].ID}, form)
		}
	case 10:
		if h := state(item).Holds; len(h) > 0 {
			return w.on(item, custodian, ev.HoldLifted, &ev.HoldLiftedDetails{Hold: h[r.IntN(len(h))].ID, Cause: ev.CauseError}, form)
		}
	case 11:
		d := &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[item].envelopes["custodian"])}
		if r.IntN(3) > 0 {
			d.Envelope = ev.SHA256([]byte("r"))
		}
		return w.on(item, any("custodian", "custodian", "clinician"), ev.ItemOpened, d, func(e *ev.Event) { e.Purpose = ev.Purpose(any("recovery", "recovery", "care")) }, form)
	case 12:
		d := &ev.ItemEnvelopeRemovedDetails{Recipient: w.people[any("custodian", "clinician")].fingerprint(), Cause: ev.CauseLoss, Horizon: w.now.Add(time.Duration(r.IntN(60)) * day)}
		return w.on(item, custodian, ev.ItemEnvelopeRemoved, d, form)
	case 13:
		if r.IntN(2) == 0 {
			return w.event("clinician", ev.ConsentOf(w.con), ev.ConsentWithdrawn, &ev.ConsentWithdrawnDetails{Number: "1234-5678"})
		}
		c := w.facts.States[ev.ConsentOf(w.con)].(*ev.ConsentState)
		answers := c.Answers
		answers.Storage = ev.No
		return w.event("clinician", ev.ConsentOf(w.con), ev.ConsentNarrowed, &ev.ConsentNarrowedDetails{Version: c.Version + 1, Answers: answers, Until: c.Until})
	case 14:
		if r.IntN(3) == 0 {
			return w.event("vault", ev.PolicyOf(origin), ev.VaultRestored, &ev.VaultRestoredDetails{Backup: w.now.Add(time.Duration(r.IntN(5)-4) * day), Before: int64(r.IntN(8)), After: int64(4 + r.IntN(9))})
		}
		return w.event(any("custodian", "custodian 2", "administrator"), ev.PolicyOf(origin), ev.VaultConfirmed, &ev.VaultConfirmedDetails{Event: policy.Last.Leaf})
	case 15:
		d := &ev.VaultRecoveredDetails{Recovery: recovery, Items: []ev.ItemID{any2(r, source, w.form)}, Cause: ev.CauseLoss}
		return w.event(any("trustee", "trustee 2", "trustee", "trustee 2", "custodian"), ev.PolicyOf(origin), ev.VaultRecovered, d)
	case 16:
		d := &ev.VaultConfiguredDetails{Rules: policy.Rules, Recovery: policy.Recovery, Policy: policy.Policy, LogKeys: policy.LogKeys, Witness: policy.Witness, Version: "1.0.1", TimestampRoots: policy.TimestampRoots}
		switch r.IntN(6) {
		case 0:
			d.Policy.BinWait += int64(r.IntN(3)-1) * 86400
		case 1:
			d.Policy.TwoOrganizations = true
		case 2:
			d.TimestampRoots = []ev.Hash{ev.SHA256([]byte{byte(r.IntN(2))})}
		case 3:
			d.Recovery = must(sealing.NewIdentity()).Recipient()
		default:
			d.Rules = 3
		}
		return w.event(any("administrator", "administrator", "vault"), ev.PolicyOf(origin), ev.VaultConfigured, d)
	}
	return w.on(item, "vault", ev.ItemVerified, &ev.ItemVerifiedDetails{Scope: "ciphertext", Evidence: ev.SHA256(w.files[item].evidence)}, func(e *ev.Event) { e.Result = &ev.Result{Outcome: ev.Success} }, form)
}

func any2[T any](r *mathrand.Rand, list ...T) T { return list[r.IntN(len(list))] }

// Whatever is done to an item and to the policy, lawfully or not, both verifiers find the same of it lawful.
func TestIndependentOfFates(t *testing.T) {
	needsPython(t)
	var list []asked
	chosen(300, 5, func(i int) {
		seed := uint64(i)
		if os.Getenv("STRONGROOM_LONG") == "" {
			seed = mathrand.Uint64()
		}
		r := mathrand.New(mathrand.NewPCG(seed, 5))
		w, source, pack := lives(t)
		if r.IntN(2) == 0 {
			w.rules(3)
		}
		said, done := fmt.Sprint("seed ", seed), 0
		for range 200 {
			if done == 12 {
				break
			}
			w.now = w.now.Add(time.Duration(r.IntN(3)*r.IntN(8)) * day)
			e := w.fate(r, source)
			_, err := ev.Apply(w.facts, e, ev.SHA256([]byte("leaf")))
			if err != nil && (done < 10 || r.IntN(3) > 0) {
				w.now = w.now.Add(time.Millisecond)
				continue // the first steps are lawful
			}
			done++
			err = w.put(e)
			said += fmt.Sprintf("\n\t%s %s %+v by %s: %v", e.Time, e.Kind, e.Details, e.Actor.Role, err)
			if err != nil {
				break
			}
		}
		list = append(list, asked{said, pack().write(t), nil, w.trust})
	})
	agree(t, list...)
}

// rules configures a newer version of the rules and lets the wait pass.
func (w *world) rules(version int64) {
	s := w.facts.States[ev.PolicyOf(origin)].(*ev.PolicyState)
	w.do(w.event("administrator", ev.PolicyOf(origin), ev.VaultConfigured, &ev.VaultConfiguredDetails{Rules: version, Recovery: s.Recovery, Policy: s.Policy, LogKeys: s.LogKeys,
		Witness: s.Witness, Version: s.Version, Builds: s.Builds}))
	w.do(w.event("custodian", ev.PolicyOf(origin), ev.VaultConfirmed, &ev.VaultConfirmedDetails{Event: w.facts.States[ev.PolicyOf(origin)].Tip().Leaf}))
	w.now = w.now.Add(8 * day)
}

// formsOfVectors says of each vector of the formats whether it is accepted. Proofs between one and the same size are not in packages.
const formsOfVectors = `
import base64, json, sys, tempfile
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import verify as v

def checkpoint(i, openssl):
    class Trust:
        vault, policy, log_keys, note_keys = i["origin"], v.Policy("", i["origin"]), {}, {}
    for key in map(base64.b64decode, i["keys"]):
        ecdsa = key.startswith(v.P256_PREFIX)
        note_id = v.sha256(key) if ecdsa else v.sha256(i["origin"].encode() + b"\n\1" + key[-32:])
        Trust.note_keys[note_id[:4]] = key
        if ecdsa:
            Trust.log_keys[v.sha256(key)] = key
    v.Notary(Trust, openssl).check(v.Checkpoint.parse(i["note"]), None)

def proof(i, openssl):
    hashes = [bytes.fromhex(h) for h in i["proof"]]
    if i["kind"] == "inclusion":
        good = all(len(h) == 32 for h in hashes) and v.subtree_hashes(bytes.fromhex(i["leaf_hash"]), i["index"], i["size"], hashes)[0].hex() == i["root"]
    else:
        good = v.grows(i["old_size"], bytes.fromhex(i["old_root"]), i["size"], bytes.fromhex(i["root"]), hashes)
    if not good:
        raise v.Malformed

def stamp(i, openssl):
    t = v.Trust(i["trust"].encode())
    clock = v.Clock(t.stamp_roots, t.spans, openssl)
    s, = clock.hold([(base64.b64decode(i["response"]), v.sha256(base64.b64decode(i["message"])))])
    if s is None:
        raise v.Malformed
    if "time" not in i:
        return
    whole, _, fraction = i["time"].rstrip("Z").partition(".")
    at = v.milliseconds(v.moment(whole + ".000Z")) * 10**6 + int(fraction.ljust(9, "0") or "0")
    assert (s.at, s.accuracy, clock.development(s)) == (at, 1000 * i["accuracy_microseconds"], i["development"]), i["time"]

def trust(i, openssl):
    t = v.Trust(i["trust"].encode())
    if "groups" in i:
        assert (t.shown(), t.number.hex(), t.policy.quorum != "none", v.AUDITORS in t.policy.groups, bool(t.stamp_roots)) == (
            i["groups"], i["fingerprint"], i["requires_witnesses"], i["requires_auditors"], i["requires_timestamps"])

with tempfile.TemporaryDirectory() as folder:
    openssl = v.OpenSSL(folder)
    for name, read in (("tlog/checkpoints", checkpoint), ("tlog/proofs", proof), ("tlog/trust", trust), ("timestamps/timestamps", stamp)):
        with open(f"{sys.argv[1]}/vectors/{name}.json") as f:
            cases = json.load(f)
        for c in cases:
            if c["input"].get("kind") == "consistency" and c["input"]["old_size"] in (0, c["input"]["size"]):
                continue
            try:
                read(c["input"], openssl)
                accepted = True
            except (ValueError, KeyError, TypeError, AttributeError, v.Stop):
                accepted = False
            if accepted != (c["expect"] == "accept"):
                print(name, c["name"], accepted)
        print(name, len(cases) > 20)
`

// Checkpoints, proofs, trust files and time stamps, each in its one form, by the vectors that another implementation made.
func TestIndependentOfForms(t *testing.T) {
	needsPython(t)
	out, err := exec.Command("python3", "-c", formsOfVectors, filepath.Dir(independentProgram)).CombinedOutput()
	if want := "tlog/checkpoints True\ntlog/proofs True\ntlog/trust True\ntimestamps/timestamps True\n"; err != nil || string(out) != want {
		t.Errorf("%v: %s", err, out)
	}
}

// mldsa cosigns a state of the log with a key of ML-DSA-44.
func mldsa(w *world, name string) (vkey string, line func(size int, at ev.Time) string) {
	private, vkey, err := formats.GenerateMLDSAKey(name)
	signer := must(formats.NewMLDSASigner(must(private, err)))
	return vkey, func(size int, at ev.Time) string {
		root := w.tree.HashAt(uint64(size))
		sig := must(signer.SignSubtree(uint64(at.Std().Unix()), origin, 0, uint64(size), root))
		return "— " + name + " " + base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, signer.KeyHash()), sig...)) + "\n"
	}
}

// Signatures of a kind that the openssl at hand does not know are neither believed nor passed over; where it knows them they are verified.
func TestIndependentOfMLDSA(t *testing.T) {
	needsPython(t)
	a, id := witnessed(t)
	w := a.world
	witness, sign := mldsa(w, "three")
	own, seal := mldsa(w, origin)
	known, err := exec.Command("openssl", "list", "-signature-algorithms").Output()
	able := strings.Contains(string(must(known, err)), "ML-DSA-44")
	cases := []struct {
		name, policy string
		check        Check
		lines        func(size int, note []byte) string
	}{
		{"a witness", "witness three " + witness + " https://three.example\nquorum three\n", CheckWitnesses, func(size int, _ []byte) string { return sign(size, w.now) }},
		{"an auditor", "witness three " + witness + " https://three.example\ngroup auditors all three\nquorum none\n", CheckAudit, func(size int, _ []byte) string { return sign(size, w.now) }},
		{"the log itself", "log " + own + "\nquorum none\n", CheckCheckpoint, func(size int, _ []byte) string { return seal(size, w.now) }},
		{"another state", "log " + own + "\nquorum none\n", CheckCheckpoint, func(size int, _ []byte) string { return seal(size-1, w.now) }},
		{"another witness", a.one.rule() + "witness three " + witness + " https://three.example\nquorum one\n", CheckWitnesses, func(size int, note []byte) string { return a.one.line(note, w.now) + sign(size-1, w.now) }},
	}
	var list []asked
	for _, c := range cases {
		w.notes = map[int][]byte{}
		w.attest = func(size int, note []byte) []byte { return append(note, c.lines(size, note)...) }
		trust := must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: c.policy}))
		list = append(list, asked{name: c.name, data: a.pack(id).write(t), trust: trust})
	}
	if able {
		agree(t, list...)
		return
	}
	for i, r := range opinions(t, list) {
		if found := r.Check(cases[i].check); r.Verdict != Incomplete || found.Result != NotChecked || found.Reason != "algorithm" || !strings.Contains(found.Detail, "ML-DSA-44") {
			t.Errorf("%s: %s, %+v", cases[i].name, r.Verdict, r.Checks)
		}
	}
}

// A list in the package counts for every time stamp of keys of its issuer, whatever it is called and whatever else it says that need not be understood.
func TestIndependentOfRevocation(t *testing.T) {
	needsPython(t)
	a, id := witnessed(t)
	w := a.world
	base, other := a.packed(id), newAuthority(a.now.Std().AddDate(-1, 0, 0))
	size := len(w.logged)
	trust := must(tlog.NewTrust(tlog.TrustParts{Vault: origin, Logs: a.trust.Logs(), Founders: a.trust.Founders(), WitnessPolicy: a.trust.WitnessPolicy(),
		TimestampRoots: [][]byte{a.authority.root.Raw, other.root.Raw}}))
	revoked := a.authority.revoked(w.now.Add(-time.Hour), 2)
	var list []asked
	for name, crl := range map[string][]byte{"tsa": revoked, "second": revoked, "nobody": a.authority.revoked(w.now.Add(time.Hour), 3),
		"more": a.authority.list(x509.RevocationListEntry{SerialNumber: big.NewInt(2), RevocationTime: w.now.Std()}, pkix.Extension{Id: []int{1, 3, 6, 1, 4, 1, 311, 21, 1}, Value: []byte{2, 1, 0}})} {
		s := *base
		s.replace(a.stampName(), nil)
		s.replace("log/tsa.crl", nil)
		s.rereceipt(3, func(p *tlog.ReceiptParts) { p.Timestamps = [][]byte{a.authority.stamp(p.Signature, w.now)} })
		s.files = append(s.files, must(StampFile(int64(size), "second", other.stamp(w.text(size), w.now))), must(RevocationFile(name, crl)))
		list = append(list, asked{name: name, data: s.write(t), trust: trust})
	}
	for i, r := range opinions(t, list) {
		verdict, reason := Refused, ReasonTimestampRevoked
		if list[i].name == "nobody" {
			verdict, reason = Verified, ""
		}
		wanted(t, r, verdict, CheckTime, reason)
		ours := must(Verify(bytes.NewReader(list[i].data), int64(len(list[i].data)), Options{Trust: &trust}))
		wanted(t, ours, verdict, CheckTime, reason)
	}
}

// Witness policies, each judged by both: one party is counted once, and every key has one spelling.
func TestIndependentOfPolicies(t *testing.T) {
	needsPython(t)
	a, _ := witnessed(t)
	w := a.world
	one, two, own := a.one.rule(), a.two.rule(), newCosigner(origin)
	key := strings.SplitN(a.one.vkey, "+", 3)
	ml, _ := mldsa(w, "m")
	parts := tlog.TrustParts{Vault: origin, Logs: w.trust.Logs(), Founders: w.trust.Founders()}
	plain := must(tlog.NewTrust(parts)).Marshal()
	var in bytes.Buffer
	var want []bool
	policies := []string{
		"", "quorum none\n", "quorum none", "# nobody\n\nquorum none\n", one + "quorum one\n", one + "quorum\tone \n", one + two + "group x any one two\nquorum x\n", one + "witness m " + ml + " http://m.example:8080/w\nquorum m\n",
		one, "quorum one\n", one + "quorum none\nquorum none\n", one + "quorum two\n", one + "more\nquorum none\n", one + one + "quorum one\n", one + "witness two " + a.one.vkey + " https://x.example\nquorum none\n",
		one + "witness two " + a.two.vkey + " https://one.example/\nquorum none\n", one + "witness two " + a.two.vkey + " https://ONE.example\nquorum none\n", "witness one " + a.one.vkey + "\nquorum one\n",
		"witness one " + a.one.vkey + " ftp://one.example\nquorum one\n", "witness one " + a.one.vkey + " https://u:p@one.example\nquorum one\n", "witness one " + a.one.vkey + " https://one.example/?a\nquorum one\n",
		"witness none " + a.one.vkey + " https://one.example\nquorum none\n", own.rule() + "quorum none\n", "log " + own.vkey + "\nquorum none\n", "log " + ml + "\nquorum none\n",
		"witness one one+" + strings.ToUpper(key[1]) + "x+" + key[2] + " https://one.example\nquorum none\n", "witness one one+00000000+" + key[2] + " https://one.example\nquorum none\n",
		one + two + "group x 1 one\ngroup y 1 one two\nquorum y\n", one + two + "group x 3 one two\nquorum x\n", one + "group x 1 one one\nquorum x\n", one + "group x 1\nquorum x\n", one + "group x 0 one\nquorum x\n", one + "group x 00 one\nquorum x\n", one + "group x some one\nquorum x\n",
		one + "group one 1 one\nquorum one\n", one + "group x 1 y\ngroup y 1 one\nquorum x\n", one + "quorum one\r\n", one + "quorum one\n#é\n", "quorum none\n" + strings.Repeat("#\n", 300), "quorum none\n#" + strings.Repeat("x", 17<<10) + "\n",
	}
	for _, policy := range policies {
		parts.WitnessPolicy = policy
		_, err := tlog.NewTrust(parts)
		want = append(want, err == nil)
		text := must(json.Marshal(policy))
		must(0, json.NewEncoder(&in).Encode(string(bytes.Replace(plain, []byte(`"witness_policy":""`), append([]byte(`"witness_policy":`), text...), 1))))
	}
	c := exec.Command("python3", "-c", `
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import verify
for line in sys.stdin:
    try:
        print(bool(verify.Trust(json.loads(line).encode())))
    except verify.Malformed:
        print(False)
`, filepath.Dir(independentProgram))
	c.Stdin = &in
	answers := strings.Fields(string(must(c.Output())))
	if len(answers) != len(policies) {
		t.Fatalf("%d answers", len(answers))
	}
	for i, answer := range answers {
		if (answer == "True") != want[i] {
			t.Errorf("%q: %s, and ours says %v", policies[i], answer, want[i])
		}
	}
}
