package campaign

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// process is strongroomd as its own process.
type process struct {
	*world
	folder  string                 // of the vault, "" is vault
	at      *atomic.Pointer[place] // where it answers, nil is the world's place
	in      *namespace             // in which it runs
	under   []string               // a command that runs it
	cmd     *exec.Cmd
	said    *words
	ended   chan error
	address string // as it says it
}

func (p *process) data() string { return p.path(cmp.Or(p.folder, "vault")) }

func (p *process) answers(at *place) {
	if p.at == nil {
		p.at = &p.place
	}
	p.at.Store(at)
}

func (p *process) spawn() {
	p.Helper()
	address := p.data() + ".address"
	os.Remove(address)
	line := append(slices.Clone(p.under), filepath.Join(bin, "strongroomd"), "serve", "--data", p.data(), "--listen", "127.0.0.1:0", "--address-file", address)
	p.cmd, p.said, p.ended = exec.Command(line[0], line[1:]...), new(words), make(chan error, 1)
	p.cmd.Stderr = p.said
	check(p, p.cmd.Start())
	cmd, ended := p.cmd, p.ended
	p.Cleanup(func() { cmd.Process.Kill() }) // nothing, if it has ended
	go func() { ended <- cmd.Wait() }()
}

// start waits until the vault answers.
func (p *process) start() {
	p.Helper()
	check(p, p.tryStart())
}

func (p *process) tryStart() error {
	p.Helper()
	p.spawn()
	for deadline := time.After(time.Minute); ; {
		text, _ := os.ReadFile(p.data() + ".address")
		if address, whole := strings.CutSuffix(string(text), "\n"); whole {
			at := must(client.ParseAddress(address))(p)
			p.address = address
			p.answers(&place{strings.TrimPrefix(at.URL(), "https://"), at.Transport().TLSClientConfig, p.in})
			return nil
		}
		select {
		case err := <-p.ended:
			return fmt.Errorf("strongroomd does not start: %w\n%s", err, tail(p.said.String()))
		case <-deadline:
			p.kill()
			return fmt.Errorf("strongroomd does not answer:\n%s", tail(p.said.String()))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// kill ends it as a power cut would, but for what the disk has not got yet.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.ended
	p.answers(nil)
}

// terminate ends it as an operator does.
func (p *process) terminate() {
	p.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := <-p.ended; err != nil {
		p.Errorf("strongroomd: %v\n%s", err, tail(p.said.String()))
	}
	p.answers(nil)
}

// words are what a program says.
type words struct {
	mu   sync.Mutex
	said []byte
}

func (w *words) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, p...)
	return len(p), nil
}

func (w *words) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.said)
}

func tail(s string) string { return s[max(0, len(s)-3000):] }

// The vault is killed again and again while people work with it. The normal run kills 20 times; STRONGROOM_LONG=1 1,000 times, every 50
// of them in a new vault.
func TestKilledVault(t *testing.T) {
	t.Parallel()
	kills, seed := 20, seed(t)
	if long {
		kills = 1000
	}
	kills = number("STRONGROOM_KILLS", kills)
	for vault := 0; kills > 0 && !t.Failed(); vault++ {
		n := min(kills, 50)
		kills -= n
		t.Run(fmt.Sprint("vault ", vault), func(t *testing.T) { killed(t, seed+uint64(vault), n) })
	}
}

func killed(t *testing.T, seed uint64, kills int) {
	w := newWorld(t, seed)
	c := begin(w)
	c.faultless = true
	p := &process{world: w}
	p.start()
	c.work()
	defer c.rest()
	var examining sync.WaitGroup
	defer examining.Wait()
	for kill := 1; kill <= kills && !t.Failed(); kill++ {
		how := p.strike()
		left, before := w.left(), w.model.said()
		p.start()
		examining.Wait()
		t.Logf("kill %d, %s", kill, how) // of a failure, the last but one or the last
		examining.Go(func() { w.examine(left, before) })
	}
	examining.Wait()
	time.Sleep(time.Second)
	c.rest()
	c.settle()
	c.opensAgain(10)
	c.delivers()
	w.consistent()
	p.terminate()
	t.Log(c.summary())
	examined := w.examine(w.left(), w.model.said())
	if examined["pending"] != 0.0 {
		t.Errorf("%v events are pending at the end", examined["pending"])
	}
	if n := len(w.model.included); n < kills {
		t.Errorf("hardly anything was acknowledged: %d events", n)
	}
}

