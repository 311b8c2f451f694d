package sqldb

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// object is a part of a schema: a table or column, an index, a constraint, a trigger.
type object struct{ kind, name, text string }

// sqliteObjects and postgresObjects list the objects of a schema, but goose's.
const (
	sqliteObjects   = `select type, name, sql from sqlite_master where sql is not null and name not like 'goose%' and name not like 'sqlite%'`
	postgresObjects = `
		select 'column', c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod) || ' ' || coalesce(o.collname, '') ||
				case when a.attnotnull then ' not null' else '' end
			from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_collation o on o.oid = a.attcollation
			where c.relnamespace = to_regnamespace(current_schema()) and c.relkind = 'r' and c.relname not like 'goose%' and a.attnum > 0 and not a.attisdropped
		union all select 'index', c.relname, replace(pg_get_indexdef(c.oid), current_schema() || '.', '')
			from pg_class c join pg_index i on i.indexrelid = c.oid
			where c.relnamespace = to_regnamespace(current_schema()) and c.relname not like 'goose%' and i.indisvalid and i.indisready
		union all select 'constraint', c.conrelid::regclass::text || '.' || c.conname, replace(pg_get_constraintdef(c.oid), current_schema() || '.', '')
			from pg_constraint c join pg_class t on t.oid = c.conrelid
			where t.relnamespace = to_regnamespace(current_schema()) and t.relname not like 'goose%' and c.contype in ('p', 'u', 'f', 'c') and c.convalidated
		union all select 'trigger', t.tgname, replace(pg_get_triggerdef(t.oid), current_schema() || '.', '') || case when t.tgenabled = 'O' then '' else ' off' end
			from pg_trigger t join pg_class c on c.oid = t.tgrelid where c.relnamespace = to_regnamespace(current_schema()) and not t.tgisinternal
		union all select 'rule', r.rulename, pg_get_ruledef(r.oid)
			from pg_rewrite r join pg_class c on c.oid = r.ev_class where c.relnamespace = to_regnamespace(current_schema()) and c.relkind = 'r'
		union all select 'function', p.proname, p.prosrc from pg_proc p where p.pronamespace = to_regnamespace(current_schema())`
)

// postgresSchema is what MigratePostgres makes, an object on each line.
//
//go:embed migrations/postgres/schema.txt
var postgresSchema string

func (d *DB) objects(ctx context.Context, query string) (map[object]bool, error) {
	all := make(map[object]bool)
	err := d.read.each(ctx, func(row scanner) error {
		var o object
		err := row.Scan(&o.kind, &o.name, &o.text)
		all[o] = true
		return err
	}, query)
	return all, err
}

// line is how an object stands in postgresSchema.
func (o object) line() string { return fmt.Sprintf("%s %s %q", o.kind, o.name, o.text) }

// Schema compares tables, indexes and triggers with those of this version, and asks the engine whether what it holds is sound. Each
// answer is a sentence. anew is a database that was just made; of SQLite it shows what the schema must be.
func (d *DB) Schema(ctx context.Context, anew *DB) (wrong []string, err error) {
	if d.dialect.name == postgres.name {
		have, err := d.objects(ctx, postgresObjects)
		if err != nil {
			return nil, err
		}
		want := make(map[object]bool)
		for line := range strings.Lines(postgresSchema) {
			var o object
			if _, err := fmt.Sscanf(line, "%s %s %q", &o.kind, &o.name, &o.text); err != nil {
				return nil, internal("records", err)
			}
			want[o] = true
		}
		return unlike(have, want), nil
	}
	have, err := d.objects(ctx, sqliteObjects)
	if err != nil {
		return nil, err
	}
	want, err := anew.objects(ctx, sqliteObjects)
	if err != nil {
		return nil, err
	}
	wrong = unlike(have, want)
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

// unlike says what of a schema is not as it must be.
func unlike(have, want map[object]bool) (wrong []string) {
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
	return wrong
}
