package client

import (
	"context"
	"encoding/base64"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
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

// Doer sends a request and follows no redirect: an *http.Client that is told so, or a browser. It is safe for concurrent use.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Config is what a client stands on.
type Config struct {
	Keystore Keystore
	Signer   Signer
	// Unlock returns the person's age identity. It is asked once, when something is to be opened: it may ask for a passphrase. Roles
	// without an identity leave it nil.
	Unlock func() (sealing.Identity, error)
	// HTTP is nil for the one that holds to the profile's Address. Who gives another, as tests and browsers do, answers for the whole way to
	// the vault: then alone an address may be http. In a browser there is no other.
	HTTP Doer
	Tool evidence.Tool
	Now  func() time.Time
	// Page returns the verifier as one page, which packages take along (FORMATS §11, VERIFY.html): nil if there is none. A nil Page is none.
	Page func(ctx context.Context) ([]byte, error)
}

// Client acts for one person in one vault. It is safe for concurrent use, but for AnswerInvitation, which makes it that person's.
type Client struct {
	cfg     Config
	profile string // its Address, whole
	address string // what comes before a request's path
	trust   tlog.Trust
	actor   evidence.ActorID
	pause   func(ctx context.Context, d time.Duration) error // between attempts; tests make it short

	identity struct {
		sync.Mutex
		key *sealing.Identity
	}
	session session
	clock   clock
	known   known
	memory  memory
	ground  ground
	bucket  bucket
}

// session is a sign-in of the person's.
type session struct {
	sync.Mutex // held while signing in, so that one sign-in serves all who wait
	token      string
	until      time.Time // by the vault's clock
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
	url := profile.Address
	address, err := ParseAddress(url)
	switch {
	case err == nil:
		url = address.URL()
		if cfg.HTTP == nil {
			cfg.HTTP = defaultHTTP(address)
		}
	case cfg.HTTP == nil || evidence.ReasonOf(err) != "not_encrypted":
		return nil, err
	}
	c := &Client{cfg: cfg, profile: profile.Address, address: url, trust: trust, actor: profile.Actor, pause: pause}
	c.clock.now = cfg.Now
	c.ground.client = c
	c.known.receipts = make(map[evidence.Stream][][]byte)
	return c, c.memory.load(cfg.Keystore, trust)
}

// Vault is the origin of the vault that this client works with.
func (c *Client) Vault() string { return c.trust.Vault() }

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
	d := retryAfter(cause) + p.next/2 + rand.N(p.next) //#nosec G404 -- spaces attempts, hides nothing
	p.next = min(2*p.next, p.longest)
	if err := c.pause(ctx, d); err != nil {
		return errors.Join(cause, err)
	}
	return nil
}

// patiently repeats what can be repeated, while the way to the vault is what is wrong.
func (c *Client) patiently(ctx context.Context, do func() error) error {
	patience := patience{next: 500 * time.Millisecond, longest: 15 * time.Second, left: 10}
	for {
		err := do()
		if !connection(ctx, err) || evidence.ReasonOf(err) == reasonFull || evidence.ReasonOf(err) == "upload_quota" {
			return err
		}
		if err := patience.wait(ctx, c, err); err != nil {
			return err
		}
	}
}

// lossy repeats a question whose answer got lost on the way. A vault that cannot be reached at all is told at once.
func lossy[T any](ctx context.Context, c *Client, ask func() (T, error)) (T, error) {
	patience := patience{next: 250 * time.Millisecond, longest: 2 * time.Second, left: 5}
	for {
		answer, err := ask()
		var dial *net.OpError
		if evidence.KindOf(err) != evidence.Internal || !connection(ctx, err) || errors.As(err, &dial) && dial.Op == "dial" {
			return answer, err
		}
		if err := patience.wait(ctx, c, err); err != nil {
			return answer, err
		}
	}
}
