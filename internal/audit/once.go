package audit

import (
	"errors"

	"strongroom.example/strongroom/internal/tlog"
)

// After says whether a checkpoint that was verified by the steps so far may be cosigned by a key that cosigned the checkpoint last before, in
// whatever folder: it is that one, or extends it, which the leaves of this folder show. Both are signed notes. Errors: ErrBehind if it is
// smaller, or larger than what was verified; an Alarm if it is of another history.
func (f *Follower) After(last, signed []byte) error {
	s := f.State
	before, err := tlog.OpenCheckpoint(last, s.keys)
	if err != nil {
		return errors.Join(ErrDamaged, err)
	}
	cp, err := tlog.OpenCheckpoint(signed, s.keys)
	if err != nil {
		return f.alarm(UnsignedHead, signed, -1, err)
	}
	if cp == before {
		return nil
	}
	a := &Alarm{Reason: Forked, Older: last, Newer: signed, Entry: -1, Err: errors.New("this key cosigned another history")}
	switch {
	case cp.Size == before.Size:
		a.Reason = TwoRoots
		return a
	case cp.Size < before.Size, cp.Size > s.cp.Size:
		return ErrBehind
	}
	root, err := s.RootAt(before.Size)
	if err != nil || root == before.Root {
		return err
	}
	if split, err := s.Split(before.Size, cp.Size); err == nil && before.Size > 0 {
		a.Split = &split
	}
	return a
}
