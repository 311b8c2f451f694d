package dossier

import (
	"bytes"
	"encoding/json"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
)

// maxComplete bounds complete.json, in bytes.
const maxComplete = 2*heads.MaxProofSize + 128

type lengthJSON struct {
	Absent heads.Proof  `json:"absent"`
	Length int64        `json:"length"`
	Member *heads.Proof `json:"member"`
}

// Marshal returns complete.json: {"absent":proof,"length":N,"member":proof}, canonical, member null at length 0 (FORMATS §11).
func (l Length) Marshal() ([]byte, error) {
	if l.N < 0 || l.N > 1<<53 || (l.N == 0) != (l.Member == nil) {
		return nil, evidence.Refuse(evidence.Invalid, ReasonComplete)
	}
	return json.Marshal(lengthJSON{l.Absent, l.N, l.Member})
}

// ParseLength reads complete.json. It accepts exactly what Marshal returns.
func ParseLength(b []byte) (Length, error) {
	var j lengthJSON
	if len(b) > maxComplete || json.Unmarshal(b, &j) != nil {
		return Length{}, evidence.Refuse(evidence.Invalid, ReasonComplete)
	}
	l := Length{j.Length, j.Member, j.Absent}
	if again, err := l.Marshal(); err != nil || !bytes.Equal(again, b) {
		return Length{}, evidence.Refuse(evidence.Invalid, ReasonComplete)
	}
	return l, nil
}
