package httpapi_test

import (
	"bytes"
	"encoding/base64"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/custody"
	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// unfolded is a text, followed by what the base64 in it holds: receipts are JSON in base64, and have base64 in them.
func unfolded(text []byte, depth int) []byte {
	whole := bytes.Clone(text)
	if depth == 0 {
		return whole
	}
	for word := range bytes.SplitSeq(text, []byte(`"`)) {
		if inner, err := base64.StdEncoding.DecodeString(string(word)); err == nil && len(word) > 40 {
			whole = append(whole, unfolded(inner, depth-1)...)
		}
	}
	return whole
}

// The bytes of every answer to those from whom a hold is kept: nothing of it is in them before its date, but that there is something, where
// in the log, and until when.
func TestSecretHoldOnTheWire(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, []byte("signed form"))
	survivor := w.enrol("survivor", ev.Survivor)
	stream, consent := ev.ItemOf(it.id), ev.NewID[ev.ConsentID]()
	w.submit("clinician", w.sign("clinician", ev.ConsentOf(consent), ev.ConsentGiven, &ev.ConsentGivenDetails{Version: 1, From: ev.At(w.now().Add(-time.Hour)),
		Until: ev.At(w.now().Add(100 * time.Hour)), By: "self", Form: it.id, Subject: survivor.id, Answers: ev.Answers{Examination: ev.Yes, Photographs: ev.No, Storage: ev.Yes,
			PoliceInformation: ev.No, PolicePhotographs: ev.No, PolicePhysical: ev.No, Research: ev.No, Courts: []ev.CourtAnswer{}}}, func(e *ev.Event) { e.Case = in }), "")

	text := must(sealing.SealNote("Court of K., 7/27", it.key.Recipient()))
	until := ev.At(w.now().Add(10 * time.Minute))
	d := &ev.HoldPlacedDetails{Hold: ev.NewID[ev.HoldID](), Basis: ev.CourtOrder, Expires: ev.At(w.now().Add(50 * time.Hour)), Review: ev.At(w.now().Add(time.Hour)), SecretUntil: until}
	placed := w.sign("custodian", stream, ev.HoldPlaced, d, func(e *ev.Event) {
		e.Case, e.Notes = in, []ev.Note{{Name: "order", Audience: ev.ToInternal, SHA256: ev.SHA256(text), Size: int64(len(text))}}
	})
	w.submit("custodian", placed, "", wire.Attachment{Kind: wire.AttachmentKindNote, Name: "order", Audience: wire.AudienceInternal, Body: text})
	confirmed := w.sign("custodian 2", stream, ev.HoldConfirmed, &ev.HoldConfirmedDetails{Hold: d.Hold}, func(e *ev.Event) { e.Case = in })
	w.submit("custodian 2", confirmed, "")

	var secrets []string
	for _, s := range []*custody.Signed{placed, confirmed} {
		e := s.Event()
		secrets = append(secrets, string(e.Actor.ID), string(e.Actor.Organization), e.Time.String(), s.KeyID().String(), base64.StdEncoding.EncodeToString(s.Signature()),
			base64.StdEncoding.EncodeToString(s.SPKI()), base64.StdEncoding.EncodeToString(s.Leaf()), base64.StdEncoding.EncodeToString(s.Payload()), s.PAEDigest().String())
	}
	secrets = append(secrets, string(d.Hold), "hold", "court_order", ev.SHA256(text).String(), "secret", "veil")
	answers := map[string][]string{
		"survivor":  {"/v1/streams/item/" + string(it.id) + "/events", "/v1/own/consents/" + string(consent) + "/items"},
		"clinician": {"/v1/streams/item/" + string(it.id) + "/events", "/v1/cases/" + string(in) + "/items"},
	}
	check := func(before bool) {
		t.Helper()
		for by, paths := range answers {
			for _, path := range paths {
				resp, body := w.request(by, "GET", path, nil)
				if resp.StatusCode != 200 {
					t.Fatalf("%s %s: %d %s", by, path, resp.StatusCode, body)
				}
				whole := unfolded(body, 2)
				found := 0
				for _, s := range secrets {
					if bytes.Contains(whole, []byte(s)) {
						if found++; before {
							t.Errorf("%s is told %q by %s", by, s, path)
						}
					}
				}
				if !before && path == answers[by][0] && (found < 6 || !bytes.Contains(whole, []byte("hold.placed"))) {
					t.Errorf("after the date %s is told too little, %d: the search finds nothing", by, found)
				}
			}
			list := call[wire.EventList](w, by, "GET", answers[by][0], nil, 200)
			if len(list.Events) != 3 {
				t.Fatalf("%d events", len(list.Events))
			}
			for i, e := range list.Events[1:] {
				if (e.Withheld != nil) != before || (len(e.Receipt) == 0) != before || len(e.DSSE) != 0 {
					t.Errorf("%s: event %d: %+v", by, i+1, e)
				}
				if before && e.Withheld.Until != until.String() {
					t.Errorf("withheld until %s, want %s", e.Withheld.Until, until)
				}
			}
		}
	}
	check(true)
	resp, body := w.request("clinician", "GET", "/v1/events/"+placed.LeafHash().String(), nil)
	other, unknown := w.request("clinician", "GET", "/v1/events/"+noDigest, nil)
	if resp.StatusCode != 404 || other.StatusCode != 404 || reason(t, body) != reason(t, unknown) {
		t.Errorf("asked for by its leaf hash: %d %s", resp.StatusCode, body)
	}
	resp, body = w.request("clinician", "GET", "/v1/events/"+placed.LeafHash().String()+"/attachments/"+ev.SHA256(text).String(), nil)
	if resp.StatusCode != 404 {
		t.Errorf("its note: %d %s", resp.StatusCode, body)
	}
	w.drift.Add(int64(10 * time.Minute))
	check(false)
	if resp, _ := w.request("clinician", "GET", "/v1/events/"+placed.LeafHash().String()+"/attachments/"+ev.SHA256(text).String(), nil); resp.StatusCode != 200 {
		t.Errorf("its note after the date: %d", resp.StatusCode)
	}
}
