package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/httpapi"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/tlog"
	"strongroom.example/strongroom/internal/web"
)

const (
	sweepInterval = time.Minute
	drainTime     = 20 * time.Second // for requests under way when the server is told to stop
)

// Daemon is an open vault, ready to serve.
type Daemon struct {
	parts   *parts
	handler http.Handler
}

// Open opens a founded vault, checks that its parts belong to one history, and begins to take what is pending into the log. A shared vault
// others may serve as well.
func Open(ctx context.Context, dir string, o Options) (*Daemon, error) {
	o.replica = true
	ctx, err := o.observed(ctx, dir)
	if err != nil {
		return nil, err
	}
	p, err := open(ctx, dir, o)
	if err != nil {
		return nil, errors.Join(err, o.monitoring.close())
	}
	d, err := newDaemon(ctx, p)
	if err != nil {
		return nil, errors.Join(err, p.close(), o.monitoring.close())
	}
	return d, nil
}

func newDaemon(ctx context.Context, p *parts) (*Daemon, error) {
	text, err := os.ReadFile(p.folder.trust())
	if err != nil {
		return nil, err
	}
	trust, err := tlog.ParseTrust(text)
	if err != nil {
		return nil, err
	}
	if err := p.keepTrust(ctx, trust); err != nil {
		return nil, err
	}
	pages, err := web.New()
	if err != nil {
		return nil, err
	}
	config := httpapi.Config{
		Vault: p.vault, Auth: p.auth, TrustFingerprint: evidence.Hash(trust.Fingerprint()), TrustFile: p.trustFile, Revocations: p.revocations, Ready: p.ready, Pages: pages, Logger: p.options.Logger,
		Organizations: func() (map[evidence.OrgID]string, error) { return p.folder.readNames() },
		Now:           p.options.Now, TrustedProxies: p.options.TrustedProxies, Observe: p.options.monitoring.observe(),
	}
	if p.shared() {
		config.Shared = p.records
	}
	handler, err := httpapi.New(config)
	if err != nil {
		return nil, err
	}
	return &Daemon{p, handler}, nil
}

// trustMeta is before a trust file's thirty digits in the records' facts about the vault.
const trustMeta = "trust/"

func trustKey(fingerprint tlog.Hash) string {
	return trustMeta + strings.ReplaceAll(tlog.SixGroups(fingerprint), " ", "")
}

// keepTrust keeps the trust file for when there is a newer one: who pinned it, as a card does, has only its number (FORMATS §9). Records
// that were made again from the log know the present one alone.
func (p *parts) keepTrust(ctx context.Context, trust tlog.Trust) error {
	key, text := trustKey(trust.Fingerprint()), string(trust.Marshal())
	if kept, err := p.records.Meta(ctx, key); evidence.KindOf(err) != evidence.NotFound && (err != nil || kept == text) {
		return err
	}
	return p.records.SetMeta(ctx, key, text)
}

// trustFile finds the trust file with a number, which is its SHA-256 in hex or the thirty digits of that.
func (p *parts) trustFile(ctx context.Context, number string) (string, error) {
	full, err := evidence.ParseHash(number)
	if err != nil {
		return p.records.Meta(ctx, trustMeta+number)
	}
	text, err := p.records.Meta(ctx, trustKey(tlog.Hash(full)))
	if err == nil && evidence.SHA256([]byte(text)) != full {
		return "", evidence.Refuse(evidence.NotFound, "trust_file")
	}
	return text, err
}

// Origin is the vault's name.
func (d *Daemon) Origin() string { return d.parts.settings.Origin }

// Witnessed says how far those who watch the log from outside are.
func (d *Daemon) Witnessed() ledger.Status { return d.parts.ledger.Witnessed() }

// Handler is the whole HTTP surface.
func (d *Daemon) Handler() http.Handler { return d.handler }

// Close stops the ledger's worker and closes the stores.
func (d *Daemon) Close() error {
	return errors.Join(d.parts.close(), d.parts.options.monitoring.close())
}

// Certificate is what Serve shows: a pair from files, or Loopback.Certificate.
type Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// newServer bounds what a connection can use up before a handler knows who is there. Handlers give themselves more time where they need it
// (package httpapi).
func newServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second, // of the TLS handshake too
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		// Beyond four times as many that were begun and taken back, net/http ends the connection (rapid reset).
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: 100},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}

// listen speaks TLS 1.3 on a bounded number of connections of l, and nothing else.
func (d *Daemon) listen(l net.Listener, c Certificate) net.Listener {
	return tls.NewListener(newBounded(l, d.parts.options.TrustedProxies), &tls.Config{
		MinVersion: tls.VersionTLS13, GetCertificate: c, NextProtos: []string{"h2", "http/1.1"},
	})
}

// Serve answers on l, with TLS, logs which program does, and sweeps, until ctx ends; then it says on /readyz that it is draining, goes on for
// as long as the options say, and lets requests under way finish.
// It ends with ErrLeaseLost, and whatever is under way, once another process works on the vault alone, and with ErrRecordsNewer.
func (d *Daemon) Serve(ctx context.Context, l net.Listener, c Certificate) error {
	server := newServer(d.handler, d.parts.options.Logger)
	l = d.listen(l, c)
	defer d.monitor(c)()
	sweep, stopSweep := context.WithCancel(ctx)
	var sweeping sync.WaitGroup
	sweeping.Go(func() { d.parts.vault.SweepEvery(sweep, sweepInterval) })
	sweeping.Go(func() { d.attend(sweep) })
	sweeping.Go(func() { d.parts.fetchRevocations(sweep) })
	sweeping.Go(func() {
		if err := d.parts.nameVersion(sweep); err != nil && sweep.Err() == nil {
			d.parts.options.Logger.Error("version_not_logged", "err", err)
		}
	})
	defer sweeping.Wait() // the stores are closed after this
	defer stopSweep()

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-d.parts.taken():
		return errors.Join(d.parts.lease.why, server.Close())
	case <-ctx.Done():
	}
	d.parts.draining.Store(true)
	pause(context.WithoutCancel(ctx), d.parts.options.Drain)
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return server.Close() // uploads under way are resumed where they became durable
	}
	return nil
}
