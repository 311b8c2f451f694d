package sqldb

import (
	"bytes"
	"context"
	"encoding/binary"

	"strongroom.example/strongroom/internal/heads"
)

// HeadsBucket implements heads.Store.
func (d *DB) HeadsBucket(ctx context.Context, prefix uint16) ([]heads.Entry, error) {
	first := binary.BigEndian.AppendUint16(nil, prefix)
	last := append(bytes.Clone(first), bytes.Repeat([]byte{0xff}, 30)...)
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
	}, `select key, value from heads_entries where key >= $1 and key <= $2 order by key`, first, last)
}

// HeadsBuckets implements heads.Store.
func (d *DB) HeadsBuckets(ctx context.Context, f func(prefix uint16, s heads.Summary) error) error {
	return d.read.each(ctx, func(row scanner) error {
		var prefix uint16
		var s heads.Summary
		var b []byte
		if err := row.Scan(&prefix, &s.Single, &b); err != nil {
			return err
		}
		h, err := hash(b)
		if err != nil {
			return err
		}
		s.Hash = h
		return f(prefix, s)
	}, `select prefix, single, hash from heads_buckets order by prefix`)
}
