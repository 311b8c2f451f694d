package campaign

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/client"
	ev "strongroom.example/strongroom/internal/evidence"
)

// desktop is one person's command line, which is killed.
type desktop struct {
	*world
	home   string
	dice   *rand.Rand
	sealed map[ev.ItemID]ev.Hash // of drafts that were seen: the ciphertext
}

// run runs the program, and kills it after a time unless that is 0. It reports whether it ended by itself, and well.
func (d *desktop) run(kill time.Duration, args ...string) bool {
	d.Helper()
	c := exec.Command(filepath.Join(bin, "strongroom"), append([]string{"--home", d.home, "--json"}, args...)...)
	var said bytes.Buffer
	c.Stderr = &said
	check(d, c.Start())
	if kill > 0 {
		defer time.AfterFunc(kill, func() { c.Process.Kill() }).Stop()
	}
	err := c.Wait()
	if err != nil && c.ProcessState.ExitCode() != -1 {
		d.Fatalf("strongroom %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
	return err == nil
}

// drafts returns how many deposits wait to be finished, and demands that what was sealed for each is what was sealed at first.
func (d *desktop) drafts() int {
	d.Helper()
	names := must(filepath.Glob(filepath.Join(d.home, "deposits", "*.json")))(d)
	for _, name := range names {
		file, err := os.Open(strings.TrimSuffix(name, ".json") + ".age")
		if os.IsNotExist(err) {
			continue // killed while it tidied up
		}
		check(d, err)
		digest := sha256.New()
		must(io.Copy(digest, file))(d)
		check(d, file.Close())
		var draft struct{ Item ev.ItemID }
		check(d, json.Unmarshal(must(os.ReadFile(name))(d), &draft))
		id := draft.Item
		if old, ok := d.sealed[id]; ok && old != ev.Hash(digest.Sum(nil)) {
			d.Errorf("the draft of %s was sealed again", id)
		}
		d.sealed[id] = ev.Hash(digest.Sum(nil))
	}
	return len(names)
}

// A person's own program is killed while it seals, sends and records a file, and while it resumes. Each file is in the vault once, with
// the ciphertext that was sealed first. The normal run kills it 12 times or more; STRONGROOM_LONG=1 300 times.
func TestKilledClient(t *testing.T) {
	t.Parallel()
	files, seed := 8, seed(t)
	if long {
		files = 200
	}
	w := newWorld(t, seed)
	p := &process{world: w}
	p.start()
	defer p.terminate()
	ctx := t.Context()
	in, _, err := w.custodian.OpenCase(ctx, client.NewCase{Type: "case", Members: []ev.Member{
		{Actor: w.custodian.Actor(), Rights: all}, {Actor: w.second.Actor(), Rights: all}, {Actor: w.investigator.Actor(), Rights: all},
	}, Keyholders: []ev.ActorID{w.custodian.Actor(), w.second.Actor()}})
	check(t, err)
	d := &desktop{w, string(w.investigator.folder), w.model.rand, make(map[ev.ItemID]ev.Hash)}
	check(t, client.WriteProfile(w.investigator.folder, client.Profile{Address: p.address, Actor: w.investigator.Actor()}))
	order := w.path("order.txt")
	check(t, os.WriteFile(order, []byte("judge\norder 7/27\nact 4\nArt. 9(2)(f)"), 0o600))
	deposit := func(name string) []string {
		return []string{"deposit", w.path(name), "--case", string(in), "--content", "digital", "--basis", "court_order", "--authority", order}
	}

	check(t, os.WriteFile(w.path("undisturbed"), make([]byte, 24<<20), 0o600))
	started := time.Now()
	if !d.run(0, deposit("undisturbed")...) {
		t.Fatal("a deposit that nobody disturbed did not end")
	}
	usual := time.Since(started)

	kills, originals := 0, make(map[string]ev.Hash)
	// A file more for each that ended before it was killed, as far as that goes: on a machine that was busy a moment ago all may.
	for i := 0; i < number("STRONGROOM_FILES", files) || len(d.sealed) == 0 && i < 5*files; i++ {
		name := fmt.Sprint("file-", i)
		body := make([]byte, d.dice.IntN(40<<20))
		for at := 0; at+4096 <= len(body); at += 4096 {
			body[at] = byte(d.dice.Uint32())
		}
		originals[name] = ev.SHA256(body)
		check(t, os.WriteFile(w.path(name), body, 0o600))
		done := false
		for !done {
			began := time.Now()
			done = d.run(d.soon(usual), deposit(name)...)
			kills++
			if done {
				usual = min(usual, time.Since(began))
			}
			for waiting := d.drafts(); waiting > 0; waiting = d.drafts() {
				kill := time.Duration(0)
				if d.dice.IntN(2) == 0 {
					kill = d.soon(usual)
					kills++
				}
				d.run(kill, "deposit", "--resume")
				done = true
			}
			// Without a draft and without an end it was not begun: nothing can be resumed, and it is deposited again.
		}
		check(t, os.Remove(w.path(name)))
	}

	count := make(map[string]int)
	for _, item := range must(w.custodian.Items(ctx, in))(t) {
		count[item.Label]++
		if sealed, ok := d.sealed[item.ID]; ok && sealed != item.Evidence.SHA256 {
			t.Errorf("%s is not what was sealed at first", item.Label)
		}
		want, ok := originals[item.Label]
		if !ok {
			continue
		}
		if n := len(must(w.custodian.History(ctx, ev.ItemOf(item.ID)))(t)); n != 1 {
			t.Errorf("%s has %d events", item.Label, n)
		}
		digest := sha256.New()
		_, err := w.custodian.Open(ctx, client.Open{Item: item.ID, Purpose: ev.ForVerification}, digest)
		check(t, err)
		if ev.Hash(digest.Sum(nil)) != want {
			t.Errorf("%s opens as something else", item.Label)
		}
	}
	for name := range originals {
		if count[name] != 1 {
			t.Errorf("%s is there %d times", name, count[name])
		}
	}
	t.Logf("%d files, %d attempts to kill, %d drafts were left; undisturbed a deposit takes %v", len(originals), kills, len(d.sealed), usual)
	if len(d.sealed) == 0 {
		t.Error("no draft was ever left: nothing was tried")
	}
}

// soon is a time within which a deposit of usual length is somewhere on its way.
func (d *desktop) soon(usual time.Duration) time.Duration {
	return usual/4 + time.Duration(d.dice.Int64N(int64(usual)))
}
