package client

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// liar stands between a client and an honest vault and changes answers: as a vault could that lies, or whose log key was stolen.
type liar struct {
	path    string // of the answers to change: its end
	method  string // "" is any
	rewrite func(resp *http.Response, body []byte) []byte
	told    atomic.Int32
}

func (l *liar) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil || l.rewrite == nil || l.method != "" && req.Method != l.method || !strings.HasSuffix(req.URL.Path, l.path) {
		return resp, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	changed := l.rewrite(resp, bytes.Clone(body))
	if !bytes.Equal(changed, body) {
		l.told.Add(1)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(changed)), int64(len(changed))
	resp.Header.Set("Content-Length", strconv.Itoa(len(changed)))
	return resp, nil
}

// about changes an answer in JSON.
func about[T any](method, path string, change func(*T)) *liar {
	return &liar{path: path, method: method, rewrite: func(resp *http.Response, body []byte) []byte {
		if resp.StatusCode >= 300 {
			return body
		}
		var v T
		if err := json.Unmarshal(body, &v); err != nil {
			panic(err)
		}
		change(&v)
		changed, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return changed
	}}
}

// instead answers with other bytes.
func instead(method, path string, change func(body []byte) []byte) *liar {
	return &liar{path: path, method: method, rewrite: func(_ *http.Response, body []byte) []byte { return change(body) }}
}

// forger has the log's own key, as an operator does.
type forger struct {
	origin  string
	signers []note.Signer
	logID   tlog.Hash
}

// newForger makes a world whose log key the test holds, too.
func (w *world) forger() forger {
	w.Helper()
	f := forger{origin: w.trust.Vault()}
	for _, name := range []string{"log.pem", "log-ed25519.pem"} {
		key := must(w.logKey(name))(w)
		f.signers = append(f.signers, must(key.NoteSigner(f.origin))(w))
		if len(f.signers) == 1 {
			f.logID = must(tlog.LogID(key.Public()))(w)
		}
	}
	return f
}

func (f forger) sign(size int64, root tlog.Hash) []byte {
	n, err := tlog.SignCheckpoint(tlog.Checkpoint{Origin: f.origin, Size: size, Root: root}, f.signers...)
	if err != nil {
		panic(err)
	}
	return n
}

// instead puts another event in the place of the one that a receipt is for: in a tree of its own, at the same index.
func (f forger) instead(of []byte, signed *custody.Signed) []byte {
	old, err := tlog.ParseReceipt(of)
	if err != nil {
		panic(err)
	}
	const levels = 12 // more leaves than the honest log has
	var proof [][]byte
	h := tlog.LeafHash(signed.Leaf())
	for level := range levels {
		beside := random(32)
		proof = append(proof, beside)
		pair := append(h[:], beside...)
		if old.Index()>>level&1 == 1 {
			pair = append(beside[:32:32], h[:]...)
		}
		h = sha256.Sum256(append([]byte{1}, pair...))
	}
	r, err := tlog.NewReceipt(tlog.ReceiptParts{
		LogID: f.logID, Leaf: signed.Leaf(), Index: old.Index(), Proof: proof, Checkpoint: f.sign(1<<levels, h), PayloadType: custody.PayloadType, Payload: signed.Payload(),
		Signature: signed.Signature(), KeyID: tlog.Hash(signed.KeyID()),
	})
	if err != nil {
		panic(err)
	}
	return r.Marshal()
}

