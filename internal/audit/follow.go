package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// page is how many hashes or keys are asked for at once.
const page = 8192

// Follower follows one vault. It is not for use by several goroutines.
type Follower struct {
	State *State
	Vault Vault
	// HashesOnly leaves out the heads map and the statements: for who may not read them. It never cosigns.
	HashesOnly bool
	// Progress is told how much of a step is read, or is nil.
	Progress func(done, total int64)
	// Pause waits between two questions for the newest head; nil does not ask twice.
	Pause func(context.Context, time.Duration) error

	authors     []Author
	signers     custody.Keys
	done, total int64
	spoiled     bool // the map in memory is not the verified one
}

// Step is what one step came to.
type Step struct {
	From, Size   int64   // entries verified before, and now
	Publications int64   // of the heads map, verified in this step
	Statements   int64   // read and compared in this step
	More         bool    // it ended before the last publication: who cosigns does so before the next step, which forgets older states
	Void         []int64 // void entries of which nobody was told (Tell), also by steps that did not end
}

// Step asks for the newest head and verifies everything up to it: the log's signature, that it extends the one before, every leaf, each
// publication of the heads map in between, of which a step takes as many as the state remembers, and the statement of every entry that is
// covered. What is verified is durable when it returns, and at times before. What an Alarm is about was not taken over.
func (f *Follower) Step(ctx context.Context) (Step, error) {
	s := f.State
	step := Step{From: s.cp.Size, Size: s.cp.Size}
	note, cp, err := f.newest(ctx)
	if err != nil {
		return step, err
	}
	if f.done, f.total = 0, cp.Size-s.cp.Size; !f.HashesOnly {
		f.total += 2*cp.Size - s.kept.Heads.Covers - s.kept.Read
	}
	if err := f.extend(ctx, note, cp); err != nil {
		return step, err
	}
	step.Size = cp.Size
	if f.HashesOnly {
		return step, nil
	}
	if f.spoiled {
		if err := s.openHeads(ctx); err != nil {
			return step, err
		}
		f.spoiled = false
	}
	before, read := s.kept.Heads.Next, s.kept.Read
	if step.More, err = f.publications(ctx); err != nil {
		f.spoiled = true
		return step, err
	}
	if err := f.statements(ctx); err != nil {
		return step, err
	}
	step.Publications, step.Statements = s.kept.Heads.Next-before, s.kept.Read-read
	step.Void = slices.Clone(s.kept.Heads.Void[min(s.kept.Told, len(s.kept.Heads.Void)):])
	return step, nil
}

func (f *Follower) advance(n int64) {
	if f.done += n; f.Progress != nil {
		f.Progress(f.done, f.total)
	}
}

// alarm is an Alarm about the newest head, in the light of the verified one.
func (f *Follower) alarm(r Reason, note []byte, entry int64, cause error) *Alarm {
	return &Alarm{Reason: r, Older: f.State.kept.Checkpoint, Newer: note, Entry: entry, Err: cause}
}

// newest asks for the newest head. One that is smaller than the verified one is asked for again, for a replica may lag for a moment;
// one that is of another history is none of those.
func (f *Follower) newest(ctx context.Context) ([]byte, tlog.Checkpoint, error) {
	s := f.State
	for attempt := 0; ; attempt++ {
		note, err := f.Vault.Checkpoint(ctx)
		if err != nil {
			return nil, tlog.Checkpoint{}, err
		}
		cp, err := tlog.OpenCheckpoint(note, s.keys)
		if err != nil {
			return nil, cp, f.alarm(UnsignedHead, note, -1, err)
		}
		if cp.Size >= s.cp.Size {
			return note, cp, nil
		}
		root, err := s.RootAt(cp.Size)
		if err != nil {
			return nil, cp, err
		}
		if root != cp.Root {
			a := f.alarm(Forked, note, -1, nil)
			if split, err := s.Split(cp.Size, s.cp.Size); err == nil && cp.Size > 0 {
				a.Split = &split
			}
			return nil, cp, a
		}
		if attempt == 3 || f.Pause == nil {
			return nil, cp, f.alarm(RolledBack, note, -1, nil)
		}
		if err := f.Pause(ctx, time.Second); err != nil {
			return nil, cp, err
		}
	}
}

