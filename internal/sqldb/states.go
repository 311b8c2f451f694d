package sqldb

import (
	"context"
	"encoding/json"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// States implements ledger.Records. All states are of one moment.
func (d *DB) States(ctx context.Context, streams ...evidence.Stream) (states map[evidence.Stream]evidence.State, err error) {
	err = d.read.view(ctx, func(s snapshot) error {
		states, err = statesOf(ctx, s, streams)
		return err
	})
	return states, err
}

func statesOf(ctx context.Context, q querier, streams []evidence.Stream) (map[evidence.Stream]evidence.State, error) {
	states := make(map[evidence.Stream]evidence.State, len(streams))
	for _, s := range streams {
		found, err := list(ctx, q, scanState(s.Type), `select state from states where stream_type = $1 and stream_id = $2`, s.Type, s.ID)
		if err != nil {
			return nil, err
		}
		if len(found) == 1 {
			states[s] = found[0]
		}
	}
	return states, nil
}

func scanState(t evidence.StreamType) func(scanner) (evidence.State, error) {
	return func(row scanner) (evidence.State, error) {
		text, err := scanTo[[]byte](row)
		if err != nil {
			return nil, err
		}
		state, err := decodeState(t, text)
		if err != nil {
			return nil, damage(err)
		}
		return state, nil
	}
}

// scanJSON reads a value stored as JSON.
func scanJSON[T any](row scanner) (*T, error) {
	text, err := scanTo[[]byte](row)
	if err != nil {
		return nil, err
	}
	t := new(T)
	if err := json.Unmarshal(text, t); err != nil {
		return nil, damage(err)
	}
	return t, nil
}

// damage says that what was stored cannot be read.
func damage(cause error) error { return internal("records_damaged", cause) }

// internal hides the cause in an error of our own: a decoder's refusal would blame the caller.
func internal(reason string, cause error) error {
	return &evidence.Error{Kind: evidence.Internal, Reason: reason, Err: cause}
}

// Key implements vault.Records.
func (d *DB) Key(ctx context.Context, keyID evidence.Hash) (evidence.ActorID, []byte, error) {
	type key struct {
		actor evidence.ActorID
		spki  []byte
	}
	k, err := one(ctx, d.read, "key", func(row scanner) (k key, err error) {
		err = row.Scan(&k.actor, &k.spki)
		return k, err
	}, `select actor, spki from actor_keys where key_id = $1`, keyID[:])
	return k.actor, k.spki, err
}

// Actors implements vault.Records.
func (d *DB) Actors(ctx context.Context, after evidence.ActorID, limit int) ([]*evidence.ActorState, error) {
	return list(ctx, d.read, scanJSON[evidence.ActorState], `
		select state from states where stream_type = 'actor' and stream_id > $1 order by stream_id limit $2`, after, max(limit, 0))
}

// Cases implements vault.Records.
func (d *DB) Cases(ctx context.Context, member evidence.ActorID, after evidence.CaseID, limit int) ([]*evidence.CaseState, error) {
	return list(ctx, d.read, scanJSON[evidence.CaseState], `
		select s.state from members m join states s on s.stream_type = 'case' and s.stream_id = m.case_id
		where m.actor = $1 and m.case_id > $2 order by m.case_id limit $3`, member, after, max(limit, 0))
}

// Consents implements vault.Records.
func (d *DB) Consents(ctx context.Context, c evidence.CaseID, after evidence.ConsentID, limit int) ([]*evidence.ConsentState, error) {
	return list(ctx, d.read, scanJSON[evidence.ConsentState], `
		select s.state from consents c join states s on s.stream_type = 'consent' and s.stream_id = c.id
		where c.case_id = $1 and c.id > $2 order by c.id limit $3`, c, after, max(limit, 0))
}

// Items implements vault.Records.
func (d *DB) Items(ctx context.Context, c evidence.CaseID, after evidence.ItemID, limit int) ([]*evidence.ItemState, error) {
	return list(ctx, d.read, scanJSON[evidence.ItemState], `
		select s.state from items i join states s on s.stream_type = 'item' and s.stream_id = i.id
		where i.case_id = $1 and i.id > $2 order by i.id limit $3`, c, after, max(limit, 0))
}

func scanGrant(row scanner) (vault.GrantOf, error) {
	var g vault.GrantOf
	var state []byte
	if err := row.Scan(&g.Item, &g.Case, &state); err != nil {
		return g, err
	}
	if err := json.Unmarshal(state, &g.Grant); err != nil {
		return g, damage(err)
	}
	return g, nil
}

// Grants implements vault.Records. One grant may stand on several items (RULES §3.2): limit counts grants, and each comes with all its
// items, so that the cursor never stops within one.
func (d *DB) Grants(ctx context.Context, recipient evidence.ActorID, after evidence.GrantID, limit int) ([]vault.GrantOf, error) {
	return list(ctx, d.read, scanGrant, `
		select item, case_id, state from grants where recipient = $1 and id in
			(select distinct id from grants where recipient = $1 and id > $2 order by id limit $3)
		order by id, item`, recipient, after, max(limit, 0))
}

// Granted implements vault.Records.
func (d *DB) Granted(ctx context.Context, recipient evidence.ActorID, c evidence.CaseID) (bool, error) {
	found, err := list(ctx, d.read, scanTo[int64], `
		select 1 from grants where recipient = $1 and case_id = $2 and activated is not null limit 1`, recipient, c)
	return len(found) > 0, err
}

// Expired implements vault.Records: the longest expired first.
func (d *DB) Expired(ctx context.Context, now evidence.Time, limit int) ([]vault.GrantOf, error) {
	return list(ctx, d.read, scanGrant, `
		select item, case_id, state from grants where status in ('pending', 'active') and expires <= $1
		order by expires, id, item limit $2`, micros(now.Std()), max(limit, 0))
}
