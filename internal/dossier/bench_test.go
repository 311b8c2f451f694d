//go:build unix

package dossier

import (
	"bytes"
	"crypto/ecdsa"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
)

// BenchmarkVerify is P6: a package of ten thousand events, beside as many plain P-256 verifications on the same cores, in turns: medians by the clock and in
// processor time.
// "read" is the share of taking receipts and statements apart.
func BenchmarkVerify(b *testing.B) {
	const n = 10_000
	w := newWorld(b)
	id := w.deposit("opened often")
	w.seal(id, 1)
	w.grant = ev.NewID[ev.GrantID]()
	w.share(id)
	opened := &ev.ItemOpenedDetails{Envelope: ev.SHA256(w.files[id].envelopes["custodian"])}
	for len(w.logged) < n {
		w.do(w.on(id, "custodian", ev.ItemOpened, opened, func(e *ev.Event) { e.Purpose = ev.ForCare }))
	}
	s := w.pack(id)
	data := s.write(b)
	item := s.excerpt.Streams[0]
	limit := func() {
		signed := w.logged[w.events[ev.ItemOf(id)][1]].signed
		key, digest := must(custody.PublicKey(signed.SPKI())), signed.PAEDigest()
		var bad atomic.Int64
		parallel(n, func(int) {
			if !ecdsa.VerifyASN1(key, digest[:], signed.Signature()) {
				bad.Add(1)
			}
		})
		if bad.Load() > 0 {
			b.Fatal("signature")
		}
	}
	verified := func() {
		if r, err := Verify(bytes.NewReader(data), int64(len(data)), Options{Trust: &w.trust}); err != nil || r.Verdict != Verified {
			b.Fatal(r.Verdict, err)
		}
	}
	read := func() {
		parallel(int(item.Events), func(i int) {
			if _, _, _, err := open(must(item.Receipt(int64(i)))); err != nil {
				panic(err)
			}
		})
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as strongroom-verify does
	var wall, cpu [3][]float64                        // microseconds for each event
	for b.Loop() {
		for i, f := range []func(){limit, verified, read} {
			start, used := time.Now(), cpuTime()
			f()
			wall[i] = append(wall[i], float64(time.Since(start).Microseconds())/n)
			cpu[i] = append(cpu[i], float64((cpuTime()-used).Microseconds())/n)
		}
	}
	median := func(list []float64) float64 {
		slices.Sort(list)
		return list[len(list)/2]
	}
	for i, name := range []string{"p256", "verify", "read"} {
		b.ReportMetric(median(wall[i]), name+"-µs/event")
		b.ReportMetric(median(cpu[i]), name+"-cpu-µs/event")
		b.ReportMetric(median(wall[i])/median(wall[0]), name+"/p256")
		b.ReportMetric(median(cpu[i])/median(cpu[0]), name+"/p256-cpu")
	}
}

// cpuTime is what this process has used: on a machine that others use, too, it says more than the clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
