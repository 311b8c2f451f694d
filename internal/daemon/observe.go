package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"net"
	"strings"
	"time"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/custody"
	"strongroom.example/strongroom/internal/evidence"
	"strongroom.example/strongroom/internal/ledger"
	"strongroom.example/strongroom/internal/telemetry"
	"strongroom.example/strongroom/internal/trail"
	"strongroom.example/strongroom/internal/vault"
)

// ReadConfig reads the configuration of the vault in a folder: a file of the operator's, or "" for the one in the folder, if there is one.
func ReadConfig(dir, file string) (config.Config, error) { return folder(dir).readConfig(file) }

// monitoring is what tells of a vault that is served; nil tells nobody.
type monitoring struct {
	*telemetry.Telemetry
	listener net.Listener // nil without metrics
}

// closeTime is how long spans that are left may take to be sent.
const closeTime = 5 * time.Second

// observed begins to count, and to make traces, if the configuration asks for either. What is opened with the context that it returns is
// watched.
func (o *Options) observed(ctx context.Context, dir string) (context.Context, error) {
	c, err := folder(dir).readConfig(o.ConfigFile)
	if err != nil || c.Metrics == nil && c.Traces == nil {
		return ctx, err
	}
	about := telemetry.Options{Program: o.Tool.Name, Version: o.Tool.Version, Logger: o.Logger}
	if t := c.Traces; t != nil {
		about.Traces = &telemetry.Traces{Endpoint: t.Endpoint, CAFile: t.CAFile, Sample: config.DefaultSample}
		if t.Sample != nil {
			about.Traces.Sample = *t.Sample
		}
	}
	m := &monitoring{}
	if c.Metrics != nil {
		if m.listener, err = net.Listen("tcp", c.Metrics.Address()); err != nil {
			return ctx, err
		}
	}
	if m.Telemetry, err = telemetry.New(ctx, about); err != nil {
		return ctx, errors.Join(err, m.close())
	}
	o.monitoring = m
	return m.Watched(ctx), nil
}

func (m *monitoring) close() error {
	if m == nil {
		return nil
	}
	var errs []error
	if m.listener != nil {
		if err := m.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if m.Telemetry != nil {
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		errs = append(errs, m.Close(ctx))
	}
	return errors.Join(errs...)
}

// observe is told of each request; nil if nobody is.
func (m *monitoring) observe() trail.Observe {
	if m == nil {
		return nil
	}
	return m.Observe
}

// monitor answers monitoring until the function that it returns is called: longer than anybody else is, so that the end is seen too.
func (d *Daemon) monitor(c Certificate) (stop func()) {
	p := d.parts
	m := p.options.monitoring
	if m == nil || m.listener == nil {
		return func() {}
	}
	m.Read(func() telemetry.Present { return p.present(c) }, p.kept)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	p.options.Logger.Info("metrics_served", "address", m.listener.Addr().String())
	go func() {
		defer close(ended)
		if err := m.Serve(ctx, m.listener, d.handler, p.options.Logger); err != nil {
			p.options.Logger.Error("metrics_failed", "err", err)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

// present is what this process knows of the vault.
func (p *parts) present(c Certificate) telemetry.Present {
	status, size := p.ledger.Witnessed(), p.ledger.Size()
	n := telemetry.Present{Size: size, Stopped: p.ledger.Sound() != nil, FinalBehind: status.Behind, Swept: p.vault.Swept(), CertificateEnds: ends(c)}
	if !status.Since.IsZero() {
		n.FinalWaits = max(0, p.options.Now().Sub(status.Since))
	}
	each := func(list []ledger.Peer) (told []telemetry.Peer) {
		for _, peer := range list {
			told = append(told, telemetry.Peer{
				Name: peer.Name, Signed: peer.At, Behind: max(0, size-peer.Size), Failing: peer.State == ledger.Failing || peer.State == ledger.Alarm,
				Alarm: peer.State == ledger.Alarm,
			})
		}
		return told
	}
	n.Witnesses, n.Authorities = each(status.Witnesses), each(status.Authorities)
	pool := func(name string, s sql.DBStats) telemetry.Pool {
		return telemetry.Pool{Name: name, InUse: s.InUse, Idle: s.Idle, Waits: s.WaitCount, Waited: s.WaitDuration}
	}
	write, read := p.records.Pools()
	n.Pools = []telemetry.Pool{pool("write", write), pool("read", read)}
	return n
}

// ends is when the certificate ends that is shown, the zero time if none can be.
func ends(c Certificate) time.Time {
	pair, err := c(&tls.ClientHelloInfo{})
	if err != nil || pair == nil || len(pair.Certificate) == 0 {
		return time.Time{}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return time.Time{}
	}
	return leaf.NotAfter
}

// kept is what the records say of the vault.
func (p *parts) kept(ctx context.Context) (n telemetry.Kept, err error) {
	now := p.options.Now()
	g, err := p.records.Gauges(ctx, now)
	if err != nil {
		return n, err
	}
	n = telemetry.Kept{
		Pending: g.Pending, Uploads: g.Uploads, UploadBytes: g.UploadBytes, Leases: make(map[string]bool),
		Late: map[string]int64{"uploads": g.LateUploads, "grants": g.LateGrants},
	}
	if n.OldestPending, err = p.oldest(ctx, now); err != nil {
		return n, err
	}
	stream := evidence.VaultOf(p.settings.Origin)
	states, err := p.records.States(ctx, stream)
	if err != nil {
		return n, err
	}
	n.HeadsBehind = p.ledger.Size()
	if heads, ok := states[stream].(*evidence.HeadsState); ok {
		n.HeadsBehind = max(0, n.HeadsBehind-heads.Covers)
	}
	if err := p.keptLeases(ctx, &n); err != nil {
		return n, err
	}
	if theirs, err := p.records.Clock(ctx); err != nil {
		return n, err
	} else if !theirs.IsZero() {
		ahead := p.options.Now().Sub(theirs)
		n.ClockAhead = &ahead
	}
	scrub, err := p.lastScrub(ctx)
	n.Scrubbed, n.Damaged, n.Unread = scrub.Ended, scrub.Damaged, scrub.Unread
	return n, err
}

// oldest is how long ago the first event was signed that is not in the log.
func (p *parts) oldest(ctx context.Context, now time.Time) (time.Duration, error) {
	first, err := p.records.Pending(ctx, 1)
	if err != nil || len(first) == 0 {
		return 0, err
	}
	statement, err := custody.Open(first[0].Leaf.Extra)
	if err != nil {
		return 0, err
	}
	return max(0, now.Sub(statement.Event().Time.Std())), nil
}

// keptLeases says which of the work this process does that one does for all.
func (p *parts) keptLeases(ctx context.Context, n *telemetry.Kept) error {
	leases, err := p.records.Leases(ctx, "")
	for _, l := range leases {
		switch {
		case strings.HasPrefix(l.Work, replicaWork):
			if l.Running {
				n.Replicas++
			}
		case l.Work == logWork || l.Work == scrubWork || l.Work == vault.SweepWork:
			n.Leases[l.Work] = l.Running && l.Holder == p.process()
		}
	}
	return err
}
