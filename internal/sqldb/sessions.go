package sqldb

import (
	"context"
	"time"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/evidence"
)

// PutChallenge implements auth.Records: Conflict "challenge_exists" if the nonce is there.
func (d *DB) PutChallenge(ctx context.Context, nonce evidence.Hash, expires time.Time) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		return t.must(ctx, evidence.Refuse(evidence.Conflict, "challenge_exists"),
			`insert into challenges (nonce, expires) values ($1, $2) on conflict do nothing`, nonce[:], micros(expires))
	})
}

// TakeChallenge implements auth.Records. Whether it finds the nonce or not, it removes every challenge and session that has expired: signing
// in is what makes them. That goes by the clock of the records, since a process whose own is ahead must not sign out everybody else's people.
func (d *DB) TakeChallenge(ctx context.Context, nonce evidence.Hash, now time.Time) error {
	var taken int64
	err := d.submit(ctx, func(ctx context.Context, t *tx) (err error) {
		if taken, err = t.exec(ctx, `delete from challenges where nonce = $1 and expires > $2`, nonce[:], micros(now)); err != nil {
			return err
		}
		at, err := d.dialect.now(ctx, t, now)
		if err != nil {
			return err
		}
		if _, err := t.exec(ctx, `delete from challenges where expires <= $1`, at); err != nil {
			return err
		}
		_, err = t.exec(ctx, `delete from sessions where expires <= $1`, at)
		return err
	})
	if err == nil && taken == 0 {
		err = evidence.Refuse(evidence.NotFound, "challenge")
	}
	return err
}

// PutSession implements auth.Records. A token put again takes the new session's values.
func (d *DB) PutSession(ctx context.Context, token evidence.Hash, s auth.Session) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `
			insert into sessions (token, actor, role, key_id, expires) values ($1, $2, $3, $4, $5)
			on conflict (token) do update
			set actor = excluded.actor, role = excluded.role, key_id = excluded.key_id, expires = excluded.expires`,
			token[:], s.Actor, s.Role, s.KeyID[:], micros(s.Expires))
		return err
	})
}

// Session implements auth.Records.
func (d *DB) Session(ctx context.Context, token evidence.Hash) (auth.Session, error) {
	return one(ctx, d.read, "session", func(row scanner) (s auth.Session, err error) {
		var keyID []byte
		var expires int64
		if err := row.Scan(&s.Actor, &s.Role, &keyID, &expires); err != nil {
			return s, err
		}
		s.Expires = fromMicros(expires)
		s.KeyID, err = hash(keyID)
		return s, err
	}, `select actor, role, key_id, expires from sessions where token = $1`, token[:])
}

// DropSession implements auth.Records.
func (d *DB) DropSession(ctx context.Context, token evidence.Hash) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `delete from sessions where token = $1`, token[:])
		return err
	})
}

// DropSessions implements auth.Records.
func (d *DB) DropSessions(ctx context.Context, actor evidence.ActorID) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `delete from sessions where actor = $1`, actor)
		return err
	})
}

// Meta returns what SetMeta stored under the key: NotFound "meta".
func (d *DB) Meta(ctx context.Context, key string) (string, error) {
	return one(ctx, d.read, "meta", scanTo[string], `select value from meta where key = $1`, key)
}

// SetMeta stores a fact about the vault itself, such as its origin, over what was there.
func (d *DB) SetMeta(ctx context.Context, key, value string) error {
	return d.submit(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.exec(ctx, `
			insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value`, key, value)
		return err
	})
}
