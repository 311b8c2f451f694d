package dossier

import (
	"bytes"
	"encoding/base64"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

const (
	// blockSize is how many events or files one goroutine takes at a time.
	blockSize = 16
	// maxParallel bounds the goroutines, each of which may have a large event in its hands.
	maxParallel = 16
)

// parallel calls f for 0 ≤ i < n, on all cores.
func parallel(n int, f func(i int)) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), maxParallel, n/blockSize+1) {
		done.Go(func() {
			for {
				from := int(next.Add(blockSize)) - blockSize
				if from >= n {
					return
				}
				for i := from; i < min(from+blockSize, n); i++ {
					f(i)
				}
			}
		})
	}
	done.Wait()
}

// readAll verifies every event by itself: its form, its signature by the key that its leaf names, its inclusion. Whether that key was
// the signer's, and the act lawful, is seen when it is judged. The publication comes first: the others are compared with it.
func (h *History) readAll() {
	var all []place
	learn := func(e *evidence.Event) {
		for _, s := range Names(e) {
			if h.chain(s) == nil {
				h.found.add(len(h.chains), Finding{Check: CheckComplete, Result: Fail, Reason: ReasonStreamMissing, Stream: s, Seq: -1})
			}
		}
		for _, r := range e.ReliedOn {
			if on := h.chain(r.Stream()); on != nil && on.has(r.Seq) {
				h.refs[place{on.at, r.Seq}]++
			}
		}
	}
	if h.book != nil {
		if e := h.read(h.book, 0); e != nil {
			h.book.first = e.Stream.Seq
			learn(e)
		}
	}
	for _, c := range h.chains {
		if c == h.book {
			continue
		}
		for i := range c.records {
			all = append(all, place{c.at, int64(i)})
		}
	}
	var mu sync.Mutex
	parallel(len(all), func(i int) {
		if e := h.read(h.chains[all[i].chain], int(all[i].seq)); e != nil {
			mu.Lock()
			defer mu.Unlock()
			learn(e)
		}
	})
}

// opening is an event's receipt taken apart.
type opening struct {
	receipt   tlog.Receipt
	leaf      leafParts
	leafHash  tlog.Hash
	statement *custody.Statement
	unknown   error // set when the statement is of a newer version
}

// open reads a receipt strictly; nothing is verified.
func open(data []byte) (o opening, check Check, reason string, err error) {
	if o.receipt, err = tlog.ParseReceipt(data); err != nil {
		switch {
		case errors.Is(err, tlog.ErrIndex):
			return o, CheckInclusion, ReasonIndex, err
		case errors.Is(err, tlog.ErrCheckpoint):
			return o, CheckInclusion, ReasonOtherCheckpoint, err
		}
		return o, CheckPackage, ReasonReceipt, err
	}
	if o.leaf, err = parseLeaf(o.receipt.Leaf()); err != nil {
		return o, CheckInclusion, ReasonLeaf, err
	}
	o.leafHash = tlog.LeafHash(o.receipt.Leaf())
	typ, payload, signature := o.receipt.Signed()
	if o.statement, err = custody.OpenParts(typ, payload, custody.Signature{KeyID: evidence.Hash(o.receipt.KeyID()), DER: signature}); o.statement == nil {
		return o, CheckSignatures, ReasonStatement, err
	}
	o.unknown = err
	return o, "", "", nil
}

// read verifies event i of c and fills its record. It returns the event unless it does not verify.
func (h *History) read(c *chain, i int) *evidence.Event {
	data, err := c.Receipt(int64(i))
	if err != nil {
		h.note(c, int64(i), CheckPackage, Fail, ReasonUnreadable, err)
		return nil
	}
	if IsWithheld(data) && c != h.book {
		h.readWithheld(c, i, data)
		return nil
	}
	o, check, reason, err := open(data)
	var signed *custody.Signed
	var stamped evidence.Time
	if err == nil {
		signed, check, reason, err = o.verify(&h.keys)
	}
	if reason == "" {
		var cp *checkpoint
		cp, check, reason, err = h.include(o)
		if c == h.book {
			h.published = cp.Checkpoint
		}
		if reason == "" {
			stamped = h.checkStamps(c, i, o, cp)
			if forked := h.checkFork(c, o.leafHash, o.receipt.Index(), o.receipt.Proof(), cp.Checkpoint); forked != nil {
				// It is signed, and in a log of this key: what it says is judged all the same, for that may tell more.
				check, reason, err := logReason(forked)
				h.note(c, int64(i), check, Fail, reason, err)
			}
		}
	}
	if reason != "" {
		h.note(c, int64(i), check, Fail, reason, err)
		return nil
	}
	e := signed.Event()
	if e.Vault != h.trust.Vault() || e.Stream.Stream() != c.ID {
		h.note(c, int64(i), CheckChain, Fail, ReasonForeignStream, nil)
		return nil
	}
	if err := checkPossession(e); err != nil {
		h.note(c, int64(i), CheckSignatures, Fail, evidence.ReasonPossession, err)
		return nil
	}
	c.records[i] = record{leaf: signed.LeafHash(), index: o.receipt.Index(), seq: e.Stream.Seq, signer: h.signers.number(signed.KeyID()),
		weight: int32(weigh(signed.Payload())), read: true, barrier: e.Kind.Barrier(), stamped: stamped}
	if o.unknown != nil {
		h.note(c, int64(i), CheckRules, NotChecked, evidence.ReasonOf(o.unknown), o.unknown)
	}
	if o.unknown == nil && h.spare.take(int(c.records[i].weight)) {
		c.events[i] = e
	}
	return e
}

