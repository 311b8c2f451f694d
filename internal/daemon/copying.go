package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"strongroom.example/strongroom/internal/objects"
)

// neverLocked is beyond every retention: what is removed is not the object itself but a damaged copy of it.
var neverLocked = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// copyObjects copies every object that is not there yet, by name and size; with verify those that are there are read, too, and replaced
// if they are damaged. A copy is made only if it has the bytes its name says: an altered original is reported and left out.
func copyObjects(ctx context.Context, to, from objects.Store, verify bool, report func(Damage)) (copied int64, err error) {
	for after := (objects.Digest{}); ; {
		page, err := from.List(ctx, after, fsckPage)
		if err != nil {
			return copied, err
		}
		for _, info := range page {
			after = info.Digest
			there, err := isThere(ctx, to, info, verify)
			if err != nil {
				return copied, err
			}
			if there {
				continue
			}
			switch err := copyObject(ctx, to, from, info); {
			case errors.Is(err, objects.ErrDigest), errors.Is(err, objects.ErrDamaged):
				report(Damage{Where: "object " + info.Digest.String(), What: "its bytes were altered, so it was not copied", Do: doObject})
			case err != nil:
				return copied, fmt.Errorf("object: %w", err)
			default:
				copied++
			}
		}
		if len(page) < fsckPage {
			return copied, nil
		}
	}
}

// isThere reports whether the store has the object; one that cannot be it is removed.
func isThere(ctx context.Context, to objects.Store, info objects.Info, verify bool) (bool, error) {
	have, _, err := to.Stat(ctx, info.Digest)
	sound := err == nil && have.Size == info.Size
	if sound && verify {
		_, err = to.Verify(ctx, info.Digest)
		sound = err == nil
	}
	switch {
	case sound:
		return true, nil
	case errors.Is(err, objects.ErrNotFound):
		return false, nil
	case err != nil && !errors.Is(err, objects.ErrDamaged):
		return false, err
	}
	return false, to.Remove(ctx, info.Digest, neverLocked)
}

func copyObject(ctx context.Context, to, from objects.Store, info objects.Info) error {
	o, err := from.Open(ctx, info.Digest)
	if err != nil {
		return err
	}
	defer o.Close()
	id := info.Digest.String()
	if err := to.StageRemove(ctx, id); err != nil && !errors.Is(err, objects.ErrNotFound) { // an interrupted copy's
		return err
	}
	if err := to.StageCreate(ctx, id, o.Size()); err != nil {
		return err
	}
	for at := int64(0); at < o.Size(); {
		n, err := to.StageAppend(ctx, id, at, io.NewSectionReader(o, at, o.Size()-at))
		if err != nil {
			return err
		}
		if at += n; n == 0 {
			return objects.ErrDamaged // it is shorter than it was
		}
	}
	_, err = to.StageCommit(ctx, id, info.Digest)
	if errors.Is(err, objects.ErrDigest) {
		return errors.Join(err, to.StageRemove(ctx, id))
	}
	return err
}
