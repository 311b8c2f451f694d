package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/forms"
)

// deposited is the result of one file.
type deposited struct {
	Result   string          `json:"result"` // recorded, recorded_before, refused, pending, not_done or left_out
	File     string          `json:"file,omitempty"`
	Item     evidence.ItemID `json:"item,omitempty"`
	Event    evidence.Hash   `json:"event,omitzero"`
	Entry    int64           `json:"entry"`
	Size     int64           `json:"size"`
	Reason   string          `json:"reason,omitempty"`
	Message  string          `json:"message,omitempty"`
	Problems []forms.Problem `json:"problems,omitempty"` // of a record

	problem *problem
	readers int
}

// workers is how many files are under way at a time: sealing some while others are sent or wait for their entry.
const workers = 8

// depositAll deposits each file for itself. What would stop every other file too stops the command.
func (a *app) depositAll(ctx context.Context, cl *client.Client, files []found, common client.Deposit, again bool) error {
	t := a.tally(len(files))
	next := make(chan found)
	var busy sync.WaitGroup
	for range min(workers, len(files)) {
		busy.Go(func() {
			for f := range next {
				t.add(t.depositOne(ctx, cl, f, common, again))
			}
		})
	}
	for _, f := range files {
		if p := t.stoppedBy(ctx); p != nil {
			t.notBegun(f, p)
			continue
		}
		next <- f
	}
	close(next)
	busy.Wait()
	return t.end()
}

func (t *tally) depositOne(ctx context.Context, cl *client.Client, f found, d client.Deposit, again bool) deposited {
	r := deposited{File: f.path}
	switch {
	case f.leftOut:
		r.Result = "left_out"
		return r
	case f.err != nil:
		return r.failed(f.err)
	case ctx.Err() != nil:
		return r.failed(ctx.Err())
	}
	if !f.alone {
		file, err := openSteady(f.path)
		if err != nil {
			return r.failed(err)
		}
		defer file.Close()
		if err := file.describe(&d, f.path); err != nil {
			return r.failed(err)
		}
	}
	r.Size = d.Size
	progress, end := t.gauges.file(d.Description.Name)
	defer end()
	d.Progress = t.tells(f.path, progress)
	if again {
		item, receipt, err := cl.Deposit(ctx, d)
		if r.Item = item; err != nil {
			return r.failed(err)
		}
		return r.recorded(receipt)
	}
	done, err := cl.DepositOnce(ctx, d)
	if r.Item = done.Item; err != nil {
		return r.failed(err)
	}
	if done.Before {
		r.Result, r.Event, r.Entry = "recorded_before", done.Event, done.Index
		return r
	}
	return r.recorded(done.Receipt)
}

func (r deposited) recorded(receipt *client.Receipt) deposited {
	r.Result, r.Event, r.Entry = "recorded", receipt.Leaf, receipt.Index()
	if d, ok := receipt.Event.Details.(*evidence.ItemDepositedDetails); ok {
		r.readers = len(d.Envelopes) - 1 // one is recovery's
	}
	return r
}

func (r deposited) failed(err error) deposited {
	r.problem = explain(err)
	r.Result = map[int]string{exitRefused: "refused", exitCannot: "not_done", exitPending: "pending"}[r.problem.code]
	r.Reason, r.Message, r.Problems = r.problem.reason, r.problem.sentence, r.problem.problems
	return r
}

func (r deposited) rows() []row {
	name := filepath.Base(r.File)
	if r.File == "" {
		name = string(r.Item)
	}
	if r.problem != nil {
		rows := append([]row{{r.problem.label, name + ": " + r.problem.sentence}}, problemRows(r.problem.problems)...)
		if r.problem.next != "" {
			rows = append(rows, row{"Next", r.problem.next})
		}
		return append(rows, row{"Reason", r.Reason})
	}
	what := name
	if r.Size > 0 {
		what += ", " + bytesOf(r.Size)
	}
	what += ", entry " + strconv.FormatInt(r.Entry, 10)
	switch r.Result {
	case "left_out":
		return []row{{"Left out", name + " is not a file."}}
	case "recorded_before":
		return []row{{"Before", what}, {"", string(r.Item)}}
	}
	return []row{{"Recorded", what}, {"", string(r.Item)}}
}

// tally tells each result as it comes, and all of them together in the end.
type tally struct {
	*app
	gauges *gauges

	mu      sync.Mutex
	of      int            // files
	results map[string]int // how many of each
	begun   int
	bytes   int64 // recorded
	readers int
	first   *problem // of a file that is not in
	stopped *problem // it would stop every other file too
}

