package config

import (
	"cmp"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Serve is where and how people are served. A flag of strongroomd serve comes before what stands here.
type Serve struct {
	// Listen is the address that people and proxies connect to: host:port. Where other machines can reach it, certificate and key are needed.
	Listen string `yaml:"listen" default:"127.0.0.1:8443" example:"0.0.0.0:8443"`
	// CertFile holds the certificate chain (PEM) that is shown. Without it strongroomd makes a certificate for clients on this machine.
	CertFile string `yaml:"cert_file" example:"/etc/strongroom/tls.pem"`
	// KeyFile holds the certificate's key (PEM).
	KeyFile string `yaml:"key_file" secret:"yes" example:"/etc/strongroom/tls.key"`
	// TrustedProxies are the networks of proxies in front. They are believed about where a request comes from (X-Forwarded-For), about its
	// number (X-Request-Id) and about the trace that it belongs to (traceparent); nobody else is.
	TrustedProxies []string `yaml:"trusted_proxies" example:"[10.0.0.0/24]"`
	// Drain is how long strongroomd goes on after it was told to stop, saying on /readyz that it does: until load balancers have noticed.
	Drain time.Duration `yaml:"drain" default:"0s" example:"10s"`
}

// Metrics is a listener of its own. The numbers name no person, case or item; they do tell how much is going on.
type Metrics struct {
	// Listen is the address on which /metrics, /healthz and /readyz answer in the open, to anybody: host:port. They are for this machine only,
	// or else for a network that nobody but monitoring can reach.
	Listen string `yaml:"listen" default:"127.0.0.1:9464"`
	// AllowRemote lets Listen be an address that other machines can reach. Say so only where a firewall or a network policy lets nobody but
	// monitoring connect.
	AllowRemote bool `yaml:"allow_remote" default:"false" example:"true"`
}

// Traces is an OpenTelemetry collector. No value that a request carries is in them.
//
// Credentials for the collector come from the environment: OTEL_EXPORTER_OTLP_HEADERS.
type Traces struct {
	// Endpoint is an OpenTelemetry collector that takes OTLP over HTTP: https://host:port, or http on this machine.
	Endpoint string `yaml:"endpoint" example:"https://collector.internal:4318"`
	// CAFile holds the certificates (PEM) that the collector's must come from, instead of the system's. Optional.
	CAFile string `yaml:"ca_file" example:"/etc/strongroom/collector-ca.pem"`
	// Sample is the part of the requests that is traced, from 0 to 1. Of one that a trusted proxy has begun to trace, the proxy decides.
	Sample *float64 `yaml:"sample" default:"0.1"`
}

// Logging is what strongroomd says of itself.
type Logging struct {
	// Level is the least important kind of line that is written: debug, info, warn or error.
	Level string `yaml:"level" default:"info"`
	// Format is json, or text for people who read along.
	Format string `yaml:"format" default:"json"`
}

// What counts where the file says nothing.
const (
	DefaultListen  = "127.0.0.1:8443"
	DefaultMetrics = "127.0.0.1:9464"
	DefaultSample  = 0.1
)

// Address is where metrics are told.
func (m Metrics) Address() string { return cmp.Or(m.Listen, DefaultMetrics) }

// ParseNetwork reads the network of a proxy: 10.0.0.0/24.
func ParseNetwork(text string) (netip.Prefix, bool) {
	n, err := netip.ParsePrefix(text)
	return n, err == nil && n == n.Masked()
}

// Loopback reports whether nobody but this machine can connect to an address, host:port.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && local(host)
}

const maxDrain = 10 * time.Minute

func (s Serve) check(wrong func(field, what string) error) error {
	switch {
	case s.Listen != "" && !listens(s.Listen):
		return wrong("serve.listen", "must be host:port")
	case (s.CertFile == "") != (s.KeyFile == ""):
		return wrong("serve.cert_file", "and key_file go together")
	case s.Drain < 0 || s.Drain > maxDrain:
		return wrong("serve.drain", "must be at most 10m")
	}
	for _, text := range s.TrustedProxies {
		if _, ok := ParseNetwork(text); !ok {
			return wrong("serve.trusted_proxies", "must be a list of networks such as 10.0.0.0/24")
		}
	}
	return nil
}

func (m Metrics) check(wrong func(field, what string) error) error {
	switch {
	case m.Listen != "" && !listens(m.Listen):
		return wrong("metrics.listen", "must be host:port")
	case m.Listen != "" && !Loopback(m.Listen) && !m.AllowRemote:
		return wrong("metrics.listen", "is an address that other machines can reach: that needs allow_remote: true")
	}
	return nil
}

func (t Traces) check(wrong func(field, what string) error) error {
	switch {
	case !address(t.Endpoint, local) || strings.Contains(t.Endpoint, "?"): // the path is appended to it
		return wrong("traces.endpoint", "must be https://host:port (http on this machine only)")
	case t.Sample != nil && !(*t.Sample >= 0 && *t.Sample <= 1):
		return wrong("traces.sample", "must be from 0 to 1")
	}
	return nil
}

func (l Logging) check(wrong func(field, what string) error) error {
	switch l.Level {
	case "", "debug", "info", "warn", "error":
	default:
		return wrong("logging.level", "must be debug, info, warn or error")
	}
	switch l.Format {
	case "", "json", "text":
	default:
		return wrong("logging.format", "must be json or text")
	}
	return nil
}

// listens reports whether a text is an address to listen on: of a host or of every one (":8443"), port 0 for a free one.
func listens(text string) bool {
	host, port, err := net.SplitHostPort(text)
	return err == nil && (port == "0" || hostAndPort(net.JoinHostPort(host, port)) || host == "" && hostAndPort("host:"+port))
}
