package vault_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"filippo.io/age"

	"strongroom.example/strongroom/internal/ageheader"
	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/vault"
)

func TestDepositAndOpen(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	o := w.open("custodian", c.item.id)
	if o.Opening == nil {
		t.Fatal("an included access event opened nothing")
	}
	custodian := w.people["custodian"]
	key, err := sealing.OpenEnvelope(o.Opening.Envelope, custodian.identity, c.item.details.ItemRecipient)
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.Evidence(ctx(), custodian.caller(), o.LeafHash, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Object.Close()
	file := must(io.ReadAll(f.Object))
	if !bytes.Equal(file, c.item.ciphertext) || f.Digest != ev.SHA256(file) || !bytes.HasPrefix(file, o.Opening.Header) || o.Opening.Size != int64(len(file)) {
		t.Error("the file that was opened is another")
	}
	if nonce := 16; len(o.Opening.Header) < ageheader.Size(1)+nonce {
		t.Error("a range cannot be read without asking for the nonce first")
	}
	if _, err := sealing.OpenDescription(o.Opening.Description, key); err != nil {
		t.Errorf("description: %v", err)
	}
	a, err := w.Attachment(ctx(), custodian.caller(), o.LeafHash, w.eventOf(c.item.id, 0), c.item.notes[0].SHA256)
	if err != nil || a.Kind != ledger.Note {
		t.Errorf("note of the item: %v", err)
	}
	for _, label := range []ev.Hash{c.item.details.Label.SHA256, c.item.details.Envelopes[0].SHA256} {
		_, err := w.Attachment(ctx(), custodian.caller(), o.LeafHash, w.eventOf(c.item.id, 0), label)
		hidden(t, err)
	}
	if _, err := w.CaseAttachment(ctx(), custodian.caller(), w.eventOf(c.item.id, 0), c.item.details.Label.SHA256); err != nil {
		t.Errorf("label: %v", err)
	}
	for _, closed := range []ev.Hash{c.item.details.Description.SHA256, c.item.notes[0].SHA256, c.item.details.Envelopes[0].SHA256} {
		_, err := w.CaseAttachment(ctx(), custodian.caller(), w.eventOf(c.item.id, 0), closed)
		hidden(t, err)
	}
}

func (w *world) eventOf(id ev.ItemID, seq int64) ev.Hash {
	return must(w.db.Stream(ctx(), ev.ItemOf(id), seq-1, 1))[0].LeafHash
}

// Whatever a deposit names must be there exactly, in the permitted form, and be the depositor's own.
func TestDepositRefused(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	w.enrol("investigator", ev.Investigator)
	attachment := func(it *deposit, k ledger.AttachmentKind) *ledger.Attachment {
		for i := range it.attachments {
			if it.attachments[i].Kind == k {
				return &it.attachments[i]
			}
		}
		t.Fatal("no such attachment")
		return nil
	}
	// replace uploads another file in the place of the evidence, which the event then names rightly.
	replace := func(it *deposit, file []byte) {
		it.upload = w.upload("clinician", file)
		it.details.Evidence = ev.Evidence{SHA256: ev.SHA256(file), Size: int64(len(file)), Tree: it.details.Evidence.Tree}
	}
	two := func() []byte {
		var file bytes.Buffer
		a, b := must(age.GenerateHybridIdentity()), must(age.GenerateHybridIdentity())
		must(0, must(age.Encrypt(&file, a.Recipient(), b.Recipient())).Close())
		return file.Bytes()
	}
	classic := func() []byte {
		var file bytes.Buffer
		must(0, must(age.Encrypt(&file, must(age.GenerateX25519Identity()).Recipient())).Close())
		return file.Bytes()
	}
	for name, c := range map[string]struct {
		change func(it *deposit)
		kind   ev.ErrorKind
		reason string
	}{
		"wrong digest":     {func(it *deposit) { it.details.Evidence.SHA256[0] ^= 1 }, ev.Invalid, "upload_differs"},
		"wrong size":       {func(it *deposit) { it.details.Evidence.Size++ }, ev.Invalid, "upload_differs"},
		"wrong tree":       {func(it *deposit) { it.details.Evidence.Tree[0] ^= 1 }, ev.Invalid, "upload_differs"},
		"no upload":        {func(it *deposit) { it.upload = "" }, ev.Invalid, "upload"},
		"unknown upload":   {func(it *deposit) { it.upload = ev.NewID[ev.UploadID]() }, ev.Invalid, "upload"},
		"another's upload": {func(it *deposit) { it.upload = w.upload("investigator", it.ciphertext) }, ev.Invalid, "upload"},
		"incomplete": {func(it *deposit) {
			u := must(w.CreateUpload(ctx(), w.people["clinician"].caller(), int64(len(it.ciphertext))))
			must(w.AppendUpload(ctx(), w.people["clinician"].caller(), u.ID, 0, bytes.NewReader(it.ciphertext[:100])))
			it.upload = u.ID
		}, ev.Invalid, "upload_incomplete"},
		"not age":            {func(it *deposit) { replace(it, bytes.Repeat([]byte("plain text "), 500)) }, ev.Invalid, "age_header"},
		"X25519":             {func(it *deposit) { replace(it, classic()) }, ev.Invalid, "age_header"},
		"two recipients":     {func(it *deposit) { replace(it, two()) }, ev.Invalid, "age_header"},
		"missing attachment": {func(it *deposit) { it.attachments = it.attachments[1:] }, ev.Invalid, "attachments"},
		"extra attachment": {func(it *deposit) {
			it.attachments = append(it.attachments, ledger.Attachment{Kind: ledger.Note, Name: "more", Audience: ev.ToItem, Body: it.attachments[0].Body})
		}, ev.Invalid, "attachments"},
		"attachment twice": {func(it *deposit) { it.attachments[0] = it.attachments[1] }, ev.Invalid, "attachments"},
		"swapped envelopes": {func(it *deposit) {
			it.attachments[0].Body, it.attachments[1].Body = it.attachments[1].Body, it.attachments[0].Body
		}, ev.Invalid, "attachments"},
		"envelope for another": {func(it *deposit) { it.attachments[0].Recipient[0] ^= 1 }, ev.Invalid, "attachments"},
		"other note": {func(it *deposit) {
			attachment(it, ledger.Note).Body = must(sealing.SealNote("other", it.key.Recipient()))
		}, ev.Invalid, "attachments"},
		"note for another":        {func(it *deposit) { attachment(it, ledger.Note).Audience = ev.ToInternal }, ev.Invalid, "attachments"},
		"note under another name": {func(it *deposit) { attachment(it, ledger.Note).Name = "measures" }, ev.Invalid, "attachments"},
		"label as description":    {func(it *deposit) { attachment(it, ledger.Label).Kind = ledger.Description }, ev.Invalid, "attachments"},
		"envelope not age": {func(it *deposit) {
			a := &it.attachments[0]
			a.Body = bytes.Repeat([]byte("x"), 2000)
			for i := range it.details.Envelopes {
				if it.details.Envelopes[i].Recipient == a.Recipient {
					it.details.Envelopes[i].SHA256 = ev.SHA256(a.Body)
				}
			}
		}, ev.Invalid, "age_header"},
		"envelope too large": {func(it *deposit) {
			a := &it.attachments[0]
			a.Body = append(a.Body, make([]byte, ev.MaxEnvelope)...)
			for i := range it.details.Envelopes {
				if it.details.Envelopes[i].Recipient == a.Recipient {
					it.details.Envelopes[i].SHA256 = ev.SHA256(a.Body)
				}
			}
		}, ev.TooLarge, "attachments"},
	} {
		t.Run(name, func(t *testing.T) {
			it := w.prepare(in, ev.ConsentForm)
			first := it.upload
			c.change(it)
			_, err := w.tryDeposit(it)
			refused(t, err, c.kind, c.reason)
			if w.state(ev.ItemOf(it.id)) != nil {
				t.Error("the item exists")
			}
			for _, id := range []ev.UploadID{first, it.upload} {
				w.DropUpload(ctx(), w.people["clinician"].caller(), id)
				w.DropUpload(ctx(), w.people["investigator"].caller(), id)
			}
		})
	}
}

// Only a deposit takes an upload, and only its owner's.
func TestUploadsAreTheOwners(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	w.enrol("investigator", ev.Investigator)
	id := w.upload("clinician", c.item.ciphertext)
	by := w.people["investigator"].caller()
	_, _, err := w.Upload(ctx(), by, id)
	hidden(t, err)
	_, err = w.AppendUpload(ctx(), by, id, 0, bytes.NewReader(nil))
	hidden(t, err)
	hidden(t, w.DropUpload(ctx(), by, id))
	_, err = w.try("custodian", w.signOpen("custodian", c.item.id), id)
	refused(t, err, ev.Invalid, "upload")
	if u, info, err := w.Upload(ctx(), w.people["clinician"].caller(), id); err != nil || info.Offset != u.Size {
		t.Errorf("the owner's upload: %v", err)
	}
	w.pass(8 * 24 * time.Hour)
	_, _, err = w.Upload(ctx(), w.people["clinician"].caller(), id)
	hidden(t, err)
	if err := w.Sweep(ctx()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.db.Upload(ctx(), id); ev.KindOf(err) != ev.NotFound {
		t.Errorf("after the sweep: %v", err)
	}
	if _, err := w.store.StageInfo(ctx(), string(id)); err == nil {
		t.Error("after the sweep the bytes are still there")
	}
}

func TestUploadQuota(t *testing.T) {
	w := newWorld(t)
	by := w.people["custodian"].caller()
	for range 16 {
		if _, err := w.CreateUpload(ctx(), by, 1); err != nil {
			t.Fatal(err)
		}
	}
	_, err := w.CreateUpload(ctx(), by, 1)
	refused(t, err, ev.TooMany, "upload_quota")
	_, err = w.CreateUpload(ctx(), w.people["second"].caller(), 1<<30+1)
	refused(t, err, ev.TooMany, "upload_quota")
	_, err = w.CreateUpload(ctx(), w.people["second"].caller(), 0)
	refused(t, err, ev.TooLarge, "upload_size")
}

// A statement submitted again hours later, with the same signature or another, has its first outcome; after a restart too.
func TestSubmitAgain(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.prepare(in, ev.ConsentForm)
	signed := w.signDeposit(it)
	first := w.submit("clinician", signed, it.upload, it.attachments...)
	w.open("custodian", it.id)
	w.pass(5 * time.Hour)
	w.restart()
	p := w.people["clinician"]
	again := must(custody.Sign(signed.Event(), p.key.SPKI(), p.key))
	for _, s := range []*custody.Signed{signed, again} {
		o := w.submit("clinician", s, it.upload, it.attachments...)
		if o.LeafHash != first.LeafHash || !bytes.Equal(o.Receipt, first.Receipt) {
			t.Error("another outcome")
		}
	}
	if _, err := w.try("custodian", signed, ""); ev.ReasonOf(err) != "signer_key" {
		t.Errorf("submitted by another: %v", err)
	}
	late := w.sign("clinician", ev.ActorOf(p.id), ev.ActorRevoked, &ev.ActorRevokedDetails{Cause: ev.CauseRequest})
	w.pass(time.Hour)
	_, err := w.try("clinician", late, "")
	refused(t, err, ev.Invalid, ev.ReasonClock)
}

// A stream that exists and that the act stands on cannot be left out of relied_on.
func TestBasisIsWhole(t *testing.T) {
	w := newWorld(t)
	c := w.consented()
	court := w.enrol("court", ev.Court)
	signed := w.signOpen("custodian", c.item.id)
	e := *signed.Event()
	e.Counterparty = &ev.Counterparty{Actor: court.id}
	p := w.people["custodian"]
	_, err := w.try("custodian", must(custody.Sign(&e, p.key.SPKI(), p.key)), "")
	if ev.KindOf(err) != ev.Conflict && ev.KindOf(err) != ev.Invalid {
		t.Errorf("accepted without the counterparty's stream: %v", err)
	}
}

// New keys after a loss: a trustee makes the invitation for those who named that trustee, and for nothing else.
func TestTrusteeInvites(t *testing.T) {
	w := newWorld(t)
	trustee, other := w.enrol("trustee", ev.Trustee), w.enrol("other trustee", ev.Trustee)
	keys := w.invite("survivor", ev.Survivor)
	p := w.people["survivor"]
	w.do("custodian", ev.ActorOf(p.id), ev.ActorEnrolled, &ev.ActorEnrolledDetails{Keys: keys, Role: p.role, Organization: p.org, Trustees: []ev.ActorID{trustee.id}})
	w.do("trustee", ev.ActorOf(p.id), ev.ActorConfirmed, &ev.ActorConfirmedDetails{Fingerprint: p.fingerprint(), Method: ev.ByPhone})
	for _, by := range []*person{trustee, w.people["custodian"]} {
		if _, made, err := w.Invite(ctx(), by.caller(), vault.Offer{Rotation: p.id}); err != nil || made.Actor != p.id || made.Role != ev.Survivor {
			t.Errorf("%s: %+v, %v", by.role, made, err)
		}
	}
	for _, c := range []struct {
		by     *person
		offer  vault.Offer
		reason string
	}{
		{other, vault.Offer{Rotation: p.id}, ev.ReasonTrustee},
		{trustee, vault.Offer{Rotation: other.id}, ev.ReasonTrustee},
		{trustee, vault.Offer{Role: ev.Survivor}, ev.ReasonEnroller},
		{w.people["administrator"], vault.Offer{Rotation: p.id}, ev.ReasonEnroller},
		{p, vault.Offer{Rotation: p.id}, ev.ReasonEnroller},
	} {
		_, _, err := w.Invite(ctx(), c.by.caller(), c.offer)
		refused(t, err, ev.Forbidden, c.reason)
	}
}

func TestInvitations(t *testing.T) {
	w := newWorld(t)
	custodian := w.people["custodian"].caller()
	p := w.meet("court", ev.Court)
	_, _, err := w.Invite(ctx(), custodian, vault.Offer{Role: ev.Clinician, Organization: p.org})
	refused(t, err, ev.Forbidden, ev.ReasonEnroller)
	_, _, err = w.Invite(ctx(), w.people["administrator"].caller(), vault.Offer{Role: ev.Vault})
	refused(t, err, ev.Forbidden, ev.ReasonEnroller)

	secret, made, err := w.Invite(ctx(), custodian, vault.Offer{Role: ev.Court, Organization: p.org})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.InvitationTerms(ctx(), "another secret")
	hidden(t, err)
	p.id = made.Actor
	keys := w.possession("court", made.Digest)
	forged := keys
	forged.Possession = w.possession("court", ev.SHA256([]byte("another invitation"))).Possession
	if _, err := w.AnswerInvitation(ctx(), secret, forged); err == nil {
		t.Error("a possession for another invitation was taken")
	}
	enrolment := func(keys ev.Keys) *custody.Signed {
		return w.sign("custodian", ev.ActorOf(p.id), ev.ActorEnrolled, &ev.ActorEnrolledDetails{Keys: keys, Role: ev.Court, Organization: p.org})
	}
	_, err = w.try("custodian", enrolment(keys), "") // nobody answered yet
	refused(t, err, ev.Invalid, "invitation")
	for range 2 { // the same answer twice is one answer
		if _, err := w.AnswerInvitation(ctx(), secret, keys); err != nil {
			t.Fatal(err)
		}
	}
	thief := w.meet("thief", ev.Court)
	thief.id = made.Actor
	_, err = w.AnswerInvitation(ctx(), secret, w.possession("thief", made.Digest))
	refused(t, err, ev.Conflict, "invitation_answered")
	_, err = w.try("custodian", enrolment(w.possession("thief", made.Digest)), "")
	refused(t, err, ev.Invalid, "invitation")
	other := w.sign("custodian", ev.ActorOf(p.id), ev.ActorEnrolled, &ev.ActorEnrolledDetails{Keys: keys, Role: ev.Police, Organization: p.org})
	_, err = w.try("custodian", other, "")
	refused(t, err, ev.Invalid, "invitation")
	w.submit("custodian", enrolment(keys), "")
	p.id = ev.NewID[ev.ActorID]()
	_, err = w.try("custodian", enrolment(keys), "") // used for another actor
	if err == nil {
		t.Error("an invitation enrolled two actors")
	}

	late := w.invite("late", ev.Court)
	w.pass(8 * 24 * time.Hour)
	_, err = w.try("custodian", w.sign("custodian", ev.ActorOf(w.people["late"].id), ev.ActorEnrolled,
		&ev.ActorEnrolledDetails{Keys: late, Role: ev.Court, Organization: w.people["late"].org}), "")
	refused(t, err, ev.Invalid, "invitation")
	_, err = w.InvitationTerms(ctx(), secret)
	hidden(t, err)
	_, err = w.AnswerInvitation(ctx(), secret, keys)
	hidden(t, err)
}
