package daemon

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/tlog"
)

// A rotation brings other log keys, witnesses or time-stamp roots, in an order in which a kill at any instant leaves a vault that starts:
//
//  1. PlanRotation makes the new keys beside those in use and writes down what is to change: rotation.json. The vault goes on as it is.
//  2. An administrator proposes exactly that (vault.configured), a custodian confirms it, and the wait passes: the vault's own history says
//     that two people decided it, signed under the old trust file.
//  3. FinishRotation, with the server stopped, takes what is pending into the log with the old keys, then writes the new trust file into
//     rotation.json. Commit point: from here every start goes on to step 4 first.
//  4. trust.json and vault.json are replaced, and rotation.json goes.
//
// Old log keys and witness policies stay in the trust file with their end, old roots and authorities stay as they are: what was verified under
// the old file is under the new one.

// Rotation is what is to change, as an administrator proposes it: rotation.json.
type Rotation struct {
	Keys           KeyNames        `json:"keys"` // where they will be
	LogKeys        []string        `json:"log_keys"`
	Witness        string          `json:"witness"`
	TimestampRoots [][]byte        `json:"timestamp_roots"` // DER, all of them
	Roots          []evidence.Hash `json:"roots"`           // their digests, sorted, as vault.configured names them
	Authorities    []authority     `json:"authorities,omitempty"`
	Trust          string          `json:"trust,omitempty"` // the new trust file, once decided
}

func (r Rotation) marshal() []byte { return line(r) }

func (r Rotation) valid() bool {
	if r.Trust != "" {
		if _, err := tlog.ParseTrust([]byte(r.Trust)); err != nil {
			return false
		}
	}
	return r.Keys.valid() && len(r.LogKeys) == 2 && slices.Equal(r.Roots, rootDigests(r.TimestampRoots))
}

func (f folder) rotation() string { return f.path("rotation.json") }

var (
	// ErrNoRotation means that nothing was planned.
	ErrNoRotation = errors.New("no rotation is planned; begin one with: strongroomd rotate plan")
	// ErrUndecided means that the vault's history does not say, or not yet, what was planned.
	ErrUndecided  = errors.New("what is planned is not in force: an administrator proposes it, a custodian confirms it, and confirm-wait passes")
	errUnplanned  = errors.New("nothing would change")
	errRotating   = errors.New("a rotation is planned already; finish it, or take it back with: strongroomd rotate cancel")
	errKeepsRoots = errors.New("a time-stamp root that is trusted now is missing; old packages would not verify any more")
)

// Change is what PlanRotation is asked for.
type Change struct {
	NewLogKeys     bool     // make them as files, where Keys names none
	Keys           KeyNames // URIs of the new log keys in a KMS
	PostQuantum    *bool    // whether the log has a key of ML-DSA-44; nil: as before
	Witness        *string  // another policy, without log line, "" for none
	TimestampRoots [][]byte // further ones, in DER; the authorities that the configuration names are asked for theirs
}

func (c Change) newLogKeys() bool { return c.NewLogKeys || c.Keys != (KeyNames{}) }

