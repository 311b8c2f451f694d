package s3

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"strongroom.example/strongroom/internal/objects"
)

// upload is one on which a call works, or waits to.
type upload struct {
	turn chan struct{} // holds one token while a call works on the upload
	refs int           // guarded by Store.mu
}

// take waits for the upload's turn. The caller gives it back.
func (s *Store) take(ctx context.Context, id string) (*upload, error) {
	s.mu.Lock()
	u := s.uploads[id]
	if u == nil {
		u = &upload{turn: make(chan struct{}, 1)}
		s.uploads[id] = u
	}
	u.refs++
	s.mu.Unlock()
	select {
	case u.turn <- struct{}{}:
		return u, nil
	case <-ctx.Done():
		s.release(id, u)
		return nil, ctx.Err()
	}
}

func (s *Store) give(id string, u *upload) {
	<-u.turn
	s.release(id, u)
}

func (s *Store) release(id string, u *upload) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.refs--; u.refs == 0 {
		delete(s.uploads, id)
	}
}

// staged is an upload as the bucket has it.
type staged struct {
	record
	etag   string             // of the record
	parts  []minio.ObjectPart // while there is no body
	body   *minio.ObjectInfo  // once the parts are one
	offset int64              // durable bytes
	sums   *sums              // of them, as the record has it, or of the beginning of a body; nil is unknown
}

// load asks the bucket for all it knows of an upload. ErrNotFound if it is not, or was removed.
func (s *Store) load(ctx context.Context, id string) (st staged, err error) {
	if !objects.ValidID(id) {
		return st, objects.ErrNotFound
	}
	if st.record, st.etag, err = s.readRecord(ctx, id); err != nil {
		return st, err
	}
	if st.End == removed {
		return st, objects.ErrNotFound
	}
	err = s.loadParts(ctx, &st)
	if err == nil {
		st.restore()
	}
	if !errors.Is(err, errNoUpload) {
		return st, err
	}
	st.parts = nil
	body, err := s.bucket.made(ctx, bodyPrefix+st.Body, func() error {
		r, _, err := s.readRecord(ctx, id)
		if err == nil && r.End == removed {
			err = objects.ErrNotFound
		}
		return err
	})
	switch {
	case errors.Is(err, errNoUpload):
		return st, objects.ErrDamaged // neither parts nor body: somebody else ended it
	case err != nil:
		return st, err
	case body.Size != st.Size:
		return st, objects.ErrDamaged
	}
	st.body, st.offset = &body, st.Size
	st.restore()
	return st, nil
}

// settled is load, but it looks again until what is there stays: some servers list fewer and fewer parts while another process is just making
// them one.
func (s *Store) settled(ctx context.Context, id string) (staged, error) {
	st, err := s.load(ctx, id)
	for n := 0; n < tries && err == nil && st.offset < st.Size; n++ {
		before := st.offset
		if st, err = s.load(ctx, id); st.offset == before {
			break
		}
	}
	return st, err
}

// loadParts lists the parts that came. Those after a gap do not count: they are sent again.
func (s *Store) loadParts(ctx context.Context, st *staged) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for after := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		list, err := s.bucket.api.ListObjectParts(ctx, s.bucket.name, s.bucket.prefix+bodyPrefix+st.Body, st.Multipart, after, 1000)
		if err != nil {
			return translate(err)
		}
		for _, p := range list.ObjectParts {
			if p.PartNumber != len(st.parts)+1 || p.Size != min(st.Part, st.Size-st.offset) {
				return nil
			}
			p.ETag = strings.Trim(p.ETag, `"`) // as the answer to the part that was sent has it
			st.parts = append(st.parts, p)
			st.offset += p.Size
		}
		if after = list.NextPartNumberMarker; !list.IsTruncated {
			return nil
		}
	}
}

// StageCreate implements [objects.Store]. ErrFull for more than S3 takes as one object.
func (s *Store) StageCreate(ctx context.Context, id string, size int64) error {
	if !objects.ValidID(id) || size < 0 {
		return fail("create upload", objects.ErrInvalid)
	}
	if size > maxSize {
		return fail("create upload", objects.ErrFull)
	}
	u, err := s.take(ctx, id)
	if err != nil {
		return fail("create upload", err)
	}
	defer s.give(id, u)
	return fail("create upload", s.begin(ctx, id, size))
}

func (s *Store) begin(ctx context.Context, id string, size int64) error {
	r := record{Size: size, Part: partSize(size), Body: newBody()}
	var err error
	if r.State, err = newSums().state(); err != nil {
		return err
	}
	if r.Multipart, err = s.bucket.begin(ctx, bodyPrefix+r.Body); err != nil {
		return err
	}
	_, err = s.bucket.put(ctx, uploadPrefix+id, marshal(r), absent)
	if !errors.Is(err, errCondition) {
		return err
	}
	there, _, err := s.readRecord(ctx, id)
	if err == nil && there.Body == r.Body {
		return nil // an earlier try of the put was heard
	}
	// Nothing was sent to it: what is left if this fails weighs nothing.
	_ = s.bucket.abort(ctx, bodyPrefix+r.Body, r.Multipart)
	return objects.ErrExists
}

// StageInfo implements [objects.Store].
func (s *Store) StageInfo(ctx context.Context, id string) (objects.StageInfo, error) {
	st, err := s.settled(ctx, id)
	if err != nil {
		return objects.StageInfo{}, fail("upload", err)
	}
	return objects.StageInfo{Size: st.Size, Offset: st.offset}, nil
}

