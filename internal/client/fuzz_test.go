package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/wire"
)

func answering(status int, body []byte) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body))}
}

// FuzzRefusal gives a client anything for a problem document: what it says to people can be shown as it is, and it never waits for long.
func FuzzRefusal(f *testing.F) {
	f.Add(409, "2", []byte(`{"type":"https://strongroom.example/problems/position","title":"Too late","status":409,"detail":"It changed.","reason":"position",`+
		`"kept":"Nothing was lost.","next":"Look again.","errors":[{"in":"body","pointer":"/dsse","reason":"format"}]}`))
	f.Add(429, "4294967296", []byte(`{"reason":"too_often","detail":"a\u001b[2Jb"}`))
	f.Add(503, "-1", []byte(`{"reason":"too_often","detail":"a\u202eb"}`))
	f.Add(200, "Wed, 21 Oct 2026 07:28:00 GMT", []byte("{\"reason\":\"x\",\"title\":\"\xff\"}"))
	f.Add(418, "", []byte(`{"reason":"../..","title":"`+strings.Repeat("a", 1025)+`"}`))
	f.Fuzz(func(t *testing.T, status int, after string, body []byte) {
		resp := answering(status, body)
		resp.Header.Set("Retry-After", after)
		err := refusal(resp)
		var p *Problem
		if !errors.As(err, &p) || evidence.KindOf(err) == "" || evidence.ReasonOf(err) != p.Reason || p.Reason == "" {
			t.Fatalf("%v", err)
		}
		if wait := retryAfter(err); wait < 0 || wait > longestAfter {
			t.Fatalf("waits for %v", wait)
		}
		if len(p.Errors) > 0 || p.Type != "" {
			t.Fatalf("more than was checked: %+v", p.Problem)
		}
		for _, text := range []string{err.Error(), p.Reason, p.Title, p.Detail, p.Kept, p.Next} {
			if len(text) > 1100 || strings.ToValidUTF8(text, "") != text || strings.ContainsFunc(text, func(r rune) bool {
				return unicode.IsControl(r) || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
			}) {
				t.Fatalf("shown: %q", text)
			}
		}
	})
}

// answerReader reads an answer of one type.
type answerReader struct {
	sample any
	read   func(body []byte) (any, error)
}

func answersOf[T any]() answerReader {
	return answerReader{*new(T), func(body []byte) (any, error) {
		var v T
		err := decode(answering(200, body), &v)
		return v, err
	}}
}

var everyAnswer = []answerReader{
	answersOf[wire.Challenge](), answersOf[wire.SignedIn](), answersOf[wire.LabelKey](), answersOf[wire.CaseList](), answersOf[wire.ActorList](),
	answersOf[wire.ConsentList](), answersOf[wire.GrantList](), answersOf[wire.ItemList](), answersOf[wire.EventList](), answersOf[wire.Completeness](),
	answersOf[wire.ConsistencyProof](), answersOf[wire.Opening](), answersOf[wire.InvitationTerms](), answersOf[wire.Answered](),
	answersOf[wire.NewInvitation](), answersOf[wire.InvitationList](), answersOf[wire.Included](), answersOf[wire.Accepted](),
}

