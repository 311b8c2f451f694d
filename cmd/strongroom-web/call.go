//go:build js && wasm

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"syscall/js"
	"time"

	"strongroom.example/strongroom/internal/browser"
	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// calls are what the page can ask for. Their parameters and answers are the types that vault.js tells the page of.
var calls = map[string]call{
	"state":       ask(state),
	"terms":       ask(terms),
	"join":        ask(join),
	"unlock":      ask(unlock),
	"lock":        ask(lock),
	"me":          act(me),
	"recovery":    act(again),
	"book":        act(book),
	"shares":      act(shares),
	"redeem":      act(redeem),
	"copy":        act(copyShare),
	"acknowledge": act(acknowledge),
	"export":      act(export),
	"history":     act(history),
	"proposals":   act(proposals),
	"approve":     act(approve),
	"refuse":      act(refuse),
	"envelope":    act(envelope),
	"propose":     act(propose),
	"weigh":       act(weigh),
	"why":         act(why),
	"people":      act(people),
	"invite":      act(invite),
	"admit":       act(admit),
	"confirm":     act(confirm),
	"reject":      act(reject),
	"audit":       act(audit),
}

// request is one call of the page's.
type request struct {
	context.Context
	*device
	progress js.Value // a function of a step's name and two numbers, or undefined
}

// toldEvery is how often a person sees something move.
const toldEvery = 100 * time.Millisecond

// telling tells the page how far a step is. It gives the browser a turn then, or a call to stop would not be heard before all has come.
func (r request) telling() client.Progress {
	var last time.Time
	return func(step client.Step, done, all int64) {
		if now := r.now(); now.Sub(last) >= toldEvery || done == all {
			last = now
			if r.progress.Type() == js.TypeFunction {
				r.progress.Invoke(string(step), done, all)
			}
			time.Sleep(time.Millisecond)
		}
	}
}

type call func(r request, params []byte) (any, error)

// ask reads parameters in JSON, known names only.
func ask[P, A any](run func(request, P) (A, error)) call {
	return func(r request, params []byte) (any, error) {
		var p P
		d := json.NewDecoder(bytes.NewReader(params))
		d.DisallowUnknownFields()
		if d.Decode(&p) != nil || d.More() {
			return nil, errParams
		}
		return run(r, p)
	}
}

// act is ask for who has unlocked. Parameters with a check are checked before anything else.
func act[P, A any](run func(request, *client.Client, P) (A, error)) call {
	return ask(func(r request, p P) (a A, err error) {
		if c, ok := any(p).(interface{ check() error }); ok {
			if err := c.check(); err != nil {
				return a, err
			}
		}
		c, err := r.session()
		if err != nil {
			return a, err
		}
		return run(r, c, p)
	})
}

var errParams = evidence.Refuse(evidence.Invalid, "params")

// valid is errParams unless all are well formed.
func valid(all ...bool) error {
	if slices.Contains(all, false) {
		return errParams
	}
	return nil
}

type none struct{}

// withFile is an answer beside which a Blob goes to the page.
type withFile struct{ file js.Value }

func (w withFile) blob() js.Value { return w.file }

// promise begins a call and answers with a promise at once: nothing that runs in the browser's own turn may wait. The arguments are a name,
// parameters in JSON, a function for progress, and a signal that ends it.
func (d *device) promise(args []js.Value) any {
	if len(args) != 4 || args[0].Type() != js.TypeString || args[1].Type() != js.TypeString {
		return js.Undefined()
	}
	name, params, signal := args[0].String(), []byte(args[1].String()), args[3]
	ctx, cancel := context.WithCancel(context.Background())
	stop := js.FuncOf(func(js.Value, []js.Value) any { cancel(); return nil })
	signal.Call("addEventListener", "abort", stop)
	r := request{ctx, d, args[2]}
	executor := js.FuncOf(func(_ js.Value, settle []js.Value) any {
		go func() {
			defer func() {
				signal.Call("removeEventListener", "abort", stop)
				stop.Release()
				cancel()
			}()
			answer, err := d.perform(r, name, params)
			if err != nil {
				settle[1].Invoke(problemOf(err))
				return
			}
			settle[0].Invoke(answer)
		}()
		return nil
	})
	defer executor.Release()
	return js.Global().Get("Promise").New(executor)
}

func (d *device) perform(r request, name string, params []byte) (map[string]any, error) {
	run, ok := calls[name]
	if !ok {
		return nil, evidence.Refuse(evidence.Invalid, "call")
	}
	answer, err := run(r, params)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	said := map[string]any{"text": string(text)}
	if f, ok := answer.(interface{ blob() js.Value }); ok {
		said["file"] = f.blob()
	}
	return said, nil
}

// problemOf says in codes what went wrong. Nothing else of an error leaves: its text may repeat what was given.
func problemOf(err error) map[string]any {
	var refusal *evidence.Error
	var alarm *client.Alarm
	problem := func(kind, reason string) map[string]any { return map[string]any{"kind": kind, "reason": reason} }
	switch {
	case errors.Is(err, context.Canceled):
		return problem("interrupted", "interrupted")
	case errors.As(err, &alarm):
		p := problem("alarm", string(alarm.Lie))
		if alarm.Stream.ID != "" {
			p["stream"] = string(alarm.Stream.Type) + " " + alarm.Stream.ID // for the auditor
		}
		return p
	case errors.Is(err, sealing.ErrPassphrase):
		return problem(string(evidence.Forbidden), "passphrase")
	case errors.Is(err, client.ErrPinned):
		return problem(string(evidence.Conflict), "pinned")
	case errors.As(err, &refusal):
		return problem(string(refusal.Kind), refusal.Reason)
	case errors.Is(err, errNetwork):
		return problem("network", "network")
	case errors.As(err, new(*browser.Error)):
		return problem(string(evidence.Internal), "browser")
	}
	return problem(string(evidence.Internal), "internal")
}
