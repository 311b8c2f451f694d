package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/evidence"
)

const courtCountry = "NL"

// demoCase is what the people work on.
type demoCase struct {
	id      evidence.CaseID
	consent evidence.ConsentID
	items   []demoItem // the first is the one shared
	grant   evidence.GrantID
}

// demoItem is a deposited file.
type demoItem struct {
	demoFile
	id evidence.ItemID
	by *player
}

func (d *demo) sharedItem() demoItem { return d.inCase.items[0] }

// keyholder is what custodians may do in the case.
var keyholder = []evidence.Right{evidence.MayOpen, evidence.MayApprove, evidence.MayManage}

// openCase opens a case with two keyholders and recovery, and takes consent.
func (d *demo) openCase(ctx context.Context) error {
	id, opened, err := d.custodian1.OpenCase(ctx, client.NewCase{
		Type: "case",
		Members: []evidence.Member{
			{Actor: d.custodian1.Actor(), Rights: keyholder},
			{Actor: d.custodian2.Actor(), Rights: keyholder},
			{Actor: d.clinician.Actor(), Rights: []evidence.Right{evidence.MayDeposit}},
		},
		Keyholders: []evidence.ActorID{d.custodian1.Actor(), d.custodian2.Actor()},
	})
	if err != nil {
		return err
	}
	d.inCase.id = id
	d.entry(opened.Index(), "The first custodian opens a case. Each item in it gets a key for both custodians and for recovery.")
	investigator := evidence.Member{Actor: d.investigator.Actor(), Rights: []evidence.Right{evidence.MayDeposit}}
	added, err := d.custodian1.AddMember(ctx, id, investigator, sampleMark+": name of the investigator")
	if err != nil {
		return err
	}
	d.entry(added.Index(), "The investigator joins the case.")
	return d.takeConsent(ctx)
}

// takeConsent deposits the signed form and records the answers, each for itself.
func (d *demo) takeConsent(ctx context.Context) error {
	now := time.Now()
	consent, form, given, err := d.clinician.GiveConsent(ctx, client.Consent{
		Case: d.inCase.id,
		Answers: evidence.Answers{
			Examination: evidence.Yes, Photographs: evidence.Yes, Storage: evidence.Yes,
			PoliceInformation: evidence.No, PolicePhotographs: evidence.No, PolicePhysical: evidence.No,
			Courts:   []evidence.CourtAnswer{{Jurisdiction: courtCountry, Information: evidence.Yes, Photographs: evidence.Yes, Physical: evidence.No}},
			Research: evidence.No,
		},
		From: evidence.At(now), Until: evidence.At(now.AddDate(1, 0, 0)), By: "self",
		Form: client.Deposit{
			Label: sampleMark + ": consent form", Description: client.Description{Name: "consent form.txt", MediaType: "text/plain"},
			Body: strings.NewReader(sampleConsent), Size: int64(len(sampleConsent)),
		},
	})
	if err != nil {
		return err
	}
	d.inCase.consent = consent
	steps, err := d.clinician.History(ctx, evidence.ItemOf(form))
	if err != nil {
		return err
	}
	d.entry(steps[0].Index, "The clinician deposits the sealed consent form.")
	d.entry(given.Index(), "The answers, each for itself. Yes: examination, photographs, storage, courts in %s. No: police, research.", courtCountry)
	return nil
}

// depositEvidence deposits and seals what the clinician and the investigator have.
func (d *demo) depositEvidence(ctx context.Context) error {
	for i, f := range d.files {
		item, err := d.deposit(ctx, d.clinician, f, client.Deposit{
			Class: evidence.Original, Content: contentOf(f.media), Basis: evidence.ByConsent, Consent: []evidence.ConsentID{d.inCase.consent},
			Label: fmt.Sprintf("%s: record %d", sampleMark, i+1),
		}, "The clinician deposits %s, %s. Ground: consent.", shown(f.path), bytesOf(f.size))
		if err != nil {
			return err
		}
		d.inCase.items = append(d.inCase.items, item)
	}
	path := filepath.Join(d.samples(), "messages.txt")
	if err := os.WriteFile(path, []byte(sampleMessages), 0o600); err != nil {
		return err
	}
	artefact, err := inspect(path)
	if err != nil {
		return err
	}
	item, err := d.deposit(ctx, d.investigator, artefact, client.Deposit{
		Class: evidence.Original, Content: evidence.Digital, Basis: evidence.CourtOrder, Authority: sampleAuthority, Label: sampleMark + ": messages",
	}, "The investigator deposits copied messages. Ground: a court order; its number is sealed beside them.")
	if err != nil {
		return err
	}
	d.inCase.items = append(d.inCase.items, item)
	for i, item := range d.inCase.items {
		sealed, err := item.by.Seal(ctx, item.id, int64(i+1))
		if err != nil {
			return err
		}
		d.entry(sealed.Index(), "%s seals %s as exhibit %d.", item.by.called, shown(item.path), i+1)
	}
	return nil
}

// longFile is the size from which a person wants to see that something moves.
const longFile = 64 << 20

