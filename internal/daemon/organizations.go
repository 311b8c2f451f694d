package daemon

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"strongroom.example/strongroom/internal/evidence"
)

// Organizations are what the operator calls organizations. A name is for reading: whatever is signed or judged goes by the id.
type Organizations map[evidence.OrgID]string

const (
	maxOrganizations = 1000
	maxName          = 80 // characters
)

// What is wrong with a name, or with all of them.
var (
	ErrName  = fmt.Errorf("a name has 1 to %d printable characters, of which the first is a letter or a number", maxName)
	errMany  = fmt.Errorf("no more than %d organizations have a name", maxOrganizations)
	errNames = errors.New("organizations.json is not as it was written")
)

func (o Organizations) marshal() []byte { return line(o) }

func (o Organizations) valid() bool {
	for id, name := range o {
		if !evidence.ValidID(id) || !validName(name) {
			return false
		}
	}
	return o != nil && len(o) <= maxOrganizations
}

// validName demands a beginning that no spreadsheet takes for a formula, and nothing that is not seen, moves a cursor or turns a line.
func validName(name string) bool {
	first, _ := utf8.DecodeRuneInString(name)
	return (unicode.IsLetter(first) || unicode.IsNumber(first)) && strings.TrimSpace(name) == name && utf8.ValidString(name) &&
		utf8.RuneCountInString(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) })
}

// readNames reads the file as it is now, which is as good as empty while there is none.
func (f folder) readNames() (Organizations, error) {
	o, err := readDocument[Organizations](f.names())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Organizations{}, nil
	case errors.Is(err, errDocument):
		return nil, errNames
	}
	return o, err
}

// OrganizationNames returns all names of a vault, running or not.
func OrganizationNames(dir string) (Organizations, error) {
	f := folder(dir)
	if _, err := f.readSettings(); err != nil {
		return nil, err
	}
	return f.readNames()
}

// NameOrganization gives an organization a name, without the spaces around it, or takes it away where that leaves nothing. A running vault
// tells it from the next request on.
func NameOrganization(dir string, id evidence.OrgID, name string) error {
	names, err := OrganizationNames(dir)
	if err != nil {
		return err
	}
	if name = strings.TrimSpace(name); name == "" {
		delete(names, id)
	} else {
		names[id] = name
	}
	switch {
	case name != "" && !validName(name):
		return ErrName
	case len(names) > maxOrganizations:
		return errMany
	}
	return writeFile(folder(dir).names(), names.marshal(), 0o600)
}
