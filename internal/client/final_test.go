package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/omniwitness"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// newWatchedWorld is a world whose trust file asks for both of two real witnesses, which run, and has more rules beside.
func newWatchedWorld(t *testing.T, rules ...string) (*world, []*omniwitness.Witness) {
	t.Helper()
	t.Parallel()
	program := must(omniwitness.Find())(t)
	dir := t.TempDir()
	w := &world{TB: t, dir: filepath.Join(dir, "vault")}
	var list []*omniwitness.Witness
	names := ""
	for _, name := range []string{"one.example", "two.example"} {
		x := must(omniwitness.New(program, filepath.Join(dir, name), name, omniwitness.Ed25519))(t)
		list = append(list, x)
		w.witness += x.Line()
		names += " " + name
	}
	w.witness += strings.Join(rules, "") + "group both all" + names + "\nquorum both\n"
	w.found()
	for _, x := range list {
		w.runs(x)
	}
	w.serve(w.dir)
	return w, list
}

func (w *world) runs(x *omniwitness.Witness) {
	w.Helper()
	for _, l := range w.trust.Logs() {
		if key, ok := l.Key.(ed25519.PublicKey); ok {
			check(w, x.Run(context.Background(), w.trust.Vault(), must(note.NewEd25519VerifierKey(w.trust.Vault(), key))(w)))
		}
	}
	w.Cleanup(x.Kill)
}

// plain is a checkpoint as the log alone signed it.
func plain(t *testing.T, signed []byte) []byte {
	t.Helper()
	lines := bytes.SplitAfter(signed, []byte("\n")) // three of text, an empty one, two of the log's keys
	if len(lines) <= 7 {
		t.Fatalf("nobody else signed\n%s", signed)
	}
	return bytes.Join(lines[:6], nil)
}

// What keyholders do waits for nobody. What leaves for a court waits for the witnesses, and its package carries their word.
func TestFinal(t *testing.T) {
	w, witnesses := newWatchedWorld(t)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), bytes.NewReader(random(1000)))
	_, err := w.clinician.Seal(ctx, item, 0)
	check(t, err)
	grant := w.grants(w.second, item, w.court)

	witnesses[0].Kill()
	_, err = w.second.Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
	check(t, err)
	_, err = w.second.Look(ctx, evidence.ItemOf(item))
	check(t, err)
	short, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var got bytes.Buffer
	_, err = w.court.Redeem(short, Redemption{Item: item, Grant: grant, Action: evidence.View}, &got)
	if err == nil || LieOf(err) != "" || got.Len() > 0 {
		t.Errorf("while a witness is down the court was answered with %v and %d bytes", err, got.Len())
	}
	if f := must(w.court.Finality(ctx))(t); f == nil || !f.Required || f.Behind == 0 || len(f.Witnesses) != 2 {
		t.Errorf("the vault says of it: %+v", f)
	}
	w.runs(witnesses[0])

	lie := &liar{rewrite: func(r *http.Response, body []byte) []byte { // it may come with the first answer or with a later one
		var i wire.Included
		if !strings.HasPrefix(r.Request.URL.Path, "/v1/events") || json.Unmarshal(body, &i) != nil || len(i.Receipt) == 0 {
			return body
		}
		i.Receipt = remade(t, i.Receipt, func(p *tlog.ReceiptParts) { p.Checkpoint = plain(t, p.Checkpoint) })
		return must(json.Marshal(i))(t)
	}}
	_, err = w.client(w.court, lie).Redeem(ctx, Redemption{Item: item, Grant: grant, Action: evidence.View}, io.Discard)
	wantLie(t, err, Unwitnessed)

	file := filepath.Join(t.TempDir(), "package.zip")
	check(t, SaveAs(file, func(dst io.Writer) error {
		_, err := w.court.Export(ctx, Export{Item: item, Grant: grant}, dst)
		return err
	}))
	report := w.verify(file, w.court)
	if report.Verdict != dossier.Verified {
		t.Errorf("%s: %+v", report.Verdict, report.Checks)
	}
	for _, c := range report.Checks {
		if (c.Name == dossier.CheckWitnesses || c.Name == dossier.CheckTime) && c.Result != dossier.Pass {
			t.Errorf("%s: %s %s", c.Name, c.Result, c.Reason)
		}
	}
}

// A vault that shows people what it does not show the witnesses has a day.
func TestUnwitnessed(t *testing.T) {
	w, witnesses := newWatchedWorld(t)
	ctx := t.Context()
	look := func(c *Client) error { _, err := c.Look(ctx, evidence.PolicyOf(c.Vault())); return err }
	final := func(change func(note []byte) []byte) *liar {
		return &liar{method: "GET", path: "/v1/log/checkpoint", rewrite: func(r *http.Response, note []byte) []byte {
			if r.StatusCode != http.StatusOK || r.Request.URL.Query().Get("final") != "true" {
				return note
			}
			return change(note)
		}}
	}
	until := func(what string, done func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal(what)
			}
		}
	}
	until("nothing becomes final", func() bool { return must(w.custodian.Finality(ctx))(t).Behind == 0 })
	for name, c := range map[string]struct {
		lie    Lie
		change func(note []byte) []byte
	}{
		"without the witnesses": {Unwitnessed, func(note []byte) []byte { return plain(t, note) }},
		"without one of them":   {Unwitnessed, func(note []byte) []byte { return note[:bytes.LastIndexByte(note[:len(note)-1], '\n')+1] }},
		"another's signature": {WrongWitness, func(note []byte) []byte {
			note[len(note)-10] ^= 1
			return note
		}},
	} {
		l := final(c.change)
		if err := look(w.client(w.second, l)); LieOf(err) != c.lie || l.told.Load() == 0 {
			t.Errorf("%s: told %d times, %v", name, l.told.Load(), err)
		}
	}

	witnesses[0].Kill()
	w.openCase()
	w.custodian.cfg.Now = func() time.Time { return time.Now().Add(365 * 24 * time.Hour) } // a device whose clock is wrong for a while
	check(t, look(w.custodian.Client))
	w.custodian.cfg.Now = time.Now
	check(t, look(w.custodian.Client))
	tomorrow := func() time.Time { return time.Now().Add(confirmedWithin + time.Hour) }
	w.custodian.cfg.Now = tomorrow
	wantLie(t, look(w.custodian.Client), Unwitnessed)
	w.runs(witnesses[0])
	until("nothing becomes final any more", func() bool { return must(w.custodian.Finality(ctx))(t).Behind == 0 })
	check(t, look(w.custodian.Client))
}
