package sqldb

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/vault"
)

// States implements ledger.Records. All states are of one moment. They are shared with other callers and must not be changed.
func (d *DB) States(ctx context.Context, streams ...evidence.Stream) (map[evidence.Stream]evidence.State, error) {
	if len(streams) <= maxWanted {
		return statesOf(ctx, d.read, d.decoded, streams)
	}
	states := make(map[evidence.Stream]evidence.State, len(streams))
	err := d.read.view(ctx, func(s snapshot) error {
		for part := range slices.Chunk(streams, maxWanted) {
			found, err := statesOf(ctx, s, d.decoded, part)
			if err != nil {
				return err
			}
			maps.Copy(states, found)
		}
		return nil
	})
	return states, err
}

// maxWanted is how many streams one statement asks for. An event stands on fewer.
const maxWanted = 16

// statesOf reads the states of at most maxWanted streams with one statement.
func statesOf(ctx context.Context, q querier, known *decoded, streams []evidence.Stream) (map[evidence.Stream]evidence.State, error) {
	states := make(map[evidence.Stream]evidence.State, len(streams))
	if len(streams) == 0 {
		return states, nil
	}
	args := make([]any, 0, 2*len(streams))
	for _, s := range streams {
		args = append(args, s.Type, s.ID)
	}
	return states, q.each(ctx, func(row scanner) error {
		var s evidence.Stream
		var text sql.RawBytes
		if err := row.Scan(&s.Type, &s.ID, &text); err != nil {
			return err
		}
		state, err := known.decode(s, text)
		if err != nil {
			return damage(err)
		}
		states[s] = state
		return nil
	}, selectStates[len(streams)-1], args...)
}

// selectStates asks for 1, 2, … maxWanted streams.
var selectStates = func() (queries []string) {
	var wanted []string
	for i := range maxWanted {
		wanted = append(wanted, fmt.Sprintf("($%d, $%d)", 2*i+1, 2*i+2))
		queries = append(queries, `with wanted (stream_type, stream_id) as (values `+strings.Join(wanted, ", ")+`)
			select s.stream_type, s.stream_id, s.state from wanted w
			join states s on s.stream_type = w.stream_type and s.stream_id = w.stream_id`)
	}
	return queries
}()

// decoded keeps states with the text they were read from: to read it again costs several times what the query does. It holds for as
// long as the text is the same, whoever wrote it.
type decoded struct {
	memory[evidence.Stream, decodedState]
}

type decodedState struct {
	text  []byte
	state evidence.State
}

// decode reads a state. text is not kept.
func (d *decoded) decode(s evidence.Stream, text []byte) (evidence.State, error) {
	if known, ok := d.get(s); ok && bytes.Equal(known.text, text) {
		return known.state, nil
	}
	state, err := decodeState(s.Type, text)
	if err == nil {
		d.keep(s, decodedState{bytes.Clone(text), state})
	}
	return state, err
}

// memory keeps some of what was read before, of a few KiB each. It is safe for concurrent use.
type memory[K comparable, V any] struct {
	mu    sync.RWMutex
	known map[K]V
}

const maxKnown = 1024

func (m *memory[K, V]) get(k K) (V, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	v, ok := m.known[k]
	return v, ok
}

// keep remembers v, in place of any other if there are too many.
func (m *memory[K, V]) keep(k K, v V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = make(map[K]V)
	}
	if _, ok := m.known[k]; !ok && len(m.known) >= maxKnown {
		for other := range m.known {
			delete(m.known, other)
			break
		}
	}
	m.known[k] = v
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

// key is an entry of the directory of keys.
type key struct {
	actor evidence.ActorID
	spki  []byte
}

// Key implements vault.Records. An entry of the directory never changes and never goes, so what was found is remembered.
func (d *DB) Key(ctx context.Context, keyID evidence.Hash) (evidence.ActorID, []byte, error) {
	if k, ok := d.keys.get(keyID); ok {
		return k.actor, k.spki, nil
	}
	k, err := one(ctx, d.read, "key", func(row scanner) (k key, err error) {
		err = row.Scan(&k.actor, &k.spki)
		return k, err
	}, `select actor, spki from actor_keys where key_id = $1`, keyID[:])
	if err == nil {
		d.keys.keep(keyID, k)
	}
	return k.actor, k.spki, err
}

