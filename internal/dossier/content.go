package dossier

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// item is what the events of a packaged item say about its files. The events themselves are not kept: there may be many.
type item struct {
	id      evidence.ItemID
	steps   []EventReport
	deposit *deposit // nil if it did not verify
	exhibit int64
	state   *evidence.ItemState // nil if it could not be judged to its end
	terms   *evidence.Terms     // of the manifest's grant
	exports []export            // that name the manifest's grant and nonce
	opaque  bool                // some event could not be read: what is not recorded may be recorded there
	opened  *Opened

	grounds []string // paths of the notes that must state a ground, or an order (RULES §3.1)

	envelope     bool // the one in the package is one of those ever made for the recipient
	descriptions recorded
	notes        recorded
}

// deposit is what the first event says of the item.
type deposit struct {
	evidence.Evidence
	of        evidence.CaseID
	time      evidence.Time
	class     evidence.Class
	content   evidence.Content
	recipient string // of the item
}

// export is an item.exported for this package.
type export struct {
	seq     int64
	by      evidence.ActorID
	content evidence.Hash
}

// recorded is how the files of an item, descriptions or notes, compare with what its events record.
type recorded struct {
	equal   int64 // files that are as recorded
	missing int64 // seq of the first event that records one which is not there, -1 if there is none
}

// compare looks at one file that event seq records.
func (r *recorded) compare(p *Package, path string, want evidence.File, seq int64) {
	switch f, ok := p.listed(path); {
	case !ok && r.missing < 0:
		r.missing = seq
	case ok && f.SHA256 == want.SHA256 && f.Size == want.Size:
		r.equal++
	}
}

// Opened is the decrypted side of an item of a verified package. It is decrypted again for whoever asks: there may be much of it.
type Opened struct {
	Item         evidence.ItemID
	Exhibit      int64    // 0 while it is not sealed
	Extension    string   // of the original's name, if it is a plain one, with its dot
	Descriptions []string // names of those in the package without ".age": "description", then each amended one
	NoFile       bool     // the description stands alone

	pkg       *Package
	identity  *sealing.Identity
	recipient string         // of the item
	want      sealing.Digest // of the original
}

// WriteEvidence decrypts the evidence once more, to w, unless there is NoFile. What was written counts only if there is no error.
func (o Opened) WriteEvidence(w io.Writer) error {
	key, err := o.key()
	if err != nil {
		return err
	}
	got, err := sealing.Decrypt(w, o.pkg.Open(ItemPath(o.Item, "evidence.age")), key)
	if err == nil && got.Plaintext != o.want {
		err = errChanged
	}
	return err
}

// Description returns one of the Descriptions: JSON.
func (o Opened) Description(name string) ([]byte, error) {
	key, err := o.key()
	if err != nil {
		return nil, err
	}
	file, err := o.pkg.read(ItemPath(o.Item, name+".age"), evidence.MaxDescription)
	if err != nil {
		return nil, err
	}
	return sealing.OpenDescription(file, key)
}

// note opens a note to who opens the item.
func (o Opened) note(path string) (string, error) {
	key, err := o.key()
	if err != nil {
		return "", err
	}
	file, err := o.pkg.read(path, evidence.MaxNote)
	if err != nil {
		return "", err
	}
	return sealing.OpenNote(file, key)
}

func (o Opened) key() (sealing.ItemKey, error) {
	envelope, err := o.pkg.read(ItemPath(o.Item, "key.age"), sealing.MaxEnvelope)
	if err != nil {
		return sealing.ItemKey{}, err
	}
	return sealing.OpenEnvelope(envelope, *o.identity, o.recipient)
}

func gather(h *History, p *Package, id evidence.ItemID) item {
	it := item{id: id, descriptions: recorded{missing: -1}, notes: recorded{missing: -1}}
	s := evidence.ItemOf(id)
	c := h.chain(s)
	it.state, _ = h.State(s).(*evidence.ItemState)
	for seq := range h.Len(s) {
		e, err := h.Event(s, seq)
		it.opaque = it.opaque || err != nil
		if e != nil && (e.Stream.Seq != seq || e.Check() != nil) {
			e, it.opaque = nil, true // its words may be anything at all: nothing of it is repeated
		}
		if e != nil {
			it.learn(e, p)
		}
		leaf, index := h.Leaf(s, seq)
		b := h.bounds(c, seq)
		it.report(e, EventReport{Item: id, Step: seq + 1, Entry: index, Leaf: leaf, Judged: seq < c.next && c.records[seq].until == 0, why: h.why[place{c.at, seq}],
			After: b.After, By: b.By, Stamped: b.Stamped}, c.records[seq].until)
		c.events[seq] = nil
	}
	return it
}

