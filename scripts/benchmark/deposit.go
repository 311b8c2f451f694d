package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

// depositing is P2: one large file, from the client's disk to a durable object and a verified receipt.
func depositing(ctx context.Context, b *bench) result {
	size := b.size(1 << 30)
	m, names := b.againstBackups(ctx, []string{"evidence"}, size, 1)
	r := result{ID: "P2", Title: fmt.Sprintf("deposit %d MiB end to end, durable, receipt in hand", size/mib)}
	for i, name := range names {
		r.measure(name, m[i]*float64(size)/mib, "MiB/s")
	}
	r.atLeast("× the faster peer", m[0]/max(m[1], m[2]), 1.5)
	return r
}

// photographs is P3.
func photographs(ctx context.Context, b *bench) result {
	n, size := 1000, int64(2*mib)
	if b.quick {
		n = 60
	}
	var files []string
	for i := range n {
		files = append(files, fmt.Sprintf("photograph-%04d.jpg", i))
	}
	m, names := b.againstBackups(ctx, files, size, 8)
	r := result{ID: "P3", Title: fmt.Sprintf("deposit %d photographs of %d MiB, 8 in flight, receipts in hand", n, size/mib)}
	for i, name := range names {
		r.measure(name, m[i]*float64(n), "photographs/s")
	}
	r.atLeast("× the faster peer", m[0]/max(m[1], m[2]), 2)
	return r
}

// againstBackups makes the files, and deposits all of them per round, a number of them at a time; the peers bring the same files into a
// store of their own. The figures are such rounds per second.
func (b *bench) againstBackups(ctx context.Context, files []string, size int64, atOnce int) ([]float64, []string) {
	w := newWorld(ctx, b.dir)
	defer w.remove()
	in := w.openCase(ctx)
	consent := w.consent(ctx, in)
	originals, store := w.path("originals"), w.path("store")
	check(os.Mkdir(originals, 0o700))
	for i, name := range files {
		writeFile(filepath.Join(originals, name), size, uint64(i))
	}
	recipient := w.custodian.identity.Recipient()
	fresh := func(f func()) float64 {
		check(os.Mkdir(store, 0o700))
		defer os.RemoveAll(store)
		return 1 / timed(f).Seconds()
	}
	all := []contestant{
		{"client.Deposit over HTTP on this machine", func() float64 {
			before := w.objects()
			perSecond := 1 / timed(func() {
				each(files, atOnce, func(name string) { check(w.depositFile(ctx, in, consent, filepath.Join(originals, name))) })
			}).Seconds()
			w.forgetObjects(before)
			return perSecond
		}},
		{"peer: age into rclone rcat, sync", func() float64 {
			return fresh(func() {
				each(files, atOnce, func(name string) {
					shell(ctx, `set -o pipefail; "$1" -r "$2" "$3" | rclone --config "" rcat "$4" && sync "$4"`,
						b.age, recipient, filepath.Join(originals, name), filepath.Join(store, name+".age"))
				})
			})
		}},
		{"peer: restic backup to a local repository", func() float64 {
			check(os.RemoveAll(store))
			defer os.RemoveAll(store)
			restic := func(args ...string) {
				command(ctx, "restic", append([]string{"--quiet", "--no-cache", "--repo", store}, args...)...)
			}
			restic("init")
			return 1 / timed(func() { restic("backup", originals) }).Seconds()
		}},
	}
	var names []string
	for _, c := range all {
		names = append(names, c.name)
	}
	return interleave(b.rounds, all...), names
}

// each calls f for every name, so many at a time.
func each(names []string, atOnce int, f func(string)) {
	var next atomic.Int64
	var all crew
	for range atOnce {
		all.run(func() {
			for i := next.Add(1) - 1; i < int64(len(names)); i = next.Add(1) - 1 {
				f(names[i])
			}
		})
	}
	all.wait()
}

// depositFile brings one file in, as the command line does.
func (w *world) depositFile(ctx context.Context, in evidence.CaseID, consent evidence.ConsentID, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, receipt, err := w.clinician.Deposit(ctx, client.Deposit{
		Case: in, Class: evidence.Original, Content: evidence.Photograph, Basis: evidence.ByConsent, Consent: []evidence.ConsentID{consent},
		Label: "Photograph", Description: client.Description{Name: filepath.Base(name), MediaType: "image/jpeg"}, Body: f, Size: info.Size(),
	})
	if err == nil && receipt == nil {
		err = fmt.Errorf("a deposit without a receipt")
	}
	return err
}

// objects lists the files of the object store; forgetObjects removes those that came since, so that the rounds fit on the disk.
func (w *world) objects() map[string]bool {
	files := make(map[string]bool)
	check(filepath.WalkDir(w.path("objects"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[path] = true
		}
		return err
	}))
	return files
}

func (w *world) forgetObjects(but map[string]bool) {
	for path := range w.objects() {
		if !but[path] {
			check(os.Remove(path))
		}
	}
	time.Sleep(100 * time.Millisecond)
}

// forgetDrafts removes what a deposit leaves on the client's side while the vault has it too.
func (w *world) forgetDrafts() {
	check(os.RemoveAll(filepath.Join(string(w.clinician.folder), "deposits")))
}
