package s3

import (
	"context"
	"encoding/json"
	"time"
)

// Hasten makes a writer that does not answer be taken for dead sooner.
func (s *Store) Hasten(d time.Duration) { s.takeover = d }

// Confine leaves so many bytes for parts, and so much patience to who waits for room.
func (s *Store) Confine(bytes int64, patience time.Duration) {
	s.room = newRoom(bytes)
	s.room.patience = patience
}

// Shorten makes a sheet of so many pages.
func (s *Store) Shorten(pages int64) { s.tail = pages }

// State is what an upload's record says of the hashes.
func (s *Store) State(ctx context.Context, id string) (json.RawMessage, error) {
	r, _, err := s.readRecord(ctx, id)
	return r.State, err
}

// SetState changes it behind everybody's back.
func (s *Store) SetState(ctx context.Context, id string, state json.RawMessage) error {
	r, etag, err := s.readRecord(ctx, id)
	if err != nil {
		return err
	}
	r.State = state
	_, err = s.write(ctx, id, r, etag)
	return err
}

// WithParts is a state that says it is of the parts of another one.
func WithParts(state, parts json.RawMessage) (json.RawMessage, error) {
	a, err := parse[hashes](state)
	if err != nil {
		return nil, err
	}
	b, err := parse[hashes](parts)
	a.Parts = b.Parts
	return marshal(a), err
}

// Sheets are the versions of sheets that there are, by key.
func (s *Store) Sheets(ctx context.Context) (keys []string, err error) {
	for info, err := range s.bucket.keys(ctx, sheetPrefix, "") {
		if err != nil {
			return nil, err
		}
		keys = append(keys, info.Key)
	}
	return keys, nil
}

// RemoveSheets removes them.
func (s *Store) RemoveSheets(ctx context.Context) error {
	keys, err := s.Sheets(ctx)
	for _, key := range keys {
		if err == nil {
			err = s.bucket.remove(ctx, key)
		}
	}
	return err
}