// PlanRotation makes new keys and writes down what is to change. It touches nothing that the vault uses, so the server may run.
func PlanRotation(ctx context.Context, dir string, o Options, change Change) (Rotation, error) {
	f := folder(dir)
	s, trust, err := f.inUse()
	if err != nil {
		return Rotation{}, err
	}
	if _, err := os.Lstat(f.rotation()); !errors.Is(err, os.ErrNotExist) {
		return Rotation{}, errors.Join(errRotating, err)
	}
	opened, err := f.openKeys(ctx, s, o.PassphraseFile)
	if err != nil {
		return Rotation{}, err
	}
	r := Rotation{Keys: s.Keys, TimestampRoots: append([][]byte{}, trust.TimestampRoots()...)}
	if r.Witness, err = f.planPostQuantum(ctx, s.Origin, trust, opened, &r.Keys, change, o.PassphraseFile); err != nil {
		return Rotation{}, err
	}
	if change.newLogKeys() {
		for _, k := range allKeys[:2] {
			if opened[k.name], err = f.newKey(ctx, k.name, k.algorithm, &r.Keys, *change.Keys.of(k.name), o.PassphraseFile); err != nil {
				return Rotation{}, fmt.Errorf("%s: %w", k.name, err)
			}
		}
	}
	for _, k := range allKeys[:2] {
		r.LogKeys = append(r.LogKeys, base64.StdEncoding.EncodeToString(opened[k.name].SPKI()))
	}
	for _, root := range change.TimestampRoots {
		if !slices.ContainsFunc(r.TimestampRoots, func(old []byte) bool { return string(old) == string(root) }) {
			r.TimestampRoots = append(r.TimestampRoots, root)
		}
	}
	r.Roots = rootDigests(r.TimestampRoots)
	if len(change.TimestampRoots) > 0 {
		if r.Authorities, err = f.furtherAuthorities(ctx, o, s, trust, r.TimestampRoots); err != nil {
			return Rotation{}, err
		}
	}
	next, err := r.trust(trust, opened, o.Now())
	if err != nil {
		return Rotation{}, err
	}
	if sameKeys(next, trust) && next.WitnessPolicy() == trust.WitnessPolicy() && len(next.TimestampRoots()) == len(trust.TimestampRoots()) && len(r.Authorities) == 0 {
		return Rotation{}, errUnplanned
	}
	return r, writeFile(f.rotation(), r.marshal(), 0o600)
}

// newKey makes a key beside those in use, or asks the KMS for it, and puts its name into names.
func (f folder) newKey(ctx context.Context, key string, algorithm keys.Algorithm, names *KeyNames, uri, passphraseFile string) (*keys.Signer, error) {
	if uri != "" {
		if !keyURI.MatchString(uri) {
			return nil, errKeyName
		}
		*names.of(key) = uri
		return f.openKey(ctx, uri, algorithm, nil)
	}
	passphrase, err := f.readPassphrase(passphraseFile)
	if err != nil {
		return nil, err
	}
	for n := 2; ; n++ {
		name := fmt.Sprintf("%s-%d.pem", strings.TrimSuffix(strings.TrimSuffix(key, ".pem"), "_next"), n)
		signer, err := keys.Create(f.path("keys", name), algorithm, passphrase)
		if errors.Is(err, os.ErrExist) { // in use, retired, or left by a plan that was interrupted
			continue
		}
		*names.of(key) = name
		return signer, err
	}
}

// CancelRotation forgets a plan that is not finished. The keys it made stay in the folder, unused.
func CancelRotation(dir string) error {
	f := folder(dir)
	r, err := f.readRotation()
	if err == nil && r.Trust != "" {
		return f.settle()
	}
	if err != nil {
		return err
	}
	return errors.Join(os.Remove(f.rotation()), syncDir(string(f)))
}

// FinishRotation makes the vault go on with what was planned and decided. The server does not run meanwhile. It can be repeated after an
// interruption at any point, and returns the trust file with which the vault goes on.
func FinishRotation(ctx context.Context, dir string, o Options) (tlog.Trust, error) {
	f := folder(dir)
	r, err := f.readRotation()
	if err != nil {
		return tlog.Trust{}, err
	}
	if r.Trust == "" {
		if r.Trust, err = f.decide(ctx, r, o); err != nil {
			return tlog.Trust{}, err
		}
		// Commit point: whatever happens now, the next start completes it.
		if err := writeFile(f.rotation(), r.marshal(), 0o600); err != nil {
			return tlog.Trust{}, err
		}
	}
	if err := f.settle(); err != nil {
		return tlog.Trust{}, err
	}
	_, trust, err := f.inUse()
	return trust, err
}