// TestLies tells a client one lie at a time (ARCHITECTURE §7, invariant 7). Each is an Alarm of its own kind, and none spoils what the
// device remembers: right after it the honest vault is believed.
func TestLies(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	early := must(w.custodian.getCheckpoint(ctx))(t)
	in := w.openCase()
	consent := w.consent(in)
	item := w.deposit(w.clinician, in, consent, bytes.NewReader(random(100_000)))
	other := w.deposit(w.clinician, in, consent, bytes.NewReader(random(100_000)))
	actor, caseStream, itemStream := evidence.ActorOf(w.clinician.Actor()), evidence.CaseOf(in), evidence.ItemOf(item)
	f := w.forger()
	attacker := must(custody.GenerateKey())(t)

	// What earlier openings were answered.
	var oldOpening, foreign []byte
	opener := w.client(w.custodian, record(func(path string, body []byte) {
		if path == "/v1/events" {
			oldOpening = body
		}
	}))
	_, err := opener.Open(ctx, Open{Item: other, Purpose: evidence.ForCare}, io.Discard)
	check(t, err)
	var included wire.Included
	check(t, json.Unmarshal(oldOpening, &included))
	foreign = included.Opening.Envelope
	_, err = opener.Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
	check(t, err)

	// What an earlier look was told, to be told again later.
	var oldComplete []byte
	oldEvents := map[string][]byte{}
	var mu sync.Mutex
	recorder := w.client(w.custodian, record(func(path string, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		if path == "/v1/complete" {
			oldComplete = body
		}
		oldEvents[path] = body
	}))
	must(recorder.Look(ctx, itemStream))(t)
	_, err = w.second.Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
	check(t, err)
	must(w.custodian.Look(ctx, itemStream))(t) // remembered now
	present := must(w.custodian.getCheckpoint(ctx))(t)
	size := must(tlog.OpenCheckpoint(present, w.trust.LogKeys()))(t).Size

	events := func(s evidence.Stream) string { return "/v1/streams/" + string(s.Type) + "/" + s.ID + "/events" }
	look := func(c *Client) error { _, err := c.Look(ctx, itemStream); return err }
	open := func(c *Client) error {
		_, err := c.Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
		return err
	}
	list := func(c *Client) error { _, err := c.Items(ctx, in); return err }
	renew := func(c *Client) error {
		_, err := c.AddMember(ctx, in, evidence.Member{Actor: w.clinician.Actor(), Rights: []evidence.Right{evidence.MayDeposit}}, "")
		return err
	}
	secret, digest, err := w.admin.Invite(ctx, Offer{Role: evidence.Auditor, Organization: w.org})
	check(t, err)
	newcomer := w.connect(w.newPerson("new"))
	must(newcomer.AnswerInvitation(ctx, secret))(t)

	replay := func(l *http.Response, body []byte) []byte {
		if old, ok := oldEvents[l.Request.URL.Path]; ok && (strings.HasSuffix(l.Request.URL.Path, "/events") || l.Request.URL.Path == "/v1/complete") {
			return old
		}
		return body
	}
	for _, c := range []struct {
		name string
		lie  Lie
		act  func(*Client) error
		liar *liar
	}{
		{"checkpoint by another key", WrongLogKey, look, instead("GET", "/v1/log/checkpoint", func([]byte) []byte {
			key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
			s := must(tlog.NewECDSANoteSigner(f.origin, &key.PublicKey, func(m []byte) ([]byte, error) {
				d := sha256.Sum256(m)
				return ecdsa.SignASN1(rand.Reader, key, d[:])
			}))(t)
			return must(tlog.SignCheckpoint(tlog.Checkpoint{Origin: f.origin, Size: size, Root: tlog.Hash{1}}, s))(t)
		})},
		{"checkpoint of another vault", WrongVault, look, instead("GET", "/v1/log/checkpoint", func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte(f.origin), []byte("other.example"))
		})},
		{"older checkpoint", RolledBack, look, instead("GET", "/v1/log/checkpoint", func([]byte) []byte { return early })},
		{"two roots of one size", Forked, look, instead("GET", "/v1/log/checkpoint", func([]byte) []byte { return f.sign(size, tlog.Hash{1}) })},
		{"larger tree of another history", Forked, look, instead("GET", "/v1/log/checkpoint", func([]byte) []byte { return f.sign(size+7, tlog.Hash{1}) })},
		{"no checkpoint at all", RolledBack, look, &liar{method: "GET", path: "/v1/log/checkpoint", rewrite: func(r *http.Response, _ []byte) []byte {
			r.StatusCode = http.StatusNotFound
			return []byte("{}")
		}}},
		{"false consistency proof", Forked, open, about("GET", "/v1/log/consistency", func(p *wire.ConsistencyProof) { p.Hashes = append(p.Hashes, strings.Repeat("00", 32)) })},

		{"an opening left out", MissingEvent, look, about("GET", events(itemStream), func(l *wire.EventList) { l.Events = l.Events[:len(l.Events)-1] })},
		{"last event shown as pending", MissingEvent, look, about("GET", events(itemStream), func(l *wire.EventList) {
			l.Events[len(l.Events)-1].Receipt = nil
		})},
		{"first event left out", BrokenChain, look, about("GET", events(actor), func(l *wire.EventList) { l.Events = l.Events[1:] })},
		{"two events exchanged", BrokenChain, look, about("GET", events(actor), func(l *wire.EventList) {
			l.Events[0].Receipt, l.Events[1].Receipt = l.Events[1].Receipt, l.Events[0].Receipt
		})},
		{"events of another stream", OtherStream, look, &liar{method: "GET", path: events(itemStream), rewrite: func(_ *http.Response, _ []byte) []byte {
			return oldEvents[events(caseStream)]
		}}},
		{"history of one item under the id of another", OtherStream, func(c *Client) error { _, err := c.Look(ctx, evidence.ItemOf(other)); return err },
			instead("GET", events(evidence.ItemOf(other)), func([]byte) []byte { return oldEvents[events(itemStream)] })},
		{"required stream denied", HiddenStream, look, &liar{method: "GET", path: events(actor), rewrite: func(r *http.Response, _ []byte) []byte {
			r.StatusCode = http.StatusNotFound
			return []byte("{}")
		}}},
		{"everything as it was before", StaleHead, look, &liar{rewrite: replay}},
		{"publication from before", StaleHead, look, instead("POST", "/v1/complete", func([]byte) []byte { return oldComplete })},
		{"false proof of the end", FalseLength, look, about("POST", "/v1/complete", func(c *wire.Completeness) {
			p := &c.Streams[0].Absent
			p.Siblings[0] = strings.Repeat("11", 32)
		})},
		{"another value in the heads map", FalseLength, look, about("POST", "/v1/complete", func(c *wire.Completeness) {
			for i := range c.Streams {
				if m := c.Streams[i].Member; m != nil {
					m.Leaf.Value = strings.Repeat("22", 32)
				}
			}
		})},
		{"proofs of other streams", Malformed, look, about("POST", "/v1/complete", func(c *wire.Completeness) { slices.Reverse(c.Streams) })},

		{"confirmed by a foreign key", ForeignKey, look, about("GET", events(actor), func(l *wire.EventList) {
			e := *eventIn(t, l.Events[1].Receipt)
			l.Events[1].Receipt = f.instead(l.Events[1].Receipt, must(custody.Sign(&e, attacker.SPKI(), attacker))(t))
		})},
		{"planted in the directory as a founder", ForeignKey, look, about("GET", events(actor), func(l *wire.EventList) {
			id := evidence.ActorID(actor.ID)
			identity := must(sealing.NewIdentity())(t)
			e := &evidence.Event{
				Vault: f.origin, Kind: evidence.ActorEnrolled, Stream: evidence.Position{Type: evidence.ActorStream, ID: string(id)},
				Actor: evidence.Signer{ID: id, Role: evidence.Clinician, Organization: w.org}, Time: evidence.At(time.Now()), Tool: tool,
				Details: &evidence.ActorEnrolledDetails{Keys: evidence.Keys{Key: keyText(attacker), Recipient: identity.Recipient()},
					Role: evidence.Clinician, Organization: w.org},
			}
			e.Subject = e.Subjects(nil)
			l.Events = l.Events[:1]
			l.Events[0].Receipt = f.instead(l.Events[0].Receipt, must(custody.Sign(e, attacker.SPKI(), attacker))(t))
		})},
		{"planted in the keyring", ForeignKey, look, about("GET", events(caseStream), func(l *wire.EventList) {
			e := *eventIn(t, l.Events[0].Receipt)
			d := *e.Details.(*evidence.CaseOpenedDetails)
			d.Keyring = slices.Clone(d.Keyring)
			d.Keyring[0].Fingerprint = evidence.Fingerprint(attacker.SPKI(), "")
			e.Details = &d
			l.Events[0].Receipt = f.instead(l.Events[0].Receipt, must(custody.Sign(&e, attacker.SPKI(), attacker))(t))
		})},

		{"receipt of another event", OtherReceipt, open, about("POST", "/v1/events", func(i *wire.Included) {
			var l wire.EventList
			check(t, json.Unmarshal(oldEvents[events(itemStream)], &l))
			i.Receipt = l.Events[0].Receipt
		})},
		{"receipt with a false proof", NotIncluded, open, about("POST", "/v1/events", func(i *wire.Included) {
			i.Receipt = remade(t, i.Receipt, func(p *tlog.ReceiptParts) {
				p.Proof = slices.Clone(p.Proof)
				p.Proof[0] = make([]byte, 32)
			})
		})},
		{"receipt from another history", Forked, open, about("POST", "/v1/events", func(i *wire.Included) {
			i.Receipt = remade(t, i.Receipt, func(p *tlog.ReceiptParts) {
				p.Index, p.Proof, p.Checkpoint = 0, nil, f.sign(1, tlog.LeafHash(p.Leaf))
			})
		})},
		{"no receipt", Malformed, open, about("POST", "/v1/events", func(i *wire.Included) { i.Receipt = nil })},

		{"envelope with another key", OtherEnvelope, open, about("POST", "/v1/events", func(i *wire.Included) {
			key := must(sealing.NewItemKey())(t)
			i.Opening.Envelope = must(sealing.WriteEnvelope(key, w.custodian.identity.Recipient()))(t)
		})},
		{"envelope of another item", OtherEnvelope, open, about("POST", "/v1/events", func(i *wire.Included) { i.Opening.Envelope = foreign })},
		{"description of somebody else", OtherText, open, about("POST", "/v1/events", func(i *wire.Included) {
			i.Opening.Description = slices.Clone(i.Opening.Description)
			i.Opening.Description[len(i.Opening.Description)-1] ^= 1
		})},
		{"release of an earlier opening", OtherReceipt, open, &liar{method: "POST", path: "/v1/events", rewrite: func(_ *http.Response, b []byte) []byte { return oldOpening }}},
		{"release for another item", OtherRelease, open, about("POST", "/v1/events", func(i *wire.Included) { i.Opening.Item = string(other) })},
		{"one byte of the ciphertext", OtherBytes, open, instead("GET", "/evidence", func(b []byte) []byte {
			b[len(b)/2] ^= 1
			return b
		})},
		{"two ranges of the ciphertext exchanged", OtherBytes, open, instead("GET", "/evidence", func(b []byte) []byte {
			const part = 32 << 10
			return slices.Concat(b[part:2*part], b[:part], b[2*part:])
		})},
		{"ciphertext of another item", OtherBytes, open, instead("GET", "/evidence", func(b []byte) []byte { return random(len(b)) })},
		{"ciphertext with something after it", OtherBytes, open, instead("GET", "/evidence", func(b []byte) []byte { return append(b, 0) })},
		{"another file by its tag", OtherBytes, open, &liar{method: "GET", path: "/evidence", rewrite: func(r *http.Response, b []byte) []byte {
			r.Header.Set("ETag", `"`+evidence.SHA256(b[1:]).String()+`"`)
			return b[:len(b)-1]
		}}},

		{"label of another item", OtherText, list, about("GET", "/items", func(l *wire.ItemList) { l.Items[0].Label, l.Items[1].Label = l.Items[1].Label, l.Items[0].Label })},
		{"label key of somebody else", OtherEnvelope, renew, about("GET", "/label-key", func(l *wire.LabelKey) {
			key := must(sealing.NewItemKey())(t)
			l.Envelope = must(sealing.WriteEnvelope(key, w.custodian.identity.Recipient()))(t)
		})},
		{"field beside the contract", Malformed, look, instead("POST", "/v1/complete", func(b []byte) []byte {
			return append([]byte(`{"mood":"good",`), b[1:]...)
		})},
		{"something after the answer", Malformed, look, instead("POST", "/v1/complete", func(b []byte) []byte { return append(b, "{}"...) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantLie(t, c.act(w.client(w.custodian, c.liar)), c.lie)
			if c.liar.told.Load() == 0 {
				t.Error("the lie was never told")
			}
			check(t, c.act(w.client(w.custodian, nil)))
		})
	}

	t.Run("keys of another person in an invitation", func(t *testing.T) {
		l := about("GET", "/v1/invitations", func(l *wire.InvitationList) { l.Invitations[0].Keys.Key = keyText(attacker) })
		_, err := w.client(w.admin, l).Admit(ctx, digest, "")
		wantLie(t, err, OtherOffer)
		_, err = w.client(w.admin, nil).Admit(ctx, digest, "")
		check(t, err)
	})
	t.Run("invitation of another vault", func(t *testing.T) {
		secret, _, err := w.admin.Invite(ctx, Offer{Role: evidence.Auditor, Organization: w.org})
		check(t, err)
		l := about("POST", "/v1/invitations/terms", func(i *wire.InvitationTerms) { i.Origin = "other.example" })
		p := w.connect(w.newPerson("newer"))
		_, err = w.client(p, l).AnswerInvitation(ctx, secret)
		wantLie(t, err, WrongVault)
		_, err = p.AnswerInvitation(ctx, secret)
		check(t, err)
	})
}

