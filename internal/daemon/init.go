package daemon

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/web"
)

// Create makes the folder of a new vault with its keys and empty stores, and returns its origin. It has no founders yet: they sign
// their own enrolment for this origin, and Found takes them in. Without an origin one is made up (FORMATS §2).
func Create(ctx context.Context, dir, origin string, o Options) (string, error) {
	f := folder(dir)
	config, err := f.readConfig(o.ConfigFile)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(f.settings()); err == nil {
		return "", ErrExists
	}
	// What follows removes what an interrupted attempt left. A vault that only lost its settings must not be taken for one.
	for _, name := range []string{f.trust(), f.checkpoint()} {
		if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			return "", ErrUnsettled
		}
	}
	if origin == "" {
		var raw [5]byte
		rand.Read(raw[:])
		origin = "strongroom-" + strings.ToLower(base32.StdEncoding.EncodeToString(raw[:])) + ".internal"
	}
	if !evidence.ValidOrigin(origin) {
		return "", errors.New("the origin must be a bare lower-case host name with at least one dot, without port or path")
	}
	if err := os.MkdirAll(f.path("keys"), 0o700); err != nil {
		return "", err
	}
	names := o.Keys
	if o.PostQuantum {
		names.PostQuantum = postQuantumKey
	}
	if err := f.createKeys(ctx, names, o.PassphraseFile); err != nil {
		return "", err
	}
	made := settings{Origin: origin, Actor: evidence.NewID[evidence.ActorID](), Made: o.Now().UTC().Truncate(time.Second), Keys: names}
	if made.Records, err = f.createRecords(ctx, config.Records); err != nil {
		return "", err
	}
	if made.Tree, err = f.createLog(ctx, config.Log, origin); err != nil {
		return "", err
	}
	if err := f.createObjects(ctx, config.Objects, origin); err != nil {
		return "", err
	}
	// From here the folder is a vault.
	return origin, writeFile(f.settings(), made.marshal(), 0o600)
}

// Founding is what makes a folder a vault that people can use.
type Founding struct {
	Founders [][]byte // signed actor.enrolled events (DSSE) of at least one administrator and one custodian, each by its own key
	Recovery string   // age recipient of the offline recovery key
	Witness  string   // who must cosign checkpoints (C2SP tlog-policy, without log line), or ""
	Policy   evidence.VaultPolicy
	Version  string // of the program, for vault.configured
	Build    string // digest of the program's file

	TimestampRoots        []byte // certificates (PEM) that those of the configured time-stamp authorities come from, and those between
	DevelopmentTimestamps bool   // make the development authority, which proves nothing to outsiders

	firstKey    []byte // SPKI of the vault's own first key; nil is the one at hand
	authorities []tlog.Authority
	roots       [][]byte // certificates (DER) that time stamps must lead to
}

// DefaultPolicy is the one of RULES §8, §4 and §3: 7 days to confirm, 14 days in the bin, 72 hours after a withdrawal.
var DefaultPolicy = evidence.VaultPolicy{
	ConfirmWait:    int64((7 * 24 * time.Hour).Seconds()),
	DecisionTime:   int64((7 * 24 * time.Hour).Seconds()),
	BinWait:        int64((14 * 24 * time.Hour).Seconds()),
	WithdrawalWait: int64((72 * time.Hour).Seconds()),
	ReviewTime:     int64((72 * time.Hour).Seconds()),
	HoldTime:       int64((72 * time.Hour).Seconds()),
	BackupHorizon:  int64((30 * 24 * time.Hour).Seconds()),
}

// Found takes in the founders, writes trust.json and logs the first events. It can be repeated with the same founders after an
// interruption: what is there already stays as it is.
func Found(ctx context.Context, dir string, o Options, founding Founding) (tlog.Trust, error) {
	f := folder(dir)
	p, err := openParts(ctx, f, o)
	if err != nil {
		return tlog.Trust{}, err
	}
	defer p.close()
	if p.settings.Records == inPostgreSQL {
		// From here the database is this vault's.
		if err := p.records.SetMeta(ctx, ownerMeta, string(p.settings.Actor)); err != nil {
			return tlog.Trust{}, err
		}
	}
	founders, err := readFounders(p.settings.Origin, founding.Founders)
	if err != nil {
		return tlog.Trust{}, err
	}
	if founding.Witness, err = ownPolicy(p.settings.Origin, p.keys[postQuantumKey], founding.Witness); err != nil {
		return tlog.Trust{}, err
	}
	if founding.authorities, founding.roots, err = p.foundTimestamps(ctx, founding); err != nil {
		return tlog.Trust{}, err
	}
	trust, err := p.makeTrust(founders, founding)
	if err != nil {
		return tlog.Trust{}, err
	}
	// What the law refuses is refused before the trust file says it for good.
	configuration, err := p.configuration(founding, trust)
	if err != nil {
		return tlog.Trust{}, err
	}
	if err := configuration.Check(); err != nil {
		return tlog.Trust{}, fmt.Errorf("the first configuration: %w", err)
	}
	if old, err := os.ReadFile(f.trust()); err == nil && string(old) != string(trust.Marshal()) {
		return tlog.Trust{}, errors.New("this vault was founded with other founders or witnesses")
	}
	// The trust file comes first: from here the vault has these founders and no others.
	if err := writeFile(f.trust(), trust.Marshal(), 0o644); err != nil {
		return tlog.Trust{}, err
	}
	if err := p.start(ctx, trust); err != nil {
		return tlog.Trust{}, err
	}
	return trust, p.firstEvents(ctx, founders, configuration)
}

