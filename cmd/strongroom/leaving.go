package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/forms"
	"strongroom.example/strongroom/internal/scan"
)

// leaving are the flags of the look through an item before it leaves.
type leaving struct {
	names, identity string
	despite         bool
}

func (l *leaving) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&l.names, "names", "", "look in the item for these names: a `FILE` with one a line, kept nowhere")
	f.StringVar(&l.identity, "identity", "", "look for the names and numbers in an identity, a JSON `FILE`")
	f.BoolVar(&l.despite, "despite", false, "go on despite what was found; for scripts")
}

// asked reports whether the person named what to look for.
func (l *leaving) asked() bool { return l.names != "" || l.identity != "" }

// check is the look through the item. What it found is shown, and a word is typed to go on.
func (l *leaving) check(a *app) (*client.Check, error) {
	k := &client.Check{}
	if l.names != "" {
		list, err := namesIn(l.names)
		if err != nil {
			return nil, err
		}
		k.Names = list
	}
	if l.identity != "" {
		list, err := identityNames(l.identity)
		if err != nil {
			return nil, err
		}
		k.Names = append(k.Names, list...)
	}
	k.Agree = func(f client.Noticed) error {
		err := a.consent(l.despite, "send", noticedRows(f)...)
		if err != nil {
			p := explain(err)
			if p.code == exitRefused {
				p = decline("found")
				p.kept = "Nothing was written for the recipient. The opening stays in the history."
				if !f.Opened {
					p.sentence, p.kept, p.next = "Something was found in the reason, so nothing was proposed.", "", "Write it without that, or go on with --despite."
				}
			}
			return p
		}
		return nil
	}
	return k, nil
}

// maxNames is how many names are looked for.
const maxNames = 1000

func namesIn(name string) (list []string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		list = append(list, lines.Text()) // an empty line, too: findings count lines
		if len(list) > maxNames {
			return nil, usage(name + " has more than a thousand names")
		}
	}
	return list, nil
}

// identityNames are what in an identity says who somebody is.
func identityNames(name string) (list []string, err error) {
	text, err := readDocument(name)
	if err != nil {
		return nil, err
	}
	d, problems := forms.Parse(text)
	if d == nil || d.Schema() != forms.Identity {
		p := decline("document")
		p.problems = problems
		return nil, p
	}
	var said struct {
		Names []struct {
			Name, Latin string
		}
		Documents []struct{ Number string }
		Persons   []struct{ Name string }
	}
	if err := json.Unmarshal(d.JSON(), &said); err != nil {
		return nil, err
	}
	for _, n := range said.Names {
		list = append(list, n.Name, n.Latin)
	}
	for _, n := range said.Documents {
		list = append(list, n.Number)
	}
	for _, n := range said.Persons {
		list = append(list, n.Name)
	}
	return list, nil
}

var kindsOfFinding = map[scan.Kind]string{
	scan.Name: "name", scan.ID: "the number of another case, item or consent", scan.EMail: "mail address", scan.Phone: "what looks like a telephone number",
	scan.Place: "the place where a picture was taken", scan.Serial: "a camera's number",
}

func noticedRows(f client.Noticed) (rows []row) {
	if f.Identity {
		rows = append(rows, row{"Look at", "This item says who a person is."})
	}
	for _, n := range f.Findings {
		text := n.Where + ": " + kindsOfFinding[n.Kind]
		if n.Of > 0 {
			text += fmt.Sprintf(" %d of your list", n.Of)
		}
		if n.Count > 1 {
			text += fmt.Sprintf(", %d times", n.Count)
		}
		rows = append(rows, row{"Found", text})
	}
	for _, where := range f.Unread {
		rows = append(rows, row{"Look at", where + ": it goes too, and you cannot read it."})
	}
	if f.Looked < f.Size {
		rows = append(rows, row{"Looked", "at the first " + bytesOf(f.Looked) + " of " + bytesOf(f.Size)})
	}
	if !f.Opened {
		return append(rows, row{"For good", "The reason goes to the recipient as it is. Otherwise write it without that."})
	}
	return append(rows, row{"For good", "All of it goes to the recipient. Otherwise make a copy without it (strongroom item derive) and share that."})
}

// lookHelp is what every command says that looks through an item.
const lookHelp = `Before that all that goes along is looked through on this computer: the item's
text and a picture's properties; label, file name and record, also in earlier
versions of its description, which go too; the notes sealed with its steps for
who opens it; and a share's reason. Names that you give with --names or
--identity, mail addresses, telephone numbers, numbers of other cases, a
picture's place and camera are listed with where they stand; you type "send" to
go on. Text in pictures and recordings is not read, so nothing found proves
nothing.`
