package daemon

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/timestamping"
	"strongroom.example/strongroom/internal/tlog"
)

const (
	developmentFile = "development-timestamps.pem" // in keys/, not encrypted: it proves nothing to anybody
	clockDrift      = 2 * time.Minute              // between our clock and an authority's, from where it is told
	crlInterval     = 24 * time.Hour
	crlAgain        = time.Hour // after a failure
)

// timestamper is one authority as the vault asks it: ask returns a stamp in its one form, and its certificates up to the root.
type timestamper struct {
	name, url string
	ask       func(ctx context.Context, message []byte) (response []byte, chain [][]byte, err error)
	crl       func(ctx context.Context) ([]byte, error) // nil where the configuration names no list
}

// timestampers are the configured authorities, and the development authority where init made one.
func (f folder) timestampers(c config.Timestamps, roots, intermediates []*x509.Certificate, origin string, now func() time.Time) ([]timestamper, error) {
	var list []timestamper
	for _, a := range c.Authorities {
		o := timestamping.Options{URL: a.URL, Policy: a.Policy, Timeout: a.Timeout, CRL: a.CRL, Roots: roots, Intermediates: intermediates}
		if a.CAFile != "" {
			text, err := os.ReadFile(a.CAFile)
			if err == nil {
				var others []*x509.Certificate
				o.CA, others, err = timestamping.ParseCertificates(text)
				o.CA = append(o.CA, others...)
			}
			if err != nil {
				return nil, fmt.Errorf("time-stamp authority %s: ca_file: %w", a.Name, err)
			}
		}
		client, err := timestamping.New(o)
		if err != nil {
			return nil, fmt.Errorf("time-stamp authority %s: %w", a.Name, err)
		}
		t := timestamper{name: a.Name, url: a.URL, ask: client.Ask}
		if a.CRL != "" {
			t.crl = client.CRL
		}
		list = append(list, t)
	}
	file, err := os.ReadFile(f.development())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return list, nil
	case err != nil:
		return nil, err
	}
	development, err := timestamping.OpenDevelopment(file, now)
	if err != nil {
		return nil, fmt.Errorf("keys/%s: %w", developmentFile, err)
	}
	return append(list, timestamper{name: config.Development, url: "https://" + origin, ask: development.Ask}), nil
}

// foundTimestamps finds what a new trust file says of time stamps: the roots that they must lead to and, for stock tools, which authorities
// there are. Each is asked once: its chain is in its answer. What a trust file says that is there already stays.
func (p *parts) foundTimestamps(ctx context.Context, founding Founding) (authorities []tlog.Authority, trusted [][]byte, err error) {
	if text, err := os.ReadFile(p.folder.trust()); err == nil {
		old, err := tlog.ParseTrust(text)
		if err != nil {
			return nil, nil, fmt.Errorf("trust.json: %w", err)
		}
		return old.Authorities(), old.TimestampRoots(), nil
	}
	var roots, intermediates []*x509.Certificate
	if len(founding.TimestampRoots) > 0 {
		if roots, intermediates, err = timestamping.ParseCertificates(founding.TimestampRoots); err != nil {
			return nil, nil, fmt.Errorf("time-stamp roots: %w", err)
		}
	}
	if (len(roots) > 0) != (len(p.config.Timestamps.Authorities) > 0) {
		return nil, nil, errTimestamps
	}
	if founding.DevelopmentTimestamps {
		root, err := p.folder.makeDevelopment()
		if err != nil {
			return nil, nil, err
		}
		roots = append(roots, root)
	}
	list, err := p.folder.timestampers(p.config.Timestamps, roots, intermediates, p.settings.Origin, p.options.Now)
	if err != nil {
		return nil, nil, err
	}
	if !founding.DevelopmentTimestamps { // an interrupted attempt may have made one
		list = slices.DeleteFunc(list, func(a timestamper) bool { return a.name == config.Development })
	}
	asked, err := askEach(ctx, list, p.settings)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range asked {
		authorities = append(authorities, a.listed())
	}
	for _, root := range roots {
		trusted = append(trusted, root.Raw)
	}
	return authorities, trusted, nil
}

// authority is one as a trust file lists it, for stock tools.
type authority struct {
	URI   string    `json:"uri"`
	Chain [][]byte  `json:"chain"` // DER, from its own certificate up to the root
	Start time.Time `json:"start"`
}

func (a authority) listed() tlog.Authority {
	return tlog.Authority{URI: a.URI, Chain: a.Chain, Valid: tlog.Valid{Start: a.Start}}
}

// askEach asks each authority once: its chain is in its answer. What it stamps counts from the vault's beginning, for it may have been asked
// before it is listed.
func askEach(ctx context.Context, list []timestamper, s settings) (asked []authority, err error) {
	for _, a := range list {
		_, chain, err := a.ask(ctx, []byte(s.Origin))
		if err != nil {
			return nil, fmt.Errorf("time-stamp authority %s: %w", a.name, err)
		}
		asked = append(asked, authority{a.url, chain, s.Made})
	}
	return asked, nil
}