// readFounders checks that each founder enrolled itself for this vault, and that the two roles are there.
func readFounders(origin string, files [][]byte) ([]*custody.Signed, error) {
	var founders []*custody.Signed
	have := make(map[evidence.Role]bool)
	for i, file := range files {
		statement, err := custody.Open(file)
		if err != nil {
			return nil, fmt.Errorf("founder %d: this is not a founder file: %w", i+1, err)
		}
		d, ok := statement.Event().Details.(*evidence.ActorEnrolledDetails)
		if !ok || statement.Event().Vault != origin {
			return nil, fmt.Errorf("founder %d: the file was made for another vault; this one is %s", i+1, origin)
		}
		spki, err := custody.ParseSPKI(d.Key)
		if err != nil {
			return nil, fmt.Errorf("founder %d: %w", i+1, err)
		}
		signed, err := statement.Verify(spki)
		if err != nil {
			return nil, fmt.Errorf("founder %d: %w", i+1, err)
		}
		// What the law refuses is refused before the trust file names it for good.
		who := evidence.Founder{Actor: statement.Event().Actor.ID, Role: d.Role, Key: signed.KeyID()}
		facts := evidence.Facts{Origin: origin, Founders: []evidence.Founder{who}}
		if _, err := evidence.Apply(facts, statement.Event(), signed.LeafHash()); err != nil {
			return nil, fmt.Errorf("founder %d: %w", i+1, err)
		}
		have[d.Role] = true
		founders = append(founders, signed)
	}
	if !have[evidence.Administrator] || !have[evidence.Custodian] {
		return nil, errors.New("a vault needs at least one administrator and one custodian as founders")
	}
	return founders, nil
}

func (p *parts) makeTrust(founders []*custody.Signed, founding Founding) (tlog.Trust, error) {
	own := founding.firstKey
	if own == nil {
		own = p.keys[vaultKey].SPKI()
	}
	list := []tlog.Founder{{Actor: string(p.settings.Actor), Key: own, Role: string(evidence.Vault)}}
	for _, f := range founders {
		who := f.Event().Actor
		list = append(list, tlog.Founder{Actor: string(who.ID), Key: f.SPKI(), Role: string(who.Role)})
	}
	start := tlog.Valid{Start: p.settings.Made}
	primary, ok := p.keys[logKey].Public().(*ecdsa.PublicKey)
	if !ok {
		return tlog.Trust{}, keys.ErrUnsupported
	}
	return tlog.NewTrust(tlog.TrustParts{
		Vault: p.settings.Origin, Founders: list,
		Logs:          []tlog.Log{{Key: primary, Valid: start}, {Key: p.keys[logNoteKey].Public(), Valid: start}},
		WitnessPolicy: founding.Witness, Authorities: founding.authorities, TimestampRoots: founding.roots,
	})
}

// configuration is what the first configuration of a vault says. Its witnesses are those of the trust file.
func (p *parts) configuration(founding Founding, trust tlog.Trust) (*evidence.VaultConfiguredDetails, error) {
	builds, err := builds(founding.Build)
	return &evidence.VaultConfiguredDetails{
		Rules: evidence.RulesVersion, Recovery: founding.Recovery, Policy: founding.Policy, LogKeys: p.logKeys(), Witness: founding.Witness,
		Version: founding.Version, Builds: builds, TimestampRoots: rootDigests(trust.TimestampRoots()),
	}, err
}

// firstEvents logs the enrolments of the vault itself and of the founders, then the first configuration.
func (p *parts) firstEvents(ctx context.Context, founders []*custody.Signed, configuration *evidence.VaultConfiguredDetails) error {
	self := evidence.ActorOf(p.settings.Actor)
	own := &evidence.Event{Kind: evidence.ActorEnrolled, Details: &evidence.ActorEnrolledDetails{
		Keys: evidence.Keys{Key: base64.StdEncoding.EncodeToString(p.keys[vaultKey].SPKI())}, Role: evidence.Vault,
	}}
	if err := p.foundOnce(ctx, self, func(f evidence.Facts) (*custody.Signed, error) { return p.author.Sign(own, self, f, p.options.Now()) }); err != nil {
		return err
	}
	for _, founder := range founders {
		stream := founder.Event().Stream.Stream()
		if err := p.foundOnce(ctx, stream, func(evidence.Facts) (*custody.Signed, error) { return founder, nil }); err != nil {
			return err
		}
	}
	policy := evidence.PolicyOf(p.settings.Origin)
	first := &evidence.Event{Kind: evidence.VaultConfigured, Details: configuration}
	return p.foundOnce(ctx, policy, func(f evidence.Facts) (*custody.Signed, error) {
		return p.author.Sign(first, policy, f, p.options.Now())
	})
}

// builds are the digests of the programs in service (RULES §3.7): the server's own, if it is known, and those that it hands to browsers.
func builds(own string) ([]string, error) {
	list, err := web.Programs()
	if own != "" {
		list = append([]string{own}, list...)
	}
	return list, err
}

func (p *parts) logKeys() []string {
	var list []string
	for _, name := range []string{logKey, logNoteKey} {
		list = append(list, base64.StdEncoding.EncodeToString(p.keys[name].SPKI()))
	}
	return list
}

// foundOnce logs the first event of a stream, unless the stream has begun.
func (p *parts) foundOnce(ctx context.Context, s evidence.Stream, sign func(evidence.Facts) (*custody.Signed, error)) error {
	author := evidence.ActorOf(p.settings.Actor)
	states, err := p.records.States(ctx, s, author)
	if err != nil || states[s] != nil {
		return err
	}
	signed, err := sign(evidence.Facts{Origin: p.settings.Origin, States: states})
	if err != nil {
		return err
	}
	return p.vault.Found(ctx, signed)
}
