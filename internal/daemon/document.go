package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
)

// document is a small file that a vault or a backup keeps about itself. It has one spelling, which is what marshal returns.
type document interface {
	settings | Manifest | owner | prepared | Organizations | Rotation
	valid() bool
	marshal() []byte
}

// maxDocument bounds a document, in bytes. The longest are the names of organizations, of half of that.
const maxDocument = 1 << 20

var errDocument = errors.New("the document is not as it was written")

// readDocument reads a file that holds one document and nothing else.
func readDocument[D document](path string) (D, error) {
	var none D
	file, err := os.Open(path)
	if err != nil {
		return none, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxDocument+1))
	if err != nil {
		return none, err
	}
	return parseDocument[D](text)
}

// parseDocument reads what marshal wrote and nothing else.
func parseDocument[D document](text []byte) (D, error) {
	var d, none D
	if len(text) > maxDocument || json.Unmarshal(text, &d) != nil || !d.valid() || !bytes.Equal(d.marshal(), text) {
		return none, errDocument
	}
	return d, nil
}

// line writes a document as one line.
func line(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // numbers, texts and dates with a year of four digits
	}
	return append(text, '\n')
}
