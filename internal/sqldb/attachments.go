package sqldb

import (
	"context"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/vault"
)

func (t *tx) insertAttachment(ctx context.Context, order int64, a ledger.Attachment) error {
	body := a.Body
	if body == nil {
		body = []byte{} // null says destroyed
	}
	_, err := t.exec(ctx, `
		insert into attachments (id, ord, kind, name, audience, recipient, sha256, body)
		values ((select coalesce(max(id), 0) + 1 from attachments), $1, $2, $3, $4, $5, $6, $7)`,
		order, a.Kind, a.Name, a.Audience, recipientValue(a.Recipient), a.SHA256[:], body)
	return err
}

// recipientValue is how a fingerprint, or none, is stored.
func recipientValue(h evidence.Hash) []byte {
	if h.IsZero() {
		return []byte{}
	}
	return h[:]
}

// StoredAttachment is an attachment with its place in the records.
type StoredAttachment struct {
	Number    int64 // in order of commit, from 1
	Event     evidence.Hash
	Stream    evidence.Stream
	Destroyed bool // the Body is gone for good
	ledger.Attachment
}

const selectAttachment = `
	select a.id, e.leaf_hash, e.stream_type, e.stream_id, a.kind, a.name, a.audience, a.recipient, a.sha256, a.body, a.body is null
	from attachments a join events e on e.ord = a.ord`

func scanAttachment(row scanner) (StoredAttachment, error) {
	var a StoredAttachment
	var event, recipient, digest []byte
	err := row.Scan(&a.Number, &event, &a.Stream.Type, &a.Stream.ID, &a.Kind, &a.Name, &a.Audience, &recipient, &digest, &a.Body, &a.Destroyed)
	if err != nil {
		return a, err
	}
	if a.Event, err = hash(event); err != nil {
		return a, err
	}
	if a.SHA256, err = hash(digest); err != nil {
		return a, err
	}
	if len(recipient) > 0 {
		a.Recipient, err = hash(recipient)
	}
	return a, err
}

// Attachment implements vault.Records.
func (d *DB) Attachment(ctx context.Context, event evidence.Hash, digest evidence.Hash) (ledger.Attachment, error) {
	return d.attachment(ctx, `where e.leaf_hash = $1 and a.sha256 = $2`, event[:], digest[:])
}

// StreamAttachment implements vault.Records.
func (d *DB) StreamAttachment(ctx context.Context, s evidence.Stream, digest evidence.Hash) (ledger.Attachment, error) {
	return d.attachment(ctx, `where e.stream_type = $1 and e.stream_id = $2 and a.sha256 = $3`, s.Type, s.ID, digest[:])
}

// attachment returns the first that still exists of those that match: two may have the same bytes.
func (d *DB) attachment(ctx context.Context, where string, args ...any) (ledger.Attachment, error) {
	a, err := one(ctx, d.read, "attachment", scanAttachment, selectAttachment+" "+where+` order by a.body is null, a.id limit 1`, args...)
	if err == nil && a.Destroyed {
		err = evidence.Refuse(evidence.Gone, "attachment")
	}
	if err != nil {
		return ledger.Attachment{}, err
	}
	return a.Attachment, nil
}

// Envelope implements vault.Records.
func (d *DB) Envelope(ctx context.Context, s evidence.Stream, recipient evidence.Hash) (ledger.Attachment, error) {
	a, err := one(ctx, d.read, "envelope", scanAttachment, selectAttachment+`
		where e.stream_type = $1 and e.stream_id = $2 and a.kind in ('envelope', 'label_envelope') and a.recipient = $3
		and a.body is not null order by a.id desc limit 1`, s.Type, s.ID, recipientValue(recipient))
	return a.Attachment, err
}

// Destroy implements vault.Records. When it returns nil the bytes are in none of the database's files any more; Internal
// "erase_incomplete" if a reader of the state before was in the way, to be repeated.
func (d *DB) Destroy(ctx context.Context, s evidence.Stream) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		t.erased = true
		states, err := t.statesOf(ctx, []evidence.Stream{s})
		if err != nil {
			return err
		}
		return t.destroyUnnamed(ctx, s, states[s])
	})
}

// destroyUnnamed takes away the bytes of what the stream's state does not name any more.
func (t *tx) destroyUnnamed(ctx context.Context, s evidence.Stream, state evidence.State) error {
	type placed struct {
		id, seq int64
		ledger.Attachment
	}
	there, err := list(ctx, t, func(row scanner) (p placed, err error) {
		var recipient, digest []byte
		if err := row.Scan(&p.id, &p.seq, &p.Kind, &recipient, &digest); err != nil {
			return p, err
		}
		if len(recipient) > 0 {
			if p.Recipient, err = hash(recipient); err != nil {
				return p, err
			}
		}
		p.SHA256, err = hash(digest)
		return p, err
	}, `
		select a.id, e.seq, a.kind, a.recipient, a.sha256 from events e join attachments a on a.ord = e.ord
		where e.stream_type = $1 and e.stream_id = $2 and a.body is not null`, s.Type, s.ID)
	for _, p := range there {
		if err == nil && !vault.Names(state, p.seq, p.Attachment) {
			_, err = t.exec(ctx, `update attachments set body = null where id = $1`, p.id)
		}
	}
	return err
}

// Attachments returns every attachment in order of commit, from the one after the number given, with the bytes that still exist.
func (d *DB) Attachments(ctx context.Context, after int64, limit int) ([]StoredAttachment, error) {
	return list(ctx, d.read, scanAttachment, selectAttachment+` where a.id > $1 order by a.id limit $2 + 0`, after, max(limit, 0))
}
