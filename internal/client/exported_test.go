package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

// exportsOf are the events item.exported of an item, in their order.
func (w *world) exportsOf(item evidence.ItemID) (list []Entry) {
	w.Helper()
	for _, e := range must(w.custodian.History(w.Context(), evidence.ItemOf(item)))(w) {
		if e.Kind == evidence.ItemExported {
			list = append(list, e)
		}
	}
	return list
}

// firstByte is a file that, before its first byte, looks into the log for what tells of it.
type firstByte struct {
	bytes.Buffer
	before func()
}

func (f *firstByte) Write(p []byte) (int, error) {
	if f.before != nil {
		f.before()
		f.before = nil
	}
	return f.Buffer.Write(p)
}

// Each copy and each print of an item is in the log, signed by who makes it, before its first byte is written; what is only looked at is not
// one. A court's package tells of all of them, in plain words.
func TestPrintsAndCopies(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	item := must(w.clinician.DepositOnce(ctx, clinicalRecord(in, consent, filled(t, "clinical-record-1", nil))))(t).Item
	photo := w.deposit(w.clinician, in, consent, strings.NewReader("a photograph"))
	_, err := w.clinician.Seal(ctx, photo, 0)
	check(t, err)

	// A look leaves no export; a copy does, first.
	_, err = w.second.Open(ctx, Open{Item: photo, Purpose: evidence.ForInvestigation}, io.Discard)
	check(t, err)
	if n := len(w.exportsOf(photo)); n != 0 {
		t.Fatalf("%d exports after a look", n)
	}
	seen := 0
	file := &firstByte{before: func() { seen = len(w.exportsOf(photo)) }}
	opened, err := w.second.Open(ctx, Open{Item: photo, Purpose: evidence.ForInvestigation, Copy: true}, file)
	check(t, err)
	if file.String() != "a photograph" || seen != 1 {
		t.Errorf("%q, %d exports in the log before its first byte", file.String(), seen)
	}
	e := w.exportsOf(photo)[0]
	state, _ := itemNow(t, w.custodian, photo)
	d, named := e.Details.(*evidence.ItemExportedDetails), dossier.Listed{Path: dossier.ItemPath(photo, "evidence.age"), Size: state.Evidence.Size, SHA256: state.Evidence.SHA256}
	if d.Form != "copy" || d.Grant != "" || e.Actor.ID != w.second.Actor() || e.Purpose != evidence.ForInvestigation || e.Leaf != opened.Exported.Leaf ||
		d.Content != dossier.ContentDigest([]dossier.Listed{named}) || e.Index <= opened.Receipt.Index() || len(e.Consent) != 1 || e.Consent[0].ID != consent {
		t.Errorf("%+v %+v", e.Event, d)
	}

	// A print names the version that is printed.
	reading := Open{Item: item, Purpose: evidence.ForDocumentation}
	versions, _, err := w.second.Describe(ctx, reading)
	check(t, err)
	if n := len(w.exportsOf(item)); n != 0 {
		t.Fatalf("%d exports after reading a record", n)
	}
	printed, err := w.second.Printed(ctx, reading, versions[0])
	check(t, err)
	state, _ = itemNow(t, w.custodian, item)
	d = printed.Event.Details.(*evidence.ItemExportedDetails)
	want := dossier.ContentDigest([]dossier.Listed{{Path: dossier.ItemPath(item, "description.age"), Size: state.Description.Size, SHA256: state.Description.SHA256}})
	if list := w.exportsOf(item); len(list) != 1 || list[0].Leaf != printed.Leaf || d.Form != "print" || d.Content != want || printed.Event.Purpose != evidence.ForDocumentation {
		t.Errorf("%d exports, %+v", len(list), d)
	}
	_, err = w.clinician.Printed(ctx, reading, versions[0]) // who holds no key prints nothing
	if err == nil {
		t.Error("somebody without a key has printed")
	}

	// A court's copy stands on its share; a look through it does not.
	grant, err := w.share(photo, "")
	check(t, err)
	_, err = w.court.Redeem(ctx, Redemption{Item: photo, Grant: grant, Action: evidence.View}, io.Discard)
	check(t, err)
	if n := len(w.exportsOf(photo)); n != 1 {
		t.Fatalf("%d exports after a court's look", n)
	}
	file = &firstByte{before: func() { seen = len(w.exportsOf(photo)) }}
	_, err = w.court.Redeem(ctx, Redemption{Item: photo, Grant: grant, Action: evidence.Download}, file)
	check(t, err)
	list := w.exportsOf(photo)
	if d := list[len(list)-1].Details.(*evidence.ItemExportedDetails); seen != 2 || len(list) != 2 || d.Form != "copy" || d.Grant != grant || list[1].Actor.ID != w.court.Actor() {
		t.Errorf("%d exports before the first byte, %+v", seen, d)
	}

	// All of it is in the court's package, and in the custody report.
	zip := filepath.Join(t.TempDir(), "package.zip")
	check(t, SaveAs(zip, func(dst io.Writer) error {
		_, err := w.court.Export(ctx, Export{Item: photo, Grant: grant}, dst)
		return err
	}))
	report := w.verify(zip, w.court)
	told := 0
	for _, s := range report.Events {
		if strings.HasPrefix(s.What, "Copied it to a file outside the vault.") {
			told++
		}
	}
	if report.Verdict != dossier.Verified || told != 2 {
		t.Errorf("%s, with %d copies told of", report.Verdict, told)
	}
	var page bytes.Buffer
	check(t, w.second.Custody(ctx, "", []evidence.ItemID{item}, func(c dossier.Custody) error { return c.WriteHTML(&page, dossier.English) }))
	for _, want := range []string{"Printed it. What happens to the paper is not recorded here.", dossier.PageCode(printed.Leaf)} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the custody report does not have %q", want)
		}
	}
}

