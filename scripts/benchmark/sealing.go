package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"filippo.io/age"

	"strongroom.example/strongroom/internal/sealing"
)

const mib = 1 << 20

// rate is MiB/s.
func rate(size int64, took time.Duration) float64 { return float64(size) / mib / took.Seconds() }

func timed(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// writeFile makes a durable file of size random bytes.
func writeFile(name string, size int64, seed uint64) {
	f := must(os.Create(name))
	defer f.Close()
	must(io.Copy(f, noise(size, seed)))
	check(f.Sync())
}

// intoFile has write fill a new file, makes it durable and removes it again. It returns how long filling and fsync took.
func intoFile(name string, write func(*os.File)) time.Duration {
	f := must(os.Create(name))
	defer os.Remove(name)
	defer f.Close()
	return timed(func() {
		write(f)
		check(f.Sync())
	})
}

// plainly hides what would let io.Copy leave the copying to the kernel: the vault's clients cannot.
type plainly struct{ io.Reader }

// encrypting is P1.
func encrypting(ctx context.Context, b *bench) result {
	size := b.size(1 << 30)
	dir := must(os.MkdirTemp(b.dir, "p1-"))
	defer os.RemoveAll(dir)
	src, dst := filepath.Join(dir, "evidence"), filepath.Join(dir, "evidence.age")
	writeFile(src, size, 1)
	recipient := must(sealing.NewItemKey()).Recipient()
	ours := contestant{"Encrypt: two digests, age, tree; fsync", func() float64 {
		return rate(size, intoFile(dst, func(f *os.File) {
			in := must(os.Open(src))
			defer in.Close()
			must(sealing.Encrypt(f, in, must(sealing.NewItemKey())))
		}))
	}}
	copying := contestant{"limit: copy and fsync", func() float64 {
		return rate(size, intoFile(dst, func(f *os.File) {
			in := must(os.Open(src))
			defer in.Close()
			must(io.CopyBuffer(struct{ io.Writer }{f}, plainly{in}, make([]byte, mib)))
		}))
	}}
	primitives := contestant{"limit: three SHA-256 and one age on all cores", func() float64 {
		return rate(size, timed(func() { cryptography(size, recipient) }))
	}}
	peer := contestant{"peer: openssl dgst; age; openssl dgst; sync", func() float64 {
		defer os.Remove(dst)
		return rate(size, timed(func() {
			command(ctx, "openssl", "dgst", "-sha256", src)
			command(ctx, b.age, "-r", recipient, "-o", dst, src)
			command(ctx, "openssl", "dgst", "-sha256", dst)
			command(ctx, "sync", dst)
		}))
	}}
	m := interleave(b.rounds, ours, copying, primitives, peer)
	r := result{ID: "P1", Title: fmt.Sprintf("encrypt %d MiB, file to file, fsynced", size/mib)}
	for i, c := range []contestant{ours, copying, primitives, peer} {
		r.measure(c.name, m[i], "MiB/s")
	}
	r.atLeast("of the limit", m[0]/min(m[1], m[2]), 0.8)
	r.atLeast("× the peer", m[0]/m[3], 1.8)
	return r
}

// cryptography does what Encrypt cannot do without, in memory, as parallel as it comes.
func cryptography(size int64, recipient string) {
	block := make([]byte, 256<<10)
	fill := func(w io.Writer) {
		for n := int64(0); n < size; n += int64(len(block)) {
			must(w.Write(block))
		}
	}
	var all crew
	for range 3 {
		all.run(func() { fill(sha256.New()) })
	}
	all.run(func() {
		w := must(age.Encrypt(io.Discard, must(age.ParseHybridRecipient(recipient))))
		fill(w)
		check(w.Close())
	})
	all.wait()
}

// envelopes is P7: the client's share of a grant on many items.
func envelopes(_ context.Context, b *bench) result {
	n, body := 10_000, int64(2*mib)
	if b.quick {
		n = 1000
	}
	custodian, court := must(sealing.NewIdentity()), must(sealing.NewIdentity()).Recipient()
	type item struct {
		recipient string
		envelope  []byte
	}
	items := make([]item, n)
	parallel(n, func(i int) {
		key := must(sealing.NewItemKey())
		items[i] = item{key.Recipient(), must(sealing.WriteEnvelope(key, custodian.Recipient()))}
	})
	ours := contestant{"open own envelope, write the court's", func() float64 {
		return float64(n) / timed(func() {
			parallel(n, func(i int) {
				key := must(sealing.OpenEnvelope(items[i].envelope, custodian, items[i].recipient))
				must(sealing.WriteEnvelope(key, court))
			})
		}).Seconds()
	}}
	again := contestant{"peer: encrypt bodies of 2 MiB again", func() float64 {
		few := max(n/50, 20)
		data := make([]byte, body)
		return float64(few) / timed(func() {
			parallel(few, func(int) {
				w := must(age.Encrypt(io.Discard, must(age.ParseHybridRecipient(court))))
				must(w.Write(data))
				check(w.Close())
			})
		}).Seconds()
	}}
	m := interleave(b.rounds, ours, again)
	r := result{ID: "P7", Title: fmt.Sprintf("grant %d items to a court: the envelopes, in the client", n)}
	r.measure(ours.name, m[0], "items/s")
	r.measure(again.name, m[1], "items/s")
	r.atLeast("envelopes/s", m[0], 500)
	return r
}

// parallel calls f(0) to f(n-1) on all cores.
func parallel(n int, f func(int)) {
	var next atomic.Int64
	var all crew
	for range cores {
		all.run(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				f(int(i))
			}
		})
	}
	all.wait()
}