// report adds a step. The event is nil if it did not verify, or is not in the form of its kind.
func (it *item) report(e *evidence.Event, r EventReport, until evidence.Time) {
	switch {
	case until != 0:
		r.what = tell("step.withheld", "date", onDay(until))
	case e == nil && r.Leaf.IsZero():
		return
	case e == nil:
		r.what = tell("step.unknown")
	default:
		r.Kind, r.Time, r.Role, r.Organization, r.Actor, r.what = e.Kind, e.Time, e.Actor.Role, e.Actor.Organization, e.Actor.ID, what(e)
		r.Drift = Bounds{After: r.After, By: r.By}.Drift(e.Time).Milliseconds()
		if !r.Judged {
			r.what = tell("step.claimed", "what", r.what)
		}
	}
	r.What, r.Why = English.say(r.what), English.say(r.why)
	it.steps = append(it.steps, r)
}

func (it *item) learn(e *evidence.Event, p *Package) {
	seq := e.Stream.Seq
	key, _ := p.listed(ItemPath(it.id, "key.age"))
	envelope := func(r evidence.EnvelopeRef) {
		it.envelope = it.envelope || r.Recipient == p.Recipient && r.SHA256 == key.SHA256
	}
	switch d := e.Details.(type) {
	case *evidence.ItemDepositedDetails:
		if seq == 0 {
			it.deposit = &deposit{d.Evidence, e.Case, e.Time, d.Class, d.Content, d.ItemRecipient}
			it.descriptions.compare(p, ItemPath(it.id, "description.age"), d.Description, seq)
			for _, r := range d.Envelopes {
				envelope(r)
			}
		}
	case *evidence.ItemSealedDetails:
		it.exhibit = d.Exhibit
	case *evidence.ItemAmendedDetails:
		it.descriptions.compare(p, ItemPath(it.id, fmt.Sprintf("description.%d.age", seq)), d.Description, seq)
	case *evidence.ItemEnvelopeAddedDetails:
		envelope(d.Envelope)
	case *evidence.ItemExportedDetails:
		if d.Form == "package" && d.Nonce == p.Nonce && d.Grant == p.Grant {
			it.exports = append(it.exports, export{seq, e.Actor.ID, d.Content})
		}
	case *evidence.GrantProposedDetails:
		if d.ID == p.Grant {
			it.terms = it.termsOf(d)
		}
	}
	grant := evidence.GrantNamed(e.Details)
	if d, ok := e.Details.(*evidence.GrantProposedDetails); ok {
		grant = d.ID
	}
	for _, n := range e.Notes {
		if n.Name == "authority" && n.Audience == evidence.ToItem && (e.Kind == evidence.ItemDeposited || e.Kind == evidence.ItemShredProposed) {
			it.grounds = append(it.grounds, NotePath(it.id, seq, n.Name))
		}
		if n.Audience == evidence.ToItem || n.Audience == evidence.ToRecipient && p.Grant != "" && grant == p.Grant {
			it.notes.compare(p, NotePath(it.id, seq, n.Name), evidence.File{SHA256: n.SHA256, Size: n.Size}, seq)
		}
	}
}

// termsOf returns the terms of a proposal: those that the state holds, if it does, so that they are kept once.
func (it *item) termsOf(d *evidence.GrantProposedDetails) *evidence.Terms {
	if it.state != nil {
		if g := it.state.Grant(d.ID); g != nil {
			return &g.Terms
		}
	}
	terms := d.Terms
	terms.Consent = nil
	return &terms
}

