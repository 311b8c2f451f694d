package interop

import (
	"crypto/elliptic"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
)

// others are what a changed receipt may borrow from.
type others struct {
	next     *document // of the next event, by the same person
	larger   *document // of a later tree of the same log
	stranger *document // of another vault's log
	someone  []byte    // SHA-256 of somebody else's key, which counts
}

// changes are done to one receipt of a package; what of it is not named stays true. The rows of the table are named after them.
var changes = []struct {
	name string
	edit func(d *document, o others)
}{
	{"nothing", func(*document, others) {}},
	{"a byte of the payload", func(d *document, o others) { d.DSSE.Payload = flipped(d.DSSE.Payload, -2) }},
	{"the payload of another event", func(d *document, o others) { d.DSSE.Payload = o.next.DSSE.Payload }},
	{"another payload type", func(d *document, o others) { d.DSSE.Type = "application/json" }},
	{"a byte of the signature", func(d *document, o others) { d.signed().Sig = flipped(d.signed().Sig, -1) }},
	{"the signature of another event", func(d *document, o others) { d.DSSE.Signatures = o.next.DSSE.Signatures }},
	{"the signature's high-S twin", func(d *document, o others) { d.signed().Sig = highS(d.signed().Sig) }},
	{"no signature", func(d *document, o others) { d.DSSE.Signatures = []signed{} }},
	{"the signature twice", func(d *document, o others) { d.DSSE.Signatures = append(d.DSSE.Signatures, *d.signed()) }},
	{"a key id", func(d *document, o others) { d.signed().KeyID = fmt.Sprintf("%x", d.Material.PublicKey.Hint) }},
	{"the whole statement of another event", func(d *document, o others) { d.DSSE = o.next.DSSE }},
	{"the hint of somebody else's key", func(d *document, o others) { d.Material.PublicKey.Hint = o.someone }},
	{"the hint of a key that nobody has", func(d *document, o others) { d.Material.PublicKey.Hint = flipped(d.Material.PublicKey.Hint, 0) }},

	{"the log entry of another event", func(d *document, o others) { d.Material.Entries = o.next.Material.Entries }},
	{"no log entry", func(d *document, o others) { d.Material.Entries = []entry{} }},
	{"the log entry twice", func(d *document, o others) { d.Material.Entries = append(d.Material.Entries, *d.entry()) }},
	{"the leaf of another event", func(d *document, o others) { d.entry().Body = o.next.entry().Body }},
	{"a space after the leaf", func(d *document, o others) { d.entry().Body = append(d.entry().Body, ' ') }},
	{"an unknown log", func(d *document, o others) { d.entry().LogID.Key = flipped(d.entry().LogID.Key, 0) }},
	{"another kind of entry", func(d *document, o others) { d.entry().Kind.Kind = "dsse" }},
	{"an integrated time", func(d *document, o others) { d.entry().Integrated = "1" }},
	{"an inclusion promise", func(d *document, o others) { d.entry().Promise = new(promise) }},
	{"an inclusion promise, signed by nobody", func(d *document, o others) { d.entry().Promise = &promise{d.signed().Sig} }},

	{"no inclusion proof", func(d *document, o others) { d.entry().Proof = nil }},
	{"another index", func(d *document, o others) {
		d.entry().Index, d.proof().Index = o.next.entry().Index, o.next.entry().Index
	}},
	{"another index of the entry", func(d *document, o others) { d.entry().Index = o.next.entry().Index }},
	{"another index of the proof", func(d *document, o others) { d.proof().Index = o.next.entry().Index }},
	{"the hashes of another leaf", func(d *document, o others) { d.proof().Hashes = o.next.proof().Hashes }},
	{"a byte of a hash", func(d *document, o others) { d.proof().Hashes[1] = flipped(d.proof().Hashes[1], 5) }},
	{"a hash dropped", func(d *document, o others) { d.proof().Hashes = d.proof().Hashes[1:] }},
	{"no hashes", func(d *document, o others) { d.proof().Hashes = [][]byte{} }},
	{"another root hash", func(d *document, o others) { d.proof().Root = o.larger.proof().Root }},
	{"another tree size", func(d *document, o others) { d.proof().Size = o.larger.proof().Size }},

	{"the checkpoint of a later tree", func(d *document, o others) { d.proof().state(o.larger) }},
	{"the checkpoint of another log", func(d *document, o others) { d.proof().state(o.stranger) }},
	{"a byte of the checkpoint's root", func(d *document, o others) {
		d.proof().Root = flipped(d.proof().Root, 0)
		*d.note() = strings.Replace(*d.note(), base64Text(flipped(d.proof().Root, 0)), base64Text(d.proof().Root), 1)
	}},
	{"a byte of the log's signature", func(d *document, o others) { *d.note() = (*d.note())[:len(*d.note())-6] + "AAAA=\n" }},
	{"a checkpoint without signatures", func(d *document, o others) { *d.note(), _, _ = strings.Cut(*d.note(), "— ") }},
	{"a line by a witness that nobody knows", func(d *document, o others) { *d.note() += "— w.example " + base64Text(make([]byte, 76)) + "\n" }},

	{"a time stamp that is none", func(d *document, o others) { d.Material.Stamps = &stamps{[]stamp{{[]byte("none")}}} }},
	{"no time stamp, but a list", func(d *document, o others) { d.Material.Stamps = &stamps{[]stamp{}} }},
}

// spellings are of a receipt that is otherwise true.
var spellings = []struct {
	name  string
	spell func(text string) string
}{
	{"a line feed at the end", func(s string) string { return s + "\n" }},
	{"a space between", func(s string) string { return strings.Replace(s, ",", ", ", 1) }},
	{"an index as a number", func(s string) string { return replaceNumber(s) }},
	{"an escaped letter", func(s string) string { return strings.Replace(s, `"hint"`, `"\u0068int"`, 1) }},
	{"a member twice", func(s string) string {
		return s[:len(s)-1] + `,"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}`
	}},
	{"an unknown member", func(s string) string { return s[:len(s)-1] + `,"more":1}` }},
	{"base64 without padding", func(s string) string { return strings.Replace(s, `="},"kindVersion"`, `"},"kindVersion"`, 1) }},
}

func (d *document) signed() *signed { return &d.DSSE.Signatures[0] }

// state makes a proof name the tree that another receipt stands under.
func (p *inclusion) state(of *document) {
	p.Checkpoint, p.Root, p.Size = of.proof().Checkpoint, of.proof().Root, of.proof().Size
}

func replaceNumber(s string) string {
	before, after, _ := strings.Cut(s, `"logIndex":"`)
	number, after, _ := strings.Cut(after, `"`)
	return before + `"logIndex":` + number + after
}

// highS is the other ECDSA signature that verifies under the same key: the leaf holds this one and no other.
func highS(sig []byte) []byte {
	var pair struct{ R, S *big.Int }
	_, err := asn1.Unmarshal(sig, &pair)
	if err != nil {
		panic(err)
	}
	pair.S.Sub(elliptic.P256().Params().N, pair.S)
	return must(asn1.Marshal(pair))
}
