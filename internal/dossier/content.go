package dossier

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
)

// item is what the events of a packaged item say about its files.
type item struct {
	id           evidence.ItemID
	events       []step
	first        *evidence.Event                // the deposit; nil if it did not verify
	deposit      *evidence.ItemDepositedDetails // what it says
	exhibit      int64
	state        *evidence.ItemState      // nil if it could not be judged to its end
	terms        *evidence.Terms          // of the manifest's grant
	envelopes    []evidence.Hash          // every one ever made for the recipient
	descriptions map[string]evidence.File // by file name
	exports      []*evidence.Event
	notes        map[string]recorded // that belong into the package if they were there when it was made, by file name
	opaque       bool                // some event could not be read: what is not recorded may be recorded there
	opened       *Opened
}

// step is an event of an item; the event is nil if it did not verify, or is not in the form of its kind.
type step struct {
	*evidence.Event
	leaf   evidence.Hash
	index  int64
	until  evidence.Time // when a withheld event may be shown
	judged bool          // and found lawful
}

// recorded is a note of event seq.
type recorded struct {
	evidence.Note
	seq int64
}

// Opened is the decrypted side of an item of a verified package.
type Opened struct {
	Item        evidence.ItemID
	Exhibit     int64       // 0 while it is not sealed
	Description []byte      // JSON
	Stated      Description // what it says
	NoFile      bool        // the description stands alone
	key         sealing.ItemKey
	evidence    func() *io.SectionReader
	want        sealing.Digest
}

// WriteEvidence decrypts the evidence once more, to w, unless there is NoFile. What was written counts only if there is no error.
func (o Opened) WriteEvidence(w io.Writer) error {
	got, err := sealing.Decrypt(w, o.evidence(), o.key)
	if err == nil && got.Plaintext != o.want {
		err = errChanged
	}
	return err
}

func gather(h *History, p *Package, id evidence.ItemID) item {
	it := item{id: id, descriptions: map[string]evidence.File{}, notes: map[string]recorded{}}
	s := evidence.ItemOf(id)
	it.state, _ = h.State(s).(*evidence.ItemState)
	for seq := range h.Len(s) {
		e, err := h.Event(s, seq)
		it.opaque = it.opaque || err != nil
		if e != nil && (e.Stream.Seq != seq || e.Check() != nil) {
			e, it.opaque = nil, true // its words may be anything at all: nothing of it is repeated
		}
		leaf, index := h.Leaf(s, seq)
		c := h.chain(s)
		it.events = append(it.events, step{e, leaf, index, c.records[seq].until, seq < c.next})
		if e != nil {
			it.learn(e, p.Manifest)
		}
	}
	return it
}

func (it *item) learn(e *evidence.Event, m Manifest) {
	seq := e.Stream.Seq
	envelope := func(r evidence.EnvelopeRef) {
		if r.Recipient == m.Recipient {
			it.envelopes = append(it.envelopes, r.SHA256)
		}
	}
	switch d := e.Details.(type) {
	case *evidence.ItemDepositedDetails:
		if seq == 0 {
			it.first, it.deposit = e, d
			it.descriptions["description.age"] = d.Description
			for _, r := range d.Envelopes {
				envelope(r)
			}
		}
	case *evidence.ItemSealedDetails:
		it.exhibit = d.Exhibit
	case *evidence.ItemAmendedDetails:
		it.descriptions[fmt.Sprintf("description.%d.age", seq)] = d.Description
	case *evidence.ItemEnvelopeAddedDetails:
		envelope(d.Envelope)
	case *evidence.ItemExportedDetails:
		it.exports = append(it.exports, e)
	case *evidence.GrantProposedDetails:
		if d.ID == m.Grant {
			it.terms = &d.Terms
		}
	}
	grant := evidence.GrantNamed(e.Details)
	if d, ok := e.Details.(*evidence.GrantProposedDetails); ok {
		grant = d.ID
	}
	for _, n := range e.Notes {
		if n.Audience == evidence.ToItem || n.Audience == evidence.ToRecipient && m.Grant != "" && grant == m.Grant {
			it.notes[fmt.Sprintf("notes/%06d-%s.age", seq, n.Name)] = recorded{n, seq}
		}
	}
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
	descriptions := slices.Sorted(maps.Keys(it.descriptions))
	switch {
	case !v.is(it, "evidence.age", evidence.File{SHA256: it.deposit.Evidence.SHA256, Size: it.deposit.Evidence.Size}):
		return Fail, ReasonEvidenceChanged, nil
	case v.pkg.Grant != "" && (it.terms == nil || it.terms.Recipient.Fingerprint != v.pkg.Recipient):
		return it.unrecorded(), ReasonNotGranted, nil
	case !v.isEnvelope(it):
		return it.unrecorded(), ReasonEnvelopeChanged, nil
	case !v.areDescriptions(it):
		return it.unrecorded(), ReasonDescriptionChanged, nil
	case !v.areNotes(it):
		return it.unrecorded(), ReasonNoteChanged, nil
	case !v.has(it, "evidence.age"):
		return NotChecked, ReasonEvidenceMissing, nil
	case !v.has(it, "key.age"):
		return NotChecked, ReasonEnvelopeMissing, nil
	case slices.ContainsFunc(descriptions, func(name string) bool { return !v.has(it, name) }):
		return NotChecked, ReasonDescriptionMissing, nil
	}
	return "", "", nil
}

