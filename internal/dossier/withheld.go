package dossier

import (
	"bytes"
	"encoding/json"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Withheld stands for an event under a secret hold (FORMATS §11): its place and that it is in the log are proved, what it says is not
// shown until a date.
type Withheld struct {
	Checkpoint string        `json:"checkpoint"` // signed note
	Hashes     [][]byte      `json:"hashes"`     // inclusion proof
	Index      int64         `json:"index"`
	LeafHash   evidence.Hash `json:"leaf_hash"`
	Until      evidence.Time `json:"until"`
}

// IsWithheld tells the two forms apart: a receipt begins with its media type.
func IsWithheld(b []byte) bool { return bytes.HasPrefix(b, []byte(`{"checkpoint":`)) }

// Marshal returns the contents of <seq>.withheld.json, canonical JSON.
func (w Withheld) Marshal() ([]byte, error) {
	if w.Hashes == nil {
		w.Hashes = [][]byte{}
	}
	if w.LeafHash.IsZero() || w.Until <= 0 || w.Index < 0 || w.Index > tlog.MaxTreeSize || len(w.Checkpoint) > tlog.MaxCheckpointSize {
		return nil, evidence.Refuse(evidence.Invalid, ReasonWithheldForm)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(w)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

// ParseWithheld accepts exactly what Marshal returns.
func ParseWithheld(b []byte) (Withheld, error) {
	var w Withheld
	if len(b) > maxReceipt || json.Unmarshal(b, &w) != nil {
		return w, evidence.Refuse(evidence.Invalid, ReasonWithheldForm)
	}
	if again, err := w.Marshal(); err != nil || !bytes.Equal(again, b) {
		return w, evidence.Refuse(evidence.Invalid, ReasonWithheldForm)
	}
	return w, nil
}

// readWithheld verifies that the withheld event i of c is in the log, and fills its record: its place is proved by the event after it,
// or by the proof of the stream's length.
func (h *History) readWithheld(c *chain, i int, data []byte) {
	w, err := ParseWithheld(data)
	if err != nil {
		h.note(c, int64(i), CheckPackage, Fail, ReasonWithheldForm, err)
		return
	}
	cp, err := h.opened.note([]byte(w.Checkpoint))
	if err == nil {
		_, err = tlog.VerifyInclusion(tlog.Hash(w.LeafHash), w.Index, w.Hashes, cp.Checkpoint)
	}
	if err == nil {
		err = h.checkFork(c, tlog.Hash(w.LeafHash), w.Index, w.Hashes, cp.Checkpoint)
	}
	if err != nil {
		check, reason, err := logReason(err)
		h.note(c, int64(i), check, Fail, reason, err)
		return
	}
	h.checkAttested(cp, false, h.about(c, i))
	c.records[i] = record{leaf: w.LeafHash, index: w.Index, seq: int64(i), read: true, until: w.Until}
}
