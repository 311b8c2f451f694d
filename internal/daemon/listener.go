package daemon

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// Connections at one time. A connection costs about 40 kB before it says anything, and a file descriptor.
const (
	maxConnections        = 4096 // in all: 160 MB
	maxConnectionsFromOne = 1024 // of one address, and of one /64 of IPv6: a hospital's, or a load balancer's that is not a trusted proxy
)

// bounded is a listener that hangs up on connections beyond the bounds, at once, so that those that are there are not disturbed.
type bounded struct {
	net.Listener
	proxies []netip.Prefix // their connections are many people's

	mu   sync.Mutex
	all  int
	from map[netip.Prefix]int
}

func newBounded(l net.Listener, proxies []netip.Prefix) *bounded {
	return &bounded{Listener: l, proxies: proxies, from: make(map[netip.Prefix]int)}
}

func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		origin, proxy := b.origin(conn)
		if b.enter(origin, proxy) {
			return &counted{Conn: conn, leave: sync.OnceFunc(func() { b.leave(origin) })}, nil
		}
		conn.Close()
	}
}

// origin is what counts as one place, as in the limits of requests (package httpapi).
func (b *bounded) origin(conn net.Conn) (origin netip.Prefix, proxy bool) {
	at, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}, false
	}
	a, bits := at.Addr().Unmap().WithZone(""), 64
	if a.Is4() {
		bits = 32
	}
	origin, _ = a.Prefix(bits)
	return origin, slices.ContainsFunc(b.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (b *bounded) enter(origin netip.Prefix, proxy bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all >= maxConnections || b.from[origin] >= maxConnectionsFromOne && !proxy {
		return false
	}
	b.all++
	b.from[origin]++
	return true
}

func (b *bounded) leave(origin netip.Prefix) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all--
	if b.from[origin]--; b.from[origin] == 0 {
		delete(b.from, origin)
	}
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	leave func()
}

func (c *counted) Close() error {
	c.leave()
	return c.Conn.Close()
}
