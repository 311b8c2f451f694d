package dossier

import (
	"encoding/base64"
	"errors"

	"strongroom.example/strongroom/internal/evidence"
)

// Heads is the publication of the heads map under which lengths are proved, or nil.
func (h *History) Heads() *evidence.HeadsState {
	if h.book == nil || h.book.lost {
		return nil
	}
	s, _ := h.book.state.(*evidence.HeadsState)
	return s
}

// Publication is what a vault.heads event says of when: every entry below Covers was in the log by Time, by the vault's clock.
type Publication struct {
	Seq    int64 // in the vault's stream
	Entry  int64
	Covers int64
	Time   evidence.Time
}

// publication is the one under which lengths are proved; ok is false if there is none.
func (h *History) publication() (p Publication, ok bool) {
	s := h.Heads()
	if s == nil {
		return p, false
	}
	return Publication{s.Last.Seq, h.book.records[0].index, s.Covers, s.Last.Time}, true
}

// Publication verifies the receipt of an earlier vault.heads event, as that of the newest one was verified: signed by a key that the vault has
// had, entered in this log, at its place in the stream. Its root is not compared with the log.
func (h *History) Publication(receipt []byte, seq int64) (p Publication, _ error) {
	newest, ok := h.publication()
	policy, known := h.State(evidence.PolicyOf(h.trust.Vault())).(*evidence.PolicyState)
	if !ok || !known {
		return p, errNoPublication
	}
	o, _, reason, err := open(receipt)
	if reason == "" {
		_, _, reason, err = o.verify(&h.keys)
	}
	var cp *checkpoint
	if reason == "" {
		cp, _, reason, err = h.include(o)
	}
	if reason != "" {
		return p, errors.Join(errNoPublication, err)
	}
	if err := h.checkFork(nil, o.leafHash, o.receipt.Index(), o.receipt.Proof(), cp.Checkpoint); err != nil {
		return p, err
	}
	e := o.statement.Event()
	d, ok := e.Details.(*evidence.VaultHeadsDetails)
	key := evidence.SHA256([]byte(base64.StdEncoding.EncodeToString(o.leaf.spki)))
	author := h.chain(evidence.ActorOf(policy.Vault))
	owner, had := h.owners[key]
	switch {
	case !ok, o.unknown != nil, e.Vault != h.trust.Vault(), e.Stream.Stream() != h.book.ID, e.Stream.Seq != seq:
	case seq > newest.Seq, o.receipt.Index() > newest.Entry, d.Covers > newest.Covers, d.Covers > o.receipt.Index():
	case e.Actor.ID != policy.Vault, author == nil, !had, owner != author.at:
	default:
		return Publication{seq, o.receipt.Index(), d.Covers, e.Time}, nil
	}
	return p, errNoPublication
}

var errNoPublication = errors.New("dossier: not a publication of this vault")
