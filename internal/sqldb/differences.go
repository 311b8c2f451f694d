package sqldb

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
)

// projection says how the rows of a table that follows from events are compared: by key, all columns, but json, whose meaning counts.
type projection struct {
	table  string
	key    string // columns of the primary key
	rest   string // the other columns, but json
	stream string // type and id of the stream from which a row follows
	label  string // the column that tells a row from others of its stream, or ''
	json   string // the column with JSON, or ''
}

var projections = []projection{
	{"states", "stream_type, stream_id", "seq", "stream_type, stream_id", "''", "state"},
	{"actor_keys", "key_id", "actor, spki", "'actor', actor", "key_id", "''"},
	{"actor_recipients", "recipient", "actor", "'actor', actor", "recipient", "''"},
	{"members", "actor, case_id", "0", "'case', case_id", "actor", "''"},
	{"consents", "case_id, id", "0", "'consent', id", "case_id", "''"},
	{"items", "case_id, id", "recipient", "'item', id", "case_id", "''"},
	{"exhibits", "case_id, number", "item", "'item', item", "number", "''"},
	{"moments", "stream_type, stream_id, at", "0", "stream_type, stream_id", "at", "''"},
	{"forms", "item, consent", "0", "'consent', consent", "item", "''"},
	{"keepers", "actor, case_id, item", "0", "'item', item", "actor", "''"},
	{"sides", "case_id, identity, item", "0", "'item', item", "identity", "''"},
	{"speakers", "actor, consent", "case_id", "'consent', consent", "actor", "''"},
	{"grants", "id, item", "case_id, recipient, status, activated, expires", "'item', item", "id", "state"},
}

// Difference is a row of a projection that is not what events make of it.
type Difference struct {
	Table  string
	Stream evidence.Stream // from which the row follows, as it says
	Key    string
	Have   bool // such a row is there
	Want   bool // such a row must be there; with Have, it must be another
}

// Differences compares the projections with those of another database, of any engine, in which they were made anew.
func (d *DB) Differences(ctx context.Context, anew *DB) (all []Difference, err error) {
	err = d.read.view(ctx, func(have snapshot) error {
		return anew.read.view(ctx, func(want snapshot) error {
			for _, p := range projections {
				found, err := p.compare(ctx, have, want)
				if err != nil {
					return err
				}
				all = append(all, found...)
			}
			return nil
		})
	})
	return all, err
}

// projected is a row of a projection: key and rest hold what engines give alike, int64, string, []byte or nil.
type projected struct {
	id        Difference
	key, rest []any
	json      []byte
}

// rows reads the projection in the order of its key, which is the same on every engine. After an error it ends, and err has it.
func (p projection) rows(ctx context.Context, q querier, err *error) iter.Seq[projected] {
	keys, rest := strings.Split(p.key, ", "), strings.Split(p.rest, ", ")
	query := fmt.Sprintf(`select %s, %s, %s, %s, %s from %s order by %s`, p.stream, p.label, p.key, p.rest, p.json, p.table, p.key) //#nosec G201 -- names of our own tables
	return func(yield func(projected) bool) {
		failed := q.each(ctx, func(row scanner) error {
			r := projected{id: Difference{Table: p.table}, key: make([]any, len(keys)), rest: make([]any, len(rest))}
			var label any
			to := []any{&r.id.Stream.Type, &r.id.Stream.ID, &label}
			for _, columns := range [][]any{r.key, r.rest} {
				for i := range columns {
					to = append(to, &columns[i])
				}
			}
			if err := row.Scan(append(to, &r.json)...); err != nil {
				return err
			}
			r.id.Key = fmt.Sprint(label)
			if b, ok := label.([]byte); ok {
				r.id.Key = fmt.Sprintf("%X", b)
			}
			if !yield(r) {
				return errEnough
			}
			return nil
		}, query)
		if !errors.Is(failed, errEnough) {
			*err = failed
		}
	}
}

var errEnough = errors.New("no more is asked for")

