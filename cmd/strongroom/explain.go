package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"strings"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/words"
)

// decline is what this program refuses by itself, or what the person did not want.
func decline(reason string) *problem {
	w := inEnglish(reason)
	return &problem{code: exitRefused, label: "Refused", reason: reason, sentence: w.what, kept: keptAll, next: w.next}
}

// cannot is what this program is not able to do.
func cannot(reason string, cause error) *problem {
	w := inEnglish(reason)
	return &problem{code: exitCannot, label: "Not done", reason: reason, sentence: w.what, kept: keptAll, next: w.next, cause: cause}
}

// usage is a command that was not typed as it must be.
func usage(what string) *problem {
	return &problem{code: exitCannot, label: "Not done", reason: "usage", sentence: "This was not understood: " + what + ".",
		kept: keptAll, next: "Add --help to the command to see how it is used."}
}

var keptAll, keptSent = words.English().Say("kept.all"), words.English().Say("kept.sent")

// in says a problem in a language, as far as there are words for it.
func (p *problem) in(l *words.Language) *problem {
	if l == words.English() {
		return p
	}
	q := *p
	q.label = l.Code("label", strings.ReplaceAll(strings.ToLower(p.label), " ", "_"))
	switch p.kept {
	case keptAll:
		q.kept = l.Say("kept.all")
	case keptSent:
		q.kept = l.Say("kept.sent")
	}
	if alarm := (*client.Alarm)(nil); errors.As(p.cause, &alarm) {
		q.sentence, q.kept, q.next = l.Say("alarm.what"), l.Say("alarm.kept"), l.Say("alarm.next")
	} else if w, ok := sentenceFor(l, p.reason); ok {
		q.sentence, q.next = w.what, w.next
		if p.about != "" {
			q.sentence = l.Isolate(p.about) + ": " + w.what
		}
	}
	return &q
}

// explain is the one place where errors become sentences. What no table knows is told as it is.
func explain(err error) *problem {
	var own *problem
	var alarm *client.Alarm
	var refusal *evidence.Error
	var path *fs.PathError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &alarm):
		return explainAlarm(alarm)
	case errors.As(err, &refusal):
		return explainRefusal(refusal)
	case ended(err):
		return stopped(err)
	case errors.Is(err, keys.ErrPassphrase), errors.Is(err, sealing.ErrPassphrase):
		p := decline("passphrase")
		p.cause = err
		return p
	case errors.Is(err, client.ErrPinned):
		p := decline("pinned")
		p.cause = err
		return p
	case errors.As(err, &path): // before the network: an error number of the system counts as either
		p := cannot("file", err)
		p.about, p.sentence = path.Path, path.Path+": "+path.Err.Error()+"."
		return p
	case network(err):
		p := cannot("network", err)
		p.kept = keptSent
		return p
	}
	p := cannot("internal", err)
	p.sentence = "This could not be done: " + err.Error() + "."
	return p
}

// ended reports whether the person, or --wait, stopped it.
func ended(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func stopped(err error) *problem {
	p := cannot("interrupted", err)
	p.kept = keptSent
	return p
}

// network reports whether an error came from the way to the vault.
func network(err error) bool {
	var way *url.Error
	var wire net.Error
	return errors.As(err, &way) || errors.As(err, &wire)
}

func explainAlarm(a *client.Alarm) *problem {
	what, ok := lies[a.Lie]
	if !ok {
		what = "it contradicts itself (" + plain(string(a.Lie)) + ")"
	}
	p := &problem{
		code: exitRefused, label: "ALARM", reason: string(a.Lie), cause: a,
		sentence: "The vault's answer cannot be true: " + what + ".",
		where:    where(a.Stream),
		kept:     words.English().Say("alarm.kept"),
		next:     words.English().Say("alarm.next"),
	}
	if a.Lie == client.WrongLogKey {
		p.next = "If custodians told you that the vault has new keys, and their new number, run strongroom connect --trust with the new file. Otherwise: " + p.next
	}
	return p
}

// where names the record that an alarm is about, for the auditor.
func where(s evidence.Stream) string {
	if s.ID == "" {
		return ""
	}
	return string(s.Type) + " " + s.ID
}

// explainRefusal tells what the law or the vault refused: by its reason, or else by what the vault said, or else by its kind.
func explainRefusal(e *evidence.Error) *problem {
	p := &problem{code: exitRefused, label: "Refused", reason: e.Reason, kept: keptAll, cause: e}
	if record := (*client.DocumentError)(nil); errors.As(e, &record) {
		p.problems = record.Problems
	}
	switch e.Kind {
	case evidence.Pending:
		p.code, p.label, p.kept = exitCannot, "Not yet", keptSent
		if e.Reason == "proof_pending" {
			p.code, p.label = exitPending, "Received"
		}
	case evidence.Unknown:
		p.code, p.label = exitCannot, "Not done"
	case evidence.Internal, evidence.TooMany:
		p.code, p.label, p.kept = exitCannot, "Not done", keptSent
	}
	if ended(e) && p.code != exitPending {
		return stopped(e)
	}
	if w := inEnglish(e.Reason); w.what != "" {
		p.sentence, p.next = w.what, w.next
		return p
	}
	if said := (*client.Problem)(nil); errors.As(e, &said) && said.Detail != "" {
		p.sentence, p.kept, p.next = said.Detail, said.Kept, said.Next
		return p
	}
	w := kindWords[e.Kind]
	p.sentence, p.next = w.what, w.next
	return p
}