// FuzzAnswer gives a client anything for an answer of each kind: it is refused as malformed, or it can be written and read again.
func FuzzAnswer(f *testing.F) {
	for i, kind := range everyAnswer {
		sample, err := json.Marshal(kind.sample)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(i), sample)
		f.Add(byte(i), bytes.ReplaceAll(sample, []byte("null"), []byte(`[null,{}]`)))
		f.Add(byte(i), append(sample, "{}"...))
	}
	f.Add(byte(0), []byte(`{"nonce":"a","nonce":"b","Time":1e999,"more":[[[[[[{"\ud800":"\`))
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		kind := everyAnswer[int(which)%len(everyAnswer)]
		v, err := kind.read(body)
		if err != nil {
			if LieOf(err) != Malformed {
				t.Fatalf("%v", err)
			}
			return
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kind.read(text); err != nil {
			t.Fatalf("%s is read once only: %v", text, err)
		}
	})
}

// However an answer is made, reading it takes memory of its own size and not many times that.
func TestAnswersAreBounded(t *testing.T) {
	fill := func(begin, piece, end string, size int) []byte {
		return []byte(begin + strings.Repeat(piece+",", (size-len(begin)-len(end))/(len(piece)+1)) + piece + end)
	}
	for name, c := range map[string]struct {
		body []byte
		into any
		ok   bool
	}{
		"empty objects":         {fill(`{"items":[`, "{}", `]}`, maxAnswer-16), new(wire.ItemList), false},
		"no objects":            {fill(`{"items":[`, "null", `]}`, 1<<20), new(wire.ItemList), false},
		"no objects, apart":     {fill(`{"items":[{} `, "\n null", `]}`, 1<<20), new(wire.ItemList), false},
		"empty texts":           {fill(`{"hashes":[`, `""`, `]}`, maxAnswer-16), new(wire.ConsistencyProof), false},
		"many objects":          {fill(`{"items":[`, "{}", `]}`, 3*maxObjects), new(wire.ItemList), true},
		"many texts":            {fill(`{"hashes":[`, `"[{,\"\\"`, `]}`, 10*maxEntries-10), new(wire.ConsistencyProof), true},
		"deep":                  {[]byte(strings.Repeat(`[`, maxEntries)), new(wire.ItemList), false},
		"too long":              {bytes.Repeat([]byte(" "), maxAnswer+1), new(wire.ItemList), false},
		"one long text":         {[]byte(`{"hashes":["` + strings.Repeat("a", 16<<20) + `"]}`), new(wire.ConsistencyProof), true},
		"a text without end":    {[]byte(`{"hashes":["` + strings.Repeat(`\`, 1<<20)), new(wire.ConsistencyProof), false},
		"a problem without end": {nil, nil, false},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var err error
		if c.into == nil {
			body := &spring{}
			err = refusal(&http.Response{StatusCode: 500, Header: http.Header{}, Body: io.NopCloser(body)})
			if body.given > 2*maxProblem {
				t.Errorf("%s: %d bytes were read", name, body.given)
			}
		} else {
			err = decode(answering(200, c.body), c.into)
		}
		runtime.ReadMemStats(&after)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 5*uint64(len(c.body))+256<<20 {
			t.Errorf("%s: %d MiB allocated for %d MiB", name, took>>20, len(c.body)>>20)
		}
	}
}

// spring never ends.
type spring struct{ given int }

func (s *spring) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '['
	}
	s.given += len(p)
	return len(p), nil
}

// only answers every request with the same.
type only []byte

func (o only) RoundTrip(*http.Request) (*http.Response, error) { return answering(200, o), nil }

// FuzzInvitationTerms gives a newcomer anything for what they are invited to: what they are shown is codes and ids.
func FuzzInvitationTerms(f *testing.F) {
	genuine, err := json.Marshal(wire.InvitationTerms{
		Origin: first.trust.Vault(), Actor: "act-aaaaaaaaaaaaaaaaaaaaaaaaaa", Role: wire.RoleClinician, Organization: "org-aaaaaaaaaaaaaaaaaaaaaaaaaa",
		Expires: "2026-03-01T12:30:00.000Z",
	})
	check(f, err)
	f.Add(genuine)
	for _, pair := range [][2]string{{"clinician", `emperor`}, {"org-aa", `\u001b[2J`}, {"act-aa", "itm-aa"}, {"000Z", "Z"}, {`"role"`, `"rule"`}, {`{"`, `{"a":[],"`}} {
		f.Add(bytes.Replace(genuine, []byte(pair[0]), []byte(pair[1]), 1))
	}
	c, err := New(Config{Keystore: first.clinician.folder, Signer: first.clinician.key, HTTP: &http.Client{}, Tool: tool, Now: time.Now})
	check(f, err)
	roles := []string{"clinician", "investigator", "custodian", "court", "prosecutor", "police", "defence", "survivor", "advocate", "trustee", "auditor",
		"administrator", "vault"}
	f.Fuzz(func(t *testing.T, body []byte) {
		c.cfg.HTTP = &http.Client{Transport: only(body)}
		terms, err := c.InvitationTerms(t.Context(), strings.Repeat("a", 26))
		if err != nil {
			return
		}
		_, late := time.Parse("2006-01-02T15:04:05.000Z", terms.Expires)
		if terms.Origin != first.trust.Vault() || !evidence.ValidID(evidence.ActorID(terms.Actor)) || !slices.Contains(roles, string(terms.Role)) ||
			terms.Organization != "" && !evidence.ValidID(evidence.OrgID(terms.Organization)) || late != nil {
			t.Fatalf("shown: %+v", terms)
		}
	})
}

// held is a keystore that holds one document under every name.
type held struct {
	Folder
	text []byte
}

func (h held) Read(string) ([]byte, error) { return h.text, nil }

// written is a keystore that keeps the document written last.
type written struct {
	Folder
	text *[]byte
}

func (w written) Write(_ string, text []byte) error {
	*w.text = text
	return nil
}

// documents are what a client keeps on its device, each with how it is read and written.
var documents = []struct {
	name   string
	sample any
	again  func(k Keystore) (any, error)
}{
	{"profile", Profile{"https://vault.example", "act-aaaaaaaaaaaaaaaaaaaaaaaaaa"}, func(k Keystore) (any, error) { return ReadProfile(k) }},
	{"memory", seen{Covers: 7}, func(k Keystore) (any, error) { return (&memory{keystore: k}).read() }},
	{"heads", shelf{"item/itm-aaaaaaaaaaaaaaaaaaaaaaaaaa": {Seq: 1, Leaf: evidence.SHA256(nil), Index: 2, Withheld: []promise{{1, 7}}, Beside: []point{{0, evidence.SHA256(nil)}}}}, func(k Keystore) (any, error) {
		return (&memory{keystore: k}).readShelf(int(shelfOf("item/itm-aaaaaaaaaaaaaaaaaaaaaaaaaa")))
	}},
	{"draft", someDraft, func(k Keystore) (any, error) { return (&Client{cfg: Config{Keystore: k}}).draftAt(someDraft.doc()) }},
	{"offers", map[evidence.Hash]Offer{evidence.SHA256(nil): {Role: evidence.Court}}, func(k Keystore) (any, error) {
		offers := make(map[evidence.Hash]Offer)
		err := readDoc(k, offersDoc, &offers)
		if err == nil {
			offers[evidence.SHA256([]byte("one more"))] = Offer{}
			delete(offers, evidence.SHA256([]byte("one more")))
		}
		return offers, err
	}},
	{"done", []done{{evidence.SHA256(nil), "itm-aaaaaaaaaaaaaaaaaaaaaaaaaa", evidence.SHA256(nil), 3}}, func(k Keystore) (any, error) {
		var list []done
		return list, readDoc(k, doneDoc(evidence.Hash{}), &list)
	}},
	{"answer", "MEUCIQ==", func(k Keystore) (any, error) {
		var text string
		return text, readDoc(k, answerDoc, &text)
	}},
}

var someDraft = &draft{
	Item: "itm-aaaaaaaaaaaaaaaaaaaaaaaaaa", Case: "cas-aaaaaaaaaaaaaaaaaaaaaaaaaa", Upload: "upl-aaaaaaaaaaaaaaaaaaaaaaaaaa",
	Details: evidence.ItemDepositedDetails{Class: evidence.Original, Content: evidence.Photograph, Basis: evidence.ByConsent},
	Consent: []evidence.ConsentID{"con-aaaaaaaaaaaaaaaaaaaaaaaaaa"}, Files: []wire.Attachment{{Kind: wire.AttachmentKindLabel, Body: []byte("label")}},
	Envelopes: map[evidence.Hash][]byte{evidence.SHA256(nil): []byte("envelope")}, Own: []byte("own"),
}

// FuzzDocument gives a device anything for what it kept: what it reads is what it would write.
func FuzzDocument(f *testing.F) {
	for i, d := range documents {
		text, err := json.Marshal(d.sample)
		check(f, err)
		f.Add(byte(i), text)
		f.Add(byte(i), []byte("null"))
		f.Add(byte(i), []byte("{}"))
		f.Add(byte(i), append(text, '\n'))
	}
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		d := documents[int(which)%len(documents)]
		v, err := d.again(held{text: text})
		if err != nil {
			return
		}
		var again []byte
		check(t, writeDoc(written{text: &again}, "", v))
		if d.name != "done" && d.name != "answer" && !bytes.Equal(again, text) { // those two are returned before they are read
			t.Fatalf("%s %q is written again as %q", d.name, text, again)
		}
	})
}