// compare walks through both tables side by side.
func (p projection) compare(ctx context.Context, have, want querier) ([]Difference, error) {
	found := make(map[Difference]*Difference)
	note := func(id Difference, have, want bool) {
		if found[id] == nil {
			found[id] = &Difference{Table: id.Table, Stream: id.Stream, Key: id.Key}
		}
		found[id].Have, found[id].Want = found[id].Have || have, found[id].Want || want
	}
	var failed [2]error
	nextHave, stopHave := iter.Pull(p.rows(ctx, have, &failed[0]))
	defer stopHave()
	nextWant, stopWant := iter.Pull(p.rows(ctx, want, &failed[1]))
	defer stopWant()
	h, isH := nextHave()
	w, isW := nextWant()
	for isH || isW {
		order := 0
		switch {
		case !isW:
			order = -1
		case !isH:
			order = 1
		default:
			order = slices.CompareFunc(h.key, w.key, compareColumns)
		}
		if order < 0 || order == 0 && !p.same(h, w) {
			note(h.id, true, false)
		}
		if order > 0 || order == 0 && !p.same(h, w) {
			note(w.id, false, true)
		}
		if order <= 0 {
			h, isH = nextHave()
		}
		if order >= 0 {
			w, isW = nextWant()
		}
	}
	list := slices.SortedFunc(maps.Values(found), func(a, b *Difference) int {
		return cmp.Or(a.Stream.Compare(b.Stream), cmp.Compare(a.Key, b.Key))
	})
	all := make([]Difference, len(list))
	for i, d := range list {
		all[i] = *d
	}
	return all, errors.Join(failed[:]...)
}

// compareColumns orders values of one column as engines do.
func compareColumns(a, b any) int {
	switch a := a.(type) {
	case int64:
		b, _ := b.(int64)
		return cmp.Compare(a, b)
	case []byte:
		b, _ := b.([]byte)
		return bytes.Compare(a, b)
	}
	return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
}

// same reports whether two rows say the same: a program of another version may have written JSON with fewer empty fields.
func (p projection) same(have, want projected) bool {
	if !reflect.DeepEqual(have.rest, want.rest) {
		return false
	}
	if bytes.Equal(have.json, want.json) {
		return true
	}
	read := func(text []byte) ([]byte, error) {
		if p.table == "grants" {
			g := new(evidence.GrantState)
			if err := json.Unmarshal(text, g); err != nil {
				return nil, err
			}
			return json.Marshal(g)
		}
		state, err := decodeState(have.id.Stream.Type, text)
		if err != nil {
			return nil, err
		}
		return json.Marshal(state)
	}
	a, errA := read(have.json)
	b, errB := read(want.json)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// HeadsEntries returns the stored entries of the heads map in order of key, from the one after the key given.
func (d *DB) HeadsEntries(ctx context.Context, after [32]byte, limit int) ([]heads.Entry, error) {
	return list(ctx, d.read, func(row scanner) (heads.Entry, error) {
		var key, value []byte
		if err := row.Scan(&key, &value); err != nil {
			return heads.Entry{}, err
		}
		k, err := hash(key)
		if err != nil {
			return heads.Entry{}, err
		}
		v, err := hash(value)
		return heads.Entry{Key: k, Value: v}, err
	}, `select key, value from heads_entries where key > $1 order by key limit $2 + 0`, after[:], max(limit, 0))
}

// PAEDigests returns by which digest a resubmitted event is known, in commit order, from the one after the order given: one for each of
// Events.
func (d *DB) PAEDigests(ctx context.Context, after int64, limit int) ([]evidence.Hash, error) {
	return list(ctx, d.read, func(row scanner) (h evidence.Hash, err error) {
		b, err := scanTo[[]byte](row)
		if err == nil && len(b) == len(h) {
			copy(h[:], b)
		}
		return h, err
	}, `select pae_digest from events where ord > $1 order by ord limit $2 + 0`, after, max(limit, 0))
}

// AllItems lists every item of the vault by id.
func (d *DB) AllItems(ctx context.Context, after evidence.ItemID, limit int) ([]*evidence.ItemState, error) {
	return list(ctx, d.read, scanJSON[evidence.ItemState], `
		select state from states where stream_type = 'item' and stream_id > $1 order by stream_id limit $2 + 0`, after, max(limit, 0))
}
