package audit

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"runtime"
	"slices"
	"sync"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

const (
	// statementsPage is how many statements are asked for at once.
	statementsPage = 1000
	// statementsKept is after how many of them it is made durable how far they were read.
	statementsKept = 1 << 16
)

// statements reads the statement of every entry that the last verified publication covers and that was not read yet. The keys were verified
// to be those of the published map, so whoever put one there under another name than its own is found here.
func (f *Follower) statements(ctx context.Context) error {
	s := f.State
	kept := s.kept.Read
	for s.kept.Read < s.kept.Heads.Covers {
		count := min(statementsPage, s.kept.Heads.Covers-s.kept.Read)
		list, err := f.Vault.Statements(ctx, s.kept.Read, count)
		if err != nil {
			return errors.Join(err, s.commit())
		}
		n := int64(len(list))
		if n == 0 || n > count {
			return f.misplaced(FalsePage, s.kept.Read, nil, nil)
		}
		keys, err := s.places.read(s.kept.Read, n)
		if err != nil {
			return err
		}
		leaves, err := s.leaves.read(s.kept.Read, n)
		if err != nil {
			return err
		}
		if i, r, err := f.places(list, leaves, keys); r != "" {
			return f.misplaced(r, s.kept.Read+int64(i), list[i].Extra, err)
		}
		s.kept.Read += n
		f.advance(n)
		if s.kept.Read-kept >= statementsKept {
			if err := s.commit(); err != nil {
				return err
			}
			kept = s.kept.Read
		}
	}
	if s.kept.Read == kept {
		return nil
	}
	return s.commit()
}

// Streams reads again what was signed at those entries of State.Read that are wanted, and tells of which stream each is. Void entries are of
// none.
func (f *Follower) Streams(ctx context.Context, wanted func(entry int64) bool, tell func(entry int64, s evidence.Stream) error) error {
	s := f.State
	for at := int64(0); at < s.kept.Read; {
		if !wanted(at) {
			at++
			continue
		}
		count := min(statementsPage, s.kept.Read-at)
		list, err := f.Vault.Statements(ctx, at, count)
		if err != nil {
			return err
		}
		if n := int64(len(list)); n == 0 || n > count {
			return f.misplaced(FalsePage, at, nil, nil)
		}
		for _, entry := range list {
			key, err := s.Key(at)
			if err != nil {
				return err
			}
			leaf, err := s.Leaf(at)
			if err != nil {
				return err
			}
			if key != ([hashSize]byte{}) && wanted(at) {
				if r, err := f.place(entry, leaf, key); r != "" {
					return f.misplaced(r, at, entry.Extra, err)
				}
				statement, err := custody.Open(entry.Extra)
				if statement == nil {
					return err // place has opened it
				}
				if err := tell(at, statement.Event().Stream.Stream()); err != nil {
					return err
				}
			}
			at++
		}
	}
	return nil
}

// places says what is wrong with the first of these entries that is wrong. To verify signatures is most of the work, so all cores do it.
func (f *Follower) places(list []tlog.TreeLeaf, leaves, keys []byte) (at int, r Reason, err error) {
	type found struct {
		reason Reason
		err    error
	}
	wrong := make([]found, len(list))
	var workers sync.WaitGroup
	for w, n := 0, runtime.GOMAXPROCS(0); w < n; w++ {
		workers.Go(func() {
			for i := w; i < len(list); i += n {
				leaf, key := [hashSize]byte(leaves[i*hashSize:]), [hashSize]byte(keys[i*hashSize:])
				if key != ([hashSize]byte{}) { // else it is void, as the publication says: nobody signs over that
					wrong[i].reason, wrong[i].err = f.place(list[i], leaf, key)
				}
			}
		})
	}
	workers.Wait()
	at = slices.IndexFunc(wrong, func(w found) bool { return w.reason != "" })
	if at < 0 {
		return 0, "", nil
	}
	return at, wrong[at].reason, wrong[at].err
}

// place says what is wrong with an entry that is in the log with that leaf hash and in the map under that key.
func (f *Follower) place(entry tlog.TreeLeaf, leaf, key [32]byte) (Reason, error) {
	if tlog.LeafHash(entry.Value) != leaf {
		return FalseStatement, errors.New("another leaf is in its place")
	}
	statement, err := custody.Open(entry.Extra)
	if statement == nil { // of a newer version it says all the same where it belongs
		return FalseStatement, err
	}
	signed, err := f.signers.Verify(statement, keyIn(entry.Value))
	if err != nil {
		return FalseStatement, err
	}
	if !bytes.Equal(signed.Leaf(), entry.Value) {
		return FalseStatement, errors.New("it is not the leaf's")
	}
	e, origin := statement.Event(), f.State.keys.Origin()
	if e.Vault != origin || e.Stream.Seq < 0 {
		return FalseStatement, errors.New("it is of no stream of this vault")
	}
	if key != heads.Key(e.Stream.Stream().Tag(origin), uint64(e.Stream.Seq)) { //#nosec G115 -- not negative
		return FalseKey, errors.New("its statement says another place")
	}
	return "", nil
}

// keyIn finds the signer's key in a leaf (FORMATS §4). What is no leaf has none that makes it again.
func keyIn(leaf []byte) []byte {
	_, after, _ := bytes.Cut(leaf, []byte(`"publicKey":{"rawBytes":"`))
	text, _, _ := bytes.Cut(after, []byte(`"`))
	spki, _ := base64.StdEncoding.DecodeString(string(text))
	return spki
}

// misplaced is an Alarm about an entry of the last verified publication.
func (f *Follower) misplaced(r Reason, entry int64, statement []byte, cause error) *Alarm {
	a := f.alarm(r, f.State.kept.Checkpoint, entry, cause)
	a.Receipts, a.Statement = [][]byte{f.State.kept.Heads.Receipt}, statement
	return a
}