// checkExport looks for the event by which the recipient signed for exactly these files, and for the notes that were there by then.
func (v *verification) checkExport(it *item) (Result, string, error) {
	digest := ContentDigest(v.pkg.Files)
	result, reason := it.unrecorded(), ReasonNotExported
	for _, e := range it.exports {
		d := e.Details.(*evidence.ItemExportedDetails)
		switch {
		case d.Form != "package" || d.Nonce != v.pkg.Nonce || d.Grant != v.pkg.Grant:
		case !v.isRecipient(it, e.Actor.ID):
			if reason == ReasonNotExported {
				reason = ReasonExportSigner
			}
		case d.Content != digest:
			result, reason = Fail, ReasonExportChanged
		default:
			for name, n := range it.notes {
				if n.seq < e.Stream.Seq && !v.has(it, name) {
					return NotChecked, ReasonNoteMissing, nil
				}
			}
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
		if it.first == nil {
			continue
		}
		note := func(reason string) {
			v.found.add(i, Finding{Check: CheckRules, Result: Fail, Reason: reason, Stream: evidence.ItemOf(it.id), Seq: -1})
		}
		mark := exhibit{it.first.Case, it.exhibit}
		if it.exhibit > 0 && exhibits[mark] {
			note(ReasonExhibitTwice)
		}
		if keys[it.deposit.ItemRecipient] {
			note(ReasonItemKeyTwice)
		}
		exhibits[mark], keys[it.deposit.ItemRecipient] = true, true
	}
}

func (v *verification) has(it *item, name string) bool { return v.pkg.Has(ItemPath(it.id, name)) }

// is reports whether the file, if it is there, is the one recorded. That it is the one the manifest lists was checked before.
func (v *verification) is(it *item, name string, want evidence.File) bool {
	f, ok := v.pkg.listed(ItemPath(it.id, name))
	return !ok || f.SHA256 == want.SHA256 && f.Size == want.Size
}

func (v *verification) isEnvelope(it *item) bool {
	f, ok := v.pkg.listed(ItemPath(it.id, "key.age"))
	return !ok || slices.Contains(it.envelopes, f.SHA256)
}

func (v *verification) areDescriptions(it *item) bool {
	return v.all(it, "description", func(name string) bool {
		want, ok := it.descriptions[name]
		return ok && v.is(it, name, want)
	})
}

func (v *verification) areNotes(it *item) bool {
	return v.all(it, "notes/", func(name string) bool {
		want, ok := it.notes[name]
		return ok && v.is(it, name, evidence.File{SHA256: want.SHA256, Size: want.Size})
	})
}

// all reports whether every file of the item whose name begins so is good.
func (v *verification) all(it *item, prefix string, good func(name string) bool) bool {
	for _, f := range v.pkg.under(ItemPath(it.id, prefix)) {
		if p, _ := parsePath(f.Path); !good(p.name) {
			return false
		}
	}
	return true
}

// open opens envelope, description and evidence with the recipient's identity, and compares the evidence with what the description says
// of it. The description is sealed by who deposited, and its file is the one recorded.
func (v *verification) open(it *item) (Result, string, error) {
	envelope, err := v.pkg.read(ItemPath(it.id, "key.age"), sealing.MaxEnvelope)
	if err != nil {
		return Fail, ReasonEnvelopeDamaged, err
	}
	key, err := sealing.OpenEnvelope(envelope, *v.Identity, it.deposit.ItemRecipient)
	switch {
	case errors.Is(err, sealing.ErrNotForYou):
		return Fail, ReasonIdentityForeign, err
	case errors.Is(err, sealing.ErrForeignEnvelope):
		return Fail, ReasonEnvelopeForeign, err
	case err != nil:
		return Fail, ReasonEnvelopeDamaged, err
	}
	file, err := v.pkg.read(ItemPath(it.id, "description.age"), evidence.MaxDescription)
	if err != nil {
		return Fail, ReasonDescriptionUnopened, err
	}
	description, err := sealing.OpenDescription(file, key)
	if err != nil {
		return Fail, ReasonDescriptionUnopened, err
	}
	stated, err := ParseDescription(description)
	if err != nil {
		return Fail, ReasonDescriptionForm, err
	}
	want := sealing.Digest{SHA256: stated.SHA256, Size: stated.Size}
	src := func() *io.SectionReader { return v.pkg.Open(ItemPath(it.id, "evidence.age")) }
	alone := it.deposit.Class == evidence.DescriptionOnly
	if alone && (want != noFile || it.deposit.Evidence.SHA256 != evidence.SHA256(nil) || it.deposit.Evidence.Size != 0) {
		return Fail, ReasonNoFileDescribed, nil
	}
	if !alone {
		got, err := sealing.Decrypt(io.Discard, src(), key)
		if err != nil {
			return Fail, ReasonEvidenceUnopened, err
		}
		if got.Plaintext != want || got.Tree != it.deposit.Evidence.Tree || got.Ciphertext.SHA256 != it.deposit.Evidence.SHA256 {
			return Fail, ReasonPlaintextChanged, errors.New("dossier: the opened evidence is not the one described")
		}
	}
	it.opened = &Opened{it.id, it.exhibit, description, stated, alone, key, src, want}
	return "", "", nil
}

// noFile is what a description that stands alone says of its file.
var noFile = sealing.Digest{SHA256: evidence.SHA256(nil)}
