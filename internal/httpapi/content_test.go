package httpapi_test

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	ev "strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/wire"
)

// From deposit to plaintext, as a keyholder's client does it.
func TestOpenAnItem(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, bytes.Repeat([]byte("a page of words. "), 20000))
	o := w.open("custodian", in, it)
	if o.Opening == nil || o.Opening.Size != int64(len(it.ciphertext)) || !bytes.HasPrefix(it.ciphertext, o.Opening.Header) {
		t.Fatalf("opening %+v", o.Opening)
	}
	key := must(sealing.OpenEnvelope(o.Opening.Envelope, w.people["custodian"].identity, it.key.Recipient()))
	path := "/v1/events/" + o.LeafHash + "/evidence"
	resp, body := w.request("custodian", "GET", path, nil)
	var plain bytes.Buffer
	if _, err := sealing.Decrypt(&plain, bytes.NewReader(body), key); err != nil || !bytes.Equal(plain.Bytes(), it.plain) {
		t.Fatalf("%d: %d bytes, %v", resp.StatusCode, plain.Len(), err)
	}

	again := call[wire.Included](w, "custodian", "GET", "/v1/events/"+o.LeafHash, nil, 200)
	if !bytes.Equal(again.Receipt, o.Receipt) {
		t.Error("another receipt for the same event")
	}
	if renewed := call[wire.Opening](w, "custodian", "POST", "/v1/events/"+o.LeafHash+"/opening", nil, 200); renewed.Event != o.LeafHash {
		t.Error("renewed on another event")
	}
	items := call[wire.ItemList](w, "custodian", "GET", "/v1/cases/"+string(in)+"/items", nil, 200)
	if len(items.Items) != 1 || items.Items[0].Length != 2 || items.Next != "" || ev.SHA256(items.Items[0].Label) != it.label {
		t.Errorf("items %+v", items)
	}
	history := call[wire.EventList](w, "clinician", "GET", "/v1/streams/item/"+string(it.id)+"/events?limit=1", nil, 200)
	if len(history.Events) != 1 || history.Next == nil || *history.Next != 0 || history.Events[0].LeafHash != it.event.String() {
		t.Errorf("first page %+v", history)
	}
	history = call[wire.EventList](w, "clinician", "GET", "/v1/streams/item/"+string(it.id)+"/events?after=0&limit=2", nil, 200)
	if len(history.Events) != 1 || history.Next != nil || history.Events[0].LeafHash != o.LeafHash {
		t.Errorf("second page %+v", history)
	}
	proof := call[wire.Completeness](w, "custodian", "POST", "/v1/complete",
		wire.CompleteRequest{Streams: []wire.Stream{{Type: "item", ID: string(it.id)}, {Type: "case", ID: string(in)}}}, 200)
	if len(proof.Streams) != 2 || proof.Streams[0].Type != "item" {
		t.Errorf("completeness %+v", proof.Streams)
	}
	resp, body = w.request("clinician", "GET", "/v1/events/"+it.event.String()+"/attachments/"+it.label.String(), nil)
	if resp.StatusCode != 200 || ev.SHA256(body) != it.label || resp.Header.Get("ETag") != `"`+it.label.String()+`"` {
		t.Errorf("label: %d %d bytes", resp.StatusCode, len(body))
	}
	description := ev.SHA256(o.Opening.Description)
	resp, body = w.request("custodian", "GET", "/v1/events/"+it.event.String()+"/attachments/"+description.String()+"?access="+o.LeafHash, nil)
	if resp.StatusCode != 200 || !bytes.Equal(body, o.Opening.Description) {
		t.Errorf("description: %d", resp.StatusCode)
	}
	call[wire.LabelKey](w, "custodian 2", "GET", "/v1/cases/"+string(in)+"/label-key", nil, 200)

	w.drift.Add(int64(16 * time.Minute))
	if resp, body := w.request("custodian", "GET", path, nil); resp.StatusCode != 410 || reason(t, body) != "release_expired" {
		t.Errorf("after a quarter of an hour: %d %s", resp.StatusCode, body)
	}
}

// asked is a request for a part of a file, and what it is answered with: a status, and the bytes of the file it gives.
type asked struct {
	part, if_ string // Range, If-Range
	status    int
	from, to  int
}

// rangesOf is what may be asked of a file.
func rangesOf(file []byte) []asked {
	n, etag := len(file), `"`+ev.SHA256(file).String()+`"`
	return []asked{
		{"", "", 200, 0, n},
		{"bytes=0-0", "", 206, 0, 1},
		{"bytes=100-199", "", 206, 100, 200},
		{"bytes=100-", "", 206, 100, n},
		{"bytes=-16", "", 206, n - 16, n},
		{"bytes=0-9007199254740991", "", 206, 0, n},
		{"bytes=-9007199254740991", "", 206, 0, n},
		{"bytes=100-199", etag, 206, 100, 200},
		{"bytes=100-199", `"` + noDigest + `"`, 200, 0, n},
		{"bytes=" + itoa(n) + "-", "", 416, 0, 0},
		{"bytes=9-5", "", 416, 0, 0},
		{"bytes=-0", "", 400, 0, 0},
		{"bytes=-5-9", "", 400, 0, 0},
		{"bytes=0-1,5-6", "", 400, 0, 0},
		{"bytes=99999999999999999999-", "", 400, 0, 0},
		{"bytes=0x10-", "", 400, 0, 0},
		{"lines=1-2", "", 400, 0, 0},
		{"bytes=0-1", "W/" + etag, 400, 0, 0},
	}
}

// with asks as it says.
func (a asked) with(r *http.Request) {
	if a.part != "" {
		r.Header.Set("Range", a.part)
	}
	if a.if_ != "" {
		r.Header.Set("If-Range", a.if_)
	}
}

func TestRanges(t *testing.T) {
	w := newWorld(t)
	in := w.openCase()
	it := w.deposit(in, bytes.Repeat([]byte("0123456789"), 30000))
	path := "/v1/events/" + w.open("clinician", in, it).LeafHash + "/evidence"
	etag := `"` + ev.SHA256(it.ciphertext).String() + `"`
	for _, c := range rangesOf(it.ciphertext) {
		resp, body := w.request("clinician", "GET", path, nil, c.with)
		if resp.StatusCode != c.status {
			t.Errorf("%s: %d, want %d: %.200s", c.part, resp.StatusCode, c.status, body)
			continue
		}
		if c.status < 300 && (!bytes.Equal(body, it.ciphertext[c.from:c.to]) || resp.Header.Get("ETag") != etag) {
			t.Errorf("%s: %d other bytes", c.part, len(body))
		}
		if c.status == 416 && reason(t, body) != "range" {
			t.Errorf("%s: %s", c.part, body)
		}
	}
}