// strike lets the vault run for a while and kills it: at some time, or where it hurts.
func (p *process) strike() string {
	dice := p.model.rand
	for n := 2 + dice.IntN(8); n > 0; n-- { // it works
		p.await(atReceipt, 2*time.Second)
	}
	what := []moment{"", atCommit, atReceipt, atReceipt, atAccess, atUpload, atRelease, "right after the start", "twice"}[dice.IntN(9)]
	time.Sleep(time.Duration(dice.IntN(200)) * time.Millisecond)
	switch what {
	case atCommit, atAccess, atUpload:
		p.await(what, time.Second)
		time.Sleep(time.Duration(dice.IntN(30_000)) * time.Microsecond)
	case atReceipt, atRelease: // at once: what was said must be so already
		p.await(what, time.Second)
	}
	p.kill()
	switch what {
	case "right after the start": // before it answers, or just then
		p.spawn()
		time.Sleep(time.Duration(dice.IntN(150)) * time.Millisecond)
		p.kill()
	case "twice":
		p.start()
		time.Sleep(time.Duration(dice.IntN(300)) * time.Millisecond)
		p.kill()
	}
	return string(what)
}

// await waits for a moment, but not for ever: it may not come.
func (w *world) await(what moment, most time.Duration) {
	over := time.After(most)
	for {
		select {
		case m := <-w.model.moments:
			if m == what {
				return
			}
		case <-over:
			return
		}
	}
}

// left is a copy of what lies in the vault's folder: the vault itself starts again from the folder that nobody has touched.
func (w *world) left() string {
	w.Helper()
	dir := must(os.MkdirTemp(w.dir, "left"))(w)
	check(w, copyFolder(dir, w.path("vault")))
	return dir
}

// fsck examines a vault's folder, and what else belongs to it.
func (w *world) fsck(folder string, under ...string) map[string]any {
	w.Helper()
	line := append(slices.Clone(under), filepath.Join(bin, "strongroomd"), "fsck", "--data", folder, "--config", w.config, "--json")
	var said bytes.Buffer
	fsck := exec.Command(line[0], line[1:]...)
	fsck.Stderr = &said
	out, err := fsck.Output()
	var report struct{ Examined map[string]any }
	if err != nil || json.Unmarshal(out, &report) != nil {
		w.Errorf("fsck: %v\n%s%s", err, out, tail(said.String()))
	}
	return report.Examined
}

// examine runs fsck over a folder that was left, holds it against the model, and removes it.
func (w *world) examine(left string, before said) map[string]any {
	w.Helper()
	defer os.RemoveAll(left)
	examined := w.fsck(left)
	w.model.kept(w, before, w.records(left), must(os.ReadFile(filepath.Join(left, "checkpoint")))(w))
	return examined
}

// consistent demands that the log as it is extends every checkpoint that was ever given away.
func (w *world) consistent() {
	w.Helper()
	ctx := context.Background()
	way := &http.Client{Transport: &recorder{world: w, way: w.way(nil)}}
	c := must(wire.NewClientWithResponses(vaultAddress, wire.WithHTTPClient(way)))(w)
	var now tlog.Checkpoint
	for newest, deadline := w.model.said().newest, time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) { // a replica may be behind
		note := must(c.GetCheckpointWithResponse(ctx, nil))(w)
		if now = must(tlog.OpenCheckpoint(note.Body, w.model.keys))(w); now.Size >= newest {
			break
		}
		if time.Now().After(deadline) {
			w.Fatalf("the log has %d entries, and had %d", now.Size, newest)
		}
	}
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	for size, root := range w.model.checkpoints {
		proof := must(c.GetConsistencyWithResponse(ctx, &wire.GetConsistencyParams{From: size, To: now.Size}))(w)
		if proof.JSON200 == nil {
			w.Errorf("no proof that the log extends its checkpoint of size %d: %d", size, proof.StatusCode())
			continue
		}
		var hashes [][]byte
		for _, h := range proof.JSON200.Hashes {
			hashes = append(hashes, must(hex.DecodeString(h))(w))
		}
		if err := tlog.VerifyConsistency(tlog.Checkpoint{Origin: now.Origin, Size: size, Root: root}, now, hashes); err != nil {
			w.Errorf("the log does not extend its checkpoint of size %d: %v", size, err)
		}
	}
}