// checkContent compares the items' files with what their events say of them, then the whole package with what its recipient signed
// for. Each step is worth taking only if the ones before found nothing. With an identity it opens the items, unless any check has failed.
func (v *verification) checkContent() {
	steps := []func(*item) (Result, string, error){v.checkItem, v.checkExport}
	if v.Identity != nil && !v.found.failed(Checks...) {
		steps = append(steps, v.open)
		v.opening = true
	}
	for _, check := range steps {
		for i := range v.items {
			it := &v.items[i]
			if result, reason, err := check(it); reason != "" {
				v.found.add(i, Finding{Check: CheckContent, Result: result, Reason: reason, Stream: evidence.ItemOf(it.id), Seq: -1, Err: err})
			}
		}
		if v.found.any(CheckContent) {
			return
		}
	}
}

// unrecorded is the answer where something was not recorded: an event that could not be read may have recorded it.
func (it *item) unrecorded() Result {
	if it.opaque {
		return NotChecked
	}
	return Fail
}

func (v *verification) checkItem(it *item) (Result, string, error) {
	if it.deposit == nil {
		return NotChecked, ReasonItemUnknown, nil
	}
	switch {
	case !v.is(it, "evidence.age", evidence.File{SHA256: it.deposit.SHA256, Size: it.deposit.Size}):
		return Fail, ReasonEvidenceChanged, nil
	case v.pkg.Grant != "" && (it.terms == nil || it.terms.Recipient.Fingerprint != v.pkg.Recipient):
		return it.unrecorded(), ReasonNotGranted, nil
	case !it.envelope && v.has(it, "key.age"):
		return it.unrecorded(), ReasonEnvelopeChanged, nil
	case it.descriptions.equal < v.count(it, "description"):
		return it.unrecorded(), ReasonDescriptionChanged, nil
	case it.notes.equal < v.count(it, "notes/"):
		return it.unrecorded(), ReasonNoteChanged, nil
	case !v.has(it, "evidence.age"):
		return NotChecked, ReasonEvidenceMissing, nil
	case !v.has(it, "key.age"):
		return NotChecked, ReasonEnvelopeMissing, nil
	case it.descriptions.missing >= 0:
		return NotChecked, ReasonDescriptionMissing, nil
	}
	return "", "", nil
}

// checkExport looks for the event by which the recipient signed for exactly these files, and for the notes that were there by then.
func (v *verification) checkExport(it *item) (Result, string, error) {
	result, reason := it.unrecorded(), ReasonNotExported
	for _, e := range it.exports {
		switch {
		case !v.isRecipient(it, e.by):
			if reason == ReasonNotExported {
				reason = ReasonExportSigner
			}
		case e.content != v.content():
			result, reason = Fail, ReasonExportChanged
		case it.notes.missing >= 0 && it.notes.missing < e.seq:
			return NotChecked, ReasonNoteMissing, nil
		default:
			return "", "", nil
		}
	}
	return result, reason, nil
}

// isRecipient reports whether the package is for this actor: the recipient of the share, or, for an own copy, whose keys the manifest
// names.
func (v *verification) isRecipient(it *item, id evidence.ActorID) bool {
	if v.pkg.Grant != "" {
		return it.terms.Recipient.Actor == id
	}
	s := evidence.ActorOf(id)
	for seq := range v.history.Len(s) {
		e, _ := v.history.Event(s, seq)
		if e == nil {
			continue
		}
		var keys evidence.Keys
		switch d := e.Details.(type) {
		case *evidence.ActorEnrolledDetails:
			keys = d.Keys
		case *evidence.ActorKeyRotatedDetails:
			keys = d.Keys
		}
		if spki, err := base64.StdEncoding.DecodeString(keys.Key); err == nil && evidence.Fingerprint(spki, keys.Recipient) == v.pkg.Recipient {
			return true
		}
	}
	return false
}

// checkDistinct: no exhibit number of a case, and no item key, belongs to two items of the package.
func (v *verification) checkDistinct() {
	type exhibit struct {
		of     evidence.CaseID
		number int64
	}
	exhibits, keys := map[exhibit]bool{}, map[string]bool{}
	for i := range v.items {
		it := &v.items[i]
		if it.deposit == nil {
			continue
		}
		note := func(reason string) {
			v.found.add(i, Finding{Check: CheckRules, Result: Fail, Reason: reason, Stream: evidence.ItemOf(it.id), Seq: -1})
		}
		mark := exhibit{it.deposit.of, it.exhibit}
		if it.exhibit > 0 && exhibits[mark] {
			note(ReasonExhibitTwice)
		}
		if keys[it.deposit.recipient] {
			note(ReasonItemKeyTwice)
		}
		exhibits[mark], keys[it.deposit.recipient] = true, true
	}
}

