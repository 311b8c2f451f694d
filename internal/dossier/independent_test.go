package dossier

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
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
				// Each event has a time stamp of its own, and no other package was named: these say more, and no verdict needs them (FORMATS §11).
				if stampFiles.MatchString(files[i].Path) || files[i].Path == consistencyName {
					return
				}
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
	agreedBy(t, nil, differ, list)
}

func agreedBy(t *testing.T, env []string, differ func(own, other *Report) string, list []asked) {
	t.Helper()
	for i, other := range opinionsBy(t, env, list) {
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
	return opinionsBy(t, nil, list)
}

// opinionsBy are those where the environment is another.
func opinionsBy(t *testing.T, env []string, list []asked) (reports []*Report) {
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
	if env != nil {
		c.Env = append(os.Environ(), env...)
	}
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

// some of a list, in their order: all with STRONGROOM_LONG=1.
func some(list []asked, samples int) (picked []asked) {
	chosen(len(list), samples, func(i int) { picked = append(picked, list[i]) })
	return picked
}
