package client

import (
	"context"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/sealing"
	"strongroom.example/strongroom/internal/tlog"
)

// Signer is the person's signing key with its public half (SPKI DER): a *custody.Key in memory, or one from package keys.
type Signer interface {
	custody.Signer
	SPKI() []byte
}

// Config is what a client stands on.
type Config struct {
	Keystore Keystore
	Signer   Signer
	// Unlock returns the person's age identity. It is asked once, when something is to be opened: it may ask for a passphrase. Roles
	// without an identity leave it nil.
	Unlock func() (sealing.Identity, error)
	HTTP   *http.Client // nil is one with this package's own time limits
	Tool   evidence.Tool
	Now    func() time.Time
}

// Client acts for one person in one vault. It is safe for concurrent use, but for AnswerInvitation, which makes it that person's.
type Client struct {
	cfg     Config
	address string
	trust   tlog.Trust
	actor   evidence.ActorID
	pause   func(ctx context.Context, d time.Duration) error // between attempts; tests make it short

	identity struct {
		sync.Mutex
		key *sealing.Identity
	}
	session struct {
		sync.Mutex // held while signing in, so that one sign-in serves all who wait
		token      string
		until      time.Time // by the vault's clock
	}
	clock  clock
	known  known
	memory memory
}

// New returns the client of the person whose profile and trust file the keystore holds.
func New(cfg Config) (*Client, error) {
	profile, err := ReadProfile(cfg.Keystore)
	if err != nil {
		return nil, err
	}
	trust, err := ReadTrust(cfg.Keystore)
	if err != nil {
		return nil, err
	}
	profile.Address = strings.TrimSuffix(profile.Address, "/")
	address, err := url.Parse(profile.Address)
	if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" ||
		address.Path != "" || address.RawQuery != "" || address.User != nil {
		return nil, evidence.Refuse(evidence.Invalid, "address")
	}
	if cfg.HTTP == nil {
		cfg.HTTP = defaultHTTP()
	}
	c := &Client{cfg: cfg, address: profile.Address, trust: trust, actor: profile.Actor, pause: pause}
	c.clock.now = cfg.Now
	c.known.receipts = make(map[evidence.Stream][][]byte)
	return c, c.memory.load(cfg.Keystore, trust)
}

// Actor is who the client acts for; "" before an invitation was answered.
func (c *Client) Actor() evidence.ActorID { return c.actor }

// Trust is the pinned trust file.
func (c *Client) Trust() tlog.Trust { return c.trust }

// unlock returns the age identity.
func (c *Client) unlock() (sealing.Identity, error) {
	c.identity.Lock()
	defer c.identity.Unlock()
	if c.identity.key == nil {
		if c.cfg.Unlock == nil {
			return sealing.Identity{}, evidence.Refuse(evidence.Invalid, evidence.ReasonKeys)
		}
		key, err := c.cfg.Unlock()
		if err != nil {
			return sealing.Identity{}, err
		}
		c.identity.key = &key
	}
	return *c.identity.key, nil
}

func (c *Client) publicKey() string { return base64.StdEncoding.EncodeToString(c.cfg.Signer.SPKI()) }

// clock is the device's clock, set by the vault's where they differ (FORMATS §3).
type clock struct {
	now func() time.Time

	mu    sync.Mutex
	drift time.Duration // vault minus device
}

// tolerated is a difference that needs no correction.
const tolerated = 3 * time.Second

// hear takes in what the vault's clock showed between two moments of this one.
func (k *clock) hear(vault, before, after time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.drift = vault.Sub(before.Add(after.Sub(before) / 2))
	if k.drift.Abs() <= tolerated {
		k.drift = 0
	}
}

// time is the vault's.
func (k *clock) time() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now().Add(k.drift)
}

// Drift is how far the vault's clock is ahead of this device's, zero within three seconds. It is shown to the person, because the
// statement's time is then the vault's word.
func (c *Client) Drift() time.Duration {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	return c.clock.drift
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// patience spaces attempts: by about next, which doubles up to longest, and never in step with others. It ends when none are left.
type patience struct {
	next, longest time.Duration
	left          int
}

func (p *patience) wait(ctx context.Context, c *Client, cause error) error {
	if p.left == 0 {
		return cause
	}
	p.left--
	d := p.next/2 + rand.N(p.next)
	p.next = min(2*p.next, p.longest)
	if err := c.pause(ctx, d); err != nil {
		return errors.Join(cause, err)
	}
	return nil
}