// What this device kept is read back in the one spelling in which it was written. Everything else is damage, and never nothing.
func TestDocumentsAreStrict(t *testing.T) {
	for _, d := range documents {
		sample, err := json.Marshal(d.sample)
		check(t, err)
		text := string(sample)
		if _, err := d.again(held{text: sample}); err != nil {
			t.Errorf("%s: what was written is not read: %v", d.name, err)
		}
		for name, text := range map[string]string{
			"empty": "", "null": "null", "a number": "7", "cut": text[:len(text)-1], "twice": text + text, "a space": text + " ",
			"an unknown member": strings.Replace(text, `{"`, `{"more":1,"`, 1), "a member twice": strings.Replace(text, `{"`, `{"covers":1,"covers":2,"`, 1),
			"capitals": strings.Replace(text, `"`+firstName(text), `"`+strings.ToUpper(firstName(text)), 1),
		} {
			if text == string(sample) {
				continue
			}
			if _, err := d.again(held{text: []byte(text)}); !errors.Is(err, errDamaged) {
				t.Errorf("%s, %s: %v", d.name, name, err)
			}
		}
	}
	other := *someDraft
	other.Item = "itm-baaaaaaaaaaaaaaaaaaaaaaaaa"
	nowhere := *someDraft
	nowhere.Envelopes = nil
	astray := shelf{"item/itm-aaaaaaaaaaaaaaaaaaaaaaaaaa": {Seq: 1, Leaf: evidence.SHA256(nil), Index: 2}, "case/cas-aaaaaaaaaaaaaaaaaaaaaaaaaa": {Seq: 1, Leaf: evidence.SHA256(nil), Index: 2}}
	for name, doc := range map[string]struct {
		of string
		v  any
	}{
		"another draft": {"draft", &other}, "a draft without envelopes": {"draft", &nowhere}, "a profile of nobody": {"profile", Profile{"https://vault.example", "me"}},
		"less than nothing covered": {"memory", seen{Covers: -1}}, "another log's checkpoint": {"memory", seen{Checkpoint: []byte("vault.example\n")}},
		"heads of another shelf": {"heads", astray}, "a head before the first": {"heads", shelf{"item/itm-aaaaaaaaaaaaaaaaaaaaaaaaaa": {Seq: -1, Leaf: evidence.SHA256(nil), Index: 2}}},
	} {
		text, err := json.Marshal(doc.v)
		check(t, err)
		for _, d := range documents {
			if _, err := d.again(held{text: text}); d.name == doc.of && !errors.Is(err, errDamaged) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// firstName is the first name in a document.
func firstName(text string) string {
	_, rest, _ := strings.Cut(text, `"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}