// furtherAuthorities are those of the configuration that a trust file does not list, with the certificates they have now: stock tools refuse
// a receipt with a stamp by one of which they were not told.
func (f folder) furtherAuthorities(ctx context.Context, o Options, s settings, trust tlog.Trust, roots [][]byte) ([]authority, error) {
	c, err := f.readConfig(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	trusted, err := parseAll(roots)
	if err != nil {
		return nil, err
	}
	intermediates, err := intermediates(trust)
	if err != nil {
		return nil, err
	}
	list, err := f.timestampers(c.Timestamps, trusted, intermediates, s.Origin, o.Now)
	if err != nil {
		return nil, err
	}
	// The development authority is listed since the vault was made, or not in use.
	list = slices.DeleteFunc(list, func(a timestamper) bool { return a.name == config.Development })
	asked, err := askEach(ctx, list, s)
	return slices.DeleteFunc(asked, func(a authority) bool {
		return slices.ContainsFunc(trust.Authorities(), func(l tlog.Authority) bool { return bytes.Equal(l.Chain[0], a.Chain[0]) })
	}), err
}

// intermediates are the certificates between the authorities that a trust file lists and their roots, and the roots.
func intermediates(trust tlog.Trust) (list []*x509.Certificate, err error) {
	for _, a := range trust.Authorities() {
		between, err := parseAll(a.Chain[1:])
		if err != nil {
			return nil, err
		}
		list = append(list, between...)
	}
	return list, nil
}

var errTimestamps = errors.New("time stamps need both: authorities in the configuration (timestamps), and the certificates that theirs come from (--timestamp-root)")

// makeDevelopment makes the development authority, unless an interrupted attempt has, and returns its root.
func (f folder) makeDevelopment() (*x509.Certificate, error) {
	file, err := os.ReadFile(f.development())
	if errors.Is(err, os.ErrNotExist) {
		if file, err = timestamping.MakeDevelopment(); err == nil {
			err = writeFile(f.development(), file, 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	made, err := timestamping.OpenDevelopment(file, time.Now)
	if err != nil {
		return nil, fmt.Errorf("keys/%s: %w", developmentFile, err)
	}
	return made.Root(), nil
}

func (f folder) development() string         { return f.path("keys", developmentFile) }
func (f folder) crl(authority string) string { return f.path("crl", authority+".crl") }

// openTimestamps opens the authorities for a vault at work: under the trust file's roots, whatever a configuration says now.
func (p *parts) openTimestamps(trust tlog.Trust) error {
	roots, err := parseAll(trust.TimestampRoots())
	if err != nil {
		return err
	}
	intermediates, err := intermediates(trust)
	if err != nil {
		return err
	}
	if p.timestampers, err = p.folder.timestampers(p.config.Timestamps, roots, intermediates, p.settings.Origin, p.options.Now); err != nil {
		return err
	}
	if (len(roots) > 0) != (len(p.timestampers) > 0) {
		p.options.Logger.Warn("timestamps_do_not_fit", "roots", len(roots), "authorities", len(p.timestampers))
	}
	if len(roots) == 0 {
		p.timestampers = nil // what they stamp would count for nothing
	}
	return nil
}

// authorities are those that the ledger asks.
func (p *parts) authorities(trust tlog.Trust) (list []ledger.Authority) {
	for _, a := range p.timestampers {
		list = append(list, ledger.Authority{Name: a.name, Stamp: func(ctx context.Context, message []byte) ([]byte, error) {
			response, _, err := a.ask(ctx, message)
			if err == nil {
				p.compareClocks(trust, a.name, response, message)
			}
			return response, err
		}})
	}
	return list
}

// compareClocks tells when our clock and an authority's are far apart: the time of every event here is ours.
func (p *parts) compareClocks(trust tlog.Trust, authority string, response, message []byte) {
	now := p.options.Now()
	stamp, err := trust.VerifyTimestamp(response, message)
	if err != nil {
		return // the ledger says so
	}
	if ahead := now.Sub(stamp.Time); ahead.Abs() > clockDrift+stamp.Accuracy {
		p.options.Logger.Warn("clock_drift", "authority", authority, "ahead_seconds", int64(ahead.Seconds()))
	}
}

// stamped reports which events are stamped by themselves. Heads are not: the checkpoint that holds them is.
func stamped(c config.Timestamps) func(evidence.Kind) bool {
	classes := config.Classes
	if c.Events != nil {
		classes = *c.Events
	}
	return func(kind evidence.Kind) bool {
		class, _, _ := strings.Cut(string(kind), ".")
		return kind != evidence.VaultHeads && slices.Contains(classes, class)
	}
}

// fetchRevocations keeps the authorities' revocation lists in the vault's folder, each as it was fetched last, until ctx ends.
func (p *parts) fetchRevocations(ctx context.Context) {
	if !slices.ContainsFunc(p.timestampers, func(a timestamper) bool { return a.crl != nil }) {
		return
	}
	for {
		wait := crlInterval
		for _, a := range p.timestampers {
			if a.crl == nil {
				continue
			}
			if err := p.fetchRevocation(ctx, a); err != nil && ctx.Err() == nil {
				wait = crlAgain
				p.options.Logger.Warn("revocation_list_not_fetched", "authority", a.name, "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (p *parts) fetchRevocation(ctx context.Context, a timestamper) error {
	list, err := a.crl(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(p.folder.path("crl"), 0o700); err != nil {
		return err
	}
	return writeFile(p.folder.crl(a.name), list, 0o600)
}

// revocations are the lists that were fetched last, by authority.
func (p *parts) revocations() (map[string][]byte, error) {
	lists := make(map[string][]byte)
	for _, a := range p.timestampers {
		list, err := os.ReadFile(p.folder.crl(a.name))
		if err == nil {
			lists[a.name] = list
		} else if !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	return lists, nil
}

func parseAll(ders [][]byte) (list []*x509.Certificate, err error) {
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}