// kindOf is the kind of what is submitted.
func kindOf(req *http.Request) (evidence.Kind, error) {
	body, err := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	var s wire.Submission
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		return "", err
	}
	signed, err := custody.Open(s.DSSE)
	if err != nil {
		return "", err
	}
	return signed.Event().Kind, nil
}

// What cannot be logged is not written: no copy and no print, and not a trace of one in the folder.
func TestNoLogNoCopy(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	photo := w.deposit(w.clinician, in, w.consent(in), strings.NewReader("a photograph"))
	_, err := w.clinician.Seal(t.Context(), photo, 0)
	check(t, err)
	grant, err := w.share(photo, "")
	check(t, err)
	lost := errors.New("the vault was not reached")
	for name, fate := range map[string]func(*http.Request) (*http.Response, error){
		"lost": func(*http.Request) (*http.Response, error) { return nil, lost },
		"refused": func(req *http.Request) (*http.Response, error) {
			return answer(req, http.StatusForbidden, `{"reason":"right"}`), nil
		},
		"pending": func(req *http.Request) (*http.Response, error) { return answer(req, http.StatusAccepted, `{}`), nil },
	} {
		fetched := 0
		barred := way(func(req *http.Request) (*http.Response, error) {
			if req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/events") {
				if kind, err := kindOf(req); err == nil && kind == evidence.ItemExported {
					return fate(req)
				}
			}
			if strings.HasSuffix(req.URL.Path, "/evidence") {
				fetched++
			}
			return http.DefaultTransport.RoundTrip(req)
		})
		dir := t.TempDir()
		for who, write := range map[string]func(io.Writer) error{
			"keyholder": func(dst io.Writer) error {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				_, err := w.client(w.second, barred).Open(ctx, Open{Item: photo, Purpose: evidence.ForInvestigation, Copy: true}, dst)
				return err
			},
			"court": func(dst io.Writer) error {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				_, err := w.client(w.court, barred).Redeem(ctx, Redemption{Item: photo, Grant: grant, Action: evidence.Download}, dst)
				return err
			},
		} {
			if err := SaveAs(filepath.Join(dir, who), write); err == nil {
				t.Errorf("%s, %s: a copy was made", name, who)
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %d files are left (%v)", name, len(left), err)
		}
		if fetched > 0 {
			t.Errorf("%s: the file was fetched for a copy that no entry tells of", name)
		}
	}
	if list := w.exportsOf(photo); len(list) > 0 {
		t.Errorf("%d exports", len(list))
	}
	accesses := must(w.custodian.History(t.Context(), evidence.ItemOf(photo)))(t)
	if !slices.ContainsFunc(accesses, func(e Entry) bool { return e.Kind == evidence.ItemOpened && e.Actor.ID == w.second.Actor() }) {
		t.Error("it did not come to the export: the test shows nothing")
	}
}
