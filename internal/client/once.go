package client

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
)

// Deposited is what became of a DepositOnce.
type Deposited struct {
	Item    evidence.ItemID
	Event   evidence.Hash
	Index   int64    // of the event in the log
	Before  bool     // this device had deposited it already
	Receipt *Receipt // nil if Before
}

// done is a deposit of this device that is in the log, as its keystore notes it.
type done struct {
	Content evidence.Hash   `json:"content"`
	Item    evidence.ItemID `json:"item"`
	Event   evidence.Hash   `json:"event"`
	Index   int64           `json:"index"`
}

// markOf is under what a file's deposits are noted: by all that is known of it without reading it. Who has the keystore learns from it only
// what they guess whole.
func markOf(p Deposit) evidence.Hash {
	text, err := json.Marshal(struct {
		Domain   string
		Case     evidence.CaseID
		Consent  []evidence.ConsentID
		Class    evidence.Class
		Content  evidence.Content
		Basis    evidence.Basis
		Source   evidence.ItemID
		Form     string
		Document evidence.Hash // of form and acquisition record
		Name     string
		Size     int64
		Captured evidence.Time
	}{"strongroom/deposited/v1", p.Case, slices.Sorted(slices.Values(p.Consent)), p.Class, p.Content, p.Basis, p.Source, p.form,
		evidence.SHA256(slices.Concat(p.Description.Form, []byte{0}, p.Description.Acquisition)), p.Description.Name, p.Size, p.Description.CapturedAt})
	if err != nil {
		panic("client: a mark does not encode: " + err.Error()) // every field is a plain type
	}
	return evidence.SHA256(text)
}

// contentOf is a file's digest as it is noted under a mark.
func contentOf(mark, plaintext evidence.Hash) evidence.Hash {
	return evidence.SHA256(slices.Concat(mark[:], plaintext[:]))
}

func doneDoc(mark evidence.Hash) string { return path.Join(doneDir, mark.String()+".json") }

// DepositOnce is Deposit for a file that may have been deposited from this device before, with the same content, name, case, consent and
// kind and the same documents. Then that deposit is the answer; or it is finished, if it was interrupted. Body is an io.ReadSeeker at its
// beginning, p.Size its size.
//
// While another process deposits the same file, it waits for it.
func (c *Client) DepositOnce(ctx context.Context, p Deposit) (Deposited, error) {
	if err := p.read(); err != nil {
		return Deposited{}, err
	}
	d := draft{Item: evidence.NewID[evidence.ItemID](), Mark: markOf(p)}
	release, err := c.hold(ctx, &d, true)
	if err != nil {
		return Deposited{}, err
	}
	r, err := c.depositOnce(ctx, &d, p)
	return r, errors.Join(err, release())
}

func (c *Client) depositOnce(ctx context.Context, d *draft, p Deposit) (Deposited, error) {
	if past, err := c.past(ctx, d.Mark, p); err != nil || past != nil {
		if past == nil {
			past = new(Deposited)
		}
		return *past, err
	}
	receipt, err := c.deposit(ctx, d, p)
	if err != nil {
		return Deposited{Item: d.Item}, err
	}
	return Deposited{Item: d.Item, Event: receipt.Leaf, Index: receipt.Index(), Receipt: receipt}, nil
}

// past finds a deposit of the same file, and finishes it if need be; nil if there is none. The file is read only if one of its mark is
// known.
func (c *Client) past(ctx context.Context, mark evidence.Hash, p Deposit) (*Deposited, error) {
	var list []done
	if err := readDoc(c.cfg.Keystore, doneDoc(mark), &list); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	drafts, err := c.drafts(mark)
	if err != nil || len(list)+len(drafts) == 0 {
		return nil, err
	}
	for _, d := range drafts {
		if slices.ContainsFunc(list, func(x done) bool { return x.Item == d.Item }) { // it was killed in settle
			if err := c.forget(&d); err != nil {
				return nil, err
			}
		}
	}
	content, err := readContent(ctx, mark, p)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(list, func(x done) bool { return x.Content == content }); i >= 0 {
		return &Deposited{Item: list[i].Item, Event: list[i].Event, Index: list[i].Index, Before: true}, nil
	}
	for _, d := range drafts {
		if d.Content != content {
			continue
		}
		receipt, err := c.resume(ctx, &d, p.Progress)
		if evidence.ReasonOf(err) == reasonSealedFile {
			continue // sealed anew
		}
		if err != nil {
			return &Deposited{Item: d.Item}, err
		}
		return &Deposited{Item: d.Item, Event: receipt.Leaf, Index: receipt.Index(), Receipt: receipt}, nil
	}
	return nil, nil
}

// drafts are those of a mark.
func (c *Client) drafts(mark evidence.Hash) (list []draft, err error) {
	names, err := c.cfg.Keystore.List(depositsDir)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !strings.HasPrefix(path.Base(name), mark.String()) || !strings.HasSuffix(name, ".json") {
			continue
		}
		d, err := c.draftAt(name)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, nil
}

func readContent(ctx context.Context, mark evidence.Hash, p Deposit) (evidence.Hash, error) {
	if p.Body == nil {
		return contentOf(mark, noEvidence.SHA256), nil
	}
	body, ok := p.Body.(io.ReadSeeker)
	if !ok {
		return evidence.Hash{}, errors.New("client: a file that cannot be read twice")
	}
	progress := p.Progress.at(Comparing)
	sum := sha256.New()
	if _, err := io.Copy(sum, &counter{body, 0, func(at int64) { progress(at, p.Size) }}); err != nil {
		return evidence.Hash{}, err
	}
	_, err := body.Seek(0, io.SeekStart)
	return contentOf(mark, evidence.Hash(sum.Sum(nil))), errors.Join(err, ctx.Err())
}

// remember notes a draft that has become an item.
func (c *Client) remember(d *draft, r *Receipt) error {
	if d.Mark.IsZero() {
		return nil
	}
	var list []done
	if err := readDoc(c.cfg.Keystore, doneDoc(d.Mark), &list); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if slices.ContainsFunc(list, func(x done) bool { return x.Item == d.Item }) {
		return nil
	}
	return writeDoc(c.cfg.Keystore, doneDoc(d.Mark), append(list, done{d.Content, d.Item, r.Leaf, r.Index()}))
}