func (a *app) tally(files int) *tally {
	return &tally{app: a, gauges: a.gauges(files), of: files, results: make(map[string]int)}
}

func (t *tally) add(r deposited) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count(r)
	t.begun++
	if t.json {
		t.line(r)
		return
	}
	printRows(t.gauges.above(t.out), r.rows()...)
}

func (t *tally) line(r deposited) { json.NewEncoder(t.out).Encode(r) }

func (t *tally) count(r deposited) {
	t.results[r.Result]++
	switch {
	case r.problem == nil && r.Result == "recorded":
		t.bytes += r.Size
		t.readers = r.readers
	case r.problem == nil:
	case t.first == nil:
		t.first = r.problem
		fallthrough
	default:
		if t.stopped == nil && stops(r.problem) {
			t.stopped = r.problem
		}
	}
}

// stops reports whether what one file met would stop every other one too.
func stops(p *problem) bool {
	switch p.reason {
	case "network", "http", "interrupted", "sign_in", "session", "signer_key", "store_full", "upload_quota":
		return true
	}
	return errors.As(p, new(*client.Alarm))
}

// stoppedBy is why no further file is begun, nil as long as it is.
func (t *tally) stoppedBy(ctx context.Context) *problem {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped == nil && ctx.Err() != nil {
		t.stopped = explain(ctx.Err())
	}
	return t.stopped
}

// notBegun counts a file; a line for each would bury what was done.
func (t *tally) notBegun(f found, p *problem) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.results["not_begun"]++
	if t.first == nil {
		t.first = p
	}
	if t.json {
		t.line(deposited{Result: "not_done", File: f.path, Reason: "not_begun", Message: inEnglish("not_begun").what})
	}
}

// tells passes on a file's progress, and says in words what a person should know of it.
func (t *tally) tells(path string, shown client.Progress) client.Progress {
	return func(step client.Step, done, total int64) {
		if step == client.Resending && !t.json {
			t.mu.Lock()
			printRows(t.gauges.above(t.err), row{"Again", filepath.Base(path) + ": " + inEnglish("resending").what})
			t.mu.Unlock()
		}
		if shown != nil {
			shown(step, done, total)
		}
	}
}

// endsWith is the exit code of the first file that is not in. Everything was said already.
type endsWith int

func (e endsWith) Error() string { return fmt.Sprintf("ends with %d", int(e)) }
func (e endsWith) ExitCode() int { return int(e) }

// end says all of it together.
func (t *tally) end() error {
	t.gauges.wait()
	if !t.json {
		printRows(t.out, t.together()...)
	}
	if t.first != nil {
		return endsWith(t.first.code)
	}
	return nil
}

func (t *tally) together() (rows []row) {
	in := t.results["recorded"]
	if t.of > 1 {
		rows = append(rows, row{"Together", fmt.Sprintf("%d of %s recorded, %s", in, plural(t.of, "file", "files"), bytesOf(t.bytes))})
		for _, of := range []struct{ label, result, what string }{
			{"Before", "recorded_before", "recorded from this folder before"}, {"Pending", "pending", "accepted, without proof of entry yet"},
			{"Refused", "refused", "refused"}, {"Not done", "not_done", "not recorded"}, {"Not begun", "not_begun", "not begun, because all would be stopped by the same"},
			{"Left out", "left_out", "left out: links and what is no file"},
		} {
			if n := t.results[of.result]; n > 0 {
				rows = append(rows, row{of.label, strconv.Itoa(n) + " " + of.what})
			}
		}
	}
	if t.stopped != nil && t.results["not_begun"] > 0 {
		rows = append(rows, row{"Next", inEnglish("not_begun").next})
	}
	if in > 0 {
		rows = append(rows, row{"Opens for", plural(t.readers, "keyholder", "keyholders") + " and the recovery key"},
			row{"", "Not yet checked by a second person."})
	}
	return rows
}

// resume finishes what was interrupted.
func (a *app) resume(ctx context.Context, cl *client.Client) error {
	t := a.tally(0)
	progress, end := t.gauges.file("interrupted files")
	list, err := cl.ResumeDeposits(ctx, t.tells("an interrupted file", progress))
	end()
	if err != nil {
		t.gauges.wait()
		return err
	}
	t.of = len(list)
	for _, l := range list {
		r := deposited{Item: l.Item}
		if l.Err != nil {
			r = r.failed(l.Err)
		} else {
			r = r.recorded(l.Receipt)
		}
		t.add(r)
	}
	if len(list) == 0 && !a.json {
		t.gauges.wait()
		return a.show(nil, row{"", "Everything is sent."})
	}
	return t.end()
}