// decide ends an upload, if nobody did meanwhile: then it is errCondition, and the record tells.
func (s *Store) decide(ctx context.Context, id string, r record, etag, end string) error {
	r.End = end
	_, err := s.write(ctx, id, r, etag)
	return err
}

// tries is how often a call looks again when another process was first.
const tries = 5

// StageRemove implements [objects.Store]. An upload that is just being made an object becomes one.
func (s *Store) StageRemove(ctx context.Context, id string) error {
	if !objects.ValidID(id) {
		return fail("remove upload", objects.ErrNotFound)
	}
	u, err := s.take(ctx, id)
	if err != nil {
		return fail("remove upload", err)
	}
	defer s.give(id, u)
	err = errCondition
	for n := 0; n < tries && errors.Is(err, errCondition); n++ {
		err = s.stageRemove(ctx, id)
	}
	return fail("remove upload", err)
}

func (s *Store) stageRemove(ctx context.Context, id string) error {
	r, etag, err := s.readRecord(ctx, id)
	if errors.Is(err, objects.ErrDamaged) {
		return s.bucket.remove(ctx, uploadPrefix+id)
	}
	if errors.Is(err, objects.ErrNotFound) && validBody(id) {
		return s.removeBegun(ctx, id)
	}
	if err != nil {
		return err
	}
	if want, err := objects.ParseDigest(r.End); err == nil {
		_, err := s.commit(ctx, id, want)
		return err
	}
	if r.End == "" {
		if err := s.decide(ctx, id, r, etag, removed); err != nil {
			return err
		}
	}
	return s.drop(ctx, id, r)
}

// drop removes what is left of an upload that ended as removed. A call cut short can be repeated: the record goes last.
func (s *Store) drop(ctx context.Context, id string, r record) error {
	if err := s.bucket.abort(ctx, bodyPrefix+r.Body, r.Multipart); err != nil && !errors.Is(err, errNoUpload) {
		return err
	}
	if err := s.bucket.remove(ctx, bodyPrefix+r.Body); err != nil {
		return err
	}
	return s.dropRecord(ctx, id, r)
}

// dropRecord removes the record of an upload that ended, and before it the sheet, which nobody would find without it.
func (s *Store) dropRecord(ctx context.Context, id string, r record) error {
	if r.Size >= s.tail*page {
		if err := s.bucket.remove(ctx, sheetPrefix+r.Body); err != nil {
			return err
		}
	}
	return s.bucket.remove(ctx, uploadPrefix+id)
}

// StageList implements [objects.Store]. It also lists what was not removed to its end, so that it can be; and, by the name of its body, what
// a process that died before it wrote a record had begun.
func (s *Store) StageList(ctx context.Context, f func(id string, modified time.Time) error) error {
	bodies := make(map[string]bool) // that records name
	for info, err := range s.bucket.keys(ctx, uploadPrefix, "") {
		if err != nil {
			return fail("list uploads", err)
		}
		id := info.Key[len(uploadPrefix):]
		if !objects.ValidID(id) {
			continue
		}
		modified := info.LastModified
		st, err := s.load(ctx, id)
		bodies[st.Body] = true
		switch {
		case errors.Is(err, objects.ErrNotFound), errors.Is(err, objects.ErrDamaged):
		case err != nil:
			return fail("list uploads", err)
		case st.body != nil:
			modified = st.body.LastModified
		case len(st.parts) > 0:
			modified = st.parts[len(st.parts)-1].LastModified
		}
		if err := f(id, modified); err != nil {
			return err
		}
	}
	begun, err := s.bucket.multiparts(ctx, bodyPrefix)
	if err != nil {
		return fail("list uploads", err)
	}
	for _, m := range begun {
		if body := m.Key[len(bodyPrefix):]; validBody(body) && !bodies[body] {
			if err := f(body, m.Initiated); err != nil {
				return err
			}
		}
	}
	return nil
}

// removeBegun ends the multipart uploads to a body that no record names. It never touches a body.
func (s *Store) removeBegun(ctx context.Context, body string) error {
	begun, err := s.bucket.multiparts(ctx, bodyPrefix+body)
	if err == nil && len(begun) == 0 {
		err = objects.ErrNotFound
	}
	for _, m := range begun {
		if m.Key != bodyPrefix+body {
			continue
		}
		if ended := s.bucket.abort(ctx, m.Key, m.UploadID); !errors.Is(ended, errNoUpload) {
			err = errors.Join(err, ended)
		}
	}
	return err
}

// multiparts lists the multipart uploads to keys with a prefix, without the prefix of the bucket.
func (b bucket) multiparts(ctx context.Context, prefix string) (list []minio.ObjectMultipartInfo, err error) {
	for key, id := "", ""; ; {
		page, err := b.page(ctx, prefix, key, id)
		if err != nil {
			return nil, translate(err)
		}
		for _, m := range page.Uploads {
			if m.Key = strings.TrimPrefix(m.Key, b.prefix); strings.HasPrefix(m.Key, prefix) {
				list = append(list, m)
			}
		}
		if !page.IsTruncated {
			return list, nil
		}
		if key == page.NextKeyMarker && id == page.NextUploadIDMarker {
			return nil, fmt.Errorf("%w: a list without an end", objects.ErrUnreachable)
		}
		key, id = page.NextKeyMarker, page.NextUploadIDMarker
	}
}

func (b bucket) page(ctx context.Context, prefix, key, id string) (minio.ListMultipartUploadsResult, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return b.api.ListMultipartUploads(ctx, b.name, b.prefix+prefix, key, id, "", 1000)
}
