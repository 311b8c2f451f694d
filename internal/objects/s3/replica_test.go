package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/objects/s3"
	"strongroom.example/strongroom/internal/objects/versitygw"
)

// bodies counts what lies in a store's bucket as bytes of objects or uploads.
func bodies(t *testing.T, s *versitygw.Server, c s3.Config) int {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(s.Data, bucket, c.Prefix, "body"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(list)
}

// TestReplicas: an upload begun on one replica goes on at another and back, block by block. What each remembers of it never passes for
// what is there.
func TestReplicas(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	replicas := []*s3.Store{create(t, c), openConfig(t, c), openConfig(t, c)}
	all := content(5*block + 77)
	must(t, replicas[0].StageCreate(t.Context(), "upl-a", int64(len(all))))
	for at, n := 0, 0; at < len(all); n++ {
		got, err := replicas[n%2].StageAppend(t.Context(), "upl-a", int64(at), bytes.NewReader(all[at:min(at+block, len(all))]))
		must(t, err)
		if got == 0 {
			t.Fatal("append makes no progress")
		}
		at += int(got)
	}
	for _, s := range replicas {
		sums, err := s.StageSums(t.Context(), "upl-a")
		must(t, err)
		if sums.Digest != digest(all) || sums.Size != int64(len(all)) {
			t.Errorf("StageSums = %v", sums)
		}
	}
	_, err := replicas[2].StageCommit(t.Context(), "upl-a", digest(all))
	must(t, err)
	_, err = replicas[0].StageCommit(t.Context(), "upl-a", digest(all))
	must(t, err)
	_, err = replicas[1].Verify(t.Context(), digest(all))
	must(t, err)
}

// TestSentTwice: two replicas take the same parts at once, of different bytes. Whichever stay, none pass for the others.
func TestSentTwice(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	replicas := []*s3.Store{create(t, c), openConfig(t, c)}
	twice := 0
	for i := range 12 {
		id := fmt.Sprint("upl-", i)
		all := [2][]byte{content(block + 10), content(block + 10)}
		all[1][5] ^= byte(1 + i)
		must(t, replicas[0].StageCreate(t.Context(), id, block+10))
		var errs [2]error
		var both sync.WaitGroup
		for n, s := range replicas {
			both.Go(func() {
				time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
				_, errs[n] = s.StageAppend(t.Context(), id, 0, bytes.NewReader(all[n])) // either may find the other was first
			})
		}
		both.Wait()
		if errors.Join(errs[0], errs[1]) == nil {
			twice++
		}
		info, err := replicas[0].StageInfo(t.Context(), id)
		must(t, err)
		if info.Offset != info.Size {
			t.Fatalf("of %d bytes %d came", info.Size, info.Offset)
		}
		for n := range all {
			want := digest(all[(n+i)%2])
			for k := range replicas {
				s := replicas[(k+i/2)%2]
				if _, err := s.StageCommit(t.Context(), id, want); err == nil {
					_, err = s.Verify(t.Context(), want)
					must(t, err)
				}
			}
		}
	}
	t.Logf("%d of 12 were sent twice", twice)
}

// TestCreateOnly: of many uploads with the same bytes, committed at once on two replicas, one becomes the object and no other is left.
func TestCreateOnly(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	a, b := create(t, c), openConfig(t, c)
	for round := range 8 {
		all := []byte(fmt.Sprint("content ", round))
		var commits sync.WaitGroup
		for i := range 8 {
			id := fmt.Sprintf("upl-%d-%d", round, i)
			must(t, a.StageCreate(t.Context(), id, int64(len(all))))
			must(t, upload(t.Context(), a, id, all))
			commits.Go(func() {
				if _, err := []*s3.Store{a, b}[i%2].StageCommit(t.Context(), id, digest(all)); err != nil {
					t.Error(err)
				}
			})
		}
		commits.Wait()
		if n := bodies(t, &shared, c); n != round+1 {
			t.Fatalf("%d bodies of %d objects", n, round+1)
		}
		_, err := b.Verify(t.Context(), digest(all))
		must(t, err)
	}
}

// TestCommitOrRemove: of two processes one makes an upload an object and the other removes it. What was committed stays.
func TestCommitOrRemove(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	a, b := create(t, c), openConfig(t, c)
	committed := 0
	for i := range 30 {
		id, all := fmt.Sprint("upl-", i), []byte(fmt.Sprint("content ", i))
		must(t, a.StageCreate(t.Context(), id, int64(len(all))))
		must(t, upload(t.Context(), a, id, all))
		_, err := a.StageSums(t.Context(), id)
		must(t, err)
		var both sync.WaitGroup
		var commit, remove error
		both.Go(func() { _, commit = a.StageCommit(t.Context(), id, digest(all)) })
		both.Go(func() {
			time.Sleep(time.Duration(rand.IntN(15)) * time.Millisecond)
			remove = b.StageRemove(t.Context(), id)
		})
		both.Wait()
		if remove != nil {
			is(t, remove, objects.ErrNotFound)
		}
		if commit != nil {
			is(t, commit, objects.ErrNotFound)
			_, err = a.Open(t.Context(), digest(all))
			is(t, err, objects.ErrNotFound)
			continue
		}
		committed++
		_, err = a.Verify(t.Context(), digest(all))
		must(t, err)
	}
	must(t, a.StageList(t.Context(), func(string, time.Time) error { return errors.New("an upload is left") }))
	if n := bodies(t, &shared, c); n != committed {
		t.Errorf("%d bodies of %d objects", n, committed)
	}
	t.Logf("%d of 30 were committed", committed)
}