func (v *verification) has(it *item, name string) bool { return v.pkg.Has(ItemPath(it.id, name)) }

// is reports whether the file, if it is there, is the one recorded. That it is the one the manifest lists was checked before.
func (v *verification) is(it *item, name string, want evidence.File) bool {
	f, ok := v.pkg.listed(ItemPath(it.id, name))
	return !ok || f.SHA256 == want.SHA256 && f.Size == want.Size
}

// count says how many files of the item begin so.
func (v *verification) count(it *item, prefix string) int64 {
	return int64(len(v.pkg.under(ItemPath(it.id, prefix))))
}

// open opens envelope, descriptions and evidence with the recipient's identity, and compares the evidence with what each description
// says of it. Descriptions are sealed by who deposited or amended, and their files are those recorded.
func (v *verification) open(it *item) (Result, string, error) {
	o := Opened{Item: it.id, Exhibit: it.exhibit, NoFile: it.deposit.class == evidence.DescriptionOnly,
		pkg: v.pkg, identity: v.Identity, recipient: it.deposit.recipient}
	key, err := o.key()
	switch {
	case errors.Is(err, sealing.ErrNotForYou):
		return Fail, ReasonIdentityForeign, err
	case errors.Is(err, sealing.ErrForeignEnvelope):
		return Fail, ReasonEnvelopeForeign, err
	case err != nil:
		return Fail, ReasonEnvelopeDamaged, err
	}
	files := slices.Clone(v.pkg.under(ItemPath(it.id, "description")))
	slices.SortFunc(files, func(a, b Listed) int { // the original one first, then as they were made
		return cmp.Or(cmp.Compare(len(a.Path), len(b.Path)), cmp.Compare(a.Path, b.Path))
	})
	for _, path := range it.grounds {
		if !v.pkg.Has(path) {
			continue // checkExport said so
		}
		if text, err := o.note(path); err != nil || strings.TrimSpace(text) == "" {
			return Fail, ReasonGroundUnstated, err
		}
	}
	for i, f := range files {
		o.Descriptions = append(o.Descriptions, strings.TrimSuffix(f.Path[len(ItemPath(it.id, "")):], ".age"))
		description, err := o.Description(o.Descriptions[i])
		if err != nil {
			return Fail, ReasonDescriptionUnopened, err
		}
		stated, err := ParseDescription(description)
		if err != nil {
			return Fail, ReasonDescriptionForm, err
		}
		digest := sealing.Digest{SHA256: stated.SHA256, Size: stated.Size}
		if i == 0 {
			o.want, o.Extension = digest, plainExtension.FindString(stated.Name)
		}
		if digest != o.want {
			return Fail, ReasonPlaintextChanged, errors.New("dossier: an amended description is of another file")
		}
	}
	if o.NoFile && (o.want != noFile || it.deposit.SHA256 != evidence.SHA256(nil) || it.deposit.Size != 0) {
		return Fail, ReasonNoFileDescribed, nil
	}
	if !o.NoFile {
		got, err := sealing.Decrypt(io.Discard, v.pkg.Open(ItemPath(it.id, "evidence.age")), key)
		if err != nil {
			return Fail, ReasonEvidenceUnopened, err
		}
		if got.Plaintext != o.want || got.Tree != it.deposit.Tree || got.Ciphertext.SHA256 != it.deposit.SHA256 {
			return Fail, ReasonPlaintextChanged, errors.New("dossier: the opened evidence is not the one described")
		}
	}
	it.opened = &o
	return "", "", nil
}

// noFile is what a description that stands alone says of its file.
var noFile = sealing.Digest{SHA256: evidence.SHA256(nil)}

// plainExtension is that of a file's name; nothing else of the name, which is anything at all, ever names a file.
var plainExtension = regexp.MustCompile(`\.[A-Za-z0-9]{1,8}$`)
