package daemon

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/mod/sumdb/note"

	"strongroom.example/strongroom/internal/auth"
	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/keys"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/objects"
	"strongroom.example/strongroom/internal/sqldb"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/vault"
)

// Options are how a vault is run, not what it is.
type Options struct {
	PassphraseFile string   // of the keys; "" is the one that init made
	Keys           KeyNames // for Create: URIs of keys in a KMS
	PostQuantum    bool     // for Create: a key of ML-DSA-44 for the log, too, as a file
	ConfigFile     string   // "" is strongroomd.yaml in the vault's folder, if there is one
	Tool           evidence.Tool
	Limits         vault.Limits
	Now            func() time.Time
	Logger         *slog.Logger
	TrustedProxies []netip.Prefix // in front of the server, believed about where requests come from
	Drain          time.Duration  // that Serve goes on, and says so, after it was told to stop: until nobody sends it anything new

	replica    bool // with others, where the vault is shared
	monitoring *monitoring
}

// parts are the opened pieces of one vault, in the order in which they stand on each other.
type parts struct {
	options  Options
	settings settings
	folder   folder
	keys     map[string]*keys.Signer
	records  *sqldb.DB
	tree     tree
	lease    *lease // of a vault that other machines can reach
	objects  objects.Store
	author   ledger.Author
	founders []evidence.Founder
	ledger   *ledger.Ledger
	vault    *vault.Vault
	auth     *auth.Auth
	config   config.Config

	readiness    readiness
	clock        clock
	draining     atomic.Bool
	scrubLease   time.Duration // scrubTime, but for tests
	timestampers []timestamper
}

// openParts opens what lies on disk; start begins to work with it.
func openParts(ctx context.Context, f folder, o Options) (p *parts, err error) {
	p = &parts{options: o, folder: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.close())
		}
	}()
	if err = f.settle(); err != nil {
		return p, err
	}
	if p.settings, err = f.readSettings(); err != nil {
		return p, err
	}
	if p.config, err = f.readConfig(o.ConfigFile); err != nil {
		return p, err
	}
	if err = p.settings.agrees(p.config); err != nil {
		return p, err
	}
	if p.keys, err = f.openKeys(ctx, p.settings, o.PassphraseFile); err != nil {
		return p, err
	}
	if p.settings.Keys.PostQuantum != "" && p.keys[postQuantumKey] == nil {
		p.options.Logger.Warn("the log's post-quantum key is lost; it signs without it until two people decide on another: strongroomd rotate plan --post-quantum, or --no-post-quantum")
	}
	p.author = ledger.Author{ID: p.settings.Actor, SPKI: p.keys[vaultKey].SPKI(), Signer: p.keys[vaultKey], Tool: o.Tool}
	if next := p.keys[nextVaultKey]; next != nil {
		p.author.Next = &ledger.OwnKey{SPKI: next.SPKI(), Signer: next}
	}
	if err = p.openStores(ctx); err != nil {
		return p, err
	}
	p.objects, err = f.openObjects(ctx, p.config.Objects, p.settings.Origin, !p.shared())
	return p, err
}

// openStores opens log and records, for nobody else to work on: the lock on the log's file says so, or the lease. Replicas of a
// shared vault work on them together.
func (p *parts) openStores(ctx context.Context) (err error) {
	if p.tree, err = p.folder.openLog(ctx, p.settings, p.config.Log, p.options); err != nil {
		return err
	}
	if p.records, err = p.folder.openRecords(ctx, p.config.Records); err != nil {
		return err
	}
	if !p.settings.outside() {
		return nil
	}
	if p.lease, err = takeLease(ctx, p.records, p.options, p.options.replica && p.shared(), p.watchClock); err != nil || p.settings.Records == "" {
		return err
	}
	return p.own(ctx)
}

// start checks log and records against each other, and lets events in.
func (p *parts) start(ctx context.Context, trust tlog.Trust) (err error) {
	p.founders = founders(trust)
	if err := p.checkKeys(ctx, trust); err != nil {
		return err
	}
	if err := p.openTimestamps(trust); err != nil {
		return err
	}
	config, err := p.ledgerConfig(trust)
	if err != nil {
		return err
	}
	if p.ledger, err = ledger.Open(ctx, config); err != nil {
		return err
	}
	p.vault = vault.New(vault.Config{
		Origin: p.settings.Origin, Founders: p.founders, Records: p.records, Objects: watchedObjects{p.objects}, Ledger: p.ledger, Author: p.author,
		Now: p.options.Now, Logger: p.options.Logger, Limits: p.options.Limits,
		Process: p.process(),
	})
	p.auth, err = auth.New(p.settings.Origin, p.records, p.records, p.options.Now)
	return err
}

// founders are those of the trust file, as the law knows them.
func founders(trust tlog.Trust) []evidence.Founder {
	var list []evidence.Founder
	for _, f := range trust.Founders() {
		list = append(list, evidence.Founder{Actor: evidence.ActorID(f.Actor), Role: evidence.Role(f.Role), Key: custody.KeyID(f.Key)})
	}
	return list
}

func (p *parts) ledgerConfig(trust tlog.Trust) (ledger.Config, error) {
	var signers []note.Signer
	for _, name := range []string{logKey, logNoteKey, postQuantumKey} {
		if p.keys[name] == nil {
			continue
		}
		signer, err := p.keys[name].NoteSigner(p.settings.Origin)
		if err != nil {
			return ledger.Config{}, err
		}
		signers = append(signers, signer)
	}
	logID, err := tlog.LogID(p.keys[logKey].Public())
	if err != nil {
		return ledger.Config{}, err
	}
	client, err := witnessClient(p.config.Witnesses)
	return ledger.Config{
		Origin: p.settings.Origin, Founders: p.founders, Records: p.records, Tree: watchedTree{p.tree}, Signers: signers, Keys: trust.LogKeys(), LogID: logID,
		CheckpointFile: p.folder.checkpoint(), Vault: p.author, Now: p.options.Now, Logger: p.options.Logger,
		Lead: p.lead(), Trust: trust, HTTP: client, Authorities: p.authorities(trust), Stamped: stamped(p.config.Timestamps),
	}, err
}

func (p *parts) close() error {
	var errs []error
	p.readiness.asking.Wait()
	if p.ledger != nil {
		errs = append(errs, p.ledger.Close())
	}
	if p.objects != nil {
		errs = append(errs, p.objects.Close())
	}
	p.release(logWork, scrubWork, vault.SweepWork)
	if p.lease != nil {
		errs = append(errs, p.lease.close())
	}
	if p.records != nil {
		errs = append(errs, p.records.Close())
	}
	if p.tree != nil {
		errs = append(errs, p.tree.Close())
	}
	return errors.Join(errs...)
}

// open opens a founded vault and starts it.
func open(ctx context.Context, dir string, o Options) (*parts, error) {
	f := folder(dir)
	if err := f.settle(); err != nil {
		return nil, err
	}
	_, trust, err := f.inUse()
	if err != nil {
		return nil, err
	}
	p, err := openParts(ctx, f, o)
	if err != nil {
		return nil, err
	}
	if err := p.start(ctx, trust); err != nil {
		return nil, errors.Join(err, p.close())
	}
	// The first configuration is the last of the founding events.
	policy := evidence.PolicyOf(p.settings.Origin)
	states, err := p.records.States(ctx, policy)
	if err == nil && states[policy] == nil {
		err = ErrNotFounded
	}
	if err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}
