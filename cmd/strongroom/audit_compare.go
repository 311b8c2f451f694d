package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/audit"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/tlog"
)

func auditCompareCommand(a *app) *cobra.Command {
	var trust, proof, state string
	c := &cobra.Command{
		Use:   "compare A [B]",
		Short: "Compare two signed states of a record book, without a network",
		Long: `Says whether two signed states belong to one record book. A and B are each a
signed state (a file), a court's package, or a folder of evidence that
strongroom audit follow kept; such a folder holds two states and needs no B.

Two states of one length are compared as they are. For different lengths
something must show that the longer one is the shorter one, grown: the evidence
folder itself; or --proof FILE, the vault's answer to
/v1/log/consistency?from=N&to=M, or log/consistency.json of a package; or what
you followed yourself. If nothing at hand shows it, the answer says what would.

The trust file is the one of your folder, or --trust.

Signs:     nothing, and nothing is sent.

Exit code: 0 one record book, 4 ALARM: two, 2 nothing at hand decides it.`,
		Example: `  strongroom audit compare ~/.local/share/strongroom/audit/alarms/two_roots-5f1c
  strongroom audit compare first.zip second.zip --trust trust.json`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := a.judgeBy(trust, "", false)
			if err != nil {
				return err
			}
			if o.Trust == nil {
				return usage("--trust is missing")
			}
			return a.compareStates(c.Context(), *o.Trust, args, proof, state)
		},
	}
	c.Flags().StringVar(&trust, "trust", "", "the vault's trust `FILE` (default: your folder's)")
	c.Flags().StringVar(&proof, "proof", "", "`FILE` with the vault's proof that one grew from the other")
	c.Flags().StringVar(&state, "state", "", "`FOLDER` of what you followed (default: audit, in your folder)")
	return c
}

// twoStates is the answer.
type twoStates struct {
	Result  audit.Relation `json:"result"`
	Smaller int64          `json:"smaller"`
	Larger  int64          `json:"larger"`
}

func (a *app) compareStates(ctx context.Context, trust tlog.Trust, names []string, proofFile, state string) error {
	var notes [][]byte
	var split *audit.Split
	for _, name := range names {
		more, s, err := signedStates(name)
		if err != nil {
			return err
		}
		notes = append(notes, more...)
		if s != nil {
			split = s
		}
	}
	if len(notes) < 2 {
		return usage("one signed state alone cannot be compared")
	}
	var heads []tlog.Checkpoint
	for _, note := range notes {
		cp, err := tlog.OpenCheckpoint(note, trust.LogKeys())
		if err != nil {
			return &problem{code: exitRefused, label: "Refused", reason: "state_not_signed", cause: err, kept: keptAll,
				sentence: "One of them is not signed by a key of the trust file, so it shows nothing about this vault.",
				next:     "Check that both are of this vault, and that the trust file is its own."}
		}
		heads = append(heads, cp)
	}
	own, err := a.ownState(ctx, trust, state)
	if err != nil {
		return a.auditProblem(err, nil)
	}
	if own != nil {
		defer own.Close()
	}
	answer := twoStates{Result: audit.Same}
	for i, one := range heads {
		for _, other := range heads[:i] {
			proof, err := readProof(proofFile, min(one.Size, other.Size), max(one.Size, other.Size))
			if err != nil {
				return err
			}
			r, err := audit.Compare(other, one, split, proof, own)
			if err != nil {
				return err
			}
			if worse(r, answer.Result) || i == 1 {
				answer = twoStates{r, min(one.Size, other.Size), max(one.Size, other.Size)}
			}
		}
	}
	return a.tellCompared(answer)
}

// worse orders results: a proved fork is told before what is not proved, and that before what is right.
func worse(a, b audit.Relation) bool {
	rank := map[audit.Relation]int{audit.Same: 0, audit.Extends: 1, audit.Unproven: 2, audit.Fork: 3}
	return rank[a] > rank[b]
}

func (a *app) tellCompared(c twoStates) error {
	var rows []row
	var code int
	sizes := fmt.Sprintf("%d and %s", c.Smaller, plural(int(c.Larger), "entry", "entries"))
	switch c.Result {
	case audit.Same:
		rows = []row{{"Same", fmt.Sprintf("Both are the state of %s.", plural(int(c.Larger), "entry", "entries"))}}
	case audit.Extends:
		rows = []row{{"One", "They are of one record book, of " + sizes + ": the longer one is the shorter one, grown."}}
	case audit.Fork:
		code = exitAlarm
		rows = []row{{"ALARM", "These are of two record books, of " + sizes + ", both signed by the vault. That is proved: nothing that anybody adds can make them one."},
			{"Next", auditNext}}
	default:
		code = exitCannot
		rows = []row{{"Not shown", "Nothing at hand shows that the state of " + sizes + " belong to one record book, nor that they do not."},
			{"Needed", fmt.Sprintf("the vault's answer to /v1/log/consistency?from=%d&to=%d as --proof FILE, or the folder of an auditor who followed that far. A vault that cannot give it has two record books.", c.Smaller, c.Larger)}}
	}
	if err := a.show(c, rows...); err != nil || code == 0 {
		return err
	}
	return endsWith(code)
}

// signedStates reads what a person named: a folder of evidence, a package, or a signed state alone.
func signedStates(name string) (notes [][]byte, split *audit.Split, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		e, err := audit.ReadEvidence(name)
		if err != nil {
			return nil, nil, err
		}
		if e.Older != nil {
			notes = append(notes, e.Older)
		}
		return append(notes, e.Newer), e.Split, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	var begin [2]byte
	if _, err := file.ReadAt(begin[:], 0); err == nil && string(begin[:]) == "PK" {
		pkg, err := dossier.Read(file, info.Size())
		if err != nil {
			return nil, nil, err
		}
		if !pkg.Has("log/checkpoint") {
			return nil, nil, usage(name + " is a package without a signed state")
		}
		note, err := io.ReadAll(io.LimitReader(pkg.Open("log/checkpoint"), tlog.MaxCheckpointSize+1))
		return [][]byte{note}, nil, err
	}
	note, err := io.ReadAll(io.LimitReader(file, tlog.MaxCheckpointSize+1)) // one that is longer is none
	return [][]byte{note}, nil, err
}

// ownState opens what this person followed, if there is anything.
func (a *app) ownState(ctx context.Context, trust tlog.Trust, given string) (*audit.State, error) {
	dir, err := a.auditFolder(given)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(dir); err != nil {
		if given == "" && errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	return audit.Open(ctx, dir, trust.LogKeys())
}

// readProof takes the proof between two sizes out of the vault's answer, or out of a package's file.
func readProof(name string, from, to int64) ([][]byte, error) {
	if name == "" || from == to {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if of, err := dossier.ParseConsistency(text); err == nil {
		for _, p := range of.Proofs {
			if p.From == from && p.To == to {
				return p.Hashes, nil
			}
		}
		return nil, nil
	}
	var answer struct {
		From   int64    `json:"from"`
		To     int64    `json:"to"`
		Hashes []string `json:"hashes"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, usage("--proof is not the vault's answer")
	}
	if answer.From != from || answer.To != to {
		return nil, usage(fmt.Sprintf("--proof is from %d to %d entries, and needed is from %d to %d", answer.From, answer.To, from, to))
	}
	hashes := make([][]byte, len(answer.Hashes))
	for i, h := range answer.Hashes {
		if hashes[i], err = hex.DecodeString(h); err != nil {
			return nil, usage("--proof is not the vault's answer")
		}
	}
	return hashes, nil
}
