package sqldb

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// metaChosen is where the checkpoint that is to be published next stands: its size, a line feed, its note.
const metaChosen = "chosen"

// Choose implements ledger.Records.
func (d *DB) Choose(ctx context.Context, size int64, note []byte) (next int64, err error) {
	err = d.submit(ctx, func(ctx context.Context, t *tx) error {
		next = size
		published, err := list(ctx, t, scanTo[int64], `select coalesce(max(size), 0) from published`)
		if err != nil || size <= published[0] {
			return err
		}
		before, _, err := chosen(ctx, t)
		if err != nil {
			return err
		}
		if before > published[0] {
			next = before
			return nil
		}
		_, err = t.exec(ctx, `
			insert into meta (key, value) values ($1, $2) on conflict (key) do update set value = excluded.value`,
			metaChosen, fmt.Sprintf("%d\n%s", size, note))
		return err
	})
	return next, err
}

// Chosen implements ledger.Records.
func (d *DB) Chosen(ctx context.Context) ([]byte, error) {
	_, note, err := chosen(ctx, d.read)
	return note, err
}

func chosen(ctx context.Context, q querier) (size int64, note []byte, err error) {
	value, err := list(ctx, q, scanTo[string], `select value from meta where key = $1`, metaChosen)
	if err != nil || len(value) == 0 {
		return 0, nil, err
	}
	first, rest, _ := strings.Cut(value[0], "\n")
	if size, err = strconv.ParseInt(first, 10, 64); err != nil { // it only says whose turn it is
		return 0, nil, nil
	}
	return size, []byte(rest), nil
}
