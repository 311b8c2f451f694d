package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"strongroom.example/strongroom/internal/ceremony"
)

// held holds a ceremony and returns the folder and the codes of the parts, as they are printed.
func held(w *town, name string, trustees, needed int) (dir string, codes []string) {
	t := w.t
	t.Helper()
	dir = w.path(name)
	c := exec.Command(filepath.Join(bin, "strongroom"), "ceremony", "--json", "--trustees", fmt.Sprint(trustees), "--needed", fmt.Sprint(needed), "--out", dir)
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	c.Stdout = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(stderr)
	if asked, err := said.ReadString(':'); err != nil { // a person now prints; this test reads what would be on the paper
		t.Fatalf("%v: %s", err, asked)
	}
	for i := range trustees {
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("share-%d.txt", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		share, err := ceremony.Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		codes = append(codes, share.Code())
	}
	_, err = io.WriteString(stdin, strings.Join(codes[trustees-needed:], "\n")+"\n")
	rest, failed := io.ReadAll(said)
	if err = errors.Join(err, failed, c.Wait()); err != nil {
		t.Fatalf("%v\n%s", err, rest)
	}
	if o := decodeOne[map[string]any](t, out.String()); o["result"] != "made" {
		t.Fatalf("%v", o)
	}
	return dir, codes
}

// forged is the code of another part under the same number, in its form.
func forged(t *testing.T, code string) string {
	t.Helper()
	encoding := base32.StdEncoding.WithPadding(base32.NoPadding)
	b, err := encoding.DecodeString(strings.ReplaceAll(code, "-", ""))
	if err != nil {
		t.Fatal(err)
	}
	const check = 4
	b = b[:len(b)-check]
	b[len(b)-1] ^= 1
	sum := sha256.Sum256(append([]byte("strongroom/share/check/v1"), b...))
	return encoding.EncodeToString(append(b, sum[:check]...))
}

// again gives somebody who lost everything new keys in another folder: invited by the administrator, confirmed by another person.
func (w *town) again(p, confirmer *person) *person {
	w.t.Helper()
	q := w.newPerson(filepath.Base(p.home) + "-again")
	offer := w.admin.types("", "actor", "rotate", p.id).object()
	answer := q.types(str(w.t, offer, "code")+"\n", "enrol", "--server", w.address, "--trust", w.trust, "--number", w.number, "--plain-keys").object()
	w.admin.types("", "actor", "admit", str(w.t, offer, "invitation"), "--cause", "loss").object()
	confirmer.types("", "actor", "confirm", p.id, "--number", str(w.t, answer, "key_number"), "--method", "video").object()
	q.id = p.id
	return q
}

// The drill through the real programs: a ceremony, a vault founded with its recipient, everybody who holds keys of a case loses them, two
// trustees state the recovery, three parts of five are typed, and the items open again.
func TestRecoveryDrill(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the real programs; run without -short")
	}
	t.Parallel()
	w := newTown(t, t.TempDir())
	dir, codes := held(w, "ceremony", 5, 3)
	_, strange := held(w, "other", 5, 3)
	recipient, err := os.ReadFile(filepath.Join(dir, recipientFile))
	if err != nil {
		t.Fatal(err)
	}
	w.found("--recovery", strings.TrimSpace(string(recipient)))

	helper, one, two := w.newPerson("helper"), w.newPerson("trustee"), w.newPerson("trustee 2")
	w.enrol(helper, "custodian", w.admin, w.custodian)
	w.enrol(one, "trustee", w.custodian, w.second)
	w.enrol(two, "trustee", w.custodian, w.second)
	in := str(t, w.second.types("", "case", "open", "--member", "me:deposit,open,manage", "--member", w.clinician.id+":deposit,open",
		"--keyholder", "me", "--keyholder", w.clinician.id).object(), "case")
	consent := str(t, w.clinician.types("", "consent", "give", "--case", in, "--form", w.write("form.txt", "signed form"), "--until", "365d",
		"--examination", "yes", "--storage", "yes", "--yes").object(), "consent")
	item := string(decodeLines[deposited](t, w.clinician.types("", "deposit", w.write("report.txt", "what was found"), "--case", in, "--content", "clinical",
		"--consent", consent).ends(0).out)[0].Item)

	second, clinician := w.again(w.second, helper), w.again(w.clinician, helper)
	second.types("", "open", item, "--purpose", "investigation", "--to", w.path("lost.txt")).refused(exitRefused, "envelope")

	recovering := []string{"recover", in, "--reason", "the archive burnt", "--yes"}
	shares := func(list ...string) string { return strings.Join(list, "\n") + "\n" }
	said := second.types(shares(codes[0], codes[1], codes[2]), recovering...)
	said.refused(exitRefused, "not_recovered")
	if !strings.Contains(said.err, item) {
		t.Errorf("it does not say what trustees are to state:\n%s", said.err)
	}
	state := []string{"vault", "recovered", "--cause", "loss", "--yes"}
	for _, id := range regexp.MustCompile("itm-[a-z2-7]{26}").FindAllString(said.err, -1) { // the consent form too
		state = append(state, "--item", id)
	}
	one.types("", state...).object()
	second.types(shares(codes[:3]...), recovering...).refused(exitRefused, "not_recovered")
	if o := two.types("", state...).object(); o["confirmed"] != true {
		t.Fatalf("%v", o)
	}

	second.types(shares(codes[:2]...), recovering...).refused(exitRefused, "share_few")
	second.types(shares(codes[0], codes[1], codes[1]), recovering...).refused(exitRefused, "share_few")
	second.types(shares(codes[0][:20]), recovering...).refused(exitRefused, "share_code")
	wrong := second.types(shares(codes[0], strange[3]), recovering...)
	wrong.refused(exitRefused, "share_wrong")
	if !strings.Contains(wrong.err, "Part 4") {
		t.Errorf("the wrong part is not named:\n%s", wrong.err)
	}
	made := forged(t, codes[3])
	differ := second.types(shares(codes[0], codes[1], made), recovering...)
	differ.refused(exitRefused, "shares_differ")
	if !strings.Contains(differ.err, "one more part") {
		t.Errorf("it does not say what tells which part is wrong:\n%s", differ.err)
	}
	made4 := w.write("part-4.txt", made)
	more := second.types("", append(recovering, "--share", made4, "--share", filepath.Join(dir, "share-3.txt"),
		"--share", filepath.Join(dir, "share-1.txt"), "--share", filepath.Join(dir, "share-5.txt"))...)
	more.refused(exitRefused, "share_wrong")
	if !strings.Contains(more.err, "Part 4") {
		t.Errorf("the part that was made up is not named:\n%s", more.err)
	}
	second.types("", append(recovering, "--record", w.path("other/"+recordFile))...).refused(exitRefused, "other_recovery_key")
	second.types("", "open", item, "--purpose", "investigation", "--to", w.path("lost.txt")).refused(exitRefused, "envelope")

	o := second.types(shares(codes[4], strings.ToLower(codes[1])), append(recovering, "--record", filepath.Join(dir, recordFile), "--share", filepath.Join(dir, "share-3.txt"))...).object()
	if o["written"] != 4.0 || o["members"] != 2.0 {
		t.Errorf("recovered: %v", o)
	}
	for i, p := range []*person{second, clinician} {
		name := fmt.Sprintf("again-%d.txt", i)
		p.types("", "open", item, "--purpose", "investigation", "--to", w.path(name)).ends(0)
		w.same(name, w.path("report.txt"))
	}
	second.types("", recovering...).refused(exitRefused, "recovery_not_needed")
	second.as().types("", "history", item).ends(0).has("recovery")
}
