package audit

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// Names in a folder of evidence (FORMATS §13).
const (
	olderFile = "older.note"
	newerFile = "newer.note"
	splitFile = "split.json"
	alarmFile = "alarm.json"

	statementFile = "statement.json"

	unfinished = ".new"
)

// alarmDoc is alarm.json: what happened, for people and programs.
type alarmDoc struct {
	Proof  []string `json:"consistency,omitempty"` // as the vault gave it, in hex
	Entry  *int64   `json:"entry,omitempty"`
	Reason Reason   `json:"reason"`
	Vault  string   `json:"vault"`
	What   string   `json:"what"`
}

// Keep writes the evidence of an alarm into a folder of its own, durably and at once, and returns it. The same evidence is kept once.
func (s *State) Keep(a *Alarm) (dir string, err error) {
	files := map[string][]byte{newerFile: a.Newer, olderFile: a.Older}
	doc := alarmDoc{Reason: a.Reason, Vault: s.keys.Origin(), What: a.Error()}
	if a.Entry >= 0 {
		doc.Entry = &a.Entry
	}
	for _, h := range a.Proof {
		if len(h) == hashSize {
			doc.Proof = append(doc.Proof, tlog.Hash(h).String())
		}
	}
	if files[alarmFile], err = json.Marshal(doc); err != nil {
		return "", err
	}
	if a.Split != nil {
		if files[splitFile], err = json.Marshal(a.Split); err != nil {
			return "", err
		}
	}
	if len(a.Statement) > 0 {
		files[statementFile] = a.Statement
	}
	for i, r := range a.Receipts {
		files[[]string{"older-heads.sigstore.json", "newer-heads.sigstore.json"}[i+2-len(a.Receipts)]] = r
	}
	same := evidence.SHA256(append(append([]byte(a.Reason), files[alarmFile]...), append(a.Older, a.Newer...)...))
	dir = filepath.Join(s.path(alarmsDir), string(a.Reason)+"-"+same.String()[:16])
	if _, err := os.Lstat(dir); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir + unfinished); err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir+unfinished, 0o700); err != nil {
		return "", err
	}
	for name, content := range files {
		if content == nil {
			continue
		}
		if err := writeFile(filepath.Join(dir+unfinished, name), content); err != nil {
			return "", err
		}
	}
	if err := errors.Join(syncFolder(dir+unfinished), os.Rename(dir+unfinished, dir)); err != nil {
		return "", err
	}
	s.wrote()
	return dir, syncFolder(s.path(alarmsDir))
}

// Evidence is what a folder of evidence holds for a comparison.
type Evidence struct {
	Older, Newer []byte // signed heads; Older may be nil
	Split        *Split
}

// ReadEvidence reads a folder that Keep wrote.
func ReadEvidence(dir string) (e Evidence, err error) {
	if e.Newer, err = readSmall(filepath.Join(dir, newerFile)); err != nil {
		return e, err
	}
	if e.Older, err = readSmall(filepath.Join(dir, olderFile)); err != nil && !absent(err) {
		return e, err
	}
	text, err := readSmall(filepath.Join(dir, splitFile))
	if absent(err) {
		return e, nil
	}
	if err != nil {
		return e, err
	}
	split, err := ParseSplit(text)
	e.Split = &split
	return e, err
}

func readSmall(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSplit {
		return nil, errors.New("audit: " + filepath.Base(name) + " is too large")
	}
	return os.ReadFile(name)
}
