package client

import (
	"context"
	"io/fs"
	"reflect"
	"slices"
	"sync"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/tlog"
)

// UndecidedTrust means that a trust file names log keys, witnesses or time-stamp roots that the vault's own history does not.
const UndecidedTrust Lie = "undecided_trust_file"

// Repin pins a newer trust file of the same vault in the place of the one that is pinned (FORMATS §10). The person has compared its number over
// a second channel; that is not enough here. The old file says whom to believe: the new one must keep its founders, its log keys with their
// ends, its witness policies, its time-stamp roots and authorities; what is new in it must stand in the vault's policy, proposed and confirmed
// by people who are led back to those founders; what was replaced ends when that says. So neither the operator nor who has the log's keys
// changes what this device stands on.
//
// ErrPinned means another vault, Invalid "trust_older" a file that takes away what the pinned one has, Invalid "clock" one that was decided if
// the vault's clock is right, but not by this device's, and an Alarm UndecidedTrust one that nobody decided. Nothing is kept of what was
// looked at unless it is pinned.
func Repin(ctx context.Context, cfg Config, next tlog.Trust) error {
	old, err := ReadTrust(cfg.Keystore)
	if err != nil {
		return err
	}
	if old.Vault() != next.Vault() || !reflect.DeepEqual(old.Founders(), next.Founders()) {
		return ErrPinned
	}
	if !extends(old, next) {
		return evidence.Refuse(evidence.Invalid, reasonOlderTrust)
	}
	through := &trial{Keystore: cfg.Keystore, written: map[string][]byte{trustDoc: next.Marshal()}}
	with := cfg
	with.Keystore = through
	c, err := New(with)
	if err != nil {
		return err
	}
	if err := c.decided(ctx, old, next); err != nil {
		return err
	}
	return cfg.Keystore.Write(trustDoc, next.Marshal())
}

const reasonOlderTrust = "trust_older"

// extends reports whether a newer trust file keeps what an older one has.
func extends(old, next tlog.Trust) bool {
	for _, was := range old.Logs() {
		i := slices.IndexFunc(next.Logs(), func(l tlog.Log) bool { return sameKey(l, was) })
		if i < 0 || !next.Logs()[i].Start.Equal(was.Start) || !was.End.IsZero() && !next.Logs()[i].End.Equal(was.End) {
			return false
		}
	}
	for _, root := range old.TimestampRoots() {
		if !slices.ContainsFunc(next.TimestampRoots(), func(r []byte) bool { return string(r) == string(root) }) {
			return false
		}
	}
	for _, authority := range old.Authorities() {
		if !slices.ContainsFunc(next.Authorities(), func(a tlog.Authority) bool { return reflect.DeepEqual(a, authority) }) {
			return false
		}
	}
	return len(next.EarlierPolicies()) >= len(old.EarlierPolicies())
}

func sameKey(a, b tlog.Log) bool {
	x, err := tlog.LogID(a.Key)
	y, failed := tlog.LogID(b.Key)
	return err == nil && failed == nil && x == y
}

// decided looks whether what is new in a trust file is what the vault's policy says, in force now or before, with the ends that follow from it.
func (c *Client) decided(ctx context.Context, old, next tlog.Trust) error {
	stream := evidence.PolicyOf(next.Vault())
	v, err := c.Look(ctx, stream)
	if LieOf(err) == WrongLogKey { // the file withholds a key that the vault's history is signed with, or ends it before
		return alarm(UndecidedTrust, stream, err)
	}
	if err != nil {
		return err
	}
	used, err := c.used(v)
	if err != nil {
		return err
	}
	fits := func(now evidence.Time) (bool, error) {
		list, err := c.changes(v, now)
		return err == nil && len(list) > 0 && continues(old, next) && explains(old, next, list, used), err
	}
	if ok, err := fits(evidence.At(c.cfg.Now())); ok || err != nil {
		return err
	}
	if ok, err := fits(v.Time); err != nil {
		return err
	} else if ok { // one of the two clocks is wrong
		return evidence.Refuse(evidence.Invalid, evidence.ReasonClock)
	}
	return alarm(UndecidedTrust, stream, nil)
}

// continues reports whether the witness policies of a newer trust file, with the one in force, begin with those of an older one.
func continues(old, next tlog.Trust) bool {
	before, list := old.EarlierPolicies(), next.EarlierPolicies()
	if len(list) < len(before) || !slices.EqualFunc(before, list[:len(before)], func(a, b tlog.EarlierPolicy) bool { return a.Policy == b.Policy && a.Until.Equal(b.Until) }) {
		return false
	}
	if len(list) == len(before) {
		return next.WitnessPolicy() == old.WitnessPolicy()
	}
	return list[len(before)].Policy == old.WitnessPolicy()
}

// trial is a keystore in which nothing is kept: what is written is seen by who wrote it, and by nobody else.
type trial struct {
	Keystore
	mu      sync.Mutex
	written map[string][]byte // nil where it was removed
}

func (t *trial) Read(name string) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text, ok := t.written[name]; ok {
		if text == nil {
			return nil, fs.ErrNotExist
		}
		return slices.Clone(text), nil
	}
	return t.Keystore.Read(name)
}

func (t *trial) Write(name string, content []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.written[name] = append([]byte{}, content...)
	return nil
}

func (t *trial) Remove(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.written[name] = nil
	return nil
}
