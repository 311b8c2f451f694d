package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/spf13/cobra"

	"strongroom.example/strongroom/internal/daemon"
)

func serveCommand() *cobra.Command {
	var p place
	var listen, cert, key, addressFile string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve the vault",
		Long: `Opens the vault, checks that log, records and last checkpoint belong together, and
serves until it is told to stop (Ctrl-C or SIGTERM). On an address that other
machines can reach it needs a certificate.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := listener(listen, cert, key)
			if err != nil {
				return err
			}
			defer l.Close()
			return serve(c.Context(), p, l, addressFile, cert != "")
		},
	}
	p.flags(c)
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8443", "address to listen on; port 0 takes a free one")
	c.Flags().StringVar(&cert, "tls-cert", "", "certificate chain (PEM)")
	c.Flags().StringVar(&key, "tls-key", "", "the certificate's key (PEM)")
	c.Flags().StringVar(&addressFile, "address-file", "", "write the address to this file once the vault is open")
	c.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	return c
}

// listener never listens in the clear where another machine could listen in.
func listener(address, cert, key string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if cert == "" {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return nil, errors.New("without --tls-cert and --tls-key only loopback addresses are served")
		}
		return net.Listen("tcp", address)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	return tls.Listen("tcp", address, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}})
}

func serve(ctx context.Context, p place, l net.Listener, addressFile string, encrypted bool) (err error) {
	d, err := daemon.Open(ctx, p.data, p.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	scheme := "http"
	if encrypted {
		scheme = "https"
	}
	address := scheme + "://" + l.Addr().String()
	fmt.Fprintf(os.Stderr, "Serving    %s\nAddress    %s\n", d.Origin(), address)
	if addressFile != "" {
		if err := os.WriteFile(addressFile, []byte(address+"\n"), 0o600); err != nil {
			return err
		}
	}
	return d.Serve(ctx, l)
}
