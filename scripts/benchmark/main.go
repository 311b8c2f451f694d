// Command benchmark measures QUALITY §1: each figure beside its limit or its peers, in the same run and in interleaved rounds. It compares
// and never judges: a missed aim is printed, and the exit code is 0.
//
// It drives the real packages and, as peers, programs that it is told of by scripts/bench. It works in a folder of its own.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"
)

// bench is one run.
type bench struct {
	dir    string // scratch, on the disk that is measured
	quick  bool
	rounds int
	large  bool   // P8 goes on to a million events
	age    string // the stock age command

	strongroomd string
}

var measurements = []struct {
	id  string
	run func(context.Context, *bench) result
}{
	{"P1", encrypting}, {"P2", depositing}, {"P3", photographs}, {"P4", events}, {"P5", opening}, {"P6", verifying}, {"P7", envelopes}, {"P8", growing},
	{"P10", replicated}, {"P11", auditing},
}

func main() {
	b := &bench{}
	flag.StringVar(&b.dir, "dir", os.TempDir(), "measure on the disk of this folder")
	flag.BoolVar(&b.quick, "quick", false, "small sizes and few rounds")
	flag.BoolVar(&b.large, "large", false, "P8 up to a million events")
	flag.StringVar(&b.age, "age", "age", "the stock age command")
	flag.StringVar(&b.strongroomd, "strongroomd", "strongroomd", "the server's program, for P10")
	flag.IntVar(&b.rounds, "rounds", 0, "rounds, of which the median is taken (default 5, quick 3)")
	only := flag.String("only", "", "comma-separated list, such as P1,P4")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the whole run to this file")
	file := flag.String("json", "", "write the results to this file too")
	open := flag.String("open", "", "open the vault of a run in this folder and say what it took; P8 does this")
	follow := flag.String("follow", "", "follow the vault of a run in this folder and say what it took; P11 does this")
	flag.Parse()
	if *open != "" {
		check(json.NewEncoder(os.Stdout).Encode(openOnce(context.Background(), *open)))
		return
	}
	if *follow != "" {
		check(json.NewEncoder(os.Stdout).Encode(followOnce(context.Background(), *follow)))
		return
	}
	if b.rounds == 0 {
		b.rounds = 5
		if b.quick {
			b.rounds = 3
		}
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "benchmark:", err)
			os.Exit(2)
		}
		defer pprof.StopCPUProfile()
	}
	if err := b.run(*only, *file); err != nil {
		fmt.Fprintln(os.Stderr, "benchmark:", err)
		os.Exit(2)
	}
}

func (b *bench) run(only, file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp(b.dir, "strongroom-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b.dir = dir
	m := describe(dir)
	m.print(os.Stdout)
	var results []result
	for _, one := range measurements {
		if only != "" && !slices.Contains(strings.Split(only, ","), one.id) || ctx.Err() != nil {
			continue
		}
		r := b.measure(ctx, one.id, one.run)
		r.print(os.Stdout)
		results = append(results, r)
	}
	if file == "" {
		return ctx.Err()
	}
	return writeJSON(file, m, results)
}

// measure runs one measurement; what it could not do is its result.
func (b *bench) measure(ctx context.Context, id string, run func(context.Context, *bench) result) (r result) {
	defer func() {
		if p := recover(); p != nil {
			f, ok := p.(failure)
			if !ok {
				panic(p)
			}
			r = result{ID: id, Failed: f.Error()}
		}
		r.Load = loadAverage()
	}()
	return run(ctx, b)
}
