package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

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

// TestDeadWriter: a writer that does not answer any more loses its upload to who waits long enough. When it comes back, nothing of what it
// sends counts, and it is told so.
func TestDeadWriter(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	dead, next := create(t, c), openConfig(t, c)
	for _, s := range []*s3.Store{dead, next} {
		s.Hasten(2 * time.Second)
	}
	all, others := content(2*block+10), make([]byte, 2*block)
	must(t, dead.StageCreate(t.Context(), "upl-a", int64(len(all))))
	r, w := io.Pipe()
	type kept struct {
		n   int64
		err error
	}
	done := make(chan kept, 1)
	go func() {
		n, err := dead.StageAppend(t.Context(), "upl-a", 0, r)
		done <- kept{n, err}
	}()
	must1(w.Write(all[:block]))
	var n int64
	for info := (objects.StageInfo{}); info.Offset < block; info = must1(next.StageInfo(t.Context(), "upl-a")) {
		time.Sleep(10 * time.Millisecond)
	}
	var err error
	for err = objects.ErrOffset; errors.Is(err, objects.ErrOffset); { // it waits, for the connection of the other one stands still
		n, err = next.StageAppend(t.Context(), "upl-a", block, bytes.NewReader(all[block:2*block]))
	}
	must(t, err)
	go func() { w.Write(others); w.Close() }()
	last := <-done
	r.Close()
	is(t, last.err, objects.ErrOffset)
	if last.n != 0 || n != block {
		t.Errorf("the dead writer acknowledged %d bytes, the next one %d", last.n, n)
	}
	must(t, upload(t.Context(), dead, "upl-a", all))
	_, err = next.StageCommit(t.Context(), "upl-a", digest(all))
	must(t, err)
}

// TestBegun: what a process had begun when it died, before any record named it, is listed and removed; nothing else is.
func TestBegun(t *testing.T) {
	need(t)
	c := config(&shared, t.TempDir())
	s := create(t, c)
	d := put(t, s, "upl-a", content(100))
	must(t, s.StageCreate(t.Context(), "upl-b", 100))
	api := minio.Core{Client: administrator(t, c)}
	key := c.Prefix + "body/00112233445566778899aabbccddeeff"
	for range 2 {
		must1(api.NewMultipartUpload(t.Context(), c.Bucket, key, minio.PutObjectOptions{}))
	}
	list := func() (ids []string) {
		must(t, s.StageList(t.Context(), func(id string, modified time.Time) error {
			if time.Since(modified).Abs() > time.Hour {
				t.Errorf("%s was begun at %v", id, modified)
			}
			ids = append(ids, id)
			return nil
		}))
		slices.Sort(ids)
		return slices.Compact(ids)
	}
	begun := path.Base(key)
	if got := list(); !slices.Equal(got, []string{begun, "upl-b"}) {
		t.Fatalf("listed %v", got)
	}
	must(t, s.StageRemove(t.Context(), begun))
	is(t, s.StageRemove(t.Context(), begun), objects.ErrNotFound)
	if got := list(); !slices.Equal(got, []string{"upl-b"}) {
		t.Errorf("after the removal %v are listed", got)
	}
	name, err := bodyFile(&shared, c, d)
	must(t, err)
	is(t, s.StageRemove(t.Context(), filepath.Base(name)), objects.ErrNotFound) // that is an object's
	must1(s.Verify(t.Context(), d))
	must(t, upload(t.Context(), s, "upl-b", content(100)))
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