// extend verifies that cp is the verified head, grown, and takes it over with its leaves.
func (f *Follower) extend(ctx context.Context, note []byte, cp tlog.Checkpoint) error {
	s := f.State
	if cp.Size == s.cp.Size {
		if cp.Root != s.cp.Root {
			return f.alarm(TwoRoots, note, -1, nil)
		}
		return nil
	}
	if s.cp.Size > 0 {
		proof, err := f.Vault.Consistency(ctx, s.cp.Size, cp.Size)
		if err != nil {
			return err
		}
		if err := tlog.VerifyConsistency(s.cp, cp, proof); err != nil {
			a := f.alarm(Forked, note, -1, err)
			a.Proof, a.Split = proof, f.split(ctx, cp)
			if r, err := Compare(s.cp, cp, a.Split, proof, nil); err == nil && r == Extends {
				a.Reason = FalseProof
			}
			return a
		}
	}
	left := s.leaves.len > s.cp.Size // read before, by a step that did not end
	err := f.grow(ctx, note, cp)
	if left && ReasonOf(err) == FalseLeaves {
		if err = s.leaves.cut(s.cp.Size); err == nil {
			err = f.grow(ctx, note, cp)
		}
	}
	return err
}

// grow reads the leaves up to cp, goes on from those that lie there already, and takes them over if they lead to cp's root.
func (f *Follower) grow(ctx context.Context, note []byte, cp tlog.Checkpoint) error {
	s := f.State
	tree, err := ranges.NewRange(0, uint64(s.cp.Size), slices.Clone(s.tree.Hashes())) //#nosec G115 -- not negative
	if err != nil {
		return err
	}
	have := min(s.leaves.len, cp.Size)
	if err := s.leaves.each(s.cp.Size, have, func(_ int64, leaf []byte) error { return tree.Append(slices.Clone(leaf), nil) }); err != nil {
		return err
	}
	f.advance(have - s.cp.Size)
	for have < cp.Size {
		count := min(page, cp.Size-have)
		list, err := f.Vault.Leaves(ctx, have, count)
		if err != nil {
			return err
		}
		if len(list) == 0 || int64(len(list)) > count {
			return f.alarm(FalsePage, note, have, nil)
		}
		bytes := make([]byte, 0, len(list)*hashSize)
		for _, leaf := range list {
			if err := tree.Append(leaf[:], nil); err != nil {
				return err
			}
			bytes = append(bytes, leaf[:]...)
		}
		if err := s.leaves.append(bytes); err != nil {
			return err
		}
		have += int64(len(list))
		f.advance(int64(len(list)))
	}
	if rootOf(tree) != cp.Root {
		return errors.Join(f.alarm(FalseLeaves, note, -1, nil), s.leaves.cut(s.cp.Size))
	}
	was := s.kept.Checkpoint
	s.kept.Checkpoint = note
	if err := s.commit(); err != nil {
		s.kept.Checkpoint = was
		return err
	}
	s.cp, s.tree = cp, tree
	return nil
}

// split reads the whole of the other tree, to show to others that it is another one. Where the vault does not give it there is none.
func (f *Follower) split(ctx context.Context, cp tlog.Checkpoint) *Split {
	size := f.State.cp.Size
	left, right := ranges.NewEmptyRange(0), ranges.NewEmptyRange(uint64(size)) //#nosec G115 -- not negative
	for have := int64(0); have < cp.Size; {
		list, err := f.Vault.Leaves(ctx, have, min(page, cp.Size-have))
		if err != nil || len(list) == 0 || int64(len(list)) > cp.Size-have {
			return nil
		}
		for _, leaf := range list {
			r := left
			if have >= size {
				r = right
			}
			if r.Append(leaf[:], nil) != nil {
				return nil
			}
			have++
		}
	}
	s := &Split{Larger: cp.Size, Left: hashes(left.Hashes()), Right: hashes(right.Hashes()), Size: size}
	if _, all, err := s.Roots(); err != nil || all != cp.Root {
		return nil
	}
	return s
}

// publications verifies each publication up to the verified head, or the next maxRecent of them.
func (f *Follower) publications(ctx context.Context) (more bool, err error) {
	s := f.State
	for last := s.kept.Heads.Next + maxRecent; ; {
		list, err := f.Vault.Publications(ctx, s.kept.Heads.Next)
		if err != nil || len(list) == 0 {
			return false, err
		}
		for _, receipt := range list {
			p, err := f.read(ctx, receipt)
			if err != nil {
				return false, err
			}
			if p.Entry >= s.cp.Size { // for the next step
				return false, s.commit()
			}
			if s.kept.Heads.Next == last {
				return true, s.commit()
			}
			if err := f.follows(p); err != nil {
				return false, err
			}
			if err := f.apply(ctx, p); err != nil {
				return false, err
			}
		}
		if err := s.commit(); err != nil {
			return false, err
		}
	}
}

