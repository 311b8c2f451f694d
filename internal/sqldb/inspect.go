package sqldb

import (
	"context"
	"regexp"
	"slices"
	"strings"
)

// Inspection is what a database of records is, for operators.
type Inspection struct {
	Server string // the engine with its version, "" for the embedded one
	TLS    string // the version of TLS, "" for none
	// Missing are rights that the server's role needs and has not, Beyond rights with which it could change what was accepted: "update events".
	Missing, Beyond []string
}

// Inspect asks a PostgreSQL database what it is, and changes nothing.
func (d *DB) Inspect(ctx context.Context) (i Inspection, err error) {
	if d.dialect.name != postgres.name {
		return i, nil
	}
	if i.Server, err = one(ctx, d.read, "version", scanTo[string], `select 'PostgreSQL ' || current_setting('server_version')`); err != nil {
		return i, err
	}
	encrypted, err := list(ctx, d.read, scanTo[string], `select coalesce(version, '') from pg_stat_ssl where pid = pg_backend_pid() and ssl`)
	if err != nil {
		return i, err
	}
	if len(encrypted) > 0 {
		i.TLS = encrypted[0]
	}
	for _, table := range tables {
		needs := rightsOf(table.rights)
		for _, name := range []string{"select", "insert", "update", "delete", "truncate"} {
			have, err := d.columns(ctx, table.name, name)
			if err != nil {
				return i, err
			}
			columns, needed := needs[name]
			missing, beyond := false, false
			for column, granted := range have {
				wanted := needed && (columns == nil || slices.Contains(columns, column))
				missing, beyond = missing || wanted && !granted, beyond || granted && !wanted
			}
			if missing {
				i.Missing = append(i.Missing, name+" "+table.name)
			}
			if beyond {
				i.Beyond = append(i.Beyond, name+" "+table.name)
			}
		}
	}
	slices.Sort(i.Missing)
	slices.Sort(i.Beyond)
	return i, nil
}

// columns says of which columns of a table the role has a right; one that is not given by column is that of the column "".
func (d *DB) columns(ctx context.Context, table, right string) (map[string]bool, error) {
	have := make(map[string]bool)
	scan := func(row scanner) error {
		var column string
		var granted bool
		err := row.Scan(&column, &granted)
		have[column] = granted
		return err
	}
	if right == "delete" || right == "truncate" {
		return have, d.read.each(ctx, scan, `select '', has_table_privilege($1, $2)`, table, right)
	}
	return have, d.read.each(ctx, scan, `
		select attname::text, has_column_privilege($1::text, attname::text, $2) from pg_attribute
		where attrelid = to_regclass($1::text) and attnum > 0 and not attisdropped`, table, right)
}

var grants = regexp.MustCompile(`([a-z]+)(?: \(([a-z, ]+)\))?`)

// rightsOf reads what a grant says: for each right the columns that it is for, nil for the whole table.
func rightsOf(grant string) map[string][]string {
	rights := make(map[string][]string)
	for _, one := range grants.FindAllStringSubmatch(grant, -1) {
		rights[one[1]] = nil
		if one[2] != "" {
			rights[one[1]] = strings.Split(one[2], ", ")
		}
	}
	return rights
}
