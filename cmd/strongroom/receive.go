package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/client"
	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/words"
)

func redeemCommand(a *app) *cobra.Command {
	var to string
	c := &cobra.Command{
		Use:   "redeem GRANT --to FILE",
		Short: "Open what was shared with you: the access is recorded first",
		Long: `Shows the terms, records that you open the share, checks the proof of that
entry, and only then fetches the item, decrypts it here and compares it with its
deposit. Each opening is recorded first; the person concerned may see it. Others
granted this item or case can see that you opened it. Then the notes to you are
shown: under which pseudonym you know the person, and the reason, if any.

A share may be for viewing alone. Then the file is to be seen and deleted, and
no package can be made of it. Otherwise it is recorded that you make a copy,
before it is written.

Signs:     grant.redeemed; item.exported, unless the share is for viewing alone.
For good:  the entries stay.
Next:      strongroom grant acknowledge, or grant export, which also does that`,
		Example: `  strongroom grant redeem gra-5ysd --to exhibit-4.jpg`,
	}
	c.Flags().StringVar(&to, "to", "", "`FILE` to write")
	required(c, "to")
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		w, err := lookAt(ctx, cl, s)
		if err != nil {
			return err
		}
		action := w.action()
		printRows(a.err, w.received(a.words())...)
		opened, err := a.write(to, func(progress client.Progress, dst io.Writer) (*client.Opened, error) {
			return cl.Redeem(ctx, client.Redemption{Item: s.item, Grant: s.grant, Action: action, Progress: progress}, dst)
		})
		if err != nil {
			return err
		}
		if err := a.remember(s, arrived{w.item.Evidence.SHA256, opened.Description.SHA256, opened.Description.Size}); err != nil {
			return err
		}
		notes, err := cl.NotesToRecipient(ctx, opened)
		if client.LieOf(err) != "" {
			return err // another error is no reason to hide that the file is there
		}
		more, said := s.fields(), []noteSaid{}
		for _, n := range notes {
			said = append(said, saidOf(n))
		}
		more["notes"] = said
		return a.opened(opened, more, to, toldRows(said)...)
	})
}

// action is what a recipient does with a share: a copy, if it allows one.
func (w shareView) action() evidence.Action {
	if slices.Contains(w.grant.Terms.Actions, evidence.Download) {
		return evidence.Download
	}
	return evidence.View
}

// received is what a recipient is told before anything is signed (RULES §7.5).
func (w shareView) received(l *words.Language) []row {
	rows := append(w.terms(l), row{"Recorded", "Each opening is recorded first; the survivor may see it. Others granted this item or case can see that you opened it."})
	if w.action() == evidence.View {
		rows = append(rows, row{"To view", "This share is for viewing; keep no copy. Delete the file when you have seen it. Only this program is bound by that, and it makes no package."})
	}
	return rows
}

// toldRows show what a share's recipient was told: under which pseudonym the person concerned is known, and why it was shared.
func toldRows(notes []noteSaid) (rows []row) {
	for _, n := range notes {
		names, err := client.ParsePseudonyms(n.Text)
		switch {
		case n.Unread != "":
			rows = append(rows, row{"Note", plain(n.Name) + ": " + unreadWords[n.Unread]})
		case n.Name == "pseudonym" && err == nil:
			for _, id := range slices.Sorted(maps.Keys(names)) {
				rows = append(rows, row{"Person", names[id] + ", " + string(id)})
			}
		default:
			rows = append(rows, row{"Note", plain(n.Name) + ": " + n.Text})
		}
	}
	return rows
}

// arrived is what a redemption on this device found: the digest of the sealed file, and what its description says of the original.
type arrived struct {
	Evidence evidence.Hash `json:"evidence"`
	SHA256   evidence.Hash `json:"sha256"`
	Size     int64         `json:"size"`
}

func (s share) document() string {
	return "redeemed/" + string(s.grant) + "." + string(s.item) + ".json"
}

func (a *app) remember(s share, found arrived) error {
	k, err := a.keystore()
	if err != nil {
		return err
	}
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	return k.Write(s.document(), text)
}

func (a *app) recall(s share) (found arrived, err error) {
	k, err := a.keystore()
	if err != nil {
		return found, err
	}
	text, err := k.Read(s.document())
	if errors.Is(err, fs.ErrNotExist) {
		return found, evidence.Refuse(evidence.Conflict, evidence.ReasonNotRedeemed)
	}
	if err != nil {
		return found, err
	}
	return found, json.Unmarshal(text, &found)
}

func acknowledgeCommand(a *app) *cobra.Command {
	var copied string
	var yes bool
	c := &cobra.Command{
		Use:   "acknowledge GRANT --copy FILE",
		Short: "Confirm receipt: your copy is the recorded one",
		Long: `Compares the copy you keep with what was deposited, and signs what was found.
You sign that your copy is the recorded one, not that its content is true.

If the copy differs, that is signed too, and both sides are alarmed; you type
"unequal" for that.

Signs:     grant.acknowledged.
For good:  the receipt stays in the history.`,
		Example: `  strongroom grant acknowledge gra-5ysd --copy exhibit-4.jpg`,
	}
	c.Flags().StringVar(&copied, "copy", "", "the `FILE` that grant redeem wrote")
	c.Flags().BoolVar(&yes, "yes", false, "do not ask; for scripts")
	required(c, "copy")
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		found, err := a.recall(s)
		if err != nil {
			return err
		}
		equal, err := isFile(copied, found)
		if err != nil {
			return err
		}
		result := "equal: your copy is the recorded one"
		if !equal {
			result = "not equal; both sides are alarmed"
			if err := a.consent(yes, "unequal", row{"Differs", copied + " is not what was deposited."},
				row{"If you go on", "It is recorded that your copy differs. Keep the copy unchanged."}); err != nil {
				return err
			}
		}
		r, err := cl.Acknowledge(ctx, s.item, s.grant, found.Evidence, equal)
		if err != nil {
			return err
		}
		more := s.fields()
		more["equal"] = equal
		return a.recorded(r, more, row{"Receipt", result})
	})
}

