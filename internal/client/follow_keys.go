package client

import (
	"context"
	"fmt"
	"slices"

	"strongroom.example/strongroom/internal/audit"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/heads"
	"strongroom.example/strongroom/internal/tlog"
)

// KeysChecked is for how many of the entries that the last verified publication covers the statement was read and the key is right, and of
// how many nothing was read that shows it.
type KeysChecked struct {
	Right  int64 `json:"right"`
	Unread int64 `json:"unread"`
}

// CheckKeys reads every history that the vault admits to, as Audit does, and compares the places of its events with what was followed: each
// stands in the log where its receipt says, under the key of its stream and sequence number (FORMATS §7). It fails with an audit.Alarm
// where one does not.
func (f *Following) CheckKeys(ctx context.Context) (KeysChecked, error) {
	c := f.client
	items, err := c.listAllItems(ctx)
	if err != nil {
		return KeysChecked{}, err
	}
	actors, err := c.Directory(ctx)
	if err != nil {
		return KeysChecked{}, err
	}
	streams := []evidence.Stream{evidence.PolicyOf(c.trust.Vault())}
	for _, a := range actors {
		streams = append(streams, evidence.ActorOf(evidence.ActorID(a.ID)))
	}
	for _, i := range items {
		streams = append(streams, evidence.ItemOf(evidence.ItemID(i.ID)))
	}
	seen := make([]uint64, (f.State.Covers()+63)/64)
	// The publications' own keys were compared as they were followed.
	counted := f.State.CoveredPublications()
	for batch := range slices.Chunk(streams, itemsOfLook) {
		v, err := c.lookOnce(ctx, batch)
		if err != nil {
			return KeysChecked{}, err
		}
		for _, s := range v.Streams() {
			if s.Type == evidence.VaultStream {
				continue
			}
			for seq := range v.Len(s) {
				leaf, entry := v.Leaf(s, seq)
				if entry >= f.State.Covers() || seen[entry/64]>>(entry%64)&1 == 1 {
					continue
				}
				if err := f.checkKey(s, seq, leaf, entry); err != nil {
					return KeysChecked{}, err
				}
				seen[entry/64] |= 1 << (entry % 64)
				counted++
			}
		}
	}
	return KeysChecked{counted, f.State.Covers() - int64(len(f.State.Void())) - counted}, nil
}

func (f *Following) checkKey(s evidence.Stream, seq int64, leaf evidence.Hash, entry int64) error {
	there, err := f.State.Leaf(entry)
	if err != nil {
		return err
	}
	key, err := f.State.Key(entry)
	if err != nil {
		return err
	}
	_, head := f.State.Head()
	if there != tlog.Hash(leaf) {
		return &audit.Alarm{Reason: audit.FalseLeaves, Newer: head, Entry: entry, Err: fmt.Errorf("event %d of %s %s is another entry", seq, s.Type, s.ID)}
	}
	if key != heads.Key(s.Tag(f.client.trust.Vault()), uint64(seq)) { //#nosec G115 -- not negative
		return &audit.Alarm{Reason: audit.FalseKey, Newer: head, Entry: entry, Err: fmt.Errorf("event %d of %s %s", seq, s.Type, s.ID)}
	}
	return nil
}