// decide opens the vault as it is, and asks its history whether this rotation is in force. It returns the new trust file once nothing is
// left that only the old keys could put under a checkpoint: closing a vault may leave an event of its own pending.
func (f folder) decide(ctx context.Context, r Rotation, o Options) (string, error) {
	for {
		if err := f.decideOnce(ctx, r, o); err != nil {
			return "", err
		}
		c, err := f.readConfig(o.ConfigFile)
		if err != nil {
			return "", err
		}
		records, err := f.openRecords(ctx, c.Records)
		if err != nil {
			return "", err
		}
		pending, err := records.Pending(ctx, 1)
		if err = errors.Join(err, records.Close()); err != nil {
			return "", err
		}
		if len(pending) == 0 {
			break
		}
	}
	s, old, err := f.inUse()
	if err != nil {
		return "", err
	}
	next, err := f.openKeys(ctx, settings{Keys: r.names(s.Keys)}, o.PassphraseFile)
	if err != nil {
		return "", err
	}
	for i, k := range allKeys[:2] { // what two people confirmed, not what a KMS answers by now
		if i >= len(r.LogKeys) || base64.StdEncoding.EncodeToString(next[k.name].SPKI()) != r.LogKeys[i] {
			return "", fmt.Errorf("%s: %w", k.name, errOtherKey)
		}
	}
	if err := checkLogLine(old.Vault(), next[postQuantumKey], r.Witness); err != nil {
		return "", err
	}
	trust, err := r.trust(old, next, o.Now()) // the vault is closed: nothing is signed or cosigned after that under the old file
	return string(trust.Marshal()), err
}

