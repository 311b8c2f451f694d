package vault

import (
	"context"
	"errors"
	"io"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/objects"
)

// CreateUpload begins a resumable upload of exactly size bytes, bound to the caller.
func (v *Vault) CreateUpload(ctx context.Context, by Caller, size int64) (Upload, error) {
	if size <= 0 || size > evidence.MaxEvidence {
		return Upload{}, evidence.Refuse(evidence.TooLarge, "upload_size")
	}
	now := v.cfg.Now()
	count, sum, err := v.cfg.Records.Uploads(ctx, by.Actor, now)
	if err != nil {
		return Upload{}, err
	}
	if count >= v.cfg.Limits.Uploads || sum+size > v.cfg.Limits.UploadBytes {
		return Upload{}, evidence.Refuse(evidence.TooMany, "upload_quota")
	}
	u := Upload{ID: evidence.NewID[evidence.UploadID](), Owner: by.Actor, Size: size, Expires: now.Add(v.cfg.Limits.UploadLife)}
	// The record comes first: a crash in between leaves an upload that cannot be appended to and expires.
	if err := v.cfg.Records.PutUpload(ctx, u); err != nil {
		return Upload{}, err
	}
	if err := v.cfg.Objects.StageCreate(ctx, string(u.ID), size); err != nil {
		return Upload{}, storeError(err)
	}
	return u, nil
}

// Upload says how far an upload of the caller is. Another's, an unknown and an expired one are all errHidden.
func (v *Vault) Upload(ctx context.Context, by Caller, id evidence.UploadID) (Upload, objects.StageInfo, error) {
	u, err := v.cfg.Records.Upload(ctx, id)
	if evidence.KindOf(err) == evidence.NotFound || err == nil && (u.Owner != by.Actor || !v.cfg.Now().Before(u.Expires)) {
		return Upload{}, objects.StageInfo{}, errHidden
	}
	if err != nil {
		return Upload{}, objects.StageInfo{}, err
	}
	info, err := v.cfg.Objects.StageInfo(ctx, string(id))
	if errors.Is(err, objects.ErrNotFound) {
		// The bytes became an object before a crash; the upload is complete and its event can be submitted again.
		return u, objects.StageInfo{Size: u.Size, Offset: u.Size}, nil
	}
	if err != nil {
		return Upload{}, objects.StageInfo{}, storeError(err)
	}
	return u, info, nil
}

// AppendUpload appends what r gives at offset, which must be the durable length, and returns how many bytes became durable, also when
// the connection broke.
func (v *Vault) AppendUpload(ctx context.Context, by Caller, id evidence.UploadID, offset int64, r io.Reader) (int64, error) {
	if _, _, err := v.Upload(ctx, by, id); err != nil {
		return 0, err
	}
	n, err := v.cfg.Objects.StageAppend(ctx, string(id), offset, r)
	if err != nil {
		return n, storeError(err)
	}
	return n, nil
}

// DropUpload ends an upload of the caller.
func (v *Vault) DropUpload(ctx context.Context, by Caller, id evidence.UploadID) error {
	if _, _, err := v.Upload(ctx, by, id); err != nil {
		return err
	}
	return v.dropUpload(ctx, id)
}

func (v *Vault) dropUpload(ctx context.Context, id evidence.UploadID) error {
	if err := v.cfg.Objects.StageRemove(ctx, string(id)); err != nil && !errors.Is(err, objects.ErrNotFound) {
		return storeError(err)
	}
	return v.cfg.Records.DropUpload(ctx, id)
}