// verify checks the signature by the key in the leaf, and that the leaf is the statement's.
func (o opening) verify(keys *custody.Keys) (*custody.Signed, Check, string, error) {
	switch {
	case o.statement.PAEDigest() != o.leaf.digest:
		return nil, CheckSignatures, ReasonPayload, nil
	case !bytes.Equal(o.statement.Signature(), o.leaf.signature):
		return nil, CheckSignatures, ReasonSignature, nil
	}
	signed, err := keys.Verify(o.statement, o.leaf.spki)
	if err != nil {
		return nil, CheckSignatures, ReasonSignature, err
	}
	if !bytes.Equal(signed.Leaf(), o.receipt.Leaf()) {
		return nil, CheckInclusion, ReasonLeaf, nil
	}
	return signed, "", "", nil
}

// include checks the receipt under the pinned log keys, and returns its checkpoint. A key that is out of use may not vouch for what came after.
func (h *History) include(o opening) (*checkpoint, Check, string, error) {
	cp, err := h.opened.open(o.receipt)
	if err == nil {
		_, err = tlog.VerifyInclusion(o.leafHash, o.receipt.Index(), o.receipt.Proof(), cp.Checkpoint)
	}
	if err != nil {
		check, reason, err := logReason(err)
		return cp, check, reason, err
	}
	if end, ok := h.retired[o.receipt.LogID()]; ok && o.statement.Event().Time.Std().Add(-evidence.Clock).After(end) {
		return cp, CheckCheckpoint, ReasonLogKeyRetired, nil
	}
	return cp, "", "", nil
}

// logReason says which check an error of package tlog, or errForked, belongs to.
func logReason(err error) (Check, string, error) {
	for _, r := range []struct {
		is     error
		check  Check
		reason string
	}{
		{tlog.ErrIndex, CheckInclusion, ReasonIndex},
		{tlog.ErrProof, CheckInclusion, ReasonProof},
		{tlog.ErrLogKey, CheckCheckpoint, ReasonLogKey},
		{tlog.ErrOrigin, CheckCheckpoint, ReasonLogOrigin},
		{errForked, CheckCheckpoint, ReasonLogFork},
	} {
		if errors.Is(err, r.is) {
			return r.check, r.reason, err
		}
	}
	return CheckCheckpoint, ReasonLogSignature, err
}

// checkPossession: who was enrolled, or given new keys, holds them. That a proof is there is evidence's rule.
func checkPossession(e *evidence.Event) error {
	var keys evidence.Keys
	switch d := e.Details.(type) {
	case *evidence.ActorEnrolledDetails:
		keys = d.Keys
	case *evidence.ActorKeyRotatedDetails:
		keys = d.Keys
	}
	if keys.Possession == "" {
		return nil
	}
	return custody.CheckPossession(e.Vault, evidence.ActorID(e.Stream.ID), keys)
}

// again returns event i of c, which was read before; with an Unknown error, if it is of a newer version.
func (h *History) again(c *chain, i int) (*evidence.Event, error) {
	if e := c.events[i]; e != nil {
		return e, nil
	}
	data, err := c.Receipt(int64(i))
	if err != nil {
		return nil, err
	}
	o, _, _, err := open(data)
	if err != nil {
		return nil, err
	}
	// The same leaf as before, whose signature was verified, and the statement that it signs.
	if evidence.Hash(o.leafHash) != c.records[i].leaf || o.statement.PAEDigest() != o.leaf.digest {
		return nil, errChanged
	}
	return o.statement.Event(), o.unknown
}

var errChanged = errors.New("dossier: a file changed while it was read")

// leafParts are what a leaf says (FORMATS §4). Its one spelling is custody's to write, and compared after the signature.
type leafParts struct {
	digest    evidence.Hash
	signature []byte
	spki      []byte
}

var errLeaf = errors.New("dossier: the leaf is no hashedrekord entry")

func parseLeaf(leaf []byte) (p leafParts, err error) {
	value := func(name string) []byte {
		_, rest, found := bytes.Cut(leaf, []byte(name+`":"`))
		text, _, ended := bytes.Cut(rest, []byte(`"`))
		b, e := base64.StdEncoding.DecodeString(string(text))
		if !found || !ended || e != nil {
			err = errLeaf
		}
		return b
	}
	digest := value("digest")
	p.signature, p.spki = value("content"), value("rawBytes")
	if len(digest) != len(p.digest) {
		return p, errLeaf
	}
	p.digest = evidence.Hash(digest)
	return p, err
}
