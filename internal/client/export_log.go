package client

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"net/http"
	"slices"
	"sync"

	"strongroom.example/strongroom/internal/dossier"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/wire"
)

// exported is under which states of the log this person's packages were made, by their sizes: a later package proves that its log extends
// theirs.
type exported struct {
	Sizes []int64 `json:"sizes"` // ascending
}

const (
	maxExported = 64   // that are remembered, the newest
	maxGrowths  = 4096 // proofs in one package: beyond that, receipts agree by the subtrees that they share
)

func (c *Client) readExported() (e exported, err error) {
	if err = readDoc(c.cfg.Keystore, exportedDoc, &e); errors.Is(err, fs.ErrNotExist) {
		return exported{}, nil
	}
	if err == nil && (len(e.Sizes) > maxExported || !slices.IsSorted(e.Sizes) || len(e.Sizes) > 0 && e.Sizes[0] < 1) {
		err = errDamaged
	}
	return e, err
}

// noteExported remembers the state under which a package was made.
func (c *Client) noteExported(size int64) error {
	e, err := c.readExported()
	if err != nil {
		return err
	}
	at, known := slices.BinarySearch(e.Sizes, size)
	if known {
		return nil
	}
	e.Sizes = slices.Insert(e.Sizes, at, size)
	e.Sizes = e.Sizes[max(0, len(e.Sizes)-maxExported):]
	return writeDoc(c.cfg.Keystore, exportedDoc, e)
}

// logFiles are what a package says of the log as a whole: that the states under which its events are proved, and those of earlier packages,
// are one history, and what authorities stamped. It returns the size of the publication's state.
func (c *Client) logFiles(ctx context.Context, x dossier.Excerpt, earlier []int64) (files []dossier.File, size int64, err error) {
	heads, err := tlog.OpenCheckpoint(receiptNote(x.Heads), c.trust.LogKeys())
	if err != nil {
		return nil, 0, alarm(logLie(err), evidence.Stream{}, err)
	}
	sizes, err := dossier.States(x)
	if err != nil {
		return nil, 0, err
	}
	before, err := c.readExported()
	if err != nil {
		return nil, 0, err
	}
	for _, s := range slices.Concat(before.Sizes, earlier) {
		if s > 0 && s < heads.Size { // what is larger is another vault's, or of a history that the verifier compares
			sizes = append(sizes, s)
		}
	}
	slices.Sort(sizes)
	sizes = slices.DeleteFunc(slices.Compact(sizes), func(s int64) bool { return s == heads.Size || s == 0 })
	proofs, err := c.growths(ctx, sizes[max(0, len(sizes)-maxGrowths):], heads.Size)
	if err != nil {
		return nil, 0, err
	}
	file, err := dossier.ConsistencyFile(dossier.Consistency{Proofs: proofs})
	if err != nil {
		return nil, 0, err
	}
	files = append(files, file)
	for _, s := range x.Stamps {
		response, err := s.Response()
		if err != nil {
			return nil, 0, err
		}
		if file, err = dossier.StampFile(s.Size, s.Authority, response); err != nil {
			return nil, 0, alarm(Malformed, evidence.Stream{}, err)
		}
		files = append(files, file)
	}
	for authority, list := range x.Revoked {
		der, err := list()
		if err != nil {
			return nil, 0, err
		}
		if file, err = dossier.RevocationFile(authority, der); err != nil {
			return nil, 0, alarm(Malformed, evidence.Stream{}, err)
		}
		files = append(files, file)
	}
	return files, heads.Size, nil
}

// growths are the proofs between each of sizes and the state of the publication.
func (c *Client) growths(ctx context.Context, sizes []int64, heads int64) ([]dossier.Growth, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	list := make([]dossier.Growth, len(sizes))
	free := make(chan struct{}, fetchers)
	var all sync.WaitGroup
	for i, size := range sizes {
		g := dossier.Growth{From: min(size, heads), To: max(size, heads)}
		free <- struct{}{}
		all.Go(func() {
			defer func() { <-free }()
			var err error
			if g.Hashes, err = c.growth(ctx, g.From, g.To); err != nil {
				cancel(err)
			}
			list[i] = g
		})
	}
	all.Wait()
	slices.SortFunc(list, func(a, b dossier.Growth) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return list, context.Cause(ctx)
}

// thirdParties adds to an excerpt what authorities said of the states under which its events are proved.
func (c *Client) thirdParties(ctx context.Context, x *dossier.Excerpt) error {
	if x.Final = true; !c.trust.RequiresTimestamps() {
		return nil
	}
	sizes, err := dossier.States(*x)
	if err != nil {
		return err
	}
	for _, size := range sizes {
		p, err := lossy(ctx, c, func() (wire.Published, error) {
			req, err := wire.NewGetPublishedRequest(c.address, size)
			return public[wire.Published](ctx, c, req, err, http.StatusOK)
		})
		if evidence.KindOf(err) == evidence.NotFound {
			continue // what it lacks is found when it is verified
		}
		if err != nil {
			return err
		}
		for _, s := range p.Stamps {
			x.Stamps = append(x.Stamps, dossier.Stamp{Size: size, Authority: s.Authority, Response: inHand(s.Response)})
		}
	}
	answer, err := lossy(ctx, c, func() (wire.RevocationLists, error) {
		req, err := wire.NewListRevocationsRequest(c.address)
		return public[wire.RevocationLists](ctx, c, req, err, http.StatusOK)
	})
	if err != nil {
		return err
	}
	x.Revoked = make(map[string]func() ([]byte, error), len(answer.Lists))
	for _, l := range answer.Lists {
		x.Revoked[l.Authority] = inHand(l.CRL)
	}
	return nil
}

func inHand(b []byte) func() ([]byte, error) { return func() ([]byte, error) { return b, nil } }
