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
	"strongroom.example/strongroom/internal/words"
)

// leaving are the flags of the look through an item before it leaves.
type leaving struct {
	names, identity string
	despite         bool
	told            bool // that no names are looked for
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
	k.Tell = func(f client.Noticed) {
		rows := noticedRows(f)
		if f.Named == 0 && !l.told {
			rows = append([]row{noNames(words.English())}, rows...)
		}
		printRows(a.err, rows...)
	}
	k.Agree = func(f client.Noticed) error {
		rows := noticedRows(f)
		if f.Named == 0 {
			rows = append([]row{noNames(words.English())}, rows...)
		}
		err := a.consent(l.despite, "send", append(rows, goesRow(f))...)
		if err != nil {
			p := explain(err)
			if p.code == exitRefused {
				p = decline("found")
				p.kept = "Nothing was written for the recipient. The opening stays in the history."
				if len(f.Readers) > 0 {
					p = decline("readers")
					p.kept = "What you wrote was not recorded. An opening before it stays in the history."
				} else if !f.Opened {
					p.sentence, p.kept, p.next = "Something was found in the reason, so nothing was proposed.", "", "Write it without that, or go on with --despite."
				}
			}
			return p
		}
		return nil
	}
	return k, nil
}

// unnamed says beforehand that no names are looked for: that none is found is then no result.
func (l *leaving) unnamed(in *words.Language) []row {
	if l.asked() {
		return nil
	}
	l.told = true
	return []row{noNames(in)}
}

func noNames(in *words.Language) row {
	return row{in.Say("label.names"), in.Say("names.none", "names", "--names FILE", "identity", "--identity FILE")}
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
	scan.Unread: "an archive or a kind of file that cannot be read here", scan.UnreadPDF: "a PDF whose text cannot be read here, or not all of it",
	scan.Rest: "what comes after its beginning",
}

// labelOf says whether something was found, or was not looked at.
func labelOf(k scan.Kind) string {
	switch k {
	case scan.Unread, scan.UnreadPDF, scan.Rest:
		return "Not read"
	}
	return "Found"
}

func noticedRows(f client.Noticed) (rows []row) {
	for _, r := range f.Readers {
		who := "the person concerned, who has an own copy"
		if r.Grant != "" {
			who = whoIn(words.English(), r.Class, r.Jurisdiction) + " " + string(r.Actor) + ", with " + string(r.Grant)
		}
		rows = append(rows, row{"Receives it", who})
	}
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
		rows = append(rows, row{labelOf(n.Kind), text})
	}
	for _, where := range f.Unseen {
		rows = append(rows, row{"Not read", where + ": what is to be seen or heard, and text in pictures"})
	}
	for _, form := range f.Forms {
		rows = append(rows, row{"Look at", "What the person concerned chose for places and camera numbers: it stands in " + string(form) + ", which cannot be read here."})
	}
	for _, where := range f.Unread {
		rows = append(rows, row{"Look at", where + ": it goes too, and you cannot read it."})
	}
	if f.Looked < f.Size {
		rows = append(rows, row{"Looked", "at the first " + bytesOf(f.Looked) + " of " + bytesOf(f.Size)})
	}
	return rows
}

// goesRow says what "send" brings about.
func goesRow(f client.Noticed) row {
	switch {
	case len(f.Readers) > 0:
		return row{"For good", "What you wrote goes to them, too, with the next opening or package."}
	case !f.Opened:
		return row{"For good", "The reason goes to the recipient as it is. Otherwise write it without that."}
	}
	return row{"For good", "All of it goes to the recipient. Otherwise make a copy without it (strongroom item derive) and share that."}
}

// lookHelp is what every command says that looks through an item.
const lookHelp = `Before that all that goes along is looked through on this computer: the file's
text and a picture's properties; label, file name and record, also in earlier
versions of its description, which go too; the notes sealed with its steps for
who opens it; and a share's reason. Mail addresses, telephone numbers, numbers
of other cases, a picture's place and camera are listed with where they stand;
so are names, if you give them with --names or --identity, and only then. You
type "send" to go on. A place or a camera's number that the person concerned
chose to leave out of shared copies is refused.

Text is read in plain text, JSON, mail, office documents and a PDF whose fonts
have plain letters. What was not read is said: other PDFs, archives, what is to
be seen or heard. Nothing found proves nothing.`

// addHelp is what every command says that adds words to an item.
const addHelp = `If the item is shared, or the person concerned has an own copy, what you write
is looked through first, as before a share; who receives it is listed, and you
type "send".`