// isFile reads a copy and reports whether it is what was deposited.
func isFile(name string, found arrived) (bool, error) {
	file, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, file)
	return n == found.Size && evidence.Hash(sum.Sum(nil)) == found.SHA256, err
}

func exportCommand(a *app) *cobra.Command {
	var to, nonce string
	var earlier []string
	var look leaving
	c := &cobra.Command{
		Use:   "export GRANT --to FILE",
		Short: "Make a package that proves its history without the vault",
		Long: `Opens the share, confirms receipt if that was not done yet, and writes one file
with the sealed item, your key to it, every step of its history and all proofs.
It is checked with strongroom verify or strongroom-verify, without a network;
your own key opens it. A share for viewing alone allows no package: that is said
before anything is signed. Each opening is recorded first; the person concerned
may see it. Others granted this item or case can see that you opened it.

The nonce is a number that the court chose, so that nobody can hand in an older
package.

README.html in the package says what it is and how to check it, in the court's
language, as --language or else the locale says, and then in English.

The package proves that the record book only grew since the packages that were
made on this device before (strongroom verify --previous). For others that the
court has, name them with --earlier.

With --names or --identity all that goes into the package is looked through
before it is written, for who passes it on: what is found is listed, and you
type "send".

Signs:     grant.redeemed, grant.acknowledged, item.exported.
For good:  tracking ends here: what happens to the package is not recorded.`,
		Example: `  strongroom grant export gra-5ysd --to package.zip`,
	}
	c.Flags().StringVar(&to, "to", "", "`FILE` to write")
	c.Flags().StringVar(&nonce, "nonce", "", "the court's `NUMBER`: 32 to 64 characters of a-z, 0-9 (default: one is made)")
	c.Flags().StringArrayVar(&earlier, "earlier", nil, "an earlier package that the court has, to prove that the record book grew from there; repeat it for each `FILE`")
	look.flags(c)
	required(c, "to")
	return onShare(a, c, func(ctx context.Context, cl *client.Client, s share) error {
		l, err := a.paper()
		if err != nil {
			return err
		}
		sizes, err := sizesOf(earlier)
		if err != nil {
			return err
		}
		w, err := lookAt(ctx, cl, s)
		if err != nil {
			return err
		}
		printRows(a.err, w.received(a.words())...)
		p := client.Export{Item: s.item, Grant: s.grant, Nonce: nonce, Earlier: sizes, Language: l}
		if look.asked() {
			if p.Check, err = look.check(a); err != nil {
				return err
			}
		}
		return a.export(ctx, cl, p, to, s.fields())
	})
}

// sizesOf are the sizes of the record book under which packages were made.
func sizesOf(packages []string) (sizes []int64, _ error) {
	for _, name := range packages {
		file, size, err := openSized(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		p, err := dossier.Read(file, size)
		if err != nil {
			return nil, err
		}
		if size, err = p.LogSize(); err != nil {
			return nil, err
		}
		sizes = append(sizes, size)
	}
	return sizes, nil
}

// export writes a package and says what became of it.
func (a *app) export(ctx context.Context, cl *client.Client, p client.Export, to string, more fields) error {
	g := a.gauges(0)
	progress, end := g.file(to)
	var done *client.Exported
	err := saveAs(to, func(w io.Writer) (err error) {
		p.Progress = progress
		done, err = cl.Export(ctx, p, w)
		return err
	})
	end()
	g.wait()
	if err != nil {
		return err
	}
	more["file"], more["nonce"], more["covers"], more["acknowledged"] = to, done.Nonce, done.Covers, done.Acknowledged != nil
	return a.recorded(done.Receipt, more,
		row{"Exported", to}, row{"Nonce", done.Nonce},
		row{"Next", "strongroom verify " + to + ". Keep package and trust file together, and hand the trust file over by another way."})
}

func exportItemCommand(a *app) *cobra.Command {
	var to, purpose string
	var look leaving
	c := &cobra.Command{
		Use:   "export ITEM --to FILE",
		Short: "Make a package of an item for yourself, as a keyholder",
		Long: `Opens the item and writes one file with the sealed item, your own key to it,
every step of its history and all proofs. It is checked with strongroom verify,
without a network; your key alone opens it. For somebody else make a share:
strongroom grant propose.

README.html in the package says what it is and how to check it, in the language
of --language, or else the locale's, and then in English.

` + lookHelp + `

Signs:     item.opened, item.exported.
For good:  tracking ends here: what happens to the package is not recorded. Who
           withdraws a consent is told of it, as of a copy that cannot be called
           back.`,
		Example: `  strongroom item export itm-7c2k --to exhibit-4.zip`,
	}
	c.Flags().StringVar(&to, "to", "", "`FILE` to write")
	c.Flags().StringVar(&purpose, "purpose", string(evidence.ForDocumentation), "care, documentation, investigation, prosecution, defence, …")
	look.flags(c)
	required(c, "to")
	return about(a, c, findItem, func(ctx context.Context, cl *client.Client, id evidence.ItemID) error {
		l, err := a.paper()
		if err != nil {
			return err
		}
		p := client.Export{Item: id, Purpose: evidence.Purpose(purpose), Language: l}
		if p.Check, err = look.check(a); err != nil {
			return err
		}
		return a.export(ctx, cl, p, to, fields{"item": id})
	})
}
