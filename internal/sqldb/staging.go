package sqldb

import (
	"context"
	"encoding/json"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// micros is how a time is stored: microseconds since 1970, UTC.
func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

// PutUpload implements vault.Records: Conflict "upload_exists" if the id is taken.
func (d *DB) PutUpload(ctx context.Context, u vault.Upload) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		return t.must(ctx, evidence.Refuse(evidence.Conflict, "upload_exists"),
			`insert into uploads (id, owner, size, expires) values ($1, $2, $3, $4) on conflict do nothing`, u.ID, u.Owner, u.Size, micros(u.Expires))
	})
}

func scanUpload(row scanner) (u vault.Upload, err error) {
	var expires int64
	err = row.Scan(&u.ID, &u.Owner, &u.Size, &expires)
	u.Expires = fromMicros(expires)
	return u, err
}

// Upload implements vault.Records.
func (d *DB) Upload(ctx context.Context, id evidence.UploadID) (vault.Upload, error) {
	return one(ctx, d.read, "upload", scanUpload, `select id, owner, size, expires from uploads where id = $1`, id)
}

// DropUpload implements vault.Records. Dropping what is not there is no error.
func (d *DB) DropUpload(ctx context.Context, id evidence.UploadID) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `delete from uploads where id = $1`, id)
		return err
	})
}

// Uploads implements vault.Records.
func (d *DB) Uploads(ctx context.Context, owner evidence.ActorID, now time.Time) (count int, bytes int64, err error) {
	err = d.read.each(ctx, func(row scanner) error { return row.Scan(&count, &bytes) }, `
		select count(*), cast(coalesce(sum(size), 0) as bigint) from uploads where owner = $1 and expires > $2`, owner, micros(now))
	return count, bytes, err
}

// ExpiredUploads implements vault.Records: the longest expired first.
func (d *DB) ExpiredUploads(ctx context.Context, now time.Time, limit int) ([]vault.Upload, error) {
	return list(ctx, d.read, scanUpload, `
		select id, owner, size, expires from uploads where expires <= $1 order by expires, id limit $2 + 0`, micros(now), max(limit, 0))
}

// PutInvitation implements vault.Records: Conflict "invitation_exists" if the digest is taken.
func (d *DB) PutInvitation(ctx context.Context, i vault.Invitation) error {
	answer, err := encodeKeys(i.Keys)
	if err != nil {
		return err
	}
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		return t.must(ctx, evidence.Refuse(evidence.Conflict, "invitation_exists"), `
			insert into invitations (ord, digest, actor, role, organization, documents_only, made_by, rotation, expires, answer)
			values ((select coalesce(max(ord), 0) + 1 from invitations), $1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing`,
			i.Digest[:], i.Actor, i.Role, i.Organization, flag(i.DocumentsOnly), i.By, flag(i.Rotation), micros(i.Expires), answer)
	})
}

// encodeKeys returns the JSON of an answer, or nil.
func encodeKeys(keys *evidence.Keys) (any, error) {
	if keys == nil {
		return nil, nil
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return nil, internal("state_encoding", err)
	}
	return string(text), nil
}

const selectInvitation = `select digest, actor, role, organization, documents_only, made_by, rotation, expires, answer from invitations`

func scanInvitation(row scanner) (i vault.Invitation, err error) {
	var digest, answer []byte
	var expires int64
	err = row.Scan(&digest, &i.Actor, &i.Role, &i.Organization, &i.DocumentsOnly, &i.By, &i.Rotation, &expires, &answer)
	if err != nil {
		return i, err
	}
	i.Expires = fromMicros(expires)
	if answer != nil {
		i.Keys = &evidence.Keys{}
		if err := json.Unmarshal(answer, i.Keys); err != nil {
			return i, damage(err)
		}
	}
	i.Digest, err = hash(digest)
	return i, err
}

// Invitation implements vault.Records.
func (d *DB) Invitation(ctx context.Context, digest evidence.Hash) (vault.Invitation, error) {
	return one(ctx, d.read, "invitation", scanInvitation, selectInvitation+` where digest = $1`, digest[:])
}

// AnswerInvitation implements vault.Records: NotFound "invitation" if there is none.
func (d *DB) AnswerInvitation(ctx context.Context, digest evidence.Hash, keys evidence.Keys) error {
	answer, err := encodeKeys(&keys)
	if err != nil {
		return err
	}
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.exec(ctx, `update invitations set answer = $1 where digest = $2 and answer is null`, answer, digest[:])
		if err != nil || n == 1 {
			return err
		}
		i, err := one(ctx, t, "invitation", scanInvitation, selectInvitation+` where digest = $1`, digest[:])
		if err == nil && *i.Keys != keys {
			err = evidence.Refuse(evidence.Conflict, "invitation_answered")
		}
		return err
	})
}

// Invitations implements vault.Records.
func (d *DB) Invitations(ctx context.Context, by evidence.ActorID, now time.Time, limit int) ([]vault.Invitation, error) {
	return list(ctx, d.read, scanInvitation, selectInvitation+`
		where made_by = $1 and expires > $2 order by ord desc limit $3 + 0`, by, micros(now), max(limit, 0))
}

// PutRelease implements vault.Records. Repeating changes nothing but Expires.
func (d *DB) PutRelease(ctx context.Context, r vault.Release) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `
			insert into releases (event, item, actor, begun, expires) values ($1, $2, $3, $4, $5)
			on conflict (event) do update set expires = excluded.expires`,
			r.Event[:], r.Item, r.Actor, micros(r.Begun), micros(r.Expires))
		return err
	})
}

// Release implements vault.Records.
func (d *DB) Release(ctx context.Context, event evidence.Hash) (vault.Release, error) {
	return one(ctx, d.read, "release", func(row scanner) (vault.Release, error) {
		r := vault.Release{Event: event}
		var begun, expires int64
		err := row.Scan(&r.Item, &r.Actor, &begun, &expires)
		r.Begun, r.Expires = fromMicros(begun), fromMicros(expires)
		return r, err
	}, `select item, actor, begun, expires from releases where event = $1`, event[:])
}