// apply takes over a publication if the map that it covers has its root.
func (f *Follower) apply(ctx context.Context, p published) error {
	s := f.State
	left := s.places.len > s.kept.Heads.Covers // read before, by a step that did not end
	err := f.insert(ctx, p)
	if left && ReasonOf(err) != "" {
		if err = errors.Join(s.places.cut(s.kept.Heads.Covers), s.openHeads(ctx)); err == nil {
			err = f.insert(ctx, p)
		}
	}
	if err != nil {
		if ReasonOf(err) != "" {
			err = errors.Join(err, s.places.cut(s.kept.Heads.Covers))
		}
		return err
	}
	s.kept.Heads = p
	s.kept.Recent = append(s.kept.Recent, p.Entry)
	s.kept.Recent = slices.Clone(s.kept.Recent[max(0, len(s.kept.Recent)-maxRecent):])
	s.kept.Uncovered = append(s.kept.Uncovered, position{p.Entry, p.Next - 1})
	for len(s.kept.Uncovered) > 0 && s.kept.Uncovered[0].Entry < p.Covers {
		s.kept.Uncovered = s.kept.Uncovered[1:]
	}
	return nil
}

// insert reads the keys that p covers beyond the publication before it, goes on from those that lie there already, and adds them to the map.
func (f *Follower) insert(ctx context.Context, p published) error {
	s := f.State
	for start := s.kept.Heads.Covers; start < p.Covers; {
		keys, err := f.keys(ctx, start, min(page, p.Covers-start))
		if err != nil {
			return err
		}
		n := int64(len(keys) / hashSize)
		leaves, err := s.leaves.read(start, n)
		if err != nil {
			return err
		}
		entries, at := make([]heads.Entry, 0, n), make([]int64, 0, n)
		for i := range n {
			e := heads.Entry{Key: [hashSize]byte(keys[i*hashSize:]), Value: [hashSize]byte(leaves[i*hashSize:])}
			if r := f.judge(p, start+i, e.Key); r != "" {
				return f.contradiction(r, p, start+i, nil)
			}
			if e.Key != ([hashSize]byte{}) {
				entries, at = append(entries, e), append(at, start+i)
			}
		}
		update, err := s.heads.Insert(ctx, entries)
		if err != nil {
			return fmt.Errorf("audit: heads: %w", err)
		}
		if len(update.Void) > 0 {
			return f.contradiction(RepeatedInsert, p, at[update.Void[0]], nil)
		}
		if err := s.index.add(update.Inserted, start+n); err != nil {
			return err
		}
		if err := s.heads.Commit(update); err != nil {
			return fmt.Errorf("audit: heads: %w", err)
		}
		start += n
		f.advance(n)
	}
	if s.heads.Root() != p.Root {
		return f.contradiction(OtherMap, p, p.Entry, nil)
	}
	return nil
}

// keys returns keys of entries from start on: those that lie there, or else from the vault.
func (f *Follower) keys(ctx context.Context, start, count int64) ([]byte, error) {
	s := f.State
	if s.places.len > start {
		return s.places.read(start, min(count, s.places.len-start))
	}
	list, err := f.Vault.Keys(ctx, start, count)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 || int64(len(list)) > count {
		return nil, f.alarm(FalsePage, s.kept.Checkpoint, start, nil)
	}
	bytes := make([]byte, 0, len(list)*hashSize)
	for _, key := range list {
		bytes = append(bytes, key[:]...)
	}
	return bytes, s.places.append(bytes)
}

// judge says what is wrong with the key of an entry, as far as that can be told without its statement.
func (f *Follower) judge(p published, i int64, key [32]byte) Reason {
	_, void := slices.BinarySearch(p.Void, i)
	switch none := key == [hashSize]byte{}; {
	case void && !none:
		return VoidInsert
	case none && !void:
		return OmittedInsert
	case void:
		return ""
	}
	at, own := slices.BinarySearchFunc(f.State.kept.Uncovered, i, func(q position, i int64) int { return int(q.Entry - i) })
	if own && key != heads.Key(f.tag(), uint64(f.State.kept.Uncovered[at].Seq)) { //#nosec G115 -- not negative
		return FalseKey
	}
	return ""
}