// Actors implements vault.Records.
func (d *DB) Actors(ctx context.Context, after evidence.ActorID, limit int) ([]*evidence.ActorState, error) {
	return list(ctx, d.read, scanJSON[evidence.ActorState], `
		select state from states where stream_type = 'actor' and stream_id > $1 order by stream_id limit $2 + 0`, after, max(limit, 0))
}

// Cases implements vault.Records.
func (d *DB) Cases(ctx context.Context, member evidence.ActorID, after evidence.CaseID, limit int) ([]*evidence.CaseState, error) {
	return list(ctx, d.read, scanJSON[evidence.CaseState], `
		select s.state from members m join states s on s.stream_type = 'case' and s.stream_id = m.case_id
		where m.actor = $1 and m.case_id > $2 order by m.case_id limit $3 + 0`, member, after, max(limit, 0))
}

// Consents implements vault.Records.
func (d *DB) Consents(ctx context.Context, c evidence.CaseID, after evidence.ConsentID, limit int) ([]*evidence.ConsentState, error) {
	return list(ctx, d.read, scanJSON[evidence.ConsentState], `
		select s.state from consents c join states s on s.stream_type = 'consent' and s.stream_id = c.id
		where c.case_id = $1 and c.id > $2 order by c.id limit $3 + 0`, c, after, max(limit, 0))
}

// Items implements vault.Records.
func (d *DB) Items(ctx context.Context, c evidence.CaseID, after evidence.ItemID, limit int) ([]*evidence.ItemState, error) {
	return list(ctx, d.read, scanJSON[evidence.ItemState], `
		select s.state from items i join states s on s.stream_type = 'item' and s.stream_id = i.id
		where i.case_id = $1 and i.id > $2 order by i.id limit $3 + 0`, c, after, max(limit, 0))
}

// SpokenFor implements vault.Records.
func (d *DB) SpokenFor(ctx context.Context, actor evidence.ActorID, after evidence.ConsentID, limit int) ([]*evidence.ConsentState, error) {
	return list(ctx, d.read, scanJSON[evidence.ConsentState], `
		select s.state from speakers p join states s on s.stream_type = 'consent' and s.stream_id = p.consent
		where p.actor = $1 and p.consent > $2 order by p.consent limit $3 + 0`, actor, after, max(limit, 0))
}

// InHands implements vault.Records.
func (d *DB) InHands(ctx context.Context, actor evidence.ActorID, c evidence.CaseID, after evidence.ItemID, limit int) ([]*evidence.ItemState, error) {
	return list(ctx, d.read, scanJSON[evidence.ItemState], `
		select s.state from keepers k join states s on s.stream_type = 'item' and s.stream_id = k.item
		where k.actor = $1 and k.case_id = $2 and k.item > $3 order by k.item limit $4 + 0`, actor, c, after, max(limit, 0))
}

// Moments implements vault.Records.
func (d *DB) Moments(ctx context.Context, after vault.Moment, until evidence.Time, limit int) ([]vault.Moment, error) {
	from := ""
	if after.At != 0 {
		from = after.At.String()
	}
	return list(ctx, d.read, func(row scanner) (m vault.Moment, err error) {
		var at string
		if err = row.Scan(&at, &m.Stream.Type, &m.Stream.ID); err == nil {
			if m.At, err = evidence.ParseTime(at); err != nil {
				err = damage(err)
			}
		}
		return m, err
	}, `select at, stream_type, stream_id from moments where (at, stream_type, stream_id) > ($1, $2, $3) and at <= $4
		order by at, stream_type, stream_id limit $5 + 0`, from, after.Stream.Type, after.Stream.ID, until.String(), max(limit, 0))
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
			(select distinct id from grants where recipient = $1 and id > $2 order by id limit $3 + 0)
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
		order by expires, id, item limit $2 + 0`, micros(now.Std()), max(limit, 0))
}
