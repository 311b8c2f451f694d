package main

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
)

// A deposit that was killed while it was sent is finished with the same item, and opens to the same bytes.
func TestResumeAfterKill(t *testing.T) {
	w := foundTown(t)
	rights := ":deposit,open,approve,manage"
	in := str(t, w.custodian.types("", "case", "open", "--member", "me"+rights, "--member", w.second.id+rights,
		"--keyholder", "me", "--keyholder", w.second.id).object(), "case")
	large := make([]byte, 96<<20)
	for i, random := 0, rand.NewPCG(1, 2); i < len(large); i += 8 {
		v := random.Uint64()
		for j := range 8 {
			large[i+j] = byte(v >> (8 * j))
		}
	}
	file := w.write("large.bin", string(large))
	deposit := []string{"deposit", file, "--case", in, "--content", "digital", "--basis", "court_order", "--authority", w.write("order.txt", "Order 1 of a court")}

	c := exec.Command(filepath.Join(bin, "strongroom"), append([]string{"--home", w.second.home}, deposit...)...)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	for drafts := filepath.Join(w.second.home, "deposits", "*.json"); ; time.Sleep(2 * time.Millisecond) {
		if found, err := filepath.Glob(drafts); err != nil || len(found) > 0 {
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("the deposit ended before it could be killed: %v", err)
		default:
		}
	}
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended

	list := decodeOne[[]deposited](t, w.second.types("", "deposit", "--resume").ends(0).out)
	if len(list) != 1 || list[0].Result != "recorded" || !evidence.ValidID(list[0].Item) {
		t.Fatalf("resume: %+v", list)
	}
	w.second.types("", "open", string(list[0].Item), "--purpose", "verification", "--to", w.path("back.bin")).object()
	w.same("back.bin", file)
	if left, err := filepath.Glob(filepath.Join(w.second.home, "deposits", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if again := decodeOne[[]deposited](t, w.second.types("", "deposit", "--resume").ends(0).out); len(again) != 0 {
		t.Errorf("resumed twice: %+v", again)
	}
	// Stopped by its own time limit before anything is accepted.
	w.second.types("", append(deposit, "--wait", "1ms")...).ends(exitCannot)
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
