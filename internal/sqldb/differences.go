package sqldb

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
)

// projection says how the rows of a table that follows from events are compared: all columns, but json, whose meaning counts.
type projection struct {
	table   string
	columns string
	key     string // SQL: what tells a row from others of its stream
	stream  string // SQL: type and id of the stream it follows from
	json    string
}

var projections = []projection{
	{"states", "stream_type, stream_id, seq", "''", "stream_type, stream_id", "state"},
	{"actor_keys", "key_id, actor, spki", "hex(key_id)", "'actor', actor", ""},
	{"actor_recipients", "recipient, actor", "hex(recipient)", "'actor', actor", ""},
	{"members", "actor, case_id", "actor", "'case', case_id", ""},
	{"consents", "case_id, id", "case_id", "'consent', id", ""},
	{"items", "case_id, id, recipient", "case_id", "'item', id", ""},
	{"exhibits", "case_id, number, item", "cast(number as text)", "'item', item", ""},
	{"moments", "stream_type, stream_id, at", "at", "stream_type, stream_id", ""},
	{"forms", "item, consent", "item", "'consent', consent", ""},
	{"keepers", "actor, case_id, item", "actor", "'item', item", ""},
	{"sides", "case_id, identity, item", "cast(identity as text)", "'item', item", ""},
	{"speakers", "actor, consent, case_id", "actor", "'consent', consent", ""},
	{"grants", "id, item, case_id, recipient, status, activated, expires", "id", "'item', item", "state"},
}

// Difference is a row of a projection that is not what events make of it.
type Difference struct {
	Table  string
	Stream evidence.Stream // from which the row follows, as it says
	Key    string
	Have   bool // such a row is there
	Want   bool // such a row must be there; with Have, it must be another
}

// Differences compares the projections with those of another database, in which they were made anew.
func (d *DB) Differences(ctx context.Context, anew *DB) ([]Difference, error) {
	path, err := d.file(ctx)
	if err != nil {
		return nil, err
	}
	other, err := anew.file(ctx)
	if err != nil {
		return nil, err
	}
	db, conn, err := attached(ctx, path)
	if err != nil {
		return nil, fail(sqlite, err)
	}
	defer db.Close()
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, `attach $1 as anew`, fileURL(other)); err != nil {
		return nil, fail(sqlite, err)
	}
	var all []Difference
	for _, p := range projections {
		found := make(map[Difference]*Difference)
		note := func(d Difference, have, want bool) {
			if found[d] == nil {
				found[d] = &Difference{d.Table, d.Stream, d.Key, false, false}
			}
			found[d].Have, found[d].Want = found[d].Have || have, found[d].Want || want
		}
		if err := p.compare(ctx, conn, note); err != nil {
			return nil, fail(sqlite, err)
		}
		list := slices.SortedFunc(maps.Values(found), func(a, b *Difference) int {
			return cmp.Or(a.Stream.Compare(b.Stream), cmp.Compare(a.Key, b.Key))
		})
		for _, d := range list {
			all = append(all, *d)
		}
	}
	return all, nil
}

func (p projection) compare(ctx context.Context, conn *sql.Conn, note func(d Difference, have, want bool)) error {
	scan := func(rows scanner, more ...any) (Difference, error) {
		d := Difference{Table: p.table}
		return d, rows.Scan(append([]any{&d.Stream.Type, &d.Stream.ID, &d.Key}, more...)...)
	}
	one := func(from, against string, have, want bool) error {
		query := fmt.Sprintf(`select %s, %s from (select %s from %s.%s except select %s from %s.%s)`, //#nosec G201 -- names of our own tables
			p.stream, p.key, p.columns, from, p.table, p.columns, against, p.table)
		rows, err := conn.QueryContext(ctx, query)
		return scanAll(rows, err, func(row scanner) error {
			d, err := scan(row)
			if err == nil {
				note(d, have, want)
			}
			return err
		})
	}
	if err := one("main", "anew", true, false); err != nil {
		return err
	}
	if err := one("anew", "main", false, true); err != nil || p.json == "" {
		return err
	}
	query := fmt.Sprintf(`select %s, %s, m.%s, a.%s from (select %s, %s from main.%s) m join (select %s, %s from anew.%s) a using (%s) where m.%s <> a.%s`, //#nosec G201 -- names of our own tables
		p.stream, p.key, p.json, p.json, p.columns, p.json, p.table, p.columns, p.json, p.table, p.columns, p.json, p.json)
	rows, err := conn.QueryContext(ctx, query)
	return scanAll(rows, err, func(row scanner) error {
		var have, want []byte
		d, err := scan(row, &have, &want)
		if err == nil && !p.sameJSON(d, have, want) {
			note(d, true, true)
		}
		return err
	})
}

// sameJSON reports whether two texts say the same: a program of another version may have written one with fewer empty fields.
func (p projection) sameJSON(d Difference, have, want []byte) bool {
	read := func(text []byte) ([]byte, error) {
		if p.table == "grants" {
			g := new(evidence.GrantState)
			if err := json.Unmarshal(text, g); err != nil {
				return nil, err
			}
			return json.Marshal(g)
		}
		state, err := decodeState(d.Stream.Type, text)
		if err != nil {
			return nil, err
		}
		return json.Marshal(state)
	}
	a, errA := read(have)
	b, errB := read(want)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// Schema compares tables, indexes and triggers with those of another database, and asks the engine whether the file is sound. Each
// answer is a sentence.
func (d *DB) Schema(ctx context.Context, anew *DB) ([]string, error) {
	type object struct{ kind, name, text string }
	objects := func(of *DB) (map[object]bool, error) {
		all := make(map[object]bool)
		err := of.read.each(ctx, func(row scanner) error {
			var o object
			err := row.Scan(&o.kind, &o.name, &o.text)
			all[o] = true
			return err
		}, `select type, name, sql from sqlite_master where sql is not null and name not like 'goose%' and name not like 'sqlite%'`)
		return all, err
	}
	have, err := objects(d)
	if err != nil {
		return nil, err
	}
	want, err := objects(anew)
	if err != nil {
		return nil, err
	}
	var wrong []string
	for o := range want {
		if !have[o] {
			wrong = append(wrong, fmt.Sprintf("the %s %s is missing or was changed", o.kind, o.name))
		}
	}
	for o := range have {
		if !want[o] {
			wrong = append(wrong, fmt.Sprintf("the %s %s is not of this program", o.kind, o.name))
		}
	}
	slices.Sort(wrong)
	lost, err := list(ctx, d.read, scanTo[string], `select distinct "table" from pragma_foreign_key_check`)
	if err != nil {
		return nil, err
	}
	for _, table := range lost {
		wrong = append(wrong, "rows of the table "+table+" belong to events that are not there")
	}
	sound, err := list(ctx, d.read, scanTo[string], `pragma integrity_check(20)`)
	for _, line := range sound {
		if line != "ok" {
			wrong = append(wrong, "the file's pages contradict each other: "+line)
		}
	}
	return wrong, err
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