// record passes everything on and keeps the answers.
type record func(path string, body []byte)

func (r record) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	r(req.URL.Path, body)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, err
}

func eventIn(t *testing.T, receipt []byte) *evidence.Event {
	t.Helper()
	r := must(tlog.ParseReceipt(receipt))(t)
	_, payload, signature, keyID := r.DSSE()
	s, err := custody.Open(custody.DSSE(payload, custody.Signature{KeyID: must(evidence.ParseHash(keyID))(t), DER: signature}))
	check(t, err)
	return s.Event()
}

func remade(t *testing.T, receipt []byte, change func(*tlog.ReceiptParts)) []byte {
	t.Helper()
	r := must(tlog.ParseReceipt(receipt))(t)
	typ, payload, signature, keyID := r.DSSE()
	p := tlog.ReceiptParts{LogID: r.LogID(), Leaf: r.Leaf(), Index: r.Index(), Proof: r.Proof(), Checkpoint: r.Checkpoint(),
		PayloadType: typ, Payload: payload, Signature: signature, KeyID: must(tlog.ParseHash(keyID))(t)}
	change(&p)
	return must(tlog.NewReceipt(p))(t).Marshal()
}

// A verification that finds other bytes says so in the record, and serving stops; one that could not read them all says nothing.
func TestVerifyFindsOtherBytes(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := w.openCase()
	item := w.deposit(w.clinician, in, w.consent(in), bytes.NewReader(random(100_000)))
	longer := instead("GET", "/evidence", func(b []byte) []byte { return append(b, 0) })
	receipt, err := w.client(w.second, longer).Verify(ctx, Open{Item: item, Purpose: evidence.ForVerification})
	wantLie(t, err, OtherBytes)
	if receipt != nil {
		t.Error("a statement about a file that was not read")
	}
	flipped := instead("GET", "/evidence", func(b []byte) []byte { b[70_000] ^= 1; return b })
	receipt, err = w.client(w.second, flipped).Verify(ctx, Open{Item: item, Purpose: evidence.ForVerification})
	wantLie(t, err, OtherBytes)
	if receipt == nil || receipt.Event.Result.Outcome != evidence.Failure {
		t.Fatal("the difference is not on record")
	}
	_, err = w.second.Open(ctx, Open{Item: item, Purpose: evidence.ForCare}, io.Discard)
	wantReason(t, err, evidence.ReasonDamaged)
}
