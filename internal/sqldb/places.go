package sqldb

import (
	"context"

	"strongroom.example/strongroom/internal/ledger"
)

// Places implements ledger.Records. It reads no statement and no receipt.
func (d *DB) Places(ctx context.Context, start, end int64) ([]ledger.Place, error) {
	return list(ctx, d.read, func(row scanner) (p ledger.Place, err error) {
		var leafHash []byte
		if err := row.Scan(&p.Index, &p.Stream.Type, &p.Stream.ID, &p.Seq, &leafHash); err != nil {
			return p, err
		}
		p.LeafHash, err = hash(leafHash)
		return p, err
	}, `
		select i.idx, e.stream_type, e.stream_id, e.seq, e.leaf_hash
		from inclusions i join events e on e.ord = i.ord where i.idx >= $1 and i.idx < $2 order by i.idx`, start, end)
}