func (f folder) decideOnce(ctx context.Context, r Rotation, o Options) (err error) {
	p, err := open(ctx, string(f), o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for {
		pending, err := p.records.Pending(ctx, 1)
		if err != nil {
			return err
		}
		if len(pending) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	policy := evidence.PolicyOf(p.settings.Origin)
	states, err := p.records.States(ctx, policy)
	if err != nil {
		return err
	}
	s := states[policy].(*evidence.PolicyState).At(evidence.At(o.Now()))
	if !slices.Equal(s.LogKeys, r.LogKeys) || s.Witness != r.Witness || !slices.Equal(s.TimestampRoots, r.Roots) {
		return ErrUndecided
	}
	return nil
}

// trust makes the new trust file: the new keys first, old ones with their end. An event may state a time as far ahead of the vault's as the
// law lets it, so the end is that much later. So is that of the witness policy: a cosignature is kept if its time is no further ahead of the
// vault's. None is kept under the old policy after now, for the vault is closed, and none is handed out that falls short of the policy in
// force: no final checkpoint meets neither.
func (r Rotation) trust(old tlog.Trust, opened map[string]*keys.Signer, now time.Time) (tlog.Trust, error) {
	now = now.UTC().Truncate(time.Millisecond)
	parts := tlog.TrustParts{
		Vault: old.Vault(), Founders: old.Founders(), WitnessPolicy: r.Witness, EarlierPolicies: old.EarlierPolicies(),
		TimestampRoots: r.TimestampRoots, Authorities: slices.Clone(old.Authorities()),
	}
	end := now.Add(evidence.Clock)
	if was := old.WitnessPolicy(); was != r.Witness {
		parts.EarlierPolicies = append(parts.EarlierPolicies, tlog.EarlierPolicy{Policy: was, Until: end})
	}
	for _, a := range r.Authorities {
		parts.Authorities = append(parts.Authorities, a.listed())
	}
	if _, ok := opened[logKey].Public().(*ecdsa.PublicKey); !ok {
		return tlog.Trust{}, keys.ErrUnsupported
	}
	for _, name := range []string{logKey, logNoteKey} {
		valid := tlog.Valid{Start: now}
		id, err := tlog.LogID(opened[name].Public())
		if err != nil {
			return tlog.Trust{}, err
		}
		for _, l := range old.Logs() {
			if other, err := tlog.LogID(l.Key); err == nil && other == id {
				valid = l.Valid // it stays
			}
		}
		if !valid.End.IsZero() {
			return tlog.Trust{}, errors.New("a retired key does not come back")
		}
		parts.Logs = append(parts.Logs, tlog.Log{Key: opened[name].Public(), Valid: valid})
	}
	for _, l := range old.Logs() {
		id, err := tlog.LogID(l.Key)
		if err != nil {
			return tlog.Trust{}, err
		}
		if slices.ContainsFunc(parts.Logs[:2], func(n tlog.Log) bool { other, err := tlog.LogID(n.Key); return err == nil && other == id }) {
			continue
		}
		if l.End.IsZero() {
			l.End = end
		}
		parts.Logs = append(parts.Logs, l)
	}
	for _, root := range old.TimestampRoots() {
		if !slices.ContainsFunc(r.TimestampRoots, func(kept []byte) bool { return string(kept) == string(root) }) {
			return tlog.Trust{}, errKeepsRoots
		}
	}
	return tlog.NewTrust(parts)
}

// names are those of the vault's keys with this rotation: the log's keys are exchanged, not the vault's own, which may have changed since.
func (r Rotation) names(now KeyNames) KeyNames {
	now.Log, now.Note, now.PostQuantum = r.Keys.Log, r.Keys.Note, r.Keys.PostQuantum
	return now
}

// settle completes a rotation that is decided. Every start calls it first; it can be repeated.
func (f folder) settle() error {
	r, err := f.readRotation()
	if errors.Is(err, ErrNoRotation) || err == nil && r.Trust == "" {
		return nil
	}
	if err != nil {
		return err
	}
	s, err := f.readSettings()
	if err != nil {
		return err
	}
	s.Keys = r.names(s.Keys)
	if err := writeFile(f.trust(), []byte(r.Trust), 0o644); err != nil {
		return err
	}
	if err := writeFile(f.settings(), s.marshal(), 0o600); err != nil {
		return err
	}
	return errors.Join(os.Remove(f.rotation()), syncDir(string(f)))
}

func (f folder) readRotation() (Rotation, error) {
	r, err := readDocument[Rotation](f.rotation())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return r, ErrNoRotation
	case errors.Is(err, errDocument):
		return r, errors.New("rotation.json is damaged; if the rotation was not finished, remove it and plan it again")
	}
	return r, err
}

// inUse reads settings and trust file of a founded vault.
func (f folder) inUse() (settings, tlog.Trust, error) {
	s, err := f.readSettings()
	if err != nil {
		return s, tlog.Trust{}, err
	}
	text, err := os.ReadFile(f.trust())
	if errors.Is(err, os.ErrNotExist) {
		return s, tlog.Trust{}, ErrNotFounded
	}
	if err != nil {
		return s, tlog.Trust{}, err
	}
	trust, err := tlog.ParseTrust(text)
	if err != nil {
		err = fmt.Errorf("trust.json: %w", err)
	}
	return s, trust, err
}

// sameKeys reports whether two trust files name the same keys in use.
func sameKeys(a, b tlog.Trust) bool {
	inUse := func(t tlog.Trust) (list []string) {
		for _, l := range t.Logs() {
			if id, err := tlog.LogID(l.Key); err == nil && l.End.IsZero() {
				list = append(list, fmt.Sprint(id))
			}
		}
		slices.Sort(list)
		return list
	}
	return slices.Equal(inUse(a), inUse(b))
}

// rootDigests are what vault.configured says of time-stamp roots.
func rootDigests(roots [][]byte) []evidence.Hash {
	var list []evidence.Hash
	for _, der := range roots {
		list = append(list, evidence.SHA256(der))
	}
	slices.SortFunc(list, evidence.Hash.Compare)
	return list
}

// KeyNumber is how people compare a key of the log: its base64 SPKI as six groups.
func KeyNumber(spki string) string {
	der, err := base64.StdEncoding.DecodeString(spki)
	if err != nil {
		return "–"
	}
	return tlog.SixGroups(tlog.Hash(evidence.SHA256(der)))
}
