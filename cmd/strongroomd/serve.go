package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/config"
	"strongroom.example/strongroom/internal/daemon"
	"strongroom.example/strongroom/internal/ledger"
)

// site is where and how a vault is served.
type site struct {
	listen, cert, key, addressFile string
	proxies                        []string
	drain                          time.Duration
}

// configured takes from the configuration what no flag says.
func (s *site) configured(c config.Serve, given func(flag string) bool) {
	if !given("listen") && c.Listen != "" {
		s.listen = c.Listen
	}
	if !given("tls-cert") {
		s.cert, s.key = c.CertFile, c.KeyFile
	}
	if !given("trusted-proxy") {
		s.proxies = c.TrustedProxies
	}
	if !given("drain") {
		s.drain = c.Drain
	}
}

func serveCommand() *cobra.Command {
	var p place
	var s site
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the vault",
		Long: `Opens the vault, checks that log, records and last checkpoint belong together, and
serves until it is told to stop (Ctrl-C or SIGTERM). It speaks TLS 1.3 and
nothing else.

On an address that other machines can reach it needs a certificate. For clients
on this machine it makes one itself and keeps it in the vault's folder; give
them the address that is printed as a whole: what follows the # is the
certificate's number, and they accept no other.

What the flags do not say stands in the configuration; strongroomd config show
explains it. Without one the vault is served from its folder, on this machine.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			configured, err := daemon.ReadConfig(p.data, p.config)
			if err != nil {
				return err
			}
			s.configured(configured.Serve, c.Flags().Changed)
			return serve(c.Context(), p, s, configured.Logging)
		},
	}
	p.flags(c)
	c.Flags().StringVar(&s.listen, "listen", config.DefaultListen, "address to listen on; port 0 takes a free one")
	c.Flags().StringVar(&s.cert, "tls-cert", "", "certificate chain (PEM)")
	c.Flags().StringVar(&s.key, "tls-key", "", "the certificate's key (PEM)")
	c.Flags().StringVar(&s.addressFile, "address-file", "", "write the address to this file once the vault is open")
	c.Flags().StringArrayVar(&s.proxies, "trusted-proxy", nil,
		"network of a proxy (10.0.0.0/8) whose X-Forwarded-For says where requests come from; repeat it for each")
	c.Flags().DurationVar(&s.drain, "drain", 0, "how long to go on after being told to stop, until load balancers have noticed")
	c.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	return c
}

func serve(ctx context.Context, p place, s site, says config.Logging) (err error) {
	options := p.options()
	options.Logger, options.Drain = logger(os.Stderr, says), s.drain
	if options.TrustedProxies, err = networks(s.proxies); err != nil {
		return err
	}
	certificate, err := s.certificate()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	defer l.Close()
	d, err := daemon.Open(ctx, p.data, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	address := "https://" + l.Addr().String()
	if certificate == nil {
		own, err := d.Loopback()
		if err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
		certificate, address = own.Certificate, address+"#sha256:"+own.Fingerprint().String()
	}
	fmt.Fprintf(os.Stderr, "Serving    %s\nAddress    %s\n%s", d.Origin(), address, watched(d.Witnessed()))
	if s.addressFile != "" {
		if err := os.WriteFile(s.addressFile, []byte(address+"\n"), 0o600); err != nil {
			return err
		}
	}
	return d.Serve(ctx, l, certificate)
}

// watched says by whom the log is watched, and how far they are.
func watched(s ledger.Status) string {
	if len(s.Witnesses)+len(s.Authorities) == 0 {
		return "Watched    by nobody: the operator alone vouches that there is no other history\n"
	}
	need := "none is needed"
	if s.Required {
		need = "courts wait for them"
	}
	return fmt.Sprintf("Watched    by %d witnesses and %d time-stamp authorities, %s; %d entries are not final\n",
		len(s.Witnesses), len(s.Authorities), need, s.Behind)
}

// certificate reads the given one. None is nil, and good enough only where no other machine comes.
func (s site) certificate() (daemon.Certificate, error) {
	if s.cert != "" {
		pair, err := tls.LoadX509KeyPair(s.cert, s.key)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		return func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }, nil
	}
	host, _, err := net.SplitHostPort(s.listen)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("without --tls-cert and --tls-key only loopback addresses are served")
	}
	return nil, nil
}

func networks(list []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, text := range list {
		n, ok := config.ParseNetwork(text)
		if !ok {
			return nil, fmt.Errorf("--trusted-proxy %s is not a network such as 10.0.0.0/8", text)
		}
		networks = append(networks, n)
	}
	return networks, nil
}