// progress shows how far a long file is while a person sits at a terminal. done takes that away, and may be called again.
func (d *demo) progress(f demoFile) (show client.Progress, done func()) {
	if f.size < longFile {
		return nil, func() {}
	}
	g := (&app{err: d.out}).gauges(1)
	show, end := g.file(shown(f.path))
	return show, sync.OnceFunc(func() {
		end()
		g.wait()
	})
}

func (d *demo) deposit(ctx context.Context, by *player, f demoFile, p client.Deposit, format string, args ...any) (demoItem, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return demoItem{}, err
	}
	defer file.Close()
	progress, done := d.progress(f)
	defer done()
	p.Case, p.Body, p.Size, p.Progress = d.inCase.id, file, f.size, progress
	p.Description = client.Description{Name: strings.ToValidUTF8(filepath.Base(f.path), "\uFFFD"), MediaType: f.media}
	id, receipt, err := by.Deposit(ctx, p)
	done()
	if err != nil {
		return demoItem{}, fmt.Errorf("%s: %w", shown(f.path), err)
	}
	d.entry(receipt.Index(), format, args...)
	return demoItem{f, id, by}, nil
}

// contentOf says which answer of the consent a clinician's file needs: photographs have their own.
func contentOf(media string) evidence.Content {
	if strings.HasPrefix(media, "image/") {
		return evidence.Photograph
	}
	return evidence.Clinical
}

// inspectAll looks at files that shall be deposited.
func inspectAll(paths []string) ([]demoFile, error) {
	var files []demoFile
	for _, path := range paths {
		f, err := inspect(path)
		switch {
		case errors.Is(err, errNotRegular):
			return nil, demoCannot(shown(path)+" is not a file.", "Give single files, not folders.")
		case err != nil:
			return nil, cannotUse(path, err)
		}
		files = append(files, f)
	}
	return files, nil
}

var errNotRegular = errors.New("not a regular file")

func inspect(path string) (demoFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return demoFile{}, err
	}
	if !info.Mode().IsRegular() {
		return demoFile{}, errNotRegular
	}
	f, err := os.Open(path)
	if err != nil {
		return demoFile{}, err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return demoFile{}, err
	}
	return demoFile{path, info.Size(), http.DetectContentType(head[:n])}, nil
}

// openEvidence lets a keyholder open the item that will be shared, and compare it with the file that was given.
func (d *demo) openEvidence(ctx context.Context) error {
	item := d.sharedItem()
	same, err := compareWith(item.path)
	if err != nil {
		return err
	}
	defer same.close()
	progress, done := d.progress(item.demoFile)
	defer done()
	opened, err := d.custodian1.Open(ctx, client.Open{
		Item: item.id, Purpose: evidence.ForInvestigation, Reason: sampleMark + ": before a share is proposed", Progress: progress,
	}, same)
	done()
	if err != nil {
		return err
	}
	d.entry(opened.Receipt.Index(), "The first custodian asks to open exhibit 1. First the opening is recorded, then the vault gives the file out.")
	if err := same.whole(); err != nil {
		return err
	}
	d.checked("What was opened is the file given, byte for byte: %s.", bytesOf(same.n))
	progress, done = d.progress(item.demoFile)
	defer done()
	verified, err := d.custodian1.Verify(ctx, client.Open{Item: item.id, Purpose: evidence.ForVerification, Progress: progress})
	done()
	if err != nil {
		return err
	}
	steps, err := d.custodian1.History(ctx, evidence.ItemOf(item.id))
	if err != nil {
		return err
	}
	access, err := before(steps, evidence.ItemOpened, verified.Index())
	if err != nil {
		return err
	}
	d.entry(access, "They open it again for a check by a second person.")
	d.entry(verified.Index(), "They sign what they found: file and content are as deposited.")
	return nil
}

// before returns the place of the last entry of a kind that comes before another.
func before(steps []client.Entry, kind evidence.Kind, index int64) (int64, error) {
	found := int64(-1)
	for _, s := range steps {
		if s.Kind == kind && s.Index < index {
			found = max(found, s.Index)
		}
	}
	if found < 0 {
		return 0, fmt.Errorf("the record book has no %s before entry %d", kind, index)
	}
	return found, nil
}

// comparison takes what should be the bytes of a file, and stops at the first that is not.
type comparison struct {
	file *os.File
	n    int64
	buf  []byte
}

var errNotTheFile = errors.New("what was opened is not the file that was given")

func compareWith(path string) (*comparison, error) {
	f, err := os.Open(path)
	return &comparison{file: f}, err
}

func (c *comparison) Write(p []byte) (int, error) {
	if len(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	n, err := io.ReadFull(c.file, c.buf[:len(p)])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return 0, err
	}
	if !bytes.Equal(p, c.buf[:n]) {
		return 0, errNotTheFile
	}
	c.n += int64(n)
	return n, nil
}

// whole reports whether all of the file has come.
func (c *comparison) whole() error {
	switch _, err := c.file.Read(make([]byte, 1)); err {
	case io.EOF:
		return nil
	case nil:
		return errNotTheFile
	default:
		return err
	}
}

func (c *comparison) close() { c.file.Close() }
