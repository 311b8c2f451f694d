package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"syscall"
	"testing"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

func TestExplain(t *testing.T) {
	said := &client.Problem{Problem: wire.Problem{Reason: "newer", Detail: "What the vault said.", Kept: "All.", Next: "Wait."}}
	for _, c := range []struct {
		err      error
		code     int
		reason   string
		sentence string
	}{
		{evidence.Refuse(evidence.Forbidden, evidence.ReasonSecondPerson), exitRefused, "second_person", inEnglish("second_person").what},
		{evidence.Fail(evidence.Pending, "proof_pending", context.DeadlineExceeded), exitPending, "proof_pending", inEnglish("proof_pending").what},
		{evidence.Fail(evidence.Pending, "pending", nil), exitCannot, "pending", inEnglish("pending").what},
		{&evidence.Error{Kind: evidence.Gone, Reason: "newer", Err: said}, exitRefused, "newer", "What the vault said."},
		{&evidence.Error{Kind: evidence.Gone, Reason: "unheard_of"}, exitRefused, "unheard_of", kindWords[evidence.Gone].what},
		{&evidence.Error{Kind: evidence.Internal, Reason: "store"}, exitCannot, "store", kindWords[evidence.Internal].what},
		{&client.Alarm{Lie: client.Forked, Stream: evidence.ItemOf("itm-x")}, exitRefused, "forked_history", "The vault's answer cannot be true: there are two histories that exclude each other."},
		{fmt.Errorf("key: %w", keys.ErrPassphrase), exitRefused, "passphrase", inEnglish("passphrase").what},
		{sealing.ErrPassphrase, exitRefused, "passphrase", inEnglish("passphrase").what},
		{&fs.PathError{Op: "open", Path: "x.jpg", Err: syscall.ENOENT}, exitCannot, "file", "x.jpg: no such file or directory."},
		{&url.Error{Op: "Get", URL: "https://vault.example", Err: syscall.ECONNREFUSED}, exitCannot, "network", inEnglish("network").what},
		{&url.Error{Op: "Get", URL: "https://vault.example", Err: context.Canceled}, exitCannot, "interrupted", inEnglish("interrupted").what},
		{client.ErrPinned, exitRefused, "pinned", inEnglish("pinned").what},
		{errors.New("strange"), exitCannot, "internal", "This could not be done: strange."},
	} {
		p := explain(c.err)
		if p.code != c.code || p.reason != c.reason || p.sentence != c.sentence {
			t.Errorf("%v: %d %q %q; want %d %q %q", c.err, p.code, p.reason, p.sentence, c.code, c.reason, c.sentence)
		}
	}
}

func TestReport(t *testing.T) {
	var out, errs bytes.Buffer
	a := &app{out: &out, err: &errs, began: true}
	if code := a.report(&client.Alarm{Lie: client.OtherBytes, Stream: evidence.ItemOf("itm-x")}); code != exitRefused {
		t.Errorf("an alarm ends with %d", code)
	}
	want := `ALARM      The vault's answer cannot be true: the file is not the one that was
           deposited.
Where      item itm-x
Kept       Nothing was opened or signed on it. What this device saw before is
           kept.
Next       Do not go on. Leave this device as it is and tell the auditor.
Reason     swapped_ciphertext
`
	if errs.String() != want || out.Len() != 0 {
		t.Errorf("got:\n%s\nwant:\n%s", errs.String(), want)
	}
	errs.Reset()
	if code := a.report(endsWith(7)); code != 7 || errs.Len() != 0 {
		t.Errorf("what has said everything ends with %d: %q", code, errs.String())
	}
}

func TestWhen(t *testing.T) {
	for in, want := range map[string]string{"2027-03-14": "14 March 2027", "2027-03-14T12:30:00+02:00": "14 March 2027, 10:30:00 UTC"} {
		if got, err := when(in); err != nil || dateOf(got) != want {
			t.Errorf("when(%q) = %s, %v; want %s", in, dateOf(got), err, want)
		}
	}
	for _, in := range []string{"", "tomorrow", "-3d", "-1h", "14.3.2027", "9999999d"} {
		if _, err := when(in); evidence.ReasonOf(err) != evidence.ReasonTime {
			t.Errorf("when(%q): %v", in, err)
		}
	}
	day, err := when("1d")
	hours, err2 := when("24h")
	if err != nil || err2 != nil || day.Sub(hours).Abs().Hours() > 2 {
		t.Errorf("1d is %v, 24h is %v", day, hours)
	}
}

func TestUnique(t *testing.T) {
	list := []string{"itm-abcd1", "itm-abcd2", "itm-xyz"}
	self := func(s string) string { return s }
	for typed, want := range map[string]string{"itm-xyz": "", "itm-xy": "", "itm-xy…": "", "itm-abcd1": "", "itm-ab": "ambiguous", "itm-q": "not_found", "itm-": "not_found", "": "not_found"} {
		found, err := unique(list, typed, self)
		reason := ""
		if err != nil {
			reason = explain(err).reason
		}
		if reason != want || err == nil && found[:5] != typed[:5] {
			t.Errorf("unique(%q) = %q, %q; want %q", typed, found, reason, want)
		}
	}
}
