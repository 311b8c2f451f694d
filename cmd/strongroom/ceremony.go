package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/ceremony"
)

// What a ceremony leaves that is no secret, for who founds the vault and for a recovery.
const (
	recordFile    = "recovery.json"
	recipientFile = "recipient.txt"
)

func ceremonyCommand(a *app) *cobra.Command {
	var trustees, needed int
	var dir string
	c := &cobra.Command{
		Use:   "ceremony --trustees N --needed M --out FOLDER",
		Short: "Make the vault's recovery key, in parts for its trustees",
		Long: `Makes a new recovery key and writes it down in N parts, of which any M give it
back. The whole key is never written anywhere. A part alone, or fewer than M,
say nothing about it.

Do this on a computer without a network, with all trustees in the room. Each
part is a page to print (share-1.html, with a square to scan) and the same as
text. Print the pages, then type or scan M of them when you are asked: only then
do you know that what is on paper works. Give each trustee one page, sealed, and
destroy the files that begin with share-, the printer's memory included.

No secret are ` + recipientFile + `, which the vault is founded with
(strongroomd init --recovery "$(cat FOLDER/` + recipientFile + `)"), and
` + recordFile + `, which tells a wrong part by its number. Keep copies of both.

To replace the key of a vault: strongroom vault configure --recovery. To use it:
strongroom recover.

Signs:     nothing.`,
		Example: `  strongroom ceremony --trustees 5 --needed 3 --out ./ceremony`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			record, shares, err := ceremony.Make(trustees, needed, time.Now().UTC().Format(time.DateOnly))
			if errors.Is(err, ceremony.ErrBounds) {
				return decline("ceremony_bounds")
			}
			if err != nil {
				return err
			}
			if err := writeCeremony(dir, record, shares); err != nil {
				return err
			}
			printRows(a.err, row{"Written", plural(trustees, "page", "pages") + " to print, in " + dir}, row{"Recovery", record.Number()},
				row{"Now", fmt.Sprintf("Print the pages. Then type or scan %d of the %d parts from paper, whichever you like.", needed, trustees)})
			if _, err := a.combine(record, nil); err != nil {
				return err
			}
			return a.show(fields{"result": "made", "recovery_number": record.Number(), "recipient": record.Recipient, "trustees": trustees, "needed": needed, "folder": dir},
				row{"Made", fmt.Sprintf("a recovery key in %d parts; the %d that were typed gave it back", trustees, needed)},
				row{"Recovery", record.Number()},
				row{"Found", "the vault with the recipient in " + filepath.Join(dir, recipientFile) + ", and compare this number with what strongroom vault policy shows."},
				row{"Next", "Give each trustee one page, and destroy the files share-*."})
		},
	}
	c.Flags().IntVar(&trustees, "trustees", 0, "how many parts there are, at most 20")
	c.Flags().IntVar(&needed, "needed", 0, "how many of them give the key, at least 2")
	c.Flags().StringVar(&dir, "out", "", "a `FOLDER`, which is made")
	required(c, "trustees", "needed", "out")
	return c
}

// writeCeremony writes all of it into a new folder.
func writeCeremony(dir string, record ceremony.Record, shares []ceremony.Share) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return saved(dir, err)
	}
	write := func(name string, content func(io.Writer) error) error {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(content(f), f.Sync(), f.Close())
	}
	text := func(text []byte) func(io.Writer) error {
		return func(w io.Writer) error {
			_, err := w.Write(text)
			return err
		}
	}
	err := errors.Join(write(recipientFile, text([]byte(record.Recipient+"\n"))), write(recordFile, text(record.Marshal())))
	for _, s := range shares {
		name := fmt.Sprintf("share-%d", s.Number)
		err = errors.Join(err, write(name+".txt", text(record.File(s))), write(name+".html", func(w io.Writer) error { return record.WriteSheet(w, s) }))
	}
	return err
}
