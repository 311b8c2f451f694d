package client

import (
	"archive/zip"
	"bytes"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// grants shares an item with somebody outside, to the end.
func (w *world) grants(by *person, item evidence.ItemID, to *person) evidence.GrantID {
	w.Helper()
	ctx := w.Context()
	now := evidence.At(time.Now())
	grant, _, err := by.Propose(ctx, Proposal{Item: item, Recipient: to.Actor(), Actions: []evidence.Action{evidence.Download, evidence.View},
		Purpose: evidence.ForAdjudication, Jurisdiction: "DE", LegalBasis: "court_order", NotBefore: now, Expires: now.Add(12 * time.Hour), Reason: "request 7"})
	check(w, err)
	other := w.second
	if by == w.second {
		other = w.custodian
	}
	_, err = other.Approve(ctx, item, grant)
	check(w, err)
	_, err = other.WriteEnvelope(ctx, item, grant, nil)
	check(w, err)
	return grant
}

// packaged exports a share and returns what the package tells its recipient: the text of each note that opens, by name, and all its bytes.
func (w *world) packaged(to *person, item evidence.ItemID, grant evidence.GrantID) (notes map[string]string, all []byte) {
	w.Helper()
	var file bytes.Buffer
	_, err := to.Export(w.Context(), Export{Item: item, Grant: grant}, &file)
	check(w, err)
	r := must(zip.NewReader(bytes.NewReader(file.Bytes()), int64(file.Len())))(w)
	notes = make(map[string]string)
	for _, f := range r.File {
		part := must(f.Open())(w)
		body := must(io.ReadAll(part))(w)
		all = append(append(all, f.Name...), body...)
		if name := regexp.MustCompile(`/notes/[0-9]{6}-([a-z_]+)\.age$`).FindStringSubmatch(f.Name); name != nil {
			if text, err := sealing.OpenNote(body, to.identity); err == nil {
				notes[name[1]] = text
			}
		}
	}
	return notes, all
}

// One subject, two courts: they have no pseudonym in common, and one court has one for all that it gets in the case, whoever proposes it
// (RULES §7.7, §12.13).
func TestPseudonyms(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	other := w.enrol("other court", evidence.Court, w.custodian, w.admin)
	in := w.openCase()
	consent := w.consent(in)
	var items []evidence.ItemID
	for range 4 {
		item := w.deposit(w.clinician, in, consent, strings.NewReader("photograph"))
		_, err := w.clinician.Seal(ctx, item, 0)
		check(t, err)
		items = append(items, item)
	}
	opened := func(item evidence.ItemID, by *person) (n int) {
		for _, e := range must(by.History(ctx, evidence.ItemOf(item)))(t) {
			if e.Kind == evidence.ItemOpened && e.Actor.ID == by.Actor() {
				n++
			}
		}
		return n
	}
	packages := make(map[*person][]map[string]string)
	raw := make(map[*person][]byte)
	export := func(to *person, item evidence.ItemID, grant evidence.GrantID) {
		notes, all := w.packaged(to, item, grant)
		packages[to], raw[to] = append(packages[to], notes), append(raw[to], all...)
	}
	export(w.court, items[0], w.grants(w.custodian, items[0], w.court))
	export(other, items[0], w.grants(w.custodian, items[0], other))

	// A proposer who wrote no key for that court must read the earlier share: once, by an access that is in its history.
	_, _, err := w.investigator.Propose(ctx, Proposal{Item: items[1], Recipient: w.court.Actor(), Actions: []evidence.Action{evidence.View}, Purpose: evidence.ForAdjudication,
		Jurisdiction: "NL", LegalBasis: "court_order", NotBefore: evidence.At(time.Now()), Expires: evidence.At(time.Now().Add(time.Hour))})
	if evidence.KindOf(err) != evidence.Forbidden || opened(items[0], w.investigator) != 0 {
		t.Errorf("a share that the consent refuses: %v, and the earlier one was opened %d times", err, opened(items[0], w.investigator))
	}
	export(w.court, items[1], w.grants(w.investigator, items[1], w.court))
	if n := opened(items[0], w.investigator); n != 1 {
		t.Errorf("to learn the pseudonym the earlier share was opened %d times", n)
	}
	export(w.court, items[2], w.grants(w.investigator, items[2], w.court))
	if n := opened(items[0], w.investigator) + opened(items[1], w.investigator); n != 1 {
		t.Errorf("then earlier shares were opened %d times in all", n)
	}
	// Who wrote the key for a share has learnt it there.
	before := opened(items[0], w.second)
	export(w.court, items[3], w.grants(w.second, items[3], w.court))
	if n := opened(items[0], w.second); n != before {
		t.Errorf("who knows the pseudonym opened the earlier share again: %d, then %d times", before, n)
	}

	names := func(p *person) []string {
		t.Helper()
		var list []string
		for _, notes := range packages[p] {
			got, err := ParsePseudonyms(notes[notePseudonym])
			if err != nil || len(got) != 1 || notes["reason"] != "request 7" {
				t.Fatalf("a package tells %v: %v", notes, err)
			}
			list = append(list, got[consent])
		}
		return list
	}
	one, two := names(w.court), names(other)
	if len(one) != 4 || len(slices.Compact(slices.Clone(one))) != 1 || len(two) != 1 {
		t.Fatalf("one court knows her as %v, the other as %v", one, two)
	}
	if one[0] == two[0] {
		t.Error("two courts know her under one pseudonym")
	}
	for p, foreign := range map[*person]string{w.court: two[0], other: one[0]} {
		if bytes.Contains(raw[p], []byte(foreign)) || bytes.Contains(raw[p], []byte(map[*person]string{w.court: one[0], other: two[0]}[p])) {
			t.Error("a pseudonym stands in a package in plain")
		}
	}
	for _, p := range []*person{w.custodian, w.second, w.investigator} {
		known := must(p.Pseudonyms(in, w.court.Actor()))(t)
		if known[consent] != one[0] {
			t.Errorf("%s knows her as %v", p.Actor(), known)
		}
		doc := must(p.folder.Read(filepath.ToSlash(pseudonymsDoc(in, w.court.Actor()))))(t)
		if bytes.Contains(doc, []byte(one[0])) {
			t.Error("the device keeps a pseudonym in plain")
		}
	}
	if got := must(w.clinician.Pseudonyms(in, w.court.Actor()))(t); len(got) != 0 {
		t.Errorf("who shared nothing knows %v", got)
	}
}

// Shares that are proposed at the same time have one pseudonym, too.
func TestPseudonymsAtOnce(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	consent := w.consent(in)
	items := make([]evidence.ItemID, 3)
	for i := range items {
		items[i] = w.deposit(w.clinician, in, consent, strings.NewReader("photograph"))
		_, err := w.clinician.Seal(ctx, items[i], 0)
		check(t, err)
	}
	now := evidence.At(time.Now())
	var all sync.WaitGroup
	for _, item := range items {
		all.Go(func() {
			_, _, err := w.custodian.Propose(ctx, Proposal{Item: item, Recipient: w.court.Actor(), Actions: []evidence.Action{evidence.View}, Purpose: evidence.ForAdjudication,
				Jurisdiction: "DE", LegalBasis: "court_order", NotBefore: now, Expires: now.Add(24 * time.Hour)})
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	texts := make(map[string]bool)
	for _, item := range items {
		list, _, err := w.custodian.OpenNotes(ctx, Open{Item: item, Purpose: evidence.ForVerification})
		check(t, err)
		for _, n := range list {
			if n.Name == notePseudonym {
				texts[n.Text] = true
			}
		}
	}
	if len(texts) != 1 {
		t.Errorf("%d pseudonyms: %v", len(texts), slices.Collect(maps.Keys(texts)))
	}
}

func TestParsePseudonyms(t *testing.T) {
	a, b := evidence.NewID[evidence.ConsentID](), evidence.NewID[evidence.ConsentID]()
	p := Pseudonyms{a: newPseudonym(), b: newPseudonym()}
	if p[a] == p[b] {
		t.Errorf("twice %s", p[a])
	}
	got, err := ParsePseudonyms(p.String())
	if err != nil || !maps.Equal(got, p) {
		t.Errorf("%v, %v", got, err)
	}
	lines := strings.Split(p.String(), "\n")
	for _, text := range []string{"", "x", p.String() + "\n", lines[1] + "\n" + lines[0], lines[0] + "\n" + lines[0], strings.ToUpper(p.String()), string(a) + "  P-AAAA-BBBB",
		string(a) + " P-AAAA-BBB1", string(a) + " Maria", string(a)} {
		if got, err := ParsePseudonyms(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

func FuzzParsePseudonyms(f *testing.F) {
	f.Add("con-aaaaaaaaaaaaaaaaaaaaaaaaaa P-AAAA-BBBB")
	f.Add("con-aaaaaaaaaaaaaaaaaaaaaaaaaa P-AAAA-BBBB\ncon-baaaaaaaaaaaaaaaaaaaaaaaaa P-AAAA-BBBB")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ParsePseudonyms(text)
		if err == nil && (p.String() != text || len(p) == 0) {
			t.Errorf("%q is written %q", text, p)
		}
	})
}
